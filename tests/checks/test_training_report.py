"""The checks of notebook 07: what each says of the notebook's own answer, and of wrong ones."""

import math
from functools import partial

import numpy as np
import pytest

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("07_reading_a_training_report")
UNWRITTEN = "Not done yet: your function is still to be written."

epochs_needed = NOTEBOOK.solution("epochs_needed")


def try_each(slope, scatter, errors=2, middle=0.5, first=3):
    """The first number of epochs whose squared, centred epochs are many enough."""
    n = first
    while True:
        epochs = np.arange(n) - middle * (n - 1)
        if slope * math.sqrt((epochs**2).sum()) > errors * scatter:
            return n
        n += 1


def as_for_a_mean(slope, scatter):
    return max(3, math.floor((2 * scatter / slope) ** 2) + 1)


@pytest.mark.parametrize(
    "student, words",
    [
        (epochs_needed, "Right: all 4 cases agree."),
        (try_each, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("epochs_needed"), UNWRITTEN),
        (partial(try_each, errors=1), "two were asked for"),
        (partial(try_each, middle=0), "The epochs must be centred"),
        (as_for_a_mean, "the error of a mean"),
        (partial(try_each, first=2), "Count from three epochs"),
        (lambda *case: epochs_needed(*case) + 1, "One too many."),
        (lambda *case: epochs_needed(*case) - 1, "One too few."),
    ],
)
def test_epochs_needed(said, student, words):
    assert words in said(checks.epochs_needed, student)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("others"), "Right: all 3 cases agree."),
        (NOTEBOOK.stub("others"), UNWRITTEN),
        (lambda mean, categories, shown: mean - sum(shown) / categories, "the rest are fewer"),
        (lambda mean, categories, shown: mean * categories - sum(shown), "their mean was asked"),
        (lambda mean, categories, shown: np.mean(shown), "the mean of those shown"),
    ],
)
def test_other_categories(said, student, words):
    assert words in said(checks.other_categories, student)


answers = NOTEBOOK.solution("answers")
ALL_MISSING = (
    "Not done yet: worse than guessing, below the floor, marked epoch, best epoch, "
    "repeated rows, memorising from."
)


@pytest.mark.parametrize(
    "student, line",
    [
        (answers, "Right: all 6 answers agree."),
        (NOTEBOOK.stub("answers"), ALL_MISSING),
        ({}, ALL_MISSING),
        (answers | {"marked epoch": ...}, "Not done yet: marked epoch."),
        (
            answers | {"worse than guessing": ["Site"]},
            "Not yet: 'worse than guessing': compare each loss with ln(size).",
        ),
        (
            answers | {"below the floor": ["Kind", "Site"]},
            "Not yet: 'below the floor': "
            "one category is below by luck, one by more than three of its errors.",
        ),
        (
            answers | {"marked epoch": 5},
            "Not yet: 'marked epoch': the row with the mark, as it stands in the table.",
        ),
        (
            answers | {"best epoch": 11},
            "Not yet: 'best epoch': "
            "the row where validation is lowest, not the last and not train's.",
        ),
        (
            answers | {"repeated rows": [7, 8]},
            "Not yet: 'repeated rows': a row counts if an earlier one has both its losses.",
        ),
        (
            answers | {"memorising from": 5},
            "Not yet: 'memorising from': the first epoch after validation's lowest.",
        ),
        (
            answers | {"worse than guessing": "Shift", "repeated rows": 8},
            "Not yet: 'worse than guessing': give a list, even of one; "
            "'repeated rows': give a list, even of one.",
        ),
    ],
)
def test_made_up_report(said, student, line):
    assert said(checks.made_up_report, student) == line


diagnose = NOTEBOOK.solution("diagnose")


def by_rest(fall, validation, above, repeated, moved, rest=0.01):
    """The right diagnosis, but for how near to the ceiling a run has come to rest."""
    if moved == 0:
        return "no step"
    if validation < 0:
        return "too little data"
    return "labels at random" if abs(above) < rest and moved > 0.1 else "rate too small"


def no_fall_no_step(fall, *others):
    return "no step" if fall < 0.1 else diagnose(fall, *others)


def no_repeated_rows(*marks):
    return "rate too small" if marks[3] == 0 else diagnose(*marks)


def near_the_ceiling(*marks):
    near = abs(marks[2]) < 0.03 and marks[4] > 0
    return "labels at random" if near else diagnose(*marks)


def by_train_alone(fall, *others):
    return "too little data" if fall > 0.01 else diagnose(fall, *others)


def none_of_these(*marks):
    return None if marks[4] == 0 else diagnose(*marks)


@pytest.mark.parametrize(
    "student, words",
    [
        (diagnose, "Right: all 7 cases agree."),
        (by_rest, "Right: all 7 cases agree."),
        (NOTEBOOK.stub("diagnose"), UNWRITTEN),
        (no_fall_no_step, ", moved = 0.01 "),
        (no_fall_no_step, "so steps were taken"),
        (no_repeated_rows, "no rate is that small"),
        (partial(by_rest, rest=0), "that is no small rate"),
        (near_the_ceiling, "on the way down is no rest"),
        (by_train_alone, "Look at validation"),
        (none_of_these, "your function gave None, and 'no step' was expected."),
    ],
)
def test_diagnose(said, student, words):
    assert words in said(checks.diagnose, student)


def test_a_diagnosis_that_is_no_known_mistake_gets_no_words(said):
    assert said(checks.diagnose, none_of_these).endswith(" was expected.")
