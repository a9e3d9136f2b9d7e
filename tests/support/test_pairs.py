"""Starts and completions: two rows become one event, a row becomes two."""

import pytest
from small import refused

from helpers.schema import LogMapping
from helpers.support.log_files import read_frame
from helpers.support.notes import Notes


@pytest.fixture
def read(tmp_path):
    """The frame of these lines, what its notes say, and a column's moments as text."""

    def read(lines: list[str], pairs: dict, **changes):
        path = tmp_path / "log.csv"
        path.write_text("\n".join(lines) + "\n")
        mapping = {
            "sequence": "case",
            "time": "end",
            "categories": {"what": {"column": "what"}},
            "streams": {"case": "case"},
            "pairs": pairs,
        }
        notes = Notes(path)
        frame, times = read_frame(LogMapping(**(mapping | changes)), notes)
        frame = frame.reset_index(names="row")
        for name, moments in times.items():
            assert len(moments) == len(frame[name].cat.categories)
            frame[f"{name} of"] = moments["instant"].to_numpy()[frame[name].cat.codes]
        return frame, " ".join(notes)

    return read


def day(number: int, hour: int) -> str:
    return f"2024-01-{number:02d} {hour:02d}:00"


# -- a row becomes two events

TWO = {"become": "two events", "start": "begin"}


def test_a_row_becomes_its_start_and_its_completion(read):
    lines = ["case,what,begin,end", f"1,A,{day(1, 8)},{day(1, 9)}", f"1,B,{day(1, 9)},{day(1, 9)}"]
    frame, notes = read(lines, TWO)
    assert frame[["row", "what", "lifecycle", "end"]].to_numpy().tolist() == [
        [2, "A", "start", day(1, 8)],
        [2, "A", "complete", day(1, 9)],
        [3, "B", "start", day(1, 9)],
        [3, "B", "complete", day(1, 9)],
    ]
    assert frame["end of"].dt.strftime("%Y-%m-%d %H:%M").tolist() == frame["end"].tolist()
    assert notes == ""


def test_what_has_one_time_is_one_event(read):
    lines = ["case,what,begin,end", f"1,A,,{day(1, 9)}", f"1,B,{day(1, 9)},", "1,C,,"]
    frame, notes = read(lines, TWO | {"column": "phase"})
    assert frame[["what", "phase", "end"]].to_numpy().tolist() == [
        ["A", "complete", day(1, 9)],
        ["B", "start", day(1, 9)],
    ]
    assert "2 rows have a start or a completion alone, and are one event each" in notes
    assert "1 rows have neither, and are left out" in notes


def test_a_start_comes_first_where_the_file_runs_from_new_to_old(read):
    lines = ["case,what,begin,end"]
    lines += [f"1,A{d},{day(d, 8)},{day(d, 8)}" for d in (3, 2, 1)]
    frame, notes = read(lines, TWO)
    assert frame["row"].tolist() == [4, 4, 3, 3, 2, 2]
    assert frame["lifecycle"].tolist() == ["start", "complete"] * 3
    assert "runs from new to old" in notes


def test_the_new_column_can_be_a_category(read):
    lines = ["case,what,begin,end", f"1,A,{day(1, 8)},{day(1, 9)}"]
    categories = {"phase": {"column": "phase"}, "start": {"column": "begin", "kind": "time"}}
    frame, _ = read(lines, TWO | {"column": "phase"}, categories=categories)
    assert frame["phase"].tolist() == ["start", "complete"]
    assert frame["begin"].tolist() == [day(1, 8)] * 2


# -- two rows become one event

ONE = {"become": "one event", "start": "START", "complete": "END", "column": "phase", "of": "what"}


def rows(*events: str) -> list[str]:
    """Lines of "case what phase hour"."""
    lines = [event.split() for event in events]
    return ["case,what,phase,end", *(f"{c},{w},{p},{day(1, int(h))}" for c, w, p, h in lines)]


# The rows, and what is left of them: (row, what, hour of the start).
PAIRED = {
    "one": (["1 A START 8", "1 A END 9"], [(3, "A", 8)], "1 completions take in their start"),
    "two at once, first in, first out": (
        ["1 A START 8", "1 A START 9", "1 A END 10", "1 A END 11"],
        [(4, "A", 8), (5, "A", 9)],
        "2 completions",
    ),
    "of another kind": (
        ["1 A START 8", "1 B START 9", "1 B END 10", "1 A END 11"],
        [(4, "B", 9), (5, "A", 8)],
        "2 completions",
    ),
    "of another case": (
        ["1 A START 8", "2 A START 9", "2 A END 10", "1 A END 11"],
        [(4, "A", 9), (5, "A", 8)],
        "2 completions",
    ),
    "a completion alone": (["1 A END 8", "1 A START 9"], [(2, "A", None)], "1 starts that nothing"),
    "a start alone": (
        ["1 A START 8", "1 B START 8", "1 B END 9"],
        [(4, "B", 8)],
        "1 starts that nothing completes are left out",
    ),
    "at one moment, in whatever order": (
        ["1 A END 8", "1 A START 8"],
        [(2, "A", 8)],
        "0 starts that nothing completes",
    ),
    "rows in no order": (
        ["1 A END 9", "2 A START 7", "1 A START 8", "2 A END 9"],
        [(2, "A", 8), (5, "A", 7)],
        "2 completions",
    ),
    "what says neither": (
        ["1 A START 8", "1 A PAUSE 9", "1 A END 10"],
        [(3, "A", None), (4, "A", 8)],
        "1 rows that say neither stay events",
    ),
}


@pytest.mark.parametrize("events, left, note", PAIRED.values(), ids=PAIRED)
def test_a_completion_takes_in_its_start(read, events, left, note):
    frame, notes = read(rows(*events), ONE)
    hours = [None if text == "" else int(text[-5:-3]) for text in frame["start_time"]]
    assert list(zip(frame["row"], frame["what"], hours, strict=True)) == left
    told = frame["start_time of"].dt.hour.fillna(-1).tolist()
    assert told == [-1 if hour is None else hour for hour in hours]
    assert note in notes


def test_without_a_kind_any_start_of_the_case_is_taken(read):
    frame, _ = read(rows("1 A START 8", "1 B END 9"), ONE | {"of": None})
    assert frame["start_time"].tolist() == [day(1, 8)]


def test_the_duration_can_be_a_category(read):
    span = {"lasts": {"column": ["start_time", "end"], "kind": "span"}}
    frame, _ = read(rows("1 A START 8", "1 A END 9"), ONE, categories=span)
    assert frame[["start_time", "end"]].to_numpy().tolist() == [[day(1, 8), day(1, 9)]]


@pytest.mark.parametrize("word", ["start", "complete"])
def test_a_word_that_no_row_says_is_refused(read, tmp_path, word):
    lines = rows("1 A START 8", "1 A END 9")
    words = ("no row has 'begin' in column 'phase'", "'START', 'END'", "the mapping's pairs")
    refused(lambda: read(lines, ONE | {word: "begin"}), *words, start=tmp_path / "log.csv")
