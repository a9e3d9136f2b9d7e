"""The checks of notebook 01_data_prep."""

import math
from collections import Counter
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from helpers.checks.verdicts import compare, say, verdict


def vocabulary_of(student):
    """Exercise 01.1: from names to integers, the most frequent ones only."""

    def right(names, most, min_count, first=1, blank=False, order=sorted):
        counted = Counter(names).most_common()
        frequent = [name for name, n in counted if n >= min_count and (name or blank)]
        return {name: i for i, name in enumerate(order(frequent[:most]), first)}

    def first_seen(names, most, min_count):
        frequent = right(names, len(names), min_count)
        kept = [name for name in dict.fromkeys(names) if name in frequent][:most]
        return {name: i for i, name in enumerate(sorted(kept), 1)}

    def cut_last(names, most, min_count):
        whole = right(names, len(names), min_count)
        return dict(list(whole.items())[:most])

    def blank_takes_a_place(names, most, min_count):
        kept = right(names, most, min_count, blank=True)
        return {name: i for i, name in enumerate(filter(None, kept), 1)}

    def one_more_needed(names, most, min_count):
        return right(names, most, min_count + 1)

    sites = ["yard", "gate", "yard", "", "dock", "gate", "yard", "", "", ""]
    last_wins = ["a", "b", "b"]  # the most frequent is neither the first nor the alphabet's first
    cases = [
        (sites, 9, 1),
        (sites, 9, 2),
        (sites, 1, 1),
        (["b", "a", "b"], 9, 1),
        ([], 3, 1),
        (last_wins, 1, 1),
    ]
    from_zero = partial(right, first=0)
    with_blank = partial(right, blank=True)
    by_count = partial(right, order=list)
    mistakes = {
        "0 stays free for what is unknown, so integers count from 1.": from_zero,
        "A blank is no name; it gets no integer.": with_blank,
        "They are in the order of their counts; the alphabet's is asked for.": by_count,
        "The most frequent are to be kept, not those that come first.": first_seen,
        "Cut by frequency first, then sort.": cut_last,
        "Leave blanks out before counting.": blank_takes_a_place,
        "A name that is seen min_count times is frequent enough.": one_more_needed,
    }
    compare(student, right, cases, mistakes)


def bins(to_integer, to_hours):
    """Exercise 01.2: from hours to the integer of their quarter hour, and back."""
    there, back = judge_to_integer(to_integer), judge_to_hours(to_hours)
    both = "Right: there and back." if back.startswith("Right") else back
    say(both if there.startswith("Right") else there)


def judge_to_integer(student) -> str:
    def right(hours, whole=round, shift=1, most=99):
        return 0 if hours is None else min(whole(hours / 0.25) + shift, most)

    mistakes = {
        "int cuts off; the nearest quarter hour is asked for.": partial(right, whole=int),
        "The nearest quarter hour is asked for, not the next above.": partial(
            right, whole=math.ceil
        ),
        "0 means blank, so no hours at all are 1, not 0.": partial(right, shift=0),
        "The category has 100 values, 0 to 99.": partial(right, most=10**9),
        "That is one too many: 99 is the last value.": partial(right, most=100),
    }
    return verdict(student, right, [0.0, 6.75, 7.2, 7.1, None, 40.0], mistakes)


def judge_to_hours(student) -> str:
    def right(integer):
        return None if integer == 0 else (integer - 1) * 0.25

    mistakes = {
        "The shift by one is to be undone first.": lambda integer: integer * 0.25,
        "First take away the one, then multiply.": lambda integer: integer * 0.25 - 1,
        "0 is a blank, not a number of hours.": lambda integer: (integer - 1) * 0.25,
    }
    return verdict(student, right, [1, 28, 99, 0], mistakes)


def padded(student):
    """Exercise 01.3: the last events of a history, with zeros in front."""

    def right(history, length):
        return ([0] * length + history)[-length:]

    def oldest(history, length):
        return [0] * (length - len(history)) + history[:length]

    def zeros_behind(history, length):
        return (history + [0] * length)[:length]

    def never_cut(history, length):
        return [0] * (length - len(history)) + history

    def broken(case, used):
        return "" if case[0] == used[0] else "You changed `history` itself; make a new list."

    cases = [([5, 6], 4), ([5, 6, 7], 2), ([], 3), ([8], 1)]
    mistakes = {
        "Those are the oldest; the last ones are asked for.": oldest,
        "The zeros belong in front: a history ends at the origin.": zeros_behind,
        "That is longer than asked for: of a long history only the last events count.": never_cut,
    }
    compare(student, right, cases, mistakes, broken=broken)


def steps_that_count(student):
    """Exercise 01.4: how many steps of a target lie in the origin's part of the log."""

    def right(part, origin, length, skipped=1):
        first = origin + skipped
        return part[first : first + length].count(part[origin])

    def to_the_end(part, origin, length):
        return min(length, len(part) - 1 - origin)

    def to_the_border(part, origin, length):
        return right(part, origin, len(part))

    parts = [0, 0, 0, 0, 1, 1, 2, 2, 2]
    cases = [(parts, 0, 2), (parts, 1, 5), (parts, 3, 3), (parts, 4, 5), (parts, 7, 4)]
    with_origin = partial(right, skipped=0)
    mistakes = {
        "The origin is known; it is not part of its target.": with_origin,
        "That is the log's end; a target may not cross the border of its part either.": to_the_end,
        "That counts up to the border, also where the target is shorter.": to_the_border,
    }
    compare(student, right, cases, mistakes)


def mended(student):
    """Exercise 01.5: features of a log that reach no later row."""

    def mean_so_far(told):
        return told.expanding().mean()

    def mean_before(told):
        return told.shift().expanding().mean()

    shift_of = ["recipient", "reference_time"]

    def right(raw, shift=shift_of, fill=pd.Series.ffill, site="location", mean=mean_so_far):
        hours = "hours_worked"
        punched_in = raw["event_type"] == "punch_in"
        return pd.DataFrame(
            {
                "shifts_so_far": punched_in.groupby(raw["recipient"]).cumsum(),
                "hours_of_shift": raw.groupby(shift)[hours].transform(fill),
                "hours_at_site": raw.groupby(site)[hours].transform(mean),
                "last_hours": raw.groupby("recipient")[hours].ffill(),
            }
        )

    nan = np.nan
    three = pd.DataFrame(
        {
            "event_type": ["punch_in", "break_end", "shift_scheduled"] * 3,
            "recipient": np.repeat(["E1", "E2", "E1"], 3),
            "reference_time": np.repeat([1, 2, 3], 3),
            "location": "gate",
            "hours_worked": [nan, 6, nan, nan, 8, nan, nan, 5, nan],
        }
    )
    together = pd.DataFrame(  # two employees at two sites, at the same time
        {
            "event_type": ["punch_in", "punch_in", "break_end", "break_start", "break_end"],
            "recipient": ["E1", "E2", "E1", "E2", "E2"],
            "reference_time": 1,
            "location": ["gate", "yard", "gate", "yard", "yard"],
            "hours_worked": [nan, nan, 6, nan, 8],
        }
    )
    cases = [(three[:3],), (three[:6],), (three,), (together,)]
    fills = {
        "'hours_of_shift' still looks ahead.": {"fill": "max"},
        "bfill fills from later rows: that is the leak itself.": {"fill": pd.Series.bfill},
        "Once told, the hours hold for the rest of the shift: carry them forward.": {
            "fill": pd.Series.cummax
        },
    }
    means = {
        "'hours_at_site' still looks ahead.": {"mean": "mean"},
        "The event at hand is known; it belongs to the mean so far.": {"mean": mean_before},
    }
    mistakes = {words: partial(right, **wrong) for words, wrong in (fills | means).items()}
    for of_shift, of_site in product(fills, means):  # both are told: they show in the same case
        both = fills[of_shift] | means[of_site]
        mistakes[f"{of_shift} {of_site}"] = partial(right, **both)
    into_the_next = (
        "'hours_of_shift' carries one shift's hours into the next; "
        "it should be blank until they are told."
    )
    mistakes[into_the_next] = partial(right, shift=["recipient"])
    of_another = (
        "'hours_of_shift' takes the hours of another employee, whose shift begins at the same time."
    )
    mistakes[of_another] = partial(right, shift=["reference_time"])
    of_all_sites = "'hours_at_site' is the mean over all sites; each site has a mean of its own."
    mistakes[of_all_sites] = partial(right, site=lambda row: "all")
    mistakes[f"{of_another} {of_all_sites}"] = partial(
        right, shift=["reference_time"], site=lambda row: "all"
    )
    line = verdict(student, right, cases, mistakes)
    if line.endswith("'hours_of_shift' still looks ahead. 'hours_at_site' still looks ahead."):
        # Nothing is mended yet, and to find what is to be mended is the exercise.
        line = "Not yet: these are the columns of `features`. Which of them look ahead?"
    say(line)
