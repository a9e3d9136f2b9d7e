"""The checks of notebook 09: what each says of the notebook's own answer, and of wrong ones."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("09_your_own_log")
UNWRITTEN = "Not done yet: your function is still to be written."


def by_counting(train, test, strangers=True, tie=min):
    """The table of order one, by loops: of equally frequent values the first in the alphabet."""

    def pick(values):
        counts = Counter(values)
        return tie(value for value in counts if counts[value] == max(counts.values()))

    of_all, right = pick(train["after"]), 0
    for before, after in zip(test["before"], test["after"]):
        known = list(train["after"][train["before"] == before])
        right += after == (pick(known) if known else of_all if strangers else None)
    return right / len(test)


def first_met(train, test):
    """Of equally frequent values the one that comes first in training."""
    return by_counting(train, test, tie=next)


def filled_from_test(train, test):
    known = by_counting(train, test, strangers=False)
    new = ~test["before"].isin(train["before"])
    return known + (test["after"][new] == test["after"].mode()[0]).sum() / len(test)


def as_text(train, test):
    return f"{by_counting(train, test):.0%}"


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("order_one"), "Right: all 4 cases agree."),
        (by_counting, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("order_one"), UNWRITTEN),
        (partial(by_counting, strangers=False), "say what is most frequent of all"),
        (lambda train, test: by_counting(test, test), "count in `train`"),
        (lambda train, test: (test["after"] == train["after"].mode()[0]).mean(), "group by"),
        (lambda train, test: by_counting(train, train), "how often it is right in training"),
        (lambda train, test: by_counting(train, test) * len(test), "the number of rows"),
        (partial(by_counting, tie=max), "say the first in the alphabet"),
        (first_met, "say the first in the alphabet"),
        (filled_from_test, "is counted in `train`, too"),
        (as_text, "gave '22%', and 0.222222 was expected."),
    ],
)
def test_order_one(said, student, words):
    assert words in said(checks.order_one, student)


def share_of(train, test, min_count, blank_too=False):
    counts = Counter(train)
    unseen = [counts[value] < min_count and (blank_too or bool(value)) for value in test]
    return np.mean(unseen)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("unseen_share"), "Right: all 3 cases agree."),
        (share_of, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("unseen_share"), UNWRITTEN),
        (partial(share_of, blank_too=True), "A blank is no unseen value"),
        (lambda train, test, least: share_of(train, test, 1), "too seldom"),
        (lambda train, test, least: share_of(train, test, least + 1), "is seen"),
        (lambda train, test, least: share_of(train, list(set(test)), least), "each event counts"),
        (lambda *case: share_of(*case) * len(case[1]), "the number of events"),
        (lambda *case: 1 - share_of(*case), "the share that training has"),
        (lambda train, test, least: len(set(train) - set(test)), "gave 1, and 0.25"),
    ],
)
def test_unseen_share(said, student, words):
    assert words in said(checks.unseen_share, student)


def of_the_longest(train, test):
    return np.mean([0.1 * max(train) <= value <= 0.9 * max(train) for value in test])


def around_the_mean(train, test):
    return np.mean(abs(test - np.mean(train)) < 1.28 * np.std(train))


def inside(train, test, low=0.1, high=0.9):
    start, end = np.quantile(train, low), np.quantile(train, high)
    return sum(start <= value <= end for value in test) / len(test)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("interval_holds"), "Right: all 4 cases agree."),
        (inside, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("interval_holds"), UNWRITTEN),
        (lambda train, test: inside(test, test), "take it from `train`"),
        (lambda train, test: 1 - inside(train, test), "the share outside"),
        (partial(inside, low=0.2, high=0.8), "holds 60 % of training"),
        (partial(inside, low=0, high=0.9), "one of its ends is open"),
        (partial(inside, low=0.05, high=0.95), "80 % leave a tenth out at either end"),
        (lambda train, test: inside(train, test) * len(test), "the number of durations"),
        (of_the_longest, "shares of the longest duration"),
        (around_the_mean, "of a bell curve"),
        (lambda train, test: 0.8, "gave 0.8, and 0.333333 was expected."),
    ],
)
def test_interval_holds(said, student, words):
    assert words in said(checks.interval_holds, student)


def one_sided(model, tables, error):
    answer = decide(model, tables, error)
    return "network" if answer == "either" else answer


def last_table(tables):
    return list(tables)[-1]


def name_of_table(model, tables, error):
    answer = decide(model, tables, error)
    return min(tables, key=tables.get) if answer == "table" else answer


def decide(model, tables, error, errors=2, level=min):
    ahead = (level(tables.values()) - model) / error
    return "network" if ahead > errors else "table" if ahead < -errors else "either"


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("worth_using"), "Right: all 8 cases agree."),
        (decide, "Right: all 8 cases agree."),
        (NOTEBOOK.stub("worth_using"), UNWRITTEN),
        (partial(decide, errors=0), "this test cannot tell the two apart"),
        (partial(decide, errors=1), "One standard error is too little"),
        (partial(decide, level=max), "the worst table"),
        (lambda model, tables, error: decide(-model, {0: -min(tables.values())}, error), "lower"),
        (partial(decide, errors=3), "larger than two standard errors: say which"),
        (partial(decide, level=last_table), "against the last table"),
        (one_sided, "on whichever side it lies"),
        (name_of_table, 'Say "table"'),
        (lambda *case: True, "your function gave True, and 'network' was expected."),
    ],
)
def test_worth_using(said, student, words):
    assert words in said(checks.worth_using, student)


def kinds_alone(mapping, seems):
    sources = mapping["categories"].values()
    return [
        source["column"]
        for source in sources
        if seems[source["column"]].split(",")[0] != source.get("kind", "name")
    ]


def all_but_kinds(mapping, seems):
    """The notebook's answer where each category's kind is made right first."""
    sources = mapping["categories"]
    kinds = {name: seems[sources[name]["column"]].split(",")[0] for name in sources}
    mended = {name: sources[name] | {"kind": kinds[name]} for name in sources}
    return misread(mapping | {"categories": mended}, seems)


def as_told(mapping, seems):
    sources = mapping["categories"].values()
    return [s["column"] for s in sources if s.get("kind", "name") != seems[s["column"]]]


def forgetful(*keys):
    """The notebook's answer to a mapping that seems to say nothing of these."""

    def student(mapping, seems):
        seems = {
            name: seen.replace(", decimal comma", "") if "decimal" in keys else seen
            for name, seen in seems.items()
        }
        columns = mapping["columns"]
        if "dates" in keys:
            columns = columns | {"Date": {"dates": "day first"}}
        return misread(mapping | {"columns": columns}, seems)

    return student


misread = NOTEBOOK.solution("misread")


@pytest.mark.parametrize(
    "student, words",
    [
        (misread, "Right: all 6 cases agree."),
        (NOTEBOOK.stub("misread"), UNWRITTEN),
        (kinds_alone, "You look at the kinds alone"),
        (all_but_kinds, "a category's kind may be wrong, too"),
        (as_told, "begins with its kind"),
        (forgetful("decimal"), "read with a decimal point"),
        (forgetful("dates"), "A date is read year first"),
        (lambda *case: sorted(misread(*case)), "the mapping's order is asked for"),
        (lambda *case: set(misread(*case)), "your function gave set"),
        (lambda mapping, seems: mapping["kinds"], "raised KeyError: 'kinds'. Not everything"),
    ],
)
def test_misread(said, student, words):
    assert words in said(checks.misread, student)
