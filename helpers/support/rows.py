"""Rows of a log's arrays, by number: where what is asked for may be padding, and in order."""

from __future__ import annotations

import numpy as np


def take_rows(of_events: np.ndarray, event: np.ndarray) -> np.ndarray:
    """The rows of these events, zeros where the number is that of padding, `len(of_events)`.

    of_events: (events, ...); event: any shape (...,) -> (..., ...)
    """
    last = len(of_events) - 1
    rows = of_events[np.minimum(event, last)]
    rows[event > last] = 0
    return rows


def sort_stably(keys: np.ndarray) -> np.ndarray:
    """The places of whole numbers from 0 on in their order, equals as they stood: (N,) int64.

    NumPy sorts the shortest kinds of number, which are enough for most, ten times as fast.
    """
    return np.argsort(keys.astype(np.min_scalar_type(keys.max(initial=0))), kind="stable")
