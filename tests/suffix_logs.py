"""Trains on three public logs, each case with its END, and grades the forecasts of their suffixes.

    python tests/suffix_logs.py FOLDER

FOLDER holds the logs; they lie beside the project on its own machines, not in it. Makes
data/suffixes.csv, whose figures notebook 08 shows, by `helpers.tools.suffixes`: the built-in log's
rows stand there too. A run takes some three minutes on one thread, and is kept in
build/suffix_logs/, so that a second call grades it as it is.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from helpers.tools import suffixes, train
from helpers.uses.suffixes import add_ends

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "build" / "suffix_logs"

# Of each log: its case, kind and time; names that are categories, with their sizes; the keys of
# streams beside the case's own; what a run of it has of its own.
LOGS = {
    "helpdesk": (
        ("Case ID", "Activity", "Complete Timestamp"),
        {"Activity": 17, "Resource": 24, "product": 24, "workgroup": 6, "service_level": 6},
        ["Resource"],
        {"tgt_seq_len": 12, "epochs": 12},
    ),
    "bpic2020_rfp": (
        ("case", "activity", "timestamp"),
        {"activity": 24, "resource": 4, "Role": 10, "Org": 40},
        ["Org"],
        {"tgt_seq_len": 12, "epochs": 12},
    ),
    "bpic2013_incidents": (
        ("case", "activity", "timestamp"),
        {"activity": 16, "resource": 1500, "Att1": 6, "Att2": 700, "Att5": 30, "Att7": 40},
        ["resource", "Att2"],
        {"tgt_seq_len": 20, "epochs": 12},
    ),
}
FOLDS = {"by": "fold", "train": ["1", "2"], "validation": 0.1, "test": ["0"]}
PARTS = {"by": "part", "train": ["train"], "validation": 0.1, "test": ["test"]}
RECIPE = {
    "src_seq_len": 12,
    "batch_size": 64,
    "batches": 250,
    "model": {"d_model": 48, "num_heads": 4},
    "learning_rate": 0.003,
    "schedule": "cosine",
    "weight_decay": 0.05,
    "clip_norm": 1.0,
    "dropout": 0.1,
    "shuffle": True,
    "tied": True,
    "focus": 0.3,
}


def split_in_file_order(log: pd.DataFrame, case: str) -> pd.Series:
    """The part of each row: the first 80 % of the cases train, as for the figures of others."""
    cases = log[case].drop_duplicates()
    first = log[case].isin(cases[: int(0.8 * len(cases))])
    return first.map({True: "train", False: "test"})


def prepare(source: Path, name: str, folder: Path) -> Path:
    """Writes a log with its ENDs, its mapping and its configuration; returns the last's place."""
    (case, kind, time), names, streams, own = LOGS[name]
    log = pd.read_csv(source / f"{name}.csv.gz", dtype=str, keep_default_na=False)
    if "fold" not in log:
        log["part"] = split_in_file_order(log, case)
    folder.mkdir(parents=True, exist_ok=True)
    add_ends(log, case, kind, time).to_csv(folder / f"{name}.csv", index=False)
    categories = {column: {"column": column, "size": size} for column, size in names.items()}
    categories["time"] = {"column": time, "kind": "time", "parts": ["SinceLast"]}
    mapping = {
        "sequence": case,
        "time": time,
        "categories": categories,
        "streams": {"case": case} | {key: key for key in streams},
        "split": FOLDS if "fold" in log else PARTS,
    }
    (folder / "mapping.json").write_text(json.dumps(mapping, indent=2))
    files = {"log": f"{name}.csv", "mapping": "mapping.json", "out": str(folder)}
    (folder / "config.json").write_text(json.dumps(RECIPE | own | files, indent=2))
    return folder / "config.json"


def main(source: str) -> None:
    configs = []
    for name in LOGS:
        config = RUNS / name / "config.json"
        if not config.exists():
            train.main([str(prepare(Path(source), name, RUNS / name))])
        configs.append(str(config))
    suffixes.main(configs)


if __name__ == "__main__":
    main(*sys.argv[1:])
