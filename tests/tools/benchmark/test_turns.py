"""What is compared takes turns; a disturbed turn is repeated, and what stays disturbed is told."""

import time
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.tools.benchmark import turns
from helpers.tools.benchmark.turns import PATIENCE, Turns, collect, take_turns


@pytest.fixture
def observe(monkeypatch):
    """Lets the witness look so long, and others take so many cores, in turn after turn."""

    def observe(looks=(1.0,), taken=(0.0,)):
        witness = SimpleNamespace(least=min(looks))
        each, cores = cycle(np.repeat(looks, 2)), cycle(taken)  # one measure: two looks a turn
        witness.look = lambda: next(each)
        monkeypatch.setattr(turns, "find_witness", lambda threads: witness)
        monkeypatch.setattr(turns, "find_taken", lambda before, after: next(cores))

    return observe


def count_turns():
    """A measure that says which turn it is."""
    turn = iter(range(10**6))
    return [lambda: {"turn": next(turn)}]


def test_turns_are_paired_and_short_steps_are_repeated(monkeypatch, observe):
    observe()
    clock, calls = [0.0], []

    def step(name: str, seconds: float):
        calls.append(name)
        clock[0] += seconds

    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(turns, "TURN", 0.05)
    steps = {"short": lambda: step("s", 0.01), "long": lambda: step("l", 0.1)}
    table, disturbed = take_turns(steps, seconds=0, least=4)
    assert list(table) == ["short", "long"] and len(table) == 4 and disturbed == 0
    # The first turn is not counted; who begins takes turns too.
    assert "".join(calls) == "sl" + 2 * ("sssssl" + "lsssss")
    np.testing.assert_allclose(table, [[0.01, 0.1]] * 4)


@pytest.mark.parametrize(
    "seen",
    [dict(taken=[0, 0.5, 0, 0, 0.5, 0]), dict(looks=[1, 1.5, 1.05, 1.1, 1.5, 1])],
    ids=["others take a core", "the witness is slow"],
)
def test_a_disturbed_turn_is_repeated_and_left_out(observe, seen):
    observe(**seen)
    table, disturbed = collect(count_turns(), seconds=0, least=4)
    assert table["turn"].tolist() == [0, 2, 3, 5] and disturbed == 0


def test_where_all_is_disturbed_it_ends_and_the_calmest_turns_are_told(observe):
    observe(taken=[0.9, 0.4, 0.8, 0.1, 0.5, 0.7])
    table, disturbed = collect(count_turns(), seconds=0, least=3)
    assert table["turn"].tolist() == [1, 3, 4] and disturbed == pytest.approx(2 / 3)


def test_it_has_patience_for_so_many_seconds_too(observe):
    observe(taken=[1.0])
    start = time.perf_counter()
    table, disturbed = collect([lambda: {"slept": time.sleep(0.02)}], seconds=0.2, least=1)
    assert PATIENCE * 0.2 <= time.perf_counter() - start < PATIENCE * 0.2 + 0.5
    assert len(table) == disturbed == 1


def test_turns_of_a_quiet_machine_are_calm(observe):
    """As many as two hundred, spread as those of two cores with nothing else at work."""
    random = np.random.default_rng(0)
    observe(1 + abs(random.normal(0, 0.05, 200)), random.uniform(0, 0.08, 200))
    table, disturbed = collect(count_turns(), seconds=0, least=200)
    assert table["turn"].tolist() == list(range(200)) and disturbed == 0


def test_what_was_slow_before_the_fastest_look_is_known_afterwards(monkeypatch):
    witness, looks = SimpleNamespace(least=np.inf), iter([2, 2, 1, 1, 1, 1, 1, 1])

    def look():
        found = next(looks)
        witness.least = min(witness.least, found)
        return found

    witness.look = look
    monkeypatch.setattr(turns, "find_witness", lambda threads: witness)
    monkeypatch.setattr(turns, "find_taken", lambda before, after: 0.0)
    table, disturbed = collect(count_turns(), seconds=0, least=3)
    assert table["turn"].tolist() == [1, 2, 3] and disturbed == 0


def test_a_row_has_median_quartiles_and_what_was_disturbed():
    values = [0, 4, 2, 3, 1]
    row = Turns(None, 0.4).make_row("forms", "ours", values, "s", batch=16)
    assert row == {
        "part": "forms",
        "name": "ours",
        "batch": 16,
        "value": 2,
        "low": 1,
        "high": 3,
        "unit": "s",
        "disturbed": 0.4,
    }
