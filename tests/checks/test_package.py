"""What holds for all checks: notebooks find them, and each mistake that has words is told them."""

import inspect
import re
from functools import cache

import pytest

from checks.notebook import NOTEBOOKS, Notebook
from helpers import checks
from helpers.checks import verdicts

CALL = re.compile(r"\bchecks\.(\w+)\(")
BY_NOTEBOOK = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}


@cache
def find_calls(notebook: str) -> list[str]:
    """The checks that a notebook calls, in its order, each once."""
    source = "\n".join(cell.source for cell in Notebook(notebook).cells)
    return [name for name in dict.fromkeys(CALL.findall(source)) if name != "score"]


def test_there_is_a_check_for_each_call_of_a_notebook_in_their_order():
    called = [name for notebook in BY_NOTEBOOK for name in find_calls(notebook)]
    assert called == checks.__all__
    assert all(callable(getattr(checks, name)) for name in called)


@pytest.mark.parametrize("notebook", BY_NOTEBOOK)
def test_the_checks_of_a_notebook_stand_in_a_module_named_after_it(notebook):
    modules = {getattr(checks, name).__module__ for name in find_calls(notebook)}
    assert len(modules) <= 1
    assert all(module.split(".")[-1] in notebook for module in modules)


WITHOUT_FUNCTIONS = {"shown_by", "made_up_report"}  # their tests go through all their words


@pytest.mark.parametrize("name", [name for name in checks.__all__ if name not in WITHOUT_FUNCTIONS])
def test_each_mistake_of_a_check_is_told_its_own_words(name, run, monkeypatch):
    """A student who makes a mistake just as the check has it is told its words, and no others."""
    check = getattr(checks, name)
    calls = []

    def note(student, *arguments, **options):
        calls.append((arguments, options))
        return "Right."

    module = inspect.getmodule(check)
    for function in ("compare", "verdict"):
        monkeypatch.setattr(module, function, note, raising=False)
    parameters = inspect.signature(check).parameters
    check(*(run if parameter == "run" else print for parameter in parameters))
    assert len(calls) == (2 if name == "bins" else 1)
    for arguments, options in calls:
        given = inspect.signature(verdicts.verdict).bind(print, *arguments, **options)
        mistakes = given.arguments["mistakes"]
        assert mistakes
        for words, mistake in mistakes.items():
            line = verdicts.verdict(mistake, *arguments, **options)
            assert line.startswith("Not yet: ")
            assert line.endswith(f". {words}")
