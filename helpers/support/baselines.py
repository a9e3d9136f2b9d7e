"""Counting tables that a network has to be better than to be worth its name.

All is of one category, and of an event given those before it in its sequence.
"""

from __future__ import annotations

from itertools import product

import numpy as np

BASELINES = ("marginal", "copy_last", "markov", "look_back")
# How many observations a baseline's back-off may count for.
PRIOR_WEIGHTS = (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
LOOK_WEIGHTS = (1, 10, 100)  # the same, of the table that looks back
LOOKED_AT = 12  # kinds of event, the most frequent, that one may look back to


class Past:
    """What came before each event of a log in its sequence. Each is (events,).

    kind: the kind of event; before: the event before, -1 for a sequence's first
    last: kind -> the last event of that kind before, -1 where there is none
    counted: (events,) bool, the events that tell which kinds are frequent
    """

    def __init__(self, kind: np.ndarray, sequence: np.ndarray, counted: np.ndarray):
        self.kind = kind = kind.astype(int)  # contexts are products of sizes
        order = np.argsort(sequence, kind="stable")
        first = np.searchsorted(sequence[order], sequence[order])  # where its sequence begins
        places = np.arange(len(order))
        self.before = np.empty(len(order), int)
        self.before[order] = np.where(places > first, np.roll(order, 1), -1)
        kinds, numbers = np.unique(kind[counted], return_counts=True)
        self.last = {}
        for one in kinds[np.argsort(-numbers, kind="stable")][:LOOKED_AT]:
            last = np.maximum.accumulate(np.where(kind[order] == one, places, -1))
            last = np.concatenate([[-1], last[:-1]])  # before, so without the event itself
            self.last[one] = np.empty(len(order), int)
            self.last[one][order] = np.where(last >= first, order[last], -1)


class Table:
    """How often a value followed a context: p(value | context), with a prior.

    context, value: (pairs,) whole numbers, values below `size`
    """

    def __init__(self, context: np.ndarray, value: np.ndarray, size: int):
        self.size = size
        self.pairs = np.unique(context * size + value, return_counts=True)
        self.contexts = np.unique(context, return_counts=True)

    @staticmethod
    def look_up(known: tuple[np.ndarray, np.ndarray], wanted: np.ndarray) -> np.ndarray:
        """How often each of the wanted was seen, 0 where never."""
        keys, numbers = known
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[place] == wanted, numbers[place], 0)

    def p(self, context: np.ndarray, value: np.ndarray, prior: np.ndarray, weight: float):
        """With a prior worth `weight` observations (a Dirichlet's mean): the shape of `value`."""
        together = self.look_up(self.pairs, context * self.size + value)
        return (together + weight * prior) / (self.look_up(self.contexts, context) + weight)


class CategoryBaseline:
    """The baselines of one category, counted on the training events, which all have one before.

    marginal   how often each value occurs
    copy_last  the value before, with a probability of its own; otherwise as marginal
    markov     how often each value follows the value and the kind of event before, backed off to
               how often it follows that value, and that to copy_last (Dirichlet priors, MacKay and
               Peto 1995)
    look_back  how often each value follows the kind of event before and the value that the sequence
               had at its last event of one kind, such as its last break's end, backed off to
               markov; which kind, or whether to look back at all, is chosen for each kind before

    past: of the whole log; value: (events,) the category's; training: the events that are counted
    """

    def __init__(self, past: Past, value: np.ndarray, training: np.ndarray, size: int):
        self.past, self.value, self.size = past, value.astype(int), size
        # Weights and looks are chosen on the last tenth, then all is counted.
        cut = max(1, int(0.9 * len(training)))
        held_out = training[cut:] if cut < len(training) else training
        self.count(training[:cut])
        pairs = self.pairs(held_out)
        choices = product(PRIOR_WEIGHTS, PRIOR_WEIGHTS)
        self.weights = min(choices, key=lambda two: -np.log(self.markov(*pairs, *two)).mean())
        self.choose_looks(training[:cut], held_out)
        self.count(training)

    def pairs(self, events: np.ndarray) -> np.ndarray:
        """The kind of the event before, its value, and the event's: (3, events)."""
        before = self.past.before[events]
        return np.stack([self.past.kind[before], self.value[before], self.value[events]])

    def count(self, events: np.ndarray) -> None:
        kind, before, value = self.pairs(events)
        seen = np.bincount(value, minlength=self.size)
        self.marginal = (seen + 0.5) / (len(value) + 0.5 * self.size)
        self.stay = find_share(value == before, self.marginal[value])
        self.after_value = Table(before, value, self.size)
        self.after_both = Table(kind * self.size + before, value, self.size)
        self.counted = events

    def choose_looks(self, counted: np.ndarray, held_out: np.ndarray) -> None:
        """Chooses for each kind of event before: which kind to look back to, and the weight."""
        kind, _, _ = pairs = self.pairs(held_out)
        markov = self.markov(*pairs, *self.weights)
        options: list = [None]  # not to look back
        losses = [np.bincount(kind, -np.log(markov))]  # a sum for each kind before
        for option in product(self.past.last, LOOK_WEIGHTS):
            p = self.look(*option, counted, held_out, markov)
            options.append(option)
            losses.append(np.bincount(kind, -np.log(p)))
        best = np.argmin(losses, axis=0)
        self.looks = {before: options[i] for before, i in enumerate(best) if options[i]}

    def look(self, kind: int, weight: float, counted, events, prior: np.ndarray) -> np.ndarray:
        """p of these events' values, given the kind before and the value at the last of `kind`."""
        last = self.past.last[kind]
        looked = np.where(last >= 0, self.value[last], 0)
        context = self.past.kind[self.past.before] * self.size + looked
        table = Table(context[counted], self.value[counted], self.size)
        return table.p(context[events], self.value[events], prior, weight)

    def copy_last(self, before: np.ndarray, value: np.ndarray) -> np.ndarray:
        return self.stay * (value == before) + (1 - self.stay) * self.marginal[value]

    def markov(self, kind, before, value, weight_value: float, weight_both: float) -> np.ndarray:
        prior = self.copy_last(before, value)
        prior = self.after_value.p(before, value, prior, weight_value)
        return self.after_both.p(kind * self.size + before, value, prior, weight_both)

    def losses(self) -> np.ndarray:
        """-ln p of every event of the log by each of BASELINES: (baselines, events) nats.

        Of a sequence's first event, which nothing comes before, all give the marginal's.
        """
        events = np.arange(len(self.value))
        kind, before, value = pairs = self.pairs(events)
        marginal, markov = self.marginal[value], self.markov(*pairs, *self.weights)
        look_back = markov.copy()
        for kind_before, option in self.looks.items():
            some = events[kind == kind_before]
            counted = self.counted[self.past.kind[self.past.before[self.counted]] == kind_before]
            look_back[some] = self.look(*option, counted, some, markov[some])
        each = np.stack([marginal, self.copy_last(before, value), markov, look_back])
        return -np.log(np.where(self.past.before >= 0, each, marginal))


def find_share(same: np.ndarray, otherwise: np.ndarray) -> float:
    """The likeliest share of copies, where a value is the same as before or has p `otherwise`."""
    gain, low, high = same - otherwise, 0.0, 1 - 1e-6
    for _ in range(40):  # the likelihood is concave, so halving finds where it stops rising
        middle = (low + high) / 2
        slope = (gain / (otherwise + middle * gain)).sum()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return middle
