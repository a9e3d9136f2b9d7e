"""Trains on each log of a folder as its owner would, by one command, and writes what came of it.

    python tests/own_logs.py FOLDER [FOLDER ...]

Makes data/own_logs.csv, whose figures the data card shows. The public logs lie beside the project
on its own machines, not in it.
"""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from helpers.support.reports import ACCURACIES

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "build" / "own_logs"
ENDINGS = (".csv.gz", ".xes.gz")


def train(log: Path, name: str) -> float:
    """Trains by the one command; the seconds that it took."""
    command = [sys.executable, "-m", "helpers.tools.train", log, "--replace"]
    start = time.perf_counter()
    subprocess.run([*command, "--set", f"out={RUNS / name}"], cwd=ROOT, check=True)
    return time.perf_counter() - start


def summarise(report: pd.DataFrame) -> dict:
    """Accuracies at the next event: of the kind of event, and the mean over the names."""
    names = report[(report["question"] == "next event") & report["names"]]
    figures = {}
    for what, rows in (("kind", names[:1]), ("names", names)):
        tables = rows[ACCURACIES]
        figures[f"{what}_model"] = rows["accuracy"].mean()
        figures[f"{what}_table"] = tables.max(axis=1).mean()  # the best one of each category
        figures[f"{what}_copy_last"] = rows["accuracy_copy_last"].mean()
    best = names.iloc[0][ACCURACIES].astype(float)
    return figures | {
        "kind_best": best.idxmax().removeprefix("accuracy_"),
        "categories": len(names),
    }


def main(folders: list[str]) -> None:
    logs = [log for folder in folders for log in sorted(Path(folder).resolve().iterdir())]
    rows = []
    for log in logs:
        if log.name.endswith(ENDINGS):
            name = log.name.split(".")[0]
            seconds = train(log, name)
            report = pd.read_csv(RUNS / name / "report.csv")
            rows.append({"log": name} | summarise(report) | {"seconds": round(seconds)})
            print(rows[-1])
    table = pd.DataFrame(rows).sort_values("log").round(4)
    table.to_csv(ROOT / "data" / "own_logs.csv", index=False)
    print(table.to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
