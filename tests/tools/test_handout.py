"""The zip for students: what is in it, what is not, and that it works where it is unpacked."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from zipfile import ZipFile

import nbformat
import pytest
from test_notebooks import NOT_DONE, NOTEBOOKS, printed, slide_type, tags

from helpers import __main__ as command
from helpers import checks
from helpers.checks.packed import pack, unpack
from helpers.support.files import ROOT
from helpers.tools import course, handout

NAMES = [path.name for path in NOTEBOOKS]
# Of these some expression of the answer stands in the notebook itself, or in `helpers`.
SHOWN_ELSEWHERE = {"carried", "fair_width", "mixture_gap"}
LARGE = 10  # nodes of an expression that nobody writes twice by chance


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return handout.collect()


@pytest.fixture(scope="module")
def zipped(files, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "handout.zip"
    handout.write_zip(files, path)
    return path


@pytest.fixture(scope="module")
def unpacked(zipped, tmp_path_factory) -> Path:
    """The course's folder, unpacked below a folder of an awkward name, with this Python's .venv."""
    folder = tmp_path_factory.mktemp("student") / "a folder with spaces and ümläuts"
    unpack_zip(zipped, folder)
    (folder / handout.FOLDER / ".venv" / "bin").mkdir(parents=True)
    python = folder / handout.FOLDER / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (python.parent.parent / ".ready").write_text(command.get_stamp())
    return folder / handout.FOLDER


def unpack_zip(zipped: Path, folder: Path) -> None:
    with ZipFile(zipped) as archive:
        archive.extractall(folder)


def run(folder: Path, *arguments: str) -> str:
    """What a command of Python says in a folder whose `helpers` it takes."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        encoding="utf-8",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


# -- what is in the zip


def test_the_same_project_gives_the_same_zip(files, zipped, tmp_path):
    handout.write_zip(dict(reversed(files.items())), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == zipped.read_bytes()
    assert handout.collect() == files
    assert zipped.stat().st_size < 12e6


def test_all_lies_in_one_folder_and_notebooks_are_read_only(zipped):
    entries = ZipFile(zipped).infolist()
    for entry in entries:
        top, name = entry.filename.split("/", 1)
        writable = bool(entry.external_attr >> 16 & 0o200)
        assert (top, writable) == (handout.FOLDER, not name.startswith("notebooks/"))
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_a_file_that_is_another_has_another_time(files, zipped, tmp_path):
    """Or else Python would go on with what it compiled of a module of the same size."""
    name = f"{handout.FOLDER}/helpers/schema.py"
    changed = files["helpers/schema.py"].replace(b"e", b"a", 1)
    handout.write_zip({"helpers/schema.py": changed}, tmp_path / "changed.zip")
    before, after = (ZipFile(path).getinfo(name) for path in (zipped, tmp_path / "changed.zip"))
    assert before.file_size == after.file_size
    assert before.date_time != after.date_time


def test_it_holds_what_a_student_needs_and_nothing_of_the_teacher_s(files):
    folders = {name.split("/")[0] for name in files if "/" in name}
    assert folders == {"notebooks", "helpers", "data", "tests"}
    assert sorted(name for name in files if name.startswith("notebooks/")) == [
        f"notebooks/{name}" for name in NAMES
    ]
    modules = {Path(name).name for name in files if name.startswith("helpers/checks/")}
    assert modules == handout.PLAIN_CHECKS | {"packed.txt"}
    tools = {Path(name).name for name in files if name.startswith("helpers/tools/")}
    assert tools == handout.TOOLS
    for name in ("README.md", "LICENSE", "requirements.txt", "data/workplace.csv.gz"):
        assert files[name]


def test_what_is_added_to_the_tools_or_the_checks_stays_with_the_teacher():
    for name in ("tools/hidden.py", "tools/a/hidden.py", "checks/hidden.py", "checks/a/hidden.py"):
        assert not handout.is_for_students(ROOT / "helpers" / name)
    assert handout.is_for_students(ROOT / "helpers" / "uses" / "new.py")


def test_tools_that_a_notebook_uses_are_handed_out(files):
    named = set()
    for name in NAMES:
        text = files[f"notebooks/{name}"].decode()
        named |= set(re.findall(r"helpers\.tools(?:\.| import )(\w+)", text))
    assert "train" in named and {f"{name}.py" for name in named} <= handout.TOOLS


def test_each_command_is_a_student_s_or_a_teacher_s():
    teachers = set(command.COMMANDS) - set(command.FOR_STUDENTS)
    assert {"test-long", "handout", "slides"} <= teachers
    assert teachers <= {"test-long", "handout", "slides", "site", "grade", "guide"}
    lines = " ".join(line for _, lines in command.FOR_STUDENTS.values() for line in lines)
    tools = re.findall(r"helpers\.tools\.(\w+)", lines)
    assert tools and {f"{name}.py" for name in tools} <= handout.TOOLS


def test_notebooks_lack_solutions_notes_and_outputs(files):
    for name in NAMES:
        cells = nbformat.reads(files[f"notebooks/{name}"].decode(), as_version=4).cells
        assert sum("exercise" in tags(each) for each in cells) >= 3
        for each in cells:
            assert "solution" not in tags(each) and slide_type(each) != "notes"
            assert not each.get("outputs") and each.get("execution_count") is None


@pytest.mark.parametrize("address, leads", [("OWNER/REPOSITORY", False), ("a/course", True)])
def test_colab_is_led_to_a_repository_once_there_is_one(monkeypatch, address, leads):
    monkeypatch.setattr(handout, "find_address", lambda: address)
    notebook = handout.make_notebooks()["notebooks/00_start_here.ipynb"].decode()
    assert ("google.colab" in notebook) == leads


def test_links_lead_to_files_of_the_zip(files):
    texts = {f"notebooks/{name}": files[f"notebooks/{name}"].decode() for name in NAMES}
    texts["README.md"] = files["README.md"].decode()
    found = 0
    for name, text in texts.items():
        for link in re.findall(r"\]\(([^)#:\s]+\.\w+)\)", text):
            path = os.path.normpath(Path(name).parent / link)
            assert path.replace(os.sep, "/") in files, f"{name}: {link}"
            found += 1
    assert found > 10


def test_the_readme_takes_the_project_s_table_and_says_what_a_student_does(files):
    readme = files["README.md"].decode()
    assert "{{" not in readme and readme.count("\n# ") == 0
    assert "python -m helpers lab" in readme and "notebooks/00_start_here.ipynb" in readme
    assert "test-long" not in readme and "handout" not in readme


# -- the answers


def expressions(source: str) -> set[str]:
    """The larger expressions of some code that are assigned or returned, in one form."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Return | ast.Expr) and value:
            nodes = [n for n in ast.walk(value) if not isinstance(n, ast.expr_context)]
            text = ast.unparse(value)
            found |= (
                {text} if len(nodes) >= LARGE and not isinstance(value, ast.Constant) else set()
            )
    return found


def answers() -> dict[str, set[str]]:
    """By check, the expressions of the solution and of the check's right function."""
    found = {}
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        for stub, solution in zip(cells, cells[1:], strict=False):
            if "solution" in tags(solution):
                (name,) = re.findall(r"checks\.(\w+)\(", solution.source)[-1:]
                found[name] = expressions(solution.source) - expressions(stub.source)
    for source in handout.read_answers().values():
        for check in ast.parse(source).body:
            for node in ast.walk(check):
                if isinstance(node, ast.FunctionDef) and node.name == "right":
                    found[check.name] = found.get(check.name, set()) | expressions(
                        ast.unparse(node)
                    )
    return found


def all_expressions(files) -> set[str]:
    found = set()
    for name, content in files.items():
        if name.endswith(".py"):
            found |= expressions(content.decode())
        elif name.endswith(".ipynb"):
            cells = nbformat.reads(content.decode(), as_version=4).cells
            code = (cell.source for cell in cells if cell.cell_type == "code")
            found |= set().union(*map(expressions, code))
    return found


def test_no_answer_stands_in_a_file_of_the_zip(files):
    handed_out = all_expressions(files)
    told = answers()
    assert sum(map(len, told.values())) > 100
    assert {name for name, each in told.items() if each & handed_out} <= SHOWN_ELSEWHERE


def test_no_line_of_a_check_that_holds_answers_can_be_read(files):
    texts = [content for name, content in files.items() if name.startswith("helpers/checks/")]
    lines = "\n".join(handout.read_answers().values()).splitlines()
    telling = {line.strip().encode() for line in lines if len(line.strip()) > 40}
    telling -= {line for line in telling if line.startswith((b"from ", b'"""'))}
    assert len(telling) > 500
    assert not [line for line in telling for text in texts if line in text]


def test_an_answer_in_plain_sight_would_be_found(files):
    source = handout.read_answers()["helpers.checks.last_vector"].encode()
    assert all_expressions(files | {"helpers/mean.py": source}) & answers()["mean_state"]


def test_what_is_packed_comes_out_as_it_was():
    sources = {"a.b": "x = 'ä'\n", "a.c": ""}
    assert unpack(pack(sources)) == sources
    assert "x =" not in pack(sources)


LOOK = """
import inspect, traceback
from IPython.core.interactiveshell import InteractiveShell
from helpers import checks
module = inspect.getmodule(checks.made_up_report)
print(type(module.__spec__.loader).__name__, hasattr(module, "__file__"))
for thing in (checks.made_up_report, module):
    try:
        print("shown:", inspect.getsource(thing))
    except (OSError, TypeError) as error:
        print("hidden:", type(error).__name__)
shell = InteractiveShell()
shell.push({"checks": checks})
print("asked:", shell.object_inspect("checks.made_up_report", detail_level=1))
try:
    checks.made_up_report(3)
except AttributeError:
    print(traceback.format_exc())
"""


def test_neither_a_look_at_the_source_nor_a_traceback_shows_an_answer(unpacked):
    said = run(unpacked, "-c", LOOK)
    assert said.startswith("PackedModules False\nhidden: ")
    assert said.count("hidden: ") == 2 and "shown:" not in said
    assert "<helpers.checks.training_report>" in said  # where the error was
    assert "Exercise 07." in said  # what the check is for may be asked
    assert "worse than guessing" not in said and "student.get" not in said
    assert run(ROOT, "-c", LOOK).count("worse than guessing") > 2  # where nothing is packed


HELP = """
import importlib, pydoc, sys
from helpers import checks
for name in sys.argv[1:]:
    print(pydoc.plain(pydoc.render_doc(importlib.import_module(name))))
"""


def test_help_on_the_checks_shows_no_table_of_answers(unpacked):
    modules = sorted(handout.read_answers())
    said = run(unpacked, "-c", HELP, *modules)
    assert all(f"    {name} - " in said for name in modules) and "diagnose(student)" in said
    assert re.findall(r"(?m)^    \w+ = .+$", said)  # a module's values are shown
    assert re.findall(r"(?m)^    \w+ = [\[{(].*$", said) == []
    assert "rate too small" not in said and "[0, 1, 2, 3]" not in said


def test_packed_checks_do_all_that_plain_ones_do(unpacked, tmp_path):
    """The tests of all checks, in what was handed out, with the solutions put back."""
    folder = tmp_path / "with ümläuts"
    shutil.copytree(unpacked, folder)
    for name in ("tests", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    said = run(folder, "-m", "pytest", "tests/checks", "--deselect", "tests/checks/test_scores.py")
    assert int(re.search(r"(\d+) passed", said)[1]) > 400


def test_the_readme_says_rightly_where_answers_stand_in_helpers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`(\w+)` \(`([\w.]+)`\)", readme)
    assert len(pairs) >= 10
    for name, place in pairs:
        assert name in checks.__all__
        assert resolve_name(f"helpers.{place}")


# -- what a student does with it


def test_the_command_knows_that_it_is_a_hand_out(unpacked):
    said = run(unpacked, "-m", "helpers")
    names = re.findall(r"(?m)^  ([\w-]+) ", said)
    assert names == list(command.FOR_STUDENTS)
    ended = subprocess.run([sys.executable, "-m", "helpers", "handout"], cwd=unpacked)
    assert ended.returncode == 2
    assert command.COMMANDS is not command.FOR_STUDENTS


@pytest.mark.long
def test_its_own_tests_pass(unpacked):
    said = run(unpacked, "-m", *command.TESTS.split())
    assert int(re.search(r"(\d+) passed", said)[1]) > 100


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_each_of_its_notebooks_runs_and_says_what_is_not_done(name, unpacked, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(unpacked))
    before = (unpacked / "notebooks" / name).read_bytes()
    executed = course.run_notebook(unpacked / "notebooks" / name, unpacked / "build" / "notebooks")
    stubs = [each for each in executed.cells if "exercise" in tags(each)]
    assert len(stubs) >= 3
    for stub in stubs:
        assert {output.get("name") for output in stub.outputs} == {"stdout"}, stub.source
        assert NOT_DONE.fullmatch(printed(stub)), stub.source
    assert (unpacked / "notebooks" / name).read_bytes() == before
    assert {path.name for path in (unpacked / "notebooks").iterdir()} == set(NAMES)
