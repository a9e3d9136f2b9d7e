"""Cases that a grade is given by besides those of the notebooks' checks. No hand-out holds them.

One function a check, of the same name (of the function that holds `right`, where a check has two).
Each draws cases of the check's form, so that a function that knows the notebook's cases by heart
fails. Where two answers would be as good, nothing is drawn. An answer that is a value has no cases:
`shown_by` and `made_up_report` are judged as in the notebook, and so is `rest_of_epoch`, whose
check asks what holds for many orders.
"""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.checks import category_losses, last_vector, training, training_report
from helpers.checks.stream_encoders import make_layer
from helpers.events import TEST
from helpers.support.files import DATA
from helpers.training import Trainer, finished_run

CASES = 8  # of a check, where nothing else is said; of four, all could have one answer
PATIENTS = dict(training_report._PATIENTS)


@cache
def get_run() -> Trainer:
    """The run that notebook 00 shows, as it is stored with the course."""
    return finished_run(DATA / "working_run.json")


@cache
def draw(seed: int) -> dict[str, list]:
    """The cases of all checks: name of the function that holds `right` -> cases."""
    found = {}
    for name, function in sorted(globals().items()):
        if getattr(function, "draws_cases", False):
            rng = np.random.default_rng([seed, *name.encode()])
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(rng.integers(2**31)))
                found[name] = function(rng)
    return found


def cases(function):
    """Marks a function that draws all cases of a check from a generator."""
    function.draws_cases = True
    return function


def each(function):
    """Marks a function that draws one case."""

    def draw_all(rng):
        return [function(rng) for _ in range(CASES)]

    return cases(draw_all)


# 00_start_here


@each
def ceiling(rng):
    return int(rng.integers(2, 5000))


@each
def equally_likely(rng):
    return float(rng.uniform(0.1, 7))


@cases
def next_event(rng):
    return rng.choice(get_run().data.windows[TEST].origins, 12, replace=False).tolist()


@each
def best_share(rng):
    return int(rng.integers(2, 240))


# 01_data_prep


@each
def vocabulary_of(rng):
    names = rng.permutation(["".join(rng.choice(list("abcdefgh"), 3)) + str(i) for i in range(7)])
    counts = rng.permutation(np.arange(1, 8))  # all different, so that no choice is free
    column = [*np.repeat(names, counts), *[""] * int(rng.integers(1, 12))]
    return rng.permutation(column).tolist(), int(rng.integers(1, 7)), int(rng.integers(1, 5))


@each
def judge_to_integer(rng):
    return float(rng.uniform(0, 30))


@each
def judge_to_hours(rng):
    return int(rng.integers(1, 100))


@each
def padded(rng):
    return rng.integers(1, 50, rng.integers(0, 9)).tolist(), int(rng.integers(1, 9))


@each
def steps_that_count(rng):
    lengths = rng.integers(2, 6, 3)
    part = np.repeat([0, 1, 2], lengths).tolist()
    return part, int(rng.integers(len(part))), int(rng.integers(1, 7))


@each
def mended(rng):
    """A log of several employees, whose shifts lie between each other."""
    sites, kinds = ["gate", "yard", "dock"], ["punch_in", "break_end", "shift_scheduled"]
    waiting = []
    for employee in ("E1", "E2", "E3"):
        rows = []
        for start in range(3):
            site = rng.choice(sites)
            for kind in kinds:
                hours = float(rng.integers(12, 40)) / 4 if kind == "break_end" else np.nan
                rows.append((kind, employee, 10 * start, site, hours))
        waiting.append(rows)
    order = rng.permutation(np.repeat([0, 1, 2], 9))
    rows = [waiting[employee].pop(0) for employee in order]
    names = ["event_type", "recipient", "reference_time", "location", "hours_worked"]
    return (pd.DataFrame(rows, columns=names),)


# 02_stream_encoders


@each
def weights_of(rng):
    events, width = int(rng.integers(3, 7)), int(rng.integers(2, 9))
    known = torch.arange(events) >= int(rng.integers(0, events - 1))
    return torch.randn(width), torch.randn(events, width), known


@each
def fair_width(rng):
    return int(rng.integers(2, 9)), int(rng.integers(3, 64)), int(rng.integers(8, 200))


@each
def stream_linear(rng):
    streams, rows, width, out = rng.integers(2, 6, 4).tolist()
    weight, bias = torch.randn(streams, width, out), torch.randn(streams, out)
    return torch.randn(streams, rows, width), weight, bias


@each
def last_row(rng):
    heads, batch, events = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(3, 7))
    d = heads * int(rng.integers(2, 5))
    return make_layer(d, heads), torch.randn(batch, events, d), draw_known(rng, batch, events)


def draw_known(rng, *shape):
    """A mask (..., T) of histories of different lengths, of one event at least."""
    first = torch.tensor(rng.integers(0, shape[-1], shape[:-1]))
    return torch.arange(shape[-1]) >= first[..., None]


# 03_cross_attention


@each
def may_look(rng):
    return int(rng.integers(2, 9))


@each
def by_stream(rng):
    batch, heads, steps, streams, carry = rng.integers(2, 5, 5).tolist()
    return torch.randn(batch, heads, steps, streams * carry).softmax(-1), carry


@each
def averaged(rng):
    windows, streams, d = rng.integers(3, 7, 3).tolist()
    return torch.randn(windows, streams, d), int(rng.integers(streams))


@each
def what_is_read(rng):
    batch, heads, steps, streams = rng.integers(2, 5, 4).tolist()
    d = heads * int(rng.integers(2, 4))
    layer = SimpleNamespace(cross_key_value=nn.Linear(d, 2 * d), cross_out=nn.Linear(d, d))
    weights = torch.randn(batch, heads, steps, streams).softmax(-1)
    return weights, torch.randn(batch, streams, d), layer


# 04_last_vector_constraint


@each
def multiplications(rng):
    T = int(rng.integers(5, 60))
    return T, int(rng.integers(4, 65)), int(rng.integers(2, 7)), int(rng.integers(1, T))


@each
def carried(rng):
    streams, batch, T, d = rng.integers(2, 6, 4).tolist()
    return torch.randn(streams, batch, T, d), draw_known(rng, batch, streams, T), min(2, T)


@each
def mean_state(rng):
    streams, batch, T, d = rng.integers(2, 6, 4).tolist()
    return torch.randn(streams, batch, T, d), draw_known(rng, batch, streams, T)


@cases
def places_read(rng):
    """Boxes of their own, whose names say nothing; what they read is told to the check.

    The check's own cases are those of its table, so they come to these, and have as many places.
    """
    T = 4
    first, second = sorted(rng.choice(T, 2, replace=False).tolist())
    boxes = {
        lambda x: (x[first] * x[second]).sum(): [first, second],
        lambda x: x[first:].amax(0): list(range(first, T)),
        lambda x: x[: second + 1].min(0).values.sum(): list(range(second + 1)),
        lambda x: (x[second] / 3).round(): [second],
        lambda x: torch.relu(x[first] - 6).sum() + x[second].exp().clamp(max=9).sum(): [
            first,
            second,
        ],
    }
    encoded = torch.tensor(rng.uniform(-0.4, 0.4, (T, 2)), dtype=torch.float32)
    found = []
    for function, places in boxes.items():
        function.__name__ = "box"
        last_vector._READ[function] = places
        found.append((last_vector.make_box(function), encoded))
    return found


# 05_training


@each
def weighted_loss(rng):
    batch, steps, categories = rng.integers(2, 6, 3).tolist()
    lengths = torch.tensor(rng.integers(1, steps + 1, batch))
    counted = torch.arange(steps) < lengths[:, None]
    losses = torch.rand(batch, steps, categories) * 4
    return losses, counted, torch.rand(categories) + 0.2


@each
def no_better_than_guessing(rng):
    names = rng.permutation(["kind", "site", "shift", "hours", "minute", "job"]).tolist()
    sizes = {name: int(rng.integers(2, 200)) for name in names}
    away = rng.choice([-1, 1], len(names)) * rng.uniform(0.01, 0.5, len(names))
    losses = {name: math.log(sizes[name]) + step for name, step in zip(names, away, strict=True)}
    return {name: float(losses[name]) for name in rng.permutation(names).tolist()}, sizes


@each
def accumulated(rng):
    parts = [torch.randn(int(rows), 3) for rows in rng.integers(1, 6, rng.integers(2, 5))]
    weight = torch.randn(2).requires_grad_()
    return training.Loss(), weight, parts


@each
def chosen_rate(rng):
    places = np.arange(81)
    falling, rising = 2 / (1 + np.exp(-(places - 35) / 5)), np.exp((places - 65) / 4)
    losses = 4 - falling + rising + rng.normal(0, 0.1, 81)
    losses[int(rng.integers(40, 50))] = 0.8  # a lucky batch
    return np.logspace(-6, 0, 81), losses


# 06_category_losses


@each
def cross_entropy(rng):
    logits = rng.normal(0, 3, rng.integers(2, 9)) * rng.choice([1, 300])
    return logits.tolist(), int(rng.integers(len(logits)))


@each
def clustered_error(rng):
    events = int(rng.integers(6, 40))
    employee = rng.permutation(np.concatenate([np.arange(3), rng.integers(0, 3, events - 3)]))
    return rng.normal(0.1, 1, events), employee


@each
def mixture_gap(rng):
    states, values = rng.integers(2, 6, 2).tolist()
    truths, weights = rng.dirichlet(np.ones(values), states), rng.dirichlet(np.ones(states))
    return truths, weights


@cases
def leaking(rng):
    peeks = [{}, {int(rng.integers(2, 4)): 1.2}, {0: 0.6, 3: 0.8}]
    return [category_losses.make_report(int(rng.integers(10, 10**6)), peek) for peek in peeks]


# 07_reading_a_training_report


@each
def epochs_needed(rng):
    epochs = int(rng.integers(4, 60))  # far enough from either side's border
    scatter = float(rng.uniform(0.01, 1))

    def at_the_border(n):
        return 2 * scatter / math.sqrt(n * (n * n - 1) / 12)

    return math.sqrt(at_the_border(epochs) * at_the_border(epochs - 1)), scatter


@each
def other_categories(rng):
    categories = int(rng.integers(3, 20))
    shown = rng.uniform(0.5, 5, rng.integers(1, categories)).tolist()
    return float(rng.uniform(1, 5)), categories, shown


@cases
def diagnose(rng):
    """Patients beside the check's own, each as ill as the one that it is drawn from.

    The check's own cases are those of its table, so they come to these.
    """
    found = []
    for marks, cause in PATIENTS.items():
        train, validation, above, rows, moved = np.multiply(marks, rng.uniform(0.9, 1.1, 5))
        patient = float(train), float(validation), float(above), int(rows), float(moved)
        training_report._PATIENTS[patient] = cause
        found.append(patient)
    return found


# 08_using_the_model


@each
def nucleus(rng):
    p = rng.dirichlet(np.ones(int(rng.integers(3, 9))))
    together = np.cumsum(np.sort(p)[::-1])
    place = int(rng.integers(len(p)))  # between two sums, so that rounding decides nothing
    before = together[place - 1] if place else 0
    return p, float((before + together[place]) / 2)


@each
def score_samples(rng):
    return rng.choice([0.0, 4.0, 6.5, 8.0, 9.25], rng.integers(2, 9)), float(rng.uniform(0, 10))


@each
def place_among(rng):
    values = [0.0, 4.0, 6.5, 8.0, 9.25]
    samples, truth = rng.choice(values, rng.integers(2, 9)), rng.choice(values)
    return samples, float(truth), float(rng.uniform(0.05, 0.95))


@each
def suffix_similarity(rng):
    one, other = ("".join(rng.choice(list("abcd"), rng.integers(2, 9))) for _ in range(2))
    return one, other


@each
def average_precision(rng):
    odd = rng.permutation([True, False, *(rng.random(rng.integers(4, 12)) < 0.4)])
    return rng.integers(0, 6, len(odd)).astype(float), odd


# 09_your_own_log


@each
def order_one(rng):
    """Pairs whose counts differ, so that each of the values before has one that is usual."""
    values, rows = ["a", "b", "c"], []
    for before in values[: int(rng.integers(2, 4))]:
        for count, after in zip((1, 3, 5), rng.permutation(values), strict=True):
            rows += [(before, after)] * count
    rows += [("a", "c")] * 9  # what is most frequent of all
    train = pd.DataFrame(rng.permutation(rows), columns=["before", "after"])
    test = pd.DataFrame(rng.choice(["a", "b", "c", "d"], (12, 2)), columns=["before", "after"])
    return train, test


@each
def unseen_share(rng):
    values = ["", "a", "b", "c", "d", "e"]
    train, test = rng.choice(values, 14).tolist(), rng.choice(values, 10).tolist()
    return train, [*test, "f"], int(rng.integers(1, 5))


@each
def interval_holds(rng):
    return rng.exponential(5, rng.integers(8, 40)), rng.exponential(6, rng.integers(5, 20))


@cases
def worth_using(rng):
    """Each of the three answers on either side of every border: no one word is right for all."""
    names, found = ["marginal", "copy_last", "back_off"], []
    for away in rng.permutation([-3, -1.5, 1.5, 3] * 2):  # of its errors; two are the border
        tables = {name: float(rng.uniform(0.3, 3)) for name in rng.permutation(names).tolist()}
        error = float(rng.uniform(0.01, 0.1))
        found.append((min(tables.values()) + float(away) * error, tables, error))
    return found


@each
def misread(rng):
    """A mapping whose kinds, commas and dates may each be wrong."""
    seems = {
        "Step": "name",
        "Person": "name",
        "Price": rng.choice(["number", "number, decimal comma"]),
        "Count": "number",
        "Day": rng.choice(["time, day first", "time, year first", "time, month first"]),
    }
    kinds = {"Price": "number", "Count": "number", "Day": "time"}
    if rng.random() < 0.5:
        kinds[rng.choice(["Count", "Person"])] = rng.choice(["number", "time"])
    columns = {}
    if "comma" in seems["Price"] and rng.random() < 0.5:
        columns["Price"] = {"decimal": ","}
    if rng.random() < 0.7:
        columns["Day"] = {"dates": rng.choice(["day first", "month first"])}
    categories = {
        f"The {name}": {"column": name} | ({"kind": str(kinds[name])} if name in kinds else {})
        for name in rng.permutation(list(seems)).tolist()
    }
    seems = {name: str(words) for name, words in seems.items()}
    columns = {name: {key: str(how) for key, how in told.items()} for name, told in columns.items()}
    return {"categories": categories, "columns": columns}, seems
