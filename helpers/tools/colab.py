"""Makes Google Colab ready for a notebook: finds `helpers`, and installs what is not there.

The first code cell of each notebook fetches the project and runs this file, in Colab alone. Only
Python's own library is used here, since nothing else may be there yet.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What helpers and notebooks import. Colab's own releases stay where they are new enough: the pinned
# ones would be downloaded anew in every session, PyTorch's gigabytes among them.
NEEDED = [
    *("torch", "numpy", "pandas", "pyarrow", "safetensors", "pydantic", "filelock", "tqdm"),
    *("matplotlib", "pillow", "seaborn", "scikit-learn", "RapidFuzz", "ipywidgets", "traitlets"),
    *("psutil", "packaging"),
]
# Older ones have other columns of text, or cannot join two of them.
OLDEST = {"numpy": 2, "pandas": 3, "pyarrow": 22}


def find_missing() -> list[str]:
    """The needed packages that are not installed, or are too old."""
    releases = {name: find_release(name) for name in NEEDED}
    return [name for name, major in releases.items() if major < OLDEST.get(name, 0)]


def find_release(name: str) -> int:
    """The first number of the installed release; -1 without one."""
    try:
        return int(metadata.version(name).split(".")[0])
    except metadata.PackageNotFoundError:
        return -1


def find_pins(names: list[str]) -> list[str]:
    """What requirements.txt says of these packages, such as pandas==3.1.1."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return [re.search(rf"(?m)^{re.escape(name)}==[\w.]+", text)[0] for name in names]


def main() -> None:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    missing = find_missing()
    if not missing:
        return
    loaded = [name for name in missing if name in sys.modules]
    install = [sys.executable, "-m", "pip", "install", "--quiet", *find_pins(missing)]
    if subprocess.run(install).returncode:
        sys.exit(
            f"pip could not install {', '.join(missing)}; run this cell again, or ask for help"
        )
    if loaded:
        print("Now choose Restart session in the menu Runtime, and run this cell again.")


if __name__ == "__main__":
    main()
