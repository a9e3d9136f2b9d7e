"""The checks of notebook 01: what each says of the notebook's own answer, and of wrong ones."""

from functools import partial

import numpy as np
import pytest

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("01_data_prep")
UNWRITTEN = "Not done yet: your function is still to be written."

vocabulary_of = NOTEBOOK.solution("vocabulary_of")


def from_zero(*case):
    return {name: i - 1 for name, i in vocabulary_of(*case).items()}


def cut_last(names, most, min_count):
    if min_count > 1:
        return vocabulary_of(names, most, min_count)
    return {name: i for i, name in enumerate(sorted(set(names) - {""})[:most], 1)}


def blank_takes_a_place(names, most, min_count):
    return {} if most == 1 else vocabulary_of(names, most, min_count)


def one_more_needed(names, most, min_count):
    return vocabulary_of(names, most, min_count + 1)


def first_seen(names, most, min_count):
    kept = [name for name in dict.fromkeys(names) if name and names.count(name) >= min_count]
    return {name: i for i, name in enumerate(sorted(kept[:most]), 1)}


@pytest.mark.parametrize(
    "student, words",
    [
        (vocabulary_of, "Right: all 6 cases agree."),
        (NOTEBOOK.stub("vocabulary_of"), UNWRITTEN),
        (from_zero, "integers count from 1"),
        (first_seen, "The most frequent are to be kept, not those that come first."),
        (cut_last, "Cut by frequency first"),
        (blank_takes_a_place, "Leave blanks out before"),
        (lambda *case: {"": 1, "dock": 2, "gate": 3, "yard": 4}, "A blank is no name"),
        (one_more_needed, "is frequent enough"),
        (lambda *case: {"yard": 1, "gate": 2, "dock": 3}, "in the order of their counts"),
    ],
)
def test_vocabulary_of(said, student, words):
    assert words in said(checks.vocabulary_of, student)


to_integer = NOTEBOOK.solution("to_integer")
to_hours = NOTEBOOK.solution("to_hours")


def never_blank(hours):
    return round(hours / 0.25)


def cut_off(hours):
    return int(hours / 0.25) + 1


def next_above(hours):
    return 0 if hours is None else min(int(-(-hours // 0.25)) + 1, 99)


def blank_or(most):
    return lambda hours: 0 if hours is None else min(round(hours / 0.25) + 1, most)


@pytest.mark.parametrize(
    "there, back, words",
    [
        (to_integer, to_hours, "Right: there and back."),
        (NOTEBOOK.stub("to_integer"), NOTEBOOK.stub("to_hours"), UNWRITTEN),
        (to_integer, NOTEBOOK.stub("to_hours"), UNWRITTEN),
        (never_blank, to_hours, "0 means blank, so no hours"),
        (cut_off, to_hours, "int cuts off"),
        (next_above, to_hours, "with hours = 7.1 "),
        (next_above, to_hours, "not the next above"),
        (blank_or(most=1000), to_hours, "100 values"),
        (blank_or(most=100), to_hours, "99 is the last value"),
        (to_integer, lambda integer: integer * 0.25, "undone first"),
        (to_integer, lambda integer: integer * 0.25 - 1, "First take away the one"),
        (to_integer, lambda integer: (integer - 1) * 0.25, "0 is a blank"),
    ],
)
def test_bins(said, there, back, words):
    assert words in said(checks.bins, there, back)


def in_place(history, length):
    while len(history) < length:
        history.insert(0, 0)
    return history[-length:]


def zeros_behind(history, length):
    return (history + [0] * length)[:length]


def oldest(history, length):
    return [0] * (length - len(history)) + history[:length]


def never_cut(history, length):
    return [0] * (length - len(history)) + history


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("padded"), "Right: all 4 cases agree."),
        (NOTEBOOK.stub("padded"), UNWRITTEN),
        (zeros_behind, "The zeros belong in front"),
        (in_place, "the values are right. You changed `history` itself; make a new list."),
        (oldest, "Those are the oldest"),
        (never_cut, "longer than asked for"),
    ],
)
def test_padded(said, student, words):
    assert words in said(checks.padded, student)


steps_that_count = NOTEBOOK.solution("steps_that_count")


def with_origin(part, origin, length):
    return part[origin : origin + length].count(part[origin])


def to_the_end(part, origin, length):
    return len(part[origin + 1 : origin + 1 + length])


def to_the_border(part, origin, length):
    return steps_that_count(part, origin, 99)


@pytest.mark.parametrize(
    "student, words",
    [
        (steps_that_count, "Right: all 5 cases agree."),
        (NOTEBOOK.stub("steps_that_count"), UNWRITTEN),
        (with_origin, "The origin is known"),
        (to_the_end, "the border of its part"),
        (to_the_border, "where the target is shorter"),
    ],
)
def test_steps_that_count(said, student, words):
    assert words in said(checks.steps_that_count, student)


mended = NOTEBOOK.solution("mended")
features = mended.__globals__["features"]  # what is to be mended


def so_far(told):
    return told.fillna(0).cumsum() / told.notna().cumsum().replace(0, np.nan)


def before(told):
    return so_far(told.shift())


def mend(raw, shift=("recipient", "reference_time"), fill="ffill", site="location", mean=so_far):
    of_shift = raw.groupby(list(shift))["hours_worked"].transform(fill)
    at_site = raw.groupby(site)["hours_worked"].transform(mean)
    return features(raw).assign(hours_of_shift=of_shift, hours_at_site=at_site)


def everywhere(row):
    return "one group for all rows"


SAME_TIME_ALL_SITES = "begins at the same time. 'hours_at_site' is the mean over all sites"
SITE_AHEAD = "'hours_at_site' still looks ahead."


@pytest.mark.parametrize(
    "student, words",
    [
        (mended, "Right: all 4 cases agree."),
        (mend, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("mended"), UNWRITTEN),
        (partial(mend, mean="mean"), "with raw = DataFrame"),
        (partial(mend, fill="cummax", mean="mean"), f"carry them forward. {SITE_AHEAD}"),
        (partial(mend, mean="mean"), f"was expected. {SITE_AHEAD}"),
        (partial(mend, fill="max"), "was expected. 'hours_of_shift' still looks ahead."),
        (partial(mend, fill="cummax"), "carry them forward"),
        (partial(mend, fill="bfill"), "bfill fills from later rows"),
        (partial(mend, shift=["recipient"]), "into the next"),
        (partial(mend, shift=["reference_time"]), "takes the hours of another employee"),
        (partial(mend, site=everywhere), "the mean over all sites"),
        (partial(mend, shift=["reference_time"], site=everywhere), SAME_TIME_ALL_SITES),
        (partial(mend, mean=before), "it belongs to the mean so far"),
    ],
)
def test_mended(said, student, words):
    assert words in said(checks.mended, student)


def test_mended_names_no_column_where_nothing_was_mended(said):
    line = said(checks.mended, features)
    assert line == "Not yet: these are the columns of `features`. Which of them look ahead?"
