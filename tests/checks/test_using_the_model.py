"""The checks of notebook 08: what each says of the notebook's own answer, and of wrong ones."""

from functools import cache, partial
from itertools import product

import numpy as np
import pytest
import torch
from rapidfuzz.distance import OSA
from scipy.integrate import trapezoid
from sklearn.metrics import average_precision_score, roc_auc_score
from small import small_batch
from torch import nn

from checks.notebook import Notebook
from helpers import checks
from helpers.uses import futures
from helpers.uses.forecast import sample

NOTEBOOK = Notebook("08_using_the_model")
UNWRITTEN = "Not done yet: your function is still to be written."

nucleus = NOTEBOOK.solution("nucleus")


def by_loop(p, top_p, renormalise=True, enough=False, likeliest=True):
    """The likeliest value again and again, until there is enough."""
    kept, left = np.zeros(len(p)), list(range(len(p)))
    while left and (kept.sum() <= top_p if enough else kept.sum() < top_p):
        place = (max if likeliest else min)(left, key=lambda place: p[place])
        left.remove(place)
        kept[place] = p[place]
    return kept / kept.sum() if renormalise else kept


def below_the_border(p, top_p):
    places = np.argsort(-p)
    kept = np.zeros_like(p)
    few = places[np.cumsum(p[places]) < top_p]
    kept[few] = p[few]
    return kept / kept.sum()


def in_order_of_values(p, top_p):
    kept = p * (np.cumsum(p) - p < top_p)
    return kept / kept.sum()


def each_alone(p, top_p):
    kept = np.where(p < 1 - top_p, 0, p)
    return kept / kept.sum()


def with_all_equals(p, top_p):
    kept = np.where(p >= p[nucleus(p, top_p) > 0].min(), p, 0)
    return kept / kept.sum()


def cut_off(p, top_p):
    ordered = np.sort(p)[::-1]
    kept = ordered[: np.searchsorted(ordered.cumsum(), top_p) + 1]
    return kept / kept.sum()


@pytest.mark.parametrize(
    "student, words",
    [
        (nucleus, "Right: all 5 cases agree."),
        (by_loop, "Right: all 5 cases agree."),
        (lambda p, top_p: by_loop(p[::-1], top_p)[::-1], "Right: all 5 cases agree."),
        (NOTEBOOK.stub("nucleus"), UNWRITTEN),
        (partial(by_loop, renormalise=False), "no longer adds up to 1"),
        (below_the_border, "the value that reaches it is kept, too"),
        (partial(by_loop, enough=True), "That is one value too many"),
        (partial(by_loop, likeliest=False), "begins with the unlikeliest"),
        (in_order_of_values, "sort them first"),
        (each_alone, "each value alone against a bound"),
        (with_all_equals, "of equals either will do"),
        (lambda *case: sorted(nucleus(*case), reverse=True), "must keep its place"),
        (cut_off, "those left out have 0"),
        (lambda p, top_p: p, "Not yet: with p = [0.1875, 0.375, 0.09375, 0.21875, 0.125], top_p"),
    ],
)
def test_nucleus(said, student, words):
    assert words in said(checks.nucleus, student)


class Told(nn.Module):
    """A forecaster that says the same of each category, whatever it reads."""

    def __init__(self, p, categories: int):
        super().__init__()
        self.sizes, self.logits = [len(p)] * categories, torch.tensor(p).log().repeat(categories)

    def forward(self, batch):
        return self.logits.expand(*batch.given.shape[:2], -1)


@pytest.mark.parametrize("top_p", [0.4, 0.8, 1.0])
def test_futures_are_drawn_from_the_nucleus_of_the_notebook(top_p):
    p, batch = np.array([0.1, 0.45, 0.15, 0.3]), small_batch()
    model = Told(p, batch.given.shape[-1])
    drawn = sample(model, batch, 1000, torch.Generator().manual_seed(0), steps=1, top_p=top_p)
    shares = np.bincount(drawn.flatten(), minlength=4) / drawn.numel()
    np.testing.assert_allclose(shares, nucleus(p, top_p), atol=0.01)
    assert not shares[nucleus(p, top_p) == 0].any()


score_samples = NOTEBOOK.solution("score_samples")


def by_pairs(samples, truth, weight=1, themselves=True):
    """By a loop over each pair once."""
    S, apart = len(samples), 0.0
    for i in range(S):
        for j in range(i):
            apart += weight * abs(samples[i] - samples[j])
    pairs = S * S if themselves else S * (S - 1)
    return sum(abs(x - truth) for x in samples) / S - apart / pairs


def by_quantiles(samples, truth):
    """Twice the mean of the pinball losses of all quantiles (Laio and Tamea 2007)."""
    levels = (np.arange(100_000) + 0.5) / 100_000
    quantiles = np.quantile(samples, levels, method="inverted_cdf")
    return 2 * ((levels - (truth < quantiles)) * (truth - quantiles)).mean()


def by_parts(samples, truth, miss=np.mean, apart=np.mean, size=(abs, abs)):
    first, second = size[0](samples - truth), size[1](samples[:, None] - samples)
    return miss(first) - apart(second) / 2


def squared(samples, truth):
    return ((samples - truth) ** 2).mean() - samples.var()


@pytest.mark.parametrize(
    "student, words",
    [
        (score_samples, "Right: all 4 cases agree."),
        (by_pairs, "Right: all 4 cases agree."),
        (by_quantiles, "Right: all 4 cases agree."),
        (futures.crps, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("score_samples"), UNWRITTEN),
        (partial(by_pairs, weight=2), "The half is missing"),
        (partial(by_pairs, weight=0), "only how far the samples are from the truth"),
        (lambda samples, truth: abs(np.mean(samples) - truth), "the error of the mean"),
        (squared, "squares the distances"),
        (partial(by_pairs, themselves=False), "divide by all S * S pairs"),
        (partial(by_pairs, weight=0.5), "Each pair is in there once and halved as well"),
        (partial(by_pairs, weight=-1), "must be taken away"),
        (partial(by_parts, miss=np.sum, apart=np.sum), "Those are sums"),
        (partial(by_parts, miss=np.sum), "The first part is a sum"),
        (partial(by_parts, apart=np.sum), "The second part is a sum"),
        (partial(by_parts, size=(np.array, np.array)), "take `abs` of each difference"),
        (partial(by_parts, size=(np.array, abs)), "take `abs` there, too"),
        (partial(by_parts, size=(abs, np.array)), "without `abs`, that is 0"),
        (lambda samples, truth: np.abs(samples - truth), "gave [3.5, 1.5, 1.5, 1.5] of shape (4,)"),
    ],
)
def test_score_samples(said, student, words):
    assert words in said(checks.score_samples, student)


place_among = NOTEBOOK.solution("place_among")


def in_a_row(samples, truth, u):
    """By the ends of the truth's place in the row that it makes with the samples."""
    row = sorted([*samples, truth])
    start, end = row.index(truth), len(row) - row[::-1].index(truth)
    return ((1 - u) * start + u * end) / len(row)


def count_places(samples, truth, u, own=1, row=1):
    below, equal = (samples < truth).sum(), (samples == truth).sum()
    return (below + u * (equal + own)) / (len(samples) + row)


@pytest.mark.parametrize(
    "student, words",
    [
        (place_among, "Right: all 5 cases agree."),
        (in_a_row, "Right: all 5 cases agree."),
        (NOTEBOOK.stub("place_among"), UNWRITTEN),
        (lambda samples, truth, u: np.mean(samples < truth), "the share below the truth"),
        (lambda samples, truth, u: np.mean(samples <= truth), "the share up to the truth"),
        (lambda samples, truth, u: in_a_row(samples, truth, 0.5), "in the middle of its equals"),
        (partial(count_places, own=0, row=0), "The truth is one more in the row"),
        (partial(count_places, own=0), "`u` moves it past equal + 1"),
        (lambda samples, truth, u: (sum(samples < truth) + u) / (len(samples) + 1), "past itself"),
        (partial(count_places, row=0), "divide by one more than the samples"),
        (lambda samples, truth, u: 1 - in_a_row(samples, truth, 1 - u), "from above"),
    ],
)
def test_place_among(said, student, words):
    assert words in said(checks.place_among, student)


def test_the_places_are_those_of_the_forecasts():
    rng = np.random.default_rng(0)
    samples, truths = rng.integers(3, size=(9, 50)), rng.integers(3, size=50)
    expected = futures.pit(samples, truths, np.random.default_rng(1))
    each = zip(samples.T, truths, np.random.default_rng(1).random(50), strict=True)
    np.testing.assert_allclose([place_among(*case) for case in each], expected)


suffix_similarity = NOTEBOOK.solution("suffix_similarity")


def edits(one, other, swap="neighbours"):
    """By recursion, from the ends. swap: "none", of "neighbours", or of "any" two events."""

    @cache
    def count(i, j):
        if i == 0 or j == 0:
            return i + j
        ways = [count(i - 1, j) + 1, count(i, j - 1) + 1]
        ways.append(count(i - 1, j - 1) + (one[i - 1] != other[j - 1]))
        first = {"none": (i, j), "neighbours": (i - 1, j - 1), "any": (1, 1)}[swap]
        for m, n in product(range(first[0], i), range(first[1], j)):
            if m and n and one[m - 1] == other[j - 1] and one[i - 1] == other[n - 1]:
                between = (i - m - 1) + (j - n - 1)  # of "any" two: they go, or they come
                ways.append(count(m - 1, n - 1) + 1 + between)
        return min(ways)

    return count(len(one), len(other))


def alike(one, other, swap="neighbours", length=max):
    return 1 - edits(one, other, swap) / (length([len(one), len(other)]) or 1)


def in_a_table(one, other, border=True, swaps=lambda i, j, halves: i > 1 and j > 1 and all(halves)):
    """By lists of lists. swaps: whether two are swapped, by the halves of its condition."""
    m, n = len(one), len(other)
    table = [[(i + j) * border * (not i or not j) for j in range(n + 1)] for i in range(m + 1)]
    for i, j in product(range(1, m + 1), range(1, n + 1)):
        table[i][j] = min(table[i - 1][j], table[i][j - 1]) + 1
        table[i][j] = min(table[i][j], table[i - 1][j - 1] + (one[i - 1] != other[j - 1]))
        if swaps(i, j, (one[i - 1] == other[j - 2], one[i - 2] == other[j - 1])):
            table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return 1 - table[m][n] / (max(m, n) or 1)


def common_beginning(one, other):
    same = [a == b for a, b in zip(one, other, strict=False)] + [False]
    return same.index(False) / (max(len(one), len(other)) or 1)


@pytest.mark.parametrize(
    "student, words",
    [
        (suffix_similarity, "Right: all 9 cases agree."),
        (in_a_table, "Right: all 9 cases agree."),
        (alike, "Right: all 9 cases agree."),
        (NOTEBOOK.stub("suffix_similarity"), UNWRITTEN),
        (partial(alike, swap="none"), "you count it as two"),
        (partial(alike, swap="any"), "edits between two events that it has swapped"),
        (partial(alike, length=lambda lengths: lengths[0]), "by the shorter length"),
        (partial(alike, length=lambda lengths: lengths[1]), "by the shorter length"),
        (partial(alike, length=min), "by the shorter length"),
        (partial(alike, length=sum), "divides by both lengths together"),
        (partial(in_a_table, border=False), "The first row and the first column count 0, 1, 2"),
        (partial(in_a_table, swaps=lambda i, j, both: all(both)), "`one[i - 2]` wraps"),
        (partial(in_a_table, swaps=lambda i, j, both: j > 1 and all(both)), "`one[i - 2]` wraps"),
        (partial(in_a_table, swaps=lambda i, j, both: i > 1 and all(both)), "`other[j - 2]` wraps"),
        (partial(in_a_table, swaps=lambda i, j, both: i > 1 < j and both[0]), "A swap needs both"),
        (partial(in_a_table, swaps=lambda i, j, both: i > 1 < j and both[1]), "A swap needs both"),
        (lambda *case: alike(*case) if any(case) else 0, "are alike: 1, not 0."),
        (lambda *case: alike(*case) if any(case) else np.nan, "0 / 0 is no number"),
        (edits, "That is the number of edits"),
        (lambda *case: 1 - alike(*case), "That counts what differs"),
        (common_beginning, "Only the common beginning counts"),
        (
            lambda one, other: 1 - edits(one, other) / max(len(one), len(other)),
            "raised ZeroDivisionError: division by zero. Two empty suffixes are alike",
        ),
    ],
)
def test_suffix_similarity(said, student, words):
    assert words in said(checks.suffix_similarity, student)


def test_the_notebook_s_similarity_is_the_library_s():
    rng = np.random.default_rng(0)
    for _ in range(200):
        one, other = (rng.integers(3, size=rng.integers(8)).tolist() for _ in range(2))
        assert suffix_similarity(one, other) == pytest.approx(OSA.normalized_similarity(one, other))


average_precision = NOTEBOOK.solution("average_precision")


def by_rank(scores, odd, first=-1, ties=True):
    """The mean over odd events of the precision at their own place in the list."""
    precisions = []
    for place, event in enumerate(order := np.argsort(first * scores, kind="stable")):
        last = place
        while ties and last + 1 < len(order) and scores[order[last + 1]] == scores[event]:
            last += 1
        if odd[event]:
            precisions.append(odd[order[: last + 1]].mean())
    return np.mean(precisions)


def find_precisions(scores, odd):
    return np.array([odd[scores >= cut].mean() for cut in sorted(set(scores), reverse=True)])


def under_lines(scores, odd):
    recalls = [odd[scores >= cut].sum() / odd.sum() for cut in sorted(set(scores), reverse=True)]
    return trapezoid([1, *find_precisions(scores, odd)], [0, *recalls])


def at_each_cut(scores, odd, change=lambda precisions: precisions, above=np.greater_equal):
    """By the precision of each cut, changed, and how many odd events are new at it."""
    flagged = [above(scores, cut) for cut in sorted(set(scores), reverse=True)]
    precisions = [odd[some].sum() / max(some.sum(), 1) for some in flagged]
    new = np.diff([odd[some].sum() for some in flagged], prepend=0)
    return (new * change(precisions)).sum() / odd.sum()


def at_one_cut(scores, odd):
    return odd[scores.argsort()[::-1][: odd.sum()]].mean()


@pytest.mark.parametrize(
    "student, words",
    [
        (average_precision, "Right: all 4 cases agree."),
        (by_rank, "Right: all 4 cases agree."),
        (lambda scores, odd: average_precision_score(odd, scores), "Right: all 4 cases agree."),
        (at_each_cut, "Right: all 4 cases agree."),
        (NOTEBOOK.stub("average_precision"), UNWRITTEN),
        (partial(by_rank, ties=False), "they are flagged together"),
        (partial(by_rank, first=1), "begins with the lowest scores"),
        (lambda scores, odd: find_precisions(scores, odd).mean(), "the mean over all cuts"),
        (lambda scores, odd: by_rank(scores, odd) * odd.sum(), "divide by how many there are"),
        (partial(at_each_cut, above=np.greater), "`>=`, not `>`"),
        (lambda scores, odd: np.nan, "At the highest cut nothing is flagged"),
        (partial(at_each_cut, change=lambda each: [0, *each[:-1]]), "of the cut before"),
        (partial(at_each_cut, change=lambda each: [1, *each[:-1]]), "of the cut before"),
        (
            partial(at_each_cut, change=lambda each: [max(each[k:]) for k in range(len(each))]),
            "the best precision at a cut or any later one",
        ),
        (at_one_cut, "the precision at one cut alone"),
        (lambda scores, odd: odd.mean(), "the precision with everything flagged"),
        (lambda scores, odd: roc_auc_score(odd, scores), "the area under the ROC curve"),
        (under_lines, "straight lines between the cuts"),
        (lambda scores, odd: odd[scores > 0.5].mean(), "gave 0.6, and 0.645833 was expected."),
    ],
)
def test_average_precision(said, student, words):
    assert words in said(checks.average_precision, student)


def test_the_notebook_s_average_precision_is_the_library_s():
    rng = np.random.default_rng(0)
    for _ in range(100):
        scores, odd = rng.integers(6, size=30).astype(float), rng.random(30) < 0.3
        assert average_precision(scores, odd) == pytest.approx(average_precision_score(odd, scores))
