"""What is said of a log file: notes of what looks odd, and refusals that name a row and a remedy.

A column is a categorical Series of text: its different values and, for each row, the number of its
value. Its index counts rows as an editor does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.support.errors import InputError, in_one_line


class Notes(list):
    """What the reader of a log file should know, a line each.

    row: what the file counts: a "row", an "event", an "object"
    """

    row = "row"

    def __init__(self, path: str | Path):
        super().__init__()
        self.path = Path(path).expanduser()

    def add(self, place: str, what: str) -> None:
        """A note on a place in the file; none is all of it."""
        self.append(in_one_line(f"{self.path}{', ' * bool(place)}{place}: {what}"))


def refuse_values(text: pd.Series, bad, notes: Notes, why: str) -> None:
    """Raises an InputError for the first row that has a bad value; `bad` has one flag a value."""
    bad = np.asarray(bad, bool)
    if bad.any() and len(places := np.flatnonzero(bad[text.cat.codes])):
        first = places[text.index[places].argmin()]  # the rows may stand upside down
        more = f" ({len(places) - 1} more like it)" if len(places) > 1 else ""
        raise InputError(
            f"{notes.path}, {notes.row} {text.index[first]}, column '{text.name}': "
            f"'{text.iloc[first]:.80}' {why}{more}"
        )


def count_rows(text: pd.Series, which) -> int:
    """How many rows have one of these values; `which` has one flag a value."""
    which = np.asarray(which, bool)
    return int(which[text.cat.codes].sum()) if which.any() else 0
