"""The checks of notebook 03_cross_attention."""

import operator
from functools import partial, wraps
from types import SimpleNamespace

import torch
from torch import nn

from helpers.checks.verdicts import compare, simplify


def may_look(student):
    """Exercise 03.1: a matrix (steps, steps), True where a query (row) may look at a key."""
    answers = []

    @wraps(student)
    def noted(steps):
        answers.append(student(steps))
        return answers[-1]

    def right(steps, allowed=operator.le):
        places = range(steps)
        return [[allowed(key, query) for key in places] for query in places]

    def everywhere(steps):
        return [[True] * steps] * steps

    def broken(case, used):
        numbers = [
            value
            for answer in answers[-1:]
            for row in simplify(answer)
            for value in row
            if not isinstance(value, bool)
        ]
        return (
            "But they are numbers, which attention would add to the scores; "
            "make them truth values, by a comparison or `.bool()`."
            if numbers
            else ""
        )

    later = partial(right, allowed=operator.ge)
    not_itself = partial(right, allowed=operator.lt)
    forbidden = partial(right, allowed=operator.gt)
    mistakes = {
        "That lets each step look at what comes after it: turn the matrix round.": later,
        "A step may look at itself as well.": not_itself,
        "That is True where it must not look.": forbidden,
        "That lets each step look at all, at what comes after it, too.": everywhere,
    }
    compare(noted, right, [3, 1, 4], mistakes, broken=broken)


def by_stream(student):
    """Exercise 03.2: weights (B, heads, U, S * carry) -> (B, heads, U, S)."""

    def right(weights, carry):
        return weights.unflatten(-1, (-1, carry)).sum(-1)

    def carry_outside(weights, carry):
        return weights.unflatten(-1, (carry, -1)).sum(-2)

    def over_streams(weights, carry):
        return weights.unflatten(-1, (-1, carry)).sum(-2)

    def mean(weights, carry):
        return right(weights, carry) / carry

    def oldest(weights, carry):
        return weights[..., ::carry]

    def latest(weights, carry):
        return weights[..., carry - 1 :: carry]

    def first_ones(weights, carry):
        return weights[..., : weights.shape[-1] // carry]

    new = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(shape, generator=new).softmax(-1)

    cases = [
        (torch.tensor([[[[0.1, 0.2, 0.3, 0.1, 0.1, 0.2]]]]), 2),
        (draw(2, 4, 3, 7), 1),
        (draw(2, 2, 3, 12), 4),
        (draw(1, 2, 2, 9), 3),
    ]
    mistakes = {
        "The states of one stream lie side by side: "
        "the streams are the outer axis, carry the inner one.": carry_outside,
        "That sums over the streams; over each stream's states is meant.": over_streams,
        "That is the mean of each stream's states; their weights add up.": mean,
        "That is the weight of each stream's oldest state alone; all of them count.": oldest,
        "That is the weight of each stream's last state alone; all of them count.": latest,
        "Those are the first states in the memory, "
        "which belong to the first streams; nothing is added up.": first_ones,
    }
    compare(student, right, cases, mistakes)


def averaged(student):
    """Exercise 03.3: states (N, S, d), those of stream `s` replaced by their mean over windows."""

    def replaced(states, s, new):
        states = states.clone()
        states[:, s] = new
        return states

    def right(states, s):
        return replaced(states, s, states[:, s].mean(0))

    def over_streams(states, s):
        return replaced(states, s, states.mean(1))

    def one_number(states, s):
        return replaced(states, s, states[:, s].mean())

    def over_dimensions(states, s):
        return replaced(states, s, states[:, s].mean(1, keepdim=True))

    def window(states, s):
        states = states.clone()
        states[s] = states[s].mean(0)
        return states

    def all_streams(states, s):
        return states.mean(0).expand_as(states)

    def mean_alone(states, s):
        return states[:, s].mean(0)

    def unchanged(states, s):
        return states

    def broken(case, used):
        same = torch.equal(case[0], used[0])
        return "" if same else "You changed `states` itself; clone first."

    new = torch.Generator().manual_seed(0)
    three_windows = [[[1.0, 0.0], [2.0, 5.0]], [[3.0, 4.0], [2.0, 7.0]], [[5.0, 2.0], [8.0, 3.0]]]
    cases = [(torch.tensor(three_windows), 0), (torch.randn(4, 3, 2, generator=new), 2)]
    mistakes = {
        "That is the mean over the streams; "
        "the mean over the windows is meant, axis 0.": over_streams,
        "That is one number for all dimensions; each dimension has a mean of its own.": one_number,
        "That is the mean over a state's dimensions; "
        "the mean over the windows is meant, axis 0.": over_dimensions,
        "That changes window s; the streams are axis 1: `states[:, s]`.": window,
        "That replaces all streams; only stream s is meant.": all_streams,
        "That is the stream's mean alone; all states are wanted, with it in its place.": mean_alone,
        "Nothing has changed: did you change a copy, and return it?": unchanged,
    }
    errors = {RuntimeError: "The mean over the windows, axis 0, has the shape (d,)."}
    compare(student, right, cases, mistakes, errors, broken)


def what_is_read(student):
    """Exercise 03.4: the length (B, U, S) of what each stream adds to the decoder vector."""

    def weigh(weights, carried):
        return weights[..., None] * carried[:, :, None]  # (B, heads, U, S, ...)

    def split_values(weights, states, layer, half=1):
        heads = weights.shape[1]
        values = layer.cross_key_value(states).chunk(2, -1)[half]
        return values.unflatten(-1, (heads, -1))  # (B, S, heads, d / heads)

    def map_out(values, weight):  # (B, S, heads, d / heads), (d, d) -> (B, heads, S, d)
        maps = weight.unflatten(-1, (values.shape[2], -1))
        return torch.einsum("bshe,dhe->bhsd", values, maps)

    def read_by_head(weights, states, layer):
        values = split_values(weights, states, layer)
        return weigh(weights, map_out(values, layer.cross_out.weight))  # (B, heads, U, S, d)

    def right(weights, states, layer):
        return read_by_head(weights, states, layer).sum(1).norm(dim=-1)

    def lengths_added(*case):
        return read_by_head(*case).norm(dim=-1).sum(1)

    def mean_of_heads(*case):
        return read_by_head(*case).mean(1).norm(dim=-1)

    def not_mapped(weights, states, layer):
        values = split_values(weights, states, layer).transpose(1, 2)
        return weigh(weights, values).movedim(1, 3).flatten(3).norm(dim=-1)

    def not_weighted(weights, states, layer):
        return right(torch.ones_like(weights), states, layer)

    def over_streams(*case):
        return read_by_head(*case).sum((1, 3)).norm(dim=-1)

    def keys(weights, states, layer):
        carried = map_out(split_values(weights, states, layer, half=0), layer.cross_out.weight)
        return weigh(weights, carried).sum(1).norm(dim=-1)

    def turned(weights, states, layer):
        carried = map_out(split_values(weights, states, layer), layer.cross_out.weight.T)
        return weigh(weights, carried).sum(1).norm(dim=-1)

    def with_bias(*case):
        return (read_by_head(*case).sum(1) + case[-1].cross_out.bias).norm(dim=-1)

    def mean_weight(weights, states, layer):
        return right(weights.mean(1, keepdim=True).expand_as(weights), states, layer)

    def draw(num_heads, d):
        weights = torch.rand(2, num_heads, 3, 4).softmax(-1)
        states = torch.randn(2, 4, d)
        layer = SimpleNamespace(cross_key_value=nn.Linear(d, 2 * d), cross_out=nn.Linear(d, d))
        return weights, states, layer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cases = [draw(1, 2), draw(2, 6)]
    mistakes = {
        "The lengths of the heads are added; "
        "add the heads' vectors, then take the length.": lengths_added,
        "Those are the heads' means; the heads' vectors add up.": mean_of_heads,
        "The out map is missing: "
        "what a head has read goes through its part of cross_out.": not_mapped,
        "That is the length of the value without its weight.": not_weighted,
        "That sums over the streams; a length for each is wanted.": over_streams,
        "Those are the keys: `cross_key_value` makes keys first, then values.": keys,
        "The out map is turned round: its first axis is the vector that comes out, "
        "its last one the heads.": turned,
        "The bias of the out map is in your vectors; no stream has brought it.": with_bias,
        "That takes the mean weight of the heads; "
        "each head weighs its own part of the value.": mean_weight,
    }
    compare(student, right, cases, mistakes)
