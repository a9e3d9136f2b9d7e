"""How fast the network is, against what one would write otherwise, and how its cost grows.

    python -m helpers.benchmark [--threads 2] [--out build/benchmark]      # some six minutes

What is compared takes turns, so that a neighbour who slows the machine down slows all alike, and the ratio of each
turn is what counts. FOLDER then holds benchmark.csv (a row per figure: its median over the turns and its quartiles)
and benchmark.png.
"""
from __future__ import annotations

import argparse
import math
import multiprocessing
import platform
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Callable
from unittest import mock

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from helpers import plots
from helpers.losses import category_losses, evaluate, multi_objective_loss
from helpers.model import EventEmbedding, MultiStreamModel, PlainModel, rollout, split_heads
from helpers.schema import WORKPLACE, Category, InputError, replace, run_command
from helpers.training import DATA, ROOT, TRAIN, Config, Trainer, evenly_spaced, load_data, read_config, write_table
from helpers.windows import Batch

STREAMS, LENGTH, IDS = 7, 20, 100  # of the reference run; LENGTH of histories and of targets
BATCHES, WIDTHS = (16, 64, 256), (32, 64, 128)
SECONDS, LEAST, TURN = 8, 5, 0.1  # each comparison takes turns for so many seconds and at least so often; a turn's seconds
EVENTS, RUNS = (10_000, 100_000, 1_000_000), (1, 8, 64)  # events in a log, epochs of a run
AXES = {"streams": (1, 2, 4, 8, 16), "source length": (5, 10, 20, 40, 80, 160), "target length": (5, 10, 20, 40, 80),
        "carry": (1, 2, 5, 10, 20), "ids": (25, 50, 100, 200, 400, 800)}
PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default, torch.ops.aten.baddbmm.default)

Step = Callable[[], None]


# -- the forms of a training step

def random_batch(categories: list[Category], windows: int, streams: int = STREAMS, source: int = LENGTH, target: int = LENGTH) -> Batch:
    """Windows of random events, nothing padded."""
    sizes = torch.tensor([category.size for category in categories])

    def events(*shape: int) -> Tensor:
        return (torch.rand(*shape, len(sizes)) * sizes).int()

    return Batch(events(windows, streams, source), torch.ones(windows, streams, source, dtype=torch.bool), events(windows, target),
                 events(windows, target), torch.ones(windows, target, dtype=torch.bool), torch.zeros(windows, target, dtype=torch.long))


def plain_losses(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """`category_losses` as a reader would first write it."""
    parts = logits.split(sizes, -1)
    return torch.stack([F.cross_entropy(part.mT, target[..., c].long(), reduction="none") for c, part in enumerate(parts)], -1)


def standard_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, attn_mask: Tensor | None = None, dropout_p: float = 0.0) -> Tensor:
    """`attend` by PyTorch's own function."""
    q, k, v = (split_heads(x, heads) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=dropout_p).transpose(1, 2).flatten(2)


class BagEmbedding(EventEmbedding):
    """One table for all categories, with the standard gradient."""

    def forward(self, events: Tensor, start: int) -> Tensor:
        rows = (events + self.first).reshape(-1, events.shape[-1])
        return F.embedding_bag(rows, self.values.weight, mode="sum").view(*events.shape[:-1], -1) + self.position[start:start + events.shape[-2]]


class AllQueries(MultiStreamModel):
    """The last layer, too, computes every position; only then the last are taken."""

    def encode(self, histories: Tensor, known: Tensor) -> Tensor:
        carry, self.carry = self.carry, histories.shape[2]
        states = super().encode(histories, known).unflatten(1, (histories.shape[1], -1))[:, :, -carry:].flatten(1, 2)
        self.carry = carry
        return states


def batched(categories: list[Category], d_model: int, streams: int = STREAMS, source: int = LENGTH, target: int = LENGTH, carry: int = 1,
            form: type[MultiStreamModel] = MultiStreamModel) -> MultiStreamModel:
    return form(categories, streams, source, target, d_model, num_heads=4, encoder_layers=1, decoder_layers=1, carry=carry)


def plain(categories: list[Category], d_model: int) -> PlainModel:
    return PlainModel([c.size for c in categories], [str(s) for s in range(STREAMS)], LENGTH, LENGTH, d_model, 4, 1, 1)


def step_of(model: nn.Module, batch: Batch, categories: list[Category], losses=category_losses, fused: bool = True, one_by_one: bool = False) -> Step:
    """A training step of this model on this batch: forward, backward, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, **{"fused": True} if fused else {})
    sizes = [category.size for category in categories]
    parts = [Batch(*(tensor[i:i + 1] for tensor in batch)) for i in range(len(batch.given))] if one_by_one else [batch]

    def step() -> None:
        for part in parts:
            (multi_objective_loss(losses(model(part), part.target, sizes), part.counts).mean() / len(parts)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def forms(categories: list[Category], windows: int, d_model: int) -> dict[str, Step]:
    """A step in three forms. What they compute is tested to be the same."""
    batch = random_batch(categories, windows)
    return {"ours": step_of(batched(categories, d_model), batch, categories),
            "plain, whole batches": step_of(plain(categories, d_model), batch, categories, plain_losses, fused=False),
            "plain, window by window": step_of(plain(categories, d_model), batch, categories, plain_losses, fused=False, one_by_one=True)}


def ladder(categories: list[Category], windows: int, d_model: int) -> dict[str, Step]:
    """From the plain form on whole batches to ours and beyond, one trick more at a time; why it gains is said beside it."""
    batch, V = random_batch(categories, windows), sum(category.size for category in categories)
    steps = {}

    def add(name: str, model: nn.Module, losses=category_losses, fused: bool = True, within=nullcontext) -> None:
        step = step_of(model, batch, categories, losses, fused)

        def run() -> None:
            with within():
                step()

        steps[name] = run

    def standard() -> AbstractContextManager:
        return mock.patch("helpers.model.attend", standard_attention)

    def halves() -> AbstractContextManager:
        return torch.autocast("cpu", torch.bfloat16)

    def plain_with(embedding: type[EventEmbedding] | None = None, one_head: bool = False) -> PlainModel:
        model = plain(categories, d_model)
        if embedding:
            model.embedding = embedding([category.size for category in categories], 2 * LENGTH - 1, d_model)
        if one_head:
            model.heads = nn.ModuleList([nn.Linear(d_model, V)])
        return model

    add("plain, whole batches", plain_with(), plain_losses, fused=False)
    add("fused Adam", plain_with(), plain_losses)  # one call updates all weights, in place of some ten calls for each
    add("one embedding table", plain_with(BagEmbedding), plain_losses)  # one look-up in place of 17 and their 16 sums
    add("gradient from sorted rows", plain_with(EventEmbedding), plain_losses)  # each row is written once, not once an event
    add("one head matrix", plain_with(EventEmbedding, one_head=True), plain_losses)  # one product in place of 17
    add("one softmax, kept", plain_with(EventEmbedding, one_head=True))  # in place of 17; and the gradient is p - 1 at the truth
    every = batched(categories, d_model, form=AllQueries)
    add("all streams at once", every, within=standard)  # one product for seven encoders
    last = batched(categories, d_model)
    last.encoder[-1].read_last = last.encoder[-1].read
    add("only the last query", last, within=standard)  # what does not go on is not computed
    plainer = batched(categories, d_model)
    plainer.encoder[-1].read_last = plainer.encoder[-1].read
    add("attention in plain products", plainer)  # PyTorch's kernel is made for long sequences and wide heads
    add("no keys for one question (ours)", batched(categories, d_model))  # q (W x) = (q W) x: W meets one vector, not 20
    add("products of 16-bit numbers (off)", batched(categories, d_model), within=halves)  # where the processor has instructions for them
    return steps


# -- measuring

def take_turns(steps: dict[str, Step], seconds: float = SECONDS, least: int = LEAST) -> pd.DataFrame:
    """The seconds of each step in each turn: a column per step, a row per turn.

    In its turn a short step runs again and again for as long as TURN, since what another one leaves in the caches is of
    no use to the first run. How often, a first turn tells, which is not counted.
    """
    first = {name: _seconds(step) for name, step in steps.items()}
    times = {name: max(1, round(TURN / taken)) for name, taken in first.items()}
    turns, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns) < least:
        names = list(steps)[::-1] if len(turns) % 2 else list(steps)  # who begins takes turns too
        turns.append({name: _seconds(steps[name], times[name]) for name in names})
    return pd.DataFrame(turns, columns=list(steps))


def _seconds(step: Step, times: int = 1) -> float:
    """How long a step takes, the mean of so many."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def row(part: str, name: str, values, unit: str, **setting) -> dict:
    low, value, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return {"part": part, "name": name, **setting, "value": value, "low": low, "high": high, "unit": unit}


def the_forms(progress: tqdm) -> list[dict]:
    """Windows per second of the three forms, and how many times as fast ours is, at each batch and width."""
    rows, categories = [], WORKPLACE.sized(IDS)
    for d_model in WIDTHS:
        for windows in BATCHES:
            seconds = take_turns(forms(categories, windows, d_model))
            for name in seconds:
                rows.append(row("forms", name, windows / seconds[name], "windows/s", batch=windows, d_model=d_model))
                if name != "ours":
                    rows.append(row("speed of ours", f"against {name}", seconds[name] / seconds["ours"], "times", batch=windows, d_model=d_model))
            progress.update()
    return rows


def the_tricks(progress: tqdm) -> list[dict]:
    """What each trick gains over the form before it."""
    rows = []
    for windows, d_model in ((16, 32), (256, 128)):
        seconds = take_turns(ladder(WORKPLACE.sized(IDS), windows, d_model), 2 * SECONDS)
        for before, name in zip(seconds.columns, seconds.columns[1:]):
            rows.append(row("gain of a trick", name, seconds[before] / seconds[name], "times", batch=windows, d_model=d_model))
        progress.update()
    return rows


class _Record(TorchDispatchMode):
    """Keeps the matrix products that run inside, with operands of the same shape and layout."""

    def __init__(self):
        super().__init__()
        self.products: list[Step] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function in PRODUCTS:
            alike = [torch.empty_strided(a.shape, a.stride(), dtype=a.dtype).normal_() if isinstance(a, Tensor) else a for a in arguments]
            self.products.append(lambda: function(*alike, **(options or {})))
        return function(*arguments, **(options or {}))


def the_products(progress: tqdm) -> list[dict]:
    """The step's rate of arithmetic as a share of the rate at which this machine computes the step's matrix products alone."""
    rows, categories, square = [], WORKPLACE.sized(IDS), torch.randn(2048, 2048)
    for d_model in WIDTHS:
        for windows in BATCHES:
            step = forms(categories, windows, d_model)["ours"]
            with FlopCounterMode(display=False) as counter, _Record() as record:
                step()
            seconds = take_turns({"step": step, "products": lambda: [product() for product in record.products], "square": lambda: square @ square}, SECONDS / 2)
            work = counter.get_total_flops() / 1e9
            rows += [row("products", "share of the products' rate", 100 * seconds["products"] / seconds["step"], "%", batch=windows, d_model=d_model),
                     row("products", "the step", work / seconds["step"], "GFLOP/s", batch=windows, d_model=d_model),
                     row("products", "its products alone", work / seconds["products"], "GFLOP/s", batch=windows, d_model=d_model),
                     row("products", "a square product of 2048", 2 * 2.048 ** 3 / seconds["square"], "GFLOP/s", batch=windows, d_model=d_model)]
            progress.update()
    return rows


def the_growth(progress: tqdm) -> list[dict]:
    """Milliseconds of a step as one thing grows and the rest stays as in the reference run; batch 64, d_model 32."""
    rows = []
    for axis, sizes in AXES.items():
        steps = {}
        for size in sizes:
            categories = WORKPLACE.sized(size if axis == "ids" else IDS)
            shape = {key: size for key, name in (("streams", "streams"), ("source", "source length"), ("target", "target length")) if name == axis}
            model = batched(categories, 32, **shape, carry=size if axis == "carry" else 1)
            steps[size] = step_of(model, random_batch(categories, 64, **shape), categories)
        seconds = take_turns(steps)
        rows += [row("growth", axis, 1000 * seconds[size], "ms", size=size) for size in sizes]
        for less, more in zip(sizes, sizes[1:]):  # 1: twice the size takes twice the time
            exponent = np.log(seconds[more] / seconds[less]) / math.log(more / less)
            rows.append(row("exponent of growth", axis, exponent, "", size=more))
        progress.update()
    return rows


def the_use(progress: tqdm) -> list[dict]:
    """Windows per second of training, evaluation and rollout on the built-in log, and the length of the reference run."""
    trainer = Trainer(read_config(DATA / "reference_run.json"), progress=False)
    windows, categories = trainer.data.windows[TRAIN], trainer.data.log.categories
    some = evenly_spaced(windows.origins, 256)
    batch = windows.batch(some)
    seconds = take_turns({"gathering a batch": lambda: windows.batch(some),
                          "training": step_of(trainer.model, batch, categories),
                          "evaluation": lambda: evaluate(trainer.model, windows, origins=some),
                          "rollout of 20 steps": lambda: rollout(trainer.model, batch)})
    rows = [row("use", name, len(some) / seconds[name], "windows/s", batch=len(some)) for name in seconds]
    progress.update()
    seconds = take_turns({"epoch": trainer.epoch, "loop": forms(categories, 16, 32)["plain, window by window"]})
    epochs, steps = trainer.config.epochs, trainer.config.epochs * trainer.config.batches
    rows += [row("reference run", "ours, validation included", epochs * seconds["epoch"], "s"),
             row("reference run", "plain, window by window, training alone", steps * seconds["loop"], "s"),
             row("reference run", "ours against plain, window by window", steps * seconds["loop"] / (epochs * seconds["epoch"]), "times")]
    progress.update()
    return rows


# -- memory, each figure from a process of its own

def repeated_log(path: Path, events: int) -> None:
    """The built-in log as a CSV of so many events; where it ends, it begins anew at a later time."""
    log = pd.read_csv(DATA / "workplace.csv.gz", dtype=str, keep_default_na=False)
    times = {name: pd.to_datetime(log[name]) for name in ("event_time", "reference_time")}
    span = (times["event_time"].max() - times["event_time"].min()).ceil("D")
    for i in range(math.ceil(events / len(log))):
        later = log.assign(**{name: (time + i * span).dt.strftime("%Y-%m-%d %H:%M").fillna("") for name, time in times.items()})
        later[:events - i * len(log)].to_csv(path, mode="a", header=i == 0, index=False)


def reading(path: str) -> tuple[float, float]:
    """Seconds and peak memory of reading a log and indexing its windows."""
    start = time.perf_counter()
    load_data(Config(log=path))
    return time.perf_counter() - start, peak_memory()


def epochs_memory(epochs: int) -> tuple[float, float]:
    """Seconds and peak memory of a run of so many epochs, saved after each."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        Trainer(read_config(DATA / "reference_run.json", {"epochs": epochs, "batches": 10, "out": folder}), progress=False).fit()
    return time.perf_counter() - start, peak_memory()


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB; not a number where the system doesn't tell (only Linux does)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000


def in_a_process_of_its_own(function: Callable, argument) -> tuple[float, float]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, argument).result()


def the_memory(progress: tqdm) -> list[dict]:
    """Reading and indexing logs of growing length, and training for growing numbers of epochs."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for events in EVENTS:
            path = Path(folder) / "log.csv"
            path.unlink(missing_ok=True)
            repeated_log(path, events)
            seconds, peak = in_a_process_of_its_own(reading, str(path))
            rows += [row("reading", "read and indexed", events / seconds, "events/s", size=events), row("reading", "peak memory", peak, "MB", size=events)]
            progress.update()
    for epochs in RUNS:
        rows.append(row("epochs", "peak memory", in_a_process_of_its_own(epochs_memory, epochs)[1], "MB", size=epochs))
    progress.update()
    return rows


# -- the table and the figure

def machine() -> str:
    """What the figures were measured on."""
    try:
        name = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, {platform.system()}, Python {platform.python_version()}, PyTorch {torch.__version__.split('+')[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark", description="Measures the network against plainer forms of it.")
    parser.add_argument("--out", default=ROOT / "build" / "benchmark", type=Path, metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--threads", default=2, type=int, metavar="N", help="default: %(default)s")
    given = parser.parse_args()
    if given.threads < 1:
        raise InputError(f"--threads {given.threads}: must be at least 1")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    parts = (the_forms, the_tricks, the_products, the_growth, the_use, the_memory)
    with tqdm(total=2 * len(BATCHES) * len(WIDTHS) + 2 + len(AXES) + 2 + len(EVENTS) + 1, desc="benchmark", unit="part") as progress:
        rows = [one for part in parts for one in part(progress)]
    table = pd.DataFrame(rows, columns=["part", "name", "batch", "d_model", "size", "value", "low", "high", "unit"])
    for column in ("batch", "d_model", "size"):
        table[column] = table[column].astype("Int64")
    table["machine"] = machine()
    write_table(given.out / "benchmark.csv", table.round(4))
    figure = Figure(figsize=(15, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.speed_by_batch(left, table)
    plots.growth(right, table)
    replace(given.out / "benchmark.png", lambda path: figure.savefig(path, dpi=120, format="png"))
    print(f"{machine()}\n")
    print(table.drop(columns="machine").to_string(index=False, na_rep="", float_format="{:.3g}".format))


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
