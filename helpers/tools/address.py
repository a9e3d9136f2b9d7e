"""Puts the repository's address wherever it is needed: pyproject.toml, badges, first cells.

    python -m helpers.tools.address OWNER/REPOSITORY      # as GitHub names it

Without an argument it prints the address that is there, which pyproject.toml keeps.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from helpers.support.files import ROOT

NOBODY_S = "OWNER/REPOSITORY"  # until an owner says their own
NAME = re.compile(r"[\w.-]+/[\w.-]+")
KEPT = re.compile(r'(?m)^Repository = "https://github\.com/([^"]+)"$')


def find_address(root: Path = ROOT) -> str:
    """OWNER/REPOSITORY, from the one place that the others are held to."""
    return KEPT.search((root / "pyproject.toml").read_text(encoding="utf-8"))[1]


def list_files(root: Path) -> list[Path]:
    """The files that hold the address."""
    return [root / "pyproject.toml", root / "README.md", *sorted(root.glob("notebooks/*.ipynb"))]


def write_address(new: str, root: Path = ROOT) -> None:
    """Replaces the address in all of them."""
    old = re.compile(rf"(?<=/){re.escape(find_address(root))}(?![\w.-])")
    for path in list_files(root):
        text = path.read_text(encoding="utf-8")
        path.write_text(old.sub(new, text), encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> None:
    if not arguments:
        print(find_address())
    elif len(arguments) == 1 and NAME.fullmatch(arguments[0]):
        write_address(arguments[0])
        print(f"{arguments[0]} now stands in pyproject.toml, in README.md and in the notebooks")
    else:
        sys.exit(f"error: say OWNER/REPOSITORY, as GitHub names it; not '{' '.join(arguments)}'")


if __name__ == "__main__":
    main(sys.argv[1:])
