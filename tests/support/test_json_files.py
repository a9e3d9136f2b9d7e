"""JSON lines and arrays of objects: what is within another, lists, faults by row."""

import gzip
import json

import pytest
from small import read_written, refused

ONE, TWO = {"who": "A", "n": 1}, {"who": "B", "n": 2}


def lines(*objects) -> str:
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects)


@pytest.fixture
def read(tmp_path):
    def read(content, wanted=None, name="log.jsonl"):
        return read_written(tmp_path / name, content, wanted)

    return read


BOTH = {"who": ["A", "B"], "n": ["1", "2"]}
# What is written, the columns that it must be read as, and the numbers of the rows.
READ = {
    "lines": (lines(ONE, TWO), BOTH, [1, 2]),
    "no last line's end": (lines(ONE, TWO)[:-1], BOTH, [1, 2]),
    "a mark in front": (lines(ONE, TWO).encode("utf-8-sig"), BOTH, [1, 2]),
    "UTF-16": (lines(ONE, TWO).encode("utf-16"), BOTH, [1, 2]),
    "blank lines": ("\n" + lines(ONE) + "\n\n" + lines(TWO), BOTH, [2, 5]),
    "an array": (json.dumps([ONE, TWO]), BOTH, [1, 2]),
    "an array over many lines": (json.dumps([ONE, TWO], indent=2), BOTH, [1, 2]),
    "one object over many lines": (json.dumps(ONE, indent=2), {"who": ["A"], "n": ["1"]}, [1]),
    "a key of some": (
        lines(ONE, {"why": "x"}),
        {**BOTH, "who": ["A", ""], "n": ["1", ""], "why": ["", "x"]},
        [1, 2],
    ),
    "one within another": (
        lines({"a": {"b": {"c": "x"}, "d": 1}}, {"a": {}}),
        {"a.b.c": ["x", ""], "a.d": ["1", ""]},
        [1, 2],
    ),
    "numbers as they are written": (
        '{"n": 1.50}\n{"n": 12345678901234567890}\n{"n": -1e3}\n{"n": NaN}\n',
        {"n": ["1.50", "12345678901234567890", "-1e3", "NaN"]},
        [1, 2, 3, 4],
    ),
    "truths and nothing": (
        lines({"n": True}, {"n": False}, {"n": None}, {"n": ""}),
        {"n": ["true", "false", "", ""]},
        [1, 2, 3, 4],
    ),
    "escaped letters and spaces": ('{"n": " Zo\\u00eb "}\n', {"n": ["Zoë"]}, [1]),
    "a list, which is left out": (lines({"who": "A", "n": [1, 2]}), {"who": ["A"]}, [1]),
}


@pytest.mark.parametrize("content, columns, rows", READ.values(), ids=READ)
def test_objects_become_rows(read, content, columns, rows):
    frame = read(content)
    assert frame.astype(str).to_dict("list") == columns
    assert frame.index.tolist() == rows


@pytest.mark.parametrize("name", ["log.ndjson", "log.json", "log.csv", "log.jsonl.gz"])
def test_content_tells_what_a_file_is(read, name):
    content = lines(ONE, TWO).encode()
    content = gzip.compress(content) if name.endswith("gz") else content
    assert read(content, ["n", "who"], name).to_dict("list") == BOTH


OCEL = ("object-centric", "flatten it to one type of object")
REFUSED = {
    "a line cut short": (lines(ONE, TWO)[:-4], ["row 2", "not valid JSON", "one object a line"]),
    "an array cut short": (json.dumps([ONE, TWO], indent=2)[:-6], ["row 8", "not valid JSON"]),
    "a number in a line": (lines(ONE, 5), ["row 2", "no JSON object; write one an event"]),
    "a number in an array": (json.dumps([ONE, 5]), ["object 2", "no JSON object"]),
    "a list that is wanted": (
        lines(ONE, {"who": ["A", "B"]}),
        ["row 2", "column 'who'", "holds a list", "a column of each"],
    ),
    "no such column": (lines({"n": 1}), ["no column 'who'", "the file has 'n'"]),
    "an array of nothing": ("[]", ["no column 'who'", "correct"]),
    "bytes that are no text": (b'{"who": "Zo\xc3\xab"}\n{"who": "\xff"}\n', ["row 2", "not UTF-8"]),
    "objects, the first standard": (
        json.dumps({"ocel:global-log": {}, "ocel:events": {}, "ocel:objects": {}}),
        OCEL,
    ),
    "objects, the second standard": (
        json.dumps({"events": [], "objects": [], "eventTypes": [], "objectTypes": []}, indent=1),
        OCEL,
    ),
}


@pytest.mark.parametrize("content, words", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_named(read, tmp_path, content, words):
    refused(lambda: read(content, ["who"]), *words, start=tmp_path / "log.jsonl")


def test_a_flattened_object_centric_log_is_a_log(read):
    assert list(read(lines({"ocel:eid": "1", "ocel:activity": "A"}))) == [
        "ocel:eid",
        "ocel:activity",
    ]
