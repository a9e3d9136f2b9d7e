"""The loss and the report against calculations by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from small import SOURCE, STEPS, small_log, small_model, small_truth
from support.toy import SIZES, random_log

from helpers.events import TEST, TRAIN
from helpers.losses import (
    Evaluation,
    category_losses,
    evaluate,
    fit_baselines,
    mean_over_steps,
    multi_objective_loss,
)
from helpers.reader import read
from helpers.schema import Category
from helpers.support.baselines import BASELINES, find_lowest
from helpers.support.durations import count_quantiles
from helpers.support.errors import InputError
from helpers.support.fast import category_losses_fast
from helpers.support.reports import ACCURACIES
from helpers.windows import Windows

FORMS = pytest.mark.parametrize(
    "category_losses", [category_losses, category_losses_fast], ids=["plain", "fast"]
)
COUNTED = torch.tensor([[1, 1], [1, 0], [0, 0]]).bool()


def random_logits(*shape):
    torch.manual_seed(0)
    target = torch.stack([torch.randint(size, shape) for size in SIZES], -1)
    return torch.randn(*shape, sum(SIZES)), target


# -- the loss


@FORMS
def test_uniform_logits_lose_the_logarithm_of_the_size(category_losses):
    logits, target = random_logits(5, 2)
    losses = category_losses(torch.full_like(logits, 7.0), target, SIZES)
    torch.testing.assert_close(losses, torch.tensor(SIZES).log().expand(5, 2, 2))


@FORMS
@pytest.mark.parametrize("below, own", [(0, 0), (50, 0), (70, 35), (200, 0), (0, 110), (1e4, 1e4)])
def test_each_category_has_the_cross_entropy_of_its_own_logits(below, own, category_losses):
    """However far it lies below another category, and its true value below its others."""
    logits, target = random_logits(5, 2)
    logits[2:, :, 4:] -= below
    logits[3, 0, 4 + target[3, 0, 1]] -= own
    losses = category_losses(logits, target.int(), SIZES)
    for b, u in np.ndindex(5, 2):
        kind = F.cross_entropy(logits[b, u, :4], target[b, u, 0])
        other = F.cross_entropy(logits[b, u, 4:], target[b, u, 1])
        torch.testing.assert_close(losses[b, u], torch.stack([kind, other]))


@FORMS
@pytest.mark.parametrize("below", [0, 50, 200])
def test_each_category_has_the_gradient_of_its_cross_entropy(below, category_losses):
    (logits, target), weights = random_logits(5, 2), torch.randn(5, 2, 2)
    logits[2:, :, 4:] -= below
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (category_losses(ours, target, SIZES) * weights).sum().backward()
    for c, part in enumerate(theirs.split(SIZES, -1)):
        truth = target[..., c].flatten()
        losses = F.cross_entropy(part.flatten(0, 1), truth, reduction="none")
        (losses * weights[..., c].flatten()).sum().backward(retain_graph=True)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_loss_is_the_mean_over_categories_of_the_mean_over_steps_that_count():
    losses = torch.rand(3, 2, 2)
    expected = (losses[0, 0] + losses[0, 1] + losses[1, 0]) / 3
    torch.testing.assert_close(mean_over_steps(losses, COUNTED), expected)
    torch.testing.assert_close(multi_objective_loss(losses, COUNTED), expected.mean())


def test_steps_of_more_weight_count_for_more():
    losses = torch.rand(3, 2, 2)
    expected = (losses[0, 0] + losses[1, 0] + 0.5 * losses[0, 1]) / 2.5
    found = mean_over_steps(losses, COUNTED, torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 0.5])])
def test_the_parts_of_a_batch_add_up_to_the_whole(weights):
    losses = torch.rand(3, 2, 2)
    parts = [
        mean_over_steps(losses[part], COUNTED[part], weights, COUNTED)
        for part in (slice(0, 3, 2), slice(1, 3, 2))
    ]
    torch.testing.assert_close(sum(parts), mean_over_steps(losses, COUNTED, weights))


@FORMS
def test_padded_steps_count_in_neither_loss_nor_gradient_even_where_they_cannot_occur(
    category_losses,
):
    logits, target = random_logits(3, 2)
    expected = mean_over_steps(category_losses(logits, target, SIZES), COUNTED)
    target[~COUNTED] = 0
    # What pads is masked out, so its loss is infinite.
    logits[~COUNTED] = torch.tensor([-math.inf, 1, 2, 3, -math.inf, 5, 6])
    losses = category_losses(logits.requires_grad_(), target, SIZES)
    loss = mean_over_steps(losses, COUNTED)
    torch.testing.assert_close(loss, expected)
    total = multi_objective_loss(losses, COUNTED)
    torch.testing.assert_close(total, expected.mean())
    total.backward()
    assert torch.equal(logits.grad.any(-1), COUNTED)


# -- the evaluation, and its report


class Oracle(torch.nn.Module):
    """Predicts the true values."""

    def forward(self, batch):
        truth = batch.target.long().unbind(-1)
        named = [F.one_hot(one, size) for one, size in zip(truth, SIZES, strict=True)]
        return torch.cat(named, -1).float()


BEST = ["reader_own", "reader"]
COLUMNS = ["category", "size", "ceiling", *BASELINES, *BEST, "model", "floor"]
COLUMNS += ["gap", "unknowable", "unread", "accuracy", *ACCURACIES, "unseen", "unknown"]
COMPARED = ["best", "error", "accuracy_error", "behind", "names"]


def an_evaluation(truth=True) -> Evaluation:
    log = small_log()
    known = small_truth() if truth else None
    return evaluate(small_model(), Windows(log, TEST, SOURCE, STEPS), fit_baselines(log), known)


def test_report_has_its_columns_and_a_last_row_of_means():
    evaluation = an_evaluation()
    assert (~evaluation.counted).any()
    categories = small_log().categories
    for step in (None, 1, STEPS):
        report = evaluation.report(step)
        assert list(report.columns) == [*COLUMNS, *COMPARED]
        names = [category.name for category in categories]
        assert report["category"].tolist() == [*names, "mean"]
        sizes = [category.size for category in categories]
        assert report["size"].tolist()[:-1] == sizes
        assert report["size"].isna().iloc[-1]
        rows, mean = report.iloc[:-1], report.iloc[-1]
        for column in COLUMNS[2:]:
            assert mean[column] == pytest.approx(rows[column].mean())
        ceiling = rows["ceiling"].astype(float)
        assert np.exp(ceiling).tolist() == pytest.approx(rows["size"].tolist())
        assert (report["gap"] - (report["model"] - report["floor"])).abs().max() < 1e-12
        assert (report["gap"] - report["unknowable"] - report["unread"]).abs().max() < 1e-12
        assert (report["unread"] - (report["model"] - report["reader"])).abs().max() < 1e-12


@pytest.mark.parametrize("step", [0, -1, STEPS + 1])
def test_a_step_that_is_not_of_the_horizon_is_refused_in_words(step):
    said = f"step: must be 1 to {STEPS}, the windows' horizon, found {step}"
    evaluation = an_evaluation()
    for ask in (evaluation.report, evaluation.decisions):
        with pytest.raises(InputError, match=said):
            ask(step)


def test_an_evaluation_of_no_window_is_refused_in_words():
    windows = Windows(small_log(), TEST, SOURCE, STEPS)
    with pytest.raises(InputError, match="origins: no window to evaluate"):
        evaluate(small_model(), windows, origins=np.array([], int))


def test_report_is_the_mean_over_the_steps_that_count():
    evaluation, windows = an_evaluation(), Windows(small_log(), TEST, SOURCE, STEPS)
    batch, sizes = windows.batch(windows.origins), small_model().sizes
    with torch.no_grad():
        logits = small_model()(batch)
    losses = category_losses(logits, batch.target, sizes)
    lowest = find_lowest(small_log())  # what can be an answer
    parts = [part[..., i:].argmax(-1) + i for part, i in zip(logits.split(sizes, -1), lowest)]
    right = torch.stack(parts, -1) == batch.target
    baselines, truth = fit_baselines(small_log()), small_truth()
    readers = {"reader": read(windows, truth), "reader_own": read(windows, truth, ["Recipient"])}

    def mean(values) -> list[float]:
        return torch.as_tensor(values).double().mean(0).tolist()

    for step, places in ((None, slice(None)), (2, slice(1, 2))):
        report, counted = evaluation.report(step).iloc[:-1], batch.counted[:, places]
        events = batch.event[:, places][counted]
        unseen = torch.from_numpy(small_log().unseen)[events]
        lost = mean(losses[:, places][counted])
        assert report["model"].tolist() == pytest.approx(lost, abs=1e-5)
        accuracy = mean(right[:, places][counted] & ~unseen)
        assert report["accuracy"].tolist() == pytest.approx(accuracy, abs=1e-3)
        for name, of_events in (baselines | {"floor": truth.floors}).items():
            assert report[name].tolist() == pytest.approx(mean(of_events[events]), abs=1e-5)
        for number, name in enumerate(BASELINES):
            of_each = zip(baselines.fitted, lowest)
            best = np.stack([one.best(events.numpy(), i)[number] for one, i in of_each], -1)
            same = mean((best == small_log().table[events]) & ~unseen.numpy())
            assert report[f"accuracy_{name}"].tolist() == pytest.approx(same)
        assert report["unseen"].tolist() == pytest.approx(mean(unseen))
        assert report["unknown"].tolist() == pytest.approx(mean(small_log().table[events] == 0))
        for name, one in readers.items():
            expected = mean(one[:, places][counted.numpy()])
            assert report[name].tolist() == pytest.approx(expected, abs=1e-5)


def test_an_evaluation_knows_whose_habit_decided_and_whose_window_it_is():
    evaluation, windows = an_evaluation(), Windows(small_log(), TEST, SOURCE, STEPS)
    event = windows.target_index(windows.origins)
    expected = np.pad(small_truth().deciders, [(0, 1), (0, 0)])[event]
    assert np.array_equal(evaluation.deciders, expected) and expected.any()
    assert not evaluation.deciders[~evaluation.counted].any()
    assert np.array_equal(evaluation.sequence, small_log().sequence[windows.origins])
    assert evaluation.counted.shape == event.shape == evaluation.losses["model"].shape[:2]


def test_where_the_truth_is_not_known_neither_floor_nor_reader_nor_gap_is():
    evaluation = an_evaluation(truth=False)
    assert evaluation.deciders is None
    assert list(evaluation.losses) == [*BASELINES, "model"]
    report, unknown = evaluation.report(), [*BEST, "floor", "gap", "unknowable", "unread"]
    assert list(report.columns) == [*COLUMNS, *COMPARED]
    assert report[unknown].isna().all(axis=None)
    known = [*BASELINES, "model", "accuracy", *ACCURACIES, *COMPARED]
    assert report[known].notna().all(axis=None)
    with pytest.raises(InputError, match="decisions: nobody knows what decided"):
        evaluation.decisions()


def test_without_baselines_their_columns_are_empty():
    report = evaluate(small_model(), Windows(small_log(), TEST, SOURCE, STEPS)).report()
    unknown = [*BASELINES, *ACCURACIES, "best", "error", "accuracy_error"]
    assert report[unknown].isna().all(axis=None) and report["model"].notna().all()
    assert not report["behind"].any()


def test_without_the_sequence_s_own_stream_there_is_no_reader_of_it():
    log = small_log()
    log.streams = [stream for stream in log.streams if stream.name != "Recipient"]
    windows = Windows(log, TRAIN, SOURCE, STEPS)
    some = windows.origins[-400:]
    evaluation = evaluate(small_model(6), windows, None, small_truth(), some)
    assert list(evaluation.losses) == ["model", "reader", "floor"]
    assert evaluation.decisions()["recovered"].isna().all()
    assert evaluation.decisions()["unread"].notna().all()


def test_evaluation_leaves_the_model_in_its_mode_and_uses_no_dropout():
    windows, model = Windows(small_log(), TEST, SOURCE, STEPS), small_model(dropout=0.5).train()
    some = windows.origins[:50]
    one, two = (evaluate(model, windows, origins=some, batch_size=size) for size in (50, 7))
    assert model.training
    assert np.abs(one.losses["model"] - two.losses["model"]).max() < 1e-4


def test_a_value_without_an_integer_of_its_own_never_counts_as_predicted():
    log = random_log()
    windows = Windows(log, TEST, 2, 3)
    assert evaluate(Oracle(), windows).report()["accuracy"].tolist() == [1, 1, 1]
    log.unseen[:, 1] = np.arange(len(log)) % 2
    evaluation = evaluate(Oracle(), windows)
    event = windows.batch(windows.origins).event.numpy()[evaluation.counted]
    odd = (event % 2).mean()
    assert evaluation.report()["accuracy"].tolist() == pytest.approx([1, 1 - odd, 1 - odd / 2])
    assert evaluation.report()["unseen"].tolist() == pytest.approx([0, odd, odd / 2])


def test_the_next_event_s_duration_is_forecast_where_a_category_tells_of_it():
    log = random_log()
    windows = Windows(log, TEST, 2, 3)
    assert evaluate(Oracle(), windows).durations is None
    log.categories[1] = Category("time_SinceLast", 32)
    windows = Windows(log, TEST, 2, 3)
    found = evaluate(Constant(), windows, batch_size=7).durations
    seconds = log.time[windows.target_index(windows.origins)[:, 0]] - log.time[windows.origins]
    assert found["truth"].tolist() == (seconds / np.timedelta64(1, "s")).tolist()
    # A half of what is known is bin 3, two to four seconds, a half bin 5, eight to sixteen.
    expected = np.tile([2 * 2**0.2, 4, 8 * 2**0.8], (len(windows), 1))
    assert found["model"] == pytest.approx(expected, rel=1e-5)
    # The table counts what came after each kind of event in training.
    before = pd.Series(np.arange(len(log))).groupby(log.sequence).shift().to_numpy()
    counted = np.flatnonzero((log.part == TRAIN) & (before >= 0))
    last = before[counted].astype(int)
    waits = (log.time[counted] - log.time[last]) / np.timedelta64(1, "s")
    waits = np.where(waits < 1, 0, waits)
    table = count_quantiles(log.table[last, 0], waits, log.table[windows.origins, 0])
    assert found["table"] == pytest.approx(table)


class Constant(torch.nn.Module):
    """Three quarters: no duration; the rest is bin 3 as likely as bin 5."""

    def forward(self, batch):
        p = torch.zeros(32)
        p[0], p[3], p[5] = 0.75, 0.125, 0.125
        kind = torch.zeros(*batch.counted.shape, 4)
        return torch.cat([kind, p.log().expand(*batch.counted.shape, 32)], -1)
