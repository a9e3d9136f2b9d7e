"""The tables of an evaluation, and its standard errors, against calculations by hand."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from small import small_log

from helpers.losses import Evaluation
from helpers.schema import WORKPLACE
from helpers.support import reports
from helpers.support.baselines import BASELINES
from helpers.support.errors import InputError
from helpers.support.reports import LEVELS
from support.toy import SIZES, random_log

STREAMS = list(WORKPLACE.streams)
COUNTED = np.array([[1, 1], [1, 0], [1, 1]], bool)  # the second window's target ends early
# Whose habit decides: (windows, steps, categories). Actor is the second stream, Recipient the third
DECIDERS = np.array([[[2, 0], [0, 3]], [[2, 0], [0, 0]], [[0, 3], [2, 0]]], np.int8)
EVENT = np.array([[240, 241], [241, 300], [250, 251]])  # of a log of 300
RECIPIENT_AT_FIRST = (2, 0, 1)  # window, step, category


def evaluation(**losses) -> Evaluation:
    """Three windows of two sequences, two steps, two categories; the losses are (3, 2, 2)."""
    known = {name: np.array(one, np.float32) for name, one in losses.items()}
    correct = np.arange(12).reshape(3, 2, 2) % 3 == 0
    sequence = np.array([7, 7, 9])
    return Evaluation(random_log(), known, COUNTED, correct, sequence, DECIDERS, EVENT)


def by_hand() -> Evaluation:
    numbers = np.arange(12.0).reshape(3, 2, 2)
    four = dict(floor=0, reader=1, model=2.5, reader_own=4)
    return evaluation(**{name: numbers + more for name, more in four.items()})


# -- the report


def test_a_report_takes_the_steps_that_count_alone():
    whole, first = by_hand().report(), by_hand().report(1)
    # Of the second window the second step, 6 and 7, does not count.
    assert whole["floor"].tolist() == pytest.approx([(0 + 2 + 4 + 8 + 10) / 5, 29 / 5, 5.3])
    assert first["floor"].tolist() == pytest.approx([4, 5, 4.5])
    assert by_hand().report(2)["floor"].tolist() == pytest.approx([6, 7, 6.5])
    assert whole["category"].tolist() == ["kind", "other", "mean"]
    assert whole["size"].tolist()[:2] == SIZES
    assert whole["ceiling"].tolist() == pytest.approx([*np.log(SIZES), np.log(SIZES).mean()])
    assert first["accuracy"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_the_gap_is_what_nobody_could_know_and_what_the_model_could_have_known():
    for table in (by_hand().report(), by_hand().report(1), by_hand().decisions()):
        assert table["gap"].tolist() == pytest.approx([2.5] * 3)
        assert table["unknowable"].tolist() == pytest.approx([1] * 3)
        assert table["unread"].tolist() == pytest.approx([1.5] * 3)


# -- the model and the baselines


def against(model, baselines: dict, right=None, n=60) -> Evaluation:
    """Windows of one step of ten sequences, of which the model and the baselines lose so much."""
    log, rng = random_log(), np.random.default_rng(0)
    spread = rng.normal(size=(n, 1, 2))
    losses = dict.fromkeys(BASELINES, spread + 9) | {
        name: spread + np.array(one) for name, one in baselines.items()
    }
    losses["model"] = spread + np.array(model) + 0.1 * rng.normal(size=(n, 1, 2))
    counted, sequence = np.ones((n, 1), bool), np.arange(n) % 10
    correct = np.arange(n)[:, None, None] < n // 2 + np.zeros((1, 1, 2))
    event = np.full((n, 1), 240)
    return Evaluation(log, losses, counted, correct, sequence, None, event, right or {})


def test_the_best_baseline_is_named_and_the_model_behind_it_where_that_is_sure():
    found = against([1.0, 2.0], {"markov": [0.5, 2.0], "back_off": [0.7, 1.999]}).report()
    assert found["best"].tolist() == ["markov", "back_off", "markov"]
    assert found["behind"].tolist() == [True, False, True]
    assert against([1.0, 2.0], {"markov": [1.5, 2.5]}).report()["behind"].tolist() == [False] * 3


def test_the_error_is_of_the_difference_to_the_best_and_clustered():
    hand = against([1.0, 2.0], {"markov": [0.5, 3.0], "back_off": [0.7, 2.0]})
    table, losses = hand.report(), hand.losses
    difference = losses["model"] - np.stack(
        [losses["markov"][..., 0], losses["back_off"][..., 1]], -1
    )
    assert table["error"].tolist()[:2] == pytest.approx(hand.standard_error(difference))
    mean = (losses["model"] - losses["back_off"]).mean(-1, keepdims=True)
    assert table["best"][2] == "back_off"  # of the means the lowest
    assert table["error"][2] == pytest.approx(hand.standard_error(mean)[0])


def test_of_a_single_sequence_the_windows_are_the_units():
    hand = against([1.0, 2.0], {"markov": [0.5, 2.0]})
    apart = dataclasses.replace(hand, sequence=np.arange(60)).report()["error"]
    one = dataclasses.replace(hand, sequence=np.zeros(60, int)).report()["error"]
    assert one.tolist() == apart.tolist() and (one > 0.01).all()


@pytest.mark.parametrize("more, behind", [(0, False), (1, True), (-1, False)])
def test_a_model_that_is_less_accurate_than_the_most_accurate_is_behind(more, behind):
    places = np.arange(60)[:, None, None]
    right = dict.fromkeys(BASELINES, np.broadcast_to(places < 20, (60, 1, 2)))
    right["copy_last"] = np.concatenate([places < 30 + more, places < 30], -1)
    table = against([1.0, 2.0], {"markov": [1.5, 2.5]}, right).report()
    assert table["behind"].tolist()[:2] == [behind, False]
    assert table["accuracy_copy_last"].tolist()[:2] == pytest.approx([0.5 + more / 60, 0.5])
    assert table["accuracy_markov"].tolist() == pytest.approx([1 / 3] * 3)
    difference = against([1.0, 2.0], {}).correct * 1.0 - right["copy_last"]
    error = against([1.0, 2.0], {}).standard_error(difference)
    assert table["accuracy_error"].tolist()[:2] == pytest.approx(error)


def test_shares_of_unseen_and_unknown_are_of_the_targets_that_count():
    hand = by_hand()
    hand.log.unseen[[240, 250], 1] = True
    hand.log.table[[240, 241, 250, 251]] = [[0, 1], [2, 1], [1, 0], [1, 1]]
    whole, first = hand.report(), hand.report(1)
    assert whole["unseen"].tolist() == pytest.approx([0, 2 / 5, 1 / 5])
    assert first["unseen"].tolist() == pytest.approx([0, 2 / 3, 1 / 3])
    assert whole["unknown"].tolist() == pytest.approx([1 / 5, 1 / 5, 1 / 5])
    assert first["unknown"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_names_are_told_from_numbers_and_times():
    hand = by_hand()
    hand.log.vocabularies = {"kind": [None, "start", "end"], "other": [None, 0.5, 1.0]}
    assert hand.report()["names"].tolist() == [True, False, False]
    hand.log.vocabularies = {"kind": [None]}
    assert not hand.report()["names"].any()


# -- durations


def test_forecasts_of_durations_are_measured_against_what_came():
    hand = by_hand()
    assert reports.durations(hand) is None
    hand.durations = {
        "truth": np.array([10.0, 20, 30, 0]),
        "model": np.array([[10.0, 12, 14], [0, 10, 19], [0, 30, 99], [0, 0, 0]]),
        "table": np.array([[1.0, 10, 100]] * 4),
    }
    found = reports.durations(hand).set_index("forecast")
    assert found.loc["model"].tolist() == pytest.approx([4, (2 + 10) / 4, 1, 3 / 4, (4 + 19) / 2])
    assert found.loc["table"].tolist() == pytest.approx([4, (10 + 20 + 10) / 4, 10, 3 / 4, 99])


# -- the decisions


def test_decisions_are_counted_by_stream_where_its_habit_decides_at_that_step():
    table = by_hand().decisions()
    assert table["stream"].tolist() == ["Actor", "Recipient", "mean"]
    assert table["category"].tolist()[:2] == ["kind", "other"] and pd.isna(table["category"][2])
    assert table["decisions"].tolist() == [2, 1, 3]
    assert table["ceiling"].tolist()[:2] == pytest.approx(np.log(SIZES))
    assert table["floor"].tolist() == pytest.approx([(0 + 4) / 2, 9, 5.5])
    assert table["model"].tolist() == pytest.approx([4.5, 11.5, 8])
    correct = by_hand().correct
    accuracy = [correct[:2, 0, 0].mean(), float(correct[RECIPIENT_AT_FIRST])]
    assert table["accuracy"].tolist() == pytest.approx([*accuracy, np.mean(accuracy)])
    second = by_hand().decisions(2)
    assert second["decisions"].tolist() == [1, 1, 2]
    assert second["floor"].tolist() == pytest.approx([10, 3, 6.5])
    columns = ["stream", "category", "decisions", "ceiling", *LEVELS, "gap", "unknowable", "unread"]
    assert list(table.columns) == [*columns, "recovered", "accuracy"]


def test_recovered_is_the_model_s_share_of_what_the_other_streams_tell():
    assert by_hand().decisions()["recovered"].tolist() == pytest.approx([0.5] * 3)


def test_nothing_is_to_be_recovered_where_the_other_streams_tell_nothing():
    hand = by_hand()
    hand.losses["reader_own"][RECIPIENT_AT_FIRST] = hand.losses["reader"][RECIPIENT_AT_FIRST] + 0.01
    table = hand.decisions()
    assert table["recovered"].tolist() == pytest.approx([0.5, math.nan, 0.5], nan_ok=True)


def test_levels_that_are_not_known_are_blank():
    numbers = np.ones((3, 2, 2))
    for table in (evaluation(model=numbers).report(), evaluation(model=numbers).decisions()):
        assert set(LEVELS) <= set(table.columns)
        known = ["model"]
        assert table[known].notna().all(axis=None)
        assert table[[name for name in LEVELS if name not in known]].isna().all(axis=None)
        assert table[["gap", "unknowable", "unread"]].isna().all(axis=None)


def test_decisions_of_a_log_without_a_simulator_are_refused_in_words():
    hand = dataclasses.replace(by_hand(), deciders=None)
    with pytest.raises(InputError, match="decisions: nobody knows what decided"):
        hand.decisions()
    with pytest.raises(InputError, match="step: must be 1 to 2"):
        by_hand().decisions(3)


def test_where_no_habit_decides_anything_there_is_nothing_to_tell():
    hand = by_hand()
    hand.deciders = hand.deciders * np.array([0, 1], np.int8)[:, None]  # none at the next event
    with pytest.raises(InputError, match="no habit decides anything at step 1 of these windows"):
        hand.decisions()
    assert hand.decisions(2)["decisions"].tolist() == [1, 1, 2]
    assert hand.all_questions()["question"].unique().tolist() == ["next event", "all steps"]


# -- all in one


def test_the_questions_stand_one_below_another():
    hand = by_hand()
    table = hand.all_questions()
    tables = {"next event": hand.report(1), "all steps": hand.report()}
    tables["where a habit decides"] = hand.decisions()
    first = ["question", "stream", "category", "size", "decisions", "ceiling"]
    assert table.columns[:6].tolist() == first
    assert table["question"].unique().tolist() == list(tables)
    assert table.index.tolist() == list(range(len(table)))
    for question, expected in tables.items():
        found = table[table["question"] == question].drop(columns="question")
        found = found.reset_index(drop=True)[expected.columns]
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_a_log_without_a_simulator_has_two_questions():
    table = dataclasses.replace(by_hand(), deciders=None).all_questions()
    assert table["question"].unique().tolist() == ["next event", "all steps"]
    assert "decisions" not in table


# -- the standard error


def test_standard_error_takes_the_sequences_as_units():
    rng = np.random.default_rng(0)
    difference, counted = rng.normal(size=(40, 3, 2)), rng.random((40, 3)) < 0.8
    sequence = rng.integers(5, 12, 40)
    error = Evaluation(small_log(), {}, counted, None, sequence).standard_error(difference)
    for c in range(2):
        residual = difference[..., c] - difference[..., c][counted].mean()
        sums = [residual[counted & (sequence == s)[:, None]].sum() for s in set(sequence)]
        expected = math.sqrt(sum(one**2 for one in sums)) / counted.sum()
        assert error[c] == pytest.approx(expected)
    every = np.ones((40, 1), bool)
    single = Evaluation(small_log(), {}, every, None, np.arange(40))
    expected = difference[:, 0].std(0) / math.sqrt(40)
    assert single.standard_error(difference[:, :1]) == pytest.approx(expected)
