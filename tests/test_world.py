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
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.errors import InputError
from helpers.tools.simulate import COLUMNS, export
from helpers.world import (
    FOLLOWED,
    HABITS,
    KEYS,
    Calendar,
    Causes,
    Choice,
    Outcome,
    Workplace,
    draw,
    favour,
    hire,
    measure_floors,
    name_deciders,
    next_outcomes,
    roll_out,
    simulate,
)

SMALL = Workplace(employees=20, days=20)
SHEETS = {"timesheet_submitted", "timesheet_approved", "timesheet_mended"}
FOLLOWS = {  # what a time clock can record after each event
    "shift_scheduled": {"job_transfer", "punch_in"},
    "job_transfer": {"punch_in"},
    "punch_in": {"break_start"},
    "break_start": {"break_end"},
    "break_end": {"punch_out"},
    "punch_out": {"timesheet_submitted"},
    "timesheet_submitted": {"timesheet_approved", "timesheet_mended"},
    "timesheet_approved": {"shift_scheduled"},
    "timesheet_mended": {"shift_scheduled"},
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
    """(last event, causes) in which a simulation could be, a few for each kind of last event."""
    rng, calendar = random.Random(5), Calendar(SMALL)
    causes = Causes(SMALL, rng)
    found = defaultdict(list)
    for last in hire(causes, calendar):
        for step in range(60):
            if len(found[last["EventType"]]) < 4:
                found[last["EventType"]].append((last, copy.deepcopy(causes)))
            last = draw(next_outcomes(last, causes, calendar), rng)
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
    for last, causes in reached[::2]:
        counts = {category: Counter() for category in CATEGORY_NAMES}
        for _ in range(draws):
            event = draw(next_outcomes(last, causes, calendar), rng)
            for category in CATEGORY_NAMES:
                counts[category][event[category]] += 1
        for category, chances in expanded(next_outcomes(last, causes, calendar)).items():
            assert counts[category].keys() <= {value for value, p in chances.items() if p > 0}
            # 5 standard deviations and one draw, for some thousand values
            for value, p in chances.items():
                reach = 5 * math.sqrt(draws * p * abs(1 - p)) + 1
                assert abs(counts[category][value] - draws * p) <= reach, (category, value)


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


def test_a_roll_out_changes_neither_the_last_event_nor_the_habits(reached):
    for last, causes in reached:
        before, habits = copy.deepcopy(last), copy.deepcopy(causes.of)
        assert len(roll_out(last, causes, Calendar(SMALL), 12, random.Random(3))) == 12
        assert last == before and causes.of == habits


def is_possible(event: dict, outcomes: list[Outcome]) -> bool:
    """Whether one of the outcomes can become this event, every category of it."""

    def fits(outcome: Outcome) -> bool:
        fixed = outcome.event.items() - {(name, outcome.event[name]) for name in outcome.choices}
        drawn = [table.table.get(event[name], 0) for name, table in outcome.choices.items()]
        return fixed <= event.items() and all(drawn)

    return any(map(fits, outcomes))


def test_a_roll_out_takes_only_possible_steps(reached):
    calendar = Calendar(SMALL)
    for last, causes in reached:
        for event in roll_out(last, causes, calendar, 12, random.Random(3)):
            assert is_possible(event, next_outcomes(last, causes, calendar))
            last = event


def test_a_roll_out_differs_with_the_seed_and_repeats_with_it(reached):
    last, causes = reached[0]
    one, same, other = (
        roll_out(last, causes, Calendar(SMALL), 12, random.Random(seed)) for seed in (1, 1, 2)
    )
    assert one == same != other


def test_the_state_of_an_employee_is_the_last_event_as_the_log_shows_it_and_its_day():
    for event, *_ in simulate(SMALL, progress=False):
        assert set(event) == {*CATEGORY_NAMES, "day", "reference_day"}


def test_all_event_types_in_possible_order_at_increasing_times(exported):
    log, _ = exported
    assert set(log.event_type) == set(world.EVENT_TYPES) == set(FOLLOWS) and len(FOLLOWS) == 9
    assert log.event_time.is_monotonic_increasing
    for _, own in log.groupby("recipient"):
        assert own.event_type.iloc[0] == "shift_scheduled"
        assert all(after in FOLLOWS[before] for before, after in itertools.pairwise(own.event_type))
        # A timesheet is written and approved in the minute of the punch out.
        at_once = own.event_type.isin(SHEETS)
        passed = own.event_time.diff()
        assert (passed[at_once] == pd.Timedelta(0)).all()
        assert (passed[~at_once].dropna() > pd.Timedelta(0)).all()


def test_a_shift_is_of_one_day_and_its_events_of_the_hours_and_minutes_that_they_tell(exported):
    log, _ = exported
    time, reference = log.event_time.dt, log.reference_time.dt
    assert (time.normalize() == reference.normalize()).all()
    assert set(reference.hour) == set(world.START_HOURS)

    def at(*kinds: str) -> pd.Series:
        return log.event_type.isin(kinds)

    before = at("shift_scheduled", "job_transfer")
    assert (time.hour[before] == reference.hour[before] - 1).all()
    assert (time.minute[at("shift_scheduled")] == world.PLANNED).all()
    assert (time.minute[at("job_transfer")] == world.TRANSFERRED).all()
    assert (time.hour[at("punch_in")] == reference.hour[at("punch_in")]).all()
    assert (time.hour[at("break_start")] == world.BREAK_START).all()
    assert (time.hour[at("break_end")] == world.BREAK_END).all()
    assert (reference.minute[before] == 0).all() and (reference.minute[~before] > 0).all()
    assert set(time.hour[at("punch_out", *SHEETS)]) == {15, 16, 17, 18}
    # The hour of a shift's events is that of no other kind's, so none is before the one before it.
    assert max(world.START_HOURS) < world.BREAK_START < world.BREAK_END < 15


def test_a_shift_keeps_its_keys_and_shows_what_was_drawn_for_it(exported):
    log, _ = exported
    shift = (log.event_type == "shift_scheduled").groupby(log.recipient).cumsum()
    log = log.assign(shift=shift, hour=log.event_time.dt.hour, minute=log.event_time.dt.minute)
    log["reference_minute"] = log.reference_time.dt.minute
    columns = {category: column for column, category in COLUMNS.items()}
    columns |= {"Time_Event_Hour": "hour", "Time_Event_Minute": "minute"}
    columns |= {"Time_Reference_Hour": "start", "Time_Reference_Minute": "reference_minute"}
    log["start"] = log.reference_time.dt.hour

    def count_values(category: str, rows: pd.Series) -> set[int]:
        """How many values the shifts have in these rows, blanks left out."""
        return set(log[rows].groupby(["recipient", "shift"])[columns[category]].nunique())

    every = log.event_type.notna()
    # A transfer leaves the job blank until it is drawn anew.
    moved = (log.event_type == "job_transfer").groupby([log.recipient, log["shift"]]).transform(any)
    for stream, habit in HABITS.items():
        of_key = ~moved if stream == "JobCode" else every
        assert count_values(KEYS[stream], of_key) == {1}
        shown = log.event_type.isin([habit.kind, *habit.repeated])
        assert count_values(habit.category, shown) == {1}
    drawn_anew = moved & (log.event_type != "shift_scheduled")
    assert count_values("JobCodeRecordId", drawn_anew) <= {0, 1}


def test_shifts_come_after_one_two_or_three_days_and_all_else_by_lot(exported):
    log, _ = export(Workplace(employees=40, days=120), progress=False)
    plans = log[log.event_type == "shift_scheduled"]
    days = plans.groupby("recipient").event_time.apply(lambda times: times.dt.normalize().diff())
    gaps = days.dropna().dt.days.value_counts(normalize=True)
    assert gaps.to_dict() == pytest.approx(world.GAPS, abs=0.03)
    n = len(plans)
    for column, values in (("actor", 13), ("location", 13), ("cost_code", 13), ("job_code", 13)):
        counts = plans[column].value_counts()
        assert len(counts) == values
        assert (abs(counts - n / values) < 5 * math.sqrt(n / values)).all()
    starts = plans.reference_time.dt.hour.value_counts()
    assert (abs(starts - n / 8) < 5 * math.sqrt(n / 8)).all()
    kinds = log.event_type.value_counts()
    mended = kinds["timesheet_mended"] / (kinds["timesheet_mended"] + kinds["timesheet_approved"])
    assert mended == pytest.approx(world.MENDED, abs=0.03)
    assert kinds["job_transfer"] / n == pytest.approx(world.TRANSFER, abs=0.02)


def test_a_habit_is_its_favourite_and_the_others_evenly():
    assert favour(("a", "b", "c"), "b", 0.6).table == pytest.approx({"a": 0.2, "b": 0.6, "c": 0.2})
    assert favour(("a", "b", "c"), "b", 0.0).table == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5})


def test_habits_are_told_by_the_streams_and_no_two_decide_the_same_of_an_event():
    assert set(HABITS) == set(WORKPLACE.streams) - {"EventType"}
    assert {stream: WORKPLACE.streams[stream] for stream in HABITS} == KEYS
    decided = [(habit.kind, habit.category) for habit in HABITS.values()]
    assert len(set(decided)) == len(decided)
    for habit in HABITS.values():
        assert habit.category in CATEGORY_NAMES
        assert {habit.kind, *habit.repeated} <= set(FOLLOWS)
        assert len(habit.repeated) >= 2  # three events show a draw: less, a small network missed


def test_a_habit_of_the_key_decides_its_category_of_its_kind_and_of_no_other(reached):
    calendar, kinds = Calendar(SMALL), set()
    for last, causes in reached:
        for _, event, choices in next_outcomes(last, causes, calendar):
            kinds.add(event["EventType"])
            of_kind = {s: h for s, h in HABITS.items() if h.kind == event["EventType"]}
            for stream, habit in of_kind.items():
                if KEYS[stream] not in choices:  # a job that is drawn anew has none to ask yet
                    habit_now = causes.of[stream][event[KEYS[stream]]]
                    table = choices[habit.category].table
                    assert table.pop(habit_now) == pytest.approx(FOLLOWED)
                    rest = (1 - FOLLOWED) / (len(causes.values[stream]) - 1)
                    assert list(table.values()) == pytest.approx([rest] * len(table))
                    table[habit_now] = FOLLOWED
            by_lot = set(choices) - {habit.category for habit in of_kind.values()}
            assert not by_lot or event["EventType"] in ("shift_scheduled", "punch_in")
            places = [i for i, decider in enumerate(name_deciders(event["EventType"])) if decider]
            assert {CATEGORY_NAMES[place] for place in places} == {
                habit.category for habit in of_kind.values()
            }
    assert kinds == set(FOLLOWS)


def test_deciders_are_named_by_the_place_of_their_stream():
    streams = [None, *WORKPLACE.streams]
    for kind in FOLLOWS:
        for category, decider in zip(CATEGORY_NAMES, name_deciders(kind), strict=True):
            of_this = [s for s, h in HABITS.items() if (h.kind, h.category) == (kind, category)]
            assert of_this == ([streams[decider]] if decider else [])


def test_every_habit_changes_in_its_share_of_hours_to_any_other_value():
    rng, hours = random.Random(3), 10_000
    causes, went = Causes(SMALL, rng), defaultdict(Counter)
    for _ in range(hours):
        before = copy.deepcopy(causes.of)
        causes.change(rng)
        for stream, values in causes.values.items():
            assert set(causes.of[stream]) == set(causes.keys[KEYS[stream]])
            assert set(causes.of[stream].values()) <= set(values)
            for key, now in causes.of[stream].items():
                went[stream, key][before[stream][key], now] += 1
    assert {stream for stream, _ in went} == set(HABITS)
    of_stream = defaultdict(Counter)
    for (stream, _), moves in went.items():
        share = HABITS[stream].change / 24
        changed = {move: n for move, n in moves.items() if move[0] != move[1]}
        of_stream[stream].update(changed)
        reach = 5 * math.sqrt(hours * share * (1 - share))
        assert abs(sum(changed.values()) - share * hours) <= reach
    for stream, moves in of_stream.items():
        ways = list(itertools.permutations(causes.values[stream], 2))
        even = sum(moves.values()) / len(ways)
        assert set(moves) == set(ways)
        assert all(abs(n - even) <= 5 * math.sqrt(even) for n in moves.values())


def test_habits_may_change_once_an_hour(monkeypatch):
    hours, change, now = [], Causes.change, [0]
    monkeypatch.setattr(
        Causes, "change", lambda causes, rng: (hours.append(now[0]), change(causes, rng))
    )
    for event, *_ in simulate(SMALL, progress=False):
        now[0] = event["day"] * 24 * 60 + event["Time_Event_Hour"] * 60 + event["Time_Event_Minute"]
    assert len(hours) == now[0] // 60  # one for each full hour up to the last event
    assert all(
        before < 60 * hour for hour, before in enumerate(hours, 1)
    )  # none before its hour has come


def test_export_has_eleven_columns_and_blanks_where_a_field_does_not_apply(exported):
    log, truth = exported
    assert list(log.columns) == [source.column for source in WORKPLACE.categories.values()]
    assert (log.is_timesheet.ne("no") == log.event_type.isin(SHEETS)).all()
    known = log.event_type.isin({"break_end", "punch_out", *SHEETS})  # from the break's end on
    assert (log.hours_worked.notna() == known).all() and (log.approved_by.notna() == known).all()
    assert (log.job_code.isna() == (log.event_type == "job_transfer")).all()
    blank = log.columns[log.isna().any()]
    assert set(blank) == {"hours_worked", "approved_by", "job_code"}
    assert log.event_time.max() < pd.Timestamp(SMALL.start) + pd.Timedelta(days=SMALL.days)
    floors, deciders = truth
    assert floors.shape == deciders.shape == (len(log), 17)
    assert np.isfinite(floors).all() and (floors >= 0).all()


def test_the_truth_is_of_each_row_s_own_event(exported, steps):
    log, truth = exported
    drawn = {}  # steps are in the order in which they are drawn, the log in that of time
    for _, event, floors in steps:
        drawn.setdefault(event["RecipientRecordId"], []).append((event["EventType"], floors))
    for recipient, rows in log.groupby("recipient").groups.items():
        for row, (kind, floors) in zip(rows, drawn[recipient], strict=False):
            assert log.event_type[row] == kind
            assert truth.floors[row].tolist() == floors
            assert truth.deciders[row].tolist() == name_deciders(kind)
    followed = truth.floors[truth.deciders > 0]
    assert (followed < -math.log(FOLLOWED * (1 - world.TRANSFER)) + 1e-9).mean() == pytest.approx(
        FOLLOWED, abs=0.02
    )


def test_what_is_certain_has_a_floor_of_zero():
    outcomes = [Outcome(1.0, dict.fromkeys(CATEGORY_NAMES, "a"), {})]
    floors = measure_floors(outcomes, dict.fromkeys(CATEGORY_NAMES, "a"))
    assert floors == [0.0] * 17


def test_same_seed_is_the_same_bit_for_bit_and_another_differs(exported):
    log, truth = exported
    again, truth_again = export(SMALL, progress=False)
    pd.testing.assert_frame_equal(log, again, check_exact=True)
    assert all(map(np.array_equal, truth, truth_again))
    other, _ = export(SMALL.change(seed=SMALL.seed + 1), progress=False)
    assert not log.equals(other)


def test_nearly_a_thousand_employees_work():
    workplace = Workplace(employees=999, days=4)
    log, truth = export(workplace, progress=False)
    assert log.recipient.nunique() == 999 - 99
    assert set(log.actor) == set(workplace.make_names("L")) and log.actor.nunique() == 333
    assert set(log.approved_by.dropna()) == set(workplace.make_names("M", per=10))
    assert np.isfinite(truth.floors).all()


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
