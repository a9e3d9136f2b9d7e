"""Reading JSON: an object on each line, or one array of objects; an object is an event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.support.errors import InputError
from helpers.support.file_kinds import OCEL
from helpers.support.notes import Notes
from helpers.support.text_columns import GrowingTable
from helpers.support.text_files import check_lines, find_encoding, open_text

OCEL_KEYS = {"ocel:global-log", "ocel:events", "ocel:objects", "objectTypes", "eventTypes"}
TEXTS = {None: "", True: "true", False: "false"}  # of what is no text and no number


def read_json(path: Path, wanted: list[str] | None, notes: Notes) -> pd.DataFrame:
    """The wanted columns, or all that hold one value each; one within another is "outer.inner"."""
    table, rows = GrowingTable(wanted), []
    encoding = find_encoding(path, notes)
    with open_text(path, encoding) as file:
        for row, event in number_objects(check_lines(file, notes), notes):
            if not isinstance(event, dict):
                raise InputError(f"{path}, {notes.row} {row}: no JSON object; write one an event")
            if OCEL_KEYS & event.keys():
                raise InputError(f"{path}: is {OCEL[0]}; {OCEL[1]}")
            values = {}
            for name, value in flatten(event):
                if isinstance(value, str):
                    values[name] = value
                elif not isinstance(value, list):
                    values[name] = TEXTS[value]
                elif wanted and name in wanted:
                    raise InputError(
                        f"{path}, {notes.row} {row}, column '{name}': holds a list, not one "
                        f"value; make a column of each"
                    )
            table.fill(values, len(rows), len(rows) + 1)
            rows.append(row)
    return table.finish(np.array(rows), path)


def number_objects(lines: Iterator[str], notes: Notes) -> Iterator[tuple[int, object]]:
    """Each line's object with the line's number, or each of an array's with its own, from 1."""
    numbered = ((row, line) for row, line in enumerate(lines, 1) if line.strip())
    row, line = next(numbered)
    alone = False
    with suppress(json.JSONDecodeError):
        alone = line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    if alone:
        yield row, parse(row, line, notes)
        for row, line in numbered:
            yield row, parse(row, line, notes)
    else:  # one array or one object over several lines
        whole = parse(row, line + "".join(lines), notes)
        notes.row = "object"
        yield from enumerate(whole if isinstance(whole, list) else [whole], 1)


def parse(row: int, text: str, notes: Notes):
    """Numbers stay as they are written."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{notes.path}, row {row + error.lineno - 1}: not valid JSON ({error.msg}); write one "
            f"object a line, or one array of objects"
        ) from None


def flatten(values: dict, start: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{start}{name}.")
        else:
            yield start + name, value
