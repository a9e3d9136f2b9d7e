"""Files: JSON as it may come, writing that leaves the old or the whole new, folders of runs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import save
from small import (
    ALL_AT_ONCE,
    CHECKPOINT,
    REFUSED_FOLDER,
    epochs_in,
    heard,
    refused,
    run_in,
    same_run,
    small_run,
    train_in,
)

from helpers.schema import WORKPLACE, read_mapping
from helpers.support import checkpoints, files
from helpers.support.checkpoints import save_run
from helpers.support.files import DATA, ROOT, Truth, read_truth
from helpers.tools import train
from helpers.training import Trainer, read_config

JSON = {
    "no such file": (None, ["no such file; check the path"]),
    "a comment": (
        b'{\n  // steps\n  "epochs": 3}',
        ["line 2", "not valid JSON", "correct that line"],
    ),
    "a comma at the end": (b'{"epochs": 3,\n}', ["not valid JSON", "correct that line"]),
    "single quotes": (b"{'epochs': 3}", ["line 1", "not valid JSON"]),
    "Python's words": (b'{"shuffle": True}', ["line 1", "not valid JSON"]),
    "no end": (b'{"epochs": 3', ["line 1", "not valid JSON"]),
    "two objects": (b'{"epochs": 3}\n{"epochs": 4}', ["line 2", "not valid JSON"]),
    "an empty file": (b"", ["line 1", "not valid JSON"]),
    "a list": (b"[]", ["JSON object", "found list", "put braces"]),
    "a number": (b"3", ["JSON object", "found int", "put braces"]),
    "null": (b"null", ["JSON object", "found NoneType", "put braces"]),
    "a key twice": (
        b'{"epochs": 3, "epochs": 4}',
        ["key 'epochs' stands twice", "rename or remove"],
    ),
    "an inner key twice": (
        b'{"model": {"d_model": 8, "d_model": 16}}',
        ["key 'd_model' stands twice", "rename or remove"],
    ),
    "brackets without end": (b"[" * 100_000, ["cannot be read", "give a JSON file"]),
    "a number of 5000 digits": (
        b'{"epochs": ' + b"9" * 5000 + b"}",
        ["cannot be read", "give a JSON file"],
    ),
    "UTF-16": ('{"epochs": 3}'.encode("utf-16"), ["cannot be read", "give a JSON file"]),
    "UTF-16 without a mark": ('{"epochs": 3}'.encode("utf-16-le"), ["not valid JSON", "correct"]),
    "Windows' Western encoding": (
        '{"log": "Zoë.csv"}'.encode("cp1252"),
        ["cannot be read", "give a JSON file"],
    ),
    "a checkpoint": (save({"weight": torch.zeros(3)}), ["line 1", "not valid JSON"]),
    "a line end within a text": (b'{"log": "a\nb"}', ["line 1", "not valid JSON"]),
}


@pytest.mark.parametrize("content, words", JSON.values(), ids=JSON)
@pytest.mark.parametrize("read", [read_config, read_mapping])
def test_a_bad_file_is_refused_as_configuration_and_as_mapping(tmp_path, read, content, words):
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    refused(lambda: read(path), *words, start=path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes('{"batches": 2}'.encode("utf-8-sig"))
    assert read_config(path).batches == 2


# -- the truth


def without_deciders(path: Path) -> None:
    """As it was before the simulator told who decided."""
    with np.load(path) as file:
        np.savez(path, floors=file["floors"], log=file["log"])


def test_the_truth_is_taken_in_the_order_of_the_rows():
    truth = Truth(np.arange(6.0).reshape(3, 2), np.arange(6).reshape(3, 2)).take(np.array([2, 0]))
    assert truth.floors.tolist() == truth.deciders.tolist() == [[4, 5], [0, 1]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("version https://git-lfs"),
        lambda path: np.savez(path, other=np.zeros(3)),
        without_deciders,
        lambda path: path.with_name("workplace.csv.gz").write_bytes(b"another log"),
    ],
    ids=[
        "missing",
        "cut short",
        "empty",
        "a pointer",
        "other arrays",
        "floors alone",
        "of another log",
    ],
)
def test_the_truth_is_taken_beside_its_own_log_alone(tmp_path, spoil):
    for name in ("workplace.csv.gz", "floors.npz"):
        shutil.copy(DATA / name, tmp_path)
    floors, deciders = read_truth(tmp_path / "workplace.csv.gz")
    assert floors.shape == deciders.shape and floors.shape[1] == 17
    spoil(tmp_path / "floors.npz")
    words = ("of another log", "helpers.tools.simulate")
    refused(
        lambda: read_truth(tmp_path / "workplace.csv.gz"), *words, start=tmp_path / "floors.npz"
    )


# -- writing


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):

        def noted(*given, name=name, original=getattr(os, name)):
            order.append(name)
            original(*given)

        monkeypatch.setattr(os, name, noted)
    files.replace_file(tmp_path / "file", lambda part: part.write_text("whole"))
    assert order == ["fsync", "replace"] and (tmp_path / "file").read_text() == "whole"


def save_all(run: Trainer) -> None:
    """What the command writes after an epoch."""
    save_run(run)
    train.write_losses(run)


@pytest.mark.parametrize(
    "name, owner, function",
    [
        (CHECKPOINT, checkpoints, "save_file"),
        ("history.csv", pd.DataFrame, "to_csv"),
        ("loss_per_epoch_full.png", Figure, "savefig"),
    ],
)
def test_nothing_is_overwritten_before_the_new_file_is_whole(
    tmp_path, monkeypatch, name, owner, function
):
    run = small_run(epochs=2, out=str(tmp_path))
    run.epoch()
    save_all(run)
    files, old = set(tmp_path.iterdir()), (tmp_path / name).read_bytes()
    run.epoch()
    original = getattr(owner, function)

    def break_off(first, path, *rest, **options):
        original(first, path, *rest, **options)
        Path(path).write_bytes(Path(path).read_bytes()[:10])
        raise OSError("no space left")

    monkeypatch.setattr(owner, function, break_off)
    with pytest.raises(OSError, match="no space left"):
        save_all(run)
    assert (tmp_path / name).read_bytes() == old
    assert set(tmp_path.iterdir()) == files
    monkeypatch.undo()
    save_all(run)
    assert (tmp_path / name).read_bytes() != old


# -- folders of runs


@pytest.mark.parametrize("name", ["...json", "..json", "....json"])
def test_a_configuration_named_by_dots_does_not_lead_out_of_the_runs(tmp_path, name):
    path = tmp_path / name
    path.write_text("{}")
    if path.stem.strip("."):
        assert Path(read_config(path).out).parent == ROOT / "build" / "runs"
    else:
        refused(lambda: read_config(path), "dots alone", "rename it or set 'out'", start=path)
    assert read_config(path, {"out": str(tmp_path / "run")}).out == str(tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["a.b.json", ".json", "run", "~", "a b.json", "..a.json", "-.json"]
)
def test_a_run_lies_directly_within_the_runs(tmp_path, name):
    (tmp_path / name).write_text("{}")
    assert Path(read_config(tmp_path / name).out).resolve().parent == ROOT / "build" / "runs"


def test_no_name_leads_out_of_the_run_s_folder(tmp_path, monkeypatch, config_file):
    monkeypatch.chdir(tmp_path)
    config_file(out="run")
    log = Path("log.csv").read_text(encoding="utf-8")
    log = log.replace("punch_in", "../../punch_in").replace("punch_out", "/punch_out")
    Path("log.csv").write_text(log, encoding="utf-8")
    categories = {
        name: {"column": "event_type"}
        for name in ("../../up", "/abs", "C:\\drive", "$\\frac", "x" * 60)
    }
    mapping = {"categories": categories, "streams": {"..": "/abs", "own": "recipient"}}
    Path("mapping.json").write_text(json.dumps(WORKPLACE.model_dump() | mapping))
    before = set(tmp_path.parent.rglob("*"))
    train.main(["mine.json"])
    new = set(tmp_path.parent.rglob("*")) - before
    assert {path.name for path in new if path.parent == tmp_path / "run"} >= {
        "checkpoint.safetensors",
        "report.csv",
        "history.csv",
    }
    assert {path for path in new if path.parent != tmp_path / "run"} == {tmp_path / "run"}


def test_a_second_run_in_a_folder_is_refused_until_the_first_one_ends_even_by_a_kill(
    start, unbroken, tmp_path
):
    process, pipe = start(train_in, tmp_path, 10_000)
    heard(pipe)
    refused(lambda: small_run(out=str(tmp_path)).fit(), REFUSED_FOLDER, "'out'", start=tmp_path)
    process.kill()
    process.join()
    assert (tmp_path / ".lock").exists()
    # By then the first run may have written an epoch, or none: the machine's speed says.
    small_run(**ALL_AT_ONCE, out=str(tmp_path)).fit(replace=True)
    assert same_run(tmp_path, unbroken(2))


def test_a_second_run_of_the_same_process_is_refused_until_the_first_one_ends(tmp_path):
    refusals = []

    def second(*_):
        refused(lambda: small_run(out=str(tmp_path)).fit(), REFUSED_FOLDER)
        refusals.append(1)
        if len(refusals) == 7:
            raise KeyboardInterrupt

    first = run_in(tmp_path, 2, second)
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    assert len(refusals) == 7 and epochs_in(tmp_path) == 1
    small_run(out=str(tmp_path), seed=1).fit(replace=True)  # the folder is free again
    refused(first.fit, "holds a run of 2 epochs", "fit(replace=True)", start=tmp_path)
    first.fit(replace=True)  # and the first one's again
    assert epochs_in(tmp_path) == 2
    assert run_in(tmp_path, 2).history == first.history
