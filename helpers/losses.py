"""The multi-objective loss, the baselines it is held against, and the category report. All in nats.

A category's loss lies between two lines: the ceiling ln(size), which guessing gives, and the floor, which
nothing beats. Between them stand three baselines that a model has to be better than to be worth its name.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from helpers.events import TRAIN, Log
from helpers.schema import InputError
from helpers.windows import Windows

BASELINES = ("marginal", "copy_last", "markov")
PRIOR_WEIGHTS = (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300)  # how many observations a baseline's back-off may count for


class CrossEntropies(torch.autograd.Function):
    """-ln p(true value) of each category: logits (N, V) and the true values' columns (N, C) -> (N, C).

    The gradient is the probabilities, less one at the true value (times what comes from above), so they are kept.
    A loop of `F.cross_entropy` passes over the logits three times as often. One softmax over all logits, of which each
    category then takes its share, is twice as fast as a softmax for each.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, columns: Tensor, sizes: list[int]) -> Tensor:
        p = logits.softmax(-1)
        if p.gather(-1, columns).min() > 1e-30:
            for part in p.split(sizes, -1):
                part /= part.sum(-1, keepdim=True)
            losses = -p.gather(-1, columns).log()
        else:  # so far below another category's, or no number, that a shared softmax cannot tell: each for itself
            logs = torch.cat([part.log_softmax(-1) for part in logits.split(sizes, -1)], -1)
            p, losses = logs.exp(), -logs.gather(-1, columns)
        ctx.save_for_backward(p, columns)
        ctx.sizes = sizes
        return losses

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        p, columns = ctx.saved_tensors
        for part, each in zip(p.split(ctx.sizes, -1), grad.split(1, -1)):  # in place: PyTorch refuses a second backward
            part *= each
        return p.scatter_add_(-1, columns, -grad), None, None


def category_losses(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """-ln p(true value) of each category: logits (..., V) and targets (..., C) -> (..., C)."""
    first = torch.tensor([0, *sizes[:-1]], device=target.device).cumsum(0)
    losses = CrossEntropies.apply(logits.flatten(0, -2).float(), (target + first).flatten(0, -2), sizes)
    return losses.view(target.shape)


def multi_objective_loss(losses: Tensor, counts: Tensor, weights: Tensor | None = None, whole: Tensor | None = None) -> Tensor:
    """Mean over the steps that count, category by category: (B, U, C) and (B, U) -> (C,). Its mean is the loss.

    `weights`, (U,) and above 0, makes some steps of the horizon count more than others. `whole`, (B', U), are the
    counts of the whole batch where these windows are a part of it; then the parts' results add up to the batch's.
    """
    share, whole = counts.float(), counts if whole is None else whole
    if weights is not None:
        share, whole = share * weights, whole * weights
    share = share / whole.sum().clamp(min=1e-9)
    return (losses.where(counts[..., None], 0) * share[..., None]).sum((0, 1))


class _Counts:
    """How often a value followed a context: p(value | context) with a prior worth `weight` observations."""

    def __init__(self, context: np.ndarray, value: np.ndarray, size: int):
        self.size = size
        self.pairs, self.pair_counts = np.unique(context * size + value, return_counts=True)
        self.contexts, self.context_counts = np.unique(context, return_counts=True)

    @staticmethod
    def _look_up(keys: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[place] == wanted, counts[place], 0)

    def p(self, context: np.ndarray, value: np.ndarray, prior: np.ndarray, weight: float) -> np.ndarray:
        pair = self._look_up(self.pairs, self.pair_counts, context * self.size + value)
        return (pair + weight * prior) / (self._look_up(self.contexts, self.context_counts, context) + weight)


class CategoryBaseline:
    """The three baselines of one category, from pairs of an event and the one before it.

    marginal   how often each value occurs
    copy_last  the value before, with a probability of its own; otherwise as marginal
    markov     how often each value follows the value and the kind of event before, backed off to how often
               it follows that value, and that to copy_last (Dirichlet priors, MacKay and Peto 1995)
    """

    def __init__(self, kind: np.ndarray, before: np.ndarray, value: np.ndarray, size: int):
        kind, before, value = (array.astype(np.int64) for array in (kind, before, value))
        self.size = size
        cut = max(1, int(0.9 * len(value)))  # the priors' weights are chosen on the last tenth of the training part
        self._count(kind[:cut], before[:cut], value[:cut])
        held_out = (kind[cut:], before[cut:], value[cut:]) if cut < len(value) else (kind, before, value)
        self.weights = min(((a, b) for a in PRIOR_WEIGHTS for b in PRIOR_WEIGHTS),
                           key=lambda weights: -np.log(self._markov(*held_out, *weights)).mean())
        self._count(kind, before, value)

    def _count(self, kind, before, value):
        self.marginal = (np.bincount(value, minlength=self.size) + 0.5) / (len(value) + 0.5 * self.size)
        gain, (low, high) = (value == before) - self.marginal[value], (0.0, 1 - 1e-6)
        for _ in range(40):  # the likelihood of copying is concave, so halving finds where it stops rising
            self.stay = (low + high) / 2
            rises = (gain / (self.marginal[value] + self.stay * gain)).sum() > 0
            low, high = (self.stay, high) if rises else (low, self.stay)
        self.after_value = _Counts(before, value, self.size)
        self.after_both = _Counts(kind * self.size + before, value, self.size)

    def _copy_last(self, before, value):
        return self.stay * (value == before) + (1 - self.stay) * self.marginal[value]

    def _markov(self, kind, before, value, weight_value, weight_both):
        prior = self.after_value.p(before, value, self._copy_last(before, value), weight_value)
        return self.after_both.p(kind * self.size + before, value, prior, weight_both)

    def losses(self, kind: np.ndarray, before: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, ...]:
        """-ln p(value) by each of BASELINES, in the shape of `value`."""
        kind, before, value = (array.astype(np.int64) for array in (kind, before, value))
        p = self.marginal[value], self._copy_last(before, value), self._markov(kind, before, value, *self.weights)
        return tuple(-np.log(one) for one in p)


def fit_baselines(log: Log) -> list[CategoryBaseline]:
    """One baseline per category, from the training part alone. The first category is the kind of event."""
    events = np.flatnonzero(log.part == TRAIN)
    events = events[np.argsort(log.sequence[events], kind="stable")]
    follows = log.sequence[events[1:]] == log.sequence[events[:-1]]
    before, after = events[:-1][follows], events[1:][follows]
    by_time = np.argsort(after, kind="stable")
    before, after = log.table[before[by_time]], log.table[after[by_time]]
    return [CategoryBaseline(before[:, 0], before[:, c], after[:, c], category.size) for c, category in enumerate(log.categories)]


@dataclass
class Evaluation:
    """What a model and its rivals lose on a set of windows. N windows, U steps, C categories.

    losses: name -> (N, U, C) float32 nats, names being BASELINES, "model" and, where it is known, "floor"
    counts: (N, U) bool, the steps that count
    correct: (N, U, C) bool, whether the most likely value was the true one
    sequence: (N,) int64, whose window it is
    """

    log: Log
    losses: dict[str, np.ndarray]
    counts: np.ndarray
    correct: np.ndarray
    sequence: np.ndarray

    def report(self, step: int | None = None) -> pd.DataFrame:
        """The category report over all steps, or of one step of the horizon (1 is the next event)."""
        if step is not None and not 1 <= step <= self.counts.shape[1]:
            raise InputError(f"step: must be 1 to {self.counts.shape[1]}, the horizon of these windows, found {step}")
        steps = slice(None) if step is None else slice(step - 1, step)
        counts = self.counts[:, steps]
        names, sizes = zip(*((category.name, category.size) for category in self.log.categories))
        table = {"category": names, "size": sizes, "ceiling": np.log(sizes)}
        for name in (*BASELINES, "model", "floor"):
            table[name] = self.losses[name][:, steps][counts].mean(0, dtype=float) if name in self.losses else np.nan
        table = pd.DataFrame(table)
        table["gap"] = table["model"] - table["floor"]
        table["accuracy"] = self.correct[:, steps][counts].mean(0)
        mean = table.drop(columns=["category", "size"]).mean()
        return pd.concat([table, pd.DataFrame([{"category": "mean", **mean}])], ignore_index=True).astype({"size": "Int64"})

    def standard_error(self, difference: np.ndarray) -> np.ndarray:
        """Standard error of the mean of a (N, U, C) difference, for each category.

        Windows of one sequence overlap, so the sequences are the units (clustered as in Liang and Zeger 1986).
        """
        weight = self.counts[..., None]
        residual = ((difference - (difference * weight).sum((0, 1)) / self.counts.sum()) * weight).sum(1)  # (N, C)
        units = pd.factorize(self.sequence)[0]
        sums = np.stack([np.bincount(units, residual[:, c]) for c in range(residual.shape[1])], 1)
        return np.sqrt((sums ** 2).sum(0)) / self.counts.sum()


@torch.no_grad()
def evaluate(model: torch.nn.Module, windows: Windows, baselines: list[CategoryBaseline] | None = None, floors: np.ndarray | None = None,
             origins: np.ndarray | None = None, device: str = "cpu", progress: bool = False, batch_size: int = 256) -> Evaluation:
    """Losses of the model, the baselines and the floor (events, C) on the windows of `origins` (all, where None)."""
    log, origins = windows.log, windows.origins if origins is None else origins
    if not len(origins):
        raise InputError("origins: there is no window to evaluate; give at least one of windows.origins")
    sizes = [category.size for category in log.categories]
    unseen = np.concatenate([log.unseen, np.zeros((1, len(sizes)), bool)])
    if floors is not None:
        floors = np.concatenate([floors, np.zeros((1, len(sizes)), floors.dtype)])
    training = model.training
    model.eval()
    parts = {name: [] for name in (*(BASELINES if baselines else ()), "model", *(["floor"] if floors is not None else []))}
    counts, correct = [], []
    for start in tqdm(range(0, len(origins), batch_size), disable=not progress, desc="evaluating", unit="batch"):
        batch = windows.batch(origins[start:start + batch_size])
        logits = model(batch.to(device)).float().cpu()
        parts["model"].append(category_losses(logits, batch.target, sizes).numpy())
        best = torch.stack([part.argmax(-1) for part in logits.split(sizes, -1)], -1)
        # A true value without an integer of its own cannot be named, so it is never predicted right.
        correct.append((best == batch.target).numpy() & ~unseen[batch.event.numpy()])
        counts.append(batch.counts.numpy())
        if baselines:
            given, target = batch.given.numpy(), batch.target.numpy()
            each = [base.losses(given[..., 0], given[..., c], target[..., c]) for c, base in enumerate(baselines)]
            for name, columns in zip(BASELINES, zip(*each)):
                parts[name].append(np.stack(columns, -1).astype(np.float32))
        if floors is not None:
            parts["floor"].append(floors[batch.event.numpy()].astype(np.float32))
    model.train(training)
    return Evaluation(log, {name: np.concatenate(part) for name, part in parts.items()}, np.concatenate(counts),
                      np.concatenate(correct), log.sequence[origins])
