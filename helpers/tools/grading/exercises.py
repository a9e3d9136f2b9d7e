"""The exercises of the course, as its notebooks and its checks name them."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import NamedTuple

import nbformat

from helpers import checks
from helpers.checks.scores import EXERCISES
from helpers.support.files import NOTEBOOKS


class Exercise(NamedTuple):
    """One exercise: its number, as "03.1", and where it stands."""

    number: str
    notebook: str  # the name of its file, without .ipynb
    check: str  # the name of its function in checks
    cell: str  # the id of its cell
    call: str  # how that cell calls its check


def list_exercises(folder: Path = NOTEBOOKS) -> list[Exercise]:
    """All exercises, in the order of their numbers."""
    found = []
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if "exercise" in cell.metadata.get("tags", []):
                call = find_call(cell.source)
                check = call.func.attr
                _, number = EXERCISES[check]
                found.append(Exercise(number, path.stem, check, cell.id, ast.unparse(call)))
    return sorted(found)


def find_call(source: str) -> ast.Call:
    """The call of a check in an exercise's cell."""
    (call,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("checks.")
    ]
    return call


def list_parameters(check: str) -> list[str]:
    """The names of what a check is called with."""
    return list(inspect.signature(inspect.unwrap(getattr(checks, check))).parameters)
