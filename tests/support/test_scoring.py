"""Scores of a batch are the plain losses, and the likeliest value of a loop over categories."""

import numpy as np
import pytest
import torch

from helpers.losses import category_losses
from helpers.support.scoring import NEVER, score

SIZES, LOWEST = [3, 7, 2, 40], np.array([1, 0, 0, 1])


def draw_logits(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(6, 5, sum(SIZES), generator=generator)
    target = (torch.rand(6, 5, len(SIZES), generator=generator) * torch.tensor(SIZES)).int()
    return logits, target


def find_right(logits: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """Whether the likeliest value is the true one, category by category."""
    parts = zip(logits.split(SIZES, -1), LOWEST, strict=True)
    best = torch.stack([part[..., low:].argmax(-1) + low for part, low in parts], -1)
    return (best == target).numpy()


def check(logits: torch.Tensor, target: torch.Tensor) -> None:
    before = logits.clone()
    lost, right = score(logits, target, SIZES, LOWEST, category_losses)
    assert torch.equal(logits, before)
    assert lost.dtype == np.float32 and right.dtype == bool
    expected = category_losses(logits, target, SIZES).numpy()
    np.testing.assert_allclose(lost, expected, rtol=1e-6, atol=1e-6)
    assert np.array_equal(right, find_right(logits, target))


@pytest.mark.parametrize("scale", [0.01, 1, 10, 100, 1000])
def test_losses_and_right_answers_are_the_plain_ones_at_every_scale(scale):
    logits, target = draw_logits(scale)
    check(logits, target)
    lost, right = score(logits, target, SIZES, LOWEST, category_losses)
    assert np.isfinite(lost).all() and 0.02 < right.mean() < 0.6
    if scale == 1000:  # far beyond what an exponential of 32 bits can tell
        assert lost.max() > 10 * -NEVER


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_of_values_that_are_equally_likely_the_lowest_is_the_answer(levels):
    logits, target = draw_logits()
    check((logits * levels / 4).round(), target)
    check(torch.zeros_like(logits), target)
    _, right = score(torch.zeros_like(logits), target, SIZES, LOWEST, category_losses)
    assert np.array_equal(right, target.numpy() == LOWEST)


def test_what_cannot_be_is_infinitely_lost_and_what_is_no_number_stays_none():
    logits, target = draw_logits()
    logits[0, 0, :3] = torch.tensor([0.0, -torch.inf, 1.0])
    target[0, 0, 0], target[0, 1, 0] = 1, 2
    logits[0, 1, :3] = torch.tensor([0.0, -torch.inf, 1.0])
    check(logits, target)
    logits[1, 1, 5] = torch.nan
    lost, right = score(logits, target, SIZES, LOWEST, category_losses)
    assert np.isinf(lost[0, 0, 0]) and np.isfinite(lost[0, 1, 0])
    assert np.argwhere(np.isnan(lost)).tolist() == [[1, 1, 1]] and not right[1, 1, 1]
