"""What a network is shown of a window: all of it, or less; validation says what serves.

A time, an amount or another stream may tell something in training that later months take back, and
a network that trusts it then loses to a table that never saw it. So in training half of the windows
are shown in one of several views, drawn by lot, and the network learns to do with each. Afterwards
each category is read from the plainest view, unless a richer one, or at last the mean of what it
answers in all views (a committee, as of Hansen and Salamon 1990), is better on validation by more
than a standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from helpers.support.errors import in_one_line
from helpers.support.reports import list_names, standard_error
from helpers.support.splits import VALIDATION

MEAN = -1  # of all views


class View(NamedTuple):
    """categories: (C,) bool, whose values are shown; streams: (S,) bool, whose histories are."""

    name: str
    categories: Tensor
    streams: Tensor


def list_views(log) -> list[View]:
    """The views of a `Log`'s windows, the plainest first and the whole last.

    Plain are the kind of event alone, then all names, and the history of the sequence itself.
    """
    names = torch.tensor(list_names(log))
    names[0] = True  # the kind of event, whatever it is written in
    kind = torch.arange(len(names)) == 0
    own = torch.tensor(find_own(log))
    all_of_them, streams = torch.ones_like(names), torch.ones_like(own)
    views = {  # of equal ones, the name that is the last here
        "the kind of event in the own history": (kind, own),
        "names in the own history": (names, own),
        "names in all histories": (names, streams),
        "all categories in the own history": (all_of_them, own),
        "all categories in all histories": (all_of_them, streams),
    }
    if not own.any():  # no stream is the sequence's own
        views = {name: view for name, view in views.items() if "all histories" in name}
    plainest_first = {}
    for name, (shown, of_streams) in views.items():
        plainest_first[(*shown.tolist(), *of_streams.tolist())] = View(name, shown, of_streams)
    return list(plainest_first.values())


def find_own(log) -> list[bool]:
    """Of each stream of a `Log`, whether its histories are those of the sequence itself."""
    categories = [category.name for category in log.categories]
    return [stream.key not in categories for stream in log.streams]


def show(batch, categories: Tensor, streams: Tensor):
    """The `Batch` without the values of other categories, and of other streams the origin alone.

    categories, streams: bool, (C,) and (S,), or (B, C) and (B, S) where each window has its own
    """
    device, last = batch.known.device, batch.known.shape[-1] - 1
    categories, streams = (torch.atleast_2d(one).to(device) for one in (categories, streams))
    origin = torch.arange(last + 1, device=device) == last  # (T,)
    return batch._replace(
        histories=batch.histories * categories[:, None, None],
        given=batch.given * categories[:, None],
        known=batch.known & (streams[..., None] | origin),
    )


def draw(batch, views: list[View]):
    """The `Batch` with half of its windows in one of the views, drawn by torch."""
    if not views:
        return batch
    which = torch.randint(2 * len(views), (len(batch.given),)).clamp(max=len(views) - 1)
    categories = torch.stack([view.categories for view in views])[which]
    streams = torch.stack([view.streams for view in views])[which]
    return show(batch, categories, streams)


class Viewed(nn.Module):
    """A network that answers as the mean of its views, or as one of them, category by category.

    choice: (C,), for each category the number of a view, or MEAN
    """

    def __init__(self, model: nn.Module, views: list[View], choice: list[int]):
        super().__init__()
        self.model, self.views, self.choice = model, views, choice
        self.sizes = model.sizes

    def forward(self, batch) -> Tensor:  # -> logits (B, U, V)
        answers = []  # of each view: a (B, U, size) for each category
        for view in self.views:
            logits = self.model(show(batch, view.categories, view.streams))
            parts = logits.float().split(self.sizes, -1)
            answers.append([part.log_softmax(-1) for part in parts])
        chosen = []
        for number, each in zip(self.choice, zip(*answers, strict=True), strict=True):
            if number == MEAN:
                chosen.append(torch.stack(each).logsumexp(0) - math.log(len(each)))
            else:
                chosen.append(each[number])
        return torch.cat(chosen, -1)

    def tell(self, names: list[str]) -> str:
        """What each category, by its name, is read from: in a line."""
        parts = []
        for number in sorted(set(self.choice)):
            read = [name for name, one in zip(names, self.choice, strict=True) if one == number]
            views = "the mean of all views" if number == MEAN else self.views[number].name
            parts.append(f"{', '.join(read)} from {views}")
        return in_one_line(f"As validation chose, the network reads {'; '.join(parts)}.")


def choose_views(run, evaluate: Callable) -> Viewed:
    """A `Trainer`'s network as it is now, with its choice for each category.

    Chosen is by the loss at the next event of all validation windows; evaluate is that of
    `helpers.losses`.
    """
    windows, losses = run.data.windows[VALIDATION], []  # of each view, (N, 1, C)
    for number in range(len(run.views)):
        viewed = Viewed(run.model, [run.views[number]], [0] * len(run.names))
        checked = evaluate(viewed, windows, device=run.config.device)
        losses.append(checked.losses["model"][:, :1].astype(float))
    mean = np.log(len(losses)) - np.logaddexp.reduce([-one for one in losses])
    choice, best = [0] * len(run.names), losses[0].copy()
    for number, one in [*enumerate(losses), (MEAN, mean)]:
        gain = (best - one)[:, 0].mean(0)  # (C,)
        error = standard_error(best - one, checked.counted[:, :1, None], checked.sequence)
        for c in np.flatnonzero(gain > error):
            choice[c], best[..., c] = number, one[..., c]
    return Viewed(run.model, run.views, choice)
