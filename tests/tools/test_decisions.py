"""The command that sets runs beside floor, readers and baselines: its answers, and its files."""

import json

import numpy as np
import pandas as pd
import pytest
from small import command, refused
from support.toy import random_log

from helpers.events import TEST
from helpers.losses import Evaluation
from helpers.reader import read
from helpers.schema import WORKPLACE
from helpers.support.baselines import BASELINES
from helpers.support.files import DATA
from helpers.tools import decisions
from helpers.tools.decisions import ask, main
from helpers.training import finished_run

STREAMS = list(WORKPLACE.streams)
DECIDING = STREAMS[1:]
WITHOUT = [f"without {stream}" for stream in STREAMS]


def by_hand() -> Evaluation:
    """Three windows, two steps, two categories; of the second window the first step alone."""
    counted = np.array([[1, 1], [1, 0], [1, 1]], bool)
    # Actor is the second stream, Recipient the third.
    deciders = np.array([[[2, 0], [0, 3]], [[2, 0], [0, 0]], [[0, 3], [0, 0]]], np.int8)
    return Evaluation(random_log(), {}, counted, None, np.array([7, 7, 9]), deciders)


def test_answers_are_means_by_question_counted_by_hand():
    losses = np.arange(12.0).reshape(3, 2, 2)
    losses[1, 1] = 999  # padding
    answers = ask(losses, by_hand())
    assert answers == pytest.approx(
        {
            "all steps": (0 + 1 + 2 + 3 + 4 + 5 + 8 + 9 + 10 + 11) / 10,
            "next event": (0 + 1 + 4 + 5 + 8 + 9) / 6,
            "Actor": (0 + 4) / 2,
            "Recipient": 9,
            "decisions": (2 + 9) / 2,  # streams weigh alike, however often they decide
            "step 1": (2 + 9) / 2,
            "step 2": 3,
        }
    )


def test_the_command_answers_every_question_for_everyone(built_in, tmp_path, capsys):
    config, out = built_in(tgt_seq_len=4), tmp_path / "tables" / "decisions.csv"
    main([str(config), "--out", str(out)])
    table, said = pd.read_csv(out), capsys.readouterr().out
    assert list(table.columns) == ["who", "question", "loss"] and table["loss"].notna().all()
    who = ["floor", "reader", "mine", *WITHOUT, "reader of Recipient alone", *BASELINES]
    assert table["who"].unique().tolist() == who
    questions = ["all steps", "next event", *DECIDING, "decisions"]
    assert table["question"].unique().tolist() == [*questions, *(f"step {i}" for i in range(1, 5))]
    assert len(table) == len(who) * len(table["question"].unique())
    for line in table.itertuples():
        if not line.question.startswith("step "):
            assert line.who in said and line.question in said and f"{line.loss:.3f}" in said
    assert (out.with_suffix(".png")).read_bytes().startswith(b"\x89PNG")

    # What it says is what the run's evaluation and the reader say.
    run = finished_run(config)
    evaluation = run.evaluation()
    wide = decisions.pivot(table, questions)
    for name, ours in (("mine", "model"), ("reader", "reader"), ("floor", "floor")):
        expected = ask(evaluation.losses[ours], evaluation)
        assert wide.loc[name].to_dict() == pytest.approx(
            {question: expected[question] for question in questions}, abs=1e-5
        )
    decided = evaluation.decisions().set_index("stream")
    assert wide.loc["mine", DECIDING].tolist() == pytest.approx(
        decided.loc[DECIDING, "model"].tolist(), abs=1e-5
    )
    rest = [name for name in STREAMS if name != "Location"]
    losses = read(run.data.windows[TEST], run.data.truth, rest)
    expected = ask(losses, evaluation)["Location"]
    assert wide.loc["without Location", "Location"] == pytest.approx(expected, abs=1e-5)
    assert (wide["all steps"] >= wide.loc["floor", "all steps"] - 0.01).all()


def test_a_run_is_trained_once_and_windows_are_at_most_so_many(built_in, tmp_path, monkeypatch):
    config, (one, other) = built_in(), (tmp_path / "one.csv", tmp_path / "other.csv")
    main([str(config), "--out", str(one)])
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    before = checkpoint.read_bytes()
    main([str(config), "--out", str(other)])
    assert one.read_bytes() == other.read_bytes() and checkpoint.read_bytes() == before
    monkeypatch.setattr(decisions, "WINDOWS", 100)
    main([str(config), "--out", str(other)])
    assert one.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("streams", [["Actor"], STREAMS[::-1]])
def test_other_streams_are_refused_before_anything_is_trained(built_in, tmp_path, streams):
    config = built_in(streams=streams)
    words = ("seven streams", "remove")
    refused(lambda: main([str(config), "--out", str(tmp_path / "x.csv")]), *words, start=config)
    assert not (tmp_path / "run").exists() and not (tmp_path / "x.csv").exists()


def test_a_log_of_one_s_own_and_a_table_over_an_input_are_refused(built_in, tmp_path, config_file):
    config = config_file()
    ran = command(config, "--out", "x.csv", cwd=tmp_path, tool="decisions")
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith(f"error: {config}: decisions are known of the built-in log")
    assert ran.stderr.count("\n") == 1 and not (tmp_path / "run").exists()
    config = built_in()
    before = config.read_text()
    refused(lambda: main([str(config), "--out", str(config)]), "is no table", start="--out ")
    assert config.read_text() == before


def test_what_would_stand_in_the_place_of_something_else_is_refused(built_in, tmp_path):
    config = built_in()
    picture = tmp_path / "x.png"
    picture.mkdir()
    for out, words in (
        (tmp_path / "y.png", "picture"),
        (picture.with_suffix(".csv"), "x.png: is a folder"),
        (DATA / "workplace.csv.gz", "is no table"),
        (DATA / "floors.npz", "is no table"),
    ):
        refused(lambda out=out: main([str(config), "--out", str(out)]), words, start="--out ")
    assert not (tmp_path / "run").exists() and not (tmp_path / "y.png").exists()


def test_runs_that_cannot_stand_in_one_table_are_refused(built_in, tmp_path):
    out, config, folder = ["--out", str(tmp_path / "x.csv")], built_in(), tmp_path / "other"
    folder.mkdir()
    same, named = folder / config.name, tmp_path / "reader.json"
    for path in (same, named):
        path.write_bytes(config.read_bytes())
    refused(lambda: main([str(config), str(same), *out]), "'mine'", "rename", start=same)
    refused(lambda: main([str(named), *out]), "'reader'", "rename", start=named)
    for key in ("src_seq_len", "tgt_seq_len", "id_category_size"):
        other = tmp_path / "longer.json"
        given = json.loads(config.read_text())
        other.write_text(json.dumps(given | {key: given[key] + 1}))
        refused(lambda: main([str(config), str(other), *out]), f"'{key}'", config, start=other)
    assert not (tmp_path / "run").exists() and not (tmp_path / "x.csv").exists()
