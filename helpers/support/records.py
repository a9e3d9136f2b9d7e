"""What a run remembers of its epochs: their losses as tables, and which it keeps, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor

from helpers.support import checkpoints, watching
from helpers.support.errors import InputError, in_one_line


def measure_limits(train, validation, origins: np.ndarray) -> np.ndarray:
    """How much each category counts for at most where an epoch is chosen: (C,) nats.

    That is its marginal's loss: what knowing only how often each value occurs in training loses on
    these windows. Where guessing loses less, training never had most of the values, and it is 0.

    train, validation: the `Windows` whose targets are counted, and those of the origins
    """
    log, targets, limits = train.log, train.targets, []
    counted = np.flatnonzero(targets.rank[0] > targets.start[0])  # as `support.baselines` counts
    events = validation.target_index(origins)
    events = events[events < len(log)]
    for category, values in zip(log.categories, log.table.T, strict=True):
        seen = np.bincount(values[counted], minlength=category.size) + 0.5
        marginal = -np.log(seen / seen.sum())[values[events]].mean()
        limits.append(marginal if marginal < np.log(category.size) else 0.0)
    return np.array(limits)


class Record:
    """The part of a `helpers.training.Trainer` that keeps its losses and its best weights.

    Kept is the epoch whose validation loss is lowest, where no category counts for more than its
    marginal, and none at all whose marginal is worse than guessing, see `measure_limits`. So a
    category that cannot be predicted decides nothing. Where epochs are equal in this, their plain
    means decide.

    epochs_done: how many epochs the history holds; saved: how many of them need no more saving
    history: a list of {"epoch", "measure", "name", "value"}; the measures are "train" and
        "validation" (the loss of each category, nats) and "gradient" (the mean norm of each
        stream's encoder's gradients)
    best: the weights of the epoch that is kept, by name
    limits: (C,) nats, on the windows that tell the validation loss
    stamps: what tells the run's own checkpoints from others that take their place
    viewed, mixture: as the last evaluation read the network, see `support.views`, and mixed it with
        a table, see `support.mixtures`; None where it did not
    start: a checksum of the weights that another run gave it to start with; None without such
    """

    best: dict[str, Tensor]
    limits: np.ndarray

    def __init__(self):
        self.history: list[dict] = []
        self.epochs_done = self.saved = 0
        self.stamps: set[tuple[int, int]] = set()
        self.start: int | None = None
        self.viewed = self.mixture = None

    def list_measures(self) -> list[tuple[str, str]]:
        """The measures and names of an epoch's rows in the history, in their order."""
        streams = [stream.name for stream in self.data.log.streams]
        measures = {"train": self.names, "validation": self.names, "gradient": streams}
        return [(measure, name) for measure, names in measures.items() for name in names]

    def note_epoch(self, train: Tensor, validation: Tensor, gradients: Tensor) -> None:
        """Takes an epoch into the history, and its weights where it is the one to keep.

        train, validation: (C,); gradients: (S,). TrainingStopped where one is not finite
        """
        watching.refuse_tensors(self, "weights", dict(self.model.named_parameters()))
        watching.refuse_losses(self, validation, "validation")
        numbers = [number for one in (train, validation, gradients) for number in one.tolist()]
        for (measure, name), value in zip(self.list_measures(), numbers, strict=True):
            row = {"epoch": self.epochs_done, "measure": measure, "name": name, "value": value}
            self.history.append(row)
        self.epochs_done += 1
        last = self.epochs().iloc[-1]
        if last["best"]:
            self.best = checkpoints.copy_weights(self.model)
        if self.progress:
            watching.tell_epoch(last)

    def table(self) -> pd.DataFrame:
        """The history as a table."""
        if not self.history:
            raise InputError("this run has no whole epoch yet, so no losses; train it by fit()")
        return pd.DataFrame(self.history)

    def choose_epoch(self, history: list[dict]) -> tuple[int, np.ndarray]:
        """The epoch of a history to keep, and every epoch's validation losses, (epochs, C)."""
        values = [row["value"] for row in history if row["measure"] == "validation"]
        losses = np.array(values).reshape(-1, len(self.names))
        counted = np.minimum(losses, self.limits)
        return int(np.lexsort((losses.mean(1), counted.mean(1)))[0]), losses

    def epochs(self) -> pd.DataFrame:
        """The epoch table: epoch, train, validation (means), and best, true of the one kept."""
        means = self.table().groupby(["epoch", "measure"])["value"].mean().unstack()
        table = means[["train", "validation"]].reset_index().rename_axis(columns=None)
        return table.assign(best=table.index == self.choose_epoch(self.history)[0])

    def tell_choice(self) -> str:
        """Which epoch is kept and why, in a line."""
        self.table()  # or there is none yet
        kept, losses = self.choose_epoch(self.history)
        words = f"Kept is epoch {kept}, whose validation loss is lowest"
        beyond = (losses - self.limits).clip(min=0)  # (epochs, C), what does not count
        plain = int(losses.mean(1).argmin())
        capped = np.array(self.names)[losses[kept] >= self.limits]
        if len(capped) or plain != kept:
            words += (
                " once no category counts for more than its marginal (the loss of knowing only how "
                "often each value occurs in training), and none whose marginal is worse than "
                "guessing"
            )
        if len(capped):
            words += f". So without a say there: {', '.join(capped)}"
        if plain != kept:
            name = self.names[int((beyond[kept] - beyond[plain]).argmax())]
            words += f". The plain mean would have kept epoch {plain}, because of {name}"
        return in_one_line(f"{words}.")

    def category_ranges(self) -> pd.DataFrame:
        """The least and the greatest validation loss of each category over the epochs."""
        rows = self.table().query("measure == 'validation'")
        ranges = rows.groupby("name", sort=False)["value"].agg(["min", "max"])
        return ranges.rename_axis("category").reset_index()
