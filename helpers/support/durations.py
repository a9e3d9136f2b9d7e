"""How long until the next event: a forecast in seconds, and a simple table's beside it.

A network forecasts the bin of a category "<name>_SinceLast", as `schema.ELAPSED` says: 1 is less
than a second, and then bin i begins at 2 ** (i - 2) seconds. A duration of less than a second
counts as 0 seconds, since no bin tells more of it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.support.baselines import find_before
from helpers.support.encoded import Encoded

BINS = 31  # without 0, which stands for no duration
STARTS = [None, 0, *(2**i for i in range(BINS - 1))]  # of the bins, in seconds; of 0 there is none
QUANTILES = (0.1, 0.5, 0.9)  # what a forecast says: its median, and the ends of its 80 % interval
FEWEST = 20  # durations after a kind of event, for a table of that kind alone


def bin_seconds(elapsed: np.ndarray) -> np.ndarray:
    """The bin of each timedelta, (events,) int32; 0 where there is none."""
    seconds = elapsed / np.timedelta64(1, "s")
    bins = np.floor(np.log2(np.maximum(np.nan_to_num(seconds), 0.5))) + 2
    return np.where(np.isnan(seconds), 0, bins.clip(1, BINS)).astype(np.int32)


def encode_elapsed(elapsed: np.ndarray) -> Encoded:
    """A category of (events,) timedeltas, in bins."""
    return Encoded(bin_seconds(elapsed), np.arange(len(STARTS)), STARTS)


def measure_elapsed(instant: np.ndarray, sequence: np.ndarray, part: str) -> np.ndarray:
    """How long since the sequence's event before ("SinceLast"), or its first: (events,), or NaT."""
    events = pd.Series(instant)
    groups = events.groupby(sequence)
    if part == "SinceLast":
        before = groups.shift()
    else:
        before = groups.transform("first").where(groups.cumcount() > 0)
    return (events - before).to_numpy()


def find_elapsed(categories: list) -> int | None:
    """The place of the first category that tells the time since the event before, if one does."""
    for place, category in enumerate(categories):
        if category.name.endswith("_SinceLast") and category.size == BINS + 1:
            return place
    return None


def forecast(
    log, training: np.ndarray, event: np.ndarray, p: list[np.ndarray]
) -> dict[str, np.ndarray] | None:
    """What came and what was forecast, in seconds, of the next event of each of N windows.

    log: a `Log`; training: (events,) bool; event: (N,) the next events; p: in batches, (N, BINS)
    in all, the model's probabilities of the bins; none where no category tells of durations, and
    then neither does this

    Returns "truth", (N,), and of "model" and "table" their QUANTILES, (N, 3). The table has those
    of the training events that follow the same kind of event, or of all where these are few.
    """
    if not p:
        return None
    before = find_before(log.sequence)
    seconds = (log.time - log.time[before]) / np.timedelta64(1, "s")
    seconds = np.where(seconds < 1, 0, seconds)
    kind = log.table[before, 0]
    training = training & (before >= 0)
    return {
        "truth": seconds[event],
        "model": read_quantiles(np.concatenate(p)),
        "table": count_quantiles(kind[training], seconds[training], kind[event]),
    }


def read_quantiles(p: np.ndarray) -> np.ndarray:
    """The QUANTILES of (N, BINS) probabilities in seconds, log-linear within a bin: (N, 3)."""
    below = np.cumsum(p, 1, dtype=float)
    below /= below[:, -1:]
    found = []
    for share in QUANTILES:
        place = (below < share).sum(1)  # of the bin in which it lies
        end = np.take_along_axis(below, place[:, None], 1)[:, 0]
        start = np.where(place > 0, below[np.arange(len(p)), place - 1], 0)
        within = (share - start) / (end - start)
        found.append(np.where(place > 0, 2 ** (place - 1 + within), 0))
    return np.stack(found, 1)


def count_quantiles(kind: np.ndarray, seconds: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The QUANTILES of the durations after each of the wanted kinds of event: (N, 3) seconds."""
    found = np.tile(np.quantile(seconds, QUANTILES), (len(wanted), 1))
    for one in np.unique(wanted):
        if (kind == one).sum() >= FEWEST:
            found[wanted == one] = np.quantile(seconds[kind == one], QUANTILES)
    return found
