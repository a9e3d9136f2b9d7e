"""The score in the notebook's folder: what is noted of a try, and what is told of all."""

import json
import re
import subprocess
import sys
from datetime import datetime

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from checks.notebook import NOTEBOOKS
from checks.test_package import find_calls
from helpers import checks
from helpers.checks import scores

SOLVED = """
import math
from helpers import checks
checks.ceiling(lambda size: ...)
checks.ceiling(lambda size: 1 / size)
checks.ceiling(math.log)
checks.ceiling(lambda size: ...)
checks.bins(lambda hours: 0, lambda integer: 0)
"""
MANY = "from helpers.checks.scores import note\nfor _ in range(500): note('00.1', 'ceiling', True)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys) -> list[str]:
    checks.score()
    return capsys.readouterr().out.splitlines()


def run_in_kernel(source: str, folder) -> str:
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook.cells[0].outputs[0].text


def test_a_notebook_s_tries_are_noted_beside_it_and_a_stub_is_none(folder, capsys):
    start = datetime.now().astimezone().replace(microsecond=0)
    said = run_in_kernel(SOLVED, folder).splitlines()
    assert [line.split(":")[0] for line in said] == [
        "Not done yet",
        "Not yet",
        "Right",
        "Not done yet",
        "Not yet",
    ]
    tries = [json.loads(line) for line in (folder / "score.jsonl").read_text().splitlines()]
    assert [(each["exercise"], each["check"], each["right"]) for each in tries] == [
        (scores.EXERCISES["ceiling"][1], "ceiling", False),
        (scores.EXERCISES["ceiling"][1], "ceiling", True),
        (scores.EXERCISES["bins"][1], "bins", False),
    ]
    assert all(start <= datetime.fromisoformat(each["time"]) for each in tries)
    lines = told(capsys)
    assert re.fullmatch(r"00_start_here +1 of \d+   still 00\.2, .+", lines[0])
    assert re.fullmatch(rf"together +1 of {len(checks.__all__)}", lines[-1])


def test_without_a_notebook_nothing_is_noted(folder, capsys):
    checks.ceiling(lambda size: 1 / size)
    assert capsys.readouterr().out.startswith("Not yet")
    assert list(folder.iterdir()) == []


def test_two_notebooks_may_write_at_once(folder):
    running = [subprocess.Popen([sys.executable, "-c", MANY], cwd=folder) for _ in range(2)]
    assert [each.wait(120) for each in running] == [0, 0]
    assert [each["check"] for each in scores.read_tries()] == ["ceiling"] * 1000


def test_a_line_that_is_no_try_is_passed_over(folder, capsys):
    scores.note("00.1", "ceiling", True)
    with scores.SCORE.open("ab") as file:
        file.write(b'{"check": "cut o\n\xff\n[]\n3\n{"right": true}\n')
        file.write(b'{"check": "equally_likely", "right": "yes"}\n')
        file.write(b'{"check": ["equally_likely"], "right": true}\n')
    scores.note("00.9", "one_that_is_gone", True)
    assert len(scores.read_tries()) == 4
    assert told(capsys)[-1].split()[:3] == ["together", "1", "of"]


def test_where_nothing_can_be_written_a_check_goes_on_and_the_score_says_so(folder, capsys):
    (folder / "score.jsonl").mkdir()  # as good as a folder that is read-only
    assert run_in_kernel(SOLVED, folder).count("\n") == 5
    (line,) = told(capsys)
    assert line.startswith("No score is kept: ") and "score.jsonl cannot be written" in line


def test_all_right_leaves_nothing_open(folder, capsys):
    for name, (_, exercise) in scores.EXERCISES.items():
        scores.note(exercise, name, True)
    lines = told(capsys)
    assert [line.split()[0] for line in lines[:-1]] == [path.stem for path in BY_NUMBER]
    assert all(re.search(r"(\d+) of \1$", line) for line in lines)


BY_NUMBER = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", BY_NUMBER, ids=lambda path: path.stem)
def test_a_check_s_docstring_has_the_number_of_its_exercise(path):
    heads = {}
    number = None
    for cell in nbformat.read(path, as_version=4).cells:
        number = next(iter(re.findall(r"^### Exercise (\d\d\.\d+) ", cell.source)), number)
        if cell.cell_type == "code":
            heads |= dict.fromkeys(re.findall(r"\bchecks\.(\w+)\(", cell.source), number)
    known = {name: (path.stem, number) for name, number in heads.items() if name != "score"}
    assert known == {name: scores.EXERCISES[name] for name in find_calls(path.stem)}


def test_a_check_without_its_number_is_refused():
    def check(student):
        """What the number is missing of."""

    check.__module__ = "helpers.checks.start_here"
    with pytest.raises(ValueError, match="check: its docstring must begin"):
        scores.recorded(check)


def test_every_check_says_its_verdict_where_the_score_hears_it():
    modules = [path for path in (NOTEBOOKS.parent / "helpers" / "checks").glob("*.py")]
    printing = [path.name for path in modules if "print(" in path.read_text(encoding="utf-8")]
    assert sorted(printing) == ["scores.py", "verdicts.py"]
