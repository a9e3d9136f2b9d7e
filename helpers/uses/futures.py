"""What the simulator knows of what comes next, to grade a forecast by; and odd events, planted.

    log, habits = read_log(DATA / "workplace.csv.gz", WORKPLACE), read_habits()
    last, causes = last_event(log, origin), habits.at(log.time[origin])
    futures = draw_futures(log, last, causes, steps=20, samples=100, rng=random.Random(0))

`world.next_outcomes` says what can follow an event, and how likely, given the habits. The log shows
the event and data/habits.npz the habits, so the true answer is at hand wherever a forecast begins.
Events are integers of the log's vocabularies, as a network's are: S samples of U steps, C
categories. Days are counted from the first one of the built-in workplace.
"""

from __future__ import annotations

import copy
import json
import math
import random
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.events import TEST, Log
from helpers.schema import CATEGORY_NAMES
from helpers.support.baselines import find_before
from helpers.support.errors import InputError
from helpers.support.files import DATA, read_beside
from helpers.support.refusals import check_count, check_events
from helpers.world import (
    HABITS,
    KEYS,
    START_HOURS,
    Calendar,
    Causes,
    Choice,
    Outcome,
    Workplace,
    by_lot,
    draw,
    next_outcomes,
)

START = np.datetime64(Workplace().start)  # day 0
CALENDAR = Calendar(Workplace(days=3650))  # futures go on beyond the last day of the log
APPROVED = ("timesheet_approved", "timesheet_mended")  # the last event of a shift is one of these
NO_VALUE = object()  # what an integer says that stands for nothing
CAP = 50.0  # nats, the score of what cannot happen; what can has 17 at most, in any workplace 29


# -- the hidden state


class Habits:
    """The habits of a simulated workplace, at any time of its log.

    changes: (changes, 4) int32, in the order of time: the hour from the workplace's beginning, and
        the places of the stream in `HABITS`, of the key in `Causes.keys` and of its new habit in
        `Causes.values`. The first hour gives every habit. Habits are noted when an event happens,
        so one that changed between two events has the hour of the later one: nothing was drawn
        in between.
    """

    def __init__(self, workplace: Workplace, changes: np.ndarray):
        self.workplace = workplace
        self.causes = Causes(workplace, random.Random(workplace.seed))  # `at` replaces its habits
        sizes = [len(habits) for habits in self.causes.of.values()]
        hour, stream, key, value = changes.T
        column = np.cumsum([0, *sizes])[stream] + key
        # Every hour has the value that was noted last: (hours, habits).
        noted = np.zeros((hour.max() + 1, sum(sizes)), np.int32)
        noted[hour, column] = hour
        values = np.zeros(noted.shape, np.int16)
        values[hour, column] = value
        self.values = np.take_along_axis(values, np.maximum.accumulate(noted), 0)
        self.hours = range(hour.min(), 24 * workplace.days)

    def at(self, time: np.datetime64) -> Causes:
        """The habits in force when an event of this time had happened and the next was drawn.

        They are constant within an hour. An InputError says that the log has no such time.
        """
        hours = (time - np.datetime64(self.workplace.start)) / np.timedelta64(1, "h")
        hour = -1 if np.isnan(hours) else math.floor(hours)  # NaT is no time
        if hour not in self.hours:
            raise InputError(f"time: no habit is known of {time}; take the time of an event")
        now = iter(self.values[min(hour, len(self.values) - 1)].tolist())
        causes = copy.copy(self.causes)
        causes.of = {
            stream: {key: causes.values[stream][next(now)] for key in habits}
            for stream, habits in self.causes.of.items()
        }
        return causes


def read_habits(log: Path = DATA / "workplace.csv.gz") -> Habits:
    """The habits beside the built-in log; an InputError says that they are not of that log."""
    return read_beside(
        log,
        "habits.npz",
        lambda file: Habits(Workplace(**json.loads(str(file["workplace"]))), file["changes"]),
    )


# -- between the log's integers and the simulator's events


def list_values(log: Log) -> list[list]:
    """For each category the simulator's value of every integer, of 0 None.

    The simulator counts hours worked in quarters. An InputError says that the log is none of its.
    """
    if [category.name for category in log.categories] != CATEGORY_NAMES:
        raise InputError(
            "log: its categories are not those of the simulated workplace, the only one whose "
            "true futures are known; give the built-in log"
        )
    values = dict(log.vocabularies)
    values["HoursWorked"] = [None, *(round(4 * hours) for hours in values["HoursWorked"][1:])]
    return [values[name] for name in CATEGORY_NAMES]


def decode(values: list[list], row: list[int]) -> dict:
    """An event of C integers as the simulator has it, but for its day."""
    return {
        name: known[number] if 0 <= number < len(known) else NO_VALUE
        for name, known, number in zip(CATEGORY_NAMES, values, row, strict=True)
    }


def encode(log: Log, events: list[dict]) -> np.ndarray:
    """The simulator's events as integers, (events, C) int32; 0 where the log has none for it."""
    columns = []
    for name, known in zip(CATEGORY_NAMES, list_values(log), strict=True):
        number = {value: place for place, value in enumerate(known)}
        columns.append([number.get(event[name], 0) for event in events])
    return np.array(columns, np.int32).T


def last_event(log: Log, event: int) -> dict:
    """The simulator's own event, as `next_outcomes` takes it, of an event's number in the log.

    An InputError says that the log does not have it, or does not show all of it.
    """
    check_events(event, len(log))
    if log.unseen[event].any():
        name = CATEGORY_NAMES[int(log.unseen[event].argmax())]
        raise InputError(
            f"event {event}: its {name} has no integer, since training never has it; take an "
            f"event that the log shows whole"
        )
    day = int((log.time[event] - START) // np.timedelta64(1, "D"))
    return decode(list_values(log), log.table[event]) | {"day": day, "reference_day": day}


# -- futures


class Drifting(Causes):
    """Habits that change as a future goes on, each brought up to the hour when it decides.

    A habit is a Markov chain that heeds no other. So those that decide nothing need no draw, and
    one draw moves another over all hours since it was last looked at: after n hours it is what it
    was with probability 1/v + (1 - 1/v) (1 - c v/(v - 1))^n, and each of its other v - 1 values is
    as likely as the next, where it changes in an hour with probability c. That is exact.
    """

    def __init__(self, causes: Causes, hour: int, rng: random.Random):
        self.keys, self.values, self.rng = causes.keys, causes.values, rng
        self.of = {stream: dict(habits) for stream, habits in causes.of.items()}
        self.begin = self.hour = hour  # `hour` moves on with the future
        self.looked = {}  # (stream, key) -> the hour in which it was last brought up

    def decide(self, event: dict) -> dict[str, Choice]:
        for stream, habit in HABITS.items():
            if habit.kind == event["EventType"]:
                self.bring_up(stream, event[KEYS[stream]])
        return super().decide(event)

    def bring_up(self, stream: str, key) -> None:
        hours = self.hour - self.looked.get((stream, key), self.begin)
        self.looked[stream, key] = self.hour
        values, now = self.values[stream], self.of[stream][key]
        even = 1 / len(values)
        keeps = 1 - HABITS[stream].change / 24 / (1 - even)
        if self.rng.random() >= even + (1 - even) * keeps**hours:
            others = [value for value in values if value != now]
            self.of[stream][key] = self.rng.choice(others)


def find_hour(event: dict) -> int:
    return 24 * event["day"] + event["Time_Event_Hour"]


def draw_futures(
    log: Log, last: dict, causes: Causes, steps: int, samples: int, rng: random.Random
) -> np.ndarray:
    """Futures of an employee as the simulator would go on: (S, U, C) int32.

    last: the event that has just happened, `last_event` or one that you changed
    causes: the habits in force then, `Habits.at`; they change from then on, in each future anew

    A forecast with these probabilities is the best that there can be for one who knows the habits
    at the origin. An InputError says that there is nothing to draw.
    """
    check_count("steps", steps)
    check_count("samples", samples)
    events = []
    for _ in range(samples):
        now, drifting = last, Drifting(causes, find_hour(last), rng)
        for _ in range(steps):
            drifting.hour = find_hour(now)
            now = draw(next_outcomes(now, drifting, CALENDAR), rng)
            events.append(now)
    return encode(log, events).reshape(samples, steps, -1)


# -- the probability of whole events


def outcome_probability(outcome: Outcome, event: dict) -> float:
    """The probability that the next event is this one, by way of this outcome."""
    p = outcome.p
    for name in CATEGORY_NAMES:
        if name in outcome.choices:
            p *= outcome.choices[name].table.get(event[name], 0.0)
        elif outcome.event[name] != event[name]:
            return 0.0
    return p


def event_probability(outcomes: list[Outcome], event: dict) -> float:
    """The joint probability of all categories of an event; the product of theirs is another."""
    return sum(outcome_probability(outcome, event) for outcome in outcomes)


def entropy(outcomes: list[Outcome]) -> float:
    """The mean of -ln `event_probability` over the events that can come next, in nats.

    No two outcomes of `next_outcomes` can become the same event, so it is the sum over outcomes,
    the choices within one being independent (Shannon 1948).
    """
    return sum(
        p * (sum(map(choice_entropy, choices.values())) - math.log(p)) for p, _, choices in outcomes
    )


@cache
def choice_entropy(choice: Choice) -> float:  # nats; there are few choices, asked for often
    return sum(-q * math.log(q) for q in choice.table.values() if q)


class Anything(Causes):
    """Habits of which nothing is known. What can happen at all does not depend on them.

    values: those of `list_values`
    """

    def __init__(self, values: list[list]):
        known = {name: tuple(some[1:]) for name, some in zip(CATEGORY_NAMES, values, strict=True)}
        self.keys = {category: known[category] for category in KEYS.values()}
        self.values = {stream: one.values or known[one.category] for stream, one in HABITS.items()}

    def decide(self, event: dict) -> dict[str, Choice]:
        return {
            habit.category: by_lot(self.values[stream])
            for stream, habit in HABITS.items()
            if habit.kind == event["EventType"]
        }


def possible(log: Log, origins: np.ndarray, futures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the simulator could go on so: (possible, judged), both (N, S, U) bool.

    origins: (N,) event numbers; futures: (N, S, U, C) integers, a network's or the simulator's

    A step is judged by the event before it in its own future. After one that cannot happen nothing
    more is judged, and counts as impossible: of the steps that are judged, the share that cannot
    happen is ``1 - possible[judged].mean()``. Where the simulator has a value, 0 is impossible.
    """
    futures, values = np.asarray(futures), list_values(log)
    check_futures(futures, len(origins))
    causes, found = Anything(values), np.zeros(futures.shape[:-1], bool)
    for n, origin in enumerate(origins):
        first = last_event(log, origin)
        after_first = next_outcomes(first, causes, CALENDAR)
        for s, future in enumerate(futures[n].tolist()):
            outcomes = after_first
            for u, row in enumerate(future):
                event = decode(values, row)
                ways = [one for one in outcomes if outcome_probability(one, event)]
                if not ways:
                    break
                found[n, s, u] = True
                days = {name: ways[0].event[name] for name in ("day", "reference_day")}
                outcomes = next_outcomes(event | days, causes, CALENDAR)
    judged = np.ones_like(found)
    judged[..., 1:] = found[..., :-1]
    return found, judged


def check_futures(futures: np.ndarray, count: int) -> None:
    wanted = f"({count}, samples, steps, {len(CATEGORY_NAMES)})"
    shape = futures.shape
    if len(shape) != 4 or (shape[0], shape[-1]) != (count, len(CATEGORY_NAMES)):
        raise InputError(f"futures must be of shape {wanted}, found {shape}")
    if not np.issubdtype(futures.dtype, np.integer):
        raise InputError(f"futures must be integers, found {futures.dtype}")


# -- how good a forecast is


def check_samples(samples: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays; an InputError says that they don't fit, or that one holds no number."""
    samples, truth = np.asarray(samples), np.asarray(truth)
    if not samples.size or samples.shape[1:] != truth.shape:
        raise InputError(
            f"samples: must be of shape (S, ...) for truths of shape (...), one at least of each, "
            f"found {samples.shape} for {truth.shape}"
        )
    if np.isnan(samples).any() or np.isnan(truth).any():
        raise InputError("samples and truth must be numbers, found NaN; leave its place out")
    return samples, truth


def crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The continuous ranked probability score of sampled forecasts, in the truth's unit: (...).

    samples: (S, ...); truth: (...)

    E|X - y| - E|X - X'| / 2 over the samples X, X' and the truth y, the energy form (Gneiting and
    Raftery 2007, equation 21). Lower is better, and a single sample's is its absolute error. It is
    the score of the samples, not of what they were drawn from: that one's is lower by
    E|X - X'| / (2 S), so compare forecasts of as many samples.
    """
    samples, truth = check_samples(samples, truth)
    ordered, count = np.sort(samples, axis=0).astype(float), len(samples)
    # In order, the i-th sample is the greater one of i - 1 pairs, and the lesser one of S - i.
    weights = 2 * np.arange(1, count + 1) - count - 1
    apart = np.tensordot(weights, ordered, 1) / count**2  # E|X - X'| / 2
    return np.abs(ordered - truth).mean(0) - apart


def pit(samples: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The probability integral transform of each truth, between 0 and 1: (...).

    samples: (S, ...); truth: (...)

    The share of the samples below the truth; where some equal it, a value drawn evenly between the
    shares without and with them (Czado, Gneiting and Held 2009). The truth counts as one sample
    more, so that the values are exactly even where it is of the samples' kind, however few those
    are. A histogram like a U says that forecasts are too narrow, one like a hill too wide.
    """
    samples, truth = check_samples(samples, truth)
    below, equal = (samples < truth).sum(0), (samples == truth).sum(0)
    return (below + rng.random(below.shape) * (equal + 1)) / (len(samples) + 1)


def coverage(samples: np.ndarray, truth: np.ndarray, share: float) -> float:
    """The share of truths within the central interval that should hold `share` of them.

    samples: (S, ...); truth: (...)

    The interval goes from the least sample that at least (1 - share) / 2 of the samples do not
    exceed, to the one of (1 + share) / 2, both included. Where many values are equal it holds more
    than `share`, and so may a good forecast's coverage; `pit` is not so coarse.
    """
    samples, truth = check_samples(samples, truth)
    low, high = find_interval(samples, share)
    return float(((low <= truth) & (truth <= high)).mean())


def find_interval(samples: np.ndarray, share: float) -> np.ndarray:
    """The ends of the central interval that holds so many of the samples, (S, ...): (2, ...)."""
    if not 0 < share < 1:
        raise InputError(f"share must be above 0 and below 1, found {share}")
    # Rounded, or else the 0.025 of 0.95 is a little more, and one of 40 samples is not enough.
    edges = np.round([(1 - share) / 2, (1 + share) / 2], 12)
    return np.quantile(samples, edges, axis=0, method="inverted_cdf")


def paid_hours(
    log: Log, futures: np.ndarray, category: str, days: np.ndarray | None = None
) -> np.ndarray:
    """Hours worked for each value of a category, all employees together: (S, size) hours.

    futures: (N, S, U, C) integers, of N employees; the true one is a sample like any other
    category: "LocationRecordId" for the sites, "CostCodeRecordId" for the projects; a column of
        the answer is one of its integers
    days: (D,) datetime64, the days whose shifts count; None for all. A future has a number of
        steps, not of days, so name days that all of them reach to the end of.

    A shift's hours count at its last event, the approved or mended timesheet, once.
    """
    futures, values = np.asarray(futures), list_values(log)
    check_futures(futures, len(futures))
    names, size = CATEGORY_NAMES, find_size(log, category)
    column = {name: futures[..., place] for place, name in enumerate(names)}
    ends = np.isin(column["EventType"], [values[0].index(kind) for kind in APPROVED])
    counts = ends.copy()
    counts[..., 1:] &= ~ends[..., :-1]  # a network may approve twice
    if days is not None:
        dates = pd.DatetimeIndex(days)
        wanted = 100 * dates.month + dates.day  # such a value has itself as its integer
        month, day = (column[f"Time_Reference_{part}"] for part in ("Month", "Day"))
        counts &= np.isin(100 * month + day, wanted)
    _, sample, _ = counts.nonzero()
    quarters = np.array([0, *values[names.index("HoursWorked")][1:]])
    paid = np.zeros((futures.shape[1], size))
    np.add.at(paid, (sample, column[category][counts]), quarters[column["HoursWorked"][counts]] / 4)
    return paid


def find_size(log: Log, category: str) -> int:
    """The size of a category; an InputError says that the log has none of this name."""
    sizes = {one.name: one.size for one in log.categories}
    if category not in sizes:
        raise InputError(f"category: there is no '{category}'; it must be of {', '.join(sizes)}")
    return sizes[category]


# -- odd events

# What is planted, at which kind of event, and the category that is changed there. Four of them the
# simulator gives no probability at all, since the event before tells better. A wrong manager it
# does, as one shift in ten is under another manager than its project's habit has it: only who knows
# the habit has a suspicion, and nobody more than that.
PLANTED = {
    "a site where nobody is that day": ("punch_in", "LocationRecordId"),
    "hours doubled": ("timesheet_submitted", "HoursWorked"),
    "a colleague's badge": ("punch_out", "RecipientRecordId"),
    "a manager who is not in charge": ("break_end", "ApprovedByManagerUserRecordId"),
    "a shift at the wrong hour": ("punch_in", "Time_Event_Hour"),
}


def plant(
    log: Log, habits: Habits, rate: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Plants fraud and error in single events of the test part: (table, kinds).

    rate: the share of the test part's events that become odd, each kind a fifth of them

    table: (events, C) int32, the log's with one integer changed in each odd event
    kinds: (events,) int8, the place in `PLANTED`, from 1; 0 where an event is as it was

    An InputError says that there are too few events for so many.
    """
    if not 0 < rate < 1:
        raise InputError(f"rate must be above 0 and below 1, found {rate}")
    values, before, test = list_values(log), find_before(log.sequence), log.part == TEST
    shown = ~log.unseen.any(1)
    usable = test & (before >= 0) & shown & shown[before]
    many = round(rate * test.sum() / len(PLANTED))
    table, kinds = log.table.copy(), np.zeros(len(log), np.int8)
    for place, (name, (kind, category)) in enumerate(PLANTED.items(), 1):
        of_kind = table[:, 0] == values[0].index(kind)
        left = many
        for event in rng.permutation(np.flatnonzero(usable & of_kind & (kinds == 0))):
            if left == 0:
                break
            false = list_false(log, habits, category, event, before[event])
            if len(false):  # on a busy day every site has somebody
                table[event, CATEGORY_NAMES.index(category)] = rng.choice(false)
                kinds[event], left = place, left - 1
        if left:
            raise InputError(f"rate {rate}: too few events for {many} of '{name}'; lower the rate")
    return table, kinds


def list_false(log: Log, habits: Habits, category: str, event: int, before: int) -> list[int]:
    """The integers that would be false for this category of an event."""
    column, true = CATEGORY_NAMES.index(category), last_event(log, event)
    known = list_values(log)[column]
    if category == "LocationRecordId":
        first, end = np.searchsorted(log.time, [START + true["day"], START + true["day"] + 1])
        return sorted(set(range(1, len(known))) - set(log.table[first:end, column].tolist()))
    if category == "HoursWorked":
        return [known.index(2 * true[category])]
    spared = [None, true[category]]
    if category == "ApprovedByManagerUserRecordId":
        in_force = habits.at(log.time[before]).of["CostCode"]
        spared.append(in_force[true["CostCodeRecordId"]])
    others = START_HOURS if category == "Time_Event_Hour" else known
    return [known.index(value) for value in others if value not in spared]


def true_scores(
    log: Log, habits: Habits, table: np.ndarray, events: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How odd events are to one who knows the simulator and its habits: (scores, expected).

    table: (events, C), the log's or one with planted events; events: (E,) numbers of events to be
        judged, each by the true event before it, whatever became of that one in the table

    scores: (E,) nats, -ln of the joint probability of the event; `CAP` where it cannot happen
    expected: (E,) nats, the mean of the score over all that could have come instead: a plan, which
        is drawn by lot, always scores high. What is above the mean is odd; what is high need not be

    An InputError names an event that none comes before, or that the log has not.
    """
    events = check_events(events, len(log))
    values, before = list_values(log), find_before(log.sequence)
    scores, expected = np.zeros((2, len(events)))
    for place, event in enumerate(events):
        if (last := before[event]) < 0:
            raise InputError(f"event {event}: no event comes before it; take later ones")
        causes = habits.at(log.time[last])
        outcomes = next_outcomes(last_event(log, last), causes, CALENDAR)
        p = event_probability(outcomes, decode(values, table[event].tolist()))
        scores[place] = -math.log(p) if p else CAP
        expected[place] = entropy(outcomes)
    return scores, expected
