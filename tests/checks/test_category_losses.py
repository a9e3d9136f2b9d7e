"""The checks of notebook 06: what each says of the notebook's own answer, and of wrong ones."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from checks.notebook import Notebook
from helpers import checks
from helpers.checks.category_losses import make_report

NOTEBOOK = Notebook("06_category_losses")
UNWRITTEN = "Not done yet: your function is still to be written."

cross_entropy = NOTEBOOK.solution("cross_entropy")


def of_torch(logits, true):
    return torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(true))


def softmax(logits):
    with np.errstate(all="ignore"):
        return np.exp(logits) / np.exp(logits).sum()


def naive(logits, true):
    with np.errstate(all="ignore"):
        return -np.log(softmax(logits))[true]


def mean_of_all(logits, true):
    return -np.log(softmax(logits)).mean()


def too_large(logits, true):
    return math.log(sum(math.exp(z) for z in logits)) - logits[true]


def too_small(logits, true):
    powers = [math.exp(z - max(logits)) for z in logits]
    return -math.log(powers[true] / sum(powers))


def stable(logits, true):
    """The loss by way of the probability, the logits made harmless first."""
    odds = np.exp(np.array(logits) - max(logits))
    with np.errstate(divide="ignore"):
        return -np.log(odds / odds.sum())[true]


def cut_off(logits, true):
    return min(stable(logits, true), -math.log(1e-12))


def half_subtracted(logits, true):
    return math.log(sum(math.exp(z - max(logits)) for z in logits)) - logits[true]


def sum_alone(logits, true):
    return max(logits) + math.log(sum(math.exp(z - max(logits)) for z in logits))


POWERS = "A power of e was too large or too small for the computer: take the largest logit from"


@pytest.mark.parametrize(
    "student, words",
    [
        (cross_entropy, "Right: all 5 cases agree."),
        (of_torch, "Right: all 5 cases agree."),
        (NOTEBOOK.stub("cross_entropy"), UNWRITTEN),
        (naive, "with logits = [1000.0, 0.0], true = 0 "),
        (naive, f"was expected. {POWERS}"),
        (too_large, f"raised OverflowError: math range error. {POWERS}"),
        (too_small, f"raised ValueError: math domain error. {POWERS}"),
        (lambda *case: -cross_entropy(*case), "The sign must be turned"),
        (lambda logits, true: softmax(logits)[true], "That is the probability"),
        (stable, "became 0: its logarithm can be had without it"),
        (cut_off, "held above 0 hides how far off"),
        (half_subtracted, "not from the true one behind the sum"),
        (sum_alone, "the true logit is to be taken from it"),
        (lambda *case: cross_entropy(*case) / math.log(2), "That is in bits"),
        (mean_of_all, "only the true one counts"),
    ],
)
def test_cross_entropy(said, student, words):
    assert words in said(checks.cross_entropy, student)


mixture_gap = NOTEBOOK.solution("mixture_gap")


def entropy(odds):
    return -(odds * np.log(np.where(odds > 0, odds, 1))).sum(-1)


def with_nan(truths, weights):
    with np.errstate(all="ignore"):
        return weights @ (truths * np.log(truths / (weights @ truths))).sum(1)


def nan_as_zero(truths, weights):
    with np.errstate(all="ignore"):
        return np.nansum(weights[:, None] * truths * np.log(truths / (weights @ truths)))


def across(truths, weights):
    with np.errstate(all="ignore"):
        return weights @ (truths * np.log(truths / (truths @ weights))).sum(1)


def by_state(truths, weights):
    return (truths * np.log(truths / (weights @ truths))).sum(1)


def difference_of_entropies(truths, weights):
    return entropy(weights @ truths) - weights @ entropy(truths)


def turned_round(truths, weights):
    mixture = weights @ truths
    return weights @ (mixture * np.log(mixture / truths)).sum(1)


def unweighted_sum(truths, weights):
    return (truths * np.log(truths / (weights @ truths))).sum()


def mixed_alike(truths, weights):
    return mixture_gap(truths, np.full(len(weights), 1 / len(weights)))


@pytest.mark.parametrize(
    "student, words",
    [
        (mixture_gap, "Right: all 4 cases agree."),
        (difference_of_entropies, "Right: all 4 cases agree."),
        (nan_as_zero, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("mixture_gap"), UNWRITTEN),
        (lambda truths, weights: entropy(weights @ truths), "the model's whole loss"),
        (turned_round, "the divergence turned round"),
        (unweighted_sum, "The states' weights are missing"),
        (mixed_alike, "That mixes the states alike"),
        (with_nan, "your function gave nan, and 0.215762 was expected. What a state never draws"),
        (lambda *case: -mixture_gap(*case), "The sign must be turned"),
        (lambda *case: by_state(*case).mean(), "the states' plain mean"),
        (by_state, "the gaps in each state"),
        (across, "so the rows are what is mixed"),
        (lambda truths, weights: truths[0] @ np.ones(9), "ValueError: matmul"),
    ],
)
def test_mixture_gap(said, student, words):
    assert words in said(checks.mixture_gap, student)


clustered_error = NOTEBOOK.solution("clustered_error")


def by_group(difference, employee):
    sums = pd.Series(difference).groupby(employee).sum()
    return (sums**2).sum() ** 0.5 / len(difference)


def by_centred_group(difference, employee):
    return by_group(difference - difference.mean(), employee)


def by_event(difference, employee, ddof=0):
    return difference.std(ddof=ddof) / len(difference) ** 0.5


def by_mean(difference, employee):
    return pd.Series(difference).groupby(employee).mean().sem()


def divided_by_employees(difference, employee):
    return clustered_error(difference, employee) * len(difference) / len(set(employee))


@pytest.mark.parametrize(
    "student, words",
    [
        (clustered_error, "Right: all 3 cases agree."),
        (by_centred_group, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("clustered_error"), UNWRITTEN),
        (by_event, "the error of independent events: add"),
        (partial(by_event, ddof=1), "the error of independent events, too"),
        (divided_by_employees, "divided by the number of employees"),
        (by_mean, "every employee weigh alike"),
        (by_group, "Take the mean from all of them first"),
        (lambda *case: clustered_error(*case) ** 2 * len(case[0]), "The root is missing"),
        (lambda *case: 0.0, "Not yet: with difference = [0.5, "),
    ],
)
def test_clustered_error(said, student, words):
    assert words in said(checks.clustered_error, student)


def find_leaks(model, reader, floor, employee, errors=3, centred=True):
    above = pd.DataFrame(model - reader)
    sums = (above - centred * above.mean()).groupby(employee).sum()
    low = above.mean() < -errors * (sums**2).sum() ** 0.5 / len(above)
    return [category for category in above if low[category]]


def at_the_floor(model, reader, floor, employee):
    return find_leaks(model, floor, None, employee)


def by_event_leaks(model, reader, floor, employee):
    return find_leaks(model, reader, floor, np.arange(len(employee)))


def all_below(model, reader, floor, employee):
    return [c for c in range(4) if model[:, c].mean() < reader[:, c].mean()]


def all_above(model, reader, floor, employee):
    return find_leaks(reader, model, floor, employee)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("leaking"), "Right: all 4 cases agree."),
        (find_leaks, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("leaking"), UNWRITTEN),
        (partial(find_leaks, errors=2), "three were asked for"),
        (at_the_floor, "and [0, 3] of shape (2,) was expected. That is the alarm at the floor"),
        (by_event_leaks, "You accuse a report that had luck"),
        (all_below, "by luck or not"),
        (all_above, "a leak lies below it"),
        (lambda *case: all_above(*case) + find_leaks(*case), "a leak lies below it"),
        (partial(find_leaks, centred=False), "Your errors are too large"),
        (partial(find_leaks, errors=4), "gave [] of shape (0,), and [1] of shape (1,)"),
        (lambda *case: np.isin(range(4), find_leaks(*case)), "Those are True and False"),
        (lambda *case: [], "gave [] of shape (0,), and [2] of shape (1,) was expected."),
    ],
)
def test_leaking(said, student, words):
    assert words in said(checks.leaking, student)


def test_a_made_up_report_leaks_by_as_many_errors_as_it_says():
    assert find_leaks(*make_report(3, {}, errors_below=3.2)) == [1]
    assert find_leaks(*make_report(3, {}, errors_below=2.9)) == []


@pytest.mark.parametrize("seed, peeks", [(0, {}), (1, {2: 1.2}), (2, {0: 0.5, 3: 1.2})])
def test_the_made_up_reports_leak_where_they_say(seed, peeks):
    model, reader, floor, employee = make_report(seed, peeks)
    below_floor = [category for category, part in peeks.items() if part > 1]
    assert find_leaks(model, reader, floor, employee) == sorted(peeks)
    assert at_the_floor(model, reader, floor, employee) == below_floor
