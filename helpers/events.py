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

from helpers.schema import TIME_PARTS, Category, LogMapping, Source, Split, Stream
from helpers.support.errors import InputError
from helpers.support.log_files import Notes, parse_numbers, read_frame, refuse_values

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")


@dataclass
class Log:
    """An event log as integers, in the order of time.

    table: (events, categories) int32
    unseen: (events, categories) bool, where a value exists but has no integer of its own
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
    """Reads a CSV (.csv or .csv.gz) or Parquet file.

    An InputError names file, row, column and remedy.
    """
    notes = Notes(path)
    frame, times = read_frame(mapping, notes)

    # The order of time; rows of one moment keep the file's order.
    time = times[mapping.time].to_numpy()[frame[mapping.time].cat.codes]
    if not (time[1:] >= time[:-1]).all():
        notes.add("", "rows are not in the order of time; sorted, rows of equal time keep theirs")
    order = np.argsort(time, kind="stable")
    frame, time = frame.iloc[order], time[order]
    sequence = pd.factorize(frame[mapping.sequence])[0].astype(np.int64)
    part = split_events(frame, time, sequence, mapping.split, notes)

    # Each column becomes the integers of one category, or of four for a time.
    columns, unseen, vocabularies = [], [], {}
    for name, source in mapping.categories.items():
        text, size = frame[source.column], source.size or id_category_size
        if source.kind == "time":
            encoded = encode_times(name, times[source.column])
        elif source.kind == "number":
            encoded = encode_numbers(name, source, size, text, notes)
        else:
            encoded = encode_names(name, size, mapping.min_count, text, part == TRAIN, notes)
        for category, (integers, vocabulary) in encoded.items():
            no_integer = (integers == 0) & (text.cat.categories != "")
            columns.append(integers.astype(np.int32)[text.cat.codes])
            unseen.append(no_integer[text.cat.codes])
            vocabularies[category] = vocabulary
    return Log(
        categories=mapping.make_categories(id_category_size),
        streams=[Stream(*item) for item in mapping.streams.items()],
        table=np.stack(columns, 1),
        unseen=np.stack(unseen, 1),
        sequence=sequence,
        time=time,
        part=part,
        row=order,
        vocabularies=vocabularies,
        split_by_time=mapping.split.by is None,
        notes=notes,
    )


# -- from a column's different values to integers: {category: (an integer a value, vocabulary)}

Encoded = dict[str, tuple[np.ndarray, list]]


def encode_times(name: str, times: pd.Series) -> Encoded:
    encoded = {}
    for part, size in TIME_PARTS.items():
        first = 1 if part in ("Month", "Day") else 0  # hours and minutes count from 0
        integers = (getattr(times.dt, part.lower()) + 1 - first).fillna(0).to_numpy()
        encoded[f"{name}_{part}"] = (integers, [None, *range(first, first + size - 1)])
    return encoded


def encode_numbers(name: str, source: Source, size: int, text: pd.Series, notes: Notes) -> Encoded:
    integers = np.round(parse_numbers(text, notes) / source.bin) + 1
    if beyond := int((integers > size - 1)[text.cat.codes].sum()):
        notes.add(
            f"column '{text.name}'",
            f"{beyond} values are above {(size - 2) * source.bin:g} and count as that; correct "
            f"them or raise 'size' of {name}",
        )
    vocabulary = [None] + [round(i * source.bin, 6) for i in range(size - 1)]
    return {name: (np.nan_to_num(integers.clip(1, size - 1)), vocabulary)}


def encode_names(
    name: str, size: int, min_count: int, text: pd.Series, training: np.ndarray, notes: Notes
) -> Encoded:
    """The most frequent names of the training events, in the order of the alphabet."""
    counts = text[training & (text != "")].value_counts()
    counts = counts[counts >= min_count].sort_index().sort_values(ascending=False, kind="stable")
    names = sorted(counts.index[: size - 1])
    values = text.cat.categories
    integers = pd.Index(names, dtype=str).get_indexer(values) + 1  # 0 where it is not among them
    rare = (integers == 0) & (values != "")
    if (share := rare[text.cat.codes[training]].mean()) > 0.1:
        notes.add(
            f"column '{text.name}'",
            f"{share:.0%} of the training events have a value too rare to be told apart; raise "
            f"'size' of {name} or lower 'min_count'",
        )
    return {name: (integers, [None, *names])}


# -- which events train, choose and report


def split_events(
    frame: pd.DataFrame, time: np.ndarray, sequence: np.ndarray, split: Split, notes: Notes
) -> np.ndarray:
    """(events,) int8: TRAIN, VALIDATION or TEST."""
    if split.by is None:
        part = np.full(len(frame), TRAIN, np.int8)
        for number, share in ((VALIDATION, split.train), (TEST, split.train + split.validation)):
            part[time >= time[int(len(time) * share)]] = number  # no moment is cut in two
    else:
        part = split_by_column(frame[split.by], sequence, split, notes)
    for number, name in enumerate(PART_NAMES):
        if not (part == number).any():
            raise InputError(
                f"{notes.path}: the {name} part has no events; change the mapping's split or "
                f"give a longer log"
            )
    return part


def split_by_column(
    text: pd.Series, sequence: np.ndarray, split: Split, notes: Notes
) -> np.ndarray:
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
