"""For which systems and Pythons every pinned release has a wheel: the table of the README.

    python tests/wheels.py          # needs uv: pip install uv, in an environment of its own

It asks the package index, downloads nothing, and reads the pins' markers as each system would; pip
would read them as the machine does that asks.
"""

import os
import re
import subprocess
from pathlib import Path

PINS = Path(__file__).resolve().parent.parent / "requirements.txt"
SYSTEMS = {
    "Linux, x86-64": "x86_64-manylinux_2_28",
    "Linux, ARM": "aarch64-manylinux_2_28",
    "Windows, x86-64": "x86_64-pc-windows-msvc",
    "Mac, Apple silicon": "aarch64-apple-darwin",
    "Mac, Intel": "x86_64-apple-darwin",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACOS = "14.0"  # the oldest that the pinned PyTorch runs on
LACKS = re.compile(r"Because (\S+?)==\S+ has no (?:usable )?wheels")


def find_missing(system: str, python: str) -> list[str]:
    """The pins without a wheel there."""
    pins = PINS.read_text(encoding="utf-8").splitlines()
    pins = [pin for pin in pins if not pin.startswith("-e")]
    missing = []
    while True:
        asked = subprocess.run(
            ["uv", "pip", "compile", "-", "--no-deps", "--only-binary", ":all:", "--quiet"]
            + ["--python-platform", system, "--python-version", python],
            input="\n".join(pins),
            env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": MACOS},
            capture_output=True,
            encoding="utf-8",
        )
        if asked.returncode == 0:
            return missing
        found = LACKS.search(" ".join(asked.stderr.split()))
        if not found:
            raise SystemExit(asked.stderr)
        missing.append(found[1])
        pins = [pin for pin in pins if not pin.startswith(f"{found[1]}==")]


def main() -> None:
    print(f"| | {' | '.join(PYTHONS)} |\n|---{len(PYTHONS) * '|---'}|")
    for name, system in SYSTEMS.items():
        missing = [find_missing(system, python) for python in PYTHONS]
        cells = [f"not {', '.join(each)}" if each else "yes" for each in missing]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
