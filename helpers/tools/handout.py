"""Writes what students get as one zip, which lacks the answers: build/handout.zip.

python -m helpers.tools.handout

The notebooks have no solutions, notes or outputs. Those modules of `helpers.checks` that hold
answers are packed (see helpers/checks/packed.py), and what only a teacher uses is left out. Work
lies in work/, which is not in the zip, so a newer zip can be unpacked over an older one. The same
project gives the same zip, byte for byte.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo
from zlib import crc32

from jinja2 import StrictUndefined, Template

from helpers.checks.packed import PACKED, pack
from helpers.support.commands import prepare_folder, run_command
from helpers.support.files import ROOT
from helpers.tools.address import NOBODY_S, find_address
from helpers.tools.course import NOTEBOOKS, write_student_edition

ZIP = ROOT / "build" / "handout.zip"
FOLDER = "multi-stream-events-course"  # the one folder in the zip
README = Path(__file__).with_name("handout.md.j2")
DATE = (2026, 1, 1)  # of every file in the zip
FILES = (
    "LICENSE",
    "Makefile",
    "conftest.py",
    "environment.yml",
    "pyproject.toml",
    "requirements.txt",
)
PLAIN_CHECKS = {"__init__.py", "packed.py", "scores.py", "verdicts.py"}  # they hold no answers
# A tool that is not named here stays with the teacher.
TOOLS = {
    "__init__.py",
    "benchmark.py",
    "check_machine.py",
    "colab.py",
    "company.py",
    "controls.py",
    "course.py",
    "decisions.py",
    "forecast.py",
    "grades.py",
    "simulate.py",
    "suffixes.py",
    "train.py",
    "work.py",
}
# Those that tell whether the package works on a student's machine, and what they need.
TESTS = (
    "conftest.py",
    "ready.py",
    "small.py",
    "spoil.py",
    "support/__init__.py",
    "support/toy.py",
    "test_losses.py",
    "test_model.py",
    "test_schema.py",
    "test_windows.py",
    "test_world.py",
)


def collect() -> dict[str, bytes]:
    """All that the zip holds: each file's place in the course's folder, and what is in it."""
    paths = [ROOT / name for name in FILES]
    paths += [ROOT / "tests" / name for name in TESTS]
    paths += [path for path in list_files(ROOT / "helpers") if is_for_students(path)]
    paths += list_files(ROOT / "data")
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    files[PACKED.relative_to(ROOT).as_posix()] = pack(read_answers()).encode()
    files["README.md"] = write_readme().encode()
    return files | make_notebooks()


def list_files(folder: Path) -> list[Path]:
    """The files in a folder and its folders, but what Python or a system leaves there."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    hidden = ("__pycache__", ".")
    return [p for p in found if not any(n.startswith(hidden) for n in p.relative_to(folder).parts)]


def is_for_students(path: Path) -> bool:
    """Whether a file of `helpers` is handed out as it is."""
    for folder, names in ((PACKED.parent, PLAIN_CHECKS), (Path(__file__).parent, TOOLS)):
        if folder in path.parents:
            return path.parent == folder and path.name in names
    return True


def read_answers() -> dict[str, str]:
    """The sources of the checks' modules that hold answers, by the modules' full names."""
    paths = sorted(set(PACKED.parent.glob("*.py")) - {PACKED.with_name(n) for n in PLAIN_CHECKS})
    return {f"helpers.checks.{path.stem}": path.read_text(encoding="utf-8") for path in paths}


def write_readme() -> str:
    """The students' README: its own text, with what it shares with the project's in its places."""
    shared = (ROOT / "README.md").read_text(encoding="utf-8")
    intro, *parts = (part.strip() for part in re.split(r"(?m)^## (.+)\n", shared))
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    template = Template(
        README.read_text(encoding="utf-8"), keep_trailing_newline=True, undefined=StrictUndefined
    )
    return template.render(intro=intro, sections=sections)


def make_notebooks() -> dict[str, bytes]:
    """The student edition of each notebook.

    While nobody has said the repository's address, no first cell leads Colab there.
    """
    without = {"solution"} | ({"colab"} if find_address() == NOBODY_S else set())
    with TemporaryDirectory() as folder:
        for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
            write_student_edition(path, Path(folder), without)
        made = sorted(Path(folder).iterdir())
        return {f"notebooks/{path.name}": path.read_bytes() for path in made}


def write_zip(files: dict[str, bytes], path: Path = ZIP) -> None:
    """Writes the zip. Its notebooks are read-only, since work is kept apart."""
    with ZipFile(path, "w") as archive:
        for name in sorted(files):
            entry = ZipInfo(f"{FOLDER}/{name}", (*DATE, *get_time(files[name])))
            entry.create_system = 3  # Unix, whatever this is
            mode = 0o100444 if name.startswith("notebooks/") else 0o100644
            entry.external_attr = mode << 16
            archive.writestr(entry, files[name], ZIP_DEFLATED, compresslevel=9)


def get_time(content: bytes) -> tuple[int, int, int]:
    """Hour, minute and even second that stand for a file's content.

    Python takes a module of the same time and size for unchanged, also where it is another now.
    """
    minutes, seconds = divmod(crc32(content) % (24 * 60 * 30), 30)
    return *divmod(minutes, 60), 2 * seconds


def main() -> None:
    """Writes the zip, and says where it is and how large."""
    prepare_folder(ZIP.parent)
    write_zip(collect())
    print(f"{ZIP}: {ZIP.stat().st_size / 1e6:.1f} MB, to be unpacked anywhere; begin in its README")


if __name__ == "__main__":
    run_command(main, "stopped; the same command writes the zip anew")
