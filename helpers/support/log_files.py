"""Reading the columns of a log file as a mapping asks for them: text, its times and its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.support.notes import Notes, refuse_values
from helpers.support.pairs import START_TIME, join_rows, split_rows
from helpers.support.table_files import read_table
from helpers.support.text_values import blank_out, note_names, parse_times

MIX = 0x1E3779B97F4A7C15  # odd, its digits without a pattern


def name_of(column: str | list[str]) -> str:
    """What a column is called, or the one that several make together."""
    return column if isinstance(column, str) else " ".join(column)


def read_frame(mapping, notes: Notes) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The columns that a `LogMapping` names, and the moments of the different values of its times.

    frame: a row for each event; its index is the row's number in the file. Columns as of
        `read_table`, and those that several columns or a pair of rows make; the older row of a
        moment first, also where the file runs from new to old
    times: column -> moments, as `parse_times` has them, a row for each of its categories
    """
    time, pairs, made = name_of(mapping.time), mapping.pairs, name_made(mapping)
    frame = read_columns(mapping, notes)
    if repeated := count_repeats(frame):
        notes.add(
            "",
            f"{repeated} {notes.row}s repeat an earlier {notes.row} exactly; kept, since two equal "
            f"events can both be real",
        )
    refuse_blanks(frame[mapping.sequence], notes)
    if made in (None, START_TIME):  # or else a row may have a start alone
        refuse_blanks(frame[time], notes)

    times = {}
    for column in list_times(mapping):
        if name_of(column) not in (*times, made):
            text, dates = frame[name_of(column)], find_dates(mapping, column)
            times[name_of(column)] = parse_times(text, notes, dates, mapping.clock)
    note_offsets(frame, times, notes)
    of_names = [source.column for source in mapping.categories.values() if source.kind == "name"]
    for column in dict.fromkeys([mapping.sequence, *map(name_of, of_names)]):
        if column != made:
            note_names(frame[column], notes)

    frame = turn_around(frame, times[time], time, mapping.sequence, notes)
    if made == START_TIME:
        return join_rows(frame, times, time, mapping.sequence, pairs, notes)
    return split_rows(frame, times, time, pairs, notes) if made else (frame, times)


def read_columns(mapping, notes: Notes) -> pd.DataFrame:
    """The columns in the file and those that several make, blank where a marker stands."""
    asked = [mapping.sequence, *list_times(mapping), *list_others(mapping)]
    asked = [column for column in asked if column != name_made(mapping)]
    frame = read_table(notes.path, list(dict.fromkeys(parts_of(*asked))), notes)
    for column, how in mapping.columns.items():
        if how.missing and column in frame:
            frame[column] = blank_out(frame[column], how.missing)
    for column in asked:
        if name_of(column) not in frame:
            frame[name_of(column)] = join_columns(frame[column])
    for column in sorted(mapping.columns.keys() - {*frame, name_made(mapping)}):
        notes.add("", f"the mapping's 'columns' say how to read '{column}', which nothing uses")
    return frame


# -- which columns


def list_times(mapping) -> list[str | list[str]]:
    """The columns of times: a list is of columns that make one time together."""
    columns = [mapping.time]
    for source in mapping.categories.values():
        if source.kind == "time":
            columns.append(source.column)
        elif source.kind == "span":  # two times, each for itself
            columns += source.column
    if mapping.pairs and mapping.pairs.become == "two events":
        columns.append(mapping.pairs.start)
    return columns


def list_others(mapping) -> list[str | list[str]]:
    """The columns of names and numbers, and those that the split and the pairs go by."""
    sources = [
        source for source in mapping.categories.values() if source.kind in ("name", "number")
    ]
    by, pairs = mapping.split.by, mapping.pairs
    columns = [source.column for source in sources]
    columns += [by] * isinstance(mapping.split.train, list)
    if pairs and pairs.become == "one event":
        columns += filter(None, [pairs.column, pairs.of])
    return columns


def name_made(mapping) -> str | None:
    """The column that pairs make, and that the file does not have."""
    made = {"one event": START_TIME, "two events": mapping.pairs and mapping.pairs.column}
    return mapping.pairs and made[mapping.pairs.become]


def parts_of(*columns: str | list[str]) -> list[str]:
    """The columns in the file."""
    return [
        part for column in columns for part in ([column] if isinstance(column, str) else column)
    ]


def find_dates(mapping, column: str | list[str]) -> str | None:
    """The form of date that the mapping gives a column, or one of those that make it."""
    said = [mapping.columns.get(name) for name in (name_of(column), *parts_of(column))]
    return next((how.dates for how in said if how and how.dates), None)


def join_columns(parts: pd.DataFrame) -> pd.Series:
    """One column of what several say together, with a space between."""
    whole, *rest = (parts[name].astype(str) for name in parts)
    for text in rest:
        whole = whole + " " + text
    return whole.str.strip().astype("category").rename(" ".join(parts))


# -- what is odd


def count_repeats(frame: pd.DataFrame) -> int:
    """How many rows repeat an earlier one exactly."""
    mixed = np.zeros(len(frame), np.int64)
    for column in frame:
        mixed *= MIX
        mixed += frame[column].array.codes
    ordered = np.sort(mixed)
    if (ordered[1:] != ordered[:-1]).all():  # and so it is in most logs
        return 0
    alike = pd.Series(mixed).duplicated(keep=False).to_numpy()  # other rows seldom mix alike
    return int(frame[alike].duplicated().sum())


def refuse_blanks(text: pd.Series, notes: Notes) -> None:
    why = (
        f"is blank; every event needs one: fill it in, leave such {notes.row}s out, or name "
        f"another column in the mapping"
    )
    refuse_values(text, text.cat.categories == "", notes, why)


def note_offsets(frame: pd.DataFrame, times: dict[str, pd.DataFrame], notes: Notes) -> None:
    """One note where the clock on the wall does not show UTC."""
    for name, moments in times.items():
        ahead = moments["clock"].notna() & (moments["clock"] != moments["instant"])
        if ahead.any():
            value = frame[name].cat.categories[ahead][0]
            notes.add(
                f"column '{name}'",
                f"days and hours are those of the clock on the wall, so '{value}' is "
                f'{moments["clock"][ahead].iloc[0]}; "clock": "UTC" in the mapping makes them '
                f"UTC, in which order and durations always are",
            )
            return


def turn_around(
    frame: pd.DataFrame, moments: pd.DataFrame, time: str, sequence: str, notes: Notes
) -> pd.DataFrame:
    """Where a file runs from new to old, its rows from the bottom up."""
    codes = frame[sequence].cat.codes.to_numpy()
    instants = moments["instant"].to_numpy()[frame[time].cat.codes]
    if (instants[1:] >= instants[:-1]).all():
        return frame
    order = np.argsort(codes, kind="stable")
    steps = np.diff(instants[order])[np.diff(codes[order]) == 0]
    back, on = (steps < np.timedelta64(0)).sum(), (steps > np.timedelta64(0)).sum()
    if back <= 3 * on:  # a file in no order goes back as often as on
        return frame
    notes.add(
        "",
        f"runs from new to old; read from the bottom up, so that {notes.row}s of one moment are in "
        f"their order",
    )
    return frame[::-1]
