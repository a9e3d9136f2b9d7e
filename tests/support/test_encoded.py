"""A log's table from values that are encoded once, and the order of rows."""

import numpy as np
import pytest

from helpers.support.encoded import BLOCK, Encoded, make_table, rank


@pytest.mark.parametrize("events", [1, BLOCK, 2 * BLOCK + 3])
def test_every_event_has_the_integer_of_its_value(events):
    rng = np.random.default_rng(0)
    categories = []
    for values, dtype in ((3, np.int8), (1000, np.int16), (90_000, np.int32)):
        value = rng.integers(0, values, events).astype(dtype)
        categories.append(Encoded(value, rng.integers(-1, 100, values).astype(np.int32), []))
    table = make_table(categories)
    assert table.dtype == np.int32 and table.flags.c_contiguous
    for c, (value, integers, _) in enumerate(categories):
        assert np.array_equal(table[:, c], integers[value])


@pytest.mark.parametrize(
    "numbers, places",
    [([2, 3, 4], [0, 1, 2]), ([9, 4, 4, 7], [2, 0, 0, 1]), ([5], [0]), ([0, 10**6], [0, 1])],
)
def test_a_place_is_counted_among_the_different_ones(numbers, places):
    assert rank(np.array(numbers)).tolist() == places
