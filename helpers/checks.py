"""What an exercise calls to tell a student whether it works: one short function for each exercise.

Every check prints one line, which begins with "Not done yet", "Not yet" or "Right". A check looks like this:

    def padded_history(student):
        right = lambda history, length: ([0] * length + history)[-length:]
        cases = [([5, 6], 4), ([5, 6, 7], 2), ([], 3)]
        _compare(student, right, cases, {
            "The zeros belong on the left.": lambda history, length: (history + [0] * length)[:length],
        })

A case holds the arguments of one call. An answer that is a value needs no cases:
`_compare(student, 0.25, mistakes={"This is the sum; the mean is asked for.": 1.0})`.
"""
from __future__ import annotations

import copy
import dis
import inspect
import math
from collections import Counter
from functools import wraps
from numbers import Real
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.events import TEST
from helpers.model import attend

SHORT = 90  # characters of a value that still read well in a sentence


def _compare(student, right, cases=((),), mistakes={}, tolerance=1e-4, errors={}, broken=lambda case, used: "") -> None:
    """Print whether the student's function answers every case as the right one does. Values may stand for functions.

    Where a wrong answer is that of a known mistake, the mistake's words are added. Numbers with a point may
    differ by `tolerance` of their size, and by a tenth of it near zero; shapes and whole numbers may not.
    `errors` has words for kinds of errors. `broken` has them for right values that were found in a way that is
    not allowed; it takes a case, and the copy of it that the student's function has used.
    """
    print(_verdict(student, right, cases, mistakes, tolerance, errors, broken))


def _verdict(student, right, cases, mistakes, tolerance=1e-4, errors={}, broken=lambda case, used: "") -> str:
    it, told = "your function" if callable(student) else "your answer", ""
    for number, case in enumerate(cases):
        case = case if isinstance(case, tuple) else (case,)
        expected, used = _answer(right, case), copy.deepcopy(case)
        try:
            given = student(*used) if callable(student) else student
        except Exception as error:
            if "ellipsis" in str(error):  # a sum, say, one part of which is still `...`
                return f"Not done yet: {it} still has a `...` to fill in."
            said = (str(error).strip() or "no message").splitlines()[0]
            words = next((f". {words}" for kind, words in errors.items() if isinstance(error, kind)), "")
            return f"Not yet: {_given_to(right, case)}{it} raised {type(error).__name__}: {said}{words}"
        if given is ... or given is None and expected is not None and number == 0:
            if given is None and callable(student) and not _stub(student):
                return "Not done yet: your function returns nothing. (Is there a `return`?)"
            return f"Not done yet: {it} is still {'to be written' if callable(student) else 'missing'}."
        if _unfinished(_plain(given)):
            return f"Not done yet: {it} still has a `...` to fill in."
        difference = _first_difference(_plain(given), _plain(expected), tolerance)
        if difference:
            wrong = _contrast(it, given, expected, difference)
            return f"Not yet: {_given_to(right, case)}{wrong}{_named(given, case, mistakes, tolerance)}"
        told = told or broken(case, used)
    if told:
        return f"Not yet: the values are right. {told}"
    return "Right: that is the answer." if len(cases) == 1 else f"Right: all {len(cases)} cases agree."


def _stub(function) -> bool:
    """Whether nothing is called, counted or compared in a function: then it is still to be written."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and not any(step.opname.startswith(("CALL", "BINARY", "COMPARE", "FOR_ITER")) for step in dis.get_instructions(code))


def _answer(function, case):
    """What a function answers to a copy of the case, so that nobody can change it for the next. A value answers itself."""
    return function(*copy.deepcopy(case)) if callable(function) else function


def _named(given, case, mistakes, tolerance) -> str:
    """The words of the mistake that leads to this answer, if one does."""
    for words, mistake in mistakes.items():
        try:
            same = _first_difference(_plain(given), _plain(_answer(mistake, case)), tolerance) is None
        except Exception:  # a mistake that cannot answer this case is not the one that was made
            continue
        if same:
            return f" {words}"
    return ""


def _plain(value):
    """Tensors, arrays, tables and tuples as lists and dictionaries, so that they compare alike."""
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if hasattr(value, "to_dict"):  # a table of pandas
        return _plain(value.to_dict("list"))
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple, range)) else value


def _unfinished(value) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is ... or any(_unfinished(part) for part in parts)


def _first_difference(given, expected, tolerance, place=""):
    """(place, given there, expected there) of the first value that differs, or None."""
    if isinstance(given, list) and isinstance(expected, list) and len(given) == len(expected):
        keys = range(len(expected))
    elif isinstance(given, dict) and isinstance(expected, dict) and given.keys() == expected.keys():
        keys = expected
    else:
        return None if _equal(given, expected, tolerance) else (place, given, expected)
    found = (_first_difference(given[key], expected[key], tolerance, f"{place}[{key!r}]") for key in keys)
    return next(filter(None, found), None)


def _equal(given, expected, tolerance) -> bool:
    if isinstance(given, Real) and isinstance(expected, Real) and float in (type(given), type(expected)):
        nan = math.isnan(given) and math.isnan(expected)
        return nan or math.isclose(given, expected, rel_tol=tolerance, abs_tol=tolerance / 10)
    try:
        return bool(given == expected)
    except Exception:  # values that cannot even be compared
        return False


def _contrast(it, given, expected, difference) -> str:
    place, *there = difference
    values = [_text(value) for value in (given, expected)]
    shapes = [_shape(value) for value in (given, expected)]
    if shapes[0] != shapes[1]:
        values = [text if not shape or "shape" in text else f"{text} of shape {shape}" for text, shape in zip(values, shapes)]
    elif place and any(len(repr(_rounded(_plain(value)))) > SHORT for value in (given, expected)):
        it, values = f"at {place} {it}", map(_text, there)
    return "{} {} {}, and {} was expected.".format(it, "gave" if "function" in it else "is", *values)


def _shape(value) -> tuple:
    try:
        return np.shape(_plain(value))
    except ValueError:  # rows of unequal lengths
        return (len(value),)


def _given_to(right, case) -> str:
    if not case:
        return ""
    try:
        names = inspect.signature(right).bind(*case).arguments
    except ValueError:  # a function that doesn't tell the names of its arguments
        names = range(1, len(case) + 1)
    return f"with {', '.join(f'{name} = {_text(value)}' for name, value in zip(names, case))} "


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _text(value) -> str:
    """A value as it reads in a sentence: short ones in full, the others cut, or by their kind and shape."""
    plain = _plain(value)
    text = repr(_rounded(plain)) if isinstance(plain, (Real, str, list, dict, type(None))) else type(value).__name__
    if len(text) <= SHORT:
        return text
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    return f"{type(value).__name__}{shape}" if shape else f"{text[:SHORT]}…"


# 00_start_here

def ceiling(student):
    _compare(student, lambda size: math.log(size), [4, 100, 10], {
        "That is the probability of each value; its loss is still to come.": lambda size: 1 / size,
        "That counts in bits, by the logarithm to base 2; nats take the natural one.": math.log2,
        "That takes the logarithm to base 10; nats take the natural one.": math.log10,
        "The sign: a loss is minus the logarithm of a probability.": lambda size: -math.log(size),
    })


def equally_likely(student):
    _compare(student, lambda loss: math.exp(loss), [0.0, 0.5, math.log(100)], {
        "That is the probability; how many values share it?": lambda loss: math.exp(-loss),
        "That takes the loss for bits; nats belong to e, not to 2.": lambda loss: 2 ** loss,
        "That is the way from a number of values to a loss; this is the way back.": math.log,
    })


def next_event(student, run):
    """`run` is the trained run, a Trainer; origins are those of its test part."""
    windows, vocabularies = run.data.windows[TEST], run.data.log.vocabularies

    def at(origin, step=0, give=lambda category, value: vocabularies[category][value]):
        with torch.no_grad():
            heads = run.model(windows.batch(np.array([origin])))[0, step].split(run.sizes)
        return [give(category, int(heads[run.names.index(category)].argmax())) for category in ("EventType", "LocationRecordId")]

    def happened(origin):
        event = windows.batch(np.array([origin])).target[0, 0]
        return [vocabularies[category][event[run.names.index(category)]] for category in ("EventType", "LocationRecordId")]

    origins = [windows.origins[int(share * len(windows)):].tolist() for share in (0.2, 0.5, 0.8)]
    surprises = (origin for origin in origins[2] if at(origin) != happened(origin))  # the model isn't always right
    _compare(student, lambda origin: at(origin), [origins[0][0], origins[1][0], next(surprises, origins[2][0])], {
        "That is what truly happened; the model's most likely event is asked for.": happened,
        "That is the last step of the horizon; the next event is the first.": lambda origin: at(origin, -1),
        "Those are integers; `column` makes names of them.": lambda origin: at(origin, 0, lambda category, value: value),
        "Kind first, then site.": lambda origin: at(origin)[::-1],
    })


def best_share(student):
    def right(hours, change=0.2 / 24, back=1 / 5, stray=0.1 / 5):
        s = 1.0
        for _ in range(hours):
            s = s * (1 - change) + (1 - s) * change * back
        return s * 0.9 + (1 - s) * stray

    _compare(student, lambda hours: right(hours), [0, 1, 24, 72], {
        "A habit that has changed may change back, which is missing.": lambda hours: right(hours, back=0),
        "A habit that has changed goes back in one of five cases, not always.": lambda hours: right(hours, back=1),
        "The plan may also stray to your site by lot, when the habit is another one.": lambda hours: right(hours, stray=0),
        "That is the probability that the habit is the same; a plan follows it nine times in ten.": lambda hours: (right(hours) - 0.02) / 0.88,
        "0.2 is the rate of a day; in an hour it is 0.2 / 24.": lambda hours: right(hours, change=0.2),
    })


# 01_data_prep

def vocabulary_of(student):
    def right(names, most, min_count, first=1, blank=True, order=sorted):
        counted = [(name, n) for name, n in Counter(names).most_common() if n >= min_count and (name or not blank)]
        return {name: i for i, name in enumerate(order(name for name, _ in counted[:most]), first)}

    sites = ["yard", "gate", "yard", "", "dock", "gate", "yard", "", "", ""]
    cases = [(sites, 9, 1), (sites, 9, 2), (sites, 1, 1), (["b", "a", "b"], 9, 1), ([], 3, 1)]
    _compare(student, lambda names, most, min_count: right(names, most, min_count), cases, {
        "0 stays free for what is unknown, so integers count from 1.": lambda *case: right(*case, first=0),
        "A blank is no name; it gets no integer.": lambda *case: right(*case, blank=False),
        "They are in the order of their counts; the alphabet's is asked for.": lambda *case: right(*case, order=list),
        "Cut by frequency first, then sort.": lambda names, most, least: dict(list(right(names, len(names), least).items())[:most]),
        "Leave blanks out before counting.": lambda *case: {name: i for i, name in enumerate(filter(None, right(*case, blank=False)), 1)},
        "A name that is seen min_count times is frequent enough.": lambda names, most, least: right(names, most, least + 1),
    })


def bins(to_integer, to_hours):
    def right(hours, whole=round, shift=1, most=99):
        return 0 if hours is None else min(whole(hours / 0.25) + shift, most)

    lines = [_verdict(to_integer, lambda hours: right(hours), [0.0, 6.75, 7.2, None, 40.0], {
        "int cuts off; the nearest quarter hour is asked for.": lambda hours: right(hours, int),
        "0 means blank, so no hours at all are 1, not 0.": lambda hours: right(hours, shift=0),
        "The category has 100 values, 0 to 99.": lambda hours: right(hours, most=10**9),
        "That is one too many: 99 is the last value.": lambda hours: right(hours, most=100),
    }), _verdict(to_hours, lambda integer: None if integer == 0 else (integer - 1) * 0.25, [1, 28, 99, 0], {
        "The shift by one is to be undone first.": lambda integer: integer * 0.25,
        "First take away the one, then multiply.": lambda integer: integer * 0.25 - 1,
        "0 is a blank, not a number of hours.": lambda integer: (integer - 1) * 0.25,
    })]
    print(next((line for line in lines if not line.startswith("Right")), "Right: there and back."))


def padded(student):
    cases = [([5, 6], 4), ([5, 6, 7], 2), ([], 3), ([8], 1)]
    _compare(student, lambda history, length: ([0] * length + history)[-length:], cases, {
        "Those are the oldest; the last ones are asked for.": lambda history, length: [0] * (length - len(history)) + history[:length],
        "The zeros belong in front: a history ends at the origin.": lambda history, length: (history + [0] * length)[:length],
        "That is longer than asked for: of a long history only the last events count.":
            lambda history, length: [0] * (length - len(history)) + history,
    }, broken=lambda case, used: "" if case[0] == used[0] else "You changed `history` itself; make a new list.")


def steps_that_count(student):
    def right(part, origin, length, after=1):
        return sum(other == part[origin] for other in part[origin + after:origin + after + length])

    parts = [0, 0, 0, 0, 1, 1, 2, 2, 2]
    _compare(student, lambda part, origin, length: right(part, origin, length), [(parts, 0, 2), (parts, 1, 5), (parts, 3, 3), (parts, 4, 5), (parts, 7, 4)], {
        "The origin is known; it is not part of its target.": lambda *case: right(*case, after=0),
        "That is the log's end; a target may not cross the border of its part either.": lambda part, origin, length: min(length, len(part) - 1 - origin),
        "That counts up to the border, also where the target is shorter.": lambda part, origin, length: right(part, origin, len(part)),
    })


def mended(student):
    def right(raw, shift=("recipient", "reference_time"), fill=pd.Series.ffill, told=lambda told: told.expanding().mean()):
        hours = "hours_worked"
        return pd.DataFrame({
            "shifts_so_far": (raw["event_type"] == "punch_in").groupby(raw["recipient"]).cumsum(),
            "hours_of_shift": raw.groupby(list(shift))[hours].transform(fill),
            "hours_at_site": raw.groupby("location")[hours].transform(told),
            "last_hours": raw.groupby("recipient")[hours].ffill(),
        })

    three = pd.DataFrame({
        "event_type": ["punch_in", "break_end", "shift_scheduled"] * 3, "recipient": np.repeat(["E1", "E2", "E1"], 3),
        "reference_time": np.repeat([1, 2, 3], 3), "location": "gate", "hours_worked": [np.nan, 6, np.nan, np.nan, 8, np.nan, np.nan, 5, np.nan],
    })
    fills = {"'hours_of_shift' still looks ahead.": dict(fill="max"), "bfill fills from later rows: that is the leak itself.": dict(fill=pd.Series.bfill),
             "Once told, the hours hold for the rest of the shift: carry them forward.": dict(fill=pd.Series.cummax),
             "'hours_of_shift' carries one shift's hours into the next; it should be blank until they are told.": dict(shift=["recipient"])}
    means = {"'hours_at_site' still looks ahead.": dict(told="mean"),
             "The event at hand is known; it belongs to the mean so far.": dict(told=lambda told: told.shift().expanding().mean())}
    both = {f"{a} {b}": one | other for a, one in fills.items() for b, other in means.items()}
    _compare(student, lambda raw: right(raw), [(three[:3 * shifts],) for shifts in (1, 2, 3)],
             {words: lambda raw, wrong=wrong: right(raw, **wrong) for words, wrong in {**fills, **means, **both}.items()})


# 02_stream_encoders

def weights_of(student):
    def right(query, keys, known, scale=True, mask=-torch.inf, after=False):
        scores = keys @ query / (len(query) ** 0.5 if scale else 1)
        return scores.softmax(-1) * known if after else scores.masked_fill(~known, mask).softmax(-1)

    history, known = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), torch.tensor([False, True, True])
    cases = [(torch.tensor([1.0, 2.0]), history, ~known | known), (torch.tensor([0.0, 2.0]), history, known),
             (torch.tensor([1.0, 1.0, -1.0, 0.5]), torch.eye(4), torch.tensor([False, False, True, True]))]
    _compare(student, lambda query, keys, known: right(query, keys, known), cases, {
        "The scores are still to be divided by the root of d.": lambda *case: right(*case, scale=False),
        "They are divided by d; it should be its root.": lambda query, keys, known: right(query / len(query) ** 0.5, keys, known),
        "A score of 0 is no weight of 0: padded places need -inf.": lambda *case: right(*case, mask=0.0),
        "The mask is missing.": lambda query, keys, known: right(query, keys, known | True),
        "The weights no longer sum to 1: mask the scores, before the softmax.": lambda *case: right(*case, after=True),
        "The mask is the wrong way round: `known` is True where an event is.": lambda query, keys, known: right(query, keys, ~known),
    })


def fair_width(student):
    def right(streams, d, hidden, biases=True, norms=3, told=True):
        fixed, each = norms * 2 * d + 4 * d * d + biases * 5 * d, 2 * d + biases
        return (streams * (fixed + each * hidden) - told * streams * d - fixed) // each

    _compare(student, lambda streams, d, hidden: right(streams, d, hidden), [(3, 5, 7), (6, 4, 10), (7, 32, 128), (1, 8, 32)], {
        "The biases are missing.": lambda *case: right(*case, biases=False),
        "The norms are missing: two in the layer, one after it.": lambda *case: right(*case, norms=0),
        "The norm after the layer is missing.": lambda *case: right(*case, norms=2),
        "The shared encoder's vector for each stream is missing.": lambda *case: right(*case, told=False),
        "That keeps the width of all blocks together; but one encoder has fewer attention maps, too.": lambda streams, d, hidden: streams * hidden,
        "That is one too many: round down.": lambda *case: right(*case) + 1,
    })


def stream_linear(student):
    def right(x, weight, bias):
        return x @ weight + bias[:, None]

    new = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([[[1.0], [2.0]], [[1.0], [2.0]]]), torch.tensor([[[3.0]], [[10.0]]]), torch.tensor([[0.5], [0.0]])),
             *[tuple(torch.randn(shape, generator=new) for shape in ((s, n, i), (s, i, o), (s, o))) for s, n, i, o in ((3, 4, 2, 5), (3, 3, 3, 3))]]
    _compare(student, lambda x, weight, bias: right(x, weight, bias), cases, {
        "The bias is missing.": lambda x, weight, bias: x @ weight,
        "Every stream went through the first stream's map.": lambda x, weight, bias: x @ weight[0] + bias[0],
        "The bias went along the wrong axis: it needs one for N.": lambda x, weight, bias: x @ weight + bias,
        "That is summed over the streams; each keeps its own.": lambda x, weight, bias: torch.einsum("sni,sio->no", x, weight),
    })


def shown_by(student):
    right = {1: "Actor", 2: "Recipient", 3: "CostCode", 4: "any", 5: "Location"}
    said = {1: "whose habit is it?", 2: "whose shifts are all planned alike?", 3: "the habit is not the site's: which history holds all that belongs to it?",
            4: "a habit of the whole workplace shows in which histories?", 5: "which history holds all the people who work there?"}
    wrong = [number for number in right if isinstance(student, dict) and student.get(number) not in (..., right[number])]
    _compare(student, right, mistakes={f"Think again about number {number}: {said[number]}": student for number in wrong[:1]})


def last_row(student):
    def right(layer, x, known, sums=(1, 1), whole=True):
        normed = layer.norm1(x)
        k, v = layer.key_value(normed if whole else normed[:, -1:]).chunk(2, -1)
        mixed = attend(layer.query(normed[:, -1:]), k, v, layer.heads, attn_mask=known[:, None, None] if whole else None)
        x = sums[0] * x[:, -1:] + layer.out(mixed)
        return (sums[1] * x + layer.narrow(layer.wide(layer.norm2(x)).relu()))[:, 0]

    class Map(nn.Linear):
        rows = 0  # that have gone through it

        def forward(self, x):
            self.rows += x.numel() // x.shape[-1]
            return super().forward(x)

    def parts(d, heads):
        return SimpleNamespace(heads=heads, norm1=nn.LayerNorm(d), norm2=nn.LayerNorm(d), query=Map(d, d), out=Map(d, d),
                               key_value=nn.Linear(d, 2 * d), wide=Map(d, 4 * d), narrow=Map(4 * d, d))

    def broken(case, used):
        rows = max(getattr(used[0], name).rows for name in ("query", "out", "wide", "narrow"))
        return "That computes all places; only the last is needed." if rows > len(case[1]) else ""

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cases = [(parts(4, 2), torch.randn(2, 3, 4), torch.tensor([[True, True, True], [False, True, True]])),
                 (parts(6, 3), torch.randn(1, 5, 6), torch.tensor([[False, False, True, True, True]]))]
    _compare(student, lambda layer, x, known: right(layer, x, known), cases, {
        "The mask is missing: padded places get weight.": lambda layer, x, known: right(layer, x, known | True),
        "What was there before is missing: x plus what attention adds.": lambda *case: right(*case, sums=(0, 1)),
        "What was there before is missing: x plus what the feed-forward adds.": lambda *case: right(*case, sums=(1, 0)),
        "The last place looked at itself alone: keys and values are needed of all places.": lambda *case: right(*case, whole=False),
        "The axis of length one is still there; (B, d) is wanted.": lambda *case: right(*case)[:, None],
    }, broken=broken)


# 03_cross_attention

def may_look(student):
    def right(steps):
        return [[key <= query for key in range(steps)] for query in range(steps)]

    _compare(student, right, [3, 1, 4], {
        "That lets each step look at what comes after it: turn the matrix round.": lambda steps: [[key >= query for key in range(steps)] for query in range(steps)],
        "A step may look at itself as well.": lambda steps: [[key < query for key in range(steps)] for query in range(steps)],
        "That is True where it must not look.": lambda steps: [[key > query for key in range(steps)] for query in range(steps)],
    })


def by_stream(student):
    def right(weights, carry):
        return weights.unflatten(-1, (-1, carry)).sum(-1)

    new = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([[[[0.1, 0.2, 0.3, 0.4]]]]), 2), *[(torch.rand(shape, generator=new).softmax(-1), carry) for shape, carry in
                                                             (((2, 4, 3, 7), 1), ((2, 2, 3, 12), 4), ((1, 2, 2, 9), 3))]]
    _compare(student, lambda weights, carry: right(weights, carry), cases, {
        "The states of one stream lie side by side: the streams are the outer axis, carry the inner one.":
            lambda weights, carry: weights.unflatten(-1, (carry, -1)).sum(-2),
        "That sums over the streams; over each stream's states is meant.": lambda weights, carry: weights.unflatten(-1, (-1, carry)).sum(-2),
        "That is the mean of each stream's states; their weights add up.": lambda weights, carry: right(weights, carry) / carry,
    })


def averaged(student):
    def right(states, s, mean=lambda states, s: states[:, s].mean(0)):
        states = states.clone()
        states[:, s] = mean(states, s)
        return states

    new = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([[[1.0, 0.0], [2.0, 5.0]], [[3.0, 4.0], [2.0, 7.0]]]), 0), (torch.randn(4, 3, 2, generator=new), 2)]
    _compare(student, lambda states, s: right(states, s), cases, {
        "That is the mean over the streams; the mean over the windows is meant, axis 0.": lambda states, s: right(states, s, lambda x, s: x.mean(1)),
        "That is one number for all dimensions; each dimension has a mean of its own.": lambda states, s: right(states, s, lambda x, s: x[:, s].mean()),
        "That replaces all streams; only stream s is meant.": lambda states, s: states.mean(0).expand_as(states),
        "That is the stream's mean alone; all states are wanted, with it in its place.": lambda states, s: states[:, s].mean(0),
        "Nothing has changed: did you change a copy, and return it?": lambda states, s: states,
    }, broken=lambda case, used: "" if torch.equal(case[0], used[0]) else "You changed `states` itself; clone first.")


def what_is_read(student):
    def vectors(weights, states, layer, out=True, cut=True):
        heads = weights.shape[1]
        values = layer.cross_key_value(states).chunk(2, -1)[1].unflatten(-1, (heads, -1))
        maps = layer.cross_out.weight.unflatten(-1, (heads, -1))
        carried = torch.einsum("bshe,dhe->bhsd", values, maps) if out else values.transpose(1, 2)
        return weights[..., None] * carried[:, :, None]  # (B, heads, U, S, d)

    def right(weights, states, layer):
        return vectors(weights, states, layer).sum(1).norm(dim=-1)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cases = [(torch.rand(2, h, 3, 4).softmax(-1), torch.randn(2, 4, d), SimpleNamespace(cross_key_value=nn.Linear(d, 2 * d), cross_out=nn.Linear(d, d)))
                 for h, d in ((1, 2), (2, 6))]
    _compare(student, lambda weights, states, layer: right(weights, states, layer), cases, {
        "The lengths of the heads are added; add the heads' vectors, then take the length.": lambda *case: vectors(*case).norm(dim=-1).sum(1),
        "Those are the heads' means; the heads' vectors add up.": lambda *case: vectors(*case).mean(1).norm(dim=-1),
        "The out map is missing: what a head has read goes through its part of cross_out.":
            lambda *case: vectors(*case, out=False).transpose(1, 2).transpose(2, 3).flatten(3).norm(dim=-1),
        "That is the length of the value without its weight.": lambda weights, *rest: right(torch.ones_like(weights), *rest),
        "That sums over the streams; a length for each is wanted.": lambda *case: vectors(*case).sum((1, 3)).norm(dim=-1),
    })


# 04_last_vector_constraint

def multiplications(student):
    def layer(T, d, queries, events=None):
        return 2 * (T if events is None else events) * d * d + queries * (10 * d * d + 2 * T * d)

    def right(T, d, layers, carry):
        return (layers - 1) * layer(T, d, T) + layer(T, d, carry)

    _compare(student, right, [(20, 32, 1, 1), (20, 32, 1, 20), (10, 16, 2, 4), (50, 64, 3, 1)], {
        "Only the last layer may leave queries out: the layers before it feed its keys and values at every place.":
            lambda T, d, layers, carry: layers * layer(T, d, carry),
        "That lets the last layer compute every query; only `carry` of them go on.": lambda T, d, layers, carry: layers * layer(T, d, T),
        "The last layer still needs the keys and values of all events: its query reads them all.":
            lambda T, d, layers, carry: (layers - 1) * layer(T, d, T) + layer(T, d, carry, events=carry),
        "The feed-forward works on the queries alone, not on every event.":
            lambda T, d, layers, carry: right(T, d, layers, carry) + 8 * (T - carry) * d * d,
    })


def carried(student):
    def right(encoded, known, carry, part=lambda x, carry: x[:, :, -carry:]):
        return part(encoded, carry).transpose(0, 1).flatten(1, 2), part(known, carry).flatten(1)

    def untransposed(encoded, known, carry):
        S, B, T, d = encoded.shape
        return encoded[:, :, -carry:].reshape(B, S * carry, d), known[:, :, -carry:].flatten(1)

    draw = torch.Generator().manual_seed(0)
    cases = [(torch.arange(S * B * T * 2.0).view(S, B, T, 2), torch.rand(B, S, T, generator=draw) < 0.5, carry)
             for S, B, T, carry in ((2, 3, 4, 1), (2, 3, 4, 2), (3, 2, 5, 5))]
    _compare(student, right, cases, {
        "Those are the first vectors of each history; the origin stands at the end.":
            lambda encoded, known, carry: right(encoded, known, carry, lambda x, carry: x[:, :, :carry]),
        "The streams come first in `encoded`: bring the windows to the front before you flatten.": untransposed,
        "The vectors are right; the mask must be cut like them.": lambda encoded, known, carry: (right(encoded, known, carry)[0], known.flatten(1)),
        "That is the one vector `carry` places from the end; all of the last ones go on.":
            lambda encoded, known, carry: right(encoded, known, carry, lambda x, carry: x[:, :, -carry][:, :, None]),
    })


def mean_state(student):
    def right(encoded, known):
        weight = known.transpose(0, 1)[..., None].float()
        return ((encoded * weight).sum(2) / weight.sum(2)).transpose(0, 1)

    encoded = torch.arange(2 * 2 * 3 * 2.0).view(2, 2, 3, 2) ** 1.5
    known = torch.tensor([[[0, 1, 1], [1, 1, 1]], [[0, 0, 1], [0, 1, 1]]], dtype=torch.bool)
    _compare(student, right, [(encoded, torch.ones_like(known)), (encoded, known)], {
        "Padded places are in your mean; they hold no event.": lambda encoded, known: encoded.mean(2).transpose(0, 1),
        "Padded places are left out of the sum but not of the number that it is divided by.":
            lambda encoded, known: (encoded * known.transpose(0, 1)[..., None]).mean(2).transpose(0, 1),
        "The shape: windows first, then streams.": lambda encoded, known: right(encoded, known).transpose(0, 1),
        "That is the last vector, not the mean.": lambda encoded, known: encoded[:, :, -1].transpose(0, 1),
    })


def places_read(student):
    read = {  # what each black box computes from (T, d), by name, and which of four places it reads
        "the_last_vector": (lambda box, x: x[-1].sum(), [3]),
        "the_last_two": (lambda box, x: (x[-1] * x[-2]).sum(), [2, 3]),
        "the_largest_of_all": (lambda box, x: x.max(0).values, [0, 1, 2, 3]),
        "the_smallest_of_all": (lambda box, x: x.amin(0), [0, 1, 2, 3]),
        "one_rounded": (lambda box, x: (x[1] / 4).round().sum(), [1]),
        "the_last_and_one_where_it_is_large": (lambda box, x: torch.relu(x[0] - 5).sum() + x[3].sum(), [0, 3]),
    }
    boxes = [type(name, (), {"__call__": function})() for name, (function, _) in read.items()]

    def by_gradient(box, x):
        x = x.clone().requires_grad_()
        out = box(x).sum()
        grad = torch.autograd.grad(out, x)[0] if out.requires_grad else torch.zeros_like(x)
        return [bool(place.any()) for place in grad]

    def by_one_change(box, x):
        return [not torch.equal(box(x), box(x + 100 * (torch.arange(len(x)) == place)[:, None])) for place in range(len(x))]

    x = torch.tensor([[0.1, 0.2], [0.3, -0.1], [0.5, 0.4], [0.2, 0.1]])
    _compare(student, lambda box, encoded: [place in read[type(box).__name__][1] for place in range(4)], [(box, x) for box in boxes], {
        "A minimum does not hear of what grows: draw the change several times, up and down.": by_one_change,
        "A gradient, or a little noise, does not get through a maximum, a rounding or a relu. Make the change large, and draw it several times.": by_gradient,
    })


# 05_training

def weighted_loss(student):
    def right(losses, counts, weights):
        return (losses[counts].mean(0) * weights).sum() / weights.sum()

    losses = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.1], [9.0, 9.0]]])
    whole, padded = torch.ones(2, 2, dtype=torch.bool), torch.tensor([[True, True], [True, False]])
    cases = [(losses, whole, torch.tensor([1.0, 1.0])), (losses, whole, torch.tensor([2.0, 1.0])), (losses, padded, torch.tensor([0.5, 3.0]))]
    _compare(student, right, cases, {
        "Padded steps are in your mean; `counts` says which steps count.":
            lambda losses, counts, weights: (losses.mean((0, 1)) * weights).sum() / weights.sum(),
        "Padded steps are left out of the sum but not of the number that it is divided by.":
            lambda losses, counts, weights: ((losses * counts[..., None]).mean((0, 1)) * weights).sum() / weights.sum(),
        "Divide by the sum of the weights, or the loss grows with them.": lambda losses, counts, weights: right(losses, counts, weights) * weights.sum(),
        "That is divided by the number of categories; divide by the sum of the weights.":
            lambda losses, counts, weights: (losses[counts].mean(0) * weights).mean(),
        "That is the plain mean; the weights are missing.": lambda losses, counts, weights: losses[counts].mean(),
        "The mean is taken window by window first; every step that counts weighs alike.":
            lambda losses, counts, weights: (torch.stack([one[there].mean(0) for one, there in zip(losses, counts)]).mean(0) * weights).sum() / weights.sum(),
    })


def no_better_than_guessing(student):
    def right(losses, sizes, log=math.log):
        return [name for name, loss in losses.items() if loss >= log(sizes[name])]

    sizes = {"kind": 10, "site": 100, "yes or no": 2, "minute": 61}
    cases = [({"kind": 2.0, "site": 4.0, "yes or no": 0.71, "minute": 4.0}, sizes),
             ({"site": 4.5, "yes or no": 0.6, "minute": 4.12, "kind": math.log(10)}, sizes), ({"kind": 1.2, "site": 5.0, "yes or no": 0.1, "minute": 0.2}, sizes)]
    _compare(student, right, cases, {
        "That takes the ceiling in bits, by the logarithm to base 2.": lambda losses, sizes: right(losses, sizes, math.log2),
        "That takes the logarithm to base 10; nats take the natural one.": lambda losses, sizes: right(losses, sizes, math.log10),
        "Each category has a ceiling of its own; you hold all against their mean.":
            lambda losses, sizes: [name for name, loss in losses.items() if loss >= np.mean([math.log(size) for size in sizes.values()])],
        "A loss that is just the ceiling is no better than guessing.": lambda losses, sizes: [name for name in losses if losses[name] > math.log(sizes[name])],
        "They are sorted; the order of `losses` is asked for.": lambda losses, sizes: sorted(right(losses, sizes)),
        "Those are better than guessing; the others were asked for.":
            lambda losses, sizes: [name for name, loss in losses.items() if loss < math.log(sizes[name])],
    })


def accumulated(student):
    class Loss:
        longest = backwards = 0  # the most rows of a call, and how often a gradient came to the weight

        def __call__(self, weight, rows):
            if self.longest == 0:
                weight.register_post_accumulate_grad_hook(lambda _: setattr(self, "backwards", self.backwards + 1))
            self.longest = max(self.longest, len(rows))
            return ((rows[:, :2] @ weight - rows[:, 2]) ** 2).mean()

    def gradient(loss, weight, parts, share, last_only=False):
        for part in parts[-1:] if last_only else parts:
            (loss(weight, part) * share(part, parts)).backward()
        return weight.grad

    def broken(case, used):
        if used[0].longest > max(map(len, case[2])):
            return "But `loss` was called on more rows than the longest part has, and only one part at a time fits into memory."
        return "" if used[0].backwards == len(case[2]) else f"But `backward` was called {used[0].backwards} times for {len(case[2])} parts; call it once for each."

    rows = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, 2.0], [3.0, 1.0, 1.0], [2.0, 2.0, 4.0], [1.0, 0.0, 3.0], [0.5, 1.0, 1.0]])
    cases = [(Loss(), torch.tensor([0.5, -1.0], requires_grad=True), parts) for parts in ([rows], [rows[:3], rows[3:]], [rows[:4], rows[4:]])]
    fair = lambda part, parts: len(part) / sum(map(len, parts))
    _compare(student, lambda loss, weight, parts: gradient(loss, weight, parts, fair), cases, {
        "That adds the gradients up, so the step is as many times too large as there are parts.": lambda *case: gradient(*case, lambda part, parts: 1),
        "Right for parts of equal length. Otherwise each weighs by its share of the rows.": lambda *case: gradient(*case, lambda part, parts: 1 / len(parts)),
        "Only the last part is in your gradient: it was set to zero between the parts.": lambda *case: gradient(*case, fair, last_only=True),
    }, broken=broken)


def chosen_rate(student):
    def smooth(losses, width=5):
        return np.convolve(losses, np.ones(width) / width, "valid")  # its first value belongs to place width // 2

    def right(rates, losses, width=5, shift=2, part=0.1):
        return part * rates[int(np.argmin(smooth(losses, width))) + shift]

    rates, rng = np.logspace(-5, 0, 101), np.random.default_rng(0)
    places = np.arange(101)
    curves = [4 - 2.2 / (1 + np.exp(-(places - 50) / 6)) + np.exp((places - turn) / 5) + noise * rng.normal(size=101) for turn, noise in ((85, 0), (90, 0.1), (75, 0.2))]
    curves[1][60] = 1.0  # a lucky batch
    _compare(student, lambda rates, losses: right(rates, losses), [(rates, losses) for losses in curves], {
        "That is the rate at which the loss is least: the edge. Take a tenth of it.": lambda rates, losses: right(rates, losses, part=1),
        "A single lucky batch has chosen: smooth the losses first.": lambda rates, losses: right(rates, losses, width=1, shift=0),
        "The smoothed losses are shorter: the first belongs to the third rate.": lambda rates, losses: right(rates, losses, shift=0),
        "That takes the mean of the batches before; a running mean is centred, or it comes late.": lambda rates, losses: right(rates, losses, shift=4),
    })


def rest_of_epoch(student):
    def orders(order, *runs):
        return [[np.asarray(batch).tolist() for batch in order(*run)] for run in runs]

    @wraps(student)
    def described():
        if (first := student(7, 0, 10, 3, 0)) is None or first is ...:
            return first
        before = _plain([np.random.get_state(), torch.get_rng_state()])
        whole, = orders(student, (7, 0, 10, 3, 0))
        rests = orders(student, *((7, 0, 10, 3, done) for done in range(5)))
        epochs, seeds = ([str(one) for one in orders(student, *runs)] for runs in (((7, e, 10, 3, 0) for e in range(3)), ((s, 0, 10, 3, 0) for s in range(3))))
        mirrored = orders(student, (0, 1, 10, 3, 0), (1, 0, 10, 3, 0))
        after = _plain([np.random.get_state(), torch.get_rng_state()])
        values = (sorted(sum(whole, [])) == list(range(10)), [len(batch) for batch in whole] == [3, 3, 3, 1],
                  rests == [whole[done:] for done in range(5)] or [sum(rest, []) for rest in rests] == [sum(whole, [])[done:] for done in range(5)] and by_windows,
                  len(set(epochs)) == 3, len(set(seeds)) == 3, mirrored[0] != mirrored[1], before == after)
        return dict(zip(right, values))

    names = ("every window once", "batches of the size asked for", "the rest is the end of the whole", "another epoch, another order",
             "another seed, another order", "seed and epoch are told apart", "the shared random states are left alone")
    right = dict.fromkeys(names, True)
    by_windows = "begins at window `done`"
    drawn_anew, shared = {names[2]: False}, {names[6]: False}
    _compare(described, lambda: right, mistakes={
        "`done` counts batches, not windows.": lambda: right | {names[2]: by_windows},
        "Each call draws anew: seed and epoch, and nothing else, must decide.": lambda: right | drawn_anew,
        "Each call draws anew, from a generator that everybody shares: make one of your own, from seed and epoch.": lambda: right | drawn_anew | shared,
        "You seed a generator that everybody shares; make one of your own.": lambda: right | shared,
        "All epochs have one order: the epoch must take part in the draw.": lambda: right | {names[3]: False},
        "All seeds have one order: the seed must take part in the draw.": lambda: right | {names[4]: False},
        "`seed + epoch` makes epoch 1 of seed 0 the same as epoch 0 of seed 1; give the generator both numbers.": lambda: right | {names[5]: False},
    })


# 06_category_losses

def cross_entropy(student):
    def right(logits, true):
        largest = max(logits)
        return math.log(sum(math.exp(z - largest) for z in logits)) - (logits[true] - largest)

    def softmax(logits):
        with np.errstate(all="ignore"):
            odds = np.exp(np.array(logits))
            return odds / odds.sum()

    def naive(logits, true):
        with np.errstate(all="ignore"):
            return -np.log(softmax(logits))[true]

    powers = "A power of e was too large or too small for the computer: take the largest logit from all of them first."
    cases = [([2.0, 1.0, 0.0], 0), ([0.0, 0.0], 0), ([1000.0, 0.0], 1), ([-1000.0, 0.0], 0), ([1000.0, 0.0], 0)]
    _compare(student, right, cases, {
        powers: naive,
        "The sign must be turned: a loss is minus the logarithm.": lambda logits, true: -right(logits, true),
        "That is the probability; the loss is minus its logarithm.": lambda logits, true: softmax(logits)[true],
        "That is the mean over all values; only the true one counts.": lambda logits, true: np.mean([right(logits, v) for v in range(len(logits))]),
    }, errors=dict.fromkeys((OverflowError, ValueError), powers))


def clustered_error(student):
    def right(difference, employee):
        sums = np.bincount(employee, difference - difference.mean())
        return math.sqrt((sums ** 2).sum()) / len(difference)

    def of_means(difference, employee):
        means = np.bincount(employee, difference) / np.bincount(employee)
        return means.std(ddof=1) / math.sqrt(len(means))

    cases = [(np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 0, 1, 1])), (np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 0, 1, 1])),
             (np.array([0.5, 0.4, 0.6, 0.1, 0.2, 0.9]), np.array([0, 0, 0, 1, 1, 2]))]
    _compare(student, right, cases, {
        "That is the error of independent events: add the residuals of each employee before you square.":
            lambda difference, employee: difference.std() / math.sqrt(len(difference)),
        "That is the error of independent events, too: the sums must be taken by employee.":
            lambda difference, employee: difference.std(ddof=1) / math.sqrt(len(difference)),
        "That lets every employee weigh alike; here every event does.": of_means,
        "That is divided by the number of employees; divide by the number of events.":
            lambda difference, employee: right(difference, employee) * len(difference) / len(np.unique(employee)),
    })


def mixture_gap(student):
    def right(truths, weights):
        return (weights[:, None] * truths * np.log(truths / (weights @ truths))).sum()

    def model_loss(truths, weights):
        mixture = weights @ truths
        return -(mixture * np.log(mixture)).sum()

    def reversed_divergence(truths, weights):
        mixture = weights @ truths
        return (weights[:, None] * mixture * np.log(mixture / truths)).sum()

    cases = [(np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0.5, 0.5])), (np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0.3, 0.7])),
             (np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]]), np.array([0.75, 0.25]))]
    _compare(student, right, cases, {
        "That is the model's whole loss; the gap is what remains without the floor.": model_loss,
        "That is the divergence turned round: the values are drawn from the truth, so the truth weighs.": reversed_divergence,
        "The states' weights are missing in the sum.": lambda truths, weights: (truths * np.log(truths / (weights @ truths))).sum(),
        "That mixes the states alike; they happen with their weights.": lambda truths, weights: right(truths, np.full(len(weights), 1 / len(weights))),
    })


def leaking(student):
    def by_employee(gap, employee):
        sums = np.stack([np.bincount(employee, column) for column in (gap - gap.mean(0)).T])
        return np.sqrt((sums ** 2).sum(1)) / len(gap)

    def right(model, floor, employee, error=by_employee, errors=3):
        gap = model - floor
        return np.flatnonzero(gap.mean(0) < -errors * error(gap, employee)).tolist()

    def report(seed, peeks, employees=40, events=50):
        """Losses of four categories; in each the employees differ, in one the report is lucky, in `peeks` it has a leak."""
        rng, employee = np.random.default_rng(seed), np.repeat(np.arange(employees), events)
        each = rng.normal(0, 1, (employees, 4))
        gap = 0.1 * (each - each.mean(0))[employee] + rng.normal(0, 0.02, (len(employee), 4)) + [0.10, 0.0, -0.016, -0.002]
        gap[:, 1] -= gap[:, 1].mean() + 2.5 * by_employee(gap, employee)[1]  # luck, but not quite as much as three
        gap[:, peeks] = -0.02 + rng.normal(0, 0.02, (len(employee), len(peeks)))
        floor = rng.uniform(0.2, 2.0, gap.shape)
        return floor + gap, floor, employee

    _compare(student, lambda model, floor, employee: right(model, floor, employee), [report(0, []), report(1, [2]), report(2, [0, 3])], {
        "You accuse a report that had luck: events of one employee are lucky together, so the employees are the units.":
            lambda model, floor, employee: right(model, floor, employee, lambda gap, _: gap.std(0) / math.sqrt(len(gap))),
        "You accuse at two standard errors; three were asked for.": lambda *case: right(*case, errors=2),
        "Those are all that lie below the floor, by luck or not: ask by how many standard errors.":
            lambda model, floor, employee: np.flatnonzero((model - floor).mean(0) < 0).tolist(),
        "Those are above the floor; a leak lies below it.": lambda model, floor, employee: right(floor, model, employee),
    })


# 07_reading_a_training_report

def epochs_needed(student):
    def right(slope, scatter, errors=2, squares=lambda n: n * (n * n - 1) / 12, n=3):
        while slope <= errors * scatter / math.sqrt(squares(n)):
            n += 1
        return n

    _compare(student, lambda slope, scatter: right(slope, scatter), [(0.1, 0.5), (1.0, 1.0), (1e-5, 5.3e-4), (1.0, 0.1)], {
        "Count from three epochs: any two lie on a line.": lambda slope, scatter: right(slope, scatter, n=2),
        "That is enough for one standard error; two were asked for.": lambda slope, scatter: right(slope, scatter, 1),
        "The epochs must be centred before they are squared.": lambda slope, scatter: right(slope, scatter, 2, lambda n: (n - 1) * n * (2 * n - 1) / 6),
        "That is the error of a mean; a slope's divides by the root of the sum of the squared, centred epochs.":
            lambda slope, scatter: right(slope, scatter, 2, lambda n: n),
        "One too many.": lambda slope, scatter: right(slope, scatter) + 1,
        "One too few.": lambda slope, scatter: right(slope, scatter) - 1,
    })


def other_categories(student):
    def right(mean, categories, shown):
        return (mean * categories - sum(shown)) / (categories - len(shown))

    cases = [(2.0, 4, [1.0, 1.0]), (3.0, 3, [2.0]), (3.9, 17, [1.5, 2.5, 3.0, 5.7, 5.8, 5.0])]
    _compare(student, right, cases, {
        "That is divided by all categories; the rest are fewer.": lambda mean, categories, shown: (mean * categories - sum(shown)) / categories,
        "That is the sum of the others; their mean was asked for.": lambda mean, categories, shown: mean * categories - sum(shown),
        "That is the mean of those shown.": lambda mean, categories, shown: sum(shown) / len(shown),
    })


def diagnose(student):
    names = {
        (0.05, 0.05, 0.14, 0, 0.01): "rate too small", (0.14, 0.14, -0.02, 0, 0.03): "rate too small",
        (0.0, 0.0, 0.17, 9, 0.0): "no step", (0.0001, 0.0, 0.17, 0, 0.0): "no step", (0.04, 0.01, 0.004, 0, 0.2): "labels at random",
        (2.6, -1.4, -3.1, 0, 0.9): "too little data", (2.3, -0.6, -2.8, 0, 0.8): "too little data"}

    def right(fall_of_train, fall_of_validation, above_ceiling, repeated_rows, moved):
        return names[fall_of_train, fall_of_validation, above_ceiling, repeated_rows, moved]

    _compare(student, right, list(names), {
        "Its weights have moved, so steps were taken.": lambda fall, validation, above, repeated, moved: "no step" if moved else None,
        "Its weights have not moved at all: no rate is that small.": lambda fall, validation, above, repeated, moved: None if moved else "rate too small",
        "It came to rest at the ceiling, with weights that had moved far: that is no small rate.":
            lambda fall, validation, above, repeated, moved: "rate too small" if abs(above) < 0.01 else None,
        "Passing the ceiling on the way down is no rest: its weights have hardly moved.":
            lambda fall, validation, above, repeated, moved: "labels at random" if abs(above) < 0.05 and moved < 0.1 else None,
        "Look at validation: does it fall with train, or rise?": lambda fall, validation, *others: "too little data" if validation > 0 else "labels at random",
    })


def made_up_report(student):
    right = {"worse than guessing": (["Shift"], "compare each loss with ln(size)"),
             "below the floor": (["Site"], "one category is below by luck, one by more than three of its errors"),
             "marked epoch": (11, "the row with the mark, as it stands in the table"),
             "best epoch": (5, "the row where validation is lowest, not the last and not train's"),
             "repeated rows": ([8], "a row counts if an earlier one has both its losses"),
             "memorising from": (6, "the first epoch after validation's lowest")}
    missing = [question for question in right if _unfinished(_plain(student.get(question, ...)))]
    given = {question: _plain(student.get(question)) for question in right}
    wrong = [f"'{question}': {'give a list, even of one' if isinstance(answer, list) > isinstance(given[question], list) else words}"
             for question, (answer, words) in right.items() if not _equal(given[question], answer, 0)]
    if missing:
        print(f"Not done yet: {', '.join(missing)}.")
    else:
        print(f"Not yet: {'; '.join(wrong)}." if wrong else f"Right: all {len(right)} answers agree.")
