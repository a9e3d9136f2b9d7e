"""Configuration, the training loop with its monitors, checkpoints that resume, and the run's tables.

    python -m helpers.training data/working_run.json [--set key=value ...] [--report out.csv] [--history out.csv]
    torchrun --nproc-per-node 2 -m helpers.training ...     # two processes, each with half of every batch

A run leaves in its folder: checkpoint.safetensors, history.csv (losses and gradient norms by epoch and name),
epochs.csv, category_ranges.csv, report.csv, loss_per_epoch_full.png and category_ladder.png.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import signal
import zipfile
import zlib
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from filelock import FileLock, Timeout
from matplotlib.figure import Figure
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from helpers import plots
from helpers.events import TEST, TRAIN, VALIDATION, Log, read_log
from helpers.losses import Evaluation, category_losses, evaluate, fit_baselines, multi_objective_loss
from helpers.model import MultiStreamModel
from helpers.schema import MOST, WORKPLACE, InputError, TrainingStopped, filled, make_folder, read_json, read_mapping, replace, run_command
from helpers.windows import Batch, Windows
from helpers.world import DATA

from helpers.support.commands import check_output as check_output_of, parse_arguments as command_line
from helpers.support.files import lock_folder as alone_in, write_table, write_figure
ROOT = DATA.parent
STORED = DATA / "runs"  # runs that come with the course, trained to the end
VALIDATION_WINDOWS = 2000  # as many windows, evenly spaced in time, tell the validation loss of an epoch


@dataclass
class ModelConfig:
    d_model: int = 32
    num_heads: int = 4
    encoder_layers: int = 1
    decoder_layers: int = 1


@dataclass
class Config:
    """The reference run's configuration, key for key; then what we add, which defaults to that run's settings."""

    src_seq_len: int = 20
    tgt_seq_len: int = 20
    id_category_size: int = 100
    epochs: int = 20
    batch_size: int = 16
    grad_accum: int = 1
    model_checkpoint: str | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    # what we add
    learning_rate: float = 1e-5
    schedule: str = "constant"  # or "cosine": a short rise, then a fall to nothing
    weight_decay: float = 0.0  # of AdamW; 0 is Adam
    clip_norm: float | None = None  # gradients longer than this are shortened
    dropout: float = 0.0
    step_decay: float = 0.0  # step u of the horizon weighs 1 / u ** step_decay in training; 0: all alike
    carry: int = 1
    tied: bool = False  # heads and event embedding share weights: better where categories have hundreds of rare values
    streams: list | None = None  # names of the streams to use; null for all
    batches: int = 450  # in an epoch
    shuffle: bool = False  # false: the same windows in the same order in every epoch
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"  # or "bfloat16": matrix products of 16-bit numbers, all else as before
    log: str | None = None  # null: the built-in log and its floors
    mapping: str | None = None
    out: str | None = None  # null: the project's build/runs/ and the configuration's name


def read_config(path: str | Path, changes: dict | None = None) -> Config:
    """A configuration from JSON. `changes` replaces values, a dot leading inside: {"model.d_model": 64}.

    An InputError names the file and the key that cannot work.
    """
    given = read_json(path)
    for key, value in (changes or {}).items():
        *outer, last = key.split(".")
        place = given
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError(f"{path}: '{name}' in '{key}' is not an object, so it has no key '{last}'")
        place[last] = value
    config = filled(Config, given, str(path))
    if config.out is None:
        if not Path(path).stem.strip("."):  # '...json' would lead out of build/runs
            raise InputError(f"{path}: a run's folder is named like its configuration, and this is dots alone; "
                             f"rename it or set 'out'")
        config.out = str(ROOT / "build" / "runs" / Path(path).stem)
    check_config(config, str(path))
    return config


def check_config(config: Config, where: str) -> None:
    """Refuses values that cannot work together."""
    for part, prefix in ((config, ""), (config.model, "model.")):
        for item in fields(part):
            value, key = getattr(part, item.name), f"{where}, key '{prefix}{item.name}'"
            least = {"seed": 0, "epochs": 0, "id_category_size": 2}.get(item.name, 1)
            most = 2**63 - 1 if item.name == "seed" else MOST
            if type(value) is int and not least <= value <= most:
                raise InputError(f"{key}: must be at least {least} and at most {most}, found {str(value):.20}")
            if type(value) is float and not (math.isfinite(value) and value >= 0):
                raise InputError(f"{key}: must be a number of at least 0, found {value}")
            if type(value) is str and (not value or "\0" in value):
                raise InputError(f"{key}: is an empty text or holds a NUL; correct it or leave the key out")
    _check_size(config, where)
    if config.model.d_model % config.model.num_heads:
        raise InputError(f"{where}, key 'model.d_model': {config.model.d_model} is not a multiple of num_heads "
                         f"{config.model.num_heads}; change one of them")
    if config.carry > config.src_seq_len:
        raise InputError(f"{where}, key 'carry': must be at most src_seq_len {config.src_seq_len}, found {config.carry}")
    if config.dropout >= 1:
        raise InputError(f"{where}, key 'dropout': must be below 1, found {config.dropout}")
    for key, values in (("schedule", ("constant", "cosine")), ("precision", ("float32", "bfloat16"))):
        if getattr(config, key) not in values:
            raise InputError(f"{where}, key '{key}': must be {' or '.join(values)}, found '{getattr(config, key)}'")
    if config.log and not config.mapping:
        raise InputError(f"{where}, key 'mapping': a log of your own needs one; data/README.md shows an example")
    if config.clip_norm == 0:
        raise InputError(f"{where}, key 'clip_norm': 0 leaves nothing to learn from; write null for no clipping")
    if config.out:
        place = next(place for place in [Path(config.out), *Path(config.out).absolute().parents] if os.path.lexists(place))
        if not os.path.isdir(place) or not os.access(place, os.W_OK):
            raise InputError(f"{where}, key 'out': '{place}' is not a folder that can be written to; choose another")
    try:
        torch.zeros(1, device=config.device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise InputError(f"{where}, key 'device': '{config.device}' cannot be used here "
                         f"({str(error).splitlines()[0]}); use cpu") from None


def _check_size(config: Config, where: str) -> None:
    """Refuses what needs more than 8 GB for one thing, before the machine runs out of memory; the counts are rough."""
    m, ids = config.model, config.id_category_size
    encoders = 7 * config.src_seq_len * m.encoder_layers * (8 * m.d_model + m.num_heads * config.src_seq_len)
    decoder = 8 * config.tgt_seq_len * (ids + m.decoder_layers * m.d_model)
    needs = {"the weights of its model": m.d_model * (16 * ids + 12 * m.d_model * (7 * m.encoder_layers + m.decoder_layers)),
             "a batch": config.batch_size * (encoders + decoder),
             "the order of an epoch's windows": 2 * config.batches * config.batch_size}
    for what, numbers in needs.items():
        if numbers > 2**31:
            raise InputError(f"{where}: {what} would take about {4e-9 * numbers:.3g} GB; make its sizes, lengths or counts smaller")


@dataclass
class Data:
    """A log, its windows by part, and, for the built-in log, the floor of every event: (events, C) nats."""

    log: Log
    windows: dict[int, Windows]
    floors: np.ndarray | None


def load_data(config: Config) -> Data:
    """Reads the configured log and indexes its windows."""
    mapping = read_mapping(config.mapping) if config.mapping else WORKPLACE
    path = config.log or DATA / "workplace.csv.gz"
    log = read_log(path, mapping, config.id_category_size)
    if config.streams is not None:
        names = [stream.name for stream in log.streams]
        if not config.streams or any(name not in names or config.streams.count(name) > 1 for name in config.streams):
            raise InputError(f"key 'streams': must name one or more of {', '.join(names)}, each once, found "
                             f"{json.dumps(config.streams):.200}; correct it or write null for all")
        log.streams = [log.streams[names.index(name)] for name in config.streams]
    floors = None if config.log or config.mapping else read_floors(path)[log.row]
    windows = {}
    try:
        for part in (TRAIN, VALIDATION, TEST):
            windows[part] = Windows(log, part, config.src_seq_len, config.tgt_seq_len, beside=windows.get(TRAIN))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Data(log, windows, floors)


def read_floors(log: Path) -> np.ndarray:
    """The floors of the built-in log, in the order of its rows: (events, C) nats. They have to be of the log beside them."""
    path = log.with_name("floors.npz")
    try:
        with np.load(path) as file:
            if int(file["log"]) == zlib.crc32(log.read_bytes()):
                return file["floors"]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        pass
    raise InputError(f"{path}: not whole, or of another log than {log.name}; fetch both anew, or make them by python -m helpers.world")


class ReadyBatches(Dataset):
    """The batches of one epoch, each ready to use, for a DataLoader that takes them one at a time.

    An item is this worker's part of a batch, and the counts of the whole batch.
    """

    def __init__(self, windows: Windows, config: Config, epoch: int):
        self.windows, need = windows, config.batches * config.batch_size
        if config.shuffle:  # the order depends on the seed and the epoch alone, so a resumed run goes on in it
            rng = np.random.default_rng([config.seed, epoch])
            rounds = [rng.permutation(windows.origins) for _ in range(math.ceil(need / len(windows)))]
            origins = np.concatenate(rounds)[:need]
        else:
            origins = evenly_spaced(windows.origins, need)
        self.origins = np.array_split(origins, math.ceil(len(origins) / config.batch_size))

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, i: int) -> tuple[Batch, Tensor]:
        batch = self.windows.batch(my_part(self.origins[i]))
        whole = batch.counts if workers() == 1 else torch.from_numpy(self.windows.target_index(self.origins[i]) != len(self.windows.log))
        return batch, whole


def evenly_spaced(origins: np.ndarray, most: int) -> np.ndarray:
    return origins[np.linspace(0, len(origins) - 1, min(most, len(origins))).astype(int)]


def take_it(items: list) -> tuple[Batch, Tensor]:
    """A batch is ready already: nothing to collate."""
    return items[0]


# Several processes may train one run together: `torchrun --nproc-per-node K -m helpers.training CONFIG`. Each takes
# its part of every batch, gradients are added up, and so each holds the same weights. The first one writes.

def join_workers(device: str) -> None:
    """Meets the other workers, where torchrun started this process."""
    if "WORLD_SIZE" in os.environ:
        cuda = torch.device(device).type == "cuda"
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if cuda else "gloo")
        signal.signal(signal.SIGTERM, another_has_ended)  # so torchrun ends the workers that are left


def another_has_ended(*_) -> None:
    """Ends this worker where another one is gone, told by a message that fails or by torchrun, whichever comes first."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TrainingStopped(f"worker {rank()}: another worker of this run has ended, and torchrun says below which; "
                          f"the last whole epoch is in the run's folder")


def workers() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of the workers this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def my_part(origins: np.ndarray) -> np.ndarray:
    return origins[rank()::workers()]


def add_up(*tensors: Tensor) -> None:
    """Replaces each tensor by its sum over all workers, in one message."""
    if workers() > 1:
        together = nn.utils.parameters_to_vector(tensors).to("cuda" if dist.get_backend() == "nccl" else "cpu")
        try:
            dist.all_reduce(together)
        except TrainingStopped:
            raise
        except RuntimeError:  # the message that PyTorch gives names a port, not the worker
            another_has_ended()
        nn.utils.vector_to_parameters(together.to(tensors[0].device), tensors)


class Trainer:
    """One run: the model, its optimiser and its history. `fit` trains to the last epoch; `epoch` one epoch.

    history: a list of {"epoch", "measure", "name", "value"}; the measures are "train" and "validation" (the
    loss of each category, in nats) and "gradient" (the mean norm of each stream's encoder's gradients).
    model: another network to be trained in the place of ours: a MultiStreamModel, or of a class made from it.
    watch: called after each batch with its number, counted from the run's beginning, and its loss in nats; of several
    workers each tells its part of the loss.
    """

    def __init__(self, config: Config, data: Data | None = None, progress: bool = True, model: nn.Module | None = None,
                 watch: Callable[[int, float], None] | None = None):
        self.config, self.progress, self.watch = config, progress and rank() == 0, watch
        self.data = data or load_data(config)
        fewest = min(len(self.data.windows[VALIDATION]), *(len(origins) for origins in ReadyBatches(self.data.windows[TRAIN], config, 0).origins))
        if fewest < workers():
            raise InputError(f"key 'batch_size': {fewest} windows, the fewest in a batch or in validation, cannot be shared by "
                             f"{workers()} workers; start fewer")
        log = self.data.log
        self.names = [category.name for category in log.categories]
        self.sizes = [category.size for category in log.categories]
        torch.manual_seed(config.seed)
        self.model = model or MultiStreamModel(log.categories, len(log.streams), config.src_seq_len, config.tgt_seq_len,
                                               carry=config.carry, dropout=config.dropout, tied=config.tied, **asdict(config.model))
        self.model.to(config.device)
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate,
                                           weight_decay=config.weight_decay, fused=True)
        self.weights = torch.arange(1, config.tgt_seq_len + 1, device=config.device) ** -config.step_decay if config.step_decay else None
        self.history: list[dict] = []
        self.epochs_done = self.saved = 0  # saved: as many epochs need no more saving
        self.best: dict[str, Tensor] = self._weights()
        if config.model_checkpoint:
            self.load(config.model_checkpoint)

    # -- the loop

    def fit(self) -> "Trainer":
        """Trains up to the last epoch; after each, the checkpoint and the tables are in `config.out`, where that is set.

        Where it breaks off, by an interrupt or a full disk, another call goes on as if nothing had happened.
        """
        if self.saved >= self.config.epochs:  # so nothing is touched, such as the folder of a run that is finished
            return self
        writes = self.config.out and rank() == 0
        with alone_in(Path(self.config.out)) if writes else nullcontext():
            while self.saved < self.config.epochs:
                if self.epochs_done == self.saved:
                    self.epoch()
                if writes:
                    self.save()
                self.saved = self.epochs_done
        return self

    def epoch(self) -> None:
        """Trains one epoch and measures the validation loss after it; TrainingStopped where a number is not finite.

        It is trained whole or not at all: where it breaks off, weights, optimiser and history are as before.
        """
        before = self._state()
        try:
            # What dropout draws depends on seed, epoch and worker alone: so a resumed run goes on as an unbroken one.
            torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.epochs_done, rank()]).generate_state(1)[0]))
            self._epoch()
        except BaseException:  # an interrupt too
            self._take(*before)
            self.optimizer.zero_grad()
            raise

    def _epoch(self) -> None:
        config, epoch = self.config, self.epochs_done
        loader = DataLoader(ReadyBatches(self.data.windows[TRAIN], config, epoch), batch_size=1, shuffle=False,
                            num_workers=0, collate_fn=take_it)
        steps = math.ceil(len(loader) / config.grad_accum)
        losses = torch.zeros(len(self.names), device=config.device)
        gradients = torch.zeros(len(self.data.log.streams), device=config.device)
        self.model.train()
        bar = tqdm(loader, disable=not self.progress, desc=f"epoch {epoch}", unit="batch", mininterval=0.5, leave=False)
        for i, (batch, whole) in enumerate(bar):
            batch, whole = batch.to(config.device), whole.to(config.device)
            with half_precision(config):
                logits = self.model(batch)
            each = category_losses(logits, batch.target, self.sizes)
            loss = multi_objective_loss(each, batch.counts, self.weights, whole)
            self._refuse_not_finite(loss, f"epoch {epoch}, batch {i}")
            in_step = min(config.grad_accum, len(loader) - i // config.grad_accum * config.grad_accum)
            (loss.mean() / in_step).backward()
            if self.weights is not None:  # the tables count as validation does, whatever the weights
                loss = multi_objective_loss(each.detach(), batch.counts, whole=whole)
            losses += loss.detach()
            if (i + 1) % config.grad_accum == 0 or i + 1 == len(loader):
                self._step(epoch * steps + i // config.grad_accum, config.epochs * steps, gradients, f"epoch {epoch}, batch {i}")
            if self.watch:
                self.watch(epoch * len(loader) + i, loss.mean().item())
            if i % 50 == 0:
                bar.set_postfix(train=f"{losses.mean().item() / (i + 1):.4f}")
        add_up(losses)
        validation = self._validation()
        self._refuse_spoiled("weights", dict(self.model.named_parameters()), f"epoch {epoch}, after batch {i}")
        self._refuse_not_finite(validation, f"epoch {epoch}, validation after batch {i}")
        streams = [stream.name for stream in self.data.log.streams]
        for measure, names, values in (("train", self.names, losses / len(loader)), ("validation", self.names, validation),
                                       ("gradient", streams, gradients / steps)):
            self.history += [{"epoch": epoch, "measure": measure, "name": name, "value": value}
                             for name, value in zip(names, values.tolist())]
        self.epochs_done += 1
        table = self.epochs()
        if table["best"].iloc[-1]:
            self.best = self._weights()
        if self.progress:
            last = table.iloc[-1]
            tqdm.write(f"epoch {epoch:3d}   train {last['train']:.4f}   validation {last['validation']:.4f}{'   best' if last['best'] else ''}")

    def _validation(self) -> Tensor:
        """The loss of each category on the validation windows: (C,)."""
        windows = self.data.windows[VALIDATION]
        origins = my_part(evenly_spaced(windows.origins, VALIDATION_WINDOWS))
        with half_precision(self.config):
            checked = evaluate(self.model, windows, origins=origins, device=self.config.device)
        total = torch.from_numpy(checked.losses["model"][checked.counts].sum(0, dtype=float))
        steps = torch.tensor([checked.counts.sum()], dtype=float)
        add_up(total, steps)
        return total / steps

    def _refuse_not_finite(self, losses: Tensor, where: str) -> None:
        if not (finite := losses.isfinite()).all():
            raise TrainingStopped(f"{where}: the loss of {self.names[int(finite.int().argmin())]} is not finite; {self._remedy()}")

    def _refuse_spoiled(self, what: str, tensors: dict[str, Tensor], where: str) -> None:
        """Names the first tensor that is not finite, in the order in which gradients go back, and its category or stream."""
        for name, tensor in reversed(tensors.items()):
            finite = tensor.isfinite().reshape(len(tensor), -1).all(1)
            if not finite.all():
                row, of = int(finite.int().argmin()), ""
                if name.startswith(("heads.", "embedding.values.")):  # a row for each value
                    of = f" ({np.repeat(self.names, self.sizes)[row]})"
                elif name.startswith("encoder") and len(tensor) == len(self.data.log.streams):
                    of = f" (stream {self.data.log.streams[row].name})"
                raise TrainingStopped(f"{where}: the {what} of {name}{of} are not finite; {self._remedy()}")

    def _remedy(self) -> str:
        return f"lower learning_rate ({self.config.learning_rate}) or set clip_norm"

    def _step(self, step: int, steps: int, gradients: Tensor, where: str) -> None:
        """One step of the optimiser; adds the norm of each stream's gradients to `gradients`."""
        grads = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        add_up(*grads.values())
        gradients += torch.cat([p.grad.flatten(1) for p in self.model.encoder.parameters()], 1).norm(dim=1)
        norm = nn.utils.get_total_norm(grads.values())
        if not norm.isfinite():  # one number to look at, before the optimiser uses what it sums up
            self._refuse_spoiled("gradients", grads, where)
            raise TrainingStopped(f"{where}: the gradients are too large to be squared; {self._remedy()}")
        if self.config.clip_norm:
            nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * rate(self.config.schedule, step, steps)
        self.optimizer.step()
        self.optimizer.zero_grad()

    # -- the tables

    def epochs(self) -> pd.DataFrame:
        """The epoch table: epoch, train, validation, and best, true in the one epoch that validation chooses."""
        table = pd.DataFrame(self.history).pivot_table(index="epoch", columns="measure", values="value", aggfunc="mean")
        table = table[["train", "validation"]].reset_index().rename_axis(columns=None)
        table["best"] = table["validation"].index == table["validation"].idxmin()
        return table

    def category_ranges(self) -> pd.DataFrame:
        """The least and the greatest validation loss of each category over the epochs, as the summary shows them."""
        rows = pd.DataFrame(self.history).query("measure == 'validation'")
        return rows.groupby("name", sort=False)["value"].agg(["min", "max"]).rename_axis("category").reset_index()

    def evaluation(self, part: int = TEST, origins: np.ndarray | None = None) -> Evaluation:
        """The best epoch's model, the baselines and the floor on one part: all its windows, or those of `origins`."""
        current = self._weights()
        self._put(self.best)
        try:
            with half_precision(self.config):
                return evaluate(self.model, self.data.windows[part], fit_baselines(self.data.log), self.data.floors,
                                origins, self.config.device, self.progress)
        finally:
            self._put(current)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.named_parameters()}

    @torch.no_grad()
    def _put(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])

    # -- what training changes, and the disk

    def _state(self) -> tuple[dict[str, Tensor], list[dict], int]:
        """A copy of all that training changes: tensors by name, the history and the epochs done."""
        tensors = {f"model.{name}": tensor for name, tensor in self._weights().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for name, parameter in self.model.named_parameters():
            tensors |= {f"optimizer.{key}.{name}": value.clone() for key, value in self.optimizer.state[parameter].items()}
        return tensors, list(self.history), self.epochs_done

    def _take(self, tensors: dict[str, Tensor], history: list[dict], epochs_done: int) -> None:
        """Puts a state in the place of the present one."""
        def group(prefix):
            return {name.removeprefix(prefix): tensor.to(self.config.device) for name, tensor in tensors.items() if name.startswith(prefix)}

        self._put(group("model."))
        self.best = group("best.")
        states = {key: group(f"optimizer.{key}.") for key in ("step", "exp_avg", "exp_avg_sq")}
        for name, parameter in self.model.named_parameters():  # before its first step a parameter has no state
            self.optimizer.state[parameter] = {key: states[key][name] for key in states} if name in states["step"] else {}
        self.history, self.epochs_done = history, epochs_done

    def save(self) -> None:
        """Writes the tables and then the checkpoint; each takes the old one's place when it is whole.

        Where a run is killed between the two, the tables are an epoch ahead; going on from the checkpoint writes them again.
        """
        out = Path(self.config.out)
        out.mkdir(parents=True, exist_ok=True)
        replace(out / "history.csv", lambda path: pd.DataFrame(self.history).to_csv(path, index=False))
        replace(out / "epochs.csv", lambda path: self.epochs().to_csv(path, index=False))
        replace(out / "category_ranges.csv", lambda path: self.category_ranges().to_csv(path, index=False))
        write_figure(out / "loss_per_epoch_full.png", plots.loss_per_epoch, self.epochs(), (8, 4.5))
        tensors, history, done = self._state()
        about = {"config": json.dumps(self._identity()), "history": json.dumps(history), "epochs_done": str(done)}
        replace(out / "checkpoint.safetensors", lambda path: write_tensors(path, tensors, about))
        self.saved = done

    def _identity(self) -> dict:
        """What must be the same for a checkpoint to be resumed: all but where it lies and where it runs."""
        config = asdict(self.config)
        for key in ("model_checkpoint", "out", "device"):
            del config[key]
        log, checksum = self.data.log, 0
        words = repr([log.categories, log.streams, list(log.vocabularies.values())])
        for part in (log.table, log.sequence, log.part, words.encode()):  # what windows are made of, and what they mean
            checksum = zlib.crc32(part, checksum)
        return config | {"checksum of the log": checksum}

    def load(self, path: str | Path) -> None:
        """Takes up a checkpoint, as if this run had never been interrupted; an InputError names the file otherwise."""
        path = Path(path)
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such checkpoint; correct 'model_checkpoint' or set it to null")
        try:
            with safe_open(path, "pt", device="cpu") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: not a whole checkpoint ({error}); start anew or use an older one") from None
        try:
            theirs, ours = asdict(Config()) | json.loads(about["config"]), json.loads(json.dumps(self._identity()))
            history, done = json.loads(about["history"]), int(about["epochs_done"])
            rows = [(row["epoch"], row["measure"], row["name"]) for row in history]
            values = [row["value"] for row in history]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: a safetensors file, but not a checkpoint of this package ({type(error).__name__}: {error}); "
                             f"start anew or use another") from None
        for key in ours:
            if theirs.get(key) != ours[key]:
                raise InputError(f"{path}: belongs to another configuration: '{key}' is {json.dumps(theirs.get(key)):.100} there "
                                 f"and {json.dumps(ours[key]):.100} here; use the configuration it was trained with")
        measured = [("train", self.names), ("validation", self.names), ("gradient", [stream.name for stream in self.data.log.streams])]
        if (rows != [(epoch, measure, name) for epoch in range(done) for measure, names in measured for name in names]
                or not all(type(value) is float and math.isfinite(value) for value in values)):
            raise InputError(f"{path}: not a checkpoint of this package: its history is not that of its epochs; start anew or use another")
        wanted = {}
        for name, parameter in self.model.named_parameters():
            wanted |= {f"{group}.{name}": parameter for group in ("model", "best", "optimizer.exp_avg", "optimizer.exp_avg_sq")}
            wanted[f"optimizer.step.{name}"] = torch.zeros(())
        found, like = ({name: (tensor.shape, tensor.dtype) for name, tensor in group.items()} for group in (tensors, wanted))
        if found != like:
            raise InputError(f"{path}: its tensors do not fit this log and its mapping; use those it was trained with")
        if spoilt := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise InputError(f"{path}: '{spoilt[0]}' holds numbers that are not finite; start anew or use an older one")
        self._take(tensors, history, done)
        self.saved = done


def half_precision(config: Config) -> torch.autocast:
    """Where computing is in the configured precision."""
    return torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.precision == "bfloat16")


def rate(schedule: str, step: int, steps: int) -> float:
    """The share of the learning rate at a step: cosine decay after a linear rise (Loshchilov and Hutter 2017)."""
    if schedule == "constant":
        return 1.0
    rise = max(1, steps // 20)
    return min((step + 1) / rise, 0.5 * (1 + math.cos(math.pi * step / steps)))


def show(report: pd.DataFrame) -> str:
    """A report as text, three digits, blanks where nothing is known."""
    return report.astype({"size": "string"}).fillna({"size": ""}).to_string(index=False, float_format="{:.3f}".format, na_rep="")


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Writes a checkpoint."""
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, about)
    except SafetensorError as error:  # so a full disk is one kind of error, whatever is written
        raise OSError(str(error)) from None


def check_output(option, path, config, config_path):
    check_output_of(option, path, [config_path, config.log, config.mapping, config.model_checkpoint, Path(config.out) / "checkpoint.safetensors"])


def finished_run(path: str | Path, changes: dict | None = None) -> Trainer:
    """The trained run of a configuration: from its folder or, unchanged, from data/runs; else trained now."""
    config = read_config(path, changes)
    data = load_data(config)
    trainer = Trainer(config, data)
    for folder in [Path(config.out)] + [STORED / Path(path).stem] * (not changes):
        if (checkpoint := folder / "checkpoint.safetensors").exists():
            try:
                trainer.load(checkpoint)
                break
            except InputError as error:
                print(f"{error}; not used")
                trainer = Trainer(config, data)
    return trainer.fit()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.training", description="Trains one configuration and reports on it.")
    parser.add_argument("--report", metavar="CSV", help="write the category report of the test part here as well")
    parser.add_argument("--history", metavar="CSV", help="write losses and gradient norms by epoch here as well")
    given, changes = command_line(parser, arguments)
    config = read_config(given.config, changes)
    for option, path in (("--report", given.report), ("--history", given.history)):
        if path:
            check_output(option, path, config, given.config)
    join_workers(config.device)
    trainer = Trainer(config)
    if rank() == 0:
        for note in trainer.data.log.notes:
            print(note)
    trainer.fit()
    if dist.is_initialized():
        writes = rank() == 0
        dist.destroy_process_group()
        if not writes:
            return
    evaluation = trainer.evaluation()
    report = evaluation.report()
    history = pd.DataFrame(trainer.history)
    with alone_in(Path(config.out)):
        write_table(Path(config.out) / "report.csv", report)
        write_figure(Path(config.out) / "category_ladder.png", plots.category_ladder, report, (10, 7))
    for path, table in ((given.report, report), (given.history, history)):
        if path:
            write_table(path, table)
    print(f"\nTest part, all steps of the horizon, losses in nats:\n{show(report)}\n")
    if trainer.data.floors is not None:
        print(f"Mean gap over all steps {report['gap'].iloc[-1]:.4f}, at the first step {evaluation.report(1)['gap'].iloc[-1]:.4f}.")
    print(f"Everything is in {config.out}.")


if __name__ == "__main__":
    run_command(main, "stopped; the last whole epoch, if there is one, is in the run's folder")
