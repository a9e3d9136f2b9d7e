"""Histories and targets, by index: no event is ever copied until a batch needs it.

For each stream the events are sorted by key, and within a key in the order of the log. The history
of an origin is then the stretch of that order which ends at the origin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from helpers.events import PART_NAMES, Log
from helpers.support.errors import InputError
from helpers.support.machine import move
from helpers.support.refusals import refuse_strangers
from helpers.support.rows import sort_stably


class Batch(NamedTuple):
    """Windows as tensors. B windows, S streams, T source events, U target steps, C categories."""

    histories: Tensor  # (B, S, T, C) int32, oldest first, ending at the origin, left-padded with 0
    known: Tensor  # (B, S, T) bool: False where a history is padded
    given: Tensor  # (B, U, C) int32: the origin and the target but its last event
    target: Tensor  # (B, U, C) int32
    counted: Tensor  # (B, U) bool: False where the target is padded
    event: Tensor  # (B, U) int64: the target's place in the log; where padded, that of a row of 0

    def to(self, device) -> Batch:
        return Batch(*(move(tensor, device) for tensor in self))


class Groups:
    """Events sorted by key, for each of several keys: an event's group is all that share its key.

    keys: for each of K ways to group, the key of every event, (events,); 0 is shared with nobody
    visible: (events,) bool, the events that are sorted at all

    order: (K, visible events) event numbers, sorted by key and then by time
    rank, start, end: (K, events), an event's place in `order`, and where its group begins and ends;
    -1 where it is not visible
    """

    def __init__(self, keys: list[np.ndarray], visible: np.ndarray):
        events = np.flatnonzero(visible).astype(np.int32)
        self.order = np.empty((len(keys), len(events)), np.int32)
        self.rank, self.start, self.end = np.full((3, len(keys), len(visible)), -1, np.int32)
        for k, key in enumerate(keys):
            # A stable sort keeps the order of time within a key.
            own = key[events]
            order = self.order[k] = events[sort_stably(own)]
            self.rank[k, order] = np.arange(len(events))
            borders = np.append(0, np.bincount(own).cumsum())  # key i: from borders[i] to the next
            self.start[k, events], self.end[k, events] = borders[:-1][own], borders[1:][own]
            # An unknown key (0) is shared with nobody: the history is the origin alone.
            self.start[k] = np.where(key == 0, self.rank[k], self.start[k])


class Windows:
    """All windows of one part of a log.

    Where a log is split by a column, the parts overlap in time. Then a training window sees
    training events alone, a validation window those of validation too, a test window everything
    before it. `beside` are windows of another part of the same log, to hold in common what is the
    same for both.

    origins: event numbers, the events of this part that another one follows in their sequence
    """

    def __init__(
        self,
        log: Log,
        part: int,
        src_seq_len: int,
        tgt_seq_len: int,
        beside: Windows | None = None,
    ):
        self.log, self.part = log, part
        self.src_seq_len, self.tgt_seq_len = src_seq_len, tgt_seq_len

        # Targets: a sequence's events within this part, so that none reaches over a border.
        self.targets = Groups([log.sequence + 1], log.part == part)
        follows = self.targets.rank[0] + 1 < self.targets.end[0]
        self.origins = np.flatnonzero(follows & (log.part == part))
        if len(self.origins) == 0:
            raise InputError(
                f"the {PART_NAMES[part]} part of the log has no event that another one follows in "
                f"its sequence, so no window; give a longer log or change the mapping's split"
            )

        # Histories: one group a stream, of all events that this part may see.
        if beside and log.split_by_time:
            self.histories = beside.histories
        else:
            visible = np.full(len(log), True) if log.split_by_time else log.part <= part
            self.histories = Groups([log.key(stream) for stream in log.streams], visible)

        # The events, and a row of zeros that padding names: (events + 1, C).
        one_more = [(0, 1), (0, 0)]
        self.table = beside.table if beside else torch.from_numpy(np.pad(log.table, one_more))

    def __len__(self) -> int:
        return len(self.origins)

    def history_index(self, origins: np.ndarray) -> np.ndarray:
        """(B, S, T) event numbers; ``len(log)`` where padded."""
        groups = self.histories
        back = np.arange(self.src_seq_len - 1, -1, -1, dtype=np.int32)  # (T,) oldest first
        place = groups.rank[:, origins, None] - back  # (S, B, T)
        known = place >= groups.start[:, origins, None]
        streams = np.arange(len(groups.order))[:, None, None]
        events = np.where(known, groups.order[streams, np.maximum(place, 0)], len(self.log))
        return events.transpose(1, 0, 2).astype(np.int64)

    def target_index(self, origins: np.ndarray) -> np.ndarray:
        """(B, U) event numbers; ``len(log)`` where the part or the sequence has ended."""
        groups = self.targets
        ahead = np.arange(1, self.tgt_seq_len + 1, dtype=np.int32)  # (U,)
        place = groups.rank[0, origins, None] + ahead  # (B, U)
        known = place < groups.end[0, origins, None]
        last = len(groups.order[0]) - 1
        events = np.where(known, groups.order[0, np.minimum(place, last)], len(self.log))
        return events.astype(np.int64)

    def count(self, origins: np.ndarray) -> Tensor:
        """(B, U) bool: the steps of the targets that count, False where padded."""
        return torch.from_numpy(self.target_index(origins) != len(self.log))

    def batch(self, origins: np.ndarray) -> Batch:
        """The windows of these origins; an InputError names an event that begins no window here."""
        origins = np.asarray(origins)
        refuse_strangers(origins, self.origins, PART_NAMES[self.part])
        padding = len(self.log)
        histories = torch.from_numpy(self.history_index(origins))  # (B, S, T)
        event = torch.from_numpy(self.target_index(origins))  # (B, U)
        # Each step of the decoder is given the event before it: first the origin, then the target.
        given = torch.cat([torch.from_numpy(origins)[:, None], event[:, :-1]], 1)  # (B, U)
        return Batch(
            histories=self.table[histories],
            known=histories != padding,
            given=self.table[given],
            target=self.table[event],
            counted=event != padding,
            event=event,
        )


def pick_evenly(origins: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the origins, evenly spaced from the first to the last."""
    places = np.linspace(0, len(origins) - 1, min(most, len(origins)))
    return origins[places.astype(int)]
