"""Counting tables that a network has to be better than to be worth its name.

All is of one category, and of an event given those before it in its sequence.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from helpers.support.splits import TRAIN

BASELINES = ("marginal", "copy_last", "markov", "back_off", "look_back")
MARKOV = 2  # so many tables, each with the one before it as its prior, make markov
ORDER = 3  # so many events before the event does back_off look at
# How many observations a baseline's back-off may count for.
PRIOR_WEIGHTS = (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
LOOK_WEIGHTS = (1, 10, 100)  # the same, of the table that looks back
LOOKED_AT = 12  # kinds of event, the most frequent, that one may look back to
CANDIDATES = 2**22  # values that are compared at a time, in the search for the most likely
MOST = 2**31  # of the kind and the value of an event, as a number, and of contexts


class Past:
    """What came before each event of a log in its sequence. Each is (events,).

    kind: the kind of event; before: the event before, -1 for a sequence's first
    back: the event before, the one before that and so on, ORDER of them, -1 where there is none
    last: kind -> the last event of that kind before, -1 where there is none
    counted: (events,) bool, the events that tell which kinds are frequent
    """

    def __init__(self, kind: np.ndarray, sequence: np.ndarray, counted: np.ndarray):
        self.kind = kind = kind.astype(int)  # contexts are products of sizes
        order = np.argsort(sequence, kind="stable")
        first = np.searchsorted(sequence[order], sequence[order])  # where its sequence begins
        places = np.arange(len(order))
        self.before = find_before(sequence)
        self.back = [self.before]
        for _ in range(ORDER - 1):
            last = self.back[-1]
            self.back.append(np.where(last >= 0, self.before[last], -1))
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
        self.pairs = count_each(context * size + value)
        self.contexts = count_each(context)

    @staticmethod
    def look_up(known: tuple[np.ndarray, np.ndarray], wanted: np.ndarray) -> np.ndarray:
        """How often each of the wanted was seen, 0 where never."""
        keys, numbers = known
        place = find(keys, wanted)
        return np.where(place >= 0, numbers[place], 0)

    def count(self, context: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How often each value followed its context, and how often anything did."""
        together = self.look_up(self.pairs, context * self.size + value)
        return together, self.look_up(self.contexts, context)

    def p(self, context: np.ndarray, value: np.ndarray, prior: np.ndarray, weight: float):
        """With a prior worth `weight` observations (a Dirichlet's mean): the shape of `value`."""
        return add_prior(*self.count(context, value), prior, weight)

    def spread(self, context: np.ndarray, prior: np.ndarray, weight: float) -> np.ndarray:
        """The same of every value: (N,) contexts, with their priors, (N, size) -> (N, size)."""
        whose, value = self.list_values(context)
        together = np.zeros_like(prior)
        together[whose, value], _ = self.count(context[whose], value)
        return add_prior(together, self.look_up(self.contexts, context)[:, None], prior, weight)

    def list_values(self, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every value that followed each of the contexts: whose it is, a place there, and it."""
        keys, _ = self.pairs
        start, end = np.searchsorted(keys, [context * self.size, (context + 1) * self.size])
        numbers = end - start
        whose = np.repeat(np.arange(len(context)), numbers)
        skipped = np.repeat(np.cumsum(numbers) - end, numbers)
        return whose, keys[np.arange(len(whose)) - skipped] % self.size


class CategoryBaseline:
    """The baselines of one category, counted on the training events, which all have one before.

    marginal   how often each value occurs
    copy_last  the value before, with a probability of its own; otherwise as marginal
    markov     how often each value follows the value and the kind of event before, backed off to
               how often it follows that value, and that to copy_last (Dirichlet priors, MacKay and
               Peto 1995)
    back_off   how often each value follows the values and kinds of the ORDER events before, backed
               off to those of one event less, and so on to markov
    look_back  how often each value follows the kind of event before and the value that the sequence
               had at its last event of one kind, such as its last break's end, backed off to
               markov; which kind, or whether to look back at all, is chosen for each kind before

    past: of the whole log; value: (events,) the category's; training: the events that are counted
    """

    def __init__(self, past: Past, value: np.ndarray, training: np.ndarray, size: int):
        self.past, self.value, self.size = past, value.astype(int), size
        self.numbered: list[np.ndarray] = []  # of each order the contexts that the log has
        self.contexts = self.list_contexts()
        # Weights and looks are chosen on the last tenth, then all is counted.
        cut = max(1, int(0.9 * len(training)))
        held_out = training[cut:] if cut < len(training) else training
        self.count(training[:cut])
        self.choose_weights(held_out)
        self.choose_looks(training[:cut], held_out)
        self.count(training)
        self.count_looks(training)

    def list_contexts(self) -> list[np.ndarray]:
        """What each table knows of each event of the log, see `find_contexts`: (events,) each."""
        kind, value = (
            np.stack([np.where(back >= 0, one[back], -1) for back in self.past.back], -1)
            for one in (self.past.kind, self.value)
        )
        return self.find_contexts(kind, value)

    def find_contexts(self, kind: np.ndarray, value: np.ndarray) -> list[np.ndarray]:
        """What each table knows of what came before, as a number: (...) each.

        First the value before, then value and kind of the event before, of the two before, and so
        on. They are numbered anew at each step, since products of so many sizes would run over:
        by the log, with whose events the first call is made; what it never has is -1.

        kind, value: (..., ORDER), of the event before, the one before that and so on, -1 for none
        """
        there = np.where(kind >= 0, kind * self.size + value + 1, 0)
        contexts, so_far = [value[..., 0].clip(0)], np.zeros(kind.shape[:-1], int)
        for back in range(ORDER):
            so_far = so_far * MOST + there[..., back]
            if back == len(self.numbered):
                self.numbered.append(np.unique(so_far))
            so_far = find(self.numbered[back], so_far)
            contexts.append(so_far)
        return contexts

    def count(self, events: np.ndarray) -> None:
        value, before = self.value[events], self.value[self.past.before[events]]
        seen = np.bincount(value, minlength=self.size)
        self.marginal = (seen + 0.5) / (len(value) + 0.5 * self.size)
        self.stay = find_share(value == before, self.marginal[value])
        self.tables = [Table(context[events], value, self.size) for context in self.contexts]

    def choose_weights(self, held_out: np.ndarray) -> None:
        """Chooses what the prior of each table is worth: markov's two together, then the others."""
        value = self.value[held_out]
        counts = [
            table.count(context[held_out], value)
            for table, context in zip(self.tables, self.contexts, strict=True)
        ]
        copy_last = self.copy_last(held_out, value)

        def loss(weights: tuple) -> float:
            p = copy_last
            for (together, seen), weight in zip(counts, weights, strict=False):
                p = add_prior(together, seen, p, weight)
            return -np.log(p).mean()

        self.weights = min(product(PRIOR_WEIGHTS, PRIOR_WEIGHTS), key=loss)
        while len(self.weights) < len(self.tables):
            self.weights = min(((*self.weights, one) for one in PRIOR_WEIGHTS), key=loss)

    def choose_looks(self, counted: np.ndarray, held_out: np.ndarray) -> None:
        """Chooses for each kind of event before: which kind to look back to, and the weight."""
        value, kind = self.value[held_out], self.past.kind[self.past.before[held_out]]
        markov = self.p(held_out, value, MARKOV)
        options: list = [None]  # not to look back
        losses = [np.bincount(kind, -np.log(markov))]  # a sum for each kind before
        for back_to in self.past.last:
            context, table = self.look(back_to, held_out), self.count_look(back_to, counted)
            for weight in LOOK_WEIGHTS:
                p = table.p(context, value, markov, weight)
                options.append((back_to, weight))
                losses.append(np.bincount(kind, -np.log(p)))
        best = np.argmin(losses, axis=0)
        self.looks = {before: options[i] for before, i in enumerate(best) if options[i]}

    def count_looks(self, counted: np.ndarray) -> None:
        """A table for each kind before from which one looks back."""
        kind = self.past.kind[self.past.before[counted]]
        self.look_tables = {
            before: self.count_look(back_to, counted[kind == before])
            for before, (back_to, _) in self.looks.items()
        }

    def count_look(self, back_to: int, counted: np.ndarray) -> Table:
        return Table(self.look(back_to, counted), self.value[counted], self.size)

    def look(self, back_to: int, events: np.ndarray) -> np.ndarray:
        """The kind before each event and the value at the last of the kind `back_to`, a number."""
        last = self.past.last[back_to][events]
        looked = np.where(last >= 0, self.value[last], 0)
        return self.past.kind[self.past.before[events]] * self.size + looked

    # -- what they expect: `events` tell what came before, `value` is what is asked about

    def copy_last(self, events: np.ndarray, value: np.ndarray) -> np.ndarray:
        same = value == self.value[self.past.before[events]]
        return self.stay * same + (1 - self.stay) * self.marginal[value]

    def p(self, events: np.ndarray, value: np.ndarray, depth: int) -> np.ndarray:
        """By the first so many tables: MARKOV of them are markov, all of them back_off."""
        return self.deepen(self.copy_last(events, value), events, value, 0, depth)

    def deepen(self, p: np.ndarray, events, value, done: int, depth: int) -> np.ndarray:
        """The same from what `done` tables say, which is the next one's prior."""
        for i in range(done, depth):
            p = self.tables[i].p(self.contexts[i][events], value, p, self.weights[i])
        return p

    def p_looking(self, events, value, back_to: int, table: Table, weight: float):
        """By a table of `count_looks`, with markov as its prior."""
        return table.p(self.look(back_to, events), value, self.p(events, value, MARKOV), weight)

    def spread(self, kind: np.ndarray, value: np.ndarray) -> np.ndarray:
        """What back_off expects of every value: (N, size) probabilities.

        kind, value: (N, ORDER), of the events before, see `find_contexts`; one there is at least
        """
        contexts = self.find_contexts(kind, value)
        p = np.tile((1 - self.stay) * self.marginal, (len(kind), 1))
        p[np.arange(len(kind)), value[:, 0]] += self.stay
        for table, context, weight in zip(self.tables, contexts, self.weights, strict=True):
            p = table.spread(context, p, weight)
        return p

    def losses(self) -> np.ndarray:
        """-ln p of every event of the log by each of BASELINES: (baselines, events) nats.

        Of a sequence's first event, which nothing comes before, all give the marginal's.
        """
        events, value = np.arange(len(self.value)), self.value
        marginal, copy_last = self.marginal[value], self.copy_last(events, value)
        markov = self.deepen(copy_last, events, value, 0, MARKOV)
        back_off = self.deepen(markov, events, value, MARKOV, len(self.tables))
        look_back = markov.copy()
        for kind, (back_to, weight) in self.looks.items():
            some = events[self.past.kind[self.past.before] == kind]
            context, table = self.look(back_to, some), self.look_tables[kind]
            look_back[some] = table.p(context, value[some], markov[some], weight)
        each = np.stack([marginal, copy_last, markov, back_off, look_back])
        return -np.log(np.where(self.past.before >= 0, each, marginal))

    def best(self, events: np.ndarray, lowest: int = 0) -> np.ndarray:
        """The most likely value of these events by each of BASELINES: (baselines, events).

        Of values from `lowest` on, and of those that are equally likely it is the lowest.
        """

        def allowed(p):  # events and values -> probabilities
            return lambda events, value: np.where(value >= lowest, p(events, value), 0)

        before = self.past.before[events]
        marginal = np.full(len(events), self.marginal[lowest:].argmax() + lowest)
        same = self.value[before]
        copied, other = (allowed(self.copy_last)(events, value) for value in (same, marginal))
        copy = (copied > other) | ((copied == other) & (same < marginal))
        found = [np.where(copy, same, marginal)]
        contexts = [context[events] for context in self.contexts]
        for depth, (table, context) in enumerate(zip(self.tables, contexts, strict=True), 1):
            p = allowed(partial(self.p, depth=depth))
            found.append(self.search(events, found[-1], context, context, table, p))
        copy_last, markov, back_off = found[0], found[MARKOV], found[-1]
        look_back = markov.copy()
        of_markov, kind_before = contexts[MARKOV - 1], self.past.kind[before]
        for kind, (back_to, weight) in self.looks.items():
            some = np.flatnonzero(kind_before == kind)
            context, table = self.look(back_to, events[some]), self.look_tables[kind]
            known = number(context) * (of_markov.max(initial=0) + 1) + of_markov[some]
            p = allowed(partial(self.p_looking, back_to=back_to, table=table, weight=weight))
            look_back[some] = self.search(events[some], markov[some], known, context, table, p)
        each = np.stack([marginal, copy_last, markov, back_off, look_back])
        return np.where(before >= 0, each, marginal)

    def search(self, events, below, known, context, table: Table, p) -> np.ndarray:
        """The most likely value of each event by a table, where `below` is its prior's.

        A value that never followed a context is as likely as the prior makes it. So only those that
        did, and the prior's most likely, need comparing; and once for all events of which the same
        is `known`.

        known, context: of these events, what table and prior know together, and the table alone;
        p: from events and values to their probabilities
        """
        every = number(known)
        one = np.empty(every.max(initial=-1) + 1, int)  # of each that is known an event, any
        one[every] = np.arange(len(every))
        events, below, context = events[one], below[one], context[one]
        found = [below[:0]]
        most = max(1, CANDIDATES // self.size)
        for start in range(0, len(events), most):
            some, prior = events[start : start + most], below[start : start + most]
            whose, value = table.list_values(context[start : start + most])
            whose = np.concatenate([whose, np.arange(len(some))])
            value = np.concatenate([value, prior])
            found.append(pick_greatest(p(some[whose], value), whose, value))
        return np.concatenate(found)[every]


def pick_greatest(p: np.ndarray, whose: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The value of the greatest p of each, the lowest of equals; `whose` has all from 0 on."""
    greatest = np.zeros(whose.max() + 1)
    np.maximum.at(greatest, whose, p)
    equals = p == greatest[whose]
    best = np.full(len(greatest), value.max())
    np.minimum.at(best, whose[equals], value[equals])
    return best


def find_before(sequence: np.ndarray) -> np.ndarray:
    """The event before each one in its sequence, -1 where it is the first: (events,) int64."""
    events = pd.Series(np.arange(len(sequence)))
    return events.groupby(sequence).shift(fill_value=-1).to_numpy()


def find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each of the wanted among sorted keys, -1 where it is none of them."""
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def count_each(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each different number, in order, and how often it is there; few are sorted, not all."""
    places, different = pd.factorize(numbers)
    order = np.argsort(different)
    return different[order], np.bincount(places, minlength=len(different))[order]


def number(context: np.ndarray) -> np.ndarray:
    """Each different number as a number from 0 on."""
    return pd.factorize(context)[0]


class Baselines(dict):
    """What the tables lose on each event of a log: name -> (events, C) float32 nats.

    log: a `Log`; past and training: of it, see `CategoryBaseline`
    """

    def __init__(self, past: Past, log, training: np.ndarray):
        self.log = log
        self.fitted = [
            CategoryBaseline(past, value, training, category.size)
            for value, category in zip(log.table.T, log.categories, strict=True)
        ]
        losses = [one.losses().astype(np.float32) for one in self.fitted]
        super().__init__(zip(BASELINES, np.stack(losses, -1), strict=True))

    def find_right(self, event: np.ndarray) -> dict[str, np.ndarray]:
        """Whether the most likely value of these events is the true one: name -> (..., C) bool.

        event: (...), `len(log)` for none, which is False, as is a true value without an integer
        """
        events, place = np.unique(event, return_inverse=True)
        right = np.zeros((len(BASELINES), len(events), len(self.fitted)), bool)
        events = events[events < len(self.log.table)]  # what is none is the last
        lowest, place = find_lowest(self.log), place.reshape(event.shape)
        for c, one in enumerate(self.fitted):
            best, named = one.best(events, lowest[c]), ~self.log.unseen[events, c]
            right[:, : len(events), c] = (best == one.value[events]) & named
        return {name: each[place] for name, each in zip(BASELINES, right, strict=True)}


def find_lowest(log) -> np.ndarray:
    """The lowest value of each category that can be the answer to what comes: (C,), 0 or 1.

    Where no training event is blank, 0 stands for rare values alone, and is no answer.
    """
    training = log.part == TRAIN
    blank = (log.table == 0) & ~log.unseen
    return np.where(blank[training].any(0), 0, 1)


def add_prior(together: np.ndarray, seen: np.ndarray, prior: np.ndarray, weight: float):
    """The share of what was seen together, with a prior worth `weight` observations."""
    return (together + weight * prior) / (seen + weight)


def find_share(same: np.ndarray, otherwise: np.ndarray) -> float:
    """The likeliest share of copies, where a value is the same as before or has p `otherwise`."""
    gain, low, high = same - otherwise, 0.0, 1 - 1e-6
    for _ in range(40):  # the likelihood is concave, so halving finds where it stops rising
        middle = (low + high) / 2
        slope = (gain / (otherwise + middle * gain)).sum()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return middle
