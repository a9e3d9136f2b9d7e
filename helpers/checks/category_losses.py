"""The checks of notebook 06_category_losses."""

import math
from functools import partial

import numpy as np

from helpers.checks.verdicts import compare


def cross_entropy(student):
    """Exercise 06.1: the loss (nats) of the value `true` among some logits, however large."""

    def right(logits, true):
        largest = max(logits)
        powers = [math.exp(logit - largest) for logit in logits]
        return math.log(sum(powers)) - (logits[true] - largest)

    def softmax(logits):
        with np.errstate(all="ignore"):
            odds = np.exp(np.array(logits))
            return odds / odds.sum()

    def naive(logits, true):
        with np.errstate(all="ignore"):
            return -np.log(softmax(logits))[true]

    def probability(logits, true):
        return softmax(logits)[true]

    def without_true(logits, true):
        return right(logits, true) + logits[true]

    def true_as_it_was(logits, true):
        return right(logits, true) - max(logits)

    def cut_off(logits, true):
        return min(right(logits, true), -math.log(1e-12))

    def too_small(logits, true):
        probability = math.exp(-right(logits, true))
        return -math.log(probability) if probability else math.inf

    def mean(logits, true):
        return np.mean([right(logits, value) for value in range(len(logits))])

    powers = (
        "A power of e was too large or too small for the computer: "
        "take the largest logit from all of them first."
    )
    cases = [
        ([2.0, 1.0, 0.0], 0),
        ([0.0, 0.0], 0),
        ([1000.0, 0.0], 0),
        ([1000.0, 0.0], 1),
        ([-1000.0, 0.0], 0),
    ]
    mistakes = {
        "That probability was too small for the computer and became 0: "
        "its logarithm can be had without it.": too_small,
        powers: naive,
        "The largest logit was taken from all others, and not from the true one "
        "behind the sum.": true_as_it_was,
        "That is the logarithm of the sum; the true logit is to be taken from it.": without_true,
        "A probability that is held above 0 hides how far off the model was: "
        "its logarithm can be had without it.": cut_off,
        "The sign must be turned: a loss is minus the logarithm.": lambda *case: -right(*case),
        "That is the probability; the loss is minus its logarithm.": probability,
        "That is the mean over all values; only the true one counts.": mean,
        "That is in bits; a loss in nats takes the natural logarithm.": lambda *case: (
            right(*case) / math.log(2)
        ),
    }
    errors = {OverflowError: powers, ValueError: powers}
    compare(student, right, cases, mistakes, errors)


def mixture_gap(student):
    """Exercise 06.2: truths (states, values) and weights (states,) -> the mixture's mean gap."""

    def find_gaps(truths, weights):
        """The gap in each state (states,), where 0 ln 0 is 0."""
        mixture = np.broadcast_to(weights @ truths, truths.shape)
        ratios = np.divide(truths, mixture, out=np.ones(truths.shape), where=truths > 0)
        return (truths * np.log(ratios)).sum(1)

    def right(truths, weights):
        return weights @ find_gaps(truths, weights)

    def nan_at_zero(truths, weights):
        return weights @ (truths * np.log(truths / (weights @ truths))).sum(1)

    def whole_loss(truths, weights):
        mixture = weights @ truths
        return -(mixture * np.log(mixture)).sum()

    def turned_round(truths, weights):
        mixture = weights @ truths
        return (weights[:, None] * mixture * np.log(mixture / truths)).sum()

    def turned_sign(truths, weights):
        return -right(truths, weights)

    def unweighted_sum(truths, weights):
        return find_gaps(truths, weights).sum()

    def unweighted_mean(truths, weights):
        return find_gaps(truths, weights).mean()

    def mixed_alike(truths, weights):
        return right(truths, np.full(len(weights), 1 / len(weights)))

    def mixed_across(truths, weights):
        mixture = truths @ weights
        return weights @ (truths * np.log(truths / mixture)).sum(1)

    apart = np.array([[0.9, 0.1], [0.1, 0.9]])
    alike = np.array([[0.9, 0.1], [0.9, 0.1]])
    three_values = np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]])
    with_zeros = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    cases = [
        (apart, np.array([0.6, 0.4])),
        (alike, np.array([0.3, 0.7])),
        (three_values, np.array([0.75, 0.25])),
        (with_zeros, np.array([0.5, 0.5])),
    ]
    rows = "Each state has a row of `truths` and a weight, so the rows are what is mixed."
    mistakes = {
        rows: mixed_across,
        "What a state never draws costs nothing there: 0 ln 0 counts as 0, "
        "and the computer makes nan of it.": nan_at_zero,
        "That is the model's whole loss; the gap is what remains without the floor.": whole_loss,
        "That is the divergence turned round: "
        "the values are drawn from the truth, so the truth weighs.": turned_round,
        "The sign must be turned: a gap is never below 0.": turned_sign,
        "The states' weights are missing in the sum.": unweighted_sum,
        "That is the states' plain mean; they happen with their weights.": unweighted_mean,
        "That mixes the states alike; they happen with their weights.": mixed_alike,
        "Those are the gaps in each state; their weighted mean was asked for.": find_gaps,
    }
    with np.errstate(all="ignore"):  # of zeros the verdict speaks
        compare(student, right, cases, mistakes, {ValueError: rows})


def clustered_error(student):
    """Exercise 06.3: the standard error of a mean, with employees as units."""

    def right(difference, employee):
        sums = np.bincount(employee, difference - difference.mean())
        return math.sqrt((sums**2).sum()) / len(difference)

    def not_centred(difference, employee):
        return math.sqrt((np.bincount(employee, difference) ** 2).sum()) / len(difference)

    def squared(difference, employee):
        return right(difference, employee) ** 2 * len(difference)

    def by_event(difference, employee):
        return difference.std() / math.sqrt(len(difference))

    def by_event_of_sample(difference, employee):
        return difference.std(ddof=1) / math.sqrt(len(difference))

    def by_mean(difference, employee):
        means = np.bincount(employee, difference) / np.bincount(employee)
        return means.std(ddof=1) / math.sqrt(len(means))

    def divided_by_employees(difference, employee):
        events, employees = len(difference), len(np.unique(employee))
        return right(difference, employee) * events / employees

    four = np.array([1.0, 1.0, -1.0, -1.0])
    alternating = np.array([1.0, -1.0, 1.0, -1.0])
    two_each = np.array([0, 0, 1, 1])
    six = np.array([0.5, 0.4, 0.6, 0.1, 0.2, 0.9])
    cases = [(six, np.array([0, 0, 0, 1, 1, 2])), (four, two_each), (alternating, two_each)]
    mistakes = {
        "That is the error of independent events: "
        "add the residuals of each employee before you square.": by_event,
        "That is the error of independent events, too: "
        "the sums must be taken by employee.": by_event_of_sample,
        "Take the mean from all of them first; what remains is added by employee.": not_centred,
        "The root is missing: squares of nats are no nats.": squared,
        "That lets every employee weigh alike; here every event does.": by_mean,
        "That is divided by the number of employees; "
        "divide by the number of events.": divided_by_employees,
    }
    compare(student, right, cases, mistakes)


def leaking(student):
    """Exercise 06.4: model, reader, floor (events, categories) -> the categories with a leak."""

    def right(model, reader, floor, employee, error=get_clustered_errors, errors=3):
        above = model - reader
        low = above.mean(0) < -errors * error(above, employee)
        return np.flatnonzero(low).tolist()

    def error_by_event(above, employee):
        return above.std(0) / math.sqrt(len(above))

    def at_the_floor(model, reader, floor, employee):
        return right(model, floor, floor, employee)

    def all_below(model, reader, floor, employee):
        return np.flatnonzero((model - reader).mean(0) < 0).tolist()

    def turned_round(model, reader, floor, employee):
        return right(reader, model, floor, employee)

    def yes_or_no(model, reader, floor, employee):
        found = right(model, reader, floor, employee)
        return [category in found for category in range(model.shape[1])]

    def not_centred(above, employee):
        return get_clustered_errors(above, employee, about=0)

    cases = [
        make_report(0, {}),
        make_report(1, {2: 1.2}),
        make_report(2, {0: 0.5, 3: 1.2}),
        make_report(3, {}, errors_below=3.2),
    ]
    by_event = partial(right, error=error_by_event)
    two_errors = partial(right, errors=2)
    mistakes = {
        "Your errors are too large: take each column's mean from it before you add by "
        "employee.": partial(right, error=not_centred),
        "That is the alarm at the floor, and a leak has room between reader and floor: "
        "nothing honest comes below the reader.": at_the_floor,
        "You accuse a report that had luck: events of one employee are lucky together, "
        "so the employees are the units.": by_event,
        "You accuse at two standard errors; three were asked for.": two_errors,
        "Those are True and False; the numbers of the categories were asked for.": yes_or_no,
        "Those are all that lie below the reader, by luck or not: "
        "ask by how many standard errors.": all_below,
        "Those are above the reader; a leak lies below it.": turned_round,
    }
    compare(student, right, cases, mistakes)


def get_clustered_errors(above, employee, about=None):
    """Standard errors (categories,) of the means of a difference (events, categories).

    about: what is taken from it first; the means, if not given
    """
    residuals = above - (above.mean(0) if about is None else about)
    sums = np.stack([np.bincount(employee, column) for column in residuals.T])
    return np.sqrt((sums**2).sum(1)) / len(above)


UNKNOWABLE = 0.1  # reader - floor in the made-up reports


def make_report(seed, peeks, employees=40, events=50, errors_below=2.5):
    """Losses of four categories of a model, a reader and the floor, and each event's employee.

    The employees differ in each category. In category 1 the model lies so many standard errors
    below the reader: up to three it had luck. In `peeks` it has a leak that is so large a part of
    the way from the reader to the floor.
    """
    rng = np.random.default_rng(seed)
    employee = np.repeat(np.arange(employees), events)

    def draw_noise(categories):
        return rng.normal(0, 0.02, (len(employee), categories))

    by_employee = rng.normal(0, 1, (employees, 4))
    by_employee -= by_employee.mean(0)
    above = 0.1 * by_employee[employee] + draw_noise(4) + [0.10, 0.0, -0.016, -0.002]
    below = errors_below * get_clustered_errors(above, employee)[1]
    above[:, 1] -= above[:, 1].mean() + below
    for category, part in peeks.items():
        above[:, category] = -part * UNKNOWABLE + draw_noise(1)[:, 0]
    floor = rng.uniform(0.2, 2.0, above.shape)
    reader = floor + UNKNOWABLE + draw_noise(4)
    return reader + above, reader, floor, employee
