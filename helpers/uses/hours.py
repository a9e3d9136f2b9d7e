"""Hours ahead as distributions: how long somebody will be at work, and what sites will have to pay.

    origins = pick_apart(windows, 100)
    forecasts, truth = forecast_shifts(model, windows, habits, origins, samples=19)
    coverage(forecasts["model"], truth, 0.9)

A question is put to sampled futures of the model and of the simulator that knows the habits, and
then to what really came. The simulator's own forecast is as good as there can be; one that says
less is worse, and one that is surer than it may be is found out (Gneiting, Balabdaoui and Raftery
2007: as sharp as can be, but calibrated).

Of N origins S futures of U steps are drawn, with C categories an event.
"""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.events import Log
from helpers.schema import CATEGORY_NAMES
from helpers.support.errors import InputError
from helpers.support.refusals import check_count
from helpers.uses.forecast import sample
from helpers.uses.futures import (
    APPROVED,
    Habits,
    coverage,
    crps,
    draw_futures,
    find_interval,
    find_size,
    last_event,
    list_values,
    paid_hours,
)
from helpers.windows import Windows, pick_evenly

SHIFT = 8  # events of a shift at most, from its plan to its approval
REACH = 30  # days; a future that is further from its origin has lost its way
SHARES = (0.5, 0.9)  # of the central intervals
WHO = ("model", "simulator")
PAYERS = {"site": "LocationRecordId", "project": "CostCodeRecordId"}
# Of the table that forecasts hours: how many shifts of a site, and how many days, are recent. Of
# several these had the least score in the validation part.
RECENT_SHIFTS, RECENT_DAYS = 6, 300
COLUMN = {name: place for place, name in enumerate(CATEGORY_NAMES)}


def draw_both(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    origins: np.ndarray,
    samples: int,
    steps: int,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Futures of the model and of the simulator, from the same origins: (N, S, U, C) each."""
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    ours = sample(model, windows.batch(origins), samples, generator, steps).numpy()
    theirs = []
    for origin in origins:
        last, causes = last_event(windows.log, origin), habits.at(windows.log.time[origin])
        theirs.append(draw_futures(windows.log, last, causes, steps, samples, rng))
    return dict(zip(WHO, (ours, np.stack(theirs)), strict=True))


# -- when an event is, and how long a shift


def tell_minutes(events: np.ndarray, part: str) -> np.ndarray:
    """Minutes after midnight of each event, (..., C) -> (...); NaN where they are unknown.

    part: "Time_Event", when it happens, or "Time_Reference", when its shift is to begin
    """
    hour, minute = (events[..., COLUMN[f"{part}_{unit}"]] for unit in ("Hour", "Minute"))
    return np.where((hour > 0) & (minute > 0), 60.0 * (hour - 1) + minute - 1, np.nan)


def tell_days(events: np.ndarray, part: str, day: np.datetime64) -> np.ndarray:
    """Days from `day` to each event's, (..., C) -> (...); NaN where it is not within `REACH`.

    An event has a month and a day of the month, and no year: it is of the nearest one.
    """
    offsets = np.arange(-REACH, REACH + 1)
    dates = pd.DatetimeIndex(np.datetime64(day, "D") + offsets)
    known = np.full((14, 33), np.nan)  # the sizes of months and days; such a value is its integer
    known[dates.month, dates.day] = offsets
    return known[events[..., COLUMN[f"{part}_Month"]], events[..., COLUMN[f"{part}_Day"]]]


def find_ends(log: Log, events: np.ndarray) -> np.ndarray:
    """Where a shift ends, in events one after the other: (..., U, C) -> (..., U) bool."""
    ends = events[..., 0] == log.vocabularies["EventType"].index("punch_out")
    ends[..., 1:] &= ~ends[..., :-1]  # a network may punch out twice
    return ends


def worked_hours(log: Log, futures: np.ndarray, shifts: int = 1) -> np.ndarray:
    """Hours at work in the next shifts that end: (..., U, C) -> (...) hours.

    From the planned beginning to the punch out; a shift that is under way counts whole. `SHIFT`
    steps are enough for one. A shift that ends before it begins, as a network may say, has none.
    """
    list_values(log)
    ends = find_ends(log, futures)
    ends &= ends.cumsum(-1) <= shifts
    minutes = tell_minutes(futures, "Time_Event") - tell_minutes(futures, "Time_Reference")
    return np.where(ends, np.nan_to_num(minutes).clip(0), 0).sum(-1) / 60


def work_by_time(
    log: Log, futures: np.ndarray, day: np.datetime64, times: np.ndarray
) -> np.ndarray:
    """Hours at work up to each time, of all shifts that end in a future: (S, U, C) -> (S, T) hours.

    day: the origin's; times: (T,) datetime64
    """
    midnight = 24 * 60 * tell_days(futures, "Time_Reference", day)
    begins = midnight + tell_minutes(futures, "Time_Reference")
    lengths = midnight + tell_minutes(futures, "Time_Event") - begins
    lengths = np.where(find_ends(log, futures), np.nan_to_num(lengths).clip(0), 0)  # (S, U)
    at = (times - np.datetime64(day, "D")) / np.timedelta64(1, "m")  # (T,)
    passed = np.nan_to_num(at - begins[..., None])  # (S, U, T)
    return passed.clip(0, lengths[..., None]).sum(-2) / 60


def make_bands(samples: np.ndarray, index) -> pd.DataFrame:
    """Quantiles of samples, (S, T): a row for each of the index, a column for each of the edges.

    The columns are 0.05, 0.25, 0.5, 0.75 and 0.95: the median and the ends of the central
    intervals that hold half of the samples, and nine in ten.
    """
    edges = [0.05, 0.25, 0.5, 0.75, 0.95]
    return pd.DataFrame(np.quantile(samples, edges, axis=0).T, index, edges)


def fan(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    origin: int,
    samples: int,
    seed: int = 0,
    every: int = 15,
) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """An employee's hours at work from an origin on: (bands, truth), both by time.

    bands: of the model and of the simulator, as of `make_bands`
    truth: what came; NaN from where the log's part ends
    every: minutes from one time to the next. The last is when the first of the simulator's futures
        ends, so that all have happened until then

    An event that begins no window of the part is an InputError.
    """
    log, batch = windows.log, windows.batch(np.array([origin]))
    futures = draw_both(
        model, windows, habits, np.array([origin]), samples, windows.tgt_seq_len, seed
    )
    day = np.datetime64(log.time[origin], "D")
    last = futures["simulator"][0, :, -1]
    minutes = 24 * 60 * tell_days(last, "Time_Event", day) + tell_minutes(last, "Time_Event")
    first = np.datetime64(log.time[origin], "m")
    end = day + np.timedelta64(int(minutes.min()), "m")
    times = np.arange(first, end, np.timedelta64(every, "m"))
    bands = {
        who: make_bands(work_by_time(log, drawn[0], day, times), times)
        for who, drawn in futures.items()
    }
    truth = work_by_time(log, batch.target.numpy(), day, times)[0]
    known = log.time[batch.event[batch.counted].max().item()]
    return bands, pd.Series(np.where(times <= known, truth, np.nan), times)


# -- whether forecasts are as sure as they may be


def pick_apart(windows: Windows, most: int) -> np.ndarray:
    """At most so many origins, evenly spaced, whose targets are whole and share no event: (N,).

    Targets that overlap would count one surprise several times. An InputError says that no origin
    has as many events after it.
    """
    check_count("origins", most)
    log, kept = windows.log, []
    origins = windows.origins[windows.count(windows.origins).all(1).numpy()]
    for who in np.unique(log.sequence[origins]):
        kept.append(origins[log.sequence[origins] == who][:: windows.tgt_seq_len])
    if not kept:
        raise InputError(
            f"origins: none has {windows.tgt_seq_len} events after it; give a longer log"
        )
    return pick_evenly(np.sort(np.concatenate(kept)), most)


def forecast_shifts(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    origins: np.ndarray,
    samples: int,
    shifts: int = 1,
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Hours at work in the next shifts that end, forecast and true: ({who: (S, N)}, (N,)) hours.

    Of 19, 39 or 99 samples `coverage` is 50 and 90 % where a forecast is right, and of other
    numbers a little more or less. An InputError says that an origin has not enough events after it.
    """
    most = windows.tgt_seq_len // SHIFT
    check_count("shifts", shifts, most, f", {SHIFT} steps of the horizon for each")
    steps = SHIFT * shifts
    batch = windows.batch(origins)
    if not batch.counted[:, :steps].all():
        few = origins[int((~batch.counted[:, :steps].all(1)).nonzero()[0, 0])]
        raise InputError(
            f"origins: event {few} has not {steps} events after it; take some of `pick_apart`"
        )
    futures = draw_both(model, windows, habits, origins, samples, steps, seed)
    hours = {who: worked_hours(windows.log, drawn, shifts).T for who, drawn in futures.items()}
    return hours, worked_hours(windows.log, batch.target[:, :steps].numpy(), shifts)


def grade_calibration(forecasts: dict[str, np.ndarray], truth: np.ndarray) -> pd.DataFrame:
    """How sure forecasts are, how sure they may be, and how good: a row a forecaster and measure.

    forecasts: who -> (S, N) hours; truth: (N,) hours, as `forecast_shifts` gives them

    Columns who, measure, value and error, the standard error of the value over the N origins.
    Measures: covered_50 and covered_90, the share of truths in the central intervals; width_50 and
    width_90, how wide these are, in hours; crps, in hours (Gneiting and Raftery 2007).
    """
    rows, root = [], np.sqrt(len(truth))
    for who, samples in forecasts.items():
        scores = crps(samples, truth)
        rows.append((who, "crps", scores.mean(), scores.std() / root))
        for share in SHARES:
            covered = coverage(samples, truth, share)
            error = np.sqrt(covered * (1 - covered)) / root
            rows.append((who, f"covered_{share * 100:.0f}", covered, error))
        for share in SHARES:
            low, high = find_interval(samples, share)
            width = high - low
            rows.append((who, f"width_{share * 100:.0f}", width.mean(), width.std() / root))
    return pd.DataFrame(rows, columns=["who", "measure", "value", "error"])


# -- what will have to be paid


def find_last(windows: Windows, moment: np.datetime64) -> np.ndarray:
    """Each employee's last event before a moment, as origins: (N,).

    An InputError says that the part does not show everybody's, or nothing that comes after it.
    """
    log, part = windows.log, np.flatnonzero(windows.log.part == windows.part)
    begun = part[log.time[part] < moment]
    last = {who: event for who, event in zip(log.sequence[begun], begun, strict=True)}
    origins = np.sort(np.array(list(last.values()), int))
    everybody, days = np.unique(log.sequence[part]), log.time[part].astype("datetime64[D]")
    if len(origins) < len(everybody) or not np.isin(origins, windows.origins).all():
        raise InputError(
            f"moment {moment}: not all of {len(everybody)} employees have an event before it and "
            f"one after it; take one well within {days[0]} to {days[-1]}"
        )
    return origins


def keep_fitting(
    log: Log, futures: np.ndarray, moment: np.datetime64, rng: np.random.Generator
) -> np.ndarray:
    """Only futures that begin at the moment or later: (N, S, U, C) both.

    Nothing has happened between an employee's last event and the moment, which is news too: of who
    did not come today, a future with a shift today is none any more. In its place comes one that
    fits, drawn by lot with replacement; where none fits, all stay.
    """
    first = futures[:, :, 0]
    days, minutes = tell_days(first, "Time_Event", moment), tell_minutes(first, "Time_Event")
    begun = np.datetime64(moment, "D")
    late = 24 * 60 * days + minutes < (moment - begun) / np.timedelta64(1, "m")  # NaN is not
    kept = futures.copy()
    for n in np.flatnonzero(late.any(1) & ~late.all(1)):
        kept[n, late[n]] = futures[n, rng.choice(np.flatnonzero(~late[n]), late[n].sum())]
    return kept


def still_paid(log: Log, category: str, moment: np.datetime64, day: np.datetime64) -> np.ndarray:
    """Hours paid from the moment on for shifts of a day, as the log has them: (1, size) hours."""
    first, end = np.searchsorted(log.time, [moment, day + np.timedelta64(1, "D")])
    return paid_hours(log, log.table[first:end, None, None], category, [day])


def recall_hours(
    log: Log,
    origins: np.ndarray,
    moment: np.datetime64,
    day: np.datetime64,
    category: str,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """What past shifts and days say of hours still to be paid: (S, size) hours.

    Good for a rival: no network is worth its trouble that is not better. For the moment's own day
    each shift that is under way has the hours of one of the last `RECENT_SHIFTS` at its site, drawn
    by lot, or its own where they are known; a later day is one of the last `RECENT_DAYS`.

    An InputError says that the log has no such category, or no day before the moment's.
    """
    today, size = np.datetime64(moment, "D"), find_size(log, category)
    if log.time[0] >= today:
        raise InputError(f"moment {moment}: the log has no day before it; take a later one")
    if day > today:
        first = max(np.searchsorted(log.time, today - np.timedelta64(RECENT_DAYS, "D")), 0)
        past = [
            still_paid(log, category, one, one)[0]
            for one in np.arange(np.datetime64(log.time[first], "D"), today)
        ]
        return np.array(past)[rng.integers(len(past), size=samples)]
    values = list_values(log)
    approvals = [values[0].index(kind) for kind in APPROVED]
    quarters = np.array([0, *values[COLUMN["HoursWorked"]][1:]])
    ended = log.table[: np.searchsorted(log.time, moment)]
    ended = ended[np.isin(ended[:, 0], approvals)]
    paid = np.zeros((samples, size))
    for event in log.table[origins]:
        if event[0] in approvals:  # no shift is under way
            continue
        own = event[[COLUMN["HoursWorked"]]]
        if own == 0:
            at_site = ended[:, COLUMN["LocationRecordId"]] == event[COLUMN["LocationRecordId"]]
            own = ended[at_site, COLUMN["HoursWorked"]][-RECENT_SHIFTS:]
        paid[:, event[COLUMN[category]]] += rng.choice(quarters[own], samples) / 4
    return paid


def forecast_hours(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    moment: np.datetime64,
    samples: int,
    days: int = 1,
    seed: int = 0,
) -> dict[tuple[str, np.datetime64], dict[str, pd.DataFrame]]:
    """Hours still to be paid at a moment, of each day ahead: {(by, day): {who: hours}}.

    by: "site" or "project"; day: the moment's own and so many in all
    who: "simulator", "model", "table" (`recall_hours`), each a row a sample; "last week", one row,
        the mean of the seven days before; and "truth", one row. A column is a site or a project.

    Everybody's futures are drawn from the last event before the moment, and those that fit are
    kept (`keep_fitting`). All employees' first futures together are one future of the workplace,
    and so on: what they have in common beside the past, a habit that changes, is not in it.
    """
    log, rng = windows.log, np.random.default_rng(seed)
    most = windows.tgt_seq_len // SHIFT
    check_count("days", days, most, f", {SHIFT} steps of the horizon for each")
    today = np.datetime64(moment, "D")
    if today + np.timedelta64(days, "D") > log.time[log.part == windows.part][-1]:
        raise InputError(f"moment {moment}: the log ends before day {days}; take an earlier moment")
    week = today - np.arange(1, 8)
    if week[-1] < log.time[0].astype("datetime64[D]"):
        raise InputError(
            f"moment {moment}: the log begins less than a week before; take a later one"
        )
    origins = find_last(windows, moment)
    futures = {
        who: keep_fitting(log, drawn, moment, rng)
        for who, drawn in draw_both(
            model, windows, habits, origins, samples, SHIFT * days, seed
        ).items()
    }
    found = {}
    for by, category in PAYERS.items():
        past = np.mean([still_paid(log, category, one, one) for one in week], 0)
        names = log.vocabularies[category]
        for day in today + np.arange(days):
            told = {who: paid_hours(log, drawn, category, [day]) for who, drawn in futures.items()}
            told["table"] = recall_hours(log, origins, moment, day, category, samples, rng)
            told |= {"last week": past, "truth": still_paid(log, category, moment, day)}
            found[by, day] = {
                who: pd.DataFrame(hours[:, 1 : len(names)], columns=names[1:])
                for who, hours in told.items()
            }
    return found


def grade_hours(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    moments: list[np.datetime64],
    samples: int,
    days: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """CRPS of the hours still to be paid, in hours: a row for each question and forecaster.

    Columns by ("site" or "project"), ahead (days; 0 is the moment's own), who, crps, the mean over
    all sites or projects and all moments; behind, how much that is above the simulator's; error,
    the standard error of `behind`, the moments being the units.

    Scores of samples are greater by one part in S than those of what they were drawn from
    (`futures.crps`), of all three that sample alike. Last week's mean is one sample and claims no
    more: its score is its absolute error, and what it lacks of the others' is what a distribution
    is worth. That it is paid for being no distribution is fair; no correction would be.
    """
    check_count("moments", len(moments))
    rows = []
    for moment in moments:
        told = forecast_hours(model, windows, habits, moment, samples, days, seed)
        for (by, day), forecasts in told.items():
            truth = forecasts.pop("truth").to_numpy()[0]
            ahead = (day - np.datetime64(moment, "D")).astype(int)
            for who, hours in forecasts.items():
                rows.append((by, ahead, who, moment, crps(hours.to_numpy(), truth).mean()))
    table = pd.DataFrame(rows, columns=["by", "ahead", "who", "moment", "crps"])
    question = ["by", "ahead", "moment"]
    best = table[table["who"] == "simulator"].set_index(question)["crps"]
    table["behind"] = table["crps"] - table.set_index(question).index.map(best)
    grouped = table.groupby(["by", "ahead", "who"], sort=False)
    return grouped.agg(
        crps=("crps", "mean"), behind=("behind", "mean"), error=("behind", "sem")
    ).reset_index()
