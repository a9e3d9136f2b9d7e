"""A training step in several forms: ours, plainer ones, and one trick more at a time.

What they compute is tested to be the same. Shapes: B windows in a batch, S streams, T events of a
history, U target steps, C categories, V the sum of their sizes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.losses import category_losses, multi_objective_loss
from helpers.model import (
    DecoderLayer,
    EventEmbedding,
    MultiStreamModel,
    StreamEncoderLayer,
    split_heads,
)
from helpers.schema import Category
from helpers.support.fast import FastEmbedding, attend_fast, category_losses_fast, speed_up
from helpers.support.plain import PlainModel
from helpers.windows import Batch

STREAMS, LENGTH = 7, 20  # of the reference run; LENGTH of histories and of targets

Step = Callable[[], None]


def draw_batch(
    categories: list[Category],
    windows: int,
    streams: int = STREAMS,
    source: int = LENGTH,
    target: int = LENGTH,
) -> Batch:
    """Windows of random events, nothing padded."""
    sizes = torch.tensor([category.size for category in categories])

    def draw_events(*shape: int) -> Tensor:
        return (torch.rand(*shape, len(sizes)) * sizes).int()

    return Batch(
        histories=draw_events(windows, streams, source),
        known=torch.ones(windows, streams, source, dtype=torch.bool),
        given=draw_events(windows, target),
        target=draw_events(windows, target),
        counted=torch.ones(windows, target, dtype=torch.bool),
        event=torch.zeros(windows, target, dtype=torch.long),
    )


def plain_losses(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """`category_losses` without a thought of speed."""
    losses = []
    for c, part in enumerate(logits.split(sizes, -1)):
        losses.append(F.cross_entropy(part.mT, target[..., c].long(), reduction="none"))
    return torch.stack(losses, -1)


def standard_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    num_heads: int,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """`attend` by PyTorch's own function."""
    q, k, v = (split_heads(x, num_heads) for x in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=dropout_p)
    return mixed.transpose(1, 2).flatten(2)


class AllQueries(MultiStreamModel):
    """The last layer, too, computes every position; only then the last are taken."""

    def encode(self, histories: Tensor, known: Tensor) -> Tensor:
        carry, self.carry = self.carry, histories.shape[2]
        states = super().encode(histories, known)  # (B, S*T, d)
        self.carry = carry
        return states.unflatten(1, (histories.shape[1], -1))[:, :, -carry:].flatten(1, 2)


def make_core(
    categories: list[Category],
    d_model: int,
    streams: int = STREAMS,
    source: int = LENGTH,
    target: int = LENGTH,
    carry: int = 1,
    form: type[MultiStreamModel] = MultiStreamModel,
) -> MultiStreamModel:
    """The network as `helpers.model` has it; `speed_up` makes of it the one that is trained."""
    shape = dict(num_heads=4, encoder_layers=1, decoder_layers=1, carry=carry)
    return form(categories, streams, source, target, d_model, **shape)


def make_plain_one(categories: list[Category], d_model: int) -> PlainModel:
    sizes = [category.size for category in categories]
    streams = [str(s) for s in range(STREAMS)]
    shape = dict(num_heads=4, encoder_layers=1, decoder_layers=1)
    return PlainModel(sizes, streams, LENGTH, LENGTH, d_model, **shape)


def replace_attention(model: MultiStreamModel, attend: Callable) -> MultiStreamModel:
    """The same model, its layers attending by this function and else as they are written."""
    for module in model.modules():
        if isinstance(module, StreamEncoderLayer | DecoderLayer):
            module.attend = attend
    return model


def replace_embedding(model: nn.Module, form: type[EventEmbedding]) -> nn.Module:
    model.embedding.__class__ = form
    return model


def make_step(
    model: nn.Module,
    batch: Batch,
    categories: list[Category],
    losses: Callable = category_losses_fast,
    fused: bool = True,
    one_by_one: bool = False,
) -> Step:
    """A training step of this model on this batch: forward, backward, Adam.

    A run adds norms and checks of the gradients.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, **{"fused": True} if fused else {})
    sizes = [category.size for category in categories]
    parts = [batch]
    if one_by_one:
        windows = range(len(batch.given))
        parts = [Batch(*(tensor[i : i + 1] for tensor in batch)) for i in windows]

    def step() -> None:
        for part in parts:
            lost = losses(model(part), part.target, sizes)  # (B, U, C)
            (multi_objective_loss(lost, part.counted) / len(parts)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def forms(categories: list[Category], windows: int, d_model: int) -> dict[str, Step]:
    """A step in four forms. What they compute is tested to be the same."""
    about = draw_batch(categories, windows), categories
    as_written = dict(losses=plain_losses, fused=False)
    fast, core = (make_core(categories, d_model) for _ in range(2))
    whole, single = (make_plain_one(categories, d_model) for _ in range(2))
    return {
        "ours": make_step(speed_up(fast), *about),
        "plain, whole batches": make_step(whole, *about, **as_written),
        "plain, window by window": make_step(single, *about, **as_written, one_by_one=True),
        "the core as it is read": make_step(core, *about, category_losses),
    }


def ladder(categories: list[Category], windows: int, d_model: int) -> dict[str, Step]:
    """From the plain form on whole batches to ours and beyond, one trick more at a time.

    Why a trick gains is said beside it.
    """
    batch, sizes = draw_batch(categories, windows), [category.size for category in categories]
    steps: dict[str, Step] = {}

    def add(name: str, model: nn.Module, losses=category_losses_fast, fused=True) -> None:
        steps[name] = make_step(model, batch, categories, losses, fused)

    def make_plain_with(form: type[EventEmbedding], one_head: bool = False) -> PlainModel:
        model = make_plain_one(categories, d_model)
        model.embedding = form(sizes, 2 * LENGTH - 1, d_model)
        if one_head:
            model.heads = nn.ModuleList([nn.Linear(d_model, sum(sizes))])
        return model

    def make_batched(attend: Callable, form=MultiStreamModel) -> MultiStreamModel:
        model = replace_attention(make_core(categories, d_model, form=form), attend)
        return replace_embedding(model, FastEmbedding)

    add("plain, whole batches", make_plain_one(categories, d_model), plain_losses, fused=False)

    # One call updates all weights, in place of some ten calls for each.
    add("fused Adam", make_plain_one(categories, d_model), plain_losses)

    # One look-up in place of 17 and their 16 sums.
    add("one embedding table", make_plain_with(EventEmbedding), plain_losses)

    # Each row is written once, not once an event.
    add("gradient from sorted rows", make_plain_with(FastEmbedding), plain_losses)

    # One product in place of 17.
    add("one head matrix", make_plain_with(FastEmbedding, one_head=True), plain_losses)

    # In place of 17; and the gradient is p - 1 at the truth.
    add("one softmax, kept", make_plain_with(FastEmbedding, one_head=True))

    # One product for seven encoders.
    add("all streams at once", make_batched(standard_attention, AllQueries))

    # What does not go on is not computed.
    add("only the last query", make_batched(standard_attention))

    # PyTorch's kernel is made for long sequences and wide heads.
    add("attention in plain products", make_batched(attend_fast))

    # q (W x) = (q W) x: W meets one vector, not 20.
    add("no keys for one question (ours)", speed_up(make_core(categories, d_model)))

    # Where the processor has instructions for them.
    halves = make_step(speed_up(make_core(categories, d_model)), batch, categories)

    def step_in_halves() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            halves()

    steps["products of 16-bit numbers (off)"] = step_in_halves
    return steps
