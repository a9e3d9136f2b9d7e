"""A student's work: brought once, never written over, and told where the course has gone on."""

import json

import pytest

from helpers.tools import work


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder of three notebooks, and the folder of the work, which is not there yet."""
    (tmp_path / "notebooks").mkdir()
    for name in ("00_a.ipynb", "01_b.ipynb", "notes.ipynb"):
        (tmp_path / "notebooks" / name).write_text(f"first {name}")
    monkeypatch.setattr(work, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(work, "WORK", tmp_path / "work")
    return tmp_path / "notebooks", tmp_path / "work"


def test_each_notebook_is_brought_once(folders, capsys):
    notebooks, mine = folders
    work.main()
    assert capsys.readouterr().out == f"New in {mine}: 00_a.ipynb, 01_b.ipynb\n"
    assert (mine / "01_b.ipynb").read_text() == "first 01_b.ipynb"
    (mine / "00_a.ipynb").write_text("my answer")
    work.main()
    assert capsys.readouterr().out == ""
    assert (mine / "00_a.ipynb").read_text() == "my answer"


def test_a_newer_notebook_is_told_and_comes_when_the_old_one_makes_room(folders, capsys):
    notebooks, mine = folders
    work.main()
    (mine / "01_b.ipynb").write_text("my answer")
    (notebooks / "01_b.ipynb").write_text("second")
    (notebooks / "02_c.ipynb").write_text("first")
    capsys.readouterr()
    for new in (f"New in {mine}: 02_c.ipynb\n", ""):
        work.main()
        assert capsys.readouterr().out == (
            f"{new}Newer in notebooks/ than in work/: 01_b.ipynb. "
            f"Rename yours, and the next lab brings the new one.\n"
        )
    assert (mine / "01_b.ipynb").read_text() == "my answer"
    (mine / "01_b.ipynb").rename(mine / "01_b_old.ipynb")
    work.main()
    assert capsys.readouterr().out == f"New in {mine}: 01_b.ipynb\n"
    assert (mine / "01_b.ipynb").read_text() == "second"
    assert (mine / "01_b_old.ipynb").read_text() == "my answer"


@pytest.mark.parametrize("note", ["", "[1]", "{", '{"00_a.ipynb": 3}', None])
def test_a_spoiled_note_costs_no_work(folders, note):
    notebooks, mine = folders
    work.main()
    (mine / "00_a.ipynb").write_text("my answer")
    if note is None:
        (mine / work.MADE_FROM).unlink()
    else:
        (mine / work.MADE_FROM).write_text(note)
    assert work.bring(notebooks, mine) == ([], ["00_a.ipynb", "01_b.ipynb"])
    assert (mine / "00_a.ipynb").read_text() == "my answer"
    (mine / "01_b.ipynb").unlink()
    assert work.bring(notebooks, mine) == (["01_b.ipynb"], ["00_a.ipynb"])
    assert set(json.loads((mine / work.MADE_FROM).read_text())) >= {"01_b.ipynb"}
