"""A forecast of network and table together, and how much of each validation chooses."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import small_data, small_run

from helpers.events import TEST, TRAIN, VALIDATION
from helpers.losses import evaluate, fit_baselines
from helpers.model import MultiStreamModel
from helpers.support.baselines import ORDER
from helpers.support.mixtures import SHARES, Mixture, choose_shares, cut, list_before
from helpers.support.reports import LEAST
from helpers.support.views import Viewed
from helpers.windows import Windows
from support.toy import SIZES, random_log

STEPS = 4


def toy_windows(part: int = TEST, source: int = 6) -> Windows:
    log = random_log()
    log.vocabularies = {"kind": [None, "a", "b", "c"], "other": [None, "x", "y"]}
    return Windows(log, part, source, STEPS)


def toy_mixture(windows: Windows, shares=(0.0, 0.0)) -> Mixture:
    torch.manual_seed(0)
    shape = dict(d_model=8, num_heads=2, encoder_layers=1, decoder_layers=1)
    network = MultiStreamModel(windows.log.categories, 1, windows.src_seq_len, STEPS, **shape)
    with torch.no_grad():
        network.heads.weight += torch.randn_like(network.heads.weight)  # not near to guessing
    return Mixture(network.eval(), fit_baselines(windows.log).fitted, 0, np.array(shares))


@pytest.mark.parametrize("source", [1, 2, 6])
def test_before_a_step_are_the_events_before_it_and_never_what_is_asked(source):
    windows = toy_windows(source=source)
    log, batch = windows.log, windows.batch(windows.origins)
    found = list_before(batch, 0).numpy()
    assert found.shape == (len(windows), STEPS, ORDER, len(SIZES))
    for row, origin in enumerate(windows.origins):
        mine = np.flatnonzero(log.sequence == log.sequence[origin])
        place = list(mine).index(origin)
        for step in range(int(batch.counted[row].sum())):
            first = max(0, place - source + 1)  # further back the history does not reach
            before = mine[first : place + step + 1][::-1][:ORDER]
            wanted = np.full((ORDER, len(SIZES)), -1)
            wanted[: len(before)] = log.table[before]
            assert (found[row, step] == wanted).all(), (origin, step)


@pytest.mark.parametrize("part", [TRAIN, VALIDATION, TEST])
def test_all_table_is_the_back_off_table_at_every_step(part):
    windows = toy_windows(part, source=300)
    asked = evaluate(toy_mixture(windows, (1.0, 1.0)), windows, fit_baselines(windows.log))
    ours, theirs = (asked.losses[name][asked.counted] for name in ("model", "back_off"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    right = asked.baseline_correct["back_off"]
    assert (asked.correct == right)[asked.counted].mean() > 0.99  # but for near ties


def test_no_table_is_the_network_and_between_lies_the_mean_of_both_p():
    windows = toy_windows()
    batch, mixture = windows.batch(windows.origins), toy_mixture(windows)
    with torch.no_grad():
        network = [one.softmax(-1) for one in mixture.network(batch).split(SIZES, -1)]
        p = {}
        for share in (0.0, 0.3, 1.0):
            mixture.shares = np.array([share, 1 - share])
            p[share] = [one.exp() for one in mixture(batch).split(SIZES, -1)]
    torch.testing.assert_close(p[0.0][0], network[0])
    torch.testing.assert_close(p[1.0][1], network[1])
    table = [p[1.0][0], p[0.0][1]]
    torch.testing.assert_close(p[0.3][0], 0.7 * network[0] + 0.3 * table[0])
    torch.testing.assert_close(p[0.3][1], 0.3 * network[1] + 0.7 * table[1])
    for one in p[0.3]:
        torch.testing.assert_close(one.sum(-1), torch.ones(one.shape[:-1]))


def test_a_past_that_the_log_never_had_is_told_by_what_it_shares_with_others():
    windows = toy_windows()
    (table, _) = toy_mixture(windows).tables
    kinds = np.array([[2, -1, -1], [2, 3, 1]])
    p = table.spread(kinds, kinds)
    np.testing.assert_allclose(p.sum(1), 1)
    table.numbered[1] = table.numbered[1][:0]  # no two events are known any more
    table.numbered[1] = np.array([-5])
    of_one = table.spread(kinds, kinds)
    np.testing.assert_allclose(of_one[0], of_one[1])  # of the same event before


def measure(mixture: Mixture, windows: Windows, share: float) -> tuple[np.ndarray, np.ndarray]:
    """How often each category is right at the next event, and its loss: (C,) each."""
    mixture.shares = np.full(len(mixture.tables), share)
    asked = evaluate(mixture, windows)
    return asked.correct[:, 0].mean(0), asked.losses["model"][:, 0].mean(0, float)


def test_a_name_takes_the_share_that_loses_least_of_those_right_as_often_as_the_better_alone():
    windows = toy_windows(VALIDATION)
    mixture = toy_mixture(windows)
    chosen = choose_shares(mixture, windows, "cpu")
    right, loss = map(np.array, zip(*(measure(mixture, windows, share) for share in SHARES)))
    for c, share in enumerate(chosen):
        needed = max(right[0, c], right[-1, c]) - LEAST
        good = [i for i in range(len(SHARES)) if right[i, c] >= needed - 1e-9]
        assert share == SHARES[min(good, key=lambda i: loss[i, c])]
    assert right.std(0).max() > 0  # or there was nothing to choose


@pytest.mark.parametrize("alone", [0, 1])
def test_the_better_of_both_all_but_answers_alone_where_every_mixture_is_right_less_often(alone):
    """Of two values: where one part is sure of the right one, the other is surer of the wrong."""
    windows = toy_windows(VALIDATION)
    mixture, size = toy_mixture(windows), SIZES[0]

    def ask_both(batch):
        truth = batch.target[..., 0].long()
        right = torch.nn.functional.one_hot(truth, size) * 0.001 + 1 / size  # hardly so
        wrong = torch.nn.functional.one_hot((truth % (size - 1)) + 1, size) * 0.98 + 0.005
        parts = [right.log(), wrong.log()][:: 1 if alone == 0 else -1]
        other = torch.full((*truth.shape, SIZES[1]), 1 / SIZES[1]).log()
        return [parts[0], other], [parts[1], other]

    mixture.ask_both = ask_both
    assert choose_shares(mixture, windows, "cpu")[0] == SHARES[-alone]


def test_what_is_no_name_takes_the_share_that_loses_least():
    windows = toy_windows(VALIDATION)
    windows.log.vocabularies = {"kind": [None, 1, 2, 3], "other": [None, 0.5, 1.0]}
    mixture = toy_mixture(windows)
    chosen = choose_shares(mixture, windows, "cpu")
    _, loss = map(np.array, zip(*(measure(mixture, windows, share) for share in SHARES)))
    assert chosen.tolist() == SHARES[loss.argmin(0)].tolist()


def test_a_batch_is_cut_to_the_next_event():
    windows = toy_windows()
    batch = windows.batch(windows.origins)
    first = cut(batch)
    assert torch.equal(first.target, batch.target[:, :1])
    assert torch.equal(first.event, batch.event[:, :1])
    assert torch.equal(first.histories, batch.histories)


def run_of_cases():
    """A run with views, in which the Recipient's stream is the sequence's own, as of a case."""
    run = small_run(views=True, epochs=1).fit()
    streams = run.data.log.streams
    (own,) = [i for i, stream in enumerate(streams) if stream.name == "Recipient"]
    streams[own] = dataclasses.replace(streams[own], key="the case")
    return run


def test_a_run_with_views_is_mixed_and_without_a_table_where_it_shall_be_alone():
    run = run_of_cases()
    mixed = run.evaluation(VALIDATION)
    shares = run.mixture.shares
    alone = run.evaluation(VALIDATION, alone=True)
    assert run.mixture is None and run.viewed.tell(run.names)
    # A network of one epoch knows little: a table helps in nearly all categories.
    better = (alone.losses["model"] - mixed.losses["model"])[:, 0].mean(0) > 0
    assert better.mean() > 0.8 and len(shares) == len(run.names)


def test_without_a_stream_of_the_sequence_no_table_is_mixed_in():
    run = small_run(views=True, epochs=1).fit()  # its streams' keys are all categories
    with run.forecaster() as model:
        assert isinstance(model, Viewed) and run.mixture is None
    plain = small_run(data=small_data(), epochs=1).fit()
    with plain.forecaster() as model:
        assert model is plain.model and plain.viewed is None


def test_validation_alone_chooses_what_a_forecast_is_made_of():
    run = run_of_cases()
    read = []
    for part, windows in run.data.windows.items():
        batch = windows.batch
        windows.batch = lambda origins, part=part, batch=batch: read.append(part) or batch(origins)
    with run.forecaster():
        pass
    assert read and set(read) == {VALIDATION}


def test_what_was_mixed_is_told():
    mixture = SimpleNamespace(shares=[0.0, 0.7, 1.0])
    told = Mixture.tell(mixture, ["what", "who\n", "where"])
    assert "what 0%" in told and "where 100%" in told and "70%" in told and "\n" not in told
