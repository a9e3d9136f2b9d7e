"""Reading XES, the XML of event logs (IEEE 1849), event by event: no tree of it is ever built.

A column is named as tools for process mining name it: an event's attribute by its key, a trace's
by "case:" and its key, and an attribute within another by both keys, as "outer/inner". Defaults
(global), extensions and classifiers say nothing of an event, and are passed over.
"""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

import numpy as np
import pandas as pd

from helpers.support.errors import InputError
from helpers.support.file_kinds import OCEL, READABLE, open_bytes
from helpers.support.notes import Notes
from helpers.support.text_columns import GrowingTable
from helpers.support.text_files import BLOCK


def read_xes(path: Path, wanted: list[str] | None, notes: Notes) -> pd.DataFrame:
    """The wanted columns, or all; a row is numbered as its event in the file, from 1."""
    notes.row = "event"
    events = XesEvents(path, wanted)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = events.begin, events.end
    parser.EntityDeclHandler = events.refuse_entity
    try:
        with open_bytes(path) as file:
            while block := file.read(BLOCK):
                parser.Parse(block)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InputError(
            f"{path}, line {error.lineno}: not valid XML ({expat.ErrorString(error.code)}); "
            f"export the log anew, or correct it there"
        ) from None
    return events.table.finish(np.arange(1, events.count + 1), path)


class XesEvents:
    """What the parser calls at each element's begin and end.

    open: of each element not yet ended, where the attributes in it go and how their names begin
    """

    def __init__(self, path: Path, wanted: list[str] | None):
        self.path, self.table = path, GrowingTable(wanted)
        self.open: list[tuple[dict | None, str]] = []
        self.count = self.first = 0  # events so far, and before the trace

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        holder, start = self.open[-1] if self.open else (None, "")
        if holder is not None and "key" in attributes:
            name = start + attributes["key"]
            if "value" in attributes:
                value, before = attributes["value"], holder.get(name)
                holder[name] = f"{before}; {value}" if before else value  # a list repeats its key
            start = f"{name}/"
        elif (tag := tag.rpartition(":")[2]) == "event":  # a namespace may stand before it
            holder, start = {}, ""
        elif tag == "trace":
            holder, start, self.first = {}, "case:", self.count
        elif tag in ("objects", "object-types"):
            raise InputError(f"{self.path}: is {OCEL[0]}; {OCEL[1]}")
        elif not self.open and tag != "log":
            raise InputError(f"{self.path}: is XML, and not XES; save the log as {READABLE}")
        self.open.append((holder, start))

    def end(self, tag: str) -> None:
        holder, _ = self.open.pop()
        if tag.endswith("event"):
            self.table.fill(holder, self.count, self.count + 1)
            self.count += 1
        elif tag.endswith("trace"):  # its attributes may stand before its events or behind them
            self.table.fill(holder, self.first, self.count)

    def refuse_entity(self, *_) -> None:
        raise InputError(
            f"{self.path}: declares entities of its own, which can grow without an end; save the "
            f"log as XES without a DOCTYPE"
        )
