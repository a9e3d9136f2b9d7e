"""The one command for the whole course, which works before anything is installed."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wheels

from helpers import __main__ as command

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
    (folder / ".venv" / ".ready").touch()
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
    for arguments, status in (((), 0), (("help",), 0), (("bake",), 2), (("run", "test"), 2)):
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


def test_the_pythons_are_those_that_the_package_names_and_make_looks_for():
    oldest, newest = command.OLDEST[1], command.NEWEST[1]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">=3.{oldest},<3.{newest + 1}"' in pyproject
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"(3, {oldest}) <= sys.version_info[:2] <= (3, {newest})" in makefile
    assert all(f"python3.{minor}" in makefile for minor in range(oldest, newest + 1))
    assert tuple(f"3.{minor}" for minor in range(oldest, newest + 1)) == wheels.PYTHONS
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| | {' | '.join(wheels.PYTHONS)} |" in readme
    assert set(re.search(r"(?m)^help (.+):$", makefile)[1].split()) == set(command.COMMANDS)


def test_an_environment_older_than_its_pins_or_not_finished_is_built_anew(project, monkeypatch):
    for name, place in (
        ("PINS", "requirements.txt"),
        ("ROOT", "."),
        ("READY", ".venv/.ready"),
    ):
        monkeypatch.setattr(command, name, project / place)
    assert command.is_ready()
    os.utime(project / "requirements.txt", (time.time() + 60,) * 2)
    assert not command.is_ready()
    os.utime(project / "requirements.txt", (0, 0))
    assert command.is_ready()
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


def test_the_pin_of_torch_is_found():
    assert command.pinned("torch") in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+", command.pinned("torch"))


def test_clean_removes_what_was_built_and_nothing_else(project):
    (project / "build" / "runs").mkdir(parents=True)
    (project / "data" / "__pycache__").mkdir(parents=True)
    (project / "data" / "mine.csv").touch()
    ended = start(project, "clean")
    assert ended.wait(60) == 0
    left = {path.name for path in project.rglob("*") if path.name != "__pycache__"}
    assert {"mine.csv", "__main__.py"} <= left and not {".venv", "build", ".ready"} & left
    assert not (project / "data" / "__pycache__").exists()
