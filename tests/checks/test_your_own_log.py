"""The checks of notebook 09: what each says of the notebook's own answer, and of wrong ones."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from checks.notebook import Notebook
from helpers import checks

NOTEBOOK = Notebook("09_your_own_log")
UNWRITTEN = "Not done yet: your function is still to be written."


def by_counting(train, test, strangers=True):
    """The table of order one, by loops: of equally frequent values the first in the alphabet."""

    def pick(values):
        return min(Counter(values).items(), key=lambda item: (-item[1], item[0]))[0]

    of_all, right = pick(train["after"]), 0
    for before, after in zip(test["before"], test["after"]):
        known = list(train["after"][train["before"] == before])
        right += after == (pick(known) if known else of_all if strangers else None)
    return right / len(test)


def as_text(train, test):
    return f"{by_counting(train, test):.0%}"


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("order_one"), "Right: all 3 cases agree."),
        (by_counting, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("order_one"), UNWRITTEN),
        (partial(by_counting, strangers=False), "say what is most frequent of all"),
        (lambda train, test: by_counting(test, test), "count in `train`"),
        (lambda train, test: (test["after"] == train["after"].mode()[0]).mean(), "group by"),
        (as_text, "gave '67%', and 0.666667 was expected."),
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
        (lambda train, test, least: len(set(test) - set(train)), "your function gave 1, and 0.5"),
    ],
)
def test_unseen_share(said, student, words):
    assert words in said(checks.unseen_share, student)


def inside(train, test, low=0.1, high=0.9):
    start, end = np.quantile(train, low), np.quantile(train, high)
    return sum(start <= value <= end for value in test) / len(test)


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("interval_holds"), "Right: all 3 cases agree."),
        (inside, "Right: all 3 cases agree."),
        (NOTEBOOK.stub("interval_holds"), UNWRITTEN),
        (lambda train, test: inside(test, test), "take it from `train`"),
        (lambda train, test: 1 - inside(train, test), "the share outside"),
        (partial(inside, low=0.2, high=0.8), "holds 60 % of training"),
        (partial(inside, low=0, high=0.9), "one of its ends is open"),
        (lambda train, test: inside(train, test) * len(test), "gave 3.0, and 0.333333"),
    ],
)
def test_interval_holds(said, student, words):
    assert words in said(checks.interval_holds, student)


def decide(model, tables, error, errors=2, level=min):
    ahead = (level(tables.values()) - model) / error
    return "network" if ahead > errors else "table" if ahead < -errors else "either"


@pytest.mark.parametrize(
    "student, words",
    [
        (NOTEBOOK.solution("worth_using"), "Right: all 6 cases agree."),
        (decide, "Right: all 6 cases agree."),
        (NOTEBOOK.stub("worth_using"), UNWRITTEN),
        (partial(decide, errors=0), "this test cannot tell the two apart"),
        (partial(decide, errors=1), "One standard error is too little"),
        (partial(decide, level=max), "the worst table"),
        (lambda model, tables, error: decide(-model, {0: -min(tables.values())}, error), "lower"),
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
        (forgetful("decimal"), "read with a decimal point"),
        (forgetful("dates"), "A date is read year first"),
        (lambda *case: sorted(misread(*case)), "the mapping's order is asked for"),
        (lambda *case: set(misread(*case)), "your function gave set"),
        (lambda mapping, seems: mapping["kinds"], "raised KeyError: 'kinds'"),
    ],
)
def test_misread(said, student, words):
    assert words in said(checks.misread, student)
