"""Files spoilt at random: each is refused in one line, or what is read from it holds together."""

import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.support.errors import InputError

TOKEN = r'"[^"\n]*"|[^\s",:{}\[\]]+'  # a cell of JSON
NASTY = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "NaN",
    "Infinity",
    "NA",
    "null",
    "true",
    "[]",
    "{}",
    '"',
    '""',
    '"a"',
    "'",
    ",",
    "\n",
    "\r",
    "\0",
    "\ufeff",
    "\ud800",
    "é",
    "\u2028",
    "x" * 200_000,
    "9" * 5000,
    "2022-02-30",
    "31/01/2022",
    "0001-01-01",
    "9999-12-31T23:59:59-14:00",
    "2022-03-01 08:30:00.123456789",
    "9223372036854775808",
    "1e-320",
    "../..",
    "E00",
    "hours",
    "epochs",
    '"cuda"',
    '"split"',
]
PLACE = st.integers(0, 10**6)


@st.composite
def spoilt(draw, whole: str, cells: list[tuple[int, int]]) -> bytes:
    """A good file's content with up to three changes.

    A cell is swapped, or bytes are flipped, left out or put in.
    """
    if draw(st.booleans()):
        start, end = cells[draw(PLACE) % len(cells)]
        other = cells[draw(PLACE) % len(cells)]
        whole = whole[:start] + draw(st.sampled_from([*NASTY, whole[slice(*other)]])) + whole[end:]
    content = whole.encode("utf-8", "surrogatepass")
    for change in draw(st.lists(st.sampled_from(["flip", "leave out", "put in"]), max_size=2)):
        at = draw(PLACE) % len(content)
        if change == "flip":
            content = (
                content[:at]
                + bytes([content[at] ^ 1 << draw(st.integers(0, 7))])
                + content[at + 1 :]
            )
        elif change == "leave out":
            content = content[:at] + content[at + draw(st.integers(1, 200)) :]
        else:
            content = content[:at] + draw(st.binary(max_size=4)) + content[at:]
    return content


def check_spoilt(path: Path, content: bytes, check: Callable[[Path], None]) -> bool:
    """Whether it is read; any end but a refusal in one line, or what holds together, fails."""
    path.write_bytes(content)
    try:
        check(path)
        return True
    except InputError as error:
        message = str(error)
        assert message.startswith(str(path))
        assert len(message.splitlines()) == 1
        assert len(message) < len(str(path)) + 1000
        return False


def try_many(path: Path, whole: str, cell: str, check: Callable, number: int) -> None:
    cells, read = [match.span() for match in re.finditer(cell, whole)], []

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt(whole, cells))
    def spoil(content):
        read.append(check_spoilt(path, content, check))

    spoil()
    assert len(read) >= number
    assert set(read) == {True, False}  # some are read and some refused
