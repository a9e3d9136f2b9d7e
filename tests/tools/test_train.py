"""The command that trains: its table as text, and the files that it must not write over."""

import re

import numpy as np
import pandas as pd
import pytest
from small import CHECKPOINT, command, refused
from unkind import UNKIND, Tags, unkind_run

from helpers import training
from helpers.events import VALIDATION
from helpers.support.checkpoints import save_run
from helpers.tools import train
from helpers.training import read_config


def test_a_report_is_shown_with_three_digits_and_blanks():
    report = pd.DataFrame({"category": ["A", "mean"], "size": [7, None], "gap": [0.12345, np.nan]})
    assert [line.split() for line in train.show(report.astype({"size": "Int64"})).splitlines()] == [
        ["category", "size", "gap"],
        ["A", "7", "0.123"],
        ["mean"],
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
    assert (
        report["category"].iloc[-1] == "mean"
        and len(report) == 18
        and report["model"].notna().all()
    )
    assert epochs["epoch"].tolist() == [0, 1] and epochs["best"].sum() == 1
    for row in report.itertuples():
        assert re.search(rf"{row.category} .*{row.model:.3f}", ran.stdout)
    assert (
        "nan" not in ran.stdout.lower() and "<NA>" not in ran.stdout
    )  # no floor, so nothing is said of a gap

    monkeypatch.chdir(tmp_path)
    train.main([str(config), *changes, f"model_checkpoint={out / CHECKPOINT}", "out=again"])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "again" / "report.csv"), report)

    failed = command(config, *changes, "learning_rate=1e30", "out=stopped", cwd=tmp_path)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("error: epoch 0, batch 1: the loss of ")


def test_unkind_names_in_tables(tmp_path):
    run = unkind_run()
    run.config = run.config.change(out=str(tmp_path))
    save_run(run)
    report = run.evaluation(VALIDATION).report()
    page, text = report._repr_html_(), train.show(report)
    assert (
        not {"script", "img"} & {tag for tag, *_ in Tags(page).found}
        and "<script>" in Tags(page).text
    )
    assert "<script>alert(1)</script>" in text and all(len(line) for line in text.splitlines())
    assert pd.read_csv(tmp_path / "category_ranges.csv")["category"].tolist() == UNKIND
