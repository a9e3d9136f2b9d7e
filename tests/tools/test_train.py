"""The command that trains: a configuration, or a log; and the files it must not write over."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from small import CHECKPOINT, TABLES, command, contents, names_in, refused
from unkind import UNKIND, Tags, unkind_run

from helpers import training
from helpers.events import VALIDATION
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support import wording
from helpers.support.checkpoints import save_run
from helpers.support.errors import in_one_line
from helpers.support.files import DATA
from helpers.tools import train
from helpers.training import read_config


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
    assert report["question"].tolist() == ["next event"] * 18 + ["all steps"] * 18
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
    questions = ["next event", "all steps", "where a habit decides"]
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
    page, text = report._repr_html_(), wording.show(report)
    assert (
        not {"script", "img"} & {tag for tag, *_ in Tags(page).found}
        and "<script>" in Tags(page).text
    )
    assert "<script>alert(1)</script>" in text
    assert all(line == in_one_line(line) for line in text.splitlines())
    assert pd.read_csv(tmp_path / "category_ranges.csv")["category"].tolist() == UNKIND


# -- a log of one's own

TINY = ["epochs=2", "batches=3", "model.d_model=8", "model.num_heads=2", "src_seq_len=4"]
LEFT = {*TABLES, CHECKPOINT, "report.csv", "category_ladder.png", "loss_per_epoch_full.png"}
WRITTEN = {"mapping.json", "config.json"}


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log of 80 orders in a CSV, my.csv, in the current folder."""
    rng = np.random.default_rng(0)
    rows = ["order;step;who;when"]
    for order in range(80):
        for step in range(5):
            when = np.datetime64("2024-01-01T00:00") + np.timedelta64(60 * order + 9 * step, "m")
            rows.append(f"A{order};step {step};P{rng.integers(4)};{when}")
    (tmp_path / "my.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my.csv"


def train_tiny(log, *options) -> None:
    train.main([str(log), *options, "--set", *TINY, "out=run"])


def test_a_log_is_looked_at_mapped_trained_and_reported_on_by_one_command(log, tmp_path):
    ran = command("my.csv", "--set", *TINY, "out=run", cwd=log.parent)
    assert ran.returncode == 0, ran.stderr
    out = log.parent / "run"
    assert names_in(out) == LEFT | WRITTEN
    said = [
        "my.csv: 400 events and 4 columns",
        "Proposed:",
        "sequence: 'order' (80 values, 5.0 events each)",
        "kind of event: 'step' (5 values)",
        f"Written: mapping.json and config.json in {out}.",
        "Kept is epoch ",
        "Test part, the next event",
        "Test part, all steps of the horizon",
        "How long until the next event",
        "The next event, step: loss ",
        f"Everything is in {out}.",
    ]
    places = [ran.stdout.find(words) for words in said]
    assert -1 not in places and places == sorted(places), dict(zip(said, places, strict=True))
    mapping = json.loads((out / "mapping.json").read_text())
    assert mapping["sequence"] == "order" and list(mapping["categories"])[:2] == ["step", "who"]

    # What was written trains the same run from any folder; and no run is replaced unasked.
    before = contents(out)
    for arguments in ([str(out / "config.json")], ["my.csv", "--set", *TINY, "out=run"]):
        refused(
            lambda arguments=arguments: train.main(arguments),
            "go on with it by --go-on, replace it by --replace",
            start=f"{out}: holds a run of 2 epochs; ",
        )
    assert contents(out) == before
    (tmp_path / "elsewhere").mkdir()
    again = command(out / "config.json", "--set", "out=same", cwd=tmp_path / "elsewhere")
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path / "elsewhere" / "same")["history.csv"] == before["history.csv"]


def test_a_run_goes_on_or_is_replaced_as_asked(log, capsys):
    train_tiny(log)
    first, shown = contents(log.parent / "run"), capsys.readouterr().out
    train_tiny(log, "--go-on")  # it is finished, so it is reported on anew
    assert capsys.readouterr().out.split("Kept is")[1] == shown.split("Kept is")[1]
    assert contents(log.parent / "run") == first
    train.main(["run/config.json", "--replace", "--set", "seed=1"])
    assert "holds a run of 2 epochs, which is replaced" in capsys.readouterr().out
    second = contents(log.parent / "run")
    assert second["history.csv"] != first["history.csv"]
    train_tiny(log, "--replace", "--kind", "who")
    mapping = json.loads((log.parent / "run" / "mapping.json").read_text())
    assert list(mapping["categories"])[:2] == ["who", "step"]
    assert names_in(log.parent / "run") == LEFT | WRITTEN


def test_a_run_that_was_broken_off_goes_on_to_the_same_end(log, monkeypatch):
    train_tiny(log)
    whole = contents(log.parent / "run")
    train.main(["my.csv", "--look", "--set", *TINY, "out=broken"])

    def stop(run):
        if run.epochs_done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "write_losses", stop)
        with pytest.raises(KeyboardInterrupt):
            train.main(["broken/config.json"])
    train.main(["broken/config.json", "--go-on"])
    for name in ("history.csv", "report.csv", "epochs.csv"):
        assert contents(log.parent / "broken")[name] == whole[name]


def test_to_go_on_where_nothing_is_is_to_begin(log):
    train_tiny(log, "--go-on")
    assert names_in(log.parent / "run") == LEFT | WRITTEN


def test_one_may_look_first_and_change_what_was_written(log, capsys):
    train_tiny(log, "--look")
    out = log.parent / "run"
    assert names_in(out) == WRITTEN
    said = capsys.readouterr().out
    assert said.rstrip().endswith(f"python -m helpers.tools.train {out / 'config.json'}")
    train_tiny(log, "--look")  # the same again
    mapping = json.loads((out / "mapping.json").read_text())
    del mapping["categories"]["who"], mapping["streams"]["who"]
    (out / "mapping.json").write_text(json.dumps(mapping))
    before = contents(out)
    refused(lambda: train_tiny(log), "something else", "--replace", start=out / "mapping.json")
    assert contents(out) == before
    train.main([str(out / "config.json")])
    assert "who" not in set(pd.read_csv(out / "report.csv")["category"])
    train_tiny(log, "--replace", "--look")
    assert "who" in json.loads((out / "mapping.json").read_text())["categories"]


def test_a_mapping_of_ones_own_is_taken_and_kept_with_the_run(log, capsys):
    mapping = {"sequence": "order", "time": "when", "categories": {"it": {"column": "step"}}}
    mapping["streams"] = {"order": "order"}
    (log.parent / "own.json").write_text(json.dumps(mapping))
    train_tiny(log, "--mapping", "own.json", "--look")
    assert json.loads((log.parent / "run" / "mapping.json").read_text()) == mapping
    assert "Proposed" not in capsys.readouterr().out


def test_without_a_folder_a_run_is_named_like_its_log():
    for name in ("my.csv", "my.CSV.gz", "a/my.xes.gz", "my.jsonl", "my", "~/logs/my/"):
        assert train.name_log(name) == "my"
    assert train.name_log("my.2024.csv") == "my.2024"


@pytest.mark.parametrize(
    "name, text, log",
    [
        ("a.csv", "a,b", True),
        ("a.json", '{"epochs": 3}', False),
        ("a.json", '{\n"epochs": 3\n}', False),
        ("a.json", '{"case": 1}\n{"case": 2}\n', True),
        ("a.json", '[{"case": 1}]', True),
        ("a.json", '{"ocel:events": {}}', True),
        ("a.json", '{\n "objectTypes": []\n}', True),
        ("a.json", None, False),
        ("a.csv", None, True),
    ],
)
def test_what_is_a_log_and_what_a_configuration(tmp_path, name, text, log):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert train.is_log(str(tmp_path / name)) == log


REFUSED = {
    "an option of logs": (["{config}", "--kind", "x"], "--kind: is for a log"),
    "a log twice": (["{log}", "--set", "log=other.csv"], "--set log: the log is"),
    "a mapping as a key": (["{log}", "--set", "mapping=m.json"], "give its mapping by --mapping"),
    "a mapping and an option": (
        ["{log}", "--mapping", "m.json", "--kind", "step"],
        "--mapping: m.json says it all",
    ),
    "a wrong key": (["{log}", "--set", "epoch=3"], "unknown key 'epoch'"),
    "no such log": (["none.csv"], "none.csv: no such file"),
    "no such column": (["{log}", "--sequence", "x"], "no column 'x'"),
}


@pytest.mark.parametrize("arguments, said", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(log, config_file, arguments, said):
    config, before = config_file(), names_in(log.parent)
    places = [one.format(config=config, log=log) for one in arguments]
    refused(lambda: train.main([*places, "--set", f"out={log.parent / 'run'}"]), said)
    assert names_in(log.parent) == before


def test_several_workers_are_given_what_one_process_wrote(log, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(lambda: train_tiny(log), "--look", "config.json", start=log)


def test_a_mapping_is_written_a_line_a_category():
    value = {"a": 1, "b": {"c": {"d": [1, 2]}, "é": {}}}
    text = train.lay_out(value)
    assert json.loads(text) == value and '    "c": {"d": [1, 2]},\n    "é": {}\n' in text
