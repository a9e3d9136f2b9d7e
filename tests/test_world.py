"""The simulated workplace: its probabilities, its floors, its events, and the log of them."""

import copy
import itertools
import math
import random
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import world
from helpers.schema import CATEGORY_NAMES
from helpers.support.errors import InputError
from helpers.tools.simulate import export
from helpers.world import (
    Calendar,
    Causes,
    Choice,
    Outcome,
    Workplace,
    draw,
    favour,
    happen,
    hire,
    next_outcomes,
    roll_out,
    simulate,
    spread_minutes,
)

SMALL = Workplace(employees=20, days=20)
FOLLOWS = {  # what a time clock can record after each event
    "punch_in": {"break_start"},
    "break_start": {"break_end"},
    "break_end": {"shift_scheduled"},
    "shift_scheduled": {"punch_out"},
    "punch_out": {"timesheet_submitted"},
    "timesheet_submitted": {"timesheet_approved", "timesheet_mended"},
    "timesheet_approved": {"punch_in", "job_transfer"},
    "timesheet_mended": {"punch_in", "job_transfer"},
    "job_transfer": {"punch_in"},
}


@pytest.fixture(scope="module")
def exported():
    return export(SMALL, progress=False)


@pytest.fixture(scope="module")
def steps():
    """(outcomes, event, floors) of every step of a simulation, as it took them itself."""
    steps, true_floors = [], world.measure_floors

    def watch(outcomes, event):
        steps.append((outcomes, event, true_floors(outcomes, event)))
        return steps[-1][-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "measure_floors", watch)
        for _ in simulate(SMALL, progress=False):
            pass
    return steps


@pytest.fixture(scope="module")
def reached():
    """(person, causes) in which a simulation could be, a few for each last event."""
    rng, calendar = random.Random(5), Calendar(SMALL)
    causes = Causes(SMALL, rng)
    found = defaultdict(list)
    for person in hire(SMALL, causes, rng):
        for step in range(60):
            if len(found[person.last]) < 4:
                found[person.last].append((copy.deepcopy(person), copy.deepcopy(causes)))
            happen(person, draw(next_outcomes(person, causes, calendar), rng))
            if step % 10 == 0:
                causes.change(rng)
    assert set(found) == set(FOLLOWS)
    return [state for states in found.values() for state in states]


def expanded(outcomes):
    """Category -> value -> probability, from every single event that can come next."""
    chances = {category: Counter() for category in CATEGORY_NAMES}
    for p, event, choices in outcomes:
        for values in itertools.product(*(choice.table.items() for choice in choices.values())):
            whole = event | dict(zip(choices, (value for value, _ in values), strict=True))
            chance = p * math.prod(q for _, q in values)
            for category in CATEGORY_NAMES:
                chances[category][whole[category]] += chance
    return chances


def test_probabilities_sum_to_one_in_every_state_reached(steps):
    for outcomes, _, _ in steps:
        assert math.isclose(sum(outcome.p for outcome in outcomes), 1.0)
        assert all(outcome.p > 0 for outcome in outcomes)
        for choice in {id(c): c for outcome in outcomes for c in outcome.choices.values()}.values():
            assert math.isclose(sum(choice.table.values()), 1.0)
            assert min(choice.table.values()) >= 0


def test_floors_are_those_of_the_fully_expanded_product(steps):
    seen = Counter()
    for outcomes, event, floors in reversed(steps):
        seen[event["EventType"]] += 1
        if seen[event["EventType"]] <= 4:
            chances = expanded(outcomes)
            for category, floor in zip(CATEGORY_NAMES, floors, strict=True):
                assert math.isclose(
                    floor, -math.log(chances[category][event[category]]), abs_tol=1e-9
                ), category
    assert set(seen) == set(FOLLOWS)


def test_sampled_frequencies_agree_with_the_list(reached):
    rng, calendar, draws = random.Random(11), Calendar(SMALL), 1500
    for person, causes in reached[::2]:
        counts = {category: Counter() for category in CATEGORY_NAMES}
        for _ in range(draws):
            event = draw(next_outcomes(person, causes, calendar), rng)
            for category in CATEGORY_NAMES:
                counts[category][event[category]] += 1
        for category, chances in expanded(next_outcomes(person, causes, calendar)).items():
            assert counts[category].keys() <= {value for value, p in chances.items() if p > 0}
            for (
                value,
                p,
            ) in chances.items():  # 5 standard deviations and one draw, for some thousand values
                assert (
                    abs(counts[category][value] - draws * p)
                    <= 5 * math.sqrt(draws * p * abs(1 - p)) + 1
                ), (category, value)


def test_every_value_is_drawn_for_its_share_of_the_random_numbers():
    even, steps = SimpleNamespace(), 2000
    fair = Choice({"a": 0.25, "b": 0.6, "c": 0.15})
    outcomes = [Outcome(p, {"kind": kind}, {}) for kind, p in fair.table.items()]
    counts = Counter(), Counter()
    for i in range(steps):
        even.random = lambda i=i: (i + 0.5) / steps
        counts[0][fair.draw(even)] += 1
        counts[1][draw(outcomes, even)["kind"]] += 1
    assert counts[0] == counts[1] == {"a": 500, "b": 1200, "c": 300}


def test_a_roll_out_leaves_the_person_alone(reached):
    for person, causes in reached:
        before = copy.deepcopy(person)
        assert len(roll_out(person, causes, Calendar(SMALL), 12, random.Random(3))) == 12
        assert person == before


def test_a_roll_out_takes_only_possible_steps(reached):
    calendar = Calendar(SMALL)
    for person, causes in reached:
        person = copy.deepcopy(person)
        for event in roll_out(person, causes, calendar, 12, random.Random(3)):
            assert any(
                all(
                    o.choices[c].table.get(event[c], 0) > 0
                    if c in o.choices
                    else o.event[c] == event[c]
                    for c in event
                )
                for o in next_outcomes(person, causes, calendar)
            )
            happen(person, event)


def test_a_roll_out_differs_with_the_seed_and_repeats_with_it(reached):
    person, causes = reached[0]
    one, same, other = (
        roll_out(person, causes, Calendar(SMALL), 12, random.Random(seed)) for seed in (1, 1, 2)
    )
    assert one == same != other


def test_all_event_types_in_possible_order_at_increasing_times(exported):
    log, _ = exported
    assert set(log.event_type) == set(world.EVENT_TYPES) == set(FOLLOWS) and len(FOLLOWS) == 9
    assert log.event_time.is_monotonic_increasing
    for _, own in log.groupby("recipient"):
        assert own.event_type.iloc[0] in FOLLOWS["timesheet_approved"]
        assert all(after in FOLLOWS[before] for before, after in itertools.pairwise(own.event_type))
        assert (own.event_time.diff().dropna() > pd.Timedelta(0)).all()


def test_no_event_is_past_midnight(exported):
    log, _ = exported
    for event, _ in simulate(SMALL, progress=False):
        assert 0 <= event["Time_Event_Hour"] < 24 and 0 <= event["Time_Event_Minute"] < 60
    ahead = log.reference_time.dt.normalize() - log.event_time.dt.normalize()
    planned = log.event_type == "shift_scheduled"
    assert (ahead[~planned] == pd.Timedelta(0)).all()  # all of a shift happens on its own day
    assert set(ahead[planned]) == {pd.Timedelta(days=days) for days in (1, 2, 3)}


def test_a_shift_takes_eight_hours_of_the_clock_on_one_day_and_its_hours_name_its_crew(exported):
    log, _ = exported
    shift = log[log.event_type != "shift_scheduled"]
    after = (
        shift.event_time.dt.floor("h") - shift.reference_time.dt.floor("h")
    ).dt.total_seconds() / 3600
    assert set(after) == {0, 4, 8} and max(world.START_HOURS) + 8 < 24
    assert (
        shift.event_time.dt.hour % world.CREWS == shift.reference_time.dt.hour % world.CREWS
    ).all()
    crews = {hour + later: hour for hour in world.START_HOURS for later in (0, 4, 8)}
    assert len(crews) == 3 * world.CREWS  # no hour belongs to two crews


def test_a_habit_is_its_favourite_and_the_others_evenly():
    assert favour(("a", "b", "c"), "b", 0.6).table == pytest.approx({"a": 0.2, "b": 0.6, "c": 0.2})
    assert favour(("a", "b", "c"), "b", 0.0).table == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5})


@pytest.mark.parametrize("late", world.LATE)
def test_minutes_are_the_kinds_place_in_the_hour_and_mostly_as_late_as_the_crew(late):
    for kind, place in world.MINUTE.items():
        table = spread_minutes(kind, late).table
        assert {m - place for m in table} == {0, 5, 10} and table[place + late] == pytest.approx(
            world.HABIT
        )


def test_every_habit_changes_in_its_share_of_hours_to_any_other_value():
    rng, hours, share = random.Random(3), 20_000, world.CHANGE / 24
    causes, went = Causes(SMALL, rng), defaultdict(Counter)
    for _ in range(hours):
        before = copy.deepcopy(causes.of)
        causes.change(rng)
        for stream, (keys, values) in causes.choices.items():
            assert set(causes.of[stream]) == set(keys) and set(causes.of[stream].values()) <= set(
                values
            )
            for key in keys:
                went[stream, key][before[stream][key], causes.of[stream][key]] += 1
    assert {stream for stream, _ in went} == {
        "Actor",
        "Location",
        "CostCode",
        "JobCode",
        "EventType",
        "Time",
    }
    for (stream, _), moves in went.items():
        changed = {move: n for move, n in moves.items() if move[0] != move[1]}
        values = causes.choices[stream][1]
        assert set(changed) == set(itertools.permutations(values, 2))
        assert abs(sum(changed.values()) - share * hours) <= 5 * math.sqrt(
            hours * share * (1 - share)
        )


def test_habits_may_change_once_an_hour(monkeypatch):
    hours, change, now = [], Causes.change, [0]
    monkeypatch.setattr(
        Causes, "change", lambda causes, rng: (hours.append(now[0]), change(causes, rng))
    )
    for event, _ in simulate(SMALL, progress=False):
        now[0] = event["day"] * 24 * 60 + event["Time_Event_Hour"] * 60 + event["Time_Event_Minute"]
    assert len(hours) == now[0] // 60  # one for each full hour up to the last event
    assert all(
        before < 60 * hour for hour, before in enumerate(hours, 1)
    )  # none before its hour has come


def test_export_has_eleven_columns_and_blanks_where_a_field_does_not_apply(exported):
    log, floors = exported
    assert list(log.columns) == [
        "event_type",
        "actor",
        "recipient",
        "location",
        "cost_code",
        "job_code",
        "approved_by",
        "is_timesheet",
        "hours_worked",
        "event_time",
        "reference_time",
    ]
    approvals = log.event_type.isin(["timesheet_approved", "timesheet_mended"])
    sheets = approvals | (log.event_type == "timesheet_submitted")
    assert (log.is_timesheet.ne("no") == sheets).all()
    known = sheets | log.event_type.isin(
        ["break_end", "punch_out"]
    )  # of the shift at hand, from the break's end on
    assert (log.hours_worked.notna() == known).all() and (log.approved_by.notna() == known).all()
    assert (log.cost_code.notna() == (log.event_type != "job_transfer")).all()
    assert (log.job_code.notna() == (log.event_type != "timesheet_submitted")).all()
    always = [
        "event_type",
        "actor",
        "recipient",
        "location",
        "is_timesheet",
        "event_time",
        "reference_time",
    ]
    assert log[always].notna().all(axis=None)
    assert log.event_time.max() < pd.Timestamp(SMALL.start) + pd.Timedelta(days=SMALL.days)
    assert floors.shape == (len(log), 17) and np.isfinite(floors).all() and (floors >= 0).all()


def test_same_seed_is_the_same_bit_for_bit_and_another_differs(exported):
    log, floors = exported
    again, floors_again = export(SMALL, progress=False)
    pd.testing.assert_frame_equal(log, again, check_exact=True)
    assert np.array_equal(floors, floors_again)
    other, _ = export(SMALL.change(seed=SMALL.seed + 1), progress=False)
    assert not log.equals(other)


def test_nearly_a_thousand_employees_work():
    workplace = Workplace(employees=999, days=4)
    log, floors = export(workplace, progress=False)
    leads = len(workplace.make_names("L"))
    assert log.recipient.nunique() == 999 - leads
    assert (
        log.actor.str.startswith("L").any()
        and log.actor[log.actor.str.startswith("L")].nunique() == leads
    )
    assert np.isfinite(floors).all()


@pytest.mark.parametrize(
    "absurd",
    [
        {"employees": 0},
        {"employees": 19},
        {"employees": 1000},
        {"employees": -3},
        {"days": 0},
        {"days": 100_000},
        {"start": "yesterday"},
        {"start": "2021-02-30"},
        {"start": "9999-12-31"},
    ],
    ids=str,
)
def test_absurd_workplaces_are_refused_in_one_line(absurd):
    ((name, value),) = absurd.items()
    with pytest.raises(InputError) as caught:
        Workplace(**absurd)
    assert (
        name in str(caught.value)
        and str(value) in str(caught.value)
        and "\n" not in str(caught.value)
    )
