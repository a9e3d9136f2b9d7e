"""The checks of the exercises: first the engine, then the exercises by notebook."""
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import checks
from helpers.checks import _compare
from helpers.events import TEST
from helpers.model import attend
from small import small_data, small_model


@pytest.fixture
def said(capsys):
    """Calls a check, and returns the one line that it printed."""
    def call(check, *arguments, **options) -> str:
        assert check(*arguments, **options) is None
        printed = capsys.readouterr()
        assert printed.err == "" and printed.out.count("\n") == 1
        return printed.out.rstrip("\n")
    return call


# The engine

def padded(history, length):
    return ([0] * length + history)[-length:]


def padded_right(history, length):
    return (history + [0] * length)[:length]


CASES = [([5, 6], 4), ([5, 6, 7], 2)]
MISTAKES = {"Another.": lambda history, length: history[0] / 0, "The zeros belong on the left.": padded_right}


def nothing(history, length):
    ...


def with_defaults(history, length):
    zeros, third = [0], 1.0 / 3
    """Words."""
    ...


def forgotten(history, length):
    padded(history, length)


def printing(history, length):
    for event in history:
        print(end="")


def partly(history, length):
    zeros = ...
    return zeros + history


@pytest.mark.parametrize("student, line", [
    (padded, "Right: all 2 cases agree."),
    (lambda history, length: torch.tensor(padded(history, length)), "Right: all 2 cases agree."),
    (lambda history, length: np.array(padded(history, length), float), "Right: all 2 cases agree."),
    (lambda history, length: tuple(padded(history, length)), "Right: all 2 cases agree."),
    (nothing, "Not done yet: your function is still to be written."),
    (with_defaults, "Not done yet: your function is still to be written."),
    (forgotten, "Not done yet: your function returns nothing. (Is there a `return`?)"),
    (printing, "Not done yet: your function returns nothing. (Is there a `return`?)"),
    (..., "Not done yet: your answer is still missing."),
    (None, "Not done yet: your answer is still missing."),
    (lambda history, length: ..., "Not done yet: your function is still to be written."),
    (lambda history, length: [0, ...], "Not done yet: your function still has a `...` to fill in."),
    (lambda history, length: {"a": ...}, "Not done yet: your function still has a `...` to fill in."),
    (partly, "Not done yet: your function still has a `...` to fill in."),
    (padded_right, "Not yet: with history = [5, 6], length = 4 your function gave [5, 6, 0, 0], and [0, 0, 5, 6] was expected. "
                   "The zeros belong on the left."),
    (lambda history, length: [0] * length, "Not yet: with history = [5, 6], length = 4 your function gave [0, 0, 0, 0], "
                                           "and [0, 0, 5, 6] was expected."),
    (lambda history, length: history, "Not yet: with history = [5, 6], length = 4 your function gave [5, 6] of shape (2,), "
                                      "and [0, 0, 5, 6] of shape (4,) was expected."),
    (lambda history, length: 7, "Not yet: with history = [5, 6], length = 4 your function gave 7, "
                                "and [0, 0, 5, 6] of shape (4,) was expected."),
    (lambda history, length: padded(history, length) if length > 2 else None,
     "Not yet: with history = [5, 6, 7], length = 2 your function gave None, and [6, 7] of shape (2,) was expected."),
    (lambda history, length: history[9], "Not yet: with history = [5, 6], length = 4 your function raised "
                                         "IndexError: list index out of range"),
    (lambda history: history, "Not yet: with history = [5, 6], length = 4 your function raised "
                              "TypeError: <lambda>() takes 1 positional argument but 2 were given"),
])
def test_a_check_says_what_is_wrong_and_with_which_input(said, student, line):
    assert said(_compare, student, padded, CASES, MISTAKES) == line


def test_an_error_is_told_in_one_line(said):
    def student(x):
        raise ValueError("first\nsecond")

    def silent(x):
        raise KeyError

    assert said(_compare, student, abs, [3]) == "Not yet: with x = 3 your function raised ValueError: first"
    assert said(_compare, silent, abs, [3]) == "Not yet: with x = 3 your function raised KeyError: no message"


def test_an_answer_that_cannot_be_compared_is_wrong(said):
    class Stubborn:
        def __eq__(self, other):
            raise RuntimeError("not with me")

    assert said(_compare, Stubborn(), 3) == "Not yet: your answer is Stubborn, and 3 was expected."


def test_a_long_answer_is_cut(said):
    assert said(_compare, "a" * 200, "b") == f"Not yet: your answer is {repr('a' * 200)[:90]}…, and 'b' was expected."


def test_a_function_that_does_not_tell_its_arguments_has_them_numbered(said):
    assert said(_compare, lambda a, b: a, max, [(2, 3)]) == "Not yet: with 1 = 2, 2 = 3 your function gave 2, and 3 was expected."


def test_a_student_cannot_change_the_cases(said):
    def student(history, length):
        answer = padded(history, length)
        history.clear()
        return answer

    cases = [([5, 6], 4)] * 2
    assert said(_compare, student, padded, cases).startswith("Right")
    assert cases == [([5, 6], 4)] * 2


def test_an_error_may_have_words_of_its_kind(said):
    errors = {ArithmeticError: "No number is divided by 0."}
    assert said(_compare, lambda x: x / 0, abs, [3], errors=errors).endswith("ZeroDivisionError: division by zero. No number is divided by 0.")
    assert said(_compare, lambda x: x[0], abs, [3], errors=errors).endswith("not subscriptable")


def test_right_values_may_be_found_in_a_way_that_is_not_allowed(said):
    def greedy(history, length):
        answer = padded(history, length)
        history.clear()
        return answer

    def broken(case, used):
        return "" if case == used else "You changed it."

    assert said(_compare, padded, padded, CASES, broken=broken).startswith("Right")
    assert said(_compare, greedy, padded, CASES, broken=broken) == "Not yet: the values are right. You changed it."
    assert "was expected" in said(_compare, lambda history, length: greedy(history, length) if length > 2 else [1], padded, CASES, broken=broken)


@pytest.mark.parametrize("given, right, same", [
    (0.3333333, 1 / 3, True),
    (0.33, 1 / 3, False),
    (1e-7, 0.0, True),
    (1e-3, 0.0, False),
    (2, 2.0, True),
    (100_001, 100_000, False),
    (float("nan"), float("nan"), True),
    (float("nan"), 0.5, False),
    (float("inf"), float("inf"), True),
    (None, None, True),
    (True, False, False),
    ("Actor", "Time", False),
    (np.float32(0.1), 0.1, True),
    (np.int64(3), 3, True),
    (torch.tensor(0.1, requires_grad=True), 0.1, True),
    ([1, None, [2.0, "a"]], (1, None, [2, "a"]), True),
    ([[1], [2, 3]], [[1], [2, 4]], False),
    ({"b": torch.ones(2), "a": 1}, {"a": 1, "b": [1.0, 1.0]}, True),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ({1, 2}, {2, 1}, True),
    (pd.Series([1.0, 2.0]), [1, 2], True),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}), False),
    (torch.ones(2, 1), torch.ones(2), False),
    (range(3), [0, 1, 2], True),
])
def test_values_compare_by_what_they_say(said, given, right, same):
    line = said(_compare, given, right)
    assert line == "Right: that is the answer." if same else line.startswith("Not yet: your answer is ")


def test_a_value_may_be_a_known_mistake(said):
    assert said(_compare, 1.0, 0.25, mistakes={"This is the sum.": 1.0}).endswith("and 0.25 was expected. This is the sum.")


def test_long_values_are_told_by_their_shape_or_by_the_first_place_that_differs(said):
    x = torch.arange(60.0).reshape(3, 4, 5)

    def transposed(x):
        return x.transpose(1, 2)

    def one_off(x):
        x[1, 2, 3] += 0.5
        return x

    assert said(_compare, transposed, lambda x: x, [x]) == (
        "Not yet: with x = Tensor of shape (3, 4, 5) your function gave Tensor of shape (3, 5, 4), "
        "and Tensor of shape (3, 4, 5) was expected.")
    assert said(_compare, one_off, lambda x: x, [x]) == (
        "Not yet: with x = Tensor of shape (3, 4, 5) at [1][2][3] your function gave 33.5, and 33.0 was expected.")
    line = said(_compare, lambda words: words, lambda words: words[::-1], [list(range(1000))])
    assert len(line) < 250
    assert "at [0] your function gave 0, and 999 was expected." in line


# 00_start_here

def test_ceiling(said):
    assert said(checks.ceiling, math.log).startswith("Right")
    assert said(checks.ceiling, lambda size: None).startswith("Not done yet")
    assert "probability of each value" in said(checks.ceiling, lambda size: 1 / size)
    assert "with size = 4 " in said(checks.ceiling, math.log2) and "in bits" in said(checks.ceiling, math.log2)
    assert "base 10" in said(checks.ceiling, math.log10)
    assert "minus the logarithm" in said(checks.ceiling, lambda size: math.log(1 / size))


def test_equally_likely(said):
    assert said(checks.equally_likely, math.exp).startswith("Right")
    assert said(checks.equally_likely, lambda loss: ...).startswith("Not done yet")
    assert "That is the probability" in said(checks.equally_likely, lambda loss: math.exp(-loss) if loss else 1.0)
    assert "belong to e" in said(checks.equally_likely, lambda loss: 2 ** loss)
    assert "with loss = 0.0 " in said(checks.equally_likely, lambda loss: 2.0)


def test_next_event(said):
    data = small_data()
    model = small_model()
    run = SimpleNamespace(data=data, model=model, sizes=model.sizes, names=[category.name for category in data.log.categories])

    def at(step, origin):
        with torch.no_grad():
            heads = model(data.windows[TEST].batch(np.array([origin])))[0, step].split(model.sizes)
        values = {name: int(heads[run.names.index(name)].argmax()) for name in ("EventType", "LocationRecordId")}
        return [data.log.vocabularies[name][i] for name, i in values.items()], list(values.values())

    for vocabulary in ("EventType", "LocationRecordId"):  # an untrained model names values that never were
        data.log.vocabularies[vocabulary] += [f"value {i}" for i in range(len(data.log.vocabularies[vocabulary]), 100)]
    assert said(checks.next_event, lambda origin: at(0, origin)[0], run).startswith("Right")
    assert said(checks.next_event, lambda origin: (..., ...), run).startswith("Not done yet")
    assert "last step of the horizon" in said(checks.next_event, lambda origin: at(-1, origin)[0], run)
    assert "Those are integers" in said(checks.next_event, lambda origin: at(0, origin)[1], run)
    truth = lambda origin: data.windows[TEST].batch(np.array([origin])).target[0, 0].tolist()
    columns = [run.names.index(name) for name in ("EventType", "LocationRecordId")]
    names = [data.log.vocabularies[run.names[column]] for column in columns]
    line = said(checks.next_event, lambda origin: [names[i][truth(origin)[c]] for i, c in enumerate(columns)], run)
    assert line.startswith("Not yet") and "what truly happened" in line
    assert "Kind first" in said(checks.next_event, lambda origin: at(0, origin)[0][::-1], run)


def test_best_share_is_that_of_a_simulated_habit(said):
    def by_matrix(hours, back=1 / 5):  # the habit as a chain with two states: as it was, or another one
        chain = np.array([[1 - 0.2 / 24, 0.2 / 24], [0.2 / 24 * back, 1 - 0.2 / 24 * back]])
        return np.linalg.matrix_power(chain, hours)[0] @ [0.9, 0.02]

    assert said(checks.best_share, by_matrix).startswith("Right")
    assert said(checks.best_share, lambda hours: None).startswith("Not done yet")
    assert "may change back" in said(checks.best_share, lambda hours: by_matrix(hours, 0))
    assert "one of five" in said(checks.best_share, lambda hours: by_matrix(hours, 1))
    assert "nine times in ten" in said(checks.best_share, lambda hours: (by_matrix(hours) - 0.02) / 0.88)


# 01_data_prep

def test_vocabulary_of(said):
    def right(names, most, min_count):
        counts = {name: names.count(name) for name in sorted(set(names) - {""})}
        kept = sorted((name for name in counts if counts[name] >= min_count), key=lambda name: -counts[name])[:most]
        return {name: i for i, name in enumerate(sorted(kept), 1)}

    assert said(checks.vocabulary_of, right).startswith("Right")
    assert said(checks.vocabulary_of, lambda names, most, min_count: None).startswith("Not done yet")
    assert "count from 1" in said(checks.vocabulary_of, lambda *case: {name: i - 1 for name, i in right(*case).items()})
    assert "Cut by frequency first" in said(checks.vocabulary_of, lambda names, most, least: {
        name: i for i, name in enumerate(sorted(set(names) - {""})[:most], 1) if names.count(name) >= least} if least == 1 else right(names, most, least))
    assert "Leave blanks out before" in said(checks.vocabulary_of, lambda names, most, least: {} if most == 1 else right(names, most, least))
    assert "A blank is no name" in said(checks.vocabulary_of, lambda names, most, least: {"": 1, "dock": 2, "gate": 3, "yard": 4})
    assert "frequent enough" in said(checks.vocabulary_of, lambda names, most, least: right(names, most, least + 1))
    assert "order of their counts" in said(checks.vocabulary_of, lambda names, most, least: {"yard": 1, "gate": 2, "dock": 3})


def test_bins(said):
    def to_integer(hours):
        return 0 if hours is None else min(round(hours / 0.25) + 1, 99)

    def to_hours(integer):
        return (integer - 1) * 0.25 if integer else None

    assert said(checks.bins, to_integer, to_hours).startswith("Right")
    assert said(checks.bins, lambda hours: None, lambda integer: None).startswith("Not done yet")
    assert said(checks.bins, to_integer, lambda integer: ...).startswith("Not done yet")
    assert "blank, so no hours" in said(checks.bins, lambda hours: round(hours / 0.25), to_hours)
    assert "int cuts off" in said(checks.bins, lambda hours: int(hours / 0.25) + 1, to_hours)
    assert "100 values" in said(checks.bins, lambda hours: 0 if hours is None else round(hours / 0.25) + 1, to_hours)
    assert "undone first" in said(checks.bins, to_integer, lambda integer: integer * 0.25)
    assert "0 is a blank" in said(checks.bins, to_integer, lambda integer: (integer - 1) * 0.25)


def test_padded(said):
    assert said(checks.padded, padded).startswith("Right")
    assert said(checks.padded, nothing).startswith("Not done yet")
    assert "belong in front" in said(checks.padded, padded_right)

    def in_place(history, length):
        while len(history) < length:
            history.insert(0, 0)
        return history[-length:]

    assert said(checks.padded, in_place).endswith("You changed `history` itself; make a new list.")
    assert "the oldest" in said(checks.padded, lambda history, length: [0] * (length - len(history)) + history[:length])
    assert "longer than asked for" in said(checks.padded, lambda history, length: [0] * (length - len(history)) + history)


def test_steps_that_count(said):
    def right(part, origin, length):
        return part[origin + 1:origin + 1 + length].count(part[origin])

    assert said(checks.steps_that_count, right).startswith("Right")
    assert said(checks.steps_that_count, lambda part, origin, length: None).startswith("Not done yet")
    assert "The origin is known" in said(checks.steps_that_count, lambda part, origin, length: part[origin:origin + length].count(part[origin]))
    assert "border of its part" in said(checks.steps_that_count, lambda part, origin, length: len(part[origin + 1:origin + 1 + length]))
    assert "target is shorter" in said(checks.steps_that_count, lambda part, origin, length: right(part, origin, 99))


def test_mended(said):
    def features(raw, shift=("recipient", "reference_time"), fill="max", told="mean"):
        return pd.DataFrame({
            "shifts_so_far": (raw["event_type"] == "punch_in").groupby(raw["recipient"]).cumsum(),
            "hours_of_shift": raw.groupby(list(shift))["hours_worked"].transform(fill),
            "hours_at_site": raw.groupby("location")["hours_worked"].transform(told),
            "last_hours": raw.groupby("recipient")["hours_worked"].ffill(),
        })

    def so_far(told):
        return told.fillna(0).cumsum() / told.notna().cumsum().replace(0, np.nan)

    assert said(checks.mended, lambda raw: features(raw, fill="ffill", told=so_far)).startswith("Right")
    assert said(checks.mended, lambda raw: None).startswith("Not done yet")
    line = said(checks.mended, features)
    assert "'hours_of_shift' still looks ahead. 'hours_at_site' still looks ahead." in line and "raw = DataFrame" in line
    assert "'hours_at_site' still looks ahead." in said(checks.mended, lambda raw: features(raw, fill="ffill"))
    assert "carry them forward" in said(checks.mended, lambda raw: features(raw, fill="cummax", told=so_far))
    assert "bfill" in said(checks.mended, lambda raw: features(raw, fill="bfill", told=so_far))
    assert "into the next" in said(checks.mended, lambda raw: features(raw, ["recipient"], "ffill", so_far))
    assert "belongs to the mean" in said(checks.mended, lambda raw: features(raw, fill="ffill", told=lambda told: so_far(told.shift())))


# 02_stream_encoders

def test_weights_of(said):
    def right(query, keys, known):
        return (keys @ query / len(query) ** 0.5).masked_fill(~known, -torch.inf).softmax(-1)

    assert said(checks.weights_of, right).startswith("Right")
    assert said(checks.weights_of, lambda query, keys, known: None).startswith("Not done yet")
    for wrong, words in (
        (lambda query, keys, known: (keys @ query).masked_fill(~known, -torch.inf).softmax(-1), "the root of d"),
        (lambda query, keys, known: (keys @ query / len(query)).masked_fill(~known, -torch.inf).softmax(-1), "it should be its root"),
        (lambda query, keys, known: (keys @ query / len(query) ** 0.5).softmax(-1), "padded places need -inf"),
        (lambda query, keys, known: (keys @ query / len(query) ** 0.5).softmax(-1) * known, "no longer sum to 1"),
        (lambda query, keys, known: right(query, keys, ~known), "wrong way round"),
    ):
        line = said(checks.weights_of, wrong)
        assert line.startswith("Not yet") and words in line


def test_fair_width_is_that_of_the_real_layers(said):
    def right(streams, d, hidden):
        def count(width):
            layer = torch.nn.TransformerEncoderLayer(d, 1, width)
            return sum(p.numel() for p in [*layer.parameters(), *torch.nn.LayerNorm(d).parameters()])
        width = hidden
        while count(width + 1) + streams * d <= streams * count(hidden):
            width += 1
        while count(width) + streams * d > streams * count(hidden):
            width -= 1
        return width

    assert said(checks.fair_width, right).startswith("Right")
    assert said(checks.fair_width, lambda streams, d, hidden: ...).startswith("Not done yet")
    assert said(checks.fair_width, lambda *case: 46).startswith("Not yet: with streams = 3, d = 5, hidden = 7 your function gave 46, and 47 was expected. The norm after")
    assert "one too many" in said(checks.fair_width, lambda *case: 48)
    assert "one too many" in said(checks.fair_width, lambda *case: right(*case) + 1)
    assert "fewer attention maps" in said(checks.fair_width, lambda streams, d, hidden: streams * hidden)
    assert "biases are missing" in said(checks.fair_width, lambda s, d, h: (s * (6 * d + 4 * d * d + 2 * d * h) - s * d - 6 * d - 4 * d * d) // (2 * d))


def test_stream_linear(said):
    assert said(checks.stream_linear, lambda x, weight, bias: torch.einsum("sni,sio->sno", x, weight) + bias[:, None]).startswith("Right")
    assert said(checks.stream_linear, lambda x, weight, bias: ...).startswith("Not done yet")
    assert "bias is missing" in said(checks.stream_linear, lambda x, weight, bias: torch.bmm(x, weight))
    assert "first stream's map" in said(checks.stream_linear, lambda x, weight, bias: x @ weight[0] + bias[0])
    assert "summed over the streams" in said(checks.stream_linear, lambda x, weight, bias: torch.einsum("sni,sio->no", x, weight))


def test_shown_by(said):
    right = {1: "Actor", 2: "Recipient", 3: "CostCode", 4: "any", 5: "Location"}
    assert said(checks.shown_by, right) == "Right: that is the answer."
    assert said(checks.shown_by, dict.fromkeys(right, ...)).startswith("Not done yet")
    assert said(checks.shown_by, right | {5: ...}).startswith("Not done yet")
    line = said(checks.shown_by, right | {3: "Location", 4: "EventType"})
    assert line.startswith("Not yet") and "number 3: the habit is not the site's" in line and "number 4" not in line


def test_last_row(said):
    def right(layer, x, known):
        normed, x = layer.norm1(x), x[:, -1:]
        k, v = layer.key_value(normed).chunk(2, -1)
        x = x + layer.out(attend(layer.query(normed[:, -1:]), k, v, layer.heads, attn_mask=known[:, None, None]))
        return (x + layer.narrow(layer.wide(layer.norm2(x)).relu()))[:, 0]

    assert said(checks.last_row, right).startswith("Right")
    assert said(checks.last_row, lambda layer, x, known: ...).startswith("Not done yet")
    assert "not callable" in said(checks.last_row, lambda layer, x, known: layer(x, known)[:, -1])
    assert "mask is missing" in said(checks.last_row, lambda layer, x, known: right(layer, x, known | True))
    assert "axis of length one" in said(checks.last_row, lambda *case: right(*case)[:, None])

    def all_rows(layer, x, known):
        normed = layer.norm1(x)
        k, v = layer.key_value(normed).chunk(2, -1)
        x = x + layer.out(attend(layer.query(normed), k, v, layer.heads, attn_mask=known[:, None, None]))
        return (x + layer.narrow(layer.wide(layer.norm2(x)).relu()))[:, -1]

    assert said(checks.last_row, all_rows).endswith("That computes all places; only the last is needed.")
    assert "looked at itself alone" in said(checks.last_row, lambda layer, x, known: right(layer, x[:, -1:], known[:, -1:]))


# 03_cross_attention

def test_may_look(said):
    def right(steps):
        return torch.ones(steps, steps, dtype=torch.bool).tril()

    assert said(checks.may_look, right).startswith("Right")
    assert said(checks.may_look, lambda steps: None).startswith("Not done yet")
    assert "what comes after" in said(checks.may_look, lambda steps: right(steps).T)
    assert "itself as well" in said(checks.may_look, lambda steps: right(steps) & ~torch.eye(steps, dtype=torch.bool))
    assert "must not look" in said(checks.may_look, lambda steps: ~right(steps))


def test_by_stream(said):
    assert said(checks.by_stream, lambda weights, carry: weights.unflatten(-1, (-1, carry)).sum(-1)).startswith("Right")
    assert said(checks.by_stream, lambda weights, carry: ...).startswith("Not done yet")
    assert "outer axis" in said(checks.by_stream, lambda weights, carry: weights.unflatten(-1, (carry, -1)).sum(-2))
    assert "weights add up" in said(checks.by_stream, lambda weights, carry: weights.unflatten(-1, (-1, carry)).mean(-1))


def test_averaged(said):
    def right(states, s):
        states = states.clone()
        states[:, s] = states[:, s].mean(0)
        return states

    def over_streams(states, s):
        states[:, s] = states.mean(1)
        return states

    def one_number(states, s):
        states[:, s] = states[:, s].mean()
        return states

    def in_place(states, s):
        states[:, s] = states[:, s].mean(0)
        return states

    assert said(checks.averaged, right).startswith("Right")
    assert said(checks.averaged, in_place).endswith("You changed `states` itself; clone first.")
    assert said(checks.averaged, lambda states, s: None).startswith("Not done yet")
    assert "mean over the streams" in said(checks.averaged, over_streams)
    assert "one number" in said(checks.averaged, one_number)
    assert "did you change a copy" in said(checks.averaged, lambda states, s: states)


def test_what_is_read(said):
    def vectors(weights, states, layer):
        heads = weights.shape[1]
        values = layer.cross_key_value(states)[..., states.shape[-1]:].unflatten(-1, (heads, -1))
        each = torch.einsum("bhus,bshe->bushe", weights, values)
        return torch.einsum("bushe,dhe->bushd", each, layer.cross_out.weight.unflatten(-1, (heads, -1)))

    assert said(checks.what_is_read, lambda *case: vectors(*case).sum(3).norm(dim=-1)).startswith("Right")
    assert said(checks.what_is_read, lambda weights, states, layer: ...).startswith("Not done yet")
    assert "lengths of the heads are added" in said(checks.what_is_read, lambda *case: vectors(*case).norm(dim=-1).sum(-1))
    assert "heads' vectors add up" in said(checks.what_is_read, lambda *case: vectors(*case).mean(3).norm(dim=-1))


# 04_last_vector_constraint

def test_multiplications(said):
    def counted(T, d, layers, carry, last=None, keys=None, feed_forward=None):
        """Map by map: keys and values, queries, scores and mixture, output, feed-forward."""
        total = 0
        for layer in range(layers):
            q = T if layer < layers - 1 else carry if last is None else T
            total += 2 * d * d * (T if keys is None else q) + q * d * d + 2 * q * T * d + q * d * d + 2 * 4 * d * d * (feed_forward or q)
        return total

    assert said(checks.multiplications, counted).startswith("Right")
    assert said(checks.multiplications, lambda T, d, layers, carry: ...).startswith("Not done yet")
    assert "Only the last layer" in said(checks.multiplications, lambda T, d, layers, carry: layers * counted(T, d, 1, carry))
    assert "every query" in said(checks.multiplications, lambda T, d, layers, carry: counted(T, d, layers, carry, last=T))
    assert "all events" in said(checks.multiplications, lambda T, d, layers, carry: counted(T, d, layers, carry, keys=True))
    assert "feed-forward" in said(checks.multiplications, lambda T, d, layers, carry: counted(T, d, layers, carry, feed_forward=T))


def test_carried(said):
    def by_loop(encoded, known, carry, first=False, mask=True):
        S, B, T, _ = encoded.shape
        places = range(carry) if first else range(T - carry, T)
        rows = [torch.stack([encoded[s, b, t] for s in range(S) for t in places]) for b in range(B)]
        kept = [torch.stack([known[b, s, t] for s in range(S) for t in (places if mask else range(T))]) for b in range(B)]
        return torch.stack(rows), torch.stack(kept)

    assert said(checks.carried, by_loop).startswith("Right")
    assert said(checks.carried, lambda encoded, known, carry: (..., ...)).startswith("Not done yet")
    assert "first vectors" in said(checks.carried, lambda *case: by_loop(*case, first=True))
    assert "mask must be cut" in said(checks.carried, lambda *case: by_loop(*case, mask=False))
    assert "bring the windows to the front" in said(checks.carried, lambda encoded, known, carry: (
        encoded[:, :, -carry:].reshape(len(known), -1, encoded.shape[-1]), by_loop(encoded, known, carry)[1]))


def test_mean_state(said):
    def by_loop(encoded, known, padded=False):
        S, B, _, _ = encoded.shape
        return torch.stack([torch.stack([(encoded[s, b] if padded else encoded[s, b][known[b, s]]).mean(0) for s in range(S)]) for b in range(B)])

    assert said(checks.mean_state, by_loop).startswith("Right")
    assert said(checks.mean_state, lambda encoded, known: None).startswith("Not done yet")
    assert "Padded places are in your mean" in said(checks.mean_state, lambda encoded, known: by_loop(encoded, known, padded=True))
    assert "windows first" in said(checks.mean_state, lambda encoded, known: by_loop(encoded, known).transpose(0, 1))
    assert "not of the number" in said(checks.mean_state, lambda encoded, known: by_loop(encoded * known.transpose(0, 1)[..., None], known, padded=True))


def test_places_read(said):
    def by_noise(box, encoded, size=30.0, draws=30):
        generator, read = torch.Generator().manual_seed(1), []
        for place in range(len(encoded)):
            changed = encoded.repeat(draws, 1, 1)
            changed[:, place] += size * torch.randn(draws, encoded.shape[1], generator=generator)
            read.append(any(not torch.equal(box(one), box(encoded)) for one in changed))
        return read

    def by_gradient(box, encoded):
        encoded = encoded.clone().requires_grad_()
        box(encoded).sum().backward()
        return (encoded.grad != 0).any(1)

    def by_one_change(box, encoded, size=100.0):
        return [not torch.equal(box(encoded), box(encoded + size * (torch.arange(4) == place)[:, None])) for place in range(4)]

    assert said(checks.places_read, by_noise).startswith("Right")
    assert "A minimum does not hear" in said(checks.places_read, by_one_change)
    assert said(checks.places_read, lambda box, encoded: by_one_change(box, encoded, -100.0)).startswith("Not yet")
    assert said(checks.places_read, lambda box, encoded: [...] * 4).startswith("Not done yet")
    assert "Make the change large" in said(checks.places_read, by_gradient)
    assert "Make the change large" in said(checks.places_read, lambda box, encoded: by_noise(box, encoded, size=1e-4, draws=1))


# 05_training

def test_weighted_loss(said):
    def by_loop(losses, counts, weights, padded=False, divide=True):
        total, share = 0.0, 0.0
        for c, weight in enumerate(weights):
            kept = [losses[b, u, c] for b in range(losses.shape[0]) for u in range(losses.shape[1]) if padded or counts[b, u]]
            total, share = total + weight * sum(kept) / len(kept), share + weight
        return total / share if divide else total

    assert said(checks.weighted_loss, by_loop).startswith("Right")
    assert said(checks.weighted_loss, lambda losses, counts, weights: ...).startswith("Not done yet")
    assert "Padded steps are in your mean" in said(checks.weighted_loss, lambda *case: by_loop(*case, padded=True))
    assert "grows with them" in said(checks.weighted_loss, lambda *case: by_loop(*case, divide=False))
    assert "weights are missing" in said(checks.weighted_loss, lambda losses, counts, weights: by_loop(losses, counts, torch.ones(2)))


def test_no_better_than_guessing(said):
    def right(losses, sizes, base=math.e):
        return [name for name in losses if base ** losses[name] >= sizes[name]]

    assert said(checks.no_better_than_guessing, right).startswith("Right")
    assert said(checks.no_better_than_guessing, lambda losses, sizes: None).startswith("Not done yet")
    assert "in bits" in said(checks.no_better_than_guessing, lambda losses, sizes: right(losses, sizes, 2))
    assert "just the ceiling" in said(checks.no_better_than_guessing, lambda losses, sizes: [name for name in losses if losses[name] > math.log(sizes[name])])
    assert "They are sorted" in said(checks.no_better_than_guessing, lambda losses, sizes: sorted(right(losses, sizes)))
    assert said(checks.no_better_than_guessing, lambda losses, sizes: [name for name in sizes if name in right(losses, sizes)]).startswith("Not yet")
    assert "the others were asked for" in said(checks.no_better_than_guessing, lambda losses, sizes: [name for name in losses if name not in right(losses, sizes)])


def test_accumulated(said):
    def one_by_one(loss, weight, parts, share=lambda part, parts: len(part) / sum(map(len, parts)), empty=False):
        for part in parts:
            if empty:
                weight.grad = None
            (loss(weight, part) * share(part, parts)).backward()
        return weight.grad

    def at_once(loss, weight, parts):
        sum(loss(weight, part) * len(part) for part in parts).div(sum(map(len, parts))).backward()
        return weight.grad

    def whole(loss, weight, parts):
        loss(weight, torch.cat(parts)).backward()
        return weight.grad

    def losses_first(loss, weight, parts):
        for part, value in [(part, loss(weight, part)) for part in parts]:
            (value * len(part) / sum(map(len, parts))).backward()
        return weight.grad

    assert said(checks.accumulated, one_by_one).startswith("Right")
    assert said(checks.accumulated, losses_first).startswith("Right")
    assert said(checks.accumulated, lambda loss, weight, parts: weight.grad) == "Not done yet: your function is still to be written."
    assert "adds the gradients up" in said(checks.accumulated, lambda *case: one_by_one(*case, lambda part, parts: 1))
    assert "equal length" in said(checks.accumulated, lambda *case: one_by_one(*case, lambda part, parts: 1 / len(parts)))
    assert "Only the last part" in said(checks.accumulated, lambda *case: one_by_one(*case, empty=True))
    assert "called 1 times for 2 parts" in said(checks.accumulated, at_once)
    assert "on more rows than the longest part" in said(checks.accumulated, whole)


def test_chosen_rate(said):
    def right(rates, losses, width=5, part=0.1, centred=True):
        smooth = pd.Series(losses).rolling(width, center=centred).mean()
        return rates[smooth.idxmin()] * part

    assert said(checks.chosen_rate, right).startswith("Right")
    assert said(checks.chosen_rate, lambda rates, losses: ...).startswith("Not done yet")
    assert "the edge" in said(checks.chosen_rate, lambda rates, losses: right(rates, losses, part=1))
    assert "lucky batch" in said(checks.chosen_rate, lambda rates, losses: right(rates, losses, width=1))
    assert "comes late" in said(checks.chosen_rate, lambda rates, losses: right(rates, losses, centred=False))


def test_rest_of_epoch(said):
    def order(seed, epoch, windows, batch_size, done, generator=lambda seed, epoch: np.random.default_rng([seed, epoch])):
        shuffled = generator(seed, epoch).permutation(windows)
        return [shuffled[i:i + batch_size] for i in range(done * batch_size, windows, batch_size)]

    def drawn_by(generator):
        return lambda *case: order(*case, generator)

    def seeded(seed, epoch):
        np.random.seed([seed, epoch])
        return np.random

    assert said(checks.rest_of_epoch, order).startswith("Right")
    assert said(checks.rest_of_epoch, lambda *case: [batch.tolist() for batch in order(*case)]).startswith("Right")
    assert said(checks.rest_of_epoch, lambda *case: ...).startswith("Not done yet")
    assert said(checks.rest_of_epoch, lambda *case: None) == "Not done yet: your function is still to be written."
    assert "Is there a `return`?" in said(checks.rest_of_epoch, lambda *case: print(end=""))
    assert "counts batches, not windows" in said(checks.rest_of_epoch, lambda seed, epoch, windows, size, done: [
        np.random.default_rng([seed, epoch]).permutation(windows)[i:i + size] for i in range(done, windows, size)])
    for words, generator in (("Each call draws anew: seed", lambda seed, epoch: np.random.default_rng()),
                             ("from a generator that everybody shares", lambda seed, epoch: np.random), ("You seed a generator", seeded),
                             ("All epochs have one order", lambda seed, epoch: np.random.default_rng(seed)),
                             ("All seeds have one order", lambda seed, epoch: np.random.default_rng(epoch)),
                             ("`seed + epoch`", lambda seed, epoch: np.random.default_rng(seed + epoch))):
        assert words in said(checks.rest_of_epoch, drawn_by(generator)), words


# 06_category_losses

def test_cross_entropy(said):
    def right(logits, true):
        return torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(true))

    def softmax(logits):
        with np.errstate(all="ignore"):
            return np.exp(logits) / np.exp(logits).sum()

    def naive(logits, true):
        with np.errstate(all="ignore"):
            return -np.log(softmax(logits))[true]

    assert said(checks.cross_entropy, right).startswith("Right")
    assert said(checks.cross_entropy, lambda logits, true: ...).startswith("Not done yet")
    line = said(checks.cross_entropy, naive)
    assert "logits = [1000.0, 0.0], true = 1" in line and "take the largest logit" in line
    in_math = said(checks.cross_entropy, lambda logits, true: math.log(sum(map(math.exp, logits))) - logits[true])
    assert "raised OverflowError: math range error. A power of e" in in_math and "take the largest logit" in in_math
    assert "raised ValueError: math domain error. A power of e" in said(checks.cross_entropy, lambda logits, true: -math.log(
        math.exp(logits[true] - max(logits)) / sum(math.exp(z - max(logits)) for z in logits)))
    assert "sign must be turned" in said(checks.cross_entropy, lambda logits, true: -right(logits, true))
    assert "That is the probability" in said(checks.cross_entropy, lambda logits, true: softmax(logits)[true])
    assert "only the true one" in said(checks.cross_entropy, lambda logits, true: -np.log(softmax(logits)).mean())


def test_clustered_error(said):
    def right(difference, employee):
        return sum(difference[employee == e].sum() ** 2 for e in set(employee)) ** 0.5 / len(difference)  # where the mean is 0

    def centred(difference, employee):
        return right(difference - difference.mean(), employee)

    assert said(checks.clustered_error, centred).startswith("Right")
    assert said(checks.clustered_error, lambda difference, employee: None).startswith("Not done yet")
    assert "independent events" in said(checks.clustered_error, lambda difference, employee: difference.std() / len(difference) ** 0.5)
    assert "independent events, too" in said(checks.clustered_error, lambda difference, employee: difference.std(ddof=1) / len(difference) ** 0.5)
    assert "number of employees" in said(checks.clustered_error, lambda *case: centred(*case) * len(case[0]) / len(set(case[1])))
    line = said(checks.clustered_error, lambda difference, employee: pd.Series(difference).groupby(employee).mean().sem())
    assert "every employee weigh alike" in line
    assert said(checks.clustered_error, right).startswith("Not yet: with difference = ")


def test_mixture_gap(said):
    def right(truths, weights):
        def entropy(p):
            return -(p * np.log(p)).sum(-1)
        return entropy(weights @ truths) - weights @ entropy(truths)

    assert said(checks.mixture_gap, right).startswith("Right")
    assert said(checks.mixture_gap, lambda truths, weights: ...).startswith("Not done yet")
    assert "whole loss" in said(checks.mixture_gap, lambda truths, weights: -(weights @ truths) @ np.log(weights @ truths))
    assert "turned round" in said(checks.mixture_gap, lambda truths, weights: weights @ ((weights @ truths) * np.log(weights @ truths / truths)).sum(1))
    assert "weights are missing" in said(checks.mixture_gap, lambda truths, weights: (truths * np.log(truths / (weights @ truths))).sum())
    assert "mixes the states alike" in said(checks.mixture_gap, lambda truths, weights: right(truths, np.full(len(weights), 1 / len(weights))))


def test_leaking(said):
    def right(model, floor, employee, units=None, errors=3):
        gap = pd.DataFrame(model - floor)
        error = (gap - gap.mean()).groupby(employee if units is None else np.arange(len(gap))).sum().pow(2).sum() ** 0.5 / len(gap)
        return [c for c in gap if gap[c].mean() < -errors * error[c]]

    assert said(checks.leaking, right).startswith("Right")
    assert said(checks.leaking, lambda model, floor, employee: None).startswith("Not done yet")
    assert "three were asked for" in said(checks.leaking, lambda *case: right(*case, errors=2))
    assert "had luck" in said(checks.leaking, lambda *case: right(*case, units="events"))
    assert "by luck or not" in said(checks.leaking, lambda model, floor, employee: [c for c in range(4) if model[:, c].mean() < floor[:, c].mean()])
    assert "a leak lies below it" in said(checks.leaking, lambda model, floor, employee: right(floor, model, employee))
    assert "expected" in said(checks.leaking, lambda model, floor, employee: [])


# 07_reading_a_training_report

def test_epochs_needed(said):
    def right(slope, scatter, errors=2, middle=0.5, first=3):
        enough = (n for n in range(first, 10_000) if slope * math.sqrt(((np.arange(n) - middle * (n - 1)) ** 2).sum()) > errors * scatter)
        return next(enough)

    assert said(checks.epochs_needed, right).startswith("Right")
    assert said(checks.epochs_needed, lambda slope, scatter: None).startswith("Not done yet")
    assert "two were asked for" in said(checks.epochs_needed, lambda slope, scatter: right(slope, scatter, errors=1))
    assert "must be centred" in said(checks.epochs_needed, lambda slope, scatter: right(slope, scatter, middle=0))
    assert "error of a mean" in said(checks.epochs_needed, lambda slope, scatter: math.floor((2 * scatter / slope) ** 2) + 1)
    assert "Count from three" in said(checks.epochs_needed, lambda slope, scatter: right(slope, scatter, first=2))
    assert "too many" in said(checks.epochs_needed, lambda slope, scatter: right(slope, scatter) + 1)
    assert "too few" in said(checks.epochs_needed, lambda slope, scatter: right(slope, scatter) - 1)


def test_other_categories(said):
    assert said(checks.other_categories, lambda mean, categories, shown: (mean * categories - sum(shown)) / (categories - len(shown))).startswith("Right")
    assert said(checks.other_categories, lambda mean, categories, shown: ...).startswith("Not done yet")
    assert "the rest are fewer" in said(checks.other_categories, lambda mean, categories, shown: mean - sum(shown) / categories)
    assert "their mean was asked" in said(checks.other_categories, lambda mean, categories, shown: mean * categories - sum(shown))


def test_diagnose(said):
    def right(fall, validation, above, repeated, moved, rest=0.01):
        if moved == 0:
            return "no step"
        return "too little data" if validation < 0 else "labels at random" if abs(above) < rest and moved > 0.1 else "rate too small"

    assert said(checks.diagnose, right).startswith("Right")
    assert said(checks.diagnose, lambda *marks: None).startswith("Not done yet")
    line = said(checks.diagnose, lambda fall, *marks: "no step" if fall < 0.1 else right(fall, *marks))
    assert "moved = 0.01 " in line and "so steps were taken" in line
    assert "no rate is that small" in said(checks.diagnose, lambda *marks: "rate too small" if marks[3] == 0 else right(*marks))
    assert "no small rate" in said(checks.diagnose, lambda *marks: right(*marks, rest=0))
    assert "on the way down is no rest" in said(checks.diagnose, lambda *marks: "labels at random" if abs(marks[2]) < 0.03 and marks[4] else right(*marks))
    assert "Look at validation" in said(checks.diagnose, lambda *marks: "too little data" if marks[0] > 0.01 else right(*marks))


def test_made_up_report(said):
    right = {"worse than guessing": ["Shift"], "below the floor": ["Site"], "marked epoch": 11, "best epoch": 5, "repeated rows": [8], "memorising from": 6}
    assert said(checks.made_up_report, right).startswith("Right")
    assert said(checks.made_up_report, dict.fromkeys(right, ...)).startswith("Not done yet")
    assert "below by luck" in said(checks.made_up_report, right | {"below the floor": ["Kind", "Site"]})
    assert "validation is lowest" in said(checks.made_up_report, right | {"best epoch": 11})
    assert "'worse than guessing': give a list, even of one." in said(checks.made_up_report, right | {"worse than guessing": "Shift"})
    assert "'repeated rows': give a list, even of one." in said(checks.made_up_report, right | {"repeated rows": 8})
