"""The multi-objective loss, the baselines it is held against, and the category report. All in nats.

A category's loss lies between two lines: the ceiling ln(size), which guessing gives, and the floor,
which nothing beats. Between them stand three baselines that a model has to be better than.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.events import TRAIN, Log
from helpers.support.baselines import BASELINES, CategoryBaseline
from helpers.support.errors import InputError
from helpers.support.watching import evaluating
from helpers.windows import Batch, Windows


def category_losses(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """-ln p(true value) of each category: logits (..., V) and targets (..., C) -> (..., C)."""
    losses = []
    for c, part in enumerate(logits.float().split(sizes, -1)):  # (..., size of the category)
        truth = target[..., c].long().flatten()
        losses.append(F.cross_entropy(part.flatten(0, -2), truth, reduction="none"))
    return torch.stack(losses, -1).view(target.shape)


def mean_over_steps(
    losses: Tensor, counted: Tensor, weights: Tensor | None = None, whole: Tensor | None = None
) -> Tensor:
    """Mean over the steps that count, category by category: (B, U, C) and (B, U) -> (C,).

    `weights`, (U,) and above 0, makes some steps of the horizon count more than others. `whole`,
    (B', U), is the mask of the whole batch where these windows are a part of it; then the parts'
    results add up to the batch's.
    """
    whole = counted if whole is None else whole
    weights = torch.ones_like(counted[0], dtype=torch.float) if weights is None else weights
    total = (whole * weights).sum().clamp(min=1e-9)
    share = counted * weights / total  # (B, U), 0 where padded
    # A padded step's loss may be infinite, and 0 * inf is no number: so it is put aside first.
    return (losses.where(counted[..., None], 0) * share[..., None]).sum((0, 1))


def multi_objective_loss(losses: Tensor, counted: Tensor) -> Tensor:
    """The mean over categories of their mean over the steps that count: (B, U, C) -> a number."""
    return mean_over_steps(losses, counted).mean()


def fit_baselines(log: Log) -> list[CategoryBaseline]:
    """One baseline per category, from the training part alone; the first is the kind of event."""
    events = np.flatnonzero(log.part == TRAIN)
    events = events[np.argsort(log.sequence[events], kind="stable")]
    follows = log.sequence[events[1:]] == log.sequence[events[:-1]]
    before, after = events[:-1][follows], events[1:][follows]
    by_time = np.argsort(after, kind="stable")
    before, after = log.table[before[by_time]], log.table[after[by_time]]  # (pairs, C)
    baselines = []
    for c, category in enumerate(log.categories):
        fitted = CategoryBaseline(before[:, 0], before[:, c], after[:, c], category.size)
        baselines.append(fitted)
    return baselines


# -- evaluation


@dataclass
class Evaluation:
    """What a model and its rivals lose on a set of windows. N windows, U steps, C categories.

    losses: name -> (N, U, C) float32 nats, names being BASELINES, "model" and, where known, "floor"
    counted: (N, U) bool, the steps that count
    correct: (N, U, C) bool, whether the most likely value was the true one
    sequence: (N,) int64, whose window it is
    """

    log: Log
    losses: dict[str, np.ndarray]
    counted: np.ndarray
    correct: np.ndarray
    sequence: np.ndarray

    def report(self, step: int | None = None) -> pd.DataFrame:
        """The category report over all steps, or of one step of the horizon (1 is the next)."""
        horizon = self.counted.shape[1]
        if step is not None and not 1 <= step <= horizon:
            raise InputError(f"step: must be 1 to {horizon}, the windows' horizon, found {step}")
        steps = slice(None) if step is None else slice(step - 1, step)
        counted = self.counted[:, steps]
        sizes = [category.size for category in self.log.categories]
        table = pd.DataFrame({"category": [category.name for category in self.log.categories]})
        table["size"], table["ceiling"] = sizes, np.log(sizes)
        for name in (*BASELINES, "model", "floor"):
            known = name in self.losses
            table[name] = self.losses[name][:, steps][counted].mean(0, float) if known else np.nan
        table["gap"] = table["model"] - table["floor"]
        table["accuracy"] = self.correct[:, steps][counted].mean(0)
        mean = {"category": "mean"} | dict(table.drop(columns=["category", "size"]).mean())
        return pd.concat([table, pd.DataFrame([mean])], ignore_index=True).astype({"size": "Int64"})

    def standard_error(self, difference: np.ndarray) -> np.ndarray:
        """Standard error of the mean of a (N, U, C) difference, for each category: (C,).

        Windows of one sequence overlap, so the sequences are the units (clustered as in Liang and
        Zeger 1986).
        """
        weight, steps = self.counted[..., None], self.counted.sum()
        mean = (difference * weight).sum((0, 1)) / steps
        residual = ((difference - mean) * weight).sum(1)  # (N, C)
        sums = pd.DataFrame(residual).groupby(self.sequence).sum().to_numpy()  # (sequences, C)
        return np.sqrt((sums**2).sum(0)) / steps


@torch.no_grad()
def evaluate(
    model: nn.Module,
    windows: Windows,
    baselines: list[CategoryBaseline] | None = None,
    floors: np.ndarray | None = None,
    origins: np.ndarray | None = None,
    device: str = "cpu",
    progress: bool = False,
    batch_size: int = 256,
) -> Evaluation:
    """Losses of the model, the baselines and the floor, (events, C), on the windows of `origins`.

    Without `origins`, on all windows. Where something is not given, its losses are left out.
    """
    log, origins = windows.log, windows.origins if origins is None else origins
    if not len(origins):
        raise InputError("origins: no window to evaluate; give at least one of windows.origins")
    sizes = [category.size for category in log.categories]
    row_of_zeros = [(0, 1), (0, 0)]  # which padded steps name
    unseen = np.pad(log.unseen, row_of_zeros)
    floors = None if floors is None else np.pad(floors, row_of_zeros)
    starts = range(0, len(origins), batch_size)
    parts = []
    with evaluating(model):
        for start in tqdm(starts, disable=not progress, desc="evaluating", unit="batch"):
            batch = windows.batch(origins[start : start + batch_size])
            logits = model(batch.to(device)).float().cpu()  # (B, U, V)
            part = {"model": category_losses(logits, batch.target, sizes).numpy()}
            part |= baseline_losses(baselines, batch) if baselines else {}
            if floors is not None:
                part["floor"] = floors[batch.event].astype(np.float32)
            best = torch.stack([one.argmax(-1) for one in logits.split(sizes, -1)], -1)
            # A true value without an integer of its own cannot be named, so never predicted right.
            part["correct"] = (best == batch.target).numpy() & ~unseen[batch.event]
            part["counted"] = batch.counted.numpy()
            parts.append(part)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    correct, counted = whole.pop("correct"), whole.pop("counted")
    return Evaluation(log, whole, counted, correct, log.sequence[origins])


def baseline_losses(baselines: list[CategoryBaseline], batch: Batch) -> dict[str, np.ndarray]:
    """Name -> (B, U, C) nats: each step is given the true event before it."""
    given, target = batch.given.numpy(), batch.target.numpy()
    each = []
    for c, baseline in enumerate(baselines):
        each.append(baseline.losses(given[..., 0], given[..., c], target[..., c]))
    losses = np.stack(each, -1).astype(np.float32)  # (baselines, B, U, C)
    return dict(zip(BASELINES, losses, strict=True))
