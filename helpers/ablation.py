"""What each stream knows that no other shows: the same run with one stream left out at a time.

    python -m helpers.ablation data/working_run.json [--set key=value ...] [--out data/stream_ablation.csv]
"""
from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.losses import Evaluation
from helpers.schema import InputError, replace
from helpers.training import DATA, Trainer, arguments, read_config

# What the design of the world says: the categories that each stream's hidden cause touches. See data/README.md.
TOUCHES = {
    "EventType": ["Time_Event_Hour"],
    "Actor": ["EventType", "IsTimesheet", "ApprovedByManagerUserRecordId"],
    "Recipient": ["LocationRecordId", "Time_Event_Day", "Time_Reference_Day", "Time_Reference_Hour", "Time_Reference_Minute"],
    "Location": ["HoursWorked"],
    "CostCode": ["HoursWorked"],
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
    given, changes = arguments("python -m helpers.ablation", __doc__.splitlines()[0], out=DATA / "stream_ablation.csv")
    config = read_config(given.config, changes)
    whole = Trainer(config).fit()
    evaluation, streams, tables = whole.evaluation(), [stream.name for stream in whole.data.log.streams], []
    for stream in streams:
        print(f"without {stream}", flush=True)
        rest = {"streams": [name for name in streams if name != stream], "out": str(Path(config.out) / f"without_{stream}")}
        tables.append(cost(evaluation, Trainer(read_config(given.config, changes | rest)).fit().evaluation(), stream))
    table = pd.concat(tables)
    replace(Path(given.out), lambda path: table.to_csv(path, index=False, float_format="%.5f"))
    touched = table[[category in TOUCHES[stream] for stream, category in zip(table["stream"], table["category"])]]
    print(touched.to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
