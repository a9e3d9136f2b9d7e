"""Several processes that train one run: alike, resumed, refused, and when one dies."""

import os
import re
import socket
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
import torch.distributed as dist
from small import CHECKPOINT, ENVIRONMENT, TABLES, epochs_in, heard, names_in, small_run

from helpers.support.checkpoints import save_run
from helpers.support.errors import InputError
from helpers.support.workers import join_workers


def work(pipe, rank: int, port: int, changes: dict, breaks_off: bool):
    """One of two workers, told by its surroundings what torchrun would tell it."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    join_workers("cpu")
    try:
        run = small_run(**changes)
        if breaks_off:
            run.epoch()
            if rank == 0:
                save_run(run)
        else:
            run.fit()
        pipe.send((run.history, [p.tolist() for p in run.model.parameters()]))
    except InputError as error:
        pipe.send(str(error))
    dist.destroy_process_group()


def two_workers(start, changes: dict, breaks_off: bool = False) -> list:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        heard(pipe) for _, pipe in [start(work, rank, port, changes, breaks_off) for rank in (0, 1)]
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch_size": 7},
        {"batch_size": 9, "grad_accum": 2, "clip_norm": 0.5, "step_decay": 0.5},
    ],
    ids=["even", "odd", "odd, in steps of two"],
)
def test_two_workers_train_as_one_process_and_write_one_run(start, tmp_path, changes):
    (ours, weights), (theirs, their_weights) = two_workers(start, changes | {"out": str(tmp_path)})
    alone = small_run(**changes).fit()
    assert ours == theirs and weights == their_weights
    pd.testing.assert_frame_equal(
        pd.DataFrame(ours), pd.DataFrame(alone.history), rtol=0, atol=1e-5
    )
    assert names_in(tmp_path) == {CHECKPOINT, *TABLES}
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2 * 41


def test_two_workers_that_are_resumed_end_as_if_unbroken(start, tmp_path):
    changes = {
        "batch_size": 7,
        "dropout": 0.2,
    }  # one has four windows of each batch, the other three
    unbroken = two_workers(start, changes | {"out": str(tmp_path / "a")})
    out = tmp_path / "b"
    (history, _), _ = two_workers(start, changes | {"out": str(out)}, breaks_off=True)
    assert len(history) == 41  # of one epoch
    assert (
        two_workers(start, changes | {"out": str(out), "model_checkpoint": str(out / CHECKPOINT)})
        == unbroken
    )


def test_fewer_windows_than_workers_are_refused_in_a_line(start):
    for said in two_workers(start, {"batch_size": 1}):
        for words in ("'batch_size'", "2 workers", "start fewer"):
            assert words in said
        assert "\n" not in said


@pytest.mark.parametrize("dies", [1, pytest.param(0, marks=pytest.mark.long)])
def test_a_worker_that_dies_ends_the_others_within_seconds_and_is_named(
    tmp_path, config_file, dies
):
    config = config_file(epochs=10_000, batches=100)
    with open(tmp_path / "said", "w") as said:
        torchrun = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                "2",
                "-m",
                "helpers.tools.train",
                str(config),
            ],
            stdout=said,
            stderr=said,
            cwd=tmp_path,
            env=os.environ | ENVIRONMENT,
        )
    try:
        while not (tmp_path / "run" / CHECKPOINT).exists():
            assert torchrun.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.05)
        time.sleep(0.3)  # in the middle of the next epoch
        workers = {
            int(worker.environ()["RANK"]): worker
            for worker in psutil.Process(torchrun.pid).children()
        }
        workers[dies].kill()
        began = time.monotonic()
        assert torchrun.wait(60) == 1
        took = time.monotonic() - began
    finally:
        torchrun.kill()
    text = (tmp_path / "said").read_text()
    print(f"all had ended {took:.1f} s after it")
    assert took < 15 and not any(worker.is_running() for worker in workers.values())
    assert re.search(rf"rank +: {dies} .*\n +exitcode +: -9", text)
    assert f"error: worker {1 - dies}: another worker of this run has ended" in text
    assert epochs_in(tmp_path / "run") >= 1
