"""Futures are the network read step by step, and see no more than they may."""

from itertools import product

import numpy as np
import pytest
import torch
from small import refused, small_batch, small_log, small_model
from support.toy import SIZES, random_log

from helpers.events import TEST
from helpers.losses import category_losses, fit_baselines
from helpers.model import MultiStreamModel
from helpers.support.fast import speed_up
from helpers.support.mixtures import Mixture
from helpers.support.views import MEAN, Viewed, list_views
from helpers.uses import forecast
from helpers.uses.chain import Chain
from helpers.uses.forecast import beam_search, log_probability, roll_out, sample
from helpers.windows import Windows

HORIZON = 3  # of the toy networks
EVENTS = list(product(*map(range, SIZES)))  # twelve


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def toy_network(seed: int = 0) -> MultiStreamModel:
    """Of two categories, of four values and of three, and far from guessing."""
    torch.manual_seed(seed)
    shape = dict(d_model=8, num_heads=2, encoder_layers=1, decoder_layers=1)
    network = MultiStreamModel(random_log().categories, 1, 6, HORIZON, **shape)
    with torch.no_grad():
        network.heads.weight += 0.5 * torch.randn_like(network.heads.weight)
    return network.eval()


def toy_windows() -> Windows:
    return Windows(random_log(), TEST, 6, HORIZON)


def toy_batch(windows: int = 3):
    every = toy_windows()
    return every.batch(every.origins[:windows])


def told_network(*p: list[float]) -> MultiStreamModel:
    """A toy network that says the same whatever it reads: the probabilities of each category."""
    network = toy_network()
    with torch.no_grad():
        network.heads.weight.zero_()
        network.heads.bias.copy_(torch.tensor(sum(p, [])).log() + 1.5)
    return network


def toy_chain() -> Chain:
    """A toy network whose second category follows the first."""
    chain = Chain(toy_network())
    with torch.no_grad():
        chain.heads.weight.normal_(std=2, generator=chance(7))
    return chain.eval()


def forecasters() -> dict:
    """What may forecast: each with a batch of its own."""
    windows, views = toy_windows(), list_views(small_log())
    tables = fit_baselines(windows.log).fitted
    choice = [i % (len(views) + 1) + MEAN for i in range(len(small_model().sizes))]
    return {
        "network": (small_model(), small_batch()),
        "viewed": (Viewed(small_model(), views, choice), small_batch()),
        "mixture": (Mixture(toy_network(), tables, 0, np.array([0.3, 1.0])), toy_batch()),
        "chain": (toy_chain(), toy_batch()),
    }


@pytest.fixture(params=["network", "viewed", "mixture", "chain"])
def both(request):
    return forecasters()[request.param]


def read_on(model, batch, events):
    """The model's logits where it is given these futures, (B, U, C): (B, U, V)."""
    given = torch.cat([batch.given[:, :1], events[:, :-1]], 1)
    if isinstance(model, Chain):
        return read_on(model.network, batch, events) + model.add_all(events)
    return model(batch._replace(given=given))


# -- greedy


def test_a_forecast_is_the_model_read_step_by_step(both):
    model, batch = both
    events = roll_out(model, batch)
    assert events.shape == batch.target.shape
    assert events.dtype == torch.int32
    # What it said, given to it.
    logits = read_on(model, batch, events)
    best = torch.stack([part.argmax(-1) for part in logits.split(model.sizes, -1)], -1)
    assert torch.equal(events, best.int())


def test_fewer_steps_are_the_first_ones(both):
    model, batch = both
    assert torch.equal(roll_out(model, batch, 2), roll_out(model, batch)[:, :2])
    one = batch._replace(given=batch.given[:, :1])  # as many as the batch has, or as are asked for
    assert torch.equal(roll_out(model, one, 2), roll_out(model, batch, 2))
    assert roll_out(model, one).shape[1] == 1


@pytest.mark.parametrize("carry", [1, 3])
def test_the_fast_form_forecasts_the_same(carry):
    batch = small_batch()
    slow, fast = small_model(carry=carry), speed_up(small_model(carry=carry))
    assert torch.equal(roll_out(fast, batch), roll_out(slow, batch))


# -- samples


@pytest.mark.parametrize("who", ["network", "viewed", "mixture"])
def test_samples_follow_the_model_s_probabilities_over_two_steps(who):
    model, batch = forecasters()[who]
    batch, C = type(batch)(*(tensor[:2] for tensor in batch)), len(model.sizes)
    events = sample(model, batch, 3000, chance(), steps=2)
    assert events.shape == (2, 3000, 2, C) and events.dtype == torch.int32
    p = read_on(model, batch, events[:, 0, :1])[:, 0].split(model.sizes, -1)
    for window, c in product(range(2), range(C)):
        found = torch.bincount(events[window, :, 0, c], minlength=model.sizes[c]) / 3000
        assert torch.allclose(found, p[c][window].softmax(-1), atol=0.04)


@pytest.mark.parametrize("make", [toy_network, toy_chain])
def test_each_sample_goes_on_from_its_own_past(make):
    model, batch = make(), toy_batch(1)
    futures = torch.tensor(list(product(EVENTS, repeat=2)), dtype=torch.int32)[None]
    p = log_probability(model, batch, futures).sum((2, 3)).exp()[0]  # of all 144
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    drawn = sample(model, batch, 20_000, chance(), steps=2)[0].flatten(1)
    number = (drawn * torch.tensor([36, 12, 3, 1])).sum(1)
    found = torch.bincount(number, minlength=144) / 20_000
    assert (found - p).abs().sum() < 0.1
    # Where the second step did not know of the first, it would not be so near.
    apart = torch.outer(*(p.view(12, 12).sum(i) for i in (1, 0))).flatten()
    assert (apart - p).abs().sum() > 0.2


P = [[0.5, 0.3, 0.15, 0.05], [0.2, 0.1, 0.7]]


@pytest.mark.parametrize(
    "how, expected",
    [
        ({}, P),
        ({"temperature": 0.5}, [[0.6849, 0.2466, 0.0616, 0.0068], [0.0741, 0.0185, 0.9074]]),
        ({"temperature": 2}, [[0.3790, 0.2936, 0.2076, 0.1198], [0.2795, 0.1976, 0.5229]]),
        ({"top_p": 0.75}, [[0.625, 0.375, 0, 0], [2 / 9, 0, 7 / 9]]),
        ({"top_p": 0.85}, [[0.5263, 0.3158, 0.1579, 0], [2 / 9, 0, 7 / 9]]),
        ({"temperature": 0.5, "top_p": 0.69}, [[0.7353, 0.2647, 0, 0], [0, 0, 1]]),
        ({"top_p": 1e-6}, [[1, 0, 0, 0], [0, 0, 1]]),
        ({"temperature": 1e-30}, [[1, 0, 0, 0], [0, 0, 1]]),
        ({"temperature": 1e-320, "top_p": 1e-320}, [[1, 0, 0, 0], [0, 0, 1]]),
    ],
)
def test_temperature_and_top_p_change_a_known_distribution_as_they_should(how, expected):
    events = sample(told_network(*P), toy_batch(2), 10_000, chance(), **how)
    for window, step, c in product(range(2), range(HORIZON), range(2)):
        found = torch.bincount(events[window, :, step, c], minlength=SIZES[c]) / 10_000
        assert found.tolist() == pytest.approx(expected[c], abs=0.02)
        assert not found[torch.tensor(expected[c]) == 0].any()


def test_what_is_impossible_is_never_drawn_nor_the_likeliest():
    network = told_network([0.0, 0.6, 0.4, 0.0], [0.0, 0.0, 1.0])
    for events in (
        sample(network, toy_batch(), 500, chance()),
        sample(network, toy_batch(), 500, chance(), temperature=5, top_p=0.9),
        beam_search(network, toy_batch(), 8)[0],
    ):
        assert set(events[..., 0].flatten().tolist()) == {1, 2}
        assert set(events[..., 1].flatten().tolist()) == {2}


def test_samples_repeat_with_the_generator_and_differ_without(both):
    model, batch = both
    first, same, other = (sample(model, batch, 8, chance(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_histories_are_encoded_once_though_futures_come_in_pieces(monkeypatch):
    model, batch, calls = small_model(), small_batch(), []
    encode, decode = model.encode, model.decode
    monkeypatch.setattr(model, "encode", lambda *a: calls.append("encode") or encode(*a))
    monkeypatch.setattr(model, "decode", lambda *a: calls.append(len(a[0])) or decode(*a))
    monkeypatch.setattr(forecast, "ROOM", 16 * 10 * forecast.LEAST)
    events = sample(model, batch, 25, chance(), temperature=1e-6)
    later = [16 * n for n in (10, 10, 5) for step in range(4)]
    assert calls[0] == "encode" and sorted(calls[1:]) == sorted([16, 16, 16, *later])
    best = roll_out(model, batch)
    assert torch.equal(events, best[:, None].expand_as(events))
    monkeypatch.setattr(forecast, "ROOM", 1)  # less than one future needs
    assert sample(model, batch, 2, chance()).shape[:2] == (16, 2)


# -- beams


def search_by_hand(model, batch, width: int, steps: int) -> tuple[list, list]:
    """A beam over all events that there are, one window at a time: futures, and their ln p."""
    futures, sums = [[]], [0.0]
    for _ in range(steps):
        every = [[*future, event] for future in futures for event in EVENTS]
        events = torch.tensor(every, dtype=torch.int32)
        logits = read_on(
            model, type(batch)(*(t.expand(len(events), *t.shape[1:]) for t in batch)), events
        )[:, -1]
        losses = category_losses(logits, events[:, -1], model.sizes).sum(-1).tolist()
        before = [one for one in sums for _ in EVENTS]
        gains = [one - loss for one, loss in zip(before, losses)]
        order = sorted(range(len(every)), key=lambda i: -gains[i])[:width]
        futures, sums = [every[i] for i in order], [gains[i] for i in order]
    return futures, sums


@pytest.mark.parametrize("width", [1, 2, 5, 12])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_beam_keeps_the_best_of_all_possible_events_at_each_step(width, steps):
    model = toy_network()
    found, log_p = beam_search(model, toy_batch(), width, steps)
    assert found.shape == (3, width, steps, 2) and found.dtype == torch.int32
    for window in range(3):
        batch = type(toy_batch())(*(tensor[window : window + 1] for tensor in toy_batch()))
        futures, sums = search_by_hand(model, batch, width, steps)
        assert found[window].tolist() == [list(map(list, future)) for future in futures]
        assert log_p[window].tolist() == pytest.approx(sums, abs=1e-5)


@pytest.mark.parametrize("make", [toy_network, toy_chain])
def test_a_beam_that_gives_nothing_up_finds_the_best_of_all_futures(make):
    model, batch = make(), toy_batch()
    every = torch.tensor(list(product(EVENTS, repeat=2)), dtype=torch.int32)
    sums = log_probability(model, batch, every.expand(3, -1, -1, -1)).sum((2, 3))  # (B, 144)
    best, order = sums.sort(-1, descending=True)
    found, log_p = beam_search(model, batch, 12, 2)  # as wide as there are events
    assert torch.allclose(log_p, best[:, :12], atol=1e-5)
    assert torch.equal(found, every[order[:, :12]])


def test_a_beam_of_one_is_greedy(both):
    model, batch = both
    events, log_p = beam_search(model, batch, 1)
    assert torch.equal(events[:, 0], roll_out(model, batch))
    greedy = log_probability(model, batch, events).sum((2, 3))
    assert torch.allclose(log_p, greedy, atol=1e-4)


def test_a_beam_says_how_likely_its_futures_are(both):
    model, batch = both
    events, log_p = beam_search(model, batch, 6)
    assert torch.allclose(log_p, log_probability(model, batch, events).sum((2, 3)), atol=1e-4)
    assert (log_p.diff(dim=1) <= 0).all()
    for window in events:
        assert len(window.flatten(1).unique(dim=0)) == 6


def test_a_wider_beam_finds_likelier_futures_than_greed():
    one, six = (beam_search(small_model(), small_batch(), width)[1][:, 0] for width in (1, 6))
    # Not in every window: greed may happen on a future whose beginning the beam gives up.
    assert (six - one).mean() > 1 and (six > one).float().mean() > 0.7


# -- how likely given futures are


def test_of_given_futures_each_value_has_the_probability_that_the_model_gives_it(both):
    model, batch = both
    with torch.no_grad():
        logits = read_on(model, batch, batch.target)
        expected = -category_losses(logits, batch.target, model.sizes)
    assert torch.allclose(log_probability(model, batch, batch.target), expected, atol=1e-5)
    two = torch.stack([batch.target, roll_out(model, batch)], 1)[:, :, :2]
    log_p = log_probability(model, batch, two)
    assert log_p.shape == two.shape
    assert torch.allclose(log_p[:, 0], expected[:, :2], atol=1e-5)
    assert torch.allclose(log_p[:, 1], log_probability(model, batch, two[:, 1]), atol=1e-5)


# -- what may be asked

WAYS = {
    "greedy": lambda model, batch, steps=None: roll_out(model, batch, steps),
    "samples": lambda model, batch, steps=None: sample(model, batch, 3, chance(), steps),
    "beam": lambda model, batch, steps=None: beam_search(model, batch, 3, steps)[0],
    "given": lambda model, batch, steps=None: log_probability(
        model,
        batch,
        torch.ones_like(batch.given[:, :1]).expand(-1, 5 if steps is None else steps, -1),
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_of_the_target_is_read(way):
    model, batch = small_model(), small_batch()
    blind = batch._replace(
        target=batch.target * 0,
        event=batch.event * 0,
        counted=batch.counted & False,
        given=torch.cat([batch.given[:, :1], batch.given[:, 1:] * 0], 1),
    )
    assert torch.equal(way(model, batch), way(model, blind))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_cannot_be_forecast_is_refused(way):
    model, batch = small_model(), small_batch()
    for steps in (0, 6, 1.5) if way is not WAYS["given"] else (0, 6):
        refused(lambda: way(model, batch, steps), "1 to 5", str(steps), start="steps: ")
    none = type(batch)(*(tensor[:0] for tensor in batch))
    refused(lambda: way(model, none), "origin", start="batch: has no windows")
    lost = batch._replace(known=batch.known & (torch.arange(16) != 7)[:, None, None])
    refused(lambda: way(model, lost), "history", start="batch: ")
    viewed = Viewed(model, list_views(small_log()), [0] * len(model.sizes))
    refused(lambda: way(viewed, batch, 6), "1 to 5", start="steps: ")


@pytest.mark.parametrize(
    "key, value",
    [
        ("samples", 0),
        ("samples", 2.5),
        ("samples", 10**12),
        ("temperature", 0),
        ("temperature", float("inf")),
        ("temperature", float("nan")),
        ("top_p", 0),
        ("top_p", 1.01),
        ("top_p", float("nan")),
    ],
)
def test_samples_that_make_no_sense_are_refused(key, value):
    arguments = {"samples": 2, "generator": chance()} | {key: value}
    refused(lambda: sample(toy_network(), toy_batch(), **arguments), value, start=f"{key}: ")


def test_a_beam_is_at_most_as_wide_as_there_are_events():
    assert beam_search(toy_network(), toy_batch(), 12)[1].shape == (3, 12)
    for width in (0, 13, 1.5):
        refused(
            lambda: beam_search(toy_network(), toy_batch(), width),
            "1 to 12",
            width,
            start="width: ",
        )


def test_given_futures_are_of_the_batch_s_windows_and_categories():
    for shape in ((3, 2, 3), (2, 2, 2), (2, 3, 2, 2)):
        events = torch.zeros(shape, dtype=torch.int32)
        refused(
            lambda: log_probability(toy_network(), toy_batch(), events),
            "3 windows",
            start="events: ",
        )
    good = torch.zeros((3, 2, 2), dtype=torch.int32)
    for events in (good - 1, good + 3, good.float()):
        for model in (toy_network(), toy_chain()):
            refused(lambda: log_probability(model, toy_batch(), events), start="events: ")
    none = good[:, None][:, :0]
    refused(lambda: log_probability(toy_network(), toy_batch(), none), start="futures: ")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_network_that_says_no_number_is_refused(way):
    model = small_model()
    with torch.no_grad():
        model.heads.bias[3] = torch.nan
    refused(lambda: way(model, small_batch()), "no number", start="model: ")


# -- the model is left as it was


@pytest.mark.parametrize("training", [True, False])
def test_an_interrupted_forecast_leaves_the_model_in_its_mode(training, monkeypatch):
    model, batch, modes = small_model(dropout=0.5).train(training), small_batch(), []

    def interrupt(*arguments):
        modes.append(model.training)
        raise KeyboardInterrupt

    monkeypatch.setattr(model.decoder[0], "forward", interrupt)
    for way in WAYS.values():
        with pytest.raises(KeyboardInterrupt):
            way(model, batch)
    assert modes == [False] * len(WAYS)
    assert {module.training for module in model.modules()} == {training}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_forecasts_drop_nothing(way):
    batch, model = small_batch(), small_model(dropout=0.5).train()
    assert torch.equal(way(model, batch), way(model, batch))
    assert model.training
