"""The checks of notebook 05: what each says of the notebook's own answer, and of wrong ones."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("05_training")
UNWRITTEN = "Not done yet: your function is still to be written."

weighted_loss = NOTEBOOK.solution("weighted_loss")


def with_padding(losses, counted, weights):
    return weighted_loss(losses, torch.ones_like(counted), weights)


def divided_by_all(losses, counted, weights):
    return with_padding(losses * counted[..., None], counted, weights)


def not_divided(losses, counted, weights):
    return weighted_loss(losses, counted, weights) * weights.sum()


def divided_by_categories(losses, counted, weights):
    return weighted_loss(losses, counted, weights) * weights.mean()


def unweighted(losses, counted, weights):
    return weighted_loss(losses, counted, torch.ones(2))


@pytest.mark.parametrize(
    "student, words",
    [
        (weighted_loss, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("weighted_loss"), UNWRITTEN),
        (with_padding, "Padded steps are in your mean"),
        (divided_by_all, "but not of the number"),
        (not_divided, "or the loss grows with them"),
        (divided_by_categories, "divided by the number of categories"),
        (unweighted, "the weights are missing"),
        (lambda *case: 0.0, "with losses = [[[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.1], [9.0, 9.0]]], "),
        (lambda *case: 0.0, ", counted = [[True, True], [True, True]], weights = [1.0, 1.0] your"),
    ],
)
def test_weighted_loss(said, student, words):
    assert words in said(checks.weighted_loss, student)


no_better_than_guessing = NOTEBOOK.solution("no_better_than_guessing")


def by_odds(losses, sizes, base=math.e):
    return [name for name in losses if base ** losses[name] >= sizes[name]]


def only_above(losses, sizes):
    return [name for name in losses if losses[name] > math.log(sizes[name])]


def in_order_of_sizes(losses, sizes):
    return [name for name in sizes if name in no_better_than_guessing(losses, sizes)]


def better(losses, sizes):
    return [name for name in losses if name not in no_better_than_guessing(losses, sizes)]


def against_the_mean(losses, sizes):
    ceiling = math.log(math.prod(sizes.values())) / len(sizes)
    return [name for name in losses if losses[name] >= ceiling]


@pytest.mark.parametrize(
    "student, words",
    [
        (no_better_than_guessing, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("no_better_than_guessing"), UNWRITTEN),
        (partial(by_odds, base=2), "the ceiling in bits"),
        (partial(by_odds, base=10), "logarithm to base 10"),
        (against_the_mean, "against their mean"),
        (only_above, "A loss that is just the ceiling"),
        (lambda *case: sorted(no_better_than_guessing(*case)), "They are sorted"),
        (in_order_of_sizes, "Not yet: with losses = "),
        (better, "the others were asked for"),
    ],
)
def test_no_better_than_guessing(said, student, words):
    assert words in said(checks.no_better_than_guessing, student)


def count_rows(parts):
    return sum(len(part) for part in parts)


def by_part(share, forget=False):
    """One part after another, each with its share; `forget` sets the gradient to zero between."""

    def student(loss, weight, parts):
        for part in parts:
            if forget:
                weight.grad = None
            (loss(weight, part) * share(part, parts)).backward()
        return weight.grad

    return student


def by_rows(part, parts):
    return len(part) / count_rows(parts)


def losses_first(loss, weight, parts):
    losses = [loss(weight, part) * by_rows(part, parts) for part in parts]
    for each in losses:
        each.backward()
    return weight.grad


def at_once(loss, weight, parts):
    sum(loss(weight, part) * by_rows(part, parts) for part in parts).backward()
    return weight.grad


def whole(loss, weight, parts):
    loss(weight, torch.cat(parts)).backward()
    return weight.grad


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("accumulated"), "Right: all 3 cases agree."),
        (losses_first, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("accumulated"), UNWRITTEN),
        (by_part(lambda part, parts: 1), "adds the gradients up"),
        (by_part(lambda part, parts: 1 / len(parts)), "Right for parts of equal length"),
        (by_part(by_rows, forget=True), "Only the last part"),
        (at_once, "the values are right. But `backward` was called 1 times for 2 parts"),
        (whole, "the values are right. But `loss` was called on more rows than the longest part"),
    ],
)
def test_accumulated(said, student, words):
    assert words in said(checks.accumulated, student)


def choose(rates, losses, width=5, part=0.1, centred=True):
    smooth = pd.Series(losses).rolling(width, center=centred).mean()
    return rates[smooth.idxmin()] * part


def too_early(rates, losses):
    smooth = pd.Series(losses).rolling(5).mean().dropna()
    return rates[np.argmin(smooth)] / 10


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("chosen_rate"), "Right: all 3 cases agree."),
        (NOTEBOOK.stub("chosen_rate"), UNWRITTEN),
        (partial(choose, part=1), "the loss is least: the edge"),
        (partial(choose, width=1), "A single lucky batch"),
        (partial(choose, centred=False), "or it comes late"),
        (too_early, "the first belongs to the third rate"),
    ],
)
def test_chosen_rate(said, student, words):
    assert words in said(checks.chosen_rate, student)


def drawn_from(make_generator):
    """The batches of a student who draws an epoch's order from this generator."""

    def student(seed, epoch, windows, batch_size, done):
        order = make_generator(seed, epoch).permutation(windows).tolist()
        starts = range(done * batch_size, windows, batch_size)
        return [order[start : start + batch_size] for start in starts]

    return student


def new_generator(seed, epoch):
    return np.random.default_rng([seed, epoch])


def seed_the_shared_one(seed, epoch):
    np.random.seed([seed, epoch])
    return np.random


def by_windows(seed, epoch, windows, batch_size, done):
    order = new_generator(seed, epoch).permutation(windows)
    return [order[start : start + batch_size] for start in range(done, windows, batch_size)]


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("rest_of_epoch"), "Right: that is the answer."),
        (drawn_from(new_generator), "Right: that is the answer."),
        (NOTEBOOK.stub("rest_of_epoch"), UNWRITTEN),
        (lambda *case: ..., UNWRITTEN),
        (lambda *case: print(end=""), "Is there a `return`?"),
        (by_windows, "`done` counts batches, not windows."),
        (drawn_from(lambda seed, epoch: np.random.default_rng()), "Each call draws anew: seed"),
        (drawn_from(lambda seed, epoch: np.random), "from a generator that everybody shares"),
        (drawn_from(seed_the_shared_one), "You seed a generator that everybody shares"),
        (drawn_from(lambda seed, epoch: np.random.default_rng(seed)), "All epochs have one order"),
        (drawn_from(lambda seed, epoch: np.random.default_rng(epoch)), "All seeds have one order"),
        (drawn_from(lambda seed, epoch: np.random.default_rng(seed + epoch)), "`seed + epoch`"),
    ],
)
def test_rest_of_epoch(said, student, words):
    assert words in said(checks.rest_of_epoch, student)
