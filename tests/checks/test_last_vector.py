"""The checks of notebook 04: what each says of the notebook's own answer, and of wrong ones."""

from functools import partial

import numpy as np
import pytest
import torch

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("04_last_vector_constraint")
UNWRITTEN = "Not done yet: your function is still to be written."


def count_maps(T, d, layers, carry, all_queries=False, few_keys=False, whole_feed_forward=False):
    """Map by map: keys and values, queries, scores and mixture, output, feed-forward."""
    total = 0
    for layer in range(layers):
        last = layer == layers - 1 and not all_queries
        queries = carry if last else T
        keys = queries if few_keys else T
        fed = T if whole_feed_forward else queries
        total += 2 * keys * d * d
        total += queries * d * d
        total += 2 * queries * T * d
        total += queries * d * d
        total += 2 * fed * d * 4 * d
    return total


def few_queries(T, d, layers, carry):
    return layers * count_maps(T, d, 1, carry)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("stack"), "Right: all 4 cases agree."),
        (count_maps, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("stack"), UNWRITTEN),
        (few_queries, "Only the last layer may leave queries out"),
        (partial(count_maps, all_queries=True), "compute every query"),
        (partial(count_maps, few_keys=True), "the keys and values of all events"),
        (partial(count_maps, whole_feed_forward=True), "The feed-forward works on the queries"),
        (lambda T, d, layers, carry: count_maps(T, d, layers, 1), "`carry` of them go on"),
        (lambda T, d, layers, carry: count_maps(T, d, layers + 1, carry), "a layer too many"),
        (lambda T, d, layers, carry: count_maps(T, d, 1, carry), "the last layer alone"),
    ],
)
def test_multiplications(said, student, words):
    assert words in said(checks.multiplications, student)


carried = NOTEBOOK.solution("carried")


def first_vectors(encoded, known, carry):
    return carried(encoded[:, :, :carry], known[:, :, :carry], carry)


def mask_uncut(encoded, known, carry):
    return carried(encoded, known, carry)[0], known.flatten(1)


def streams_first(encoded, known, carry):
    states, mask = carried(encoded, known, carry)
    return encoded[:, :, -carry:].reshape(states.shape), mask


def one_place_short(encoded, known, carry):
    return carried(encoded[:, :, :-1], known[:, :, :-1], carry)


def places_first(encoded, known, carry):
    states = encoded[:, :, -carry:].permute(1, 2, 0, 3).flatten(1, 2)
    return states, known[:, :, -carry:].transpose(1, 2).flatten(1)


def mask_like_the_states(encoded, known, carry):
    states, mask = carried(encoded, known, carry)
    return states, known[:, :, -carry:].transpose(0, 1).flatten(1)


def mask_forced_into_shape(encoded, known, carry):
    states, mask = carried(encoded, known, carry)
    return states, known[:, :, -carry:].transpose(0, 1).reshape(mask.shape)


def one_of_each(states_from, mask_from):
    return lambda *case: (states_from(*case)[0], mask_from(*case)[1])


def one_vector(encoded, known, carry):
    end = encoded.shape[2] - carry + 1
    return carried(encoded[:, :, :end], known[:, :, :end], 1)


@pytest.mark.parametrize(
    "student, words",
    [
        (carried, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("carried"), "Not done yet: your function still has a `...` to fill in."),
        (first_vectors, "the first vectors of each history"),
        (mask_uncut, "the mask must be cut"),
        (streams_first, "bring the windows to the front"),
        (one_vector, "all of the last ones go on"),
        (one_place_short, "The origin itself is cut off"),
        (places_first, "Places come before streams in both"),
        (one_of_each(places_first, carried), "Places come before streams in your states"),
        (one_of_each(carried, places_first), "places come before streams in the mask"),
        (mask_like_the_states, "its axes need no change"),
        (mask_forced_into_shape, "the right shape and the wrong order"),
    ],
)
def test_carried(said, student, words):
    assert words in said(checks.carried, student)


mean_state = NOTEBOOK.solution("mean_state")


def with_padding(encoded, known):
    return mean_state(encoded, torch.ones_like(known))


def divided_by_all(encoded, known):
    return with_padding(encoded * known.transpose(0, 1)[..., None], known)


def mask_not_turned(encoded, known):
    weight = known[..., None].float()
    return ((encoded * weight).sum(2) / weight.sum(2)).transpose(0, 1)


@pytest.mark.parametrize(
    "student, words",
    [
        (mean_state, "Right: all 2 cases agree."),
        (NOTEBOOK.stub("mean_state"), UNWRITTEN),
        (with_padding, "Padded places are in your mean"),
        (lambda encoded, known: mean_state(encoded, known).transpose(0, 1), "windows first"),
        (divided_by_all, "but not of the number"),
        (lambda encoded, known: encoded[:, :, -1].transpose(0, 1), "the last vector, not the mean"),
        (mask_not_turned, "The mask's axes"),
        (lambda *case: mean_state(*case) * case[1].sum(-1, keepdim=True), "That is the sum"),
    ],
)
def test_mean_state(said, student, words):
    assert words in said(checks.mean_state, student)


def by_one_draw(box, encoded, size=1e-4):
    generator = torch.Generator().manual_seed(1)
    noise = size * torch.randn(encoded.shape, generator=generator)
    places = torch.eye(len(encoded))[..., None]  # a change for each place alone
    return [not torch.equal(box(encoded), box(encoded + noise * place)) for place in places]


def by_gradient(box, encoded):
    encoded = encoded.clone().requires_grad_()
    box(encoded).sum().backward()
    return (encoded.grad != 0).any(1)


def by_one_change(box, encoded, size=100.0):
    places = torch.eye(len(encoded))[..., None]
    return [not torch.equal(box(encoded), box(encoded + size * place)) for place in places]


def changes_that_stay(box, encoded):
    before, tried, read = box(encoded), encoded.clone(), []
    draw = torch.Generator().manual_seed(0)
    for place in range(len(encoded)):
        results = []
        for _ in range(30):
            tried[place] += 30 * torch.randn(encoded.shape[1], generator=draw)
            results.append(not torch.equal(box(tried), before))
        read.append(any(results))
    return read


places_read = NOTEBOOK.solution("places_read")


@pytest.mark.parametrize(
    "student, words",
    [
        (places_read, "Right: all 6 cases agree."),
        (NOTEBOOK.stub("places_read"), UNWRITTEN),
        (lambda box, encoded: [...] * 4, "Not done yet: your function still has a `...`"),
        (by_one_change, "A minimum does not hear of what grows"),
        (partial(by_one_change, size=-100.0), "A maximum does not hear of what falls"),
        (changes_that_stay, "begin each place with a fresh one"),
        (lambda *case: [not read for read in places_read(*case)], "True where nothing is read"),
        (lambda *case: np.flatnonzero(places_read(*case)), "the numbers of the places"),
        (by_gradient, "Make the change large"),
        (by_one_draw, "Make the change large"),
    ],
)
def test_places_read(said, student, words):
    assert words in said(checks.places_read, student)
