"""What a run has found, as text and in words, of reports made by hand."""

import io

import numpy as np
import pandas as pd
import pytest

from helpers.support import wording
from helpers.support.baselines import BASELINES
from helpers.support.reports import ACCURACIES
from support.toy import random_log

KINDS = ["activity", "team", "hour"]


def make_report(*rows: dict, floor=np.nan) -> pd.DataFrame:
    """Of the next event and of all steps: each row a category, and the last one of means.

    A row's model loses 1 nat and is right in 0.8, its best baseline, look_back, 2 nats and 0.7.
    """
    usual = {
        "category": "",
        "size": 9,
        "ceiling": 3.0,
        "model": 1.0,
        "accuracy": 0.8,
        "best": "look_back",
    }
    usual |= {name: 2.5 for name in BASELINES} | {"look_back": 2.0}
    usual |= {name: 0.6 for name in ACCURACIES} | {"accuracy_look_back": 0.7}
    usual |= {"error": 0.1, "accuracy_error": 0.005, "behind": False, "names": True}
    usual |= {"unseen": 0.25, "unknown": 0.375, "floor": floor, "reader": floor}
    table = pd.DataFrame([usual | {"category": name} | row for name, row in zip(KINDS, rows)])
    mean = table.iloc[-1:].assign(category="mean", names=False, size=None)
    table = pd.concat([table, mean], ignore_index=True)
    table["gap"], table["unknowable"] = (
        table["model"] - table["floor"],
        table["reader"] - table["floor"],
    )
    table["unread"] = table["model"] - table["reader"]
    both = [table.assign(question=question) for question in ("next event", "all steps")]
    return pd.concat(both, ignore_index=True)


def as_read(report: pd.DataFrame) -> pd.DataFrame:
    """As report.csv gives it back."""
    return pd.read_csv(io.StringIO(report.to_csv(index=False)))


AHEAD, LEVEL = {}, {"model": 2.1, "accuracy": 0.695}
BEHIND = {"model": 2.3, "accuracy": 0.65, "behind": True}


# -- the report as text


@pytest.mark.parametrize("read", [lambda report: report, as_read], ids=["made", "read"])
def test_the_next_event_is_shown_first_with_losses_and_accuracies_of_every_baseline(read):
    said = wording.show(read(make_report(AHEAD, BEHIND)))
    parts = [part.splitlines() for part in said.split("\n\n")]
    assert [part[0] for part in parts] == [
        "Test part, the next event, losses in nats:",
        "The losses of all baselines there:",
        "How often their most likely value is the true one, and the shares of true values that are "
        "unseen or unknown:",
        "Test part, all steps of the horizon, losses in nats:",
    ]
    level, losses, accuracies, whole = (
        [line.split() for line in part[1:] if line] for part in parts
    )
    heading = ["category", "size", "ceiling", "baseline", "which", "model", "accuracy", "behind"]
    assert (
        level
        == whole
        == [
            heading,
            ["activity", "9", "3.000", "2.000", "look_back", "1.000", "0.800"],
            ["team", "9", "3.000", "2.000", "look_back", "2.300", "0.650", "behind"],
            ["mean", "3.000", "2.000", "look_back", "2.300", "0.650", "behind"],
        ]
    )
    assert losses[0] == ["category", *BASELINES, "model"]
    assert losses[2] == ["team", *["2.500"] * (len(BASELINES) - 1), "2.000", "2.300"]
    assert accuracies[0] == ["category", *BASELINES, "model", "unseen", "unknown"]
    numbers = [*["0.600"] * (len(BASELINES) - 1), "0.700", "0.800", "0.250", "0.375"]
    assert accuracies[1] == ["activity", *numbers]
    assert max(map(len, said.splitlines())) <= 140


def test_what_is_not_known_is_left_out():
    said = wording.show(make_report(AHEAD))
    assert "nan" not in said.lower() and "None" not in said and "gap" not in said
    assert "behind" not in said and "floor" in wording.show(make_report(AHEAD, floor=0.5))
    # A report of an earlier release has no accuracies of the baselines.
    old = make_report(AHEAD).drop(columns=[*ACCURACIES, "best", "behind", "unseen", "unknown"])
    assert len(wording.show(old).split("losses in nats:")) == 3


@pytest.mark.parametrize("name", ["bell\a", "red \x1b[31m", "two\nlines", "long" * 30, "<b>"])
def test_no_name_moves_the_terminal_or_makes_a_row_long(name):
    report = make_report({"category": name}, {"category": name} | BEHIND)
    values = random_log()
    values.categories = [type(one)(name, one.size) for one in values.categories]
    said = [wording.show(report), wording.verdict(report), *wording.tell_values(values)]
    assert all(letter.isprintable() for text in said for letter in text if letter != "\n")
    assert len(wording.show(report).splitlines()) == len(
        wording.show(make_report({}, {})).splitlines()
    )
    assert max(len(line) for line in said[0].splitlines()) <= 150


# -- the verdict


@pytest.mark.parametrize(
    "rows, start, behind",
    [
        ([AHEAD], "The network is worth using on this log: better than any table in loss and "
         "accuracy of activity.", "0 of 1 categories."),
        ([LEVEL, AHEAD], "The network is worth using on this log: better than any table in loss "
         "and accuracy of the 2 categories of names on average.", "0 of 2 categories."),
        ([LEVEL], "The network is no better than a table on this log: use the table (look_back).\n",
         "0 of 1 categories."),
        ([BEHIND], "The network is no better than a table on this log: use the table (look_back). "
         "It is behind in loss and accuracy of activity.", "1 of 1 categories: activity."),
        ([BEHIND, AHEAD], "The network is better than any table in loss and accuracy of the 2 "
         "categories of names on average, and behind in loss and accuracy of activity.",
         "1 of 2 categories: activity."),
        ([{"accuracy": 0.6}], "The network is better than any table in loss of activity, and "
         "behind in accuracy of activity.", "0 of 1 categories."),
        ([AHEAD, BEHIND | {"names": False}], "The network is worth using on this log: better than "
         "any table in loss and accuracy of activity.", "1 of 2 categories: team."),
    ],
    ids=["ahead", "names", "level", "behind", "both", "accuracy", "a number"],
)  # fmt: skip
@pytest.mark.parametrize("read", [lambda report: report, as_read], ids=["made", "read"])
def test_a_verdict_says_whether_the_network_is_worth_using(read, rows, start, behind):
    said = wording.verdict(read(make_report(*rows)))
    assert f"{said}\n".startswith(start)
    assert said.splitlines()[-1] == f"It is behind the best table in {behind}"


@pytest.mark.parametrize(
    "ahead, error, word",
    [
        (0.3, 0.1, "better"),
        (-0.3, 0.1, "behind"),
        (0.19, 0.1, "no difference that this test can show"),
        (-0.19, 0.1, "no difference that this test can show"),
        (0.004, 0.001, "hardly a difference"),
        (-0.004, 0.001, "hardly a difference"),
    ],
)
def test_a_difference_is_judged_by_its_error_and_by_its_size(ahead, error, word):
    assert wording.judge(ahead, error) == word
    row = {"model": 2 - ahead, "error": error}
    said = wording.verdict(make_report(row)).splitlines()[1]
    figures = (
        f"loss {2 - ahead:.3f} against 2.000 of look_back: {word}; accuracy 80.0% against 70.0%"
    )
    assert said == f"The next event, activity: {figures}: better."


def test_the_gap_is_told_where_there_is_a_floor():
    said = wording.sum_up(make_report(AHEAD, floor=0.25)).splitlines()
    rest = "Of it 0.0000 nobody could know, and 0.7500 the model could have known."
    assert said == [
        f"Mean gap, all steps: 0.7500. {rest}",
        f"Mean gap, the next event: 0.7500. {rest}",
    ]
    assert wording.sum_up(make_report(AHEAD)).startswith("This log has no simulator")


# -- a log, and its durations


def test_values_that_training_cannot_tell_are_told_by_category():
    log = random_log()
    log.table[:] = 1
    assert wording.tell_values(log) == []
    log.table[240:252, 0] = 0  # of 60 test events
    log.table[:200, 1], log.unseen[:200, 1] = 0, True  # of other parts
    assert wording.tell_values(log) == ["kind is unknown or blank in 20% of the test events"]
    log.table[240:243, 1], log.unseen[240:243, 1] = 0, True
    assert wording.tell_values(log)[1] == (
        "in 5.0% of the test events other has a value that training never has, or too seldom; it "
        "is unknown or blank in 5.0%"
    )


@pytest.mark.parametrize(
    "share, said",
    [(0, "0.0%"), (1e-5, "less than 0.1%"), (0.0314, "3.1%"), (0.314, "31%"), (1, "100%")],
)
def test_shares_are_told_with_two_digits(share, said):
    assert wording.tell_share(share) == said


@pytest.mark.parametrize(
    "seconds, said",
    [(0, "0.0 seconds"), (59, "59.0 seconds"), (90, "1.5 minutes"), (5400, "1.5 hours"),
     (86_400 * 400, "400.0 days")],
)  # fmt: skip
def test_durations_are_told_in_units_of_their_size(seconds, said):
    assert wording.tell_time(seconds) == said


def test_forecasts_of_durations_are_shown():
    rows = [("model", 1200, 7200, 60, 0.8125, 86_400), ("table", 1200, 9000, 90, 0.5, 0)]
    columns = ["forecast", "events", "mean_error", "median_error", "coverage", "width"]
    title, _, *lines = wording.tell_durations(pd.DataFrame(rows, columns=columns)).splitlines()
    assert title == "How long until the next event, 1200 of the test part:"
    assert [line.split() for line in lines] == [
        ["model", "1.0", "minutes", "2.0", "hours", "81.2%", "1.0", "days"],
        ["table", "1.5", "minutes", "2.5", "hours", "50.0%", "0.0", "seconds"],
    ]
