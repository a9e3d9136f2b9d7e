"""Measures how fast the network is, what is done with it, and how its cost grows.

    python -m helpers.tools.benchmark [--threads 2] [--out build/benchmark] [--part forms ...]

Some ten minutes. FOLDER then holds benchmark.csv (a row per figure: its median over the turns, its
quartiles, and the share of its turns that something else on the machine disturbed) and
benchmark.png. With --part, only the rows of these parts are replaced.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from helpers import plots
from helpers.support.commands import run_command
from helpers.support.errors import InputError
from helpers.support.files import ROOT, replace_file, write_table
from helpers.tools.benchmark import processes, steps, uses
from helpers.tools.benchmark.machine import describe_machine
from helpers.tools.benchmark.table import COLUMNS, make_table, replace_parts, tell_disturbance

SIZES = [(windows, d_model) for d_model in (32, 64, 128) for windows in (16, 64, 256)]
SMALL, LARGE = SIZES[0], SIZES[-1]
# Each part's pieces, which are measured one after another.
PARTS: dict[str, list[Callable[[], list[dict]]]] = {
    "forms": [partial(steps.measure_forms, *size) for size in SIZES],
    "tricks": [partial(steps.measure_tricks, *size) for size in (SMALL, LARGE)],
    "products": [partial(steps.measure_products, *size) for size in SIZES],
    "growth": [partial(steps.measure_growth, *axis) for axis in steps.AXES.items()],
    "use": [uses.measure_use],
    "evaluation": [partial(uses.measure_evaluation, windows) for windows in (16, 256)],
    "sampling": [uses.measure_sampling],
    "run": [uses.measure_reference_run],
    "reading": [processes.measure_reading],
    "start": [processes.measure_start],
    "torchrun": [processes.measure_workers],
    "memory": [processes.measure_epochs],
}


def draw_both(path: Path, table: pd.DataFrame) -> None:
    figure = Figure(figsize=(15, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.draw_speed_by_batch(left, table)
    plots.draw_growth(right, table)
    replace_file(path, lambda part: figure.savefig(part, dpi=120, format="png"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.benchmark",
        description="Measures the network against plainer forms of it.",
    )
    out, default = ROOT / "build" / "benchmark", "default: %(default)s"
    parser.add_argument("--out", default=out, type=Path, metavar="FOLDER", help=default)
    parser.add_argument("--threads", default=2, type=int, metavar="N", help=default)
    of_these = f"only some of {', '.join(PARTS)}; the other rows stay"
    parser.add_argument("--part", nargs="+", choices=PARTS, metavar="PART", help=of_these)
    given = parser.parse_args(arguments)
    if given.threads < 1:
        raise InputError(f"--threads {given.threads}: must be at least 1")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)

    pieces = [piece for part in given.part or PARTS for piece in PARTS[part]]
    rows = [row for piece in tqdm(pieces, "benchmark", unit="part") for row in piece()]
    table, path = make_table(rows), given.out / "benchmark.csv"
    text = table[COLUMNS[:-1]].to_string(index=False, na_rep="", float_format="{:.3g}".format)
    print(describe_machine(), text, tell_disturbance(table), sep="\n\n")
    if given.part and path.exists():
        table = replace_parts(path, table)
    write_table(path, table)
    if {"forms", "growth"} <= set(table["part"]):
        draw_both(given.out / "benchmark.png", table)


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
