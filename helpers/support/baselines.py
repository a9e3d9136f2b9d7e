"""Counting tables that a network has to be better than to be worth its name.

All is of one category: from pairs of an event and the one before it in its sequence.
"""

from __future__ import annotations

from itertools import product

import numpy as np

BASELINES = ("marginal", "copy_last", "markov")
# How many observations a baseline's back-off may count for.
PRIOR_WEIGHTS = (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


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
    """The three baselines of one category, from pairs of an event and the one before it.

    marginal   how often each value occurs
    copy_last  the value before, with a probability of its own; otherwise as marginal
    markov     how often each value follows the value and the kind of event before, backed off to
               how often it follows that value, and that to copy_last (Dirichlet priors, MacKay and
               Peto 1995)

    kind, before, value: (pairs,) the kind of the event before, its value and the value after it
    """

    def __init__(self, kind: np.ndarray, before: np.ndarray, value: np.ndarray, size: int):
        self.size = size
        pairs = np.stack([kind, before, value]).astype(np.int64)  # (3, pairs)
        # The priors' weights are chosen on the last tenth, then all is counted.
        cut = max(1, int(0.9 * len(value)))
        self.count(*pairs[:, :cut])
        held_out = pairs[:, cut:] if cut < len(value) else pairs
        choices = product(PRIOR_WEIGHTS, PRIOR_WEIGHTS)
        self.weights = min(choices, key=lambda pair: -np.log(self.markov(*held_out, *pair)).mean())
        self.count(*pairs)

    def count(self, kind: np.ndarray, before: np.ndarray, value: np.ndarray) -> None:
        seen = np.bincount(value, minlength=self.size)
        self.marginal = (seen + 0.5) / (len(value) + 0.5 * self.size)
        self.stay = find_share(value == before, self.marginal[value])
        self.after_value = Table(before, value, self.size)
        self.after_both = Table(kind * self.size + before, value, self.size)

    def copy_last(self, before: np.ndarray, value: np.ndarray) -> np.ndarray:
        return self.stay * (value == before) + (1 - self.stay) * self.marginal[value]

    def markov(self, kind, before, value, weight_value: float, weight_both: float) -> np.ndarray:
        prior = self.copy_last(before, value)
        prior = self.after_value.p(before, value, prior, weight_value)
        return self.after_both.p(kind * self.size + before, value, prior, weight_both)

    def losses(self, kind: np.ndarray, before: np.ndarray, value: np.ndarray) -> np.ndarray:
        """-ln p(value) by each of BASELINES: a row each, of the shape of `value`."""
        kind, before, value = np.stack([kind, before, value]).astype(np.int64)
        markov = self.markov(kind, before, value, *self.weights)
        return -np.log([self.marginal[value], self.copy_last(before, value), markov])


def find_share(same: np.ndarray, otherwise: np.ndarray) -> float:
    """The likeliest share of copies, where a value is the same as before or has p `otherwise`."""
    gain, low, high = same - otherwise, 0.0, 1 - 1e-6
    for _ in range(40):  # the likelihood is concave, so halving finds where it stops rising
        middle = (low + high) / 2
        slope = (gain / (otherwise + middle * gain)).sum()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return middle
