"""Mappings: what the columns of a log mean, and what is refused."""

import json
from pathlib import Path

import pytest
from small import OWN_MAPPING, changed, refused
from spoil import TOKEN, try_many

from helpers.schema import LogMapping, Source, Split, read_mapping
from helpers.support.settings import MOST

# A key, its value, ... being none, and what the refusal says.
BAD = {
    "unknown key": ("colour", 3, ["unknown key 'colour'", "known keys are sequence, time"]),
    "unknown key of a category": (
        "categories.what.bins",
        3,
        ["'what'", "unknown key 'bins'", "column, kind"],
    ),
    "unknown key of a split": ("split", {"share": 0.5}, ["'split'", "unknown key 'share'"]),
    "no sequence": ("sequence", ..., ["no key 'sequence'", "add it"]),
    "no time": ("time", ..., ["no key 'time'", "add it"]),
    "no column": ("categories.what.column", ..., ["'what'", "no key 'column'"]),
    "no categories": ("categories", {}, ["'categories'", "must list at least one", "found {}"]),
    "no categories at all": ("categories", ..., ["no key 'categories'"]),
    "no streams": ("streams", {}, ["'streams'", "must list at least one", "found {}"]),
    "a number for a name": ("sequence", 5, ["'sequence'", "must be a valid string, found 5"]),
    "a name for a number": (
        "min_count",
        "2",
        ["'min_count'", "must be a valid integer", 'found "2"'],
    ),
    "a text for a bin": (
        "categories.amount.bin",
        "0.5",
        ["'amount'", "'bin'", "must be a valid number", 'found "0.5"'],
    ),
    "a truth for a size": (
        "categories.what.size",
        True,
        ["'what'", "'size'", "must be a valid integer", "found true"],
    ),
    "a text for a category": ("categories.what", "what", ["'what'", "must be an object"]),
    "a list for categories": ("categories", ["what"], ["'categories'", "must be an object"]),
    "a list for streams": ("streams", ["what"], ["'streams'", "must be an object"]),
    "a list for a stream's key": (
        "streams.what",
        ["what"],
        ["'streams'", "'what'", "must be a valid string", 'found ["what"]'],
    ),
    "bad kind": (
        "categories.what.kind",
        "word",
        ["'what'", "'kind'", 'found "word"', "'name', 'number', 'time' or 'span'"],
    ),
    "a name of two columns": ("categories.what.column", ["a", "b"], ["'what'", "one column"]),
    "a span of one column": (
        "categories.due",
        {"column": "due", "kind": "span"},
        ["'due'", "two columns", "[start, end]"],
    ),
    "a part of a time unknown": ("categories.time.parts", ["Year"], ["'time'", "'parts'"]),
    "a part twice": ("categories.time.parts", ["Hour", "Hour"], ["'time'", "'parts'", "once"]),
    "bins of an unknown kind": ("categories.amount.bin", "equal", ["'amount'", "'bin'"]),
    "an unknown way to read": ("columns", {"due": {"form": "x"}}, ["'due'", "unknown key 'form'"]),
    "dates of no form": ("columns", {"due": {"dates": "day"}}, ["'due'", "'dates'", "'day first'"]),
    "pairs of no kind": ("pairs", {"become": "one", "start": "x"}, ["'pairs'", "'one event'"]),
    "a clock of no kind": ("clock", "CET", ["'clock'", "'local' or 'UTC'"]),
    "sequences in lists": (
        "split",
        {"by": "sequence", "validation": [1]},
        ["'split'", "lists of values of the column 'sequence'"],
    ),
    "bad size": ("categories.what.size", 1, ["'what'", "'size'", "must be at least 2, found 1"]),
    "bad bin": ("categories.amount.bin", 0, ["'amount'", "'bin'", "must be above 0, found 0"]),
    "unknown stream key": (
        "streams.what",
        "which",
        ["stream 'what'", "'which'", "categories are what, amount, time_Month"],
    ),
    "a time has no category of its name": (
        "streams.hour",
        "time",
        ["stream 'hour'", "'time'", "time_Hour"],
    ),
    "two categories of one name": (
        "categories.time_Hour",
        {"column": "what"},
        ["two categories", "'time_Hour'", "rename"],
    ),
    "size over the limit": ("categories.what.size", 10**12, ["'what'", "at most 1048576"]),
    "endless bin": (
        "categories.amount.bin",
        float("inf"),
        ["'amount'", "'bin'", "finite", "Infinity"],
    ),
    "bin that is no number": (
        "categories.amount.bin",
        float("nan"),
        ["'amount'", "'bin'", "finite", "NaN"],
    ),
    "bin beyond floating point": (
        "categories.amount.bin",
        10**400,
        ["'amount'", "'bin'", "valid number", "1000"],
    ),
    "no least count": ("min_count", 0, ["'min_count': must be at least 1", "found 0"]),
    "negative least count": ("min_count", -5, ["'min_count': must be at least 1", "found -5"]),
    "endless share": ("split", {"train": float("inf")}, ["shares must be above 0"]),
    "a stream that leads upwards": (
        "streams",
        {"../../x": "what"},
        ["stream '../../x'", "rename it"],
    ),
    "a stream that leads upwards on Windows": (
        "streams",
        {"..\\x": "what"},
        ["a name holds none of", "rename it"],
    ),
    "a stream on a drive": ("streams", {"C:x": "what"}, ["stream 'C:x'", "rename it"]),
    "a stream of two lines": ("streams", {"a\nb": "what"}, ["a name holds none of", "rename it"]),
    "shares of one": (
        "split",
        {"train": 0.9, "validation": 0.1},
        ["'split'", "0.9 and 0.1", "less than 1"],
    ),
    "no training": ("split", {"train": 0, "validation": 0.1}, ["'split'", "above 0"]),
    "negative share": ("split", {"train": 0.9, "validation": -0.1}, ["'split'", "above 0"]),
    "share that is no number": ("split", {"train": float("nan")}, ["'split'", "above 0"]),
    "lists and no column": (
        "split",
        {"train": ["1"], "validation": ["2"], "test": ["3"]},
        ["'split'", "'by'"],
    ),
    "a test list and no column": ("split", {"test": ["3"]}, ["'split'", "'by'"]),
    "a column and no lists": ("split", {"by": "fold"}, ["'split'", "'fold'", "lists"]),
    "a value twice": (
        "split",
        {"by": "fold", "train": ["1", "2", "3"], "test": [3, 4]},
        ["'split'", "'3' is listed twice"],
    ),
    "a share as text": (
        "split",
        {"train": "0.5"},
        ["'split'", "'train'", "a share or a list", "found '0.5'"],
    ),
    "a category of a report's last row": (
        "categories.mean",
        {"column": "what"},
        ["named 'mean'", "rename it"],
    ),
}


@pytest.mark.parametrize("key, value, words", BAD.values(), ids=BAD)
def test_a_bad_mapping_is_refused_by_file_key_and_remedy(tmp_path, key, value, words):
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(changed(OWN_MAPPING, key, value)), encoding="utf-8")
    refused(lambda: read_mapping(path), *words, start=path)


def test_a_mapping_made_in_python_is_checked_too():
    refused(
        lambda: LogMapping(
            sequence="case",
            time="when",
            categories={"what": Source(column="what")},
            streams={"what": "who"},
        ),
        "stream 'what'",
        "'who'",
    )
    refused(lambda: Source(column="what", kind="word"), "'kind'", 'found "word"')
    refused(lambda: Split(train=0.8, validation=0.3), "0.8 and 0.3")


def check_mapping(path: Path) -> None:
    """What is read holds together."""
    mapping = read_mapping(path)
    assert LogMapping(**mapping.model_dump()) == mapping
    assert all(2 <= category.size <= MOST for category in mapping.make_categories(100))
    assert (
        len({category.name for category in mapping.make_categories(100)})
        == len(mapping.make_categories(100))
        > 0
    )


@pytest.mark.parametrize("number", [100, pytest.param(3300, marks=pytest.mark.long)])
def test_a_mapping_spoilt_at_random_is_refused_or_holds_together(tmp_path, number):
    whole = json.dumps(LogMapping(**OWN_MAPPING).model_dump(), indent=1)
    try_many(tmp_path / "mapping.json", whole, TOKEN, check_mapping, number)
