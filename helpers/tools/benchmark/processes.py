"""Measures what needs a process of its own: reading a log, starting, several workers, memory."""

from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch

from helpers.events import read_log
from helpers.schema import WORKPLACE
from helpers.support.errors import TrainingStopped
from helpers.support.files import DATA, ROOT
from helpers.tools.benchmark.machine import peak_memory
from helpers.tools.benchmark.steps import find_exponent
from helpers.tools.benchmark.turns import LEAST, Figures, Turns, collect
from helpers.training import Config, Trainer, index_windows, read_config

EVENTS, EPOCHS = (10_000, 100_000, 1_000_000), (1, 8, 64)  # events of a log, epochs of a run
BATCHES = 60  # that the workers are timed over
FEW = 3  # turns at least, where each takes many seconds

# The command of the README, left when the optimiser has taken its first step.
FIRST_STEP = """
import os, sys
from helpers import training
from helpers.tools import train

def step(run, *given):
    whole_step(run, *given)
    os._exit(0)

whole_step, training.Trainer.step = training.Trainer.step, step
train.main(sys.argv[1:])
"""
IMPORT_TORCH = "import os, torch; os._exit(0)"


def run_apart(function: Callable, *arguments):
    """What a function returns in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def run_python(*arguments: str, threads: int) -> str:
    """What Python prints when it is called so, in the project's folder; TrainingStopped by a fault.

    threads: for its products
    """
    there = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=there, capture_output=True, text=True)
    if done.returncode:
        raise TrainingStopped(f"{' '.join(arguments)[:200]} failed: {done.stderr[-2000:]}")
    return done.stdout


# -- reading


def repeat_log(path: Path, events: int) -> None:
    """The built-in log as a CSV of so many events.

    Where it ends, it begins anew at a later time.
    """
    log = pd.read_csv(DATA / "workplace.csv.gz", dtype=str, keep_default_na=False)
    times = {name: pd.to_datetime(log[name]) for name in ("event_time", "reference_time")}
    span = (times["event_time"].max() - times["event_time"].min()).ceil("D")
    for i in range(math.ceil(events / len(log))):
        later = log.copy()
        for name, moments in times.items():
            later[name] = (moments + i * span).dt.strftime("%Y-%m-%d %H:%M").fillna("")
        later[: events - i * len(log)].to_csv(path, mode="a", header=i == 0, index=False)


def read_and_index(path: str) -> tuple[float, float, float]:
    """Seconds of reading a log of the workplace, and of that and indexing; the peak memory, MB."""
    start = time.perf_counter()
    log = read_log(path, WORKPLACE)
    read = time.perf_counter() - start
    index_windows(log, Config())
    return read, time.perf_counter() - start, peak_memory()


def read_by_pandas(path: str) -> float:
    """Seconds of pandas' own reading of a CSV, as it comes."""
    start = time.perf_counter()
    pd.read_csv(path)
    return time.perf_counter() - start


def measure_reading(events: tuple[int, ...] = EVENTS, least: int = FEW) -> list[dict]:
    """Reading logs of growing length and indexing their windows; the longest one by pandas too."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {size: Path(folder) / f"{size}.csv" for size in events}
        for size, path in paths.items():
            repeat_log(path, size)

        def read(size: int) -> Figures:
            seconds, both, peak = run_apart(read_and_index, str(paths[size]))
            return {f"read {size}": seconds, f"both {size}": both, f"peak {size}": peak}

        def read_longest() -> Figures:
            return {"pandas": run_apart(read_by_pandas, str(paths[events[-1]]))}

        measures = [*(partial(read, size) for size in events), read_longest]
        turns = collect(measures, 0, least)
    return list_reading(turns, events)


def list_reading(turns: Turns, events: tuple[int, ...]) -> list[dict]:
    taken, most, rows = turns.figures, events[-1], []
    for size in events:
        rate = size / taken[f"both {size}"]
        rows += [
            turns.make_row("reading", "read and indexed", rate, "events/s", size=size),
            turns.make_row("reading", "peak memory", taken[f"peak {size}"], "MB", size=size),
        ]
    for less, more in pairwise(events):
        exponent = find_exponent(less, more, taken[f"both {less}"], taken[f"both {more}"])
        rows.append(turns.make_row("reading", "exponent of growth", exponent, "", size=more))
    ours, pandas = taken[f"read {most}"], taken["pandas"]
    return rows + [
        turns.make_row("reading a CSV", "ours, with its checks", ours, "s", size=most),
        turns.make_row("reading a CSV", "pandas.read_csv", pandas, "s", size=most),
        turns.make_row("reading a CSV", "against pandas", ours / pandas, "times", size=most),
    ]


# -- the start


def measure_start(least: int = LEAST) -> list[dict]:
    """From the command to the first training step, and importing PyTorch alone."""
    part, threads = "start", torch.get_num_threads()

    def time_python(name: str, *arguments: str) -> Figures:
        start = time.perf_counter()
        run_python(*arguments, threads=threads)
        return {name: time.perf_counter() - start}

    with tempfile.TemporaryDirectory() as folder:
        train = ("-c", FIRST_STEP, str(DATA / "working_run.json"), "--set", f"out={folder}")
        measures = [
            partial(time_python, "first step", *train),
            partial(time_python, "import", "-c", IMPORT_TORCH),
        ]
        for measure in measures:  # so that the files are in memory
            measure()
        turns = collect(measures, 0, least)
    step, torch_alone = turns.figures["first step"], turns.figures["import"]
    return [
        turns.make_row(part, "command to first step", step, "s"),
        turns.make_row(part, "importing PyTorch", torch_alone, "s"),
        turns.make_row(part, "against importing PyTorch", step / torch_alone, "times"),
    ]


# -- several workers


def time_workers(workers: int, threads: int, batches: int) -> float:
    """Windows per second of so many workers of so many threads each, started by torchrun."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers))
    worker = ("-m", "helpers.tools.benchmark.worker", str(batches))
    return float(run_python(*torchrun, *worker, threads=threads))


def measure_workers(batches: int = BATCHES, least: int = FEW) -> list[dict]:
    """Two processes of a thread each, against one of two threads, on the larger run."""
    part = "torchrun"
    measures = [
        lambda: {"one": time_workers(1, 2, batches)},
        lambda: {"two": time_workers(2, 1, batches)},
    ]
    turns = collect(measures, 0, least)
    one, two = turns.figures["one"], turns.figures["two"]
    return [
        turns.make_row(part, "one process, two threads", one, "windows/s"),
        turns.make_row(part, "two processes, a thread each", two, "windows/s"),
        turns.make_row(part, "efficiency of two processes", 100 * two / one, "%"),
    ]


# -- memory of a run


def train_apart(epochs: int) -> float:
    """Peak memory, in MB, of a run of so many epochs, saved after each."""
    with tempfile.TemporaryDirectory() as folder:
        changes = {"epochs": epochs, "batches": 10, "out": folder}
        Trainer(read_config(DATA / "reference_run.json", changes), progress=False).fit()
    return peak_memory()


def measure_epochs(epochs: tuple[int, ...] = EPOCHS) -> list[dict]:
    """The memory that runs of growing numbers of epochs hold, which no neighbour changes."""
    rows = []
    for size in epochs:
        turns = Turns(pd.DataFrame({"peak": [run_apart(train_apart, size)]}), math.nan)
        peak = turns.figures["peak"]
        rows.append(turns.make_row("epochs", "peak memory", peak, "MB", size=size))
    return rows
