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


def by_window(losses, counted, weights):
    each = [weighted_loss(*window[:2], weights) for window in zip(losses, counted, strict=True)]
    return sum(each) / len(each)


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
        (by_window, "every step that counts weighs alike"),
        (lambda *case: weighted_loss(*case) * case[1].sum(), "the sum over the steps"),
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


def above(losses, sizes, get_limit):
    return [name for name in losses if losses[name] >= get_limit(sizes[name])]


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
        (partial(above, get_limit=lambda size: size), "against the size itself"),
        (partial(above, get_limit=lambda size: 1 / size), "against a probability"),
    ],
)
def test_no_better_than_guessing(said, student, words):
    assert words in said(checks.no_better_than_guessing, student)


def count_rows(parts):
    return sum(len(part) for part in parts)


def clearing(student):
    """A student who first clears what an earlier step left."""

    def cleared(loss, weight, parts):
        weight.grad = None
        return student(loss, weight, parts)

    return cleared


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


def to_zero(loss, weight, parts):
    weight.grad.zero_()
    return by_part(by_rows)(loss, weight, parts)


def one_mean_after_another(loss, weight, parts):
    """Adds up in a tensor of its own, and leaves nothing in `weight.grad`."""
    total = torch.zeros_like(weight)
    for part in parts:
        weight.grad = None
        loss(weight, part).backward()
        total += weight.grad * by_rows(part, parts)
    return total


@clearing
def losses_first(loss, weight, parts):
    losses = [loss(weight, part) * by_rows(part, parts) for part in parts]
    for each in losses:
        each.backward()
    return weight.grad


@clearing
def at_once(loss, weight, parts):
    sum(loss(weight, part) * by_rows(part, parts) for part in parts).backward()
    return weight.grad


@clearing
def whole(loss, weight, parts):
    loss(weight, torch.cat(parts)).backward()
    return weight.grad


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("accumulated"), "Right: all 3 cases agree."),
        (losses_first, "Right: all 3 cases agree."),
        (to_zero, "Right: all 3 cases agree."),
        (by_part(by_rows), "What an earlier step left in `weight.grad`"),
        (by_part(lambda part, parts: 1), "clear it before the first part"),
        (one_mean_after_another, "the values are right. But `weight.grad`, which the optimiser"),
        (NOTEBOOK.stub("accumulated"), UNWRITTEN),
        (clearing(by_part(lambda part, parts: 1)), "adds the gradients up"),
        (clearing(by_part(lambda part, parts: 1 / len(parts))), "Right for parts of equal length"),
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


def zeros_at_the_ends(rates, losses):
    return rates[np.convolve(losses, np.full(5, 0.2), "same").argmin()] / 10


def fewer_at_the_ends(rates, losses):
    smooth = pd.Series(losses).rolling(5, center=True, min_periods=1).mean()
    return rates[smooth.idxmin()] / 10


def a_tenth_of_the_loss(rates, losses):
    return pd.Series(losses).rolling(5, center=True).mean().min() / 10


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
        (zeros_at_the_ends, "fewer than five batches"),
        (fewer_at_the_ends, "fewer than five batches"),
        (a_tenth_of_the_loss, "a tenth of the loss"),
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


rest_of_epoch = NOTEBOOK.solution("rest_of_epoch")


def in_their_own_order(seed, epoch, windows, batch_size, done):
    starts = range(done * batch_size, windows, batch_size)
    return [list(range(start, min(start + batch_size, windows))) for start in starts]


def whole_batches_shuffled(seed, epoch, windows, batch_size, done):
    batches = in_their_own_order(seed, epoch, windows, batch_size, 0)
    order = new_generator(seed, epoch).permutation(len(batches))
    return [batches[i] for i in order][done:]


def the_last_left_out(seed, epoch, windows, batch_size, done):
    batches = rest_of_epoch(seed, epoch, windows, batch_size, done)
    return [batch for batch in batches if len(batch) == batch_size]


def those_that_are_done(seed, epoch, windows, batch_size, done):
    return rest_of_epoch(seed, epoch, windows, batch_size, 0)[:done]


def by_windows(seed, epoch, windows, batch_size, done):
    order = new_generator(seed, epoch).permutation(windows)
    return [order[start : start + batch_size] for start in range(done, windows, batch_size)]


@pytest.mark.parametrize(
    "student, words",
    [
        (rest_of_epoch, "Right: that is the answer."),
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
        (in_their_own_order, "shuffle them"),
        (whole_batches_shuffled, "and then cut"),
        (the_last_left_out, "The last batch is missing"),
        (those_that_are_done, "not those that are done"),
        (lambda *case: sum(map(list, rest_of_epoch(*case)), []), "each a list of windows"),
    ],
)
def test_rest_of_epoch(said, student, words):
    assert words in said(checks.rest_of_epoch, student)
