"""A run's state: copied, put back, written to its folder and read from there.

A run is a `helpers.training.Trainer`. Checkpoints are arrays in safetensors: no code is in them.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.support import workers
from helpers.support.errors import InputError, in_one_line
from helpers.support.files import lock_folder, replace_file

NAME = "checkpoint.safetensors"
# Keys that say where something lies or runs. A log and a mapping are known by what they hold.
PLACES = {"log", "mapping", "model_checkpoint", "start_from", "out", "device"}
SHAPES = ("src_seq_len", "tgt_seq_len", "id_category_size", "model", "tied", "streams")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of each parameter


class State(NamedTuple):
    """All that training changes: tensors by name, the history and the epochs done."""

    tensors: dict[str, Tensor]
    history: list[dict]
    epochs_done: int


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@torch.no_grad()
def put_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])


def copy_state(run) -> State:
    tensors = {f"model.{name}": weight for name, weight in copy_weights(run.model).items()}
    tensors |= {f"best.{name}": weight for name, weight in run.best.items()}
    for name, parameter in run.model.named_parameters():
        for key, value in run.optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value.clone()
    return State(tensors, list(run.history), run.epochs_done)


def put_state(run, state: State) -> None:
    """Puts a state in the place of the run's present one."""

    def find_group(prefix: str) -> dict[str, Tensor]:
        found = {}
        for name, tensor in state.tensors.items():
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = tensor.to(run.config.device)
        return found

    put_weights(run.model, find_group("model."))
    run.best = find_group("best.")
    moments = {key: find_group(f"optimizer.{key}.") for key in MOMENTS}
    for name, parameter in run.model.named_parameters():
        begun = name in moments["step"]  # before its first step a parameter has no moments
        run.optimizer.state[parameter] = {k: moments[k][name] for k in MOMENTS} if begun else {}
    run.history, run.epochs_done = list(state.history), state.epochs_done


@contextmanager
def whole_or_nothing(run) -> Iterator[None]:
    """Where the epoch inside breaks off, by an interrupt too, the run is as before."""
    before = copy_state(run)
    try:
        yield
    except BaseException:
        put_state(run, before)
        run.optimizer.zero_grad()
        raise


@contextmanager
def best_epoch(run) -> Iterator[None]:
    """Inside, the model has the weights of the best epoch."""
    current = copy_weights(run.model)
    put_weights(run.model, run.best)
    try:
        yield
    finally:
        put_weights(run.model, current)


@contextmanager
def own_folder(run, replace: bool = False) -> Iterator[bool]:
    """Whether this process writes the run's folder; nobody else writes there meanwhile.

    An InputError says how to go on where another run lies there that is not to be replaced.
    """
    writes = bool(run.config.out) and workers.get_rank() == 0
    with lock_folder(Path(run.config.out)) if writes else nullcontext():
        if writes:
            look_for_another(run, replace)
        yield writes


def find_run(out: str | Path) -> Path | None:
    """The checkpoint of the run that lies in a folder."""
    path = Path(out) / NAME
    return path if os.path.exists(path) else None  # Path.exists fails where a name is too long


def stamp(path: Path) -> tuple[int, int]:
    """What tells a file from another that takes its place."""
    about = path.stat()
    return about.st_ino, about.st_mtime_ns


def look_for_another(run, replace: bool) -> None:
    path = find_run(run.config.out)
    if path is None or stamp(path) in run.stamps:
        return
    what = f"{path.parent}: holds {tell_run(path)}"
    if not replace:
        raise InputError(
            f"{what}; go on with it by --go-on (in Python: model_checkpoint='{path}'), replace it "
            f"by --replace (in Python: fit(replace=True)), or name another folder as 'out'"
        )
    if run.progress:
        tqdm.write(in_one_line(f"{what}, which is replaced"))


def tell_run(path: Path) -> str:
    try:
        epochs = int(read_checkpoint(path)[1]["epochs_done"])
    except (InputError, KeyError, ValueError):
        return "a checkpoint that cannot be read"
    return f"a run of {epochs} epoch{'s' * (epochs != 1)}"


def save_run(run) -> None:
    """Writes the tables and then the checkpoint; each takes the old one's place when it is whole.

    Where a run is killed between the two, the tables are an epoch ahead; going on from the
    checkpoint writes them again.
    """
    out = Path(run.config.out)
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "history.csv": pd.DataFrame(run.history),
        "epochs.csv": run.epochs(),
        "category_ranges.csv": run.category_ranges(),
    }
    for name, table in tables.items():
        replace_file(out / name, lambda path, table=table: table.to_csv(path, index=False))
    state = copy_state(run)
    about = {
        "config": json.dumps(identify(run)),
        "history": json.dumps(state.history),
        "epochs_done": str(state.epochs_done),
        "kept": str(run.choose_epoch(state.history)[0]),
    }

    def write(path: Path) -> None:
        write_tensors(path, state.tensors, about)
        run.stamps.add(stamp(path))  # which it keeps in its place

    replace_file(out / NAME, write)
    run.saved = run.epochs_done


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, about)
    except SafetensorError as error:  # so a full disk is one kind of error, whatever is written
        raise OSError(str(error)) from None


def identify(run) -> dict:
    """What must be the same for a checkpoint to be resumed: all but where something lies or runs.

    The log, its mapping and the weights to start from are known by checksums of what they hold.
    """
    config, log, checksum = run.config.model_dump(exclude=PLACES), run.data.log, 0
    words = repr([log.categories, log.streams, list(log.vocabularies.values())]).encode()
    for part in (log.table, log.sequence, log.part, words):  # what windows hold and mean
        checksum = zlib.crc32(part, checksum)
    return config | {
        "checksum of the log": checksum,
        "checksum of its values": zlib.crc32(words),
        "split by time": log.split_by_time,
        "start_from": run.start,
    }


def read_identity(run, about: dict[str, str], ours: dict) -> dict:
    """What a checkpoint says of its run; keys that older versions had not are taken to be alike."""
    alike = {key: ours[key] for key in ("checksum of its values", "split by time")}
    return type(run.config)().model_dump() | alike | json.loads(about["config"])


def load_run(run, path: str | Path) -> None:
    """Takes up a checkpoint, as if this run had never been interrupted.

    An InputError names the file otherwise, and the run is as it was.
    """
    path = Path(path)
    tensors, about = read_checkpoint(path)
    ours = json.loads(json.dumps(identify(run)))
    try:
        theirs = read_identity(run, about, ours)
        history, done = json.loads(about["history"]), int(about["epochs_done"])
        rows = [(row["epoch"], row["measure"], row["name"]) for row in history]
        values = [row["value"] for row in history]
        kept = int(about["kept"]) if "kept" in about else None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: a safetensors file, but not a checkpoint of this package "
            f"({type(error).__name__}: {error}); start anew or use another"
        ) from None
    if run.config.model_checkpoint:  # asked for by its name: what it started from is behind it
        ours["start_from"] = theirs["start_from"]
    check_identity(path, theirs, ours)
    expected = [(epoch, *named) for epoch in range(done) for named in run.list_measures()]
    finite = all(type(value) is float and math.isfinite(value) for value in values)
    if rows != expected or not finite:
        raise InputError(
            f"{path}: not a checkpoint of this package: its history is not that of its epochs; "
            f"start anew or use another"
        )
    check_tensors(path, tensors, run.model)
    if done:
        check_choice(path, kept, *run.choose_epoch(history))
    put_state(run, State(tensors, history, done))
    run.saved, run.start = done, theirs["start_from"]
    run.stamps.add(stamp(path))


def check_choice(path: Path, kept: int | None, chosen: int, losses: np.ndarray) -> None:
    """Refuses best weights of another epoch than the history, losses (epochs, C), chooses."""
    if kept is None:  # an older version wrote it, which chose by the plain mean
        kept = int(losses.mean(1).argmin())
    if kept != chosen:
        raise InputError(
            f"{path}: its best weights are those of epoch {kept}, and epoch {chosen} is the one "
            f"to keep; start anew"
        )


def load_weights(run, path: str | Path) -> None:
    """Starts a fresh run from the best weights of another one's checkpoint.

    An InputError says what differs, where they do not fit.
    """
    path, ours = Path(path), identify(run)
    tensors, about = read_checkpoint(path, "start_from")
    try:
        theirs = read_identity(run, about, ours)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: a safetensors file, but not a checkpoint of this package; use another"
        ) from None
    best = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
    fits = describe(best) == describe(dict(run.model.named_parameters()))
    if not fits:
        check_identity(path, theirs, {key: ours[key] for key in SHAPES})
    if not fits or theirs["checksum of its values"] != ours["checksum of its values"]:
        raise InputError(
            f"{path}: belongs to another log or mapping, whose categories, values or streams are "
            f"not the same; use those it was trained with"
        )
    check_finite(path, best)
    put_weights(run.model, best)
    run.best, run.start = copy_weights(run.model), 0
    for name in sorted(best):
        run.start = zlib.crc32(best[name].numpy(), run.start)


def load_first(run, folders: list[Path]) -> None:
    """Takes up the checkpoint of the first folder that has one that fits; says why it is not."""
    for folder in folders:
        if path := find_run(folder):
            try:
                return load_run(run, path)
            except InputError as error:
                print(f"{error}; not used")


def read_checkpoint(
    path: Path, key: str = "model_checkpoint"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Its tensors, and what it says beside them; `key` is the configuration's that names it."""
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such checkpoint; correct '{key}' or set it to null")
    try:
        with safe_open(path, "pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a whole checkpoint ({error}); start anew or use an older one"
        ) from None


def check_identity(path: Path, theirs: dict, ours: dict) -> None:
    for key in ours:
        if theirs.get(key) == ours[key]:
            continue
        remedy = "use the configuration it was trained with"
        if key == "epochs":
            remedy += (
                f", or, to train a finished run further, start a new one from its weights: "
                f"--set model_checkpoint=null start_from={path} out=ANOTHER_FOLDER"
            )
        elif key.startswith("checksum"):
            remedy = "use the log and the mapping it was trained with"
        raise InputError(
            f"{path}: belongs to another configuration: '{key}' is "
            f"{json.dumps(theirs.get(key)):.100} there and {json.dumps(ours[key]):.100} here; "
            f"{remedy}"
        )


def check_tensors(path: Path, tensors: dict[str, Tensor], model: nn.Module) -> None:
    wanted = {}
    for name, parameter in model.named_parameters():
        for group in ("model", "best", "optimizer.exp_avg", "optimizer.exp_avg_sq"):
            wanted[f"{group}.{name}"] = parameter
        wanted[f"optimizer.step.{name}"] = torch.zeros(())
    if describe(tensors) != describe(wanted):
        raise InputError(
            f"{path}: its tensors do not fit this log and its mapping; use those it was trained "
            f"with"
        )
    check_finite(path, tensors)


def check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(
                f"{path}: '{name}' holds numbers that are not finite; start anew or use an older "
                f"one"
            )


def describe(tensors: dict[str, Tensor]) -> dict:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
