"""A toy log of two categories, for what is told by counting."""

import numpy as np

from helpers.events import TEST, TRAIN, VALIDATION, Log
from helpers.schema import Category, Stream

SIZES = [4, 3]


def toy_log(table, sequence, part) -> Log:
    """A log of two categories, "kind" and "other"."""
    table, n = np.array(table, np.int32), len(table)
    return Log(
        [Category("kind", 4), Category("other", 3)],
        [Stream("Own", "sequence")],
        table,
        np.zeros_like(table, bool),
        np.array(sequence, np.int64),
        np.arange(n).astype("datetime64[m]"),
        np.array(part, np.int8),
        np.arange(n),
        {},
        True,
        [],
    )


def random_log(seed=0, n=300) -> Log:
    """ "other" often repeats itself; the sequences are mixed."""
    rng = np.random.default_rng(seed)
    sequence, table, last = rng.integers(0, 3, n), rng.integers(0, SIZES, (n, 2)), {}
    for i, s in enumerate(sequence):
        if s in last and rng.random() < 0.6:
            table[i, 1] = last[s]
        last[s] = table[i, 1]
    part = np.repeat([TRAIN, VALIDATION, TEST], [n * 6 // 10, n * 2 // 10, n * 2 // 10])
    return toy_log(table, sequence, part)
