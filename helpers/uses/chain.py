"""An event drawn category after category: the kind first, and each given those before it.

The network's heads answer at once and know nothing of each other, so that an event put together
from their answers may be one that cannot happen: planned in April for a day of May. By the chain
rule p(event) = p(first) p(second | first) p(third | first, second) ..., and what a head lacks is
the values before it. Each of them adds to its logits,

    logits of category c = head c of the network + sum over b < c of values[b] @ heads[c]

with a learned vector for every value, as it is fed in and as it is asked for: a log-bilinear model
of the values within an event (Mnih and Hinton 2007, there of words). At the start it adds nothing,
and the network itself is never changed: what it says of one category alone may then differ a
little from what it says of it here, but a whole event is one that fits together.

    with run.forecaster() as network:
        chain = fit_chain(network, run.data.windows[TRAIN])
        futures = sample(chain, batch, 100, generator)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.losses import category_losses
from helpers.support.errors import InputError
from helpers.support.machine import own_chance
from helpers.support.watching import evaluating
from helpers.windows import Batch, Windows

RANK = 16  # numbers in the vector of a value
STEPS, WINDOWS = 250, 64  # of `fit_chain`, at most, and the windows of each
RATE = 0.05  # of its first step


class Chain(nn.Module):
    """A network, and what an event's values say of its later categories.

    network: a `MultiStreamModel`, or what maps a `Batch` to logits (B, U, V) by way of one; with
        `sizes`. `helpers.uses.forecast` takes a chain wherever it takes a network.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        if isinstance(network, Chain):
            raise InputError("network: is a chain already; give the network that it is of")
        self.network, self.sizes = network, network.sizes
        self.values = nn.Embedding(sum(self.sizes), RANK)  # category c begins at row first[c]
        self.heads = nn.Linear(RANK, sum(self.sizes), bias=False)
        first = torch.tensor([0, *self.sizes[:-1]]).cumsum(0)  # (C,)
        self.register_buffer("first", first, False)
        nn.init.normal_(self.values.weight, std=0.3)
        nn.init.zeros_(self.heads.weight)  # it begins as the network alone
        self.train(network.training)

    def add(self, values: Tensor) -> Tensor:
        """What c values say of the category after them: (..., c) -> (..., size of category c)."""
        c = values.shape[-1]
        said = self.values(values + self.first[:c]).sum(-2)  # (..., RANK)
        return said @ self.head(c).T

    def add_all(self, events: Tensor) -> Tensor:
        """What each value says of all after it in its event: (..., C) -> (..., V)."""
        said = self.values(events + self.first)  # (..., C, RANK)
        before = said.cumsum(-2) - said
        return torch.cat([before[..., c, :] @ self.head(c).T for c in range(len(self.sizes))], -1)

    def head(self, c: int) -> Tensor:  # (size, RANK)
        return self.heads.weight[self.first[c] : self.first[c] + self.sizes[c]]


def fit_chain(network: nn.Module, windows: Windows, seed: int = 0) -> Chain:
    """Trains a chain on windows of the training part; the network stays as it is.

    Some ten seconds on one core at the working run's size. The loss is -ln p of the whole event,
    the sum of the cross-entropies of its categories (Adam, its rate falling to 0 evenly).
    """
    if len(windows) < WINDOWS:
        raise InputError(f"windows: must be at least {WINDOWS}, found {len(windows)}")
    device = next(network.parameters()).device
    with own_chance(seed, device):
        chain = Chain(network).to(device)
        order = torch.randperm(len(windows))
    ours = [chain.values.weight, chain.heads.weight]
    optimizer = torch.optim.Adam(ours, RATE)
    steps = min(STEPS, len(order) // WINDOWS)  # no window comes twice
    batches = order[: steps * WINDOWS].view(steps, WINDOWS)
    with evaluating(network):
        for step, places in enumerate(tqdm(batches, "chain", unit="batch", leave=False)):
            batch = windows.batch(windows.origins[places]).to(device)
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
            optimizer.zero_grad()
            joint_losses(chain, batch).mean().backward()
            optimizer.step()
    for weight in ours:
        weight.requires_grad_(False)
    return chain


def joint_losses(model: nn.Module, batch: Batch) -> Tensor:
    """-ln p of whole events by a network or by a chain, of the steps that count: (steps,) nats."""
    with torch.no_grad():
        network = model.network if isinstance(model, Chain) else model
        logits = network(batch).float()[batch.counted]  # (steps, V)
    events = batch.target[batch.counted]  # (steps, C)
    if isinstance(model, Chain):
        logits = logits + model.add_all(events)
    return category_losses(logits[None], events[None], model.sizes)[0].sum(-1)
