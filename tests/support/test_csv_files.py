"""CSV of any delimiter: rows keep their numbers, and the quick way reads as the careful one."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from small import read_written, refused

from helpers.support import csv_files
from helpers.support.csv_files import find_delimiter
from helpers.support.errors import InputError

CELLS = ["", " ", "a", " a", "a ", "b", "Zoë", "李", "0", "1.5", "NA", "nan", "x y", "'", "#"]


@pytest.fixture
def read(tmp_path):
    def read(content: str, wanted: list[str] | None = None) -> pd.DataFrame:
        return read_written(tmp_path / "log.csv", content, wanted)

    return read


def write(rows: list[list[str]], delimiter=",", end="\n") -> str:
    return "".join(delimiter.join(row) + end for row in rows)


# A double quote within the header's last name has all rows read one by one, in Python.
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ["", '"'], ids=["plain", "quoted"])
def test_both_ways_of_reading_agree(read, delimiter, end, quote):
    rng = np.random.default_rng(0)
    rows = [[f"{quote}{cell}{quote}" for cell in row] for row in rng.choice(CELLS, (500, 3))]
    quick = read(write([["one", "two", "three"], *rows], delimiter, end))
    careful = read(write([["one", "two", 'thr"ee'], *rows], delimiter, end))
    careful.columns = quick.columns
    pd.testing.assert_frame_equal(quick.astype(str), careful.astype(str))
    assert quick.index.tolist() == list(range(2, 502))
    assert quick.to_numpy().tolist() == [[cell.strip('" ') for cell in row] for row in rows]
    assert set(quick.dtypes.astype(str)) == {"category"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("strange", ['a"b', '"', ",", ",a", "a,", "a\nb", '","', 'a","b', "a\r\nb"])
def test_what_a_writer_quotes_is_read_as_it_was(read, delimiter, strange):
    strange = strange.replace(",", delimiter)
    rng, out = np.random.default_rng(0), io.StringIO(newline="")
    rows = rng.choice(["a", "", strange], (50, 3), p=[0.8, 0.15, 0.05]).tolist()
    csv.writer(out, delimiter=delimiter).writerows([["one", "two", "three"], *rows])
    frame = read(out.getvalue())
    assert frame.to_numpy().tolist() == [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("strange", ["b", "李", '"b"', '"b,c"', '"b\nc"', 'b"', "b\0", "\ufeffb"])
def test_block_by_block_is_read_as_at_once(read, monkeypatch, end, strange):
    rng = np.random.default_rng(0)
    rows = rng.choice(["a", " a", "", "Zoë", strange], (300, 3), p=[0.4, 0.2, 0.1, 0.28, 0.02])
    content = write([["one", "two", "three"], *rows.tolist()], end=end)

    def read_or_refuse():
        try:
            return read(content, ["three", "one"]).astype(str)
        except InputError as error:
            return str(error)

    at_once = read_or_refuse()
    monkeypatch.setattr(csv_files, "BLOCK", 100)  # bytes, some ten lines
    by_blocks = read_or_refuse()
    if isinstance(at_once, str):
        assert by_blocks == at_once
    else:
        pd.testing.assert_frame_equal(by_blocks, at_once)


NUMBERED = {
    "plain": ("a,b\n1,2\n3,4\n", [2, 3]),
    "a blank line": ("a,b\n1,2\n\n3,4\n", [2, 4]),
    "blank lines around the header": ("\n\na,b\n\n1,2\n3,4\n", [5, 6]),
    "blank lines at the end": ("a,b\n1,2\n3,4\n\n\n", [2, 3]),
    "a row over three lines": ('a,b\n"1\n\n",2\n3,4\n', [4, 5]),
    "a header over two lines": ('a,"b\n"\n1,2\n3,4\n', [3, 4]),
    "a header of three lines": ('"a\n\n","b"\n1,2\n3,4\n', [4, 5]),
    "a line that tells the separator": ("sep=;\na;b\n1;2\n3;4\n", [3, 4]),
    "such a line, and a quoted value": ('sep=;\na;b\n"1";2\n3;4\n', [3, 4]),
    "no last line's end": ("a,b\n1,2\n3,4", [2, 3]),
}


@pytest.mark.parametrize("content, numbers", NUMBERED.values(), ids=NUMBERED)
def test_rows_are_numbered_as_an_editor_does(read, content, numbers):
    frame = read(content)
    assert frame.index.tolist() == numbers
    assert frame.to_numpy().tolist() == [["1", "2"], ["3", "4"]]


def test_wanted_columns_come_in_the_order_of_the_wish(read):
    content = "a,b,c,c\n1,2,3,4\n"
    assert read(content, ["b", "a"]).to_dict("list") == {"b": ["2"], "a": ["1"]}
    assert list(read(content)) == ["a", "b"]  # two of one name cannot be told apart


DELIMITERS = {
    "commas": (["a,b\n", "1,2\n"], ","),
    "decimal commas": (["a;b\n", "1,5;2,5\n", "1,5;2,5\n"], ";"),
    "as many decimal commas as semicolons": (["a;b;c\n", "1,5;2,5;x\n"], ";"),
    "quoted delimiters": (['"a;b;c",d\n', '"1;2;3",4\n'], ","),
    "a row with one too many": (["a,b\n", "1,2,3\n", "1,2\n"], ","),
    "a time of day": (["a|b\n", "1, 2|10:30\n"], "|"),
    "tabs": (["a b\tc, d\n", "1\t2,3\n", "1\t2\n"], "\t"),
    "a field of a megabyte": (["a;b\n", f"1,5;{'x' * 10**6}\n"], ";"),
    "one column": (["a\n", "1;2\n"], ","),
    "nothing": ([], ","),
}


@pytest.mark.parametrize("lines, delimiter", DELIMITERS.values(), ids=DELIMITERS)
def test_the_delimiter_is_found(lines, delimiter):
    assert find_delimiter(lines) == delimiter


@pytest.mark.parametrize("delimiter, name", [(";", "a semicolon"), ("\t", "a tab")])
def test_a_row_of_another_length_is_named(read, delimiter, name):
    rows = [["a", "b"], ["1", "2"], ["1", "2", "3"], *[["1", "2"]] * 3]
    words = ("row 3", "3 values under 2 columns", f"a value that holds {name}")
    refused(lambda: read(write(rows, delimiter)), *words)


def test_a_fault_far_down_is_named_by_its_row(read):
    rows = [["a", "b"], *[[str(i), "x"] for i in range(100_000)], ["1"], ["1", "2"]]
    refused(lambda: read(write(rows)), "row 100002", "1 values under 2 columns")


HALF_QUOTED = {
    "a quote that is left open": 'x,y\n1,2\na","b\n',
    "a file that was cut off in one": 'x,y\n5" disk,x\n1,"\n',
    "a quote within quotes": 'x,y\n"",""a","\n',
    "more after a quote's end": 'x,y\na,","a""\n',
    "one among whole rows": 'x,y\n1,2\na","b\n3,4\n5,6\n',
}


@pytest.mark.parametrize("block", [8, 2**22], ids=["small blocks", "one block"])
@pytest.mark.parametrize("content", HALF_QUOTED.values(), ids=HALF_QUOTED)
def test_quotes_that_do_not_enclose_are_refused(read, monkeypatch, content, block):
    monkeypatch.setattr(csv_files, "BLOCK", block)
    refused(lambda: read(content), "correct its double quotes")


def test_quick_and_careful_agree_on_any_quotes(read, monkeypatch):
    """Thousands of small files of quotes, commas and ends of lines, in blocks of some bytes."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(csv_files, "BLOCK", 12)
    quick = 0
    for _ in range(2000):
        body = "".join(rng.choice(["a", '"', '""', ",", "\n", "b"], rng.integers(2, 14)))
        content = f"x,y\n{body}\n"

        def read_or_refuse(content=content):
            try:
                return read(content).astype(str).to_numpy().tolist()
            except InputError as error:
                return str(error)

        with monkeypatch.context() as careful:
            careful.setattr(csv_files, "read_plain", lambda *_: None)
            expected = read_or_refuse()
        assert read_or_refuse() == expected, content
        quick += isinstance(expected, list) and '"' in body
    assert quick > 100


def test_a_header_without_one_name_and_an_odd_separator_are_told_or_read(read):
    refused(lambda: read("a,a\n1,2\n"), "rows")
    assert read("sep=§\na§b\n1§2\n").astype(str).to_numpy().tolist() == [["1", "2"]]
