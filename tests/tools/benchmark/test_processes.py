"""What is measured in processes of their own: logs of any length, reading, starting, memory."""

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from helpers.events import read_log
from helpers.schema import WORKPLACE
from helpers.support.errors import TrainingStopped
from helpers.support.files import ROOT
from helpers.tools.benchmark.machine import peak_memory
from helpers.tools.benchmark.processes import (
    FIRST_STEP,
    IMPORT_TORCH,
    list_reading,
    read_and_index,
    read_by_pandas,
    repeat_log,
    run_apart,
    run_python,
)
from helpers.tools.benchmark.turns import Turns


def test_a_log_of_any_length_is_the_built_in_one_again_and_again(tmp_path):
    path = tmp_path / "log.csv"
    repeat_log(path, 323_000)  # a little more than there is
    lines = sum(1 for _ in path.open(encoding="utf-8"))
    assert lines == 323_001
    last = pd.read_csv(path, dtype=str, keep_default_na=False).tail(400)
    last.to_csv(path, index=False)
    log = read_log(path, WORKPLACE)
    assert len(log) == 400
    assert (np.diff(log.time) >= np.timedelta64(0)).all()
    assert all("too rare" in note for note in log.notes)  # each employee in a few rows


def test_reading_and_indexing_are_timed_one_after_the_other(tmp_path):
    path = tmp_path / "log.csv"
    repeat_log(path, 3000)
    read, both, peak = read_and_index(str(path))
    assert 0 < read < both
    assert peak == peak_memory() or math.isnan(peak)
    assert read_by_pandas(str(path)) > 0


def test_rows_of_reading_are_rates_exponents_and_the_ratio_to_pandas():
    seconds = {"read 10": 1, "both 10": 2, "peak 10": 5, "read 40": 6, "both 40": 8, "peak 40": 7}
    turns = Turns(pd.DataFrame([seconds | {"pandas": 2}]), 0.0)
    found = [(row["name"], row["size"], row["value"]) for row in list_reading(turns, (10, 40))]
    assert found == [
        ("read and indexed", 10, 5),
        ("peak memory", 10, 5),
        ("read and indexed", 40, 5),
        ("peak memory", 40, 7),
        ("exponent of growth", 40, 1),
        ("ours, with its checks", 40, 6),
        ("pandas.read_csv", 40, 2),
        ("against pandas", 40, 3),
    ]


def test_memory_is_that_of_another_process():
    small, large = (run_apart(allocate, megabytes) for megabytes in (1, 300))
    assert 250 < large - small < 400


def allocate(megabytes: int) -> float:
    np.ones(megabytes * 131072)
    return peak_memory()


def test_a_training_that_is_timed_is_left_after_its_first_step(config_file, tmp_path):
    script = FIRST_STEP.replace("os._exit(0)", "os._exit(7 + given[0])")
    assert script != FIRST_STEP
    config = config_file(epochs=2)
    given = [str(config), "--set", f"out={tmp_path / 'run'}"]
    left = subprocess.run([sys.executable, "-c", script, *given], cwd=ROOT, capture_output=True)
    assert left.returncode == 7, left.stderr
    assert not list((tmp_path / "run").glob("*.csv"))
    assert json.loads(config.read_text())["epochs"] == 2


def test_python_gets_its_threads_and_a_fault_is_told():
    assert run_python("-c", IMPORT_TORCH, threads=1) == ""
    threads = "import torch; print(torch.get_num_threads())"
    assert run_python("-c", threads, threads=1) == "1\n"
    with pytest.raises(TrainingStopped, match="no_such_module"):
        run_python("-c", "import no_such_module", threads=1)
