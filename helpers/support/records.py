"""What a run remembers of its epochs, as tables."""

from __future__ import annotations

import pandas as pd
from torch import Tensor

from helpers.support.errors import InputError


class Record:
    """The part of a `helpers.training.Trainer` that keeps its losses and gradient norms.

    epochs_done: how many epochs the history holds
    history: a list of {"epoch", "measure", "name", "value"}; the measures are "train" and
        "validation" (the loss of each category, nats) and "gradient" (the mean norm of each
        stream's encoder's gradients)
    """

    epochs_done: int
    history: list[dict]

    def list_measures(self) -> list[tuple[str, str]]:
        """The measures and names of an epoch's rows in the history, in their order."""
        streams = [stream.name for stream in self.data.log.streams]
        measures = {"train": self.names, "validation": self.names, "gradient": streams}
        return [(measure, name) for measure, names in measures.items() for name in names]

    def note(self, *values: Tensor) -> None:
        """Adds an epoch's measures to the history: train (C,), validation (C,), gradient (S,)."""
        numbers = [number for tensor in values for number in tensor.tolist()]
        for (measure, name), value in zip(self.list_measures(), numbers, strict=True):
            row = {"epoch": self.epochs_done, "measure": measure, "name": name, "value": value}
            self.history.append(row)
        self.epochs_done += 1

    def table(self) -> pd.DataFrame:
        """The history as a table."""
        if not self.history:
            raise InputError("this run has no whole epoch yet, so no losses; train it by fit()")
        return pd.DataFrame(self.history)

    def epochs(self) -> pd.DataFrame:
        """The epoch table: epoch, train, validation, and best, true where validation is least."""
        means = self.table().groupby(["epoch", "measure"])["value"].mean().unstack()
        table = means[["train", "validation"]].reset_index().rename_axis(columns=None)
        return table.assign(best=table.index == table["validation"].idxmin())

    def category_ranges(self) -> pd.DataFrame:
        """The least and the greatest validation loss of each category over the epochs."""
        rows = self.table().query("measure == 'validation'")
        ranges = rows.groupby("name", sort=False)["value"].agg(["min", "max"])
        return ranges.rename_axis("category").reset_index()
