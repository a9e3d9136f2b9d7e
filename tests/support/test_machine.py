"""What a configuration asks of the machine: memory is counted before it is taken, and chance."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from small import (
    changed,
    refused,
    small_batch,
    small_config,
    small_data,
    small_model,
    small_run,
    write_log,
)

from helpers.schema import WORKPLACE
from helpers.support.errors import InputError
from helpers.support.machine import hide_values, move
from helpers.training import Config, Data, ModelConfig, Trainer, load_data, read_config

WEIGHTS = "the weights of its model would take about"


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"model": {"d_model": 2**17}, "id_category_size": 10}, WEIGHTS),
        ({"model": {"d_model": 32, "decoder_layers": 2**20}}, WEIGHTS),
        ({"batch_size": 2**20}, "a batch would take about"),
        ({"src_seq_len": 2**16}, "a batch would take about"),
        ({"tgt_seq_len": 2**18}, "a batch would take about"),
        (
            {
                "batches": 2**20,
                "batch_size": 2**12,
                "src_seq_len": 1,
                "tgt_seq_len": 1,
                "id_category_size": 2,
                "model": {"d_model": 1, "num_heads": 1},
            },
            "the order of an epoch's windows would take about",
        ),
    ],
)
def test_what_no_memory_holds_is_refused(tmp_path, settings, said):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    words = (said, "GB", "sizes, lengths or counts smaller")
    refused(lambda: Trainer(read_config(path), small_data(), progress=False), *words)


@pytest.mark.parametrize("size, fits", [(9, True), (2**20, False)])
def test_memory_is_counted_with_the_sizes_of_one_s_own_mapping(tmp_path, size, fits):
    files = write_log(tmp_path)
    mapping = changed(WORKPLACE.model_dump(), "categories.EventType.size", size)
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    check_memory_of(fits, load_data(Config(**files)), 7, d_model=1024)


def test_memory_is_counted_with_the_sizes_that_the_configuration_gives(tmp_path):
    config = Config(**write_log(tmp_path), id_category_size=2**20)
    check_memory_of(False, load_data(config), 7, d_model=2**12)


@pytest.mark.parametrize("streams, fits", [(3, True), (7, False)])
def test_memory_is_counted_with_the_streams_of_the_log(streams, fits):
    data = small_data()
    data.log.streams = data.log.streams[:streams]
    check_memory_of(fits, data, streams, d_model=5000)


def check_memory_of(fits: bool, data: Data, streams: int, d_model: int) -> None:
    """Whether the weights of so wide a model fit; a small one stands in, so none is made."""
    config = small_config(model=ModelConfig(d_model=d_model, num_heads=2))
    with nullcontext() if fits else pytest.raises(InputError, match=WEIGHTS):
        Trainer(config, data, progress=False, model=small_model(streams))


# -- chance


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_so_large_a_share_of_the_inputs_is_hidden_and_nothing_else(share):
    batch = small_batch()
    hidden = hide_values(batch, share)
    for ours, theirs in ((hidden.histories, batch.histories), (hidden.given, batch.given)):
        gone = (ours != theirs)[theirs != 0]
        assert gone.float().mean().item() == pytest.approx(share, abs=0.03)
        assert (ours[ours != theirs] == 0).all()
        assert ours.dtype == theirs.dtype
    for name in ("known", "target", "counted", "event"):
        assert getattr(hidden, name) is getattr(batch, name)
    assert not torch.equal(hide_values(batch, share).histories, hidden.histories)


def test_hiding_nothing_draws_nothing():
    batch, before = small_batch(), torch.get_rng_state()
    assert hide_values(batch, 0.0) is batch
    assert torch.equal(torch.get_rng_state(), before)


def test_inputs_are_hidden_in_training_alone():
    plain, hiding = (small_run(learning_rate=0.0, hide=share) for share in (0.0, 0.9))
    for run in (plain, hiding):
        run.epoch()
    (ours,), (theirs,) = (run.epochs().to_dict("records") for run in (hiding, plain))
    assert ours["validation"] == theirs["validation"]
    assert abs(ours["train"] - theirs["train"]) > 1e-3


def shared_chance() -> list[bytes]:
    """The state of the generators that torch and numpy share with everyone."""
    kind, keys, *rest = np.random.get_state()
    return [torch.get_rng_state().numpy().tobytes(), keys.tobytes(), repr([kind, *rest]).encode()]


def test_a_run_leaves_shared_chance_as_it_was():
    before = shared_chance()
    run = small_run(dropout=0.2, shuffle=True)
    assert shared_chance() == before
    run.epoch()
    assert shared_chance() == before


def test_what_is_moved_arrives_and_what_is_there_already_is_no_copy():
    tensor = torch.arange(6).view(2, 3)
    assert move(tensor, "cpu") is tensor
    moved = move(tensor, "meta")
    assert moved.is_meta and moved.shape == tensor.shape and moved.dtype == tensor.dtype
    assert all(one.is_meta for one in small_batch().to("meta"))
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    there = move(tensor, "cuda")
    assert torch.equal(move(there, "cuda").cpu(), tensor)
