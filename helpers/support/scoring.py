"""How right a network's answers are, where no gradient is needed: in three quarters of the time.

NumPy's `reduceat` passes over a whole row, in which each category is a stretch. PyTorch would loop
over categories, and pass over rows as short as those.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

NEVER = -80.0  # nats; of what is less, the exponential is a number that processors are slow with


def score(
    logits: Tensor, target: Tensor, sizes: list[int], lowest: np.ndarray, losses: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """-ln p(true value), (..., C) float32 nats, and whether the likeliest value is it, (..., C).

    logits: (..., V) float32 on the CPU; target: (..., C)
    lowest: (C,), the lowest value of each category that can be an answer; of values that are
        equally likely the lowest is the answer
    losses: `helpers.losses.category_losses`, for what is so unlikely that its share is no number
    """
    logits, true = logits.flatten(0, -2), target.flatten(0, -2).long()  # (N, V), (N, C)
    first = np.cumsum([0, *sizes[:-1]])
    columns = true + torch.from_numpy(first)

    # By how much each other value is ahead of the true one.
    ahead = torch.empty_like(logits)
    of_true = logits.gather(-1, columns).split(1, -1)
    parts = (logits.split(sizes, -1), of_true, ahead.split(sizes, -1))
    for part, true_one, found in zip(*parts, strict=True):
        torch.sub(part, true_one, out=found)
    ahead.scatter_(-1, columns, -torch.inf)
    no_answer = first[lowest > 0]
    aside = ahead[:, no_answer]
    ahead[:, no_answer] = -torch.inf
    most = np.maximum.reduceat(ahead.numpy(), first, axis=1)  # (N, C)
    right = (most < 0) & (true.numpy() >= lowest)
    for c in np.flatnonzero((most == 0).any(0)):  # of equals it must be the lowest
        rows = np.flatnonzero(most[:, c] == 0)
        part = logits[rows, first[c] + lowest[c] : first[c] + sizes[c]]
        right[rows, c] = (part.argmax(-1) + lowest[c] == true[rows, c]).numpy()

    # p of the true value is 1 / (1 + the sum of how many times as likely each other one is).
    ahead[:, no_answer] = aside
    ahead.clamp_(min=NEVER).exp_()
    lost = np.log1p(np.add.reduceat(ahead.numpy(), first, axis=1))
    if len(rows := np.flatnonzero(~np.isfinite(lost).all(1))):
        lost[rows] = losses(logits[rows], true[rows], sizes).numpy()
    return lost.reshape(target.shape), right.reshape(target.shape)
