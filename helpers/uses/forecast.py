"""What a trained network expects to come next, read step by step: one future, many, the likeliest.

A network's categories of a step are independent given the past, as in training; a chain's depend on
each other. Of a batch the histories and origins are read, and nothing of its target. Shapes: B
windows, N futures of each, U steps, C categories, V the sum of their sizes. 0 is *unknown* here
too, and as likely as the model says.

model: a `MultiStreamModel`, whose states are encoded once, or what maps a `Batch` to logits
    (B, U, V) by way of one, as `Trainer.forecaster` yields it; or a `Chain` of either
steps: U; None is as many as the batch's target has
Without windows, or with more steps than the network has positions for, it is an InputError.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.losses import category_losses
from helpers.model import MultiStreamModel
from helpers.support.errors import InputError
from helpers.support.machine import MOST_NUMBERS
from helpers.support.refusals import check_count
from helpers.support.watching import evaluating
from helpers.uses.chain import Chain
from helpers.windows import Batch

ROOM, LEAST = 2**24, 2**14  # numbers that futures take at a time, and that one takes at least
TINY = 1e-30  # of what is less float32 makes 0


def roll_out(model: nn.Module, batch: Batch, steps: int | None = None) -> Tensor:
    """The greedy future, of each category the likeliest value step by step: (B, U, C) int32.

    Good for one quick forecast, always the same. It loops, as what was just said is likely to be
    said again, and of the likeliest steps the future need not be likely.
    """
    return follow(model, batch, 1, steps, lambda logits: logits.argmax(-1))[:, 0]


def sample(
    model: nn.Module,
    batch: Batch,
    samples: int,
    generator: torch.Generator,
    steps: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Tensor:
    """Futures, drawn as the model says that they come: (B, samples, U, C) int32.

    Good for any question about what comes: put it to each future and count the answers. None of
    them is the forecast, and neither is their mean: the average of futures is no future.

    generator: on the batch's device
    temperature: what logits are divided by; below 1 the likely becomes likelier
    top_p: of each category the fewest, likeliest values are drawn that have this share of the
        probability together (nucleus sampling, Holtzman et al. 2020)
    """
    check_count("samples", samples)
    if not 0 < temperature < math.inf:
        raise InputError(f"temperature: must be above 0 and finite, found {temperature}")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p: must be above 0 and at most 1, found {top_p}")
    temperature, top_p = max(temperature, TINY), max(top_p, TINY)

    def draw(logits: Tensor) -> Tensor:  # (B, N, size) -> (B, N)
        p = ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(-1)
        if top_p < 1:
            likeliest, value = p.sort(-1, descending=True)
            beyond = likeliest.cumsum(-1) - likeliest >= top_p  # those before it are enough
            p = p.masked_fill(beyond.scatter(-1, value, beyond), 0)
        return torch.multinomial(p.flatten(0, 1), 1, generator=generator).view(p.shape[:2])

    return follow(model, batch, samples, steps, draw)


@torch.no_grad()
def beam_search(
    model: nn.Module, batch: Batch, width: int, steps: int | None = None
) -> tuple[Tensor, Tensor]:
    """The likeliest futures, best first: (B, width, U, C) int32; ln p of each, (B, width) nats.

    Good for what is likeliest as a whole, and for how likely that is: ln p is exact, of all values
    together. It may miss the best, whose beginning was not among the `width` best (a beam as of
    Sutskever et al. 2014), and the likeliest future is not typical: nothing unusual happens in it.

    width: so many futures, W, go on at each step; one alone is the greedy one
    """
    steps = check(model, batch, steps)
    check_count("width", width, math.prod(model.sizes), ", as many as events are possible")
    check_room("width", batch, width, steps)
    with evaluating(model):
        read, futures = make_reader(model, batch), batch.given[:, None, :1]
        log_p = torch.zeros(len(futures), 1, device=futures.device)  # (B, W)
        for _ in range(steps):
            events, gains = find_best(model, read(futures)[:, :, 0], width)
            sums = (log_p[:, :, None] + gains).flatten(1)  # (B, W * k)
            log_p, place = sums.topk(min(width, sums.shape[1]))
            begun = futures.take_along_dim((place // gains.shape[2])[..., None, None], 1)
            event = events.flatten(1, 2).take_along_dim(place[..., None], 1)
            futures = torch.cat([begun, event[:, :, None]], 2)
    return futures[:, :, 1:], log_p


def find_best(model: nn.Module, logits: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The k likeliest next events of each of W beams: (B, W, k, C) int32; their ln p, (B, W, k).

    Category after category, the `width` best sums of ln p are kept. Where categories are
    independent these are exactly the likeliest, which begin with one of the best beginnings; a
    chain's best event may begin with a lesser one, and be missed.
    """
    sums = logits.new_zeros(*logits.shape[:2], 1)
    events = logits.new_zeros(*logits.shape[:2], 1, 0, dtype=torch.int32)
    for part in logits.split(model.sizes, -1):
        part = add_before(model, part[:, :, None], events)  # (B, W, 1 or k, size)
        best, value = part.log_softmax(-1).topk(min(width, part.shape[-1]))  # (B, W, 1 or k, m)
        both = (sums[..., None] + best).flatten(2)  # (B, W, k * m)
        value = value.expand(*events.shape[:3], -1).flatten(2)  # likewise
        sums, place = both.topk(min(width, both.shape[2]))
        begun = events.take_along_dim((place // best.shape[3])[..., None], 2)
        last = value.take_along_dim(place, 2)[..., None]
        events = torch.cat([begun, last.int()], -1)
    return events, sums


def add_before(model: nn.Module, part: Tensor, values: Tensor) -> Tensor:
    """A category's logits (..., size), and what a chain adds given the values before, (..., c)."""
    return part + model.add(values) if isinstance(model, Chain) else part


@torch.no_grad()
def log_probability(model: nn.Module, batch: Batch, events: Tensor) -> Tensor:
    """ln p of each value of given futures, (B, U, C) or (B, N, U, C), in nats: of their shape.

    By a chain it is that of the value given those before it in its event. By either the sum over
    an event is ln p of the event, and the sum over all that of the future.
    """
    futures, sizes = events, torch.tensor(model.sizes, device=events.device)
    if events.dim() == 3:
        futures = events[:, None]
    if futures.dim() != 4 or futures.shape[::3] != (len(batch.given), len(sizes)):
        raise InputError(
            f"events: must be of {len(batch.given)} windows and {len(sizes)} categories, "
            f"found {tuple(events.shape)}"
        )
    check_count("futures", futures.shape[1])
    steps = check(model, batch, futures.shape[2])
    if events.is_floating_point() or ((futures < 0) | (futures >= sizes)).any():
        raise InputError("events: must be integers, each from 0 and below its category's size")
    with evaluating(model):
        origin = batch.given[:, None, :1].expand(-1, futures.shape[1], -1, -1)
        given = torch.cat([origin, futures[:, :, :-1]], 2)
        logits = make_reader(model, batch)(given, steps)
        if isinstance(model, Chain):
            logits = logits + model.add_all(futures)
        return -category_losses(logits, futures, model.sizes).view(events.shape)


@torch.no_grad()
def follow(
    model: nn.Module, batch: Batch, count: int, steps: int | None, choose: Callable
) -> Tensor:
    """Futures step by step: (B, count, U, C) int32.

    choose: from a category's logits, (B, N, size), to its values, (B, N)
    """
    steps, found = check(model, batch, steps), []
    check_room("samples", batch, count, steps)
    at_once = max(1, ROOM // (len(batch.given) * max(LEAST, steps * sum(model.sizes))))
    with evaluating(model):
        read = make_reader(model, batch)
        for start in range(0, count, at_once):
            futures, N = batch.given[:, None, :1], min(at_once, count - start)
            for _ in range(steps):  # at the first all are one, the origin alone: (B, 1, 1, C)
                logits = read(futures)[:, :, 0].expand(-1, N, -1)  # (B, N, V)
                event = logits.new_zeros(*logits.shape[:2], 0, dtype=torch.int32)  # (B, N, c)
                for part in logits.split(model.sizes, -1):
                    value = choose(add_before(model, part, event))  # (B, N)
                    event = torch.cat([event, value[..., None].int()], -1)
                futures = torch.cat([futures.expand(-1, N, -1, -1), event[:, :, None]], 2)
            found.append(futures[:, :, 1:])
    return torch.cat(found, 1)


def make_reader(model: nn.Module, batch: Batch) -> Callable[..., Tensor]:
    """A function from futures so far, (B, N, u, C), to the last steps' logits, (B, N, steps, V).

    The futures begin with the origin; logits are of what comes after each step.
    """
    model = model.network if isinstance(model, Chain) else model
    plain = isinstance(model, MultiStreamModel)
    if plain:
        states, known = model.encode(batch.histories, batch.known), model.carried(batch.known)

    def read(futures: Tensor, steps: int = 1) -> Tensor:
        given, N = futures.flatten(0, 1), futures.shape[1]
        if plain:
            of_each = (states.repeat_interleave(N, 0), known.repeat_interleave(N, 0))
            logits = model.heads(model.decode(given, *of_each)[:, -steps:])
        else:
            many = Batch(*(tensor.repeat_interleave(N, 0) for tensor in batch))
            logits = model(many._replace(given=given))[:, -steps:]
        if logits.isnan().any():
            raise InputError("model: what it says is no number; train it anew, at a lower rate")
        return logits.float().unflatten(0, futures.shape[:2])

    return read


def check(model: nn.Module, batch: Batch, steps: int | None) -> int:
    """How many steps are asked for; an InputError says what cannot be forecast."""
    steps = batch.given.shape[1] if steps is None else steps
    networks = [one for one in model.modules() if isinstance(one, MultiStreamModel)]
    positions = [len(one.embedding.position) - one.origin for one in networks]
    most = min(positions, default=batch.given.shape[1])
    check_count("steps", steps, most, ", the network's horizon")
    if not len(batch.given):
        raise InputError("batch: has no windows; give at least one origin")
    if not batch.known[:, :, -1].all():
        raise InputError("batch: a history must end at its origin; take it from `Windows.batch`")
    return steps


def check_room(name: str, batch: Batch, count: int, steps: int) -> None:
    """Refuses so many futures of each window that they need more than 8 GB; name: whose number."""
    numbers = batch.given[:, 0].numel() * count * steps
    if numbers > MOST_NUMBERS:
        raise InputError(
            f"{name}: {count} futures of each window would take {4e-9 * numbers:.3g} GB; ask for "
            f"fewer, or of fewer windows at a time"
        )
