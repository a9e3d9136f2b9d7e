"""The checks of notebook 00: what each says of the notebook's own answer, and of wrong ones."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from checks.notebook import Notebook
from helpers import checks
from helpers.events import TEST

NOTEBOOK = Notebook("00_start_here")


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("ceiling"), "Right: all 3 cases agree."),
        (NOTEBOOK.stub("ceiling"), "Not done yet: your function is still to be written."),
        (lambda size: 1 / size, "That is the probability of each value"),
        (math.log2, "with size = 4 "),
        (math.log2, "That counts in bits"),
        (math.log10, "logarithm to base 10"),
        (lambda size: math.log(1 / size), "a loss is minus the logarithm"),
    ],
)
def test_ceiling(said, student, words):
    assert words in said(checks.ceiling, student)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("equally_likely"), "Right: all 3 cases agree."),
        (NOTEBOOK.stub("equally_likely"), "Not done yet: your function is still to be written."),
        (lambda loss: math.exp(-loss) if loss else 1.0, "That is the probability"),
        (lambda loss: 2**loss, "nats belong to e, not to 2"),
        (lambda loss: math.log(loss) if loss else 1.0, "this is the way back"),
        (lambda loss: 2.0, "with loss = 0.0 "),
    ],
)
def test_equally_likely(said, student, words):
    assert words in said(checks.equally_likely, student)


CATEGORIES = ["EventType", "LocationRecordId"]


def to_names(run, values):
    pairs = zip(CATEGORIES, values, strict=True)
    return [run.data.log.vocabularies[category][value] for category, value in pairs]


def look(run, origin, step=0):
    """The most likely kind and site of a step, as integers."""
    with torch.no_grad():
        logits = run.model(run.data.windows[TEST].batch(np.array([origin])))[0, step]
    by_category = dict(zip(run.names, logits.split(run.sizes), strict=True))
    return [int(by_category[category].argmax()) for category in CATEGORIES]


def look_at_the_truth(run, origin):
    event = run.data.windows[TEST].batch(np.array([origin])).target[0, 0].tolist()
    by_category = dict(zip(run.names, event, strict=True))
    return to_names(run, [by_category[category] for category in CATEGORIES])


@pytest.mark.parametrize(
    "student, words",
    [
        (lambda run, origin: to_names(run, look(run, origin)), "Right: all 3 cases agree."),
        (lambda run, origin: (..., ...), "Not done yet: your function still has a `...`"),
        (look_at_the_truth, "That is what truly happened"),
        (lambda run, origin: to_names(run, look(run, origin, -1)), "last step of the horizon"),
        (
            lambda run, origin: [[name] for name in to_names(run, look(run, origin))],
            "its first entry",
        ),
        (look, "Those are integers"),
        (lambda run, origin: to_names(run, look(run, origin))[::-1], "Kind first"),
    ],
)
def test_next_event(said, run, student, words):
    assert words in said(checks.next_event, partial(student, run), run)


def test_next_event_of_the_notebook(said, run):
    around = {"run": run, "log": run.data.log, "windows": run.data.windows[TEST]}
    solution = NOTEBOOK.solution("next_event", **around)
    assert said(checks.next_event, solution, run) == "Right: all 3 cases agree."
    stub = NOTEBOOK.stub("next_event")
    assert said(checks.next_event, stub, run).startswith("Not done yet")


def by_matrix(hours, change=0.05 / 24, back=1 / 3, stray=0.1 / 3):
    """The habit as a chain with two states: as it was, or another one."""
    chain = np.array([[1 - change, change], [change * back, 1 - change * back]])
    same, another = np.linalg.matrix_power(chain, hours)[0]
    return same * 0.9 + another * stray


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("best_share"), "Right: all 4 cases agree."),
        (by_matrix, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("best_share"), "Not done yet: your function is still to be written."),
        (partial(by_matrix, back=0), "may change back"),
        (partial(by_matrix, back=1), "one of three cases"),
        (partial(by_matrix, stray=0), "stray to your minute"),
        (lambda hours: (by_matrix(hours) * 3 - 0.1) / 2.6, "nine times in ten"),
        (lambda hours: 0.9 * (1 - 0.05 / 24) ** hours, "counts the habits that never changed"),
        (partial(by_matrix, stray=0.1), "a third of the tenth"),
        (partial(by_matrix, change=0.05), "0.05 is the rate of a day"),
    ],
)
def test_best_share(said, student, words):
    assert words in said(checks.best_share, student)
