"""What a student has right so far: each try is a line of the score in the notebook's folder."""

import json
import re
import sys
from contextlib import suppress
from datetime import datetime
from functools import wraps
from pathlib import Path

from IPython import get_ipython

from helpers.checks.verdicts import SAID

SCORE = Path("score.jsonl")  # in the kernel's working folder, which is the notebook's
EXERCISES = {}  # check's name -> (notebook, exercise), such as ("00_start_here", "00.1")


def recorded(check):
    """The check, which also notes in the score what came of a try.

    Its notebook is named by its module's docstring, and its exercise by its own.
    """
    notebook = find(r"The checks of notebook (\w+)\.", sys.modules[check.__module__])
    exercise = find(r"Exercise (\d\d\.\d+): ", check)
    EXERCISES[check.__name__] = notebook, exercise

    @wraps(check)
    def checked(*arguments, **options):
        SAID.clear()
        check(*arguments, **options)
        # Only a kernel has a notebook. A stub that was run as it stands is no try.
        if SAID and hasattr(get_ipython(), "kernel") and not SAID[-1].startswith("Not done yet"):
            note(exercise, check.__name__, SAID[-1].startswith("Right"))

    return checked


def find(pattern: str, owner) -> str:
    """What a pattern finds at the beginning of a docstring."""
    found = re.match(pattern, owner.__doc__ or "")
    if not found:
        raise ValueError(f"{owner.__name__}: its docstring must begin as {pattern}")
    return found[1]


def note(exercise: str, check: str, right: bool) -> None:
    """Append a try to the score, in one piece, so that two notebooks may write at once.

    Where nothing can be written nothing is kept, and `score` says so.
    """
    time = datetime.now().astimezone().isoformat(timespec="seconds")
    line = json.dumps({"exercise": exercise, "check": check, "right": right, "time": time})
    with suppress(OSError), SCORE.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def score() -> None:
    """Print which exercises are right, of how many, by notebook.

    An exercise is right once it has been so in a notebook of the same folder.
    """
    try:
        tries = read_tries()
    except OSError as error:
        print(f"No score is kept: {SCORE.resolve()} cannot be written ({error.strerror}).")
        return
    right = {str(each["check"]) for each in tries if each["right"] is True}
    by_notebook = {}
    for check, (notebook, exercise) in EXERCISES.items():
        by_notebook.setdefault(notebook, {})[exercise] = check in right
    width = max(map(len, by_notebook))
    for notebook, exercises in sorted(by_notebook.items()):
        left = ", ".join(number for number, done in exercises.items() if not done)
        still = f"   still {left}" if left else ""
        print(f"{notebook:<{width}}{sum(exercises.values()):>4} of {len(exercises)}{still}")
    print(f"{'together':<{width}}{len(right & EXERCISES.keys()):>4} of {len(EXERCISES)}")


def read_tries() -> list[dict]:
    """The tries noted so far. A line that was cut off, or written otherwise, is passed over."""
    with SCORE.open("a+b") as file:  # it must be writable, too
        file.seek(0)
        lines = file.read().decode(errors="replace").splitlines()
    tries = []
    for line in lines:
        with suppress(ValueError):
            tries.append(json.loads(line))
    return [each for each in tries if isinstance(each, dict) and {"check", "right"} <= each.keys()]
