"""The checks of notebook 03: what each says of the notebook's own answer, and of wrong ones."""

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
    ],
)
def test_by_stream(said, student, words):
    assert words in said(checks.by_stream, student)


def replace_by(get_new):
    def student(states, s):
        states[:, s] = get_new(states, s)
        return states

    return student


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
    ],
)
def test_what_is_read(said, student, words):
    assert words in said(checks.what_is_read, student)
