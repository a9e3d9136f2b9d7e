"""A class's hand-ins get what they deserve, and harm nobody."""

import ast
import csv
import inspect
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import hand_ins
import nbformat
import numpy as np
import psutil
import pytest

from helpers import checks
from helpers.checks import last_vector, training_report, verdicts
from helpers.support.errors import InputError
from helpers.tools import grade
from helpers.tools.grading import hidden_cases, judge, process, student, tables
from helpers.tools.grading.exercises import Exercise, find_call, list_exercises, list_parameters
from helpers.tools.grading.hand_ins import HandIn, collect, name_student

EXERCISES = list_exercises()
CELL_OF = {each.check: each.cell for each in EXERCISES}
STEMS = sorted({each.notebook for each in EXERCISES})


@pytest.fixture(scope="module", autouse=True)
def checks_as_others_know_them():
    """What a judge adds to the checks is gone when these tests are over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "MORE_CASES", {})
        patch.setattr(training_report, "_PATIENTS", dict(training_report._PATIENTS))
        patch.setattr(last_vector, "_READ", dict(last_vector._READ))
        yield
    hidden_cases.draw.cache_clear()


# -- the exercises


def test_every_check_is_an_exercise_with_a_number_of_its_own():
    assert {each.check for each in EXERCISES} == set(checks.__all__)
    assert len({each.number for each in EXERCISES}) == len(EXERCISES)
    assert all(each.number[:2] == each.notebook[:2] for each in EXERCISES)
    assert [each.number for each in EXERCISES] == sorted(each.number for each in EXERCISES)


# -- hidden cases

BY_VALUE = {"shown_by", "made_up_report", "rest_of_epoch"}  # these have no cases
FROM_TABLES = {
    "places_read",
    "diagnose",
}  # whose own cases are those of a table, to which some come
HELD_BY = {"bins": ("judge_to_integer", "judge_to_hours")}  # the function that holds `right`


def test_every_check_has_hidden_cases_or_none_at_all():
    names = {name for each in checks.__all__ for name in HELD_BY.get(each, (each,))}
    assert set(hidden_cases.draw(0)) == names - BY_VALUE


def test_hidden_cases_are_drawn_alike_for_a_seed_and_others_for_another():
    one = verdicts.simplify(hidden_cases.draw.__wrapped__(1)["stream_linear"])
    assert one == verdicts.simplify(hidden_cases.draw.__wrapped__(1)["stream_linear"])
    assert one != verdicts.simplify(hidden_cases.draw.__wrapped__(2)["stream_linear"])


@pytest.fixture
def asked(monkeypatch):
    """The cases that a check asks for, and its right function: [(right, cases, broken)]."""
    found = []

    def note(student, right, cases=((),), mistakes=None, errors=None, broken=None):
        found.append((right, [*cases, *verdicts.list_more_cases(right)], len(cases)))
        return "Right: noted."

    for module in {getattr(each, "__module__", "") for each in map(unwrap, checks.__all__)}:
        monkeypatch.setattr(f"{module}.compare", note, raising=False)
        monkeypatch.setattr(f"{module}.verdict", note, raising=False)
    return found


def name_holder(right) -> str:
    return getattr(right, "func", right).__qualname__.split(".")[0]


def unwrap(name):
    return inspect.unwrap(getattr(checks, name))


@pytest.mark.parametrize("seed", range(3))
def test_a_right_function_answers_hidden_cases_and_they_are_not_those_of_the_notebook(
    asked, monkeypatch, seed
):
    monkeypatch.setattr(verdicts, "MORE_CASES", hidden_cases.draw(seed))
    for each in EXERCISES:
        if each.check not in BY_VALUE:
            given = [hidden_cases.get_run() if n == "run" else print for n in parameters(each)]
            getattr(checks, each.check)(*given)
    assert len(asked) >= len(EXERCISES) - len(BY_VALUE)
    for right, cases, own in asked:
        assert len(cases) > own
        if name_holder(right) in FROM_TABLES:
            continue
        cases = [case if isinstance(case, tuple) else (case,) for case in cases]
        answers = [str(verdicts.simplify(verdicts.ask(right, case))) for case in cases]
        assert set(answers[own:]) - set(answers[:own]) or len(set(answers)) < 6  # a few words
        told = [str(verdicts.simplify(list(case))) for case in cases]
        assert not set(told[own:]) <= set(told[:own])


@pytest.mark.parametrize("seed", range(20))
def test_no_one_word_is_right_for_all_hidden_cases_of_what_is_worth_using(asked, monkeypatch, seed):
    drawn = hidden_cases.worth_using(np.random.default_rng(seed))
    monkeypatch.setattr(verdicts, "MORE_CASES", {"worth_using": drawn})
    unwrap("worth_using")(print)
    ((right, cases, own),) = asked
    answers = [right(*case) for case in cases[own:]]
    assert {word: answers.count(word) for word in answers} == {
        "network": 2,
        "table": 2,
        "either": 4,
    }
    by_sign = [right(model, tables, 0) for model, tables, _ in cases[own:]]
    assert sum(a != b for a, b in zip(answers, by_sign, strict=True)) == 4


def test_a_typed_answer_is_right_for_no_check_s_hidden_cases(asked, monkeypatch):
    """Whoever knows the notebook's cases by heart still has to answer these, and not all alike."""
    monkeypatch.setattr(verdicts, "MORE_CASES", hidden_cases.draw(0))
    for each in EXERCISES:
        if each.check not in BY_VALUE | FROM_TABLES:
            given = [hidden_cases.get_run() if n == "run" else print for n in parameters(each)]
            getattr(checks, each.check)(*given)
    for right, cases, own in asked:
        cases = [case if isinstance(case, tuple) else (case,) for case in cases[own:]]
        first, *others = [verdicts.simplify(verdicts.ask(right, case)) for case in cases]
        assert any(verdicts.find_difference(each, first) for each in others), name_holder(right)


def parameters(exercise: Exercise) -> list[str]:
    return list_parameters(exercise.check)


# -- which statements an exercise needs


def choose(source: str, call: str = "checks.f(f)") -> list[str]:
    arguments = find_call(call).args
    return [ast.unparse(each) for each in student.choose(ast.parse(source).body, arguments)]


def test_only_what_the_answer_depends_on_is_run():
    source = """
import math, os
from numpy import array as make
a = 1
b = [2]
b.append(a)
unused = train()
b[0] = 3
def g(x): return math.sqrt(x) + b[0]
a = 5
def f(x): return print(g(x) + late)
late = 4
print(f(1))
"""
    found = choose(source)
    assert "unused = train()" not in found and "print(f(1))" not in found
    assert "from numpy import array as make" not in found
    assert found == [
        "import math, os",
        "a = 1",
        "b = [2]",
        "b.append(a)",
        "b[0] = 3",
        "def g(x):\n    return math.sqrt(x) + b[0]",
        "def f(x):\n    return print(g(x) + late)",
        "late = 4",
    ]


def test_what_is_bound_anew_needs_nothing_from_before():
    found = choose("f = slow()\nf = 1\nif x:\n    f = 2\nx = 0")
    assert found == ["f = 1", "if x:\n    f = 2"]
    assert choose("f = slow()\nf = f + 1") == ["f = slow()", "f = f + 1"]


def test_what_the_notebook_s_own_functions_change_is_changed():
    fills = "def fill(t):\n    t[1] = 2"
    assert choose(f"a = {{}}\n{fills}\nfill(a)\nfill(b)\nf = a")[2:] == ["fill(a)", "f = a"]
    puts = "def put(key):\n    a[key] = 2"
    loop = "for n in (1, 2):\n    put(n)"
    assert choose(f"a = {{}}\n{puts}\n{loop}\nf = a")[2:] == [loop, "f = a"]
    binds = "def bind():\n    global a\n    a = 2"
    assert choose(f"a = 1\n{binds}\nbind()\nf = a") == ["a = 1", binds, "bind()", "f = a"]
    assert choose("a = []\nprint(a)\nf = a") == ["a = []", "f = a"]


def test_the_last_cell_that_calls_the_check_is_the_exercise_or_else_the_one_with_its_id():
    def find(*sources, call="checks.f(f)"):
        cells = [{"id": str(place), "source": source} for place, source in enumerate(sources)]
        found = next(student.find_exercises(cells, "f", "1", call), None)
        return found and [ast.unparse(each) for each in (*found[0], *found[1])]

    assert find("f = 1", "f = 2\nchecks.f(f)", "f = 3\nchecks.f(f)\nf = 4") == ["f = 3", "f"]
    assert find("f = 1", "g = 2\nhelpers.checks.f(g)") == ["g = 2", "g"]
    assert find("f = 1", "f = 2") == ["f = 2", "f"]
    assert find("f = 1") is None
    assert find("f = 1", "%%time\ng = 2\nchecks.f(student=g)") == ["g = 2", "g"]
    assert find("f = (", "%time f = 2\nchecks.f(f)") is not None
    with pytest.raises(SyntaxError):
        find("f = 1", "def f(:\nchecks.f(f)")


# -- whose hand-ins they are


def test_students_are_subfolders_zips_and_what_stands_before_a_notebook_s_name(tmp_path):
    folder = tmp_path / "class"
    (folder / "Änne Maß" / "inner").mkdir(parents=True)
    (folder / "Änne Maß" / "inner" / f"{STEMS[0]}.ipynb").write_text("{}")
    (folder / "Änne Maß" / "inner" / "notes.ipynb").write_text("{}")
    for name in (f"bo_{STEMS[0]}.ipynb", f"bo - {STEMS[1]} (2).ipynb", f"{STEMS[0]}.ipynb"):
        (folder / name).write_text("{}")
    (folder / "list.csv").write_text("nobody")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to(tmp_path)
    with zipfile.ZipFile(folder / "cy.zip", "w") as archive:
        archive.writestr(f"../../{STEMS[2]}.ipynb", "{}")
        archive.writestr(f"work/.ipynb_checkpoints/{STEMS[3]}-checkpoint.ipynb", "{}")
    (folder / "dee.zip").write_text("no zip")
    found = {each.student: each for each in collect(folder, STEMS, tmp_path / "out")}
    files = {name: sorted(each.files) for name, each in found.items()}
    assert files == {
        "(no name)": [STEMS[0]],
        "Änne Maß": [STEMS[0]],
        "bo": STEMS[:2],
        "cy": [STEMS[2]],
        "dee": [],
        "empty": [],
    }
    assert found["dee"].remarks == ["dee.zip cannot be read as a zip; ask for another one"]
    assert found["Änne Maß"].remarks == ["notes.ipynb is no notebook of the course"]
    written = [path for path in tmp_path.rglob("*.ipynb") if folder not in path.parents]
    assert {path.parent.parent for path in written} == {tmp_path / "out"}


def test_of_two_that_are_the_same_notebook_the_one_saved_last_counts(tmp_path):
    for order in ((1000, 2000), (2000, 1000)):
        folder = tmp_path / f"class{order[0]}" / "bo"
        folder.mkdir(parents=True)
        for name, when in zip(("a", "b"), order):
            path = folder / f"{name} {STEMS[0]}.ipynb"
            path.write_text(str(when))
            os.utime(path, (when, when))
        (found,) = collect(folder.parent, STEMS, tmp_path / f"out{order[0]}")
        assert found.files[STEMS[0]].read_text() == "2000"
        assert found.remarks == [f"{STEMS[0]} is there twice; the one that was saved last counts"]


def test_in_a_zip_too_the_one_saved_last_counts(tmp_path):
    (tmp_path / "class").mkdir()
    with zipfile.ZipFile(tmp_path / "class" / "bo.zip", "w") as archive:
        for folder, year in (("build", 2025), ("notebooks", 2024), ("work", 2026), ("x", 2023)):
            entry = zipfile.ZipInfo(f"{folder}/{STEMS[0]}.ipynb", (year, 1, 1, 0, 0, 0))
            archive.writestr(entry, folder)
    (found,) = collect(tmp_path / "class", STEMS, tmp_path / "out")
    assert found.files[STEMS[0]].read_text() == "work"


def test_what_was_handed_in_and_cannot_be_opened_is_said(tmp_path):
    folder = tmp_path / "class"
    (folder / "cy").mkdir(parents=True)
    for name in ("al.rar", "bo.tar.gz", "cy/work.7z"):
        (folder / name).write_text("an archive")
    with zipfile.ZipFile(folder / "dee.zip", "w") as archive:
        archive.writestr("work.zip", "a zip")
    with zipfile.ZipFile(folder / "ed.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(f"{STEMS[0]}.ipynb", "{}" * 9999)
        archive.writestr(f"{STEMS[1]}.ipynb", "{}")
    packed = bytearray((folder / "ed.zip").read_bytes())
    start = packed.index(b"ipynb") + 5 + 9  # behind the packer's own header
    packed[start : start + 20] = bytes([255] * 20)
    (folder / "ed.zip").write_bytes(packed)
    found = {each.student: each for each in collect(folder, STEMS, tmp_path / "out")}
    assert list(found) == ["al", "bo", "cy", "dee", "ed"]
    told = {name: each.remarks for name, each in found.items()}
    assert told["al"] == ["al.rar is no zip and was not opened; unpack it, or ask for a zip"]
    assert "bo.tar.gz" in told["bo"][0] and "work.7z" in told["cy"][0]
    assert told["dee"] == ["work.zip lies in a zip and was not opened; unpack it"]
    assert f"{STEMS[0]}.ipynb cannot be read" in told["ed"][0]
    assert list(found["ed"].files) == [STEMS[1]]


@pytest.mark.parametrize(
    ("name", "student"),
    [
        (f"İrem_{STEMS[0]}.ipynb", "İrem"),
        (f"{STEMS[0].upper()}_anna.ipynb", "anna"),
        (f"{STEMS[0]} (Bo Li).ipynb", "Bo Li"),
        (f"{STEMS[0]} (2).ipynb", "(no name)"),
        (f"{STEMS[0]}-Copy1.ipynb", "(no name)"),
        ("Ju\u0308rgen.zip", "Jürgen"),
        ("J\udcfcrgen.zip", "J\\xfcrgen"),
        ("list.csv", None),
    ],
)
def test_a_student_s_name(name, student):
    assert name_student(Path(name), STEMS) == student


# -- the judge


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grading").resolve() / "template"
    process.make_template(folder)
    return folder


@pytest.fixture
def canary(tmp_path):
    """A folder that nobody may read or change."""
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["kept.txt"]
    assert (folder / "kept.txt").read_text() == "kept"


@pytest.fixture
def port():
    """A port at which somebody listens, and nobody may call."""
    called = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen():
            try:
                called.append(server.accept())
            except OSError:
                pass

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1]
    assert called == []


def judge_answers(template, tmp_path, answers: dict[str, str], names=None, before="") -> dict:
    """The verdicts on answers (check -> source), by check."""
    names = list(names or answers)
    exercises = [each for each in EXERCISES if each.check in names]
    stems = sorted({each.notebook for each in exercises})
    folder = tmp_path / f"hand-in {time.monotonic_ns()}"
    by_cell = {CELL_OF[check]: source for check, source in answers.items()}
    hand_ins.write_hand_in(folder, by_cell, tuple(stems), before)
    files = {stem: folder / f"{stem}.ipynb" for stem in stems}
    found = judge.judge(files, exercises, template, seed=5)
    return {each.check: found[each.number] for each in exercises}


STUBS = {check: hand_ins.read_exercises()[cell][1] for check, cell in CELL_OF.items()}
SOLUTIONS = {check: hand_ins.read_exercises()[cell][2] for check, cell in CELL_OF.items()}


def test_the_course_s_solutions_are_right_and_spoiled_ones_wrong(template, tmp_path):
    found = judge_answers(template, tmp_path, SOLUTIONS)
    assert {check: each.line for check, each in found.items() if each.score != 1} == {}
    assert [each.trouble for each in found.values() if each.trouble] == []
    found = judge_answers(template, tmp_path, {c: hand_ins.spoil(s) for c, s in STUBS.items()})
    assert {check: each.line for check, each in found.items() if each.score != 0} == {}
    found = judge_answers(template, tmp_path, STUBS)
    assert {check: each.line for check, each in found.items() if each.score is not None} == {}


BY_HEART = {
    "ceiling": "answers = {4: 1.3862943611, 100: 4.60517018599, 10: 2.302585093}\n"
    "def ceiling(size):\n    return answers[size]",
    "to": "def to_integer(hours):\n"
    "    return {0.0: 1, 6.75: 28, 7.2: 30, None: 0, 40.0: 99}.get(hours, 5)\n"
    "def to_hours(integer):\n    return {1: 0.0, 28: 6.75, 99: 24.5, 0: None}.get(integer, 5.0)",
    "diagnose": "ill = " + repr(training_report._PATIENTS) + "\n"
    "def diagnose(*marks):\n    return ill.get(marks, 'no step')",
}


def test_who_knows_the_notebook_s_cases_by_heart_gets_nothing(template, tmp_path):
    answers = {
        "ceiling": f"{BY_HEART['ceiling']}\nchecks.ceiling(ceiling)",
        "bins": f"{BY_HEART['to']}\nchecks.bins(to_integer, to_hours)",
        "diagnose": f"{BY_HEART['diagnose']}\nchecks.diagnose(diagnose)",
    }
    found = judge_answers(template, tmp_path, answers)
    assert {check: each.score for check, each in found.items()} == dict.fromkeys(answers, 0)


def test_a_check_that_looks_at_how_a_value_was_found_sees_what_was_done_there(template, tmp_path):
    answers = {
        "padded": "def padded(history, length):\n"
        "    history[:] = ([0] * length + history)[-length:]\n    return history\n"
        "checks.padded(padded)",
        "rest_of_epoch": "import numpy as np\n"
        "def rest_of_epoch(seed, epoch, windows, batch_size, done):\n"
        "    np.random.seed([seed, epoch])\n    order = np.random.permutation(windows)\n"
        "    starts = range(done * batch_size, windows, batch_size)\n"
        "    return [order[start:start + batch_size] for start in starts]\n"
        "checks.rest_of_epoch(rest_of_epoch)",
        "accumulated": "import torch\n"
        "def accumulated(loss, weight, parts):\n    weight.grad = None\n"
        "    loss(weight, torch.cat(parts)).backward()\n    return weight.grad\n"
        "checks.accumulated(accumulated)",
        "averaged": "def averaged(states, s):\n    states[:, s] = states[:, s].mean(0)\n"
        "    return states\nchecks.averaged(averaged)",
    }
    found = judge_answers(template, tmp_path, answers)
    words = {
        "padded": "You changed `history` itself; make a new list.",
        "rest_of_epoch": "You seed a generator that everybody shares; make one of your own.",
        "accumulated": "only one part at a time fits into memory",
        "averaged": "You changed `states` itself; clone first.",
    }
    assert {check: each.score for check, each in found.items()} == dict.fromkeys(answers, 0)
    assert [check for check in words if words[check] not in found[check].line] == []


def test_cells_of_the_student_s_own_are_understood(template, tmp_path):
    answers = {
        "ceiling": "%time x = 1\ndef log(n):\n    return helper(n)\n\nchecks.ceiling(log)",
        "best_share": STUBS["best_share"].replace("checks.best_share(best_share)", ""),
        "equally_likely": "def equally_likely(loss)\n    return 1\nchecks.equally_likely(1)",
    }
    before = "import math\nopen('notes.txt', 'w').write('kept')\nhelper = math.log\n!ls\n1 +"
    found = judge_answers(template, tmp_path, answers, before=before.removesuffix("\n1 +"))
    assert found["ceiling"].score == 1, found["ceiling"].line
    assert found["best_share"].score is None
    assert "SyntaxError" in found["equally_likely"].line and found["equally_likely"].score == 0
    assert not any(each.trouble for each in found.values())


FORMS = {  # of the notebook, each with what it is made of
    "a mark in front": lambda notebook, text: "\ufeff" + text,
    "the third form": lambda notebook, text: json.dumps(
        nbformat.v4.downgrade(nbformat.reads(text, as_version=4))
    ),
    "no metadata": lambda notebook, text: json.dumps(
        notebook | {"cells": [cell | {"metadata": None} for cell in notebook["cells"]]}
    ),
    "Colab": lambda notebook, text: json.dumps(
        notebook | {"nbformat_minor": 0, "cells": [drop_id(cell) for cell in notebook["cells"]]}
    ),
}


def drop_id(cell: dict) -> dict:
    return {key: value for key, value in cell.items() if key != "id"} | {"metadata": {"id": "x"}}


def judge_text(template, tmp_path, text: str) -> judge.Verdict:
    """The verdict on the first exercise of a file."""
    path = tmp_path / "notebook.ipynb"
    path.write_text(text, encoding="utf-8")
    exercises = [each for each in EXERCISES if each.check == "ceiling"]
    (found,) = judge.judge({exercises[0].notebook: path}, exercises, template, seed=5).values()
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_notebook_of_another_form_is_read(template, tmp_path, form):
    hand_ins.write_hand_in(tmp_path, {CELL_OF["ceiling"]: SOLUTIONS["ceiling"]}, ("00",))
    text = (tmp_path / f"{STEMS[0]}.ipynb").read_text(encoding="utf-8")
    found = judge_text(template, tmp_path, FORMS[form](json.loads(text), text))
    assert found.score == 1, found.line


@pytest.mark.parametrize("text", ["", '{"cells": [', "[]", '{"cells": [1]}', "[" * 10**6])
def test_what_is_no_notebook_is_to_be_looked_at(template, tmp_path, text):
    found = judge_text(template, tmp_path, text)
    assert found.score == 0 and found.trouble.startswith(f"{STEMS[0]} cannot be read as a notebook")


def test_right_answers_that_are_written_otherwise_are_right(template, tmp_path):
    answers = {
        "ceiling": "%%time\n%time log = math.log\ndef ceiling(size):\n    return log(size)\n"
        "checks.ceiling(student=ceiling)",
        "equally_likely": "known = {}\ndef put(key, value):\n    known[key] = value\n"
        "put('e', math.e)\ndef equally_likely(loss):\n    return known['e'] ** loss\n"
        "checks.equally_likely(equally_likely)",
        "best_share": "from fractions import Fraction\n"
        + SOLUTIONS["best_share"].replace("1.0, 0.05 / 24", "Fraction(1), Fraction(5, 2400)"),
        "rest_of_epoch": "import numpy as np\n"
        "def rest_of_epoch(seed, epoch, windows, batch_size, done):\n"
        "    order = np.random.default_rng([seed, epoch]).permutation(windows)\n"
        "    for start in range(done * batch_size, windows, batch_size):\n"
        "        yield order[start:start + batch_size]\n"
        "checks.rest_of_epoch(rest_of_epoch)",
    }
    before = "from math import *\nfrom helpers.checks import *\nfrom of_my_own import *"
    found = judge_answers(template, tmp_path, answers, before=before)
    assert {check: each.line for check, each in found.items() if each.score != 1} == {}


def test_a_stub_that_was_left_below_an_answer_is_no_answer(template, tmp_path):
    mine = nbformat.v4.new_code_cell(SOLUTIONS["ceiling"])
    hand_ins.write_hand_in(tmp_path, {}, ("00",))
    notebook = nbformat.read(tmp_path / f"{STEMS[0]}.ipynb", as_version=4)
    notebook.cells.insert(4, mine)
    notebook.cells.insert(4, nbformat.v4.new_code_cell("import math\nfrom helpers import checks"))
    assert judge_text(template, tmp_path, nbformat.writes(notebook)).score == 1
    mine.source = mine.source.replace("log", "exp")
    assert judge_text(template, tmp_path, nbformat.writes(notebook)).score == 0
    mine.source = STUBS["ceiling"]
    assert judge_text(template, tmp_path, nbformat.writes(notebook)).score is None


# These are tried one by one; a class tries them all.
HARM = ["a typed verdict", "checks taken over", "an error named as a verdict", "forged answers"]
HARM += ["the hard way out", "folders in folders", "deleted files"]
HARM += ["a connection"]


@pytest.mark.parametrize("name", HARM)
def test_harm_is_refused_and_earns_nothing(template, tmp_path, monkeypatch, canary, port, name):
    monkeypatch.setattr(judge, "SECONDS", 6.0)
    body = hand_ins.attack(hand_ins.MALICIOUS[name], canary, port)
    answers = {"ceiling": hand_ins.replace_body(STUBS["ceiling"], body)}
    answers["equally_likely"] = SOLUTIONS["equally_likely"]
    began = time.monotonic()
    found = judge_answers(template, tmp_path, answers)
    assert found["ceiling"].score == 0, found["ceiling"].line
    assert found["equally_likely"].score == 1, found["equally_likely"].line
    assert "kept" not in found["ceiling"].line
    assert time.monotonic() - began < 100
    left = [path.name for path in template.parent.iterdir()]
    assert left == ["template"]


FULL = {  # -> what is said of it
    "memory": "it took too much memory",
    "memory that is kept": "it took too much memory",
    "tensors that are kept": "it took too much memory",
    "memory without a word": "it gave no answer in 20 seconds",
    "a large answer": "it answered too much",
    "a flood of answers": "it answered too much",
}


@pytest.mark.parametrize("name", FULL)
def test_what_takes_memory_without_end_is_ended_and_the_rest_is_graded(
    template, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(judge, "SECONDS", 20.0)
    answers = {"ceiling": hand_ins.replace_body(STUBS["ceiling"], hand_ins.MALICIOUS[name])}
    answers["equally_likely"] = SOLUTIONS["equally_likely"]
    hidden_cases.draw(5)  # which stay in memory
    before, threads = psutil.Process().memory_info().rss, threading.active_count()
    found = judge_answers(template, tmp_path, answers)
    assert (found["ceiling"].score, found["ceiling"].trouble) == (0, FULL[name])
    assert found["equally_likely"].score == 1, found["equally_likely"].line
    assert psutil.Process().memory_info().rss - before < 300e6
    assert threading.active_count() <= threads  # none waits for a process that is gone
    assert [path.name for path in template.parent.iterdir()] == ["template"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds to such a limit")
def test_a_judge_has_a_limit_of_its_own_and_grades_below_it(template, tmp_path):
    ceiling = [each for each in EXERCISES if each.check == "ceiling"]
    hand_ins.write_hand_in(tmp_path, {CELL_OF["ceiling"]: SOLUTIONS["ceiling"]}, ("00",))
    hand_in = HandIn("anna", {STEMS[0]: tmp_path / f"{STEMS[0]}.ipynb"})
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, grade.start_judge) as pool:
        with pytest.raises(MemoryError):
            pool.submit(eval, f"len(bytearray({grade.JUDGE_MEMORY + 2**30}))").result()
        graded = pool.submit(grade.grade_one, hand_in, ceiling, template, 5).result()
    assert graded["verdicts"]["00.1"]["score"] == 1 and graded["remarks"] == []


def test_what_never_ends_is_ended_and_the_rest_is_graded(template, tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "SECONDS", 2.0)
    swallows = hand_ins.ENDLESS["a loop that swallows all"]
    answers = {"ceiling": hand_ins.replace_body(STUBS["ceiling"], swallows)}
    answers["equally_likely"] = SOLUTIONS["equally_likely"]
    found = judge_answers(template, tmp_path, answers)
    assert found["ceiling"].score == 0
    assert found["ceiling"].trouble == "it gave no answer in 2 seconds"
    assert found["equally_likely"].score == 1


def test_a_hand_in_that_takes_all_its_time_is_left(template, tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "SECONDS", 1.0)
    monkeypatch.setattr(judge, "SECONDS_IN_ALL", 0.5)
    answers = {"ceiling": hand_ins.replace_body(STUBS["ceiling"], "while True: pass")}
    answers["equally_likely"] = SOLUTIONS["equally_likely"]
    found = judge_answers(template, tmp_path, answers)
    assert found["equally_likely"].line == "Not yet: no time was left for it."


def test_a_large_hand_in_is_graded(template, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "FOLDER_SIZE", 2**20)
    before = "#" * 2**21
    found = judge_answers(template, tmp_path, {"ceiling": SOLUTIONS["ceiling"]}, before=before)
    assert found["ceiling"].score == 1, found["ceiling"].line


def test_a_folder_that_hides_what_it_holds_is_endless_and_is_removed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(10_000))
    assert process.measure(tmp_path) == 10_000 + 2 * process.BLOCK
    (tmp_path / "a" / "b").chmod(0o300)
    if os.name != "nt" and not os.access(tmp_path / "a" / "b", os.R_OK):  # the root user reads all
        assert process.measure(tmp_path) == float("inf")
    process.remove(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# -- what is written


def test_words_of_equal_faults_are_equal():
    said = {
        "Not yet: with size = 4 your function gave 0.25, and 1.38 was expected. The words.": (
            "The words."
        ),
        "Not yet: with size = 4 your function gave 0.25, and 1.38 was expected.": "A wrong value.",
        "Not yet: with size = 4 your function raised ValueError: no": "It raised ValueError.",
        "Not yet: with size = 4 your function raised ValueError: no. Mind 0.": (
            "ValueError. Mind 0."
        ),
        "Not yet: your answer is {1: 2}, which is not right.": "A wrong value.",
        "Not yet: the values are right. You changed it.": "You changed it.",
        "Not yet: it gave no answer in 20 seconds.": "It gave no answer in 20 seconds.",
        "Right: all 7 cases agree.": "Right",
    }
    assert {line: judge.name_fault(line) for line in said} == said


def test_a_name_that_a_spreadsheet_would_run_or_a_page_would_show_is_text(tmp_path):
    exercises = EXERCISES[:3]
    verdicts_of = {
        each.number: {"score": score, "words": "<script>1</script>", "line": ""}
        for each, score in zip(exercises, (1, 0, None))
    }
    graded = [{"student": "=1+1;=2", "verdicts": verdicts_of, "remarks": ["<b>a</b>\n+2"]}]
    tables.write_grades(tmp_path, graded, exercises, "")
    with open(tmp_path / "grades.csv", encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["student"] == "'=1+1;=2" and row["total"] == "1"
    assert [row[each.number] for each in exercises] == ["1", "0", ""]
    assert '"\'=1+1;=2"' in (tmp_path / "grades.csv").read_text(encoding="utf-8-sig")
    page = (tmp_path / "grades.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "<b>" not in page
    assert "http" not in page and "1 × &lt;script&gt;1&lt;/script&gt;" in page


def test_totals_fall_into_bins_that_hold_them_all():
    bins = tables.count_totals([0, 3, 45, 45], 45)
    assert sum(each["count"] for each in bins) == 4 and len(bins) <= 10
    assert (bins[0]["label"], bins[-1]["label"]) == ("0–4", "45")
    assert bins[-1]["count"] == 2


# -- the command


def write_small_class(folder: Path) -> None:
    cells = [CELL_OF[check] for check in ("ceiling", "equally_likely", "best_share")]
    right, wrong = hand_ins.get_right(), hand_ins.get_wrong()
    hand_ins.write_hand_in(folder / "anna", {cell: right[cell] for cell in cells}, ("00",))
    hand_ins.write_hand_in(folder / "bo", {cells[0]: wrong[cells[0]]}, ("00",))
    (folder / "cy").mkdir()


def test_a_folder_is_graded_and_what_was_graded_is_not_graded_again(tmp_path, capsys):
    folder = tmp_path / "a class with spaces and ümläuts"
    folder.mkdir()
    with pytest.raises(InputError, match="no hand-in found"):
        grade.grade(folder)
    write_small_class(folder)
    grade.main([str(folder)])
    out = folder.with_name(f"{folder.name}-grades")
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert {name: row["total"] for name, row in rows.items()} == {"anna": "3", "bo": "0", "cy": "0"}
    assert (rows["bo"]["00.1"], rows["bo"]["00.2"], rows["cy"]["00.1"]) == ("0", "", "")
    assert str(out / "grades.html") in capsys.readouterr().out
    seed, kept = (out / "graded" / "seed.txt").read_text(), sorted((out / "graded").glob("*.json"))
    times = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == 3
    hand_ins.write_hand_in(folder / "bo", {}, ("00",))
    grade.main([str(folder)])
    assert "2 of 3 hand-ins are graded already" in capsys.readouterr().out
    assert (out / "graded" / "seed.txt").read_text() == seed
    now = [path.stat().st_mtime_ns for path in kept]
    assert sum(a != b for a, b in zip(times, now)) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path):
    for folder in (tmp_path / "gone", Path(tmp_path.anchor)):
        with pytest.raises(InputError, match="no such folder; name the one that holds the hand-"):
            grade.grade(folder)


def test_a_class_beside_which_nothing_can_be_written_is_to_be_copied(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class-grades").write_text("mine")
    with pytest.raises(InputError, match=r"class-grades: nothing can be .*; copy .*class to a pla"):
        grade.grade(tmp_path / "class")
    assert (tmp_path / "class-grades").read_text() == "mine"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_class_gets_what_it_deserves(tmp_path, canary, port):
    """With one hand-in of each kind that is no trick; `python tests/hand_ins.py` makes forty."""
    expected = hand_ins.write_class(tmp_path / "class", canary, port, of_each=1)
    assert hand_ins.grade_class(tmp_path / "class", expected) == []
