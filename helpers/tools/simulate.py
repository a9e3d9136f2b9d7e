"""Simulates a workplace, and writes its log, its floors and a picture of one of its shifts.

python -m helpers.tools.simulate     # remakes data/workplace.csv.gz, floors.npz and shift.png
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import plots
from helpers.support.commands import run_command
from helpers.support.files import DATA, Truth, make_folder, replace_file, write_figure
from helpers.world import DAY, EVENT_TYPES, HABITS, HOUR, KEYS, Workplace, name_deciders, simulate

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
    events, floors = zip(*simulate(workplace, progress), strict=True)
    log = pd.DataFrame()
    for column, category in COLUMNS.items():
        log[column] = [event[category] for event in events]
    log["hours_worked"] = log["hours_worked"].astype(float) / 4
    for column, (day, hour, minute) in TIMES.items():
        minutes = [event[day] * DAY + event[hour] * HOUR + event[minute] for event in events]
        log[column] = pd.Timestamp(workplace.start) + pd.to_timedelta(minutes, unit="min")
    deciders = {kind: name_deciders(kind) for kind in EVENT_TYPES}
    decided = np.array([deciders[kind] for kind in log["event_type"]], np.int8)
    return log, Truth(np.array(floors), decided)


def list_habits() -> pd.DataFrame:
    """A row a habit: its stream, the category of its key, and what it decides at which event."""
    rows = [(name, KEYS[name], habit.kind, habit.category) for name, habit in HABITS.items()]
    return pd.DataFrame(rows, columns=["stream", "key", "kind", "category"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.simulate",
        description="Simulates a workplace, and writes its log, its floors and a picture.",
    )
    for name, field in Workplace.model_fields.items():
        kind = type(field.default)
        parser.add_argument(f"--{name}", type=kind, default=field.default, help="%(default)s")
    parser.add_argument("--out", type=Path, default=DATA, metavar="FOLDER", help="%(default)s")
    given = parser.parse_args(arguments)
    make_folder(given.out, "--out")  # better told before the simulation than after it
    workplace = Workplace(**{name: getattr(given, name) for name in Workplace.model_fields})
    log, truth = export(workplace)

    path, floor_path = given.out / "workplace.csv.gz", given.out / "floors.npz"
    packed = {"method": "gzip", "compresslevel": 9, "mtime": 0}
    options = {"index": False, "date_format": "%Y-%m-%d %H:%M", "compression": packed}
    replace_file(path, lambda part: log.to_csv(part, **options))
    of_log = zlib.crc32(path.read_bytes())  # which log the floors are of
    replace_file(floor_path, lambda part: np.savez_compressed(part, **truth._asdict(), log=of_log))

    picture = given.out / "shift.png"
    write_figure(picture, plots.draw_shift, list_habits(), (14, 6))

    size, floor_size = path.stat().st_size / 1e6, floor_path.stat().st_size / 1e6
    print(f"{path}: {len(log):,} events, {size:.1f} MB")
    print(
        f"{floor_path}: their floors, on average {truth.floors.mean():.3f} nats a category, "
        f"{floor_size:.1f} MB"
    )
    print(f"{picture}: one shift, and which habit decides what of it")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
