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
from helpers.support.durations import STARTS, bin_seconds
from helpers.support.log_files import name_of, read_frame
from helpers.support.notes import Notes, refuse_values
from helpers.support.splits import PART_NAMES, TEST, TRAIN, VALIDATION, split_events  # noqa: F401
from helpers.support.text_values import parse_numbers


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
    time = pick_times(frame, times, name_of(mapping.time))["instant"].to_numpy()
    if not (time[1:] >= time[:-1]).all():
        notes.add("", "rows are not in the order of time; sorted, rows of equal time keep theirs")
    order = np.argsort(time, kind="stable")
    frame, time = frame.iloc[order], time[order]
    sequence = pd.factorize(frame[mapping.sequence])[0].astype(np.int64)
    part = split_events(frame, time, sequence, mapping.split, notes)

    # Each column becomes the integers of one category, or of several for a time.
    columns, vocabularies = {}, {}
    for name, source in mapping.categories.items():
        size = source.size or id_category_size
        if source.kind == "time":
            moments = pick_times(frame, times, name_of(source.column))
            encoded = encode_times(name, source.parts, moments, sequence)
        elif source.kind == "span":
            start, end = (pick_times(frame, times, one)["instant"] for one in source.column)
            encoded = {name: (bin_seconds(end - start), STARTS)}
        elif source.kind == "number":
            how = mapping.columns.get(source.column, Column())
            numbers = parse_numbers(frame[source.column], notes, how.decimal)
            encode = encode_quantiles if source.bin == "quantiles" else encode_numbers
            encoded = encode(name, source, size, numbers, frame[source.column], part, notes)
        else:
            text = frame[source.column]
            encoded = encode_names(name, size, mapping.min_count, text, part == TRAIN, notes)
        for category, (integers, vocabulary) in encoded.items():
            columns[category] = forget_unseen(integers, part == TRAIN)
            vocabularies[category] = vocabulary
    table = np.stack(list(columns.values()), 1)
    return Log(
        categories=mapping.make_categories(id_category_size),
        streams=[Stream(*item) for item in mapping.streams.items()],
        unseen=table < 0,
        table=table.clip(0, out=table),  # in its place: a copy more takes 70 MB a million events
        sequence=sequence,
        time=time,
        part=part,
        row=pd.factorize(frame.index, sort=True)[0].astype(np.int64),
        vocabularies=vocabularies,
        split_by_time=mapping.split.by is None,
        notes=notes,
    )


def forget_unseen(integers: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The integers as int32, -1 where training never has them: (events,) both.

    Their vectors would stay the random ones that they start with, and be noise to the network.
    """
    seen = np.isin(integers, integers[training]) | (integers == 0)
    return np.where(seen, integers, UNSEEN).astype(np.int32)


# -- from a column to integers: {category: (an integer an event, vocabulary)}; 0 where blank

Encoded = dict[str, tuple[np.ndarray, list]]
UNSEEN = -1  # a value is there, but has no integer of its own


def pick_times(frame: pd.DataFrame, times: dict[str, pd.DataFrame], column: str) -> pd.DataFrame:
    """The "instant" (UTC) and "clock" (on the wall) of each event."""
    return times[column].iloc[frame[column].cat.codes].reset_index(drop=True)


def encode_times(name: str, parts: list[str], moments: pd.DataFrame, sequence) -> Encoded:
    instant, clock = moments["instant"], moments["clock"].dt
    by_sequence = instant.groupby(sequence)
    encoded = {}
    for part in parts:
        if part == "SinceLast":
            integers = bin_seconds(instant - by_sequence.shift())  # no time before: blank
        elif part == "SinceFirst":
            elapsed = instant - by_sequence.transform("first")
            integers = bin_seconds(elapsed.where(by_sequence.cumcount() > 0))
        elif part == "HourOfWeek":
            integers = clock.day_of_week * 24 + clock.hour + 1
        elif part == "Weekday":
            integers = clock.day_of_week + 1  # Monday is 1
        else:
            first = 1 if part in ("Month", "Day") else 0  # hours and minutes count from 0
            integers = getattr(clock, part.lower()) + 1 - first
        first = 1 if part in ("Month", "Day", "Weekday") else 0
        vocabulary = [None, *range(first, first + TIME_PARTS[part] - 1)]
        if part in ELAPSED:
            vocabulary = STARTS
        encoded[f"{name}_{part}"] = (np.nan_to_num(integers).astype(np.int32), vocabulary)
    return encoded


def encode_numbers(name, source: Source, size: int, numbers, text, part, notes) -> Encoded:
    """Bins of one width, from `lowest` on; numbers: of each of the text's values."""
    integers = np.round((numbers - source.lowest) / source.bin) + 1
    refuse_values(
        text,
        integers < 1,
        notes,
        f"is below {source.lowest:g}; set 'lowest' of {name} to it, or 'bin' to \"quantiles\"",
    )
    if beyond := int((integers > size - 1)[text.cat.codes].sum()):
        highest = source.lowest + (size - 2) * source.bin
        notes.add(
            f"column '{text.name}'",
            f"{beyond} values are above {highest:g} and count as that; correct them or raise "
            f"'size' of {name}",
        )
    vocabulary = [None] + [round(source.lowest + i * source.bin, 6) for i in range(size - 1)]
    return {name: (np.nan_to_num(integers.clip(1, size - 1))[text.cat.codes], vocabulary)}


def encode_quantiles(name, source: Source, size: int, numbers, text, part, notes) -> Encoded:
    """At most `size` - 1 bins that hold as many training events each, of any sign and scale."""
    numbers = numbers[text.cat.codes]
    training = numbers[(part == TRAIN) & ~np.isnan(numbers)]
    levels = np.unique(np.quantile(training, np.linspace(0, 1, size - 1), method="lower"))
    integers = np.searchsorted(levels, numbers, side="right").clip(1)  # below the least: the first
    return {name: (np.where(np.isnan(numbers), 0, integers), [None, *levels.tolist()])}


def encode_names(name, size: int, min_count: int, text, training, notes) -> Encoded:
    """The most frequent names of the training events, in the order of the alphabet."""
    counts = text[training & (text != "")].value_counts()
    counts = counts[counts >= min_count].sort_index().sort_values(ascending=False, kind="stable")
    names = sorted(counts.index[: size - 1])
    values = text.cat.categories
    integers = pd.Index(names, dtype=str).get_indexer(values) + 1
    integers[(integers == 0) & (values != "")] = UNSEEN
    if (share := (integers == UNSEEN)[text.cat.codes[training]].mean()) > 0.1:
        notes.add(
            f"column '{text.name}'",
            f"{share:.0%} of the training events have a value too rare to be told apart; raise "
            f"'size' of {name} or lower 'min_count'",
        )
    return {name: (integers[text.cat.codes], [None, *names])}
