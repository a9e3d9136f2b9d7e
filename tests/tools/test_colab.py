"""What Colab is asked to install: all that notebooks and helpers import, and no more."""

import ast
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest

from helpers.tools import colab

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_THERE = {"ipykernel", "IPython", "google", "pip"}  # of the kernel itself, in Colab too


def imported(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def sources() -> list[str]:
    """All that a notebook runs: its cells, and helpers without what maintainers run."""
    files = (ROOT / "helpers").rglob("*.py")
    files = [path for path in files if "tools" not in path.parts and path.name != "__main__.py"]
    notebooks = [nbformat.read(path, 4) for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")]
    cells = [cell for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"]
    return [path.read_text(encoding="utf-8") for path in files] + [cell.source for cell in cells]


def test_what_is_needed_there_is_what_notebooks_and_helpers_import():
    packages = packages_distributions()
    names = set().union(*map(imported, sources())) - NOT_THERE
    needed = {package for name in names for package in packages.get(name, [])}
    needed -= {"multi-stream-events-course", "triton"}
    assert {name.lower() for name in needed} <= {name.lower() for name in colab.NEEDED}
    assert {"torch", "pandas", "pyarrow", "seaborn"} <= set(colab.NEEDED)


def test_every_needed_package_is_pinned():
    pins = colab.find_pins(list(colab.NEEDED))
    assert [pin.split("==")[0] for pin in pins] == list(colab.NEEDED)
    assert all(re.fullmatch(r"[\w-]+==\d[\d.]+", pin) for pin in pins)


def test_here_nothing_is_missing_and_an_old_release_counts_as_missing(monkeypatch):
    assert colab.find_missing() == []
    assert colab.find_release("no-such-package") == -1
    monkeypatch.setattr(colab, "find_release", lambda name: 2)
    assert colab.find_missing() == ["pandas", "pyarrow"]


def test_a_pip_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(colab, "find_missing", lambda: ["seaborn"])
    monkeypatch.setattr(colab.sys, "executable", "false")
    with pytest.raises(SystemExit, match="could not install seaborn"):
        colab.main()
