"""The loss, the baselines and the report against calculations by hand."""
import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.events import TEST, TRAIN, VALIDATION, Log
from helpers.losses import BASELINES, Evaluation, category_losses, evaluate, fit_baselines, multi_objective_loss
from helpers.schema import Category, InputError, Stream
from helpers.windows import Windows
from small import SOURCE, STEPS, small_batch, small_log, small_model

SIZES = [4, 3]


def toy_log(table, sequence, part) -> Log:
    """A log of two categories, "kind" and "other"."""
    table, n = np.array(table, np.int32), len(table)
    return Log([Category("kind", 4), Category("other", 3)], [Stream("Own", "sequence")], table, np.zeros_like(table, bool),
               np.array(sequence, np.int64), np.arange(n).astype("datetime64[m]"), np.array(part, np.int8), np.arange(n), {}, True, [])


def random_log(seed=0, n=300) -> Log:
    """"other" often repeats itself; the sequences are mixed."""
    rng = np.random.default_rng(seed)
    sequence, table, last = rng.integers(0, 3, n), rng.integers(0, SIZES, (n, 2)), {}
    for i, s in enumerate(sequence):
        if s in last and rng.random() < 0.6:
            table[i, 1] = last[s]
        last[s] = table[i, 1]
    return toy_log(table, sequence, np.repeat([TRAIN, VALIDATION, TEST], [n * 6 // 10, n * 2 // 10, n * 2 // 10]))


def pairs(log: Log) -> list[tuple]:
    """Each training event with the one before it in its sequence."""
    out, last = [], {}
    for row, s, part in zip(log.table.tolist(), log.sequence, log.part):
        if part == TRAIN:
            out += [(last[s], row)] if s in last else []
            last[s] = row
    return out


def random_logits(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, sum(SIZES)), torch.stack([torch.randint(size, shape) for size in SIZES], -1)


# -- the loss

def test_uniform_logits_lose_the_logarithm_of_the_size():
    logits, target = random_logits(5, 2)
    torch.testing.assert_close(category_losses(torch.full_like(logits, 7.0), target, SIZES), torch.tensor(SIZES).log().expand(5, 2, 2))


@pytest.mark.parametrize("below, own", [(0, 0), (50, 0), (70, 35), (200, 0), (0, 110), (1e4, 1e4)])
def test_each_category_has_the_cross_entropy_of_its_own_logits(below, own):
    """However far it lies below another category, and its true value below its others."""
    logits, target = random_logits(5, 2)
    logits[2:, :, 4:] -= below
    logits[3, 0, 4 + target[3, 0, 1]] -= own
    losses = category_losses(logits, target.int(), SIZES)
    for b in range(5):
        for u in range(2):
            torch.testing.assert_close(losses[b, u, 0], F.cross_entropy(logits[b, u, :4], target[b, u, 0]))
            torch.testing.assert_close(losses[b, u, 1], F.cross_entropy(logits[b, u, 4:], target[b, u, 1]))


@pytest.mark.parametrize("below", [0, 50, 200])
def test_each_category_has_the_gradient_of_its_cross_entropy(below):
    (logits, target), weights = random_logits(5, 2), torch.randn(5, 2, 2)
    logits[2:, :, 4:] -= below
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (category_losses(ours, target, SIZES) * weights).sum().backward()
    for c, part in enumerate(theirs.split(SIZES, -1)):
        (F.cross_entropy(part.flatten(0, 1), target[..., c].flatten(), reduction="none") * weights[..., c].flatten()).sum().backward(retain_graph=True)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_loss_is_the_mean_over_categories_of_the_mean_over_steps_that_count():
    losses, counts = torch.rand(3, 2, 2), torch.tensor([[1, 1], [1, 0], [0, 0]]).bool()
    expected = (losses[0, 0] + losses[0, 1] + losses[1, 0]) / 3
    torch.testing.assert_close(multi_objective_loss(losses, counts), expected)


def test_steps_of_more_weight_count_for_more():
    losses, counts = torch.rand(3, 2, 2), torch.tensor([[1, 1], [1, 0], [0, 0]]).bool()
    expected = (losses[0, 0] + losses[1, 0] + 0.5 * losses[0, 1]) / 2.5
    torch.testing.assert_close(multi_objective_loss(losses, counts, torch.tensor([1.0, 0.5])), expected)


def test_padded_steps_count_in_neither_loss_nor_gradient_even_where_they_cannot_occur():
    logits, target = random_logits(3, 2)
    counts = torch.tensor([[1, 1], [1, 0], [0, 0]]).bool()
    expected = multi_objective_loss(category_losses(logits, target, SIZES), counts)
    target[~counts] = 0
    logits[~counts] = torch.tensor([-math.inf, 1, 2, 3, -math.inf, 5, 6])  # what pads is masked out, so its loss is infinite
    loss = multi_objective_loss(category_losses(logits.requires_grad_(), target, SIZES), counts)
    torch.testing.assert_close(loss, expected)
    loss.mean().backward()
    assert torch.equal(logits.grad.any(-1), counts)


# -- the baselines

def test_marginal_is_how_often_each_value_follows_an_event():
    log = random_log()
    for c, base in enumerate(fit_baselines(log)):
        values = [after[c] for _, after in pairs(log)]
        expected = [(values.count(value) + 0.5) / (len(values) + 0.5 * SIZES[c]) for value in range(SIZES[c])]
        assert base.marginal == pytest.approx(expected)
        zeros = np.zeros(SIZES[c])
        assert np.exp(-base.losses(zeros, zeros, np.arange(SIZES[c]))[0]) == pytest.approx(expected)


@pytest.mark.parametrize("log", [random_log(), small_log()], ids=["toy", "workplace"])
def test_copy_last_has_the_most_likely_share_of_copies(log):
    for c, base in enumerate(fit_baselines(log)):
        same = np.array([before[c] == after[c] for before, after in pairs(log)])
        chance = base.marginal[[after[c] for _, after in pairs(log)]]

        def mean_log_likelihood(stay):
            return np.log(stay * same + (1 - stay) * chance).mean()

        assert mean_log_likelihood(base.stay) >= max(map(mean_log_likelihood, np.linspace(0, 1 - 1e-6, 2001))) - 1e-6


def test_markov_backs_off_from_kind_and_value_to_value_to_copy_last():
    log = random_log()
    base, c = fit_baselines(log)[1], 1
    seen, (weight_value, weight_both) = pairs(log), base.weights
    for kind, before, value in np.ndindex(4, 3, 3):
        copy_last = base.stay * (value == before) + (1 - base.stay) * base.marginal[value]
        after_value = [after[c] for old, after in seen if old[c] == before]
        after_both = [after[c] for old, after in seen if old == [kind, before]]
        p = (after_value.count(value) + weight_value * copy_last) / (len(after_value) + weight_value)
        p = (after_both.count(value) + weight_both * p) / (len(after_both) + weight_both)
        losses = base.losses(np.array([kind]), np.array([before]), np.array([value]))
        assert np.exp(-np.concatenate(losses[1:])) == pytest.approx([copy_last, p])


def test_probabilities_add_up_to_one_in_every_context():
    log = small_log()
    for base in fit_baselines(log):
        kind, before, value = np.meshgrid(np.arange(10), np.arange(base.size), np.arange(base.size), indexing="ij")
        for losses in base.losses(kind, before, value):
            assert np.exp(-losses).sum(-1) == pytest.approx(np.ones((10, base.size)))


@pytest.mark.parametrize("part, looks", [(TRAIN, True), (VALIDATION, False), (TEST, False)])
def test_baselines_look_at_the_training_part_alone(part, looks):
    log = random_log()
    table = log.table.copy()
    table[log.part == part] = (table[log.part == part] + 1) % SIZES
    changed = dataclasses.replace(log, table=table)
    contexts = np.meshgrid(np.arange(3), np.arange(3), np.arange(3))
    for base, other in zip(fit_baselines(log), fit_baselines(changed)):
        assert all(map(np.array_equal, base.losses(*contexts), other.losses(*contexts))) is not looks


def test_markov_knows_what_always_follows():
    n = 1200
    log = toy_log([[i % 4, (i % 4) // 2] for i in range(n)], [0] * n, [TRAIN] * n)
    before, after = log.table[:-1], log.table[1:]
    for c, base in enumerate(fit_baselines(log)):
        marginal, _, markov = (losses.mean() for losses in base.losses(before[:, 0], before[:, c], after[:, c]))
        assert markov < 0.01 < 0.6 < marginal


# -- the report

class Oracle(torch.nn.Module):
    """Predicts the true values."""

    def forward(self, batch):
        return torch.cat([F.one_hot(batch.target[..., c].long(), size) for c, size in enumerate(SIZES)], -1).float()


def an_evaluation(floors=True) -> Evaluation:
    log = small_log()
    drawn = np.random.default_rng(0).random(log.table.shape) if floors else None
    return evaluate(small_model(), Windows(log, TEST, SOURCE, STEPS), fit_baselines(log), drawn)


def test_report_has_its_columns_and_a_last_row_of_means():
    evaluation = an_evaluation()
    assert (~evaluation.counts).any()
    for step in (None, 1, STEPS):
        report = evaluation.report(step)
        assert list(report.columns) == ["category", "size", "ceiling", "marginal", "copy_last", "markov", "model", "floor", "gap",
                                        "accuracy"]
        assert report["category"].tolist() == [category.name for category in small_log().categories] + ["mean"]
        assert report["size"].tolist()[:-1] == [category.size for category in small_log().categories] and report["size"].isna().iloc[-1]
        rows, mean = report.iloc[:-1], report.iloc[-1]
        for column in report.columns[2:]:
            assert mean[column] == pytest.approx(rows[column].mean())
        assert np.exp(rows["ceiling"].astype(float)).tolist() == pytest.approx(rows["size"].tolist())
        assert (report["gap"] - (report["model"] - report["floor"])).abs().max() < 1e-12


@pytest.mark.parametrize("step", [0, -1, STEPS + 1])
def test_a_step_that_is_not_of_the_horizon_is_refused_in_words(step):
    with pytest.raises(InputError, match=f"step: must be 1 to {STEPS}, the horizon of these windows, found {step}"):
        an_evaluation().report(step)


def test_an_evaluation_of_no_window_is_refused_in_words():
    with pytest.raises(InputError, match="there is no window to evaluate"):
        evaluate(small_model(), Windows(small_log(), TEST, SOURCE, STEPS), origins=np.array([], int))


def test_report_is_the_mean_over_the_steps_that_count():
    evaluation, windows = an_evaluation(), Windows(small_log(), TEST, SOURCE, STEPS)
    batch, sizes = windows.batch(windows.origins), [category.size for category in small_log().categories]
    drawn = np.random.default_rng(0).random(small_log().table.shape)
    with torch.no_grad():
        logits = small_model()(batch)
    losses = category_losses(logits, batch.target, sizes)
    right = torch.stack([part.argmax(-1) for part in logits.split(sizes, -1)], -1) == batch.target
    markov = fit_baselines(small_log())[8].losses(batch.given[..., 0].numpy(), batch.given[..., 8].numpy(), batch.target[..., 8].numpy())[2]
    for step, places in ((None, slice(None)), (2, slice(1, 2))):
        report, counts = evaluation.report(step).iloc[:-1], batch.counts[:, places]
        unseen = torch.from_numpy(small_log().unseen)[batch.event[:, places][counts]]
        assert report["model"].tolist() == pytest.approx(losses[:, places][counts].double().mean(0).tolist(), abs=1e-5)
        assert report["accuracy"].tolist() == pytest.approx((right[:, places][counts] & ~unseen).double().mean(0).tolist(), abs=1e-3)
        assert report["floor"].tolist() == pytest.approx(drawn[batch.event[:, places][counts]].mean(0).tolist(), abs=1e-5)
        assert report["markov"].iloc[8] == pytest.approx(markov[:, places][counts.numpy()].mean(), abs=1e-5)


def test_floor_and_gap_are_empty_where_no_floor_is_known():
    report = an_evaluation(floors=False).report()
    assert report[["floor", "gap"]].isna().all(axis=None) and report[[*BASELINES, "model", "accuracy"]].notna().all(axis=None)


def test_evaluation_leaves_the_model_in_its_mode_and_uses_no_dropout():
    windows, model = Windows(small_log(), TEST, SOURCE, STEPS), small_model(dropout=0.5).train()
    one, two = (evaluate(model, windows, origins=windows.origins[:50], batch_size=size) for size in (50, 7))
    assert model.training
    assert np.abs(one.losses["model"] - two.losses["model"]).max() < 1e-4


def test_a_value_without_an_integer_of_its_own_never_counts_as_predicted():
    log = random_log()
    windows = Windows(log, TEST, 2, 3)
    assert evaluate(Oracle(), windows).report()["accuracy"].tolist() == [1, 1, 1]
    log.unseen[:, 1] = np.arange(len(log)) % 2
    evaluation = evaluate(Oracle(), windows)
    event = windows.batch(windows.origins).event.numpy()[evaluation.counts]
    assert evaluation.report()["accuracy"].tolist() == pytest.approx([1, 1 - (event % 2).mean(), 1 - (event % 2).mean() / 2])


def test_standard_error_takes_the_sequences_as_units():
    rng = np.random.default_rng(0)
    difference, counts, sequence = rng.normal(size=(40, 3, 2)), rng.random((40, 3)) < 0.8, rng.integers(5, 12, 40)
    error = Evaluation(random_log(), {}, counts, None, sequence).standard_error(difference)
    for c in range(2):
        mean = difference[..., c][counts].mean()
        sums = [(difference[..., c] - mean)[counts & (sequence == s)[:, None]].sum() for s in set(sequence)]
        assert error[c] == pytest.approx(math.sqrt(sum(one ** 2 for one in sums)) / counts.sum())
    single = Evaluation(random_log(), {}, np.ones((40, 1), bool), None, np.arange(40)).standard_error(difference[:, :1])
    assert single == pytest.approx(difference[:, 0].std(0) / math.sqrt(40))
