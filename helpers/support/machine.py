"""What a configuration asks of the machine: a device, a folder, memory, a precision, chance."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import AfterValidator
from torch import Tensor

from helpers.support import workers
from helpers.support.errors import InputError
from helpers.support.settings import Text

MOST_NUMBERS = 2**31  # of four bytes: 8 GB for one thing


def check_device(device: str) -> str:
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"'{device}' cannot be used here ({why}); use cpu") from None
    return device


def move(tensor: Tensor, device) -> Tensor:
    """The tensor on this device; a GPU is not waited for until it has done what it was told.

    Its copy comes from memory that stays in its place, or else there is no way round waiting.
    """
    if tensor.is_cpu and torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def check_folder(folder: str) -> str:
    folder = os.path.expanduser(folder)
    path = Path(folder).absolute()
    place = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not os.path.isdir(place) or not os.access(place, os.W_OK):
        raise ValueError(f"'{place}' is not a folder that can be written to; choose another")
    return folder


Device = Annotated[Text, AfterValidator(check_device)]
Folder = Annotated[Text, AfterValidator(check_folder)]


def check_memory(config, sizes: list[int], streams: int) -> None:
    """Refuses what needs more than 8 GB for one thing, before memory runs out; counts are rough.

    sizes: of the categories; streams: how many there are
    """
    model, T, U, V = config.model, config.src_seq_len, config.tgt_seq_len, sum(sizes)
    width, layers = model.d_model, streams * model.encoder_layers
    encoders = T * layers * (8 * width + model.num_heads * T)  # of one window
    decoder = U * (V + 8 * model.decoder_layers * width)
    needs = {
        "the weights of its model": width * (2 * V + 12 * width * (layers + model.decoder_layers)),
        "a batch": config.batch_size * (encoders + decoder),
        "the order of an epoch's windows": 2 * config.batches * config.batch_size,
    }
    for what, numbers in needs.items():
        if numbers > MOST_NUMBERS:
            raise InputError(
                f"{what} would take about {4e-9 * numbers:.3g} GB; make the configuration's or "
                f"the mapping's sizes, lengths or counts smaller"
            )


def use_precision(config) -> torch.autocast:
    """Where matrix products are computed in the configured precision."""
    kind = torch.device(config.device).type
    return torch.autocast(kind, torch.bfloat16, enabled=config.precision == "bfloat16")


@contextmanager
def own_chance(seed: int, device: str) -> Iterator[None]:
    """Inside, torch draws from this seed alone; after it, its shared generator is as it was."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def epoch_chance(run) -> AbstractContextManager:
    """What dropout draws depends on seed, epoch and worker: so a resumed run goes on unbroken."""
    seeds = np.random.SeedSequence([run.config.seed, run.epochs_done, workers.get_rank()])
    return own_chance(int(seeds.generate_state(1)[0]), run.config.device)


def hide_values(batch, share: float):
    """The `Batch` with so large a share of its inputs' values made unknown, drawn anew each time.

    So a network learns what *unknown* tells, which a value that training never had becomes later.
    """
    if not share:
        return batch

    def hide(values: Tensor) -> Tensor:
        return values.masked_fill(torch.rand(values.shape, device=values.device) < share, 0)

    return batch._replace(histories=hide(batch.histories), given=hide(batch.given))


def scale_rate(schedule: str, step: int, steps: int) -> float:
    """The share of the learning rate at a step; the cosine is of Loshchilov & Hutter 2017."""
    if schedule == "constant":
        return 1.0
    rise = max(1, steps // 20)  # straight up, until it meets half a cosine wave
    return min((step + 1) / rise, 0.5 * (1 + math.cos(math.pi * step / steps)))
