"""The command that trains: its table as text, and the files that it must not write over."""

import json

import numpy as np
import pandas as pd
import pytest
from small import SOURCE, STEPS, write_log

from helpers.support.errors import InputError
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
def test_what_the_command_reads_is_never_written_over(tmp_path, monkeypatch, option, name):
    monkeypatch.chdir(tmp_path)
    files = write_log(tmp_path) | {"model_checkpoint": str(tmp_path / "old.safetensors")}
    settings = {"src_seq_len": SOURCE, "tgt_seq_len": STEPS, "epochs": 1, "batches": 1}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings | files | {"out": str(tmp_path / "run")}))
    (tmp_path / "run").mkdir()
    own = tmp_path / "run" / "checkpoint.safetensors"
    own.write_bytes(b"own")
    (tmp_path / "old.safetensors").write_bytes(b"old")
    places = files | {"config": str(config), "own": str(own)}
    inputs = train.list_inputs(read_config(config), str(config))
    assert places[name] in map(str, inputs)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=f"^{option} "):
        train.main([str(config), option, places[name]])
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
