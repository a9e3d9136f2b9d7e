"""Histories and targets against their definition, on small logs of every kind."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.events import TEST, TRAIN, VALIDATION, Log
from helpers.schema import Category, Stream
from helpers.support.errors import InputError
from helpers.windows import Windows

CATEGORIES = [Category("a", 4), Category("b", 3)]
STREAMS = [Stream("A", "a"), Stream("B", "b"), Stream("Own", "sequence")]
SETTINGS = settings(max_examples=150, deadline=None)


def small_log(table, sequence, part, split_by_time) -> Log:
    table, n = np.array(table, np.int32).reshape(-1, 2), len(sequence)
    return Log(
        CATEGORIES,
        STREAMS,
        table,
        np.zeros_like(table, bool),
        np.array(sequence, np.int64),
        np.arange(n).astype("datetime64[m]"),
        np.array(part, np.int8),
        np.arange(n),
        {},
        split_by_time,
        [],
    )


@st.composite
def logs(draw):
    """Up to 30 events of up to 4 sequences, split by time or by sequence."""
    n, split_by_time = draw(st.integers(1, 30)), draw(st.booleans())
    table = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=n, max_size=n))
    sequence = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    parts = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return small_log(
        table,
        sequence,
        sorted(parts) if split_by_time else [parts[s % n] for s in sequence],
        split_by_time,
    )


lengths = st.integers(1, 6)
parts = st.sampled_from([TRAIN, VALIDATION, TEST])


def key(log: Log, stream: Stream, event: int) -> int:
    return (
        log.table[event, "ab".index(stream.key)] if stream.key in "ab" else log.sequence[event] + 1
    )


def history(log: Log, part: int, origin: int, stream: Stream, length: int) -> list[int]:
    """The definition: the last events up to the origin that share its key and may be seen."""
    seen = [e for e in range(origin) if log.split_by_time or log.part[e] <= part]
    shared = [e for e in seen if key(log, stream, e) == key(log, stream, origin) != 0]
    return ([len(log)] * length + shared + [origin])[-length:]


def target(log: Log, part: int, origin: int, length: int) -> list[int]:
    """The definition: the next events of the origin's sequence in the same part."""
    later = [
        e
        for e in range(origin + 1, len(log))
        if log.sequence[e] == log.sequence[origin] and log.part[e] == part
    ]
    return (later + [len(log)] * length)[:length]


def windows_of(log: Log, part: int, src: int, tgt: int) -> Windows:
    """The windows, or the next example where this part of this log has none."""
    try:
        return Windows(log, part, src, tgt)
    except InputError:
        assume(False)


@SETTINGS
@given(logs(), parts, lengths, lengths)
def test_origins_are_the_events_that_have_a_target(log, part, src, tgt):
    origins = [
        e for e in range(len(log)) if log.part[e] == part and target(log, part, e, 1) != [len(log)]
    ]
    if origins:
        windows = Windows(log, part, src, tgt)
        assert windows.origins.tolist() == origins and len(windows) == len(origins)
    else:
        with pytest.raises(InputError) as caught:
            Windows(log, part, src, tgt)
        assert ("train", "validation", "test")[part] in str(caught.value) and "\n" not in str(
            caught.value
        )


@SETTINGS
@given(logs(), parts, lengths, lengths)
def test_histories_and_targets_are_as_defined(log, part, src, tgt):
    windows = windows_of(log, part, src, tgt)
    histories, targets = (
        windows.history_index(windows.origins),
        windows.target_index(windows.origins),
    )
    for i, origin in enumerate(windows.origins):
        assert histories[i].tolist() == [
            history(log, part, origin, stream, src) for stream in STREAMS
        ]
        assert targets[i].tolist() == target(log, part, origin, tgt)
        assert (histories[i, :, -1] == origin).all()


@SETTINGS
@given(logs(), parts, lengths, lengths)
def test_a_batch_holds_those_events_and_zeros_where_padded(log, part, src, tgt):
    windows = windows_of(log, part, src, tgt)
    origins = windows.origins[::-1]  # in any order
    batch = windows.batch(origins.copy())
    table = [*log.table.tolist(), [0, 0]]
    for i, origin in enumerate(origins):
        for s, stream in enumerate(STREAMS):
            events = history(log, part, origin, stream, src)
            assert batch.histories[i, s].tolist() == [table[e] for e in events]
            assert batch.known[i, s].tolist() == [e < len(log) for e in events]
        events = target(log, part, origin, tgt)
        assert batch.event[i].tolist() == events
        assert batch.target[i].tolist() == [table[e] for e in events]
        assert batch.counted[i].tolist() == [e < len(log) for e in events]
        assert batch.given[i].tolist() == [table[e] for e in [origin, *events[:-1]]]


@SETTINGS
@given(logs(), parts, lengths, st.data())
def test_nothing_after_the_origin_changes_its_histories(log, part, src, data):
    windows = windows_of(log, part, src, 1)
    origin = data.draw(st.sampled_from(windows.origins.tolist()))
    other, seed = (
        dataclasses.replace(log, table=log.table.copy(), sequence=log.sequence.copy()),
        data.draw(st.integers(0, 99)),
    )
    later, rng = slice(origin + 1, None), np.random.default_rng(seed)
    other.table[later] = (log.table[later] + rng.integers(1, [4, 3], log.table[later].shape)) % [
        4,
        3,
    ]  # every value another
    other.sequence[later] = (
        log.sequence[later] + rng.integers(1, 5, log.sequence[later].shape)
    ) % 5
    changed, origins = windows_of(other, part, src, 1), np.array([origin])
    index, index_after = windows.history_index(origins), changed.history_index(origins)
    assert np.array_equal(index, index_after)
    assert torch.equal(windows.table[index], changed.table[index_after])
    if origin in changed.origins:  # the change may have taken its target away
        before, after = windows.batch(origins), changed.batch(origins)
        assert torch.equal(before.histories, after.histories)
        assert torch.equal(before.known, after.known)
        assert torch.equal(before.given[:, 0], after.given[:, 0])


@SETTINGS
@given(logs(), parts, lengths, lengths)
def test_no_window_sees_what_its_part_must_not(log, part, src, tgt):
    windows = windows_of(log, part, src, tgt)
    of_part = np.append(log.part, part)  # padding belongs to every part
    assert (of_part[windows.history_index(windows.origins)] <= part).all()
    assert (of_part[windows.target_index(windows.origins)] == part).all()


def test_parts_may_see_earlier_parts_alone_where_a_column_splits():
    log = small_log(
        [[1, 1]] * 8,
        [0, 1, 2, 0, 1, 2, 0, 1],
        [TRAIN, VALIDATION, TEST] * 2 + [TRAIN, VALIDATION],
        split_by_time=False,
    )
    of_stream_a = {
        part: Windows(log, part, 8, 1).history_index(np.array([origin]))[0, 0].tolist()
        for part, origin in ((TRAIN, 3), (VALIDATION, 4), (TEST, 5))
    }
    assert of_stream_a == {
        TRAIN: [8] * 6 + [0, 3],
        VALIDATION: [8] * 4 + [0, 1, 3, 4],
        TEST: [8] * 2 + [0, 1, 2, 3, 4, 5],
    }


def test_a_key_of_zero_is_shared_with_nobody():
    log = small_log([[0, 1]] * 4, [0] * 4, [TRAIN] * 4, split_by_time=True)
    windows = Windows(log, TRAIN, 3, 1)
    assert windows.history_index(np.array([2]))[0].tolist() == [[4, 4, 2], [0, 1, 2], [0, 1, 2]]


def test_no_target_reaches_over_a_border():
    log = small_log(
        [[1, 1]] * 6, [0] * 6, [TRAIN, TRAIN, TRAIN, VALIDATION, TEST, TEST], split_by_time=True
    )
    windows = Windows(log, TRAIN, 2, 3)
    assert windows.origins.tolist() == [0, 1] and windows.target_index(
        windows.origins
    ).tolist() == [[1, 2, 6], [2, 6, 6]]
    windows = Windows(log, TEST, 4, 3)  # a history may: those events are known by then
    assert windows.history_index(windows.origins)[0, 2].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "part, name", [(TRAIN, "train"), (VALIDATION, "validation"), (TEST, "test")]
)
def test_a_log_too_short_for_one_window_is_refused_in_one_line(part, name):
    with pytest.raises(InputError) as caught:
        Windows(
            small_log([[1, 1]] * 3, [0] * 3, [TRAIN, VALIDATION, TEST], split_by_time=True),
            part,
            2,
            2,
        )
    assert (
        f"the {name} part" in str(caught.value)
        and "longer log" in str(caught.value)
        and "\n" not in str(caught.value)
    )


def split_log(split_by_time: bool) -> Log:
    """Two sequences of training, then one of validation, whose last event has no target."""
    parts = [TRAIN] * 4 + [VALIDATION] * 2 + [TEST] * 2
    sequence = [0, 1, 0, 1, 2, 2, 3, 3]
    if not split_by_time:  # the parts overlap in time
        order = [0, 4, 1, 6, 2, 5, 3, 7]
        parts, sequence = [parts[i] for i in order], [sequence[i] for i in order]
    return small_log([[1, 1]] * 8, sequence, parts, split_by_time)


@pytest.mark.parametrize("split_by_time", [True, False], ids=["by time", "by a column"])
@pytest.mark.parametrize("part, name", [(TRAIN, "train"), (VALIDATION, "validation")])
def test_a_batch_refuses_events_that_begin_no_window_of_its_part(part, name, split_by_time):
    log = split_log(split_by_time)
    windows = Windows(log, part, 3, 2)
    good = windows.origins.tolist()
    assert windows.batch(windows.origins).event.tolist() == [target(log, part, e, 2) for e in good]
    of_part = np.flatnonzero(log.part == part).tolist()
    other = np.flatnonzero(log.part != part).tolist()
    without_target = [event for event in of_part if event not in good]
    assert other and without_target
    for bad in [*other, *without_target, -1, -len(log), len(log), 10**9]:
        for origins in ([bad], [*good, bad], [bad, *good]):
            with pytest.raises(InputError) as caught:
                windows.batch(np.array(origins))
            message = str(caught.value)
            assert f"event {bad} begins no window of the {name} part" in message
            assert "origins" in message and "\n" not in message
