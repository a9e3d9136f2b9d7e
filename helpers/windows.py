"""Histories and targets, by index: no event is ever copied until a batch needs it.

For each stream the events are sorted by key, and within a key in the order of the log. The history of an
origin is then the stretch of that order which ends at the origin.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from helpers.events import PART_NAMES, Log
from helpers.schema import InputError


class Batch(NamedTuple):
    """Windows as tensors. B windows, S streams, T source events, U target steps, C categories."""

    histories: Tensor  # (B, S, T, C) int32, oldest first, ending at the origin, zeros before the first event
    known: Tensor  # (B, S, T) bool: False where a history is padded
    given: Tensor  # (B, U, C) int32: the origin and the target but its last event
    target: Tensor  # (B, U, C) int32
    counts: Tensor  # (B, U) bool: False where the target is padded
    event: Tensor  # (B, U) int64: the target's place in the log; padded steps name the row of zeros

    def to(self, device) -> "Batch":
        return Batch(*(tensor.to(device) for tensor in self))


class _Runs:
    """Events sorted by key, for one key after another in one long `order`.

    rank, start, end: (keys, events) int32, each event's place in `order` and where the events of its key begin and end.
    """

    def __init__(self, keys: list[np.ndarray], visible: np.ndarray):
        events = np.flatnonzero(visible).astype(np.int32)
        self.order = np.empty(len(keys) * len(events), np.int32)
        self.rank, self.start, self.end = np.full((3, len(keys), len(visible)), -1, np.int32)
        for i, key in enumerate(keys):
            first = i * len(events)
            order = events[np.argsort(key[events], kind="stable")]
            self.order[first:first + len(events)] = order
            self.rank[i, order] = np.arange(first, first + len(events))
            self.start[i, order] = first + np.searchsorted(key[order], key[order], side="left")
            self.end[i, order] = first + np.searchsorted(key[order], key[order], side="right")
            # An unknown key (0) is shared with nobody: the history is the origin alone.
            self.start[i] = np.where(key == 0, self.rank[i], self.start[i])


class Windows:
    """All windows of one part of a log.

    Where a log is split by a column, the parts overlap in time. Then a training window sees training
    events alone, a validation window those of validation too, a test window everything before it.
    `beside` are windows of another part of the same log, to hold in common what is the same for both.
    """

    def __init__(self, log: Log, part: int, src_seq_len: int, tgt_seq_len: int, beside: Windows | None = None):
        self.log, self.part = log, part
        self.src_seq_len, self.tgt_seq_len = src_seq_len, tgt_seq_len
        self.targets = runs = _Runs([log.sequence + 1], log.part == part)
        self.origins = np.flatnonzero((log.part == part) & (runs.rank[0] + 1 < runs.end[0]))
        if len(self.origins) == 0:
            raise InputError(f"the {PART_NAMES[part]} part of the log has no event that another one follows in its sequence, "
                             f"so no window; give a longer log or change the mapping's split")
        if beside and log.split_by_time:
            self.histories = beside.histories
        else:
            visible = np.ones(len(log), bool) if log.split_by_time else log.part <= part
            self.histories = _Runs([log.key(stream) for stream in log.streams], visible)
        self.table = beside.table if beside else torch.from_numpy(np.pad(log.table, [(0, 1), (0, 0)]))

    def __len__(self) -> int:
        return len(self.origins)

    def history_index(self, origins: np.ndarray) -> np.ndarray:
        """(B, S, T) event numbers; ``len(log)`` where padded."""
        runs = self.histories
        place = runs.rank[:, origins].T[..., None] - np.arange(self.src_seq_len - 1, -1, -1, dtype=np.int32)
        known = place >= runs.start[:, origins].T[..., None]
        return np.where(known, runs.order[np.maximum(place, 0)], len(self.log)).astype(np.int64)

    def target_index(self, origins: np.ndarray) -> np.ndarray:
        """(B, U) event numbers; ``len(log)`` where the part or the sequence has ended."""
        runs = self.targets
        place = runs.rank[0, origins, None] + np.arange(1, self.tgt_seq_len + 1, dtype=np.int32)
        known = place < runs.end[0, origins, None]
        return np.where(known, runs.order[np.minimum(place, len(runs.order) - 1)], len(self.log)).astype(np.int64)

    def batch(self, origins: np.ndarray) -> Batch:
        """The windows of these origins (event numbers)."""
        histories = torch.from_numpy(self.history_index(origins))
        event = torch.from_numpy(self.target_index(origins))
        given = torch.cat([torch.from_numpy(origins)[:, None], event[:, :-1]], 1)
        padding = len(self.log)
        return Batch(self.table[histories], histories != padding, self.table[given], self.table[event], event != padding, event)
