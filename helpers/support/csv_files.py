"""Reading CSV, whatever its delimiter; each row keeps its number.

An editor counts so: the file's first line is row 1, and a row that goes on over several lines has
the number of its last.
"""

from __future__ import annotations

import csv
import re
from array import array
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from helpers.support.errors import InputError
from helpers.support.notes import Notes
from helpers.support.text_columns import TextColumn, find_columns, make_table
from helpers.support.text_files import check_lines, find_encoding, open_text, read_blocks

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
TOLD = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line, as a spreadsheet writes it
LOOKED_AT = 100  # lines at the beginning, that tell the delimiter
BLOCK = 1 << 22  # bytes that are read at a time, where each line is a row


def read_csv(path: Path, wanted: list[str] | None, notes: Notes) -> pd.DataFrame:
    """The wanted columns, or all of them."""
    with open_text(path, "UTF-8") as file:
        table = read_plain(path, wanted, *find_form(file))
    if table is not None:
        return table
    encoding = find_encoding(path, notes)
    with open_text(path, encoding) as file:
        delimiter, above, _ = find_form(file)
    with open_text(path, encoding) as file:
        return read_rows(number_rows(file, delimiter, above, notes), wanted, path)


def find_form(file: TextIO) -> tuple[str, int, str]:
    """What divides values, how many lines are above the header, and the header's line."""
    first = list(islice(file, LOOKED_AT))
    told = TOLD.fullmatch(first[0]) if first else None
    above = 1 if told else 0
    return told[1] if told else find_delimiter(first), above, "".join(first[above : above + 1])


def find_delimiter(lines: list[str]) -> str:
    """What divides most of the lines into as many values as the first, more than one."""

    def fit(delimiter: str) -> tuple[int, int]:
        widths = []
        with suppress(csv.Error):
            widths += (len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        width = widths[0] if widths else 0
        return widths.count(width) * (width > 1), width

    return max(DELIMITERS, key=fit)


# -- where each line is a row: by Arrow, which is quick, and does not say where a fault is


def read_plain(
    path: Path, wanted: list[str] | None, delimiter: str, above: int, first: str
) -> pd.DataFrame | None:
    """None where there is a fault, or a line is not a row. `first` is the header's line."""
    try:
        header = next(csv.reader([first], delimiter=delimiter, strict=True), [])
        places = find_columns(header, wanted, path)
    except (csv.Error, InputError):  # to be told by the other way
        return None
    if not places or not first.strip() or not delimiter.isascii():
        return None
    columns = [str(place) for place in places]
    kinds = dict.fromkeys(columns, pa.dictionary(pa.int32(), pa.string()))
    options = {
        "parse_options": pa.csv.ParseOptions(delimiter=delimiter),
        "convert_options": pa.csv.ConvertOptions(
            column_types=kinds, include_columns=columns, check_utf8=False
        ),
    }

    def read_block(numbered: tuple[int, bytes]) -> pa.Table | None:
        number, block = numbered
        skipped = 0 if number else above + 1
        mark = number and block.startswith(BOM_UTF8)  # here it is text, and Arrow would drop it
        if mark or not is_plain(block, delimiter):
            return None
        names = [str(place) for place in range(len(header))]
        how = pa.csv.ReadOptions(
            use_threads=False, block_size=2 * BLOCK, column_names=names, skip_rows=skipped
        )
        try:
            table = pa.csv.read_csv(pa.BufferReader(block), how, **options)
        except pa.ArrowInvalid:
            return None
        return table if len(table) == block.count(b"\n") - skipped else None

    tables = []
    for table in map_ahead(read_block, enumerate(read_blocks(path, BLOCK))):
        if table is None:
            return None
        tables.append(table)
    whole = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    found = zip(places, whole.columns, strict=True)
    return pd.DataFrame(
        {header[place]: make_categorical(column.chunk(0)) for place, column in found},
        pd.RangeIndex(above + 2, above + 2 + len(whole)),
    )


def is_plain(block: bytes, delimiter: str) -> bool:
    """Whether it is text in UTF-8, in lines that have an end, with quotes around whole values."""
    try:
        if not block.isascii():
            block.decode()
    except UnicodeDecodeError:
        return False
    if b"\0" in block or not block.endswith(b"\n"):
        return False
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return False
    return b'"' not in block or quotes_enclose(block, delimiter)


def quotes_enclose(block: bytes, delimiter: str) -> bool:
    """Whether double quotes stand around whole values alone, and each of those in one line."""
    text = np.frombuffer(b"\n" + block, np.uint8)
    quotes, lines = np.flatnonzero(text == ord('"')), np.flatnonzero(text == ord("\n"))
    if len(quotes) % 2:
        return False
    first, last = quotes[::2], quotes[1::2]
    begins = np.isin(text[first - 1], [ord("\n"), ord(delimiter)])
    ends = np.isin(text[last + 1], [ord("\n"), ord("\r"), ord(delimiter)])
    in_one_line = np.searchsorted(lines, first) == np.searchsorted(lines, last)
    return bool((begins & ends & in_one_line).all())


def map_ahead(function: Callable, items: Iterable) -> Iterator:
    """As `map`, on all processors; no more items are taken ahead than are at work."""
    waiting, processors = deque(), pa.cpu_count()
    with ThreadPoolExecutor(processors) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > processors:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def make_categorical(column: pa.DictionaryArray) -> pd.Categorical:
    """Its values without spaces around them, in the order in which they come."""
    stripped = pa.compute.utf8_trim_whitespace(column.dictionary)
    codes, names = column.indices.to_numpy(), pd.Index(stripped.to_pandas(), dtype=str)
    if not stripped.equals(column.dictionary):  # two values may be one now
        numbers, names = pd.factorize(names)
        codes = numbers[codes]
    return pd.Categorical.from_codes(codes, names, validate=False)


# -- row by row, by Python's own reader, which tells the line of what cannot be read


def read_rows(
    rows: Iterator[tuple[int, list[str]]], wanted: list[str] | None, path: Path
) -> pd.DataFrame:
    """Row by row; the first is the header."""
    row, header = next(rows, (1, []))
    if not header:
        raise InputError(f"{path}: the file is empty; give a file with a header and rows")
    places, numbers = find_columns(header, wanted, f"{path}, row {row}"), array("q")
    columns = {header[place]: TextColumn() for place in places}
    cells = [
        (place, column.numbers.__getitem__, column.rows.append)
        for place, column in zip(places, columns.values(), strict=True)
    ]
    for number, row in rows:
        numbers.append(number)
        for place, code, keep in cells:
            keep(code(row[place].strip()))
    return make_table(columns, np.asarray(numbers))


def number_rows(
    file: TextIO, delimiter: str, above: int, notes: Notes
) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number."""
    path, lines = notes.path, note_end(check_lines(file, notes), notes)
    reader = csv.reader(islice(lines, above, None), delimiter=delimiter, strict=True)
    header, end, long = None, above, []
    try:
        for row in reader:
            start, end = end + 1, above + reader.line_num
            if not row:  # blank lines are no rows
                continue
            header = header or row
            if len(row) != len(header):
                raise InputError(
                    f"{path}, row {end}: {len(row)} values under {len(header)} columns; correct "
                    f"it, and put a value that holds {DELIMITERS.get(delimiter, delimiter)} in "
                    f"double quotes"
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


def note_end(lines: Iterator[str], notes: Notes) -> Iterator[str]:
    line = "\n"
    for line in lines:
        yield line
    if line[-1] not in "\r\n":
        notes.add("", "the last line has no end; look whether the file was cut short")
