"""The words of the course as data: categories, their sizes, streams and time parts.

An event is one row of integers, one integer per category, and 0 always means *unknown or not
applicable*. A stream is a name and the category whose value picks the history.
"""
from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Callable, get_args, get_origin, get_type_hints

# Shifted by one so that 0 stays free: January = 1, the hour from 00:00 = 1, minute 00 = 1.
from helpers.support.commands import run_command
from helpers.support.errors import InputError, TrainingStopped, check_table
from helpers.support.files import make_folder, read_json
from helpers.support.files import replace_file as replace

TIME_PARTS = {"Month": 14, "Day": 33, "Hour": 25, "Minute": 61}
MOST = 2**20  # any size or length; what is larger is a slip of the keyboard, and no machine's memory holds it


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


@dataclass(frozen=True)
class Source:
    """How one column of a log becomes one category (or four, for a time).

    kind "name": each of the most frequent values gets an integer.
    kind "number": ``round(value / bin) + 1``, cut off at ``size - 1``.
    kind "time": four categories, ``<name>_Month``, ``_Day``, ``_Hour`` and ``_Minute``; in UTC where an offset is written.
    """

    column: str
    kind: str = "name"
    size: int | None = None  # None: the configuration's id_category_size
    bin: float = 1.0

    def __post_init__(self):
        if self.kind not in ("name", "number", "time"):
            raise InputError(f"kind must be name, number or time, found '{self.kind}'")
        if self.size is not None and not 2 <= self.size <= MOST:
            raise InputError(f"size must be at least 2 and at most {MOST}, found {self.size}")
        if not 0 < self.bin < math.inf:
            raise InputError(f"bin must be above 0 and finite, found {self.bin}")


@dataclass(frozen=True)
class Split:
    """Which events train, which choose (validation), which report (test).

    by None: in the order of time, ``train`` and ``validation`` being shares of the events.
    by a column: ``train``, ``validation`` and ``test`` are lists of that column's values.
    Where ``validation`` is a share, that share of the training sequences is set aside.
    """

    by: str | None = None
    train: float | list = 0.75
    validation: float | list = 0.10
    test: list | None = None

    def __post_init__(self):
        parts = (self.train, self.validation, self.test)
        lists, shares = [p for p in parts if isinstance(p, list)], [p for p in parts if isinstance(p, (int, float))]
        if self.by is None and (lists or len(shares) != 2):
            raise InputError("without 'by', train and validation must be shares, and the test is what they leave")
        if self.by is not None and not (isinstance(self.train, list) and isinstance(self.test, list)):
            raise InputError(f"train and test must be lists of values of the column '{self.by}'")
        if not (all(share > 0 for share in shares) and sum(shares) < 1):
            raise InputError(f"shares must be above 0 and add up to less than 1, found {' and '.join(map(str, shares))}")
        values = [str(value) for values in lists for value in values]
        if repeated := [value for value in values if values.count(value) > 1]:
            raise InputError(f"'{repeated[0]}' is listed twice; a value belongs to one part")


@dataclass(frozen=True)
class LogMapping:
    """What the columns of an event log mean.

    ``sequence`` names whose next events are predicted: the recipient, a case, a patient.
    A stream's key is a category, or ``sequence`` itself.
    """

    sequence: str
    time: str
    categories: dict[str, Source]
    streams: dict[str, str]
    split: Split = field(default_factory=Split)
    min_count: int = 2  # values seen less often in training become unknown

    def __post_init__(self):
        if not self.categories or not self.streams:
            raise InputError("'categories' and 'streams' must list at least one each")
        names = [category.name for category in self.sized(2)]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise InputError(f"two categories are named '{repeated[0]}'; rename one")
        if "mean" in names:
            raise InputError("a category is named 'mean', as the last row of a report is; rename it")
        if self.min_count < 1:
            raise InputError(f"min_count must be at least 1, found {self.min_count}")
        for stream, key in self.streams.items():
            if not stream.isprintable() or set(stream) & set('/\\:'):  # it becomes a folder's name in the ablation
                raise InputError(f"stream {stream!r}: a name holds none of / \\ : and no line end; rename it")
            if key not in [*names, self.sequence]:
                raise InputError(f"stream '{stream}': key '{key}' is neither a category nor the sequence column, '{self.sequence}'; "
                                 f"categories are {', '.join(names)}")

    def sized(self, id_category_size: int) -> list[Category]:
        """The categories in order, with the sizes that the configuration leaves open filled in."""
        out = []
        for name, source in self.categories.items():
            if source.kind == "time":
                out += [Category(f"{name}_{part}", size) for part, size in TIME_PARTS.items()]
            else:
                out.append(Category(name, source.size or id_category_size))
        return out


def filled(cls, given, where: str):
    """``cls(**given)``, dataclasses inside too; an InputError names the key that is unknown, missing or of a wrong type."""
    if not isinstance(given, dict):
        raise InputError(f"{where}: must be an object of keys and values, found {json.dumps(given):.100}")
    hints = get_type_hints(cls)
    for key in given:
        if key not in hints:
            raise InputError(f"{where}: unknown key '{key}'; known keys are {', '.join(hints)}")
    for item in fields(cls):
        if item.default is MISSING and item.default_factory is MISSING and item.name not in given:
            raise InputError(f"{where}: no key '{item.name}'; add it")
    values = {key: _typed(hints[key], value, f"{where}, key '{key}'") for key, value in given.items()}
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _typed(hint, value, where: str):
    """The value as the type that a dataclass's field wants, or an InputError that names the key."""
    if is_dataclass(hint):
        return filled(hint, value, where)
    wanted = [get_origin(hint)] if get_origin(hint) is dict else get_args(hint) or [hint]
    if float in wanted and type(value) is int:
        value = float(value) if abs(value) < 2**1023 else math.inf
    if type(value) not in wanted:
        names = {type(None): "null", dict: "an object of keys and values", str: "a text", list: "a list",
                 int: "a whole number", float: "a number", bool: "true or false"}
        raise InputError(f"{where}: must be {' or '.join(names[one] for one in wanted)}, found {json.dumps(value):.100}")
    if get_origin(hint) is dict:
        return {key: _typed(get_args(hint)[1], one, f"{where}, key '{key}'") for key, one in value.items()}
    return value


def read_mapping(path: str | Path) -> LogMapping:
    """Reads a mapping from JSON; its keys are the fields of `LogMapping`, `Source` and `Split`."""
    return filled(LogMapping, read_json(path), str(path))


# The built-in log: the columns of a time clock's export, and what they mean.
WORKPLACE = LogMapping(
    sequence="recipient",
    time="event_time",
    categories={
        "EventType": Source("event_type", size=10),
        "ActorRecordId": Source("actor"),
        "RecipientRecordId": Source("recipient"),
        "LocationRecordId": Source("location"),
        "CostCodeRecordId": Source("cost_code"),
        "JobCodeRecordId": Source("job_code"),
        "ApprovedByManagerUserRecordId": Source("approved_by"),
        "IsTimesheet": Source("is_timesheet", size=4),
        "HoursWorked": Source("hours_worked", kind="number", size=100, bin=0.25),
        "Time_Event": Source("event_time", kind="time"),
        "Time_Reference": Source("reference_time", kind="time"),
    },
    streams={
        "EventType": "EventType",
        "Actor": "ActorRecordId",
        "Recipient": "RecipientRecordId",
        "Location": "LocationRecordId",
        "CostCode": "CostCodeRecordId",
        "JobCode": "JobCodeRecordId",
        "Time": "Time_Event_Hour",
    },
)
CATEGORY_NAMES = [category.name for category in WORKPLACE.sized(100)]
