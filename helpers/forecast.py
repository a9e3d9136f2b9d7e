"""What a trained network expects to come next."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.model import MultiStreamModel
from helpers.support.watching import evaluating
from helpers.windows import Batch


@torch.no_grad()
def roll_out(
    model: MultiStreamModel, batch: Batch, generator: torch.Generator | None = None
) -> Tensor:
    """A forecast of the whole horizon, each step read from the step before: (B, U, C) int32.

    Without a generator each category takes its most likely value; with one, values are drawn. The
    categories of a step are independent given the past, as in training. Only the batch's histories
    and origins are read.
    """
    with evaluating(model):
        states, known = model.encode(batch.histories, batch.known), model.carried(batch.known)
        events = batch.given[:, :1]  # (B, 1, C): the origin
        for _ in range(batch.given.shape[1]):
            logits = model.heads(model.decode(events, states, known)[:, -1])  # (B, V)
            drawn = [choose(part, generator) for part in logits.split(model.sizes, -1)]
            events = torch.cat([events, torch.stack(drawn, -1)[:, None].int()], 1)
    return events[:, 1:]


def choose(logits: Tensor, generator: torch.Generator | None) -> Tensor:  # (B, size) -> (B,)
    if generator is None:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
