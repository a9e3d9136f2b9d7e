"""The exact reader against the sum over all that habits could have done, and what it is good for.

The sum is over every path of one habit, hour by hour, so the log is of a few hours. Its shifts are
those of the world, run through as fast as its clock allows, with two keys to a habit.
"""

import copy
import itertools
import math
import random

import numpy as np
import pytest
import torch
from small import refused, small_log, small_truth

from helpers import reader, world
from helpers.events import TRAIN, Log
from helpers.losses import evaluate, fit_baselines
from helpers.reader import find_draws, read
from helpers.schema import CATEGORY_NAMES, WORKPLACE, Stream
from helpers.support.files import Truth
from helpers.windows import Windows
from helpers.world import (
    FOLLOWED,
    HABITS,
    KEYS,
    Calendar,
    Causes,
    Workplace,
    draw,
    hire,
    measure_floors,
    name_deciders,
    next_outcomes,
)

HOURS, PEOPLE, STEPS = 6, 4, 7
ROUNDING = 1e-6  # nats; what numbers of 32 bits do to a mean
STREAMS = list(WORKPLACE.streams)
CATEGORIES = {name: place for place, name in enumerate(CATEGORY_NAMES)}
CHOSEN = [STREAMS, ["Recipient"], ["Location", "Time"], []]


# -- a log of a few hours


def make_log(events: list[dict], times) -> Log:
    """A log of events as `world` has them, at times of our own, all of the training part."""
    vocabularies, columns = {}, []
    for name in CATEGORY_NAMES:
        values = [event[name] for event in events]
        vocabularies[name] = [None, *sorted({value for value in values if value is not None})]
        columns.append([vocabularies[name].index(value) for value in values])
    table, n = np.array(columns, np.int32).T, len(events)
    people = sorted({event["RecipientRecordId"] for event in events})
    return Log(
        WORKPLACE.make_categories(100),
        [Stream(*item) for item in WORKPLACE.streams.items()],
        table,
        np.zeros_like(table, bool),
        np.array([people.index(event["RecipientRecordId"]) for event in events]),
        np.array(times).astype("datetime64[m]"),
        np.full(n, TRAIN, np.int8),
        np.arange(n),
        vocabularies,
        True,
        [],
    )


def run_through(seed: int) -> tuple[Log, Truth]:
    """A few people's events in a few hours, and what is true of them."""
    rng, workplace = random.Random(seed), Workplace(employees=30, days=90)
    causes, calendar = Causes(workplace, rng), Calendar(workplace)
    causes.keys = {
        category: keys[: PEOPLE if category == "RecipientRecordId" else 2]
        for category, keys in causes.keys.items()
    }
    people, floors, deciders, events = hire(causes, calendar), [], [], []
    times = sorted(rng.randrange(60 * HOURS) for _ in range(130))
    for before, now in itertools.pairwise([0, *times]):
        for _ in range(now // 60 - before // 60):
            causes.change(rng)
        who = rng.randrange(PEOPLE)
        outcomes = next_outcomes(people[who], causes, calendar)
        event = people[who] = draw(outcomes, rng)
        events.append(event)
        floors.append(measure_floors(outcomes, event))
        deciders.append(name_deciders(event["EventType"]))
    return make_log(events, times), Truth(np.array(floors), np.array(deciders, np.int8))


@pytest.fixture
def restless(monkeypatch):
    """Habits that change within hours, each stream's at another pace."""
    for pace, (stream, habit) in enumerate(HABITS.items(), 2):
        monkeypatch.setitem(HABITS, stream, habit._replace(change=float(pace)))


# -- what a window tells, by definition


def list_known(log: Log, origin: int, length: int, streams: list[str]) -> set[int]:
    """The events that a reader of these streams is shown of what was before a target."""
    known = {origin}
    for stream in log.streams:
        key = log.key(stream)
        if stream.name in streams:
            past = [e for e in range(origin + 1) if key[e] == key[origin] != 0]
            known |= set(past[-length:])
    return known


def list_own(log: Log, event: int) -> list[int]:
    """The events of the same person, up to this one."""
    return [e for e in range(event + 1) if log.sequence[e] == log.sequence[event]]


def list_kinds(log: Log) -> list[str]:
    return [log.vocabularies["EventType"][i] for i in log.table[:, 0]]


def find_draw(log: Log, event: int, stream: str) -> int | None:
    """The event that decided what this one shows of a habit; None where it shows nothing."""
    kinds = list_kinds(log)
    if kinds[event] == HABITS[stream].kind:
        return event
    if kinds[event] not in HABITS[stream].repeated:
        return None
    made = [e for e in list_own(log, event) if kinds[e] == HABITS[stream].kind]
    return made[-1] if made else None


def drawn_at(log: Log, event: int) -> int:
    """The hour in which an event was drawn: that of the person's event before."""
    return log.time[list_own(log, event)[-2]].astype("datetime64[h]").astype(int)


def sum_over_paths(log: Log, shown: set[int], event: int, stream: str) -> float:
    """p(the value drawn at `event` | the values of the draws shown), over all paths of the habit.

    Before a draw nothing is known of a habit, so each of its values is as likely as any other.
    """
    habit, of_habit = HABITS[stream], CATEGORIES[HABITS[stream].category]
    decided = np.array(list_kinds(log)) == habit.kind
    every = np.unique(log.table[decided, of_habit])
    values = np.arange(max(len(every), len(habit.values)))
    paths = np.array(list(itertools.product(values, repeat=HOURS)))  # (paths, hours)
    moved = paths[:, 1:] != paths[:, :-1]
    chance = habit.change / 24
    weight = np.where(moved, chance / (len(values) - 1), 1 - chance).prod(1)

    def p(draw: int) -> np.ndarray:  # of its value, on each path
        value = every.tolist().index(log.table[draw, of_habit])
        as_habit = paths[:, drawn_at(log, draw)] == value
        return np.where(as_habit, FOLLOWED, (1 - FOLLOWED) / (len(values) - 1))

    for other in shown:
        weight = weight * p(other)
    return (weight * p(event)).sum() / weight.sum()


def expect(log: Log, truth: Truth, origin: int, length: int, streams: list[str]) -> np.ndarray:
    """The reader's losses on one window, by definition: (U, C)."""
    later = [e for e in range(origin + 1, len(log)) if log.sequence[e] == log.sequence[origin]]
    losses, known = np.zeros((STEPS, len(CATEGORY_NAMES))), list_known(log, origin, length, streams)
    for step, event in enumerate(later[:STEPS]):
        losses[step] = truth.floors[event]
        for stream, habit in HABITS.items():
            if find_draw(log, event, stream) == event:
                key = log.table[:, CATEGORIES[KEYS[stream]]]
                draws = {find_draw(log, e, stream) for e in known} - {None}
                shown = {one for one in draws if key[one] == key[event]}
                p = sum_over_paths(log, shown, event, stream)
                before = list_kinds(log)[list_own(log, event)[-2]]
                if before == "shift_scheduled":
                    p *= 1 - world.TRANSFER  # a transfer could have come as well
                losses[step, CATEGORIES[habit.category]] = -math.log(p)
        known.add(event)
    return losses


@pytest.mark.parametrize("streams", CHOSEN, ids=lambda streams: "+".join(streams) or "none")
@pytest.mark.parametrize("seed, length", [(1, 20), (2, 3)])
def test_the_reader_is_the_sum_over_all_paths_of_the_habits(restless, seed, length, streams):
    log, truth = run_through(seed)
    windows = Windows(log, TRAIN, length, STEPS)
    origins = windows.origins[3::9]
    losses = read(windows, truth, streams, origins)
    assert losses.shape == (len(origins), STEPS, 17) and losses.dtype == np.float32
    differs = np.zeros(len(CATEGORY_NAMES), int)
    for origin, found in zip(origins, losses, strict=True):
        expected = expect(log, truth, origin, length, streams)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        event = windows.target_index(np.array([origin]))[0]
        floors = np.pad(truth.floors, [(0, 1), (0, 0)])[event]
        differs += (np.abs(expected - floors) > 1e-3).sum(0)
    decided = {CATEGORIES[habit.category] for habit in HABITS.values()}
    assert set(np.flatnonzero(differs)) == decided


def test_what_is_shown_twice_counts_once(restless):
    """Of the log of a few hours many events show a draw that others show, too."""
    log, _ = run_through(1)
    for stream, habit in HABITS.items():
        shown = find_draws(log, stream).shown
        assert len(shown) == len(log) + 1 and shown[-1] == -1  # of what pads, nothing
        found = [find_draw(log, event, stream) for event in range(len(log))]
        assert shown[:-1].tolist() == [-1 if one is None else one for one in found]
        made = [one for one in found if one is not None]
        assert len(made) > 1.5 * len(set(made)), habit


# -- the order of what can be known


def small_readers(log: Log, truth: Truth, choices, length: int = 20) -> list[np.ndarray]:
    windows = Windows(log, TRAIN, length, 20)
    counted = windows.count(windows.origins).numpy()
    return [read(windows, truth, streams)[counted] for streams in choices]


def test_who_is_shown_more_loses_less_and_nobody_less_than_the_floor():
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 20, 20)
    event = windows.target_index(windows.origins)
    floor = truth.floors[event[event < len(log)]].mean()
    without = [[name for name in STREAMS if name != left] for left in HABITS]
    chain = [STREAMS, STREAMS[1:4], STREAMS[2:4], STREAMS[2:3], []]
    means = [losses.mean(dtype=float) for losses in small_readers(log, truth, chain + without)]
    assert floor < means[0] < means[1] < means[2] < means[3] < means[4]
    assert all(means[0] < one for one in means[len(chain) :])
    assert np.isfinite(means).all()


def test_leaving_a_stream_out_costs_at_the_next_event_where_its_habit_decides():
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 20, 1)
    deciders = truth.deciders[windows.target_index(windows.origins)]
    whole = read(windows, truth)
    for number, left in enumerate(STREAMS, 1):
        cost = read(windows, truth, [name for name in STREAMS if name != left]) - whole
        if left == "EventType":  # the placebo
            assert not (deciders == number).any()
            assert not cost.any()  # exactly: before a habit decides, its kind shows none
        else:
            assert cost[deciders == number].mean() > 0.02, left


def test_without_streams_named_it_reads_all_in_any_order_and_any_number_at_a_time(monkeypatch):
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 20, 5)
    some = windows.origins[1000:1100]
    whole = read(windows, truth, None, some)
    assert np.array_equal(read(windows, truth, STREAMS[::-1], some), whole)
    monkeypatch.setattr(reader, "CHUNK", 7)
    assert np.array_equal(read(windows, truth, origins=some), whole)
    assert np.array_equal(read(windows, truth)[np.searchsorted(windows.origins, some)], whole)


def test_where_habits_stay_and_are_shown_often_the_reader_is_at_the_floor(monkeypatch):
    for stream, habit in HABITS.items():
        monkeypatch.setitem(HABITS, stream, habit._replace(change=0.0))
    log, truth = simulated(days=60)
    windows = Windows(log, TRAIN, 300, 5)
    late = windows.origins[-1500:]
    event = windows.target_index(late)
    deciders = np.pad(truth.deciders, [(0, 1), (0, 0)])[event] > 0
    above = read(windows, truth, None, late) - np.pad(truth.floors, [(0, 1), (0, 0)])[event]
    assert deciders.sum() > 1000
    assert abs(above[deciders].mean()) < 2e-3
    assert (read(windows, truth, [], late)[deciders]).mean() > 0.5 + above[deciders].mean()


def test_where_habits_stay_and_are_always_followed_once_is_enough(monkeypatch):
    for stream, habit in HABITS.items():
        monkeypatch.setitem(HABITS, stream, habit._replace(change=0.0))
    for module in (world, reader):
        monkeypatch.setattr(module, "FOLLOWED", 1.0)
    log, truth = simulated(days=20)
    windows = Windows(log, TRAIN, 2000, 1)
    event = windows.target_index(windows.origins)[:, 0]
    losses = read(windows, truth)[:, 0]
    np.testing.assert_allclose(losses[-500:], truth.floors[event][-500:], atol=1e-6)


def simulated(**changes) -> tuple[Log, Truth]:
    """A workplace as it now is, all of it training."""
    steps = world.simulate(Workplace(employees=20, **changes), False)
    events, floors, _ = zip(*steps, strict=True)
    times = [e["day"] * 1440 + e["Time_Event_Hour"] * 60 + e["Time_Event_Minute"] for e in events]
    deciders = [name_deciders(event["EventType"]) for event in events]
    return make_log(events, times), Truth(np.array(floors), np.array(deciders, np.int8))


def test_the_reader_is_the_floor_wherever_no_habit_decides_and_nothing_where_padded():
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 5, 20)
    floors = np.random.default_rng(0).random(truth.floors.shape)
    losses = read(windows, truth._replace(floors=floors))
    event = windows.target_index(windows.origins)
    padded = event == len(log)
    assert padded.any() and not losses[padded].any()
    free = np.pad(truth.deciders, [(0, 1), (0, 0)])[event] == 0
    expected = np.pad(floors, [(0, 1), (0, 0)])[event]
    np.testing.assert_allclose(losses[free], expected[free], rtol=1e-6)


# -- what it may not know


def change_draws(log: Log, kept: set[int]) -> tuple[Log, int]:
    """The log with every draw changed that none of the kept events shows; and how many."""
    other, changed = copy.deepcopy(log), 0
    for stream, habit in HABITS.items():
        draws, column = find_draws(log, stream), other.table[:, CATEGORIES[habit.category]]
        spared = set(draws.shown[sorted(kept)])
        values = np.unique(log.table[:, CATEGORIES[habit.category]][draws.shown[:-1] >= 0])
        for one in set(draws.shown) - spared - {-1}:
            events = np.flatnonzero(draws.shown[:-1] == one)
            place = np.searchsorted(values, column[one])
            column[events] = values[(place + 1) % len(values)]
            changed += 1
    return other, changed


@pytest.mark.parametrize("streams", [STREAMS, ["Recipient"], ["CostCode", "Time"]])
def test_events_outside_a_window_change_nothing(streams):
    log, truth = small_log(), small_truth()
    windows, places = Windows(log, TRAIN, 20, 20), [STREAMS.index(name) for name in streams]
    for origin in windows.origins[[700, 1500, 2600]]:
        here = np.array([origin])
        seen = windows.history_index(here)[:, places].ravel()
        kept = {*seen, origin, *windows.target_index(here).ravel()} - {len(log)}
        other, changed = change_draws(log, kept)
        assert changed > 1000 and not np.array_equal(other.table, log.table)
        # The histories are found by key, which is no drawn value but for none: so they stay.
        beside = Windows(other, TRAIN, 20, 20)
        assert np.array_equal(beside.history_index(here), windows.history_index(here))
        before = read(windows, truth, streams, here)
        assert np.array_equal(read(beside, truth, streams, here), before)


def test_a_step_knows_of_its_target_what_came_before_and_nothing_later():
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 20, 20)
    moved = 0
    for origin in windows.origins[[700, 1500, 2600]]:
        here = np.array([origin])
        target = windows.target_index(here)[0]
        before = read(windows, truth, None, here)[0]
        for step in (3, 8, 15):
            seen = windows.history_index(here).ravel()
            other, changed = change_draws(log, {*seen, origin, *target[:step]} - {len(log)})
            after = read(Windows(other, TRAIN, 20, 20), truth, None, here)[0]
            assert changed and np.array_equal(after[:step], before[:step])
            moved += not np.array_equal(after[step:], before[step:])
    assert moved == 9  # the later steps do see what was changed in them


# -- a leak


class Leaky(Windows):
    """Histories that go on beyond the origin by some events of other people: the leak."""

    def __init__(self, windows: Windows, ahead: int):
        vars(self).update(vars(windows))
        self.ahead = ahead

    def history_index(self, origins: np.ndarray) -> np.ndarray:
        groups = self.histories
        back = np.arange(self.src_seq_len - 1, -1, -1) - self.ahead
        place = groups.rank[:, origins, None] - back
        known = (place >= groups.start[:, origins, None]) & (place < groups.end[:, origins, None])
        last = groups.order.shape[1] - 1
        events = np.take_along_axis(
            groups.order, np.clip(place, 0, last).reshape(len(groups.order), -1), 1
        ).reshape(place.shape)
        own = self.log.sequence[events] == self.log.sequence[origins][:, None]
        known &= ~own | (events <= origins[:, None])  # the target itself would be below the floor
        return np.where(known, events, len(self.log)).transpose(1, 0, 2)


class BestNetwork(torch.nn.Module):
    """What a network would say at best that is given these windows: the reader's probabilities."""

    def __init__(self, windows: Windows, truth: Truth, origins: np.ndarray):
        super().__init__()
        self.p = np.exp(-read(windows, truth, None, origins).astype(float))
        assert (self.p > 0).all() and (self.p < 1 + ROUNDING).all()
        self.sizes = [category.size for category in windows.log.categories]
        self.done = 0

    def forward(self, batch):
        p = torch.from_numpy(self.p[self.done : self.done + len(batch.target)])
        self.done += len(p)
        logits = []
        for c, size in enumerate(self.sizes):
            rest = ((1 - p[..., c, None]) / (size - 1)).expand(*p.shape[:2], size).clone()
            rest.scatter_(-1, batch.target[..., c, None].long(), p[..., c, None])
            logits.append(rest.clamp(min=1e-30).log())
        return torch.cat(logits, -1)


@pytest.mark.parametrize("ahead, leaks", [(0, False), (2, True)])
def test_a_leak_above_the_floor_is_found_by_the_alarm_at_the_reader_alone(ahead, leaks):
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 20, 1)
    origins = windows.origins
    model = BestNetwork(Leaky(windows, ahead), truth, origins)
    evaluation = evaluate(model, windows, fit_baselines(log), truth, origins)
    report, losses = evaluation.report(), evaluation.losses

    def rings(line: str) -> bool:
        """Whether the mean over categories is below by more than three standard errors."""
        difference = (losses["model"] - losses[line]).mean(-1, keepdims=True)
        mean = difference[evaluation.counted].mean(dtype=float)
        return bool(mean < -3 * evaluation.standard_error(difference)[0] - ROUNDING)

    assert rings("reader") is leaks and not rings("floor")
    row = report.iloc[-1]
    assert row["gap"] > 0.005 and row["unknowable"] > 0.005
    if not leaks:
        assert np.abs(losses["model"] - losses["reader"]).max() < 1e-3
        assert abs(row["unread"]) < 1e-5


def test_the_leaky_windows_without_a_leak_are_the_windows():
    windows = Windows(small_log(), TRAIN, 20, 1)
    origins = windows.origins[::50]
    honest, leaky = (one.history_index(origins) for one in (windows, Leaky(windows, 0)))
    assert np.array_equal(honest, leaky)


def test_of_a_key_without_an_integer_nothing_is_known():
    log, truth = small_log(), small_truth()
    whole = read(Windows(log, TRAIN, 20, 20), truth)
    place, other = CATEGORIES["LocationRecordId"], copy.deepcopy(log)
    other.table[np.isin(log.table[:, place], [1, 2]), place] = 0
    windows = Windows(other, TRAIN, 20, 20)
    event = windows.target_index(windows.origins)
    deciders = np.pad(truth.deciders, [(0, 1), (0, 0)])[event]
    ours = deciders == 1 + STREAMS.index("Location")
    unknown = np.pad(other.table, [(0, 1), (0, 0)])[event][..., [place]] == 0
    losses = read(windows, truth)
    assert (ours & unknown).sum() > 100
    np.testing.assert_allclose(losses[ours & unknown], math.log(4), rtol=1e-6)
    assert not np.allclose(whole[ours & unknown], math.log(4), rtol=1e-3)
    # What is shown of the other sites' habits is what was shown of them before, or less.
    assert np.isfinite(losses).all() and losses.mean() > whole.mean()


def test_origins_of_another_part_are_refused():
    log, truth = small_log(), small_truth()
    windows = Windows(log, TRAIN, 5, 5)
    refused(lambda: read(windows, truth, origins=[len(log) - 1]), "train part", start="origins: ")
