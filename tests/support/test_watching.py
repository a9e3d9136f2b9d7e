"""What is seen of a network without changing it: its attention, and its mode put back."""

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from small import (
    ALL_AT_ONCE,
    CHECKPOINT,
    SOURCE,
    STEPS,
    contents,
    refused,
    run_in,
    same,
    small_batch,
    small_model,
    small_run,
    small_windows,
)
from torch import nn

from helpers.losses import evaluate
from helpers.model import attend, split_heads
from helpers.support.checkpoints import copy_weights, save_run
from helpers.support.errors import TrainingStopped
from helpers.support.fast import speed_up
from helpers.support.watching import evaluating, measure_gradients, record_attention


def test_recorded_attention_is_that_of_the_standard_layers():
    model, batch = small_model(encoder_layers=2), small_batch()
    with record_attention() as seen:
        logits = model(batch)
    assert torch.equal(model(batch), logits)
    assert len(seen) == 4  # two encoder layers, then self and cross
    S, B = batch.known.shape[1], batch.known.shape[0]
    encoder, last, self_attention, cross = seen
    assert encoder.shape == (S * B, 2, SOURCE, SOURCE)
    assert last.shape == (S * B, 2, 1, SOURCE)
    assert self_attention.shape == (B, 2, STEPS, STEPS)
    assert cross.shape == (B, 2, STEPS, S)
    assert all(torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5) for weights in seen)
    padded = ~batch.known.transpose(0, 1).reshape(S * B, 1, 1, SOURCE).expand_as(last)
    assert padded.any()
    assert last[padded].abs().max() == 0
    assert self_attention.triu(1).abs().max() == 0  # no later event

    # The cross-attention once more, by the formula.
    layer = model.decoder[-1]
    states = model.encode(batch.histories, batch.known)
    x = model.embedding(batch.given, model.origin)
    q, k, v = layer.self_in(layer.norm1(x)).chunk(3, -1)
    past = torch.ones(STEPS, STEPS, dtype=torch.bool).tril()
    x = x + layer.self_out(attend(q, k, v, 2, past))
    q, k = layer.cross_query(layer.norm2(x)), layer.cross_key_value(states).chunk(2, -1)[0]
    scores = split_heads(q, 2) @ split_heads(k, 2).transpose(-1, -2) / math.sqrt(q.shape[-1] / 2)
    assert torch.allclose(cross, scores.softmax(-1), atol=1e-5)


@pytest.mark.parametrize("carry", [1, 3])
def test_the_fast_form_tells_the_same_attention(carry):
    batch, shape = small_batch(), dict(encoder_layers=2, decoder_layers=2, carry=carry)
    with record_attention() as slow:
        small_model(**shape)(batch)
    with record_attention() as fast:
        speed_up(small_model(**shape))(batch)
    assert len(slow) == len(fast) == 2 + 2 * 2
    for one, other in zip(slow, fast, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=0)


def test_records_end_with_their_block_and_may_lie_inside_each_other():
    model, batch = small_model(), small_batch()
    with record_attention() as outer:
        model(batch)
        with record_attention() as inner:
            model(batch)
        with pytest.raises(KeyboardInterrupt), record_attention():
            raise KeyboardInterrupt
        model(batch)
    model(batch)
    assert len(inner) == 3
    assert len(outer) == 3 * 3
    assert outer[3] is inner[0]


@pytest.mark.parametrize("form", [lambda model: model, speed_up], ids=["core", "fast"])
def test_a_network_in_another_thread_is_not_seen_and_disturbs_nothing(form):
    batch, together = small_batch(), Barrier(2, timeout=60)
    models = [form(small_model(seed=seed, decoder_layers=seed + 1)) for seed in (0, 1)]
    alone = []
    for model in models:
        with record_attention() as seen:
            model(batch)
        alone.append(seen)

    def record(model) -> list[list[torch.Tensor]]:
        records = []
        for _ in range(5):
            together.wait()
            with record_attention() as seen:
                together.wait()  # both record before either computes
                model(batch)
                together.wait()  # and both have computed before either ends
            records.append(seen)
        return records

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(record, models))
    for records, expected in zip(found, alone, strict=True):
        for seen in records:
            assert len(seen) == len(expected)
            for one, other in zip(seen, expected, strict=True):
                torch.testing.assert_close(one, other)


def test_a_network_in_a_thread_that_records_nothing_is_not_seen():
    model, batch = small_model(), small_batch()
    with record_attention() as seen, ThreadPoolExecutor(1) as pool:
        pool.submit(model, batch).result()
        assert seen == []
        model(batch)
    assert len(seen) == 3


@pytest.mark.parametrize("training", [True, False])
def test_an_interrupted_evaluation_leaves_the_model_in_its_mode(training, monkeypatch):
    windows, model = small_windows(), small_model(dropout=0.5).train(training)
    calls = []

    def interrupt(*arguments):
        calls.append(model.training)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return type(model).forward(model, *arguments)

    monkeypatch.setattr(model, "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, windows, origins=windows.origins[:8], batch_size=4)
    assert calls == [False, False]
    assert {module.training for module in model.modules()} == {training}


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_that_of_before_however_it_ends(training):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train(training)
    with evaluating(model):
        assert not model.training and not model[1].training
    assert model.training is model[1].training is training
    with pytest.raises(ZeroDivisionError), evaluating(model):
        raise ZeroDivisionError
    assert model.training is model[1].training is training


def test_the_gradients_of_each_stream_are_measured_by_themselves():
    model, batch = small_model(), small_batch()
    model(batch).square().mean().backward()
    norms = measure_gradients(model.encoder)
    for s in range(7):
        parts = [p.grad[s].flatten().numpy() for p in model.encoder.parameters()]
        assert norms[s].item() == pytest.approx(np.linalg.norm(np.concatenate(parts)), rel=1e-4)


# -- numbers that are none


def test_a_loss_that_is_no_number_stops_and_leaves_the_last_good_checkpoint(tmp_path):
    run = small_run(epochs=3, out=str(tmp_path))
    run.epoch()
    save_run(run)
    kept = contents(tmp_path)
    with torch.no_grad():
        run.model.heads.bias[sum(run.sizes[: run.names.index("HoursWorked")])] = math.nan
    with pytest.raises(TrainingStopped, match="epoch 1, batch 0: .*HoursWorked"):
        run.fit()
    assert contents(tmp_path) == kept
    resumed = small_run(
        epochs=3, out=str(tmp_path), model_checkpoint=str(tmp_path / CHECKPOINT)
    ).fit()
    assert resumed.epochs_done == 3


def test_what_stops_a_run_is_said_in_one_line_whatever_a_category_is_called():
    run = small_run()
    run.names[0] = "kind\vof\nevent"
    with torch.no_grad():
        run.model.heads.bias[0] = math.nan
    with pytest.raises(TrainingStopped) as caught:
        run.fit()
    assert "the loss of kind of event is not finite" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_gradients_whose_squares_are_beyond_all_numbers_stop_the_run(tmp_path):
    run = small_run(out=str(tmp_path))
    run.model.heads.bias.register_hook(lambda grad: grad * 1e30)
    with pytest.raises(
        TrainingStopped,
        match="epoch 0: the gradients are too large to be squared; lower learning_rate",
    ):
        run.fit()
    assert list(tmp_path.iterdir()) == []


def test_weights_spoiled_by_the_last_step_of_an_epoch_are_not_saved(tmp_path):
    run = small_run(batches=1, learning_rate=1e30, out=str(tmp_path))
    with pytest.raises(TrainingStopped, match="epoch 0, validation: .*EventType"):
        run.fit()
    assert run.history == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name, part, value, clip_norm, of",
    [
        (
            "encoder.0.query.weight",
            lambda gradient: gradient[2],
            math.nan,
            None,
            " (stream Recipient)",
        ),
        ("heads.weight", lambda gradient: gradient[-1], math.inf, 1.0, " (Time_Reference_Minute)"),
        ("decoder.0.wide.bias", lambda gradient: gradient, math.nan, 1.0, ""),
        ("embedding.values.weight", lambda gradient: gradient[0], math.inf, None, " (EventType)"),
    ],
)
def test_a_gradient_that_is_not_finite_is_named_before_a_step_is_made_with_it(
    tmp_path, name, part, value, clip_norm, of
):
    run = small_run(**ALL_AT_ONCE, out=str(tmp_path), clip_norm=clip_norm)
    run.epoch()
    save_run(run)
    kept = contents(tmp_path)
    weights, calls = copy_weights(run.model), []

    def spoil(gradient):
        calls.append(None)
        if len(calls) == 4:  # batch 3, the second of a step of two
            part(gradient).fill_(value)

    hook = dict(run.model.named_parameters())[name].register_hook(spoil)
    said = f"epoch 1: the gradients of {name}{of} are not finite; lower learning_rate (0.001)"
    refused(run.fit, start=said, error=TrainingStopped)
    assert contents(tmp_path) == kept and same(copy_weights(run.model), weights)
    hook.remove()
    run.fit()
    alone = small_run(**ALL_AT_ONCE, clip_norm=clip_norm).fit()
    assert same(copy_weights(run.model), copy_weights(alone.model)) and run.history == alone.history


def test_weights_that_no_window_shows_to_be_spoiled_are_not_saved_either(tmp_path):
    run = run_in(tmp_path, 2)
    run.epoch()
    save_run(run)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with torch.no_grad():
        run.model.embedding.values.weight[sum(run.sizes[:2]) - 1] = (
            math.inf
        )  # an actor that the small log has not
    said = "epoch 1: the weights of embedding.values.weight (ActorRecordId) are not finite"
    refused(run.fit, start=said, error=TrainingStopped)
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
