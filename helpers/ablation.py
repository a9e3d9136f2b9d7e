"""What each stream knows that no other shows: the same run with one stream left out at a time.

    python -m helpers.ablation data/working_run.json [--set key=value ...] [--out data/stream_ablation.csv]
"""
from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from helpers.losses import Evaluation
from helpers.schema import InputError, run_command
from helpers.training import DATA, check_output, command_line, finished_run, read_config, write_table

# What the design of the built-in world says: the categories that each stream's hidden cause touches. See data/README.md.
TOUCHES = {
    "EventType": ["Time_Reference_Minute"],
    "Actor": ["LocationRecordId"],
    "Recipient": ["LocationRecordId", "CostCodeRecordId", "Time_Event_Day", "Time_Reference_Day", "Time_Reference_Hour", "Time_Reference_Minute"],
    "Location": ["HoursWorked"],
    "CostCode": ["ApprovedByManagerUserRecordId"],
    "JobCode": ["CostCodeRecordId"],
    "Time": ["Time_Event_Minute"],
}


def cost(whole: Evaluation, less: Evaluation, stream: str) -> pd.DataFrame:
    """What leaving a stream out costs: stream, category, raise (nats), standard_error (of the paired difference), z."""
    difference = less.losses["model"] - whole.losses["model"]
    raised, error = difference[whole.counts].mean(0, dtype=float), whole.standard_error(difference)
    names = [category.name for category in whole.log.categories]
    return pd.DataFrame({"stream": stream, "category": names, "raise": raised, "standard_error": error, "z": raised / error})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.ablation", description="Trains without one stream at a time.")
    parser.add_argument("--out", default=DATA / "stream_ablation.csv", metavar="CSV", help="default: %(default)s")
    given, changes = command_line(parser)
    check_output("--out", given.out, read_config(given.config, changes), given.config)
    whole = finished_run(given.config, changes)
    streams, tables = [stream.name for stream in whole.data.log.streams], []
    if len(streams) < 2:
        raise InputError(f"{given.config}: has one stream, {streams[0]}, so none can be left out; name more in 'streams' or the mapping")
    evaluation = whole.evaluation()
    for stream in streams:
        print(f"without {stream}", flush=True)
        rest = {"streams": [name for name in streams if name != stream], "out": str(Path(whole.config.out) / f"without_{stream}")}
        tables.append(cost(evaluation, finished_run(given.config, changes | rest).evaluation(), stream))
    table = pd.concat(tables)
    write_table(given.out, table.round(5))
    known = [category in TOUCHES.get(stream, [category]) for stream, category in zip(table["stream"], table["category"])]
    print(table[known].to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    run_command(main, "stopped; the runs so far are kept, and the same command goes on after them")
