"""The network: one encoder per stream, the last-vector constraint, a shared decoder, heads.

    histories (B, S, T, C) -> event embedding -> one encoder per stream -> states (B, S*carry, d)
    given (B, U, C) -> event embedding -> self-attention, cross-attention to the states -> (B, U, d)
    -> one head per category, side by side -> logits (B, U, V), V being the sum of their sizes

Each of B windows has S histories of T events of C integers, and U target steps; given[u] is the
event before step u. Both the end of a history and given[0] are the origin. Only the last `carry`
vectors of an encoded history go on: with 1, that is the last-vector constraint. d is d_model.
Transformer layers as in Vaswani et al. 2017, normalised before each block (Xiong et al. 2020).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.schema import Category
from helpers.support.errors import InputError
from helpers.support.watching import note_weights
from helpers.windows import Batch

FEED_FORWARD = 4  # hidden width of a feed-forward block, in d_model


class EventEmbedding(nn.Module):
    """An event's vector: the sum of one vector per category, plus a learned position.

    Positions count along one axis: a history ends at the origin, and the target goes on from there.
    """

    def __init__(self, sizes: list[int], length: int, d_model: int):
        super().__init__()
        # One table (V, d) for all categories: category c begins at row first[c].
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0).int(), False)  # (C,)
        self.values = nn.Embedding(sum(sizes), d_model)
        self.position = nn.Parameter(0.3 * make_waves(length, d_model))
        nn.init.normal_(self.values.weight, std=0.5 / math.sqrt(len(sizes)))

    def forward(self, events: Tensor, start: int) -> Tensor:  # (..., L, C) -> (..., L, d)
        rows = (events + self.first).flatten(0, -2)  # of the table, (N, C)
        summed = F.embedding_bag(rows, self.values.weight, mode="sum")  # (N, d)
        position = self.position[start : start + events.shape[-2]]  # (L, d)
        return summed.view(*events.shape[:-1], -1) + position


def make_waves(length: int, d_model: int) -> Tensor:
    """Sines and cosines of growing wave length, where positions start to learn: (length, d).

    "The event before" then looks alike at every position (after Vaswani et al. 2017).
    """
    rates = 100 ** -torch.linspace(0, 1, (d_model + 1) // 2)
    angles = torch.arange(length)[:, None] * rates  # (length, d / 2, rounded up)
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :d_model]


@torch.no_grad()
def start_as_copy(*maps: Tensor) -> None:
    """Starts the value and the output map of an attention, (..., d, d) each, as the identity.

    What is attended to then goes on as it is, so the decoder reads the histories from the first
    step (after Trockman and Kolter 2023); two random maps would have to learn to fit each other.
    """
    for weight in maps:
        weight.copy_(torch.eye(weight.shape[-1]).expand_as(weight))


def split_heads(x: Tensor, num_heads: int) -> Tensor:  # (N, L, d) -> (N, heads, L, d / heads)
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def attend(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, attn_mask: Tensor | None = None, dropout_p=0.0
) -> Tensor:
    """Attention in several heads: queries (N, Lq, d) over keys and values (N, Lk, d) -> (N, Lq, d).

    `attn_mask`, True where a query may look (there is such a place), is (Lq, Lk) or (N, 1, 1, Lk).
    """
    q, k, v = (split_heads(x, num_heads) for x in (q, k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (N, heads, Lq, Lk)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    weights = scores.softmax(-1)
    note_weights(weights)  # for who draws them; nothing is changed
    mixed = F.dropout(weights, dropout_p) @ v  # (N, heads, Lq, d / heads)
    return mixed.transpose(1, 2).flatten(2)


class StreamLinear(nn.Module):
    """A linear map for each of S streams: (S, ..., d_in) -> (S, ..., d_out), in one product."""

    def __init__(self, streams: int, d_in: int, d_out: int):
        super().__init__()
        bound = 1 / math.sqrt(d_in)  # as nn.Linear's weights start
        self.weight = nn.Parameter(torch.empty(streams, d_in, d_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(streams, 1, d_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x.flatten(1, -2), self.weight).view(*x.shape[:-1], -1)


class StreamNorm(nn.Module):
    """A layer norm for each of S streams, over (S, B, L, d)."""

    def __init__(self, streams: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(streams, 1, 1, d_model))
        self.bias = nn.Parameter(torch.zeros(streams, 1, 1, d_model))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.layer_norm(x, x.shape[-1:]), self.weight)


class StreamEncoderLayer(nn.Module):
    """An encoder layer of each stream: the last `queries` places read all places."""

    attend = staticmethod(attend)  # `speed_up` puts a faster one in its place

    def __init__(self, streams: int, d_model: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.norm1, self.norm2 = StreamNorm(streams, d_model), StreamNorm(streams, d_model)
        self.query = StreamLinear(streams, d_model, d_model)
        self.key_value = StreamLinear(streams, d_model, 2 * d_model)
        self.out = StreamLinear(streams, d_model, d_model)
        self.wide = StreamLinear(streams, d_model, FEED_FORWARD * d_model)
        self.narrow = StreamLinear(streams, FEED_FORWARD * d_model, d_model)
        start_as_copy(self.key_value.weight[..., d_model:], self.out.weight)

    def forward(self, x: Tensor, known: Tensor, queries: int) -> Tensor:
        """(S, B, T, d) and its mask (S, B, T) -> (S, B, queries, d)."""
        drop = self.dropout if self.training else 0.0
        mixed = self.read(self.norm1(x), known, queries, drop)
        x = x[:, :, -queries:] + F.dropout(self.out(mixed), drop)
        hidden = F.dropout(F.relu(self.wide(self.norm2(x))), drop)  # (S, B, queries, 4d)
        return x + F.dropout(self.narrow(hidden), drop)

    def read(self, x: Tensor, known: Tensor, queries: int, drop: float) -> Tensor:
        """What the last places read from their history: (S, B, T, d) -> (S, B, queries, d)."""
        q = self.query(x[:, :, -queries:])  # (S, B, queries, d): only the last places ask
        k, v = self.key_value(x).chunk(2, -1)  # (S, B, T, d) each: each may be read
        q, k, v = (part.flatten(0, 1) for part in (q, k, v))  # streams and windows side by side
        may_look = known.flatten(0, 1)[:, None, None]  # (S*B, 1, 1, T)
        mixed = self.attend(q, k, v, self.num_heads, may_look, drop)
        return mixed.unflatten(0, x.shape[:2])


class DecoderLayer(nn.Module):
    """Causal self-attention over the target so far, cross-attention to the states, feed-forward."""

    attend = staticmethod(attend)

    def __init__(self, d_model: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d_model) for _ in range(3))
        self.self_in, self.self_out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.cross_query = nn.Linear(d_model, d_model)
        self.cross_key_value = nn.Linear(d_model, 2 * d_model)
        self.cross_out = nn.Linear(d_model, d_model)
        self.wide = nn.Linear(d_model, FEED_FORWARD * d_model)
        self.narrow = nn.Linear(FEED_FORWARD * d_model, d_model)
        start_as_copy(self.self_in.weight[2 * d_model :], self.self_out.weight)
        start_as_copy(self.cross_key_value.weight[d_model:], self.cross_out.weight)

    def forward(self, x: Tensor, states: Tensor, known: Tensor) -> Tensor:
        """(B, U, d), the states (B, S*carry, d) and their mask (B, S*carry) -> (B, U, d)."""
        drop, U = self.dropout if self.training else 0.0, x.shape[1]

        # Each step looks at itself and at the steps before it.
        past = torch.ones(U, U, dtype=torch.bool, device=x.device).tril()
        q, k, v = self.self_in(self.norm1(x)).chunk(3, -1)  # (B, U, d) each
        mixed = self.attend(q, k, v, self.num_heads, past, drop)
        x = x + F.dropout(self.self_out(mixed), drop)

        # Each step reads the states of all streams.
        q = self.cross_query(self.norm2(x))  # (B, U, d)
        k, v = self.cross_key_value(states).chunk(2, -1)  # (B, S*carry, d) each
        mixed = self.attend(q, k, v, self.num_heads, known[:, None, None], drop)
        x = x + F.dropout(self.cross_out(mixed), drop)

        hidden = F.dropout(F.relu(self.wide(self.norm3(x))), drop)  # (B, U, 4d)
        return x + F.dropout(self.narrow(hidden), drop)


class MultiStreamModel(nn.Module):
    """The multi-stream encoder-decoder. An InputError names a shape that cannot work."""

    def __init__(
        self,
        categories: list[Category],
        streams: int,
        src_seq_len: int,
        tgt_seq_len: int,
        d_model: int,
        num_heads: int,
        encoder_layers: int,
        decoder_layers: int,
        carry: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
    ):
        super().__init__()
        if d_model % num_heads:
            raise InputError(f"model: num_heads {num_heads} must divide d_model {d_model}")
        if not 1 <= carry <= src_seq_len:
            raise InputError(f"carry: must be 1 to src_seq_len {src_seq_len}, found {carry}")
        self.sizes = [category.size for category in categories]
        self.carry, self.origin = carry, src_seq_len - 1  # the origin's position
        self.embedding = EventEmbedding(self.sizes, src_seq_len + tgt_seq_len - 1, d_model)
        shape = (d_model, num_heads, dropout)
        encoders = (StreamEncoderLayer(streams, *shape) for _ in range(encoder_layers))
        self.encoder = nn.ModuleList(encoders)
        self.encoder_norm = StreamNorm(streams, d_model)
        self.decoder = nn.ModuleList(DecoderLayer(*shape) for _ in range(decoder_layers))
        self.decoder_norm = nn.LayerNorm(d_model)
        self.heads = nn.Linear(d_model, sum(self.sizes))  # one head per category, side by side
        nn.init.normal_(self.heads.weight, std=0.1)
        nn.init.zeros_(self.heads.bias)
        if tied:  # a value's weights are its vector in the event embedding (Press and Wolf 2017)
            self.heads.weight = self.embedding.values.weight

    def encode(self, histories: Tensor, known: Tensor) -> Tensor:
        """The states: (B, S, T, C) and their mask (B, S, T) -> (B, S*carry, d)."""
        x = self.embedding(histories.transpose(0, 1), 0)  # (S, B, T, d): streams first
        known = known.transpose(0, 1)
        for layer in self.encoder[:-1]:
            x = layer(x, known, x.shape[2])  # all places, since the next layer reads them
        x = self.encoder[-1](x, known, self.carry)  # (S, B, carry, d): what goes on, and no more
        return self.encoder_norm(x).transpose(0, 1).flatten(1, 2)

    def decode(self, given: Tensor, states: Tensor, known: Tensor) -> Tensor:
        """(B, U, C), the states (B, S*carry, d), their mask (B, S*carry) -> vectors (B, U, d)."""
        x = self.embedding(given, self.origin)
        for layer in self.decoder:
            x = layer(x, states, known)
        return self.decoder_norm(x)

    def carried(self, known: Tensor) -> Tensor:
        """The mask of the states, from that of the histories: (B, S, T) -> (B, S*carry)."""
        return known[:, :, -self.carry :].flatten(1)

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B, U, V)
        states = self.encode(batch.histories, batch.known)
        return self.heads(self.decode(batch.given, states, self.carried(batch.known)))
