"""The checks of notebook 09_your_own_log."""

from functools import partial

import numpy as np
import pandas as pd

from helpers.checks.verdicts import compare


def order_one(student):
    """Exercise 09.1: how often the table of order one names the next value, counted in training."""

    def most_frequent(values, place=0):
        return values.mode().iloc[place]  # of equally frequent ones the first in the alphabet

    def right(train, test, by="before", counted="after", place=0):
        usual = train.groupby(by)[counted].agg(most_frequent, place)
        said = test[by].map(usual).fillna(most_frequent(train[counted], place))
        return float((said == test[counted]).mean())

    def counted_in_train(train, test):
        return right(train, train)

    def number(train, test):
        return right(train, test) * len(test)

    def filled_from_test(train, test):
        usual = train.groupby("before")["after"].agg(most_frequent)
        said = test["before"].map(usual).fillna(most_frequent(test["after"]))
        return float((said == test["after"]).mean())

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
        (pairs("b>b c>c a>b c>c c>a b>b c>b c>c"), pairs("d>a c>b b>a a>a a>b e>a d>b d>c e>a")),
        (pairs("a>b a>b a>c b>c b>c b>a c>a c>a"), pairs("a>b a>c b>c c>a c>b b>c")),
        (pairs("a>b a>b b>c b>c b>c c>a"), pairs("a>b d>c d>b e>c a>b b>a d>b d>b")),
        (pairs("a>c a>b b>c"), pairs("a>b a>c d>c a>b")),
    ]
    backwards = partial(right, by="after", counted="before")
    mistakes = {
        "That is counted in the test part, which nobody has at that time; "
        "count in `train`.": counted_in_test,
        "That is how often it is right in training; it is asked in `test`.": counted_in_train,
        "That is the number of rows; their share was asked for.": number,
        "Of equally frequent values say the first in the alphabet.": partial(right, place=-1),
        "What is most frequent of all is counted in `train`, too.": filled_from_test,
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

    def number(train, test, min_count=2):
        return right(train, test, min_count) * len(test)

    def seen(train, test, min_count=2):
        return 1 - right(train, test, min_count)

    def count_filled(values):
        return sum(value != "" for value in values)

    cases = [
        (["a", "a", "b", "b", "c"], ["a", "b", "a", "d"], 1),
        (["a", "a", "b", "b", "c"], ["a", "c", "d", "d", "d"], 2),
        (["a", "a", "b", "b", "b", "c", "c"], ["a", "a", "", "", "b", "c", "d", "d"], 3),
    ]
    mistakes = {
        "That is the share of the different values; each event counts.": of_values,
        "That is the number of events; their share was asked for.": number,
        "That is the share that training has; the others were asked for.": seen,
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

    def number(train, test):
        return right(train, test) * len(test)

    def of_the_longest(train, test):
        return float(np.mean((0.1 * train.max() <= test) & (test <= 0.9 * train.max())))

    def of_a_bell(train, test):
        return float(np.mean(np.abs(test - train.mean()) <= 1.2816 * train.std()))

    cases = [
        (np.arange(11.0), np.array([11, 5, 2, 0.5, 9.25, 1, 9.75, 11, 9.75, 11, 1.5, 31])),
        (np.arange(11.0), np.array([1.0, 9.0, 9.0, 5.0, 12.0, 20.0, 30.0])),
        (np.arange(21.0), np.array([1.0, 1.5, 3.0, 19.0, 25.0, 30.0, 40.0, 19.5])),
        (np.arange(11.0) ** 2, np.array([2, 1, 0.5, 75, 89, 81, 81, 6, 85, 70, 89, 90])),
    ]
    mistakes = {
        "The interval is the test part's own; take it from `train`.": from_test,
        "The interval is of both parts together; take it from `train`.": from_both,
        "That is the share outside; the one inside was asked for.": outside,
        "That interval holds 60 % of training: 80 % lie between the shares 0.1 and 0.9.": partial(
            right, low=0.2, high=0.8
        ),
        "That is the number of durations; their share was asked for.": number,
        "That interval holds 90 % of training: 80 % leave a tenth out at either end.": partial(
            right, low=0.05, high=0.95
        ),
        "Those are shares of the longest duration; a tenth of the durations should lie below "
        "the one end, a tenth above the other.": of_the_longest,
        "That interval is of a bell curve, and durations have none; "
        "count: a tenth lies below it.": of_a_bell,
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

    def one_sided(model, tables, error):
        answer = right(model, tables, error)
        return "network" if answer == "either" else answer

    def name_of_table(model, tables, error):
        answer = right(model, tables, error)
        return min(tables, key=tables.get) if answer == "table" else answer

    def against_the_last(model, tables, error):
        *_, last = tables.values()
        return right(model, {"last": last}, error)

    def against_the_mean(model, tables, error):
        return right(model, {"mean": sum(tables.values()) / len(tables)}, error)

    tables = {"marginal": 2.3, "copy_last": 2.1, "back_off": 0.45}
    cases = [
        (0.31, tables, 0.03),
        (2.00, tables, 0.05),
        (0.50, tables, 0.01),
        (0.46, tables, 0.03),
        (0.42, tables, 0.02),
        (0.40, tables, 0.02),
        (0.60, {"back_off": 0.45, "copy_last": 2.1, "marginal": 2.3}, 0.03),
        (0.002, {"marginal": 1.1, "copy_last": 0.0005, "back_off": 0.0006}, 0.0004),
    ]
    mistakes = {
        "One standard error is too little: of two that are equally good, "
        "one would be preferred in a third of all tests.": partial(right, errors=1),
        "That is within two standard errors: this test cannot tell the two apart.": lower_is_better,
        "Within two standard errors it is neither's, on whichever side it lies.": one_sided,
        'Say "table"; which of them is not asked.': name_of_table,
        "That holds the network against the last table; take the best.": against_the_last,
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

    def as_told(mapping, seems):
        sources = mapping["categories"].values()
        names = {source["column"]: source.get("kind", "name") for source in sources}
        return [name for name in names if names[name] != seems[name]]

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
    ways_alone = partial(right, look_for=("decimal", "dates"))
    but_decimal = partial(right, look_for=("kind", "dates"))
    but_dates = partial(right, look_for=("kind", "decimal"))
    mistakes = {
        "You look at the kinds alone; `columns` says how a column's text is read.": by_kind,
        "You look at how text is read alone; a category's kind may be wrong, too.": ways_alone,
        "What a column seems to be begins with its kind; after the comma stands how its text "
        "is written.": as_told,
        "A number is read with a decimal point, "
        "unless the mapping's `columns` says otherwise.": but_decimal,
        "A date is read year first, unless the mapping's `columns` says otherwise.": but_dates,
        "Give the columns' names; those of categories may be others.": names_of_categories,
        "They are sorted; the mapping's order is asked for.": ordered,
        "Those are read rightly; the others were asked for.": the_others,
    }
    unsaid = (
        "Not everything is said of each category and each column: what is not has a usual value."
    )
    compare(student, right, cases, mistakes, {KeyError: unsaid})
