"""The part of a mapping that says how a file's text is to be read, where that is not plain."""

from __future__ import annotations

from typing import Literal

from helpers.support.settings import Settings


class Column(Settings):
    """How the text of a column is to be read, where that cannot be told from the text alone."""

    missing: list[str] = []  # what stands for a blank, such as "NA"
    decimal: Literal[".", ","] = "."
    dates: Literal["year first", "day first", "month first", "seconds", "milliseconds"] | None = (
        None  # None: as the values allow, where they allow but one; seconds are since 1970, in UTC
    )


class Pairs(Settings):
    """The start and the completion of one activity.

    "two events": a row holds both times; ``start`` names the column of the start's. It becomes two
    events, told apart by a new column ``column``, which says start or complete.
    "one event": two rows, in which ``column`` says ``start`` or ``complete``. The completion that
    follows a start of the same sequence and the same value of ``of`` takes it in, as a new column
    "start_time", which is blank where no start came before.
    """

    become: Literal["one event", "two events"]
    start: str
    complete: str = "complete"
    column: str = "lifecycle"
    of: str | None = None
