"""The command that forecasts how a log's sequences go on: from a trained run to a table."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from small import CHECKPOINT, SOURCE, command, contents, names_in, refused, small_log, small_windows

from helpers.events import TEST, read_log
from helpers.schema import Category, LogMapping
from helpers.support.durations import BINS
from helpers.tools import forecast, train
from helpers.training import Trainer, read_config

ORDERS, STEPS, GAP = 80, 6, 100  # minutes from one step of an order to the next
TINY = ["epochs=2", "batches=10", "model.d_model=8", "model.num_heads=2", "src_seq_len=4"]


def write_orders(path) -> pd.DataFrame:
    """Orders of six steps, of which the last ones in the file are still running."""
    rng, rows, start = np.random.default_rng(0), [], np.datetime64("2024-01-01T00:00")
    for order in range(ORDERS):
        for step in range(STEPS):
            minute = 30 * order + GAP * step
            if minute < 30 * ORDERS:
                when = start + np.timedelta64(minute, "m")
                rows.append((f'A,{order} "x"', f"step {step}", f"P{rng.integers(4)}", when))
    table = pd.DataFrame(rows, columns=["order", "step", "who", "when"])
    table.to_csv(path, sep=";", index=False)
    return table


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a log of orders, my.csv, and a run that was trained on it, in run/."""
    folder = tmp_path_factory.mktemp("orders")
    write_orders(folder / "my.csv")
    train.main([str(folder / "my.csv"), "--set", *TINY, f"out={folder / 'run'}"])
    return folder


def run_main(trained, out, *options) -> pd.DataFrame:
    forecast.main([str(trained / "run" / "config.json"), "--out", str(out), *options])
    return pd.read_csv(out, dtype={"sequence": str})


def test_from_a_trained_run_the_command_writes_a_table_of_forecasts(trained, tmp_path):
    before = contents(trained / "run")
    out = tmp_path / "tables" / "forecasts.csv"
    ran = command(
        trained / "run" / "config.json",
        "--out",
        out,
        "--samples",
        40,
        cwd=tmp_path,
        tool="forecast",
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{ORDERS} sequences, 3 steps of each: {out}\n"
    assert contents(trained / "run") == before
    table, log = pd.read_csv(out), pd.read_csv(trained / "my.csv", sep=";")
    assert list(table)[:6] == ["sequence", "ahead", "step", "step_p", "who", "who_p"]
    assert table["sequence"].tolist() == np.repeat(log["order"].unique(), 3).tolist()
    assert table["ahead"].tolist() == [1, 2, 3] * ORDERS

    # What follows the last step of an order that is running.
    last = log.groupby("order")["step"].max().str[-1].astype(int)
    sure = (table["ahead"] + table["sequence"].map(last)) < STEPS
    assert 0.05 < sure.mean() < 0.5
    true = "step " + (table["ahead"] + table["sequence"].map(last)).astype(str)
    assert (table["step"] == true)[sure & (table["ahead"] == 1)].all()

    shares = table[[name for name in table if name.endswith("_p")]]
    assert len(shares.columns) == len(json.loads(before["mapping.json"])["categories"]) + sum(
        len(one.get("parts", [1])) - 1
        for one in json.loads(before["mapping.json"])["categories"].values()
    )
    assert shares.stack().between(1 / 40, 1).all()
    assert np.allclose(shares * 40, (shares * 40).round(), atol=1e-9)
    assert set(table["who"].dropna()) <= set(log["who"])

    (name,) = [one.removesuffix("_p") for one in shares if one.endswith("_SinceLast_p")]
    seconds = table[[f"{name}_seconds_{share}" for share in (10, 50, 90)]]
    assert (seconds.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    first = seconds[sure & (table["ahead"] == 1)]
    assert (first.iloc[:, 1] / (60 * GAP)).between(0.5, 2).all()  # within its bin


def test_the_draw_is_repeated_by_its_seed_and_fewer_steps_are_fewer_rows(trained, tmp_path):
    out, few = tmp_path / "forecasts.csv", ("--samples", "10")
    first = run_main(trained, out, *few)
    pd.testing.assert_frame_equal(run_main(trained, out, *few), first)
    assert not run_main(trained, out, *few, "--seed", "1").equals(first)
    two = run_main(trained, out, "--samples", "10", "--steps", "2")
    assert len(two) == 2 * ORDERS and two["ahead"].max() == 2


def test_sequences_that_have_been_quiet_may_be_left_out(trained, tmp_path):
    log = pd.read_csv(trained / "my.csv", sep=";")
    last = log.groupby("order")["when"].max()
    table = run_main(trained, tmp_path / "a.csv", "--samples", "5", "--since", "2024-01-02")
    assert 0 < len(set(table["sequence"])) < ORDERS
    assert set(table["sequence"]) == set(last[last >= "2024-01-02"].index)


def test_a_run_that_comes_with_the_course_serves_where_none_was_trained(
    built_in, small_workplace, tmp_path, monkeypatch
):
    config = built_in()
    Trainer(read_config(config), progress=False).fit()
    shutil.move(tmp_path / "run", tmp_path / "stored" / "mine")
    monkeypatch.setattr(forecast, "STORED", tmp_path / "stored")
    monkeypatch.setattr(forecast, "DATA", small_workplace)
    out = tmp_path / "forecasts.csv"
    forecast.main([str(config), "--out", str(out), "--samples", "20"])
    table = pd.read_csv(out)
    assert sorted(set(table["sequence"])) == [f"E{i:03d}" for i in range(1, 19)]
    assert not [name for name in table if "seconds" in name]
    given = [str(config), "--out", str(out), "--set", "dropout=0.1"]
    refused(lambda: forecast.main(given), "holds no run", start=tmp_path / "run")


# -- what is refused

REFUSED = {
    "a log": (["{folder}/my.csv"], "{folder}/my.csv: is no configuration"),
    "a run's folder": (["{folder}/run"], "give the config.json"),
    "no step": (["{config}", "--steps", "0"], "--steps 0: must be 1 to 3"),
    "steps beyond the horizon": (["{config}", "--steps", "4"], "--steps 4: must be 1 to 3"),
    "no sample": (["{config}", "--samples", "0"], "--samples 0: must be at least 1"),
    "samples that no memory holds": (
        ["{config}", "--samples", "1000000000000"],
        "samples: 1000000000000 futures of each window would take",
    ),
    "a seed below 0": (["{config}", "--seed", "-1"], "--seed -1: must be at least 0"),
    "no date": (["{config}", "--since", "1.2.2024"], "--since 1.2.2024: is no date"),
    "an empty date": (["{config}", "--since", ""], "is no date"),
    "a day to come": (["{config}", "--since", "2024-02-01"], "the log's last one is of 2024-01-02"),
    "no run": (["{config}", "--set", "out=none"], "none: holds no run; train it first"),
}


@pytest.mark.parametrize("arguments, said", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    trained, tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    places = {"config": trained / "run" / "config.json", "folder": trained}
    given = [one.format(**places) for one in arguments]
    before = contents(trained / "run")
    refused(lambda: forecast.main([*given, "--out", "a.csv"]), said.format(**places))
    assert names_in(tmp_path) == set() and contents(trained / "run") == before


@pytest.mark.parametrize(
    "name", ["my.csv", "run/config.json", "run/mapping.json", "run/checkpoint.safetensors"]
)
def test_what_is_read_is_never_written_over(trained, name):
    before = (trained / name).read_bytes()
    given = [str(trained / "run" / "config.json"), "--out", str(trained / name)]
    refused(lambda: forecast.main(given), "would be lost", start=f"--out {trained / name}")
    assert (trained / name).read_bytes() == before


def test_where_the_log_has_grown_it_says_how_to_train_anew(trained, tmp_path):
    text = (trained / "my.csv").read_text()
    (tmp_path / "grown.csv").write_text(f"{text}B;step 0;P1;2024-01-03T00:00\n")
    config = trained / "run" / "config.json"
    given = [str(config), "--out", str(tmp_path / "a.csv"), "--set", f"log={tmp_path}/grown.csv"]
    said = ("checksum of the log", f"train anew by {train.COMMAND} {config} --replace")
    refused(lambda: forecast.main(given), *said, start=trained / "run" / CHECKPOINT)


def test_an_unfinished_run_is_refused_and_said_how_to_go_on(trained, tmp_path, monkeypatch):
    shutil.copytree(trained / "run", tmp_path / "run")
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(trained / "run"), str(tmp_path / "run")))

    def stop(run):
        if run.epochs_done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "write_losses", stop)
    with pytest.raises(KeyboardInterrupt):
        train.main([str(config)])
    given = [str(config), "--out", str(tmp_path / "a.csv")]
    refused(lambda: forecast.main(given), "1 of 2 epochs", f"{config} --go-on")
    assert not (tmp_path / "a.csv").exists()


# -- its parts


def test_windows_of_any_origin_are_those_that_are_trained_with():
    windows = small_windows(part=TEST)
    origins = windows.origins[::50]
    ours, theirs = forecast.make_batch(windows, origins), windows.batch(origins)
    assert torch.equal(ours.histories, theirs.histories)
    assert torch.equal(ours.known, theirs.known)
    assert torch.equal(ours.given, theirs.given[:, :1])
    assert not ours.counted.any() and ours.target.shape == ours.given.shape


def test_origins_are_the_last_events_of_sequences():
    log = small_log()
    origins = forecast.list_origins(log, None)
    by_sequence = pd.Series(log.time).groupby(log.sequence).max()
    assert log.sequence[origins].tolist() == by_sequence.index.tolist()
    assert (log.time[origins] == by_sequence).all()
    for origin in origins:
        assert not (log.sequence[origin + 1 :] == log.sequence[origin]).any()
    batch = forecast.make_batch(small_windows(part=TEST), origins)
    own = [stream.name for stream in log.streams].index("Recipient")
    mine = [np.flatnonzero(log.sequence == log.sequence[origin])[-SOURCE:] for origin in origins]
    assert torch.equal(batch.histories[:, own], torch.from_numpy(log.table[np.stack(mine)]))


PAIRS = {
    "one event": {"become": "one event", "column": "says", "start": "start", "of": "what"},
    "two events": {"become": "two events", "start": "begun"},
}


@pytest.mark.parametrize("pairs", [None, *PAIRS.values()], ids=["rows", *PAIRS])
def test_sequences_have_their_names_in_the_log(tmp_path, pairs):
    rng, rows = np.random.default_rng(0), []
    for i in rng.permutation(300):  # in no order of time; a third of the starts is never completed
        day = np.datetime64("2024-01-01") + i
        rows.append((f"case {rng.integers(20)}", f"k{i % 3}", ["start", "complete"][i % 2], day))
    table = pd.DataFrame(rows, columns=["case", "what", "says", "when"])
    table["begun"] = table["when"].where(table["what"] != "k0")  # or else no start is known
    table.to_csv(tmp_path / "log.csv", index=False)
    mapping = {"sequence": "case", "time": "when", "categories": {"what": {"column": "what"}}}
    mapping |= {"streams": {"case": "case"}} | ({"pairs": pairs} if pairs else {})
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    log = read_log(tmp_path / "log.csv", LogMapping(**mapping))
    config = {"log": str(tmp_path / "log.csv"), "mapping": str(tmp_path / "mapping.json")}
    run = Trainer.__new__(Trainer)
    run.config = read_config_of(tmp_path, config)
    run.data = type("Data", (), {"log": log})
    names = forecast.list_names(run, np.arange(len(log)))
    assert len(set(names)) == len(set(log.sequence)) == 20
    assert len(set(zip(names, log.sequence.tolist()))) == 20
    when = pd.Series(table["when"].to_numpy(), table["case"])
    for name, time in zip(names, log.time):
        assert pairs or (when[name] == time).any()


def read_config_of(folder, settings: dict):
    (folder / "config.json").write_text(json.dumps(settings))
    return read_config(folder / "config.json")


def test_what_futures_say_together_is_told_in_words_shares_and_seconds():
    log = small_log()
    log.categories = [Category("EventType", 12), Category("wait_SinceLast", BINS + 1)]
    kinds = log.vocabularies["EventType"]
    log.vocabularies = {"EventType": kinds, "wait_SinceLast": [None, 0, *(2**i for i in range(30))]}
    # One window, four futures of two steps: kinds and waits.
    kind = torch.tensor([[1, 0], [2, 0], [1, 3], [len(kinds), 0]])
    wait = torch.tensor([[5, 0], [5, 0], [5, 0], [5, 0]])
    table = forecast.tell_futures(torch.stack([kind, wait], -1)[None].int(), log)
    assert table["EventType"].iloc[0] == kinds[1] and pd.isna(table["EventType"].iloc[1])
    assert table["EventType_p"].tolist() == [0.5, 0.75]
    assert table["wait_SinceLast"].iloc[0] == 8 and pd.isna(table["wait_SinceLast"].iloc[1])
    assert table["wait_SinceLast_p"].tolist() == [1, 1]
    # Within the bin from 8 to 16 seconds, in its logarithm.
    seconds = table.filter(like="seconds")
    assert list(seconds) == [f"wait_SinceLast_seconds_{share}" for share in (10, 50, 90)]
    assert seconds.iloc[0].tolist() == pytest.approx([8 * 2**x for x in (0.1, 0.5, 0.9)], abs=0.05)
    assert seconds.iloc[1].isna().all()


def test_columns_are_told_apart():
    names = ["sequence", "ahead", "a", "a_p", "a_p", "a_p_p", "sequence", "sequence_p"]
    apart = forecast.tell_apart(names)
    assert apart == ["sequence", "ahead", "a", "a_p", "a_p_", "a_p_p", "sequence_", "sequence_p"]
