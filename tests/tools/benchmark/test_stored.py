"""The stored tables are whole, and the data card quotes them right."""

import re

import pandas as pd
import pytest

from helpers.support.files import DATA
from helpers.tools.benchmark import processes, steps
from helpers.tools.benchmark.__main__ import LARGE, SIZES, SMALL
from helpers.tools.benchmark.table import COLUMNS, SETTINGS, read_table, tell_disturbance

MOST = processes.EVENTS[-1]


def stored() -> pd.DataFrame:
    tables = [read_table(DATA / name) for name in ("benchmark.csv", "hotpp.csv")]
    return pd.concat(tables, ignore_index=True)


def find_row(part: str, name: str, **setting) -> pd.Series:
    rows = stored().query("part == @part and name == @name")
    for key, wanted in setting.items():
        rows = rows[rows[key] == wanted]
    assert len(rows) == 1, (part, name, setting)
    return rows.iloc[0]


def value(part: str, name: str, **setting) -> float:
    return find_row(part, name, **setting)["value"]


# -- the tables of the data card: by its first heading, the rows of each


def show(part: str, name: str, **setting) -> str:
    """A figure and its unit, as the card says it."""
    row = find_row(part, name, **setting)
    digits = 0 if row["value"] >= 100 or row["unit"] == "%" else 1
    return f"{row['value']:,.{digits}f} {row['unit']}"


def goal_rows() -> list[list[str]]:
    def compare(what: str, part: str, ours: str, other: str, ratio: str, **setting) -> list[str]:
        return [what, *(show(part, name, **setting) for name in (ours, other, ratio))]

    reading = ("reading a CSV", "ours, with its checks", "pandas.read_csv", "against pandas")
    starting = ("command to first step", "importing PyTorch", "against importing PyTorch")
    evaluating = ("evaluation with readers", "training step", "against training")
    run = (
        "reference run",
        "ours, validation included",
        "plain, window by window, training alone",
        "ours against plain, window by window",
    )
    workers = (
        "two processes, a thread each",
        "one process, two threads",
        "efficiency of two processes",
    )
    rows = [
        compare(f"reading a CSV of {MOST:,} rows, times as long as pandas", *reading, size=MOST),
        compare("command to first step, times as long as importing PyTorch", "start", *starting),
    ]
    for batch in (16, 256):
        what = f"evaluation with readers, times the rate of a training step of {batch}"
        rows.append(compare(what, "evaluation", *evaluating, batch=batch))
    for which in ("of one window", "one of each window"):
        names = (which, "one by one", f"{which}, against one by one")
        what = f"1,000 futures, {which}, times the rate of one by one"
        rows.append(compare(what, "sampling", *names))
    rows.append(compare("the reference run, and window by window times as long", *run))
    rows.append(compare("two processes, share of the rate of one", "torchrun", *workers))
    return rows


def speed_rows() -> list[list[str]]:
    rows = []
    for batch, d_model in SIZES:
        here = dict(batch=batch, d_model=d_model)
        whole = value("speed of ours", "against plain, whole batches", **here)
        single = value("speed of ours", "against plain, window by window", **here)
        share = value("products", "share of the products' rate", **here)
        rows.append([str(d_model), str(batch), f"{whole:.1f}", f"{single:.1f}", f"{share:.0f} %"])
    return rows


def trick_rows() -> list[list[str]]:
    rows, (small, _), (large, _) = [], SMALL, LARGE
    for name in stored().query("part == 'gain of a trick' and batch == @small")["name"]:
        gains = [value("gain of a trick", name, batch=batch) for batch in (small, large)]
        rows.append([name, *(f"{gain:.2f}" for gain in gains)])
    return rows


def growth_rows() -> list[list[str]]:
    rows = []
    for axis, sizes in steps.AXES.items():
        least, most = (value("growth", axis, size=size) for size in (sizes[0], sizes[-1]))
        exponent = value("exponent of growth", axis, size=sizes[-1])
        between = f"{sizes[0]} to {sizes[-1]}"
        rows.append([axis, between, f"{most / least:.1f}", f"{exponent:.2f}"])
    first, last = processes.EVENTS[0], MOST
    seconds = [size / value("reading", "read and indexed", size=size) for size in (first, last)]
    exponent = value("reading", "exponent of growth", size=last)
    times = f"{seconds[1] / seconds[0]:.1f}"
    return [*rows, ["events of a log", f"{first:,} to {last:,}", times, f"{exponent:.2f}"]]


def reading_rows() -> list[list[str]]:
    rows = []
    for events in processes.EVENTS:
        names = ("read and indexed", "peak memory")
        values = [value("reading", name, size=events) for name in names]
        rows.append([f"{events:,}", *(f"{one:,.0f}" for one in values)])
    return rows


def epoch_rows() -> list[list[str]]:
    peaks = {size: value("epochs", "peak memory", size=size) for size in processes.EPOCHS}
    return [[str(size), f"{peak:,.0f}"] for size, peak in peaks.items()]


def use_rows() -> list[list[str]]:
    rows = stored().query("part == 'use'")
    return [[row["name"], f"{row['value']:,.0f}"] for _, row in rows.iterrows()]


def hotpp_rows() -> list[list[str]]:
    rows = []
    for name in stored().query("part == 'HoTPP' and batch == 16 and unit == 'times'")["name"]:
        ratios = [value("HoTPP", name, batch=batch) for batch in (16, 64)]
        rows.append([name.removeprefix("against HoTPP, "), *(f"{one:.2f}" for one in ratios)])
    return rows


TABLES = {
    "what is compared": goal_rows,
    "d_model": speed_rows,
    "trick": trick_rows,
    "what grows": growth_rows,
    "events": reading_rows,
    "epochs of a run": epoch_rows,
    "work on 256 windows": use_rows,
    "network of HoTPP": hotpp_rows,
}


def tell_circumstances() -> str:
    """What the card says of the machine and of its neighbours."""
    machines = "; ".join(stored()["machine"].unique())
    return f"Measured on: {machines}. {tell_disturbance(stored())}"


# -- the tests


def read_card() -> str:
    return (DATA / "README.md").read_text(encoding="utf-8")


def card_table(first: str) -> list[list[str]]:
    """The rows of the table of data/README.md whose first heading this is."""
    (body,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", read_card(), re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]


@pytest.mark.parametrize("first", TABLES)
def test_the_data_card_quotes_the_stored_tables(first):
    assert card_table(first) == TABLES[first]()


def test_the_data_card_says_what_was_measured_on_and_what_was_disturbed():
    assert tell_circumstances() in read_card()


def test_prose_of_the_data_card_holds_no_measured_figure():
    """They stand in the tables, which are held against what is stored."""
    section = read_card().split("\n## How fast\n")[1].split("\n## ")[0]
    told = section.replace(tell_circumstances(), "")
    lines = [line for line in told.splitlines() if not line.startswith(("|", "pip ", "python "))]
    found = re.findall(
        r"(?<![\w.-])\d+(?:\.\d+)?\s(?:times|seconds|minutes|%|MB|GB|ms)", str(lines)
    )
    assert found == ["10 minutes"]  # of the command


def test_the_stored_tables_are_whole():
    rows = stored()
    assert list(rows) == COLUMNS
    assert (rows["low"] <= rows["value"]).all() and (rows["value"] <= rows["high"]).all()
    assert not rows.duplicated(["part", "name", *SETTINGS]).any()
    for axis, sizes in steps.AXES.items():
        assert rows.query("part == 'growth' and name == @axis")["size"].tolist() == list(sizes)


def test_nothing_grows_faster_than_in_proportion():
    """What lies above 1 by no more than the quartiles are apart may be chance."""
    rows = stored()
    exponents = rows[rows["part"].eq("exponent of growth") | rows["name"].eq("exponent of growth")]
    assert len(exponents) == sum(len(sizes) - 1 for sizes in steps.AXES.values()) + 2
    assert (exponents["low"] <= 1).all() and (exponents["value"] < 1.2).all()


def test_the_stored_benchmark_shows_what_the_data_card_says():
    ours = stored().query("part == 'speed of ours' and name.str.startswith('against plain')")
    assert len(ours) and (ours["low"] > 3).all()  # more than three times as fast at every size
    small, large = (
        value("gain of a trick", "products of 16-bit numbers (off)", batch=batch)
        for batch in (SMALL[0], LARGE[0])
    )
    assert small < 1 < large
    assert value("reading", "peak memory", size=MOST) < 1000
    eight, many = (value("epochs", "peak memory", size=size) for size in (8, 64))
    assert many < 1.1 * eight  # 2.7 MB more each, kept, would be 1.2
