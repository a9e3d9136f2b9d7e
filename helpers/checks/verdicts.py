"""How a check comes to its verdict, and how values are told in it: what all checks share."""

import copy
import dis
import inspect
import math
from numbers import Real

import numpy as np

TOLERANCE = 1e-4  # by which a number with a point may differ, as a part of its size
SHORT = 90  # characters of a value that still read well in a sentence
SAID = []  # the verdict that was printed last, for the score


# The verdict


def compare(student, right, cases=((),), mistakes=None, errors=None, broken=None) -> None:
    """Print whether the student's function answers every case as the right one does.

    Values may stand for functions; what is expected of one is not told. Numbers with a point may
    differ by TOLERANCE of their size, and by a tenth of it near zero; shapes and whole numbers may
    not.

    cases: the arguments of each call, a tuple; or what is no tuple, for a single argument
    mistakes: words -> the function with this mistake; where it answers as the student's does, the
        words are added. The first that fits is taken.
    errors: kind of error -> words to add where the student's function raises it
    broken: takes a case, and the copy of it that the student's function has used, and gives words
        for right values that were found in a way that is not allowed; "" where nothing is wrong
    """
    say(verdict(student, right, cases, mistakes, errors, broken))


def say(line: str) -> None:
    """Print the verdict of a check, and keep it for the score."""
    print(line)
    SAID[:] = [line]


def verdict(student, right, cases=((),), mistakes=None, errors=None, broken=None) -> str:
    """The line that `compare` prints."""
    it = "your function" if callable(student) else "your answer"
    complaint = ""
    for number, case in enumerate(cases):
        case = case if isinstance(case, tuple) else (case,)
        expected = ask(right, case)
        used = copy.deepcopy(case)
        try:
            given = student(*used) if callable(student) else student
        except Exception as error:
            return tell_error(error, it, tell_case(right, case), errors or {})
        missing = find_missing(student, given, needed=expected is not None and number == 0)
        if missing:
            return f"Not done yet: {it} {missing}"
        difference = find_difference(simplify(given), simplify(expected))
        if difference:
            wrong = tell_difference(it, given, expected, difference)
            words = name_mistake(given, case, mistakes or {})
            return f"Not yet: {tell_case(right, case)}{wrong}{words}"
        if broken and not complaint:
            complaint = broken(case, used)
    if complaint:  # told last: a wrong value in a later case matters more
        return f"Not yet: the values are right. {complaint}"
    return (
        "Right: that is the answer." if len(cases) == 1 else f"Right: all {len(cases)} cases agree."
    )


def ask(function, case):
    """What a function answers to a copy of the case, so that nobody can change it for the next.

    A value answers itself.
    """
    return function(*copy.deepcopy(case)) if callable(function) else function


def find_missing(student, given, needed: bool) -> str:
    """What is still to be done, or "" where nothing is. None is no answer where one is `needed`."""
    forgotten = given is None and needed
    if forgotten and callable(student) and not is_stub(student):
        return "returns nothing. (Is there a `return`?)"
    if forgotten or given is ...:
        return "is still to be written." if callable(student) else "is still missing."
    return "still has a `...` to fill in." if is_unfinished(simplify(given)) else ""


def is_stub(function) -> bool:
    """Whether nothing is called, counted or compared: then a function is still to be written."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return False
    work = ("CALL", "BINARY", "COMPARE", "FOR_ITER")
    return not any(step.opname.startswith(work) for step in dis.get_instructions(code))


def is_unfinished(value) -> bool:
    """Whether there is a `...` in a simplified value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return any(is_unfinished(part) for part in value)
    return value is ...


def name_mistake(given, case, mistakes: dict) -> str:
    """The words of the first mistake that leads to this answer, or ""."""
    given = simplify(given)
    for words, mistake in mistakes.items():
        try:
            answer = ask(mistake, case)
        except Exception:  # a mistake that cannot answer this case is not the one that was made
            continue
        if find_difference(given, simplify(answer)) is None:
            return f" {words}"
    return ""


# How values compare


def simplify(value):
    """Tensors, arrays, tables and tuples as lists and dictionaries, so that they compare alike."""
    if hasattr(value, "tolist"):
        return simplify(value.tolist())
    if hasattr(value, "to_dict"):  # a table of pandas
        return simplify(value.to_dict("list"))
    if isinstance(value, dict):
        return {key: simplify(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [simplify(part) for part in value]
    return value


def find_difference(given, expected, place=""):
    """(place, given there, expected there) of the first simplified value that differs, or None."""
    if isinstance(given, list) and isinstance(expected, list) and len(given) == len(expected):
        keys = range(len(expected))
    elif isinstance(given, dict) and isinstance(expected, dict) and given.keys() == expected.keys():
        keys = expected
    else:
        return None if are_equal(given, expected) else (place, given, expected)
    for key in keys:
        found = find_difference(given[key], expected[key], f"{place}[{key!r}]")
        if found:
            return found
    return None


def are_equal(given, expected, tolerance=TOLERANCE) -> bool:
    numbers = isinstance(given, Real) and isinstance(expected, Real)
    if numbers and float in (type(given), type(expected)):
        if math.isnan(given) and math.isnan(expected):
            return True
        return math.isclose(given, expected, rel_tol=tolerance, abs_tol=tolerance / 10)
    try:
        return bool(given == expected)
    except Exception:  # values that cannot even be compared
        return False


# How values are told


def tell_error(error, it, with_case, errors: dict) -> str:
    if "ellipsis" in str(error):  # a sum, say, one part of which is still `...`
        return f"Not done yet: {it} still has a `...` to fill in."
    message = str(error).strip() or "no message"
    told = f"Not yet: {with_case}{it} raised {type(error).__name__}: {message.splitlines()[0]}"
    for kind, words in errors.items():
        if isinstance(error, kind):
            return f"{told}. {words}"
    return told


def tell_case(right, case) -> str:
    """The arguments of a call, by the names that the right function gives them."""
    if not case:
        return ""
    try:
        names = inspect.signature(right).bind(*case).arguments
    except ValueError:  # a function that doesn't tell the names of its arguments
        names = range(1, len(case) + 1)
    told = [f"{name} = {tell_value(value)}" for name, value in zip(names, case, strict=False)]
    return f"with {', '.join(told)} "


def tell_difference(it, given, expected, difference) -> str:
    if it == "your answer":  # what is expected of a value would be the whole answer
        return f"{it} is {tell_value(given)}, which is not right."
    place, *there = difference
    texts = [tell_value(given), tell_value(expected)]
    shapes = [get_shape(given), get_shape(expected)]
    if shapes[0] != shapes[1]:
        texts = [add_shape(text, shape) for text, shape in zip(texts, shapes, strict=True)]
    elif place and (is_long(given) or is_long(expected)):
        it = f"at {place} {it}"
        texts = [tell_value(value) for value in there]
    return f"{it} gave {texts[0]}, and {texts[1]} was expected."


def tell_value(value) -> str:
    """A value as it reads in a sentence: a short one in full, others cut, or by kind and shape."""
    kind = type(value).__name__
    plain = simplify(value)
    readable = plain is None or isinstance(plain, (Real, str, list, dict))
    text = repr(round_numbers(plain)) if readable else kind
    if len(text) <= SHORT:
        return text
    return (
        f"{kind} of shape {tuple(value.shape)}" if hasattr(value, "shape") else f"{text[:SHORT]}…"
    )


def is_long(value) -> bool:
    return len(repr(round_numbers(simplify(value)))) > SHORT


def round_numbers(value):
    if isinstance(value, dict):
        return {key: round_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [round_numbers(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def get_shape(value) -> tuple:
    try:
        return np.shape(simplify(value))
    except ValueError:  # rows of unequal lengths
        return (len(value),)


def add_shape(text, shape) -> str:
    return text if shape == () or "shape" in text else f"{text} of shape {shape}"
