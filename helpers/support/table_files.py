"""Reading a file as a table of text: CSV, XES, Parquet or JSON lines, told by its content.

A column is kept as its different values and, for each row, the number of its value (a categorical
Series of text, blanks as ""): most work is then done once a value. The index counts rows as an
editor does, so a CSV's header is row 1, the first of JSON's lines is row 1, and so is the first
event of XES.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa

from helpers.support.csv_files import read_csv
from helpers.support.errors import InputError
from helpers.support.file_kinds import READABLE, tell_kind
from helpers.support.json_files import read_json
from helpers.support.notes import Notes
from helpers.support.text_columns import find_columns
from helpers.support.xes_files import read_xes


def read_table(path: str | Path, wanted: list[str] | None, notes: Notes) -> pd.DataFrame:
    """The wanted columns, or all of them, of a file or of a folder of Parquet files.

    Text without spaces around it. An InputError says what a file is that is no log, and what to do.
    """
    path = Path(path).expanduser()
    readers = {"csv": read_csv, "xml": read_xes, "json": read_json, "parquet": read_parquet}
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        kind = "parquet" if path.is_dir() else tell_kind(path)
        table = readers[kind](path, wanted, notes)
    except InputError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        LookupError,  # of an encoding
        NotImplementedError,
        RecursionError,
        zlib.error,
        pa.ArrowException,
    ) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); give a whole file, of {READABLE}"
        ) from None
    if table.empty:
        raise InputError(f"{path}: a header and no rows; give a log with events")
    return table


def read_parquet(path: Path, wanted: list[str] | None, notes: Notes) -> pd.DataFrame:
    """Column by column, as text, as in a CSV, so that both are read alike.

    A folder's files follow each other by name; what folders within it are named, as "year=2024",
    is a column of their files.
    """
    from pyarrow.dataset import dataset  # which few logs need

    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if is_part(file.relative_to(path)))
        if not files:
            raise InputError(f"{path}: is a folder without Parquet files; give a file, or one with")
    data = dataset(
        list(map(str, files)),
        format="parquet",
        partitioning="hive" if path.is_dir() else None,
        partition_base_dir=str(path),
    )
    header, table = data.schema.names, {}
    for place in find_columns(header, wanted, path):
        column, kind = header[place], data.schema.field(place).type
        if pa.types.is_nested(kind):
            if wanted is None:
                continue
            raise InputError(
                f"{path}, column '{column}': holds {kind} in each row, not one value; make a "
                f"column of each"
            )
        # In Arrow's types: pandas' own make 1.0 of a 1 where blanks stand beside it.
        values = data.to_table(columns=[column])[column].to_pandas(types_mapper=pd.ArrowDtype)
        text = values.astype("string").fillna("").astype(str)
        table[column] = text.str.strip().astype("category")
    return pd.DataFrame(table).set_axis(range(2, data.count_rows() + 2))


def is_part(file: Path) -> bool:
    """Whether a file of a folder is a part of its table; what begins so is of other programs."""
    beside = any(name.startswith(("_", ".")) for name in file.parts)
    return file.suffix.lower() in (".parquet", ".pq") and not beside
