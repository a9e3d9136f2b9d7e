"""Looking at a network without changing it, and stopping where a number is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.support.errors import TrainingStopped


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and the mode of before after it, however it ends."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


# Who wants to see the weights, in this thread: a network that trains in another is not seen.
_records: ContextVar[tuple[list[Tensor], ...]] = ContextVar("records", default=())


def note_weights(weights: Tensor) -> None:
    for seen in _records.get():
        seen.append(weights)


@contextmanager
def record_attention() -> Iterator[list[Tensor]]:
    """Collects the weights of every attention computed inside: `with record_attention() as seen`.

    `seen` becomes a list of (N, heads, Lq, Lk), in the order of computing: the encoder layers with
    N = S*B, streams first, then the self-attention and the cross-attention of each decoder layer
    with N = B.
    """
    seen: list[Tensor] = []
    token = _records.set((*_records.get(), seen))
    try:
        yield seen
    finally:
        _records.reset(token)


# A run is a `helpers.training.Trainer` here; `where` in its epoch, such as "batch 7".


def tell_place(run, where: str = "") -> str:
    return f"epoch {run.epochs_done}{', ' * bool(where)}{where}"


def tell_remedy(run) -> str:
    return f"lower learning_rate ({run.config.learning_rate}) or set clip_norm"


def refuse_losses(run, losses: Tensor, where: str) -> None:
    """Stops where the loss of a category, (C,), is not finite."""
    finite = losses.isfinite()
    if not finite.all():
        name = run.names[int(finite.int().argmin())]
        raise TrainingStopped(
            f"{tell_place(run, where)}: the loss of {name} is not finite; {tell_remedy(run)}"
        )


def refuse_gradients(run, gradients: dict[str, Tensor], norm: Tensor) -> None:
    """Stops where their norm, one number to look at, is not finite."""
    if not norm.isfinite():
        refuse_tensors(run, "gradients", gradients)
        raise TrainingStopped(
            f"{tell_place(run)}: the gradients are too large to be squared; {tell_remedy(run)}"
        )


def refuse_tensors(run, what: str, tensors: dict[str, Tensor]) -> None:
    """Stops at the first tensor that is not finite, in the order in which gradients go back.

    It names the category or the stream that the tensor's first such row belongs to.
    """
    values = np.repeat(run.names, run.sizes)
    streams = [f"stream {stream.name}" for stream in run.data.log.streams]
    owners = {"heads.": values, "embedding.values.": values, "encoder": streams}
    for name, tensor in reversed(tensors.items()):
        finite = tensor.isfinite().reshape(len(tensor), -1).all(1)
        if finite.all():
            continue
        row, of = int(finite.int().argmin()), ""
        for beginning, rows in owners.items():
            if name.startswith(beginning) and len(rows) == len(tensor):
                of = f" ({rows[row]})"
        raise TrainingStopped(
            f"{tell_place(run)}: the {what} of {name}{of} are not finite; {tell_remedy(run)}"
        )


def measure_gradients(encoder: nn.Module) -> Tensor:
    """The norm of the gradients of each stream's encoder: (S,)."""
    gradients = [parameter.grad.flatten(1) for parameter in encoder.parameters()]
    return torch.cat(gradients, 1).norm(dim=1)


def tell_epoch(row) -> None:
    """One line of an epoch's row in the epoch table; a progress bar stays whole."""
    losses = f"train {row['train']:.4f}   validation {row['validation']:.4f}"
    tqdm.write(f"epoch {row['epoch']:3d}   {losses}{'   best' if row['best'] else ''}")
