"""What leaving a stream out costs, against calculations by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from small import small_log

from helpers.losses import Evaluation
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support.errors import InputError
from helpers.tools.ablation import TOUCHES, main, measure_cost

COUNTED = np.array([[1, 1], [1, 0], [1, 1]], bool)  # the second window's target ends early


def evaluation(losses) -> Evaluation:
    """Three windows of two sequences, two steps, two categories."""
    log = dataclasses.replace(small_log(), categories=small_log().categories[:2])
    losses = {"model": np.array(losses, np.float32)}
    return Evaluation(log, losses, COUNTED, np.zeros((3, 2, 2), bool), np.array([7, 7, 9]))


@pytest.mark.filterwarnings("ignore:invalid value")  # 0 / 0
def test_equal_evaluations_differ_by_nothing():
    losses = np.random.default_rng(0).random((3, 2, 2))
    table = measure_cost(evaluation(losses), evaluation(losses), "Actor")
    assert table["raise"].tolist() == table["standard_error"].tolist() == [0, 0]
    assert table["z"].isna().all()


def test_raise_and_standard_error_are_those_by_hand():
    whole, more = np.random.default_rng(0).random((3, 2, 2)), np.zeros((3, 2, 2))
    more[..., 0] = [[1, 0], [2, 99], [0, 3]]  # what is lost without the stream; the 99 is padding
    more[..., 1] = -2 * more[..., 0]
    table = measure_cost(evaluation(whole), evaluation(whole + more), "Actor")
    # The mean is (1 + 0 + 2 + 0 + 3) / 5 = 1.2; what is left sums to -0.2 - 1.2 + 0.8 = -0.6 in the
    # one sequence and to -1.2 + 1.8 = 0.6 in the other.
    error = (0.6**2 + 0.6**2) ** 0.5 / 5
    assert table.columns.tolist() == ["stream", "category", "raise", "standard_error", "z"]
    assert table["stream"].tolist() == ["Actor"] * 2
    assert table["category"].tolist() == CATEGORY_NAMES[:2]
    assert table["raise"].tolist() == pytest.approx([1.2, -2.4], abs=1e-5)
    assert table["standard_error"].tolist() == pytest.approx([error, 2 * error], abs=1e-5)
    assert table["z"].tolist() == pytest.approx([1.2 / error, -1.2 / error], rel=1e-4)


def test_what_the_streams_touch_are_streams_and_categories_that_exist():
    assert list(TOUCHES) == list(WORKPLACE.streams)
    for categories in TOUCHES.values():
        assert categories
        assert len(set(categories)) == len(categories)
        assert set(categories) <= set(CATEGORY_NAMES)


@pytest.fixture
def config(config_file):
    return config_file(epochs=1, batches=2)


def test_the_command_leaves_out_one_stream_at_a_time(config, tmp_path, capsys):
    out, run = tmp_path / "costs.csv", tmp_path / "run"
    changes = ['streams=["Actor", "Time"]', f"out={run}"]
    main([str(config), "--out", str(out), "--set", *changes])
    table, said = pd.read_csv(out), capsys.readouterr().out
    assert table["stream"].unique().tolist() == ["Actor", "Time"]
    assert len(table) == 2 * 17
    assert table["raise"].any()
    assert table["category"].tolist() == 2 * CATEGORY_NAMES
    assert "without Actor" in said and "without Time" in said
    assert "LocationRecordId" in said and "HoursWorked" not in said  # what the two touch
    for stream, kept in (("Actor", "Time"), ("Time", "Actor")):
        history = pd.read_csv(run / f"without_{stream}" / "history.csv")
        assert history.query("measure == 'gradient'")["name"].tolist() == [kept]


def test_a_single_stream_and_a_table_over_an_input_are_refused(config, tmp_path):
    out, alone = tmp_path / "costs.csv", ['streams=["Actor"]', f"out={tmp_path / 'run'}"]
    with pytest.raises(InputError, match="one stream, Actor"):
        main([str(config), "--out", str(out), "--set", *alone])
    before = config.read_text()
    for taken in (config, tmp_path / "log.csv", tmp_path / "mapping.json"):
        with pytest.raises(InputError, match=f"--out {taken}: is no table"):
            main([str(config), "--out", str(taken), "--set", f"out={tmp_path / 'run'}"])
    assert config.read_text() == before
