"""The command: its parts, its table, its figure, and what it says of a disturbed machine."""

import subprocess
import sys
from functools import partial

import pandas as pd
import pytest
from tqdm.auto import tqdm

from helpers.support.files import ROOT, write_table
from helpers.tools.benchmark import __main__ as command
from helpers.tools.benchmark import processes, steps, turns, uses
from helpers.tools.benchmark.table import (
    make_table,
    read_table,
    replace_parts,
    tell_disturbance,
)
from helpers.tools.benchmark.turns import Turns

SHORT = {
    "forms": [partial(steps.measure_forms, *size, 0) for size in ((2, 8), (4, 8), (2, 16))],
    "tricks": [partial(steps.measure_tricks, 2, 8, 0)],
    "products": [partial(steps.measure_products, 2, 8, 0)],
    "growth": [partial(steps.measure_growth, axis, (1, 2), 0) for axis in ("streams", "carry")],
    "use": [partial(uses.measure_use, 8, 0)],
    "evaluation": [partial(uses.measure_evaluation, 8, 20, 0)],
    "sampling": [partial(uses.measure_sampling, 4, 2, 0)],
    "run": [partial(uses.measure_reference_run, 0, 1)],
    "reading": [partial(processes.measure_reading, (3000, 6000), 1)],
    "start": [partial(processes.measure_start, 1)],
    "torchrun": [partial(processes.measure_workers, 2, 1)],
    "memory": [partial(processes.measure_epochs, (1, 2))],
}


def test_the_short_parts_are_those_of_the_command():
    assert list(SHORT) == list(command.PARTS)
    for part, pieces in command.PARTS.items():
        made = [getattr(piece, "func", piece) for piece in pieces]
        assert {piece.func for piece in SHORT[part]} == set(made)


@pytest.fixture
def shortly(monkeypatch, tmp_path):
    """Runs the command on short parts, and gives its table."""
    monkeypatch.setattr(turns, "TURN", 0)
    monkeypatch.setattr(command, "PARTS", SHORT)
    monkeypatch.setattr(command, "tqdm", lambda *given, **options: tqdm(*given, disable=True))

    def run(*arguments: str) -> pd.DataFrame:
        command.main(["--out", str(tmp_path), "--threads", "1", *arguments])
        return read_table(tmp_path / "benchmark.csv")

    return run


def test_a_part_alone_replaces_its_rows(shortly, tmp_path, capsys):
    first = shortly("--part", "forms", "growth")
    drawn = (tmp_path / "benchmark.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    again = shortly("--part", "growth")
    assert len(again) == len(first)
    parts = ["growth", "exponent of growth"]
    pd.testing.assert_frame_equal(
        again[~again["part"].isin(parts)].reset_index(drop=True),
        first[~first["part"].isin(parts)].reset_index(drop=True),
    )
    assert list(again["value"]) != list(first["value"])
    assert "ms" in capsys.readouterr().out


@pytest.mark.long
def test_a_whole_run_writes_its_table_and_its_figure(shortly, tmp_path, monkeypatch, capsys):
    run = uses.make_run()
    monkeypatch.setattr(run, "config", run.config.change(batches=2, epochs=1))
    table = shortly()
    assert set(table["part"]) == {
        "forms",
        "speed of ours",
        "gain of a trick",
        "products",
        "growth",
        "exponent of growth",
        "use",
        "evaluation",
        "sampling",
        "reference run",
        "reading",
        "reading a CSV",
        "start",
        "torchrun",
        "epochs",
    }
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    assert (table.query("unit != ''")["value"] > 0).all()  # without a unit: exponents
    assert table.query("part != 'epochs'")["disturbed"].between(0, 1).all()
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out
    assert "times" in told and "at work" in told


def make_rows(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    made = [
        Turns(None, disturbed).make_row(part, "ours", [value], "s", batch=batch)
        for part, batch, value, disturbed in rows
    ]
    return make_table(made)


def test_rows_of_other_parts_stay_as_they_are_stored(tmp_path):
    path = tmp_path / "benchmark.csv"
    write_table(path, make_rows(("forms", 16, 1.0, 0.0), ("growth", 16, 2.0, 0.0)))
    both = replace_parts(path, make_rows(("forms", 32, 3.0, 0.5)))
    assert both[["part", "batch", "value", "disturbed"]].values.tolist() == [
        ["growth", 16, 2.0, 0.0],
        ["forms", 32, 3.0, 0.5],
    ]


def test_a_disturbed_machine_is_told_in_words():
    quiet = make_rows(("forms", 16, 1.0, 0.0))
    assert tell_disturbance(quiet).startswith("Nothing else was at work")
    told = tell_disturbance(
        make_rows(("forms", 16, 1.0, 0.0), ("growth", 1, 2.0, 0.2), ("growth", 2, 2.0, 0.6))
    )
    assert "was disturbed" in told and "growth (60%)" in told and "forms" not in told


def test_a_wrong_argument_gets_words():
    command = [sys.executable, "-m", "helpers.tools.benchmark", "--threads", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: --threads 0: must be at least 1\n"
