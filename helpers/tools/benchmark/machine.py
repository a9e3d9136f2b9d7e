"""What the figures are measured on, and whether something else is at work there."""

from __future__ import annotations

import math
import os
import platform
import re
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

# A turn is disturbed where more than this share was lost: of the speed of fixed work beside its
# steps, or of a core that others took from us while it went on. On two cores where nothing else
# could run, nine turns of ten lost at most 0.07 of the speed; beside neighbours who wanted both
# cores, half of them lost 0.38 and more, and all of them 0.56 of a core and more.
LOST = 0.2


class Witness:
    """Work that is always the same, so only the machine can change how long it takes.

    It shows what an operating system does not see, such as a neighbour on the same hardware; but
    only at moments.
    """

    def __init__(self):
        self.square, self.small = torch.randn(512, 512), torch.randn(16, 32)
        self.least = math.inf  # seconds
        for _ in range(10):  # at first threads are started and memory is fetched
            self.look()

    def look(self) -> float:
        """The seconds that the work takes now: the lesser of two, since the first one wakes up."""
        seconds = min(self.work(), self.work())
        self.least = min(self.least, seconds)
        return seconds

    def work(self) -> float:
        """Products on all threads, and a chain of small operations on one; its seconds."""
        start = time.perf_counter()
        for _ in range(4):
            self.square @ self.square
        chain = self.small
        for _ in range(500):
            chain = chain + 1
        return time.perf_counter() - start


class Clocks(NamedTuple):
    """Seconds so far: on the wall, and of all cores together those at work, and those for us."""

    wall: float
    busy: float
    ours: float


def read_clocks() -> Clocks:
    """The clocks now; `busy` is not a number where the system doesn't tell (only Linux does)."""
    busy = math.nan
    with suppress(OSError):
        cpu = Path("/proc/stat").read_text().splitlines()[0].split()
        user, nice, system, _, _, hard, soft, stolen = map(int, cpu[1:9])
        busy = (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")
    return Clocks(time.perf_counter(), busy, sum(os.times()[:4]))


def find_taken(before: Clocks, after: Clocks) -> float:
    """How many cores others took between two moments, beyond those that our threads leave free.

    0 where the system doesn't tell.
    """
    wall, busy, ours = (b - a for a, b in zip(before, after, strict=True))
    free = max(0, (os.cpu_count() or 1) - torch.get_num_threads())
    taken = (busy - ours) / wall - free
    return max(0.0, taken) if taken == taken else 0.0


@cache
def find_witness(threads: int) -> Witness:
    """The one of this process for so many threads: so the least is that of the whole run."""
    return Witness()


def describe_machine() -> str:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        about = Path("/proc/cpuinfo").read_text()
        if found := re.search(r"^model name\s*:\s*(.+)$", about, re.M):
            name = found[1]
    threads, version = torch.get_num_threads(), torch.__version__.split("+")[0]
    python = platform.python_version()
    named = "1 thread" if threads == 1 else f"{threads} threads"
    return f"{name}, {named}, {platform.system()}, Python {python}, PyTorch {version}"


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB.

    Not a number where the system doesn't tell (only Linux does).
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000
