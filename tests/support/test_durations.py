"""How long until the next event: quantiles of bins and of a table, against calculations by hand."""

import numpy as np
import pytest

from helpers.events import TRAIN
from helpers.schema import ELAPSED, Category
from helpers.support import durations
from helpers.support.durations import BINS, count_quantiles, find_elapsed, read_quantiles
from support.toy import random_log


def bins(**shares) -> np.ndarray:
    """Probabilities of the bins, given as b1, b2 and so on; the first of them stands at 0."""
    p = np.zeros(BINS)
    for name, share in shares.items():
        p[int(name[1:]) - 1] = share
    return p


@pytest.mark.parametrize(
    "p, expected",
    [
        (bins(b1=1.0), [0, 0, 0]),  # less than a second is none
        (bins(b2=1.0), [2**0.1, 2**0.5, 2**0.9]),  # one second to two
        (bins(b13=1.0), [2048 * 2**0.1, 2048 * 2**0.5, 2048 * 2**0.9]),
        (bins(b1=0.3, b4=0.7), [0, 4 * 2 ** (0.2 / 0.7), 4 * 2 ** (0.6 / 0.7)]),
        (bins(b2=0.5, b8=0.5), [2**0.2, 2, 64 * 2**0.8]),
        (bins(b2=0.05, b8=0.05), [2**0.2, 2, 64 * 2**0.8]),  # as shares, whatever their sum
        (bins(b31=1.0), [2**29.1, 2**29.5, 2**29.9]),
    ],
)
def test_quantiles_are_log_linear_within_a_bin(p, expected):
    assert read_quantiles(np.stack([p, bins(b1=1.0)])) == pytest.approx(
        np.array([expected, [0, 0, 0]])
    )


def test_quantiles_of_single_precision_are_there_for_any_probabilities():
    p = np.random.default_rng(0).dirichlet(np.full(BINS, 0.05), 2000).astype(np.float32)
    low, median, high = read_quantiles(p).T
    assert (low >= 0).all() and (low <= median).all() and (median <= high).all()
    assert (high < 2.0**30).all()


def test_a_table_has_the_quantiles_after_a_kind_and_those_of_all_where_these_are_few(monkeypatch):
    monkeypatch.setattr(durations, "FEWEST", 3)
    kind, seconds = np.array([1, 1, 1, 2, 2]), np.array([10.0, 20, 30, 100, 200])
    found = count_quantiles(kind, seconds, np.array([2, 1, 7, 1]))
    of_all, of_one = [14, 30, 160], [12, 20, 28]
    assert found == pytest.approx(np.array([of_all, of_one, of_all, of_one]))


def test_the_first_category_that_tells_of_durations_is_taken():
    other, right = Category("when_Hour", 25), Category("when_SinceLast", ELAPSED["SinceLast"])
    assert right.size == BINS + 1
    assert find_elapsed([other, right, Category("due_SinceLast", 32)]) == 1
    assert find_elapsed([other, Category("days_SinceLast", 9)]) is None


def test_what_came_is_the_time_since_the_event_before_and_only_training_is_counted():
    log = random_log()
    log.time = np.cumsum(np.random.default_rng(0).integers(0, 90, 300)).astype("datetime64[s]")
    log.time = log.time.astype("datetime64[ns]") + np.timedelta64(400, "ms")
    training, event = log.part == TRAIN, np.array([200, 250, 299])
    before = [max(e for e in range(one) if log.sequence[e] == log.sequence[one]) for one in event]
    found = durations.forecast(log, training, event, [np.eye(BINS)[[0, 1]], np.eye(BINS)[[2]]])
    seconds = (log.time[event] - log.time[before]) / np.timedelta64(1, "s")
    assert found["truth"].tolist() == seconds.tolist()
    assert found["model"][:, 1] == pytest.approx([0, 2**0.5, 2 * 2**0.5])
    of_kind = {}
    for one in range(300):
        earlier = [e for e in range(one) if log.sequence[e] == log.sequence[one]]
        if training[one] and earlier:
            waited = (log.time[one] - log.time[earlier[-1]]) / np.timedelta64(1, "s")
            of_kind.setdefault(log.table[earlier[-1], 0], []).append(waited)
    kinds = log.table[before, 0]
    expected = [np.quantile(of_kind[kind], [0.1, 0.5, 0.9]) for kind in kinds]
    assert min(map(len, of_kind.values())) >= durations.FEWEST
    assert found["table"] == pytest.approx(np.array(expected))
    assert durations.forecast(log, training, event, []) is None


def test_less_than_a_second_counts_as_none():
    log = random_log()
    log.time = np.arange(300) * np.timedelta64(300, "ms") + np.datetime64("2024-01-01")
    log.sequence[:] = 0
    found = durations.forecast(log, log.part == TRAIN, np.array([299]), [np.eye(BINS)[[0]]])
    assert found["truth"].tolist() == [0] and found["table"].tolist() == [[0, 0, 0]]
