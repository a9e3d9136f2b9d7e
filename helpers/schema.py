"""The words of the course as data: categories, their sizes, streams, and what a log's columns mean.

An event is one row of integers, one integer per category, and 0 always means *unknown or not
applicable*. A stream is a name and the category whose value picks the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from helpers.support import refusals
from helpers.support.files import read_json
from helpers.support.reading import Column, Pairs
from helpers.support.settings import MOST, Count, Settings, Share, Size, fill

# What a time can tell, and the size of each part. Shifted by one so that 0 stays free: January = 1,
# the hour from 00:00 = 1, minute 00 = 1, Monday = 1, the week's hour from Monday 00:00 = 1.
CALENDAR = {"Month": 14, "Day": 33, "Hour": 25, "Minute": 61}
WEEK = {"Weekday": 8, "HourOfWeek": 169}
# Time since the sequence's event before, and since its first: 1 is less than a second, and then
# bin i begins at 2 ** (i - 2) seconds, up to 17 years; 0 where nothing comes before.
ELAPSED = {"SinceLast": 32, "SinceFirst": 32}
TIME_PARTS = CALENDAR | WEEK | ELAPSED


@dataclass(frozen=True)
class Category:
    """One field of an event: an integer in ``[0, size)``."""

    name: str
    size: int


@dataclass(frozen=True)
class Stream:
    """A history is every event that shares the origin's value of ``key``."""

    name: str
    key: str


Part = Literal[*TIME_PARTS]


class Source(Settings):
    """How one column of a log becomes one category (or several, for a time).

    kind "name": each of the most frequent values gets an integer.
    kind "number": ``round((value - lowest) / bin) + 1``, cut off at ``size - 1``; or, where bin is
    "quantiles", `size` - 1 bins at most that hold as many training events each.
    kind "time": a category for each part, ``<name>_<part>``.
    kind "span": how long from the first of two columns of times to the second, in bins as ELAPSED.
    """

    column: str | list[str]  # several make one time, such as a date's and a time's of day
    kind: Literal["name", "number", "time", "span"] = "name"
    size: Annotated[int, Field(ge=2, le=MOST)] | None = None  # None: id_category_size
    bin: Annotated[float, Field(gt=0)] | Literal["quantiles"] = 1.0
    lowest: float = 0.0
    parts: Annotated[list[Part], Field(min_length=1)] = list(CALENDAR)

    check_source = model_validator(mode="after")(refusals.check_source)


class Split(Settings):
    """Which events train, which choose (validation), which report (test).

    by None: in the order of time, ``train`` and ``validation`` being shares of the events.
    by "sequence": ``train`` and ``validation`` are shares of the sequences, drawn by ``seed``.
    by a column: ``train``, ``validation`` and ``test`` are lists of that column's values.
    Where ``validation`` is a share, that share of the training sequences is set aside.
    """

    by: str | None = None
    train: Share = 0.75
    validation: Share = 0.10
    test: list | None = None
    seed: Count = 0  # of the draw of sequences

    check_parts = model_validator(mode="after")(refusals.check_parts)


class LogMapping(Settings):
    """What the columns of an event log mean.

    ``sequence`` names whose next events are predicted: the recipient, a case, a patient.
    A stream's key is a category, or ``sequence`` itself.
    """

    sequence: str
    time: str | list[str]  # several columns, such as a date's and a time's of day, make one time
    categories: Annotated[dict[str, Source], Field(min_length=1)]
    streams: Annotated[dict[str, str], Field(min_length=1)]
    split: Split = Split()
    min_count: Size = 2  # values seen less often in training become unknown
    clock: Literal["local", "UTC"] = "local"  # where an offset is written: hours as on the wall
    columns: dict[str, Column] = {}
    pairs: Pairs | None = None

    check_names = model_validator(mode="after")(refusals.check_names)

    def make_categories(self, id_category_size: int) -> list[Category]:
        """The categories in order; sizes that are left open are ``id_category_size``."""
        categories = []
        for name, source in self.categories.items():
            if source.kind == "time":
                parts = [Category(f"{name}_{part}", TIME_PARTS[part]) for part in source.parts]
                categories += parts
            elif source.kind == "span":
                categories.append(Category(name, ELAPSED["SinceLast"]))
            else:
                categories.append(Category(name, source.size or id_category_size))
        return categories


def read_mapping(path: str | Path) -> LogMapping:
    """Reads a mapping from JSON; its keys are those of `LogMapping`, `Source` and `Split`."""
    return fill(LogMapping, read_json(path), path)


# The built-in log: the columns of a time clock's export, and what they mean.
WORKPLACE = LogMapping(
    sequence="recipient",
    time="event_time",
    categories={
        "EventType": Source(column="event_type", size=10),
        "ActorRecordId": Source(column="actor"),
        "RecipientRecordId": Source(column="recipient"),
        "LocationRecordId": Source(column="location"),
        "CostCodeRecordId": Source(column="cost_code"),
        "JobCodeRecordId": Source(column="job_code"),
        "ApprovedByManagerUserRecordId": Source(column="approved_by"),
        "IsTimesheet": Source(column="is_timesheet", size=4),
        "HoursWorked": Source(column="hours_worked", kind="number", size=100, bin=0.25),
        "Time_Event": Source(column="event_time", kind="time"),
        "Time_Reference": Source(column="reference_time", kind="time"),
    },
    streams={
        "EventType": "EventType",
        "Actor": "ActorRecordId",
        "Recipient": "RecipientRecordId",
        "Location": "LocationRecordId",
        "CostCode": "CostCodeRecordId",
        "JobCode": "JobCodeRecordId",
        "Time": "Time_Reference_Hour",
    },
)
CATEGORY_NAMES = [category.name for category in WORKPLACE.make_categories(100)]
