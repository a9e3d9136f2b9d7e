"""The multi-objective loss, the baselines it is held against, and the category report. All in nats.

A category's loss lies between two lines: the ceiling ln(size), which guessing gives, and the floor,
which nothing beats. Between them stand the counting tables that a model has to be better than, and,
where the world is known, the exact reader, which no model with the same input can beat.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.events import TRAIN, Log
from helpers.reader import find_all_draws, read
from helpers.schema import WORKPLACE
from helpers.support import durations, reports
from helpers.support.baselines import BASELINES, Baselines, Past, find_lowest
from helpers.support.errors import InputError
from helpers.support.files import Truth
from helpers.support.rows import take_rows
from helpers.support.scoring import score
from helpers.support.watching import evaluating
from helpers.windows import Windows


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


def fit_baselines(log: Log) -> Baselines:
    """What counting tables lose on each event, given those before it: name -> (events, C) nats.

    The tables count the training part alone. The first category is the kind of event.
    """
    past = Past(log.table[:, 0], log.sequence, log.part == TRAIN)
    training = np.flatnonzero((log.part == TRAIN) & (past.before >= 0))
    return Baselines(past, log, training)


# -- evaluation


@dataclass
class Evaluation:
    """What a model and its rivals lose on a set of windows. N windows, U steps, C categories.

    losses: name -> (N, U, C) float32 nats, names being BASELINES, "model" and, where the truth is
        known, "reader_own" (the exact reader of the sequence's own stream), "reader", "floor"
    counted: (N, U) bool, the steps that count
    correct: (N, U, C) bool, whether the model's most likely value was the true one
    sequence: (N,) int64, whose window it is
    deciders: (N, U, C) int8, whose habit decided, see `Truth`; None where it is not known
    event: (N, U) int64, the target's place in the log; its length where padded
    baseline_correct: name -> (N, U, C) bool, as `correct`, of BASELINES
    durations: how long until the next event, see `durations.forecast`; None where no category tells
    """

    log: Log
    losses: dict[str, np.ndarray]
    counted: np.ndarray
    correct: np.ndarray
    sequence: np.ndarray
    deciders: np.ndarray | None = None
    event: np.ndarray | None = None
    baseline_correct: dict[str, np.ndarray] = field(default_factory=dict)
    durations: dict[str, np.ndarray] | None = None

    def report(self, step: int | None = None) -> pd.DataFrame:
        """The category report over all steps, or of one step of the horizon (1 is the next)."""
        return reports.report(self, step)

    def decisions(self, step: int = 1) -> pd.DataFrame:
        """The same where habits decide, at one step: a row for each stream's habit."""
        return reports.decisions(self, list(WORKPLACE.streams), step)

    def all_questions(self) -> pd.DataFrame:
        """At the next event, over all steps, and where habits decide the next, in one table."""
        return reports.ask_three_questions(self, list(WORKPLACE.streams))

    def standard_error(self, difference: np.ndarray) -> np.ndarray:
        """Standard error of the mean of a (N, U, C) difference, for each category: (C,)."""
        return reports.standard_error(difference, self.counted[..., None], self.sequence)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    windows: Windows,
    baselines: Baselines | None = None,
    truth: Truth | None = None,
    origins: np.ndarray | None = None,
    device: str = "cpu",
    progress: bool = False,
    batch_size: int = 256,
) -> Evaluation:
    """Losses of the model, the baselines, the readers and the floor on the windows of `origins`.

    Without `origins`, on all windows. Where something is not given, its losses are left out.
    """
    log, origins = windows.log, windows.origins if origins is None else origins
    if not len(origins):
        raise InputError("origins: no window to evaluate; give at least one of windows.origins")
    sizes = [category.size for category in log.categories]
    event = windows.target_index(origins)  # (N, U), len(log) where padded
    counted, elapsed = event < len(log), durations.find_elapsed(log.categories)
    starts, lowest = range(0, len(origins), batch_size), find_lowest(log)
    scores, waits = [], []  # scores: losses, and whether the likeliest value is true; (B, U, C)
    with evaluating(model):
        for start in tqdm(starts, disable=not progress, desc="evaluating", unit="batch"):
            batch = windows.batch(origins[start : start + batch_size])
            logits = model(batch.to(device)).float().cpu()  # (B, U, V)
            if elapsed is not None:  # at the next event, without 0, which is no duration
                waits.append(logits.split(sizes, -1)[elapsed][:, 0, 1:].softmax(-1).numpy())
            scores.append(score(logits, batch.target, sizes, lowest, category_losses))
    model_losses, correct = (np.concatenate(part) for part in zip(*scores, strict=True))
    losses = {name: take_rows(baselines[name], event) for name in BASELINES} if baselines else {}
    losses["model"] = model_losses
    if truth:
        losses |= read_both(windows, truth, origins)
        losses["floor"] = take_rows(truth.floors, event).astype(np.float32)
    # A true value without an integer of its own cannot be named, so never predicted right.
    right = correct & take_rows(~log.unseen, event)
    of_tables = baselines.find_right(event) if baselines else {}
    deciders = take_rows(truth.deciders, event) if truth else None
    more = (event, of_tables, durations.forecast(log, log.part == TRAIN, event[:, 0], waits))
    return Evaluation(log, losses, counted, right, log.sequence[origins], deciders, *more)


def read_both(windows: Windows, truth: Truth, origins: np.ndarray) -> dict[str, np.ndarray]:
    """The exact reader of the sequence's own stream, where it is there, and of all streams."""
    own = [stream.name for stream in windows.log.streams if stream.name == "Recipient"]
    draws = find_all_draws(windows.log)
    readers = {"reader_own": read(windows, truth, own, origins, draws)} if own else {}
    return readers | {"reader": read(windows, truth, None, origins, draws)}
