"""The checks of notebook 00_start_here."""

import math
from functools import partial

import numpy as np
import torch

from helpers.checks.verdicts import compare
from helpers.events import TEST


def ceiling(student):
    """Exercise 00.1: the loss of guessing uniformly among `size` values."""

    def right(size):
        return math.log(size)

    mistakes = {
        "That is the probability of each value; its loss is still to come.": lambda size: 1 / size,
        "That counts in bits, by the logarithm to base 2; nats take the natural one.": math.log2,
        "That takes the logarithm to base 10; nats take the natural one.": math.log10,
        "The sign: a loss is minus the logarithm of a probability.": lambda size: -right(size),
    }
    compare(student, right, [4, 100, 10], mistakes)


def equally_likely(student):
    """Exercise 00.2: how many equally likely values have this loss."""

    def right(loss):
        return math.exp(loss)

    def logarithm(loss):
        return math.log(loss) if loss > 0 else -math.inf

    mistakes = {
        "That is the probability; how many values share it?": lambda loss: math.exp(-loss),
        "That takes the loss for bits; nats belong to e, not to 2.": lambda loss: 2**loss,
        "That is the way from a number of values to a loss; this is the way back.": logarithm,
    }
    compare(student, right, [0.0, 0.5, math.log(100)], mistakes)


def next_event(student, run):
    """Exercise 00.3: kind and site of the next event, by name.

    `run` is the trained run, a Trainer; origins are those of its test part.
    """
    categories = ["EventType", "LocationRecordId"]
    columns = [run.names.index(category) for category in categories]
    windows = run.data.windows[TEST]
    vocabularies = [run.data.log.vocabularies[category] for category in categories]

    def to_names(values):
        pairs = zip(vocabularies, values, strict=True)
        return [vocabulary[value] for vocabulary, value in pairs]

    def most_likely(origin, step=0):
        with torch.no_grad():
            logits = run.model(windows.batch(np.array([origin])))[0, step]
        heads = logits.split(run.sizes)
        return [int(heads[column].argmax()) for column in columns]

    def right(origin):
        return to_names(most_likely(origin))

    def happened(origin):
        event = windows.batch(np.array([origin])).target[0, 0]
        return to_names(event[columns].tolist())

    def last_step(origin):
        return to_names(most_likely(origin, step=-1))

    def in_lists(origin):
        return [[name] for name in right(origin)]

    def first_from(share):
        return windows.origins[int(share * len(windows)) :].tolist()

    late = first_from(0.8)
    surprises = (origin for origin in late if right(origin) != happened(origin))
    surprise = next(surprises, late[0])  # the model isn't always right; there its answer tells most
    mistakes = {
        "That is what truly happened; the model's most likely event is asked for.": happened,
        "That is the last step of the horizon; the next event is the first.": last_step,
        "`column` gives a list; its first entry, `[0]`, is the name.": in_lists,
        "Those are integers; `column` makes names of them.": most_likely,
        "Kind first, then site.": lambda origin: right(origin)[::-1],
    }
    compare(student, right, [first_from(0.2)[0], first_from(0.5)[0], surprise], mistakes)


def best_share(student):
    """Exercise 00.4: how probably a punch in some hours from now is at the habit's minute of today.

    A habit has four values, and a punch in is at its habit's minute nine times in ten.
    """

    def right(hours, change=0.05 / 24, back=1 / 3, stray=0.1 / 3):
        same = 1.0
        for _ in range(hours):
            same = same * (1 - change) + (1 - same) * change * back
        return same * 0.9 + (1 - same) * stray

    def habit_alone(hours):
        return (right(hours) - 0.1 / 3) / (0.9 - 0.1 / 3)

    never_back = partial(right, back=0)
    always_back = partial(right, back=1)
    never_by_lot = partial(right, stray=0)
    only_unchanged = partial(right, back=0, stray=0)
    all_strays = partial(right, stray=0.1)
    by_the_day = partial(right, change=0.05)
    mistakes = {
        "A habit that has changed may change back, which is missing.": never_back,
        "A habit that has changed goes back in one of three cases, not always.": always_back,
        "A punch in may also stray to your minute by lot, when the habit is another one.": (
            never_by_lot
        ),
        "That counts the habits that never changed. A changed one may come back, "
        "and a punch in may stray to your minute by lot.": only_unchanged,
        "Another habit's punch in strays one time in ten, to one of three minutes: "
        "a third of the tenth is at yours.": all_strays,
        "That is the probability that the habit is the same; "
        "a punch in follows it nine times in ten.": habit_alone,
        "0.05 is the rate of a day; in an hour it is 0.05 / 24.": by_the_day,
    }
    compare(student, right, [0, 1, 24, 72], mistakes)
