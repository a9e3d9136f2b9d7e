"""Configuration, the training loop, and a run: its data, its history, its best epoch.

    run = Trainer(read_config("data/working_run.json")).fit()

A run leaves in its folder: checkpoint.safetensors, history.csv (losses and gradient norms by epoch
and name), epochs.csv and category_ranges.csv. Losses are in nats. Shapes: B windows in a batch, U
target steps, C categories, V the sum of their sizes, S streams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.events import TEST, TRAIN, VALIDATION, Log, read_log
from helpers.losses import Evaluation, evaluate, fit_baselines, mean_over_steps
from helpers.model import MultiStreamModel
from helpers.schema import WORKPLACE, read_mapping
from helpers.support import checkpoints, machine, refusals, settings, views, watching, workers
from helpers.support.errors import InputError
from helpers.support.fast import category_losses_fast, speed_up
from helpers.support.files import DATA, STORED, Truth, name_run_folder, read_json, read_truth
from helpers.support.machine import scale_rate
from helpers.support.mixtures import choose_forecaster
from helpers.support.optimizer import EagerAdamW
from helpers.support.records import Record, measure_limits
from helpers.support.settings import Amount, Count, Settings, Size, Text
from helpers.windows import Windows, pick_evenly

VALIDATION_WINDOWS = 2000  # so many, evenly spaced in time, tell an epoch's validation loss


class ModelConfig(Settings):
    d_model: Size = 32
    num_heads: Size = 4
    encoder_layers: Size = 1
    decoder_layers: Size = 1

    check_heads = model_validator(mode="after")(refusals.check_heads)


class Config(Settings):
    """The reference run's configuration, key for key; from learning_rate on, what we add."""

    src_seq_len: Size = 20
    tgt_seq_len: Size = 20
    id_category_size: Annotated[Size, Field(ge=2)] = 100
    epochs: Count = 20
    batch_size: Size = 16  # of all workers together
    grad_accum: Size = 1
    model_checkpoint: Text | None = None
    model: ModelConfig = ModelConfig()
    learning_rate: Amount = 1e-5
    schedule: Literal["constant", "cosine"] = "constant"  # cosine: a short rise, then a fall
    weight_decay: Amount = 0.0  # of AdamW; 0 is Adam
    clip_norm: Annotated[float, Field(gt=0)] | None = None  # longer gradients are shortened
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hide: Annotated[float, Field(ge=0, lt=1)] = 0.0  # this share of inputs is unknown in training
    views: bool = False  # true: training hides whole categories and streams at times, see `views`
    focus: Annotated[float, Field(ge=0, lt=1)] = 0.0  # so much of the loss is the first's alone
    step_decay: Amount = 0.0  # step u of the horizon weighs 1 / u ** step_decay in training
    carry: Size = 1  # so many last vectors of each encoded history go on
    tied: bool = False  # heads share the event embedding's weights: for many rare values
    streams: list | None = None  # names of the streams to use; null for all
    batches: Size = 450  # in an epoch, at most
    shuffle: bool = False  # false: the same windows in the same order in every epoch
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: machine.Device = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"  # of matrix products
    log: Text | None = None  # null: the built-in log and its truth
    mapping: Text | None = None
    out: machine.Folder | None = None  # null: nothing is written; in a file, see read_config
    start_from: Text | None = None  # a checkpoint whose best weights a new run starts with

    check_together = model_validator(mode="after")(refusals.check_together)


def read_config(path: str | Path, changes: dict | None = None) -> Config:
    """A configuration from JSON; without 'out', that is build/runs/ and the file's name.

    Files it names lie beside it, or else in the current folder. `changes` replaces values, such as
    {"model.d_model": 64}. An InputError names file and key.
    """
    given = settings.change_keys(read_json(path), changes or {}, path)
    given = settings.find_files(given, changes or {}, path)
    if given.get("out") is None:
        given["out"] = str(name_run_folder(path))
    return settings.fill(Config, given, path)


@dataclass
class Data:
    """A log, its windows by part, and, for the built-in log, what its simulator knows."""

    log: Log
    windows: dict[int, Windows]
    truth: Truth | None

    @cached_property
    def baselines(self):  # `Baselines` of the log, counted when they are first asked
        return fit_baselines(self.log)


def load_data(config: Config) -> Data:
    """Reads the configured log and indexes its windows."""
    mapping = read_mapping(config.mapping) if config.mapping else WORKPLACE
    path = config.log or DATA / "workplace.csv.gz"
    log = read_log(path, mapping, config.id_category_size)
    if config.streams is not None:
        log.streams = settings.pick_named(log.streams, config.streams, "streams")
    truth = None if config.log or config.mapping else read_truth(path).take(log.row)
    try:
        return Data(log, index_windows(log, config), truth)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def index_windows(log: Log, config: Config) -> dict[int, Windows]:
    """The windows of each part of a log: TRAIN, VALIDATION and TEST -> Windows."""
    lengths = (config.src_seq_len, config.tgt_seq_len)
    train = Windows(log, TRAIN, *lengths)
    others = {part: Windows(log, part, *lengths, beside=train) for part in (VALIDATION, TEST)}
    return {TRAIN: train} | others


def order_batches(windows: Windows, config: Config, epoch: int) -> list[np.ndarray]:
    """The origins of each batch of an epoch, in the order in which it trains."""
    need = config.batches * config.batch_size
    if config.shuffle:  # from seed and epoch alone, so a resumed run goes on in the same order
        rng = np.random.default_rng([config.seed, epoch])
        rounds = math.ceil(need / len(windows))
        order = np.concatenate([rng.permutation(windows.origins) for _ in range(rounds)])[:need]
    else:
        order = pick_evenly(windows.origins, need)
    return np.array_split(order, math.ceil(len(order) / config.batch_size))


class Trainer(Record):
    """One run: the model, its optimiser and its history. `fit` trains to the last epoch.

    model: a network to be trained in the place of ours: a MultiStreamModel, or of a class of it
    watch: called after each batch with its number, counted from the run's beginning, and its loss
        in nats; of several workers each tells its part of the loss
    """

    def __init__(
        self, config: Config, data: Data | None = None, progress=True, model=None, watch=None
    ):
        super().__init__()
        self.config, self.watch = config, watch
        self.progress = progress and workers.get_rank() == 0
        self.data = data or load_data(config)
        log, windows = self.data.log, self.data.windows
        self.names = [category.name for category in log.categories]
        self.sizes = [category.size for category in log.categories]
        machine.check_memory(config, self.sizes, len(log.streams))
        fewest = min(map(len, order_batches(windows[TRAIN], config, 0)))
        workers.check_workers(min(fewest, len(windows[VALIDATION])))

        with machine.own_chance(config.seed, config.device):
            self.model = speed_up(model or self.make_model()).to(config.device)
        rates = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
        self.optimizer = EagerAdamW(self.model.parameters(), **rates, fused=True)
        steps = torch.arange(1, config.tgt_seq_len + 1, device=config.device)
        self.step_weights = steps**-config.step_decay  # (U,)
        self.checked = pick_evenly(windows[VALIDATION].origins, VALIDATION_WINDOWS)
        self.limits = measure_limits(windows[TRAIN], windows[VALIDATION], self.checked)
        self.views = views.list_views(log) if config.views else []
        self.best = checkpoints.copy_weights(self.model)
        if config.model_checkpoint:
            checkpoints.load_run(self, config.model_checkpoint)
        elif config.start_from:
            checkpoints.load_weights(self, config.start_from)

    def make_model(self) -> MultiStreamModel:
        more = {"src_seq_len", "tgt_seq_len", "carry", "dropout", "tied"}
        shape = self.config.model.model_dump() | self.config.model_dump(include=more)
        return MultiStreamModel(self.data.log.categories, len(self.data.log.streams), **shape)

    def fit(self, after_epoch: Callable[[Trainer], None] | None = None, replace=False) -> Trainer:
        """Trains up to the last epoch; checkpoint and tables are in `config.out`, where it is set.

        Where it breaks off, by an interrupt or a full disk, another call goes on as if nothing had
        happened. `after_epoch` is called with the run before each epoch is written. Another run
        that lies in `config.out` is an InputError, unless this one shall `replace` it.
        """
        if self.saved >= self.config.epochs:  # a finished run's folder is not even locked
            return self
        with checkpoints.own_folder(self, replace) as writes:
            while self.saved < self.config.epochs:
                if self.epochs_done == self.saved:  # or else it is trained, but not yet written
                    self.epoch()
                if writes and after_epoch:
                    after_epoch(self)
                if writes:
                    checkpoints.save_run(self)
                self.saved = self.epochs_done
        return self

    def epoch(self) -> None:
        """Trains one epoch and measures the validation loss; TrainingStopped where it cannot.

        It is trained whole or not at all: where it breaks off, the run is as before.
        """
        with checkpoints.whole_or_nothing(self), machine.epoch_chance(self):
            train, gradients = self.train_epoch()
            self.note_epoch(train, self.validate(), gradients)

    def train_epoch(self) -> tuple[Tensor, Tensor]:
        """The loop. Means over it: the loss by category, (C,), gradient norms by stream, (S,)."""
        config, epoch, windows = self.config, self.epochs_done, self.data.windows[TRAIN]
        batches = order_batches(windows, config, epoch)
        steps = math.ceil(len(batches) / config.grad_accum)
        train, counted = torch.zeros(len(self.names), device=config.device), 0
        gradients = torch.zeros(len(self.data.log.streams), device=config.device)
        self.model.train()
        bar = tqdm(batches, f"epoch {epoch}", disable=not self.progress, unit="batch", leave=False)
        for i, origins in enumerate(bar):
            batch = windows.batch(workers.take_my_part(origins)).to(config.device)
            whole = machine.move(windows.count(origins), config.device)  # (B, U), of all workers
            batch = machine.hide_values(views.draw(batch, self.views), config.hide)
            with machine.use_precision(config):
                logits = self.model(batch)  # (B, U, V)
            losses = category_losses_fast(logits, batch.target, self.sizes)  # (B, U, C)
            loss = mean_over_steps(losses, batch.counted, self.step_weights, whole)  # (C,)
            watching.refuse_losses(self, loss, f"batch {i}")

            # Gradients of several batches add up to one step; the last one may have fewer.
            step, place = divmod(i, config.grad_accum)
            in_step = min(config.grad_accum, len(batches) - step * config.grad_accum)
            aim = (1 - config.focus) * loss.mean() + config.focus * loss[0]
            (aim / in_step).backward()
            if place + 1 == in_step:
                gradients += self.step(epoch * steps + step, config.epochs * steps)

            # What is told weighs all steps of an epoch alike, as validation does.
            told = losses.detach().where(batch.counted[..., None], 0).sum((0, 1))  # (C,)
            train, counted = train + told, counted + whole.sum()
            if self.watch:
                self.watch(epoch * len(batches) + i, (told.mean() / whole.sum()).item())
        workers.add_up(train)
        return train / counted, gradients / steps

    def step(self, number: int, steps: int) -> Tensor:
        """One step of the optimiser; the norm of each encoder's gradients, unclipped: (S,)."""
        config, parameters = self.config, dict(self.model.named_parameters())
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        workers.add_up(*gradients.values())
        norm = nn.utils.get_total_norm(gradients.values())
        watching.refuse_gradients(self, gradients, norm)  # before the optimiser uses them
        by_stream = watching.measure_gradients(self.model.encoder)
        if config.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters.values(), config.clip_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * scale_rate(config.schedule, number, steps)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return by_stream

    def validate(self) -> Tensor:
        """The loss of each category on the validation windows: (C,)."""
        windows, origins = self.data.windows[VALIDATION], workers.take_my_part(self.checked)
        with machine.use_precision(self.config):
            checked = evaluate(self.model, windows, origins=origins, device=self.config.device)
        losses = checked.losses["model"][checked.counted]  # (steps that count, C)
        return workers.mean_of_all(torch.from_numpy(losses))

    def evaluation(self, part=TEST, origins: np.ndarray | None = None, alone=False) -> Evaluation:
        """The best epoch's forecast and its rivals', on a part's windows; see `forecaster`."""
        data, rest = self.data, (origins, self.config.device, self.progress)
        with self.forecaster(alone) as model:
            return evaluate(model, data.windows[part], data.baselines, data.truth, *rest)

    @contextmanager
    def forecaster(self, alone=False) -> Iterator[nn.Module]:
        """Inside, the best epoch's network; with views, mixed with a table, unless it be alone."""
        with checkpoints.best_epoch(self), machine.use_precision(self.config):
            yield choose_forecaster(self, evaluate, alone) if self.views else self.model


def finished_run(path: str | Path, changes: dict | None = None) -> Trainer:
    """A configuration's trained run: from its folder, or stored in data/runs, or trained now.

    A run in its folder that does not fit is replaced then, which is said.
    """
    run = Trainer(read_config(path, changes))
    stored = [] if changes else [STORED / Path(path).stem]
    checkpoints.load_first(run, [Path(run.config.out), *stored])
    return run.fit(replace=True)
