"""States hold what they should, and substitutes and probes are graded by the simulator's truth."""

import copy

import numpy as np
import pytest
import torch
from small import refused, small_model, small_windows
from torch import nn

from helpers.events import TEST, TRAIN, VALIDATION
from helpers.reader import find_draws
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.files import DATA
from helpers.training import finished_run
from helpers.uses.futures import read_habits
from helpers.uses.states import (
    GRADES,
    SHARED,
    believe_now,
    collect_states,
    compare,
    count_values,
    find_free,
    find_habits,
    find_substitutes,
    fit_probe,
    grade_probes,
    grade_substitutes,
    judge,
    list_plans,
    measure_error,
    pick_nearest,
)
from helpers.windows import Windows
from helpers.world import HABITS

COLUMN = {name: place for place, name in enumerate(CATEGORY_NAMES)}
STREAMS = list(WORKPLACE.streams)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def run():
    return finished_run(DATA / "working_run.json")


@pytest.fixture(scope="module")
def model(run):
    with run.forecaster() as network:
        yield copy.deepcopy(network)


@pytest.fixture(scope="module")
def windows(run):
    return run.data.windows[TEST]


@pytest.fixture(scope="module")
def log(run):
    return run.data.log


@pytest.fixture(scope="module")
def habits():
    return read_habits()


# -- states and counts


@pytest.mark.parametrize("carry", [1, 2])
def test_states_are_those_that_the_decoder_reads(carry):
    network, windows = small_model(carry=carry), small_windows()
    origins = windows.origins[:700:3]
    states = collect_states(network, windows, origins)
    assert states.shape == (len(origins), 7, carry * 8) and states.dtype == np.float32
    batch = windows.batch(origins[:5])
    with torch.no_grad():
        encoded = network.encode(batch.histories, batch.known)  # (B, S * carry, d)
    np.testing.assert_allclose(states[:5].reshape(5, 7 * carry, 8), encoded, atol=1e-5)


def test_a_network_in_another_is_found_and_its_mode_kept():
    network, windows = small_model(dropout=0.5), small_windows()
    outer = nn.Sequential(network).train()
    origins = windows.origins[:4]
    first = collect_states(outer, windows, origins)
    np.testing.assert_array_equal(first, collect_states(network.eval(), windows, origins))
    assert outer.training


def test_a_history_is_needed_and_a_window_is_not():
    network, windows = small_model(), small_windows(part=TRAIN)
    last = len(windows.log) - 1  # of the test part, and followed by nothing
    assert last not in windows.origins
    assert collect_states(network, windows, np.array([last])).shape == (1, 7, 8)
    beyond = len(windows.log)
    refused(lambda: collect_states(network, windows, [0, beyond]), beyond, start="origins: ")
    refused(lambda: collect_states(network, windows, [-1]), "-1", start="origins: ")
    for origins in ([], [1.5], [[1, 2]]):
        refused(lambda: collect_states(network, windows, origins), start="origins: ")
    refused(lambda: collect_states(nn.Linear(2, 2), windows, [0]), start="model: ")


def test_counts_are_those_of_the_history():
    windows = small_windows()
    origins = windows.origins[[0, 5, 900]]
    counts = count_values(windows, origins, "Location", ["EventType", "IsTimesheet"])
    assert counts.shape == (3, 10 + 4)
    batch = windows.batch(origins)
    place = STREAMS.index("Location")
    for row, history, known in zip(
        counts, batch.histories[:, place], batch.known[:, place], strict=True
    ):
        kinds = np.bincount(history[known][:, COLUMN["EventType"]], minlength=10)
        sheets = np.bincount(history[known][:, COLUMN["IsTimesheet"]], minlength=4)
        assert row.tolist() == [*kinds, *sheets]
    every = count_values(windows, origins, "Location")
    assert every.sum() == batch.known[:, place].sum() * 12  # day, month and employee do not count
    refused(lambda: count_values(windows, origins, "Weather"), "Weather", start="stream: ")
    missing = ["EventType", "Colour"]
    refused(lambda: count_values(windows, origins, "Location", missing), "Colour", "EventType")


# -- what is known of habits


def test_the_reader_s_belief_is_right_as_often_as_it_says(windows, log, habits):
    origins = windows.origins[::10]
    now = windows.target_index(origins)[:, 0]
    truth = find_habits(log, habits, origins)
    for stream in HABITS:
        belief = believe_now(windows, find_draws(log, stream), stream, stream, origins, now)
        known = truth[stream] >= 0
        right, losses = judge(belief[known], truth[stream][known])
        expected = -(belief * np.log(belief)).sum(1)[known].mean()
        assert abs(right.mean() - belief[known].max(1).mean()) < 0.025
        assert abs(losses.mean() - expected) < 0.06
        assert (belief[~known] == belief[~known][:, :1]).all()  # of an unknown key nothing is known


def test_habits_are_unknown_where_the_key_is(log, habits, windows):
    transfers = log.table[:, 0] == log.vocabularies["EventType"].index("job_transfer")
    origins = windows.origins[transfers[windows.origins]][:20]
    truth = find_habits(log, habits, origins)
    assert (truth["JobCode"] == -1).all() and (truth["Actor"] >= 0).all()
    causes = habits.at(log.time[origins[0]])
    lead = log.vocabularies["ActorRecordId"][log.table[origins[0], COLUMN["ActorRecordId"]]]
    assert causes.values["Actor"][truth["Actor"][0]] == causes.of["Actor"][lead]


# -- substitutes


def test_the_free_have_ended_their_shift_and_planned_none(log, windows):
    origins = list_plans(windows)[50::700]
    free = find_free(log, origins)
    assert free.shape == (len(origins), 54)
    kinds = log.vocabularies["EventType"]
    for origin, row in zip(origins, free, strict=True):
        last = {}
        for event in range(origin - 3000, origin):
            last[log.sequence[event]] = event
        expected = {
            who: event
            for who, event in last.items()
            if kinds[log.table[event, 0]] in ("timesheet_approved", "timesheet_mended")
            and who != log.sequence[origin]
        }
        assert {who: event for who, event in enumerate(row) if event >= 0} == expected


def test_before_the_first_day_nobody_is_free(log):
    assert (find_free(log, [0, 1]) == -1).all()


def test_who_is_alike(log, habits, windows):
    origin = list_plans(windows)[300]
    free = find_free(log, [origin])[0]
    free = free[free >= 0]
    alike = compare(log, habits, origin, free)
    assert alike.shape == (len(free), len(GRADES))
    name, in_force = log.vocabularies["RecipientRecordId"], habits.at(log.time[origin])
    comes = {who: in_force.of["Recipient"][name[who]] for who in log.table[:, 2]}
    for one, row in zip(free, alike, strict=True):
        assert row[0] == (comes[log.table[one, 2]] == comes[log.table[origin, 2]])
        for category, same in zip(SHARED.values(), row[1:], strict=True):
            assert same == (log.table[one, COLUMN[category]] == log.table[origin, COLUMN[category]])
    assert 0 < alike[:, 0].mean() < 1


def test_the_nearest_come_first():
    vectors = np.array([[3.0, 0], [0, 1], [0, -2], [9, 9]])
    places, distances = pick_nearest(vectors, np.zeros(2), 3)
    assert places.tolist() == [1, 2, 0] and distances.tolist() == [1, 2, 3]
    for many in (0, 5, 1.5):
        refused(lambda many=many: pick_nearest(vectors, vectors[0], many), start="neighbours: ")


def test_substitutes_of_one_shift(model, windows, log, habits):
    origin = list_plans(windows, "E017")[20]
    found = find_substitutes(model, windows, habits, origin, 5)
    assert list(found) == ["employee", "distance", "comes", *GRADES]
    assert len(found) == 5 and found["distance"].is_monotonic_increasing
    own = habits.at(log.time[origin]).of["Recipient"]
    assert found["comes"].tolist() == [own[name] for name in found["employee"]]
    assert found["minute"].tolist() == (found["comes"] == own["E017"]).tolist()
    assert "E017" not in set(found["employee"])


def test_what_has_no_substitutes_is_refused(model, windows, habits):
    refused(lambda: list_plans(windows, "E999"), "E999", start="employee: ")
    plans = list_plans(windows, "E017")
    ask = (model, windows, habits)
    refused(lambda: find_substitutes(*ask, plans[0], 60), "60", start="neighbours: ")
    after = windows.target_index(plans[:1])[0, 0]  # no plan
    refused(lambda: find_substitutes(*ask, after), after, start="origin: ")
    refused(lambda: grade_substitutes(*ask, 5, 54), "54", start="neighbours: ")
    refused(lambda: grade_substitutes(*ask, 5, 0), "0", start="neighbours: ")
    for shifts in (0, -1, 1.5):
        refused(lambda: grade_substitutes(*ask, shifts, 3), shifts, start="shifts: ")
    first = Windows(windows.log, TRAIN, 20, 20)
    ask = (model, first, habits)
    refused(lambda: find_substitutes(*ask, list_plans(first)[0]), "nobody is free")


def test_states_find_who_comes_at_the_same_minute(model, windows, habits):
    grades = grade_substitutes(model, windows, habits, shifts=80, neighbours=3).set_index("way")
    assert list(grades.index) == ["states", "counts", "minutes", "reader", "random", "best"]
    minute, error = grades["minute"], grades["minute_error"]
    assert abs(minute["random"] - 0.25) < 0.05
    assert minute["states"] > minute["counts"] + 4 * error["states"]
    assert minute["best"] > minute["reader"] > minute["counts"] + 0.3
    assert minute["states"] < minute["reader"] + 0.05
    # Of what is drawn by lot they know nothing; who knows the grade does.
    keys = grades["keys"]
    assert abs(keys["states"] - keys["random"]) < 3 * grades["keys_error"]["states"]
    assert keys["best"] > 3 * keys["random"]
    chance = 4 / 18 + 1 / 8  # of eighteen leads, sites, projects and jobs, and eight hours
    assert abs(keys["random"] - chance) < 0.05
    parts = grades.loc["states", list(SHARED)].astype(float)
    assert abs(parts.sum() - keys["states"]) < 1e-9
    assert (grades["shifts"] == grades["shifts"].iloc[0]).all()


# -- probes


def test_each_state_remembers_the_habit_of_its_own_key(model, run, habits):
    table = grade_probes(model, run.data.windows, habits, 1500, 500, 1000)
    assert len(table) == 6 * 7 and not table.isna().any(axis=None)
    own = table[table["habit"] == table["state"]]
    assert own["habit"].tolist() == list(HABITS)
    assert (own["known"] > 0.25).all() and (own["accuracy"] > 2 / own["values"]).all()
    assert (own["reader_known"] > own["known"] + 0.02).all()
    others = table[(table["habit"] != table["state"]) & (table["habit"] != "Time")]
    assert (others["known"] < 0.12).all()
    assert (others["reader_known"] > 0.2).all()  # the origin ends every history
    np.testing.assert_allclose(table["known"], 1 - table["loss"] / np.log(table["values"]))
    assert own.set_index("habit").loc["JobCode", "windows"] < 1000  # withdrawn jobs have no key


def test_a_probe_reads_what_is_there_and_says_guessing_of_noise():
    rng = np.random.default_rng(0)
    parts, noise = {}, {}
    for part in (TRAIN, VALIDATION, TEST):
        habit = rng.integers(-1, 3, 600)  # -1: no key
        parts[part] = (rng.normal(size=(600, 4)) + 4 * np.eye(3, 4)[habit.clip(0)], habit)
        noise[part] = (rng.normal(size=(600, 4)), habit)
    truth = parts[TEST][1][parts[TEST][1] >= 0]
    p, _ = fit_probe(parts, 3)
    assert p.shape == (len(truth), 3)
    assert judge(p, truth)[0].mean() > 0.95
    p, penalty = fit_probe(noise, 3)
    assert penalty == 0.03 and abs(judge(p, truth)[1].mean() - np.log(3)) < 0.03


def test_a_probe_needs_two_habits_in_training_and_some_in_each_part(model, run, habits):
    x, two = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    one, none = np.zeros(4, int), np.full(4, -1)
    for of_training, of_validation in ((one, two), (none, two), (two, none)):
        parts = {TRAIN: (x, of_training), VALIDATION: (x, of_validation), TEST: (x, two)}
        refused(lambda: fit_probe(parts, 3), "too few windows")
    refused(lambda: grade_probes(model, run.data.windows, habits, 9, 0, 9), start="validation: ")


def test_a_value_that_training_never_has_costs_much_but_not_without_limit():
    x = np.linspace(-1, 1, 40)[:, None]
    seen, unseen = (x, (x[:, 0] > 0).astype(int)), (x, np.full(40, 2))
    p, _ = fit_probe({TRAIN: seen, VALIDATION: seen, TEST: unseen}, 3)
    losses = judge(p, unseen[1])[1]
    assert np.isfinite(losses).all() and (losses > 10).all()


def test_errors_are_those_of_the_weeks():
    rng = np.random.default_rng(0)
    weeks = np.repeat(np.datetime64("2023-01-02", "W") + np.arange(30), 20)
    of_week = np.repeat(rng.normal(size=30), 20)
    error = measure_error(np.stack([of_week, rng.normal(size=600)], 1), weeks)
    assert error[0] == pytest.approx(of_week.std() / np.sqrt(30), rel=0.01)
    assert error[1] == pytest.approx(1 / np.sqrt(600), rel=0.3)
