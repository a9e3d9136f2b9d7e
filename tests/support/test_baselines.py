"""The baselines, and the tables that they count, against calculations by hand."""

import dataclasses

import numpy as np
import pytest
from small import small_log

from helpers.events import TEST, TRAIN, VALIDATION, Log
from helpers.losses import fit_baselines
from support.toy import SIZES, random_log, toy_log


def pairs(log: Log) -> list[tuple]:
    """Each training event with the one before it in its sequence."""
    out, last = [], {}
    for row, s, part in zip(log.table.tolist(), log.sequence, log.part, strict=True):
        if part == TRAIN:
            out += [(last[s], row)] if s in last else []
            last[s] = row
    return out


def test_marginal_is_how_often_each_value_follows_an_event():
    log = random_log()
    for c, base in enumerate(fit_baselines(log)):
        values = [after[c] for _, after in pairs(log)]
        of_all = len(values) + 0.5 * SIZES[c]
        expected = [(values.count(value) + 0.5) / of_all for value in range(SIZES[c])]
        assert base.marginal == pytest.approx(expected)
        zeros = np.zeros(SIZES[c])
        assert np.exp(-base.losses(zeros, zeros, np.arange(SIZES[c]))[0]) == pytest.approx(expected)


@pytest.mark.parametrize("log", [random_log(), small_log()], ids=["toy", "workplace"])
def test_copy_last_has_the_most_likely_share_of_copies(log):
    for c, base in enumerate(fit_baselines(log)):
        same = np.array([before[c] == after[c] for before, after in pairs(log)])
        chance = base.marginal[[after[c] for _, after in pairs(log)]]
        likelihoods = [
            np.log(stay * same + (1 - stay) * chance).mean()
            for stay in (base.stay, *np.linspace(0, 1 - 1e-6, 2001))
        ]
        assert likelihoods[0] >= max(likelihoods[1:]) - 1e-6


def test_markov_backs_off_from_kind_and_value_to_value_to_copy_last():
    log = random_log()
    base, c = fit_baselines(log)[1], 1
    seen, (weight_value, weight_both) = pairs(log), base.weights
    for kind, before, value in np.ndindex(4, 3, 3):
        copy_last = base.stay * (value == before) + (1 - base.stay) * base.marginal[value]
        after_value = [after[c] for old, after in seen if old[c] == before]
        after_both = [after[c] for old, after in seen if old == [kind, before]]
        seen_after_value = len(after_value) + weight_value
        p = (after_value.count(value) + weight_value * copy_last) / seen_after_value
        p = (after_both.count(value) + weight_both * p) / (len(after_both) + weight_both)
        losses = base.losses(np.array([kind]), np.array([before]), np.array([value]))
        assert np.exp(-np.concatenate(losses[1:])) == pytest.approx([copy_last, p])


def test_probabilities_add_up_to_one_in_every_context():
    for base in fit_baselines(small_log()):
        values = np.arange(base.size)
        kind, before, value = np.meshgrid(np.arange(10), values, values, indexing="ij")
        for losses in base.losses(kind, before, value):
            assert np.exp(-losses).sum(-1) == pytest.approx(np.ones((10, base.size)))


@pytest.mark.parametrize("part, looks", [(TRAIN, True), (VALIDATION, False), (TEST, False)])
def test_baselines_look_at_the_training_part_alone(part, looks):
    log = random_log()
    table = log.table.copy()
    table[log.part == part] = (table[log.part == part] + 1) % SIZES
    changed = dataclasses.replace(log, table=table)
    contexts = np.meshgrid(np.arange(3), np.arange(3), np.arange(3))
    for base, other in zip(fit_baselines(log), fit_baselines(changed), strict=True):
        same = all(map(np.array_equal, base.losses(*contexts), other.losses(*contexts)))
        assert same is not looks


def test_markov_knows_what_always_follows():
    n = 1200
    log = toy_log([[i % 4, (i % 4) // 2] for i in range(n)], [0] * n, [TRAIN] * n)
    before, after = log.table[:-1], log.table[1:]
    for c, base in enumerate(fit_baselines(log)):
        losses = base.losses(before[:, 0], before[:, c], after[:, c])
        marginal, _, markov = losses.mean(1)
        assert markov < 0.01 < 0.6 < marginal
