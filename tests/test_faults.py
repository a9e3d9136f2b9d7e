"""A run that is killed, interrupted, out of disk, doubled or spoiled: what it says and leaves."""

import json
import math
import multiprocessing
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import torch.distributed as dist
import tqdm
from jupyter_client.manager import start_new_kernel
from safetensors import safe_open
from small import small_config, small_data, write_log
from test_training import CHECKPOINT, ROOT, command, one_line, same, trainer

from helpers.support import checkpoints, files
from helpers.support.checkpoints import copy_weights, save_run
from helpers.support.errors import InputError, TrainingStopped
from helpers.support.workers import join_workers
from helpers.training import Trainer, read_config
from helpers.widgets import LiveRun

resource = pytest.importorskip(
    "resource", reason="these faults are brought about as on Linux and macOS"
)

TABLES = {"history.csv", "epochs.csv", "category_ranges.csv"}
NAMES = {CHECKPOINT, *TABLES}
SETTINGS = dict(
    dropout=0.2, shuffle=True, schedule="cosine", grad_accum=2
)  # five batches: the last step has one


def run_in(out, epochs: int, watch=None) -> Trainer:
    """A run that goes on from the folder's checkpoint, if there is one."""
    checkpoint = Path(out) / CHECKPOINT
    there = str(checkpoint) if checkpoint.exists() else None
    config = small_config(**SETTINGS, epochs=epochs, out=str(out), model_checkpoint=there)
    return Trainer(config, small_data(), progress=False, watch=watch)


def write_config(folder: Path, **changes) -> None:
    """Writes mine.json, a small configuration with its log."""
    config = small_config(**write_log(folder), **changes).model_dump()
    (folder / "mine.json").write_text(json.dumps(config))


def contents(folder: Path) -> tuple[dict, dict]:
    """All that a checkpoint holds: what it says about the run, and its tensors."""
    with safe_open(folder / CHECKPOINT, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}


def epochs_in(folder: Path) -> int:
    return int(contents(folder)[0]["epochs_done"])


def same_run(ours: Path, theirs: Path) -> bool:
    """Whether both ended alike bit for bit: weights, optimiser, history, tables, nothing else."""
    (about, tensors), (their_about, their_tensors) = contents(ours), contents(theirs)
    return (
        about == their_about
        and same(tensors, their_tensors)
        and {path.name for path in ours.iterdir()} == NAMES
        and all((ours / name).read_bytes() == (theirs / name).read_bytes() for name in TABLES)
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a run of so many epochs that nothing befell."""

    @cache
    def run(epochs: int) -> Path:
        run_in(out := tmp_path_factory.mktemp("unbroken"), epochs).fit()
        return out

    return run


@pytest.fixture(scope="module")
def start():
    """Starts a function in a process and gives both it and a pipe.

    One server has imported everything, so each starts at once.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv(
            "OMP_WAIT_POLICY", "PASSIVE"
        )  # two threads on one free core would wait for each other at full speed
        context, started = multiprocessing.get_context("forkserver"), []
        context.set_forkserver_preload(["pytest", "test_faults", "ready"])

        def start(target, *arguments):
            ours, theirs = context.Pipe()
            started.append(context.Process(target=target, args=(theirs, *arguments)))
            started[-1].start()
            theirs.close()
            return started[-1], ours

        yield start
        for process in started:
            process.kill()


def heard(pipe):
    """What a process says next."""
    assert pipe.poll(60)
    return pipe.recv()


def train(pipe, out, epochs):
    told = iter([False])
    run_in(out, epochs, lambda *_: next(told, True) or pipe.send("training")).fit()


# -- killed


def check_what_is_left(out: Path, unbroken: Path, epochs: int) -> None:
    """The checkpoint is taken; the history is its own or an epoch ahead, no line torn.

    At most one file was being written.
    """
    run, whole = run_in(out, epochs), (unbroken / "history.csv").read_text()
    assert run.history == json.loads(contents(unbroken)[0]["history"])[: 41 * run.epochs_done]
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
    assert {path.name for path in tmp_path.iterdir()} == NAMES | {
        ".tmp.mine",
        "notes.txt",
        ".part.folder",
    }


def kill_again_and_again(start, unbroken, folder: Path, kills: int, epochs: int) -> None:
    draw, killed, faster = random.Random(kills), 0, 0
    while killed < kills:
        out = folder / str(faster)
        process, pipe = start(train, out, epochs)
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


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):

        def noted(*given, name=name, original=getattr(os, name)):
            order.append(name)
            original(*given)

        monkeypatch.setattr(os, name, noted)
    files.replace_file(tmp_path / "file", lambda part: part.write_text("whole"))
    assert order == ["fsync", "replace"] and (tmp_path / "file").read_text() == "whole"


# -- the disk and the clock


def says(message: str, *words) -> bool:
    return "\n" not in message and all(str(word) in message for word in words)


def train_in_small_files(pipe, out):
    """The second epoch's checkpoint finds no room until fit has failed; its tables do."""
    run, limits = run_in(out, 2), resource.getrlimit(resource.RLIMIT_FSIZE)
    run.epoch()
    save_run(run)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        run.fit()
    except OSError as error:
        pipe.send((str(error), epochs_in(out), {path.name for path in out.iterdir()}))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run.fit()


def test_a_checkpoint_without_room_leaves_the_old_one_and_is_written_by_the_next_fit(
    start, unbroken, tmp_path
):
    process, pipe = start(train_in_small_files, tmp_path)
    said, epochs, names = heard(pipe)
    assert (
        says(said, tmp_path / CHECKPOINT, "File too large", "make room")
        and epochs == 1
        and names == NAMES
    )
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
        with pytest.raises(OSError) as caught:
            run_in(out, 3).fit()
        assert says(str(caught.value), out, "No space left on device", "make room")
        assert {path.name for path in out.iterdir()} == NAMES and epochs_in(out) == 1
        check_what_is_left(out, unbroken(3), 3)
        subprocess.run(["mount", "-o", "remount,size=8m", tmp_path / "disk"], check=True)
        run_in(out, 3).fit()
        assert same_run(out, unbroken(3))


def train_as_nobody(pipe, out):
    run = run_in(out, 2)
    if os.getuid() == 0:  # who may write anywhere
        os.setuid(65534)
    try:
        run.fit()
    except InputError as error:
        pipe.send((str(error), run.epochs_done))


@pytest.mark.parametrize("inner", ["", "new"])
def test_a_folder_that_cannot_be_written_is_refused_before_an_epoch_is_trained(start, inner):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        Path(folder, "history.csv").write_text("of an older run")
        os.chmod(folder, 0o555)
        said, epochs = heard(start(train_as_nobody, Path(folder, inner))[1])
        assert says(said, Path(folder, inner), "Permission denied", "'out'") and epochs == 0
        assert [path.name for path in Path(folder).iterdir()] == ["history.csv"]
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
        small_config(**SETTINGS, out=str(tmp_path)), small_data()
    ).fit()  # with its bar, which alone asks
    assert asked and same_run(tmp_path, unbroken(2))


# -- two runs in a folder

REFUSED = "another run is writing there"


def test_a_second_run_in_a_folder_is_refused_until_the_first_one_ends_even_by_a_kill(
    start, unbroken, tmp_path
):
    process, pipe = start(train, tmp_path, 10_000)
    heard(pipe)
    one_line(lambda: trainer(out=str(tmp_path)).fit(), tmp_path, REFUSED, "'out'")
    process.kill()
    process.join()
    assert (tmp_path / ".lock").exists()
    Trainer(small_config(**SETTINGS, out=str(tmp_path)), small_data(), progress=False).fit()
    assert same_run(tmp_path, unbroken(2))


def test_a_second_run_of_the_same_process_is_refused_until_the_first_one_ends(tmp_path):
    refusals = []

    def second(*_):
        one_line(lambda: trainer(out=str(tmp_path)).fit(), REFUSED)
        refusals.append(1)
        if len(refusals) == 7:
            raise KeyboardInterrupt

    first = run_in(tmp_path, 2, second)
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    assert len(refusals) == 7 and epochs_in(tmp_path) == 1
    trainer(out=str(tmp_path), seed=1).fit()
    first.fit()  # the folder is free again, and it is the first one's again
    assert epochs_in(tmp_path) == 2


def test_a_live_run_in_the_folder_of_another_process_says_that_it_is_refused(start, tmp_path):
    process, pipe = start(train, tmp_path, 10_000)
    assert heard(pipe) == "training"
    live = LiveRun(small_config(epochs=1, out=str(tmp_path)), small_data())
    live.start()
    live.wait(60)
    assert live.said.startswith("Ended by an error: ") and REFUSED in live.said
    process.kill()
    process.join()
    live.start()
    live.wait(60)
    assert live.said.startswith("Finished.") and not (tmp_path / ".lock").exists()
    live.close()


# -- interrupted


def rest_at(batch: int, tell):
    """Watches a run: at a batch it tells, once, and rests until it is interrupted."""
    told = []

    def watch(number, _):
        if number == batch and not told:
            told.append(number)
            tell()
            time.sleep(60)

    return watch


def train_through_interrupts(pipe, out, epochs):
    """Says "training" in the midst of a step of two batches, then each time it begins.

    And of each interrupt what it leaves. An epoch's five batches take longer than the parent waits
    before it interrupts, so that the last epoch is not done before the last interrupt.
    """
    run = run_in(out, epochs, rest_at(7, lambda: pipe.send("training")))
    while run.saved < epochs:
        try:
            run.fit()
        except KeyboardInterrupt:
            whole, told = run_in(out, epochs), iter([False])  # which draws numbers, too
            run.watch = lambda *_, told=told: (
                next(told, True) or pipe.send("training"),
                time.sleep(0.03),
            )
            alike = same(copy_weights(run.model), copy_weights(whole.model))
            pipe.send(
                (
                    run.epochs_done - whole.epochs_done,
                    alike,
                    all(p.grad is None for p in run.model.parameters()),
                )
            )
    pipe.send("done")


def test_an_interrupted_run_is_as_after_its_last_whole_epoch_and_fit_goes_on_bit_for_bit(
    start, unbroken, tmp_path
):
    process, pipe = start(train_through_interrupts, tmp_path, 6)
    draw = random.Random(0)
    for i in range(6):
        assert heard(pipe) == "training"
        time.sleep(draw.uniform(0, 0.1) if i else 0)
        os.kill(process.pid, signal.SIGINT)
        if not pipe.poll(
            20
        ):  # Python drops an interrupt that falls into a destructor; one presses again
            os.kill(process.pid, signal.SIGINT)
        unsaved, alike, no_gradients = heard(pipe)
        assert no_gradients and (unsaved == 1 or (unsaved, alike) == (0, True))  # 1: while it saved
    assert heard(pipe) == "training" and heard(pipe) == "done"
    assert same_run(tmp_path, unbroken(6))


def test_a_kernel_that_is_interrupted_in_an_epoch_goes_on_in_the_next_cell(unbroken, tmp_path):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    manager, client = start_new_kernel(
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    )

    def reply(cell: str) -> dict:
        while (message := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != cell:
            pass
        return message["content"]

    def run(code: str) -> dict:
        return reply(client.execute(code))

    try:
        out, resting = tmp_path / "run", tmp_path / "resting"
        run(
            "from test_faults import *\n"
            f"run = run_in({str(out)!r}, 2, rest_at(7, Path({str(resting)!r}).touch))"
        )
        cell = client.execute("run.fit()")
        while not resting.exists():
            time.sleep(0.05)
        manager.interrupt_kernel()
        assert reply(cell)["ename"] == "KeyboardInterrupt" and epochs_in(out) == 1
        assert (
            run(
                "assert run.epochs_done == 1\n"
                "assert all(p.grad is None for p in run.model.parameters())\nrun.fit()"
            )["status"]
            == "ok"
        )
        assert same_run(out, unbroken(2))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# -- numbers that are none


@pytest.mark.parametrize(
    "name, part, value, clip_norm, of",
    [
        (
            "encoder.0.query.weight",
            lambda gradient: gradient[2],
            math.nan,
            None,
            " (stream Recipient)",
        ),
        ("heads.weight", lambda gradient: gradient[-1], math.inf, 1.0, " (Time_Reference_Minute)"),
        ("decoder.0.wide.bias", lambda gradient: gradient, math.nan, 1.0, ""),
        ("embedding.values.weight", lambda gradient: gradient[0], math.inf, None, " (EventType)"),
    ],
)
def test_a_gradient_that_is_not_finite_is_named_before_a_step_is_made_with_it(
    tmp_path, name, part, value, clip_norm, of
):
    run = trainer(**SETTINGS, out=str(tmp_path), clip_norm=clip_norm)
    run.epoch()
    save_run(run)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    weights, calls = copy_weights(run.model), []

    def spoil(gradient):
        calls.append(None)
        if len(calls) == 4:  # batch 3, the second of a step of two
            part(gradient).fill_(value)

    hook = dict(run.model.named_parameters())[name].register_hook(spoil)
    with pytest.raises(TrainingStopped) as caught:
        run.fit()
    assert says(
        str(caught.value),
        f"epoch 1: the gradients of {name}{of} are not finite; lower learning_rate (0.001)",
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept and same(
        copy_weights(run.model), weights
    )
    hook.remove()
    run.fit()
    alone = trainer(**SETTINGS, clip_norm=clip_norm).fit()
    assert same(copy_weights(run.model), copy_weights(alone.model)) and run.history == alone.history


def test_weights_that_no_window_shows_to_be_spoiled_are_not_saved_either(tmp_path):
    run = run_in(tmp_path, 2)
    run.epoch()
    save_run(run)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with torch.no_grad():
        run.model.embedding.values.weight[sum(run.sizes[:2]) - 1] = (
            math.inf
        )  # an actor that the small log has not
    with pytest.raises(TrainingStopped) as caught:
        run.fit()
    assert says(
        str(caught.value),
        "epoch 1: the weights of embedding.values.weight (ActorRecordId) are not finite",
    )
    assert (tmp_path / CHECKPOINT).read_bytes() == kept


# -- several workers


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
        run = trainer(**changes)
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
    alone = trainer(**changes).fit()
    assert ours == theirs and weights == their_weights
    pd.testing.assert_frame_equal(
        pd.DataFrame(ours), pd.DataFrame(alone.history), rtol=0, atol=1e-5
    )
    assert {path.name for path in tmp_path.iterdir()} == NAMES and len(
        pd.read_csv(tmp_path / "history.csv")
    ) == 2 * 41


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
        assert says(said, "'batch_size'", "2 workers", "start fewer")


@pytest.mark.parametrize("dies", [1, pytest.param(0, marks=pytest.mark.long)])
def test_a_worker_that_dies_ends_the_others_within_seconds_and_is_named(tmp_path, dies):
    write_config(tmp_path, epochs=10_000, batches=100, out=str(tmp_path / "run"))
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
                str(tmp_path / "mine.json"),
            ],
            stdout=said,
            stderr=said,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
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


# -- the same seed


def train_configured(pipe, path, out):
    Trainer(read_config(path, {"out": str(out)}), progress=False).fit()


def test_a_run_is_the_same_in_another_process(start, tmp_path):
    write_config(tmp_path, **SETTINGS)
    assert command("mine.json", "--set", "out=one", cwd=tmp_path).returncode == 0
    process, _ = start(train_configured, tmp_path / "mine.json", tmp_path / "two")
    process.join(60)
    for name in (
        "report.csv",
        "category_ladder.png",
        "loss_per_epoch_full.png",
    ):  # the command writes these as well
        (tmp_path / "one" / name).unlink()
    assert same_run(tmp_path / "one", tmp_path / "two")


def train_in_threads(pipe, threads):
    torch.set_num_threads(threads)
    run = trainer(**SETTINGS, epochs=3, batches=20, batch_size=32).fit()
    pipe.send(
        (
            torch.get_num_threads(),
            run.epochs()["train"].tolist(),
            run.epochs()["validation"].tolist(),
        )
    )


def test_the_losses_hardly_depend_on_the_number_of_threads(start):
    (one, *losses), (two, *others) = (
        heard(start(train_in_threads, threads)[1]) for threads in (1, 2)
    )
    assert (one, two) == (1, 2)
    for ours, theirs in zip(losses, others):
        assert ours == pytest.approx(theirs, rel=0, abs=5e-5)
