"""A chain begins as its network, learns what values say of each other, and changes nothing else."""

import pytest
import torch
from small import refused, small_data, trained_run

from helpers.events import TEST, TRAIN
from helpers.uses.chain import WINDOWS, Chain, fit_chain, joint_losses
from helpers.uses.forecast import log_probability, sample
from uses.test_forecast import EVENTS, chance, toy_batch, toy_chain, toy_network


@pytest.fixture(scope="module")
def fitted() -> tuple:
    """A trained network of the small log, and its chain."""
    torch.set_num_threads(1)
    run = trained_run()
    return run, fit_chain(run.model, run.data.windows[TRAIN])


def test_at_the_start_a_chain_is_its_network():
    network, batch = toy_network(), toy_batch()
    chain = Chain(network)
    for model in (network, chain):
        assert torch.equal(sample(model, batch, 9, chance()), sample(network, batch, 9, chance()))
    assert torch.equal(joint_losses(chain, batch), joint_losses(network, batch))


def test_what_is_added_step_by_step_is_added_at_once():
    chain, events = toy_chain(), torch.tensor(EVENTS, dtype=torch.int32)
    apart = [chain.add(events[:, :c]) for c in range(2)]
    assert torch.equal(apart[0], torch.zeros(12, 4))  # nothing comes before the first
    assert apart[1].std(0).min() > 0.1
    assert torch.allclose(torch.cat(apart, -1), chain.add_all(events), atol=1e-5)


def test_each_value_is_given_those_before_it_and_none_after():
    chain, batch = toy_chain(), toy_batch(1)
    every = torch.tensor(EVENTS, dtype=torch.int32)[None, :, None]  # (1, 12, 1, 2)
    log_p = log_probability(chain, batch, every)[0, :, 0].view(4, 3, 2)  # by value of each
    assert torch.allclose(log_p[:, :1, 0].expand(-1, 3), log_p[:, :, 0], atol=1e-6)
    assert log_p[:, 0, 0].exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert log_p[:, :, 1].exp().sum(1).tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert log_p[:, :, 1].std(0).min() > 0.1


def test_the_joint_loss_is_that_of_the_log_probabilities(fitted):
    run, chain = fitted
    batch = run.data.windows[TEST].batch(run.data.windows[TEST].origins[:40])
    for model in (run.model, chain):
        log_p = log_probability(model, batch, batch.target).sum(-1)[batch.counted]
        assert torch.allclose(joint_losses(model, batch), -log_p, atol=1e-4)


def test_a_chain_learns_what_fits_together(fitted):
    run, chain = fitted
    windows = run.data.windows[TRAIN]  # the small log's test part is of months that it never saw
    batch = windows.batch(windows.origins[:200])
    alone, together = (joint_losses(model, batch).mean().item() for model in (run.model, chain))
    assert together < alone - 1
    # The planned start has the date of the event or of the days after: the two months agree.
    names = run.names
    months = [names.index(f"Time_{what}_Month") for what in ("Event", "Reference")]
    apart = []
    for model in (run.model, chain):
        one, other = sample(model, batch, 20, chance(), steps=1)[..., months].unbind(-1)
        apart.append((one != other).float().mean().item())
    assert apart[1] < apart[0] / 2


def test_the_network_and_torch_s_chance_stay_as_they_were():
    data, run = small_data(), trained_run()
    before = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    run.model.train()
    torch.manual_seed(5)
    first = fit_chain(run.model, data.windows[TRAIN], seed=3)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert run.model.training
    run.model.eval()
    assert all(torch.equal(weight, before[name]) for name, weight in run.model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in run.model.parameters())
    again = fit_chain(run.model, data.windows[TRAIN], seed=3)
    assert torch.equal(first.heads.weight, again.heads.weight)


def test_a_chain_is_of_a_network_and_not_of_a_chain():
    refused(lambda: Chain(toy_chain()), "give the network", start="network: ")


def test_too_few_windows_are_refused():
    refused(lambda: fit_chain(toy_network(), range(WINDOWS - 1)), "found 63", start="windows: ")
