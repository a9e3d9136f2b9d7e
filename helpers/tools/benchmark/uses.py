"""Measures what is done with a network on the built-in log: evaluation, forecasts, a whole run."""

from __future__ import annotations

from functools import cache

import torch

from helpers.events import TEST, TRAIN
from helpers.losses import evaluate
from helpers.support.files import DATA
from helpers.support.plain import make_plain, sample_one_by_one
from helpers.tools.benchmark.forms import forms, make_step
from helpers.tools.benchmark.turns import LEAST, SECONDS, take_turns
from helpers.training import Trainer, pick_evenly, read_config
from helpers.uses.forecast import roll_out, sample

EVALUATED = 2000  # windows
FUTURES, ALONE = 1000, 20  # of 20 events each; so many of them are drawn one by one


@cache
def make_run() -> Trainer:
    """The reference run, which the measures share and train; no speed depends on that."""
    return Trainer(read_config(DATA / "reference_run.json"), progress=False)


def measure_use(windows: int = 256, seconds: float = SECONDS) -> list[dict]:
    """Windows per second of a batch's gathering, training, validation and rollout."""
    run, here = make_run(), {"batch": windows}
    parts = run.data.windows[TRAIN]
    some = pick_evenly(parts.origins, windows)
    batch = parts.batch(some)
    steps = {
        "gathering a batch": lambda: parts.batch(some),
        "training": make_step(run.model, batch, run.data.log.categories),
        "validation": lambda: evaluate(run.model, parts, origins=some),
        "rollout of 20 steps": lambda: roll_out(run.model, batch),
    }
    turns = take_turns(steps, seconds)
    rates = windows / turns.figures
    return [turns.make_row("use", name, rates[name], "windows/s", **here) for name in rates]


def measure_evaluation(
    windows: int, evaluated: int = EVALUATED, seconds: float = SECONDS
) -> list[dict]:
    """Windows per second of a training step of so many, and of evaluating a part of the log.

    That is everything the report shows: network, tables, truth, both readers, and the tables of all
    questions. The counting tables are fitted once a log, which the first turn does.
    """
    run, here = make_run(), {"batch": windows}
    parts = run.data.windows[TRAIN]
    batch = parts.batch(pick_evenly(parts.origins, windows))
    some = pick_evenly(run.data.windows[TEST].origins, evaluated)
    steps = {
        "training": make_step(run.model, batch, run.data.log.categories),
        "evaluation": lambda: run.evaluation(TEST, some).all_questions(),
    }
    turns = take_turns(steps, seconds)
    trained, read = windows / turns.figures["training"], len(some) / turns.figures["evaluation"]
    return [
        turns.make_row("evaluation", "training step", trained, "windows/s", **here),
        turns.make_row("evaluation", "evaluation with readers", read, "windows/s", **here),
        turns.make_row("evaluation", "against training", read / trained, "times", **here),
    ]


def measure_reference_run(seconds: float = SECONDS, least: int = LEAST) -> list[dict]:
    """How long the reference run takes, and how long it would, window by window."""
    run, part = make_run(), "reference run"
    loop = forms(run.data.log.categories, 16, 32)["plain, window by window"]
    turns = take_turns({"epoch": run.epoch, "loop": loop}, seconds, least)
    ours = run.config.epochs * turns.figures["epoch"]
    plain = run.config.epochs * run.config.batches * turns.figures["loop"]
    return [
        turns.make_row(part, "ours, validation included", ours, "s"),
        turns.make_row(part, "plain, window by window, training alone", plain, "s"),
        turns.make_row(part, "ours against plain, window by window", plain / ours, "times"),
    ]


def measure_sampling(
    futures: int = FUTURES, alone: int = ALONE, seconds: float = SECONDS
) -> list[dict]:
    """Futures of 20 events drawn a second: of one window, one of each of many, and one by one."""
    run, part = make_run(), "sampling"
    windows = run.data.windows[TEST]
    many = windows.batch(pick_evenly(windows.origins, futures))
    one = windows.batch(windows.origins[:1])
    plain = make_plain(run.model, [stream.name for stream in run.data.log.streams])
    plain.eval()
    generator = torch.Generator().manual_seed(0)
    steps = {
        "of one window": lambda: sample(run.model, one, futures, generator),
        "one of each window": lambda: sample(run.model, many, 1, generator),
        "one by one": lambda: sample_one_by_one(plain, one, alone, generator),
    }
    drawn = {"of one window": futures, "one of each window": len(many.given), "one by one": alone}
    turns = take_turns(steps, seconds)
    rates = {name: drawn[name] / turns.figures[name] for name in steps}
    rows = [turns.make_row(part, name, rates[name], "futures/s") for name in steps]
    for name in list(steps)[:2]:
        ratio = rates[name] / rates["one by one"]
        rows.append(turns.make_row(part, f"{name}, against one by one", ratio, "times"))
    return rows
