"""The hand-ins in a folder: whose they are, and which of the course's notebooks they hold."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
import zlib
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


@dataclass
class HandIn:
    """One student's notebooks: those of the course by their names, and what to say of the rest."""

    student: str
    files: dict[str, Path] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def digest(self, *besides: str) -> str:
        """A text that changes with what was handed in, and with what is given besides."""
        parts = [self.student, *besides]
        for name, path in sorted(self.files.items()):
            parts += [name, hashlib.sha256(path.read_bytes()).hexdigest()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Found(NamedTuple):
    """A file of a hand-in, and how to write it elsewhere."""

    name: str
    saved: float
    write: Callable[[Path], None]


def collect(folder: Path, notebooks: list[str], out: Path) -> list[HandIn]:
    """The hand-ins of a folder, in the order of the students; their notebooks are copied to `out`.

    A student is a subfolder, a zip, or single notebooks whose names begin alike:

        Anna Meier/...                      Anna Meier, with all notebooks in there
        anna.zip                            anna, with all notebooks in it
        anna_00_start_here.ipynb            anna
        anna - 01_data_prep (2).ipynb       anna
        Anna Meier/work.zip                 Anna Meier, as learning platforms give it out

    A notebook is known by the course's name for it, whatever stands around that in its own. Of two
    that are the same notebook the one that was saved last is taken, which is said.
    """
    students: dict[str, HandIn] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__MACOSX")) or path.is_symlink():
            continue
        student = path.name if path.is_dir() else path.stem
        if path.suffix == ".ipynb" and (stem := find_stem(path.stem, notebooks)):
            student = student[: student.lower().index(stem.lower())].strip(" _-.")
        elif not path.is_dir() and path.suffix.lower() not in (".zip", ".ipynb"):
            continue
        hand_in = students.setdefault(student, HandIn(student or "(no name)"))
        take(path, hand_in, notebooks, out / hash_name(student))
    return [students[name] for name in sorted(students, key=str.casefold)]


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
        copy = out / f"{stem}.ipynb"
        if stem in hand_in.files:
            hand_in.remarks.append(f"{stem} is there twice; the one that was saved last counts")
            if copy.stat().st_mtime >= found.saved:
                continue
        found.write(copy)
        hand_in.files[stem] = copy


def list_files(path: Path, remarks: list[str]) -> Iterator[Found]:
    """The notebooks in a folder, a zip or of one file; links, and what is hidden, are left out."""
    if path.is_symlink() or path.name.startswith((".", "__MACOSX")):
        return
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            yield from list_files(inner, remarks)
    elif path.suffix.lower() == ".zip":
        yield from list_zip(path, remarks)
    elif path.suffix.lower() == ".ipynb" and path.is_file():
        if path.stat().st_size > LARGEST:
            remarks.append(f"{path.name} is too large to be a notebook")
        else:
            yield Found(path.name, path.stat().st_mtime, lambda copy: shutil.copy2(path, copy))


def list_zip(path: Path, remarks: list[str]) -> Iterator[Found]:
    """The notebooks in a zip. Each is written by itself, wherever its name would lead."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = PurePosixPath(entry.filename.replace("\\", "/"))
                hidden = any(re.match(r"\.[^.]|__MACOSX", part) for part in name.parts)
                if entry.is_dir() or name.suffix.lower() != ".ipynb" or hidden:
                    continue
                if entry.file_size > LARGEST:
                    remarks.append(f"{name.name} is too large to be a notebook")
                    continue
                with archive.open(entry) as file:  # whatever size is said, no more than that
                    text = file.read(LARGEST)
                yield Found(name.name, read_date(entry), partial(Path.write_bytes, data=text))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError):
        remarks.append(f"{path.name} cannot be read as a zip; ask for another one")


def read_date(entry: zipfile.ZipInfo) -> float:
    with suppress(ValueError, OverflowError, OSError):
        return datetime(*entry.date_time).timestamp()
    return 0.0
