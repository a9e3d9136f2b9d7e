"""Columns of text that grow row by row.

Each different value is kept once, and a row keeps the number of its value: a million rows as
Python's own strings would take a gigabyte.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from itertools import count, repeat
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.support.errors import InputError


def find_columns(header: list[str], wanted: list[str] | None, place: str | Path) -> list[int]:
    """Where in the header the wanted columns are; without a wish, all that can be told by name.

    `place` is where the header is: a file, and a row.
    """
    found = Counter(header)
    if wanted is None:
        wanted = [column for column in header if column.strip() and found[column] == 1]
    for column in wanted:
        if found[column] != 1:
            what = "no column" if not found[column] else f"{found[column]} columns are named"
            raise InputError(
                f"{place}: {what} '{column}'; the file has {', '.join(map(repr, header)):.300}; "
                f"correct the mapping or the header"
            )
    number = {column: number for number, column in enumerate(header)}
    return [number[column] for column in wanted]


class TextColumn:
    """The different values in the order in which they come, and each row's number of its value.

    Spaces around a value do not make another of it.
    """

    def __init__(self):
        self.numbers = defaultdict(count().__next__)
        self.rows = array("i")

    def fill(self, value: str, first: int, end: int) -> None:
        """Gives the rows from `first` to before `end` this value; rows not given one are blank."""
        if first == end:
            return
        if missing := first - len(self.rows):
            del self.rows[first:]  # of a value given before
            self.rows.extend(repeat(self.numbers[""], missing))
        self.rows.extend(repeat(self.numbers[value.strip()], end - first))

    def categorical(self, rows: int) -> pd.Categorical:
        """The column of so many rows; its numbering, which takes most of the memory, is let go."""
        self.fill("", len(self.rows), rows)
        names = pd.Index(list(self.numbers), dtype=str)
        self.numbers = None
        return pd.Categorical.from_codes(np.asarray(self.rows), names, validate=False)


def make_table(columns: dict[str, TextColumn], rows: np.ndarray) -> pd.DataFrame:
    """The columns as a frame; `rows` are the rows' numbers in the file."""
    whole = {name: column.categorical(len(rows)) for name, column in columns.items()}
    return pd.DataFrame(whole, pd.Index(rows))


class GrowingTable:
    """Columns that turn up as rows do; a row that says nothing of one is blank there.

    columns: all of them, in the order in which they come; None for one that is not wanted
    """

    def __init__(self, wanted: list[str] | None):
        self.wanted = wanted
        self.columns: dict[str, TextColumn | None] = {}

    def fill(self, values: dict[str, str], first: int, end: int) -> None:
        """Gives these values to the rows from `first` to before `end`."""
        for name, value in values.items():
            if name not in self.columns:
                keep = self.wanted is None or name in self.wanted
                self.columns[name] = TextColumn() if keep else None
            if column := self.columns[name]:
                column.fill(value, first, end)

    def finish(self, rows: np.ndarray, path: Path) -> pd.DataFrame:
        names = list(self.columns)
        found = [names[place] for place in find_columns(names, self.wanted, path)]
        return make_table({name: self.columns[name] for name in found}, rows)
