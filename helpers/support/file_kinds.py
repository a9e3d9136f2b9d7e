"""What a file is, told by its content and not by its name, and the refusal of what is no log."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import BinaryIO

from helpers.support.errors import InputError

READABLE = "CSV, XES, Parquet or JSON lines"
SPREADSHEET = ("a spreadsheet", "save it there as CSV in UTF-8")
DATABASE = ("an SQLite database", "export the events from it as CSV, one in a row")
OCEL = (
    "an object-centric log (OCEL), in which an event may have several objects",
    "flatten it to one type of object, with a row for each event of each object, as CSV",
)
PICKLE = ("a Python pickle, which can run code when it is read", f"save it as {READABLE}")
# How files begin that are no logs, what they are, and what to do.
BEGINNINGS = {
    b"PK\x03\x04": ("a zip archive", "unpack it and give the file in it"),
    b"PK\x05\x06": ("an empty zip archive", "give the log itself"),
    b"\xd0\xcf\x11\xe0": SPREADSHEET,  # of Excel before 2007
    b"SQLite format 3\0": DATABASE,
    b"BZh91AY&SY": ("compressed by bzip2", "unpack it, or compress it by gzip"),
    b"\xfd7zXZ": ("compressed by xz", "unpack it, or compress it by gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it, or compress it by gzip"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it and give the file in it"),
    b"Rar!\x1a": ("a RAR archive", "unpack it and give the file in it"),
    b"ARROW1\0\0": ("a Feather (Arrow) file", "save it as Parquet"),
    b"Obj\x01": ("an Avro file", "save it as Parquet"),
    b"\x89HDF": ("an HDF5 file", f"save it as {READABLE}"),
    b"\x93NUMPY": ("a NumPy array", f"save it as {READABLE}"),
    b"%PDF-": ("a PDF", "ask for the table itself, as CSV"),
    b"\x80\x02": PICKLE,
    b"\x80\x03": PICKLE,
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
}
WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
JSON = re.compile(rb'\s*(\{\s*["}]|\[\s*[\[{\]])')
HEAD = 1 << 16  # bytes


def open_bytes(path: Path) -> BinaryIO:
    """The file's content, unpacked where it is compressed by gzip, whatever its name says."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else open(path, "rb")


def tell_kind(path: Path) -> str:
    """ "csv", "xml", "json" or "parquet"; an InputError says what another file is."""
    with open_bytes(path) as file:
        head = file.read(HEAD)
    for beginning, (what, remedy) in BEGINNINGS.items():
        if head.startswith(beginning):
            if beginning[:2] == b"PK" and re.search(rb"xl/|opendocument\.spreadsheet", head):
                what, remedy = SPREADSHEET
            if b"event_map_type" in head:
                what, remedy = OCEL
            raise InputError(f"{path}: is {what}; {remedy}")
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.replace(b"\0", b"")  # of UTF-16, too
    text = text.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if WEB_PAGE.match(text):
        raise InputError(f"{path}: is a web page; download the log itself, as {READABLE}")
    if text.lstrip().startswith(b"<"):
        return "xml"
    return "json" if JSON.match(text) else "csv"
