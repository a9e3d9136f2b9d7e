"""A small log, small models, runs and configurations, shared by the tests, and how refusals look.

Every call gives something of its own, so that no test can change what another one is given.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from helpers.events import TEST, TRAIN, VALIDATION, Log, read_log
from helpers.model import MultiStreamModel
from helpers.schema import WORKPLACE
from helpers.support.errors import InputError
from helpers.support.files import ROOT, Truth
from helpers.support.notes import Notes
from helpers.support.table_files import read_table
from helpers.tools.simulate import export
from helpers.training import Config, Data, ModelConfig, Trainer
from helpers.windows import Batch, Windows
from helpers.world import Workplace

SOURCE, STEPS = 6, 5
CHECKPOINT = "checkpoint.safetensors"
REFUSED_FOLDER = "another run is writing there"
TABLES = {"history.csv", "epochs.csv", "category_ranges.csv"}
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
ENVIRONMENT = {"PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"}  # of a process of a test
OWN_MAPPING = {  # of a log of somebody's own
    "sequence": "case",
    "time": "when",
    "min_count": 1,
    "categories": {
        "what": {"column": "what", "size": 8},
        "amount": {"column": "amount", "kind": "number", "size": 10, "bin": 0.5},
        "time": {"column": "when", "kind": "time"},
        "due": {"column": "due", "kind": "time"},
    },
    "streams": {"what": "what", "case": "case", "hour": "time_Hour"},
}


# -- the log


@cache
def _small_export() -> tuple[str, Truth]:
    log, truth = export(Workplace(employees=20, days=40), progress=False)
    return log.to_csv(index=False), truth


def write_log(folder: Path) -> dict:
    """Writes a small log and its mapping; returns the configuration's keys that name them."""
    log, mapping = folder / "log.csv", folder / "mapping.json"
    log.write_text(_small_export()[0], encoding="utf-8")
    mapping.write_text(json.dumps(WORKPLACE.model_dump()))
    return {"log": str(log), "mapping": str(mapping)}


@cache
def _small_log() -> Log:
    with tempfile.TemporaryDirectory() as folder:
        return read_log(write_log(Path(folder))["log"], WORKPLACE)


def read_written(path: Path, content: str | bytes, wanted: list[str] | None = None) -> pd.DataFrame:
    """The columns of text that are read from a file of this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, wanted, Notes(path))


def small_log() -> Log:
    return copy.deepcopy(_small_log())


def small_truth() -> Truth:
    """What the simulator knows of the small log's events."""
    return _small_export()[1].take(_small_log().row)


def small_windows(streams: int = 7, part: int = TRAIN) -> Windows:
    log = small_log()
    log.streams = log.streams[:streams]
    return Windows(log, part, SOURCE, STEPS)


def small_batch(streams: int = 7) -> Batch:
    """16 windows: eight of short histories, the others spread over the training part."""
    windows = small_windows(streams)
    batch = windows.batch(np.concatenate([windows.origins[:8], windows.origins[100::300][:8]]))
    assert 0 < (~batch.known).sum() < batch.known.sum()
    return batch


# -- networks and runs


def small_model(streams: int = 7, seed: int = 0, **shape) -> MultiStreamModel:
    """A model that has no zeros and ones left from its start, so that every weight tells."""
    torch.manual_seed(seed)
    shape = dict(d_model=8, num_heads=2, encoder_layers=1, decoder_layers=1) | shape
    model = MultiStreamModel(small_log().categories, streams, SOURCE, STEPS, **shape)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


def small_config(**changes) -> Config:
    start = dict(
        src_seq_len=SOURCE,
        tgt_seq_len=STEPS,
        epochs=2,
        batch_size=8,
        batches=5,
        learning_rate=1e-3,
        model=ModelConfig(d_model=8, num_heads=2),
    )
    return Config(**(start | changes))


def write_config(folder: Path, **changes) -> Path:
    """Writes mine.json, a small configuration with its log; its run's folder is beside it."""
    files = write_log(folder) | {"out": str(folder / "run")}
    path = folder / "mine.json"
    path.write_text(json.dumps(small_config(**(files | changes)).model_dump()))
    return path


@cache
def _small_data(tgt_seq_len: int) -> Data:
    log = small_log()
    parts = (TRAIN, VALIDATION, TEST)
    windows = {part: Windows(log, part, SOURCE, tgt_seq_len) for part in parts}
    return Data(log, windows, None)


def small_data(tgt_seq_len: int = STEPS) -> Data:
    return copy.deepcopy(_small_data(tgt_seq_len))  # its windows go on sharing its log


def small_run(data: Data | None = None, watch=None, **changes) -> Trainer:
    return Trainer(small_config(**changes), data or small_data(), progress=False, watch=watch)


@cache
def _trained_run() -> Trainer:
    return small_run(epochs=6, learning_rate=1e-2).fit()


def trained_run() -> Trainer:
    return copy.deepcopy(_trained_run())


# Five batches of which two make a step: the last step has one.
ALL_AT_ONCE = dict(dropout=0.2, hide=0.1, shuffle=True, schedule="cosine", grad_accum=2)


def run_in(out: Path, epochs: int, watch=None) -> Trainer:
    """A run that goes on from the folder's checkpoint, if there is one."""
    checkpoint = Path(out) / CHECKPOINT
    there = str(checkpoint) if checkpoint.exists() else None
    changes = ALL_AT_ONCE | {"epochs": epochs, "out": str(out), "model_checkpoint": there}
    return small_run(watch=watch, **changes)


def train_in(pipe, out: Path, epochs: int) -> None:
    """What a process does: a run, that says "training" after its first batch."""
    told = iter([False])
    run_in(out, epochs, lambda *_: next(told, True) or pipe.send("training")).fit()


# -- what a run leaves


def same(ours: dict, theirs: dict) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def read_checkpoint(folder: Path) -> tuple[dict, dict]:
    """All that the checkpoint in a folder holds: its tensors, and what it says about the run."""
    with safe_open(folder / CHECKPOINT, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def epochs_in(folder: Path) -> int:
    return int(read_checkpoint(folder)[1]["epochs_done"])


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same_run(ours: Path, theirs: Path) -> bool:
    """Whether both ended alike bit for bit: weights, optimiser, history, tables, nothing else."""
    (tensors, about), (their_tensors, their_about) = read_checkpoint(ours), read_checkpoint(theirs)
    return (
        about == their_about
        and same(tensors, their_tensors)
        and names_in(ours) == {CHECKPOINT, *TABLES}
        and all((ours / name).read_bytes() == (theirs / name).read_bytes() for name in TABLES)
    )


# -- refusals


def changed(settings: dict, path: str, value) -> dict:
    """A copy with the value at a dotted path put in place, or left out where it is ..."""
    whole = copy.deepcopy(settings)
    *outer, last = path.split(".")
    place = whole
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = value
    if value is ...:
        del place[last]
    return whole


def refused(call: Callable, *words, start="", error=InputError) -> None:
    """The call fails in one line that begins so, says all these words, and what to do."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 500 + len(str(start))
    assert message.startswith(str(start))
    assert "; " in message or " must " in message, message
    assert [word for word in map(str, words) if word not in message] == [], message


# -- processes


def command(
    *arguments, cwd: Path, tool: str = "train", **environment
) -> subprocess.CompletedProcess:
    """The command that trains, or another one, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", f"helpers.tools.{tool}", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | ENVIRONMENT | environment,
    )


def heard(pipe):
    """What a process says next."""
    assert pipe.poll(300)  # a crowded machine takes a minute to start torch
    return pipe.recv()
