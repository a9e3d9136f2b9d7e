"""What the page on a machine says, where all is well and where it is not."""

import re
import sys
from pathlib import Path

import pytest

from helpers.support import readiness
from helpers.support.files import ROOT


def test_here_every_finding_has_words_and_a_remedy_where_one_can_fail():
    findings = readiness.look_at_machine()
    names = [finding.what for finding in findings]
    assert {"Python", "packages", "memory", "disk", "folder"} <= set(names)
    assert all(finding.found for finding in findings)
    never_bad = {"system", "device"}
    assert {finding.what for finding in findings if not finding.remedy} == never_bad


def test_pins_are_read_as_this_system_reads_them():
    text = "# a list\nnumpy==2.4.6  # arrays\nno-such==1; sys_platform == 'other'\n-e .\n"
    assert readiness.read_pins(text) == {"numpy": "2.4.6"}
    everything = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert len(readiness.read_pins(everything)) > 100


def test_a_release_that_is_not_the_pinned_one_is_named(monkeypatch):
    found = readiness.find_release
    other = {"numpy": "1.0", "pandas": "nothing"}
    monkeypatch.setattr(readiness, "find_release", lambda name: other.get(name) or found(name))
    finding = readiness.look_at_packages()
    assert not finding.good
    assert re.search(r"numpy 1\.0 for 2\.\d", finding.remedy) and "pip install" in finding.remedy
    monkeypatch.setitem(sys.modules, "google.colab", object())
    assert readiness.look_at_packages().good  # Colab has its own releases


@pytest.mark.parametrize(
    "name, what, look",
    [
        ("FREE_MEMORY", "close", readiness.look_at_memory),
        ("FREE_DISK", "make room", readiness.look_at_disk),
    ],
)
def test_too_little_of_something_gets_its_remedy(monkeypatch, name, what, look):
    assert look().good
    monkeypatch.setattr(readiness, name, 1e9)
    assert not look().good and what in look().remedy


def test_a_folder_that_is_copied_to_the_web_or_shut_is_not_good(tmp_path):
    assert readiness.look_at_folder(tmp_path).good
    synced = tmp_path / "OneDrive - School" / "course"
    synced.mkdir(parents=True)
    assert not readiness.look_at_folder(synced).good
    assert not readiness.look_at_folder(Path("no/such/folder")).good


def test_the_page_ends_in_a_verdict(capsys):
    good = readiness.Finding("disk", "9 GB free", True, "make room")
    assert readiness.show_findings([good])
    assert not readiness.show_findings([good, good._replace(good=False)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Your machine is ready." and lines[-1].startswith("Not quite ready")
    assert lines[0].endswith(" ok") and lines[3].endswith(" make room")
