"""A run's state: copied, put back, taken up where it is stored, and what a killed run leaves."""

import dataclasses
import json
import math
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import torch
import tqdm
from safetensors.torch import save_file
from small import (
    ALL_AT_ONCE,
    CHECKPOINT,
    TABLES,
    contents,
    epochs_in,
    heard,
    names_in,
    read_checkpoint,
    refused,
    run_in,
    same,
    same_run,
    small_config,
    small_data,
    small_run,
    train_in,
    write_config,
)

from helpers.schema import Category
from helpers.support import checkpoints
from helpers.support.checkpoints import (
    copy_state,
    copy_weights,
    find_run,
    load_run,
    put_state,
    save_run,
)
from helpers.support.errors import InputError, in_one_line
from helpers.support.files import DATA, STORED
from helpers.tools import train
from helpers.training import Data, ModelConfig, Trainer, read_config

NAMES = {CHECKPOINT, *TABLES}
HOURS = "HoursWorked"


def test_the_stored_working_run_is_taken_up():
    run = Trainer(read_config(DATA / "working_run.json"), progress=False)
    made = {name: weight.clone() for name, weight in run.best.items()}
    load_run(run, STORED / "working_run" / "checkpoint.safetensors")
    stored = pd.read_csv(STORED / "working_run" / "history.csv")
    pd.testing.assert_frame_equal(run.table(), stored, rtol=0, atol=0)
    assert run.epochs_done == run.saved == run.config.epochs == len(run.epochs())
    assert run.best.keys() == made.keys()
    assert any(not torch.equal(weight, made[name]) for name, weight in run.best.items())
    assert all(weight.isfinite().all() for weight in run.best.values())


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_state_is_put_back_whole_and_shares_nothing_with_the_run(epochs):
    run = small_run()
    for _ in range(epochs):
        run.epoch()
    state = copy_state(run)
    kept = {name: tensor.clone() for name, tensor in state.tensors.items()}
    run.epoch()
    after = copy_state(run)
    assert any(not torch.equal(after.tensors[name], kept[name]) for name in kept)
    for name in kept:  # the epoch has not reached into the copy
        assert torch.equal(state.tensors[name], kept[name])
    put_state(run, state)
    again = copy_state(run)
    assert again.tensors.keys() == kept.keys()
    assert all(torch.equal(again.tensors[name], kept[name]) for name in kept)
    assert (again.history, again.epochs_done) == (state.history, epochs)
    run.epoch()
    assert run.history == after.history


# -- checkpoints that cannot be used


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A checkpoint of one epoch, to be read and copied."""
    folder = tmp_path_factory.mktemp("good")
    small_run(epochs=1, out=str(folder)).fit()
    return folder / CHECKPOINT


def resume(path, data=None, **changes) -> Trainer:
    return small_run(data, **{"epochs": 1, "model_checkpoint": str(path)} | changes)


def check_not_taken(path: Path, *words: str) -> None:
    """The checkpoint is refused, and the run that should have taken it up is as it was."""
    run = small_run(epochs=1)
    before, chance = copy_weights(run.model), torch.get_rng_state()
    refused(lambda: load_run(run, path), *words, start=path)
    assert same(copy_weights(run.model), before)
    assert torch.equal(torch.get_rng_state(), chance)
    assert run.epochs_done == 0
    assert run.history == []
    assert not run.optimizer.state


def rows(change):
    """Changes the rows of the history."""

    def spoil(tensors, about):
        history = json.loads(about["history"])
        about["history"] = json.dumps(change(history) or history)

    return spoil


def put(name: str, change):
    """Replaces a tensor by what becomes of it."""
    return lambda tensors, about: tensors.update({name: change(tensors[name])})


def nan_at_the_end(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[-1] = float("nan")
    return tensor


WHOLE, OURS, FIT, FINITE = (
    "not a whole checkpoint",
    "not a checkpoint of this package",
    "do not fit this log",
    "not finite; start anew",
)
WEIGHT, BIAS = "model.heads.weight", "heads.bias"
SPOILT = {
    "a tensor less": (lambda tensors, about: tensors.pop(WEIGHT), [FIT, "use those"]),
    "a best tensor less": (lambda tensors, about: tensors.pop(f"best.{BIAS}"), [FIT]),
    "no best": (
        lambda tensors, about: [
            tensors.pop(name) for name in list(tensors) if name.startswith("best.")
        ],
        [FIT],
    ),
    "a step less": (lambda tensors, about: tensors.pop(f"optimizer.step.{BIAS}"), [FIT]),
    "a tensor more": (lambda tensors, about: tensors.update(more=torch.zeros(1)), [FIT]),
    "a tensor renamed": (
        lambda tensors, about: tensors.update({"model.head.weight": tensors.pop(WEIGHT)}),
        [FIT],
    ),
    "a transposed tensor": (put(WEIGHT, lambda t: t.T.contiguous()), [FIT]),
    "a tensor that would be spread out": (put(WEIGHT, lambda t: t[:1, :1].contiguous()), [FIT]),
    "a number for a tensor": (put(f"model.{BIAS}", lambda t: torch.zeros(())), [FIT]),
    "a best tensor of other shape": (put(f"best.{BIAS}", lambda t: t[:-1].contiguous()), [FIT]),
    "a moment of other shape": (
        put(f"optimizer.exp_avg.{BIAS}", lambda t: t[:-1].contiguous()),
        [FIT],
    ),
    "double precision": (put(WEIGHT, torch.Tensor.double), [FIT]),
    "half precision": (put(WEIGHT, torch.Tensor.half), [FIT]),
    "whole numbers": (put(WEIGHT, torch.Tensor.long), [FIT]),
    "a NaN": (put(WEIGHT, nan_at_the_end), [WEIGHT, FINITE]),
    "a NaN in the best": (put(f"best.{BIAS}", nan_at_the_end), [f"best.{BIAS}", FINITE]),
    "an endless moment": (put(f"optimizer.exp_avg_sq.{BIAS}", lambda t: t / 0), [FINITE]),
    "no metadata": (lambda tensors, about: about.clear(), [OURS, "start anew"]),
    "no history": (lambda tensors, about: about.pop("history"), [OURS]),
    "no number of epochs": (lambda tensors, about: about.pop("epochs_done"), [OURS]),
    "configuration broken off": (
        lambda tensors, about: about.update(config=about["config"][:50]),
        [OURS],
    ),
    "configuration that is a list": (lambda tensors, about: about.update(config="[1]"), [OURS]),
    "configuration of another run": (
        lambda tensors, about: about.update(
            config=about["config"].replace('"seed": 0', '"seed": 1')
        ),
        ["'seed' is 1 there"],
    ),
    "history broken off": (
        lambda tensors, about: about.update(history=about["history"][:50]),
        [OURS],
    ),
    "history that is a number": (lambda tensors, about: about.update(history="3"), [OURS]),
    "history of nothing": (lambda tensors, about: about.update(history="[]"), [OURS]),
    "history of other keys": (rows(lambda history: [{"epoch": 0}]), [OURS]),
    "history of texts": (
        rows(lambda history: [row.update(value="low") for row in history] and None),
        [OURS],
    ),
    "history of other measures": (rows(lambda history: history[0].update(measure="trian")), [OURS]),
    "history of other names": (rows(lambda history: history[0].update(name="Moon")), [OURS]),
    "history with rows twice": (rows(lambda history: history.append(history[0])), [OURS]),
    "history without its validation": (
        rows(lambda history: history.__delitem__(slice(17, 34))),
        [OURS],
    ),
    "history of NaN": (rows(lambda history: history[0].update(value=math.nan)), [OURS]),
    "history of another epoch": (rows(lambda history: history[0].update(epoch=7)), [OURS]),
    "epochs in words": (lambda tensors, about: about.update(epochs_done="one"), [OURS]),
    "negative epochs": (lambda tensors, about: about.update(epochs_done="-1"), [OURS]),
    "more epochs than the history": (lambda tensors, about: about.update(epochs_done="2"), [OURS]),
    "best weights in words": (lambda tensors, about: about.update(kept="one"), [OURS]),
    "best weights of another epoch": (
        lambda tensors, about: about.update(kept="7"),
        ["its best weights are those of epoch 7, and epoch 0 is the one to keep"],
    ),
}


@pytest.mark.parametrize("spoil, words", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_checkpoint_is_refused_and_leaves_the_run_alone(good, tmp_path, spoil, words):
    tensors, about = read_checkpoint(good.parent)
    spoil(tensors, about)
    save_file(tensors, tmp_path / CHECKPOINT, about)
    check_not_taken(tmp_path / CHECKPOINT, *words)


def test_the_checkpoint_that_is_spoilt_here_is_good(good):
    assert resume(good).epochs_done == 1


FOREIGN = {
    "text": b"weights, to follow\n" * 20,
    "JSON": b'{"weight": [1, 2, 3]}',
    "zeros": bytes(4096),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a header of 2 to the 63 bytes": b"\xff" * 7 + b"\x7f" + b"{}",
    "a header that is no JSON": (8).to_bytes(8, "little") + b"notjson!",
    "a header that points outside": (70).to_bytes(8, "little")
    + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(70),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    check_not_taken(tmp_path / CHECKPOINT, WHOLE, "start anew")


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.5, 0.9, 0.9999])
def test_a_checkpoint_cut_short_anywhere_is_refused(good, tmp_path, share):
    content = good.read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: int(share * len(content))])
    check_not_taken(tmp_path / CHECKPOINT, WHOLE, "start anew")


def test_another_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / CHECKPOINT)
    check_not_taken(tmp_path / CHECKPOINT, OURS, "start anew")


def test_a_missing_checkpoint_is_named(tmp_path):
    check_not_taken(tmp_path / "none", "no such checkpoint", "model_checkpoint")


@pytest.mark.parametrize(
    "value", ["none", ".", "x" * 5000, "\ud800"], ids=["missing", "folder", "long", "surrogate"]
)
@pytest.mark.parametrize("key", ["log", "mapping", "model_checkpoint"])
def test_a_path_that_leads_nowhere_is_refused(config_file, tmp_path, monkeypatch, key, value):
    monkeypatch.chdir(tmp_path)
    config = read_config(config_file()).change(**{key: value})
    with pytest.raises(InputError) as caught:
        Trainer(config, progress=False)
    message = str(caught.value)
    assert message.startswith(in_one_line(value))
    assert len(message.splitlines()) == 1
    assert "; " in message


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


PICKLES = {
    "alone": lambda touch, path: path.write_bytes(pickle.dumps(touch)),
    "as a header": lambda touch, path: path.write_bytes(
        len(pickle.dumps(touch)).to_bytes(8, "little") + pickle.dumps(touch)
    ),
    "as tensors": lambda touch, path: path.write_bytes(
        (2).to_bytes(8, "little") + b"{}" + pickle.dumps(touch)
    ),
    "torch.save": torch.save,
}


@pytest.mark.parametrize("write", PICKLES.values(), ids=PICKLES)
def test_a_command_does_not_run_what_a_pickle_says(tmp_path, config_file, write):
    mark, path = tmp_path / "executed", tmp_path / CHECKPOINT
    write(Touch(mark), path)
    config = config_file(model_checkpoint=str(path))
    refused(lambda: train.main([str(config)]), WHOLE, start=path)
    assert not mark.exists()
    assert not (tmp_path / "run").exists()
    pickle.loads(pickle.dumps(Touch(mark)))
    assert mark.exists()  # it would have been seen


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"model": ModelConfig(d_model=16, num_heads=2)}, "'model'"),
        ({"learning_rate": 0.5}, "'learning_rate'"),
        ({"streams": ["Actor"]}, "'streams'"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(good, changes, key):
    words = ("another configuration", key, "use the configuration")
    refused(lambda: resume(good, **changes), *words, start=good)


OTHER_LOGS = {
    "fewer streams": lambda log: {"streams": log.streams[:3]},
    "streams in another order": lambda log: {"streams": log.streams[::-1]},
    "other parts": lambda log: {"part": log.part[::-1].copy()},
    "other sequences": lambda log: {"sequence": log.sequence + 1},
    "categories in another order": lambda log: {"categories": log.categories[::-1]},
    "other values": lambda log: {"vocabularies": log.vocabularies | {"EventType": [None, "other"]}},
}


@pytest.mark.parametrize("change", OTHER_LOGS.values(), ids=OTHER_LOGS)
def test_a_checkpoint_of_another_log_is_refused(good, change):
    data = small_data()
    other = Data(dataclasses.replace(data.log, **change(data.log)), data.windows, None)
    words = ("another configuration", "'checksum of the log'")
    refused(lambda: resume(good, other), *words, start=good)


# -- what makes a run the same

CONTENT = {
    "a row more": ("log.csv", lambda text: text + text.splitlines()[-1] + "\n"),
    "another value": ("log.csv", lambda text: text.replace("punch_out", "leave")),
    "rarer values": (
        "mapping.json",
        lambda text: text.replace('"min_count": 2', '"min_count": 99'),
    ),
    "longer bins": ("mapping.json", lambda text: text.replace('"bin": 0.25', '"bin": 0.5')),
    "another key": ("mapping.json", lambda text: text.replace('"Actor": "A', '"Agent": "A')),
    "another split": ("mapping.json", lambda text: text.replace('"train": 0.75', '"train": 0.7')),
}


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A folder with a configuration, its files and a run of one epoch, renamed; and that run."""
    folder = tmp_path_factory.mktemp("moved")
    (folder / "a").mkdir()
    run = Trainer(read_config(write_config(folder / "a")), progress=False)
    run.epoch()
    save_run(run)
    return (folder / "a").rename(folder / "b"), run


def go_on(folder: Path) -> Trainer:
    """Goes on in a folder with what lies there now."""
    named = {"log": "log.csv", "mapping": "mapping.json", "out": "run"}
    changes = {key: str(folder / name) for key, name in named.items()}
    changes["model_checkpoint"] = str(find_run(folder / "run"))
    return Trainer(read_config(folder / "mine.json", changes), progress=False)


def test_a_run_goes_on_after_its_folder_has_moved(moved, tmp_path):
    folder, run = moved
    shutil.copytree(folder, tmp_path / "c")
    resumed = go_on(tmp_path / "c").fit()
    if run.epochs_done == 1:
        run.epoch()
    assert resumed.history == run.history
    assert same(resumed.best, run.best)


@pytest.mark.parametrize("name, change", CONTENT.values(), ids=CONTENT)
def test_a_run_does_not_go_on_with_other_events_or_another_mapping(moved, tmp_path, name, change):
    folder = shutil.copytree(moved[0], tmp_path / "c")
    text = (folder / name).read_text(encoding="utf-8")
    assert change(text) != text
    (folder / name).write_text(change(text), encoding="utf-8")
    words = ("'checksum of the log'", "use the log and the mapping it was trained with")
    refused(lambda: go_on(folder), *words, start=folder / "run" / CHECKPOINT)


def test_histories_of_other_parts_make_another_run(good):
    data = small_data()
    other = Data(dataclasses.replace(data.log, split_by_time=False), data.windows, None)
    refused(lambda: resume(good, other), "'split by time' is true there and false", start=good)


def test_a_checkpoint_of_an_older_version_is_taken_up(good, tmp_path):
    tensors, about = read_checkpoint(good.parent)
    identity = json.loads(about["config"]) | {"log": "old/log.csv", "mapping": "old/mapping.json"}
    for key in ("hide", "checksum of its values", "split by time", "start_from"):
        del identity[key]
    del about["kept"]
    save_file(tensors, tmp_path / CHECKPOINT, about | {"config": json.dumps(identity)})
    assert resume(tmp_path / CHECKPOINT).history == resume(good).history


def test_an_older_version_that_kept_another_epoch_is_refused(tmp_path):
    faster = {"learning_rate": 3e-2, "batches": 20}
    small_run(**faster, out=str(tmp_path)).fit()
    tensors, about = read_checkpoint(tmp_path)
    history = json.loads(about["history"])
    (row,) = [
        row for row in history[41:] if row["measure"] == "validation" and row["name"] == HOURS
    ]
    row["value"] = 500.0  # so the plain mean is for the first epoch
    about["history"] = json.dumps(history)
    save_file(tensors, tmp_path / CHECKPOINT, about)
    run = small_run(**faster)
    load_run(run, tmp_path / CHECKPOINT)
    assert run.epochs()["validation"].idxmin() == 0 and run.epochs()["best"].idxmax() == 1
    del about["kept"]
    save_file(tensors, tmp_path / CHECKPOINT, about)
    words = ("best weights are those of epoch 0, and epoch 1 is the one to keep", "start anew")
    run = small_run(**faster)
    refused(lambda: load_run(run, tmp_path / CHECKPOINT), *words, start=tmp_path)
    assert run.epochs_done == 0


# -- a folder that holds a run


@pytest.mark.parametrize("epochs, held", [(1, "a run of 1 epoch;"), (2, "a run of 2 epochs;")])
def test_a_run_is_never_replaced_in_silence(tmp_path, epochs, held):
    old = small_run(epochs=epochs, out=str(tmp_path)).fit()
    kept, new = contents(tmp_path), small_run(epochs=3, out=str(tmp_path))
    words = ("--go-on", f"model_checkpoint='{tmp_path / CHECKPOINT}'")
    words += ("--replace", "fit(replace=True)", "another folder as 'out'")
    refused(new.fit, f"holds {held}", *words, start=tmp_path)
    assert new.epochs_done == 0
    assert contents(tmp_path) == kept
    assert same(small_run(epochs=epochs, model_checkpoint=str(find_run(tmp_path))).best, old.best)
    new.fit(replace=True)
    assert epochs_in(tmp_path) == 3


def test_what_was_saved_by_a_run_is_its_own(tmp_path):
    run = small_run(epochs=1, out=str(tmp_path)).fit()
    run.config = run.config.change(epochs=3)
    run.fit()
    resumed = small_run(epochs=3, out=str(tmp_path), model_checkpoint=str(find_run(tmp_path)))
    assert resumed.fit().history == run.history


def test_a_run_that_goes_on_replaces_no_third_one(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    run = small_run(out=str(ours))
    run.epoch()
    save_run(run)
    small_run(seed=1, epochs=1, out=str(theirs)).fit()
    resumed = small_run(out=str(theirs), model_checkpoint=str(find_run(ours)))
    refused(resumed.fit, "holds a run of 1 epoch", start=theirs)
    small_run(out=str(tmp_path / "new"), model_checkpoint=str(find_run(ours))).fit()


def test_a_checkpoint_that_cannot_be_read_is_not_replaced_either(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    refused(small_run(out=str(tmp_path)).fit, "a checkpoint that cannot be read", start=tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == b"half a file"


def test_tables_without_a_checkpoint_are_no_run(tmp_path):
    for name in TABLES:
        (tmp_path / name).write_text("of an older run")
    assert find_run(tmp_path) is None
    small_run(epochs=1, out=str(tmp_path)).fit()
    assert epochs_in(tmp_path) == 1


# -- a start from another run's weights


def test_a_new_run_starts_from_the_best_weights_of_a_finished_one(good, tmp_path):
    before = resume(good)
    words = ("'epochs' is 1 there and 3 here", "start a new one from its weights", "out=")
    refused(lambda: resume(good, epochs=3), *words, f"start_from={good}", start=good)
    run = small_run(epochs=3, seed=5, learning_rate=1e-4, start_from=str(good))
    assert same(copy_weights(run.model), before.best)
    assert same(run.best, before.best)
    assert (run.epochs_done, run.history, dict(run.optimizer.state)) == (0, [], {})
    run.fit()
    assert run.epochs()["validation"].iloc[-1] < before.epochs()["validation"].iloc[-1]


@pytest.mark.parametrize("named", [True, False], ids=["still named", "no longer named"])
def test_a_run_that_was_started_so_goes_on_without_the_other_one(good, tmp_path, named):
    start = str(shutil.copy(good, tmp_path / "start.safetensors"))
    unbroken = small_run(start_from=start, dropout=0.1).fit()
    broken = small_run(start_from=start, dropout=0.1, out=str(tmp_path / "run"))
    broken.epoch()
    save_run(broken)
    os.remove(start)
    there = str(find_run(tmp_path / "run"))
    resumed = small_run(
        start_from=start if named else None, dropout=0.1, model_checkpoint=there
    ).fit()
    assert resumed.history == unbroken.history
    assert same(resumed.best, unbroken.best)
    assert resumed.start == unbroken.start is not None


def test_what_a_run_starts_from_is_a_part_of_what_it_is(good, tmp_path):
    other = tmp_path / "other"
    small_run(epochs=1, seed=3, out=str(other)).fit()
    started = small_run(epochs=1, start_from=str(good), out=str(tmp_path / "run")).fit()
    path = find_run(tmp_path / "run")
    load_run(small_run(epochs=1, start_from=str(good)), path)
    for start in (None, str(find_run(other))):
        run = small_run(epochs=1, start_from=start)
        refused(lambda: load_run(run, path), f"'start_from' is {started.start} there", start=path)


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"model": ModelConfig(d_model=16, num_heads=2)}, "'model' is"),
        ({"model": ModelConfig(d_model=8, num_heads=2, encoder_layers=2)}, "'model' is"),
        ({"src_seq_len": 7}, "'src_seq_len' is 6 there and 7 here"),
    ],
)
def test_weights_of_another_model_are_refused(good, changes, key):
    words = ("another configuration", key, "use the configuration")
    refused(lambda: small_run(start_from=str(good), **changes), *words, start=good)


ANOTHER_LOG = {name: OTHER_LOGS[name] for name in ("fewer streams", "other values")}
ANOTHER_LOG["more values"] = lambda log: {"categories": [Category("EventType", 12)]}


@pytest.mark.parametrize("change", ANOTHER_LOG.values(), ids=ANOTHER_LOG)
def test_weights_of_another_log_are_refused(good, change):
    data = small_data()
    log = dataclasses.replace(data.log, **change(data.log))
    log.categories = [*log.categories, *data.log.categories[len(log.categories) :]]
    words = ("belongs to another log or mapping", "use those it was trained with")
    other = Data(log, data.windows, None)
    refused(lambda: small_run(other, start_from=str(good)), *words, start=good)


def test_only_a_checkpoint_gives_weights_to_start_from(good, tmp_path):
    path = tmp_path / "none"
    start = lambda: small_run(start_from=str(path))  # noqa: E731
    refused(start, "no such checkpoint", "correct 'start_from'", start=path)
    path.write_bytes(b"half a file")
    refused(start, WHOLE, start=path)
    save_file({"weight": torch.zeros(3)}, path)
    refused(start, OURS, start=path)
    tensors, about = read_checkpoint(good.parent)
    tensors[f"best.{BIAS}"] = nan_at_the_end(tensors[f"best.{BIAS}"])
    save_file(tensors, path, about)
    refused(start, BIAS, FINITE, start=path)


# -- killed


def check_what_is_left(out: Path, unbroken: Path, epochs: int) -> None:
    """The checkpoint is taken; the history is its own or an epoch ahead, no line torn.

    At most one file was being written.
    """
    run, whole = run_in(out, epochs), (unbroken / "history.csv").read_text()
    assert (
        run.history == json.loads(read_checkpoint(unbroken)[1]["history"])[: 41 * run.epochs_done]
    )
    history = (
        (out / "history.csv").read_text()
        if run.epochs_done or (out / "history.csv").exists()
        else ""
    )
    assert whole.startswith(history) and history[-1:] in ("", "\n")
    assert (max(1, history.count("\n")) - 1) / 41 in (run.epochs_done, run.epochs_done + 1)
    others = (
        [path.name for path in out.iterdir() if path.name not in NAMES | {".lock"}]
        if out.exists()
        else []
    )
    assert len(others) <= 1 and all(re.fullmatch(r"\.part\..+|\.tmp\w{6}", name) for name in others)


def test_a_run_clears_away_what_a_killed_one_had_begun_to_write(tmp_path):
    for name in (".part.history.csv", ".tmpCap7AG", ".tmp.mine", "notes.txt"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".part.folder").mkdir()
    run_in(tmp_path, 1).fit()
    assert names_in(tmp_path) == NAMES | {
        ".tmp.mine",
        "notes.txt",
        ".part.folder",
    }


def kill_again_and_again(start, unbroken, folder: Path, kills: int, epochs: int) -> None:
    draw, killed, faster = random.Random(kills), 0, 0
    while killed < kills:
        out = folder / str(faster)
        process, pipe = start(train_in, out, epochs)
        try:
            heard(pipe)
        except EOFError:  # all epochs were there already
            pass
        process.join(draw.uniform(0, 0.8))
        process.kill()
        process.join()
        if process.exitcode == 0:  # it was faster: another run, then
            assert same_run(out, unbroken(epochs))
            faster += 1
            continue
        assert process.exitcode == -signal.SIGKILL
        check_what_is_left(out, unbroken(epochs), epochs)
        killed += 1
    run_in(out, epochs).fit()
    assert same_run(out, unbroken(epochs))


def test_a_run_killed_at_a_few_moments_goes_on_bit_for_bit(start, unbroken, tmp_path):
    kill_again_and_again(start, unbroken, tmp_path, 5, 4)


@pytest.mark.long
def test_a_run_killed_a_hundred_times_goes_on_bit_for_bit(start, unbroken, tmp_path):
    kill_again_and_again(start, unbroken, tmp_path, 100, 60)


def train_to_a_kill(pipe, out, function, call):
    """Kills itself in a call of a function that saving uses; half of a file is there then."""
    owner, calls = {"replace": os, "save_file": checkpoints, "to_csv": pd.DataFrame}[function], []
    original = getattr(owner, function)

    def killed(first, path, *rest, **options):
        calls.append(path)
        if len(calls) < call:
            return original(first, path, *rest, **options)
        if function != "replace":
            original(first, path, *rest, **options)
            os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, function, killed)
    run_in(out, 2).fit()


@pytest.mark.parametrize(
    "function, call",
    [
        ("replace", 1),
        ("replace", 4),
        ("replace", 6),
        ("replace", 8),
        ("save_file", 2),
        ("to_csv", 4),
    ],
)
def test_a_run_killed_while_it_saves_goes_on_bit_for_bit(start, unbroken, tmp_path, function, call):
    process, _ = start(train_to_a_kill, tmp_path, function, call)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    check_what_is_left(tmp_path, unbroken(2), 2)
    run_in(tmp_path, 2).fit()
    assert same_run(tmp_path, unbroken(2))


# -- the disk and the clock


def train_in_small_files(pipe, out):
    """The second epoch's checkpoint finds no room until fit has failed; its tables do."""
    import resource  # Windows has none, and no such process either

    run, limits = run_in(out, 2), resource.getrlimit(resource.RLIMIT_FSIZE)
    run.epoch()
    save_run(run)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        run.fit()
    except OSError as error:
        pipe.send((str(error), epochs_in(out), names_in(out)))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run.fit()


def test_a_checkpoint_without_room_leaves_the_old_one_and_is_written_by_the_next_fit(
    start, unbroken, tmp_path
):
    process, pipe = start(train_in_small_files, tmp_path)
    said, epochs, names = heard(pipe)
    for words in (str(tmp_path / CHECKPOINT), "File too large", "make room"):
        assert words in said
    assert "\n" not in said
    assert (epochs, names) == (1, NAMES)
    process.join(60)
    assert process.exitcode == 0 and same_run(tmp_path, unbroken(2))


@contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    ).returncode:
        pytest.skip("only who may mount can have a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_ends_the_run_with_a_line_and_what_was_there_is_whole(unbroken, tmp_path):
    with small_disk(
        tmp_path / "disk", "760k"
    ):  # enough for one checkpoint, not for two beside each other
        out = tmp_path / "disk" / "run"
        words = ("No space left on device", "make room")
        refused(run_in(out, 3).fit, *words, start=out, error=OSError)
        assert names_in(out) == NAMES and epochs_in(out) == 1
        check_what_is_left(out, unbroken(3), 3)
        subprocess.run(["mount", "-o", "remount,size=8m", tmp_path / "disk"], check=True)
        run_in(out, 3).fit()
        assert same_run(out, unbroken(3))


def train_as_nobody(pipe, out):
    run = run_in(out, 2)
    if os.getuid() == 0:  # who may write anywhere
        os.setuid(65534)
    with pytest.raises(InputError) as caught:
        run.fit()
    pipe.send((str(caught.value), run.epochs_done))


@pytest.mark.parametrize("inner", ["", "new"])
def test_a_folder_that_cannot_be_written_is_refused_before_an_epoch_is_trained(start, inner):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        Path(folder, "history.csv").write_text("of an older run")
        os.chmod(folder, 0o555)
        said, epochs = heard(start(train_as_nobody, Path(folder, inner))[1])
        assert said.startswith(f"{Path(folder, inner)}: ")
        assert "Permission denied" in said and "'out'" in said and "\n" not in said
        assert epochs == 0
        assert names_in(Path(folder)) == {"history.csv"}
        os.chmod(folder, 0o755)


def remove_folder(out: Path) -> None:
    for path in out.iterdir():
        path.unlink()
    out.rmdir()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda out: (out / CHECKPOINT).unlink(), id="removed"),
        pytest.param(lambda out: (out / CHECKPOINT).write_bytes(b"another's"), id="replaced"),
        pytest.param(remove_folder, id="folder removed"),
    ],
)
def test_a_checkpoint_that_goes_away_under_a_run_is_written_again(unbroken, tmp_path, fault):
    run = run_in(
        tmp_path / "run", 3, lambda batch, _: fault(tmp_path / "run") if batch == 7 else None
    )
    run.fit()
    assert same_run(tmp_path / "run", unbroken(3))


def test_a_clock_that_runs_backwards_changes_nothing(unbroken, tmp_path, monkeypatch):
    asked = []

    def backwards():
        asked.append(None)
        return 1e9 - 3600 * len(asked)

    monkeypatch.setattr(time, "time", backwards)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * backwards()))
    monkeypatch.setattr(tqdm.std, "time", backwards)
    Trainer(
        small_config(**ALL_AT_ONCE, out=str(tmp_path)), small_data()
    ).fit()  # with its bar, which alone asks
    assert asked and same_run(tmp_path, unbroken(2))
