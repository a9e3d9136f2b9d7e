"""What the commands share: how they end, and the configuration that they are given."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

from helpers.support.errors import InputError, TrainingStopped, in_one_line
from helpers.support.files import make_folder


def run_command(main: Callable[[], None], stopped: str) -> None:
    """Runs a command. What the user can mend ends it in one line, an interrupt in `stopped`."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a terminal may lack the letters of names
    try:
        main()
    except (InputError, TrainingStopped, OSError) as error:
        sys.exit(f"error: {in_one_line(str(error))}")
    except KeyboardInterrupt:
        sys.exit(stopped)


def prepare_folder(
    folder: Path,
    remedy: str = "move away what lies in its place, make its folder writable, or copy the project "
    "to a place of your own",
) -> None:
    """Makes the folder that a command writes to; told early, before the work, if it cannot.

    Raises InputError, with the remedy, where it is no folder or nothing can be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: nothing can be written there ({error.strerror}); {remedy}"
        ) from None


def parse_arguments(
    parser: argparse.ArgumentParser,
    arguments: list[str] | None = None,
    first: str = "a configuration in JSON, such as data/working_run.json",
) -> tuple[argparse.Namespace, dict]:
    """Parses a command line that begins with a file; also returns what --set changes.

    first: what that file is, for those who ask for help
    """
    parser.add_argument("config", metavar="FILE", help=first)
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="replace values, such as model.d_model=64 epochs=5",
    )
    given, changes = parser.parse_args(arguments), {}
    for item in given.set:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item}: write it as key=value")
        try:
            changes[key] = json.loads(value)
        except (ValueError, RecursionError):  # a text, or what its key will refuse as a text
            changes[key] = value
    return given, changes


def check_output(option: str, path: str | Path, inputs: list[str | Path | None]) -> None:
    """Refuses a place for a table that is no file, or one of the run's inputs; told early."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{option} {path}: is a folder; give the name of a file")
    is_input = any(
        one and Path(one).exists() and path.samefile(one) for one in inputs if path.exists()
    )
    if path.exists() and (not path.is_file() or is_input):
        raise InputError(f"{option} {path}: is no table, and would be lost; give another name")
    make_folder(path.parent, option)
