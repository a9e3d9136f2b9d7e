"""What the tests share as fixtures: runs, handed out as copies, and processes."""

import json
import multiprocessing
from functools import cache, partial
from multiprocessing import forkserver
from pathlib import Path

import pytest

# What is of ours is imported where it is needed: every file of tests reads this one first.


@pytest.fixture
def run():
    """A small run of six epochs."""
    from small import trained_run

    return trained_run()


@pytest.fixture
def config_file(tmp_path):
    """Writes a small configuration, its log and its mapping; changes replace values."""
    from small import write_config

    return partial(write_config, tmp_path)


@pytest.fixture(scope="session")
def small_workplace(tmp_path_factory):
    """A folder as data/, of a small workplace and its truth."""
    from helpers.tools import simulate

    folder = tmp_path_factory.mktemp("data")
    simulate.main(["--employees", "20", "--days", "40", "--out", str(folder)])
    return folder


@pytest.fixture
def built_in(small_workplace, tmp_path, monkeypatch):
    """Makes the small workplace the built-in log; writes a configuration of it."""
    from small import small_config

    from helpers import training

    monkeypatch.setattr(training, "DATA", small_workplace)

    def write(**changes) -> Path:
        path = tmp_path / "mine.json"
        config = small_config(epochs=1, batches=3, out=str(tmp_path / "run"), **changes)
        path.write_text(json.dumps(config.model_dump()))
        return path

    return write


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory):
    """The folder of a run of so many epochs that nothing befell, to be compared with."""
    from small import run_in

    @cache
    def run(epochs: int) -> Path:
        out = tmp_path_factory.mktemp("unbroken")
        run_in(out, epochs).fit()
        return out

    return run


@pytest.fixture(scope="session")
def server():
    """A process that has imported everything, so that each of its children starts at once."""
    from small import ENVIRONMENT

    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("these processes are started as on Linux and macOS")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "ready"])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        # Two threads on one free core would wait for each other at full speed.
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        forkserver.ensure_running()
    return context


@pytest.fixture
def start(server):
    """Starts a function in a process; gives both the process and a pipe to it."""
    started = []

    def start(target, *arguments):
        ours, theirs = server.Pipe()
        started.append(server.Process(target=target, args=(theirs, *arguments)))
        started[-1].start()
        theirs.close()
        return started[-1], ours

    yield start
    for process in started:
        process.kill()
        process.join()
