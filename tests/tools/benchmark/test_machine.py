"""Others at work on the machine are noticed."""

import math
import os
import subprocess
import sys
import time

import pytest
import torch

from helpers.tools.benchmark import machine
from helpers.tools.benchmark.machine import LOST, Clocks, Witness, find_taken, read_clocks
from helpers.tools.benchmark.turns import collect


def work(seconds: float) -> dict:
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        count += 1
    return {"count": count}


@pytest.fixture
def busy():
    """Two programs for each core that do nothing but work."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(2 * os.cpu_count())]
    time.sleep(0.3)  # until they are at it
    yield
    for other in others:
        other.kill()
        other.wait()


def test_a_busy_neighbour_is_noticed(busy):
    turns = collect([lambda: work(0.3)], seconds=0, least=4)
    assert turns.disturbed >= 0.5


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="the system doesn't tell")
def test_what_others_take_is_counted_and_what_we_do_is_not(busy):
    before, start = read_clocks(), time.process_time()
    work(0.5)
    ours, after = time.process_time() - start, read_clocks()
    assert after.ours - before.ours == pytest.approx(ours, abs=0.05)
    assert after.busy - before.busy - ours > LOST * (after.wall - before.wall)


def test_a_process_of_ours_is_no_neighbour():
    before = read_clocks()
    spin = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    assert read_clocks().ours - before.ours > 0.45


def test_cores_that_our_threads_leave_free_may_be_taken(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    start = Clocks(10.0, 100.0, 50.0)
    assert find_taken(start, Clocks(12.0, 106.0, 52.0)) == 0  # two cores of the other three
    assert find_taken(start, Clocks(12.0, 110.0, 52.0)) == 1  # four of three
    assert find_taken(start, Clocks(12.0, math.nan, 52.0)) == 0


def test_without_the_system_s_word_the_witness_alone_tells(monkeypatch):
    monkeypatch.setattr(machine.Path, "read_text", refuse)
    clocks = read_clocks()
    assert math.isnan(clocks.busy) and clocks.wall > 0 and clocks.ours > 0
    assert math.isnan(machine.peak_memory())


def refuse(path):
    raise FileNotFoundError(path)


def test_a_witness_remembers_its_fastest_look():
    witness = Witness()
    looks = [witness.look() for _ in range(5)]
    assert 0 < witness.least <= min(looks)
    first = witness.least
    witness.least = 0.0
    witness.look()
    assert witness.least == 0 < first
