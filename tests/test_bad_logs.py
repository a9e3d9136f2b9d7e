"""Logs with a fault: refused in one line with a remedy, or read as they should be.

A note says what looks odd. What a file should be read as is stated as rows of text, and worked out
from them without the package.
"""

import csv
import gzip
import io
import os
import tempfile
import unicodedata
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from helpers.events import read_log
from helpers.schema import LogMapping, Source
from helpers.support.errors import InputError
from helpers.training import Config, load_data

COLUMNS = ["who", "what", "when", "due", "hours", "place"]
ROWS = [
    [
        f"E{i % 5:02d}",
        ("in", "out", "Zoë")[i % 3],
        f"2022-03-{1 + i // 4:02d} {8 + i % 4:02d}:30",
        f"2022-04-{1 + i // 4:02d} 12:00",
        str(i % 8 / 4),
        f"{i % 7:03d}",
    ]
    for i in range(40)
]
MAPPING = LogMapping(
    sequence="who",
    time="when",
    categories={
        "who": Source(column="who", size=20),
        "what": Source(column="what", size=20),
        "place": Source(column="place", size=20),
        "hours": Source(column="hours", kind="number", size=40, bin=0.25),
        "when": Source(column="when", kind="time"),
        "due": Source(column="due", kind="time"),
    },
    streams={"who": "who", "what": "what"},
    min_count=1,
)


# How a log is spoilt. Row numbers are an editor's: the header is row 1.


def cell(number: int, column: str, value: str, rows: list = ROWS) -> list:
    """The rows with one value replaced."""
    place = COLUMNS.index(column)
    return [
        row[:place] + [value] + row[place + 1 :] if i == number else row
        for i, row in enumerate(rows, 2)
    ]


def column(name: str, change, rows: list = ROWS) -> list:
    """The rows with every value of a column changed."""
    place = COLUMNS.index(name)
    return [row[:place] + [change(row[place])] + row[place + 1 :] for row in rows]


def text(rows: list = ROWS, header: list = COLUMNS, **how) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", **how).writerows([header, *rows])
    return out.getvalue()


def lines(change) -> str:
    """The good log with its list of lines changed in place."""
    listed = text().splitlines()
    change(listed)
    return "\n".join(listed) + "\n"


def whens(change) -> list:
    """The rows with every event's time changed, as a datetime."""
    return column("when", lambda value: change(datetime.fromisoformat(value)))


def serial(moment: datetime) -> float:
    return (moment - datetime(1899, 12, 30)) / timedelta(days=1)


def swallowed(first: int, last: int) -> list:
    """What is left where a double quote in one row's `what` closes in that of a later one."""
    between = text(ROWS[first - 2 : last - 1]).splitlines()[1:]
    between[0], between[-1] = between[0].split(",", 1)[1], ",".join(between[-1].split(",")[:2])
    return (
        ROWS[: first - 2]
        + [ROWS[first - 2][:1] + ["\n".join(between)] + ROWS[last - 2][2:]]
        + ROWS[last - 1 :]
    )


def quoted(listed: list) -> None:
    listed[4] = listed[4].replace(",out,", ',"out,').replace(",in,", ',"in,')
    listed[7] = listed[7].replace(",out,", ',out",').replace(",in,", ',in",')


GOOD = text()
ALIKE, TIME, NUMBER = (
    "look alike and count as two",
    "write it as 2022-01-31 17:05",
    "is not a number; correct it",
)
ODD, UTF8, COUNT = (
    "before 1971 or after next year",
    "not UTF-8 text; save",
    "values under 6 columns; correct it",
)
REFUSED = None
# name: (the file's name, its content, the rows that it must be read as, what must be said of it)
KINDS = {
    # encodings and other files
    "byte order mark": ("log.csv", GOOD.encode("utf-8-sig"), ROWS, []),
    "two byte order marks": (
        "log.csv",
        "\ufeff".encode() + GOOD.encode("utf-8-sig"),
        REFUSED,
        ["no column 'who'", "\\ufeff"],
    ),
    "two files in one, both with a mark": (
        "log.csv",
        GOOD.encode("utf-8-sig") * 2,
        REFUSED,
        ["row 42", "'when'", TIME],
    ),
    "Windows' Western encoding": ("log.csv", GOOD.encode("cp1252"), REFUSED, ["row 4", UTF8]),
    "an old Mac's encoding": ("log.csv", GOOD.encode("mac-roman"), REFUSED, ["row 4", UTF8]),
    "a bad byte far down": (
        "log.csv",
        text(ROWS * 2000).encode() + b"E01,\xff",
        REFUSED,
        ["row 80002", UTF8],
    ),
    "UTF-16 without a mark": ("log.csv", GOOD.encode("utf-16-le"), REFUSED, ["row 1", UTF8]),
    "UTF-32": ("log.csv", GOOD.encode("utf-32"), REFUSED, ["row 1", UTF8]),
    "EBCDIC": (
        "log.csv",
        text(column("what", lambda _: "in")).encode("cp037"),
        REFUSED,
        ["row 1", UTF8],
    ),
    "a NUL in a name": ("log.csv", GOOD.replace("E03", "E\x0003", 1), REFUSED, ["row 5", UTF8]),
    "NULs where a disk was full": ("log.csv", GOOD + "\0" * 4096, REFUSED, ["row 42", UTF8]),
    "a DOS end of file": ("log.csv", GOOD + "\x1a", REFUSED, ["row 42", "1 " + COUNT]),
    "a gzip named CSV": ("log.csv", gzip.compress(GOOD.encode()), REFUSED, ["row 1", UTF8]),
    "a spreadsheet named CSV": (
        "log.csv",
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00",
        REFUSED,
        ["row 1", UTF8],
    ),
    "a CSV named Parquet": ("log.parquet", GOOD, REFUSED, ["cannot be read", "give a whole"]),
    "a web page": (
        "log.csv",
        "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
        REFUSED,
        ["no column 'who'", "header"],
    ),
    "JSON lines": (
        "log.csv",
        '{"who": "E01"}\n{"who": "E02"}\n',
        REFUSED,
        ["no column 'who'", "header"],
    ),
    "two gzips in one": (
        "log.csv.gz",
        gzip.compress(GOOD[:500].encode()) + gzip.compress(GOOD[500:].encode()),
        ROWS,
        [],
    ),
    "a gzip and something else": (
        "log.csv.gz",
        gzip.compress(GOOD.encode()) + b"more",
        REFUSED,
        ["cannot be read", "give a whole"],
    ),
    "a gzip's head alone": (
        "log.csv.gz",
        gzip.compress(GOOD.encode())[:10],
        REFUSED,
        ["cannot be read", "give a whole"],
    ),
    "a gzip without its check sum": (
        "log.csv.gz",
        gzip.compress(GOOD.encode())[:-8],
        REFUSED,
        ["cannot be read", "give a whole"],
    ),
    "a gzip of other length": (
        "log.csv.gz",
        gzip.compress(GOOD.encode())[:-1] + b"\7",
        REFUSED,
        ["cannot be read", "give a whole"],
    ),
    "cut short within a row": ("log.csv", GOOD[:-20], REFUSED, ["row 41", "4 " + COUNT]),
    "cut short within a value": (
        "log.csv",
        GOOD[:-2],
        cell(41, "place", ""),
        ["the last line has no end"],
    ),
    "no end of the last line": ("log.csv", GOOD[:-1], ROWS, ["the last line has no end"]),
    # columns
    "columns in another order": (
        "log.csv",
        text([row[::-1] for row in ROWS], COLUMNS[::-1]),
        ROWS,
        [],
    ),
    "semicolons": (
        "log.csv",
        text(delimiter=";"),
        REFUSED,
        ["no column 'who'", "'who;what;", "by commas"],
    ),
    "tabs": ("log.csv", text(delimiter="\t"), REFUSED, ["no column 'who'", "by commas"]),
    "bars": ("log.csv", text(delimiter="|"), REFUSED, ["no column 'who'", "by commas"]),
    "a line that tells a spreadsheet the separator": (
        "log.csv",
        "sep=,\n" + GOOD,
        REFUSED,
        ["row 1", "no column 'who'", "'sep='"],
    ),
    "a title above the header": (
        "log.csv",
        "Hours of March\n" + GOOD,
        REFUSED,
        ["row 1", "no column 'who'", "'Hours of March'"],
    ),
    "no header": (
        "log.csv",
        text(ROWS[1:], ROWS[0]),
        REFUSED,
        ["row 1", "no column 'who'", "'E00'", "header"],
    ),
    "the header once more": (
        "log.csv",
        lines(lambda listed: listed.insert(9, listed[0])),
        REFUSED,
        ["row 10", "'when'", "'when' is not", TIME],
    ),
    "spaces in the header": (
        "log.csv",
        GOOD.replace("who", " who ", 1),
        REFUSED,
        ["row 1", "no column 'who'", "' who '"],
    ),
    "capitals in the header": (
        "log.csv",
        GOOD.replace("who", "Who", 1),
        REFUSED,
        ["row 1", "no column 'who'", "'Who'"],
    ),
    "a quoted header": ("log.csv", text(quoting=csv.QUOTE_ALL), ROWS, []),
    "an unused column twice": (
        "log.csv",
        text([row + ["x", "y"] for row in ROWS], COLUMNS + ["note", "note"]),
        ROWS,
        [],
    ),
    "a comma after every row": ("log.csv", GOOD.replace("\n", ",\n"), ROWS, []),
    "a comma after one row": (
        "log.csv",
        lines(lambda listed: listed.__setitem__(6, listed[6] + ",")),
        REFUSED,
        ["row 7", "7 " + COUNT],
    ),
    "very many columns": (
        "log.csv",
        text([row + ["1"] * 5000 for row in ROWS], COLUMNS + [f"c{i}" for i in range(5000)]),
        ROWS,
        [],
    ),
    "very many columns, the wrong ones": (
        "log.csv",
        text([], [f"c{i}" for i in range(5000)]),
        REFUSED,
        ["row 1", "no column 'who'", "'c0'"],
    ),
    # rows
    "Windows' line ends": ("log.csv", GOOD.replace("\n", "\r\n"), ROWS, []),
    "an old Mac's line ends": ("log.csv", GOOD.replace("\n", "\r"), ROWS, []),
    "line ends of all kinds": (
        "log.csv",
        GOOD.replace("\n", "\r\n", 9).replace(",001\n", ",001\r"),
        ROWS,
        [],
    ),
    "blank lines": ("log.csv", GOOD.replace("\n", "\n\n"), ROWS, []),
    "a line of spaces": (
        "log.csv",
        lines(lambda listed: listed.insert(4, "   ")),
        REFUSED,
        ["row 5", "1 " + COUNT],
    ),
    "a row of commas": (
        "log.csv",
        GOOD + ",,,,,\n",
        REFUSED,
        ["row 42", "'who'", "blank; every event needs one"],
    ),
    "a sum below": (
        "log.csv",
        GOOD + "Total,,,,35,\n",
        REFUSED,
        ["row 42", "'when'", "blank; every event needs one"],
    ),
    "a count below": ("log.csv", GOOD + "(40 rows)\n", REFUSED, ["row 42", "1 " + COUNT]),
    "a comment": (
        "log.csv",
        lines(lambda listed: listed.insert(5, "# April")),
        REFUSED,
        ["row 6", "1 " + COUNT],
    ),
    "a comma that should be quoted": (
        "log.csv",
        lines(lambda listed: listed.__setitem__(3, listed[3].replace("Zoë", "Zoë, M."))),
        REFUSED,
        ["row 4", "7 " + COUNT],
    ),
    "a quote escaped by a backslash": (
        "log.csv",
        GOOD.replace("Zoë", '"Z\\"o\\"ë"', 1),
        REFUSED,
        ["row 4", "not valid CSV", "double quotes"],
    ),
    "text after a quote": (
        "log.csv",
        GOOD.replace("Zoë", '"Zo"ë', 1),
        REFUSED,
        ["row 4", "not valid CSV", "double quotes"],
    ),
    "two stray quotes swallow rows": (
        "log.csv",
        lines(quoted),
        swallowed(5, 8),
        ["row 5: goes on over several lines"],
    ),
    "quotes within a name": (
        "log.csv",
        text(column("what", lambda v: f'a "{v}"')),
        column("what", lambda v: f'a "{v}"'),
        [],
    ),
    "a quote that opens nothing": (
        "log.csv",
        GOOD.replace("Zoë", 'Zo"ë'),
        column("what", lambda v: v.replace("Zoë", 'Zo"ë')),
        [],
    ),
    "rows twice": (
        "log.csv",
        text([*ROWS[:5], *ROWS[4:]]),
        [*ROWS[:5], *ROWS[4:]],
        ["1 rows repeat an earlier row exactly"],
    ),
    "rows upside down": (
        "log.csv",
        text(ROWS[::-1]),
        ROWS[::-1],
        ["not in the order of time; sorted"],
    ),
    "all rows equal": (
        "log.csv",
        text(ROWS[:1] * 40),
        REFUSED,
        ["the train part has no events", "longer log"],
    ),
    "two rows": ("log.csv", text(ROWS[:2]), REFUSED, ["part has no events", "longer log"]),
    "one employee": (
        "log.csv",
        text(column("who", lambda _: "E00")),
        column("who", lambda _: "E00"),
        [],
    ),
    # times
    "day first": (
        "log.csv",
        text(whens(lambda t: f"{t:%d/%m/%Y %H:%M}")),
        REFUSED,
        ["row 2", "'when'", "'01/03/2022 08:30'", TIME, "39 more"],
    ),
    "month first": (
        "log.csv",
        text(whens(lambda t: f"{t:%m/%d/%Y %H:%M}")),
        REFUSED,
        ["row 2", "'when'", "'03/01/2022 08:30'", TIME],
    ),
    "a short year": (
        "log.csv",
        text(whens(lambda t: f"{t:%d.%m.%y %H:%M}")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "a month's name": (
        "log.csv",
        text(whens(lambda t: f"{t:%d-%b-%Y %H:%M}")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "half a clock": (
        "log.csv",
        text(whens(lambda t: f"{t:%Y-%m-%d %I:%M %p}")),
        REFUSED,
        ["row 2", "'when'", "'2022-03-01 08:30 AM'", TIME],
    ),
    "a spreadsheet's day": (
        "log.csv",
        text(whens(lambda t: f"{serial(t):.0f}")),
        REFUSED,
        ["row 2", "'when'", "'44621'", TIME],
    ),
    "a spreadsheet's moment": (
        "log.csv",
        text(whens(lambda t: f"{serial(t):.5f}")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "seconds since 1970": (
        "log.csv",
        text(whens(lambda t: f"{t.timestamp():.0f}")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "seconds since 1970 that look like a date": (
        "log.csv",
        text(cell(3, "when", "1611111100")),
        REFUSED,
        ["row 3", "'when'", TIME],
    ),
    "milliseconds since 1970": (
        "log.csv",
        text(whens(lambda t: f"{t.timestamp() * 1000:.0f}")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "all digits in a row": (
        "log.csv",
        text(whens(lambda t: f"{t:%Y%m%d%H%M%S}")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "the year alone": (
        "log.csv",
        text(cell(3, "due", "2022")),
        REFUSED,
        ["row 3", "'due'", "'2022'", TIME],
    ),
    "year and month alone": (
        "log.csv",
        text(cell(3, "due", "2022-03")),
        REFUSED,
        ["row 3", "'due'", "'2022-03'", TIME],
    ),
    "the clock alone": (
        "log.csv",
        text(whens(lambda t: f"{t:%H:%M}")),
        REFUSED,
        ["row 2", "'when'", "'08:30'", TIME],
    ),
    "the word now": (
        "log.csv",
        text(cell(3, "due", "now")),
        REFUSED,
        ["row 3", "'due'", "'now'", TIME],
    ),
    "NA for a time": (
        "log.csv",
        text(cell(3, "due", "NA")),
        REFUSED,
        ["row 3", "'due'", "'NA'", TIME],
    ),
    "NaT for a time": (
        "log.csv",
        text(cell(3, "due", "NaT")),
        REFUSED,
        ["row 3", "'due'", "'NaT'", TIME],
    ),
    "two forms of a date": (
        "log.csv",
        text(cell(9, "when", "02/03/2022 11:30")),
        REFUSED,
        ["row 9", "'when'", "'02/03/2022 11:30'", TIME],
    ),
    "two forms that mean the same": (
        "log.csv",
        text([*ROWS[:9], *whens(lambda t: f"{t:%Y/%m/%d %H:%M:%S}")[9:]]),
        ROWS,
        [],
    ),
    "a day without its time": (
        "log.csv",
        text(cell(2, "due", "2022-04-01")),
        cell(2, "due", "2022-04-01 00:00"),
        ["'due': 1 values have no time of day and count as 00:00"],
    ),
    "days without times": (
        "log.csv",
        text(column("due", lambda v: v[:10])),
        column("due", lambda v: f"{v[:10]} 00:00"),
        [],
    ),
    "the zone's name": (
        "log.csv",
        text(whens(lambda t: f"{t} CET")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "an offset in every row": (
        "log.csv",
        text(whens(lambda t: f"{t}+02:00")),
        whens(lambda t: str(t - timedelta(hours=2))),
        [],
    ),
    "an offset in some rows": (
        "log.csv",
        text(cell(2, "when", "2022-03-01 10:30+02:00")),
        ROWS,
        ["'when': 39 values have no offset from UTC, as others have, and count as UTC"],
    ),
    "an offset of more than a day": (
        "log.csv",
        text(cell(2, "when", "2022-03-01 10:30+25:00")),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "the hour that comes twice": (
        "log.csv",
        text(
            cell(
                41,
                "when",
                "2022-10-30 02:30+02:00",
                cell(40, "when", "2022-10-30 02:30+01:00", whens(lambda t: f"{t}+00:00")),
            )
        ),  # clocks go back at 01:00 UTC
        cell(41, "when", "2022-10-30 00:30", cell(40, "when", "2022-10-30 01:30")),
        ["order of time; sorted"],
    ),
    "the hour that never is": (
        "log.csv",
        text(cell(41, "when", "2022-03-27 02:30")),
        cell(41, "when", "2022-03-27 02:30"),
        [],
    ),
    "a leap day": (
        "log.csv",
        text(cell(2, "due", "2024-02-29 10:00")),
        cell(2, "due", "2024-02-29 10:00"),
        [],
    ),
    "a leap day in no leap year": (
        "log.csv",
        text(cell(2, "due", "2023-02-29 10:00")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "a day that no month has": (
        "log.csv",
        text(cell(2, "due", "2022-01-32")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "24 o'clock": (
        "log.csv",
        text(cell(2, "due", "2022-04-01 24:00")),
        REFUSED,
        ["row 2", "'due'", "'2022-04-01 24:00'", TIME],
    ),
    "a leap second": (
        "log.csv",
        text(cell(2, "due", "2016-12-31 23:59:60")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "one digit for the hour": (
        "log.csv",
        text(column("when", lambda v: v.replace(" 0", " "))),
        ROWS,
        [],
    ),
    "an hour without minutes": (
        "log.csv",
        text(cell(2, "due", "2022-04-01 17")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "seconds": (
        "log.csv",
        text(whens(lambda t: f"{t:%Y-%m-%dT%H:%M:59}")),
        whens(lambda t: f"{t:%Y-%m-%dT%H:%M:59}"),
        [],
    ),
    "microseconds decide the order": (
        "log.csv",
        text(
            [
                *cell(2, "when", "2022-03-01 08:30:00.000002")[:1],
                *cell(3, "when", "2022-03-01 08:30:00.000001")[1:],
            ]
        ),
        [
            *cell(2, "when", "2022-03-01 08:30:00.000002")[:1],
            *cell(3, "when", "2022-03-01 08:30:00.000001")[1:],
        ],
        ["order of time; sorted"],
    ),
    "more digits than a nanosecond has": (
        "log.csv",
        text(cell(2, "due", "2022-04-01 10:00:00.1234567891")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "a database's zero": (
        "log.csv",
        text(cell(2, "due", "0000-00-00 00:00:00")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "the year 1": (
        "log.csv",
        text(cell(2, "when", "0001-01-01 08:30")),
        cell(2, "when", "0001-01-01 08:30"),
        ["'when': 1 times", ODD],
    ),
    "the year 9999": (
        "log.csv",
        text(cell(41, "when", "9999-12-31 23:59:59")),
        cell(41, "when", "9999-12-31 23:59:59"),
        ["'when': 1 times", ODD],
    ),
    "the year 10000": (
        "log.csv",
        text(cell(2, "due", "10000-01-01 08:30")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "a spreadsheet's day 0": (
        "log.csv",
        text(cell(2, "due", "1900-01-00 08:30")),
        REFUSED,
        ["row 2", "'due'", TIME],
    ),
    "a spreadsheet's day 1": (
        "log.csv",
        text(cell(2, "due", "1900-01-01 08:30")),
        cell(2, "due", "1900-01-01 08:30"),
        [ODD, "1900"],
    ),
    "the first moment of 1970": (
        "log.csv",
        text(cell(2, "due", "1970-01-01 00:00")),
        cell(2, "due", "1970-01-01 00:00"),
        [ODD, "1970"],
    ),
    "the far future": (
        "log.csv",
        text(cell(41, "when", "2202-03-10 11:30")),
        cell(41, "when", "2202-03-10 11:30"),
        [ODD, "2202"],
    ),
    # numbers
    **{
        f"hours of {value!r}": (
            "log.csv",
            text(cell(6, "hours", value)),
            REFUSED,
            ["row 6", "'hours'", f"'{value}'", NUMBER],
        )
        for value in (
            "1,5",
            "1.000,5",
            "1'000",
            "1 000",
            "1_5",
            "0x10",
            "٧",
            "1:30",
            "1.5h",
            "$5",
            "5%",
            "5-",
            "(5)",
            "--",
            "NA",
            "nan",
            "null",
            "#REF!",
            "1e400",
            "Infinity",
            "2022-03-01",
            "yes",
        )
    },
    **{
        f"hours of {value!r} ": (
            "log.csv",
            text(cell(6, "hours", value)),
            cell(6, "hours", meant),
            notes,
        )
        for value, meant, notes in (
            (" 7", "7", []),
            ("7\xa0", "7", []),
            ("1.", "1", []),
            (".5", "0.5", []),
            ("+5", "5", []),
            ("-0", "0", []),
            ("007", "7", []),
            ("75e-1", "7.5", []),
            ("  ", "", []),
            ("1e3", "9.5", ["'hours': 1 values are above 9.5"]),
            ("99999", "9.5", ["'hours': 1 values are above 9.5"]),
        )
    },
    "hours a little below 0": (
        "log.csv",
        text(cell(6, "hours", "-1e-9")),
        REFUSED,
        ["row 6", "'hours'", "is below 0; correct it"],
    ),
    # names
    **{
        f"somebody called {name}": (
            "log.csv",
            text(column("who", lambda v, name=name: v.replace("E01", name))),
            column("who", lambda v, name=name: v.replace("E01", name)),
            [],
        )
        for name in (
            "NA",
            "null",
            "None",
            "nan",
            "#N/A",
            "-",
            "0",
            "1e5",
            "TRUE",
            "=A1",
            "李",
            "a,b",
            "x" * 100_000,
        )
    },
    "numbers with and without zeros": (
        "log.csv",
        text(cell(3, "place", "1")),
        cell(3, "place", "1"),
        [],
    ),
    "a field of a megabyte": (
        "log.csv",
        text(cell(6, "what", "x" * 10**6)),
        REFUSED,
        ["row 6", "not valid CSV", "field limit"],
    ),
    "a long text for a time": (
        "log.csv",
        text(cell(6, "when", "x" * 10**5)),
        REFUSED,
        ["row 6", "'when'", TIME],
    ),
    "spaces after a name": ("log.csv", text(cell(3, "who", "E01  ")), ROWS, []),
    "spaces before a name": ("log.csv", text(cell(3, "who", "\tE01")), ROWS, []),
    "a space that does not break": ("log.csv", text(cell(3, "who", "E01\xa0")), ROWS, []),
    "spaces alone for a name": (
        "log.csv",
        text(cell(3, "who", "  ")),
        REFUSED,
        ["row 3", "'who'", "blank; every event needs one"],
    ),
    "capitals in one name": (
        "log.csv",
        text(cell(3, "who", "e01")),
        cell(3, "who", "e01"),
        ["'who'", "'e01' and 'E01'", ALIKE],
    ),
    "a space within a name": (
        "log.csv",
        text(cell(3, "who", "E 01")),
        cell(3, "who", "E 01"),
        ["'who'", ALIKE],
    ),
    "an invisible space": (
        "log.csv",
        text(cell(3, "who", "E01\u200b")),
        cell(3, "who", "E01\u200b"),
        ["'who'", ALIKE],
    ),
    "letters in full width": (
        "log.csv",
        text(cell(3, "who", "Ｅ01")),
        cell(3, "who", "Ｅ01"),
        ["'who'", ALIKE],
    ),
    "an accent of its own": (
        "log.csv",
        text(cell(4, "what", unicodedata.normalize("NFD", "Zoë"))),
        cell(4, "what", unicodedata.normalize("NFD", "Zoë")),
        ["'what'", ALIKE],
    ),
    "more names than the size": (
        "log.csv",
        text([row[:5] + [f"p{i:02d}"] for i, row in enumerate(ROWS)]),
        [row[:5] + [f"p{i:02d}" if i < 19 else ""] for i, row in enumerate(ROWS)],
        ["'place'", "37%", "too rare to be told apart", "raise 'size'"],
    ),
}


def meant(rows: list) -> list[tuple]:
    """What the rows say, in the order of time; blank is None."""

    def moment(value):
        return value and datetime.fromisoformat(value)

    out = [
        (
            who,
            what or None,
            place or None,
            float(hours) if hours else None,
            moment(when),
            moment(due),
        )
        for who, what, when, due, hours, place in rows
    ]
    return sorted(out, key=lambda row: row[4])


def said(log) -> list[tuple]:
    """The log's integers as the values they stand for.

    A time's parts are put together with its year, which has no integer.
    """
    columns = {
        category.name: [log.vocabularies[category.name][i] for i in integers]
        for category, integers in zip(log.categories, log.table.T, strict=True)
    }

    def parts(name):
        return zip(
            *(columns[f"{name}_{part}"] for part in ("Month", "Day", "Hour", "Minute")), strict=True
        )

    moments = log.time.astype("datetime64[us]").tolist()
    return list(
        zip(
            columns["who"],
            columns["what"],
            columns["place"],
            columns["hours"],
            moments,
            parts("when"),
            parts("due"),
            strict=True,
        )
    )


def check_read(log, rows: list) -> None:
    """The log says what the rows mean, and its arrays agree with each other."""
    expected = meant(rows)
    assert [row[:5] for row in said(log)] == [row[:5] for row in expected]
    for number, place in ((5, 4), (6, 5)):
        parts = [
            (t.month, t.day, t.hour, t.minute) if (t := row[place]) else (None,) * 4
            for row in expected
        ]
        assert [row[number] for row in said(log)] == parts
    sequence, who = log.sequence.tolist(), [row[0] for row in expected]
    assert (
        len(set(zip(sequence, who, strict=True))) == len(set(sequence)) == len(set(who))
    )  # one number for each name, and one name for each number
    assert sorted(log.row.tolist()) == list(range(len(rows)))


def check_refused(action, path: Path, words: list[str]) -> None:
    """One line of at most 500 letters that names the file, says all the words, and a remedy."""
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert (
        len(message.splitlines()) == 1
        and len(message) < 500 + len(str(path))
        and message.startswith(str(path))
    )
    assert "; " in message or " must be " in message, message
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize("name, content, rows, words", KINDS.values(), ids=KINDS)
def test_a_fault_is_refused_or_read_as_it_should_be(tmp_path, name, content, rows, words):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if rows is REFUSED:
        return check_refused(lambda: read_log(path, MAPPING), path, words)
    log = read_log(path, MAPPING)
    check_read(log, rows)
    assert bool(log.notes) == bool(words) and all(
        any(word in note for note in log.notes) for word in words
    ), log.notes
    assert all(note.startswith(str(path)) and len(note.splitlines()) == 1 for note in log.notes)


def test_the_good_log_is_good_and_there_are_enough_kinds(tmp_path):
    (tmp_path / "log.csv").write_text(GOOD, encoding="utf-8")
    check_read(log := read_log(tmp_path / "log.csv", MAPPING), ROWS)
    assert log.notes == [] and len(KINDS) >= 60


# The same in Parquet, where a column has a type.


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=COLUMNS).assign(**columns)


WHEN, SOME = [datetime.fromisoformat(row[2]) for row in ROWS], [True, False, None, *[True] * 37]
TYPED = {
    "text": (frame(), ROWS, []),
    "spaces after names": (frame(who=[f"{row[0]} " for row in ROWS]), ROWS, []),
    "moments": (frame(when=WHEN), ROWS, []),
    "moments with a zone": (
        frame(when=pd.DatetimeIndex(WHEN).tz_localize("UTC").tz_convert("Europe/Berlin")),
        ROWS,
        [],
    ),
    "days": (frame(due=[date(2022, 4, 1)] * 40), column("due", lambda _: "2022-04-01 00:00"), []),
    "numbers, one missing": (
        frame(hours=[None] + [float(row[4]) for row in ROWS[1:]]),
        cell(2, "hours", ""),
        [],
    ),
    "numbers, one no number": (
        frame(hours=pd.arrays.ArrowExtensionArray(pa.array([np.nan] + [1.0] * 39))),
        cell(2, "hours", "", column("hours", lambda _: "1")),
        [],
    ),
    "whole numbers for names, one missing": (
        frame(place=pd.array([None] + [7] * 39, "Int64")),
        cell(2, "place", "", column("place", lambda _: "7")),
        [],
    ),
    "truths": (
        frame(place=pd.array(SOME, "boolean")),
        [
            row[:5] + ["" if truth is None else str(truth)]
            for row, truth in zip(ROWS, SOME, strict=True)
        ],
        [],
    ),
    "categories": (frame(who=pd.Categorical([row[0] for row in ROWS])), ROWS, []),
    "bytes": (frame(who=[row[0].encode() for row in ROWS]), ROWS, []),
    "the sequence as pandas' index": (frame().set_index("who"), ROWS, []),
    "bytes that are no text": (
        frame(who=[b"\xff\xfe"] * 40),
        REFUSED,
        ["cannot be read", "give a whole"],
    ),
    "days since 1970": (
        frame(when=[19052 + i for i in range(40)]),
        REFUSED,
        ["row 2", "'when'", TIME],
    ),
    "negative numbers": (
        frame(hours=[1.0] * 5 + [-1.0] * 35),
        REFUSED,
        ["row 7", "'hours'", "is below 0", "34 more"],
    ),
    "endless numbers": (
        frame(hours=[1.0] * 5 + [np.inf] * 35),
        REFUSED,
        ["row 7", "'hours'", NUMBER],
    ),
    "a missing sequence": (
        frame(who=[*[row[0] for row in ROWS[:-1]], None]),
        REFUSED,
        ["row 41", "'who'", "blank"],
    ),
    "a missing column": (frame().drop(columns="due"), REFUSED, ["no column 'due'", "correct"]),
    "no rows": (frame()[:0], REFUSED, ["no rows", "give a log"]),
    "a list in each row": (
        frame(what=[["a", "b"]] * 40),
        REFUSED,
        ["'what'", "list", "not one value", "a column of each"],
    ),
}


@pytest.mark.parametrize("table, rows, words", TYPED.values(), ids=TYPED)
def test_a_parquet_file_is_refused_or_read_as_it_should_be(tmp_path, table, rows, words):
    path = tmp_path / "log.parquet"
    table.to_parquet(path)
    if rows is REFUSED:
        return check_refused(lambda: read_log(path, MAPPING), path, words)
    check_read(log := read_log(path, MAPPING), rows)
    assert log.notes == words


@pytest.mark.parametrize("left", [0, 4, 100, 2000, -4])
def test_a_parquet_file_cut_short_is_refused(tmp_path, left):
    path = tmp_path / "log.parquet"
    frame().to_parquet(path)
    path.write_bytes(path.read_bytes()[:left])
    check_refused(lambda: read_log(path, MAPPING), path, ["cannot be read", "give a whole"])


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="rights are another matter on Windows")
@pytest.mark.parametrize(
    "folder_rights, file_rights", [(0o755, 0), (0, 0o644)], ids=["file", "folder"]
)
def test_what_may_not_be_read_is_refused(folder_rights, file_rights):
    with tempfile.TemporaryDirectory() as folder:
        path, me = Path(folder) / "log.csv", os.geteuid()
        path.write_text(GOOD, encoding="utf-8")
        path.chmod(file_rights)
        os.chmod(folder, folder_rights)
        try:
            if me == 0:
                os.seteuid(65534)  # nobody
            check_refused(
                lambda: read_log(path, MAPPING), path, ["cannot be read", "ermission", "give a"]
            )
        finally:
            os.seteuid(me)
            os.chmod(folder, 0o755)


@pytest.mark.parametrize(
    "rows",
    [[[f"E{i:02d}", *row[1:]] for i, row in enumerate(ROWS)], ROWS[:5] * 2 + ROWS[10:12]],
    ids=["cases of one event", "few"],
)
def test_a_log_without_windows_is_refused_by_its_name(tmp_path, rows):
    path, mapping = tmp_path / "log.csv", tmp_path / "mapping.json"
    path.write_text(text(rows), encoding="utf-8")
    mapping.write_text(
        '{"sequence": "who", "time": "when", "categories": {"what": {"column": "what"}}, '
        '"streams": {"what": "what"}}'
    )
    check_refused(
        lambda: load_data(Config(log=str(path), mapping=str(mapping))), path, ["part", "longer log"]
    )
