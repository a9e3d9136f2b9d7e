"""The checks of notebook 05_training."""

import copy
import math
from functools import partial, wraps

import numpy as np
import torch

from helpers.checks.verdicts import compare, find_difference, simplify


def weighted_loss(student):
    """Exercise 05.1: losses (B, U, C), counted (B, U), weights (C,) -> one number."""

    def weigh(by_category, weights):
        return (by_category * weights).sum() / weights.sum()

    def right(losses, counted, weights):
        return weigh(losses[counted].mean(0), weights)

    def with_padding(losses, counted, weights):
        return weigh(losses.mean((0, 1)), weights)

    def divided_by_all(losses, counted, weights):
        return with_padding(losses * counted[..., None], counted, weights)

    def not_divided(losses, counted, weights):
        return right(losses, counted, weights) * weights.sum()

    def divided_by_categories(losses, counted, weights):
        return (losses[counted].mean(0) * weights).mean()

    def unweighted(losses, counted, weights):
        return losses[counted].mean()

    def summed(losses, counted, weights):
        return weigh(losses[counted].sum(0), weights)

    def by_window(losses, counted, weights):
        pairs = zip(losses, counted, strict=True)
        means = [window[steps].mean(0) for window, steps in pairs]
        return weigh(torch.stack(means).mean(0), weights)

    losses = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.1], [9.0, 9.0]]])
    whole = torch.ones(2, 2, dtype=torch.bool)
    padded = torch.tensor([[True, True], [True, False]])
    cases = [
        (losses, whole, torch.tensor([1.0, 1.0])),
        (losses, whole, torch.tensor([2.0, 1.0])),
        (losses, padded, torch.tensor([0.5, 3.0])),
    ]
    mistakes = {
        "Padded steps are in your mean; `counted` says which steps count.": with_padding,
        "Padded steps are left out of the sum "
        "but not of the number that it is divided by.": divided_by_all,
        "Divide by the sum of the weights, or the loss grows with them.": not_divided,
        "That is divided by the number of categories; "
        "divide by the sum of the weights.": divided_by_categories,
        "That is the plain mean; the weights are missing.": unweighted,
        "The mean is taken window by window first; every step that counts weighs alike.": by_window,
        "That is the sum over the steps; their mean is asked for.": summed,
    }
    compare(student, right, cases, mistakes)


def no_better_than_guessing(student):
    """Exercise 05.2: the names of categories whose loss (nats) is not below guessing."""

    def right(losses, sizes, log=math.log):
        return [name for name, loss in losses.items() if loss >= log(sizes[name])]

    def against_the_mean(losses, sizes):
        ceiling = np.mean([math.log(size) for size in sizes.values()])
        return [name for name, loss in losses.items() if loss >= ceiling]

    def only_above(losses, sizes):
        return [name for name, loss in losses.items() if loss > math.log(sizes[name])]

    def ordered(losses, sizes):
        return sorted(right(losses, sizes))

    def against_the_size(losses, sizes):
        return [name for name, loss in losses.items() if loss >= sizes[name]]

    def against_the_probability(losses, sizes):
        return [name for name, loss in losses.items() if loss >= 1 / sizes[name]]

    def better(losses, sizes):
        return [name for name in losses if name not in right(losses, sizes)]

    sizes = {"kind": 10, "site": 100, "yes or no": 2, "minute": 61}
    just_guessing = math.log(10)
    cases = [
        ({"kind": 0.5, "site": 7.0, "yes or no": 0.71, "minute": 4.0}, sizes),
        ({"site": 4.5, "yes or no": 0.6, "minute": 4.12, "kind": just_guessing}, sizes),
        ({"kind": 1.2, "site": 5.0, "yes or no": 0.1, "minute": 0.2}, sizes),
    ]
    in_bits = partial(right, log=math.log2)
    to_base_10 = partial(right, log=math.log10)
    mistakes = {
        "That takes the ceiling in bits, by the logarithm to base 2.": in_bits,
        "That takes the logarithm to base 10; nats take the natural one.": to_base_10,
        "Each category has a ceiling of its own; "
        "you hold all against their mean.": against_the_mean,
        "A loss that is just the ceiling is no better than guessing.": only_above,
        "They are sorted; the order of `losses` is asked for.": ordered,
        "Those are better than guessing; the others were asked for.": better,
        "That holds the loss against the size itself; guessing costs its logarithm.": (
            against_the_size
        ),
        "That holds the loss against a probability; "
        "what does a probability of 1 / n cost in nats?": against_the_probability,
    }
    compare(student, right, cases, mistakes)


class Loss:
    """A mean loss over rows that notes how it is used."""

    longest = 0  # the most rows of a call
    backwards = 0  # how often a gradient came to the weight

    def __call__(self, weight, rows):
        if self.longest == 0:
            weight.register_post_accumulate_grad_hook(self.count)
        self.longest = max(self.longest, len(rows))
        return ((rows[:, :2] @ weight - rows[:, 2]) ** 2).mean()

    def count(self, weight):
        self.backwards += 1


def accumulated(student):
    """Exercise 05.3: the gradient of the mean over all rows, one part of them at a time."""

    def by_rows(part, parts):
        return len(part) / sum(len(each) for each in parts)

    def by_parts(part, parts):
        return 1 / len(parts)

    def never_cleared(loss, weight, parts, share=by_rows):
        for part in parts:
            (loss(weight, part) * share(part, parts)).backward()
        return weight.grad

    def right(loss, weight, parts, share=by_rows):
        weight.grad = None
        return never_cleared(loss, weight, parts, share)

    def last_part(loss, weight, parts):
        return right(loss, weight, parts[-1:], lambda part, _: by_rows(part, parts))

    def broken(case, used):
        loss, weight, parts = used
        if loss.longest > max(len(part) for part in parts):
            return (
                "But `loss` was called on more rows than the longest part has, "
                "and only one part at a time fits into memory."
            )
        if loss.backwards != len(parts):
            called = f"{loss.backwards} times for {len(parts)} parts"
            return f"But `backward` was called {called}; call it once for each."
        if find_difference(simplify(weight.grad), simplify(right(*copy.deepcopy(case)))):
            return "But `weight.grad`, which the optimiser reads, holds something else."
        return ""

    numbers = [[1, 2, 0.5], [0, 1, 2], [3, 1, 1], [2, 2, 4], [1, 0, 3], [0.5, 1, 1]]
    rows = torch.tensor(numbers)
    weight = torch.tensor([0.5, -1.0], requires_grad=True)
    weight.grad = torch.tensor([8.0, -4.0])  # left by an earlier step
    cases = [
        (Loss(), weight, [rows]),
        (Loss(), weight, [rows[:3], rows[3:]]),
        (Loss(), weight, [rows[:4], rows[4:]]),
    ]
    added_up = partial(right, share=lambda part, parts: 1)
    alike = partial(right, share=by_parts)
    mistakes = {
        "What an earlier step left in `weight.grad` is in your gradient: "
        "clear it before the first part.": never_cleared,
        "That adds the gradients up, "
        "so the step is as many times too large as there are parts.": added_up,
        "Right for parts of equal length. Otherwise each weighs by its share of the rows.": alike,
        "Only the last part is in your gradient: it was set to zero between the parts.": last_part,
    }
    compare(student, right, cases, mistakes, broken=broken)


def chosen_rate(student):
    """Exercise 05.4: rates (N,) and their losses (N,) -> the learning rate to train with."""

    def right(rates, losses, width=5, shift=2, part=0.1):
        smooth = np.convolve(losses, np.ones(width) / width, "valid")
        return part * rates[int(np.argmin(smooth)) + shift]  # the first belongs to width // 2

    def fewer_at_the_ends(rates, losses):
        means = [np.mean(losses[max(0, i - 2) : i + 3]) for i in range(len(losses))]
        return 0.1 * rates[int(np.argmin(means))]

    def least_loss(rates, losses):
        return np.min(np.convolve(losses, np.ones(5) / 5, "valid")) / 10

    rng = np.random.default_rng(0)
    rates = np.logspace(-5, 0, 101)
    places = np.arange(101)

    def draw_curve(turn, noise, fall=2.2):
        falling = fall / (1 + np.exp(-(places - 50) / 6))
        rising = np.exp((places - turn) / 5)
        return 4 - falling + rising + noise * rng.normal(size=101)

    curves = [draw_curve(85, 0), draw_curve(90, 0.1), draw_curve(75, 0.2, fall=1.2)]
    curves[1][60] = 1.0  # a lucky batch
    curves[2][1] = 0.0  # and one that only a mean of fewer than five thinks low
    at_the_edge = partial(right, part=1)
    not_smoothed = partial(right, width=1, shift=0)
    too_early = partial(right, shift=0)
    too_late = partial(right, shift=4)
    mistakes = {
        "That is the rate at which the loss is least: the edge. Take a tenth of it.": at_the_edge,
        "At the ends your mean takes fewer than five batches; "
        "there it must be left out.": fewer_at_the_ends,
        "A single lucky batch has chosen: smooth the losses first.": not_smoothed,
        "The smoothed losses are shorter: the first belongs to the third rate.": too_early,
        "That takes the mean of the batches before; "
        "a running mean is centred, or it comes late.": too_late,
        "That is a tenth of the loss; the rate at its place is asked for.": least_loss,
    }
    compare(student, right, [(rates, losses) for losses in curves], mistakes)


# What must hold for the orders of an epoch.
WHOLE = "every window once"
SIZES = "batches of the size asked for"
REST = "the rest is the end of the whole"
EPOCHS = "another epoch, another order"
SEEDS = "another seed, another order"
APART = "seed and epoch are told apart"
MIXED = "windows are mixed, not whole batches"
UNTOUCHED = "the shared random states are left alone"
BY_WINDOWS = "begins at window `done`"  # a rest that is an end, but counted otherwise


def rest_of_epoch(student):
    """Exercise 05.5: the batches that are left of an epoch, in an order that can be had again.

    Many orders are right, so what is compared is not the batches but what holds for them.
    """

    @wraps(student)
    def described():
        first = student(7, 0, 10, 3, 0)
        if first is None or first is ...:
            return first
        if any(np.ndim(batch) == 0 for batch in first):
            return "single windows"
        return describe_orders(student)

    right = dict.fromkeys([WHOLE, SIZES, REST, EPOCHS, SEEDS, APART, MIXED, UNTOUCHED], True)
    by_windows = right | {REST: BY_WINDOWS}
    drawn_anew = right | {REST: False}
    drawn_from_shared = right | {REST: False, UNTOUCHED: False}
    seeded_shared = right | {UNTOUCHED: False}
    epochs_alike = right | {EPOCHS: False}
    seeds_alike = right | {SEEDS: False}
    sum_of_both = right | {APART: False}
    not_shuffled = right | {EPOCHS: False, SEEDS: False, APART: False, MIXED: False}
    whole_batches = right | {MIXED: False}
    short_one_moves = right | {MIXED: False, SIZES: False}
    last_left_out = right | {WHOLE: False, SIZES: False}
    those_done = last_left_out | {REST: False, EPOCHS: False, SEEDS: False, APART: False}
    those_done[MIXED] = False
    mistakes = {
        "A list of batches is wanted, each a list of windows.": "single windows",
        "`done` counts batches, not windows.": by_windows,
        "Each call draws anew: seed and epoch, and nothing else, must decide.": drawn_anew,
        "Each call draws anew, from a generator that everybody shares: "
        "make one of your own, from seed and epoch.": drawn_from_shared,
        "You seed a generator that everybody shares; make one of your own.": seeded_shared,
        "All epochs have one order: the epoch must take part in the draw.": epochs_alike,
        "All seeds have one order: the seed must take part in the draw.": seeds_alike,
        "`seed + epoch` makes epoch 1 of seed 0 the same as epoch 0 of seed 1; "
        "give the generator both numbers.": sum_of_both,
        "The windows come in their own order; shuffle them.": not_shuffled,
        "You shuffle batches whose windows stand side by side; "
        "shuffle the windows, and then cut.": whole_batches,
        "You shuffle batches, the short one among them; "
        "shuffle the windows, and then cut.": short_one_moves,
        "The last batch is missing: it may be shorter than the others.": last_left_out,
        "With `done` = 0 there is nothing: "
        "the batches that are left are asked for, not those that are done.": those_done,
    }
    compare(described, right, mistakes=mistakes)


def describe_orders(order) -> dict:
    """What holds for the batches that a function gives for 10 windows, 3 a batch."""

    def draw(seed, epoch, done=0):
        batches = order(seed, epoch, 10, 3, done)
        return [np.asarray(batch).tolist() for batch in batches]

    def differ(orders):
        return len({str(each) for each in orders}) == len(orders)

    def get_shared_states():
        return simplify([np.random.get_state(), torch.get_rng_state()])

    before = get_shared_states()
    whole = draw(7, 0)
    rests = [draw(7, 0, done) for done in range(5)]
    epochs = [draw(7, epoch) for epoch in range(3)]
    seeds = [draw(seed, 0) for seed in range(3)]
    mirrored = [draw(0, 1), draw(1, 0)]
    after = get_shared_states()

    windows = sum(whole, [])
    rest = rests == [whole[done:] for done in range(5)]
    if not rest and [sum(batches, []) for batches in rests] == [windows[n:] for n in range(5)]:
        rest = BY_WINDOWS
    return {
        WHOLE: sorted(windows) == list(range(10)),
        SIZES: [len(batch) for batch in whole] == [3, 3, 3, 1],
        REST: rest,
        EPOCHS: differ(epochs),
        SEEDS: differ(seeds),
        APART: differ(mirrored),
        MIXED: any(batch and max(batch) - min(batch) >= len(batch) for batch in sum(epochs, [])),
        UNTOUCHED: before == after,
    }
