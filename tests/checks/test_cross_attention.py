"""The checks of notebook 03: what each says of the notebook's own answer, and of wrong ones."""

from types import SimpleNamespace

import pytest
import torch

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("03_cross_attention")
UNWRITTEN = "Not done yet: your function is still to be written."

may_look = NOTEBOOK.solution("may_look")


def not_itself(steps):
    return may_look(steps) & ~torch.eye(steps, dtype=torch.bool)


@pytest.mark.parametrize(
    "student, words",
    [
        (may_look, "Right: all 3 cases agree."),
        (lambda steps: torch.ones(steps, steps).tril() > 0, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("may_look"), UNWRITTEN),
        (lambda steps: may_look(steps).T, "what comes after it"),
        (not_itself, "itself as well"),
        (lambda steps: ~may_look(steps), "where it must not look"),
        (lambda steps: torch.ones(steps, steps) > 0, "look at all, at what comes after it, too"),
        (lambda steps: torch.ones(steps, steps).tril(), "the values are right. But they are num"),
        (lambda steps: may_look(steps).int().tolist(), "make them truth values"),
    ],
)
def test_may_look(said, student, words):
    assert words in said(checks.may_look, student)


def carry_outside(weights, carry):
    return weights.unflatten(-1, (carry, -1)).sum(-2)


def over_streams(weights, carry):
    return weights.unflatten(-1, (-1, carry)).sum(-2)


def mean_of_states(weights, carry):
    return weights.unflatten(-1, (-1, carry)).mean(-1)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("by_stream"), "Right: all 4 cases agree."),
        (NOTEBOOK.stub("by_stream"), UNWRITTEN),
        (carry_outside, "the streams are the outer axis"),
        (over_streams, "That sums over the streams"),
        (mean_of_states, "their weights add up"),
        (lambda weights, carry: weights[..., ::carry], "each stream's oldest state alone"),
        (lambda weights, carry: weights[..., carry - 1 :: carry], "each stream's last state alone"),
        (lambda weights, carry: weights.chunk(carry, -1)[0], "nothing is added up"),
    ],
)
def test_by_stream(said, student, words):
    assert words in said(checks.by_stream, student)


def replace_by(get_new):
    """In place, which is wrong however right the values are."""

    def student(states, s):
        states[:, s] = get_new(states, s)
        return states

    return student


def window_s(states, s):
    new = states.clone()
    new[s] = new[s].mean(0)
    return new


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("averaged"), "Right: all 2 cases agree."),
        (NOTEBOOK.stub("averaged"), UNWRITTEN),
        (
            replace_by(lambda states, s: states[:, s].mean(0)),
            "the values are right. You changed `states` itself; clone first.",
        ),
        (replace_by(lambda states, s: states.mean(1)), "the mean over the streams"),
        (replace_by(lambda states, s: states[:, s].mean()), "one number for all dimensions"),
        (lambda states, s: states.mean(0).expand_as(states), "replaces all streams"),
        (lambda states, s: states[:, s].mean(0), "the stream's mean alone"),
        (lambda states, s: states, "did you change a copy"),
        (replace_by(lambda states, s: states[:, s].mean(1, True)), "over a state's dimensions"),
        (replace_by(lambda states, s: states[:, s].mean(1)), "has the shape (d,)"),
        (window_s, "the streams are axis 1"),
    ],
)
def test_averaged(said, student, words):
    assert words in said(checks.averaged, student)


def read_by_head(weights, states, layer):
    """(B, U, S, heads, d): what each head adds of each stream."""
    num_heads, d = weights.shape[1], states.shape[-1]
    values = layer.cross_key_value(states)[..., d:].unflatten(-1, (num_heads, -1))
    maps = layer.cross_out.weight.unflatten(-1, (num_heads, -1))
    return torch.einsum("bhus,bshe,dhe->bushd", weights, values, maps)


def changed(weight=lambda each: each, **parts):
    """The right way, but with other weights or with some of a layer's parts replaced."""

    def student(weights, states, layer):
        replaced = SimpleNamespace(**vars(layer) | {k: get(layer) for k, get in parts.items()})
        return length_of_sum(weight(weights), states, replaced)

    return student


def keys_for_values(layer):
    return lambda states: layer.cross_key_value(states).roll(states.shape[-1], -1)


def by_the_layer(weights, states, layer):
    """What each stream's weighted values become when `cross_out` is called, bias and all."""
    values = layer.cross_key_value(states).chunk(2, -1)[1].unflatten(-1, (weights.shape[1], -1))
    weighed = torch.einsum("bhus,bshe->bushe", weights, values).flatten(-2)
    return layer.cross_out(weighed).norm(dim=-1)


def turned(layer):
    return SimpleNamespace(weight=layer.cross_out.weight.T)


def mean_of_weights(each):
    return each.mean(1, keepdim=True).expand_as(each)


def length_of_sum(*case):
    return read_by_head(*case).sum(3).norm(dim=-1)


def sum_of_lengths(*case):
    return read_by_head(*case).norm(dim=-1).sum(-1)


def length_of_mean(*case):
    return read_by_head(*case).mean(3).norm(dim=-1)


def over_all_streams(*case):
    return read_by_head(*case).sum((2, 3)).norm(dim=-1)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("what_is_read"), "Right: all 2 cases agree."),
        (length_of_sum, "Right: all 2 cases agree."),
        (NOTEBOOK.stub("what_is_read"), UNWRITTEN),
        (sum_of_lengths, "The lengths of the heads are added"),
        (length_of_mean, "the heads' vectors add up"),
        (over_all_streams, "a length for each is wanted"),
        (changed(cross_key_value=keys_for_values), "Those are the keys"),
        (changed(cross_out=turned), "The out map is turned round"),
        (changed(weight=mean_of_weights), "each head weighs its own part"),
        (by_the_layer, "no stream has brought it"),
    ],
)
def test_what_is_read(said, student, words):
    assert words in said(checks.what_is_read, student)
