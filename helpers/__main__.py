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
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
READY = VENV / ".ready"
PINS = ROOT / "requirements.txt"
OLDEST, NEWEST = (3, 11), (3, 14)  # the Pythons for which every pinned release has a wheel
# The longest path within .venv has some 200 characters: the licence of a part of PyTorch's.
LONGEST_FOLDER = 60
PIP = ["-m", "pip", "install", "--disable-pip-version-check"]
# PyPI's builds for Linux bring a GPU's gigabytes; these are asked first, and not for long.
CPU_BUILDS = ["--index-url", "https://download.pytorch.org/whl/cpu", "--retries", "0"]

# Lab's root is the project, so that links from a notebook to data/ open.
LAB = "jupyter lab --LabApp.default_url=/lab/tree/"  # and the folder that it shows first
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
        "the tests that take minutes: the core broken on purpose, the log remade, the hand-out "
        "run, public logs if at hand",
        [
            f"{TESTS} -m long --ignore tests/test_mutations.py",
            "pytest tests/test_mutations.py -m long",  # it starts its own processes
        ],
    ),
    "lab": ("open the notebooks in JupyterLab", [f"{LAB}notebooks"]),
    "handout": (
        "one zip for students, without solutions and answers: build/handout.zip",
        ["helpers.tools.handout"],
    ),
    "slides": (
        "a deck of slides of each notebook: build/slides. They show without a network after\n"
        "npm install --prefix build/slides reveal.js@5.2.1 mathjax@3.2.2   and another make slides",
        ["helpers.tools.course slides"],
    ),
    "check": (
        "is this machine ready, and how long will each notebook run?",
        ["helpers.tools.check_machine"],
    ),
    "guide": (
        "the instructor's guide, one page to read or print: build/guide.html and build/guide.md",
        ["helpers.tools.guide"],
    ),
    "site": (
        "the course as a web page that needs no network: build/site",
        ["helpers.tools.site"],
    ),
    "grade": (
        "grade the hand-ins in a folder: python -m helpers grade FOLDER, or make grade FOLDER=...",
        ["helpers.tools.grade"],
    ),
    "clean": ("remove .venv, build (trained models too) and caches", []),
}
# In what `handout` made, a student's work lies apart, and no outputs are stored to compare with.
FOR_STUDENTS = {
    "run": COMMANDS["run"],
    "test": (
        "run the tests, then every notebook as it was handed out",
        [TESTS, "pytest --nbval-lax --nbval-current-env -n 2 --dist loadscope notebooks"],
    ),
    "lab": (
        "open your notebooks, which lie in work, in JupyterLab",
        ["helpers.tools.work", f"{LAB}work"],
    ),
    "check": COMMANDS["check"],
    "clean": COMMANDS["clean"],
}
if (ROOT / "helpers" / "checks" / "packed.txt").exists():
    COMMANDS = FOR_STUDENTS
TAKE_A_FOLDER = {"grade"}
HELP = {"--help", "-h"}
CACHES = (".pytest_cache", ".ruff_cache", ".hypothesis", "multi_stream_events_course.egg-info")


def main(arguments: list[str]) -> int:
    """Does what the first argument names, some with a folder; returns the exit status."""
    command, given = (arguments or ["help"])[0], arguments[1:]
    asks = command == "help" or not HELP.isdisjoint(arguments)
    if asks or command not in COMMANDS or len(given) != (command in TAKE_A_FOLDER) or "" in given:
        print("python -m helpers COMMAND, or make COMMAND, where COMMAND is one of\n")
        for name, (about, _) in COMMANDS.items():
            print(f"  {name:<11}" + about.replace("\n", "\n" + 13 * " "))
        print("\nThe first of these that needs .venv builds it.")
        return 0 if asks else 2
    if command == "clean":
        clean()
        return 0
    if why := refuse_python(sys.version_info[:2], sys.maxsize > 2**32):
        print(f"error: {why}", file=sys.stderr)
        return 2
    if not is_ready():
        if why := refuse_place(str(ROOT), takes_long_paths()) or refuse_without_pip():
            print(f"error: {why}", file=sys.stderr)
            return 2
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


def refuse_place(folder: str, long_paths: bool) -> str | None:
    """Why .venv cannot be built in this folder, or None."""
    if long_paths or len(folder) <= LONGEST_FOLDER:
        return None
    return (
        f"the project's folder has a path of {len(folder)} characters, and Windows leaves room for "
        f"{LONGEST_FOLDER}; move the project to a shorter one, such as C:\\course"
    )


def takes_long_paths() -> bool:
    """Whether a path may be longer than 260 characters, as anywhere but on Windows."""
    if os.name != "nt":
        return True
    import winreg  # which only Windows has

    place = r"SYSTEM\CurrentControlSet\Control\FileSystem"
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
        return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    return False


def refuse_without_pip() -> str | None:
    """Why this Python cannot build an environment, or None."""
    try:
        import ensurepip  # noqa: F401

        return None
    except ImportError:
        pass
    name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    return (
        f"this Python cannot build environments, since its system leaves that out; on Debian and "
        f"Ubuntu, sudo apt install {name}, and then the same command again"
    )


def is_ready() -> bool:
    """Whether .venv was built to its end, from the very files that would be taken now."""
    if not READY.exists() or not get_python().exists():  # a link to a Python that is gone
        return False
    return READY.read_text(encoding="utf-8") == get_stamp()


def get_stamp() -> str:
    """What stands for the content of the files that .venv is built from.

    Their times would not do: those from a zip are old.
    """
    made_from = (PINS, ROOT / "pyproject.toml")
    return sha256(b"".join(path.read_bytes() for path in made_from)).hexdigest()


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
    READY.write_text(get_stamp(), encoding="utf-8")


def pinned(name: str) -> str:
    """The pin of a package in requirements.txt, such as torch==2.13.0."""
    return re.search(rf"(?m)^{name}==[\d.]+", PINS.read_text(encoding="utf-8"))[0]


def get_python() -> Path:
    """The environment's Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(arguments: list[str], variables: dict[str, str] | None = None) -> int:
    """Runs the environment's Python in the project's folder; its exit status."""
    process = subprocess.Popen(
        [get_python(), *arguments], cwd=ROOT, env=os.environ | (variables or {})
    )
    while True:
        with suppress(KeyboardInterrupt):  # it was interrupted as well, and ends in its own way
            return process.wait()


def clean() -> None:
    for name in (".venv", "build", *CACHES):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    (ROOT / "notebooks" / "score.jsonl").unlink(missing_ok=True)
    for pattern in ("__pycache__", ".ipynb_checkpoints"):
        for path in ROOT.rglob(pattern):
            if ROOT / "work" not in path.parents:  # a student's, with what was saved before
                shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # what it runs was interrupted too, and has said so
        sys.exit(130)
