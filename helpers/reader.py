"""The exact reader: the best that any network can do that is shown the same histories.

It is Bayes' rule over the hidden habits of `world`. It is told the rules: what kinds of event there
are and how they follow each other, which stream's habit decides what, how often a habit is followed
and how often it changes. It is not told any habit. Of those it knows what it is shown: the chosen
streams' histories of a window, the origin, and of the target the events before the one in question.

A habit is a hidden Markov chain with a state for each value, so what is known of it is a few
probabilities: they fade towards equal ones from hour to hour, and every draw that is shown makes
them sharper (the forward algorithm, Rabiner 1989). What no habit decides, the event before tells
as well as can be told: there the reader's loss is the floor.

Two things it leaves out. That an event is *not* shown, because it is yet to come, tells a little of
when it will come. And two keys without an integer of their own (0) may be the same: as windows do,
it takes them for different ones, and so knows nothing of their habits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from helpers.events import PART_NAMES, Log
from helpers.schema import CATEGORY_NAMES
from helpers.support.files import Truth
from helpers.support.refusals import refuse_strangers
from helpers.support.rows import sort_stably, take_rows
from helpers.windows import Windows
from helpers.world import FOLLOWED, HABITS, KEYS, TRANSFER, Habit

CHUNK = 1000  # windows that are read at a time, to bound the memory


class Draws(NamedTuple):
    """What the events of a log show of one stream's habits. Each is (events + 1,), as padding is.

    A habit's value is drawn once a shift, and several events of the shift show that one draw. It
    goes by the number of the event that it decided.
    """

    shown: np.ndarray  # the draw that an event shows, -1 where it shows none
    key: np.ndarray  # whose habit it is
    value: np.ndarray  # the value of that category, from 0
    hour: np.ndarray  # when it was drawn: when the event before happened
    p: np.ndarray  # probability of the kind of event, given the event before
    values: int  # how many values the habit can have


def find_draws(log: Log, stream: str) -> Draws:
    """All draws from one stream's habits."""
    habit, kinds = HABITS[stream], log.vocabularies["EventType"]
    numbers = [kinds.index(kind) for kind in (habit.kind, *habit.repeated) if kind in kinds]
    columns = [CATEGORY_NAMES.index(name) for name in ("EventType", KEYS[stream], habit.category)]
    kind, key, value = (np.append(log.table[:, c], 0) for c in columns)  # and 0, of padding

    # Person by person, each event's draw is the last one that was made. A person's first event is a
    # plan, which shows none.
    order = sort_stably(log.sequence)
    before = np.full(len(kind), -1)
    before[order[1:]] = order[:-1]
    decided = kind == kinds.index(habit.kind)
    last = np.maximum.accumulate(np.where(decided[order], np.arange(len(order)), -1))
    shown = np.full(len(kind), -1, np.int32)
    shown[order] = np.where(np.isin(kind[order], numbers), order[last], -1)

    # Before a punch in, a transfer could have come as well, unless it was there already.
    planned = kind[before] == kinds.index("shift_scheduled")
    p = np.where(planned & (habit.kind == "punch_in"), 1 - TRANSFER, 1.0)
    hour = log.time.astype("datetime64[h]").astype(int)[before]
    possible = np.bincount(value[decided], minlength=value.max() + 1) > 0
    values, below = max(possible.sum(), len(habit.values)), possible.cumsum() - possible
    return Draws(shown, key, below[value], hour, p, values)  # a value's number: possible ones below


def find_all_draws(log: Log) -> dict[str, Draws]:
    return {stream: find_draws(log, stream) for stream in HABITS}


def read(
    windows: Windows,
    truth: Truth,
    streams: list[str] | None = None,
    origins: np.ndarray | None = None,
    draws: dict[str, Draws] | None = None,
) -> np.ndarray:
    """Losses of the reader of these streams' histories, on the windows of `origins`.

    windows: of the built-in workplace or another simulated one; truth: its floors
    streams: names of streams of the windows, None for all
    origins: event numbers, None for all windows
    draws: of the log, see `find_all_draws`; None to find them

    Returns (N, U, C) float32 nats, as `losses.evaluate` gives for a network.
    """
    log, origins = windows.log, windows.origins if origins is None else np.asarray(origins)
    refuse_strangers(origins, windows.origins, PART_NAMES[windows.part])
    names = [stream.name for stream in log.streams]
    chosen = [names.index(name) for name in (names if streams is None else streams)]
    draws, parts = draws or find_all_draws(log), []
    for start in range(0, len(origins), CHUNK):
        some = origins[start : start + CHUNK]
        target = windows.target_index(some)  # (B, U)
        histories = windows.history_index(some)[:, chosen].reshape(len(some), -1)  # (B, S * T)
        known = np.concatenate([histories, some[:, None], target], 1)  # (B, M)
        losses = take_rows(truth.floors, target)  # (B, U, C)
        for stream, habit in HABITS.items():
            decide(losses, known, target, draws[stream], habit)
        parts.append(losses.astype(np.float32))
    return np.concatenate(parts)


def decide(
    losses: np.ndarray, known: np.ndarray, target: np.ndarray, draws: Draws, habit: Habit
) -> None:
    """Puts the reader's loss wherever a habit of this stream decides.

    losses: (B, U, C); known: (B, M) events, the last U of them the target; target: (B, U)
    """
    window, step = np.nonzero(draws.shown[target] == target)  # the decisions, (P,) each
    event = target[window, step]
    # Of the target itself a step knows what came before it. Only draws from the habit in question
    # count, each of them once, in the order of time.
    place = np.arange(known.shape[1]) - (known.shape[1] - target.shape[1])  # (M,)
    shown, key = draws.shown[known], draws.key[event][:, None]
    others = (draws.key[shown][window] != key) | (key == 0)  # (P, M)
    shown = np.where(others | (place >= step[:, None]), -1, shown[window])
    shown.sort(1)
    shown = shown[:, (shown >= 0).any(0)]  # -1 stand first; columns of nothing else are dropped
    shown[:, 1:][shown[:, 1:] == shown[:, :-1]] = -1
    shown.sort(1)
    belief = believe(shown[:, (shown >= 0).any(0)], event, draws, habit)  # (P, values)
    p = draw_probability(belief, draws.value[event], draws.values)
    losses[window, step, CATEGORY_NAMES.index(habit.category)] = -np.log(draws.p[event] * p)


def believe(shown: np.ndarray, event: np.ndarray, draws: Draws, habit: Habit) -> np.ndarray:
    """The probability of each value of a habit when `event` is drawn: (P, values).

    shown: (P, K) draws from the habit, in the order of time, -1 where there is none; event: (P,)
    """
    even = 1 / draws.values
    belief = np.full((len(event), draws.values), even)
    # In an hour a habit changes with probability c, to any of the other values. So what is known
    # of it beyond `even` shrinks by 1 - c - c / (values - 1).
    keeps = 1 - habit.change / 24 / (1 - even)
    hour = draws.hour[event] if shown.shape[1] == 0 else draws.hour[shown[:, 0]]
    for column in shown.T:
        some = column >= 0
        now = np.where(some, draws.hour[column], hour)
        belief = even + (belief - even) * keeps ** (now - hour)[:, None]
        hour = np.where(some, now, hour)
        likely = np.full_like(belief, (1 - FOLLOWED) / (draws.values - 1))  # p(draw | habit)
        likely[np.arange(len(column)), draws.value[column]] = FOLLOWED
        belief = np.where(some[:, None], belief * likely, belief)
        belief /= belief.sum(1, keepdims=True)
    return even + (belief - even) * keeps ** (draws.hour[event] - hour)[:, None]


def draw_probability(belief: np.ndarray, value: np.ndarray, values: int) -> np.ndarray:
    """The probability that this value is drawn, (P,), where a habit is believed to be so."""
    habit = belief[np.arange(len(value)), value]
    return FOLLOWED * habit + (1 - FOLLOWED) / (values - 1) * (1 - habit)
