"""Several processes that train one run together, where torchrun starts them.

    torchrun --nproc-per-node K -m helpers.tools.train CONFIG

Each takes its part of every batch, gradients are added up, and so each holds the same weights. The
first one writes. Without torchrun there is one worker, and nothing here does anything.
"""

from __future__ import annotations

import os
import signal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from helpers.support.errors import InputError, TrainingStopped


def join_workers(device: str) -> None:
    """Meets the other workers, where torchrun started this process."""
    if "WORLD_SIZE" in os.environ:
        cuda = torch.device(device).type == "cuda"
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if cuda else "gloo")
        signal.signal(signal.SIGTERM, end_with_others)  # so torchrun ends the workers left


def leave_workers() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def end_with_others(*_) -> None:
    """Ends this worker where another is gone, told by a failing message or by torchrun."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TrainingStopped(
        f"worker {get_rank()}: another worker of this run has ended, and torchrun says below "
        f"which; the last whole epoch is in the run's folder"
    )


def count_workers() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def get_rank() -> int:
    """Which of the workers this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def take_my_part(origins: np.ndarray) -> np.ndarray:
    return origins[get_rank() :: count_workers()]


def check_workers(fewest: int) -> None:
    """Refuses more workers than the fewest windows that they have to share."""
    if fewest < count_workers():
        raise InputError(
            f"key 'batch_size': {fewest} windows, the fewest in a batch or in validation, cannot "
            f"be shared by {count_workers()} workers; start fewer"
        )


def add_up(*tensors: Tensor) -> None:
    """Replaces each tensor by its sum over all workers, in one message."""
    if count_workers() == 1:
        return
    together = nn.utils.parameters_to_vector(tensors)
    together = together.to("cuda" if dist.get_backend() == "nccl" else "cpu")
    try:
        dist.all_reduce(together)
    except TrainingStopped:
        raise
    except RuntimeError:  # the message that PyTorch gives names a port, not the worker
        end_with_others()
    nn.utils.vector_to_parameters(together.to(tensors[0].device), tensors)


def mean_of_all(losses: Tensor) -> Tensor:
    """The mean over the rows of all workers: (rows, C) of each -> (C,)."""
    total, rows = losses.sum(0, dtype=torch.double), torch.tensor([len(losses)]).double()
    add_up(total, rows)
    return total / rows
