"""What the commands share: one that makes no sense ends in one line, before any harm."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.support.commands import prepare_folder, run_command
from helpers.support.errors import InputError
from helpers.support.files import ROOT
from helpers.tools import train

COMMANDS = {
    "a missing configuration": (["none.json"], "none.json: no such file"),
    "a folder": (["."], ".: is a folder"),
    "an empty name": ([""], ": "),
    "a long name": (["x" * 5000 + ".json"], "x" * 5000),
    "a text for a configuration": (["text.json"], "text.json, line 1: not valid JSON"),
    "a change without a value": (
        ["config.json", "--set", "epochs"],
        "--set epochs: write it as key=value",
    ),
    "an empty change": (["config.json", "--set", ""], "--set : write it as key=value"),
    "a change of nothing": (["config.json", "--set", "=3"], "unknown key ''"),
    "a change of a part of a number": (
        ["config.json", "--set", "epochs.more=3"],
        "'epochs' in 'epochs.more' is not an object",
    ),
    "an unknown key": (["config.json", "--set", "epoch=3"], "config.json: unknown key 'epoch'"),
    "a text for a number": (["config.json", "--set", "epochs=many"], "'epochs'"),
    "sizes that do not fit": (
        ["config.json", "--set", "model.d_model=3"],
        "key 'model', key 'd_model'",
    ),
    "a log that is not there": (
        ["config.json", "--set", "log=none.csv"],
        "there is no none.csv; correct it",
    ),
    "a change to nothing": (["config.json", "--set", "log="], "key 'log'"),
    "a change to a NaN": (["config.json", "--set", "learning_rate=NaN"], "key 'learning_rate'"),
    "a change to far too much": (
        ["config.json", "--set", f"model.d_model={10**12}"],
        "key 'model', key 'd_model'",
    ),
    "a change to half a list": (["config.json", "--set", "streams=[Time"], "key 'streams'"),
    "a number of 5000 digits": (["config.json", "--set", "epochs=" + "9" * 5000], "key 'epochs'"),
    "brackets without end": (["config.json", "--set", "streams=" + "[" * 100_000], "key 'streams'"),
    "a stream that is not there": (
        ["config.json", "--set", 'streams=["who"]'],
        "key 'streams': must name one or more of EventType, Actor",
    ),
    "a folder for a log": (["config.json", "--set", "log=."], ".: is a folder"),
    "a file for the run's folder": (["config.json", "--set", "out=log.csv"], "key 'out'"),
    "a folder for the report": (
        ["config.json", "--report", "."],
        "--report .: is a folder; give the name of a file",
    ),
    "a folder for the history": (
        ["config.json", "--history", "."],
        "--history .: is a folder; give the name of a file",
    ),
    "the log for the report": (
        ["config.json", "--report", "./log.csv"],
        "--report log.csv: is no table, and would be lost",
    ),
    "the configuration for the history": (
        ["config.json", "--history", "config.json"],
        "--history config.json: is no table, and would be lost",
    ),
    "a device for the report": (
        ["config.json", "--report", os.devnull],
        "is no table, and would be lost",
    ),
    "a file for the report's folder": (
        ["config.json", "--report", "log.csv/report.csv"],
        "--report: 'log.csv' cannot be made a folder",
    ),
    "half a letter": (["half.json"], "half.json: cannot be read as text"),
    "a device that is not there": (
        ["config.json", "--set", "device=hpu"],
        "key 'device': 'hpu' cannot be used here",
    ),
    "a spreadsheet": (
        ["config.json", "--set", "log=log.xlsx"],
        "log.xlsx: is a spreadsheet",
    ),
}


@pytest.mark.filterwarnings("ignore:'helpers.tools.train' found in sys.modules")
@pytest.mark.parametrize("arguments, said", COMMANDS.values(), ids=COMMANDS)
def test_a_command_without_sense_ends_in_one_line_and_trains_nothing(
    tmp_path, monkeypatch, config_file, arguments, said
):
    monkeypatch.chdir(tmp_path)
    config_file().rename("config.json")
    Path("text.json").write_text("epochs: 3")
    Path("half.json").write_text(r'{"out": "\ud800"}')
    Path("log.xlsx").write_bytes(b"PK\3\4" + bytes(26) + b"xl/workbook.xml")
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("helpers.tools.train", run_name="__main__", alter_sys=True)
    message = caught.value.code
    assert (
        message.startswith("error: ")
        and said in message
        and len(message.splitlines()) == 1
        and not Path("run").exists()
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["config.json", "--epochs", "3"], ["config.json", "--set"], ["a.json", "b.json"]],
)
def test_a_command_that_is_not_understood_shows_how_it_is_used(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        train.main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert (
        said.startswith("usage: python -m helpers.tools.train")
        and "error: " in said.splitlines()[-1]
    )


def test_a_refusal_goes_to_stderr_with_an_exit_code(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "helpers.tools.train", str(tmp_path / "none.json")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (
        ran.returncode == 1
        and ran.stdout == ""
        and ran.stderr.splitlines()
        == [f"error: {tmp_path / 'none.json'}: no such file; check the path"]
    )


def test_what_the_system_refuses_is_said_in_one_line_that_commands_no_terminal():
    def fail():
        raise OSError("[Errno 2] No such file: '\x1b[31m\nred'")

    with pytest.raises(SystemExit) as caught:
        run_command(fail, "stopped")
    assert caught.value.code == r"error: [Errno 2] No such file: '\x1b[31m red'"


@pytest.fixture(scope="module")
def barred(tmp_path_factory):
    """A project in which nothing can be built: a file lies in the place of its folder build."""
    folder = tmp_path_factory.mktemp("barred").resolve()
    for name in ("helpers", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", folder)
    (folder / "build").write_text("mine")
    return folder


@pytest.mark.parametrize("tool", ["site", "handout", "guide", "course", "course slides"])
def test_where_nothing_can_be_built_a_command_says_what_to_do(barred, tool):
    name, *arguments = tool.split()
    ran = subprocess.run(
        [sys.executable, "-m", f"helpers.tools.{name}", *arguments],
        capture_output=True,
        text=True,
        cwd=barred,
        env=os.environ | {"PYTHONPATH": str(barred)},
    )
    (said,) = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert said.startswith(f"error: {barred / 'build'}")
    assert "nothing can be written there (" in said
    assert said.endswith(
        "; move away what lies in its place, make its folder writable, or copy the project to a "
        "place of your own"
    )
    assert (barred / "build").read_text() == "mine"


def test_a_folder_that_is_there_is_prepared_and_keeps_what_it_holds(tmp_path):
    (tmp_path / "kept").touch()
    prepare_folder(tmp_path)
    prepare_folder(tmp_path / "a" / "b")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "kept"]


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="there is no folder that is read-only")
def test_a_folder_that_is_read_only_is_told_from_one_that_may_be_written():
    with pytest.raises(InputError, match="/sys/kernel: nothing can be written there .*; copy it"):
        prepare_folder(Path("/sys/kernel"), "copy it")
