"""The command that trains: its table as text, and the files that it must not write over."""

import re

import pandas as pd
import pytest
from small import CHECKPOINT, command, refused
from unkind import UNKIND, Tags, unkind_run

from helpers import training
from helpers.events import VALIDATION
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.baselines import BASELINES
from helpers.support.checkpoints import save_run
from helpers.support.files import DATA
from helpers.tools import train
from helpers.training import read_config


def test_a_report_is_shown_by_question_with_the_best_baseline_three_digits_and_blanks(tmp_path):
    rest = dict.fromkeys(BASELINES, 3.0)
    rows = [
        ("all steps", None, "A", 7, None, 2.0, 0.12345, 0.05),
        ("all steps", None, "mean", None, None, 2.0, 0.12345, None),
        ("where a habit decides", "Time", "A", None, 1234, 2.0, 0.9, 0.5),
        ("where a habit decides", "mean", None, None, 1234, 2.0, 0.9, 0.5),
    ]
    columns = ["question", "stream", "category", "size", "decisions", "ceiling", "model", "gap"]
    report = pd.DataFrame(rows, columns=columns).assign(**rest | {BASELINES[1]: [1.5, 1, 1, 1]})
    report.to_csv(tmp_path / "report.csv", index=False)
    for table in (report, report.astype({"size": "Int64"}), pd.read_csv(tmp_path / "report.csv")):
        assert [line.split() for line in train.show(table).splitlines()] == [
            f"{train.QUESTIONS['all steps']}, losses in nats:".split(),
            ["category", "size", "ceiling", "baseline", "model", "gap"],
            ["A", "7", "2.000", "1.500", "0.123", "0.050"],
            ["mean", "2.000", "1.000", "0.123"],
            [],
            f"{train.QUESTIONS['where a habit decides']}, losses in nats:".split(),
            ["stream", "category", "decisions", "ceiling", "baseline", "model", "gap"],
            ["Time", "A", "1234", "2.000", "1.000", "0.900", "0.500"],
            ["mean", "1234", "2.000", "1.000", "0.900", "0.500"],
        ]


@pytest.mark.parametrize("option", ["--report", "--history"])
@pytest.mark.parametrize("name", ["config", "log", "mapping", "model_checkpoint", "own"])
def test_what_the_command_reads_is_never_written_over(tmp_path, config_file, option, name):
    config = config_file(model_checkpoint=str(tmp_path / "old.safetensors"))
    (tmp_path / "run").mkdir()
    own = tmp_path / "run" / "checkpoint.safetensors"
    own.write_bytes(b"own")
    (tmp_path / "old.safetensors").write_bytes(b"old")
    settings = read_config(config)
    places = settings.model_dump() | {"config": str(config), "own": str(own)}
    inputs = train.list_inputs(settings, str(config))
    assert places[name] in map(str, inputs)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused(lambda: train.main([str(config), option, places[name]]), start=f"{option} ")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_nor_is_the_built_in_log_or_its_truth(config_file):
    path = config_file()
    inputs = train.list_inputs(read_config(path), str(path))
    assert {DATA / "workplace.csv.gz", DATA / "floors.npz"} <= set(inputs)


def test_the_command_writes_every_file_that_the_docstring_lists_and_resumes(
    tmp_path, config_file, monkeypatch
):
    config = config_file(epochs=9, batches=3)
    changes = ["--set", "epochs=2", "--set", "model.d_model=8", "model.num_heads=2"]
    ran = command(
        config,
        *changes,
        "out=runs/tiny",
        "--report",
        "tables/report.csv",
        "--history",
        "tables/history.csv",
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    out, about = (
        tmp_path / "runs" / "tiny",
        training.__doc__.split("A run leaves in its folder:")[1]
        + train.__doc__.split("Beside what")[1],
    )
    assert {path.name for path in out.iterdir()} == set(
        re.findall(r"\w+\.(?:safetensors|csv|png)", about)
    )
    assert (out / "loss_per_epoch_full.png").read_bytes().startswith(b"\x89PNG")
    for name in ("report.csv", "history.csv"):
        assert (tmp_path / "tables" / name).read_bytes() == (out / name).read_bytes()
    report, epochs = pd.read_csv(out / "report.csv"), pd.read_csv(out / "epochs.csv")
    assert report["question"].tolist() == ["all steps"] * 18 + ["next event"] * 18
    assert report["category"].tolist() == [*CATEGORY_NAMES, "mean"] * 2
    assert report["model"].notna().all() and report["look_back"].notna().all()
    assert epochs["epoch"].tolist() == [0, 1] and epochs["best"].sum() == 1
    parts = ran.stdout.split("losses in nats:")[1:]
    assert len(parts) == 2
    for question, said in zip(report["question"].unique(), parts, strict=True):
        for row in report[report["question"] == question].itertuples():
            assert re.search(rf"{row.category} .*{row.model:.3f}", said)
    # Neither floor nor reader is known, so nothing is said of a gap.
    assert "nan" not in ran.stdout.lower() and "<NA>" not in ran.stdout
    assert "no simulator" in ran.stdout and "gap" not in ran.stdout
    assert not {"reader", "floor", "where a stream's habit decides"} & set(parts[0].split())

    monkeypatch.chdir(tmp_path)
    train.main([str(config), *changes, f"model_checkpoint={out / CHECKPOINT}", "out=again"])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "again" / "report.csv"), report)

    failed = command(config, *changes, "learning_rate=1e30", "out=stopped", cwd=tmp_path)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("error: epoch 0, batch 1: the loss of ")


def test_of_the_built_in_log_the_command_answers_three_questions(built_in, tmp_path, capsys):
    train.main([str(built_in())])
    said, report = capsys.readouterr().out, pd.read_csv(tmp_path / "run" / "report.csv")
    questions = ["all steps", "next event", "where a habit decides"]
    assert report["question"].unique().tolist() == questions
    of_decisions = report[report["question"] == questions[-1]]
    assert of_decisions["stream"].tolist() == [*list(WORKPLACE.streams)[1:], "mean"]
    assert (of_decisions["decisions"] > 0).all()
    known = ["reader_own", "reader", "model", "floor", "gap", "unknowable", "unread"]
    assert report[known].notna().all(axis=None)
    parts = said.split("losses in nats:")[1:]
    assert len(parts) == 3
    for question, part in zip(questions, parts, strict=True):
        for row in report[report["question"] == question].itertuples():
            name = row.stream if question == questions[-1] else row.category
            assert re.search(rf"{name} .*{row.reader:.3f} +{row.model:.3f} +{row.floor:.3f}", part)
    for question, words in (("all steps", "all steps"), ("next event", "the next event")):
        mean = report[report["question"] == question].iloc[-1]
        assert (
            f"Mean gap, {words}: {mean['gap']:.4f}. Of it {mean['unknowable']:.4f} nobody could "
            f"know, and {mean['unread']:.4f} the model could have known." in said
        )
    assert (tmp_path / "run" / "category_ladder.png").read_bytes().startswith(b"\x89PNG")


def test_unkind_names_in_tables(tmp_path):
    run = unkind_run()
    run.config = run.config.change(out=str(tmp_path))
    save_run(run)
    report = run.evaluation(VALIDATION).all_questions()
    page, text = report._repr_html_(), train.show(report)
    assert (
        not {"script", "img"} & {tag for tag, *_ in Tags(page).found}
        and "<script>" in Tags(page).text
    )
    assert "<script>alert(1)</script>" in text
    assert len(text.splitlines()) == len(report) + 5  # titles and headings of two, one line between
    assert pd.read_csv(tmp_path / "category_ranges.csv")["category"].tolist() == UNKIND
