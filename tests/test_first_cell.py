"""The cell that sets up Google Colab: the same in every notebook, and what it does there."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers.tools.address import find_address

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# Another Python than that of the tests, where one is at hand.
PYTHONS = [*Path.home().glob(".pyenv/versions/3.1[2-4].*/bin/python"), Path(sys.executable)]
COLABS = {"torch": "2.9.0", "numpy": "2.0.2", "pandas": "2.2.2", "tqdm": "4.67.1"}
PIP = """
import sys
from pathlib import Path
here = Path(__file__).parent
with (here / "asked.txt").open("a") as file:
    print(*sys.argv[1:], file=file)
for name, release in (each.split("==") for each in sys.argv[1:] if "==" in each):
    for old in here.glob(f"{name}-*.dist-info"):
        old.rename(here / f"old_{old.name}.gone")
    folder = here / f"{name.replace(chr(45), chr(95))}-{release}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: {name}\\nVersion: {release}\\n")
"""


def first_code(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    return next(cell for cell in cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_begins_with_the_same_cell_and_the_kept_address(path):
    cell = first_code(path)
    assert cell.metadata["tags"] == ["colab"] and cell.outputs == []
    assert cell.source == first_code(NOTEBOOKS[0]).source
    assert f'"https://github.com/{find_address()}"' in cell.source


@pytest.fixture
def colab(tmp_path):
    """A folder as Colab has it: a module of its name, packages of its own, a pip that tells."""
    packages = tmp_path / "packages"
    (packages / "google" / "colab").mkdir(parents=True)
    (packages / "google" / "colab" / "__init__.py").touch()
    (packages / "pip.py").write_text(PIP)
    (packages / "pandas.py").touch()
    for name, release in COLABS.items():
        folder = packages / f"{name}-{release}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {release}\n")
    (tmp_path / "content").mkdir()
    return tmp_path


def make_origin(folder: Path) -> str:
    """A repository that holds what the cell needs; its address as a file's."""
    for name in ("requirements.txt", "helpers/__init__.py", "helpers/tools/colab.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=b@c", "commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(["git", "-C", folder, *arguments], check=True)
    return folder.as_uri()


def run_cell(folder: Path, origin: str, begin: str, end: str) -> str:
    """What the cell prints in a fresh Python that has no helpers, between two pieces of code."""
    address = f"https://github.com/{find_address()}"
    cell = first_code(NOTEBOOKS[0]).source.replace(address, origin)
    done = subprocess.run(
        [PYTHONS[0], "-S", "-c", "\n".join((begin, cell, end))],
        cwd=folder / "content",
        env=os.environ | {"PYTHONPATH": str(folder / "packages")},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_colab_it_fetches_the_course_and_asks_pip_for_what_is_missing_once(colab):
    origin = make_origin(colab / "origin")
    in_colab, show = "import google.colab", "import helpers; print(helpers.__file__)"
    first = run_cell(colab, origin, in_colab, show)
    second = run_cell(colab, origin, in_colab, show)
    assert str(Path("content") / "course" / "helpers" / "__init__.py") in first
    assert first == second
    (asked,) = (colab / "packages" / "asked.txt").read_text().splitlines()
    pins = [word.split("==")[0] for word in asked.split() if "==" in word]
    assert "pandas" in pins and "safetensors" in pins  # too old, and not there
    assert not {"torch", "numpy", "tqdm"} & set(pins)  # Colab's own stay
    assert not {"jupyterlab", "pytest", "ruff"} & set(pins)


def test_what_is_loaded_already_asks_for_a_restart(colab):
    origin = make_origin(colab / "origin")
    said = run_cell(colab, origin, "import google.colab, pandas", "")
    assert "Restart session" in said


def test_elsewhere_it_does_nothing(colab):
    assert run_cell(colab, "file:///no/such/origin", "", "") == ""
    assert list((colab / "content").iterdir()) == []
    assert not (colab / "packages" / "asked.txt").exists()
