"""Brings a student each notebook of a hand-out once, into work/. A copy is never written over.

python -m helpers.tools.work
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from helpers.__main__ import ROOT

NOTEBOOKS, WORK = ROOT / "notebooks", ROOT / "work"
MADE_FROM = ".made_from.json"  # in work/: of each copy's notebook the digest, when it was copied


def bring(notebooks: Path, work: Path) -> tuple[list[str], list[str]]:
    """Copies the notebooks that are not in `work` yet.

    Returns the names of the new copies, and of those whose notebook has changed since.
    """
    work.mkdir(exist_ok=True)
    made_from = read_digests(work / MADE_FROM)
    new, old = [], []
    for path in sorted(notebooks.glob("[0-9]*.ipynb")):
        notebook = path.read_bytes()
        digest = sha256(notebook).hexdigest()
        if (work / path.name).exists():
            old += [path.name] * (made_from.get(path.name) != digest)
            continue
        made_from[path.name] = digest
        (work / MADE_FROM).write_text(json.dumps(made_from, indent=1), encoding="utf-8")
        part = work / f".part.{path.name}"  # a copy that broke off would never be brought anew
        part.write_bytes(notebook)
        with (work / path.name).open("xb"):  # which refuses to write over a file
            pass
        part.replace(work / path.name)
        new.append(path.name)
    return new, old


def read_digests(path: Path) -> dict[str, str]:
    """What was noted of each copy; nothing, where no such note can be read."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}


def main() -> None:
    """Brings what is missing, and says so, and which notebooks are newer than their copies."""
    new, old = bring(NOTEBOOKS, WORK)
    if new:
        print(f"New in {WORK}: {', '.join(new)}", flush=True)
    if old:
        print(
            f"Newer in notebooks/ than in work/: {', '.join(old)}. "
            f"Rename yours, and the next lab brings the new one.",
            flush=True,
        )


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"error: {error}; nothing of yours was changed")
