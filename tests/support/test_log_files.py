"""Log files with a fault: refused in one line with a remedy, or read as they should be.

A note says what looks odd. What a file should be read as is stated as rows of text, and worked out
from them without the package.
"""

import csv
import gzip
import io
import os
import tempfile
import unicodedata
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small import refused

from helpers.events import TRAIN, read_log
from helpers.schema import LogMapping, Source
from helpers.support.log_files import count_repeats, name_of, read_frame
from helpers.support.notes import Notes, refuse_values

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
ALIKE, TIME, NUMBER, MARKER = (
    "look alike and count as two",
    "write it as 2022-01-31 17:05",
    "is not a number; ",
    "if it stands for a blank, write",
)
ODD, UTF8, COUNT = (
    "before 1971 or after next year",
    "text; save the file in UTF-8",
    "values under 6 columns; correct it",
)
# How it is spoilt, and what its refusal says.
BAD = {
    "two byte order marks": (
        "\ufeff".encode() + GOOD.encode("utf-8-sig"),
        ["no column 'who'", "\\ufeff"],
    ),
    "two files in one, both with a mark": (
        GOOD.encode("utf-8-sig") * 2,
        ["row 42", "'when'", TIME],
    ),
    "a bad byte far down": (text(ROWS * 2000).encode() + b"E01,\xff", ["row 80002", UTF8]),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), ["row 1", "neither", "Windows", UTF8]),
    "EBCDIC": (text(column("what", lambda _: "in")).encode("cp037"), ["row 1", "neither", UTF8]),
    "a NUL in a name": (GOOD.replace("E03", "E\x0003", 1), ["row 5", UTF8]),
    "NULs where a disk was full": (GOOD + "\x00" * 4096, ["row 42", UTF8]),
    "a DOS end of file": (GOOD + "\x1a", ["row 42", "1 " + COUNT]),
    "cut short within a row": (GOOD[:-20], ["row 41", "4 " + COUNT]),
    "a title above the header": (
        "Hours of March\n" + GOOD,
        ["row 1", "no column 'who'", "'Hours of March'"],
    ),
    "no header": (
        text(ROWS[1:], ROWS[0]),
        ["row 1", "no column 'who'", "'E00'", "correct the mapping or the header"],
    ),
    "the header once more": (
        lines(lambda listed: listed.insert(9, listed[0])),
        ["row 10", "'when'", "'when' is not", TIME],
    ),
    "spaces in the header": (
        GOOD.replace("who", " who ", 1),
        ["row 1", "no column 'who'", "' who '"],
    ),
    "capitals in the header": (
        GOOD.replace("who", "Who", 1),
        ["row 1", "no column 'who'", "'Who'"],
    ),
    "a comma after one row": (
        lines(lambda listed: listed.__setitem__(6, listed[6] + ",")),
        ["row 7", "7 " + COUNT],
    ),
    "very many columns, the wrong ones": (
        text([], [f"c{i}" for i in range(5000)]),
        ["row 1", "no column 'who'", "'c0'"],
    ),
    "a line of spaces": (lines(lambda listed: listed.insert(4, "   ")), ["row 5", "1 " + COUNT]),
    "a row of commas": (GOOD + ",,,,,\n", ["row 42", "'who'", "blank; every event needs one"]),
    "a sum below": (GOOD + "Total,,,,35,\n", ["row 42", "'when'", "blank; every event needs one"]),
    "a count below": (GOOD + "(40 rows)\n", ["row 42", "1 " + COUNT]),
    "a comment": (lines(lambda listed: listed.insert(5, "# April")), ["row 6", "1 " + COUNT]),
    "a comma that should be quoted": (
        lines(lambda listed: listed.__setitem__(3, listed[3].replace("Zoë", "Zoë, M."))),
        ["row 4", "7 " + COUNT],
    ),
    "a quote escaped by a backslash": (
        GOOD.replace("Zoë", '"Z\\"o\\"ë"', 1),
        ["row 4", "not valid CSV", "double quotes"],
    ),
    "text after a quote": (
        GOOD.replace("Zoë", '"Zo"ë', 1),
        ["row 4", "not valid CSV", "double quotes"],
    ),
    "all rows equal": (text(ROWS[:1] * 40), ["the train part has no events", "longer log"]),
    "two rows": (text(ROWS[:2]), ["part has no events", "longer log"]),
    "a field of a megabyte, in quotes": (
        text(cell(6, "what", "x" * 10**6 + '"')),
        ["row 6", "not valid CSV", "field limit"],
    ),
    "a column twice": (
        GOOD.replace("place", "what", 1),
        ["row 1", "2 columns are named 'what'", "correct"],
    ),
    "a header alone": (text([]), ["no rows", "give a log"]),
    "an empty file": ("", ["empty", "give a file"]),
    "blank lines alone": ("\n\n", ["empty", "give a file"]),
    "a comma after every row but the header": (
        text([[*row, ""] for row in ROWS]),
        ["row 2", "7 " + COUNT],
    ),
    "a quote that is never closed": (
        lines(lambda listed: listed.__setitem__(40, '"' + listed[40])),
        ["row 41", "double quotes"],
    ),
}
# Files of other kinds, which all cannot be read.
CUT = {
    "a gzip and something else": ("log.csv.gz", gzip.compress(GOOD.encode()) + b"more"),
    "a gzip's head alone": ("log.csv.gz", gzip.compress(GOOD.encode())[:10]),
    "a gzip without its check sum": ("log.csv.gz", gzip.compress(GOOD.encode())[:-8]),
    "a gzip of other length": ("log.csv.gz", gzip.compress(GOOD.encode())[:-1] + b"\x07"),
    "a damaged gzip": ("log.csv.gz", gzip.compress(GOOD.encode())[:60] + b"\xff" * 60),
    "no Parquet at all": ("log.parquet", "PAR1 and no more"),
}
# Values: the row, the column, the value, and what is wrong.
BAD_CELLS = {
    "seconds since 1970 that look like a date": (3, "when", "1611111100", TIME),
    "the year alone": (3, "due", "2022", TIME),
    "year and month alone": (3, "due", "2022-03", TIME),
    "the word now": (3, "due", "now", TIME),
    "NA for a time": (3, "due", "NA", f'{MARKER} "columns": {{"due": {{"missing": ["NA"]}}}}'),
    "NaT for a time": (3, "due", "NaT", MARKER),
    "two forms of a date": (9, "when", "02/03/2022 11:30", TIME),
    "an offset of more than a day": (2, "when", "2022-03-01 10:30+25:00", TIME),
    "a leap day in no leap year": (2, "due", "2023-02-29 10:00", TIME),
    "a day that no month has": (2, "due", "2022-01-32", TIME),
    "24 o'clock": (2, "due", "2022-04-01 24:00", TIME),
    "a leap second": (2, "due", "2016-12-31 23:59:60", TIME),
    "an hour without minutes": (2, "due", "2022-04-01 17", TIME),
    "more digits than a nanosecond has": (2, "due", "2022-04-01 10:00:00.1234567891", TIME),
    "a database's zero": (2, "due", "0000-00-00 00:00:00", TIME),
    "the year 10000": (2, "due", "10000-01-01 08:30", TIME),
    "a spreadsheet's day 0": (2, "due", "1900-01-00 08:30", TIME),
    "a long text for a time": (6, "when", "x" * 10**5, TIME),
    "spaces alone for a name": (3, "who", "  ", "blank; every event needs one"),
}
POINT, BLANK = "leave out what parts its thousands", "correct it or leave it blank"
BAD_NUMBERS = {
    "1,5": 'if the comma is its decimal mark, write "columns": {"hours": {"decimal": ","}}',
    "1,000": "if it parts thousands, leave it out",
    "1.000,5": POINT,
    "1,000,000": POINT,
    "1'000": POINT,
    "1 000": POINT,
    "1_000": POINT,
    "1_5": BLANK,
    "0x10": BLANK,
    "٧": BLANK,
    "1:30": BLANK,
    "1.5h": BLANK,
    "$5": BLANK,
    "5%": BLANK,
    "5-": BLANK,
    "(5)": BLANK,
    "--": MARKER,
    "NA": f'{MARKER} "columns": {{"hours": {{"missing": ["NA"]}}}} in the mapping',
    "nan": MARKER,
    "null": MARKER,
    "#REF!": BLANK,
    "1e400": BLANK,
    "Infinity": BLANK,
    "2022-03-01": BLANK,
    "yes": BLANK,
}
# Forms of a time that could be read in two ways, or are of another system, and what is said.
EITHER = 'may be day first or month first; write "columns": {"when": {"dates": "day first"}}'
BAD_FORMS = {
    "day first or month first": (lambda t: f"{t:%d/%m/%Y %H:%M}", EITHER, 35),
    "the same with points": (lambda t: f"{t:%m.%d.%Y %H:%M}", EITHER, 35),
    "a short year": (lambda t: f"{t:%d.%m.%y %H:%M}", "a year of two digits; write all four", 39),
    "a short year in front": (lambda t: f"{t:%y-%m-%d}", "a year of two digits; write all", 39),
    "a month's name": (lambda t: f"{t:%d-%b-%Y %H:%M}", TIME, 39),
    "half a clock of 14 hours": (lambda t: f"{t:%Y-%m-%d} 14:30 PM", TIME, 39),
    "half a clock from 0": (lambda t: f"{t:%Y-%m-%d} 00:30 AM", TIME, 39),
    "a spreadsheet's day": (lambda t: f"{serial(t):.0f}", TIME, 39),
    "a spreadsheet's moment": (lambda t: f"{serial(t):.5f}", TIME, 39),
    "all digits in a row": (lambda t: f"{t:%Y%m%d%H%M%S}", TIME, 39),
    "the clock alone": (lambda t: f"{t:%H:%M}", TIME, 39),
    "the zone's name": (lambda t: f"{t} CET", TIME, 39),
}
# Forms of a time that days after the 12th make clear, and what is said of them.
TAKEN = "'when': dates are taken as"
FORMS = {
    "day first": (
        lambda t: f"{t:%d/%m/%Y %H:%M}",
        [f"{TAKEN} day first, so '13/03/2022 08:30' is 2022-03-13 08:30:00"],
    ),
    "month first": (lambda t: f"{t:%m/%d/%Y %H:%M}", [f"{TAKEN} month first, so '03/13/2022"]),
    "with points": (lambda t: f"{t:%d.%m.%Y %H:%M:%S}", [f"{TAKEN} day first"]),
    "with dashes": (lambda t: f"{t:%d-%m-%Y}T{t:%H:%M}", [f"{TAKEN} day first"]),
    "without zeros": (lambda t: f"{t.month}/{t.day}/{t.year} {t.hour}:{t:%M}", [f"{TAKEN} month"]),
    "with a comma": (lambda t: f"{t:%d/%m/%Y, %H:%M:%S}", [f"{TAKEN} day first"]),
    "half a clock": (lambda t: f"{t:%Y-%m-%d %I:%M %p}", []),
    "half a clock, day first": (lambda t: f"{t:%d/%m/%Y %I:%M:%S%p}".lower(), [f"{TAKEN} day"]),
    "year first with points": (lambda t: f"{t:%Y.%m.%d %H:%M}", []),
    "a day of eight digits": (
        lambda t: f"{t:%Y%m%d %H:%M}" if t.hour % 2 else f"{t:%Y-%m-%d %H:%M}",
        [],
    ),
    "a comma before the fraction": (lambda t: f"{t},000", []),
    "a zone that is UTC": (lambda t: f"{t} UTC", []),
    "seconds since 1970": (
        lambda t: f"{t.replace(tzinfo=UTC).timestamp():.0f}",
        [f"{TAKEN} seconds since 1970, so '1646901000' is 2022-03-10 08:30:00"],
    ),
    "seconds with a fraction": (
        lambda t: f"{t.replace(tzinfo=UTC).timestamp():.3f}",
        [f"{TAKEN} seconds since 1970"],
    ),
    "milliseconds since 1970": (
        lambda t: f"{t.replace(tzinfo=UTC).timestamp() * 1000:.0f}",
        [f"{TAKEN} milliseconds since 1970"],
    ),
}
# The rows, which are read as they stand, and what must be said of them.
AS_THEY_STAND = {
    "a vertical tab within a name": (cell(6, "who", "E\v01"), [ALIKE]),
    "quotes within a name": (column("what", lambda v: f'a "{v}"'), []),
    "rows twice": ([*ROWS[:5], *ROWS[4:]], ["1 rows repeat an earlier row exactly"]),
    "rows upside down": (ROWS[::-1], ["runs from new to old; read from the bottom up"]),
    "rows in no order": (ROWS[1::2] + ROWS[::2], ["not in the order of time; sorted"]),
    "one employee": (column("who", lambda _: "E00"), []),
    "the hour that never is": (cell(41, "when", "2022-03-27 02:30"), []),
    "a leap day": (cell(2, "due", "2024-02-29 10:00"), []),
    "seconds": (whens(lambda t: f"{t:%Y-%m-%dT%H:%M:59}"), []),
    "microseconds decide the order": (
        [
            *cell(2, "when", "2022-03-01 08:30:00.000002")[:1],
            *cell(3, "when", "2022-03-01 08:30:00.000001")[1:],
        ],
        ["order of time; sorted"],
    ),
    "the year 1": (cell(2, "when", "0001-01-01 08:30"), ["'when': 1 times", ODD]),
    "the year 9999": (cell(41, "when", "9999-12-31 23:59:59"), ["'when': 1 times", ODD]),
    "a spreadsheet's day 1": (cell(2, "due", "1900-01-01 08:30"), [ODD, "1900"]),
    "the first moment of 1970": (cell(2, "due", "1970-01-01 00:00"), [ODD, "1970"]),
    "the far future": (cell(41, "when", "2202-03-10 11:30"), [ODD, "2202"]),
    "numbers with and without zeros": (cell(3, "place", "1"), []),
    "capitals in one name": (cell(3, "who", "e01"), ["'who'", "'e01' and 'E01'", ALIKE]),
    "a space within a name": (cell(3, "who", "E 01"), ["'who'", ALIKE]),
    "an invisible space": (cell(3, "who", "E01\u200b"), ["'who'", ALIKE]),
    "letters in full width": (cell(3, "who", "Ｅ01"), ["'who'", ALIKE]),
    "an accent of its own": (
        cell(4, "what", unicodedata.normalize("NFD", "Zoë")),
        ["'what'", ALIKE],
    ),
}
MARKERS = ("NA", "null", "None", "nan", "#N/A", "-", "?")
MARKED = ["'who': 8 values are", "count as names", '"missing"']
NAMES = (
    *MARKERS,
    "1.0",
    "007",
    "Zoë, the \u201cboss\u201d",
    "0",
    "1e5",
    "TRUE",
    "=A1",
    "李",
    "a,b",
    "x" * 100000,
)
WALL = "days and hours are those of the clock on the wall"
TWICE = cell(41, "when", "2022-10-30 02:30+02:00", cell(40, "when", "2022-10-30 02:30+01:00"))
WESTERN = ["row 4: is not UTF-8", "read as Windows-1252"]
# How it is written, the rows that it must be read as, and what must be said of it.
READ = {
    "Windows' Western encoding": (GOOD.encode("cp1252"), ROWS, WESTERN),
    "an old Mac's encoding": (
        GOOD.encode("mac-roman"),
        column("what", lambda v: v.encode("mac-roman").decode("cp1252")),
        WESTERN,
    ),
    "UTF-16": (GOOD.encode("utf-16"), ROWS, []),
    "UTF-16, the other end first": (("\ufeff" + GOOD).encode("utf-16-be"), ROWS, []),
    "UTF-32": (GOOD.encode("utf-32"), ROWS, []),
    "a gzip named CSV": (gzip.compress(GOOD.encode()), ROWS, []),
    "semicolons": (text(delimiter=";"), ROWS, []),
    "semicolons, and commas in names": (
        text(column("what", lambda v: f"{v}, today"), delimiter=";"),
        column("what", lambda v: f"{v}, today"),
        [],
    ),
    "tabs": (text(delimiter="\t"), ROWS, []),
    "tabs in UTF-16, as a spreadsheet writes": (text(delimiter="\t").encode("utf-16"), ROWS, []),
    "bars": (text(delimiter="|"), ROWS, []),
    "commas, and semicolons in quoted names": (
        text(column("what", lambda v: f"a;{v};b;c;d;e;f;g"), quoting=csv.QUOTE_ALL),
        column("what", lambda v: f"a;{v};b;c;d;e;f;g"),
        [],
    ),
    "a line that tells a spreadsheet the separator": (
        "sep=;\r\n" + text(delimiter=";").replace("\n", "\r\n"),
        ROWS,
        [],
    ),
    "a separator of its own": ("sep=^\n" + text(delimiter="^"), ROWS, []),
    "a field of a megabyte": (
        text(cell(6, "what", "x" * 10**6)),
        cell(6, "what", "x" * 10**6),
        [],
    ),
    "byte order mark": (GOOD.encode("utf-8-sig"), ROWS, []),
    "cut short within a value": (GOOD[:-2], cell(41, "place", ""), ["the last line has no end"]),
    "no end of the last line": (GOOD[:-1], ROWS, ["the last line has no end"]),
    "columns in another order": (text([row[::-1] for row in ROWS], COLUMNS[::-1]), ROWS, []),
    "a quoted header": (text(quoting=csv.QUOTE_ALL), ROWS, []),
    "an unused column twice": (
        text([row + ["x", "y"] for row in ROWS], COLUMNS + ["note", "note"]),
        ROWS,
        [],
    ),
    "a comma after every row": (GOOD.replace("\n", ",\n"), ROWS, []),
    "very many columns": (
        text([row + ["1"] * 5000 for row in ROWS], COLUMNS + [f"c{i}" for i in range(5000)]),
        ROWS,
        [],
    ),
    "Windows' line ends": (GOOD.replace("\n", "\r\n"), ROWS, []),
    "an old Mac's line ends": (GOOD.replace("\n", "\r"), ROWS, []),
    "line ends of all kinds": (GOOD.replace("\n", "\r\n", 9).replace(",001\n", ",001\r"), ROWS, []),
    "blank lines": (GOOD.replace("\n", "\n\n"), ROWS, []),
    "two stray quotes swallow rows": (
        lines(quoted),
        swallowed(5, 8),
        ["row 5: goes on over several lines"],
    ),
    "a quote that opens nothing": (
        GOOD.replace("Zoë", 'Zo"ë'),
        column("what", lambda v: v.replace("Zoë", 'Zo"ë')),
        [],
    ),
    "two forms that mean the same": (
        text([*ROWS[:9], *whens(lambda t: f"{t:%Y/%m/%d %H:%M:%S}")[9:]]),
        ROWS,
        [],
    ),
    "a day without its time": (
        text(cell(2, "due", "2022-04-01")),
        cell(2, "due", "2022-04-01 00:00"),
        ["'due': 1 values have no time of day and count as 00:00"],
    ),
    "days without times": (
        text(column("due", lambda v: v[:10])),
        column("due", lambda v: f"{v[:10]} 00:00"),
        [],
    ),
    "an offset in every row": (
        text(whens(lambda t: f"{t}+02:00")),
        whens(lambda t: f"{t}+02:00"),
        [f"{WALL}, so '2022-03-01 08:30:00+02:00' is 2022-03-01 08:30:00", '"clock": "UTC"'],
    ),
    "midnights in the east": (
        text(whens(lambda t: f"{t:%Y-%m-%d} 00:00:00+01:00")),
        whens(lambda t: f"{t:%Y-%m-%d} 00:00:00+01:00"),
        [WALL],
    ),
    "offsets of all forms": (
        text([*whens(lambda t: f"{t}-0330")[:20], *whens(lambda t: f"{t} +01")[20:]]),
        [*whens(lambda t: f"{t}-03:30")[:20], *whens(lambda t: f"{t}+01:00")[20:]],
        [WALL],
    ),
    "UTC in every row": (text(whens(lambda t: f"{t:%Y-%m-%dT%H:%M:%S}Z")), ROWS, []),
    "an offset in some rows": (
        text(cell(2, "when", "2022-03-01 10:30+02:00")),
        [*whens(lambda t: "2022-03-01 10:30+02:00")[:1], *ROWS[1:]],
        [WALL, "'when': 39 values have no offset from UTC, as others have, and count as UTC"],
    ),
    "the hour that comes twice": (
        text(TWICE),
        [*ROWS[:38], *TWICE[38:]],
        [WALL, "order of time; sorted"],
    ),
    "one digit for the hour": (text(column("when", lambda v: v.replace(" 0", " "))), ROWS, []),
    "spaces after a name": (text(cell(3, "who", "E01  ")), ROWS, []),
    "spaces before a name": (text(cell(3, "who", "\tE01")), ROWS, []),
    "a space that does not break": (text(cell(3, "who", "E01\xa0")), ROWS, []),
    "more names than the size": (
        text([row[:5] + [f"p{i:02d}"] for i, row in enumerate(ROWS)]),
        [row[:5] + [f"p{i:02d}" if i < 19 else ""] for i, row in enumerate(ROWS)],
        ["'place'", "37%", "too rare to be told apart", "raise 'size'"],
    ),
}
NUMBERS = (
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


def meant(rows: list) -> list[tuple]:
    """What the rows say, in the order of time; blank is None. A moment is what the wall shows."""

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
    return sorted(out, key=lambda row: instant(row[4]))


def instant(moment: datetime) -> datetime:
    """In UTC, where an offset from it is known."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


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


def known(log, values: list) -> list:
    """The values, None where training never has one."""
    trained = {value for value, part in zip(values, log.part, strict=True) if part == TRAIN}
    return [value if value in trained else None for value in values]


def check_read(log, rows: list) -> None:
    """The log says what the rows mean, and its arrays agree with each other."""
    expected = meant(rows)
    assert [row[4] for row in said(log)] == [instant(row[4]) for row in expected]
    for place in range(4):
        values = [row[place] for row in expected]
        assert [row[place] for row in said(log)] == known(log, values)
    for number, place in ((5, 4), (6, 5)):
        for at, part in enumerate(("month", "day", "hour", "minute")):
            values = [getattr(row[place], part, None) for row in expected]
            assert [row[number][at] for row in said(log)] == known(log, values)
    sequence, who = log.sequence.tolist(), [row[0] for row in expected]
    assert (
        len(set(zip(sequence, who, strict=True))) == len(set(sequence)) == len(set(who))
    )  # one number for each name, and one name for each number
    assert sorted(log.row.tolist()) == list(range(len(rows)))


@pytest.fixture
def read(tmp_path):
    """Reads a file of this content and name."""

    def read(content, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_log(path, MAPPING)

    return read


def check_notes(log, words: list, path: Path) -> None:
    """There are notes where there should be, each a line, and they say all the words."""
    assert bool(log.notes) == bool(words), log.notes
    assert [word for word in words if not any(word in note for note in log.notes)] == []
    assert all(note.startswith(str(path)) and len(note.splitlines()) == 1 for note in log.notes)


def test_the_good_log_is_good(read):
    log = read(GOOD)
    check_read(log, ROWS)
    assert log.notes == []


@pytest.mark.parametrize("content, words", BAD.values(), ids=BAD)
def test_a_spoilt_file_is_refused(read, tmp_path, content, words):
    refused(lambda: read(content), *words, start=tmp_path / "log.csv")


@pytest.mark.parametrize("name, content", CUT.values(), ids=CUT)
def test_what_is_not_whole_or_of_another_kind_is_refused(read, tmp_path, name, content):
    refused(lambda: read(content, name), "cannot be read", "give a whole", start=tmp_path / name)


@pytest.mark.parametrize(
    "name, said", [("none.csv", "check the path"), ("", "without Parquet files; give a")]
)
def test_what_is_no_file_is_refused(tmp_path, name, said):
    refused(lambda: read_log(tmp_path / name, MAPPING), said, start=tmp_path / name)


@pytest.mark.parametrize("row, name, value, what", BAD_CELLS.values(), ids=BAD_CELLS)
def test_a_bad_value_is_named_with_its_row_and_column(read, row, name, value, what):
    words = (f"row {row}", f"column '{name}'", value.strip()[:20], what)
    refused(lambda: read(text(cell(row, name, value))), *words)


@pytest.mark.parametrize("value, remedy", BAD_NUMBERS.items())
def test_what_is_no_number_is_refused(read, value, remedy):
    words = ("row 6", "column 'hours'", f"'{value}'", NUMBER, remedy)
    refused(lambda: read(text(cell(6, "hours", value))), *words)


@pytest.mark.parametrize("form, why, more", BAD_FORMS.values(), ids=BAD_FORMS)
def test_another_form_of_time_is_refused(read, form, why, more):
    words = ("row 2", "column 'when'", f"'{form(WHEN[0])}'", why, f"{more} more")
    refused(lambda: read(text(whens(form))), *words)


@pytest.mark.parametrize("form, words", FORMS.values(), ids=FORMS)
def test_a_form_that_is_clear_is_read_and_told(read, tmp_path, form, words):
    rows = whens(lambda t: str(t + timedelta(days=9)))
    log = read(text([[*row[:2], form(datetime.fromisoformat(row[2])), *row[3:]] for row in rows]))
    check_read(log, rows)
    check_notes(log, words, tmp_path / "log.csv")


@pytest.mark.parametrize("rows, words", AS_THEY_STAND.values(), ids=AS_THEY_STAND)
def test_rows_are_read_as_they_stand(read, tmp_path, rows, words):
    log = read(text(rows))
    check_read(log, rows)
    check_notes(log, words, tmp_path / "log.csv")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_it_says(read, tmp_path, name):
    rows = column("who", lambda value: value.replace("E01", name))
    log = read(text(rows))
    check_read(log, rows)
    check_notes(log, MARKED if name in MARKERS else [], tmp_path / "log.csv")


@pytest.mark.parametrize("content, rows, words", READ.values(), ids=READ)
def test_a_file_written_otherwise_is_read_alike(read, tmp_path, content, rows, words):
    log = read(content)
    check_read(log, rows)
    check_notes(log, words, tmp_path / "log.csv")


@pytest.mark.parametrize("value, counts_as, words", NUMBERS)
def test_a_number_may_be_written_otherwise(read, tmp_path, value, counts_as, words):
    log = read(text(cell(6, "hours", value)))
    check_read(log, cell(6, "hours", counts_as))
    check_notes(log, words, tmp_path / "log.csv")


def test_two_gzips_in_one_are_read(read):
    content = gzip.compress(GOOD[:500].encode()) + gzip.compress(GOOD[500:].encode())
    log = read(content, "log.csv.gz")
    check_read(log, ROWS)
    assert log.notes == []


# The same in Parquet, where a column has a type.


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=COLUMNS).assign(**columns)


WHEN, SOME = [datetime.fromisoformat(row[2]) for row in ROWS], [True, False, None, *[True] * 37]
TYPED = {
    "text": (frame(), ROWS, []),
    "spaces after names": (frame(who=[f"{row[0]} " for row in ROWS]), ROWS, []),
    "moments": (frame(when=WHEN), ROWS, []),
    "moments with a zone": (
        frame(when=pd.DatetimeIndex(WHEN).tz_localize("Europe/Berlin")),
        whens(lambda t: f"{t}+01:00"),
        [WALL],
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
        None,
        ["cannot be read", "give a whole"],
    ),
    "days since 1970": (
        frame(when=[19052 + i for i in range(40)]),
        None,
        ["row 2", "'when'", TIME],
    ),
    "endless numbers": (frame(hours=[1.0] * 5 + [np.inf] * 35), None, ["row 7", "'hours'", NUMBER]),
    "a missing sequence": (
        frame(who=[*[row[0] for row in ROWS[:-1]], None]),
        None,
        ["row 41", "'who'", "blank"],
    ),
    "a missing column": (frame().drop(columns="due"), None, ["no column 'due'", "correct"]),
    "no rows": (frame()[:0], None, ["no rows", "give a log"]),
    "a list in each row": (
        frame(what=[["a", "b"]] * 40),
        None,
        ["'what'", "list", "not one value", "a column of each"],
    ),
}


@pytest.mark.parametrize("table, rows, words", TYPED.values(), ids=TYPED)
def test_a_parquet_file_is_refused_or_read_as_it_should_be(tmp_path, table, rows, words):
    path = tmp_path / "log.parquet"
    table.to_parquet(path)
    if rows is None:
        return refused(lambda: read_log(path, MAPPING), *words, start=path)
    log = read_log(path, MAPPING)
    check_read(log, rows)
    check_notes(log, words, path)


@pytest.mark.parametrize("left", [4, 100, 2000, -4])
def test_a_parquet_file_cut_short_is_refused(tmp_path, left):
    path = tmp_path / "log.parquet"
    frame().to_parquet(path)
    path.write_bytes(path.read_bytes()[:left])
    refused(lambda: read_log(path, MAPPING), "cannot be read", "give a whole", start=path)


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
            refused(lambda: read_log(path, MAPPING), "cannot be read", "ermission", start=path)
        finally:
            os.seteuid(me)
            os.chmod(folder, 0o755)


# What a mapping says of columns, beside their names.

CASES = ["case,what,day,clock,amount"]
CASES += [f"c{i // 2},w{i % 3},2024-01-{1 + i:02d},08:{i:02d},{i}" for i in range(6)]


@pytest.fixture
def frame_of(tmp_path):
    """The frame, the times and the notes of these lines, with changes of a simple mapping."""

    def frame_of(listed: list[str], **changes):
        path = tmp_path / "log.csv"
        path.write_text("\n".join(listed) + "\n")
        mapping = {
            "sequence": "case",
            "time": "day",
            "categories": {"what": {"column": "what"}},
            "streams": {"case": "case"},
        }
        notes = Notes(path)
        return *read_frame(LogMapping(**(mapping | changes)), notes), notes

    return frame_of


def spoilt(row: int, old: str, new: str) -> list[str]:
    return [
        line.replace(old, new) if number == row else line for number, line in enumerate(CASES, 1)
    ]


def test_two_columns_make_one_time(frame_of):
    both = ["day", "clock"]
    time = {"time": {"column": both, "kind": "time"}}
    frame, times, notes = frame_of(CASES, time=both, categories=time)
    assert name_of(both) == "day clock" and list(times) == ["day clock"]
    assert frame["day clock"].tolist() == [f"2024-01-{1 + i:02d} 08:{i:02d}" for i in range(6)]
    moments = times["day clock"]["instant"].to_numpy()[frame["day clock"].cat.codes]
    assert np.array_equal(moments, frame["day clock"].to_numpy().astype("datetime64[us]"))
    assert notes == []


def test_two_columns_may_be_of_another_form(frame_of):
    listed = [line.replace("2024-01-0", "0") for line in CASES]
    listed = [line.replace(",08:", "/01/2024,8:") for line in listed]
    both = ["day", "clock"]
    words = ("column 'day clock'", "may be day first", '{"day clock": {"dates": "day first"}}')
    refused(lambda: frame_of(listed, time=both), *words)
    for name in ("day", "day clock"):
        columns = {name: {"dates": "day first"}}
        frame, times, notes = frame_of(listed, time=both, columns=columns)
        days = times["day clock"]["clock"].dt.day.to_numpy()[frame["day clock"].cat.codes]
        assert days.tolist() == [1, 2, 3, 4, 5, 6]
        assert notes == []


def test_a_span_is_of_two_times(frame_of):
    span = {"lasts": {"column": ["day", "until"], "kind": "span"}}
    listed = [f"{CASES[0]},until", *(f"{line},13.01.2024 10:00" for line in CASES[1:])]
    _, times, notes = frame_of(listed, categories=span)
    assert list(times) == ["day", "until"]
    assert times["until"]["clock"].astype(str).tolist() == ["2024-01-13 10:00:00"]
    assert "'until': dates are taken as day first" in notes[0]


def test_missing_markers_are_blanks_where_the_mapping_says_so(frame_of):
    listed = [line.replace("c2", "NA").replace("w2", "NA") for line in CASES]
    frame, _, notes = frame_of(listed, columns={"what": {"missing": ["NA"]}})
    assert frame["what"].tolist() == ["w0", "w1", "", "w0", "w1", ""]
    assert frame["case"].tolist() == ["c0", "c0", "c1", "c1", "NA", "NA"]
    assert ["column 'case': 2 values are 'NA'" in note for note in notes] == [True]
    words = ("row 6", "'case'", "is blank; every event needs one: fill it in", "(1 more")
    refused(lambda: frame_of(listed, columns={"case": {"missing": ["NA"]}}), *words)


def test_a_column_that_nothing_uses_is_told(frame_of):
    notes = frame_of(CASES, columns={"amount": {"decimal": ","}})[2]
    assert ["how to read 'amount', which nothing uses" in note for note in notes] == [True]


def test_a_blank_time_is_refused(frame_of):
    words = ("row 3", "column 'day'", "is blank; every event", "leave such rows out")
    refused(lambda: frame_of(spoilt(3, "2024-01-02", "")), *words)


def test_offsets_are_told_once_and_hours_are_utc_on_demand(frame_of):
    listed = [f"{CASES[0]},due"]
    listed += [f"{line},2024-01-01 00:00+02:00" for line in CASES[1:]]
    listed = [line.replace(",08", " 00:00+01:00,08") for line in listed]
    due = {"due": {"column": "due", "kind": "time"}}
    _, times, notes = frame_of(listed, categories=due)
    assert ["clock on the wall" in note for note in notes] == [True]
    assert [str(times[name]["clock"][0]) for name in times] == [
        "2024-01-01 00:00:00",
        "2024-01-01 00:00:00",
    ]
    _, times, notes = frame_of(listed, categories=due, clock="UTC")
    assert notes == []
    assert [str(times[name]["clock"][0]) for name in times] == [
        "2023-12-31 23:00:00",
        "2023-12-31 22:00:00",
    ]


# Rows of one moment: (case, what, day), and the rows in the order in which they happened.
DOWN = ["case,what,day", "1,D,3", "1,C,2", "2,F,2", "1,B,2", "2,E,1", "1,A,1"]
ORDERS = {
    "from new to old": (DOWN, [7, 6, 5, 4, 3, 2]),
    "from old to new": (DOWN[:1] + DOWN[:0:-1], [2, 3, 4, 5, 6, 7]),
    "case by case, each from new to old": (
        [DOWN[0], "1,D,3", "1,C,2", "1,B,2", "1,A,1", "2,F,2", "2,E,1"],
        [7, 6, 5, 4, 3, 2],
    ),
    "cases from new to old, each from old to new": (
        [DOWN[0], "3,A,3", "3,B,3", "2,A,2", "2,B,2", "2,C,3", "1,A,1", "1,B,2"],
        [2, 3, 4, 5, 6, 7, 8],
    ),
    "one moment": ([DOWN[0], "1,A,1", "1,B,1"], [2, 3]),
    "in no order": ([DOWN[0], "1,A,2", "1,B,1", "1,C,3", "1,D,2"], [2, 3, 4, 5]),
}


@pytest.mark.parametrize("listed, rows", ORDERS.values(), ids=ORDERS)
def test_rows_of_one_moment_are_in_the_order_in_which_they_happened(frame_of, listed, rows):
    listed = [listed[0], *(line[:-1] + f"2024-01-0{line[-1]}" for line in listed[1:])]
    frame, _, notes = frame_of(listed)
    assert frame.index.tolist() == rows
    assert any("from new to old" in note for note in notes) == (rows[0] > rows[-1])


def test_a_fault_is_named_by_its_row_where_a_file_runs_from_new_to_old(frame_of):
    listed = [CASES[0], *CASES[:0:-1]]
    frame, _, notes = frame_of(listed)
    assert frame.index.tolist() == [7, 6, 5, 4, 3, 2]
    bad = frame["what"].cat.categories == "w2"
    refused(lambda: refuse_values(frame["what"], bad, notes, "; no"), "row 2", "'w2'", "(1 more")


def test_an_event_of_xes_is_called_so(tmp_path):
    path, value = tmp_path / "log.xes", '<string key="{}" value="{}"/>'
    events = [
        f"<event>{value.format('what', 'A')}{value.format('day', day)}</event>"
        for day in ("2024-01-01", "2024-01-02", "soon")
    ]
    path.write_text(f"<log><trace>{value.format('case', '1')}{''.join(events)}</trace></log>")
    mapping = LogMapping(
        sequence="case:case",
        time="day",
        categories={"what": Source(column="what")},
        streams={"case": "case:case"},
    )
    refused(lambda: read_frame(mapping, Notes(path)), "event 3, column 'day'", "'soon'")


@pytest.mark.parametrize("different", [2, 50, 10**6])
def test_repeats_are_counted_as_by_comparing_all_rows(different):
    rng = np.random.default_rng(0)
    columns = {name: pd.Categorical(rng.integers(0, different, 500)) for name in "abc"}
    frame = pd.DataFrame(columns)
    assert count_repeats(frame) == frame.duplicated().sum()
