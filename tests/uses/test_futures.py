"""What the simulator knows of what comes next, against the simulation itself and by hand."""

import copy
import itertools
import math
import random
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from small import OWN_MAPPING, refused, small_log

from helpers.events import TEST, read_log
from helpers.schema import CATEGORY_NAMES, WORKPLACE, LogMapping
from helpers.support.baselines import find_before
from helpers.support.files import DATA, read_truth
from helpers.tools.simulate import export_all
from helpers.uses.futures import (
    CALENDAR,
    CAP,
    PLANTED,
    Drifting,
    Habits,
    coverage,
    crps,
    decode,
    draw_futures,
    encode,
    entropy,
    event_probability,
    last_event,
    list_values,
    paid_hours,
    pit,
    plant,
    possible,
    read_habits,
    true_scores,
)
from helpers.world import (
    FOLLOWED,
    GAPS,
    HABITS,
    START_HOURS,
    Causes,
    Workplace,
    draw,
    measure_floors,
    next_outcomes,
    simulate,
)

SMALL = Workplace(employees=20, days=40)  # that of the small log
COLUMN = {name: place for place, name in enumerate(CATEGORY_NAMES)}
APPROVALS = ("timesheet_approved", "timesheet_mended")


@pytest.fixture(scope="module")
def log():
    return read_log(DATA / "workplace.csv.gz", WORKPLACE)


@pytest.fixture(scope="module")
def habits():
    return read_habits()


@pytest.fixture(scope="module")
def small_habits():
    return Habits(SMALL, export_all(SMALL, progress=False)[2])


@pytest.fixture(scope="module")
def states(log, habits):
    """(origin, last event, causes) of the log, three for each kind of last event."""
    found = []
    for kind in range(1, len(log.vocabularies["EventType"])):
        events = np.flatnonzero(log.table[:, 0] == kind)
        for origin in events[[100, len(events) // 2, -100]]:
            found.append((origin, last_event(log, origin), habits.at(log.time[origin])))
    assert len(found) == 27
    return found


def kind_of(log, integers: np.ndarray) -> np.ndarray:
    return np.array(log.vocabularies["EventType"], object)[integers[..., 0]]


def expand(outcomes):
    """(event, probability) of every single event that can come next."""
    for p, event, choices in outcomes:
        for values in itertools.product(*(choice.table.items() for choice in choices.values())):
            drawn = dict(zip(choices, (value for value, _ in values), strict=True))
            yield event | drawn, p * math.prod(q for _, q in values)


# -- the hidden state


def test_habits_are_those_in_force_when_an_event_had_happened(small_habits):
    start, seen = np.datetime64(SMALL.start), set()
    for event, _, causes in simulate(SMALL, progress=False):
        time = start + np.timedelta64(event["day"], "D") + np.timedelta64(0, "m")
        time += 60 * event["Time_Event_Hour"] + event["Time_Event_Minute"]
        known = small_habits.at(time)
        assert known.of == causes.of and known.keys == causes.keys
        assert known.values == causes.values
        seen.add(str(causes.of))
    assert len(seen) > 50


def test_the_log_and_its_habits_give_the_stored_floors_of_every_category(log, habits):
    truth, before = read_truth(DATA / "workplace.csv.gz").take(log.row), find_before(log.sequence)
    events = np.flatnonzero(before >= 0)[::211]
    assert len(events) > 1000
    others = 0
    for event in events:
        last, own = last_event(log, before[event]), last_event(log, event)
        outcomes = next_outcomes(last, habits.at(log.time[before[event]]), CALENDAR)
        assert event_probability(outcomes, own) > 0
        assert measure_floors(outcomes, own) == truth.floors[event].tolist()
        # With the habits of another month the floors are others where habits decide.
        past = habits.at(max(log.time[before[event]] - np.timedelta64(60, "D"), log.time[0]))
        floors = measure_floors(next_outcomes(last, past, CALENDAR), own)
        others += floors != truth.floors[event].tolist()
    decided = (truth.deciders[events] > 0).any(1).sum()
    assert 0.3 * decided < others <= decided


def test_what_is_asked_of_habits_cannot_change_them(small_habits):
    time = np.datetime64("2021-01-20T12:00")
    before = copy.deepcopy(small_habits.at(time).of)
    small_habits.at(time).change(random.Random(0))
    small_habits.at(time).of["Time"].clear()
    assert small_habits.at(time).of == before


@pytest.mark.parametrize(
    "time", ["NaT", "2020-12-31T23:00", "2021-01-01T00:30", "2021-02-10T00:00"]
)
def test_habits_are_known_of_the_days_of_the_log_alone(small_habits, time):
    refused(lambda: small_habits.at(np.datetime64(time)), time, start="time: ")


def test_habits_of_another_log_are_refused(tmp_path):
    path = tmp_path / "workplace.csv.gz"
    path.write_bytes(b"")
    words = ["workplace.csv.gz", "fetch both anew"]
    refused(lambda: read_habits(path), *words, start=tmp_path / "habits.npz")  # there is none
    shutil.copy(DATA / "habits.npz", tmp_path)
    refused(lambda: read_habits(path), *words, start=tmp_path / "habits.npz")  # of another log
    shutil.copy(DATA / "workplace.csv.gz", tmp_path)
    assert read_habits(path).workplace == Workplace()
    (tmp_path / "habits.npz").write_bytes((DATA / "habits.npz").read_bytes()[:1000])
    refused(lambda: read_habits(path), *words, start=tmp_path / "habits.npz")  # not whole


def test_habits_take_little_room():
    assert (DATA / "habits.npz").stat().st_size < 100_000


# -- between the log and the simulator


def test_the_log_shows_the_simulator_s_own_events():
    log, shown = small_log(), 0
    events = [event for event, *_ in simulate(SMALL, progress=False)]
    for number, row in enumerate(log.row):
        if not log.unseen[number].any():
            assert last_event(log, number) == events[row]
            shown += 1
    assert shown > 2000
    some = np.flatnonzero(~log.unseen.any(1))
    assert np.array_equal(encode(log, [events[row] for row in log.row[some]]), log.table[some])


def test_an_event_that_the_log_does_not_show_whole_is_refused():
    log = small_log()
    event = int(np.flatnonzero(log.unseen.any(1))[0])
    name = CATEGORY_NAMES[int(log.unseen[event].argmax())]
    refused(lambda: last_event(log, event), name, "training", start=f"event {event}: ")


def test_events_that_the_log_has_not_are_refused():
    for event in (-1, len(small_log()), 1.5):
        refused(lambda: last_event(small_log(), event), start=f"event {event}: ")


def test_a_log_of_something_else_is_refused(tmp_path):
    path = tmp_path / "own.csv"
    rows = [f"{i % 3},{'ab'[i % 2]},1,2024-01-{i + 1:02d},2024-02-01" for i in range(20)]
    path.write_text("\n".join(["case,what,amount,when,due", *rows]))
    own = read_log(path, LogMapping(**OWN_MAPPING))
    refused(lambda: last_event(own, 3), "built-in log", start="log: ")


def test_the_event_before_is_the_last_one_of_the_sequence():
    log = small_log()
    before, last = find_before(log.sequence), {}
    for event, who in enumerate(log.sequence):
        assert before[event] == last.get(who, -1)
        last[who] = event


# -- futures


def test_futures_are_possible_and_integers_as_the_log_has_them(log, states):
    for origin, last, causes in states[::4]:
        drawn = draw_futures(log, last, causes, 12, 5, random.Random(1))
        assert drawn.shape == (5, 12, len(CATEGORY_NAMES)) and drawn.dtype == np.int32
        found, judged = possible(log, np.array([origin]), drawn[None])
        assert found.all() and judged.all()
        assert (drawn[..., COLUMN["RecipientRecordId"]] == log.table[origin, 2]).all()


def test_futures_repeat_with_the_seed_and_change_nothing(log, states):
    _, last, causes = states[0]
    before = copy.deepcopy((last, causes.of))
    one, same, other = (
        draw_futures(log, last, causes, 12, 3, random.Random(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert (last, causes.of) == before


def test_the_next_event_of_futures_follows_the_simulator_s_probabilities(log, states):
    samples, values = 2000, list_values(log)
    for _, last, causes in states[::5]:
        first = draw_futures(log, last, causes, 1, samples, random.Random(7))[:, 0]
        drawn = [decode(values, row) for row in first.tolist()]
        if last["EventType"] in APPROVALS:  # millions of plans: of these the hour
            counts = Counter(event["Time_Reference_Hour"] for event in drawn)
            chances = dict.fromkeys(START_HOURS, 1 / len(START_HOURS))
        else:
            counts = Counter(str(event) for event in drawn)
            chances = {
                str({name: event[name] for name in CATEGORY_NAMES}): p
                for event, p in expand(next_outcomes(last, causes, CALENDAR))
            }
        assert counts.keys() <= chances.keys()
        for one, p in chances.items():
            reach = 5 * math.sqrt(samples * p * abs(1 - p)) + 1
            assert abs(counts[one] - samples * p) <= reach


@pytest.fixture
def restless(monkeypatch):
    """Habits that change within days, each stream's at another pace."""
    for pace, (stream, habit) in enumerate(HABITS.items(), 1):
        monkeypatch.setitem(HABITS, stream, habit._replace(change=pace / 4))


@pytest.mark.parametrize("stream", HABITS)
def test_a_habit_that_is_looked_at_now_and_then_is_as_one_that_changes_by_the_hour(
    restless, habits, stream
):
    causes, many = habits.at(np.datetime64("2022-01-01T12:00")), 4000
    values, chance = causes.values[stream], HABITS[stream].change / 24
    step = np.full((len(values), len(values)), chance / (len(values) - 1))
    np.fill_diagonal(step, 1 - chance)  # what an hour does, by the simulator's own words
    (key, now), *_ = causes.of[stream].items()
    rng, counts = random.Random(5), Counter()
    for _ in range(many):
        drifting = Drifting(causes, 100, rng)
        drifting.bring_up(stream, key)
        assert drifting.of[stream][key] == now  # no hour has passed
        drifting.hour = 107
        drifting.bring_up(stream, key)
        middle = drifting.of[stream][key]
        drifting.hour = 130
        drifting.bring_up(stream, key)
        counts[middle, drifting.of[stream][key]] += 1
    assert causes.of[stream][key] == now
    first, then = np.linalg.matrix_power(step, 7), np.linalg.matrix_power(step, 23)
    for (a, one), (b, other) in itertools.product(enumerate(values), repeat=2):
        p = first[values.index(now), a] * then[a, b]
        assert abs(counts[one, other] - many * p) <= 5 * math.sqrt(many * p) + 1


def test_in_futures_habits_change_with_the_hours_that_pass(restless, log, states):
    origin, last, causes = next(s for s in states if s[1]["EventType"] == "timesheet_approved")
    drawn, values = draw_futures(log, last, causes, 3, 2000, random.Random(2)), list_values(log)
    habit, expected, followed = causes.of["Recipient"][last["RecipientRecordId"]], [], []
    chance = HABITS["Recipient"].change / 24
    step = np.full((4, 4), chance / 3)
    np.fill_diagonal(step, 1 - chance)
    for future in drawn.tolist():
        events = [decode(values, row) for row in future]
        (begin,) = [i for i, event in enumerate(events) if event["EventType"] == "punch_in"]
        # The punch in is drawn when the event before it happens: in the hour of the plan.
        plan, gaps = events[0], {CALENDAR.month_day[last["day"] + gap]: gap for gap in GAPS}
        days = gaps[plan["Time_Event_Month"], plan["Time_Event_Day"]]
        hours = 24 * days + plan["Time_Event_Hour"] - last["Time_Event_Hour"]
        stays = np.linalg.matrix_power(step, hours)[0, 0]
        expected.append(FOLLOWED * stays + (1 - FOLLOWED) / 3 * (1 - stays))
        followed.append(events[begin]["Time_Event_Minute"] == habit)
    spread = math.sqrt(sum(p * (1 - p) for p in expected))
    assert abs(sum(followed) - sum(expected)) < 5 * spread
    assert sum(expected) < FOLLOWED * len(drawn) - 10 * spread  # had they stayed as they were


@pytest.mark.parametrize("steps, samples", [(0, 5), (5, 0), (2.5, 5), (5, 2.5)])
def test_futures_of_nothing_are_refused(log, states, steps, samples):
    _, last, causes = states[0]
    refused(lambda: draw_futures(log, last, causes, steps, samples, random.Random(0)), "at least 1")


# -- whole events


def test_the_probability_of_a_whole_event_is_that_of_the_list_written_out(states):
    plans = 0
    for _, last, causes in states:
        outcomes = next_outcomes(last, causes, CALENDAR)
        if last["EventType"] in APPROVALS:
            event = draw(outcomes, random.Random(3))
            p = GAPS[event["day"] - last["day"]] / 8 / 20**4  # start hours, and four lots of 20
            assert event_probability(outcomes, event) == pytest.approx(p)
            plans += 1
            continue
        whole = list(expand(outcomes))
        found = [event_probability(outcomes, event) for event, _ in whole]
        assert found == pytest.approx([p for _, p in whole]) and sum(found) == pytest.approx(1)
        assert entropy(outcomes) == pytest.approx(sum(-p * math.log(p) for p in found))
    assert plans == 6


def test_the_entropy_of_a_plan_is_that_of_its_lots():
    drawn = sum(-p * math.log(p) for p in GAPS.values()) + math.log(8) + 4 * math.log(20)
    causes = Causes(Workplace(), random.Random(0))
    last = dict.fromkeys(CATEGORY_NAMES) | {"EventType": "timesheet_approved", "day": 5}
    assert entropy(next_outcomes(last, causes, CALENDAR)) == pytest.approx(drawn)


@pytest.fixture(scope="module")
def some(log, states):
    """Origins and futures of the simulator, four of each: (N,), (N, S, U, C)."""
    chosen, rng = states[::3], random.Random(4)
    drawn = [draw_futures(log, last, causes, 10, 4, rng) for _, last, causes in chosen]
    return np.array([origin for origin, _, _ in chosen]), np.stack(drawn)


def test_what_cannot_happen_is_found_and_what_follows_is_not_judged(log, some):
    origins, drawn = some
    false = drawn.copy()
    false[2, 1, 4, COLUMN["RecipientRecordId"]] += 1
    found, judged = possible(log, origins, false)
    assert found[2, 1].tolist() == [True] * 4 + [False] * 6
    assert judged[2, 1].tolist() == [True] * 5 + [False] * 5
    assert (~found).sum() == 6 and (~judged).sum() == 5  # and nowhere else
    same = possible(log, origins, torch.from_numpy(false))
    assert np.array_equal(same[0], found) and np.array_equal(same[1], judged)


@pytest.mark.parametrize("name", CATEGORY_NAMES)
def test_a_value_that_is_unknown_or_stands_for_nothing_is_impossible(log, some, name):
    origins, drawn = some
    for false in (0, 1000, -1):
        wrong = drawn[:, :, :1].copy()
        column = wrong[..., COLUMN[name]]
        blank = column == 0  # what the simulator leaves blank too
        column[:] = false
        found, judged = possible(log, origins, wrong)
        assert judged.all() and np.array_equal(found, blank if false == 0 else blank & False)


def test_possible_is_what_has_a_probability_whatever_the_habits_are(log, habits, states):
    """Every category of the true next event changed in turn, to each of some other integers."""
    before, checked = find_before(log.sequence), Counter()
    following = {last: event for event, last in enumerate(before)}
    for origin, last, causes in states:
        true = log.table[following[origin]]
        rows = []
        for column in range(len(CATEGORY_NAMES)):
            for integer in range(25):
                rows.append(true.copy())
                rows[-1][column] = integer
        found, _ = possible(log, np.array([origin]), np.array(rows)[None, :, None])
        outcomes, values = next_outcomes(last, causes, CALENDAR), list_values(log)
        for row, is_possible in zip(rows, found[0, :, 0], strict=True):
            assert is_possible == (event_probability(outcomes, decode(values, row.tolist())) > 0)
            checked[bool(is_possible)] += 1
    assert min(checked.values()) > 500


def test_a_plan_for_more_than_three_days_ahead_is_impossible(log):
    plan = int(np.flatnonzero(kind_of(log, log.table) == "shift_scheduled")[5000])
    origin = int(find_before(log.sequence)[plan])
    month, day = CALENDAR.month_day[last_event(log, origin)["day"] + 4]
    late = log.table[plan].copy()
    for part in ("Time_Event", "Time_Reference"):
        late[COLUMN[f"{part}_Month"]], late[COLUMN[f"{part}_Day"]] = month, day
    drawn = np.stack([log.table[plan], late])[None, :, None]
    assert possible(log, np.array([origin]), drawn)[0].ravel().tolist() == [True, False]


def test_futures_of_another_shape_are_refused(log, some):
    origins, drawn = some
    refused(lambda: possible(log, origins[1:], drawn), drawn.shape, start="futures must be")
    refused(lambda: possible(log, origins, drawn + 0.0), "float", start="futures must be")
    refused(lambda: paid_hours(log, drawn[0], "LocationRecordId"), start="futures must be")


# -- measures


def test_the_score_of_samples_is_that_of_the_formula():
    # E|X - y| = 1 and E|X - X'| / 2 = 1/2 * (2 * 2) / 4: of two samples 0 and 2, and the truth 1.
    assert crps(np.array([0, 2]), np.array(1)) == 0.5
    assert crps(np.array([0, 2]), np.array(5)) == 3.5
    assert crps(np.array([3.0]), np.array(5)) == 2  # a point's is its absolute error
    rng = np.random.default_rng(0)
    samples, truth = rng.integers(0, 9, (30, 4, 3)), rng.integers(0, 9, (4, 3))
    pairs = np.abs(samples[:, None] - samples[None]).mean((0, 1))
    expected = np.abs(samples - truth).mean(0) - pairs / 2
    np.testing.assert_allclose(crps(samples, truth), expected)


def test_no_forecast_scores_better_than_the_true_one():
    rng = np.random.default_rng(1)
    truth, samples = rng.normal(size=2000), rng.normal(size=(50, 2000))
    right = crps(samples, truth).mean()
    assert all(
        right < crps(other, truth).mean() for other in (samples + 0.5, 2 * samples, samples / 2)
    )


def test_the_transform_is_the_share_of_samples_below():
    samples, rng = np.array([[1, 5], [2, 5], [3, 5]]), np.random.default_rng(0)
    many = np.array([pit(samples, np.array([0, 5]), rng) for _ in range(2000)])
    assert 0 <= many[:, 0].min() < 0.01 and 0.24 < many[:, 0].max() < 0.25
    assert many[:, 1].min() < 0.01 and many[:, 1].max() > 0.99  # all are equal: anything
    assert 0.75 <= pit(samples[:, :1], np.array([9]), rng)[0] <= 1
    assert 0.5 <= pit(samples[:, :1], np.array([2.5]), rng)[0] <= 0.75
    assert 0.25 <= pit(samples[:, :1], np.array([2]), rng)[0] <= 0.75


def test_the_transform_is_even_for_a_good_forecast_of_few_values_and_few_samples():
    rng, many = np.random.default_rng(2), 20_000
    samples, truth = rng.binomial(3, 0.4, (7, many)), rng.binomial(3, 0.4, many)
    counts = np.histogram(pit(samples, truth, rng), 10, (0, 1))[0]
    assert (np.abs(counts - many / 10) < 5 * math.sqrt(many / 10)).all()
    narrow = np.histogram(pit(samples // 2, truth, rng), 10, (0, 1))[0]
    assert (np.abs(narrow - many / 10) > 5 * math.sqrt(many / 10)).any()


def test_coverage_counts_the_truths_within_the_central_interval():
    samples = np.arange(1, 101)[:, None].repeat(5, 1)  # half of it: 25 to 75
    assert coverage(samples, np.array([24, 25, 50, 75, 76]), 0.5) == 0.6
    assert coverage(samples, np.array([4, 5, 50, 95, 96]), 0.9) == 0.6
    rng = np.random.default_rng(3)
    truth = rng.normal(size=5000)
    assert coverage(rng.normal(size=(400, 5000)), truth, 0.9) == pytest.approx(0.9, abs=0.02)
    assert coverage(rng.normal(size=(400, 5000)) / 2, truth, 0.9) < 0.7


def test_intervals_are_those_of_the_share_as_it_is_written():
    samples = np.arange(1, 41)[:, None]  # one in forty may lie below, and one above
    assert coverage(samples, np.array([1]), 0.95) == coverage(samples, np.array([39]), 0.95) == 1
    assert coverage(samples, np.array([40]), 0.95) == 0


MEASURES = {
    "crps": crps,
    "pit": lambda samples, truth: pit(samples, truth, np.random.default_rng(0)),
    "coverage": lambda samples, truth: coverage(samples, truth, 0.5),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_samples_must_be_numbers_and_fit_the_truth(measure):
    for shape, of_truth in (((5, 3), (4,)), ((5, 3), (1,)), ((0, 3), (3,)), ((3, 0), (0,))):
        refused(lambda: measure(np.zeros(shape), np.zeros(of_truth)), shape, start="samples: ")
    for samples, truth in (([[1.0], [np.nan]], [1.0]), ([[1.0], [2.0]], [np.nan])):
        refused(lambda: measure(np.array(samples), np.array(truth)), "NaN", start="samples and")


@pytest.mark.parametrize("share", [0, 1, 90])
def test_a_share_is_between_0_and_1(share):
    refused(lambda: coverage(np.zeros((3, 2)), np.zeros(2), share), share, start="share must")


# -- paid hours


@pytest.fixture(scope="module")
def ahead(log):
    """Of every employee the 30 events after noon of a day: (N, 1, U, C), and that day."""
    day = np.datetime64("2023-06-01")
    last = np.searchsorted(log.time, day + np.timedelta64(12, "h"))
    own = [np.flatnonzero(log.sequence[last:] == who)[:30] + last for who in range(54)]
    return log.table[np.stack(own)][:, None], day, np.stack(own)


@pytest.mark.parametrize(
    "category, column", [("LocationRecordId", "location"), ("CostCodeRecordId", "cost_code")]
)
def test_paid_hours_are_those_of_the_log(log, ahead, category, column):
    drawn, day, events = ahead
    frame = pd.read_csv(DATA / "workplace.csv.gz", parse_dates=["event_time"])
    frame = frame.iloc[log.row[events.ravel()]]
    frame = frame[frame.event_type.isin(APPROVALS)]
    days = day + np.arange(3)
    for some, named in ((frame, None), (frame[frame.event_time.dt.normalize().isin(days)], days)):
        paid = paid_hours(log, drawn, category, named)
        expected = some.groupby(column).hours_worked.sum()
        assert paid.shape == (1, 100) and len(expected) == 20
        assert [paid[0, log.vocabularies[category].index(name)] for name in expected.index] == (
            expected.tolist()
        )
        assert paid.sum() == expected.sum()
    assert paid.sum() < paid_hours(log, drawn, category).sum()


def test_each_sample_has_its_own_hours_and_each_shift_counts_once(log, ahead):
    drawn = ahead[0]
    twice = drawn.repeat(2, 1)
    assert (np.diff(paid_hours(log, twice, "LocationRecordId"), axis=0) == 0).all()
    employee, step = np.argwhere(np.isin(kind_of(log, drawn[:, 0]), APPROVALS))[0]
    site, hours = drawn[employee, 0, step, [COLUMN["LocationRecordId"], COLUMN["HoursWorked"]]]
    twice[employee, 1, step, COLUMN["HoursWorked"]] += 4  # an hour
    twice[employee, 0, step + 1] = twice[employee, 0, step]  # approved twice over
    paid = paid_hours(log, twice, "LocationRecordId")
    plain = paid_hours(log, drawn, "LocationRecordId")[0]
    assert np.array_equal(paid[0], plain)
    assert paid[1, site] == plain[site] + 1 and paid[1].sum() == plain.sum() + 1


def test_hours_of_a_category_that_there_is_not_are_refused(log, ahead):
    refused(lambda: paid_hours(log, ahead[0], "Site"), "LocationRecordId", start="category: ")


# -- odd events


@pytest.fixture(scope="module")
def planted(log, habits):
    return plant(log, habits, 0.02, np.random.default_rng(0))


def test_odd_events_are_planted_at_their_rate_in_one_category_each(log, planted):
    table, kinds = planted
    test, changed = log.part == TEST, table != log.table
    each = round(0.02 * test.sum() / len(PLANTED))
    assert np.bincount(kinds).tolist()[1:] == [each] * len(PLANTED)
    assert not kinds[~test].any()
    assert np.array_equal(changed.sum(1), kinds > 0)
    for place, (kind, category) in enumerate(PLANTED.values(), 1):
        assert set(kind_of(log, log.table[kinds == place])) == {kind}
        assert changed[kinds == place][:, COLUMN[category]].all()
    assert (table[changed] > 0).all() and table.dtype == log.table.dtype


def false_values(log, planted, name: str):
    """(event, its true value, its planted one) of this kind."""
    table, kinds = planted
    place = list(PLANTED).index(name) + 1
    column = COLUMN[PLANTED[name][1]]
    known = list_values(log)[column]
    for event in np.flatnonzero(kinds == place):
        yield event, known[log.table[event, column]], known[table[event, column]]


def test_odd_events_are_what_they_are_said_to_be(log, habits, planted):
    day, before = log.time.astype("datetime64[D]"), find_before(log.sequence)
    sites = np.array(log.vocabularies["LocationRecordId"], object)[log.table[:, 3]]
    for event, _, false in false_values(log, planted, "a site where nobody is that day"):
        assert false not in sites[day == day[event]]
    for _, true, false in false_values(log, planted, "hours doubled"):
        assert false == 2 * true
    people = set(log.vocabularies["RecipientRecordId"][1:])
    for _, true, false in false_values(log, planted, "a colleague's badge"):
        assert false in people - {true}
    in_charge = 0
    for event, true, false in false_values(log, planted, "a manager who is not in charge"):
        project = last_event(log, event)["CostCodeRecordId"]
        manager = habits.at(log.time[before[event]]).of["CostCode"][project]
        assert false not in (true, manager)
        in_charge += true == manager
    assert 0 < in_charge < (planted[1] == 4).sum()
    hours = Counter()
    for event, true, false in false_values(log, planted, "a shift at the wrong hour"):
        assert false != true == last_event(log, before[event])["Time_Reference_Hour"]
        hours[false] += 1
    assert set(hours) == set(START_HOURS)


def test_the_same_seed_plants_the_same(log, habits, planted):
    again = plant(log, habits, 0.02, np.random.default_rng(0))
    other = plant(log, habits, 0.02, np.random.default_rng(1))
    assert all(map(np.array_equal, again, planted))
    assert not np.array_equal(other[1], planted[1])


@pytest.mark.parametrize("rate, words", [(0, "rate must"), (1.5, "rate must"), (0.9, "lower")])
def test_rates_that_cannot_be_are_refused(log, habits, rate, words):
    refused(lambda: plant(log, habits, rate, np.random.default_rng(0)), words, rate)


def test_scores_tell_what_cannot_happen_and_what_is_merely_unlikely(log, habits, planted):
    table, kinds = planted
    odd = np.flatnonzero(kinds)
    scores, expected = true_scores(log, habits, table, odd)
    manager = kinds[odd] == list(PLANTED).index("a manager who is not in charge") + 1
    assert (scores[~manager] == CAP).all()
    # Another manager of six, and the site's hours as its habit has them, or another of four.
    low, high = -math.log(0.1 / 5 * 0.9), -math.log(0.1 / 5 * 0.1 / 3)
    values = np.unique(scores[manager].round(9))
    np.testing.assert_allclose(values, [low, high])
    assert (expected < scores).all()


def test_each_event_is_judged_by_the_true_event_before_it(log, habits, planted):
    table, kinds = planted
    after = np.flatnonzero(
        np.isin(find_before(log.sequence), np.flatnonzero(kinds)) & (kinds == 0)
    )[:200]
    clean = true_scores(log, habits, log.table, after)
    assert all(map(np.array_equal, true_scores(log, habits, table, after), clean))
    assert (clean[0] < CAP).all()


def test_the_log_s_own_events_score_on_average_what_is_expected(log, habits):
    events = np.flatnonzero(log.part == TEST)[::9]
    scores, expected = true_scores(log, habits, log.table, events)
    above = scores - expected
    assert (scores < 18).all() and above.std() > 0.3
    assert abs(above.mean()) < 4 * above.std() / math.sqrt(len(above))


def test_an_event_that_none_comes_before_has_no_score(log, habits):
    refused(lambda: true_scores(log, habits, log.table, np.array([0])), start="event 0: ")


def test_no_event_that_can_happen_reaches_the_cap():
    causes = Causes(Workplace(employees=999), random.Random(0))
    last = dict.fromkeys(CATEGORY_NAMES) | {"EventType": "timesheet_approved", "day": 5}
    least = min(
        p * math.prod(min(choice.table.values()) for choice in choices.values())
        for p, _, choices in next_outcomes(last, causes, CALENDAR)
    )
    assert -math.log(least) < 29 < CAP
