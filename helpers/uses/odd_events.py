"""Odd events: how ill an event fits what came before it, and how good a judge such a score is.

    table, kinds = plant(log, habits, 0.05, rng)
    events = pick_events(windows, kinds, 5000, rng)
    scores, expected = network_scores(model, windows, table, events)
    ranking = (scores - expected).sum(1)  # the oddest is the highest

An event's score is -ln p, given the events before it: its surprise. What comes by lot surprises
always, however much in order it is, so a score is held against its own mean over all that could
have come, the entropy of the forecast. What is above it is odd; what is high need not be.

The judged event is taken from `table`, which may have planted events; what comes before it is the
true log. A real log has its odd events in the histories too: give windows of such a log to see what
that costs. E events are judged, of C categories. Scores are in nats.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from helpers.events import TRAIN, Log
from helpers.losses import category_losses
from helpers.reader import Draws, believe, find_draws
from helpers.support.baselines import Table, find_before
from helpers.support.errors import InputError
from helpers.support.refusals import check_count, check_events
from helpers.support.watching import evaluating
from helpers.uses.chain import Chain
from helpers.uses.forecast import make_reader
from helpers.uses.futures import (
    CALENDAR,
    CAP,
    PLANTED,
    Anything,
    decode,
    entropy,
    event_probability,
    last_event,
    list_values,
)
from helpers.windows import Windows
from helpers.world import FOLLOWED, HABITS, Choice, Habit, next_outcomes

BATCH = 256  # events that a network judges at a time


def pick_events(
    windows: Windows, kinds: np.ndarray, clean: int, rng: np.random.Generator
) -> np.ndarray:
    """Events to be judged: all odd ones, and some of the others, by lot. (E,) numbers, ascending.

    kinds: (events,) of `plant`; clean: how many of those that are as they were
    """
    follows = windows.target_index(windows.origins)[:, 0]
    odd, others = follows[kinds[follows] > 0], follows[kinds[follows] == 0]
    check_count("clean", clean, len(others), ", the events that there are")
    return np.sort(np.concatenate([odd, rng.choice(others, clean, replace=False)]))


def find_origins(log: Log, events: np.ndarray) -> np.ndarray:
    """The event before each; an InputError names one that has none, or that the log has not."""
    events = check_events(events, len(log))
    before = find_before(log.sequence)[events]
    if (before < 0).any():
        raise InputError(
            f"event {events[before < 0][0]}: no event comes before it; take later ones"
        )
    return before


# -- who judges; each gives (scores, expected)


@torch.no_grad()
def network_scores(
    model: nn.Module, windows: Windows, table: np.ndarray, events: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By a network: (E, C) both, of each category; the mean is its head's entropy (Shannon 1948).

    model: a network, or a chain, whose heads are given the event's own values before theirs
    windows: of the part that the events are of; table: (events, C); events: (E,) numbers

    An InputError names an event that follows no origin of the windows.
    """
    found, events = [], check_events(events, len(windows.log))
    with evaluating(model):
        for some in np.split(events, range(BATCH, len(events), BATCH)):
            batch = windows.batch(find_origins(windows.log, some))
            event = torch.from_numpy(table[some])[:, None]  # (B, 1, C)
            logits = make_reader(model, batch)(batch.given[:, None, :1])[:, 0]  # (B, 1, V)
            if isinstance(model, Chain):
                logits = logits + model.add_all(event)
            heads = (head[:, 0].log_softmax(-1) for head in logits.split(model.sizes, -1))
            expected = torch.stack([-(head.exp() * head).sum(-1) for head in heads], -1)
            found.append((category_losses(logits, event, model.sizes)[:, 0], expected))
    scores, expected = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    return scores, expected


def table_scores(log: Log, table: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By first-order tables: (E, C) both, of each category; an event's are their sums.

    How often each value followed the value and the kind of event before, in the training part,
    with a prior worth one observation: how often it occurs at all (Dirichlet's mean).
    """
    before, training = find_before(log.sequence), np.flatnonzero(log.part == TRAIN)
    training, origins = training[before[training] >= 0], find_origins(log, events)
    scores, expected = np.zeros((2, len(events), len(log.categories)))
    for c, category in enumerate(log.categories):
        size, column = category.size, log.table[:, c].astype(int)
        context = log.table[:, 0] * size + column  # of the event before
        counted = Table(context[before[training]], column[training], size)
        seen = np.bincount(column[training], minlength=size)
        marginal = (seen + 0.5) / (len(training) + 0.5 * size)
        value = table[events, c].astype(int)
        scores[:, c] = -np.log(counted.p(context[origins], value, marginal[value], 1))
        contexts, place = np.unique(context[origins], return_inverse=True)
        p = counted.spread(contexts, np.tile(marginal, (len(contexts), 1)), 1)
        expected[:, c] = -(p * np.log(p)).sum(1)[place]
    return scores, expected


def reader_scores(
    windows: Windows, table: np.ndarray, events: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By the exact reader of the same histories: (E,) both, of the joint probability of an event.

    It knows the simulator as `futures.true_scores` does, but for the habits. Of those it believes
    what Bayes' rule makes of the histories; `CAP` where an event cannot happen.
    """
    log, origins = windows.log, find_origins(windows.log, events)
    drawn, values = expect_draws(windows, origins), list_values(log)
    causes, scores, expected = Believed(values), *np.zeros((2, len(events)))
    for place, (event, origin) in enumerate(zip(events, origins, strict=True)):
        causes.drawn = {stream: p[place].tolist() for stream, p in drawn.items()}
        outcomes = next_outcomes(last_event(log, origin), causes, CALENDAR)
        p = event_probability(outcomes, decode(values, table[event].tolist()))
        scores[place] = -math.log(p) if p else CAP
        expected[place] = entropy(outcomes)
    return scores, expected


class Believed(Anything):
    """Habits of which something is known.

    drawn: stream -> the probability of each of its values to be drawn from the habit in question
    """

    drawn: dict[str, list[float]]

    def decide(self, event: dict) -> dict[str, Choice]:
        return {
            habit.category: Choice(dict(zip(self.values[stream], self.drawn[stream], strict=True)))
            for stream, habit in HABITS.items()
            if habit.kind == event["EventType"]
        }


def expect_draws(windows: Windows, origins: np.ndarray) -> dict[str, np.ndarray]:
    """What the reader expects of each habit that the next event may be drawn from.

    stream -> (E, values), the probability of each value to be drawn, the habit being that of the
    origin's key
    """
    log = windows.log
    known = windows.history_index(origins).reshape(len(origins), -1)  # (E, S * T)
    follows = windows.target_index(origins)[:, 0]
    found = {}
    for stream, habit in HABITS.items():
        draws = find_draws(log, stream)
        belief = believe_of(known, draws.key[origins], follows, draws, habit)
        found[stream] = spread_draw(belief)
    return found


def believe_of(
    known: np.ndarray, key: np.ndarray, follows: np.ndarray, draws: Draws, habit: Habit
) -> np.ndarray:
    """The probability of each value of the habit of a key: (E, values).

    known: (E, M) events that are shown; key: (E,); follows: (E,) the events that come next
    """
    shown = draws.shown[known]
    shown[(draws.key[shown] != key[:, None]) | (key[:, None] == 0)] = -1
    shown.sort(1)  # each draw once, in the order of time
    shown[:, 1:][shown[:, 1:] == shown[:, :-1]] = -1
    shown.sort(1)
    most = (shown >= 0).sum(1).max(initial=0)
    return believe(shown[:, shown.shape[1] - most :], follows, draws, habit)


def spread_draw(belief: np.ndarray) -> np.ndarray:
    """The probability of each value to be drawn from a habit that is believed to be so."""
    return FOLLOWED * belief + (1 - FOLLOWED) / (belief.shape[-1] - 1) * (1 - belief)


# -- how good a judge is


def grade_odd_events(
    rankings: dict[str, np.ndarray],
    kinds: np.ndarray,
    rate: float,
    draws: int,
    rng: np.random.Generator,
    top: int = 50,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How well rankings find odd events at a rate: average precision, and its standard error.

    rankings: who -> (E,), the oddest the highest; kinds: (E,), of the judged events
    rate: the share of odd events, each kind a fifth of them
    draws: of so many logs, drawn with replacement from the judged events at this rate (the
        bootstrap, Efron 1979), the mean and the standard deviation are given

    A row for each ranking, and a last one for chance. A column for each kind, against the events as
    they were; for all kinds together; and the share of odd ones among the `top` highest, which is
    what somebody finds who has time to look at so many.
    """
    check_count("rankings", len(rankings))
    for who, ranking in rankings.items():
        if np.shape(ranking) != np.shape(kinds) or not np.isfinite(ranking).all():
            raise InputError(
                f"rankings: that of {who} must be a finite number for each of {len(kinds)} events"
            )
    check_count("top", top)
    clean = np.flatnonzero(kinds == 0)
    odd = {name: np.flatnonzero(kinds == k) for k, name in enumerate(PLANTED, 1)}
    if not 0 < rate < 1:
        raise InputError(f"rate must be above 0 and below 1, found {rate}")
    if missing := [name for name, events in odd.items() if not len(events)]:
        raise InputError(f"kinds: none of '{missing[0]}' was planted; plant at a higher rate")
    each = round(rate / (1 - rate) * len(clean) / len(odd))
    check_count("draws", draws)
    if each < 1 or draws < 2:
        raise InputError(
            f"at rate {rate} {len(clean)} events have {each} of each kind, in {draws} draws; "
            f"there must be 1 and 2 at least"
        )
    share = 1 / (1 + len(clean) / each)
    chance = dict.fromkeys(odd, share) | {"all": rate, f"top {top}": rate}
    found = []
    for _ in range(draws):
        usual = rng.choice(clean, len(clean))
        planted = {name: rng.choice(events, each) for name, events in odd.items()}
        everything = {"all": np.concatenate(list(planted.values()))}
        for who, ranking in rankings.items():
            for name, events in (planted | everything).items():
                label = np.repeat([0, 1], [len(usual), len(events)])
                height = ranking[np.concatenate([usual, events])]
                found.append((who, name, average_precision_score(label, height)))
            highest = np.lexsort([rng.random(len(height)), -height])[:top]  # equals by lot
            found.append((who, f"top {top}", label[highest].mean()))
    grouped = pd.DataFrame(found, columns=["who", "kind", "grade"]).groupby(["who", "kind"])
    means, errors = (
        table["grade"].unstack().loc[list(rankings), list(chance)].rename_axis(columns=None)
        for table in (grouped.mean(), grouped.std())
    )
    means.loc["chance"] = chance
    return means, errors


def give_away(
    scores: np.ndarray, expected: np.ndarray, kinds: np.ndarray, log: Log
) -> pd.DataFrame:
    """Which category gives each kind away: its mean score above what was expected, in nats.

    scores, expected: (E, C); kinds: (E,). A row for each kind, the first for events as they were.
    """
    names = [category.name for category in log.categories]
    above = pd.DataFrame(scores - expected, columns=names)
    means = above.groupby(np.array(["as it was", *PLANTED], object)[kinds]).mean()
    return means.reindex([name for name in ("as it was", *PLANTED) if name in means.index])
