"""The checks of notebook 08_using_the_model."""

from functools import partial

import numpy as np
from rapidfuzz.distance import OSA, DamerauLevenshtein, Levenshtein, Prefix

from helpers.checks.verdicts import compare, say, verdict


def nucleus(student):
    """Exercise 08.1: p (size,) -> the likeliest that have `top_p` together, renormalised."""

    def keep(p, places):
        kept = np.zeros_like(p)
        kept[places] = p[places]
        return kept

    def find(p, top_p, sign=-1, equals=1):  # of equals the first place, or the last with -1
        order = np.lexsort([equals * np.arange(len(p)), sign * p])
        before = np.cumsum(p[order]) - p[order]
        return order[before < top_p]

    def renormalise(kept):
        return kept / kept.sum()

    def right(p, top_p, equals=1):
        return renormalise(keep(p, find(p, top_p, equals=equals)))

    def not_renormalised(p, top_p):
        return keep(p, find(p, top_p))

    def one_less(p, top_p):
        return renormalise(keep(p, find(p, top_p)[:-1]))

    def one_more(p, top_p):
        return right(p, np.nextafter(top_p, 1))

    def unlikeliest(p, top_p):
        return renormalise(keep(p, find(p, top_p, sign=1)))

    def as_they_stand(p, top_p):
        return renormalise(keep(p, np.cumsum(p) - p < top_p))

    def each_alone(p, top_p):
        return renormalise(keep(p, p >= 1 - top_p))

    def all_equals(p, top_p):
        return renormalise(keep(p, p >= p[find(p, top_p)].min()))

    def ordered(p, top_p):
        return -np.sort(-right(p, top_p))

    def only_kept(p, top_p):
        return renormalise(p[find(p, top_p)])

    cases = [
        (np.array([0.1875, 0.375, 0.09375, 0.21875, 0.125]), 0.625),
        (np.array([0.125, 0.5, 0.0625, 0.3125]), 0.8125),  # the two likeliest have just this
        (np.array([0.05, 0.9, 0.05]), 0.5),
        (np.array([0.25, 0.125, 0.625]), 1.0),
        (np.array([0.25, 0.5, 0.25]), 0.625),  # of the two equals, either may be kept
    ]
    mistakes = {
        "That keeps every value that equals the last one needed; the fewest are asked for, "
        "and of equals either will do.": all_equals,
        "What is left no longer adds up to 1: divide it by its sum.": not_renormalised,
        "What you keep has less than `top_p` together: "
        "the value that reaches it is kept, too.": one_less,
        "That is one value too many: to have just `top_p` together is enough.": one_more,
        "That begins with the unlikeliest values; the likeliest are to be kept.": unlikeliest,
        "That takes the values as they stand; sort them first.": as_they_stand,
        "That holds each value alone against a bound; "
        "what counts is what the likeliest have together.": each_alone,
        "Each value must keep its place: yours have been sorted.": ordered,
        "Only those kept are in there, sorted; "
        "each keeps its place, and those left out have 0.": only_kept,
    }
    line = verdict(student, right, cases, mistakes)
    if not line.startswith("Right"):  # of two equals, the student may have kept the other
        other = verdict(student, partial(right, equals=-1), cases, mistakes)
        line = other if other.startswith("Right") else line
    say(line)


def score_samples(student):
    """Exercise 08.2: the continuous ranked probability score of samples (S,) against a truth."""

    def miss(samples, truth, power=1):
        return (abs(samples - truth) ** power).mean()

    def apart(samples, power=1):
        return (abs(samples[:, None] - samples) ** power).mean()

    def right(samples, truth, part=0.5, power=1):
        return miss(samples, truth, power) - part * apart(samples, power)

    def of_sums(samples, truth, first=True, second=True):
        S = len(samples)
        return miss(samples, truth) * S**first - apart(samples) / 2 * S ** (2 * second)

    def signed(samples, truth, part=0.5):
        return (samples - truth).mean() - part * apart(samples)

    def of_the_mean(samples, truth):
        return abs(samples.mean() - truth)

    def without_themselves(samples, truth):
        count = len(samples)
        return right(samples, truth, 0.5 * count / (count - 1))

    mistakes = {
        "The half is missing: what the samples are apart counts half.": partial(right, part=1),
        "That is only how far the samples are from the truth; half of what they are apart "
        "is taken from it (and without `abs`, that is 0).": miss,
        "That is the error of the mean, which knows nothing of how far apart "
        "the samples are.": of_the_mean,
        "That squares the distances, and then only the mean counts; "
        "take them as they are.": partial(right, power=2),
        "A sample and itself are a pair here too, at distance 0: "
        "divide by all S * S pairs.": without_themselves,
        "Each pair is in there once and halved as well: "
        "either count each twice, or don't halve.": partial(right, part=0.25),
        "The distance between samples must be taken away, not added.": partial(right, part=-0.5),
        "Those are sums; both parts are means.": of_sums,
        "The first part is a sum; it is a mean, too: divide by S.": partial(of_sums, second=False),
        "The second part is a sum; it is a mean, too: divide by all S * S pairs.": partial(
            of_sums, first=False
        ),
        "A distance is never below 0: take `abs` of each difference, "
        "or what is too much and too little cancels.": partial(signed, part=0),
        "How far a sample is from the truth is never below 0: take `abs` there, too.": signed,
    }
    cases = [
        (np.array([6.0, 8.0, 8.0, 11.0]), 9.5),
        (np.array([0.0, 8.0]), 8.0),
        (np.array([8.0, 8.0, 8.0]), 8.0),
        (np.array([5.0]), 8.0),
    ]
    compare(student, right, cases, mistakes)


def place_among(student):
    """Exercise 08.3: where a truth stands among samples (S,), of those equal to it as `u` says."""

    def right(samples, truth, u):
        below, equal = (samples < truth).sum(), (samples == truth).sum()
        return (below + u * (equal + 1)) / (len(samples) + 1)

    def share_below(samples, truth, u):
        return (samples < truth).mean()

    def share_up_to(samples, truth, u):
        return (samples <= truth).mean()

    def middle(samples, truth, u):
        return right(samples, truth, 0.5)

    def without_truth(samples, truth, u):
        return (samples < truth).mean() + u * (samples == truth).mean()

    def not_among_equals(samples, truth, u):
        return without_truth(samples, truth, u) * len(samples) / (len(samples) + 1)

    def without_equals(samples, truth, u):
        return ((samples < truth).sum() + u) / (len(samples) + 1)

    def not_in_the_row(samples, truth, u):
        return right(samples, truth, u) * (len(samples) + 1) / len(samples)

    def from_above(samples, truth, u):
        return right(-samples, -truth, u)

    cases = [
        (np.array([9.0, 6.0, 8.0, 8.0, 9.0]), 8.0, 0.875),
        (np.array([7.0, 9.0, 5.0]), 6.0, 0.5),
        (np.array([8.0, 8.0, 8.0, 8.0]), 8.0, 0.25),
        (np.array([6.0, 8.0]), 10.0, 0.5),
        (np.array([6.0, 8.0]), 4.0, 0.0),
    ]
    mistakes = {
        "That is the share below the truth: it stands before all samples equal to it, "
        "when `u` should say where.": share_below,
        "That is the share up to the truth: it stands behind all samples equal to it, "
        "when `u` should say where.": share_up_to,
        "That puts it in the middle of its equals; use `u`, "
        "or forecasts of a few frequent values heap up at the same places.": middle,
        "The truth is one more in the row: one more among its equals, "
        "and one more in all.": without_truth,
        "The truth is one more among its equals: `u` moves it past equal + 1.": not_among_equals,
        "There `u` moves the truth past itself alone; "
        "the samples equal to it count, too: `u` times equal + 1.": without_equals,
        "The row has the truth in it, too: divide by one more than the samples.": not_in_the_row,
        "That is its place counted from above; count those below.": from_above,
    }
    compare(student, right, cases, mistakes)


def suffix_similarity(student):
    """Exercise 08.4: 1 minus the edits from one suffix to another, as a part of the longer one.

    An edit inserts, deletes or replaces an event or swaps two neighbours, and none is edited twice:
    the distance of optimal string alignment.
    """

    def right(one, other):
        return OSA.normalized_similarity(one, other)

    def divided(one, other, length):
        return 1 - OSA.distance(one, other) / length(len(one), len(other))

    def by_table(one, other, border=1, above=(1, 1), second=True):
        edits = np.zeros((len(one) + 1, len(other) + 1))
        edits[:, 0] = border * np.arange(len(one) + 1)
        edits[0] = border * np.arange(len(other) + 1)
        for i, a in enumerate(one, 1):
            for j, b in enumerate(other, 1):
                ways = [edits[i - 1, j] + 1, edits[i, j - 1] + 1, edits[i - 1, j - 1] + (a != b)]
                swapped = a == other[j - 2] and (one[i - 2] == b or not second)
                if i > above[0] and j > above[1] and swapped:
                    ways.append(edits[i - 2, j - 2] + 1)
                edits[i, j] = min(ways)
        return 1 - edits[-1, -1] / max(len(one), len(other), 1)

    def empties(one, other, alike):
        return right(one, other) if len(one) or len(other) else alike

    cases = [
        ([1, 5, 2, 4, 7, 3, 6], [1, 2, 5, 4, 7, 3]),
        ("sibeoap", "ssibeap"),  # letters are events: scheduled, in, break, end, out, ...
        ("ibeo", "biexop"),
        ("abxab", "bcxca"),  # each half of a swap's condition holds once, both never
        ("ca", "abc"),
        ("a", "aaa"),  # these two have a swap only where an index of -1 wraps to the end
        ("addd", "d"),
        ("", "io"),
        ("", ""),
    ]
    mistakes = {
        "A swap needs two events in both: with `i` = 1, "
        "`one[i - 2]` wraps to the last event.": partial(by_table, above=(0, 1)),
        "A swap needs two events in both: with `j` = 1, "
        "`other[j - 2]` wraps to the last event.": partial(by_table, above=(1, 0)),
        "Two empty suffixes are alike: 1, not 0.": partial(empties, alike=0.0),
        "Two empty suffixes are alike, and 0 / 0 is no number: divide by 1 at least.": partial(
            empties, alike=np.nan
        ),
        "That counts what differs; the similarity is 1 minus it.": OSA.normalized_distance,
        "That is the number of edits; divide it by the longer length, "
        "and take it from 1.": OSA.distance,
        "A swap of two neighbours is one edit; "
        "you count it as two.": Levenshtein.normalized_similarity,
        "That edits between two events that it has swapped, as the true Damerau-Levenshtein "
        "distance may; here a swap takes neighbours, and they "
        "are then left alone.": DamerauLevenshtein.normalized_similarity,
        "A swap needs both: the one's last event is the other's last but one, "
        "and the other way round.": partial(by_table, second=False),
        "The first row and the first column count 0, 1, 2 and so on: "
        "from nothing, each event is an edit.": partial(by_table, border=0),
        "Here that divides by the shorter length; take the longer one.": partial(
            divided, length=min
        ),
        "That divides by both lengths together, and then two that share nothing "
        "may seem half alike; take the longer one.": partial(divided, length=lambda m, n: m + n),
        "Only the common beginning counts there; "
        "an edit must not make all that follows worthless.": Prefix.normalized_similarity,
    }
    empty = "Two empty suffixes are alike: there is nothing to edit."
    compare(student, right, cases, mistakes, errors={ZeroDivisionError: empty})


def average_precision(student):
    """Exercise 08.5: scores, odd (N,) -> the mean over odd events of the precision at their cut."""

    def find(scores, odd):  # at each cut, highest first: how many are flagged, how many rightly
        cuts = np.unique(scores)[::-1]
        flagged = scores >= cuts[:, None]
        return flagged.sum(1), (flagged & odd).sum(1)

    def right(scores, odd):
        flagged, found = find(scores, odd)
        return (np.diff(found, prepend=0) * found / flagged).sum() / odd.sum()

    def as_they_stand(scores, odd):
        in_order = odd[np.argsort(-scores, kind="stable")]
        return right(-np.arange(len(odd)), in_order)

    def lowest_first(scores, odd):
        return right(-scores, odd)

    def mean_of_cuts(scores, odd):
        flagged, found = find(scores, odd)
        return (found / flagged).mean()

    def not_divided(scores, odd):
        return right(scores, odd) * odd.sum()

    def one_cut(scores, odd):
        return odd[np.argsort(-scores, kind="stable")][: odd.sum()].mean()

    def all_flagged(scores, odd):
        return odd.mean()

    def under_roc(scores, odd):
        above = scores[odd][:, None] - scores[~odd]
        return ((above > 0) + (above == 0) / 2).mean()

    def under_lines(scores, odd):
        flagged, found = find(scores, odd)
        precision = np.append(1.0, found / flagged)
        steps = np.diff(found, prepend=0) / odd.sum()
        return (steps * (precision[1:] + precision[:-1]) / 2).sum()

    def by_precision(scores, odd, change):
        flagged, found = find(scores, odd)
        return (np.diff(found, prepend=0) * change(found / flagged)).sum() / odd.sum()

    def cut_before(precision):
        return np.append(0, precision[:-1])

    def best_from_here(precision):
        return np.maximum.accumulate(precision[::-1])[::-1]

    def strictly_above(scores, odd):
        flagged, found = (np.append(0, counts[:-1]) for counts in find(scores, odd))
        return (np.diff(found, prepend=0) * found / np.maximum(flagged, 1)).sum() / odd.sum()

    def nothing_flagged(scores, odd):
        return np.nan

    cases = [
        (np.array([2.5, 9.0, 0.5, 4.0, 3.0, 1.0]), np.array([1, 0, 1, 1, 1, 0], bool)),
        (np.array([1.0, 1.0, 1.0, 2.0]), np.array([0, 1, 0, 0], bool)),
        (np.array([50.0, 3.0, 50.0, 3.0, 0.5, 7.0]), np.array([0, 1, 1, 0, 0, 0], bool)),
        (np.array([0.1, 0.7, 0.4]), np.array([0, 1, 1], bool)),
    ]
    mistakes = {
        "Events of equal score come in no order: they are flagged together, "
        "with one precision.": as_they_stand,
        "That begins with the lowest scores; the highest are the oddest.": lowest_first,
        "That is the mean over all cuts; "
        "a cut counts as much as odd events are new at it.": mean_of_cuts,
        "That is a sum over the odd events; divide by how many there are.": not_divided,
        "The events at a cut are flagged, too: `>=`, not `>`.": strictly_above,
        "At the highest cut nothing is flagged, and 0 / 0 is no number: "
        "`>=` flags the events at the cut, too.": nothing_flagged,
        "That takes the precision of the cut before; take it where the recall has grown.": partial(
            by_precision, change=cut_before
        ),
        "That takes the best precision at a cut or any later one; take each cut's own.": partial(
            by_precision, change=best_from_here
        ),
        "That is the precision at one cut alone, after as many events as are odd.": one_cut,
        "That is the precision with everything flagged: "
        "what any order has at its end.": all_flagged,
        "That is the area under the ROC curve, which forgives false alarms "
        "when odd events are rare.": under_roc,
        "That draws straight lines between the cuts, "
        "and on them lies no cut that can be made.": under_lines,
    }
    compare(student, right, cases, mistakes)
