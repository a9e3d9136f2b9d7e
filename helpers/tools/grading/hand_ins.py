"""The hand-ins in a folder: whose they are, and which of the course's notebooks they hold."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from helpers.support.files import make_folder

LARGEST = 64 * 2**20  # bytes of a notebook or a zip in a zip; a larger one is not looked at
MOST = 2000  # files of a hand-in that are looked at
UNOPENED = (".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz")  # archives that are no zips
COPY = re.compile(r"\W*(copy)?\W*\d*\W*", re.IGNORECASE)  # what a system adds to a second file
NO_NAME = "(no name)"


@dataclass
class HandIn:
    """One student's notebooks: those of the course by their names, and what to say of the rest."""

    student: str
    files: dict[str, Path] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    saved: dict[str, float] = field(default_factory=dict)

    def digest(self, *besides: str) -> str:
        """A text that changes with what was handed in, and with what is given besides."""
        parts = [self.student, *besides, *self.remarks]
        for name, path in sorted(self.files.items()):
            parts += [name, hashlib.sha256(path.read_bytes()).hexdigest()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Found(NamedTuple):
    """A file of a hand-in, and how to read it."""

    name: str
    saved: float
    read: Callable[[], bytes]


def collect(folder: Path, notebooks: list[str], out: Path) -> list[HandIn]:
    """The hand-ins of a folder, in the order of the students; their notebooks are copied to `out`.

    A student is a subfolder, a zip, or single notebooks whose names begin alike:

        Anna Meier/...                      Anna Meier, with all notebooks in there
        anna.zip                            anna, with all notebooks in it
        anna_00_start_here.ipynb            anna
        anna - 01_data_prep (2).ipynb       anna
        01_data_prep_anna.ipynb             anna
        Anna Meier/work.zip                 Anna Meier, as learning platforms give it out

    A notebook is known by the course's name for it, whatever stands around that in its own. Of two
    that are the same notebook the one that was saved last is taken, which is said.
    """
    students: dict[str, HandIn] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__MACOSX")) or path.is_symlink():
            continue
        student = name_student(path, notebooks)
        if student is not None:
            hand_in = students.setdefault(student, HandIn(student))
            take(path, hand_in, notebooks, out / hash_name(student))
    return [students[name] for name in sorted(students, key=str.casefold)]


def name_student(path: Path, notebooks: list[str]) -> str | None:
    """Whose a file or folder is; None of what is nobody's."""
    if path.is_dir():
        return tell_name(path.name)
    kind = path.suffix.lower()
    if kind in UNOPENED:
        return tell_name(re.sub(r"(?i)\.tar$", "", path.stem))
    if kind not in (".zip", ".ipynb"):
        return None
    name = tell_name(path.stem)
    if kind == ".ipynb" and (stem := find_stem(name, notebooks)):
        before, after = re.split(re.escape(stem), name, maxsplit=1, flags=re.IGNORECASE)
        name = before.strip(" _-.") or ("" if COPY.fullmatch(after) else after.strip(" _-.()"))
    return name or NO_NAME


def tell_name(name: str) -> str:
    """A file's name as text, whatever bytes it has, with one form for each letter."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


def find_stem(name: str, notebooks: list[str]) -> str | None:
    """The course's name of a notebook that stands in another name."""
    return next((stem for stem in notebooks if stem.lower() in name.lower()), None)


def hash_name(student: str) -> str:
    """A name for files, whatever letters a student's has."""
    return hashlib.sha256(student.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def take(path: Path, hand_in: HandIn, notebooks: list[str], out: Path) -> None:
    """Copies the notebooks of a folder, a zip or a file to `out`, and notes them."""
    make_folder(out, "FOLDER")
    for count, found in enumerate(list_files(path, hand_in.remarks)):
        if count == MOST:
            hand_in.remarks.append(f"only its first {MOST} files were looked at")
            break
        stem = find_stem(PurePosixPath(found.name).stem, notebooks)
        if stem is None:
            hand_in.remarks.append(f"{found.name} is no notebook of the course")
            continue
        if stem in hand_in.files:
            hand_in.remarks.append(f"{stem} is there twice; the one that was saved last counts")
            if hand_in.saved[stem] >= found.saved:
                continue
        try:
            text = found.read()
        except Exception as error:  # a zip's packers have each an error of their own
            hand_in.remarks.append(f"{found.name} cannot be read ({error})")
            continue
        copy = out / f"{stem}.ipynb"
        copy.write_bytes(text)
        hand_in.files[stem], hand_in.saved[stem] = copy, found.saved


def list_files(path: Path, remarks: list[str]) -> Iterator[Found]:
    """The notebooks in a folder, a zip or of one file; links, and what is hidden, are left out."""
    name, kind = tell_name(path.name), path.suffix.lower()
    if path.is_symlink() or name.startswith((".", "__MACOSX")):
        return
    if path.is_dir():
        try:
            inside = sorted(path.iterdir())
        except OSError:
            remarks.append(f"{name} cannot be read")
            return
        for inner in inside:
            yield from list_files(inner, remarks)
    elif kind == ".zip":
        yield from list_zip(path, remarks)
    elif kind in UNOPENED:
        remarks.append(f"{name} is no zip and was not opened; unpack it, or ask for a zip")
    elif kind == ".ipynb" and path.is_file():
        if path.stat().st_size > LARGEST:
            remarks.append(f"{name} is too large to be a notebook")
        else:
            yield Found(name, path.stat().st_mtime, path.read_bytes)


def list_zip(path: Path, remarks: list[str]) -> Iterator[Found]:
    """The notebooks in a zip, each of which is read by itself, wherever its name would lead."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception:  # of whatever is broken in there
        remarks.append(f"{tell_name(path.name)} cannot be read as a zip; ask for another one")
        return
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        kind = name.suffix.lower()
        hidden = any(re.match(r"\.[^.]|__MACOSX", part) for part in name.parts)
        if entry.is_dir() or hidden:
            continue
        if kind in (".zip", *UNOPENED):
            remarks.append(f"{name.name} lies in a zip and was not opened; unpack it")
        elif kind == ".ipynb" and entry.file_size > LARGEST:
            remarks.append(f"{name.name} is too large to be a notebook")
        elif kind == ".ipynb":
            yield Found(name.name, read_date(entry), partial(read_entry, path, entry))


def read_entry(path: Path, entry: zipfile.ZipInfo) -> bytes:
    """A file in a zip, of which no more is read than a notebook may have, whatever size is said."""
    with zipfile.ZipFile(path) as archive, archive.open(entry) as file:
        return file.read(LARGEST)


def read_date(entry: zipfile.ZipInfo) -> float:
    with suppress(ValueError, OverflowError, OSError):
        return datetime(*entry.date_time).timestamp()
    return 0.0
