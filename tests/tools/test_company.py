"""The command that makes up a workshop: what it writes, and that what is said of it is true."""

import gzip
from functools import partial

import numpy as np
import pytest
from small import command

from helpers.events import read_log
from helpers.own_log import look_at, propose_mapping
from helpers.schema import LogMapping
from helpers.support.errors import InputError
from helpers.support.files import DATA, ROOT
from helpers.tools import company

NAMES = ["company.csv", "company.xes.gz"]


@pytest.fixture(scope="module")
def events():
    return company.simulate()


@pytest.fixture(scope="module")
def mended(tmp_path_factory):
    """A copy of the CSV that can be read, as the notebook makes it."""
    text = (DATA / "company.csv").read_text(encoding="cp1252").replace("Köhler; trainee", "Köhler")
    lines = [line for line in text.splitlines() if "31.11.2023" not in line]
    path = tmp_path_factory.mktemp("company") / "mended.csv"
    kept = [line for line in lines if ";12,3,4;" not in line]
    path.write_text("\n".join(kept) + "\n", encoding="cp1252")
    return path


run = partial(command, cwd=ROOT, tool="company")


def test_the_files_of_the_course_can_be_remade(tmp_path):
    done = run("--out", tmp_path, PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    assert (tmp_path / "company.csv").read_bytes() == (DATA / "company.csv").read_bytes()
    # Another release of zlib may pack the same text in other bytes.
    ours, remade = (
        gzip.decompress((folder / NAMES[1]).read_bytes()) for folder in (DATA, tmp_path)
    )
    assert ours == remade


def test_together_they_are_small():
    assert sum((DATA / name).stat().st_size for name in NAMES) < 410_000


def test_the_command_refuses_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--out", tmp_path / "file")
    assert done.returncode == 1 and "cannot be made a folder" in done.stderr
    assert done.stderr.startswith("error: --out: '") and done.stderr.count("\n") == 1


def test_another_seed_makes_another_workshop(events):
    few = company.simulate(seed=1, orders=20)
    assert len(few) < 300 and few.columns.equals(events.columns)
    assert not few["Receipt"].isin(events["Receipt"]).all()


def test_the_csv_is_as_such_files_come(events):
    content = (DATA / "company.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    header, *lines = content.decode("cp1252").split("\r\n")[:-1]
    assert header.split(";") == company.COLUMNS
    assert len(lines) == len(events)
    assert lines[-1].startswith("10000;") and "NA" in lines[0] + lines[-1]
    assert any(";-" in line for line in lines)  # a refund


def test_events_are_in_the_order_of_time_in_hours_of_work_and_no_two_in_a_minute(events):
    assert events["Date"].is_monotonic_increasing and events["Date"].is_unique
    assert (events["Date"].dt.day_of_week < 6).all()
    assert events["Date"].dt.hour.between(8, 17).mean() > 0.999  # pushed on where one is taken


@pytest.mark.parametrize("column, fault", company.FAULTS.items())
def test_each_fault_is_refused_with_its_row(events, tmp_path, column, fault):
    """Of a file that has one fault alone, read by the mapping of the mended one."""
    one = events.assign(fault=events["fault"].where(events["fault"] == column, ""))
    assert (one["fault"] == column).sum() == 1
    path = tmp_path / "one.csv"
    path.write_bytes(company.write_csv(one))
    row = len(one) - int(one.index[one["fault"] == column][0]) + 1  # the newest stands in row 2
    categories = {
        "what": {"column": "Activity"},
        "paid": {"column": "Amount", "kind": "number", "bin": "quantiles"},
    }
    how = {"Amount": {"decimal": ",", "missing": ["NA"]}, "Date": {"dates": "day first"}}
    mapping = {"sequence": "Order", "time": "Date", "categories": categories, "columns": how}
    with pytest.raises(InputError) as caught:
        read_log(path, LogMapping(**mapping, streams={"Order": "Order"}))
    assert f"one.csv, row {row}" in str(caught.value)
    assert fault in str(caught.value) or column == "Clerk"


def test_csv_and_xes_make_the_same_log_but_for_the_clocks_that_change(events, mended):
    logs = []
    for path in (mended, DATA / "company.xes.gz"):
        mapping, _ = propose_mapping(look_at(path))
        logs.append(read_log(path, LogMapping(**mapping)))
    csv, xes = logs
    known = events[~company.is_lost(events)]
    assert len(csv) == len(xes) == len(known) == len(events) - 2
    assert [csv.vocabularies["Activity"][i] for i in csv.table[:, 0]] == list(known["Activity"])
    assert csv.table.shape == xes.table.shape
    differ = csv.table != xes.table
    elapsed = [category.name.startswith("time_Since") for category in csv.categories]
    assert not differ[:, ~np.array(elapsed)].any()
    assert 0 < differ.sum() < 10
    for place in np.flatnonzero(differ.any(1)):
        of_order = csv.time[csv.sequence == csv.sequence[place]]
        local = known["Date"].dt.tz_localize("Europe/Vienna")
        within = (known["Date"] >= of_order.min()) & (known["Date"] <= csv.time[place])
        assert local[within].map(lambda time: time.utcoffset()).nunique() == 2


def test_the_odds_are_those_by_which_events_are_drawn(events):
    """Of all steps with the same odds the share that came is what they say."""
    assert events["p"].isna().equals(~events["Order"].duplicated())
    assert (events["p"] <= events["most"]).sum() == events["p"].notna().sum()
    steps = events.dropna(subset="p")
    expected, scatter = steps["most"].mean(), steps["most"].std() / len(steps) ** 0.5
    drawn = (steps["p"] == steps["most"]) * np.where(steps["most"] == 0.5, 0.5, 1)
    assert abs(drawn.mean() - expected) < 4 * scatter


def test_how_a_customer_is_told_follows_from_the_first_event_alone(events):
    told = events[events["Activity"].isin(company.TELLS.values())]
    first = events.groupby("Order")[["Activity", "Contact"]].first()
    assert set(first["Activity"]) == {"taken in"}
    as_wished = told["Activity"] == told["Order"].map(first["Contact"]).map(company.TELLS)
    assert abs(as_wished.mean() - 0.94) < 0.03
    place = events.groupby("Order").cumcount()[told.index]
    assert place.min() >= 4
    shares = told["Activity"].value_counts(normalize=True)
    assert shares.max() < 0.4  # so that who does not know the wish is right in a third of cases


def test_the_last_months_are_unlike_those_before(events):
    border = events["Date"].iloc[int(0.75 * len(events))]
    before, after = events[events["Date"] < border], events[events["Date"] >= border]
    assert set(after["Clerk"]) - set(before["Clerk"]) == {"Özlem"}
    waits = events.groupby("Order")["Date"].diff().where(events["Activity"] == "inspected")
    slow = events["Date"] >= company.NEW_PACE
    assert waits[slow].median() > 2 * waits[~slow].median()
