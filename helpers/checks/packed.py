"""In a hand-out the checks that hold answers are one packed file, and are imported from there.

This keeps them from a look by chance, and no more: who unpacks the file can read it. What counts is
graded by other cases. A packed module prints what the plain one prints, on every Python.
"""

import base64
import json
import sys
import zlib
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

PACKED = Path(__file__).with_name("packed.txt")  # only a hand-out has it


def pack(sources: dict[str, str]) -> str:
    """Modules, by their full names, as a text in which nothing of them can be read."""
    return base64.encodebytes(zlib.compress(json.dumps(sources).encode(), 9)).decode()


def unpack(text: str) -> dict[str, str]:
    """What `pack` was given."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


class PackedModules(MetaPathFinder, InspectLoader):
    """Imports modules from their sources, which are in no file that could be shown."""

    def __init__(self, sources: dict[str, str]):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in self.sources else None

    def get_code(self, name):
        return self.source_to_code(self.sources[name], f"<{name}>")

    def get_source(self, name):
        return None  # whoever asks, an editor or a traceback, has nothing to show


if PACKED.exists():
    sys.meta_path.insert(0, PackedModules(unpack(PACKED.read_text(encoding="ascii"))))
