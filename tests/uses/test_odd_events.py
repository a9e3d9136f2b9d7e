"""Odd events: what each judge scores, against the reader and the simulator, and their grades."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SOURCE, STEPS, refused, small_log, small_model, small_windows

from helpers.events import TEST, read_log
from helpers.reader import read
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.baselines import find_before
from helpers.support.files import DATA, read_truth
from helpers.uses.forecast import log_probability, make_reader
from helpers.uses.futures import CAP, PLANTED, plant, read_habits, true_scores
from helpers.uses.odd_events import (
    find_origins,
    give_away,
    grade_odd_events,
    network_scores,
    pick_events,
    reader_scores,
    table_scores,
)
from helpers.windows import Windows


@pytest.fixture(scope="module")
def log():
    return read_log(DATA / "workplace.csv.gz", WORKPLACE)


@pytest.fixture(scope="module")
def windows(log):
    return Windows(log, TEST, 20, 5)


@pytest.fixture(scope="module")
def planted(log):
    return plant(log, read_habits(), 0.01, np.random.default_rng(0))


@pytest.fixture(scope="module")
def events(windows, planted):
    return pick_events(windows, planted[1], 400, np.random.default_rng(0))


def test_a_network_scores_the_next_event_and_expects_its_heads_entropy():
    torch.set_num_threads(1)
    windows, model = small_windows(part=TEST), small_model()
    events = windows.target_index(windows.origins[:300:3])[:, 0]
    table = small_log().table.copy()
    table[events[1], 3] = 1 + table[events[1], 3] % 2  # another site
    scores, expected = network_scores(model, windows, table, events)
    batch = windows.batch(find_origins(windows.log, events))
    wanted = -log_probability(model, batch, torch.from_numpy(table[events])[:, None])[:, 0]
    np.testing.assert_allclose(scores, wanted, atol=1e-4)
    with torch.no_grad():
        logits = make_reader(model, batch)(batch.given[:, None, :1])[:, 0, 0]
    for c, part in enumerate(logits.split(model.sizes, -1)):
        entropy = torch.distributions.Categorical(logits=part).entropy()
        np.testing.assert_allclose(expected[:, c], entropy, atol=1e-4)


def test_table_scores_by_hand():
    log, before = small_log(), find_before(small_log().sequence)
    events = np.flatnonzero((log.part == TEST) & (before >= 0))[:50]
    scores, expected = table_scores(log, log.table, events)
    c = CATEGORY_NAMES.index("HoursWorked")
    training = np.flatnonzero((log.part == 0) & (before >= 0))
    pairs = log.table[before]
    for event, score, mean in zip(events, scores[:, c], expected[:, c], strict=True):
        alike = training[(pairs[training][:, [0, c]] == pairs[event, [0, c]]).all(1)]
        size = log.categories[c].size
        occurs = np.bincount(log.table[training, c], minlength=size) + 0.5
        follows = np.bincount(log.table[alike, c], minlength=size) + occurs / occurs.sum()
        p = follows / follows.sum()
        assert score == pytest.approx(-np.log(p[log.table[event, c]]))
        assert mean == pytest.approx(-(p * np.log(p)).sum())


def test_the_reader_of_odd_events_is_the_exact_reader(log, windows):
    kinds = log.vocabularies["EventType"]
    decided = [kinds.index("break_end"), kinds.index("punch_out")]  # nothing else can come there
    follows = windows.target_index(windows.origins)[:, 0]
    some = np.flatnonzero(np.isin(log.table[follows, 0], decided))[::300]
    truth = read_truth(DATA / "workplace.csv.gz").take(log.row)
    losses = read(windows, truth, origins=windows.origins[some])[:, 0].sum(1)
    scores, expected = reader_scores(windows, log.table, follows[some])
    np.testing.assert_allclose(scores, losses, rtol=1e-4)
    assert scores.mean() == pytest.approx(expected.mean(), abs=0.5)


def test_what_cannot_happen_the_reader_knows_too(log, windows, planted, events):
    table, kinds = planted
    of_reader, _ = reader_scores(windows, table, events)
    of_simulator, _ = true_scores(log, read_habits(), table, events)
    np.testing.assert_array_equal(of_reader == CAP, of_simulator == CAP)
    assert (of_reader[(kinds[events] > 0) & (kinds[events] != 4)] == CAP).all()


def test_odd_events_are_all_picked_and_others_by_lot(windows, planted, events):
    kinds = planted[1]
    assert (kinds[events] == 0).sum() == 400
    assert (kinds[events] > 0).sum() == (kinds > 0).sum()
    assert (np.diff(events) > 0).all()
    refused(lambda: pick_events(windows, kinds, 0, np.random.default_rng(0)), "clean")


def test_grades_of_a_perfect_judge_and_of_none():
    kinds = np.repeat(range(6), [2000, 40, 40, 40, 40, 40])
    rankings = {"perfect": (kinds > 0) * 1.0, "none": np.zeros(len(kinds))}
    means, errors = grade_odd_events(rankings, kinds, 0.05, 4, np.random.default_rng(0))
    assert list(means) == [*PLANTED, "all", "top 50"] and list(means.index)[-1] == "chance"
    assert (means.loc["perfect"] == 1).all() and (errors.loc["perfect"] == 0).all()
    np.testing.assert_allclose(means.loc["none"][:6], means.loc["chance"][:6], atol=0.01)
    assert means.loc["none", "top 50"] < 0.2


def test_rankings_are_numbers_of_all_events():
    kinds, rng = np.repeat(range(6), 50), np.random.default_rng(0)

    def grade(rankings, draws=2, top=50):
        grade_odd_events(rankings, kinds, 0.1, draws, rng, top)

    refused(lambda: grade({}), start="rankings: ")
    refused(lambda: grade({"short": np.zeros(299)}), "short", start="rankings: ")
    refused(lambda: grade({"none": np.full(300, np.nan)}), "none", start="rankings: ")
    refused(lambda: grade({"a": kinds}, draws=2.5), "2.5", start="draws: ")
    refused(lambda: grade({"a": kinds}, top=0), start="top: ")


@pytest.mark.parametrize("rate, words", [(0, "rate"), (1, "rate"), (1e-6, "there must be")])
def test_a_rate_that_cannot_be_is_refused(rate, words):
    kinds, rng = np.repeat(range(6), 50), np.random.default_rng(0)
    refused(lambda: grade_odd_events({"a": kinds}, kinds, rate, 4, rng), words)
    refused(lambda: grade_odd_events({"a": kinds}, kinds.clip(1), 0.1, 1, rng), "must be")


def test_the_changed_category_gives_a_kind_away(log, planted, events):
    table, kinds = planted
    means = give_away(*table_scores(log, table, events), kinds[events], log)
    assert list(means.index) == ["as it was", *PLANTED]
    for name, (_, category) in PLANTED.items():
        if category != "ApprovedByManagerUserRecordId":
            assert means.loc[name].idxmax() == category and means.loc[name, category] > 5
    assert means.loc["as it was"].max() < 0.5


def test_an_event_that_none_comes_before_is_refused(log):
    refused(lambda: find_origins(log, np.array([0])), start="event 0: ")


def test_events_that_the_log_has_not_are_refused(log, windows):
    for event in (-1, len(log)):
        refused(lambda: find_origins(log, np.array([5000, event])), start=f"event {event}: ")
    none = np.array([], int)
    refused(lambda: network_scores(small_model(), windows, log.table, none), "there are none")
    refused(lambda: reader_scores(windows, log.table, none), "there are none")
    refused(lambda: table_scores(log, log.table, none), "there are none")


def test_an_odd_event_in_the_histories_makes_the_next_one_odd():
    torch.set_num_threads(1)
    log, model = small_log(), small_model()
    windows = Windows(log, TEST, SOURCE, STEPS)
    event = windows.target_index(windows.origins[:1])[:, 0]
    table = log.table.copy()
    table[windows.origins[0], 3] = 1 + table[windows.origins[0], 3] % 2
    spoilt = Windows(replace(log, table=table), TEST, SOURCE, STEPS)
    true, odd = (network_scores(model, one, log.table, event)[0] for one in (windows, spoilt))
    assert np.abs(true - odd).max() > 1e-3
