"""The simulated workplace: hidden causes, a time clock's events, and their true probabilities.

One idea carries it. `next_outcomes` lists every event that can come next for an employee, with its
probability, given what has happened and the hidden causes in force. Sampling draws from the list,
the floor of a category is the list summed by that category's value, a rollout repeats it.
"""

from __future__ import annotations

import copy
import heapq
import math
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator
from tqdm.auto import tqdm

from helpers.schema import CATEGORY_NAMES
from helpers.support.settings import Settings

# When in its hour each kind of event happens, in the order of a shift: no two of an employee share
# a moment, and they keep their order. The keys are the kinds of event.
MINUTE = {
    "punch_in": 20,
    "break_start": 0,
    "break_end": 20,
    "shift_scheduled": 40,
    "punch_out": 0,
    "timesheet_submitted": 20,
    "timesheet_approved": 40,
    "timesheet_mended": 40,
    "job_transfer": 0,
}
EVENT_TYPES = list(MINUTE)
START_HOURS, START_MINUTES, PAID_HOURS = (4, 5, 6, 7), (0, 15, 30, 45), (5, 6, 7, 8)
LATE = (0, 5, 10)  # minutes
# A crew starts at the same hour; its breaks and ends are four and eight hours later, so the hour of
# an event, modulo CREWS, names its crew.
CREWS = 4
CHANGE = 0.2  # probability a day that a habit changes
HABIT = 0.9  # probability that things go as a habit has it
HOUR, DAY = 60, 24 * 60  # in minutes
BEYOND = 30  # days of the calendar after the last one, since shifts are planned ahead


class Workplace(Settings):
    """How large the simulated workplace is, when it begins, and which of all possible ones."""

    employees: Annotated[int, Field(ge=20, le=999)] = (
        64  # one in ten is a lead and clocks no shifts
    )
    days: Annotated[int, Field(ge=1, le=3650)] = 1095
    start: str = "2021-01-01"
    seed: Annotated[int, Field(ge=0)] = 2026

    @model_validator(mode="after")
    def check_start(self) -> Workplace:
        try:
            date.fromisoformat(self.start) + timedelta(days=self.days + BEYOND)
        except (ValueError, OverflowError):
            raise ValueError(
                f"key 'start': '{self.start}' is no date that {self.days} days can follow; "
                f"write it as 2022-01-31"
            ) from None
        return self

    def make_names(self, prefix: str) -> list[str]:
        """Names of sites, jobs, cost codes or leads: there is one for ten employees."""
        return [f"{prefix}{i + 1:02d}" for i in range(self.employees // 10)]


# -- chance


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
    """Part of what can come next: with probability p this event, its `choices` drawn independently.

    event: category -> value; also "day" and "reference_day", counted from the first day
    choices: category -> Choice, for the categories that are still open
    """

    p: float
    event: dict
    choices: dict


@cache
def favour(values: tuple, favourite, p: float) -> Choice:
    """The favourite with probability p, each of the others with an equal share of the rest."""
    rest = (1 - p) / (len(values) - 1)
    return Choice({value: p if value == favourite else rest for value in values})


@cache
def spread_minutes(kind: str, late: int) -> Choice:
    """Minutes of the hour: the kind's place in it, and mostly as late as the crew."""
    lateness = favour(LATE, late, HABIT)
    return Choice({MINUTE[kind] + minutes: p for minutes, p in lateness.table.items()})


# -- what nobody in the log sees


class Causes:
    """The hidden habits that lie behind the log, each of one stream; see data/README.md.

    choices: stream -> (whose habit it is, the values that it can take)
    of: stream -> key -> the habit in force now
    """

    def __init__(self, workplace: Workplace, rng: random.Random):
        self.sites = workplace.make_names("SITE-")
        self.jobs = workplace.make_names("JOB-")
        self.cost_codes = workplace.make_names("CC-")
        self.leads = workplace.make_names("L")
        self.choices = {
            "Actor": (self.leads, self.sites),  # the site that a lead sends people to
            "Location": (self.sites, PAID_HOURS),  # how many hours of a shift a site pays
            "CostCode": (self.cost_codes, self.leads),  # the manager in charge of a project
            "JobCode": (self.jobs, self.cost_codes),  # the cost code that a job is booked to
            "EventType": (["shift_scheduled"], START_MINUTES),  # when planned shifts begin
            "Time": (range(CREWS), LATE),  # how late a crew is
        }
        self.of = {}
        for stream, (keys, values) in self.choices.items():
            self.of[stream] = {key: rng.choice(values) for key in keys}

    def change(self, rng: random.Random) -> None:
        """One hour: every habit may change to any other."""
        for stream, (keys, values) in self.choices.items():
            habits = self.of[stream]
            for key in keys:
                if rng.random() < CHANGE / 24:
                    habits[key] = rng.choice([value for value in values if value != habits[key]])


# -- what the log shows


@dataclass
class Shift:
    """A shift as planned; the day counts from the first."""

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
    last: str = "timesheet_approved"  # the kind of the last event
    quarters: int | None = None  # hours paid for the shift at hand, in quarter hours
    manager: str | None = None  # who is in charge of its project


class Calendar:
    """Month and day of the month for days counted from the first."""

    def __init__(self, workplace: Workplace):
        first = date.fromisoformat(workplace.start)
        days = [first + timedelta(days=i) for i in range(workplace.days + BEYOND)]
        self.month_day = [(day.month, day.day) for day in days]


def make_event(
    calendar: Calendar,
    person: Person,
    kind: str,
    actor: str,
    day: int,
    hour: int,
    of: Shift,
    **more,
) -> dict:
    """All categories of one event, at a day and hour and of a shift; what `more` leaves is None."""
    event = dict.fromkeys(CATEGORY_NAMES)
    event["EventType"] = kind
    event["ActorRecordId"] = actor
    event["RecipientRecordId"] = person.name
    event["LocationRecordId"] = of.site
    event["IsTimesheet"] = "no"
    event["day"], event["reference_day"] = day, of.day
    event["Time_Event_Month"], event["Time_Event_Day"] = calendar.month_day[day]
    event["Time_Event_Hour"] = hour
    event["Time_Reference_Month"], event["Time_Reference_Day"] = calendar.month_day[of.day]
    event["Time_Reference_Hour"], event["Time_Reference_Minute"] = of.hour, of.minute
    return event | more


def next_outcomes(person: Person, causes: Causes, calendar: Calendar) -> list[Outcome]:
    """Every event that can come next for this employee; the probabilities sum to 1."""
    now, last, lead, habits = person.shift, person.last, person.lead, causes.of

    def outcome(p, kind, actor, day, hour, shift, choices=None, **more):
        event = make_event(calendar, person, kind, actor, day, hour, shift, **more)
        late = habits["Time"][hour % CREWS]
        return Outcome(
            p, event, {"Time_Event_Minute": spread_minutes(kind, late)} | (choices or {})
        )

    # At work: a break, in which the site's hours and the project's manager become known.
    work = dict(CostCodeRecordId=now.cost_code, JobCodeRecordId=person.job)
    if last == "punch_in":
        return [outcome(1.0, "break_start", lead, now.day, now.hour + 4, now, **work)]
    if last == "break_start":
        quarters = tuple(4 * hours for hours in PAID_HOURS)
        paid = favour(quarters, 4 * habits["Location"][now.site], HABIT)
        manager = favour(tuple(causes.leads), habits["CostCode"][now.cost_code], HABIT)
        today = dict(HoursWorked=paid, ApprovedByManagerUserRecordId=manager)
        return [outcome(1.0, "break_end", lead, now.day, now.hour + 4, now, today, **work)]

    # After the break the lead plans the next shift, one to three days ahead.
    if last == "break_end":
        start = habits["EventType"]["shift_scheduled"]
        plan = dict(
            LocationRecordId=favour(tuple(causes.sites), habits["Actor"][lead], HABIT),
            CostCodeRecordId=favour(tuple(causes.cost_codes), habits["JobCode"][person.job], HABIT),
            Time_Reference_Hour=favour(START_HOURS, now.hour, 0.9),
            Time_Reference_Minute=favour(START_MINUTES, start, HABIT),
        )
        outcomes = []
        for days, p in ((1, 0.8), (2, 0.1), (3, 0.1)):
            then, job = replace(now, day=now.day + days), dict(JobCodeRecordId=person.job)
            planned = ("shift_scheduled", lead, now.day, now.hour + 4, then, plan)
            outcomes.append(outcome(p, *planned, **job))
        return outcomes

    # The end of the day: the employee's timesheet, which the lead approves or mends.
    work |= dict(HoursWorked=person.quarters, ApprovedByManagerUserRecordId=person.manager)
    end = (now.day, now.hour + 8, now)
    if last == "shift_scheduled":
        return [outcome(1.0, "punch_out", lead, *end, **work)]
    if last == "punch_out":
        sheet = work | dict(IsTimesheet="yes", JobCodeRecordId=None)
        return [outcome(1.0, "timesheet_submitted", person.name, *end, **sheet)]
    if last == "timesheet_submitted":
        approved = outcome(0.85, "timesheet_approved", lead, *end, **work | {"IsTimesheet": "yes"})
        mended = outcome(
            0.15, "timesheet_mended", lead, *end, **work | {"IsTimesheet": "corrected"}
        )
        return [approved, mended]

    # The next shift begins as planned, one time in ten after a transfer to another job. The
    # transfer shows the old job; the new one shows as the shift begins.
    plan = person.plan
    begin = (lead, plan.day, plan.hour, plan)
    booked, job = dict(CostCodeRecordId=plan.cost_code), dict(JobCodeRecordId=person.job)
    if last == "job_transfer":
        other = {"JobCodeRecordId": favour(tuple(causes.jobs), person.job, 0.0)}
        return [outcome(1.0, "punch_in", *begin, other, **booked)]
    punch_in = outcome(0.9, "punch_in", *begin, **job, **booked)
    return [punch_in, outcome(0.1, "job_transfer", *begin, **job)]


# -- what is done with the list


def draw(outcomes: list[Outcome], rng: random.Random) -> dict:
    """One event out of the list."""
    u = rng.random()
    for outcome in outcomes:  # the one whose share of the unit interval holds u
        u -= outcome.p
        if u < 0:
            break
    drawn = {category: choice.draw(rng) for category, choice in outcome.choices.items()}
    return outcome.event | drawn


def measure_floors(outcomes: list[Outcome], event: dict) -> list[float]:
    """-ln p(true value) of each category, in nats: no model's expected loss is below its mean."""
    floors = []
    for category in CATEGORY_NAMES:
        value, p = event[category], 0.0
        for outcome in outcomes:
            if category in outcome.choices:
                p += outcome.p * outcome.choices[category].table.get(value, 0.0)
            elif outcome.event[category] == value:
                p += outcome.p
        floors.append(-math.log(min(p, 1.0)))
    return floors


def happen(person: Person, event: dict) -> None:
    """Takes an event into the employee's state."""
    kind = person.last = event["EventType"]
    if kind == "punch_in":
        person.shift, person.quarters, person.manager = person.plan, None, None
        person.job = event["JobCodeRecordId"]
    elif kind == "break_end":
        person.quarters = event["HoursWorked"]
        person.manager = event["ApprovedByManagerUserRecordId"]
    elif kind == "shift_scheduled":
        person.plan = Shift(
            day=event["reference_day"],
            hour=event["Time_Reference_Hour"],
            minute=event["Time_Reference_Minute"],
            site=event["LocationRecordId"],
            cost_code=event["CostCodeRecordId"],
        )


def roll_out(
    person: Person, causes: Causes, calendar: Calendar, steps: int, rng: random.Random
) -> list[dict]:
    """One possible future of an employee, the hidden causes staying as they are.

    The person is left as it is.
    """
    person, events = copy.deepcopy(person), []
    for _ in range(steps):
        events.append(draw(next_outcomes(person, causes, calendar), rng))
        happen(person, events[-1])
    return events


def hire(workplace: Workplace, causes: Causes, rng: random.Random) -> list[Person]:
    """The staff on the evening before the first day."""
    people = []
    for i in range(workplace.employees - len(causes.leads)):
        plan = Shift(
            day=rng.randrange(2),
            hour=rng.choice(START_HOURS),
            minute=rng.choice(START_MINUTES),
            site=rng.choice(causes.sites),
            cost_code=rng.choice(causes.cost_codes),
        )
        lead = causes.leads[i % len(causes.leads)]
        people.append(Person(f"E{i + 1:03d}", lead, rng.choice(causes.jobs), plan, plan))
    return people


def simulate(workplace: Workplace, progress: bool = True) -> Iterator[tuple[dict, list[float]]]:
    """Yields (event, floors) in the order of time, for as many days as the workplace has.

    An employee's next event is drawn when the last one happens, from the causes in force then. So
    the floor knows the causes, and everything up to the event before, but nothing that came later.
    """
    rng, calendar = random.Random(workplace.seed), Calendar(workplace)
    causes = Causes(workplace, rng)
    queue, hour = [], HOUR  # events to come, the earliest first; when habits change next

    def plan_next(number: int, person: Person) -> None:
        outcomes = next_outcomes(person, causes, calendar)
        event = draw(outcomes, rng)
        minute = event["Time_Event_Hour"] * HOUR + event["Time_Event_Minute"]
        time, floors = event["day"] * DAY + minute, measure_floors(outcomes, event)
        heapq.heappush(queue, (time, number, person, event, floors))

    for number, person in enumerate(hire(workplace, causes, rng)):
        plan_next(number, person)
    with tqdm(total=workplace.days, unit="day", disable=not progress, desc="simulating") as bar:
        while queue[0][0] < workplace.days * DAY:
            time, number, person, event, floors = heapq.heappop(queue)
            while time >= hour:  # every full hour up to this event
                causes.change(rng)
                hour += HOUR
                bar.update(hour % DAY == 0)
            happen(person, event)
            yield event, floors
            plan_next(number, person)
        bar.update(bar.total - bar.n)
