"""The checks of notebook 07_reading_a_training_report."""

import math
from functools import partial

from helpers.checks.verdicts import are_equal, compare, is_unfinished, say, simplify


def epochs_needed(student):
    """Exercise 07.1: after how many epochs a slope is more than two of its standard errors."""

    def centred_squares(n):
        return n * (n * n - 1) / 12

    def uncentred_squares(n):
        return (n - 1) * n * (2 * n - 1) / 6

    def right(slope, scatter, errors=2, squares=centred_squares, n=3, root=math.sqrt):
        while slope <= errors * scatter / root(squares(n)):
            n += 1
        return n

    def one_more(slope, scatter):
        return right(slope, scatter) + 1

    def one_less(slope, scatter):
        return right(slope, scatter) - 1

    from_two = partial(right, n=2)
    one_error = partial(right, errors=1)
    uncentred = partial(right, squares=uncentred_squares)
    error_of_mean = partial(right, squares=lambda n: n)
    variance = partial(right, squares=lambda n: centred_squares(n) / n)
    rounded = partial(right, squares=lambda n: n**3 / 12)
    cases = [(0.1, 0.5), (1.0, 1.0), (1e-5, 5.3e-4), (1.0, 0.1), (1.4, 1.0)]
    mistakes = {
        "Count from three epochs: any two lie on a line.": from_two,
        "For few epochs that sum of squares is too large; for three, centred, it is 2.": rounded,
        "That is enough for one standard error; two were asked for.": one_error,
        "The epochs must be centred before they are squared.": uncentred,
        "That is the error of a mean; a slope's divides by the root of the sum of the squared, "
        "centred epochs.": error_of_mean,
        "The root of that sum is missing in the error.": partial(right, root=float),
        "That divides by the root of the epochs' variance; their sum of squares belongs "
        "there.": variance,
        "One too many.": one_more,
        "One too few.": one_less,
    }
    compare(student, right, cases, mistakes)


def other_categories(student):
    """Exercise 07.2: the mean loss of the categories that a table doesn't show."""

    def sum_of_others(mean, categories, shown):
        return mean * categories - sum(shown)

    def right(mean, categories, shown):
        return sum_of_others(mean, categories, shown) / (categories - len(shown))

    def divided_by_all(mean, categories, shown):
        return sum_of_others(mean, categories, shown) / categories

    def mean_of_shown(mean, categories, shown):
        return sum(shown) / len(shown)

    def shown_once(mean, categories, shown):
        return (mean - sum(shown)) / (categories - len(shown))

    def mean_taken_off(mean, categories, shown):
        return mean - mean_of_shown(mean, categories, shown)

    def shown_mean_taken_off(mean, categories, shown):
        rest = mean * categories - mean_of_shown(mean, categories, shown)
        return rest / (categories - len(shown))

    cases = [(2.5, 4, [1.0, 2.0]), (3.0, 3, [2.0]), (3.9, 17, [1.5, 2.5, 3.0, 5.7, 5.8, 5.0])]
    mistakes = {
        "That is divided by all categories; the rest are fewer.": divided_by_all,
        "That is the sum of the others; their mean was asked for.": sum_of_others,
        "That is the mean of those shown.": mean_of_shown,
        "The sum over all categories is the mean times their number; "
        "take those shown from that.": shown_once,
        "Means of unequal numbers cannot be taken from each other; their sums can.": mean_taken_off,
        "Take the sum of those shown, not their mean, from the sum of all.": shown_mean_taken_off,
    }
    compare(student, right, cases, mistakes)


# What the check's patients show, and the cause of each.
_PATIENTS = {
    (0.05, 0.05, 0.14, 0, 0.01): "rate too small",
    (0.008, 0.008, 0.18, 0, 0.002): "rate too small",
    (0.14, 0.14, -0.02, 0, 0.03): "rate too small",
    (0.0, 0.0, 0.17, 9, 0.0): "no step",
    (0.0001, 0.0, 0.17, 0, 0.0): "no step",
    (0.04, 0.01, 0.004, 0, 0.2): "labels at random",
    (0.13, 0.13, 0.006, 0, 0.15): "labels at random",
    (0.7, -0.05, -0.5, 0, 0.2): "too little data",
    (2.6, -1.4, -3.1, 0, 0.9): "too little data",
    (2.3, -0.6, -2.8, 0, 0.8): "too little data",
}


def diagnose(student):
    """Exercise 07.3: which of four causes a training has that learns nothing."""

    def right(fall_of_train, fall_of_validation, above_ceiling, repeated_rows, moved):
        return _PATIENTS[fall_of_train, fall_of_validation, above_ceiling, repeated_rows, moved]

    def never_stepped(*marks):
        return "no step"

    def rate_of_nothing(*marks):
        *_, moved = marks
        return right(*marks) if moved else "rate too small"

    def rate_at_the_ceiling(*marks):
        _, _, above, _, _ = marks
        return "rate too small" if abs(above) < 0.01 else right(*marks)

    def rest_on_the_way(*marks):
        _, _, above, _, moved = marks
        return "labels at random" if abs(above) < 0.05 and moved < 0.1 else right(*marks)

    def little_fall(*marks):
        fall, *_ = marks
        return "labels at random" if 0 < fall < 0.05 else right(*marks)

    def great_fall(*marks):
        fall, *_ = marks
        found = right(*marks)
        return "rate too small" if found == "too little data" and fall < 1 else found

    def both_fall(*marks):
        train, validation, *_ = marks
        return "rate too small" if train == validation > 0 else right(*marks)

    def by_validation_alone(*marks):
        _, validation, *_ = marks
        return "too little data" if validation > 0 else "labels at random"

    mistakes = {
        "Its weights have moved, so steps were taken.": never_stepped,
        "Its weights have not moved at all: no rate is that small.": rate_of_nothing,
        "That both fall alike says only that nothing is memorised; "
        "see where the loss came to rest.": both_fall,
        "It came to rest at the ceiling, with weights that had moved far: "
        "that is no small rate.": rate_at_the_ceiling,
        "Passing the ceiling on the way down is no rest: "
        "its weights have hardly moved.": rest_on_the_way,
        "A little fall is no mark of labels at random; a small rate makes for one, "
        "too.": little_fall,
        "Memorising need not have come far: it shows in two curves that part.": great_fall,
        "Look at validation: does it fall with train, or rise?": by_validation_alone,
    }
    compare(student, right, list(_PATIENTS), mistakes)


def made_up_report(student):
    """Exercise 07.4: what a made-up report says, a dictionary of six answers."""
    answers = {
        "worse than guessing": ["Shift"],
        "below the floor": ["Site"],
        "marked epoch": 11,
        "best epoch": 5,
        "repeated rows": [8],
        "memorising from": 6,
    }
    hints = {
        "worse than guessing": "compare each loss with ln(size)",
        "below the floor": "one category is below by luck, one by more than three of its errors",
        "marked epoch": "the row with the mark, as it stands in the table",
        "best epoch": "the row where validation is lowest, not the last and not train's",
        "repeated rows": "a row counts if an earlier one has both its losses",
        "memorising from": "the first epoch after validation's lowest",
    }
    if not isinstance(student, dict):
        say("Not done yet: your answer is no dictionary; fill in the one that is there.")
        return
    given = {question: simplify(student.get(question, ...)) for question in answers}
    missing = [question for question in answers if is_unfinished(given[question])]
    wrong = []
    for question, answer in answers.items():
        if not are_equal(given[question], answer, tolerance=0):
            asked, got = (isinstance(value, list) for value in (answer, given[question]))
            form = "give a list, even of one" if asked else "give a number, not a list"
            wrong.append(f"'{question}': {hints[question] if asked == got else form}")
    if missing:
        say(f"Not done yet: {', '.join(missing)}.")
    elif wrong:
        say(f"Not yet: {'; '.join(wrong)}.")
    else:
        say(f"Right: all {len(answers)} answers agree.")
