"""Reading an event log, ours or yours, into one table of integers.

    log = read_log("data/workplace.csv.gz", WORKPLACE, id_category_size=100)

A row becomes one integer per category; 0 is *unknown or not applicable*. What a value's integer is, and
which values are too rare to have one, is decided on the training part alone.
"""
from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.schema import TIME_PARTS, Category, InputError, LogMapping, Stream

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
        """(events,) int64: what picks the history in this stream; 0 means the event shares it with none."""
        names = [category.name for category in self.categories]
        return self.table[:, names.index(stream.key)].astype(np.int64) if stream.key in names else self.sequence + 1


def read_log(path: str | Path, mapping: LogMapping, id_category_size: int = 100) -> Log:
    """Reads a CSV (.csv or .csv.gz) or Parquet file; an InputError names file, row, column and remedy."""
    path = Path(path)
    frame = _read_frame(path, mapping)
    time = _times(frame[mapping.time], path)
    notes = []
    if repeated := int(frame.duplicated().sum()):
        notes.append(f"{path}: {repeated} rows repeat an earlier row exactly; kept, since two equal events can both be real")
    if not time.is_monotonic_increasing:
        notes.append(f"{path}: rows are not in the order of time; sorted, rows of equal time keeping their order")
    order = np.argsort(time.to_numpy(), kind="stable")
    frame, time = frame.iloc[order], time.to_numpy()[order]
    sequence = pd.factorize(frame[mapping.sequence])[0].astype(np.int64)
    part = _parts(frame, time, sequence, mapping, path)

    columns, unseen, vocabularies = [], [], {}
    for category, source in mapping.categories.items():
        text, size = frame[source.column], source.size or id_category_size
        if source.kind == "time":
            times = _times(text, path)
            for name, part_size in TIME_PARTS.items():
                first = 1 if name in ("Month", "Day") else 0
                columns.append((getattr(times.dt, name.lower()) + 1 - first).fillna(0))
                unseen.append(np.zeros(len(frame), bool))
                vocabularies[f"{category}_{name}"] = [None, *range(first, first + part_size - 1)]
        elif source.kind == "number":
            values = _numbers(text, path)
            columns.append(np.where(np.isnan(values), 0, np.clip(np.round(values / source.bin) + 1, 1, size - 1)))
            unseen.append(np.zeros(len(frame), bool))
            vocabularies[category] = [None] + [round(i * source.bin, 6) for i in range(size - 1)]
        else:
            names = _vocabulary(text[part == TRAIN], size - 1, mapping.min_count)
            columns.append(pd.Index(names, dtype=str).get_indexer(text) + 1)
            unseen.append((columns[-1] == 0) & (text != "").to_numpy())
            vocabularies[category] = [None, *names]
    return Log(mapping.sized(id_category_size), [Stream(*item) for item in mapping.streams.items()],
               np.stack(columns, 1).astype(np.int32), np.stack(unseen, 1), sequence, time, part, order, vocabularies,
               mapping.split.by is None, notes)


def _read_frame(path: Path, mapping: LogMapping) -> pd.DataFrame:
    """The columns that the mapping names, as text, blanks as empty text; the index counts rows as an editor does."""
    wanted = [mapping.sequence, mapping.time, *(source.column for source in mapping.categories.values())]
    wanted = list(dict.fromkeys(wanted + [mapping.split.by] * (mapping.split.by is not None)))
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a CSV or Parquet file")
    try:
        frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a whole CSV or Parquet file") from None
    for column in wanted:
        if (found := list(frame.columns).count(column)) != 1:
            raise InputError(f"{path}: {'no column' if found == 0 else f'{found} columns are named'} '{column}'; the file has "
                             f"{', '.join(frame.columns)}; correct the mapping or the header")
    if frame.empty:
        raise InputError(f"{path}: a header and no rows; give a log with events")
    for column in (mapping.sequence, mapping.time):
        _refuse(frame[column] == "", frame[column], path, "is blank; every event needs one")
    return frame[wanted]


def _read_csv(path: Path) -> pd.DataFrame:
    """All columns as text. Python's own reader tells the line of what cannot be read."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, row {row}: not UTF-8 text; save the file as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header, values, lines = None, [], []  # all values in one list: a list for every row takes three times as long
    try:
        for row in filter(None, reader):  # blank lines are no rows
            header = header or row
            values += row
            lines.append(reader.line_num)
            if len(row) != len(header):
                raise InputError(f"{path}, row {reader.line_num}: {len(row)} values under {len(header)} columns; "
                                 f"correct it, and put a value that holds a comma in double quotes")
    except csv.Error as error:
        row = lines[-1] + 1 if lines else 1
        raise InputError(f"{path}, row {row}: not valid CSV ({error}); correct its double quotes") from None
    if not header:
        raise InputError(f"{path}: the file is empty; give a file with a header and rows")
    return pd.DataFrame(np.array(values, object).reshape(len(lines), -1)[1:], lines[1:], header, dtype=str)


def _read_parquet(path: Path) -> pd.DataFrame:
    """All columns as text, as in a CSV, so that both are read alike."""
    frame = pd.read_parquet(path).astype("string").fillna("").astype(str)
    return frame.set_axis(range(2, len(frame) + 2)).rename(columns=str)


def _times(text: pd.Series, path: Path) -> pd.Series:
    """Datetimes from text, NaT where blank. A date that two countries read differently is refused."""
    times = pd.to_datetime(text.where(text != ""), format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    _refuse(times.isna() & (text != ""), text, path, "is not a date and time; write it as 2022-01-31 17:05")
    return times


def _numbers(text: pd.Series, path: Path) -> np.ndarray:
    """Numbers of at least 0 from text, NaN where blank."""
    values = pd.to_numeric(text.where(text != ""), errors="coerce")
    _refuse((values.isna() | np.isinf(values)) & (text != ""), text, path, "is not a number; correct it or leave it blank")
    _refuse(values < 0, text, path, "is below 0; correct it or leave it blank")
    return values.to_numpy(float)


def _refuse(bad: pd.Series, text: pd.Series, path: Path, why: str) -> None:
    """Raises for the first bad row; the index counts rows as an editor does, so the header is row 1."""
    if bad.any():
        row = bad.index[bad].min()
        more = f" ({bad.sum() - 1} more like it)" if bad.sum() > 1 else ""
        raise InputError(f"{path}, row {row}, column '{text.name}': '{text[row]}' {why}{more}")


def _vocabulary(training: pd.Series, most: int, min_count: int) -> list[str]:
    """The `most` frequent values seen at least `min_count` times, in the order of their names."""
    counts = training[training != ""].value_counts()
    counts = counts[counts >= min_count].sort_index().sort_values(ascending=False, kind="stable")
    return sorted(counts.index[:most])


def _parts(frame: pd.DataFrame, time: np.ndarray, sequence: np.ndarray, mapping: LogMapping, path: Path) -> np.ndarray:
    """(events,) int8: TRAIN, VALIDATION or TEST."""
    split, part = mapping.split, np.full(len(frame), TRAIN, np.int8)
    if split.by is None:
        for number, share in ((VALIDATION, split.train), (TEST, split.train + split.validation)):
            part[time >= time[int(len(time) * share)]] = number
    else:
        text = frame[split.by]
        listed = {TRAIN: split.train, VALIDATION: split.validation, TEST: split.test}
        number_of = {str(value): number for number, values in listed.items() if isinstance(values, list) for value in values}
        for value in sorted(number_of.keys() - set(text)):
            raise InputError(f"{path}: no row has '{value}' in column '{split.by}'; correct the mapping's split")
        _refuse(~text.isin(number_of), text, path, "belongs to no part; list it in the mapping's split")
        part = text.map(number_of).to_numpy(np.int8)
        if mixed := (pd.Series(part).groupby(sequence).nunique() > 1).sum():
            raise InputError(f"{path}: {mixed} sequences have events in more than one part; split by a column that a sequence shares")
        if not isinstance(split.validation, list):  # sequences evenly spread over those of training
            training = np.unique(sequence[part == TRAIN])
            taken = np.diff(np.ceil(np.arange(len(training) + 1) * split.validation)) > 0
            part[np.isin(sequence, training[taken])] = VALIDATION
    for number, name in enumerate(PART_NAMES):
        if not (part == number).any():
            raise InputError(f"{path}: the {name} part has no events; change the mapping's split or give a longer log")
    return part
