"""The checks of notebook 02_stream_encoders."""

from functools import partial
from types import SimpleNamespace

import torch
from torch import nn

from helpers.checks.verdicts import compare
from helpers.model import attend
from helpers.schema import WORKPLACE


def weights_of(student):
    """Exercise 02.1: attention weights of one query (d) over T keys (T, d), with a mask (T,)."""

    def right(query, keys, known, scale=True, masked=-torch.inf):
        scores = keys @ query / (len(query) ** 0.5 if scale else 1)
        return scores.masked_fill(~known, masked).softmax(-1)

    def divided_twice(query, keys, known):
        return right(query / len(query) ** 0.5, keys, known)

    def unmasked(query, keys, known):
        return right(query, keys, torch.ones_like(known))

    def masked_after(query, keys, known):
        return unmasked(query, keys, known) * known

    def turned_round(query, keys, known):
        return right(query, keys, ~known)

    history = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    first_padded = torch.tensor([False, True, True])
    two_padded = torch.tensor([False, False, True, True])
    cases = [
        (torch.tensor([1.0, 2.0]), history, torch.ones_like(first_padded)),
        (torch.tensor([1.0, 1.0, -1.0, 0.5]), torch.eye(4), two_padded),
        (torch.tensor([0.0, 2.0]), history, first_padded),
    ]
    undivided = partial(right, scale=False)
    zero_score = partial(right, masked=0.0)
    mistakes = {
        "The scores are still to be divided by the root of d.": undivided,
        "They are divided by d; it should be its root.": divided_twice,
        "A score of 0 is no weight of 0: padded places need -inf.": zero_score,
        "The mask is missing.": unmasked,
        "The weights no longer sum to 1: mask the scores, before the softmax.": masked_after,
        "The mask is the wrong way round: `known` is True where an event is.": turned_round,
    }
    compare(student, right, cases, mistakes)


def shown_by(student):
    """Exercise 02.2: the stream that shows each of five habits."""
    right = {1: "Actor", 2: "Recipient", 3: "CostCode", 4: "any", 5: "Location"}
    hints = {
        1: "whose habit is it?",
        2: "whose shifts are all planned alike?",
        3: "the habit is not the site's: which history holds all that belongs to it?",
        4: "a habit of the whole workplace shows in which histories?",
        5: "which history holds all the people who work there?",
    }
    mistakes = {"A dictionary from the numbers 1 to 5 to names of streams is asked for.": student}
    if isinstance(student, dict) and student.keys() == right.keys():
        streams = list(WORKPLACE.streams)
        unknown = [name for name in student.values() if name not in [*streams, "any"]]
        wrong = [n for n in right if student[n] != right[n]]
        # One at a time: whatever else is wrong, the first wrong habit gets its hint.
        mistakes = {f"Think again about number {n}: {hints[n]}": student for n in wrong[:1]}
        if unknown:
            names = f'{", ".join(streams)}, or "any"'
            mistakes = {f"{unknown[0]!r} is no stream's name; they are {names}.": student}
    compare(student, right, mistakes=mistakes)


def fair_width(student):
    """Exercise 02.3: how wide one encoder is that has the parameters of several."""

    def right(streams, d, hidden, biases=True, norms=3, told=True):
        maps = 4 * d * d + biases * 5 * d
        fixed = norms * 2 * d + maps
        each = 2 * d + biases
        wanted = streams * (fixed + each * hidden) - told * streams * d
        return (wanted - fixed) // each

    def all_blocks(streams, d, hidden):
        return streams * hidden

    def rounded_up(*case):
        return right(*case) + 1

    cases = [(3, 5, 7), (6, 4, 10), (7, 32, 128), (1, 8, 32)]
    mistakes = {
        "The biases are missing.": partial(right, biases=False),
        "The norms are missing: two in the layer, one after it.": partial(right, norms=0),
        "The norm after the layer is missing.": partial(right, norms=2),
        "The shared encoder's vector for each stream is missing.": partial(right, told=False),
        "That keeps the width of all blocks together; "
        "but one encoder has fewer attention maps, too.": all_blocks,
        "That is one too many: round down.": rounded_up,
    }
    compare(student, right, cases, mistakes)


def stream_linear(student):
    """Exercise 02.4: x (S, N, d_in), weight (S, d_in, d_out), bias (S, d_out) -> (S, N, d_out)."""

    def right(x, weight, bias):
        return x @ weight + bias[:, None]

    def no_bias(x, weight, bias):
        return x @ weight

    def first_map(x, weight, bias):
        return x @ weight[0] + bias[0]

    def bias_by_row(x, weight, bias):
        return x @ weight + bias

    def summed(x, weight, bias):
        return torch.einsum("sni,sio->no", x, weight)

    new = torch.Generator().manual_seed(0)

    def draw(*shapes):
        return tuple(torch.randn(shape, generator=new) for shape in shapes)

    x = torch.tensor([[[1.0], [2.0]], [[1.0], [2.0]]])
    weight, bias = torch.tensor([[[3.0]], [[10.0]]]), torch.tensor([[0.5], [0.0]])
    cases = [
        (x, weight, bias),
        draw((3, 4, 2), (3, 2, 5), (3, 5)),
        draw((3, 3, 3), (3, 3, 3), (3, 3)),  # here a bias along the wrong axis fits, too
    ]
    mistakes = {
        "The bias is missing.": no_bias,
        "Every stream went through the first stream's map.": first_map,
        "The bias went along the wrong axis: it needs one for N.": bias_by_row,
        "That is summed over the streams; each keeps its own.": summed,
    }
    compare(student, right, cases, mistakes)


class CountingLinear(nn.Linear):
    """A linear map that counts the rows that have gone through it."""

    rows = 0

    def forward(self, x):
        self.rows += x.numel() // x.shape[-1]
        return super().forward(x)


def make_layer(d, num_heads):
    """The parts of an encoder layer, with norms that differ as those of a trained one do."""
    layer = SimpleNamespace(
        num_heads=num_heads,
        norm1=nn.LayerNorm(d),
        norm2=nn.LayerNorm(d),
        query=CountingLinear(d, d),
        out=CountingLinear(d, d),
        key_value=nn.Linear(d, 2 * d),
        wide=CountingLinear(d, 4 * d),
        narrow=CountingLinear(4 * d, d),
    )
    for parameter in (*layer.norm1.parameters(), *layer.norm2.parameters()):
        nn.init.normal_(parameter)
    return layer


def last_row(student):
    """Exercise 02.5: an encoder layer's vector at the last place: x (B, T, d) -> (B, d)."""

    def right(layer, x, known, keep_first=True, keep_second=True, norm_query=True):
        normed = layer.norm1(x)
        x = x[:, -1:]  # (B, 1, d)
        k, v = layer.key_value(normed).chunk(2, -1)
        query = layer.query(normed[:, -1:] if norm_query else x)
        mixed = attend(query, k, v, layer.num_heads, attn_mask=known[:, None, None])
        x = keep_first * x + layer.out(mixed)
        added = layer.narrow(layer.wide(layer.norm2(x)).relu())
        return (keep_second * x + added)[:, 0]

    def with_norms(first, second):
        def answer(layer, x, known):
            parts = vars(layer)
            norms = {"norm1": parts.get(first, nn.Identity())}
            norms["norm2"] = parts.get(second, nn.Identity())
            return right(SimpleNamespace(**parts | norms), x, known)

        return answer

    def unmasked(layer, x, known):
        return right(layer, x, torch.ones_like(known))

    def alone(layer, x, known):
        return right(layer, x[:, -1:], torch.ones_like(known[:, -1:]))

    def axis_left(*case):
        return right(*case)[:, None]

    def broken(case, used):
        layer, x = used[0], case[1]
        maps = layer.query, layer.out, layer.wide, layer.narrow
        too_many = max(each.rows for each in maps) > len(x)
        return "That computes all places; only the last is needed." if too_many else ""

    known = torch.tensor([[True, True, True], [False, True, True]])
    two_padded = torch.tensor([[False, False, True, True, True]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cases = [
            (make_layer(4, 2), torch.randn(2, 3, 4), known),
            (make_layer(6, 3), torch.randn(1, 5, 6), two_padded),
        ]
    first_sum = partial(right, keep_first=False)
    second_sum = partial(right, keep_second=False)
    query_of_x = partial(right, norm_query=False)
    mistakes = {
        "`norm1` and `norm2` have changed places.": with_norms("norm2", "norm1"),
        "`norm1` is used twice; `norm2` belongs before the feed-forward.": (
            with_norms("norm1", "norm1")
        ),
        "`norm2` is used twice; `norm1` belongs before the attention.": (
            with_norms("norm2", "norm2")
        ),
        "`norm2` is missing: the feed-forward works on the normed vector.": with_norms("norm1", ""),
        "`norm1` is missing: attention works on the normed vectors.": with_norms("", "norm2"),
        "The query is of `x` as it came; it is of the normed vector, as the keys are.": query_of_x,
        "The mask is missing: padded places get weight.": unmasked,
        "What was there before is missing: x plus what attention adds.": first_sum,
        "What was there before is missing: x plus what the feed-forward adds.": second_sum,
        "The last place looked at itself alone: keys and values are needed of all places.": alone,
        "The axis of length one is still there; (B, d) is wanted.": axis_left,
    }
    compare(student, right, cases, mistakes, broken=broken)
