"""The network's layers and losses as training runs them: the same numbers, sooner.

Each class here is one of `helpers.model` with the same parameters, and what a trick gains is
measured by `helpers.tools.benchmark`. Nobody needs to read this to understand the network.
"""

from __future__ import annotations

import ctypes
import math
from contextlib import suppress
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.model import DecoderLayer, EventEmbedding, StreamEncoderLayer, split_heads
from helpers.support.watching import note_weights

SHORT_ROW = 16  # PyTorch's softmax is five times faster across rows than along shorter ones
MANY = 2**15  # so many numbers PyTorch sorts digit by digit, fewer by comparing them
NEVER = -40.0  # nats; adding what is less likely than so changes no sum, and costs time
# Numbers of glibc's settings, and bytes: so much free memory stays, so large a piece lies in it.
TRIM_THRESHOLD, MMAP_THRESHOLD = (-1, 2**29), (-3, 2**25)


def speed_up(model: nn.Module) -> nn.Module:
    """The same model, its layers turned into their fast forms; parameters stay the same objects.

    Layers of a class of somebody's own are left alone.
    """
    keep_memory()
    forms = {
        EventEmbedding: FastEmbedding,
        StreamEncoderLayer: FastEncoderLayer,
        DecoderLayer: FastDecoderLayer,
    }
    for module in model.modules():
        module.__class__ = forms.get(type(module), type(module))
    return model


@cache
def keep_memory() -> None:
    """What a step frees stays with the process, for the next one. It is asked for once.

    By default large pieces go back to the system, and each step waits for new pages: at d_model 128
    for a tenth of its time. Systems without glibc are left as they are.
    """
    with suppress(AttributeError, OSError, TypeError):
        for setting in (TRIM_THRESHOLD, MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(*setting)


# -- gradient from sorted rows


class SumOfRows(torch.autograd.Function):
    """The sum of the table's rows that each event names, and its position.

    A table (R, d), positions (L, d) and rows (..., L, C) int32, those of each category's own part
    of the table -> (..., L, d).

    As `F.embedding_bag`, but three times as fast in the backward pass. A row's gradient is the sum
    over the events that name it, so with the names sorted it is a bag of rows of the gradient.
    """

    @staticmethod
    def forward(ctx, table: Tensor, position: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = len(table)
        summed = F.embedding_bag(rows.flatten(0, -2), table, mode="sum")
        return summed.view(*rows.shape[:-1], -1).add_(position)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        of_position = grad.sum_to_size(grad.shape[-2:])
        rows, grad = ctx.saved_tensors[0].flatten(0, -2), grad.flatten(0, -2)  # (N, C), (N, d)
        dtype = torch.int16 if ctx.size < 2**15 else torch.int32  # short ones sort twice as fast
        names, place = sort(rows.T.to(dtype).flatten())  # category after category
        starts = torch.searchsorted(names, torch.arange(ctx.size, dtype=dtype, device=rows.device))
        # Each event has one value of a category, so the first N places are of the first category.
        before = torch.arange(0, len(place), len(rows), device=rows.device)
        events = place.view(-1, len(rows)).sub_(before[:, None]).flatten()
        return F.embedding_bag(events, grad, starts, mode="sum"), of_position, None


def sort(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers (N,) in their order, equal ones as they came, and where each was."""
    short = numbers.is_cpu and numbers.dtype == torch.int16
    if short and len(numbers) < MANY:  # NumPy sorts these digit by digit too
        place = torch.from_numpy(np.argsort(numbers.numpy(), kind="stable"))
        return numbers[place], place
    return numbers.sort(stable=True)


class FastEmbedding(EventEmbedding):
    def forward(self, events: Tensor, start: int) -> Tensor:
        position = self.position[start : start + events.shape[-2]]
        return SumOfRows.apply(self.values.weight, position, events + self.first)


# -- attention in plain products


def attend_fast(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    num_heads: int,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """As `helpers.model.attend`, in products of three dimensions.

    With four, PyTorch copies and reshapes before and after each product.
    """
    q, k, v = (split_heads(x, num_heads) for x in (q / math.sqrt(q.shape[-1] // num_heads), k, v))
    scores = torch.bmm(q.flatten(0, 1), k.flatten(0, 1).mT).view(*q.shape[:3], -1)
    weights = weigh(scores, attn_mask, dropout_p)
    mixed = torch.bmm(weights.flatten(0, 1), v.flatten(0, 1))
    return mixed.view_as(q).transpose(1, 2).flatten(2)


def weigh(scores: Tensor, attn_mask: Tensor | None, dropout_p: float) -> Tensor:
    """The weights of attention: (N, heads, Lq, Lk) both."""
    if attn_mask is not None:
        scores = scores + torch.where(attn_mask, 0.0, -torch.inf)
    if scores.shape[-1] < SHORT_ROW:
        weights = scores.mT.softmax(-2).mT
    else:
        weights = scores.softmax(-1)
    note_weights(weights)
    return F.dropout(weights, dropout_p)


class FastDecoderLayer(DecoderLayer):
    attend = staticmethod(attend_fast)


# -- no keys for one question


class SetLastApart(torch.autograd.Function):
    """(S, B, T, d) -> the same, and its last places (S, B, 1, d).

    A slice's gradient would be as large as what it is taken from, and 0 but for the last places.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.view_as(x), x[:, :, -1:].clone()

    @staticmethod
    def backward(ctx, grad: Tensor, of_last: Tensor) -> Tensor:
        grad[:, :, -1:] += of_last  # in place: nobody else has it
        return grad


class FastEncoderLayer(StreamEncoderLayer):
    """Where the last place alone asks, nothing needs a key or a value of its own.

    A score is q . (W x) = (W^T q) . x, so the question goes through the keys' weights once, in
    place of every event; and what is read is sum of w (W x) = W (sum of w x). So it is with the
    norm's scale. The keys' bias and the norm's shift add the same to all of a question's scores,
    which changes no weight.
    """

    attend = staticmethod(attend_fast)

    def forward(self, x: Tensor, known: Tensor, queries: int) -> Tensor:
        if queries > 1:
            return super().forward(x, known, queries)
        drop = self.dropout if self.training else 0.0
        x, last = SetLastApart.apply(x)  # (S, B, T, d) and (S, B, 1, d)
        x = last + F.dropout(self.out(self.read_last(x, last, known, drop)), drop)
        hidden = F.dropout(F.relu(self.wide(self.norm2(x))), drop)
        return x + F.dropout(self.narrow(hidden), drop)

    def read_last(self, x: Tensor, last: Tensor, known: Tensor, drop: float) -> Tensor:
        """What the last place alone reads: (S, B, T, d) and (S, B, 1, d) -> (S, B, 1, d)."""
        S, B, T, d = x.shape
        heads, width = self.num_heads, d // self.num_heads
        split = self.key_value.weight.view(S, d, 2, heads, width)
        key, value = split.permute(2, 0, 3, 1, 4)  # (S, heads, d, width) each
        scale, shift = self.norm1.weight, self.norm1.bias  # (S, 1, 1, d)
        q = self.query(self.norm1(last)) / math.sqrt(width)  # (S, B, 1, d)
        q = q.view(S, B, heads, width).transpose(1, 2)  # (S, heads, B, width)
        question = (q @ key.mT).transpose(1, 2) * scale  # (S, B, heads, d)

        normal = F.layer_norm(x, (d,)).view(S * B, T, d)
        scores = torch.bmm(question.reshape(S * B, heads, d), normal.mT).view(S * B, heads, 1, T)
        weights = weigh(scores, known.reshape(S * B, 1, 1, T), drop).squeeze(2)
        read = torch.bmm(weights, normal).view(S, B, heads, d)
        share = weights.sum(-1).view(S, B, heads, 1)  # 1, but for what dropout takes
        read = torch.addcmul(shift * share, read, scale)
        mixed = read.transpose(1, 2) @ value  # (S, heads, B, width)
        return mixed.transpose(1, 2).reshape(S, B, 1, d) + self.key_value.bias[..., d:].unsqueeze(2)


# -- one softmax, kept


class CrossEntropies(torch.autograd.Function):
    """-ln p(true value) of each category: logits (N, V), true values' columns (N, C) -> (N, C).

    The gradient is the probabilities, less one at the true value (times what comes from above), so
    what makes them is kept: how likely each value is, up to a factor for each category, and the
    category's sum. A loop of `F.cross_entropy` passes over the logits three times as often.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, columns: Tensor, sizes: list[int]) -> Tensor:
        # One softmax of all logits, as long as no category lies so far below another that nothing
        # of it is left. In a trained network many do, since a loss does not feel such a distance.
        likely = logits.softmax(-1)
        true = likely.gather(-1, columns)
        if true.min() > 1e-30:
            sums = torch.stack([part.sum(-1) for part in likely.split(sizes, -1)], -1)  # (N, C)
            losses = (sums / true).log_()
        else:
            parts, kept = logits.split(sizes, -1), likely.split(sizes, -1)
            most = torch.stack([part.amax(-1) for part in parts], -1)  # (N, C)
            for part, peak, found in zip(parts, most.split(1, -1), kept, strict=True):
                torch.sub(part, peak, out=found)
            likely.clamp_(min=NEVER).exp_()
            sums = torch.stack([part.sum(-1) for part in kept], -1)
            losses = sums.log() + (most - logits.gather(-1, columns))
        ctx.save_for_backward(likely, sums, columns)
        ctx.sizes = sizes
        return losses

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        likely, sums, columns = ctx.saved_tensors
        # In place: PyTorch refuses a second backward.
        for part, each in zip(likely.split(ctx.sizes, -1), (grad / sums).split(1, -1), strict=True):
            part *= each
        return likely.scatter_add_(-1, columns, -grad), None, None


def category_losses_fast(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """As `helpers.losses.category_losses`: logits (..., V) and targets (..., C) -> (..., C)."""
    first = torch.tensor([0, *sizes[:-1]], device=target.device).cumsum(0)
    columns = (target + first).flatten(0, -2)
    losses = CrossEntropies.apply(logits.flatten(0, -2).float(), columns, sizes)
    return losses.view(target.shape)
