"""The baselines, and the tables that they count, against calculations by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from small import small_log

from helpers.events import TEST, TRAIN, VALIDATION, Log
from helpers.losses import fit_baselines
from helpers.support import baselines
from helpers.support.baselines import (
    BASELINES,
    LOOK_WEIGHTS,
    MARKOV,
    ORDER,
    PRIOR_WEIGHTS,
    CategoryBaseline,
    Past,
    Table,
    find_lowest,
    find_share,
    pick_greatest,
)
from support.toy import SIZES, random_log, toy_log


def list_past(log: Log) -> list[dict]:
    """What is known of each event, by definition: those before, and the last one of each kind."""
    past, before, last = [], {}, {}
    for event, s in enumerate(log.sequence):
        back = [*reversed(before.get(s, [])), *[-1] * ORDER][:ORDER]
        past.append({"before": back[0], "back": back, "last": dict(last.get(s, {}))})
        before.setdefault(s, []).append(event)
        last.setdefault(s, {})[log.table[event, 0]] = event
    return past


def pairs(log: Log) -> list[tuple]:
    """Each training event with the one before it in its sequence."""
    return [
        (log.table[one["before"]].tolist(), log.table[event].tolist())
        for event, one in enumerate(list_past(log))
        if log.part[event] == TRAIN and one["before"] >= 0
    ]


def fit(log: Log, c: int) -> CategoryBaseline:
    past = Past(log.table[:, 0], log.sequence, log.part == TRAIN)
    training = np.flatnonzero((log.part == TRAIN) & (past.before >= 0))
    return CategoryBaseline(past, log.table[:, c], training, log.categories[c].size)


def with_look_back(seed=0, n=1600) -> Log:
    """ "other" is mostly what it was at the sequence's last event of kind 1, when kind 3 is next.

    The kinds go round, 0 to 3, so the event before says nothing of it.
    """
    rng = np.random.default_rng(seed)
    sequence, table = rng.integers(0, 3, n), []
    done, at_one = [0, 0, 0], [0, 0, 0]
    for s in sequence:
        kind, other = done[s] % 4, int(rng.integers(0, 3))
        if kind == 3 and rng.random() < 0.9:
            other = at_one[s]
        if kind == 1:
            at_one[s] = other
        table.append([kind, other])
        done[s] += 1
    part = np.repeat([TRAIN, VALIDATION, TEST], [n * 6 // 10, n * 2 // 10, n * 2 // 10])
    return toy_log(table, sequence, part)


# -- what came before


@pytest.mark.parametrize("log", [random_log(), with_look_back(n=200)], ids=["random", "looking"])
def test_the_past_of_an_event_is_before_it_and_of_its_sequence(log):
    past = Past(log.table[:, 0], log.sequence, log.part == TRAIN)
    assert set(past.last) == {0, 1, 2, 3}
    for event, one in enumerate(list_past(log)):
        assert past.before[event] == one["before"]
        assert [back[event] for back in past.back] == one["back"]
        for kind, last in past.last.items():
            assert last[event] == one["last"].get(kind, -1)


def test_only_the_kinds_that_are_frequent_in_the_training_part_are_looked_at(monkeypatch):
    monkeypatch.setattr(baselines, "LOOKED_AT", 2)
    kind = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3])
    counted = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    assert list(Past(kind, np.zeros(11, int), counted).last) == [2, 1]
    every, equal = np.arange(60), np.zeros(60, int)  # of equals the first
    assert list(Past(every % 30, equal, equal == 0).last) == [0, 1]


def test_the_kinds_of_the_training_part_are_those_that_are_looked_at(monkeypatch):
    given, log = [], random_log()

    def noted(*arguments) -> Past:
        given.append(arguments)
        return Past(*arguments)

    monkeypatch.setattr("helpers.losses.Past", noted)
    fit_baselines(log)
    ((kind, sequence, counted),) = given
    assert np.array_equal(kind, log.table[:, 0]) and np.array_equal(sequence, log.sequence)
    assert np.array_equal(counted, log.part == TRAIN)


def test_a_table_counts_and_backs_off():
    table = Table(np.array([0, 0, 0, 5]), np.array([1, 1, 2, 0]), 3)
    prior = np.array([0.2, 0.3, 0.5])
    context, value = np.array([0, 0, 0]), np.array([0, 1, 2])
    expected = (np.array([0, 2, 1]) + 2 * prior) / (3 + 2)
    assert table.p(context, value, prior, 2) == pytest.approx(expected)
    never = np.array([7, 7, 7])
    assert table.p(never, value, prior, 2) == pytest.approx(prior)


# -- each baseline


def test_marginal_is_how_often_each_value_follows_an_event():
    log = random_log()
    losses = fit_baselines(log)["marginal"]
    for c, size in enumerate(SIZES):
        values = [after[c] for _, after in pairs(log)]
        of_all = len(values) + 0.5 * size
        expected = np.array([(values.count(value) + 0.5) / of_all for value in range(size)])
        assert np.exp(-losses[:, c]) == pytest.approx(expected[log.table[:, c]])


@pytest.mark.parametrize("log", [random_log(), small_log()], ids=["toy", "workplace"])
def test_copy_last_has_the_most_likely_share_of_copies(log):
    for c in range(0, len(log.categories), 4):
        base = fit(log, c)
        same = np.array([before[c] == after[c] for before, after in pairs(log)])
        chance = base.marginal[[after[c] for _, after in pairs(log)]]
        likelihoods = [
            np.log(stay * same + (1 - stay) * chance).mean()
            for stay in (base.stay, *np.linspace(0, 1 - 1e-6, 2001))
        ]
        assert likelihoods[0] >= max(likelihoods[1:]) - 1e-6


def test_the_share_of_copies_is_within_its_bounds():
    assert find_share(np.ones(5), np.full(5, 0.3)) == pytest.approx(1 - 1e-6, abs=1e-6)
    assert find_share(np.zeros(5), np.full(5, 0.3)) == pytest.approx(0, abs=1e-6)


def markov_by_hand(base: CategoryBaseline, seen: list[tuple], c: int, kind, before, value) -> list:
    """p of copy_last and of markov, counted."""
    weight_value, weight_both = base.weights[:MARKOV]
    copy_last = base.stay * (value == before) + (1 - base.stay) * base.marginal[value]
    after_value = [after[c] for old, after in seen if old[c] == before]
    after_both = [after[c] for old, after in seen if (old[0], old[c]) == (kind, before)]
    p = (after_value.count(value) + weight_value * copy_last) / (len(after_value) + weight_value)
    p = (after_both.count(value) + weight_both * p) / (len(after_both) + weight_both)
    return [copy_last, p]


def test_markov_backs_off_from_kind_and_value_to_value_to_copy_last():
    log, c = random_log(), 1
    base, seen, losses = fit(log, c), pairs(log), fit_baselines(log)
    for event, one in enumerate(list_past(log)):
        if one["before"] >= 0:
            (kind, before), value = log.table[one["before"]], log.table[event, c]
            expected = markov_by_hand(base, seen, c, kind, before, value)
            found = [np.exp(-losses[name][event, c]) for name in ("copy_last", "markov")]
            assert found == pytest.approx(expected, rel=1e-5)


def describe(log: Log, events: list[int], c: int) -> tuple:
    """Kind and value of these events; None where the sequence had not begun."""
    return tuple((log.table[e, 0], log.table[e, c]) if e >= 0 else None for e in events)


def test_back_off_goes_on_from_markov_to_two_and_three_events_before():
    log, c = with_order_three(n=400), 1
    base, losses, past = fit(log, c), fit_baselines(log), list_past(log)
    training = [e for e, one in enumerate(past) if log.part[e] == TRAIN and one["before"] >= 0]
    followed = {depth: [] for depth in range(2, ORDER + 1)}
    for event in training:
        for depth, seen in followed.items():
            seen.append((describe(log, past[event]["back"][:depth], c), log.table[event, c]))
    short = 0
    for event, one in enumerate(past):
        if one["before"] < 0:
            continue
        p, value = np.exp(-losses["markov"][event, c]), log.table[event, c]
        short += one["back"][-1] < 0
        for depth, weight in zip(range(2, ORDER + 1), base.weights[MARKOV:], strict=True):
            back = describe(log, one["back"][:depth], c)
            after = [v for known, v in followed[depth] if known == back]
            p = (after.count(value) + weight * p) / (len(after) + weight)
        assert np.exp(-losses["back_off"][event, c]) == pytest.approx(p, rel=1e-5)
    assert short  # sequences that are shorter than the order


def with_order_three(seed=0, n=3000) -> Log:
    """ "other" is mostly what it was three events before, which no shorter look can tell."""
    rng = np.random.default_rng(seed)
    sequence, table, past = rng.integers(0, 3, n), [], [[], [], []]
    for s in sequence:
        other = int(rng.integers(0, 3))
        if len(past[s]) >= ORDER and rng.random() < 0.9:
            other = past[s][-ORDER]
        past[s].append(other)
        table.append([0, other])
    part = np.repeat([TRAIN, VALIDATION, TEST], [n * 6 // 10, n * 2 // 10, n * 2 // 10])
    return toy_log(table, sequence, part)


def test_back_off_wins_where_three_events_tell_and_costs_little_where_one_does():
    log = with_order_three()
    losses, test = fit_baselines(log), log.part == TEST
    assert losses["back_off"][test, 1].mean() < 0.6 < 1 < losses["markov"][test, 1].mean()
    log = random_log(n=3000)
    losses, test = fit_baselines(log), log.part == TEST
    assert losses["back_off"][test, 1].mean() < losses["markov"][test, 1].mean() + 0.01


@pytest.mark.parametrize("log", [random_log(), with_order_three(n=400)], ids=["one", "three"])
def test_priors_are_worth_what_suits_the_last_tenth_of_training_best(log):
    c = 1
    past = Past(log.table[:, 0], log.sequence, log.part == TRAIN)
    training = np.flatnonzero((log.part == TRAIN) & (past.before >= 0))
    base, cut = fit(log, c), int(0.9 * len(training))
    early, held_out = CategoryBaseline(past, log.table[:, c], training, 3), training[cut:]
    early.count(training[:cut])

    def loss(*weights) -> float:
        early.weights = weights
        return -np.log(early.p(held_out, log.table[held_out, c], len(weights))).mean()

    markov = base.weights[:MARKOV]
    every = [(one, other) for one in PRIOR_WEIGHTS for other in PRIOR_WEIGHTS]
    assert loss(*markov) == min(loss(*one) for one in every)
    for depth in range(MARKOV, len(base.weights)):
        others = [loss(*base.weights[:depth], one) for one in PRIOR_WEIGHTS]
        assert loss(*base.weights[: depth + 1]) == min(others)
    assert len(base.weights) == ORDER + 1


@pytest.mark.parametrize("n, early", [(1, 1), (2, 1), (30, 27)])
def test_weights_are_chosen_with_the_first_nine_tenths_counted_and_then_all_is(n, early):
    counted = []

    class Noted(CategoryBaseline):
        def count(self, events: np.ndarray) -> None:
            counted.append(events.tolist())
            super().count(events)

    log = toy_log([[i % 4, i % 3] for i in range(n + 1)], [0] * (n + 1), [TRAIN] * (n + 1))
    past = Past(log.table[:, 0], log.sequence, log.part == TRAIN)
    Noted(past, log.table[:, 1], np.arange(1, n + 1), 3)
    every = list(range(1, n + 1))
    assert counted == [every[:early], every]


def test_contexts_of_many_kinds_and_values_stay_apart():
    """As 32-bit numbers their products would run over, and as 64-bit ones those of three events."""
    size, n = 2**20, 60
    rng = np.random.default_rng(0)
    kind, value = rng.integers(0, 2, (2, n)).astype(np.int32) * (size - 2)
    past = Past(kind, np.zeros(n, int), np.ones(n, bool))
    base = CategoryBaseline(past, value, np.arange(1, n), size)
    events = list(zip(kind, value))
    for depth, context in enumerate(base.contexts[1:], 1):
        known = [tuple(events[max(0, e - depth) : e]) for e in range(n)]
        assert (
            len(set(zip(context, known))) == len(set(context)) == len(set(known)) > 4 ** (depth - 1)
        )


def test_look_back_is_counted_by_kind_before_and_value_at_the_last_event_of_a_kind():
    log, c = with_look_back(), 1
    base, losses = fit(log, c), fit_baselines(log)
    assert base.looks[2][0] == 1  # before kind 3 comes kind 2, and the last event of kind 1 tells
    past, seen = list_past(log), pairs(log)
    counted = [
        (log.table[one["before"], 0], one["last"], log.table[event, c])
        for event, one in enumerate(past)
        if log.part[event] == TRAIN and one["before"] >= 0
    ]

    def looked(last: dict, kind: int) -> int:
        return log.table[last[kind], c] if kind in last else 0

    for event, one in list(enumerate(past))[::7]:
        if one["before"] < 0:
            continue
        (kind, before), value = log.table[one["before"]], log.table[event, c]
        _, p = markov_by_hand(base, seen, c, kind, before, value)
        if kind in base.looks:
            back_to, weight = base.looks[kind]
            there = looked(one["last"], back_to)
            values = [v for k, last, v in counted if (k, looked(last, back_to)) == (kind, there)]
            p = (values.count(value) + weight * p) / (len(values) + weight)
        assert np.exp(-losses["look_back"][event, c]) == pytest.approx(p, rel=1e-5)


def test_look_back_wins_where_there_is_something_to_look_back_to_and_costs_little_elsewhere():
    log = with_look_back()
    losses, test = fit_baselines(log), log.part == TEST
    third = test & (log.table[:, 0] == 3)
    assert losses["look_back"][third, 1].mean() < 0.55 < 1 < losses["markov"][third, 1].mean()
    rest = test & (log.table[:, 0] != 3)
    more = losses["look_back"][rest, 1].mean() - losses["markov"][rest, 1].mean()
    assert more < 0.02


def test_a_look_back_is_chosen_on_the_last_tenth_alone_and_not_where_it_does_not_help():
    log = with_look_back()
    base = fit(log, 1)
    for kind, (back_to, weight) in base.looks.items():
        assert kind in range(4) and back_to in range(4) and weight in LOOK_WEIGHTS
    past = base.past
    training = np.flatnonzero((log.part == TRAIN) & (past.before >= 0))
    cut = int(0.9 * len(training))
    held_out = training[cut:]
    early = CategoryBaseline(past, log.table[:, 1], training, 3)
    early.count(training[:cut])
    markov = early.p(held_out, early.value[held_out], MARKOV)
    kinds = past.kind[past.before[held_out]]
    for kind in range(4):
        here = kinds == kind
        options = {None: -np.log(markov[here]).sum()}
        for back_to in past.last:
            context = early.look(back_to, held_out)
            table = early.count_look(back_to, training[:cut])
            for weight in LOOK_WEIGHTS:
                p = table.p(context, early.value[held_out], markov, weight)
                options[back_to, weight] = -np.log(p[here]).sum()
        assert options[base.looks.get(kind)] == pytest.approx(min(options.values()))


# -- the most likely value


@pytest.mark.parametrize("at_once", [1, 2**22])
@pytest.mark.parametrize(
    "log, c",
    [(random_log(), 1), (with_look_back(), 1), (with_order_three(n=300), 1), (small_log(), 0)],
    ids=["random", "looking", "three", "workplace"],
)
def test_no_value_is_likelier_than_the_most_likely(monkeypatch, log, c, at_once):
    """Every value is tried in the place of the true one, at an event of each sequence at a time."""
    monkeypatch.setattr(baselines, "CANDIDATES", at_once)
    base, size = fit(log, c), log.categories[c].size
    truth, asked = base.value.copy(), pd.Series(np.flatnonzero(log.part == TEST))
    rounds = asked.groupby(log.sequence[asked]).cumcount()
    for turn in range(0, 30, 7):
        events = asked[rounds == turn].to_numpy()
        found, losses = base.best(events), []
        for value in range(size):
            base.value = truth.copy()
            base.value[events] = value
            losses.append(base.losses()[:, events])
        base.value = truth
        theirs = np.take_along_axis(np.stack(losses), found[None], 0)[0]
        assert np.array_equal(theirs, np.min(losses, axis=0))


def test_of_values_that_are_equally_likely_the_lowest_is_taken():
    p, whose = np.array([0.2, 0.4, 0.4, 0.4, 0.3, 0.3]), np.array([0, 0, 0, 0, 1, 1])
    assert pick_greatest(p, whose, np.array([0, 3, 2, 5, 9, 4])).tolist() == [2, 4]


def test_what_is_right_is_told_of_the_events_asked_for_alone():
    log = small_log()
    fitted, test = fit_baselines(log), np.flatnonzero(log.part == TEST)
    event = np.array([[test[3], len(log)], [test[9], test[3]]])
    log.unseen[test[9], 0] = True
    found = fitted.find_right(event)
    assert tuple(found) == BASELINES
    for number, name in enumerate(BASELINES):
        assert found[name].shape == (2, 2, len(log.categories)) and not found[name][0, 1].any()
        assert np.array_equal(found[name][0, 0], found[name][1, 1])
        for c, one in enumerate(fitted.fitted):
            best = one.best(test[[3, 9]], find_lowest(log)[c])[number]
            same = best == log.table[test[[3, 9]], c]
            assert found[name][[0, 1], [0, 0], c].tolist() == [same[0], same[1] and c != 0]


def test_unknown_is_no_answer_where_no_training_event_is_blank():
    log = small_log()
    log.table[:, 1] = 1 + log.table[:, 1] % 3
    log.table[1::4, 1] = 3
    log.table[::2, 1] = 0  # so that 0 is the most frequent, and 3 the most frequent name
    log.unseen[::2, 1] = True
    assert find_lowest(log)[1] == 1
    best = fit_baselines(log).fitted[1].best(np.arange(len(log)), 1)
    assert (best > 0).all() and (best[0] == 3).all()  # the first is of the marginal
    log.unseen[np.flatnonzero(log.part == TEST), 1] = False  # blanks that training never has
    assert find_lowest(log)[1] == 1
    log.unseen[np.flatnonzero(log.part == TRAIN)[::2], 1] = False  # blank, and so an answer
    assert find_lowest(log)[1] == 0


# -- what all of them keep to


def with_values(log: Log, event: int) -> list[Log]:
    """The log as it is, and with every other value of "other" at one event."""
    logs = []
    for value in range(SIZES[1]):
        table = log.table.copy()
        table[event, 1] = value
        logs.append(dataclasses.replace(log, table=table))
    return logs


def test_probabilities_add_up_to_one_whatever_came_before():
    """Of an event of the test part, on which no table is counted, each value has its share."""
    log = with_look_back(n=400)
    for event in np.flatnonzero(log.part == TEST)[::9]:
        every = [fit_baselines(other) for other in with_values(log, event)]
        for name in BASELINES:
            p = [np.exp(-losses[name][event, 1]) for losses in every]
            assert sum(p) == pytest.approx(1, abs=1e-5), name


def test_an_event_is_not_told_by_itself_nor_by_a_later_one():
    log = with_look_back(n=400)
    before = fit_baselines(log)
    for event in np.flatnonzero(log.part == TEST)[::9]:
        for other in with_values(log, event):
            after = fit_baselines(other)
            for name in BASELINES:
                assert np.array_equal(after[name][:event], before[name][:event])
        # The event's own loss depends on its value, and on nothing that came after it.
        table = log.table.copy()
        table[event + 1 :] = (table[event + 1 :] + 1) % SIZES
        after = fit_baselines(dataclasses.replace(log, table=table))
        for name in BASELINES:
            assert np.array_equal(after[name][: event + 1], before[name][: event + 1])


@pytest.mark.parametrize("part, looks", [(TRAIN, True), (VALIDATION, False), (TEST, False)])
def test_baselines_count_the_training_part_alone(part, looks):
    for log in (random_log(), with_look_back()):
        table = log.table.copy()
        table[log.part == part] = (table[log.part == part] + 1) % SIZES
        changed = dataclasses.replace(log, table=table)
        training = log.part == TRAIN
        for c in range(len(SIZES)):
            base, other = fit(log, c), fit(changed, c)
            same = [np.array_equal(base.marginal, other.marginal), base.stay == other.stay]
            same += [base.weights == other.weights, base.looks == other.looks]
            if not looks:
                assert all(same)
                losses = base.losses()[:, training], other.losses()[:, training]
                assert np.array_equal(*losses)
            else:
                assert not all(same)


def test_of_a_sequence_s_first_event_all_give_the_marginal():
    log = random_log()
    losses, past = fit_baselines(log), list_past(log)
    first = [event for event, one in enumerate(past) if one["before"] < 0]
    assert len(first) == 3
    for name in BASELINES:
        assert np.array_equal(losses[name][first], losses["marginal"][first])


def test_every_event_and_category_has_its_losses_by_name():
    log = small_log()
    losses = fit_baselines(log)
    assert tuple(losses) == BASELINES
    for one in losses.values():
        assert one.shape == log.table.shape and one.dtype == np.float32
        assert np.isfinite(one).all() and (one >= 0).all()
    test = log.part == TEST
    marginal, copy_last, markov, back_off, look_back = (one[test].mean() for one in losses.values())
    assert back_off < markov < copy_last < marginal and look_back < markov


def test_markov_knows_what_always_follows():
    n = 1200
    log = toy_log([[i % 4, (i % 4) // 2] for i in range(n)], [0] * n, [TRAIN] * n)
    losses = fit_baselines(log)
    for c in range(2):
        assert losses["markov"][1:, c].mean() < 0.01 < 0.6 < losses["marginal"][1:, c].mean()


def test_a_log_of_two_events_has_baselines():
    losses = fit_baselines(toy_log([[0, 0], [1, 1], [1, 2]], [0, 0, 1], [TRAIN, TRAIN, TEST]))
    assert all(np.isfinite(one).all() for one in losses.values())
