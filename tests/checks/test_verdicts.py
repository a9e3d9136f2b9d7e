"""How a check comes to its verdict, and how it tells values."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.checks.verdicts import compare

RIGHT = "Right: all 2 cases agree."
UNWRITTEN = "Not done yet: your function is still to be written."
NO_RETURN = "Not done yet: your function returns nothing. (Is there a `return`?)"
MISSING = "Not done yet: your answer is still missing."
UNFINISHED = "Not done yet: your function still has a `...` to fill in."


def padded(history, length):
    return ([0] * length + history)[-length:]


def padded_right(history, length):
    return (history + [0] * length)[:length]


def failing(history, length):
    return history[0] / 0


CASES = [([5, 6], 4), ([5, 6, 7], 2)]
MISTAKES = {"Another.": failing, "The zeros belong on the left.": padded_right}


def padded_tensor(history, length):
    return torch.tensor(padded(history, length))


def padded_array(history, length):
    return np.array(padded(history, length), float)


def padded_tuple(history, length):
    return tuple(padded(history, length))


@pytest.mark.parametrize("student", [padded, padded_tensor, padded_array, padded_tuple])
def test_right_values_are_right_in_any_container(said, student):
    assert said(compare, student, padded, CASES, MISTAKES) == RIGHT


def nothing(history, length): ...


def with_defaults(history, length):
    zeros, third = [0], 1.0 / 3  # noqa: F841
    """Words."""
    ...


def forgotten(history, length):
    padded(history, length)


def printing(history, length):
    for _ in history:
        print(end="")


def partly(history, length):
    zeros = ...
    return zeros + history


@pytest.mark.parametrize(
    "student, line",
    [
        (nothing, UNWRITTEN),
        (with_defaults, UNWRITTEN),
        (lambda history, length: ..., UNWRITTEN),
        (lambda history, length: None, UNWRITTEN),
        (forgotten, NO_RETURN),
        (printing, NO_RETURN),
        (..., MISSING),
        (None, MISSING),
        (lambda history, length: [0, ...], UNFINISHED),
        (lambda history, length: {"a": ...}, UNFINISHED),
        (partly, UNFINISHED),
    ],
)
def test_what_is_still_to_be_done_is_told(said, student, line):
    assert said(compare, student, padded, CASES, MISTAKES) == line


def none_at_last(history, length):
    return padded(history, length) if length > 2 else None


FIRST = "Not yet: with history = [5, 6], length = 4 your function "


@pytest.mark.parametrize(
    "student, line",
    [
        (
            padded_right,
            f"{FIRST}gave [5, 6, 0, 0], and [0, 0, 5, 6] was expected. "
            "The zeros belong on the left.",
        ),
        (
            lambda history, length: [0] * length,
            f"{FIRST}gave [0, 0, 0, 0], and [0, 0, 5, 6] was expected.",
        ),
        (
            lambda history, length: history,
            f"{FIRST}gave [5, 6] of shape (2,), and [0, 0, 5, 6] of shape (4,) was expected.",
        ),
        (
            lambda history, length: 7,
            f"{FIRST}gave 7, and [0, 0, 5, 6] of shape (4,) was expected.",
        ),
        (
            none_at_last,
            "Not yet: with history = [5, 6, 7], length = 2 your function gave None, "
            "and [6, 7] of shape (2,) was expected.",
        ),
        (
            lambda history, length: history[9],
            f"{FIRST}raised IndexError: list index out of range",
        ),
        (
            lambda history: history,
            f"{FIRST}raised TypeError: <lambda>() takes 1 positional argument but 2 were given",
        ),
    ],
)
def test_a_check_says_what_is_wrong_and_with_which_input(said, student, line):
    assert said(compare, student, padded, CASES, MISTAKES) == line


def two_lines(x):
    raise ValueError("first\nsecond")


def silent(x):
    raise KeyError


@pytest.mark.parametrize(
    "student, told", [(two_lines, "ValueError: first"), (silent, "KeyError: no message")]
)
def test_an_error_is_told_in_one_line(said, student, told):
    assert said(compare, student, abs, [3]) == f"Not yet: with x = 3 your function raised {told}"


def test_an_error_may_have_words_of_its_kind(said):
    errors = {ArithmeticError: "No number is divided by 0."}
    line = said(compare, lambda x: x / 0, abs, [3], errors=errors)
    assert line.endswith("ZeroDivisionError: division by zero. No number is divided by 0.")
    line = said(compare, lambda x: x[0], abs, [3], errors=errors)
    assert line.endswith("not subscriptable")


def test_an_answer_that_cannot_be_compared_is_wrong(said):
    class Stubborn:
        def __eq__(self, other):
            raise RuntimeError("not with me")

    line = said(compare, Stubborn(), 3)
    assert line == "Not yet: your answer is Stubborn, which is not right."


def test_a_long_answer_is_cut(said):
    start = repr("a" * 200)[:90]
    line = said(compare, "a" * 200, "b")
    assert line == f"Not yet: your answer is {start}…, which is not right."


def test_a_function_that_does_not_tell_its_arguments_has_them_numbered(said):
    line = said(compare, lambda a, b: a, max, [(2, 3)])
    assert line == "Not yet: with 1 = 2, 2 = 3 your function gave 2, and 3 was expected."


def greedy(history, length):
    answer = padded(history, length)
    history.clear()
    return answer


def test_a_function_that_cannot_be_looked_into_is_no_stub(said):
    returns_none = {}.get  # built in, without code
    assert said(compare, returns_none, abs, [3]) == NO_RETURN


def test_a_student_cannot_change_the_cases(said):
    cases = [([5, 6], 4)] * 2
    assert said(compare, greedy, padded, cases) == RIGHT
    assert cases == [([5, 6], 4)] * 2


def greedy_then_wrong(history, length):
    return greedy(history, length) if length > 2 else [1]


def test_right_values_may_be_found_in_a_way_that_is_not_allowed(said):
    def broken(case, used):
        return "" if case == used else "You changed it."

    assert said(compare, padded, padded, CASES, broken=broken) == RIGHT
    line = said(compare, greedy, padded, CASES, broken=broken)
    assert line == "Not yet: the values are right. You changed it."
    line = said(compare, greedy_then_wrong, padded, CASES, broken=broken)
    assert line.endswith("and [6, 7] of shape (2,) was expected.")


@pytest.mark.parametrize(
    "given, right",
    [
        (0.3333333, 1 / 3),
        (1e-7, 0.0),
        (2, 2.0),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (None, None),
        (np.float32(0.1), 0.1),
        (np.int64(3), 3),
        (torch.tensor(0.1, requires_grad=True), 0.1),
        ([1, None, [2.0, "a"]], (1, None, [2, "a"])),
        ({"b": torch.ones(2), "a": 1}, {"a": 1, "b": [1.0, 1.0]}),
        ({1, 2}, {2, 1}),
        (pd.Series([1.0, 2.0]), [1, 2]),
        (range(3), [0, 1, 2]),
    ],
)
def test_values_that_say_the_same_agree(said, given, right):
    assert said(compare, given, right) == "Right: that is the answer."


@pytest.mark.parametrize(
    "given, right",
    [
        (0.33, 1 / 3),
        (1e-3, 0.0),
        (100_001, 100_000),
        (float("nan"), 0.5),
        (True, False),
        ("Actor", "Time"),
        ([[1], [2, 3]], [[1], [2, 4]]),
        ({"a": 1}, {"a": 1, "b": 2}),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})),
        (torch.ones(2, 1), torch.ones(2)),
    ],
)
def test_values_that_say_something_else_differ(said, given, right):
    assert said(compare, given, right).startswith("Not yet: your answer is ")


def test_a_value_may_be_a_known_mistake(said):
    line = said(compare, 1.0, 0.25, mistakes={"This is the sum.": 1.0})
    assert line.endswith("your answer is 1.0, which is not right. This is the sum.")


def transposed(x):
    return x.transpose(1, 2)


def one_off(x):
    x[1, 2, 3] += 0.5
    return x


@pytest.mark.parametrize(
    "student, told",
    [
        (
            transposed,
            "your function gave Tensor of shape (3, 5, 4), "
            "and Tensor of shape (3, 4, 5) was expected.",
        ),
        (one_off, "at [1][2][3] your function gave 33.5, and 33.0 was expected."),
    ],
)
def test_a_long_value_is_told_by_its_shape_or_where_it_first_differs(said, student, told):
    x = torch.arange(60.0).reshape(3, 4, 5)
    line = said(compare, student, lambda x: x, [x])
    assert line == f"Not yet: with x = Tensor of shape (3, 4, 5) {told}"


def test_a_long_list_leaves_the_line_short(said):
    line = said(compare, lambda words: words, lambda words: words[::-1], [list(range(1000))])
    assert len(line) < 250
    assert "at [0] your function gave 0, and 999 was expected." in line
