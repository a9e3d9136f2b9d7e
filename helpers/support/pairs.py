"""The start and the completion of one activity: two rows become an event, or a row becomes two.

A frame and its times are as `log_files.read_frame` returns them; `pairs` is a `schema.Pairs`.
"""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np
import pandas as pd

from helpers.support.errors import InputError
from helpers.support.notes import Notes

START_TIME = "start_time"  # a column of events of two rows, beside those of the file

Table = tuple[pd.DataFrame, dict[str, pd.DataFrame]]


def split_rows(frame: pd.DataFrame, times: dict, time: str, pairs, notes: Notes) -> Table:
    """A row becomes its start and then its completion; where one has no time, the other alone.

    `time` names the column of the completion's time, in which a start has its own.
    """
    start, end = frame[pairs.start], frame[time]
    has_start, has_end = has_text(start), has_text(end)
    rows = np.repeat(np.arange(len(frame)), has_start.astype(int) + has_end)
    is_start = (np.diff(rows, prepend=-1) > 0) & has_start[rows]

    # The column has the values of both, each with the moment that it has where it is from.
    numbers, names, moments = put_together([end, start], [times[time], times[pairs.start]])
    codes = np.where(
        is_start, numbers[1][start.cat.codes.iloc[rows]], numbers[0][end.cat.codes.iloc[rows]]
    )
    events = frame.iloc[rows].assign(
        **{
            time: pd.Categorical.from_codes(codes, names),
            pairs.column: pd.Categorical.from_codes(~is_start * 1, ["start", "complete"]),
        }
    )
    if single := int((has_start ^ has_end).sum()):
        notes.add("", f"{single} rows have a start or a completion alone, and are one event each")
    if lost := int((~has_start & ~has_end).sum()):
        notes.add("", f"{lost} rows have neither, and are left out; correct them if they are real")
    return events, times | {time: moments}


def join_rows(
    frame: pd.DataFrame, times: dict, time: str, sequence: str, pairs, notes: Notes
) -> Table:
    """A completion takes in the first start of its kind that waits for one, as START_TIME.

    First in, first out, in the order of time. A start that nothing completes is left out; a row
    that says neither start nor complete stays as it is.
    """
    says = frame[pairs.column]
    for word in (pairs.start, pairs.complete):
        if word not in says.cat.categories:
            found = ", ".join(map(repr, says.cat.categories))
            raise InputError(
                f"{notes.path}: no {notes.row} has '{word}' in column '{pairs.column}', which "
                f"says {found:.200}; correct the mapping's pairs"
            )
    is_start, is_end = (says == pairs.start).to_numpy(), (says == pairs.complete).to_numpy()
    moments = times[time]["instant"].to_numpy()[frame[time].cat.codes]
    kinds = frame.groupby([sequence, *filter(None, [pairs.of])], observed=True).ngroup()
    kinds, waiting = kinds.to_numpy(), defaultdict(deque)
    start_of = np.full(len(frame), -1)
    for place in np.lexsort((~is_start, moments)).tolist():  # of one moment, starts come first
        if is_start[place]:
            waiting[kinds[place]].append(place)
        elif is_end[place] and waiting[kinds[place]]:
            start_of[place] = waiting[kinds[place]].popleft()

    text, begun = frame[time], start_of >= 0
    blank = pd.Series(pd.Categorical([""]))
    no_time = times[time].iloc[:1].map(lambda _: pd.NaT)
    numbers, names, moments = put_together([text, blank], [times[time], no_time])
    codes = np.where(begun, numbers[0][text.cat.codes.iloc[start_of]], numbers[1][0])
    frame = frame.assign(**{START_TIME: pd.Categorical.from_codes(codes, names)})
    left, others = sum(map(len, waiting.values())), int((~is_start & ~is_end).sum())
    notes.add(
        f"column '{pairs.column}'",
        f"{begun.sum()} completions take in their start; {left} starts that nothing completes are "
        f"left out, {is_end.sum() - begun.sum()} completions have no start, and {others} rows "
        f"that say neither stay events",
    )
    return frame.iloc[np.flatnonzero(~is_start)], times | {START_TIME: moments}


def has_text(text: pd.Series) -> np.ndarray:
    return (text.cat.categories != "")[text.cat.codes]


def put_together(texts: list[pd.Series], times: list[pd.DataFrame]) -> tuple:
    """The different values of several columns as those of one, and the moment of each.

    Returns the new number of each column's values, a list; the new values; and their moments.
    """
    values = [np.asarray(text.cat.categories, object) for text in texts]
    numbers, names = pd.factorize(np.concatenate(values))
    first = np.unique(numbers, return_index=True)[1]
    moments = pd.concat(times, ignore_index=True).iloc[first].reset_index(drop=True)
    ends = np.cumsum([len(value) for value in values])[:-1]
    return np.split(numbers, ends), pd.Index(names, dtype=str), moments
