"""The repository's address: kept in pyproject.toml, the same wherever else it stands."""

import json
import re
import shutil
from pathlib import Path

import pytest

from helpers.tools import address

ROOT = Path(__file__).resolve().parent.parent.parent
PLACES = (
    r"https://colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob/main/",
    r"https://mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/main",
    r"https://codespaces\.new/([\w.-]+/[\w.-]+)",
)


def test_every_badge_has_the_address_that_is_kept():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for place in PLACES:
        assert set(re.findall(place, readme)) == {address.find_address()}


def test_a_new_address_goes_to_every_place_and_to_no_other(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "README.md", "notebooks/00_start_here.ipynb"):
        shutil.copy(ROOT / name, tmp_path / name)
    before = (tmp_path / "README.md").read_text(encoding="utf-8")
    old = address.find_address(tmp_path)
    address.write_address("a-school/course.2", tmp_path)
    assert address.find_address(tmp_path) == "a-school/course.2"
    after = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert [re.findall(place, after)[0] for place in PLACES] == 3 * ["a-school/course.2"]
    assert "OWNER/REPOSITORY`" in after  # how to change it stays as it is
    json.loads((tmp_path / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8"))
    address.write_address(old, tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == before


def test_it_says_what_is_kept_and_refuses_what_is_no_address(capsys):
    address.main([])
    assert capsys.readouterr().out.strip() == address.find_address()
    wrong = (
        "https://github.com/a/b",
        "a/b/c",
        "../..",
        "a/..",
        "ümlaut/b",
        "a/b.git",
        "-a/b",
        "a/",
    )
    for each in wrong:
        with pytest.raises(SystemExit, match="say OWNER/REPOSITORY"):
            address.main([each])
    assert address.NAME.fullmatch("a-school/course.2") and address.NAME.fullmatch("a/.github")


def test_who_was_stopped_on_the_way_says_it_again(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "README.md", "notebooks/00_start_here.ipynb"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "notebooks" / "01_broken.ipynb").write_bytes(b"\xff")
    with pytest.raises(ValueError):
        address.write_address("a-school/course.2", tmp_path)
    (tmp_path / "notebooks" / "01_broken.ipynb").unlink()
    shutil.copy(ROOT / "notebooks" / "01_data_prep.ipynb", tmp_path / "notebooks")
    address.write_address("a-school/course.2", tmp_path)
    for path in address.list_files(tmp_path):
        assert "/a-school/course.2" in path.read_text(encoding="utf-8")
