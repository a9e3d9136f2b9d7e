"""Reading an event log: what a value becomes, who trains, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import OWN_MAPPING, refused
from spoil import try_many

from helpers.events import PART_NAMES, TEST, TRAIN, VALIDATION, read_log
from helpers.schema import CATEGORY_NAMES, WORKPLACE, LogMapping, read_mapping
from helpers.support.files import DATA, ROOT
from helpers.tools.simulate import export
from helpers.windows import Windows
from helpers.world import Workplace

SIZES = [10, 100, 100, 100, 100, 100, 100, 4, 100, 14, 33, 25, 61, 14, 33, 25, 61]
BY_FOLD = {"by": "fold", "train": ["1", "2"], "validation": ["3"], "test": ["4"]}
# What OWN_MAPPING reads: 40 events of 8 cases, two cases to a fold; line i is LINES[i - 1]
LINES = ["case,when,what,amount,due,fold"] + [
    f"c{i % 8},2022-03-{1 + i // 4:02d} {i % 4 + 8:02d}:30,{'pay' if i % 3 else 'ask'},"
    f"{i / 4},,{i % 8 // 2 + 1}"
    for i in range(40)
]


@pytest.fixture(scope="module")
def workplace():
    return export(Workplace(employees=20, days=20), progress=False)[0]


@pytest.fixture(scope="module")
def workplace_log(workplace, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "workplace.csv"
    workplace.to_csv(path, index=False)
    return read_log(path, WORKPLACE)


@pytest.fixture
def read(tmp_path):
    """Reads lines by a mapping, both written to files first: what a user does."""

    def read(lines=LINES, **changes):
        (tmp_path / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (tmp_path / "mapping.json").write_text(json.dumps(OWN_MAPPING | changes), encoding="utf-8")
        return read_log(tmp_path / "log.csv", read_mapping(tmp_path / "mapping.json"))

    return read


def same(one, other) -> bool:
    arrays = ("table", "unseen", "sequence", "time", "part", "row")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and one.vocabularies == other.vocabularies
    )


def column(log, name: str) -> np.ndarray:
    return log.table[:, [category.name for category in log.categories].index(name)]


def with_line(number: int, line: str) -> list[str]:
    """LINES with another line at this place, the header being 1."""
    return LINES[: number - 1] + [line] + LINES[number:]


# what a value becomes


def test_our_log_has_seventeen_categories_of_the_stated_sizes(workplace, workplace_log):
    assert [category.name for category in workplace_log.categories] == CATEGORY_NAMES
    assert [category.size for category in workplace_log.categories] == SIZES
    assert round(np.log(SIZES).mean(), 4) == 3.6974
    assert workplace_log.table.shape == (len(workplace), 17) == workplace_log.unseen.shape
    assert (workplace_log.table >= 0).all() and (workplace_log.table < SIZES).all()
    for name, size in zip(CATEGORY_NAMES, SIZES, strict=True):
        assert len(workplace_log.vocabularies[name]) <= size
    streams = ["EventType", "Actor", "Recipient", "Location", "CostCode", "JobCode", "Time"]
    assert [stream.name for stream in workplace_log.streams] == streams
    assert workplace_log.notes == []


def test_every_integer_stands_for_its_value_in_the_vocabulary(workplace, workplace_log):
    columns = [source.column for source in WORKPLACE.categories.values()][:9]
    for c, name in enumerate(columns):
        vocabulary = workplace_log.vocabularies[CATEGORY_NAMES[c]]
        for value, integer in zip(workplace[name], workplace_log.table[:, c], strict=True):
            assert vocabulary[integer] == (None if pd.isna(value) or integer == 0 else value)
    for start, name in ((9, "event_time"), (13, "reference_time")):
        for c, part in enumerate(("month", "day", "hour", "minute"), start):
            vocabulary = np.array(workplace_log.vocabularies[CATEGORY_NAMES[c]])
            found, unseen = vocabulary[workplace_log.table[:, c]], workplace_log.unseen[:, c]
            assert (found == getattr(workplace[name].dt, part))[~unseen].all()
            assert (workplace_log.table[unseen, c] == 0).all() and not unseen.all()


def test_csv_gzip_and_parquet_of_the_same_data_read_alike(workplace, workplace_log, tmp_path):
    workplace.to_csv(tmp_path / "log.csv.gz", index=False)
    workplace.to_parquet(tmp_path / "log.parquet")
    workplace.to_csv(
        tmp_path / "windows.csv", index=False, lineterminator="\r\n", encoding="utf-8-sig"
    )
    for name in ("log.csv.gz", "log.parquet", "windows.csv"):
        assert same(read_log(tmp_path / name, WORKPLACE), workplace_log), name


MEMORY = """
import sys
from helpers.training import Config, load_data
log, mapping = sys.argv[1:]
assert len(load_data(Config(log=log, mapping=mapping)).log) == 1_000_000
# Of this process alone, where getrusage begins at what its parent held. The benchmark's own
# peak_memory would count the libraries of its figures too.
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])
"""


@pytest.mark.long
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(),
    reason="this system does not tell the most memory that a process has held",
)
def test_a_million_events_fit_in_a_gigabyte(tmp_path):
    log = pd.read_csv(DATA / "workplace.csv.gz", dtype=str, keep_default_na=False)
    log = log.iloc[np.arange(1_000_000) % len(log)].copy()
    log["event_time"] = (
        pd.Timestamp("2021-01-01") + pd.to_timedelta(np.arange(len(log)), "s")
    ).strftime("%Y-%m-%d %H:%M:%S")
    log.to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "mapping.json").write_text(json.dumps(WORKPLACE.model_dump()))
    del log
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, "log.csv", "mapping.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert 300_000 < int(ran.stdout) < 1_000_000, ran.stderr  # kB


def test_a_value_first_seen_after_training_is_unknown_and_unseen(read):
    log = read(with_line(41, "c0,2022-03-31 08:00,refund,1,,1"))
    assert log.part[-1] == TEST and log.vocabularies["what"] == [None, "ask", "pay"]
    assert column(log, "what")[-1] == 0 and column(log, "what")[:-1].all()
    assert log.unseen[:, 0].sum() == 1 and log.unseen[-1, 0]


def test_a_value_rare_in_training_is_unknown_however_often_it_comes_later(read):
    later = [line.replace("pay", "rare").replace("ask", "rare") for line in LINES[38:]]
    lines = with_line(2, "c0,2022-03-01 07:00,rare,1,,1")[:38] + later
    assert read(lines, min_count=1).vocabularies["what"] == [None, "ask", "pay", "rare"]
    log = read(lines, min_count=2)
    assert log.vocabularies["what"] == [None, "ask", "pay"]
    assert column(log, "what")[0] == 0 and log.unseen[0, 0] and log.unseen[-1, 0]


def test_only_the_most_frequent_values_have_an_integer(read):
    categories = OWN_MAPPING["categories"] | {"what": {"column": "what", "size": 2}}
    assert read(categories=categories).vocabularies["what"] == [None, "pay"]


def test_numbers_are_binned_and_cut_off(read):
    values = {"0": 1, "0.24": 1, "0.26": 2, "0.5": 2, " 1 ": 3, "1e0": 3, "4": 9, "400": 9, "": 0}
    lines = LINES[:1] + [
        f"c0,2022-03-0{day} 08:{i:02d},pay,{value},,{day}"
        for day in range(1, 5)
        for i, value in enumerate(values)
    ]
    log = read(lines, split={"by": None, "train": 0.5, "validation": 0.25})
    assert column(log, "amount").tolist() == 4 * list(values.values())
    assert log.vocabularies["amount"] == [None, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert ["'amount': 4 values are above 4 and count as that" in note for note in log.notes] == [
        True
    ]


def test_time_parts_leave_zero_free(read):
    log = read(with_line(2, "c0,2022-01-01 00:00,pay,1,2022-12-31T23:59:59,1"))
    assert [column(log, f"time_{part}")[0] for part in ("Month", "Day", "Hour", "Minute")] == [
        1,
        1,
        1,
        1,
    ]
    assert [column(log, f"due_{part}")[0] for part in ("Month", "Day", "Hour", "Minute")] == [
        12,
        31,
        24,
        60,
    ]


def test_times_of_several_offsets_are_put_in_their_true_order(read):
    log = read(
        LINES[:1]
        + [
            "a,2022-03-01T10:00:00+02:00,x,1,,1",
            "b,2022-03-01 09:00:00.5,x,1,,1",
            "c,2022-03-01 08:30:00Z,x,1,,1",
        ]
        + [line.replace("2022", "2023") for line in LINES[1:]],
        clock="UTC",
    )
    assert column(log, "time_Hour")[:3].tolist() == [9, 9, 10] and log.row[:3].tolist() == [0, 2, 1]


def test_blank_is_zero_and_not_unseen(read):
    log = read(with_line(3, "c0,2022-03-01 09:30,,,,1"))
    assert (log.table[1, :2] == 0).all() and (log.table[:, -4:] == 0).all()
    assert not log.unseen[1, :2].any() and not log.unseen[:, -4:].any()


def test_rows_out_of_order_are_sorted_and_noted(read):
    half = [*LINES[21:], *LINES[1:21]]
    log, sorted_log = read(LINES[:1] + half), read()
    assert np.array_equal(log.table, sorted_log.table)
    assert np.array_equal(log.time, np.sort(log.time))
    assert log.row.tolist() == [*range(20, 40), *range(20)]
    assert sorted_log.row.tolist() == list(range(40))
    (more,) = [note for note in log.notes if note not in sorted_log.notes]
    assert "sorted" in more


def test_a_file_from_new_to_old_is_read_from_the_bottom_up(read):
    lines = [line.replace(" 09:", " 08:") for line in LINES]  # two events of each moment
    log, upward = read(lines), read(LINES[:1] + lines[:0:-1])
    assert np.array_equal(log.table, upward.table) and np.array_equal(log.time, upward.time)
    assert upward.row.tolist() == list(range(39, -1, -1))


def test_rows_of_equal_time_keep_their_order(read):
    lines = LINES[:1] + [
        LINES[40],
        *(line.replace(" 09:30", " 08:30").replace(" 10:30", " 08:30") for line in LINES[1:40]),
    ]
    log = read(lines)
    assert (np.diff(log.row)[np.diff(log.time) == np.timedelta64(0)] > 0).all()


def test_repeated_rows_are_kept_and_noted(read):
    log = read(LINES[:5] + LINES[4:])
    assert len(log) == 41 and log.notes[1:] == read().notes and "1 rows repeat" in log.notes[0]


# who trains


def test_a_split_by_time_has_no_equal_times_across_a_border(read):
    lines = LINES[:1] + [f"c{i % 2},2022-03-01 08:{i // 7:02d},pay,1,,1" for i in range(70)]
    log = read(lines, split={"train": 0.5, "validation": 0.25})
    assert (
        log.split_by_time
        and set(log.part) == {TRAIN, VALIDATION, TEST}
        and (np.diff(log.part) >= 0).all()
    )
    for earlier, later in ((TRAIN, VALIDATION), (VALIDATION, TEST)):
        assert log.time[log.part == earlier].max() < log.time[log.part == later].min()


def test_a_split_by_time_has_the_shares_asked_for(workplace_log):
    shares = np.bincount(workplace_log.part) / len(workplace_log)
    assert np.allclose(shares, [0.75, 0.10, 0.15], atol=0.01)


def test_a_split_by_a_column_gives_each_value_its_part(read):
    log = read(split=BY_FOLD)
    assert not log.split_by_time
    assert [PART_NAMES[part] for part in log.part[:8]] == ["train"] * 4 + ["validation"] * 2 + [
        "test"
    ] * 2


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.75])
def test_a_validation_share_is_that_share_of_the_training_sequences(read, share):
    # the test's cases come between those of training, as every second one
    lines = LINES[:1] + [
        f"c{i % 16},2022-03-{1 + i // 16:02d} 08:00,pay,1,,{'test' if i % 2 == 0 else 'rest'}"
        for i in range(64)
    ]
    log = read(
        lines, split={"by": "fold", "train": ["rest"], "validation": share, "test": ["test"]}
    )
    sequences = [len(set(log.sequence[log.part == part])) for part in (TRAIN, VALIDATION, TEST)]
    assert sequences == [8 - max(1, 8 * share), max(1, 8 * share), 8]


def test_the_vocabulary_is_of_training_alone_where_a_column_splits(read):
    log = read(
        [line.replace("pay", "late") if line.endswith(("3", "4")) else line for line in LINES],
        split=BY_FOLD,
    )
    assert log.vocabularies["what"] == [None, "ask", "pay"]
    assert log.unseen[:, 0].sum() == sum(
        "pay" in line and line.endswith(("3", "4")) for line in LINES
    )


def test_a_mapping_takes_any_column_and_the_sequence_as_a_key(read):
    log = read(
        categories={
            "case_number": {"column": "case", "size": 12},
            "day": {"column": "when", "kind": "time"},
        },
        streams={"own": "case", "day": "day_Day", "number": "case_number"},
    )
    assert [category.name for category in log.categories] == [
        "case_number",
        "day_Month",
        "day_Day",
        "day_Hour",
        "day_Minute",
    ]
    own, day, number = (log.key(stream) for stream in log.streams)
    assert (
        (own == np.arange(40) % 8 + 1).all()
        and (day[:28] == np.arange(28) // 4 + 1).all()
        and (number == own).all()
    )
    assert len(Windows(log, TRAIN, 5, 3)) > 0


def test_a_category_without_a_size_takes_the_configuration_s(tmp_path, read):
    read(categories={"what": {"column": "what"}}, streams={"what": "what"})
    assert (
        read_log(tmp_path / "log.csv", read_mapping(tmp_path / "mapping.json"), 17)
        .categories[0]
        .size
        == 17
    )


# what is refused


def numbered(number: int, text: str, by: str) -> list[str]:
    """LINES with `text` replaced in one line."""
    assert text in LINES[number - 1]
    return with_line(number, LINES[number - 1].replace(text, by))


def test_a_log_of_one_moment_cannot_be_split_by_time(read):
    lines = LINES[:1] + [f"c{i},2022-03-01 08:00,pay,1,,1" for i in range(9)]
    refused(lambda: read(lines), "log.csv", "train part has no events", "longer log")


BAD_ROWS = {
    "bad row after blank and two-line rows": (
        LINES[:3] + ["", '"c2\n",2022-03-01 10:30,pay,1,,2'] + numbered(5, "2022", "soon")[4:],
        ["row 7", "'when'"],
    ),
    "bad row, rows out of order": (
        LINES[:1] + [line.replace("03-01 11", "03-41 11") for line in LINES[:0:-1]],
        ["row 38", "'when'"],
    ),
    "bad number, rows out of order": (
        LINES[:1] + [line.replace(",0.5,", ",half,") for line in LINES[:0:-1]],
        ["row 39", "'amount'"],
    ),
    "several bad numbers, rows out of order": (
        LINES[:1] + [line.replace(",pay,", ",pay,x") for line in LINES[:0:-1]],
        ["row 3,", "'amount'", "(25 more like it)"],
    ),
    "two-line bad value": (
        with_line(4, 'c2,2022-03-01 10:30,pay,"o\nne",,2'),
        ["row 5", "'amount'"],
    ),
}


@pytest.mark.parametrize("lines, words", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_has_the_number_that_an_editor_shows(read, lines, words):
    refused(lambda: read(lines), "log.csv", *words)


BAD_SPLITS = {
    "no such column": (BY_FOLD | {"by": "group"}, ["no column 'group'", "correct"]),
    "no such value": (BY_FOLD | {"test": ["4", "7"]}, ["no row has '7'", "'fold'", "correct"]),
    "a value in no part": (
        BY_FOLD | {"train": ["1"]},
        ["row 4", "'fold'", "'2' belongs to no part", "list it"],
    ),
    "an empty part": (
        BY_FOLD | {"train": ["1", "2", "3"], "validation": []},
        ["validation part has no events", "change"],
    ),
    "a share without sequences": (
        {"by": "fold", "train": [], "validation": 0.2, "test": ["1", "2", "3", "4"]},
        ["train part has no events"],
    ),
    "sequences in two parts": (
        {"by": "what", "train": ["pay"], "validation": 0.2, "test": ["ask"]},
        ["8 sequences", "split by"],
    ),
}


@pytest.mark.parametrize("split, words", BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_a_split_that_does_not_fit_the_log_is_refused(read, split, words):
    refused(lambda: read(split=split), "log.csv", *words)


# what is spoilt at random


def check_log(path: Path) -> None:
    """What is read holds together."""
    log = read_log(path, LogMapping(**OWN_MAPPING))
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


@pytest.mark.parametrize("number", [100, pytest.param(3400, marks=pytest.mark.long)])
def test_a_log_spoilt_at_random_is_refused_or_read_whole(tmp_path, number):
    text = "\n".join(LINES) + "\n"
    try_many(tmp_path / "log.csv", text, r"[^,\n]*", check_log, number)


# -- times that mean something on any log, spans, and numbers of any scale

WEEK = {"time": {"column": "when", "kind": "time", "parts": ["Weekday", "HourOfWeek"]}}
ELAPSED_TIMES = {"time": {"column": "when", "kind": "time", "parts": ["SinceLast", "SinceFirst"]}}
WHAT = {"what": {"column": "what", "size": 8}}
CASE = {"streams": {"case": "case"}}


def test_weekday_and_hour_of_the_week_are_those_of_the_clock_on_the_wall(read):
    # 2022-03-07 is a Monday; at 00:30 on the wall it is still Sunday in UTC
    lines = LINES[:1] + [
        f"c{i % 4},2022-03-{7 + i // 24:02d}T{i % 24:02d}:30+01:00,pay,1,,1" for i in range(96)
    ]
    log = read(lines, categories=WHAT | WEEK, **CASE)
    assert column(log, "time_Weekday")[:48].tolist() == [1] * 24 + [2] * 24
    assert column(log, "time_HourOfWeek")[:48].tolist() == list(range(1, 49))
    in_utc = read(lines, categories=WHAT | WEEK, clock="UTC", **CASE)
    assert column(in_utc, "time_Weekday")[:2].tolist() == [7, 1]
    assert log.time[0] == in_utc.time[0]  # the order is of UTC, whatever the clock


def test_time_since_the_last_and_the_first_event_doubles_from_bin_to_bin(read):
    waits = [0, 0.5, 1, 2, 3, 4, 3600, 86400]
    moments = pd.Timestamp("2022-03-01") + pd.to_timedelta(np.cumsum(waits), "s")
    lines = LINES[:1] + [
        f"c{case},{moment + pd.Timedelta(days=case)},pay,1,,1"
        for case in range(40)
        for moment in moments
    ]
    log = read(lines, categories=WHAT | ELAPSED_TIMES, **CASE)
    first = log.sequence == 0
    bins = [int(np.log2(wait)) + 2 if wait >= 1 else 1 for wait in waits]
    assert column(log, "time_SinceLast")[first].tolist() == [0, *bins[1:]]
    since = [int(np.log2(wait)) + 2 if wait >= 1 else 1 for wait in np.cumsum(waits)]
    assert column(log, "time_SinceFirst")[first].tolist() == [0, *since[1:]]
    assert log.vocabularies["time_SinceLast"][bins[-1]] == 2**16  # seconds, at which it begins


def test_a_span_is_the_time_from_one_column_to_another(read):
    lines = [LINES[0], *(line.replace(",,", ",2022-03-20 08:30,") for line in LINES[1:])]
    lines[2] = LINES[2]  # without an end
    log = read(
        lines, categories=WHAT | {"wait": {"column": ["when", "due"], "kind": "span"}}, **CASE
    )
    hours = (pd.Timestamp("2022-03-20 08:30") - pd.DatetimeIndex(log.time)) / pd.Timedelta(hours=1)
    known = np.arange(len(log)) != 1
    expected = np.floor(np.log2(np.asarray(hours) * 3600)) + 2
    seen = known & ~log.unseen[:, 1]
    assert column(log, "wait")[seen].tolist() == expected[seen].tolist()
    assert column(log, "wait")[1] == 0 and not log.unseen[1, 1]


def test_numbers_below_zero_have_bins_where_the_mapping_says_so(read):
    lines = with_line(2, "c0,2022-03-01 08:30,ask,-2,,1")
    refused(lambda: read(lines), "row 2, column 'amount'", "'lowest' of amount", "quantiles")
    amount = {"column": "amount", "kind": "number", "size": 40, "bin": 0.5, "lowest": -2}
    log = read(lines, categories=WHAT | {"amount": amount}, **CASE)
    assert column(log, "amount")[0] == 1 and log.vocabularies["amount"][1] == -2
    amount = {"column": "amount", "kind": "number", "size": 6, "bin": "quantiles"}
    log = read(lines, categories=WHAT | {"amount": amount}, **CASE)
    assert column(log, "amount")[0] == 1 and set(column(log, "amount")) == {1, 2, 3, 4, 5}
    training = column(log, "amount")[log.part == TRAIN]
    assert np.bincount(training)[1:5].min() >= 6  # 30 events in four bins, and the greatest alone


def test_what_training_never_has_is_unknown_whatever_its_kind(read):
    log = read(split={"train": 0.5, "validation": 0.25})
    training = log.part == TRAIN
    for c, category in enumerate(log.categories):
        late = set(log.table[~training, c]) - {0}
        assert late <= set(log.table[training, c]), category.name
    days = column(log, "time_Day")
    assert (days[~training] == 0).all() and log.unseen[~training][:, 3].all() and days[0] == 1


def test_a_split_by_sequence_draws_whole_sequences_by_its_seed(read):
    lines = LINES[:1] + [f"c{i % 40},2022-03-{1 + i // 40:02d} 08:00,pay,1,,1" for i in range(400)]
    logs = [
        read(lines, split={"by": "sequence", "train": 0.6, "validation": 0.15, "seed": seed})
        for seed in (0, 0, 1)
    ]
    for log in logs:
        parts = pd.Series(log.part).groupby(log.sequence)
        assert (parts.nunique() == 1).all() and not log.split_by_time
        assert np.bincount(parts.first()).tolist() == [24, 6, 10]
    assert np.array_equal(logs[0].part, logs[1].part)
    assert not np.array_equal(logs[0].part, logs[2].part)
