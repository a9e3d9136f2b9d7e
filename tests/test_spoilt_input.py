"""Logs, configurations and mappings spoilt at random: refused, or what is read holds together."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bad_logs import GOOD, MAPPING

from helpers.events import PART_NAMES, read_log
from helpers.schema import LogMapping, read_mapping
from helpers.support.errors import InputError
from helpers.support.settings import MOST
from helpers.training import Config, read_config

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
CONFIG = json.dumps(
    Config(streams=["Actor", "Time"], clip_norm=1.0, out="run").model_dump(), indent=1
)
PLAIN = json.dumps(MAPPING.model_dump(), indent=1)
TOKEN = r'"[^"\n]*"|[^\s",:{}\[\]]+'
GROUND = {
    "log.csv": (GOOD, r"[^,\n]*"),
    "config.json": (CONFIG, TOKEN),
    "mapping.json": (PLAIN, TOKEN),
}
CELLS = {
    name: [match.span() for match in re.finditer(cell, whole)]
    for name, (whole, cell) in GROUND.items()
}
PLACE = st.integers(0, 10**6)


@st.composite
def spoilt(draw) -> tuple[str, bytes]:
    """A good file's name and its content with one to three changes.

    A cell is swapped, or bytes are flipped, left out or put in.
    """
    name = draw(st.sampled_from(list(GROUND)))
    whole = GROUND[name][0]
    if draw(st.booleans()):
        start, end = CELLS[name][draw(PLACE) % len(CELLS[name])]
        other = CELLS[name][draw(PLACE) % len(CELLS[name])]
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
    return name, content


def check_log(path: Path) -> None:
    log = read_log(path, MAPPING)
    n, sizes = len(log), [category.size for category in log.categories]
    assert (
        log.table.dtype == np.int32
        and log.table.shape == log.unseen.shape == (n, len(sizes))
        and n > 0
    )
    assert (log.table >= 0).all() and (log.table < sizes).all() and not log.table[log.unseen].any()
    assert len(log.sequence) == len(log.time) == len(log.part) == n and sorted(log.row) == list(
        range(n)
    )
    assert (
        not np.isnat(log.time).any()
        and (log.time[1:] >= log.time[:-1]).all()
        and (np.diff(log.part) >= 0).all()
    )
    assert set(log.part) == set(range(len(PART_NAMES))) and set(log.sequence) == set(
        range(log.sequence.max() + 1)
    )
    for column, category in zip(log.table.T, log.categories, strict=True):
        vocabulary = log.vocabularies[category.name]
        assert (
            vocabulary[0] is None
            and column.max() < len(vocabulary) <= category.size
            and len(set(vocabulary)) == len(vocabulary)
        )
    assert all(len(note.splitlines()) == 1 for note in log.notes)


def check_settings(path: Path) -> None:
    config = read_config(path)
    assert Config(**config.model_dump()) == config  # it is checked again
    whole = config.model_dump() | config.model.model_dump()
    assert all(
        0 <= value <= MOST for key, value in whole.items() if type(value) is int and key != "seed"
    )
    assert (
        type(config.learning_rate) is float and config.model.d_model % config.model.num_heads == 0
    )
    assert not Path(config.out).exists() or Path(config.out).is_dir()


def check_mapping(path: Path) -> None:
    mapping = read_mapping(path)
    assert LogMapping(**mapping.model_dump()) == mapping
    assert all(2 <= category.size <= MOST for category in mapping.make_categories(100))
    assert (
        len({category.name for category in mapping.make_categories(100)})
        == len(mapping.make_categories(100))
        > 0
    )


CHECKS = {"log.csv": check_log, "config.json": check_settings, "mapping.json": check_mapping}


def check_spoilt(folder: Path, name: str, content: bytes) -> bool:
    """Whether it is read; any end but a refusal in one line, or what holds together, fails."""
    path = folder / name
    path.write_bytes(content)
    try:
        CHECKS[name](path)
        return True
    except InputError as error:
        assert (
            str(error).startswith(str(path))
            and len(str(error).splitlines()) == 1
            and len(str(error)) < len(str(path)) + 1000
        )
        return False


def try_many(folder: Path, number: int) -> None:
    read = []

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt())
    def check(file):
        read.append((file[0], check_spoilt(folder, *file)))

    check()
    assert len(read) >= number
    assert set(read) == {
        (name, fate) for name in GROUND for fate in (True, False)
    }  # of each kind some are read and some refused


def test_some_mutations_are_refused_or_read_whole(tmp_path):
    try_many(tmp_path, 300)


@pytest.mark.long
def test_ten_thousand_mutations_are_refused_or_read_whole(tmp_path):
    try_many(tmp_path, 10_000)
