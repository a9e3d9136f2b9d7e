"""Categories as they are made of a log's columns: each of a column's values once, not each event's.

A column has few different values, and an event keeps the number of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 2**14  # rows that a processor's cache holds


class Encoded(NamedTuple):
    """A category.

    value: (events,) which of its different values an event has, from 0
    integers: (values,) the integer of each, 0 where it is blank
    vocabulary: what stands behind the integers
    """

    value: np.ndarray
    integers: np.ndarray
    vocabulary: list


def make_table(categories: list[Encoded]) -> np.ndarray:
    """The events' integers: (events, categories) int32.

    Row by row in blocks, since a column at a time would fetch the whole table for each.
    """
    table = np.empty((len(categories[0].value), len(categories)), np.int32)
    for start in range(0, len(table), BLOCK):
        block = slice(start, start + BLOCK)
        for c, (value, integers, _) in enumerate(categories):
            table[block, c] = integers.take(value[block])
    return table


def rank(numbers: np.ndarray) -> np.ndarray:
    """Of each of some numbers from 0 on its place among the different ones: an integer from 0."""
    there = np.zeros(numbers.max() + 1, bool)
    there[numbers] = True
    return (np.cumsum(there) - 1)[numbers]
