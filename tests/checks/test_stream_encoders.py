"""The checks of notebook 02: what each says of the notebook's own answer, and of wrong ones."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from checks.notebook import Notebook
from helpers import checks
from helpers.model import attend

NOTEBOOK = Notebook("02_stream_encoders")
UNWRITTEN = "Not done yet: your function is still to be written."

weights_of = NOTEBOOK.solution("weights_of")


def weigh(query, keys, known, root=0.5, score=-torch.inf):
    return (keys @ query / len(query) ** root).masked_fill(~known, score).softmax(-1)


def unmasked(query, keys, known):
    return (keys @ query / len(query) ** 0.5).softmax(-1)


@pytest.mark.parametrize(
    "student, words",
    [
        (weights_of, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("weights_of"), UNWRITTEN),
        (partial(weigh, root=0), "still to be divided by the root of d"),
        (partial(weigh, root=1), "it should be its root"),
        (partial(weigh, score=0.0), "padded places need -inf"),
        (unmasked, "The mask is missing."),
        (lambda query, keys, known: unmasked(query, keys, known) * known, "no longer sum to 1"),
        (lambda query, keys, known: weights_of(query, keys, ~known), "the wrong way round"),
    ],
)
def test_weights_of(said, student, words):
    assert words in said(checks.weights_of, student)


shown_by = NOTEBOOK.solution("shown_by")
AGAIN = "which is not right. Think again about number"
NO_DICTIONARY = "A dictionary from the numbers 1 to 5 to names of streams is asked for."


@pytest.mark.parametrize(
    "answers, words",
    [
        (shown_by, "Right: that is the answer."),
        (NOTEBOOK.stub("shown_by"), "Not done yet: your answer still has a `...` to fill in."),
        (shown_by | {5: ...}, "Not done yet: your answer still has a `...` to fill in."),
        (..., "Not done yet: your answer is still missing."),
        (list(shown_by.values()), NO_DICTIONARY),
        ({n: stream for n, stream in shown_by.items() if n < 5}, NO_DICTIONARY),
        (
            shown_by | {3: "actor", 5: "Actor"},
            "right. 'actor' is no stream's name; they are EventType",
        ),
        (shown_by | {2: ["Recipient"]}, "['Recipient'] is no stream's name"),
        (shown_by | {1: "Recipient"}, f"{AGAIN} 1: whose habit is it?"),
        (shown_by | {2: "any"}, f"{AGAIN} 2: whose shifts are all planned alike?"),
        (shown_by | {3: "Location"}, f"{AGAIN} 3: the habit is not the site's: "),
        (shown_by | {4: "EventType"}, f"{AGAIN} 4: a habit of the whole workplace"),
        (shown_by | {5: "Actor"}, f"{AGAIN} 5: which history holds all the people"),
    ],
)
def test_shown_by(said, answers, words):
    assert words in said(checks.shown_by, answers)


def test_shown_by_has_a_hint_for_one_at_a_time(said):
    line = said(checks.shown_by, shown_by | {3: "Location", 4: "EventType"})
    assert line.startswith("Not yet: your answer is {1: ")
    assert f"{AGAIN} 3" in line
    assert "number 4" not in line


@pytest.mark.parametrize("n", shown_by)
def test_shown_by_never_tells_an_answer(said, n):
    for wrong in {*shown_by.values(), "EventType"} - {shown_by[n]}:
        line = said(checks.shown_by, shown_by | {n: wrong})
        told = line.replace(repr(shown_by | {n: wrong}), "")  # the student's own words
        assert repr(shown_by[n]) not in told


fair_width = NOTEBOOK.solution("fair_width")


def count_parameters(d, width):
    """Of a real layer, and the norm after it."""
    layer, norm = torch.nn.TransformerEncoderLayer(d, 1, width), torch.nn.LayerNorm(d)
    return sum(part.numel() for part in [*layer.parameters(), *norm.parameters()])


def by_real_layers(streams, d, hidden):
    wanted = streams * count_parameters(d, hidden) - streams * d
    width = hidden
    while count_parameters(d, width + 1) <= wanted:
        width += 1
    while count_parameters(d, width) > wanted:
        width -= 1
    return width


def without_biases(streams, d, hidden):
    fixed = 6 * d + 4 * d * d
    return (streams * (fixed + 2 * d * hidden) - streams * d - fixed) // (2 * d)


FIRST = "Not yet: with streams = 3, d = 5, hidden = 7 your function gave 46, and 47 was expected. "


@pytest.mark.parametrize(
    "student, words",
    [
        (fair_width, "Right: all 4 cases agree."),
        (by_real_layers, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("fair_width"), UNWRITTEN),
        (lambda *case: 46, f"{FIRST}The norm after the layer is missing."),
        (lambda *case: 48, "one too many"),
        (lambda *case: fair_width(*case) + 1, "one too many"),
        (lambda streams, d, hidden: streams * hidden, "fewer attention maps"),
        (without_biases, "The biases are missing."),
    ],
)
def test_fair_width(said, student, words):
    assert words in said(checks.fair_width, student)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("stream_linear"), "Right: all 3 cases agree."),
        (NOTEBOOK.stub("stream_linear"), UNWRITTEN),
        (lambda x, weight, bias: torch.bmm(x, weight), "The bias is missing."),
        (lambda x, weight, bias: x @ weight[0] + bias[0], "the first stream's map"),
        (lambda x, weight, bias: torch.einsum("sni,sio->no", x, weight), "summed over the streams"),
    ],
)
def test_stream_linear(said, student, words):
    assert words in said(checks.stream_linear, student)


last_row = NOTEBOOK.solution("last_row")


def all_rows(layer, x, known):
    normed = layer.norm1(x)
    k, v = layer.key_value(normed).chunk(2, -1)
    mask = known[:, None, None]
    x = x + layer.out(attend(layer.query(normed), k, v, layer.num_heads, attn_mask=mask))
    return (x + layer.narrow(layer.wide(layer.norm2(x)).relu()))[:, -1]


def with_parts(**names):
    """The right answer with parts of the layer in other places; a part of no name does nothing."""

    def answer(layer, x, known):
        parts = {part: getattr(layer, name, torch.nn.Identity()) for part, name in names.items()}
        return last_row(SimpleNamespace(**vars(layer) | parts), x, known)

    return answer


def query_of_x(layer, x, known):
    normed, x = layer.norm1(x), x[:, -1:]
    k, v = layer.key_value(normed).chunk(2, -1)
    x = x + layer.out(attend(layer.query(x), k, v, layer.num_heads, attn_mask=known[:, None, None]))
    return (x + layer.narrow(layer.wide(layer.norm2(x)).relu()))[:, 0]


def alone(layer, x, known):
    return last_row(layer, x[:, -1:], known[:, -1:])


def axis_left(*case):
    return last_row(*case)[:, None]


@pytest.mark.parametrize(
    "student, words",
    [
        (last_row, "Right: all 2 cases agree."),
        (NOTEBOOK.stub("last_row"), UNWRITTEN),
        (lambda layer, x, known: layer(x, known)[:, -1], "not callable"),
        (lambda layer, x, known: last_row(layer, x, known | True), "The mask is missing"),
        (with_parts(norm1="norm2", norm2="norm1"), "have changed places"),
        (with_parts(norm2="norm1"), "`norm1` is used twice"),
        (with_parts(norm1="norm2"), "`norm2` is used twice"),
        (with_parts(norm2=""), "`norm2` is missing"),
        (with_parts(norm1=""), "`norm1` is missing"),
        (query_of_x, "The query is of `x` as it came"),
        (axis_left, "axis of length one"),
        (all_rows, "the values are right. That computes all places; only the last is needed."),
        (alone, "The last place looked at itself alone"),
    ],
)
def test_last_row(said, student, words):
    assert words in said(checks.last_row, student)
