"""Measures training steps on random windows: forms, tricks, their arithmetic and their growth."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from helpers.schema import WORKPLACE
from helpers.support.fast import speed_up
from helpers.tools.benchmark.forms import (
    Step,
    draw_batch,
    forms,
    ladder,
    make_core,
    make_step,
)
from helpers.tools.benchmark.turns import SECONDS, take_turns

IDS = 100  # of the reference run
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


def measure_forms(windows: int, d_model: int, seconds: float = SECONDS) -> list[dict]:
    """Windows per second of each form of a step, and how many times as fast ours is."""
    here, rows = {"batch": windows, "d_model": d_model}, []
    turns = take_turns(forms(WORKPLACE.make_categories(IDS), windows, d_model), seconds)
    taken = turns.figures
    for name in taken:
        rate = windows / taken[name]
        rows.append(turns.make_row("forms", name, rate, "windows/s", **here))
        if name != "ours":
            ratio, against = taken[name] / taken["ours"], f"against {name}"
            rows.append(turns.make_row("speed of ours", against, ratio, "times", **here))
    return rows


def measure_tricks(windows: int, d_model: int, seconds: float = 2 * SECONDS) -> list[dict]:
    """What each trick gains over the form before it."""
    here, rows = {"batch": windows, "d_model": d_model}, []
    turns = take_turns(ladder(WORKPLACE.make_categories(IDS), windows, d_model), seconds)
    for before, name in pairwise(turns.figures):
        ratio = turns.figures[before] / turns.figures[name]
        rows.append(turns.make_row("gain of a trick", name, ratio, "times", **here))
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


def measure_products(windows: int, d_model: int, seconds: float = SECONDS / 2) -> list[dict]:
    """The step's rate of arithmetic, and that of its matrix products alone on this machine."""
    here = {"batch": windows, "d_model": d_model}
    step = forms(WORKPLACE.make_categories(IDS), windows, d_model)["ours"]
    with FlopCounterMode(display=False) as counter, RecordProducts() as record:
        step()
    square = torch.randn(2048, 2048)
    steps = {
        "step": step,
        "products": lambda: [product() for product in record.products],
        "square": lambda: square @ square,
    }
    turns = take_turns(steps, seconds)
    taken, work = turns.figures, counter.get_total_flops() / 1e9
    share = 100 * taken["products"] / taken["step"]
    rates = {
        "the step": work / taken["step"],
        "its products alone": work / taken["products"],
        "a square product of 2048": 2 * 2.048**3 / taken["square"],
    }
    rows = [turns.make_row("products", "share of the products' rate", share, "%", **here)]
    for name, rate in rates.items():
        rows.append(turns.make_row("products", name, rate, "GFLOP/s", **here))
    return rows


def measure_growth(axis: str, sizes: tuple[int, ...], seconds: float = SECONDS) -> list[dict]:
    """Milliseconds of a step as one thing grows and the rest stays as in the reference run.

    Batch 64, d_model 32.
    """
    lengths = {"streams": "streams", "source length": "source", "target length": "target"}
    steps, rows = {}, []
    for size in sizes:
        categories = WORKPLACE.make_categories(size if axis == "ids" else IDS)
        shape = {lengths[axis]: size} if axis in lengths else {}
        carry = size if axis == "carry" else 1
        model = speed_up(make_core(categories, 32, **shape, carry=carry))
        steps[size] = make_step(model, draw_batch(categories, 64, **shape), categories)
    turns = take_turns(steps, seconds)
    taken = turns.figures
    for size in sizes:
        rows.append(turns.make_row("growth", axis, 1000 * taken[size], "ms", size=size))
    for less, more in pairwise(sizes):
        exponent = find_exponent(less, more, taken[less], taken[more])
        rows.append(turns.make_row("exponent of growth", axis, exponent, "", size=more))
    return rows


def find_exponent(less: int, more: int, before, after) -> np.ndarray:
    """How fast time grows between two sizes: 1 where twice the size takes twice the time."""
    return np.log(after / before) / math.log(more / less)
