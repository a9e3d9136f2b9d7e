"""Reading the columns of a log file as text, its times and its numbers; faults are named by row.

A column is kept as its different values and, for each row, the number of its value (a categorical
Series of text, blanks as ""): most work is then done once a value. The index counts rows as an
editor does, so the header is row 1.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.support.errors import InputError, in_one_line

# What text never holds: NUL, and bytes that are not UTF-8.
UNREADABLE = re.compile("[\0\udc80-\udcff]")
# Year first, so that no two countries read it differently; pandas takes "2022" and "now", too.
OFFSET = r"(?:Z|[+-]\d\d(?::?\d\d)?)"
DATE = r"(?:\d{4}-\d\d?-\d\d?|\d{4}/\d\d?/\d\d?|\d{8})"
TIME = rf"{DATE}(?:[ T]\d\d?:\d\d(?::\d\d(?:\.\d{{1,9}})?)?(?: ?{OFFSET})?)?"


class Notes(list):
    """What the reader of a log file should know, a line each."""

    def __init__(self, path: str | Path):
        super().__init__()
        self.path = Path(path)

    def add(self, place: str, what: str) -> None:
        """A note on a place in the file; none is all of it."""
        self.append(in_one_line(f"{self.path}{', ' * bool(place)}{place}: {what}"))


def read_frame(mapping, notes: Notes) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """The columns that a `LogMapping` names, and the times of their different values."""
    sources = mapping.categories.values()
    by = [mapping.split.by] * (mapping.split.by is not None)
    wanted = [mapping.sequence, mapping.time, *(source.column for source in sources), *by]
    frame = read_columns(list(dict.fromkeys(wanted)), notes)
    for column in (mapping.sequence, mapping.time):
        blank = frame[column].cat.categories == ""
        refuse_values(frame[column], blank, notes, "is blank; every event needs one")

    of_times = [source.column for source in sources if source.kind == "time"]
    times = {}
    for column in dict.fromkeys([mapping.time, *of_times]):
        times[column] = parse_times(frame[column], notes)
    of_names = [source.column for source in sources if source.kind == "name"]
    for column in dict.fromkeys([mapping.sequence, *of_names]):
        note_alike(frame[column], notes)
    if repeated := int(frame.duplicated().sum()):
        notes.add(
            "",
            f"{repeated} rows repeat an earlier row exactly; kept, since two equal events can "
            f"both be real",
        )
    return frame, times


def read_columns(wanted: list[str], notes: Notes) -> pd.DataFrame:
    """The wanted columns of a CSV (.csv, .csv.gz) or Parquet file."""
    path, kind = notes.path, notes.path.suffix.lower()
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give a CSV or Parquet file")
        if kind in (".xlsx", ".xls", ".ods"):
            raise InputError(f"{path}: is a spreadsheet; save it there as CSV in UTF-8")
        if kind in (".parquet", ".pq"):
            frame = read_parquet(path, wanted)
        else:
            frame = read_csv(wanted, notes)
    except InputError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        zlib.error,
        pa.ArrowException,
    ) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); give a whole CSV or Parquet file"
        ) from None
    if frame.empty:
        raise InputError(f"{path}: a header and no rows; give a log with events")
    return frame


def find_columns(header: list[str], wanted: list[str], path: Path) -> dict[str, int]:
    """Where in a row the wanted columns are."""
    for column in wanted:
        if (found := header.count(column)) != 1:
            what = "no column" if found == 0 else f"{found} columns are named"
            raise InputError(
                f"{path}, row 1: {what} '{column}'; the file has "
                f"{', '.join(map(repr, header)):.300}; correct the mapping or the header, and "
                f"separate columns by commas"
            )
    return {column: header.index(column) for column in wanted}


def read_csv(wanted: list[str], notes: Notes) -> pd.DataFrame:
    """Row by row, each value kept once: a million rows as Python's own strings take a gigabyte."""
    path = notes.path
    text = dict(mode="rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    open_file = gzip.open if path.suffix.lower() == ".gz" else open
    with open_file(path, **text) as file:
        rows = number_rows(file, notes)
        _, header = next(rows, (1, []))
        if not header:
            raise InputError(f"{path}: the file is empty; give a file with a header and rows")
        places, numbers = find_columns(header, wanted, path), array("q")
        values = {column: defaultdict(count().__next__) for column in wanted}  # value -> its code
        codes = {column: array("i") for column in wanted}
        cells = []
        for column in wanted:
            cells.append((places[column], values[column].__getitem__, codes[column].append))
        for number, row in rows:
            numbers.append(number)
            for place, code, keep in cells:
                keep(code(row[place].strip()))  # spaces around a value do not make another of it
    columns = {}
    for column in wanted:
        names = pd.Index(values.pop(column), dtype=str)
        columns[column] = pd.Categorical.from_codes(codes[column], names, validate=False)
    return pd.DataFrame(columns, np.asarray(numbers))


def number_rows(file, notes: Notes) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number. Python's own reader tells the line of what cannot be read."""
    path, reader = notes.path, csv.reader(check_lines(file, notes), strict=True)
    header, end, long = None, 0, []
    try:
        for row in reader:
            start, end = end + 1, reader.line_num
            if not row:  # blank lines are no rows
                continue
            header = header or row
            if len(row) != len(header):
                raise InputError(
                    f"{path}, row {end}: {len(row)} values under {len(header)} columns; "
                    f"correct it, and put a value that holds a comma in double quotes"
                )
            if start != end:
                long.append(start)
            yield end, row
    except csv.Error as error:
        raise InputError(
            f"{path}, row {end + 1}: not valid CSV ({error}); correct its double quotes"
        ) from None
    if long:
        notes.add(
            f"row {long[0]}",
            f"goes on over several lines, and so do {len(long) - 1} more rows; look whether a "
            f"double quote too many has swallowed rows",
        )


def check_lines(file, notes: Notes) -> Iterator[str]:
    line = "\n"
    for row, line in enumerate(file, 1):
        if "\0" in line or not line.isascii() and UNREADABLE.search(line):
            raise InputError(
                f"{notes.path}, row {row}: not UTF-8 text; save the file as CSV in UTF-8"
            )
        yield line
    if line[-1] not in "\r\n":
        notes.add("", "the last line has no end; look whether the file was cut short")


def read_parquet(path: Path, wanted: list[str]) -> pd.DataFrame:
    """Column by column, as text, as in a CSV, so that both are read alike."""
    frame = pd.DataFrame()
    with pq.ParquetFile(path) as file:
        find_columns(file.schema_arrow.names, wanted, path)
        for column in wanted:
            if pa.types.is_nested(kind := file.schema_arrow.field(column).type):
                raise InputError(
                    f"{path}, column '{column}': holds {kind} in each row, not one value; "
                    f"make a column of each"
                )
            # In Arrow's types: pandas' own make 1.0 of a 1 where blanks stand beside it.
            values = file.read([column])[column].to_pandas(types_mapper=pd.ArrowDtype)
            text = values.astype("string").fillna("").astype(str)
            frame[column] = text.str.strip().astype("category")
    return frame.set_axis(range(2, len(frame) + 2))


def note_alike(text: pd.Series, notes: Notes) -> None:
    """A note where two names look like one, as a typist, another system or keyboard writes it."""
    names = text.cat.categories.to_series()
    looks = names.str.normalize("NFKC").str.lower().str.replace(r"[\s\p{C}]", "", regex=True)
    if (alike := looks.duplicated(keep=False)).any():
        one, other = names[looks == looks[alike].iloc[0]].iloc[:2]
        notes.add(
            f"column '{text.name}'",
            f"'{one:.80}' and '{other:.80}' look alike and count as two ({alike.sum()} such "
            f"names); write them alike if they are one",
        )


def parse_times(text: pd.Series, notes: Notes) -> pd.Series:
    """The datetime of each of a column's values, NaT where blank.

    A date that two countries read differently is refused.
    """
    values = text.cat.categories.to_series(index=range(len(text.cat.categories)))
    written = values.where(values.str.fullmatch(TIME))
    times = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=True)
    times = times.dt.tz_localize(None)
    why = "is not a date and time; write it as 2022-01-31 17:05"
    refuse_values(text, times.isna() & (values != ""), notes, why)
    no_time = values.str.len().between(1, 10)
    no_offset = ~values.str.contains(f":.*{OFFSET}$") & (values != "")
    shares = {
        "no time of day and count as 00:00": no_time,
        "no offset from UTC, as others have, and count as UTC": no_offset,
    }
    for what, which in shares.items():
        if which.any() and not which[values != ""].all():
            rows = count_rows(text, which)
            notes.add(f"column '{text.name}'", f"{rows} values have {what}; write all in one way")
    year = times.dt.year
    odd = (year < 1971) | (year > pd.Timestamp.now().year + 1)
    if odd.any():
        notes.add(
            f"column '{text.name}'",
            f"{count_rows(text, odd)} times are before 1971 or after next year, "
            f"'{values[odd].iloc[0]}' for one; correct them if they are not real",
        )
    return times


def parse_numbers(text: pd.Series, notes: Notes) -> np.ndarray:
    """The number, at least 0, of each of a column's values, NaN where blank."""
    values = text.cat.categories
    written = values.to_series().where(values != "")
    numbers = pd.to_numeric(written, errors="coerce").to_numpy(float)
    no_number = ~np.isfinite(numbers) & (values != "")
    refuse_values(text, no_number, notes, "is not a number; correct it or leave it blank")
    refuse_values(text, numbers < 0, notes, "is below 0; correct it or leave it blank")
    return numbers


def refuse_values(text: pd.Series, bad, notes: Notes, why: str) -> None:
    """Raises an InputError for the first row that has a bad value; `bad` has one flag a value."""
    if np.any(bad):
        rows = text.index[np.asarray(bad)[text.cat.codes]]
        first, more = rows.min(), f" ({len(rows) - 1} more like it)" if len(rows) > 1 else ""
        raise InputError(
            f"{notes.path}, row {first}, column '{text.name}': '{text[first]:.80}' {why}{more}"
        )


def count_rows(text: pd.Series, which) -> int:
    """How many rows have one of these values."""
    return int(np.asarray(which)[text.cat.codes].sum())
