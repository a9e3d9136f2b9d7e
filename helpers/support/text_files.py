"""Reading text: in UTF-8, in what a mark at the beginning says, or else in Windows-1252."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from helpers.support.errors import InputError
from helpers.support.file_kinds import open_bytes
from helpers.support.notes import Notes

# What text never holds: NUL, and bytes that are not of its encoding.
UNREADABLE = re.compile("[\0\udc80-\udcff]")
MARKS = {  # at the beginning of a file; the longer first, since one begins as another
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
BLOCK = 1 << 20  # bytes


def read_blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    """The file's content; each block but the last ends where a line does."""
    with open_bytes(path) as file:
        while block := file.read(size) + file.readline():
            yield block


def find_encoding(path: Path, notes: Notes) -> str:
    """The encoding. A note names one that nothing in the file names."""
    lines, ascii_so_far = 0, True
    for block in read_blocks(path):
        for mark, encoding in MARKS.items():
            if lines == 0 and block.startswith(mark):
                return encoding
        try:
            block.decode()
        except UnicodeDecodeError as error:
            before = block[: error.start]
            if not (ascii_so_far and before.isascii()):  # UTF-8 with a fault, to be named by row
                return "UTF-8"
            notes.add(
                f"row {lines + before.count(10) + 1}",
                "is not UTF-8; the file is read as Windows-1252, of Western Europe: look whether "
                "the letters are right, or save it in UTF-8",
            )
            return "Windows-1252"
        ascii_so_far = ascii_so_far and block.isascii()
        lines += block.count(b"\n")
    return "UTF-8"


def open_text(path: Path, encoding: str) -> TextIO:
    """What cannot be decoded becomes what UNREADABLE finds; a mark at the beginning is no text."""
    codec = "utf-8-sig" if encoding == "UTF-8" else encoding
    return io.TextIOWrapper(open_bytes(path), encoding=codec, errors="surrogateescape", newline="")


NO_TEXT = {"utf-8-sig": "not UTF-8", "Windows-1252": "neither UTF-8 nor Windows-1252"}


def check_lines(file: TextIO, notes: Notes) -> Iterator[str]:
    """The lines; an InputError names the row of what is no text."""
    for row, line in enumerate(file, 1):
        if "\0" in line or not line.isascii() and UNREADABLE.search(line):
            what = NO_TEXT.get(file.encoding, f"not {file.encoding}")
            raise InputError(f"{notes.path}, row {row}: {what} text; save the file in UTF-8")
        yield line
