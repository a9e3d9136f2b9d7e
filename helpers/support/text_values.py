"""What the text of a column says: blanks, times and numbers; faults are named by row.

Nothing is guessed in silence: a form of date that is not year first is noted, and one that two
countries read differently is asked for. A remedy is given as it is to be written in a mapping.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from helpers.support.notes import Notes, count_rows, refuse_values

MARKERS = {"na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "nil", "none", "-", "--", "?"}

# What a date looks like, and how it becomes year-month-day.
YEAR_LAST = r"\d\d?-\d\d?-\d{4}|\d\d?/\d\d?/\d{4}|\d\d?\.\d\d?\.\d{4}"
DATES = {
    "year first": (r"\d{4}-\d\d?-\d\d?|\d{4}/\d\d?/\d\d?|\d{4}\.\d\d?\.\d\d?|\d{8}", None),
    "day first": (YEAR_LAST, r"\3-\2-\1"),
    "month first": (YEAR_LAST, r"\3-\1-\2"),
}
# Numbers since 1970: their digits in our days, and microseconds in one.
EPOCHS = {"seconds": (10, 1e6), "milliseconds": (13, 1e3)}
# As most programs write it; the blank too.
PLAIN = r"^(?:[12]\d{3}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?)?$"
CLOCK = r"(?P<clock>\d\d?:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)(?: ?(?P<half>[AaPp][Mm]))?"
OFFSET = r"(?P<offset>Z|UTC|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
BLOCK = 100_000  # values at a time, since pandas makes Python's own strings of them
SHORT_YEAR = r"\d\d?[-/.]\d\d?[-/.]\d\d(?:\D.*)?"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
THOUSANDS = r"[+-]?\d{1,3}(?:[,.' " + "\u00a0\u202f" + r"_]\d{3})+(?:[.,]\d+)?"


# -- blanks


def recode(text: pd.Series, values) -> pd.Series:
    """The column with another text for each of its different values; equal ones become one."""
    numbers, names = pd.factorize(np.asarray(values, object))
    codes = pd.Categorical.from_codes(numbers[text.cat.codes], pd.Index(names, dtype=str))
    return pd.Series(codes, text.index, name=text.name)


def find_markers(text: pd.Series) -> list[str]:
    """Which of a column's values often stand for a blank, such as "NA"."""
    lower = pa.compute.ascii_lower(pa.array(text.cat.categories, pa.string()))
    looks = pa.compute.is_in(lower, pa.array(sorted(MARKERS)))
    return text.cat.categories[looks.to_numpy(zero_copy_only=False)].tolist()


def blank_out(text: pd.Series, markers: list[str]) -> pd.Series:
    """The column with blanks where it holds a marker."""
    values = text.cat.categories
    return recode(text, values.where(~values.isin(markers), ""))


def write_remedy(text: pd.Series, key: str, value) -> str:
    """What to write in a mapping to say how a column is to be read."""
    written = json.dumps({text.name: {key: value}}, ensure_ascii=False)
    return f'write "columns": {written} in the mapping'


# -- times


def parse_times(
    text: pd.Series, notes: Notes, dates: str | None = None, clock: str = "local"
) -> pd.DataFrame:
    """The moments of each of a column's values, NaT where blank.

    instant: datetime64[us] in UTC, where an offset from it is written
    clock: datetime64[us], what a clock on the wall shows there; in UTC if `clock` is "UTC"
    """
    values = text.cat.categories
    moments = read_moments(values, dates) if dates else choose_moments(text, notes)
    refuse_no_times(text, np.asarray(moments["clock"].isna() & (values != "")), dates, notes)
    shares = {
        "no time of day and count as 00:00": moments["has_clock"],
        "no offset from UTC, as others have, and count as UTC": moments["has_offset"],
    }
    for what, has in shares.items():
        lacks = ~has & (values != "")
        if has.any() and lacks.any():
            rows = count_rows(text, lacks)
            notes.add(f"column '{text.name}'", f"{rows} values have {what}; write all in one way")
    after = pd.Timestamp(year=pd.Timestamp.now().year + 2, month=1, day=1)
    odd = (moments["clock"] < pd.Timestamp("1971-01-01")) | (moments["clock"] >= after)
    if odd.any():
        notes.add(
            f"column '{text.name}'",
            f"{count_rows(text, odd)} times are before 1971 or after next year, "
            f"'{values[odd][0]}' for one; correct them if they are not real",
        )
    if clock == "UTC":
        moments["clock"] = moments["instant"]
    return moments[["instant", "clock"]]


def choose_moments(text: pd.Series, notes: Notes) -> pd.DataFrame:
    """The moments in the form of date that all values have, or else the most of them."""
    values = text.cat.categories
    readings, unread = {}, {}
    for form in (*DATES, *EPOCHS):
        readings[form] = read_moments(values, form, sure=False)
        unread[form] = (values != "") & readings[form]["clock"].isna()
        if not unread["year first"].any():  # and so it is in most logs
            break
    form = min(readings, key=lambda form: unread[form].sum())
    if form == "day first" and not unread["month first"].any():
        differ = readings["day first"]["clock"] != readings["month first"]["clock"]
        why = f"may be day first or month first; {write_remedy(text, 'dates', 'day first')}"
        refuse_values(text, differ & (values != ""), notes, f'{why}, or "month first"')
    read = (values != "") & ~unread[form]
    if read.any() and (form != "year first" or values.str.fullmatch(r"\d{8}").any()):
        other = {"day first": "month first", "month first": "day first"}.get(form)
        telling = read & unread[other] if other else read  # such as a day above 12
        place = np.argmax(telling if telling.any() else read)
        notes.add(
            f"column '{text.name}'",
            f"dates are taken as {form}{' since 1970' * (form in EPOCHS)}, so '{values[place]}' "
            f"is {readings[form]['clock'][place]}; to settle it, "
            f"{write_remedy(text, 'dates', form)}",
        )
    return readings[form]


def fitting_dates(text: pd.Series) -> list[str]:
    """The forms of date, of `schema.Column.dates`, in which all values of a column can be read."""
    values = text.cat.categories[text.cat.categories != ""]
    forms = [*DATES, *EPOCHS] if len(values) else []
    return [form for form in forms if read_moments(values, form, False)["clock"].notna().all()]


def read_moments(values: pd.Index, form: str, sure: bool = True) -> pd.DataFrame:
    """Of each value: instant and clock, as `parse_times` has them, has_clock and has_offset.

    NaT where a value is not of the form. A number may be any, if it is sure that it is a moment.
    """
    if form in EPOCHS:
        return read_epochs(values, form, sure)
    if form == "year first" and (plain := read_plain(values)) is not None:
        return plain
    blocks = range(0, max(1, len(values)), BLOCK)
    return pd.concat([read_dates(values[i : i + BLOCK], form) for i in blocks], ignore_index=True)


def read_plain(values: pd.Index) -> pd.DataFrame | None:
    """As `read_moments`; None where a value is not PLAIN, or a day or a time that is none."""
    text = pa.array(values, pa.string())
    if not pa.compute.all(pa.compute.match_substring_regex(text, PLAIN)).as_py():
        return None
    given = pa.compute.not_equal(text, "")
    try:
        moments = pa.compute.if_else(given, text, None).cast(pa.timestamp("us")).to_pandas()
    except pa.ArrowInvalid:
        return None
    both = {"instant": moments, "clock": moments, "has_clock": given.to_pandas()}
    return pd.DataFrame(both | {"has_offset": False})


def read_dates(values: pd.Index, form: str) -> pd.DataFrame:
    looks, order = DATES[form]
    pattern = f"^(?P<date>{looks})(?:(?:T|,? ){CLOCK}(?: ?{OFFSET})?)?$"
    parts = pa.compute.extract_regex(pa.array(values, pa.string()), pattern)
    date, clock, half, offset = parts.flatten()
    if order:
        date = pa.compute.replace_substring_regex(date, r"(\d+)\D(\d+)\D(\d+)", order)
    # Not more than microseconds: with more, pandas knows but the years from 1678 to 2262.
    clock = pa.compute.replace_substring_regex(clock, r"[.,](\d{1,6})\d*", r".\1")
    written = pa.compute.utf8_rtrim(pa.compute.binary_join_element_wise(date, clock, " "), " ")
    moments = pd.to_datetime(written.to_pandas(), format="ISO8601", errors="coerce")
    moments = moments.dt.as_unit("us")
    if pa.compute.any(pa.compute.not_equal(half, "")).as_py():
        moments = shift_halves(moments, half.to_pandas().str.lower())
    offsets = offset.fill_null("").dictionary_encode()
    minutes = np.array([count_minutes(text) for text in offsets.dictionary.to_pylist()])
    ahead = minutes[offsets.indices.to_numpy()].astype("timedelta64[m]")
    return pd.DataFrame(
        {
            "instant": moments - ahead,
            "clock": moments,
            "has_clock": pa.compute.not_equal(clock, "").fill_null(False).to_pandas(),
            "has_offset": pa.compute.not_equal(offset, "").fill_null(False).to_pandas(),
        }
    )


def read_epochs(values: pd.Index, form: str, sure: bool) -> pd.DataFrame:
    digits, microseconds = EPOCHS[form]
    looks = NUMBER if sure else rf"[0-9]{{{digits}}}(?:\.[0-9]*)?"
    numbers = pd.to_numeric(pd.Series(values).where(values.str.fullmatch(looks)))
    numbers = (numbers.astype(float) * microseconds).round()
    moments = pd.to_datetime(numbers.where(numbers.abs() < 2e17).astype("Int64"), unit="us")
    both = {"instant": moments, "clock": moments}
    return pd.DataFrame(both | {"has_clock": moments.notna(), "has_offset": moments.notna()})


def shift_halves(moments: pd.Series, half: pd.Series) -> pd.Series:
    """Hours from 1 to 12 before and after noon become those from 0 to 23."""
    hour = moments.dt.hour
    moments = moments.where(half.isna() | (half == "") | hour.between(1, 12))
    late, early = (half == "pm") & (hour < 12), (half == "am") & (hour == 12)
    return moments + (12 * (late.astype(int) - early.astype(int))).to_numpy("timedelta64[h]")


def count_minutes(offset: str) -> int:
    """What an offset from UTC adds to it."""
    digits = re.sub(r"\D", "", offset)
    minutes = int(digits[:2] or 0) * 60 + int(digits[2:] or 0)
    return -minutes if offset.startswith("-") else minutes


def refuse_no_times(text: pd.Series, unread: np.ndarray, dates: str | None, notes: Notes) -> None:
    if not unread.any():
        return
    values, correct = text.cat.categories, "write it as 2022-01-31 17:05"
    refuse_markers(text, unread, notes, "is not a date and time")
    short = unread & values.str.fullmatch(SHORT_YEAR)
    refuse_values(text, short, notes, "has a year of two digits; write all four")
    if dates:
        correct = f"correct it, or 'dates' of the column in the mapping, '{dates}'"
    refuse_values(text, unread, notes, f"is not a date and time; {correct}")


def refuse_markers(text: pd.Series, unread: np.ndarray, notes: Notes, what: str) -> None:
    markers = find_markers(text)
    remedy = write_remedy(text, "missing", markers)
    why = f"{what}; if it stands for a blank, {remedy}, or else correct it"
    refuse_values(text, unread & text.cat.categories.isin(markers), notes, why)


# -- numbers


def parse_numbers(text: pd.Series, notes: Notes, decimal: str = ".") -> np.ndarray:
    """The number of each of a column's values, NaN where blank."""
    values = text.cat.categories
    numbers = read_numbers(values, decimal)
    unread = np.isnan(numbers) & (values != "")
    if not unread.any():
        return numbers
    refuse_markers(text, unread, notes, "is not a number")
    if decimal == ".":
        comma = unread & ~np.isnan(read_numbers(values, ","))
        why = f"if the comma is its decimal mark, {write_remedy(text, 'decimal', ',')}"
        why = f"is not a number; {why}, and if it parts thousands, leave it out"
        refuse_values(text, comma, notes, why)
    thousands = unread & values.str.fullmatch(THOUSANDS)
    why = "is not a number; leave out what parts its thousands, or correct it"
    refuse_values(text, thousands, notes, why)
    why = "is not a number; correct it or leave it blank"
    if decimal != ".":
        why = f"is not a number with the decimal mark '{decimal}'; correct it, or the mapping"
    refuse_values(text, unread, notes, why)
    return numbers  # no row has such a value


def fitting_decimals(text: pd.Series) -> list[str]:
    """The decimal marks with which all values of a column are numbers; both of whole ones."""
    values = text.cat.categories[text.cat.categories != ""]
    marks = [".", ","] if len(values) else []
    return [mark for mark in marks if np.isfinite(read_numbers(values, mark)).all()]


def read_numbers(values: pd.Index, decimal: str) -> np.ndarray:
    """Finite numbers, NaN where a value is none."""
    looks = NUMBER.replace(r"\.", re.escape(decimal))
    written = pd.Series(values).where(values.str.fullmatch(looks)).str.replace(decimal, ".")
    numbers = pd.to_numeric(written, errors="coerce").to_numpy(float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


# -- names


def note_names(text: pd.Series, notes: Notes) -> None:
    """Notes where names may be blanks, and where two names look like one, as another person,
    system or keyboard writes it."""
    markers = find_markers(text)
    if rows := count_rows(text, text.cat.categories.isin(markers)):
        notes.add(
            f"column '{text.name}'",
            f"{rows} values are {' or '.join(map(repr, markers)):.80} and count as names; if they "
            f"stand for blanks, {write_remedy(text, 'missing', markers)}",
        )
    names = text.cat.categories.to_series()
    looks = names.str.normalize("NFKC").str.lower().str.replace(r"[\s\p{C}]", "", regex=True)
    if (alike := looks.duplicated(keep=False)).any():
        one, other = names[looks == looks[alike].iloc[0]].iloc[:2]
        notes.add(
            f"column '{text.name}'",
            f"'{one:.80}' and '{other:.80}' look alike and count as two ({alike.sum()} such "
            f"names); write them alike if they are one",
        )
