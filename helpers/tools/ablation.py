"""What each stream knows that no other shows: the same run with one stream left out at a time.

python -m helpers.tools.ablation data/working_run.json [--set key=value ...]
    [--out data/stream_ablation.csv]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from helpers.losses import Evaluation
from helpers.support.commands import check_output, parse_arguments, run_command
from helpers.support.errors import InputError
from helpers.support.files import DATA, write_table
from helpers.tools.train import list_inputs
from helpers.training import finished_run, read_config

# What the design of the built-in world says: the categories that each stream's hidden cause
# touches. See data/README.md.
TOUCHES = {
    "EventType": ["Time_Reference_Minute"],
    "Actor": ["LocationRecordId"],
    "Recipient": [
        "LocationRecordId",
        "CostCodeRecordId",
        "Time_Event_Day",
        "Time_Reference_Day",
        "Time_Reference_Hour",
        "Time_Reference_Minute",
    ],
    "Location": ["HoursWorked"],
    "CostCode": ["ApprovedByManagerUserRecordId"],
    "JobCode": ["CostCodeRecordId"],
    "Time": ["Time_Event_Minute"],
}


def measure_cost(whole: Evaluation, less: Evaluation, stream: str) -> pd.DataFrame:
    """What leaving a stream out costs, category by category.

    Its columns are stream, category, raise (nats), standard_error (of the paired difference) and z.
    """
    difference = less.losses["model"] - whole.losses["model"]
    raised = difference[whole.counted].mean(0, dtype=float)
    error = whole.standard_error(difference)
    table = pd.DataFrame({"category": [category.name for category in whole.log.categories]})
    table.insert(0, "stream", stream)
    return table.assign(**{"raise": raised, "standard_error": error, "z": raised / error})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.ablation", description="Trains without one stream at a time."
    )
    out = DATA / "stream_ablation.csv"
    parser.add_argument("--out", default=out, metavar="CSV", help="default: %(default)s")
    given, changes = parse_arguments(parser, arguments)
    config = read_config(given.config, changes)
    check_output("--out", given.out, list_inputs(config, given.config))
    whole = finished_run(given.config, changes)
    streams, tables = [stream.name for stream in whole.data.log.streams], []
    if len(streams) < 2:
        raise InputError(
            f"{given.config}: has one stream, {streams[0]}, so none can be left out; name more in "
            f"'streams' or the mapping"
        )
    evaluation = whole.evaluation()
    for stream in streams:
        print(f"without {stream}", flush=True)
        rest = {
            "streams": [name for name in streams if name != stream],
            "out": str(Path(whole.config.out) / f"without_{stream}"),
        }
        less = finished_run(given.config, changes | rest).evaluation()
        tables.append(measure_cost(evaluation, less, stream))
    table = pd.concat(tables)
    write_table(given.out, table.round(5))
    named = zip(table["stream"], table["category"], strict=True)
    known = [category in TOUCHES.get(stream, [category]) for stream, category in named]
    print(table[known].to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    run_command(main, "stopped; the runs so far are kept, and the same command goes on after them")
