"""How fast the network is, against what one would write otherwise, and how its cost grows.

    python -m helpers.tools.benchmark [--threads 2] [--out build/benchmark]      # some six minutes

What is compared takes turns, so that a neighbour who slows the machine down slows all alike, and
the ratio of each turn is what counts. FOLDER then holds benchmark.csv (a row per figure: its median
over the turns and its quartiles) and benchmark.png.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

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
from helpers.events import TRAIN
from helpers.losses import category_losses, evaluate, multi_objective_loss
from helpers.model import (
    DecoderLayer,
    EventEmbedding,
    MultiStreamModel,
    StreamEncoderLayer,
    split_heads,
)
from helpers.schema import WORKPLACE, Category
from helpers.support.commands import run_command
from helpers.support.errors import InputError
from helpers.support.fast import FastEmbedding, attend_fast, category_losses_fast, speed_up
from helpers.support.files import DATA, ROOT, replace_file, write_table
from helpers.support.plain import PlainModel
from helpers.training import Config, Trainer, load_data, pick_evenly, read_config
from helpers.uses.forecast import roll_out
from helpers.windows import Batch

STREAMS, LENGTH, IDS = 7, 20, 100  # of the reference run; LENGTH of histories and of targets
BATCHES, WIDTHS = (16, 64, 256), (32, 64, 128)
# Each comparison takes turns for so many seconds and at least so often; a turn's seconds.
SECONDS, LEAST, TURN = 8, 5, 0.1
EVENTS, RUNS = (10_000, 100_000, 1_000_000), (1, 8, 64)  # events in a log, epochs of a run
AXES = {
    "streams": (1, 2, 4, 8, 16),
    "source length": (5, 10, 20, 40, 80, 160),
    "target length": (5, 10, 20, 40, 80),
    "carry": (1, 2, 5, 10, 20),
    "ids": (25, 50, 100, 200, 400, 800),
}
PRODUCTS = (
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.baddbmm.default,
)

Step = Callable[[], None]


# -- the forms of a training step


def draw_batch(
    categories: list[Category],
    windows: int,
    streams: int = STREAMS,
    source: int = LENGTH,
    target: int = LENGTH,
) -> Batch:
    """Windows of random events, nothing padded."""
    sizes = torch.tensor([category.size for category in categories])

    def draw_events(*shape: int) -> Tensor:
        return (torch.rand(*shape, len(sizes)) * sizes).int()

    return Batch(
        histories=draw_events(windows, streams, source),
        known=torch.ones(windows, streams, source, dtype=torch.bool),
        given=draw_events(windows, target),
        target=draw_events(windows, target),
        counted=torch.ones(windows, target, dtype=torch.bool),
        event=torch.zeros(windows, target, dtype=torch.long),
    )


def plain_losses(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """`category_losses` without a thought of speed."""
    losses = []
    for c, part in enumerate(logits.split(sizes, -1)):
        losses.append(F.cross_entropy(part.mT, target[..., c].long(), reduction="none"))
    return torch.stack(losses, -1)


def standard_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    num_heads: int,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """`attend` by PyTorch's own function."""
    q, k, v = (split_heads(x, num_heads) for x in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=dropout_p)
    return mixed.transpose(1, 2).flatten(2)


class AllQueries(MultiStreamModel):
    """The last layer, too, computes every position; only then the last are taken."""

    def encode(self, histories: Tensor, known: Tensor) -> Tensor:
        carry, self.carry = self.carry, histories.shape[2]
        states = super().encode(histories, known)  # (B, S*T, d)
        self.carry = carry
        return states.unflatten(1, (histories.shape[1], -1))[:, :, -carry:].flatten(1, 2)


def make_core(
    categories: list[Category],
    d_model: int,
    streams: int = STREAMS,
    source: int = LENGTH,
    target: int = LENGTH,
    carry: int = 1,
    form: type[MultiStreamModel] = MultiStreamModel,
) -> MultiStreamModel:
    """The network as `helpers.model` has it; `speed_up` makes of it the one that is trained."""
    shape = dict(num_heads=4, encoder_layers=1, decoder_layers=1, carry=carry)
    return form(categories, streams, source, target, d_model, **shape)


def make_plain_one(categories: list[Category], d_model: int) -> PlainModel:
    sizes = [category.size for category in categories]
    streams = [str(s) for s in range(STREAMS)]
    shape = dict(num_heads=4, encoder_layers=1, decoder_layers=1)
    return PlainModel(sizes, streams, LENGTH, LENGTH, d_model, **shape)


def replace_attention(model: MultiStreamModel, attend: Callable) -> MultiStreamModel:
    """The same model, its layers attending by this function and else as they are written."""
    for module in model.modules():
        if isinstance(module, StreamEncoderLayer | DecoderLayer):
            module.attend = attend
    return model


def replace_embedding(model: nn.Module, form: type[EventEmbedding]) -> nn.Module:
    model.embedding.__class__ = form
    return model


def make_step(
    model: nn.Module,
    batch: Batch,
    categories: list[Category],
    losses: Callable = category_losses_fast,
    fused: bool = True,
    one_by_one: bool = False,
) -> Step:
    """A training step of this model on this batch: forward, backward, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, **{"fused": True} if fused else {})
    sizes = [category.size for category in categories]
    parts = [batch]
    if one_by_one:
        windows = range(len(batch.given))
        parts = [Batch(*(tensor[i : i + 1] for tensor in batch)) for i in windows]

    def step() -> None:
        for part in parts:
            lost = losses(model(part), part.target, sizes)  # (B, U, C)
            (multi_objective_loss(lost, part.counted) / len(parts)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def forms(categories: list[Category], windows: int, d_model: int) -> dict[str, Step]:
    """A step in four forms. What they compute is tested to be the same."""
    about = draw_batch(categories, windows), categories
    as_written = dict(losses=plain_losses, fused=False)
    fast, core = (make_core(categories, d_model) for _ in range(2))
    whole, single = (make_plain_one(categories, d_model) for _ in range(2))
    return {
        "ours": make_step(speed_up(fast), *about),
        "plain, whole batches": make_step(whole, *about, **as_written),
        "plain, window by window": make_step(single, *about, **as_written, one_by_one=True),
        "the core as it is read": make_step(core, *about, category_losses),
    }


def ladder(categories: list[Category], windows: int, d_model: int) -> dict[str, Step]:
    """From the plain form on whole batches to ours and beyond, one trick more at a time.

    Why a trick gains is said beside it.
    """
    batch, sizes = draw_batch(categories, windows), [category.size for category in categories]
    steps: dict[str, Step] = {}

    def add(name: str, model: nn.Module, losses=category_losses_fast, fused=True) -> None:
        steps[name] = make_step(model, batch, categories, losses, fused)

    def make_plain_with(form: type[EventEmbedding], one_head: bool = False) -> PlainModel:
        model = make_plain_one(categories, d_model)
        model.embedding = form(sizes, 2 * LENGTH - 1, d_model)
        if one_head:
            model.heads = nn.ModuleList([nn.Linear(d_model, sum(sizes))])
        return model

    def make_batched(attend: Callable, form=MultiStreamModel) -> MultiStreamModel:
        model = replace_attention(make_core(categories, d_model, form=form), attend)
        return replace_embedding(model, FastEmbedding)

    add("plain, whole batches", make_plain_one(categories, d_model), plain_losses, fused=False)

    # One call updates all weights, in place of some ten calls for each.
    add("fused Adam", make_plain_one(categories, d_model), plain_losses)

    # One look-up in place of 17 and their 16 sums.
    add("one embedding table", make_plain_with(EventEmbedding), plain_losses)

    # Each row is written once, not once an event.
    add("gradient from sorted rows", make_plain_with(FastEmbedding), plain_losses)

    # One product in place of 17.
    add("one head matrix", make_plain_with(FastEmbedding, one_head=True), plain_losses)

    # In place of 17; and the gradient is p - 1 at the truth.
    add("one softmax, kept", make_plain_with(FastEmbedding, one_head=True))

    # One product for seven encoders.
    add("all streams at once", make_batched(standard_attention, AllQueries))

    # What does not go on is not computed.
    add("only the last query", make_batched(standard_attention))

    # PyTorch's kernel is made for long sequences and wide heads.
    add("attention in plain products", make_batched(attend_fast))

    # q (W x) = (q W) x: W meets one vector, not 20.
    add("no keys for one question (ours)", speed_up(make_core(categories, d_model)))

    # Where the processor has instructions for them.
    halves = make_step(speed_up(make_core(categories, d_model)), batch, categories)

    def step_in_halves() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            halves()

    steps["products of 16-bit numbers (off)"] = step_in_halves
    return steps


# -- measuring


def take_turns(
    steps: dict[str, Step], seconds: float = SECONDS, least: int = LEAST
) -> pd.DataFrame:
    """The seconds of each step in each turn: a column per step, a row per turn.

    In its turn a short step runs again and again for as long as TURN, since what another one leaves
    in the caches is of no use to the first run. How often, a first turn tells, which is not
    counted.
    """
    first = {name: time_step(step) for name, step in steps.items()}
    times = {name: max(1, round(TURN / taken)) for name, taken in first.items()}
    turns, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns) < least:
        names = list(steps)[::-1] if len(turns) % 2 else list(steps)  # who begins takes turns too
        turns.append({name: time_step(steps[name], times[name]) for name in names})
    return pd.DataFrame(turns, columns=list(steps))


def time_step(step: Step, times: int = 1) -> float:
    """How many seconds a step takes, the mean of so many."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def make_row(part: str, name: str, values, unit: str, **setting) -> dict:
    low, value, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return {
        "part": part,
        "name": name,
        **setting,
        "value": value,
        "low": low,
        "high": high,
        "unit": unit,
    }


def measure_forms(progress: tqdm) -> list[dict]:
    """Windows per second of each form, and how many times as fast ours is, by batch and width."""
    rows, categories = [], WORKPLACE.make_categories(IDS)
    for d_model in WIDTHS:
        for windows in BATCHES:
            here = {"batch": windows, "d_model": d_model}
            seconds = take_turns(forms(categories, windows, d_model))
            for name in seconds:
                rows.append(make_row("forms", name, windows / seconds[name], "windows/s", **here))
                if name != "ours":
                    ratio = seconds[name] / seconds["ours"]
                    rows.append(
                        make_row("speed of ours", f"against {name}", ratio, "times", **here)
                    )
            progress.update()
    return rows


def measure_tricks(progress: tqdm) -> list[dict]:
    """What each trick gains over the form before it."""
    rows, categories = [], WORKPLACE.make_categories(IDS)
    for windows, d_model in ((16, 32), (256, 128)):
        here = {"batch": windows, "d_model": d_model}
        seconds = take_turns(ladder(categories, windows, d_model), 2 * SECONDS)
        for before, name in pairwise(seconds.columns):
            ratio = seconds[before] / seconds[name]
            rows.append(make_row("gain of a trick", name, ratio, "times", **here))
        progress.update()
    return rows


class RecordProducts(TorchDispatchMode):
    """Keeps the matrix products that run inside, with operands of the same shape and layout."""

    def __init__(self):
        super().__init__()
        self.products: list[Step] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        if function in PRODUCTS:
            alike = [make_alike(one) if isinstance(one, Tensor) else one for one in arguments]
            self.products.append(lambda: function(*alike, **options))
        return function(*arguments, **options)


def make_alike(tensor: Tensor) -> Tensor:
    """Random numbers in the shape and the layout of this tensor."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).normal_()


def measure_products(progress: tqdm) -> list[dict]:
    """The step's rate of arithmetic, and that of its matrix products alone on this machine."""
    rows, categories = [], WORKPLACE.make_categories(IDS)
    square = torch.randn(2048, 2048)
    for d_model in WIDTHS:
        for windows in BATCHES:
            here = {"batch": windows, "d_model": d_model}
            step = forms(categories, windows, d_model)["ours"]
            with FlopCounterMode(display=False) as counter, RecordProducts() as record:
                step()
            products = record.products
            steps = {
                "step": step,
                "products": lambda products=products: [product() for product in products],
                "square": lambda: square @ square,
            }
            seconds = take_turns(steps, SECONDS / 2)
            share = 100 * seconds["products"] / seconds["step"]
            rows.append(make_row("products", "share of the products' rate", share, "%", **here))
            work = counter.get_total_flops() / 1e9
            rates = {
                "the step": work / seconds["step"],
                "its products alone": work / seconds["products"],
                "a square product of 2048": 2 * 2.048**3 / seconds["square"],
            }
            for name, rate in rates.items():
                rows.append(make_row("products", name, rate, "GFLOP/s", **here))
            progress.update()
    return rows


def measure_growth(progress: tqdm) -> list[dict]:
    """Milliseconds of a step as one thing grows and the rest stays as in the reference run.

    Batch 64, d_model 32.
    """
    lengths = {"streams": "streams", "source length": "source", "target length": "target"}
    rows = []
    for axis, sizes in AXES.items():
        steps = {}
        for size in sizes:
            categories = WORKPLACE.make_categories(size if axis == "ids" else IDS)
            shape = {lengths[axis]: size} if axis in lengths else {}
            carry = size if axis == "carry" else 1
            model = speed_up(make_core(categories, 32, **shape, carry=carry))
            steps[size] = make_step(model, draw_batch(categories, 64, **shape), categories)
        seconds = take_turns(steps)
        for size in sizes:
            rows.append(make_row("growth", axis, 1000 * seconds[size], "ms", size=size))
        for less, more in pairwise(sizes):  # 1: twice the size takes twice the time
            exponent = np.log(seconds[more] / seconds[less]) / math.log(more / less)
            rows.append(make_row("exponent of growth", axis, exponent, "", size=more))
        progress.update()
    return rows


def measure_use(progress: tqdm) -> list[dict]:
    """Windows per second of training, evaluation and forecasts on the built-in log.

    Also how long the reference run takes.
    """
    trainer = Trainer(read_config(DATA / "reference_run.json"), progress=False)
    windows, categories = trainer.data.windows[TRAIN], trainer.data.log.categories
    some = pick_evenly(windows.origins, 256)
    batch = windows.batch(some)
    steps = {
        "gathering a batch": lambda: windows.batch(some),
        "training": make_step(trainer.model, batch, categories),
        "evaluation": lambda: evaluate(trainer.model, windows, origins=some),
        "rollout of 20 steps": lambda: roll_out(trainer.model, batch),
    }
    seconds, rows = take_turns(steps), []
    for name in seconds:
        rate = len(some) / seconds[name]
        rows.append(make_row("use", name, rate, "windows/s", batch=len(some)))
    progress.update()

    loop = forms(categories, 16, 32)["plain, window by window"]
    seconds = take_turns({"epoch": trainer.epoch, "loop": loop})
    ours = trainer.config.epochs * seconds["epoch"]
    plain = trainer.config.epochs * trainer.config.batches * seconds["loop"]
    rows += [
        make_row("reference run", "ours, validation included", ours, "s"),
        make_row("reference run", "plain, window by window, training alone", plain, "s"),
        make_row("reference run", "ours against plain, window by window", plain / ours, "times"),
    ]
    progress.update()
    return rows


# -- memory, each figure from a process of its own


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


def measure_reading(path: str) -> tuple[float, float]:
    """Seconds and peak memory of reading a log, with mapping.json beside it, and indexing it."""
    start = time.perf_counter()
    load_data(Config(log=path, mapping=str(Path(path).with_name("mapping.json"))))
    return time.perf_counter() - start, peak_memory()


def measure_run(epochs: int) -> tuple[float, float]:
    """Seconds and peak memory of a run of so many epochs, saved after each."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        changes = {"epochs": epochs, "batches": 10, "out": folder}
        Trainer(read_config(DATA / "reference_run.json", changes), progress=False).fit()
    return time.perf_counter() - start, peak_memory()


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB.

    Not a number where the system doesn't tell (only Linux does).
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000


def run_apart(function: Callable, argument) -> tuple[float, float]:
    """What a function returns in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, argument).result()


def measure_memory(progress: tqdm) -> list[dict]:
    """Reading and indexing logs of growing length, and training for growing numbers of epochs."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.with_name("mapping.json").write_text(json.dumps(WORKPLACE.model_dump()))
        for events in EVENTS:
            path.unlink(missing_ok=True)
            repeat_log(path, events)
            seconds, peak = run_apart(measure_reading, str(path))
            rate = events / seconds
            rows.append(make_row("reading", "read and indexed", rate, "events/s", size=events))
            rows.append(make_row("reading", "peak memory", peak, "MB", size=events))
            progress.update()
    for epochs in RUNS:
        _, peak = run_apart(measure_run, epochs)
        rows.append(make_row("epochs", "peak memory", peak, "MB", size=epochs))
    progress.update()
    return rows


# -- the table and the figure


def describe_machine() -> str:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        about = Path("/proc/cpuinfo").read_text()
        if found := re.search(r"^model name\s*:\s*(.+)$", about, re.M):
            name = found[1]
    threads, version = torch.get_num_threads(), torch.__version__.split("+")[0]
    python = platform.python_version()
    return f"{name}, {threads} threads, {platform.system()}, Python {python}, PyTorch {version}"


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
    given = parser.parse_args(arguments)
    if given.threads < 1:
        raise InputError(f"--threads {given.threads}: must be at least 1")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)

    each_size = len(BATCHES) * len(WIDTHS)
    parts = {  # and how many pieces each has
        measure_forms: each_size,
        measure_tricks: 2,
        measure_products: each_size,
        measure_growth: len(AXES),
        measure_use: 2,
        measure_memory: len(EVENTS) + 1,
    }
    with tqdm(total=sum(parts.values()), desc="benchmark", unit="part") as progress:
        rows = [row for measure in parts for row in measure(progress)]
    settings = ["batch", "d_model", "size"]
    columns = ["part", "name", *settings, "value", "low", "high", "unit"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(settings, "Int64"))
    about = describe_machine()
    write_table(given.out / "benchmark.csv", table.assign(machine=about).round(4))
    draw_both(given.out / "benchmark.png", table)
    text = table.to_string(index=False, na_rep="", float_format="{:.3g}".format)
    print(f"{about}\n\n{text}")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
