"""Reading CSV, whatever its delimiter; each row keeps its number.

An editor counts so: the file's first line is row 1, and a row that goes on over several lines has
the number of its last.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from helpers.support.errors import InputError
from helpers.support.file_kinds import open_bytes
from helpers.support.notes import Notes
from helpers.support.text_columns import TextColumn, find_columns, make_table
from helpers.support.text_files import (
    BLOCK,
    check_lines,
    find_encoding,
    open_text,
    read_blocks,
)

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
TOLD = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line, as a spreadsheet writes it
LOOKED_AT = 100  # lines at the beginning, that tell the delimiter


def read_csv(path: Path, wanted: list[str] | None, notes: Notes) -> pd.DataFrame:
    """The wanted columns, or all of them."""
    encoding, lines = find_encoding(path, notes)
    with open_text(path, encoding) as file:
        first = list(islice(file, LOOKED_AT))
    told = TOLD.fullmatch(first[0]) if first else None
    delimiter = told[1] if told else find_delimiter(first)
    above = 1 if told else 0  # lines above the header
    table = None
    if lines and first[above:] and first[above].strip() and quotes_enclose(path, delimiter):
        table = read_plain(path, wanted, delimiter, first[above], above, lines)
    if table is None:
        with open_text(path, encoding) as file:
            table = read_rows(number_rows(file, delimiter, above, notes), wanted, path)
    return table


def find_delimiter(lines: list[str]) -> str:
    """What divides most of the lines into as many values as the first, more than one."""

    def fit(delimiter: str) -> tuple[int, int]:
        widths = []
        with suppress(csv.Error):
            widths += (len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        width = widths[0] if widths else 0
        return widths.count(width) * (width > 1), width

    return max(DELIMITERS, key=fit)


def quotes_enclose(path: Path, delimiter: str) -> bool:
    """Whether each double quote begins a value or ends one, as far as counting tells."""
    divide = delimiter.encode()
    for block in read_blocks(path):
        if quotes := block.count(b'"'):
            begin = block.startswith(b'"') + block.count(b'\n"') + block.count(divide + b'"')
            end = sum(block.count(b'"' + after) for after in (divide, b"\n", b"\r\n"))
            if not begin == end == quotes / 2:
                return False
    return True


def read_plain(
    path: Path, wanted: list[str] | None, delimiter: str, first: str, above: int, lines: int
) -> pd.DataFrame | None:
    """By Arrow, which is quick, and does not say where a fault is.

    `first` is the header's line. None where there is a fault, or where a line is not a row.
    """
    try:
        header = next(csv.reader([first], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    places = find_columns(header, wanted, f"{path}, row {above + 1}")
    columns = {str(place): TextColumn() for place in places}
    kind = pa.dictionary(pa.int32(), pa.string())
    with open_bytes(path) as file:
        try:
            blocks = pa.csv.open_csv(
                file,
                pa.csv.ReadOptions(
                    column_names=[str(place) for place in range(len(header))],
                    skip_rows=above + 1,
                    block_size=BLOCK,
                ),
                pa.csv.ParseOptions(delimiter=delimiter),
                pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, kind), include_columns=list(columns)
                ),
            )
            for block in blocks:
                for column, values in zip(columns.values(), block.columns, strict=True):
                    numbers = [
                        column.numbers[text.strip()] for text in values.dictionary.to_pylist()
                    ]
                    rows = np.array(numbers, np.int32)[values.indices.to_numpy()]
                    column.rows.frombytes(rows.tobytes())
        except pa.ArrowInvalid:
            return None
    rows = np.arange(above + 2, lines + 1)
    if any(len(column.rows) != len(rows) for column in columns.values()):
        return None
    return make_table({header[int(place)]: columns[place] for place in columns}, rows)


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
    """Each row with its number. Python's own reader tells the line of what cannot be read."""
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
