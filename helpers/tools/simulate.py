"""Simulates a workplace, and writes its log, floors and habits and a picture of one of its shifts.

python -m helpers.tools.simulate     # remakes these in data/, bit for bit
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import plots
from helpers.support.commands import run_command
from helpers.support.files import DATA, Truth, make_folder, replace_file, write_figure
from helpers.world import (
    DAY,
    EVENT_TYPES,
    HABITS,
    HOUR,
    KEYS,
    Causes,
    Workplace,
    name_deciders,
    simulate,
)

# The log's columns, as a time clock exports them, and the categories that they show.
COLUMNS = {
    "event_type": "EventType",
    "actor": "ActorRecordId",
    "recipient": "RecipientRecordId",
    "location": "LocationRecordId",
    "cost_code": "CostCodeRecordId",
    "job_code": "JobCodeRecordId",
    "approved_by": "ApprovedByManagerUserRecordId",
    "is_timesheet": "IsTimesheet",
    "hours_worked": "HoursWorked",
}
TIMES = {
    "event_time": ("day", "Time_Event_Hour", "Time_Event_Minute"),
    "reference_time": ("reference_day", "Time_Reference_Hour", "Time_Reference_Minute"),
}


def export(workplace: Workplace, progress: bool = True) -> tuple[pd.DataFrame, Truth]:
    """The log as a time clock exports it, 11 columns, and what the simulator knows of it."""
    return export_all(workplace, progress)[:2]


def export_all(
    workplace: Workplace, progress: bool = True
) -> tuple[pd.DataFrame, Truth, np.ndarray]:
    """As `export`, and the changes of the habits: (changes, 4) int32, see `futures.Habits`."""
    events, floors, changes, noted = [], [], [], {}
    for event, of_event, causes in simulate(workplace, progress):
        events.append(event)
        floors.append(of_event)
        if causes.of != noted:  # at most once an hour
            hour = event["day"] * 24 + event["Time_Event_Hour"]
            changes += [(hour, *change) for change in list_changes(causes, noted)]
            noted = {stream: dict(habits) for stream, habits in causes.of.items()}
    log = pd.DataFrame()
    for column, category in COLUMNS.items():
        log[column] = [event[category] for event in events]
    log["hours_worked"] = log["hours_worked"].astype(float) / 4
    for column, (day, hour, minute) in TIMES.items():
        minutes = [event[day] * DAY + event[hour] * HOUR + event[minute] for event in events]
        log[column] = pd.Timestamp(workplace.start) + pd.to_timedelta(minutes, unit="min")
    deciders = {kind: name_deciders(kind) for kind in EVENT_TYPES}
    decided = np.array([deciders[kind] for kind in log["event_type"]], np.int8)
    return log, Truth(np.array(floors), decided), np.array(changes, np.int32)


def list_changes(causes: Causes, before: dict) -> Iterator[tuple[int, int, int]]:
    """The places of stream, key and habit, for the habits that are not as they were before."""
    for place, (stream, habits) in enumerate(causes.of.items()):
        old = before.get(stream, {})
        for key, (name, habit) in enumerate(habits.items()):
            if old.get(name) != habit:
                yield place, key, causes.values[stream].index(habit)


def list_habits() -> pd.DataFrame:
    """A row a habit: its stream, the category of its key, and what it decides at which event."""
    rows = [(name, KEYS[name], habit.kind, habit.category) for name, habit in HABITS.items()]
    return pd.DataFrame(rows, columns=["stream", "key", "kind", "category"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.simulate",
        description="Simulates a workplace, and writes its log, floors, habits and a picture.",
    )
    for name, field in Workplace.model_fields.items():
        kind = type(field.default)
        parser.add_argument(f"--{name}", type=kind, default=field.default, help="%(default)s")
    parser.add_argument("--out", type=Path, default=DATA, metavar="FOLDER", help="%(default)s")
    given = parser.parse_args(arguments)
    make_folder(given.out, "--out")  # better told before the simulation than after it
    workplace = Workplace(**{name: getattr(given, name) for name in Workplace.model_fields})
    log, truth, changes = export_all(workplace)

    names = ("workplace.csv.gz", "floors.npz", "habits.npz")
    path, floor_path, habit_path = (given.out / name for name in names)
    packed = {"method": "gzip", "compresslevel": 9, "mtime": 0}
    options = {"index": False, "date_format": "%Y-%m-%d %H:%M", "compression": packed}
    replace_file(path, lambda part: log.to_csv(part, **options))
    of_log = zlib.crc32(path.read_bytes())  # which log floors and habits are of
    replace_file(floor_path, lambda part: np.savez_compressed(part, **truth._asdict(), log=of_log))
    of_habits = {"workplace": workplace.model_dump_json(), "changes": changes}
    replace_file(habit_path, lambda part: np.savez_compressed(part, **of_habits, log=of_log))

    picture = given.out / "shift.png"
    write_figure(picture, plots.draw_shift, list_habits(), (14, 6))

    size, floor_size = path.stat().st_size / 1e6, floor_path.stat().st_size / 1e6
    print(f"{path}: {len(log):,} events, {size:.1f} MB")
    print(
        f"{floor_path}: their floors, on average {truth.floors.mean():.3f} nats a category, "
        f"{floor_size:.1f} MB"
    )
    print(f"{habit_path}: {len(changes):,} changes of habits, {habit_path.stat().st_size:,} bytes")
    print(f"{picture}: one shift, and which habit decides what of it")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
