"""A forecast that is part network, part table; validation says how much of each.

A table remembers pairs that a network of the laptop's size has not learned, and a network knows
what a table never counted. So for a log of one's own the forecast is a mixture of both, p = (1 -
share) network + share table (linear interpolation, as of Jelinek and Mercer 1980). The table is
`back_off`, see `support.baselines`. Neither is ever left out: what one gives a p of next to nothing
the other may know better, and a hundredth of that bounds the loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from helpers.support.baselines import ORDER, CategoryBaseline, find_lowest
from helpers.support.errors import in_one_line
from helpers.support.reports import LEAST, list_names
from helpers.support.splits import VALIDATION
from helpers.support.views import choose_views, find_own
from helpers.support.watching import evaluating

SHARES = np.array([0.01, *np.arange(1, 10) / 10, 0.99])  # of the table, that are tried
BATCH = 256  # windows that are asked at a time


class Mixture(nn.Module):
    """A network that answers together with a table, category by category.

    network: from a batch to logits, with `sizes`; tables: one for each category; own: the number of
    the sequence's own stream; shares: (C,), how much of each answer is the table's, 0 to 1
    """

    def __init__(
        self, network: nn.Module, tables: list[CategoryBaseline], own: int, shares: np.ndarray
    ):
        super().__init__()
        self.network, self.tables, self.own, self.shares = network, tables, own, shares
        self.sizes = network.sizes

    def forward(self, batch) -> Tensor:  # -> logits (B, U, V), the logarithms of p
        both = zip(*self.ask_both(batch), self.shares, strict=True)
        return torch.cat([mix(theirs, ours, share) for theirs, ours, share in both], -1)

    def ask_both(self, batch) -> tuple[list[Tensor], list[Tensor]]:
        """ln p by the network and by the tables: of each a (B, U, size) for each category."""
        parts = self.network(batch).float().split(self.sizes, -1)
        before = list_before(batch, self.own).cpu().numpy().astype(int)  # (B, U, ORDER, C)
        kind, answers = before[..., 0].reshape(-1, ORDER), []
        for c, (table, part) in enumerate(zip(self.tables, parts, strict=True)):
            p = table.spread(kind, before[..., c].reshape(-1, ORDER))  # (B * U, size)
            answers.append(torch.from_numpy(p).log().to(part).view(part.shape))
        return [part.log_softmax(-1) for part in parts], answers

    def tell(self, names: list[str]) -> str:
        """How much of each category, by its name, is the table's: in a line."""
        shares = [f"{name} {share:.0%}" for name, share in zip(names, self.shares, strict=True)]
        return in_one_line(
            f"Mixed with it is a table (back_off), as validation chose: {', '.join(shares)}."
        )


def mix(theirs: Tensor, ours: Tensor, share: float) -> Tensor:
    """ln of the mixture of two p, whose logarithms are given and which may be 0: their shape."""
    rest, part = theirs.new_tensor([1 - share, share]).log()
    return torch.logaddexp(theirs + rest, ours + part)


def list_before(batch, own: int) -> Tensor:
    """The events before each step of the target in its sequence: (B, U, ORDER, C).

    The last one comes first; -1 where there is none. Of the target only what the step is given.
    """
    past = batch.histories[:, own].where(batch.known[:, own, :, None], -1)  # (B, T, C)
    none = torch.full_like(past[:, :1], -1).expand(-1, ORDER, -1)
    events = torch.cat([none, past, batch.given[:, 1:]], 1)  # (B, ORDER + T + U - 1, C)
    stretches = events.unfold(1, ORDER, 1)  # (B, T + U, C, ORDER)
    return stretches[:, -batch.given.shape[1] :].flip(-1).transpose(2, 3)


@torch.no_grad()
def choose_shares(mixture: Mixture, windows, device: str) -> np.ndarray:
    """For each category how much of the answer is to be the table's: (C,).

    Measured on the next event of these windows. A name takes the share that loses least among those
    with which the likeliest value is right as often as with the better of network and table, all
    but alone, less LEAST. Of what is no name a near miss is worth something, and the share that
    loses least is taken.
    """
    log = windows.log
    lowest, names = find_lowest(log), list_names(log)
    right, loss = np.zeros((2, len(mixture.tables), len(SHARES)))
    with evaluating(mixture):
        for start in range(0, len(windows), BATCH):
            batch = cut(windows.batch(windows.origins[start : start + BATCH]))
            named = torch.from_numpy(~log.unseen[batch.event[:, 0].numpy()])  # (B, C)
            both = zip(*mixture.ask_both(batch.to(device)), strict=True)
            for c, (theirs, ours) in enumerate(both):
                truth = batch.target[:, 0, c].long()
                for i, share in enumerate(SHARES):
                    known = mix(theirs, ours, share)[:, 0].cpu()  # ln p, (B, size)
                    best = known[:, lowest[c] :].argmax(-1) + lowest[c]
                    right[c, i] += ((best == truth) & named[:, c]).sum()
                    loss[c, i] -= known.gather(1, truth[:, None]).sum()
    needed = np.maximum(right[:, :1], right[:, -1:]) - LEAST * len(windows)
    passed_over = (right < needed) & np.array(names)[:, None]
    return SHARES[np.where(passed_over, np.inf, loss).argmin(1)]


def cut(batch):
    """The `Batch` with the next event alone, U = 1."""
    ahead = ("given", "target", "counted", "event")
    return batch._replace(**{name: getattr(batch, name)[:, :1] for name in ahead})


def choose_forecaster(run, evaluate: Callable, alone: bool) -> nn.Module:
    """A `Trainer`'s network as it is now, read from the views that serve, mixed with a table.

    The run remembers what was chosen; see `choose_views` for evaluate. The network answers without
    a table where it shall be alone, or no stream is the sequence's own.
    """
    run.viewed, run.mixture = choose_views(run, evaluate), None
    own = find_own(run.data.log)
    if alone or not any(own):
        return run.viewed
    none = np.zeros(len(run.names))
    run.mixture = Mixture(run.viewed, run.data.baselines.fitted, own.index(True), none)
    windows, device = run.data.windows[VALIDATION], run.config.device
    run.mixture.shares = choose_shares(run.mixture, windows, device)
    return run.mixture
