"""The check of a machine: its timed step, and what it foretells from stored cell times."""

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.tools import check_machine


def notebook(*seconds: float):
    cells = [new_markdown_cell("**Minutes:** 3 to run on two cores, 4 to teach.")]
    for each in seconds:
        times = {
            "iopub.execute_input": "2026-01-01T10:00:00.000000Z",
            "shell.execute_reply": f"2026-01-01T10:00:{each:09.6f}Z",
        }
        cells.append(new_code_cell("1 + 1", metadata={"execution": times}))
    return new_notebook(cells=cells)


def test_the_seconds_of_a_notebook_are_those_of_its_cells():
    assert check_machine.stored_seconds(notebook(1.5, 30)) == pytest.approx(31.5)


def test_an_edition_without_times_has_the_minutes_that_it_tells():
    without = notebook(1.5, 30)
    del without.cells[2].metadata["execution"]
    assert check_machine.stored_seconds(without) == 180


def test_a_cell_that_was_broken_off_has_no_time_and_a_notebook_of_one_s_own_tells_none():
    broken_off = notebook(1.5, 30)
    del broken_off.cells[2].metadata["execution"]["shell.execute_reply"]
    assert check_machine.stored_seconds(broken_off) == 180
    assert check_machine.stored_seconds(new_notebook()) == 0
    assert check_machine.stored_seconds(new_notebook(cells=[new_code_cell("1 + 1")])) == 0


def test_an_estimate_grows_with_the_step(tmp_path):
    path = tmp_path / "01_two.ipynb"
    nbformat.write(notebook(30, 30), path)
    same, slow = (
        check_machine.estimate([path], times * check_machine.STORED_STEP) for times in (1, 3)
    )
    assert same == {"01_two": pytest.approx(1)} and slow == {"01_two": pytest.approx(3)}


def test_a_step_is_timed_and_leaves_the_threads_as_they_were(monkeypatch):
    monkeypatch.setattr(check_machine, "SECONDS", 0)
    before = torch.get_num_threads()
    assert 0.0005 < check_machine.time_step(1) < 5
    assert torch.get_num_threads() == before


def test_the_page_names_every_notebook_and_ends_with_its_verdict(monkeypatch, capsys):
    monkeypatch.setattr(check_machine, "SECONDS", 0)
    monkeypatch.setattr(check_machine, "look_at_machine", list)  # nothing found: all is good
    with pytest.raises(SystemExit) as ended:
        check_machine.main()
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(path.stem in said for path in check_machine.NOTEBOOKS.glob("[0-9]*.ipynb"))
    assert "ms; threads at work: 1\n" in said and "all of them" in said
