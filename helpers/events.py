"""Reading an event log, ours or yours, into one table of integers.

    log = read_log("data/workplace.csv.gz", WORKPLACE, id_category_size=100)

A row becomes one integer per category; 0 is *unknown or not applicable*. What a value's integer is, and
which values are too rare to have one, is decided on the training part alone.
"""
from __future__ import annotations

import csv
import gzip
import re
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.schema import TIME_PARTS, Category, InputError, LogMapping, Stream

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")
UNREADABLE = re.compile("[\0\udc80-\udcff]")  # what text never holds: NUL, and bytes that are not UTF-8
# Year first, so that no two countries read it differently; pandas alone takes "2022" and "now" for a time as well.
OFFSET = r"(?:Z|[+-]\d\d(?::?\d\d)?)"
TIME = rf"(?:\d{{4}}-\d\d?-\d\d?|\d{{4}}/\d\d?/\d\d?|\d{{8}})(?:[ T]\d\d?:\d\d(?::\d\d(?:\.\d{{1,9}})?)?(?: ?{OFFSET})?)?"


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
    """Reads a CSV (.csv or .csv.gz) or Parquet file; an InputError names file, row, column and remedy.

    A column is kept as its different values and, for each row, the number of its value: most work is done once a value.
    """
    path, notes = Path(path), []
    frame = _read_frame(path, mapping, notes)
    of_kind = {kind: [source.column for source in mapping.categories.values() if source.kind == kind] for kind in ("name", "time")}
    times = {column: _times(frame[column], path, notes) for column in dict.fromkeys([mapping.time, *of_kind["time"]])}
    for column in dict.fromkeys([mapping.sequence, *of_kind["name"]]):
        _note_alike(frame[column], path, notes)
    time = times[mapping.time].to_numpy()[frame[mapping.time].cat.codes]
    if repeated := int(frame.duplicated().sum()):
        notes.append(f"{path}: {repeated} rows repeat an earlier row exactly; kept, since two equal events can both be real")
    if not (time[1:] >= time[:-1]).all():
        notes.append(f"{path}: rows are not in the order of time; sorted, rows of equal time keeping their order")
    order = np.argsort(time, kind="stable")
    frame, time = frame.iloc[order], time[order]
    sequence = pd.factorize(frame[mapping.sequence])[0].astype(np.int64)
    part = _parts(frame, time, sequence, mapping, path)

    columns, unseen, vocabularies = [], [], {}

    def add(name: str, integers: np.ndarray, vocabulary: list, unknown: np.ndarray | bool = False) -> None:
        """A category, from the integer of each of the column's values."""
        columns.append(integers.astype(np.int32)[codes])
        unseen.append(np.broadcast_to(unknown, integers.shape)[codes])
        vocabularies[name] = vocabulary

    for category, source in mapping.categories.items():
        text, size = frame[source.column], source.size or id_category_size
        codes, values = text.cat.codes.to_numpy(), text.cat.categories
        if source.kind == "time":
            for name, part_size in TIME_PARTS.items():
                first = 1 if name in ("Month", "Day") else 0
                integers = (getattr(times[source.column].dt, name.lower()) + 1 - first).fillna(0).to_numpy()
                add(f"{category}_{name}", integers, [None, *range(first, first + part_size - 1)])
        elif source.kind == "number":
            integers = np.round(_numbers(text, path) / source.bin) + 1
            if beyond := int((integers > size - 1)[codes].sum()):
                notes.append(f"{path}, column '{source.column}': {beyond} values are above {(size - 2) * source.bin:g} and count "
                             f"as that; correct them or raise 'size' of {category}")
            vocabulary = [None] + [round(i * source.bin, 6) for i in range(size - 1)]
            add(category, np.nan_to_num(integers.clip(1, size - 1)), vocabulary)
        else:
            names = _vocabulary(text[part == TRAIN], size - 1, mapping.min_count)
            integers = pd.Index(names, dtype=str).get_indexer(values) + 1
            unknown = (integers == 0) & (values != "")
            if (share := unknown[codes[part == TRAIN]].mean()) > 0.1:
                notes.append(f"{path}, column '{source.column}': {share:.0%} of the training events have a value too rare to be told apart; "
                             f"raise 'size' of {category} or lower 'min_count'")
            add(category, integers, [None, *names], unknown)
    return Log(mapping.sized(id_category_size), [Stream(*item) for item in mapping.streams.items()],
               np.stack(columns, 1), np.stack(unseen, 1), sequence, time, part, order, vocabularies, mapping.split.by is None, notes)


def _read_frame(path: Path, mapping: LogMapping, notes: list[str]) -> pd.DataFrame:
    """The columns that the mapping names, as categories of text, blanks as empty text; the index counts rows as an editor does."""
    wanted = [mapping.sequence, mapping.time, *(source.column for source in mapping.categories.values())]
    wanted = list(dict.fromkeys(wanted + [mapping.split.by] * (mapping.split.by is not None)))
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give a CSV or Parquet file")
        if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            raise InputError(f"{path}: is a spreadsheet; save it there as CSV in UTF-8")
        frame = _read_parquet(path, wanted) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path, wanted, notes)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, NotImplementedError, zlib.error, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a whole CSV or Parquet file") from None
    if frame.empty:
        raise InputError(f"{path}: a header and no rows; give a log with events")
    for column in (mapping.sequence, mapping.time):
        _refuse(frame[column], frame[column].cat.categories == "", path, "is blank; every event needs one")
    return frame


def _places(header: list[str], wanted: list[str], path: Path) -> dict[str, int]:
    """Where in a row the wanted columns are."""
    for column in wanted:
        if (found := header.count(column)) != 1:
            raise InputError(f"{path}, row 1: {'no column' if found == 0 else f'{found} columns are named'} '{column}'; the file "
                             f"has {', '.join(map(repr, header)):.300}; correct the mapping or the header, and separate "
                             f"columns by commas")
    return {column: header.index(column) for column in wanted}


def _read_csv(path: Path, wanted: list[str], notes: list[str]) -> pd.DataFrame:
    """Row by row, each value kept once: a million rows as Python's own strings take a gigabyte."""
    text = dict(mode="rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, **text) as file:
        rows = _rows(file, path, notes)
        _, header = next(rows, (1, []))
        if not header:
            raise InputError(f"{path}: the file is empty; give a file with a header and rows")
        places, numbers = _places(header, wanted, path), array("q")
        values = {column: defaultdict(count().__next__) for column in wanted}  # value -> its code, counted up
        codes = {column: array("i") for column in wanted}
        cells = [(places[column], values[column].__getitem__, codes[column].append) for column in wanted]
        for number, row in rows:
            numbers.append(number)
            for place, code, keep in cells:
                keep(code(row[place].strip()))  # spaces around a value do not make another value of it
    return pd.DataFrame({column: pd.Categorical.from_codes(codes[column], pd.Index(values.pop(column), dtype=str), validate=False)
                         for column in wanted}, np.asarray(numbers))


def _rows(file, path: Path, notes: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number. Python's own reader tells the line of what cannot be read."""
    reader, header, end, long = csv.reader(_lines(file, path, notes), strict=True), None, 0, []
    try:
        for row in reader:
            start, end = end + 1, reader.line_num
            if not row:  # blank lines are no rows
                continue
            header = header or row
            if len(row) != len(header):
                raise InputError(f"{path}, row {end}: {len(row)} values under {len(header)} columns; "
                                 f"correct it, and put a value that holds a comma in double quotes")
            if start != end:
                long.append(start)
            yield end, row
    except csv.Error as error:
        raise InputError(f"{path}, row {end + 1}: not valid CSV ({error}); correct its double quotes") from None
    if long:
        notes.append(f"{path}, row {long[0]}: goes on over several lines, and so do {len(long) - 1} more rows; "
                     f"look whether a double quote too many has swallowed rows")


def _lines(file, path: Path, notes: list[str]) -> Iterator[str]:
    line = "\n"
    for row, line in enumerate(file, 1):
        if "\0" in line or not line.isascii() and UNREADABLE.search(line):
            raise InputError(f"{path}, row {row}: not UTF-8 text; save the file as CSV in UTF-8")
        yield line
    if line[-1] not in "\r\n":
        notes.append(f"{path}: the last line has no end; look whether the file was cut short")


def _read_parquet(path: Path, wanted: list[str]) -> pd.DataFrame:
    """Column by column, as text, as in a CSV, so that both are read alike."""
    frame = pd.DataFrame()
    with pq.ParquetFile(path) as file:
        _places(file.schema_arrow.names, wanted, path)
        for column in wanted:
            if pa.types.is_nested(kind := file.schema_arrow.field(column).type):
                raise InputError(f"{path}, column '{column}': holds {kind} in each row, not one value; make a column of each")
            # In Arrow's types: pandas' own make 1.0 of a 1 where blanks stand beside it.
            values = file.read([column])[column].to_pandas(types_mapper=pd.ArrowDtype)
            frame[column] = values.astype("string").fillna("").astype(str).str.strip().astype("category")
    return frame.set_axis(range(2, len(frame) + 2))


def _note_alike(text: pd.Series, path: Path, notes: list[str]) -> None:
    """A note where two names look like one, as a typist, another system or another keyboard writes it."""
    names = text.cat.categories.to_series()
    looks = names.str.normalize("NFKC").str.lower().str.replace(r"[\s\p{C}]", "", regex=True)
    if (alike := looks.duplicated(keep=False)).any():
        one, other = names[looks == looks[alike].iloc[0]].iloc[:2]
        notes.append(f"{path}, column '{text.name}': '{one:.80}' and '{other:.80}' look alike and count as two "
                     f"({alike.sum()} such names); write them alike if they are one")


def _times(text: pd.Series, path: Path, notes: list[str]) -> pd.Series:
    """The datetime of each of a column's values, NaT where blank. A date that two countries read differently is refused."""
    values = text.cat.categories.to_series(index=range(len(text.cat.categories)))
    times = pd.to_datetime(values.where(values.str.fullmatch(TIME)), format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    _refuse(text, times.isna() & (values != ""), path, "is not a date and time; write it as 2022-01-31 17:05")
    shares = {"no time of day and count as 00:00": values.str.len().between(1, 10),
              "no offset from UTC, as others have, and count as UTC": ~values.str.contains(f":.*{OFFSET}$") & (values != "")}
    for what, which in shares.items():
        if which.any() and not which[values != ""].all():
            notes.append(f"{path}, column '{text.name}': {_rows_of(text, which)} values have {what}; write all in one way")
    year = times.dt.year
    if (odd := (year < 1971) | (year > pd.Timestamp.now().year + 1)).any():
        notes.append(f"{path}, column '{text.name}': {_rows_of(text, odd)} times are before 1971 or after next year, "
                     f"'{values[odd].iloc[0]}' for one; correct them if they are not real")
    return times


def _numbers(text: pd.Series, path: Path) -> np.ndarray:
    """The number, at least 0, of each of a column's values, NaN where blank."""
    values = text.cat.categories
    numbers = pd.to_numeric(values.to_series().where(values != ""), errors="coerce").to_numpy(float)
    _refuse(text, ~np.isfinite(numbers) & (values != ""), path, "is not a number; correct it or leave it blank")
    _refuse(text, numbers < 0, path, "is below 0; correct it or leave it blank")
    return numbers


def _refuse(text: pd.Series, bad, path: Path, why: str) -> None:
    """Raises for the first row that has a bad value; the index counts rows as an editor does, so the header is row 1."""
    if np.any(bad):
        rows = text.index[np.asarray(bad)[text.cat.codes]]
        more = f" ({len(rows) - 1} more like it)" if len(rows) > 1 else ""
        raise InputError(f"{path}, row {rows.min()}, column '{text.name}': '{text[rows.min()]:.80}' {why}{more}")


def _rows_of(text: pd.Series, which) -> int:
    """How many rows have one of these values."""
    return int(np.asarray(which)[text.cat.codes].sum())


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
        for value in sorted(number_of.keys() - set(text.cat.categories)):
            raise InputError(f"{path}: no row has '{value}' in column '{split.by}'; correct the mapping's split")
        _refuse(text, ~text.cat.categories.isin(number_of), path, "belongs to no part; list it in the mapping's split")
        part = np.array([number_of[value] for value in text.cat.categories], np.int8)[text.cat.codes]
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
