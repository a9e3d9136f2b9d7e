"""A run: its settings, its loop, going on from a checkpoint, and what it says when it cannot."""

import dataclasses
import json
import math
import os
import pickle
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from safetensors import safe_open
from safetensors.torch import save_file
from small import SOURCE, STEPS, small_config, small_data, small_log, write_log

from helpers import training
from helpers.events import TEST, TRAIN, VALIDATION
from helpers.losses import category_losses, evaluate, fit_baselines, mean_over_steps
from helpers.model import MultiStreamModel
from helpers.support import checkpoints
from helpers.support.checkpoints import copy_weights, put_weights, save_run
from helpers.support.errors import InputError, TrainingStopped
from helpers.support.files import read_floors
from helpers.tools import train
from helpers.training import (
    Config,
    Data,
    ModelConfig,
    Trainer,
    finished_run,
    load_data,
    order_batches,
    read_config,
    scale_rate,
)

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINT = "checkpoint.safetensors"


def trainer(data=None, **changes) -> Trainer:
    return Trainer(small_config(**changes), data or small_data(), progress=False)


def one_line(call, *said) -> None:
    """The call raises an InputError of one line that says all these words."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert [words for words in map(str, said) if words not in message] == []


def same(ours: dict, theirs: dict) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def loss_of(model, batch, sizes) -> torch.Tensor:
    return mean_over_steps(category_losses(model(batch), batch.target, sizes), batch.counted)


# -- the reference run


def test_reference_run_is_the_summary_key_for_key():
    assert json.loads((ROOT / "data" / "reference_run.json").read_text()) == {
        "src_seq_len": 20,
        "tgt_seq_len": 20,
        "id_category_size": 100,
        "epochs": 20,
        "batch_size": 16,
        "grad_accum": 1,
        "model_checkpoint": None,
        "model": {"d_model": 32, "num_heads": 4, "encoder_layers": 1, "decoder_layers": 1},
    }


def test_what_the_reference_run_leaves_open_defaults_to_its_runtime_settings():
    config = read_config(ROOT / "data" / "reference_run.json")
    assert config == Config(out=str(ROOT / "build" / "runs" / "reference_run"))
    assert (config.device, config.learning_rate, config.schedule, config.shuffle, config.carry) == (
        "cpu",
        1e-5,
        "constant",
        False,
        1,
    )
    assert (
        config.weight_decay,
        config.clip_norm,
        config.dropout,
        config.step_decay,
        config.tied,
    ) == (0, None, 0, 0, False)


def test_the_optimiser_is_adam():
    run = trainer(learning_rate=1e-3)
    twins = [parameter.detach().clone().requires_grad_() for parameter in run.model.parameters()]
    adam = torch.optim.Adam(twins, lr=1e-3)
    for _ in range(3):
        for ours, theirs in zip(run.model.parameters(), twins):
            ours.grad = torch.randn_like(ours)
            theirs.grad = ours.grad.clone()
        run.optimizer.step()
        adam.step()
    for ours, theirs in zip(run.model.parameters(), twins):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_weight_decay_shrinks_every_weight():
    run = trainer(learning_rate=0.01, weight_decay=0.1)
    before = copy_weights(run.model)
    for parameter in run.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    run.optimizer.step()
    for name, weight in copy_weights(run.model).items():
        torch.testing.assert_close(weight, before[name] * (1 - 0.01 * 0.1), atol=0, rtol=1e-5)


def gradients_at_each_step(run: Trainer, monkeypatch, epochs: int = 1) -> list[torch.Tensor]:
    """All gradients in one vector at each step; no step is taken, so the weights stay."""
    seen = []
    monkeypatch.setattr(
        run.optimizer,
        "step",
        lambda: seen.append(torch.cat([p.grad.flatten() for p in run.model.parameters()])),
    )
    for _ in range(epochs):
        run.epoch()
    return seen


def test_gradients_are_clipped_to_the_length_asked_for(monkeypatch):
    free, short, long = (
        gradients_at_each_step(trainer(clip_norm=clip), monkeypatch) for clip in (None, 0.01, 1e3)
    )
    for ours, clipped, not_clipped in zip(free, short, long, strict=True):
        assert ours.norm() > 0.02
        torch.testing.assert_close(clipped, ours * 0.01 / ours.norm(), atol=1e-7, rtol=1e-3)
        assert torch.equal(not_clipped, ours)


def test_each_step_is_of_its_own_gradients(monkeypatch):
    steps = gradients_at_each_step(trainer(epochs=2, batches=3), monkeypatch, epochs=2)
    assert len(steps) == 6
    for first, again in zip(steps[:3], steps[3:]):  # the same windows and weights in both epochs
        assert torch.equal(first, again)


def test_batches_are_taken_one_after_another_in_order_and_alike_in_every_epoch(monkeypatch):
    run, asked = trainer(epochs=2), []
    windows = run.data.windows[TRAIN]
    batch = windows.batch
    monkeypatch.setattr(windows, "batch", lambda origins: asked.append(origins) or batch(origins))
    run.fit()
    first, second = asked[:5], asked[5:]
    assert [len(origins) for origins in asked] == [8] * 10
    assert (np.diff(np.concatenate(first)) > 0).all()
    assert np.array_equal(first, second)
    assert np.array_equal(first, order_batches(windows, run.config, 0))


def test_shuffled_epochs_differ_and_pass_over_no_window():
    windows = small_data().windows[TRAIN]
    need = math.ceil(len(windows) / 8)
    config = small_config(shuffle=True, batches=need)
    one, again, other = (
        np.concatenate(order_batches(windows, config, epoch)) for epoch in (0, 0, 1)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert set(one) == set(windows.origins)
    other_seed = order_batches(windows, config.change(seed=1), 0)
    assert not np.array_equal(one, np.concatenate(other_seed))


def test_the_seed_alone_tells_where_the_weights_start():
    one, again, other = (copy_weights(trainer(seed=seed).model) for seed in (0, 0, 1))
    assert same(one, again) and not same(one, other)


def test_an_epoch_that_breaks_off_leaves_the_run_as_it_was():
    run, calls = trainer(grad_accum=2), []

    def interrupt(number, loss):
        calls.append(number)
        if len(calls) == 3:  # after a step, and with half of the next one's gradients
            raise KeyboardInterrupt

    before, run.watch = copy_weights(run.model), interrupt
    with pytest.raises(KeyboardInterrupt):
        run.epoch()
    assert same(copy_weights(run.model), before) and run.epochs_done == 0
    run.epoch()
    twin = trainer(grad_accum=2)
    twin.epoch()
    assert same(copy_weights(run.model), copy_weights(twin.model))


# -- the loop


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(stop, tmp_path):
    settings = dict(
        epochs=3,
        dropout=0.2,
        shuffle=True,
        schedule="cosine",
        grad_accum=2,
        clip_norm=1.0,
        weight_decay=0.01,
    )
    unbroken = trainer(**settings, out=str(tmp_path / "a")).fit()
    broken = trainer(**settings, out=str(tmp_path / "b"))
    for _ in range(stop):
        broken.epoch()
        save_run(broken)
    torch.manual_seed(99)
    resumed = trainer(
        **settings, out=str(tmp_path / "c"), model_checkpoint=str(tmp_path / "b" / CHECKPOINT)
    )
    assert resumed.epochs_done == stop
    resumed.fit()
    assert same(resumed.model.state_dict(), unbroken.model.state_dict())
    assert same(resumed.best, unbroken.best)
    for ours, theirs in zip(resumed.model.parameters(), unbroken.model.parameters()):
        assert same(resumed.optimizer.state[ours], unbroken.optimizer.state[theirs])
    assert resumed.history == unbroken.history and len(resumed.history) == 3 * (17 + 17 + 7)
    for name in ("history.csv", "epochs.csv", "category_ranges.csv"):
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_two_accumulated_batches_of_8_make_the_step_of_one_of_16(monkeypatch):
    data = small_data(
        tgt_seq_len=1
    )  # then all steps count: a mean of means would weigh shorter targets differently
    gradients = []

    def keep(self, *_):
        gradients.append([parameter.grad.clone() for parameter in self.model.parameters()])
        return torch.zeros(7)

    monkeypatch.setattr(Trainer, "step", keep)
    runs = [
        trainer(data, tgt_seq_len=1, epochs=1, batches=batches, batch_size=size, grad_accum=accum)
        for batches, size, accum in ((2, 8, 2), (1, 16, 1))
    ]
    for run in runs:
        run.epoch()
    assert len(gradients) == 2
    for ours, theirs in zip(*gradients):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert runs[0].epochs()["train"][0] == pytest.approx(runs[1].epochs()["train"][0], abs=1e-6)


def test_step_decay_weighs_the_gradient_and_not_the_loss_that_is_told():
    alike, early = (
        trainer(epochs=1, batches=2, learning_rate=0.0, step_decay=decay) for decay in (0.0, 1.5)
    )
    for run in (alike, early):
        run.epoch()
    assert early.epochs()["train"][0] == pytest.approx(alike.epochs()["train"][0], abs=1e-6)
    gradients = [
        [row["value"] for row in run.history if row["measure"] == "gradient"]
        for run in (alike, early)
    ]
    assert all(abs(a - b) > 1e-3 * a for a, b in zip(*gradients))
    torch.testing.assert_close(early.step_weights, torch.tensor([1, 2, 3, 4, 5]) ** -1.5)


def test_a_last_step_of_fewer_batches_weighs_them_fully(monkeypatch):
    norms = []

    def keep(self, *_):
        norms.append(self.model.heads.bias.grad.norm().item())
        self.optimizer.zero_grad()
        return torch.zeros(7)

    monkeypatch.setattr(Trainer, "step", keep)
    trainer(epochs=1, batches=3, grad_accum=2).epoch()
    alone = norms.copy()
    trainer(epochs=1, batches=3, grad_accum=1).epoch()
    assert len(alone) == 2 and alone[1] == pytest.approx(norms[-1])


def test_it_learns_one_batch_by_heart(monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_WINDOWS", 8)
    run = trainer(
        epochs=150, batches=1, learning_rate=1e-2, model=ModelConfig(d_model=32, num_heads=4)
    ).fit()
    batch = run.data.windows[TRAIN].batch(order_batches(run.data.windows[TRAIN], run.config, 0)[0])
    entropies = []
    for c in range(len(run.sizes)):
        share = np.unique(batch.target[batch.counted][:, c], return_counts=True)[1] / int(
            batch.counted.sum()
        )
        entropies.append(-(share * np.log(share)).sum())
    assert run.epochs()["train"].iloc[-1] < 0.2 * np.mean(entropies)


def test_monitors_give_the_mean_loss_of_each_category_and_the_gradient_of_each_stream():
    run, twin = trainer(epochs=1, batches=1), trainer(epochs=1, batches=1)
    batch = twin.data.windows[TRAIN].batch(
        order_batches(twin.data.windows[TRAIN], twin.config, 0)[0]
    )
    losses = loss_of(twin.model, batch, twin.sizes)
    losses.mean().backward()
    norms = [
        math.sqrt(sum(p.grad[s].square().sum().item() for p in twin.model.encoder.parameters()))
        for s in range(7)
    ]
    run.epoch()
    table = pd.DataFrame(run.history).set_index(["measure", "name"])["value"]
    assert table["train"].tolist() == pytest.approx(losses.tolist(), abs=1e-5)
    assert table["gradient"].tolist() == pytest.approx(norms, rel=1e-4) and min(norms) > 0
    validation = evaluate(run.model, run.data.windows[VALIDATION]).report()["model"]
    assert table["validation"].tolist() == pytest.approx(validation.tolist()[:-1])
    assert table["validation"].index.tolist() == run.names
    assert table["gradient"].index.tolist() == [stream.name for stream in run.data.log.streams]
    row = run.epochs()[["epoch", "train", "validation"]].iloc[0]
    assert row.tolist() == pytest.approx([0, losses.mean().item(), validation.iloc[-1]], abs=1e-5)


def test_a_run_is_watched_batch_by_batch():
    seen = []
    run = Trainer(
        small_config(step_decay=1.0),
        small_data(),
        progress=False,
        watch=lambda number, loss: seen.append((number, loss)),
    ).fit()
    assert [number for number, _ in seen] == list(range(10))  # two epochs of five
    assert run.epochs()["train"].tolist() == pytest.approx(
        [np.mean([loss for _, loss in seen[:5]]), np.mean([loss for _, loss in seen[5:]])]
    )


def test_another_network_is_trained_in_the_place_of_ours():
    class Deaf(MultiStreamModel):
        def encode(self, histories, known):
            return super().encode(histories, known) * 0

    torch.manual_seed(3)
    deaf = Deaf(
        small_log().categories,
        7,
        SOURCE,
        STEPS,
        d_model=8,
        num_heads=2,
        encoder_layers=1,
        decoder_layers=1,
    )
    before = {name: tensor.clone() for name, tensor in deaf.named_parameters()}
    run = Trainer(small_config(), small_data(), progress=False, model=deaf).fit()
    assert run.model is deaf and same(copy_weights(run.model), dict(deaf.named_parameters()))
    moved = {
        name for name, tensor in deaf.named_parameters() if not torch.equal(tensor, before[name])
    }
    assert "heads.weight" in moved and not any(name.startswith("encoder.") for name in moved)


def test_the_best_epoch_has_the_least_validation_loss_and_its_weights_are_kept_and_evaluated(
    tmp_path,
):
    run, weights = trainer(epochs=3, out=str(tmp_path)), []
    for _ in range(3):
        if len(weights) == 2:
            with torch.no_grad():
                run.model.heads.bias += torch.linspace(
                    -3, 3, len(run.model.heads.bias)
                )  # the last epoch is not the best
        run.epoch()
        weights.append(copy_weights(run.model))
    table = run.epochs()
    assert table["validation"].idxmin() == 1 and table["best"].tolist() == [False, True, False]
    save_run(run)
    assert same(run.best, weights[1]) and same(
        resume(tmp_path / CHECKPOINT, epochs=3)().best, weights[1]
    )
    report = run.evaluation(TEST).report()
    assert same(copy_weights(run.model), weights[2])
    put_weights(run.model, weights[1])
    expected = evaluate(run.model, run.data.windows[TEST], fit_baselines(run.data.log)).report()
    pd.testing.assert_frame_equal(report, expected)


def test_category_ranges_are_the_least_and_greatest_validation_losses():
    run = trainer(epochs=3, learning_rate=1e-2).fit()
    values = [
        [
            row["value"]
            for row in run.history
            if row["measure"] == "validation" and row["name"] == name
        ]
        for name in run.names
    ]
    table = run.category_ranges()
    assert table["category"].tolist() == run.names
    assert table["min"].tolist() == [min(row) for row in values] and table["max"].tolist() == [
        max(row) for row in values
    ]


def test_cosine_rises_for_a_twentieth_then_falls_to_nothing():
    rates = [scale_rate("cosine", step, 1000) for step in range(1000)]
    assert int(np.argmax(rates)) == 49 and 0.99 < max(rates) <= 1
    assert rates[0] == 1 / 50 and rates[-1] < 1e-5 and (np.diff(rates[50:]) < 0).all()
    assert {scale_rate("constant", step, 10) for step in range(10)} == {1.0}


def test_the_configured_rate_is_the_one_that_steps():
    run = trainer(epochs=2, schedule="cosine").fit()
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * scale_rate("cosine", 9, 10))


def test_the_schedule_counts_steps_and_not_batches():
    run = trainer(epochs=2, grad_accum=2, schedule="cosine").fit()  # five batches are three steps
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * scale_rate("cosine", 5, 6))


def test_clip_norm_shortens_the_gradient():
    run = trainer(epochs=1, batches=1, clip_norm=1e-3)
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=1.0)
    before = copy_weights(run.model)
    run.epoch()
    moved = (
        sum(
            (tensor - before[name]).square().sum()
            for name, tensor in copy_weights(run.model).items()
        )
        .sqrt()
        .item()
    )
    assert moved == pytest.approx(1e-6, rel=1e-2)  # the norm times the rate


def shared_chance() -> list[bytes]:
    """The state of the generators that torch and numpy share with everyone."""
    kind, keys, *rest = np.random.get_state()
    return [torch.get_rng_state().numpy().tobytes(), keys.tobytes(), repr([kind, *rest]).encode()]


def test_a_run_leaves_shared_chance_as_it_was():
    before = shared_chance()
    run = trainer(dropout=0.2, shuffle=True)
    assert shared_chance() == before
    run.epoch()
    assert shared_chance() == before


# -- when it cannot go on


@pytest.mark.parametrize("table", [Trainer.epochs, Trainer.category_ranges])
def test_before_the_first_epoch_the_tables_say_that_there_is_none(table):
    one_line(lambda: table(trainer()), "no whole epoch yet", "fit()")


def test_a_loss_that_is_no_number_stops_and_leaves_the_last_good_checkpoint(tmp_path):
    run = trainer(epochs=3, out=str(tmp_path))
    run.epoch()
    save_run(run)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with torch.no_grad():
        run.model.heads.bias[sum(run.sizes[: run.names.index("HoursWorked")])] = math.nan
    with pytest.raises(TrainingStopped, match="epoch 1, batch 0: .*HoursWorked"):
        run.fit()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    resumed = trainer(
        epochs=3, out=str(tmp_path), model_checkpoint=str(tmp_path / CHECKPOINT)
    ).fit()
    assert resumed.epochs_done == 3


def test_gradients_whose_squares_are_beyond_all_numbers_stop_the_run(tmp_path):
    run = trainer(out=str(tmp_path))
    run.model.heads.bias.register_hook(lambda grad: grad * 1e30)
    with pytest.raises(
        TrainingStopped,
        match="epoch 0: the gradients are too large to be squared; lower learning_rate",
    ):
        run.fit()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_other_windows_of_the_same_events_is_refused(tmp_path):
    run = trainer(out=str(tmp_path)).fit()
    log = run.data.log
    for changes in (
        {"streams": log.streams[::-1]},
        {"part": log.part[::-1].copy()},
        {"sequence": log.sequence + 1},
        {"categories": log.categories[::-1]},
        {"vocabularies": log.vocabularies | {"EventType": [None, "other"]}},
    ):
        data = dataclasses.replace(run.data, log=dataclasses.replace(log, **changes))
        one_line(
            lambda: trainer(data, model_checkpoint=str(tmp_path / CHECKPOINT)),
            "another configuration",
            "'checksum of the log'",
        )


def test_weights_spoiled_by_the_last_step_of_an_epoch_are_not_saved(tmp_path):
    run = trainer(batches=1, learning_rate=1e30, out=str(tmp_path))
    with pytest.raises(TrainingStopped, match="epoch 0, validation: .*EventType"):
        run.fit()
    assert run.history == [] and list(tmp_path.iterdir()) == []


def test_a_run_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer(epochs=1, out=None).fit()
    assert list(tmp_path.iterdir()) == []


# -- checkpoints that cannot be used


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    trainer(epochs=1, out=str(tmp_path)).fit()
    return tmp_path / CHECKPOINT


def resume(path, data=None, **changes):
    return lambda: trainer(data, **{"epochs": 1, "model_checkpoint": str(path)} | changes)


def test_a_whole_checkpoint_is_taken(checkpoint):
    assert resume(checkpoint)().epochs_done == 1


@pytest.mark.parametrize("left", [0, 5, 2000, -100])
def test_a_checkpoint_cut_short_is_refused(checkpoint, left):
    checkpoint.write_bytes(checkpoint.read_bytes()[:left])
    one_line(resume(checkpoint), checkpoint, "not a whole checkpoint", "start anew")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "write",
    [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save],
    ids=["pickle", "torch.save"],
)
def test_a_pickle_is_refused_and_not_executed(tmp_path, write):
    mark, path = tmp_path / "executed", tmp_path / CHECKPOINT
    write(Bomb(mark), path)
    one_line(resume(path), path, "not a whole checkpoint")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # it would have been seen


def test_another_safetensors_file_is_refused(tmp_path):
    path = tmp_path / CHECKPOINT
    save_file({"weight": torch.zeros(3)}, path)
    one_line(resume(path), path, "not a checkpoint of this package", "start anew")


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"model": ModelConfig(d_model=16, num_heads=2)}, "'model'"),
        ({"learning_rate": 0.5}, "'learning_rate'"),
        ({"streams": ["Actor"]}, "'streams'"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(checkpoint, changes, key):
    one_line(
        resume(checkpoint, **changes),
        checkpoint,
        "another configuration",
        key,
        "use the configuration",
    )


def test_a_checkpoint_of_another_log_is_refused(checkpoint):
    log = dataclasses.replace(small_data().log, streams=small_data().log.streams[:3])
    one_line(
        resume(checkpoint, Data(log, small_data().windows, None)),
        checkpoint,
        "another configuration",
        "'checksum of the log'",
    )


def test_a_missing_checkpoint_is_named(tmp_path):
    one_line(resume(tmp_path / "none"), tmp_path / "none", "no such checkpoint", "model_checkpoint")


# -- the built-in log's floors


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("version https://git-lfs"),
        lambda path: np.savez(path, other=np.zeros(3)),
        lambda path: path.with_name("workplace.csv.gz").write_bytes(b"another log"),
    ],
    ids=["missing", "cut short", "empty", "a pointer", "other arrays", "of another log"],
)
def test_floors_are_taken_beside_their_own_log_alone(tmp_path, spoil):
    for name in ("workplace.csv.gz", "floors.npz"):
        shutil.copy(ROOT / "data" / name, tmp_path)
    assert read_floors(tmp_path / "workplace.csv.gz").shape[1] == 17
    spoil(tmp_path / "floors.npz")
    one_line(
        lambda: read_floors(tmp_path / "workplace.csv.gz"),
        tmp_path / "floors.npz",
        "of another log",
        "helpers.tools.simulate",
    )


# -- a run that is finished, or will be


@pytest.fixture
def config_file(tmp_path):
    """Writes a small configuration that runs in a folder of its own; changes replace values."""
    files = write_log(tmp_path)

    def write(**changes) -> Path:
        settings = dict(
            src_seq_len=SOURCE,
            tgt_seq_len=STEPS,
            epochs=2,
            batch_size=8,
            batches=3,
            learning_rate=1e-3,
            model={"d_model": 8, "num_heads": 2},
            out=str(tmp_path / "run"),
            **files,
        )
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(settings | changes))
        return path

    return write


@pytest.fixture
def trained(monkeypatch) -> list[int]:
    """The epochs that are trained from here on."""
    epochs, epoch = [], Trainer.epoch
    monkeypatch.setattr(
        Trainer, "epoch", lambda run: (epochs.append(run.epochs_done), epoch(run))[1]
    )
    return epochs


def test_a_finished_run_is_trained_where_there_is_none(config_file, trained, tmp_path, capsys):
    run = finished_run(config_file())
    assert trained == [0, 1] and run.epochs_done == 2 and "not used" not in capsys.readouterr().out
    assert (tmp_path / "run" / CHECKPOINT).is_file()
    assert same(
        copy_weights(run.model),
        copy_weights(Trainer(read_config(config_file()), run.data, progress=False).fit().model),
    )


def test_a_finished_run_is_taken_up_without_training_a_step(config_file, trained, tmp_path, capsys):
    first, written = finished_run(config_file()), (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns
    trained.clear()
    again = finished_run(config_file())
    assert trained == [] and "not used" not in capsys.readouterr().out
    assert (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns == written
    assert (
        same(copy_weights(again.model), copy_weights(first.model))
        and same(again.best, first.best)
        and again.history == first.history
    )


def test_an_interrupted_run_is_finished_from_where_it_stopped(config_file, trained):
    run = Trainer(read_config(config_file()), progress=False)
    run.epoch()
    save_run(run)
    trained.clear()
    finished = finished_run(config_file())
    assert trained == [1] and same(copy_weights(finished.model), copy_weights(run.fit().model))


@pytest.mark.parametrize(
    "change, note",
    [
        ({"learning_rate": 2e-3}, "'learning_rate' is 0.001 there and 0.002 here"),
        ({"model": {"d_model": 16, "num_heads": 2}}, "another configuration: 'model'"),
    ],
)
def test_a_run_of_another_configuration_is_trained_anew_with_a_note(
    config_file, trained, tmp_path, capsys, change, note
):
    finished_run(config_file())
    trained.clear()
    capsys.readouterr()
    run, said = finished_run(config_file(**change)), capsys.readouterr().out
    assert trained == [0, 1]
    assert note in said and "not used" in said and str(tmp_path / "run" / CHECKPOINT) in said
    unspoiled = Trainer(read_config(config_file(**change)), run.data, progress=False).fit()
    assert same(copy_weights(run.model), copy_weights(unspoiled.model))
    trained.clear()
    assert (
        same(copy_weights(finished_run(config_file(**change)).model), copy_weights(run.model))
        and trained == []
    )  # it took the old one's place


def test_a_stored_run_stands_in_for_one_of_your_own_unless_it_is_changed(
    config_file, trained, tmp_path, monkeypatch
):
    stored = finished_run(config_file(), {"out": str(tmp_path / "stored" / config_file().stem)})
    monkeypatch.setattr(training, "STORED", tmp_path / "stored")
    trained.clear()
    run = finished_run(config_file())
    assert trained == [] and same(run.best, stored.best) and not (tmp_path / "run").exists()
    finished_run(config_file(), {"seed": 1})
    assert trained == [0, 1]
    mine = (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns
    assert (
        finished_run(config_file()).history == run.history
    )  # mine belongs to another seed, so the stored one it is
    assert (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns == mine


def test_a_run_cut_short_on_the_disk_is_trained_anew_with_a_note(
    config_file, trained, tmp_path, capsys
):
    checkpoint = tmp_path / "run" / CHECKPOINT
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"half a file")
    assert finished_run(config_file()).epochs_done == 2 and trained == [0, 1]
    assert "not a whole checkpoint" in (said := capsys.readouterr().out) and "not used" in said


def test_a_run_that_fits_only_in_part_leaves_no_trace_in_the_new_one(
    config_file, trained, tmp_path, capsys
):
    first, checkpoint = finished_run(config_file()), tmp_path / "run" / CHECKPOINT
    with safe_open(checkpoint, "pt") as file:
        tensors, about = (
            {name: file.get_tensor(name) for name in file.keys() if name != "best.heads.bias"},
            file.metadata(),
        )
    save_file(tensors, checkpoint, about)
    trained.clear()
    again = finished_run(config_file())
    assert trained == [0, 1] and "do not fit this log" in capsys.readouterr().out
    assert (
        same(copy_weights(again.model), copy_weights(first.model))
        and again.history == first.history
    )


# -- configurations that cannot be used


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"epoch": 3}', ["'epoch'", "unknown"]),
        ('{"model": {"layers": 3}}', ["'model'", "'layers'", "unknown"]),
        ('{"epochs": "3"}', ["'epochs'", '"3"']),
        ('{"epochs": 3.5}', ["'epochs'", "3.5"]),
        ('{"epochs": true}', ["'epochs'", "true"]),
        ('{"shuffle": 1}', ["'shuffle'"]),
        ('{"model": 3}', ["'model'", "object"]),
        ('{"model": {"d_model": 30}}', ["'model', key 'd_model'", "30", "num_heads 4"]),
        ('{"batch_size": 0}', ["'batch_size'", "at least 1"]),
        ('{"epochs": -1}', ["'epochs'", "at least 0"]),
        ('{"model": {"num_heads": -4}}', ["'model', key 'num_heads'", "-4"]),
        ('{"learning_rate": -1e-3}', ["'learning_rate'", "-0.001"]),
        ('{"learning_rate": NaN}', ["'learning_rate'", "finite"]),
        ('{"clip_norm": Infinity}', ["'clip_norm'", "finite"]),
        ('{"dropout": 1}', ["'dropout'", "below 1"]),
        ('{"carry": 21}', ["'carry'", "at most src_seq_len 20"]),
        ('{"schedule": "linear"}', ["'schedule'", "linear"]),
        ('{"log": "mine.csv"}', ["'mapping'"]),
        ('{"device": "abacus"}', ["'device'", "abacus", "use cpu"]),
        ('{"epochs": 3,}', ["line 1", "not valid JSON"]),
        ("", ["line 1", "not valid JSON"]),
        ('[{"epochs": 3}]', ["object", "list"]),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "config.json"
    path.write_text(text)
    one_line(lambda: read_config(path), path, *said)


def test_a_missing_configuration_is_named(tmp_path):
    one_line(
        lambda: read_config(tmp_path / "config.json"), tmp_path / "config.json", "no such file"
    )


def test_dotted_changes_replace_inner_values_and_are_checked(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": 3, "model": {"num_heads": 2}}')
    config = read_config(path, {"model.d_model": 64, "learning_rate": 1})
    assert (config.model, config.epochs, config.learning_rate) == (
        ModelConfig(d_model=64, num_heads=2),
        3,
        1.0,
    )
    one_line(lambda: read_config(path, {"model.depth": 1}), path, "'model'", "'depth'")
    one_line(lambda: read_config(path, {"epochs.d_model": 1}), path, "'epochs'", "'d_model'")


@pytest.mark.parametrize(
    "item, said",
    [
        ("epochs", "key=value"),
        ("=3", "''"),
        ("epochs=many", "'epochs'"),
        ("model.d_model=3", "'model', key 'd_model'"),
    ],
)
def test_a_bad_set_is_refused(tmp_path, item, said):
    path = tmp_path / "config.json"
    path.write_text("{}")
    one_line(lambda: train.main([str(path), "--set", item]), said)


def test_streams_pick_from_those_of_the_mapping(tmp_path):
    files = write_log(tmp_path)
    log = load_data(small_config(**files, streams=["Time", "Actor"])).log
    assert [stream.name for stream in log.streams] == ["Time", "Actor"]
    for streams in (["Actors"], [], [["Actor"]]):
        one_line(
            lambda: load_data(small_config(**files, streams=streams)),
            "'streams'",
            "EventType, Actor,",
            json.dumps(streams),
        )


# -- the command, and what it writes


def command(*arguments, cwd) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "helpers.tools.train", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        env=environment,
    )


def test_the_command_writes_every_file_that_the_docstring_lists_and_resumes(tmp_path, monkeypatch):
    config = tmp_path / "tiny.json"
    settings = {
        "src_seq_len": SOURCE,
        "tgt_seq_len": STEPS,
        "epochs": 9,
        "batch_size": 8,
        "batches": 3,
        **write_log(tmp_path),
    }
    config.write_text(json.dumps(settings))
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


@pytest.mark.filterwarnings("ignore:'helpers.tools.train' found in sys.modules")
@pytest.mark.parametrize(
    "change, said",
    [
        ("epoch=3", "config.json: unknown key 'epoch'"),
        ("log=none.csv", "none.csv: no such file"),
        ("out=taken", "taken"),
    ],
)
def test_the_command_ends_with_one_line_where_it_cannot_go_on(tmp_path, monkeypatch, change, said):
    monkeypatch.chdir(tmp_path)
    settings = {
        "src_seq_len": SOURCE,
        "tgt_seq_len": STEPS,
        "epochs": 1,
        "batches": 1,
        **write_log(tmp_path),
    }
    Path("config.json").write_text(json.dumps(settings))
    Path("taken").write_text("a file where the run's folder should be")
    monkeypatch.setattr(sys, "argv", ["training", "config.json", "--set", change])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("helpers.tools.train", run_name="__main__", alter_sys=True)
    assert (
        caught.value.code.startswith("error: ")
        and said in caught.value.code
        and "\n" not in caught.value.code
    )


def save_all(run: Trainer) -> None:
    """What the command writes after an epoch."""
    save_run(run)
    train.write_losses(run)


@pytest.mark.parametrize(
    "name, owner, function",
    [
        (CHECKPOINT, checkpoints, "save_file"),
        ("history.csv", pd.DataFrame, "to_csv"),
        ("loss_per_epoch_full.png", Figure, "savefig"),
    ],
)
def test_nothing_is_overwritten_before_the_new_file_is_whole(
    tmp_path, monkeypatch, name, owner, function
):
    run = trainer(epochs=2, out=str(tmp_path))
    run.epoch()
    save_all(run)
    files, old = set(tmp_path.iterdir()), (tmp_path / name).read_bytes()
    run.epoch()
    original = getattr(owner, function)

    def break_off(first, path, *rest, **options):
        original(first, path, *rest, **options)
        Path(path).write_bytes(Path(path).read_bytes()[:10])
        raise OSError("no space left")

    monkeypatch.setattr(owner, function, break_off)
    with pytest.raises(OSError, match="no space left"):
        save_all(run)
    assert (tmp_path / name).read_bytes() == old
    assert set(tmp_path.iterdir()) == files
    monkeypatch.undo()
    save_all(run)
    assert (tmp_path / name).read_bytes() != old
