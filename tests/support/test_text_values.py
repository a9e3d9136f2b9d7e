"""What a column's text says: forms of dates and numbers that fit, times, blanks, and the notes."""

import numpy as np
import pandas as pd
import pytest
from small import refused

from helpers.schema import Column
from helpers.support.notes import Notes
from helpers.support.text_values import (
    DATES,
    EPOCHS,
    blank_out,
    find_markers,
    fitting_dates,
    fitting_decimals,
    note_names,
    parse_numbers,
    parse_times,
    read_dates,
    read_moments,
    read_plain,
)


def column(*values: str, name="when") -> pd.Series:
    rows = range(2, len(values) + 2)
    return pd.Series(pd.Categorical(values, list(dict.fromkeys(values))), rows, name=name)


def moments(*values: str, **how) -> tuple[list[str], list[str], Notes]:
    """Each value's instant and clock, in the order of the values, and what is said."""
    notes = Notes("log.csv")
    table = parse_times(column(*values), notes, **how)
    return [str(t) for t in table["instant"]], [str(t) for t in table["clock"]], notes


FITTING = {
    "year first": (["2024-01-31", "2024/1/5 10:00", "", "2024.12.01T10:00:00.5Z"], ["year first"]),
    "eight digits": (["20240131", "20240201"], ["year first"]),
    "day first": (["13/01/2024", "01/02/2024 10:00"], ["day first"]),
    "month first": (["1/13/2024 1:05 pm", "01/02/2024 10:00 AM"], ["month first"]),
    "either": (["01/02/2024", "02.03.2024 10:00"], ["day first", "month first"]),
    "no month of 13, no day of 13": (["13/01/2024", "01/13/2024"], []),
    "a day that no month has": (["31/02/2024"], []),
    "seconds": (["1611111100", "1611111100.25"], ["seconds"]),
    "milliseconds": (["1611111100000"], ["milliseconds"]),
    "a mixture": (["1611111100", "2024-01-31"], []),
    "small numbers": (["17", "18"], []),
    "a short year": (["13/01/24"], []),
    "names": (["a"], []),
    "blanks alone": (["", ""], []),
}


@pytest.mark.parametrize("values, forms", FITTING.values(), ids=FITTING)
def test_forms_of_date_that_fit_all_values(values, forms):
    assert fitting_dates(column(*values)) == forms


def test_the_forms_are_those_that_a_mapping_may_name():
    for form in (*DATES, *EPOCHS):
        assert Column(dates=form).dates == form


# The value, the form that the mapping gives, and the moment in UTC and on the wall.
TIMES = {
    "a day": ("2024-01-31", None, "2024-01-31 00:00:00", None),
    "a day of eight digits": ("20240131", None, "2024-01-31 00:00:00", None),
    "a nanosecond": ("2024-01-31 17:05:00.123456789", None, "2024-01-31 17:05:00.123456", None),
    "day first": ("01/02/2024 17:05", "day first", "2024-02-01 17:05:00", None),
    "month first": ("01/02/2024 17:05", "month first", "2024-01-02 17:05:00", None),
    "noon": ("2024-01-31 12:05 PM", None, "2024-01-31 12:05:00", None),
    "midnight": ("2024-01-31 12:05 AM", None, "2024-01-31 00:05:00", None),
    "evening": ("2024-01-31 11:05:59.5pm", None, "2024-01-31 23:05:59.500000", None),
    "morning": ("2024-01-31 11:05 am", None, "2024-01-31 11:05:00", None),
    "any seconds": ("17.5", "seconds", "1970-01-01 00:00:17.500000", None),
    "seconds before 1970": ("-1", "seconds", "1969-12-31 23:59:59", None),
    "any milliseconds": ("1.7e3", "milliseconds", "1970-01-01 00:00:01.700000", None),
    "east": ("2024-01-01 00:30+02:00", None, "2023-12-31 22:30:00", "2024-01-01 00:30:00"),
    "west": ("31.12.2023 23:30 -0330", "day first", "2024-01-01 03:00:00", "2023-12-31 23:30:00"),
    "hours alone": ("2024-01-01T00:30:00+02", None, "2023-12-31 22:30:00", "2024-01-01 00:30:00"),
    "Z": ("2024-01-01T00:30:00.000Z", None, "2024-01-01 00:30:00", None),
    "blank": ("", None, "NaT", None),
}


@pytest.mark.parametrize("value, dates, instant, clock", TIMES.values(), ids=TIMES)
def test_a_time_is_read_in_utc_and_as_the_wall_shows_it(value, dates, instant, clock):
    assert moments(value, dates=dates)[:2] == ([instant], [clock or instant])
    assert moments(value, dates=dates, clock="UTC")[:2] == ([instant], [instant])


PLAIN = ["2024-01-31 17:05", "2024-02-29T00:00:59", "1000-01-01 00:00", "2999-12-31 23:59", ""]
NOT_PLAIN = ["2023-02-29 10:00", "2024-01-31 24:00", "0999-01-01 00:00", "2024-01-31", "a"]


def test_plain_times_are_read_as_all_times_are():
    values = pd.Index(PLAIN, dtype=str)
    pd.testing.assert_frame_equal(read_plain(values), read_dates(values, "year first"))


@pytest.mark.parametrize("value", [*NOT_PLAIN, "2024-01-31 17:05Z", "2024-01-31 17", "20240131"])
def test_one_that_is_not_plain_has_all_read_with_care(value):
    values = pd.Index([*PLAIN, value], dtype=str)
    assert read_plain(values) is None
    with_care = read_dates(values, "year first")
    pd.testing.assert_frame_equal(read_moments(values, "year first"), with_care)


def test_very_many_times_are_read_as_few_are():
    days = pd.date_range("0900-01-01", periods=120_000, unit="us").strftime("%d/%m/%Y")
    notes = Notes("log.csv")
    table = parse_times(column(*days, "05/05/2024 10:00:00,123456789"), notes)
    assert table["instant"].diff().dropna()[:-1].eq(pd.Timedelta(days=1)).all()
    assert len(table) == 120_001 and str(table["instant"].dtype) == "datetime64[us]"


SAID = {
    "day first, told by the value that decides": (
        ["01/02/2024", "13/02/2024"],
        ["'when': dates are taken as day first, so '13/02/2024' is 2024-02-13 00:00:00", '"dates"'],
    ),
    "seconds": (
        ["", "1611111100"],
        ["dates are taken as seconds since 1970, so '1611111100' is 2021-01-20 02:51:40"],
    ),
    "eight digits": (["20240131"], ["taken as year first, so '20240131' is 2024-01-31 00:00:00"]),
    "year first": (["2024-01-31", ""], []),
    "no times of day": (["2024-01-31", "2024-01-31 10:00"], ["1 values have no time of day"]),
    "no offsets": (["2024-01-31 10:00", "2024-01-31 10:00Z"], ["1 values have no offset"]),
    "odd years": (["1900-01-01", "2024-01-31"], ["1 times are before 1971", "'1900-01-01'"]),
}


@pytest.mark.parametrize("values, words", SAID.values(), ids=SAID)
def test_what_is_taken_for_granted_is_told(values, words):
    notes = moments(*values)[2]
    assert bool(notes) == bool(words), notes
    assert [word for word in words if word not in " ".join(notes)] == []


def test_what_a_mapping_says_needs_no_note():
    assert moments("01/02/2024", dates="month first")[2] == []


REFUSED = {
    "two readings": (
        ["", "05/05/2024", "01/02/2024", "03/04/2024"],
        None,
        ["row 4", "'01/02/2024' may be day first or month first", "(1 more"]
        + ['"columns": {"when": {"dates": "day first"}} in the mapping, or "month first"'],
    ),
    "one of another form": (["13/01/2024", "14/01/2024", "2024-01-15"], None, ["row 4", "'2024-"]),
    "a marker": (["NA", "2024-01-15"], None, ['write "columns": {"when": {"missing": ["NA"]}}']),
    "two markers": (["NA", "?", "2024-01-15"], None, ['["NA", "?"]', "1 more"]),
    "a short year": (["13/01/24"], None, ["has a year of two digits; write all four"]),
    "not as the mapping says": (
        ["01/13/2024"],
        "day first",
        ["'dates' of the column", "'day first'"],
    ),
    "no number": (["2024-01-15"], "seconds", ["'dates' of the column in the mapping", "'seconds'"]),
}


@pytest.mark.parametrize("values, dates, words", REFUSED.values(), ids=REFUSED)
def test_a_time_that_is_not_clear_is_refused(values, dates, words):
    refused(lambda: moments(*values, dates=dates), "'when'", *words, start="log.csv, row ")


def test_days_that_both_readings_agree_on_are_read():
    assert moments("05/05/2024", "06/06/2024")[0] == ["2024-05-05 00:00:00", "2024-06-06 00:00:00"]


DECIMALS = {
    "whole": (["1", "-2", ""], [".", ","]),
    "points": (["1.5", "2"], ["."]),
    "commas": (["1,5", "-2,25"], [","]),
    "both": (["1,5", "1.5"], []),
    "thousands": (["1.000,5"], []),
    "names": (["a"], []),
    "blanks alone": ([""], []),
}


@pytest.mark.parametrize("values, marks", DECIMALS.values(), ids=DECIMALS)
def test_decimal_marks_that_fit_all_values(values, marks):
    assert fitting_decimals(column(*values)) == marks


NUMBERS = {
    "-2": -2,
    "-1e-9": -1e-9,
    "+5": 5,
    "1.": 1,
    ".5": 0.5,
    "": np.nan,
    "1e3": 1000,
    "-.5": -0.5,
}


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("value, number", NUMBERS.items())
def test_a_number_of_any_sign_is_read(value, number, mark):
    text = column(value.replace(".", mark))
    assert np.array_equal(parse_numbers(text, Notes("log.csv"), mark), [number], equal_nan=True)


@pytest.mark.parametrize(
    "value, mark, words",
    [
        ("1,5", ".", ["if the comma is its decimal mark", '{"when": {"decimal": ","}}']),
        ("1.5", ",", ["is not a number with the decimal mark ','"]),
        ("1.000", ",", ["leave out what parts its thousands"]),
        ("1,000.5", ".", ["leave out what parts its thousands"]),
        ("NA", ".", ['{"when": {"missing": ["NA"]}} in the mapping, or else correct it']),
    ],
)
def test_a_number_that_is_not_clear_is_refused(value, mark, words):
    refused(lambda: parse_numbers(column("1", value), Notes("log.csv"), mark), "row 3", *words)


def test_a_marker_becomes_the_blank_that_is_there():
    text = column("NA", "", "a", "N/A", "na")
    assert find_markers(text) == ["NA", "N/A", "na"]
    blanked = blank_out(text, ["NA", "N/A"])
    assert blanked.tolist() == ["", "", "a", "", "na"]
    assert blanked.cat.categories.tolist() == ["", "a", "na"]
    assert blanked.index.equals(text.index) and blanked.name == "when"


def test_names_that_may_be_blanks_are_told_with_their_number():
    notes = Notes("log.csv")
    note_names(column("NA", "a", "NA", "-"), notes)
    (note,) = notes
    assert "3 values are 'NA' or '-' and count as names" in note
    assert '"columns": {"when": {"missing": ["NA", "-"]}}' in note
