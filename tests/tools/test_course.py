"""The course as a whole: notebooks that run, a notebook without solutions, the slides."""

import re
import tomllib
from fnmatch import fnmatch

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_notebooks import ROOT, cell, printed, slide_type, tags, text, tiny

from helpers.__main__ import COMMANDS
from helpers.support.baselines import BASELINES
from helpers.tools import course
from helpers.tools.course import WIDGET


@pytest.fixture
def path(tmp_path):
    """The tiny notebook as a file."""
    notebook = tiny()
    # The three notes of the tiny notebook are alike otherwise.
    notebook.cells[3].source += " Then wait."
    links = "See [the card](../data/README.md), [01](01_data_prep.ipynb) and $x < 1$."
    notebook.cells += [
        text(links, "fragment"),
        text("A long table.", "skip"),
        cell("secret = 1", slide="skip"),
    ]
    for number, each in enumerate(notebook.cells, start=1):
        each["id"] = f"cell-{number}"
        if each.cell_type == "code":
            each.execution_count = number
    nbformat.write(notebook, tmp_path / "01_tiny.ipynb")
    return tmp_path / "01_tiny.ipynb"


def test_run_executes_a_copy_in_the_notebook_s_folder(tmp_path):
    (tmp_path / "word.txt").write_text("beside")
    path = tmp_path / "00_small.ipynb"
    code = new_code_cell("print(open('word.txt').read(), 6 * 7)")
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Small"), code]), path)
    before = path.read_bytes()
    executed = course.run_notebook(path, tmp_path / "out")
    assert printed(executed.cells[1]) == "beside 42\n"
    assert nbformat.read(tmp_path / "out" / path.name, as_version=4) == executed
    assert "beside 42" in (tmp_path / "out" / "00_small.html").read_text(encoding="utf-8")
    assert path.read_bytes() == before


def test_run_names_the_cell_that_fails_and_keeps_what_was_executed(tmp_path):
    path = tmp_path / "00_broken.ipynb"
    cells = [new_code_cell(source) for source in ("print('before')", "1 / 0", "2")]
    nbformat.write(new_notebook(cells=cells), path)
    with pytest.raises(SystemExit) as stopped:
        course.run_notebook(path, tmp_path / "out")
    line = str(stopped.value).splitlines()[0]
    assert line == "00_broken.ipynb, code cell 2: ZeroDivisionError: division by zero"
    assert "before" in (tmp_path / "out" / "00_broken.html").read_text(encoding="utf-8")


def test_the_student_edition_lacks_solutions_notes_and_outputs_and_nothing_else(path):
    course.write_student_edition(path, path.parent / "student", without={"solution"})
    whole = nbformat.read(path, as_version=4).cells
    student = nbformat.read(path.parent / "student" / path.name, as_version=4)
    nbformat.validate(student)
    kept = [each for each in whole if "solution" not in tags(each) and slide_type(each) != "notes"]
    assert len(whole) - len(kept) == 3 + 3
    assert len(student.cells) == len(kept)
    for ours, theirs in zip(student.cells, kept, strict=True):
        assert (ours.id, slide_type(ours)) == (theirs.id, slide_type(theirs))
        assert tags(ours) == tags(theirs)
        assert ours.source == theirs.source
        assert "execution" not in ours.metadata
        if ours.cell_type == "code":
            assert (ours.outputs, ours.execution_count) == ([], None)


def test_a_deck_shows_the_slides_and_the_notes_and_nothing_that_is_skipped(path):
    course.write_slides(path, path.parent / "slides")
    source = (path.parent / "slides" / "01_tiny.html").read_text(encoding="utf-8")
    page = BeautifulSoup(source, "html.parser")
    decks = page.select(".slides > section")
    headings = [each.get_text().strip("¶") for each in page.select(".slides h1, .slides h2")]
    assert headings == ["01 · A tiny notebook", "Quiz", "What we saw"]
    assert [len(deck.find_all("section", recursive=False)) for deck in decks] == [1, 2, 4, 1]
    assert page.select(".slides > section > section .fragment")
    notes = [note.get_text() for note in page.select(".slides section aside.notes")]
    assert len(notes) == 3 and all("Ask first." in note for note in notes)
    assert "Then wait." in notes[2]
    shown = page.select_one(".slides").get_text()
    assert "Predict before you run." in shown and "One and one is 2" in shown
    assert "In [" not in source
    for skipped in ("A long table.", "secret", "Not done yet", "Right:", "Exercise 01.1"):
        assert skipped not in shown
    assert "your code" not in shown
    assert 'href="../../data/README.md"' in source


def test_a_deck_leaves_out_what_a_widget_left_behind(tmp_path):
    bar = new_output("display_data", {WIDGET: {"model_id": "1"}, "text/plain": "epoch 0:   0%"})
    said = new_output("stream", name="stdout", text="it fell")
    code = new_code_cell("train()", outputs=[bar, said])
    code.metadata["slideshow"] = {"slide_type": "slide"}
    nbformat.write(new_notebook(cells=[code]), tmp_path / "05_bar.ipynb")
    course.write_slides(tmp_path / "05_bar.ipynb", tmp_path)
    page = (tmp_path / "05_bar.html").read_text(encoding="utf-8")
    assert "it fell" in page and "epoch 0:" not in page


def test_a_figure_stands_before_its_code_which_is_folded_up(tmp_path):
    figure = new_output("display_data", {"image/png": "aGVsbG8=", "text/plain": "<Figure>"})
    for number, outputs in enumerate(([figure], [new_output("stream", text="said")])):
        code = new_code_cell("draw_it()", outputs=outputs)
        code.metadata["slideshow"] = {"slide_type": "slide"}
        nbformat.write(new_notebook(cells=[code]), tmp_path / f"{number}.ipynb")
        course.write_slides(tmp_path / f"{number}.ipynb", tmp_path)
    drawn, said = (
        BeautifulSoup((tmp_path / f"{number}.html").read_text(encoding="utf-8"), "html.parser")
        for number in range(2)
    )
    assert drawn.select_one("img").find_next("details").get_text(strip=True).endswith("draw_it()")
    assert drawn.get_text().count("draw_it()") == 1
    assert not said.select("details") and said.get_text().count("draw_it()") == 1


@pytest.mark.parametrize("tag", ["exercise", "solution"])
def test_a_deck_never_shows_code_of_an_exercise(path, tag):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(cell("revealed = 1", tag=tag, slide="slide"))
    nbformat.write(notebook, path)
    course.write_slides(path, path.parent)
    assert "revealed" not in path.with_suffix(".html").read_text(encoding="utf-8")


def scripts_and_styles(page: str) -> list[str]:
    page = BeautifulSoup(page, "html.parser")
    scripts = [tag["src"] for tag in page.select("script[src]")]
    return scripts + [tag["href"] for tag in page.select("link[href]")]


def test_a_deck_takes_its_libraries_from_the_web_or_from_beside_it(path):
    course.write_slides(path, path.parent)
    loaded = scripts_and_styles(path.with_suffix(".html").read_text(encoding="utf-8"))
    assert len(loaded) == 5
    web = re.compile(r"https://cdn\.jsdelivr\.net/npm/(reveal\.js|mathjax)@\d")
    assert all(web.match(address) for address in loaded)
    for name in course.LIBRARIES:
        (path.parent / "node_modules" / name).mkdir(parents=True)
    course.write_slides(path, path.parent)
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert [address.split("/")[0] for address in scripts_and_styles(page)] == ["node_modules"] * 5
    assert "cdn" not in page.lower()


def test_the_template_of_decks_is_installed_with_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["helpers.tools"]
    assert course.DECK.parent == ROOT / "helpers" / "tools"
    assert any(fnmatch(course.DECK.name, pattern) for pattern in patterns)


def test_make_help_says_how_to_have_the_libraries():
    assert course.INSTALL in COMMANDS["slides"][0]


def test_slides_are_made_by_name(monkeypatch, capsys, path):
    monkeypatch.setattr(course, "NOTEBOOKS", path.parent)
    monkeypatch.setattr(course, "SLIDES", path.parent / "slides")
    course.main(["slides"])
    assert [file.name for file in (path.parent / "slides").iterdir()] == ["01_tiny.html"]
    said = capsys.readouterr().out
    assert said.startswith(f"1 decks in {path.parent / 'slides'}")
    assert course.INSTALL in said


def test_without_a_name_every_notebook_runs_and_the_last_report_is_shown(monkeypatch, capsys, path):
    report = path.parent / "report.csv"
    heads, of_all = ",".join(BASELINES), ",".join("2" * len(BASELINES))
    report.write_text(
        f"question,category,size,ceiling,{heads},model\n"
        f"all steps,kind,4,1.5,{of_all},1.25\nall steps,mean,,1.5,{of_all},1.25\n"
    )
    monkeypatch.setattr(course, "NOTEBOOKS", path.parent)
    monkeypatch.setattr(course, "REPORT", report)
    monkeypatch.setattr(course, "EXECUTED", path.parent / "executed")
    ran = []
    monkeypatch.setattr(course, "run_notebook", ran.append)
    course.main([])
    said = capsys.readouterr().out
    assert ran == [path] and re.search(r"01_tiny\.ipynb +\d+\.\d s  ok", said)
    assert re.search(r"kind +4 +1\.500 +2 +1\.250", said)
    report.unlink()
    course.main([])
    assert "kind" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["slide"], ["slides", "slides"], ["--help"], [""]])
def test_a_bad_argument_gets_one_clear_line(arguments):
    with pytest.raises(SystemExit) as stopped:
        course.main(arguments)
    said = str(stopped.value)
    assert said.startswith("error: say slides, or nothing")
    assert said.endswith(f"not '{' '.join(arguments)}'")
    assert "\n" not in said


def test_a_folder_without_notebooks_is_said_to_be_one(monkeypatch, tmp_path):
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path)
    with pytest.raises(SystemExit, match="no notebook in"):
        course.main(["slides"])
