"""The simulated workplace: hidden causes, a time clock's events, and their true probabilities.

One idea carries it. `next_outcomes` lists every event that can come next for an employee, with its
probability, given what has happened and the hidden causes in force. Sampling draws from the list,
the floor of a category is the list summed by that category's value, a rollout repeats it.

    python -m helpers.world          # remakes data/workplace.csv.gz and data/floors.npz
"""
from __future__ import annotations

import argparse
import copy
import heapq
import math
import random
import zlib
from bisect import bisect
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from helpers import schema
from helpers.schema import CATEGORY_NAMES, InputError, run_command

DATA = Path(__file__).resolve().parent.parent / "data"
EVENT_TYPES = ["punch_in", "break_start", "break_end", "shift_scheduled", "punch_out",
               "timesheet_submitted", "timesheet_approved", "timesheet_mended", "job_transfer"]
# When in its hour an event happens: no two of an employee share one, and they keep their order.
MINUTE = {"job_transfer": 0, "punch_in": 20, "break_start": 0, "break_end": 20, "shift_scheduled": 40,
          "punch_out": 0, "timesheet_submitted": 20, "timesheet_approved": 40, "timesheet_mended": 40}
START_HOURS, START_MINUTES, PAID_HOURS = (4, 5, 6, 7), (0, 15, 30, 45), (5, 6, 7, 8)
LATE = (0, 5, 10)  # minutes
CREWS = 4  # a crew starts at the same hour; its breaks and ends are four and eight hours later, so an hour names its crew
CHANGE = 0.2  # probability a day that a habit changes
HABIT = 0.9  # probability that things go as a habit has it
HOUR, DAY = 60, 24 * 60


@dataclass(frozen=True)
class Workplace:
    """How large the simulated workplace is, when it begins, and which of all possible ones it is."""

    employees: int = 64  # one in ten is a lead, who runs a team and clocks no shifts
    days: int = 1095
    start: str = "2021-01-01"
    seed: int = 2026

    def __post_init__(self):
        if not 20 <= self.employees <= 999:
            raise InputError(f"employees: must be 20 to 999, found {self.employees}")
        if not 1 <= self.days <= 3650:
            raise InputError(f"days: must be 1 to 3650, found {self.days}")

    def names(self, prefix: str, per_employee: int) -> list[str]:
        return [f"{prefix}{i + 1:02d}" for i in range(max(2, self.employees // per_employee))]


class Choice:
    """One value out of a few, with their probabilities."""

    def __init__(self, table: dict):
        assert math.isclose(sum(table.values()), 1.0), table
        self.table = table
        self.values = list(table)
        self.edges = list(accumulate(table.values()))[:-1]

    def draw(self, rng: random.Random):
        return self.values[bisect(self.edges, rng.random())]


class Outcome(NamedTuple):
    """Part of what can come next: with probability p this event, its `choices` drawn independently."""

    p: float
    event: dict  # category -> value; also "day" and "reference_day", counted from the first
    choices: dict  # category -> Choice


@cache
def habit(values: tuple, favourite, p: float) -> Choice:
    """The favourite with probability p, each of the others with an equal share of the rest."""
    return Choice({value: p if value == favourite else (1 - p) / (len(values) - 1) for value in values})


@cache
def minutes(kind: str, late: int) -> Choice:
    """Minutes of an hour: the kind's place in it, and no, five or ten more, as the crew is late."""
    return Choice({MINUTE[kind] + m: p for m, p in habit(LATE, late, HABIT).table.items()})


class Causes:
    """What nobody in the log sees: the habits that lie behind it, each of one stream. See data/README.md."""

    def __init__(self, workplace: Workplace, rng: random.Random):
        self.sites, self.jobs = workplace.names("SITE-", 10), workplace.names("JOB-", 10)
        self.cost_codes, self.leads = workplace.names("CC-", 10), workplace.names("L", 10)
        self.choices = {  # stream -> whose habit it is, and out of which values
            "Actor": (self.leads, self.sites),  # the site that a lead sends people to
            "Location": (self.sites, PAID_HOURS),  # how many hours of a shift a site pays
            "CostCode": (self.cost_codes, self.leads),  # the manager in charge of a project
            "JobCode": (self.jobs, self.cost_codes),  # the cost code that a job is booked to
            "EventType": (["shift_scheduled"], START_MINUTES),  # the minute at which shifts are planned to begin
            "Time": (range(CREWS), LATE),  # how late a crew is
        }
        self.of = {stream: {key: rng.choice(values) for key in keys} for stream, (keys, values) in self.choices.items()}

    def change(self, rng: random.Random) -> None:
        """One hour: every habit may change to any other."""
        for stream, (keys, values) in self.choices.items():
            for key in keys:
                if rng.random() < CHANGE / 24:
                    self.of[stream][key] = rng.choice([value for value in values if value != self.of[stream][key]])


@dataclass
class Shift:
    """A shift as planned."""

    day: int
    hour: int
    minute: int
    site: str
    cost_code: str


@dataclass
class Person:
    """One employee, as far as what comes next depends on it."""

    name: str
    lead: str
    job: str
    plan: Shift  # the next shift
    shift: Shift  # the shift at hand
    last: str = "timesheet_approved"
    quarters: int | None = None  # hours paid for the shift at hand, in quarter hours
    manager: str | None = None  # who is in charge of its project


class Calendar:
    """Month and day of the month for days counted from the first."""

    def __init__(self, workplace: Workplace):
        try:
            first = date.fromisoformat(workplace.start)
        except ValueError:
            raise InputError(f"start: '{workplace.start}' is not a date; write it as 2022-01-31") from None
        try:  # shifts are planned a few days beyond the last
            dates = [first + timedelta(days=i) for i in range(workplace.days + 30)]
        except OverflowError:
            raise InputError(f"start: '{workplace.start}' and {workplace.days} days lead beyond the year 9999; begin earlier") from None
        self.month_day = [(d.month, d.day) for d in dates]


def _event(calendar: Calendar, person: Person, kind: str, actor: str, day: int, hour: int, of: Shift, **fields) -> dict:
    """All categories of one event; what `fields` doesn't name is blank (None)."""
    month, dom = calendar.month_day[day]
    reference_month, reference_dom = calendar.month_day[of.day]
    event = dict.fromkeys(CATEGORY_NAMES)
    event.update(EventType=kind, ActorRecordId=actor, RecipientRecordId=person.name, LocationRecordId=of.site,
                 IsTimesheet="no", Time_Event_Month=month, Time_Event_Day=dom, Time_Event_Hour=hour,
                 Time_Reference_Month=reference_month, Time_Reference_Day=reference_dom,
                 Time_Reference_Hour=of.hour, Time_Reference_Minute=of.minute, day=day, reference_day=of.day)
    event.update(fields)
    return event


def next_outcomes(person: Person, causes: Causes, calendar: Calendar) -> list[Outcome]:
    """Every event that can come next for this employee; the probabilities sum to 1."""
    now, last, lead, of = person.shift, person.last, person.lead, causes.of
    work = dict(CostCodeRecordId=now.cost_code, JobCodeRecordId=person.job)

    def outcome(p, kind, actor, day, hour, shift, choices={}, **fields):
        choices = {"Time_Event_Minute": minutes(kind, of["Time"][hour % CREWS]), **choices}
        return Outcome(p, _event(calendar, person, kind, actor, day, hour, shift, **fields), choices)

    if last == "punch_in":
        return [outcome(1.0, "break_start", lead, now.day, now.hour + 4, now, **work)]
    if last == "break_start":
        today = dict(HoursWorked=habit(tuple(4 * hours for hours in PAID_HOURS), 4 * of["Location"][now.site], HABIT),
                     ApprovedByManagerUserRecordId=habit(tuple(causes.leads), of["CostCode"][now.cost_code], HABIT))
        return [outcome(1.0, "break_end", lead, now.day, now.hour + 4, now, today, **work)]
    if last == "break_end":
        plan = dict(LocationRecordId=habit(tuple(causes.sites), of["Actor"][lead], HABIT),
                    CostCodeRecordId=habit(tuple(causes.cost_codes), of["JobCode"][person.job], HABIT),
                    Time_Reference_Hour=habit(START_HOURS, now.hour, 0.9),
                    Time_Reference_Minute=habit(START_MINUTES, of["EventType"]["shift_scheduled"], HABIT))
        return [outcome(p, "shift_scheduled", lead, now.day, now.hour + 4, replace(now, day=now.day + days), plan, JobCodeRecordId=person.job)
                for days, p in ((1, 0.8), (2, 0.1), (3, 0.1))]
    work |= dict(HoursWorked=person.quarters, ApprovedByManagerUserRecordId=person.manager)
    if last == "shift_scheduled":
        return [outcome(1.0, "punch_out", lead, now.day, now.hour + 8, now, **work)]
    if last == "punch_out":
        return [outcome(1.0, "timesheet_submitted", person.name, now.day, now.hour + 8, now, **work | dict(IsTimesheet="yes", JobCodeRecordId=None))]
    if last == "timesheet_submitted":
        return [outcome(p, kind, lead, now.day, now.hour + 8, now, **work | dict(IsTimesheet=mark))
                for p, kind, mark in ((0.85, "timesheet_approved", "yes"), (0.15, "timesheet_mended", "corrected"))]
    plan, booked = person.plan, dict(CostCodeRecordId=person.plan.cost_code)
    if last == "job_transfer":  # which shows the old job; the new one shows as it begins
        others = habit(tuple(causes.jobs), person.job, 0.0)
        return [outcome(1.0, "punch_in", lead, plan.day, plan.hour, plan, {"JobCodeRecordId": others}, **booked)]
    return [outcome(0.9, "punch_in", lead, plan.day, plan.hour, plan, JobCodeRecordId=person.job, **booked),
            outcome(0.1, "job_transfer", lead, plan.day, plan.hour, plan, JobCodeRecordId=person.job)]


def draw(outcomes: list[Outcome], rng: random.Random) -> dict:
    """One event out of the list."""
    u = rng.random()
    for p, event, choices in outcomes:
        u -= p
        if u < 0:
            break
    for category, choice in choices.items():
        event[category] = choice.draw(rng)
    return event


def floors(outcomes: list[Outcome], event: dict) -> list[float]:
    """-ln p(true value) of each category, in nats: no model's expected loss is below its mean."""
    out = []
    for category in CATEGORY_NAMES:
        value = event[category]
        p = sum(o.p * o.choices[category].table.get(value, 0.0) if category in o.choices
                else o.p * (o.event[category] == value) for o in outcomes)
        out.append(-math.log(min(p, 1.0)))
    return out


def happen(person: Person, event: dict) -> None:
    """Takes an event into the employee's state."""
    kind = person.last = event["EventType"]
    if kind == "punch_in":
        person.shift, person.quarters, person.manager = person.plan, None, None
        person.job = event["JobCodeRecordId"]
    elif kind == "break_end":
        person.quarters, person.manager = event["HoursWorked"], event["ApprovedByManagerUserRecordId"]
    elif kind == "shift_scheduled":
        person.plan = Shift(event["reference_day"], event["Time_Reference_Hour"], event["Time_Reference_Minute"],
                            event["LocationRecordId"], event["CostCodeRecordId"])


def rollout(person: Person, causes: Causes, calendar: Calendar, steps: int, rng: random.Random) -> list[dict]:
    """One possible future of an employee, the hidden causes staying as they are; its state is left alone."""
    person, events = copy.deepcopy(person), []
    for _ in range(steps):
        events.append(draw(next_outcomes(person, causes, calendar), rng))
        happen(person, events[-1])
    return events


def hire(workplace: Workplace, causes: Causes, rng: random.Random) -> list[Person]:
    """The staff on the evening before the first day."""
    staff = [f"E{i + 1:03d}" for i in range(workplace.employees - len(causes.leads))]
    people = []
    for i, name in enumerate(staff):
        plan = Shift(rng.randrange(2), rng.choice(START_HOURS), rng.choice(START_MINUTES),
                     rng.choice(causes.sites), rng.choice(causes.cost_codes))
        people.append(Person(name, causes.leads[i % len(causes.leads)], rng.choice(causes.jobs), plan, plan))
    return people


def simulate(workplace: Workplace = Workplace(), progress: bool = True):
    """Yields (event, floors) in the order of time, for as many days as the workplace has.

    An employee's next event is drawn when the last one happens, from the causes in force then. So the
    floor knows the causes, and everything up to the event before, but nothing that came later.
    """
    rng, calendar = random.Random(workplace.seed), Calendar(workplace)
    causes = Causes(workplace, rng)
    queue, hour = [], HOUR

    def plan_next(number, person):
        outcomes = next_outcomes(person, causes, calendar)
        event = draw(outcomes, rng)
        time = event["day"] * DAY + event["Time_Event_Hour"] * 60 + event["Time_Event_Minute"]
        heapq.heappush(queue, (time, number, person, event, floors(outcomes, event)))

    for number, person in enumerate(hire(workplace, causes, rng)):
        plan_next(number, person)
    with tqdm(total=workplace.days, unit="day", disable=not progress, desc="simulating") as bar:
        while queue[0][0] < workplace.days * DAY:
            time, number, person, event, floor = heapq.heappop(queue)
            while time >= hour:
                causes.change(rng)
                hour += HOUR
                bar.update(hour % DAY == 0)
            happen(person, event)
            yield event, floor
            plan_next(number, person)
        bar.update(bar.total - bar.n)


COLUMNS = {"event_type": "EventType", "actor": "ActorRecordId", "recipient": "RecipientRecordId",
           "location": "LocationRecordId", "cost_code": "CostCodeRecordId", "job_code": "JobCodeRecordId",
           "approved_by": "ApprovedByManagerUserRecordId", "is_timesheet": "IsTimesheet", "hours_worked": "HoursWorked"}


def export(workplace: Workplace = Workplace(), progress: bool = True) -> tuple[pd.DataFrame, np.ndarray]:
    """The log as a time clock exports it (11 columns), and its floors (events, categories) in nats."""
    rows, floor_rows = [], []
    for event, floor in simulate(workplace, progress):
        rows.append([event[category] for category in COLUMNS.values()] +
                    [event[part] for part in ("day", "Time_Event_Hour", "Time_Event_Minute",
                                              "reference_day", "Time_Reference_Hour", "Time_Reference_Minute")])
        floor_rows.append(floor)
    log = pd.DataFrame(rows, columns=[*COLUMNS, *range(6)])
    log["hours_worked"] = log["hours_worked"].astype(float) / 4
    for column, (day, hour, minute) in {"event_time": (0, 1, 2), "reference_time": (3, 4, 5)}.items():
        minutes = log[day] * DAY + log[hour] * 60 + log[minute]
        log[column] = pd.Timestamp(workplace.start) + pd.to_timedelta(minutes, unit="min")
    return log[[*COLUMNS, "event_time", "reference_time"]], np.array(floor_rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.world", description="Simulates a workplace and writes its log and its floors.")
    for name, kind in (("employees", int), ("days", int), ("start", str), ("seed", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Workplace, name), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=DATA, metavar="FOLDER", help="default: the project's data folder")
    given = parser.parse_args(arguments)
    schema.make_folder(given.out, "--out")  # better told before the simulation than after it
    log, floor = export(Workplace(given.employees, given.days, given.start, given.seed))
    path, floor_path = given.out / "workplace.csv.gz", given.out / "floors.npz"
    schema.replace(path, lambda part: log.to_csv(part, index=False, date_format="%Y-%m-%d %H:%M",
                                          compression={"method": "gzip", "compresslevel": 9, "mtime": 0}))
    schema.replace(floor_path, lambda part: np.savez_compressed(part, floors=floor, log=zlib.crc32(path.read_bytes())))  # which log they are of
    print(f"{path}: {len(log):,} events, {path.stat().st_size / 1e6:.1f} MB")
    print(f"{floor_path}: their floors, on average {floor.mean():.3f} nats a category, {floor_path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
