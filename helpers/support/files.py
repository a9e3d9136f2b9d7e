"""Where the project's files lie; writing that leaves the old file or the whole new one."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from helpers.support.errors import InputError

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
STORED = DATA / "runs"  # runs that come with the course, trained to the end


def read_json(path: str | Path) -> dict:
    """The object in a JSON file; an InputError names the file and the line otherwise."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        given = json.loads(text, object_pairs_hook=lambda pairs: _refuse_repeated_keys(pairs, path))
        json.dumps(given, ensure_ascii=False).encode()  # half a letter, "\ud800", cannot be written
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except InputError:
        raise
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}: not valid JSON ({error.msg}); correct that line"
        ) from None
    except (OSError, ValueError, RecursionError) as error:  # no text; endless digits or brackets
        raise InputError(f"{path}: cannot be read as text ({error}); give a JSON file") from None
    if not isinstance(given, dict):
        raise InputError(
            f"{path}: expected a JSON object {{...}}, found {type(given).__name__}; "
            f"put braces around keys and values"
        )
    return given


def _refuse_repeated_keys(pairs: list[tuple], path: str | Path) -> dict:
    keys = [key for key, _ in pairs]
    if repeated := [key for key in keys if keys.count(key) > 1]:
        raise InputError(
            f"{path}: key '{repeated[0]}' stands twice in one object; rename or remove one"
        )
    return dict(pairs)


def make_folder(folder: Path, option: str) -> None:
    """Makes a folder where there is none; an InputError names the option that asked for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{option}: '{folder}' cannot be made a folder ({error.strerror}); name another"
        ) from None


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file beside its place, by ``write(path)``, and moves it there when it is whole.

    An OSError names the file otherwise, and what was there before is still there.
    """
    part = path.with_name(f".part.{path.name}")  # the ending stays: some writers add it
    try:
        write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())  # or a power cut could leave an empty file in its place
        os.replace(part, path)
    except OSError as error:  # a full disk says what is wrong, but not where
        raise OSError(
            f"{path}: not written ({error.strerror or error}); make room or name another "
            f"folder; what was there before is whole"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Writes a CSV, making its folder; it takes the old one's place when it is whole."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    replace_file(Path(path), lambda part: table.to_csv(part, index=False))


def write_figure(
    path: Path, draw: Callable, table: pd.DataFrame, size: tuple[float, float]
) -> None:
    """Writes what ``draw(axes, table)`` draws as PNG; the size is in inches."""
    from matplotlib.figure import Figure  # only who draws waits for it

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots(), table)
    replace_file(path, lambda part: figure.savefig(part, dpi=120, format="png"))


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keeps a second run out of a run's folder.

    The lock is the process's, so it goes with it, however that ends.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(
            f"{folder}: another run is writing there; wait for its end, "
            f"or name another folder as 'out'"
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: nothing can be written there ({error.strerror}); "
            f"name another folder as 'out'"
        ) from None
    try:
        # What a run that was killed, or its safetensors, had begun to write.
        for part in [*folder.glob(".part.*"), *folder.glob(".tmp??????")]:
            if part.is_file():
                part.unlink()
        yield
    finally:
        with suppress(OSError):  # Windows removes it itself, when it is given back
            (folder / ".lock").unlink()
        lock.release()


class Truth(NamedTuple):
    """What a simulator knows of its log, in the order of the log's rows.

    floors: (events, C) nats, -ln p(true value)
    deciders: (events, C), the place among the streams, from 1, of the one whose habit decided; or 0
    """

    floors: np.ndarray
    deciders: np.ndarray

    def take(self, rows: np.ndarray) -> Truth:
        return Truth(self.floors[rows], self.deciders[rows])


def read_truth(log: Path) -> Truth:
    """The truth of the built-in log; it has to be of the log beside it."""
    return read_beside(log, "floors.npz", lambda file: Truth(file["floors"], file["deciders"]))


def read_beside(log: Path, name: str, make: Callable):
    """What is made of the arrays in a file beside a log; an InputError says it is of another."""
    path = log.with_name(name)
    try:
        with np.load(path) as file:
            if int(file["log"]) == zlib.crc32(log.read_bytes()):
                return make(file)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        pass
    raise InputError(
        f"{path}: not whole, or of another log than {log.name}; fetch both anew, or make them by "
        f"python -m helpers.tools.simulate"
    )


def name_run_folder(path: str | Path) -> Path:
    """Where a run of this configuration lies: build/runs/ and the configuration's name."""
    name = Path(path).stem
    if not name.strip("."):  # '...json' would lead out of build/runs
        raise InputError(
            f"{path}: a run's folder is named like its configuration, and this is dots alone; "
            f"rename it or set 'out'"
        )
    return ROOT / "build" / "runs" / name
