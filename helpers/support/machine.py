"""What a configuration asks of the machine: a device, a folder, memory, a precision, chance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
from pydantic import AfterValidator

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


def check_folder(folder: str) -> str:
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
