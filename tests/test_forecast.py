"""A forecast is the network read step by step, and sees no more than it may."""

import pytest
import torch
from small import small_batch, small_model

from helpers.forecast import roll_out
from helpers.support.fast import speed_up


def test_a_forecast_is_the_network_read_step_by_step():
    model, batch = small_model(), small_batch()
    events = roll_out(model, batch)
    assert events.shape == batch.target.shape
    assert events.dtype == torch.int32
    # What it said, given to it.
    own = batch._replace(given=torch.cat([batch.given[:, :1], events[:, :-1]], 1))
    best = torch.stack([part.argmax(-1) for part in model(own).split(model.sizes, -1)], -1)
    assert torch.equal(events, best.int())


def test_a_forecast_reads_nothing_of_the_target():
    model, batch = small_model(), small_batch()
    blind = batch._replace(
        target=batch.target * 0,
        event=batch.event * 0,
        given=torch.cat([batch.given[:, :1], batch.given[:, 1:] * 0], 1),
    )
    assert torch.equal(roll_out(model, batch), roll_out(model, blind))


def test_a_drawn_forecast_follows_the_heads_probabilities():
    model, batch = small_model(), small_batch()
    many = type(batch)(*(tensor[:1].expand(4000, *tensor.shape[1:]) for tensor in batch))
    many = many._replace(given=many.given[:, :1])
    first = roll_out(model, many, torch.Generator().manual_seed(0))[:, 0, 0]
    p = model(batch)[0, 0, : model.sizes[0]].softmax(-1)
    found = torch.bincount(first, minlength=model.sizes[0]) / 4000
    assert torch.allclose(found, p, atol=0.03)


@pytest.mark.parametrize("carry", [1, 3])
def test_the_fast_form_forecasts_the_same(carry):
    batch = small_batch()
    slow, fast = small_model(carry=carry), speed_up(small_model(carry=carry))
    assert torch.equal(roll_out(fast, batch), roll_out(slow, batch))


@pytest.mark.parametrize("training", [True, False])
def test_an_interrupted_forecast_leaves_the_model_in_its_mode(training, monkeypatch):
    model, batch, modes = small_model(dropout=0.5).train(training), small_batch(), []

    def interrupt(*arguments):
        modes.append(model.training)
        raise KeyboardInterrupt

    monkeypatch.setattr(model.decoder[0], "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        roll_out(model, batch)
    assert modes == [False]
    assert {module.training for module in model.modules()} == {training}


def test_forecasts_drop_nothing():
    batch, model = small_batch(), small_model(dropout=0.5).train()
    assert torch.equal(roll_out(model, batch), roll_out(model, batch))
    assert model.training
