"""Looks at this machine, times a training step, and foretells how long each notebook will take.

    python -m helpers check

Notebooks were stored with the seconds of their cells. How much faster or slower this machine is, a
training step of the working run tells; other work may be faster or slower by another factor.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

import nbformat
import torch
from nbformat import NotebookNode

from helpers.schema import WORKPLACE
from helpers.support.commands import run_command
from helpers.support.fast import speed_up
from helpers.support.files import DATA, NOTEBOOKS
from helpers.support.readiness import look_at_machine, show_findings
from helpers.tools.benchmark.forms import draw_batch, make_core, make_step
from helpers.training import read_config

SECONDS = 2  # for each count of threads
STORED_STEP = 0.014  # seconds, with one thread, on the two cores that ran the stored notebooks
SPAN = {"iopub.execute_input", "shell.execute_reply"}  # a cell that was broken off lacks the end
MINUTES = re.compile(r"\*\*Minutes:\*\* (\d+) to run")


def time_step(threads: int) -> float:
    """The seconds of a training step of the working run's size: the median of many."""
    config = read_config(DATA / "working_run.json")
    categories = WORKPLACE.make_categories(config.id_category_size)
    batch = draw_batch(categories, config.batch_size)
    model = speed_up(make_core(categories, config.model.d_model))
    step, times = make_step(model, batch, categories), []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    torch.set_num_threads(before)
    return statistics.median(times)


def stored_seconds(notebook: NotebookNode) -> float:
    """How long a stored notebook ran; of an edition without times, the minutes that it tells."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    times = [cell.metadata.get("execution", {}) for cell in cells]
    if not times or not all(each.keys() >= SPAN for each in times):
        told = MINUTES.search(notebook.cells[0].source if notebook.cells else "")
        return 60 * int(told[1]) if told else 0  # of a notebook that is not the course's
    return sum(
        read_time(each["shell.execute_reply"]) - read_time(each["iopub.execute_input"])
        for each in times
    )


def read_time(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def estimate(paths: list[Path], step: float) -> dict[str, float]:
    """Minutes for each notebook on a machine whose training step takes so many seconds."""
    ratio = step / STORED_STEP
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in paths}
    return {name: ratio * stored_seconds(each) / 60 for name, each in notebooks.items()}


def main() -> None:
    ready = show_findings(look_at_machine())
    print()
    steps = {threads: time_step(threads) for threads in sorted({1, os.cpu_count() or 1})}
    for threads, taken in steps.items():
        print(f"A training step takes {1000 * taken:.1f} ms; threads at work: {threads}")
    if max(steps.values()) > 2 * steps[1]:
        print("More threads are slower here: other programs keep the cores busy.")
    minutes = estimate(sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), steps[1])
    print("\nMinutes that each notebook runs, an estimate: half and twice as many may be true.")
    for name, each in minutes.items():
        print(f"  {name:32}{each:5.1f}")
    print(f"  {'all of them':32}{sum(minutes.values()):5.1f}")
    sys.exit(0 if ready else 1)


if __name__ == "__main__":
    run_command(main, "stopped")
