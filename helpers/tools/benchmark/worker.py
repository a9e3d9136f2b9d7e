"""What each worker does where several are timed: the larger run's first batches.

    torchrun --nproc-per-node 2 -m helpers.tools.benchmark.worker 60

The first worker prints how many windows all of them trained a second, over so many batches.
"""

from __future__ import annotations

import sys
import time

from helpers.support.files import DATA
from helpers.support.workers import get_rank, join_workers, leave_workers
from helpers.training import Trainer, read_config

FIRST = 10  # batches that are not timed


def main(batches: int) -> None:
    config = read_config(DATA / "larger_run.json", {"batches": FIRST + batches})
    join_workers(config.device)
    moments = []

    def watch(batch: int, loss: float) -> None:
        moments.append(time.perf_counter())

    Trainer(config, progress=False, watch=watch).train_epoch()
    if get_rank() == 0:
        print(batches * config.batch_size / (moments[-1] - moments[FIRST - 1]))
    leave_workers()


if __name__ == "__main__":
    main(int(sys.argv[1]))
