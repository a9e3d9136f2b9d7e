"""Rows by number, zeros for padding; and places in order, equals as they stood."""

import numpy as np
import pytest

from helpers.support.rows import sort_stably, take_rows


@pytest.mark.parametrize("dtype", [np.int32, np.float64, bool])
def test_rows_are_taken_and_padding_has_zeros(dtype):
    of_events = np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype)
    event = np.array([[2, 0, 3], [3, 3, 1]])
    padded = np.concatenate([of_events, np.zeros((1, 2), dtype)])
    rows = take_rows(of_events, event)
    assert rows.dtype == dtype and np.array_equal(rows, padded[event])
    assert of_events.tolist() == np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype).tolist()


@pytest.mark.parametrize("most", [1, 200, 60_000, 10**6, 2**40])
def test_places_are_in_the_order_of_the_keys_and_equals_as_they_stood(most):
    keys = np.random.default_rng(0).integers(most, size=5000)
    keys[::7] = most - 1
    order = sort_stably(keys)
    assert np.array_equal(order, np.argsort(keys, kind="stable"))
    assert sort_stably(keys[:0]).tolist() == []
