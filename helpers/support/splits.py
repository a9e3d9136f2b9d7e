"""Which events train, which choose (validation), which report (test)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.support.errors import InputError
from helpers.support.notes import Notes, refuse_values

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")


def split_events(
    frame: pd.DataFrame, time: np.ndarray, sequence: np.ndarray, split, notes: Notes
) -> np.ndarray:
    """The part of each event, as a `helpers.schema.Split` says: (events,) int8.

    frame: a row an event, in the order of time; sequence: (events,), numbers from 0
    """
    if split.by is None:
        first = [border for border in find_borders(len(time), split) if border < len(time)]
        part = np.searchsorted(time[first], time, side="right").astype(np.int8)  # whole moments
    elif not isinstance(split.train, list):  # by sequence
        drawn = np.random.default_rng(split.seed).permutation(sequence.max() + 1)
        borders = find_borders(len(drawn), split)
        part = np.searchsorted(borders, drawn, side="right").astype(np.int8)[sequence]
    else:
        part = split_by_column(frame[split.by], sequence, split, notes)
    for number, name in enumerate(PART_NAMES):
        if not (part == number).any():
            raise InputError(
                f"{notes.path}: the {name} part has no events; change the mapping's split or "
                f"give a longer log"
            )
    return part


def find_borders(number: int, split) -> list[int]:
    """Of so many places, the first that does not train, and the first that reports."""
    return [int(number * share) for share in (split.train, split.train + split.validation)]


def split_by_column(text: pd.Series, sequence: np.ndarray, split, notes: Notes) -> np.ndarray:
    number_of = {}
    for number, values in enumerate((split.train, split.validation, split.test)):
        number_of |= {str(value): number for value in values} if isinstance(values, list) else {}
    for value in sorted(number_of.keys() - set(text.cat.categories)):
        raise InputError(
            f"{notes.path}: no row has '{value}' in column '{split.by}'; "
            f"correct the mapping's split"
        )
    stranger = ~text.cat.categories.isin(number_of)
    refuse_values(text, stranger, notes, "belongs to no part; list it in the mapping's split")
    part = np.array([number_of[value] for value in text.cat.categories], np.int8)[text.cat.codes]
    if mixed := (pd.Series(part).groupby(sequence).nunique() > 1).sum():
        raise InputError(
            f"{notes.path}: {mixed} sequences have events in more than one part; "
            f"split by a column that a sequence shares"
        )
    if not isinstance(split.validation, list):  # a share: sequences evenly spread over training
        training = np.unique(sequence[part == TRAIN])
        taken = np.diff(np.ceil(np.arange(len(training) + 1) * split.validation)) > 0
        part[np.isin(sequence, training[taken])] = VALIDATION
    return part
