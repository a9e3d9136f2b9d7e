"""The judge of one hand-in: asks the student's process what the checks ask of a student's function.

The checks run here, with their right answers, on stand-ins for the student's functions. A stand-in
sends the arguments of a call over, and gives the value that comes back. So a check is the same as
in the notebook, but for more cases (`hidden_cases`), and the student's process knows no answer.
Nothing that comes from there is run or unpickled.
"""

from __future__ import annotations

import builtins
import io
import random
import re
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import checks
from helpers.checks import verdicts
from helpers.tools.grading import hidden_cases
from helpers.tools.grading.exercises import Exercise, list_parameters
from helpers.tools.grading.process import Stopped, StudentProcess

SECONDS = 30.0  # for one exercise
SECONDS_IN_ALL = 300.0  # for a hand-in; what then is left counts as wrong
LONGEST = 600  # characters of a verdict that are kept


class Unreadable(ValueError):
    """A file that was handed in is no notebook; the text says why."""


@dataclass
class Verdict:
    """What came of one exercise: score 1, 0 or None where nothing was handed in."""

    score: int | None
    line: str
    trouble: str = ""  # what a teacher should look at

    @property
    def words(self) -> str:
        """What a class's verdicts have in common: the line without values and names."""
        return name_fault(self.line)


def judge(files: dict[str, Path], exercises: list[Exercise], template: Path, seed: int):
    """The verdicts on a hand-in, by the number of the exercise.

    files: the student's notebooks, by the names of the course's
    template: the folder that each process of the student gets a copy of
    seed: draws the hidden cases; all hand-ins of a class are asked the same
    """
    verdicts.MORE_CASES = hidden_cases.draw(seed)
    until = time.monotonic() + SECONDS_IN_ALL
    found, process = {}, None
    try:
        for exercise in exercises:
            if exercise.notebook not in files:
                found[exercise.number] = Verdict(None, "Not handed in.")
                continue
            if time.monotonic() > until:
                found[exercise.number] = Verdict(0, "Not yet: no time was left for it.")
                continue
            if process is None:
                process = StudentProcess(files, template)
            verdict = judge_exercise(process, exercise)
            found[exercise.number] = verdict
            if process.stopped or process.refused:  # the next exercise gets a new one
                process.close()
                process = None
    finally:
        if process is not None:
            process.close()
    return found


def judge_exercise(process: StudentProcess, exercise: Exercise) -> Verdict:
    process.refused.clear()
    process.give(SECONDS)
    trouble = []
    try:
        line = find_line(process, exercise)
    except (Stopped, Unreadable) as error:
        line = f"Not yet: {error}."
        trouble.append(str(error))
    except Exception as error:  # an answer that the check cannot even compare
        line = f"Not yet: the answer cannot be judged ({type(error).__name__})."
    score = 1 if line.startswith("Right") else None if line.startswith("Not done yet") else 0
    if process.refused:
        trouble.append(f"it was refused {', '.join(sorted(process.refused))}")
    return Verdict(score, line[:LONGEST], "; ".join(trouble))


def find_line(process: StudentProcess, exercise: Exercise) -> str:
    """What the check of an exercise says of the student's function."""
    asked = exercise._asdict()
    del asked["number"]
    prepared = process.ask("prepare", **asked)
    if "unreadable" in prepared:
        kind, message = prepared["unreadable"]
        raise Unreadable(f"{exercise.notebook} cannot be read as a notebook ({kind}: {message})")
    if "error" in prepared:
        kind, message = prepared["error"]
        return f"Not yet: the cells that it needs raised {kind}: {message}"
    if prepared.get("missing"):
        return "Not done yet: its cell is not there."
    given = []
    for place, name in enumerate(list_parameters(exercise.check)):
        if name == "run":
            given.append(hidden_cases.get_run())
        elif place < len(prepared["arguments"]):
            given.append(stand_in(process, place, prepared["arguments"][place]))
        else:
            return "Not yet: its check is called with too few arguments."
    printed = io.StringIO()
    with redirect_stdout(printed):
        getattr(checks, exercise.check)(*given)
    # On one line: what a student's code has named must not begin another.
    return " ".join(printed.getvalue().split())


# Stand-ins for the student's functions


def stand_in(process: StudentProcess, place: int, argument: dict):
    """What a check gets in the place of a student's function, or of a value."""
    if not argument["function"]:
        return decode(argument["value"])

    def asks_the_student(*given):
        answer = process.ask("call", number=place, given=given)
        if "error" in answer:
            raise make_error(*answer["error"])
        for number, argument in enumerate(given):
            repeat(argument, answer, str(number))
        if answer["drew"]:  # from a generator that everybody shares
            random.random(), np.random.random(), torch.rand(1)
        return decode(answer["value"])

    def is_still_to_be_written(): ...

    if argument["stub"]:
        asks_the_student.__wrapped__ = is_still_to_be_written
    return asks_the_student


def make_error(kind: str, message: str) -> Exception:
    """An error of the kind that the student's function raised."""
    kind = kind if kind.isidentifier() else "Exception"
    known = getattr(builtins, kind, None)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known = type(kind, (Exception,), {})
    try:
        return known(message)
    except TypeError:  # UnicodeDecodeError and its like take more than a message
        return type(kind, (Exception,), {})(message)


def repeat(argument, answer: dict, number: str) -> None:
    """Does to an argument here what the student's function did to it there.

    It is what the student's process says: who knows this could claim fewer calls than were made,
    but not another value.
    """
    for name, count in answer["counted"].get(number, {}).items():
        *parts, last = name.split(".")
        part = argument
        for each in parts:  # what this copy itself holds, and no class that others share
            part = vars(part)[each]
        if isinstance(count, (int, float)):
            vars(part)[last] = count
    if number in answer["gradients"]:
        gradient = decode(answer["gradients"][number])
        argument.grad = None if gradient is None else torch.tensor(gradient).view_as(argument)
    if number in answer["changed"]:
        change(argument, decode(answer["changed"][number]))


def change(argument, new) -> None:
    """Gives a list, a dictionary, an array or a tensor the values of another."""
    if isinstance(argument, list):
        argument[:] = new
    elif isinstance(argument, dict):
        argument.clear()
        argument.update(new)
    elif isinstance(argument, torch.Tensor):
        with torch.no_grad():
            argument.copy_(torch.tensor(new))
    elif isinstance(argument, np.ndarray):
        argument[...] = new


class Unknown:
    """A value of a kind that no check asks for."""


def decode(value):
    """A value as `student.encode` wrote it."""
    if isinstance(value, list):
        return [decode(part) for part in value]
    if not isinstance(value, dict):
        return value
    if "pairs" in value:
        return {decode(key): decode(part) for key, part in value["pairs"]}
    if value["kind"] == "ellipsis":
        return ...
    return type(str(value["kind"]), (Unknown,), {})()


# The words of a verdict

FAULTS = (
    (r"^Right", "Right"),
    (r"^Not done yet", "Not done yet"),
    (r"(?s) was expected\. (.+)$", r"\1"),
    (r" was expected\.$", "A wrong value."),
    (r"(?s), which is not right\. (\S.+)$", r"\1"),
    (r", which is not right\.$", "A wrong value."),
    (r"the values are right\. (.+)$", r"\1"),
    (r"raised (\w+): .+?\. (\S.+)$", r"\1. \2"),
    (r"raised (\w+)", r"It raised \1."),
    (r"returns nothing", "It returns nothing."),
    (r"^Not yet: (.+)$", r"\1"),
)


def name_fault(line: str) -> str:
    """The words of a verdict without its values, so that equal faults count together."""
    for pattern, words in FAULTS:
        if found := re.search(pattern, line):
            line = found.expand(words)
            break
    return line[:1].upper() + line[1:]
