"""Reading an event log, ours or yours, into one table of integers.

    log = read_log("data/workplace.csv.gz", WORKPLACE, id_category_size=100)

A row becomes one integer per category; 0 is *unknown or not applicable*. What a value's integer is,
and which values are too rare to have one, is decided on the training part alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.schema import ELAPSED, TIME_PARTS, Category, Column, LogMapping, Source, Stream
from helpers.support.durations import encode_elapsed, measure_elapsed
from helpers.support.encoded import Encoded, make_table, rank
from helpers.support.log_files import name_of, read_frame
from helpers.support.notes import Notes, count_rows, refuse_values
from helpers.support.splits import PART_NAMES, TEST, TRAIN, VALIDATION, split_events  # noqa: F401
from helpers.support.text_values import parse_numbers

UNSEEN = -1  # in place of an integer, where a value is there but has none of its own


@dataclass
class Log:
    """An event log as integers, in the order of time.

    table: (events, categories) int32
    unseen: (events, categories) bool, where a value exists but has no integer of its own, since
        training never has it or too seldom
    sequence: (events,) int64, whose event it is
    time: (events,) datetime64
    part: (events,) int8, TRAIN, VALIDATION or TEST
    row: (events,) int64, the event's place in the file, from 0
    vocabularies: category -> its values; the value at index i has the integer i, index 0 is None
    notes: what a reader of the file should know, a line each
    """

    categories: list[Category]
    streams: list[Stream]
    table: np.ndarray
    unseen: np.ndarray
    sequence: np.ndarray
    time: np.ndarray
    part: np.ndarray
    row: np.ndarray
    vocabularies: dict[str, list]
    split_by_time: bool
    notes: list[str]

    def __len__(self) -> int:
        return len(self.table)

    def key(self, stream: Stream) -> np.ndarray:
        """(events,) int64: what picks the history in this stream; 0 is shared with no event."""
        names = [category.name for category in self.categories]
        if stream.key not in names:  # the sequence itself
            return self.sequence + 1
        return self.table[:, names.index(stream.key)].astype(np.int64)


def read_log(path: str | Path, mapping: LogMapping, id_category_size: int = 100) -> Log:
    """Reads a CSV, XES, JSON-lines or Parquet file, or a folder of Parquet files.

    An InputError names file, row, column and remedy.
    """
    notes = Notes(path)
    frame, times = read_frame(mapping, notes)

    # The order of time; rows of one moment keep the file's order.
    time, *_ = pick_times(frame, times, mapping.time)
    if not (time[1:] >= time[:-1]).all():
        notes.add("", "rows are not in the order of time; sorted, rows of equal time keep theirs")
        order = np.argsort(time, kind="stable")
        frame, time = frame.iloc[order], time[order]
    sequence = pd.factorize(frame[mapping.sequence].array.codes)[0]
    part = split_events(frame, time, sequence, mapping.split, notes)
    training = np.flatnonzero(part == TRAIN)

    # Each column becomes one category, or several for a time.
    encoded: dict[str, Encoded] = {}
    for name, source in mapping.categories.items():
        size = source.size or id_category_size
        if source.kind == "time":
            moments = pick_times(frame, times, source.column)
            encoded |= encode_times(name, source.parts, sequence, *moments)
        elif source.kind == "span":
            start, end = (pick_times(frame, times, one)[0] for one in source.column)
            encoded[name] = encode_elapsed(end - start)
        elif source.kind == "number":
            text, how = frame[source.column], mapping.columns.get(source.column, Column())
            numbers = parse_numbers(text, notes, how.decimal)
            encode = encode_quantiles if source.bin == "quantiles" else encode_numbers
            encoded[name] = encode(name, source, size, numbers, text, training, notes)
        else:
            text = frame[source.column]
            encoded[name] = encode_names(name, size, mapping.min_count, text, training, notes)

    table = make_table([forget_unseen(category, training) for category in encoded.values()])
    return Log(
        categories=mapping.make_categories(id_category_size),
        streams=[Stream(*item) for item in mapping.streams.items()],
        unseen=table < 0,
        table=table.clip(0, out=table),  # in its place: a copy more takes 70 MB a million events
        sequence=sequence,
        time=time,
        part=part,
        row=rank(frame.index.to_numpy()),
        vocabularies={category: one.vocabulary for category, one in encoded.items()},
        split_by_time=mapping.split.by is None,
        notes=notes,
    )


def forget_unseen(category: Encoded, training: np.ndarray) -> Encoded:
    """The category with -1 in place of each integer that no training event has.

    Their vectors would stay the random ones that they start with, and be noise to the network.
    """
    value, integers, vocabulary = category
    seen = np.bincount(value[training], minlength=len(integers)) > 0  # (values,)
    known = np.isin(integers, integers[seen]) | (integers == 0)
    return Encoded(value, np.where(known, integers, UNSEEN).astype(np.int32), vocabulary)


# -- from a column to a category; training: the numbers of the events that train


def pick_times(frame: pd.DataFrame, times: dict, column: str | list[str]) -> tuple:
    """Each event's instant (UTC) and value, (events,), and each value's clock (on the wall)."""
    value, moments = frame[name_of(column)].array.codes, times[name_of(column)]
    return moments["instant"].to_numpy()[value], value, moments["clock"]


def encode_times(name: str, parts: list[str], sequence, instant, value, clock) -> dict:
    encoded, clock = {}, clock.dt
    for part in parts:
        if part in ELAPSED:
            encoded[f"{name}_{part}"] = encode_elapsed(measure_elapsed(instant, sequence, part))
            continue
        first = 1 if part in ("Month", "Day", "Weekday") else 0  # hours and minutes count from 0
        if part == "HourOfWeek":
            integers = clock.day_of_week * 24 + clock.hour + 1
        elif part == "Weekday":
            integers = clock.day_of_week + 1  # Monday is 1
        else:
            integers = getattr(clock, part.lower()) + 1 - first
        vocabulary = [None, *range(first, first + TIME_PARTS[part] - 1)]
        integers = np.nan_to_num(integers).astype(np.int32)
        encoded[f"{name}_{part}"] = Encoded(value, integers, vocabulary)
    return encoded


def encode_numbers(name, source: Source, size: int, numbers, text, training, notes) -> Encoded:
    """Bins of one width, from `lowest` on; numbers: of each of the text's values."""
    integers = np.round((numbers - source.lowest) / source.bin) + 1
    refuse_values(
        text,
        integers < 1,
        notes,
        f"is below {source.lowest:g}; set 'lowest' of {name} to it, or 'bin' to \"quantiles\"",
    )
    if beyond := count_rows(text, integers > size - 1):
        highest = source.lowest + (size - 2) * source.bin
        notes.add(
            f"column '{text.name}'",
            f"{beyond} values are above {highest:g} and count as that; correct them or raise "
            f"'size' of {name}",
        )
    vocabulary = [None] + [round(source.lowest + i * source.bin, 6) for i in range(size - 1)]
    return Encoded(text.array.codes, np.nan_to_num(integers.clip(1, size - 1)), vocabulary)


def encode_quantiles(name, source: Source, size: int, numbers, text, training, notes) -> Encoded:
    """At most `size` - 1 bins that hold as many training events each, of any sign and scale."""
    trained = numbers[text.array.codes[training]]
    trained = trained[~np.isnan(trained)]
    levels = np.unique(np.quantile(trained, np.linspace(0, 1, size - 1), method="lower"))
    integers = np.searchsorted(levels, numbers, side="right").clip(1)  # below the least: the first
    integers[np.isnan(numbers)] = 0
    return Encoded(text.array.codes, integers, [None, *levels.tolist()])


def encode_names(name, size: int, min_count: int, text, training, notes) -> Encoded:
    """The most frequent names of the training events, in the order of the alphabet."""
    values, value = text.cat.categories, text.array.codes
    counts = np.bincount(value[training], minlength=len(values))
    order = np.argsort(-counts, kind="stable")
    order = order[(counts[order] >= min_count) & (values[order] != "")]
    names = sorted(values[order[: size - 1]])
    integers = pd.Index(names, dtype=str).get_indexer(values) + 1
    integers[(integers == 0) & (values != "")] = UNSEEN
    if (share := counts[integers == UNSEEN].sum() / len(training)) > 0.1:
        notes.add(
            f"column '{text.name}'",
            f"{share:.0%} of the training events have a value too rare to be told apart; raise "
            f"'size' of {name} or lower 'min_count'",
        )
    return Encoded(value, integers, [None, *names])
