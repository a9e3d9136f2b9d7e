"""What a run remembers of its epochs: its tables, which epoch it keeps and why, and its words."""

import numpy as np
import pytest
from small import SOURCE, STEPS, refused, same, small_data, small_log, small_run

from helpers.events import TEST, TRAIN, VALIDATION
from helpers.losses import fit_baselines
from helpers.support.checkpoints import copy_weights
from helpers.training import Data, Trainer
from helpers.windows import Windows


def test_category_ranges_are_the_least_and_greatest_validation_losses():
    run = small_run(epochs=3, learning_rate=1e-2).fit()
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


@pytest.mark.parametrize("tell", [Trainer.epochs, Trainer.category_ranges, Trainer.tell_choice])
def test_before_the_first_epoch_the_tables_say_that_there_is_none(tell):
    refused(lambda: tell(small_run()), "no whole epoch yet", "fit()")


# -- the epoch that is kept

BY_MARGINAL = "no category counts for more than its marginal"
# Three categories and their limits; each epoch's validation losses; which epoch is kept, and what
# is said of it beside that.
CHOICES = {
    "the lowest mean": ([2, 2, 2], [[1, 1, 1], [1, 1, 0.8], [1, 1, 0.9]], 1, []),
    "the first of two that are alike": ([2, 2, 2], [[1, 1, 0], [0, 1, 1]], 0, []),
    "one that rises without end": (
        [2, 2, 2],
        [[1, 1, 2.5], [0.9, 1, 4], [0.8, 1, 9]],
        2,
        [BY_MARGINAL, "without a say there: C.", "have kept epoch 0, because of C."],
    ),
    "one whose marginal is worse than guessing": (
        [2, 2, 0],
        [[1, 1, 1], [0.9, 1, 1.5]],
        1,
        ["worse than guessing", "without a say there: C.", "have kept epoch 0, because of C."],
    ),
    "one that is no better than its marginal everywhere": (
        [2, 2, 2],
        [[1, 1, 3], [0.9, 1, 3]],
        1,
        ["without a say there: C."],
    ),
    "one that is lost in the epoch not kept": (
        [2, 2, 2],
        [[1, 1, 1], [0.5, 0.5, 1.9], [0.1, 0.1, 9]],
        2,
        ["without a say there: C.", "have kept epoch 1, because of C."],
    ),
    "two, of which the worse is named": (
        [2, 2, 2],
        [[1, 2.5, 3], [0.9, 3, 9]],
        1,
        ["without a say there: B, C.", "have kept epoch 0, because of C."],
    ),
    "two, of which the one that rises is named": (
        [2, 2, 2],
        [[1, 4, 2.1], [0.9, 4.2, 3]],
        1,
        ["without a say there: B, C.", "have kept epoch 0, because of C."],
    ),
    "none is better, so the plain mean": ([0, 0, 1], [[3, 3, 3], [2, 3, 3]], 1, ["A, B, C."]),
}


@pytest.mark.parametrize("limits, losses, kept, words", CHOICES.values(), ids=CHOICES)
def test_no_category_that_cannot_be_predicted_decides(limits, losses, kept, words):
    run = small_run()
    run.names, run.limits = ["A", "B", "C"], np.array(limits)
    run.history = [
        {"epoch": epoch, "measure": measure, "name": name, "value": value}
        for epoch, row in enumerate(losses)
        for measure in ("train", "validation")
        for name, value in zip(run.names, row, strict=True)
    ]
    table, said = run.epochs(), run.tell_choice()
    assert table["best"].tolist() == [epoch == kept for epoch in range(len(losses))]
    assert table["validation"].tolist() == pytest.approx(np.mean(losses, 1).tolist())
    assert said.startswith(f"Kept is epoch {kept}, ")
    assert [word for word in words if word not in said] == [], said
    assert ("plain mean" in said) == any("because of" in word for word in words)
    assert (BY_MARGINAL in said) == bool(words)


def blind_data(*blind: str) -> Data:
    """The small log, in which after training these categories have values that it never had."""
    log = small_log()
    for c, category in enumerate(log.categories):
        if category.name in blind:
            log.table[:, c] %= category.size // 2
            log.table[log.part != TRAIN, c] += category.size // 2
    parts = (TRAIN, VALIDATION, TEST)
    return Data(log, {part: Windows(log, part, SOURCE, STEPS) for part in parts}, None)


def test_a_run_keeps_the_weights_of_the_epoch_that_predicts_what_can_be_predicted():
    blind = ("HoursWorked", "Time_Event_Minute")
    run = small_run(blind_data(*blind), epochs=6, batches=10, learning_rate=1e-2)
    weights = []
    for _ in range(6):
        run.epoch()
        weights.append(copy_weights(run.model))
    rows = run.table().query("measure == 'validation'")
    losses = rows.pivot(index="epoch", columns="name", values="value")
    assert losses.mean(axis=1).idxmin() < 5  # as those that are blind rise
    assert (losses[list(blind)].iloc[-1] > losses[list(blind)].iloc[0] + 4).all()
    assert losses["EventType"].idxmin() == run.epochs()["best"].idxmax() == 5
    assert same(run.best, weights[5])
    assert all(name in run.tell_choice() for name in blind)


def test_a_category_counts_for_its_marginal_at_most_or_not_at_all():
    blind = ("HoursWorked", "Time_Event_Minute")
    for data in (small_data(), blind_data(*blind)):
        run = small_run(data)
        events = data.windows[VALIDATION].target_index(run.checked)
        events = events[events < len(data.log)]
        marginal = fit_baselines(data.log)["marginal"][events].mean(0)
        expected = np.where(marginal < np.log(run.sizes), marginal, 0)
        np.testing.assert_allclose(run.limits, expected, rtol=1e-4)
        assert 5 < (run.limits > 0).sum() < 17
    assert not run.limits[[run.names.index(name) for name in blind]].any()
