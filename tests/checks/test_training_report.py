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


def try_each(slope, scatter, errors=2, middle=0.5, first=3, add=np.sum, root=math.sqrt):
    """The first number of epochs whose squared, centred epochs are many enough."""
    n = first
    while True:
        epochs = np.arange(n) - middle * (n - 1)
        if slope * root(add(epochs**2)) > errors * scatter:
            return n
        n += 1


def by_cube_root(slope, scatter):
    """n^3 / 12 for the sum of squares, which is too much where n is small."""
    return max(3, math.floor((48 * (scatter / slope) ** 2) ** (1 / 3)) + 1)


def as_for_a_mean(slope, scatter):
    return max(3, math.floor((2 * scatter / slope) ** 2) + 1)


@pytest.mark.parametrize(
    "student, words",
    [
        (epochs_needed, "Right: all 5 cases agree."),
        (try_each, "Right: all 5 cases agree."),
        (NOTEBOOK.stub("epochs_needed"), UNWRITTEN),
        (partial(try_each, errors=1), "two were asked for"),
        (partial(try_each, middle=0), "The epochs must be centred"),
        (as_for_a_mean, "the error of a mean"),
        (partial(try_each, root=float), "The root of that sum is missing"),
        (partial(try_each, add=np.mean), "That divides by the root of the epochs' variance"),
        (by_cube_root, "For few epochs that sum of squares is too large"),
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
        (lambda mean, n, shown: (mean - sum(shown)) / (n - len(shown)), "the mean times their"),
        (lambda mean, n, shown: mean - np.mean(shown), "Means of unequal numbers"),
        (lambda mean, n, shown: (mean * n - np.mean(shown)) / (n - len(shown)), "not their mean"),
    ],
)
def test_other_categories(said, student, words):
    assert words in said(checks.other_categories, student)


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


def by_size_of_fall(fall, validation, above, repeated, moved, little=0.0, great=math.inf):
    """The right diagnosis, but for thresholds of how far train fell."""
    if moved > 0 and fall < little:
        return "labels at random"
    memorised = fall > great if great < math.inf else validation < 0
    return diagnose(fall, -1.0 if memorised else 0.0, above, repeated, moved)


def only_if_curves_differ(fall, validation, *others):
    alike = others[-1] > 0 and fall == validation
    return "rate too small" if alike else diagnose(fall, validation, *others)


def no_such_word(*marks):
    return diagnose(*marks).replace(" ", "_")


def none_of_these(*marks):
    return None if marks[4] == 0 else diagnose(*marks)


@pytest.mark.parametrize(
    "student, words",
    [
        (diagnose, "Right: all 10 cases agree."),
        (by_rest, "Right: all 10 cases agree."),
        (NOTEBOOK.stub("diagnose"), UNWRITTEN),
        (no_fall_no_step, ", moved = 0.01 "),
        (no_fall_no_step, "so steps were taken"),
        (no_repeated_rows, "no rate is that small"),
        (partial(by_rest, rest=0), "that is no small rate"),
        (near_the_ceiling, "on the way down is no rest"),
        (by_train_alone, "Look at validation"),
        (partial(by_size_of_fall, little=0.05), "A little fall is no mark"),
        (partial(by_size_of_fall, great=1.0), "Memorising need not have come far"),
        (only_if_curves_differ, "That both fall alike says only"),
        (no_such_word, "gave 'rate_too_small', and 'rate too small' was expected."),
        (none_of_these, "your function gave None, and 'no step' was expected."),
    ],
)
def test_diagnose(said, student, words):
    assert words in said(checks.diagnose, student)


def test_a_diagnosis_that_is_no_known_mistake_gets_no_words(said):
    assert said(checks.diagnose, none_of_these).endswith(" was expected.")


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
            list(answers.values()),
            "Not done yet: your answer is no dictionary; fill in the one that is there.",
        ),
        (
            answers | {"marked epoch": [11]},
            "Not yet: 'marked epoch': give a number, not a list.",
        ),
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
