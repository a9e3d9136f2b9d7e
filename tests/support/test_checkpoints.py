"""A run's state: copied, put back, and taken up from where it is stored."""

import pandas as pd
import pytest
import torch
from small import small_config, small_data

from helpers.support.checkpoints import copy_state, load_run, put_state
from helpers.support.files import DATA, STORED
from helpers.training import Trainer, read_config


def test_the_stored_working_run_is_taken_up():
    run = Trainer(read_config(DATA / "working_run.json"), progress=False)
    made = {name: weight.clone() for name, weight in run.best.items()}
    load_run(run, STORED / "working_run" / "checkpoint.safetensors")
    stored = pd.read_csv(STORED / "working_run" / "history.csv")
    pd.testing.assert_frame_equal(run.table(), stored, rtol=0, atol=0)
    assert run.epochs_done == run.saved == run.config.epochs == len(run.epochs())
    assert run.best.keys() == made.keys()
    assert any(not torch.equal(weight, made[name]) for name, weight in run.best.items())
    assert all(weight.isfinite().all() for weight in run.best.values())


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_state_is_put_back_whole_and_shares_nothing_with_the_run(epochs):
    run = Trainer(small_config(), small_data(), progress=False)
    for _ in range(epochs):
        run.epoch()
    state = copy_state(run)
    kept = {name: tensor.clone() for name, tensor in state.tensors.items()}
    run.epoch()
    after = copy_state(run)
    assert any(not torch.equal(after.tensors[name], kept[name]) for name in kept)
    for name in kept:  # the epoch has not reached into the copy
        assert torch.equal(state.tensors[name], kept[name])
    put_state(run, state)
    again = copy_state(run)
    assert again.tensors.keys() == kept.keys()
    assert all(torch.equal(again.tensors[name], kept[name]) for name in kept)
    assert (again.history, again.epochs_done) == (state.history, epochs)
    run.epoch()
    assert run.history == after.history
