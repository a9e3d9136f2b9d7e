"""The whole course by one command, on any system, with nothing activated.

    python -m helpers run

The first command builds .venv in the project's folder, by the Python that runs it; each then runs
in there. Only Python's own library is used here, since nothing else is installed yet.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import venv
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
READY = VENV / ".ready"
PINS = ROOT / "requirements.txt"
OLDEST, NEWEST = (3, 11), (3, 14)  # the Pythons for which every pinned release has a wheel
PIP = ["-m", "pip", "install", "--disable-pip-version-check"]
# PyPI's builds for Linux bring a GPU's gigabytes; these are asked first, and not for long.
CPU_BUILDS = ["--index-url", "https://download.pytorch.org/whl/cpu", "--retries", "0"]

TESTS = "pytest tests -n 2 --dist loadscope"  # two tests at a time
# What each command says of itself, and what it runs: modules with their arguments.
COMMANDS = {
    "run": (
        "run every notebook in order; executed copies and HTML pages go to build/notebooks",
        ["helpers.tools.course"],
    ),
    "test": (
        "look at the code's format, run the tests, then every notebook against its stored outputs",
        [
            "ruff format --check helpers tests conftest.py",
            "ruff check helpers tests conftest.py",
            f"{TESTS} -m 'not long' --cov=helpers --cov-branch --cov-report=term",
            "pytest --nbval --nbval-current-env -n 2 --dist loadscope notebooks",
        ],
    ),
    "test-long": (
        "the tests that take minutes: the core broken on purpose, the log remade, the student "
        "edition run, public logs if at hand",
        [
            f"{TESTS} -m long --ignore tests/test_mutations.py",
            "pytest tests/test_mutations.py -m long",  # it starts its own processes
        ],
    ),
    "lab": ("open the notebooks in JupyterLab", ["jupyter lab notebooks"]),
    "student": (
        "the notebooks without solutions, to hand out: build/student",
        ["helpers.tools.course student"],
    ),
    "slides": (
        "a deck of slides of each notebook: build/slides. They show without a network after\n"
        "npm install --prefix build/slides reveal.js@5.2.1 mathjax@3.2.2   and another make slides",
        ["helpers.tools.course slides"],
    ),
    "guide": (
        "the instructor's guide, one page to read or print: build/guide.html and build/guide.md",
        ["helpers.tools.guide"],
    ),
    "grade": (
        "grade the hand-ins in a folder: python -m helpers grade FOLDER, or make grade FOLDER=...",
        ["helpers.tools.grade"],
    ),
    "clean": ("remove .venv, build (trained models too) and caches", []),
}
TAKE_A_FOLDER = {"grade"}
CACHES = (".pytest_cache", ".ruff_cache", ".hypothesis", "multi_stream_events_course.egg-info")


def main(arguments: list[str]) -> int:
    """Does what the first argument names, some with a folder; returns the exit status."""
    command, given = (arguments or [""])[0], arguments[1:]
    if command not in COMMANDS or len(given) != (command in TAKE_A_FOLDER):
        print("python -m helpers COMMAND, or make COMMAND, where COMMAND is one of\n")
        for name, (about, _) in COMMANDS.items():
            print(f"  {name:<11}" + about.replace("\n", "\n" + 13 * " "))
        print("\nThe first of these that needs .venv builds it.")
        return 0 if arguments in ([], ["help"]) else 2
    if command == "clean":
        clean()
        return 0
    if why := refuse_python(sys.version_info[:2], sys.maxsize > 2**32):
        print(f"error: {why}", file=sys.stderr)
        return 2
    if not is_ready():
        build()
    # One thread each, since two tests at a time have two cores.
    threads = {"OMP_NUM_THREADS": "1"} if command == "test-long" else {}
    for line in COMMANDS[command][1]:
        if status := run(["-m", *shlex.split(line), *map(os.path.abspath, given)], threads):
            return status
    return 0


def refuse_python(version: tuple[int, int], has_64_bits: bool = True) -> str | None:
    """Why this Python will not do, or None."""
    if not OLDEST <= version <= NEWEST:
        oldest, newest, found = (".".join(map(str, each)) for each in (OLDEST, NEWEST, version))
        return (
            f"Python {oldest} to {newest} is needed, and this is {found}; start the command by "
            f"another, such as python3.12 -m helpers, or py -3.12 -m helpers on Windows"
        )
    if not has_64_bits:
        return "this Python is a build of 32 bits, for which PyTorch has none; install one of 64"
    return None


def is_ready() -> bool:
    """Whether .venv was built to its end, and since the last change of what it is built from."""
    made_from = (PINS, ROOT / "pyproject.toml")
    newest = max(path.stat().st_mtime for path in made_from)
    return READY.exists() and READY.stat().st_mtime >= newest


def build() -> None:
    """Builds .venv. The stamp is written last: a build that broke off is begun anew."""
    print(f"Building {VENV}; this downloads some 500 MB once, and takes minutes.", flush=True)
    venv.EnvBuilder(clear=True, with_pip=True).create(VENV)
    torch = pinned("torch")
    if platform.system() == "Linux" and run([*PIP, "--no-deps", torch, *CPU_BUILDS]):
        print(
            f"No CPU build of {torch} was found, so the one with GPU libraries follows.", flush=True
        )
    if status := run([*PIP, "-r", str(PINS)]):
        print(f"error: pip could not install what {PINS} lists; see above", file=sys.stderr)
        sys.exit(status)
    READY.touch()


def pinned(name: str) -> str:
    """The pin of a package in requirements.txt, such as torch==2.13.0."""
    return re.search(rf"(?m)^{name}==[\d.]+", PINS.read_text(encoding="utf-8"))[0]


def run(arguments: list[str], variables: dict[str, str] | None = None) -> int:
    """Runs the environment's Python in the project's folder; its exit status."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    process = subprocess.Popen([python, *arguments], cwd=ROOT, env=os.environ | (variables or {}))
    while True:
        with suppress(KeyboardInterrupt):  # it was interrupted as well, and ends in its own way
            return process.wait()


def clean() -> None:
    for name in (".venv", "build", *CACHES):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for pattern in ("__pycache__", ".ipynb_checkpoints"):
        for path in ROOT.rglob(pattern):
            shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # what it runs was interrupted too, and has said so
        sys.exit(130)
