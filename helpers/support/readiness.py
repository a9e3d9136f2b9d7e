"""Whether a machine is ready for the course: what is there, and what to do if it is too little."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from packaging.requirements import Requirement

from helpers.support.files import ROOT, STORED

OLDEST, NEWEST = (3, 11), (3, 14)
MEMORY, FREE_MEMORY, FREE_DISK = 3.5, 1.5, 2  # GB
SYNCED = ("onedrive", "dropbox", "google drive", "mobile documents")  # the last is iCloud's


class Finding(NamedTuple):
    """A line of the page: what was looked at, what was found, and what to do if it is not good."""

    what: str
    found: str
    good: bool
    remedy: str


def look_at_machine() -> list[Finding]:
    """What the course asks of a machine, against what is there."""
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        Finding(
            "Python",
            python,
            OLDEST <= sys.version_info[:2] <= NEWEST,
            "build .venv with a Python from 3.11 to 3.14",
        ),
        Finding("system", f"{platform.system()}, {platform.machine()}", True, ""),
        look_at_packages(),
        look_at_cores(),
        look_at_memory(),
        look_at_disk(),
        look_at_folder(ROOT),
        Finding("device", find_device(), True, ""),  # the CPU is enough for all of the course
        look_at_data(),
    ]


def look_at_packages() -> Finding:
    """The pinned releases against those that are installed; in Colab most are its own."""
    pins = read_pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    others = {name: found for name, pin in pins.items() if (found := find_release(name)) != pin}
    named = ", ".join(f"{name} {found} for {pins[name]}" for name, found in others.items())
    found = f"{len(pins) - len(others)} of {len(pins)} as pinned"
    remedy = f"pip install -r requirements.txt ({named:.90})"
    return Finding("packages", found, not others or is_colab(), remedy)


def read_pins(text: str) -> dict[str, str]:
    """The release of each package that a file of pins asks for on this system."""
    lines = [line.split(" #")[0].strip() for line in text.splitlines()]
    pins = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in here}


def find_release(name: str) -> str:
    try:
        return metadata.version(name).split("+")[0]  # what follows a plus names the build
    except metadata.PackageNotFoundError:
        return "nothing"


def look_at_cores() -> Finding:
    cores = os.cpu_count() or 1
    return Finding("cores", str(cores), cores >= 2, "it will work; allow twice the minutes")


def look_at_memory() -> Finding:
    memory = psutil.virtual_memory()
    total, free = memory.total / 1e9, memory.available / 1e9
    good = total > MEMORY and free > FREE_MEMORY
    remedy = "close other programs, the browser's other pages first"
    return Finding("memory", f"{total:.0f} GB, {free:.1f} GB free", good, remedy)


def look_at_disk() -> Finding:
    free = shutil.disk_usage(ROOT).free / 1e9
    remedy = f"make room for {FREE_DISK} GB: runs and pages go to the folder build"
    return Finding("disk", f"{free:.0f} GB free", free > FREE_DISK, remedy)


def look_at_folder(folder: Path) -> Finding:
    """A folder that a service copies to the web meets thousands of files, and locks some."""
    name = str(folder)
    synced = any(service in name.lower() for service in SYNCED)
    remedy = "move the project out of the folder that is copied to the web"
    return Finding("folder", folder.name, not synced and os.access(folder, os.W_OK), remedy)


def find_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def look_at_data() -> Finding:
    folders = (STORED, ROOT / "build" / "runs")
    stored = any((each / "working_run" / "checkpoint.safetensors").exists() for each in folders)
    remedy = "not found: it will be trained when it is needed, which takes minutes"
    return Finding("data", "the finished run", stored, remedy)


def is_colab() -> bool:
    return "google.colab" in sys.modules


def show_findings(findings: list[Finding]) -> bool:
    """Prints a line for each, and whether all is good; returns that."""
    for what, found, good, remedy in findings:
        print(f"{what:9} {found:36} {'ok' if good else remedy}")
    ready = all(finding.good for finding in findings)
    print("Your machine is ready." if ready else "Not quite ready: read the last column.")
    return ready
