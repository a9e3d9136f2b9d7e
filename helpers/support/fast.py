"""The network's layers and losses as training runs them: the same numbers, sooner.

Each class here is one of `helpers.model` with the same parameters, and what a trick gains is
measured by `helpers.tools.benchmark`. Nobody needs to read this to understand the network.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.model import DecoderLayer, EventEmbedding, StreamEncoderLayer, split_heads
from helpers.support.watching import note_weights

SHORT_ROW = 16  # PyTorch's softmax is five times faster across rows than along shorter ones


def speed_up(model: nn.Module) -> nn.Module:
    """The same model, its layers turned into their fast forms; parameters stay the same objects.

    Layers of a class of somebody's own are left alone.
    """
    forms = {
        EventEmbedding: FastEmbedding,
        StreamEncoderLayer: FastEncoderLayer,
        DecoderLayer: FastDecoderLayer,
    }
    for module in model.modules():
        module.__class__ = forms.get(type(module), type(module))
    return model


# -- gradient from sorted rows


class SumOfRows(torch.autograd.Function):
    """The sum of the table's rows that each event names: (R, d) and (N, C) int32 -> (N, d).

    As `F.embedding_bag`, but three times as fast in the backward pass. A row's gradient is the sum
    over the events that name it, so with the names sorted it is a bag of rows of the gradient.
    """

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = len(table)
        return F.embedding_bag(rows, table, mode="sum")

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        dtype = torch.int16 if ctx.size < 2**15 else torch.int32  # short ones sort twice as fast
        names, place = rows.flatten().to(dtype).sort(stable=True)
        every = torch.arange(ctx.size, dtype=dtype, device=rows.device)
        starts = torch.searchsorted(names, every)
        return F.embedding_bag(place // rows.shape[1], grad, starts, mode="sum"), None


class FastEmbedding(EventEmbedding):
    def sum_values(self, rows: Tensor) -> Tensor:
        summed = SumOfRows.apply(self.values.weight, rows.flatten(0, -2))
        return summed.view(*rows.shape[:-1], -1)


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


class FastEncoderLayer(StreamEncoderLayer):
    attend = staticmethod(attend_fast)

    def read(self, x: Tensor, known: Tensor, queries: int, drop: float) -> Tensor:
        if queries > 1:
            return super().read(x, known, queries, drop)
        return self.read_last(x, known, drop)

    def read_last(self, x: Tensor, known: Tensor, drop: float) -> Tensor:
        """What the last place alone reads: (S, B, T, d) -> (S, B, 1, d).

        Then nothing needs a key or a value of its own. A score is q . (W x) = (W^T q) . x, so the
        question goes through the keys' weights once, in place of every event; and what is read is
        sum of w (W x) = W (sum of w x). The keys' bias adds the same to all of a question's scores,
        which changes no weight.
        """
        S, B, T, d = x.shape
        heads, width = self.num_heads, d // self.num_heads
        split = self.key_value.weight.view(S, d, 2, heads, width)
        key, value = split.permute(2, 0, 3, 1, 4)  # (S, heads, d, width) each
        q = self.query(x[:, :, -1]) / math.sqrt(width)  # (S, B, d)
        q = q.view(S, B, heads, width).transpose(1, 2)  # (S, heads, B, width)
        question = (q @ key.mT).transpose(1, 2).reshape(S * B, heads, d)

        x = x.view(S * B, T, d)
        scores = torch.bmm(question, x.mT).view(S * B, heads, 1, T)
        weights = weigh(scores, known.reshape(S * B, 1, 1, T), drop).squeeze(2)
        mixed = torch.bmm(weights, x).view(S, B, heads, d).transpose(1, 2) @ value
        mixed = mixed.transpose(1, 2).reshape(S, B, d) + self.key_value.bias[:, :, d:]
        return mixed.unsqueeze(2)


# -- one softmax, kept


class CrossEntropies(torch.autograd.Function):
    """-ln p(true value) of each category: logits (N, V), true values' columns (N, C) -> (N, C).

    The gradient is the probabilities, less one at the true value (times what comes from above), so
    they are kept. A loop of `F.cross_entropy` passes over the logits three times as often. One
    softmax over all logits, of which each category then takes its share, is twice as fast as one
    for each.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, columns: Tensor, sizes: list[int]) -> Tensor:
        p = logits.softmax(-1)
        if p.gather(-1, columns).min() > 1e-30:
            for part in p.split(sizes, -1):
                part /= part.sum(-1, keepdim=True)
            losses = -p.gather(-1, columns).log()
        else:  # so far below another category's, or no number, that it cannot tell: each for itself
            logs = torch.cat([part.log_softmax(-1) for part in logits.split(sizes, -1)], -1)
            p, losses = logs.exp(), -logs.gather(-1, columns)
        ctx.save_for_backward(p, columns)
        ctx.sizes = sizes
        return losses

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        p, columns = ctx.saved_tensors
        # In place: PyTorch refuses a second backward.
        for part, each in zip(p.split(ctx.sizes, -1), grad.split(1, -1), strict=True):
            part *= each
        return p.scatter_add_(-1, columns, -grad), None, None


def category_losses_fast(logits: Tensor, target: Tensor, sizes: list[int]) -> Tensor:
    """As `helpers.losses.category_losses`: logits (..., V) and targets (..., C) -> (..., C)."""
    first = torch.tensor([0, *sizes[:-1]], device=target.device).cumsum(0)
    columns = (target + first).flatten(0, -2)
    losses = CrossEntropies.apply(logits.flatten(0, -2).float(), columns, sizes)
    return losses.view(target.shape)
