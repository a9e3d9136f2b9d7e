"""What if: the changed histories, against windows of a changed log, and the simulator's answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SOURCE, STEPS, refused, small_log, small_model

from helpers.events import TEST, read_log
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.files import DATA
from helpers.uses.futures import last_event, read_habits
from helpers.uses.what_if import (
    change,
    compare_what_if,
    forecast_decided,
    grade_what_if,
    total_variation,
)
from helpers.windows import Windows
from helpers.world import KEYS

SITE = "LocationRecordId"


@pytest.fixture(scope="module")
def windows():
    torch.set_num_threads(1)
    return Windows(read_log(DATA / "workplace.csv.gz", WORKPLACE), TEST, SOURCE, STEPS)


@pytest.fixture(scope="module")
def habits():
    return read_habits()


@pytest.fixture(scope="module")
def plans(windows):
    kind = windows.log.vocabularies["EventType"].index("shift_scheduled")
    return windows.origins[windows.log.table[windows.origins, 0] == kind][::300]


@pytest.mark.parametrize("category", [SITE, "EventType", "HoursWorked", "Time_Reference_Hour"])
def test_a_change_is_what_windows_of_a_changed_log_are(category):
    log = small_log()
    windows, place = Windows(log, TEST, SOURCE, STEPS), CATEGORY_NAMES.index(category)
    origins, known = windows.origins[[5, 80, 200]], log.vocabularies[category]
    numbers = sorted(set(log.table[:, place]) - {0})
    values = [known[numbers[0]], known[numbers[-1]], None]
    batch = change(windows, origins, category, values)
    for b, (origin, value) in enumerate(zip(origins, values, strict=True)):
        table = log.table.copy()
        table[origin, place] = known.index(value)
        wanted = Windows(replace(log, table=table), TEST, SOURCE, STEPS).batch([origin])
        for name in ("histories", "known"):
            assert torch.equal(getattr(batch, name)[b], getattr(wanted, name)[0])
        assert torch.equal(batch.given[b, 0], wanted.given[0, 0])
    assert np.array_equal(windows.table[:-1], log.table)  # nothing of the log is changed


def test_the_value_that_was_there_changes_nothing(windows, plans):
    as_was = [last_event(windows.log, origin)[SITE] for origin in plans]
    for ours, theirs in zip(
        change(windows, plans, SITE, as_was), windows.batch(plans), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_the_simulator_goes_by_the_new_key(windows, habits, plans):
    causes, model = habits.at(windows.log.time[plans[0]]), small_model()
    model.sizes = [one.size for one in windows.log.categories]
    table = compare_what_if(model, windows, habits, plans[0], SITE, "SITE-05")
    was = last_event(windows.log, plans[0])[SITE]
    assert table["simulator, before"].idxmax() == causes.of["Location"][was]
    assert table["simulator, after"].idxmax() == causes.of["Location"]["SITE-05"]
    for who in ("reader", "simulator"):
        np.testing.assert_allclose(table.filter(like=who).sum(), 1)
    # Some hours lie between the plan and the break's end, in which the habit may change.
    assert 0.85 < table["simulator, after"].max() < 0.9
    assert table.index.name == "HoursWorked"
    assert (table.filter(like="model").sum() < 1).all()


def test_the_reader_comes_nearer_than_guessing_and_a_kept_forecast_not(windows, habits, plans):
    table = grade_what_if(small_model(), windows, habits, plans, SITE, np.random.default_rng(0))
    assert table.loc["exact reader", "changed"] < table.loc["guessing", "changed"] - 0.2
    kept, model = table.loc["model, forecast left as it was"], table.loc["model"]
    assert kept["as it was"] == model["as it was"]


def test_the_reader_reads_the_new_key_s_history(windows, habits, plans):
    keys = [last_event(windows.log, origin)[SITE] for origin in plans]
    other = ["SITE-01" if key != "SITE-01" else "SITE-02" for key in keys]
    arguments = small_model(), windows, habits, plans, SITE
    before, after = (forecast_decided(*arguments, one)["reader"] for one in (keys, other))
    assert (np.abs(before - after).max(1) > 0.01).mean() > 0.7


def test_total_variation_by_hand():
    p, q = np.array([[0.5, 0.3]]), np.array([[0.9, 0.1]])  # p has 0.2 beyond both
    np.testing.assert_allclose(total_variation(p, q), [0.4])


def test_what_cannot_be_changed_is_refused(windows, habits, plans):
    origin, model = plans[:1], small_model()
    refused(lambda: change(windows, origin, "Colour", ["red"]), "there is no 'Colour'")
    refused(lambda: change(windows, origin, SITE, ["SITE-99"]), SITE, "'SITE-99'")
    refused(lambda: change(windows, origin, SITE, []), "values: must be 1")
    refused(lambda: change(windows, np.array([0]), SITE, ["SITE-01"]), "event 0 begins no window")

    def compare(origin, category, value):
        compare_what_if(model, windows, habits, origin, category, value)

    rng = np.random.default_rng(0)
    refused(lambda: grade_what_if(model, windows, habits, plans[:0], SITE, rng), "there are none")
    refused(lambda: compare(plans[0], "HoursWorked", 5.0), "no habit goes by 'HoursWorked'")
    refused(lambda: compare(plans[0], SITE, None), "has no habit")
    refused(lambda: compare(plans[0], KEYS["Time"], 20), "has no habit")
    kind = windows.log.vocabularies["EventType"].index("punch_out")
    late = windows.origins[windows.log.table[windows.origins, 0] == kind][0]
    refused(lambda: compare(late, SITE, "SITE-01"), "there is no break_end in the shift")
