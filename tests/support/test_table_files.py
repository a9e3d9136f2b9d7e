"""Which reader a file is given to, by what it is: files of other kinds, folders, the home."""

import gzip
import io
import pickle
import sqlite3
import zipfile

import numpy as np
import pandas as pd
import pytest
from small import refused

from helpers.support.notes import Notes
from helpers.support.table_files import read_table

FRAME = pd.DataFrame({"a": ["1", "2"], "b.c": ["x", "y"]})
CSV = FRAME.to_csv(index=False)


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return out.getvalue()


def database(*tables: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    for table in tables:
        connection.execute(f"CREATE TABLE {table} (a TEXT)")
    return connection.serialize()


def saved(write) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


OTHERS = {
    "a spreadsheet": (zipped("[Content_Types].xml", "xl/workbook.xml"), ["a spreadsheet", "CSV"]),
    "another spreadsheet": (
        zipped("mimetype", "content.xml").replace(b"a,b.c", b"opendocument.spreadsheet"),
        ["a spreadsheet", "save it there as CSV"],
    ),
    "an old spreadsheet": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), ["a spreadsheet"]),
    "a zip": (zipped("log.csv"), ["a zip archive", "unpack it"]),
    "a database": (database("events"), ["an SQLite database", "export the events"]),
    "an object-centric database": (
        database("event", "object", "event_map_type"),
        ["object-centric", "flatten it"],
    ),
    "a pickle": (pickle.dumps(FRAME), ["a Python pickle", "run code", "Parquet"]),
    "a Feather file": (saved(FRAME.to_feather), ["Feather", "save it as Parquet"]),
    "an array": (saved(lambda out: np.save(out, np.zeros(3))), ["NumPy array", "save it as CSV"]),
    "a PDF": (b"%PDF-1.7\n", ["a PDF", "as CSV"]),
    "a web page": (b"\n<!DOCTYPE html>\n<html></html>\n", ["a web page", "download"]),
    "other XML": (b"<?xml version='1.0'?><rows/>", ["is XML, and not XES", "save the log"]),
    "packed otherwise": (b"BZh91AY&SY" + bytes(50), ["compressed by bzip2", "gzip"]),
    "a spreadsheet, packed": (
        gzip.compress(zipped("[Content_Types].xml", "xl/workbook.xml")),
        ["a spreadsheet"],
    ),
    "nothing": (b"", ["the file is empty", "a header and rows"]),
}


@pytest.mark.parametrize("name", ["log.csv", "log.parquet", "log.gz"])
@pytest.mark.parametrize("content, words", OTHERS.values(), ids=OTHERS)
def test_another_kind_of_file_is_named_whatever_it_is_called(tmp_path, content, words, name):
    path = tmp_path / name
    path.write_bytes(content)
    refused(lambda: read_table(path, ["a"], Notes(path)), *words, start=f"{path}: ")


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet", "log", "log.xlsx"])
def test_a_table_is_read_whatever_it_is_called(tmp_path, name):
    path = tmp_path / name
    for content in (CSV.encode(), gzip.compress(CSV.encode()), saved(FRAME.to_parquet)):
        path.write_bytes(content)
        frame = read_table(path, None, Notes(path))
        assert frame.astype(str).reset_index(drop=True).equals(FRAME)
        assert frame.index.tolist() == [2, 3]


def test_a_folder_of_parquet_files_is_one_table_in_the_order_of_their_names(tmp_path):
    for name, at in {"b": 1, "a": 0}.items():
        FRAME[at : at + 1].to_parquet(tmp_path / f"{name}.parquet")
    for name in ("_beside.parquet", ".hidden.parquet", "_SUCCESS", "notes.txt"):
        (tmp_path / name).write_text("no table")
    frame = read_table(tmp_path, ["b.c", "a"], Notes(tmp_path))
    assert frame.astype(str).reset_index(drop=True).equals(FRAME[["b.c", "a"]])
    assert frame.index.tolist() == [2, 3]


def test_what_folders_are_named_is_a_column(tmp_path):
    outer = tmp_path / "not=mine"
    for year in (2024, 2023):
        (outer / f"year={year}").mkdir(parents=True)
        FRAME[:1].to_parquet(outer / f"year={year}" / "part.parquet")
    frame = read_table(outer, None, Notes(outer))
    assert frame.astype(str).to_dict("list") == {
        "a": ["1", "1"],
        "b.c": ["x", "x"],
        "year": ["2023", "2024"],
    }
    file = outer / "year=2024" / "part.parquet"
    assert list(read_table(file, None, Notes(file))) == ["a", "b.c"]


def test_a_folder_without_a_table_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text(CSV)
    words = ("is a folder without Parquet files", "give a file")
    refused(lambda: read_table(tmp_path, None, Notes(tmp_path)), *words, start=tmp_path)


def test_a_column_of_lists_is_left_out_where_all_are_asked_for(tmp_path):
    path = tmp_path / "log.parquet"
    FRAME.assign(many=[["x"], ["y", "z"]]).to_parquet(path)
    assert list(read_table(path, None, Notes(path))) == ["a", "b.c"]


def test_the_home_is_known(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "log.csv").write_text(CSV)
    notes = Notes("~/log.csv")
    assert len(read_table("~/log.csv", None, notes)) == 2
    assert notes.path == tmp_path / "log.csv"
