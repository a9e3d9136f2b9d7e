"""The checks of notebook 09_your_own_log."""

from functools import partial

import numpy as np
import pandas as pd

from helpers.checks.verdicts import compare


def order_one(student):
    """Exercise 09.1: how often the table of order one names the next value, counted in training."""

    def most_frequent(values):
        return values.mode().iloc[0]  # of equally frequent ones the first in the alphabet

    def right(train, test, by="before", counted="after"):
        usual = train.groupby(by)[counted].agg(most_frequent)
        said = test[by].map(usual).fillna(most_frequent(train[counted]))
        return float((said == test[counted]).mean())

    def counted_in_test(train, test):
        return right(test, test)

    def without_before(train, test):
        return float((most_frequent(train["after"]) == test["after"]).mean())

    def strangers_wrong(train, test):
        usual = train.groupby("before")["after"].agg(most_frequent)
        return float((test["before"].map(usual) == test["after"]).mean())

    def strangers_left_out(train, test):
        return right(train, test[test["before"].isin(train["before"])])

    def pairs(text):
        return pd.DataFrame([pair.split(">") for pair in text.split()], columns=["before", "after"])

    cases = [
        (pairs("b>b c>c a>b c>c c>a b>b c>c b>c"), pairs("a>a d>c a>b a>a d>c d>c")),
        (pairs("a>b a>b a>c b>c b>c b>a c>a c>a"), pairs("a>b a>c b>c c>a c>b b>c")),
        (pairs("a>b a>b b>c b>c b>c c>a"), pairs("a>b d>c d>b e>c a>b b>a")),
    ]
    backwards = partial(right, by="after", counted="before")
    mistakes = {
        "That is counted in the test part, which nobody has at that time; "
        "count in `train`.": counted_in_test,
        "That says the same whatever came before: group by `before`.": without_before,
        "Where training never had what came before, "
        "say what is most frequent of all.": strangers_wrong,
        "You leave out the rows whose `before` training never had; they count.": strangers_left_out,
        "That says what came before; what comes after was asked for.": backwards,
    }
    compare(student, right, cases, mistakes)


def unseen_share(student):
    """Exercise 09.2: the share of test events whose value training has never, or too seldom."""

    def right(train, test, min_count=2, blank_too=False, among=len):
        known = [value for value in set(train) if list(train).count(value) >= min_count]
        unseen = [value for value in test if value not in known and (blank_too or value != "")]
        return len(unseen) / among(test)

    def of_values(train, test, min_count=2):
        return right(train, sorted(set(test)), min_count)

    def ever_seen(train, test, min_count=2):
        return right(train, test, 1)

    def seen_more(train, test, min_count=2):
        return right(train, test, min_count + 1)

    def count_filled(values):
        return sum(value != "" for value in values)

    cases = [
        (["a", "a", "b", "b", "c"], ["a", "b", "d", "d"], 1),
        (["a", "a", "b", "b", "c"], ["a", "b", "c", "d", "d"], 2),
        (["a", "a", "b", "b", "b", "c", "c"], ["a", "a", "", "", "b", "c", "d", "d"], 3),
    ]
    mistakes = {
        "That is the share of the different values; each event counts.": of_values,
        "A blank is no unseen value: nothing is there to be seen.": partial(right, blank_too=True),
        "Of all test events the share was asked for, the blank ones too.": partial(
            right, among=count_filled
        ),
        "A value that training has too seldom, `min_count` says how often, is unseen, "
        "too.": ever_seen,
        "A value that training has just `min_count` times is seen.": seen_more,
    }
    compare(student, right, cases, mistakes)


def interval_holds(student):
    """Exercise 09.3: how many test durations lie in the 80 % interval of the training ones."""

    def right(train, test, low=0.1, high=0.9):
        start, end = np.quantile(train, [low, high])
        return float(np.mean((start <= test) & (test <= end)))

    def from_test(train, test):
        return right(test, test)

    def from_both(train, test):
        return right(np.concatenate([train, test]), test)

    def outside(train, test):
        return 1 - right(train, test)

    def without_ends(train, test):
        start, end = np.quantile(train, [0.1, 0.9])
        return float(np.mean((start < test) & (test < end)))

    cases = [
        (np.arange(11.0), np.array([31.0, 1.0, 8.0, 0.5, 9.5, 31.0, 11.0, 0.5, 1.5])),
        (np.arange(11.0), np.array([1.0, 9.0, 5.0, 12.0, 20.0])),
        (np.arange(21.0), np.array([1.0, 1.5, 3.0, 19.0, 25.0, 30.0, 40.0, 19.5])),
    ]
    mistakes = {
        "The interval is the test part's own; take it from `train`.": from_test,
        "The interval is of both parts together; take it from `train`.": from_both,
        "That is the share outside; the one inside was asked for.": outside,
        "That interval holds 60 % of training: 80 % lie between the shares 0.1 and 0.9.": partial(
            right, low=0.2, high=0.8
        ),
        "That interval holds 90 % of training, and one of its ends is open: "
        "80 % lie between the shares 0.1 and 0.9.": partial(right, low=0.0),
        "A duration that is just an end of the interval lies in it.": without_ends,
    }
    compare(student, right, cases, mistakes)


def worth_using(student):
    """Exercise 09.4: the network, a table, or either, for each category of a report."""

    def right(model, tables, error, errors=2, best=min):
        level = best(tables.values())
        if abs(model - level) <= errors * error:
            return "either"
        return "network" if model < level else "table"

    def lower_is_better(model, tables, error):
        return right(model, tables, 0)

    def none_is_either(model, tables, error):
        return right(model, tables, 0) if right(model, tables, error) == "either" else "either"

    def upside_down(model, tables, error):
        other = {"network": "table", "table": "network", "either": "either"}
        return other[right(model, tables, error)]

    def against_the_mean(model, tables, error):
        return right(model, {"mean": sum(tables.values()) / len(tables)}, error)

    tables = {"marginal": 2.3, "copy_last": 2.1, "back_off": 0.45}
    cases = [
        (0.31, tables, 0.03),
        (2.00, tables, 0.05),
        (0.50, tables, 0.01),
        (0.46, tables, 0.03),
        (0.42, tables, 0.02),
        (0.002, {"marginal": 1.1, "copy_last": 0.0005, "back_off": 0.0006}, 0.0004),
    ]
    mistakes = {
        "One standard error is too little: of two that are equally good, "
        "one would be preferred in a third of all tests.": partial(right, errors=1),
        "That is within two standard errors: this test cannot tell the two apart.": lower_is_better,
        "That holds the network against the tables' mean; take the best.": against_the_mean,
        "That holds the network against the worst table; take the best.": partial(right, best=max),
        "A loss is better when it is lower.": upside_down,
        "The difference is larger than two standard errors: say which.": none_is_either,
    }
    compare(student, right, cases, mistakes)


def misread(student):
    """Exercise 09.5: the columns that a mapping reads as what they are not, in its order."""

    def right(mapping, seems, look_for=("kind", "decimal", "dates")):
        found = []
        for source in mapping["categories"].values():
            name, kind = source["column"], source.get("kind", "name")
            how, seen = mapping.get("columns", {}).get(name, {}), seems[name]
            is_wrong = {
                "kind": kind != seen.split(",")[0],
                "decimal": kind == "number"
                and "decimal comma" in seen
                and how.get("decimal", ".") != ",",
                "dates": kind == "time" and how.get("dates", "year first") not in seen,
            }
            found += [name] * any(is_wrong[what] for what in look_for)
        return found

    def names_of_categories(mapping, seems):
        columns = right(mapping, seems)
        sources = mapping["categories"]
        return [name for name in sources if sources[name]["column"] in columns]

    def ordered(mapping, seems):
        return sorted(right(mapping, seems))

    def the_others(mapping, seems):
        columns = [source["column"] for source in mapping["categories"].values()]
        return [name for name in columns if name not in right(mapping, seems)]

    seems = {
        "Activity": "name",
        "Clerk": "name",
        "Amount": "number, decimal comma",
        "Pieces": "number",
        "Date": "time, day first",
    }

    def make_case(columns, **kinds):
        names = {"What": "Activity", "Who": "Clerk", "When": "Date", "Paid": "Amount"}
        names["Size"] = "Pieces"
        kinds = {"When": "time", "Paid": "number", "Size": "number"} | kinds
        categories = {
            name: {"column": column} | ({"kind": kinds[name]} if name in kinds else {})
            for name, column in names.items()
        }
        return {"categories": categories, "columns": columns}, seems

    day_first, comma = {"Date": {"dates": "day first"}}, {"Amount": {"decimal": ","}}
    cases = [
        make_case(day_first | comma),
        make_case(day_first | comma, Paid="name"),
        make_case({}),
        make_case(day_first),
        make_case(comma),
        make_case({"Date": {"dates": "month first"}}, Who="number", Size="name"),
    ]
    by_kind = partial(right, look_for=("kind",))
    but_decimal = partial(right, look_for=("kind", "dates"))
    but_dates = partial(right, look_for=("kind", "decimal"))
    mistakes = {
        "You look at the kinds alone; `columns` says how a column's text is read.": by_kind,
        "A number is read with a decimal point, "
        "unless the mapping's `columns` says otherwise.": but_decimal,
        "A date is read year first, unless the mapping's `columns` says otherwise.": but_dates,
        "Give the columns' names; those of categories may be others.": names_of_categories,
        "They are sorted; the mapping's order is asked for.": ordered,
        "Those are read rightly; the others were asked for.": the_others,
    }
    compare(student, right, cases, mistakes)
