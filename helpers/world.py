"""The simulated workplace: hidden causes, a time clock's events, and their true probabilities.

One idea carries it. `next_outcomes` lists every event that can come next for an employee, with its
probability, given the last one and the habits in force. Sampling draws from the list, the floor of
a category is the list summed by that category's value, a rollout repeats it.

What the log shows of an employee is all that the next event depends on, but for the habits. So the
state of an employee is the last event: a new one takes over whatever does not change.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from itertools import accumulate, product
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator
from tqdm.auto import tqdm

from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.settings import Settings

# The kinds of event in the order of a shift, which ends with one of the two approvals.
EVENT_TYPES = (
    "shift_scheduled",
    "job_transfer",
    "punch_in",
    "break_start",
    "break_end",
    "punch_out",
    "timesheet_submitted",
    "timesheet_approved",
    "timesheet_mended",
)
START_HOURS = tuple(range(4, 12))  # shifts begin in one of these hours
BREAK_START, BREAK_END = 12, 13  # hours of the day
# A shift is planned in the hour before it, at this minute; two minutes later its job may go.
PLANNED, TRANSFERRED = 57, 59
GAPS = {1: 0.80, 2: 0.16, 3: 0.04}  # days from one shift to the next, and their probabilities
MENDED = 0.15  # probability that a timesheet is mended rather than approved as it stands
TRANSFER = 0.1  # probability that a shift's job is changed before it begins
FOLLOWED = 0.9  # probability that things go as a habit has it
HOUR, DAY = 60, 24 * 60  # in minutes
BEYOND = 5  # days of the calendar after the last one, since shifts are planned ahead


class Workplace(Settings):
    """How large the simulated workplace is, when it begins, and which of all possible ones."""

    employees: Annotated[int, Field(ge=20, le=999)] = 60  # one in ten manages, and clocks no shifts
    days: Annotated[int, Field(ge=1, le=3650)] = 1000
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

    def make_names(self, prefix: str, per: int = 3) -> tuple[str, ...]:
        """Names of leads, sites, projects, jobs or managers: one for so many employees."""
        return tuple(f"{prefix}{i + 1:02d}" for i in range(self.employees // per))


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
def by_lot(values: tuple) -> Choice:
    """Each value as likely as any other."""
    return Choice({value: 1 / len(values) for value in values})


# -- what nobody in the log sees


class Habit(NamedTuple):
    """What someone or something does these days, and where the log shows it.

    The habit decides `category` of an event of this kind: its value, one of `values`, is the
    habit's with probability FOLLOWED. The events named in `repeated` show that value again.
    """

    kind: str
    category: str
    values: tuple
    repeated: tuple[str, ...]
    change: float = 0.05  # probability a day that it changes to any other of its values


SHEETS = ("timesheet_submitted", "timesheet_approved", "timesheet_mended")
LEFT = ("punch_out", *SHEETS)  # what follows the break
# A shift's habits, by the stream that tells them: each of its keys has a habit of its own.
HABITS = {
    "Actor": Habit("punch_out", "Time_Event_Minute", (40, 45, 50, 55), SHEETS),
    "Recipient": Habit(
        "punch_in", "Time_Event_Minute", (0, 5, 10, 15), ("break_start", "break_end")
    ),
    "Location": Habit("break_end", "HoursWorked", (20, 24, 28, 32), LEFT),  # in quarter hours
    "CostCode": Habit("break_end", "ApprovedByManagerUserRecordId", (), LEFT),  # the managers
    "JobCode": Habit("punch_out", "Time_Event_Hour", (15, 16, 17, 18), SHEETS),
    # There are only eight start hours. With slower habits a network learns by heart which it was
    # on which date, and is worse than guessing on the dates that follow.
    "Time": Habit(
        "punch_in",
        "Time_Reference_Minute",
        (20, 30, 40, 50),
        ("break_start", "break_end", *LEFT),
        change=0.2,
    ),
}
KEYS = {stream: WORKPLACE.streams[stream] for stream in HABITS}  # the category of a habit's key


class Causes:
    """The habits in force. No column of the log names them; see data/README.md.

    keys: category -> the values that it can have, by lot, in a plan
    of: stream -> key -> the habit in force now
    """

    def __init__(self, workplace: Workplace, rng: random.Random):
        clocking = workplace.employees - workplace.employees // 10
        self.keys = {
            "ActorRecordId": workplace.make_names("L"),
            "RecipientRecordId": tuple(f"E{i + 1:03d}" for i in range(clocking)),
            "LocationRecordId": workplace.make_names("SITE-"),
            "CostCodeRecordId": workplace.make_names("CC-"),
            "JobCodeRecordId": workplace.make_names("JOB-"),
            "Time_Reference_Hour": START_HOURS,
        }
        managers = workplace.make_names("M", per=10)
        self.values = {stream: habit.values or managers for stream, habit in HABITS.items()}
        self.of = {}
        for stream, values in self.values.items():
            self.of[stream] = {key: rng.choice(values) for key in self.keys[KEYS[stream]]}

    def change(self, rng: random.Random) -> None:
        """One hour: every habit may change to any other of its values."""
        for stream, habits in self.of.items():
            values, p = self.values[stream], HABITS[stream].change / 24
            for key, now in habits.items():
                if rng.random() < p:
                    habits[key] = rng.choice([value for value in values if value != now])

    def decide(self, event: dict) -> dict[str, Choice]:
        """What habits decide of an event: category -> Choice."""
        choices = {}
        for stream, habit in HABITS.items():
            if habit.kind == event["EventType"]:
                favourite = self.of[stream][event[KEYS[stream]]]
                choices[habit.category] = favour(self.values[stream], favourite, FOLLOWED)
        return choices


def name_deciders(kind: str) -> list[int]:
    """Whose habit decides each category of an event of this kind: (C,).

    The stream's place among the streams, counted from 1; 0 where no habit decides.
    """
    deciders = [0] * len(CATEGORY_NAMES)
    for stream, habit in HABITS.items():
        if habit.kind == kind:
            deciders[CATEGORY_NAMES.index(habit.category)] = (
                list(WORKPLACE.streams).index(stream) + 1
            )
    return deciders


# -- what the log shows


class Calendar:
    """Month and day of the month for days counted from the first."""

    def __init__(self, workplace: Workplace):
        first = date.fromisoformat(workplace.start)
        days = [first + timedelta(days=i) for i in range(-BEYOND, workplace.days + BEYOND)]
        self.month_day = {i - BEYOND: (day.month, day.day) for i, day in enumerate(days)}

    def set_day(self, event: dict, day: int) -> None:
        """Puts an event, and the shift that it belongs to, on a day."""
        event["day"] = event["reference_day"] = day
        event["Time_Event_Month"], event["Time_Event_Day"] = self.month_day[day]
        event["Time_Reference_Month"], event["Time_Reference_Day"] = self.month_day[day]


def next_outcomes(last: dict, causes: Causes, calendar: Calendar) -> list[Outcome]:
    """Every event that can come next for an employee; the probabilities sum to 1.

    last: the employee's last event, which says all that matters but the habits
    """

    def outcome(kind: str, p: float = 1.0, lots: dict | None = None, **changes) -> Outcome:
        event = last | {"EventType": kind} | changes
        return Outcome(p, event, (lots or {}) | causes.decide(event))

    kind = last["EventType"]
    # The next shift is planned: who leads it, where, on what project, in which job, from which
    # hour on is drawn by lot. The plan gives the hour of its beginning, and not yet the minute.
    if kind in ("timesheet_approved", "timesheet_mended"):
        drawn = ("ActorRecordId", "LocationRecordId", "CostCodeRecordId", "JobCodeRecordId")
        lots = {category: by_lot(causes.keys[category]) for category in drawn}
        blank = dict(IsTimesheet="no", HoursWorked=None, ApprovedByManagerUserRecordId=None)
        outcomes = []
        for (days, p), start in product(GAPS.items(), START_HOURS):
            hours = dict(Time_Event_Hour=start - 1, Time_Reference_Hour=start)
            minutes = dict(Time_Event_Minute=PLANNED, Time_Reference_Minute=0)
            plan = outcome(
                "shift_scheduled", p / len(START_HOURS), lots, **blank, **hours, **minutes
            )
            calendar.set_day(plan.event, last["day"] + days)
            outcomes.append(plan)
        return outcomes

    # The shift begins. One time in ten its job is withdrawn before, and drawn anew at the punch in.
    if kind == "shift_scheduled":
        begin = outcome("punch_in", 1 - TRANSFER, Time_Event_Hour=last["Time_Reference_Hour"])
        blank = dict(JobCodeRecordId=None, Time_Event_Minute=TRANSFERRED)
        return [begin, outcome("job_transfer", TRANSFER, **blank)]
    if kind == "job_transfer":
        lots = {"JobCodeRecordId": by_lot(causes.keys["JobCodeRecordId"])}
        return [outcome("punch_in", lots=lots, Time_Event_Hour=last["Time_Reference_Hour"])]

    # At work. The break, at the minute of the punch in; after it hours and manager are known.
    if kind == "punch_in":
        return [outcome("break_start", Time_Event_Hour=BREAK_START)]
    if kind == "break_start":
        return [outcome("break_end", Time_Event_Hour=BREAK_END)]
    if kind == "break_end":
        return [outcome("punch_out")]

    # The timesheet, in the minute of the punch out.
    if kind == "punch_out":
        return [outcome("timesheet_submitted", IsTimesheet="yes")]
    approved = outcome("timesheet_approved", 1 - MENDED)
    return [approved, outcome("timesheet_mended", MENDED, IsTimesheet="corrected")]


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


def roll_out(
    last: dict, causes: Causes, calendar: Calendar, steps: int, rng: random.Random
) -> list[dict]:
    """One possible future of an employee, the habits staying as they are."""
    events = []
    for _ in range(steps):
        last = draw(next_outcomes(last, causes, calendar), rng)
        events.append(last)
    return events


def hire(causes: Causes, calendar: Calendar) -> list[dict]:
    """The staff before the first day: of each employee an event that no log holds."""
    people = []
    for name in causes.keys["RecipientRecordId"]:
        event = dict.fromkeys(CATEGORY_NAMES)
        event |= {"EventType": "timesheet_approved", "RecipientRecordId": name}
        calendar.set_day(event, -1)
        people.append(event)
    return people


def simulate(workplace: Workplace, progress: bool = True) -> Iterator[tuple[dict, list, Causes]]:
    """Yields (event, floors, causes) in the order of time, for as many days as the workplace has.

    An employee's next event is drawn when the last one happens, from the habits in force then: the
    causes, which go on changing. So the floor knows them and the event before, but nothing later.
    """
    rng, calendar = random.Random(workplace.seed), Calendar(workplace)
    causes = Causes(workplace, rng)
    queue, hour = [], HOUR  # events to come, the earliest first; when habits change next

    def plan_next(number: int, last: dict) -> None:
        outcomes = next_outcomes(last, causes, calendar)
        event = draw(outcomes, rng)
        minute = event["Time_Event_Hour"] * HOUR + event["Time_Event_Minute"]
        time, floors = event["day"] * DAY + minute, measure_floors(outcomes, event)
        heapq.heappush(queue, (time, number, event, floors))

    for number, last in enumerate(hire(causes, calendar)):
        plan_next(number, last)
    with tqdm(total=workplace.days, unit="day", disable=not progress, desc="simulating") as bar:
        while queue[0][0] < workplace.days * DAY:
            time, number, event, floors = heapq.heappop(queue)
            while time >= hour:  # every full hour up to this event
                causes.change(rng)
                hour += HOUR
                bar.update(hour % DAY == 0)
            yield event, floors, causes
            plan_next(number, event)
        bar.update(bar.total - bar.n)
