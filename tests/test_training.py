"""A run: its data, its loop, interrupts, going on from a checkpoint, and how it is found again."""

import json
import math
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from safetensors.torch import save_file
from small import (
    ALL_AT_ONCE,
    CHECKPOINT,
    ENVIRONMENT,
    SOURCE,
    STEPS,
    command,
    epochs_in,
    heard,
    read_checkpoint,
    refused,
    run_in,
    same,
    same_run,
    small_config,
    small_data,
    small_log,
    small_run,
)

from helpers import training
from helpers.events import TEST, TRAIN, VALIDATION
from helpers.losses import category_losses, evaluate, fit_baselines, mean_over_steps
from helpers.model import MultiStreamModel
from helpers.support import checkpoints
from helpers.support.checkpoints import copy_weights, put_weights, save_run
from helpers.support.files import DATA, ROOT
from helpers.training import (
    Config,
    ModelConfig,
    Trainer,
    finished_run,
    load_data,
    order_batches,
    read_config,
    scale_rate,
)


def loss_of(model, batch, sizes) -> torch.Tensor:
    return mean_over_steps(category_losses(model(batch), batch.target, sizes), batch.counted)


# -- the reference run


def test_reference_run_is_the_summary_key_for_key():
    assert json.loads((DATA / "reference_run.json").read_text()) == {
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
    config = read_config(DATA / "reference_run.json")
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
    run = small_run(learning_rate=1e-3)
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
    run = small_run(learning_rate=0.01, weight_decay=0.1)
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
        gradients_at_each_step(small_run(clip_norm=clip), monkeypatch) for clip in (None, 0.01, 1e3)
    )
    for ours, clipped, not_clipped in zip(free, short, long, strict=True):
        assert ours.norm() > 0.02
        torch.testing.assert_close(clipped, ours * 0.01 / ours.norm(), atol=1e-7, rtol=1e-3)
        assert torch.equal(not_clipped, ours)


def test_each_step_is_of_its_own_gradients(monkeypatch):
    steps = gradients_at_each_step(small_run(epochs=2, batches=3), monkeypatch, epochs=2)
    assert len(steps) == 6
    for first, again in zip(steps[:3], steps[3:]):  # the same windows and weights in both epochs
        assert torch.equal(first, again)


def test_batches_are_taken_one_after_another_in_order_and_alike_in_every_epoch(monkeypatch):
    run, asked = small_run(epochs=2), []
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
    one, again, other = (copy_weights(small_run(seed=seed).model) for seed in (0, 0, 1))
    assert same(one, again) and not same(one, other)


def test_an_epoch_that_breaks_off_leaves_the_run_as_it_was():
    run, calls = small_run(grad_accum=2), []

    def interrupt(number, loss):
        calls.append(number)
        if len(calls) == 3:  # after a step, and with half of the next one's gradients
            raise KeyboardInterrupt

    before, run.watch = copy_weights(run.model), interrupt
    with pytest.raises(KeyboardInterrupt):
        run.epoch()
    assert same(copy_weights(run.model), before) and run.epochs_done == 0
    run.epoch()
    twin = small_run(grad_accum=2)
    twin.epoch()
    assert same(copy_weights(run.model), copy_weights(twin.model))


# -- its data


@pytest.mark.parametrize("events, cases", [(40, 40), (12, 5)], ids=["cases of one event", "few"])
def test_a_log_without_windows_is_refused_by_its_name(tmp_path, events, cases):
    path, mapping = tmp_path / "log.csv", tmp_path / "mapping.json"
    times = [f"2022-03-{1 + i // 4:02d} {8 + i % 4:02d}:30" for i in range(events)]
    rows = [f"c{i % cases},in,{when}" for i, when in enumerate(times)]
    path.write_text("\n".join(["case,what,when", *rows]) + "\n")
    what = {"categories": {"what": {"column": "what"}}, "streams": {"what": "what"}}
    mapping.write_text(json.dumps({"sequence": "case", "time": "when"} | what))
    config = small_config(log=str(path), mapping=str(mapping))
    refused(lambda: load_data(config), "part", "longer log", start=path)


# -- the loop


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(stop, tmp_path):
    settings = dict(
        epochs=3,
        dropout=0.2,
        hide=0.1,
        shuffle=True,
        schedule="cosine",
        grad_accum=2,
        clip_norm=1.0,
        weight_decay=0.01,
    )
    unbroken = small_run(**settings, out=str(tmp_path / "a")).fit()
    broken = small_run(**settings, out=str(tmp_path / "b"))
    for _ in range(stop):
        broken.epoch()
        save_run(broken)
    torch.manual_seed(99)
    resumed = small_run(
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
        small_run(data, tgt_seq_len=1, epochs=1, batches=batches, batch_size=size, grad_accum=accum)
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
        small_run(epochs=1, batches=2, learning_rate=0.0, step_decay=decay) for decay in (0.0, 1.5)
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
    small_run(epochs=1, batches=3, grad_accum=2).epoch()
    alone = norms.copy()
    small_run(epochs=1, batches=3, grad_accum=1).epoch()
    assert len(alone) == 2 and alone[1] == pytest.approx(norms[-1])


def test_it_learns_one_batch_by_heart(monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_WINDOWS", 8)
    run = small_run(
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
    run, twin = small_run(epochs=1, batches=1), small_run(epochs=1, batches=1)
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
    run = small_run(step_decay=1.0, watch=lambda *told: seen.append(told)).fit()
    assert [number for number, _ in seen] == list(range(10))  # two epochs of five
    windows = run.data.windows[TRAIN]
    steps = [int(windows.count(origins).sum()) for origins in order_batches(windows, run.config, 0)]
    losses = np.reshape([loss for _, loss in seen], (2, 5))
    assert run.epochs()["train"].tolist() == pytest.approx(list(losses @ steps / sum(steps)))


@pytest.mark.parametrize("changes", [{}, {"grad_accum": 2, "step_decay": 1.0}])
def test_the_train_loss_is_a_mean_over_all_steps_that_count(changes):
    run = small_run(learning_rate=0.0, batches=4, shuffle=True, **changes)
    windows, one = run.data.windows[TRAIN], small_run(batches=4)
    batches = order_batches(windows, run.config, 0)
    steps = [windows.count(origins).sum().item() for origins in batches]
    assert len(set(steps)) > 1  # or a mean of means would be the same
    run.epoch()
    told = evaluate(one.model, windows, origins=np.concatenate(batches))
    expected = told.losses["model"][told.counted].mean(0)
    table = run.table().query("measure == 'train'")
    assert table["value"].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


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
    run, weights = small_run(epochs=3, out=str(tmp_path)), []
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
    resumed = small_run(epochs=3, model_checkpoint=str(tmp_path / CHECKPOINT))
    assert same(run.best, weights[1])
    assert same(resumed.best, weights[1])
    report = run.evaluation(TEST).report()
    assert same(copy_weights(run.model), weights[2])
    put_weights(run.model, weights[1])
    expected = evaluate(run.model, run.data.windows[TEST], fit_baselines(run.data.log)).report()
    pd.testing.assert_frame_equal(report, expected)


def test_cosine_rises_for_a_twentieth_then_falls_to_nothing():
    rates = [scale_rate("cosine", step, 1000) for step in range(1000)]
    assert int(np.argmax(rates)) == 49 and 0.99 < max(rates) <= 1
    assert rates[0] == 1 / 50 and rates[-1] < 1e-5 and (np.diff(rates[50:]) < 0).all()
    assert {scale_rate("constant", step, 10) for step in range(10)} == {1.0}


def test_the_configured_rate_is_the_one_that_steps():
    run = small_run(epochs=2, schedule="cosine").fit()
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * scale_rate("cosine", 9, 10))


def test_the_schedule_counts_steps_and_not_batches():
    run = small_run(epochs=2, grad_accum=2, schedule="cosine").fit()  # five batches are three steps
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * scale_rate("cosine", 5, 6))


def test_clip_norm_shortens_the_gradient():
    run = small_run(epochs=1, batches=1, clip_norm=1e-3)
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


# -- interrupted

# Where in an epoch a run rests until it is interrupted: who is called there, how many calls of it
# come first (those of a whole epoch among them), and how many epochs are done but not saved.
PLACES = {
    "the first batch": (lambda run: run.data.windows[TRAIN], "batch", 5, 0),
    "within a step of two batches": (lambda run: run.data.windows[TRAIN], "batch", 8, 0),
    "the last step": (lambda run: run.optimizer, "step", 5, 0),
    "validation": (lambda run: run.model, "eval", 1, 0),
    "before it is saved": (lambda run: checkpoints, "save_run", 1, 1),
    "the checkpoint written and not in its place": (lambda run: os, "replace", 7, 1),
}
EPOCHS = len(PLACES) + 2


def train_through_interrupts(pipe, out):
    """Rests at each place, and says so; then says what the interrupt there leaves."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job in the background
    run = run_in(out, EPOCHS)
    for find_owner, name, before, _ in PLACES.values():
        owner, left = find_owner(run), iter(range(before))
        original = getattr(owner, name)

        def rest(*given, original=original, left=left, **options):
            if next(left, None) is not None:
                return original(*given, **options)
            pipe.send("resting")
            time.sleep(60)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, rest)
            with pytest.raises(KeyboardInterrupt):
                run.fit()
        saved = run_in(out, EPOCHS)
        alike = same(copy_weights(run.model), copy_weights(saved.model))
        no_gradients = all(p.grad is None for p in run.model.parameters())
        pipe.send((run.epochs_done - saved.epochs_done, alike, no_gradients))
    run.fit()


def test_an_interrupted_run_is_as_after_its_last_whole_epoch_and_fit_goes_on_bit_for_bit(
    start, unbroken, tmp_path
):
    process, pipe = start(train_through_interrupts, tmp_path)
    for place, (*_, unsaved) in PLACES.items():
        assert heard(pipe) == "resting"
        os.kill(process.pid, signal.SIGINT)
        assert heard(pipe) == (unsaved, not unsaved, True), place
    process.join(60)
    assert process.exitcode == 0
    assert same_run(tmp_path, unbroken(EPOCHS))


CELL = """
import time
from pathlib import Path
from small import run_in
def rest(batch, loss):
    if batch == 7 and not resting.exists():
        resting.touch()
        time.sleep(60)
"""


def test_a_kernel_that_is_interrupted_in_an_epoch_goes_on_in_the_next_cell(unbroken, tmp_path):
    manager, client = start_new_kernel(env=os.environ | ENVIRONMENT)

    def reply(cell: str) -> dict:
        while (message := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != cell:
            pass
        return message["content"]

    def run(code: str) -> dict:
        return reply(client.execute(code))

    try:
        out, resting = tmp_path / "run", tmp_path / "resting"
        run(CELL + f"run = run_in({str(out)!r}, 2, rest)\nresting = Path({str(resting)!r})")
        # Else the kernel may still be dropping what waits behind an error when the next cell comes.
        cell = client.execute("run.fit()", stop_on_error=False)
        while not resting.exists():
            time.sleep(0.05)
        manager.interrupt_kernel()
        assert reply(cell)["ename"] == "KeyboardInterrupt" and epochs_in(out) == 1
        assert (
            run(
                "assert run.epochs_done == 1\n"
                "assert all(p.grad is None for p in run.model.parameters())\nrun.fit()"
            )["status"]
            == "ok"
        )
        assert same_run(out, unbroken(2))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# -- when it cannot go on


def test_a_run_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_run(epochs=1, out=None).fit()
    assert list(tmp_path.iterdir()) == []


# -- a run that is finished, or will be


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
        copy_weights(Trainer(run.config.change(out=None), run.data, progress=False).fit().model),
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
    assert trained == [1]
    assert same(copy_weights(finished.model), copy_weights(run.fit(replace=True).model))


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
    assert f"{tmp_path / 'run'}: holds a run of 2 epochs, which is replaced" in said
    unspoiled = Trainer(run.config.change(out=None), run.data, progress=False).fit()
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
    tensors, about = read_checkpoint(checkpoint.parent)
    del tensors["best.heads.bias"]
    save_file(tensors, checkpoint, about)
    trained.clear()
    again = finished_run(config_file())
    assert trained == [0, 1] and "do not fit this log" in capsys.readouterr().out
    assert (
        same(copy_weights(again.model), copy_weights(first.model))
        and again.history == first.history
    )


# -- the same seed


def train_configured(pipe, path, out):
    Trainer(read_config(path, {"out": str(out)}), progress=False).fit()


def test_a_run_is_the_same_in_another_process(start, config_file, tmp_path):
    config = config_file(**ALL_AT_ONCE)
    assert command(config, "--set", "out=one", cwd=tmp_path).returncode == 0
    process, _ = start(train_configured, config, tmp_path / "two")
    process.join(60)
    for name in (
        "report.csv",
        "category_ladder.png",
        "loss_per_epoch_full.png",
    ):  # the command writes these as well
        (tmp_path / "one" / name).unlink()
    assert same_run(tmp_path / "one", tmp_path / "two")


def train_in_threads(pipe, threads):
    torch.set_num_threads(threads)
    run = small_run(**ALL_AT_ONCE, epochs=3, batches=20, batch_size=32).fit()
    pipe.send(
        (
            torch.get_num_threads(),
            run.epochs()["train"].tolist(),
            run.epochs()["validation"].tolist(),
        )
    )


def test_the_losses_hardly_depend_on_the_number_of_threads(start):
    (one, *losses), (two, *others) = (
        heard(start(train_in_threads, threads)[1]) for threads in (1, 2)
    )
    assert (one, two) == (1, 2)
    for ours, theirs in zip(losses, others):
        assert ours == pytest.approx(theirs, rel=0, abs=5e-5)
