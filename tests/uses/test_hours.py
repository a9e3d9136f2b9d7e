"""Hours ahead: each question against the log's own columns, each refusal in words."""

import numpy as np
import pandas as pd
import pytest
import torch
from small import refused

from helpers.events import TEST, TRAIN, read_log
from helpers.model import MultiStreamModel
from helpers.schema import WORKPLACE
from helpers.support.files import DATA
from helpers.uses.futures import APPROVED, read_habits
from helpers.uses.hours import (
    COLUMN,
    fan,
    find_last,
    forecast_hours,
    forecast_shifts,
    grade_calibration,
    grade_hours,
    keep_fitting,
    make_bands,
    pick_apart,
    recall_hours,
    still_paid,
    work_by_time,
    worked_hours,
)
from helpers.windows import Windows

SITE = "LocationRecordId"
NOON, DAY = np.datetime64("2023-06-14T12:00"), np.datetime64("2023-06-14")


@pytest.fixture(scope="module")
def log():
    return read_log(DATA / "workplace.csv.gz", WORKPLACE)


@pytest.fixture(scope="module")
def windows(log):
    return Windows(log, TEST, 6, 20)


@pytest.fixture(scope="module")
def habits():
    return read_habits()


@pytest.fixture(scope="module")
def model(log):
    torch.manual_seed(0)
    shape = dict(d_model=8, num_heads=2, encoder_layers=1, decoder_layers=1)
    return MultiStreamModel(log.categories, 7, 6, 20, **shape).eval()


@pytest.fixture(scope="module")
def frame(log):
    columns = ["event_time", "reference_time"]
    frame = pd.read_csv(DATA / "workplace.csv.gz", parse_dates=columns)
    return frame.iloc[log.row].reset_index(drop=True)


def true_shifts(frame, events):
    """(begin, end) of the shifts that end among these events, by the file's own columns."""
    some = frame.iloc[events]
    return some[some.event_type == "punch_out"][["reference_time", "event_time"]].to_numpy()


def test_hours_at_work_are_those_of_the_file(log, windows, frame):
    origins = pick_apart(windows, 40)
    batch = windows.batch(origins)
    for shifts in (1, 2):
        hours = worked_hours(log, batch.target.numpy(), shifts)
        for events, found in zip(batch.event.numpy(), hours, strict=True):
            begins, ends = true_shifts(frame, events)[:shifts].T
            assert found == pytest.approx((ends - begins).sum() / np.timedelta64(1, "h"))


def test_work_by_time_grows_from_each_beginning_to_each_end(log, windows, frame):
    origin = pick_apart(windows, 3)[1]
    batch = windows.batch(np.array([origin]))
    times = log.time[origin] + np.arange(0, 60, 3) * np.timedelta64(1, "h")
    day = log.time[origin].astype("datetime64[D]")
    (found,) = work_by_time(log, batch.target.numpy(), day, times)
    shifts = true_shifts(frame, batch.event[0].numpy())
    expected = [sum(max(min(t, b) - a, np.timedelta64(0)) for a, b in shifts) for t in times]
    assert found == pytest.approx(np.array(expected) / np.timedelta64(1, "h"))
    assert found[-1] > found[0]


def test_bands_are_quantiles():
    bands = make_bands(np.arange(101)[:, None].repeat(2, 1), ["a", "b"])
    assert bands.loc["b"].tolist() == [5, 25, 50, 75, 95] and list(bands.index) == ["a", "b"]


def test_a_fan_is_of_the_employee_and_ends_while_all_futures_last(log, model, windows, habits):
    origin = int(windows.origins[5000])
    bands, truth = fan(model, windows, habits, origin, 19)
    assert set(bands) == {"model", "simulator"} and truth.index.equals(bands["model"].index)
    assert truth.index[0] == log.time[origin]
    first, last = bands["simulator"].iloc[0], bands["simulator"].iloc[-1]
    assert last[0.95] > last[0.5] > first[0.95]
    known = truth.dropna()
    assert (np.diff(known) >= 0).all() and len(known) > len(truth) / 2
    refused(lambda: fan(model, windows, habits, 0, 19), "begins no window", start="origins: ")


def test_origins_apart_share_no_event_of_their_targets(windows):
    batch = windows.batch(pick_apart(windows, 10**6))
    assert batch.counted.all() and len(batch.event.unique()) == batch.event.numel()
    assert len(batch.event) > 2000
    assert len(pick_apart(windows, 30)) == 30
    refused(lambda: pick_apart(windows, 0), "at least 1", start="origins: ")


def test_forecasts_of_shifts_are_graded_and_the_simulator_is_right(log, model, windows, habits):
    origins = pick_apart(windows, 150)
    forecasts, truth = forecast_shifts(model, windows, habits, origins, 19)
    assert forecasts["model"].shape == forecasts["simulator"].shape == (19, 150)
    table = grade_calibration(forecasts, truth).set_index(["who", "measure"])
    value, error = table["value"], table["error"]
    # Hours come in steps, so that the intervals hold a little more than their share.
    assert value["simulator", "covered_90"] > 0.9 - 4 * error["simulator", "covered_90"]
    assert value["simulator", "covered_50"] > 0.5 - 4 * error["simulator", "covered_50"]
    assert value["simulator", "crps"] < value["model", "crps"]
    assert value["simulator", "width_50"] < value["simulator", "width_90"]


def test_shifts_beyond_the_horizon_or_the_part_are_refused(log, model, windows, habits):
    some = pick_apart(windows, 3)
    for shifts in (0, 3, 1.5):
        call = lambda: forecast_shifts(model, windows, habits, some, 5, shifts)  # noqa: E731
        refused(call, shifts, start="shifts: ")
    last = windows.origins[-1:]
    refused(lambda: forecast_shifts(model, windows, habits, last, 5), last[0], start="origins: ")


def test_the_last_events_are_everybody_s_and_nothing_is_between(log, windows):
    origins = find_last(windows, NOON)
    assert len(origins) == 54 == len(set(log.sequence[origins]))
    for origin in origins:
        later = np.flatnonzero(log.sequence == log.sequence[origin])
        (following,) = later[later > origin][:1]
        assert log.time[origin] < NOON <= log.time[following]


def test_the_table_needs_a_day_before_and_a_category_that_there_is(log):
    moment, rng = log.time[0], np.random.default_rng(0)
    day = moment.astype("datetime64[D]") + 1
    some = log, np.array([5]), moment, day
    refused(lambda: recall_hours(*some, SITE, 3, rng), "no day before", start="moment ")
    refused(lambda: recall_hours(*some, "Colour", 3, rng), "'Colour'", start="category: ")


@pytest.mark.parametrize(
    "day", ["2023-05-01T00:00", "2023-09-28T00:00", "2020-01-01", "2030-01-01"]
)
def test_a_moment_that_does_not_show_everybody_is_refused(windows, day):
    refused(lambda: find_last(windows, np.datetime64(day)), "well within", start="moment ")


def test_futures_that_would_have_begun_give_way_to_those_that_fit(log, windows):
    origins = find_last(windows, NOON)[:3]
    target = windows.batch(origins).target.numpy()[:, None]
    futures = target.repeat(4, 1)  # the true ones fit
    early = futures.copy()
    hour = COLUMN["Time_Event_Hour"]
    early[0, :2, 0, COLUMN["Time_Event_Month"]] = 6
    early[0, :2, 0, COLUMN["Time_Event_Day"]], early[0, :2, 0, hour] = 14, 12  # 11 o'clock
    early[1, :, 0, COLUMN["Time_Event_Month"]], early[1, :, 0, COLUMN["Time_Event_Day"]] = 6, 13
    kept = keep_fitting(log, early, NOON, np.random.default_rng(0))
    assert np.array_equal(kept[0], futures[0])
    assert np.array_equal(kept[1:], early[1:])  # none fits, or all do


@pytest.mark.parametrize(
    "category, column", [("LocationRecordId", "location"), ("CostCodeRecordId", "cost_code")]
)
def test_what_is_still_paid_is_what_the_file_says(log, frame, category, column):
    after = frame[(frame.event_time >= NOON) & (frame.event_time < DAY + 1)]
    after = after[after.event_type.isin(APPROVED)]
    (paid,) = still_paid(log, category, NOON, DAY)
    for name, hours in after.groupby(column).hours_worked.sum().items():
        assert paid[log.vocabularies[category].index(name)] == hours
    assert paid.sum() == after.hours_worked.sum() > 0


def test_the_table_gives_hours_to_the_sites_where_somebody_is(log, windows):
    origins, rng = find_last(windows, NOON), np.random.default_rng(0)
    today = recall_hours(log, origins, NOON, DAY, "LocationRecordId", 50, rng)
    truth = still_paid(log, "LocationRecordId", NOON, DAY)[0]
    assert today.shape == (50, 100) and np.array_equal(today.sum(0) > 0, truth > 0)
    assert abs(today.mean(0) - truth).max() < 8 and today.std(0).max() > 0
    then = recall_hours(log, origins, NOON, DAY + 1, "LocationRecordId", 50, rng)
    assert then[:, 1:21].min() == 0 and then[:, 1:21].mean() == pytest.approx(14, abs=2)


def test_hours_are_forecast_by_site_and_project_and_graded(log, model, windows, habits):
    told = forecast_hours(model, windows, habits, NOON, 5, days=2)
    assert list(told) == [(by, DAY + ahead) for by in ("site", "project") for ahead in (0, 1)]
    today = told["site", DAY]
    assert {who: len(hours) for who, hours in today.items()} == {
        "model": 5, "simulator": 5, "table": 5, "last week": 1, "truth": 1,
    }  # fmt: skip
    assert list(today["truth"]) == log.vocabularies["LocationRecordId"][1:]
    # The simulator knows where everybody is.
    assert ((today["simulator"] > 0).all() == (today["truth"].iloc[0] > 0)).all()
    moments = [NOON, NOON + np.timedelta64(9, "D")]
    table = (
        grade_hours(model, windows, habits, moments, 5)
        .set_index(["by", "ahead", "who"])
        .sort_index()
    )
    for by in ("site", "project"):
        score = table["crps"][by, 0]
        assert score["simulator"] < score["model"] and score["table"] < score["last week"] / 5
        assert table["behind"][by, 0]["simulator"] == 0
        assert table["behind"][by, 0]["model"] == pytest.approx(score["model"] - score["simulator"])


def test_days_beyond_the_horizon_or_the_log_are_refused(model, windows, habits):
    for days in (0, 3):
        call = lambda: forecast_hours(model, windows, habits, NOON, 5, days)  # noqa: E731
        refused(call, days, start="days: ")
    first = Windows(windows.log, TRAIN, 6, 20)
    early = np.datetime64("2021-01-06T12:00")
    refused(lambda: forecast_hours(model, first, habits, early, 5), "a week", start="moment ")
    refused(lambda: grade_hours(model, windows, habits, [], 5), "found 0", start="moments: ")
    late = np.datetime64("2023-09-26T12:00")
    refused(lambda: forecast_hours(model, windows, habits, late, 5, 2), "ends", start="moment ")
