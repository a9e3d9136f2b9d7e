"""The one command for the whole course, which works before anything is installed."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import wheels

from helpers import __main__ as command
from helpers.support import readiness

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path):
    """A folder that holds the command alone, and a .venv that seems whole: this Python."""
    folder = tmp_path / "a course with spaces and ümläuts"
    (folder / "helpers").mkdir(parents=True)
    for name in (
        "helpers/__main__.py",
        "helpers/__init__.py",
        "requirements.txt",
        "pyproject.toml",
    ):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / ".venv" / ".ready").write_text(command.get_stamp())
    return folder


def start(folder: Path, *arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "helpers", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **options,
    )


def test_nothing_but_python_s_own_library_is_needed():
    code = [(ROOT / "helpers" / name).read_text("utf-8") for name in ("__init__.py", "__main__.py")]
    nodes = [node for each in code for node in ast.walk(ast.parse(each))]
    imported = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert "subprocess" in names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_without_a_command_it_lists_them_and_a_wrong_one_is_an_error(project):
    for arguments, status in (
        ((), 0),
        (("help",), 0),
        (("--help",), 0),
        (("-h",), 0),
        (("run", "--help"), 0),
        (("grade", "-h"), 0),
        (("bake",), 2),
        (("run", "test"), 2),
        (("grade",), 2),
    ):
        ended = start(project, *arguments)
        said, _ = ended.communicate(timeout=300)
        assert ended.returncode == status
        assert all(name in said for name in command.COMMANDS)


@pytest.mark.parametrize("version, does", [((3, 10), False), ((3, 11), True), ((3, 15), False)])
def test_a_python_that_will_not_do_is_told_which_would(version, does):
    why = command.refuse_python(version)
    assert (why is None) == does
    assert does or f"3.11 to 3.14 is needed, and this is 3.{version[1]}" in why
    assert "32 bits" in command.refuse_python((3, 12), has_64_bits=False)


def test_a_folder_too_deep_for_windows_is_refused_with_a_remedy():
    deep = "C:\\" + 70 * "x"
    assert command.refuse_place(deep, long_paths=True) is None
    assert command.refuse_place("C:\\course", long_paths=False) is None
    why = command.refuse_place(deep, long_paths=False)
    assert "73 characters" in why and "shorter" in why
    assert os.name == "nt" or command.takes_long_paths()


def test_the_longest_path_of_the_environment_fits_where_windows_allows_it():
    packages = Path(pytest.__file__).parent.parent
    longest = max(len(str(path.relative_to(packages))) for path in packages.rglob("*"))
    assert command.LONGEST_FOLDER + len(r"\.venv\Lib\site-packages\x") + longest < 260


def test_a_python_that_cannot_build_environments_is_told_what_to_install(monkeypatch):
    assert command.refuse_without_pip() is None
    monkeypatch.setitem(sys.modules, "ensurepip", None)  # importing it fails from now on
    assert f"apt install python3.{sys.version_info.minor}-venv" in command.refuse_without_pip()


def test_the_pythons_are_those_that_the_package_names_and_make_looks_for():
    oldest, newest = command.OLDEST[1], command.NEWEST[1]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">=3.{oldest},<3.{newest + 1}"' in pyproject
    assert (command.OLDEST, command.NEWEST) == (readiness.OLDEST, readiness.NEWEST)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"(3, {oldest}) <= sys.version_info[:2] <= (3, {newest})" in makefile
    assert all(f"python3.{minor}" in makefile for minor in range(oldest, newest + 1))
    assert tuple(f"3.{minor}" for minor in range(oldest, newest + 1)) == wheels.PYTHONS
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| | {' | '.join(wheels.PYTHONS)} |" in readme
    assert set(re.search(r"(?m)^help (.+):$", makefile)[1].split()) == set(command.COMMANDS)


def test_an_environment_of_other_pins_or_not_finished_is_built_anew(project, monkeypatch):
    for name, place in (
        ("PINS", "requirements.txt"),
        ("ROOT", "."),
        ("VENV", ".venv"),
        ("READY", ".venv/.ready"),
    ):
        monkeypatch.setattr(command, name, project / place)
    assert command.is_ready()
    pins = (project / "requirements.txt").read_text(encoding="utf-8")
    (project / "requirements.txt").write_text(pins + "one-more==1.0\n", encoding="utf-8")
    os.utime(project / "requirements.txt", (0, 0))  # as old as what was unpacked from a zip
    assert not command.is_ready()
    (project / "requirements.txt").write_text(pins, encoding="utf-8")
    assert command.is_ready()
    command.get_python().rename(project / "elsewhere")  # as when its Python was replaced
    assert not command.is_ready()
    (project / "elsewhere").rename(command.get_python())
    (project / ".venv" / ".ready").unlink()
    assert not command.is_ready()


def test_a_command_stops_at_what_fails_and_passes_its_status_on(project):
    ended = start(project, "test")  # the first thing that it runs finds no folder of tests
    said, errors = ended.communicate(timeout=300)
    assert ended.returncode == 2 and "No such file" in said + errors
    assert "no tests ran" not in said + errors


def test_what_is_interrupted_ends_in_its_own_way(project):
    (project / "helpers" / "tools").mkdir()
    (project / "helpers" / "tools" / "course.py").write_text(
        "import time\n"
        "try:\n"
        "    print('begun', flush=True)\n"  # an interrupt may come before the next line
        "    time.sleep(300)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(1)\n"
        "    print('saved', flush=True)\n"
        "    raise SystemExit(7)\n"
    )
    running = start(project, "run", start_new_session=True)
    assert running.stdout.readline() == "begun\n"
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    said, errors = running.communicate(timeout=60)
    assert (said, errors, running.returncode) == ("saved\n", "", 7)


def test_a_codespace_is_built_by_a_command_that_is_there_on_a_python_that_does():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(text)
    name = re.match(r"python -m helpers ([\w-]+)", container["postCreateCommand"])[1]
    assert name in command.COMMANDS
    minor = int(re.search(r"python:3\.(\d+)$", container["image"])[1])
    assert command.refuse_python((3, minor)) is None


def test_the_pin_of_torch_is_found():
    assert command.pinned("torch") in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+", command.pinned("torch"))


def test_clean_removes_what_was_built_and_nothing_else(project):
    (project / "build" / "runs").mkdir(parents=True)
    (project / "data" / "__pycache__").mkdir(parents=True)
    (project / "data" / "mine.csv").touch()
    for folder in ("notebooks", "work"):
        (project / folder / ".ipynb_checkpoints").mkdir(parents=True)
        (project / folder / "score.jsonl").touch()
    ended = start(project, "clean")
    assert ended.wait(60) == 0
    left = {path.name for path in project.rglob("*") if path.name != "__pycache__"}
    assert {"mine.csv", "__main__.py"} <= left and not {".venv", "build", ".ready"} & left
    assert not (project / "data" / "__pycache__").exists()
    assert list((project / "notebooks").iterdir()) == []
    kept = {path.name for path in (project / "work").iterdir()}  # a student's
    assert kept == {"score.jsonl", ".ipynb_checkpoints"}
