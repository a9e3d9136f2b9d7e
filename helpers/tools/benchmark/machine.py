"""What the figures are measured on, and whether something else is at work there."""

from __future__ import annotations

import math
import platform
import re
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

# A turn is disturbed where fixed work beside its steps takes so many times the least it ever took.
# Alone on two cores nine in ten took at most 1.06 times the least, on one thread and on two. With a
# neighbour who wants both cores half of them took 1.4 times as long on one thread, 10 on two.
DISTURBED = 1.25


class Witness:
    """Work that is always the same, so only the machine can change how long it takes.

    Where a neighbour takes a core for a while, it takes longer, also where the operating system
    does not see the neighbour. What slows all alike and all the time does not show, and leaves the
    ratios as they are.
    """

    def __init__(self):
        self.square, self.small = torch.randn(512, 512), torch.randn(16, 32)
        self.least = math.inf  # seconds
        for _ in range(10):  # at first threads are started and memory is fetched
            self.look()

    def look(self) -> float:
        """The seconds that the work takes now: products on all threads, and a chain on one."""
        start = time.perf_counter()
        for _ in range(4):
            self.square @ self.square
        chain = self.small
        for _ in range(500):
            chain = chain + 1
        seconds = time.perf_counter() - start
        self.least = min(self.least, seconds)
        return seconds

    def is_calm(self, seconds: float) -> bool:
        """Whether a look that took so long shows nothing else at work."""
        return seconds <= DISTURBED * self.least


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
    return f"{name}, {threads} threads, {platform.system()}, Python {python}, PyTorch {version}"


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB.

    Not a number where the system doesn't tell (only Linux does).
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000
