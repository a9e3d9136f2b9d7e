"""The network: one encoder per stream, the last-vector constraint, a shared decoder, a head per category.

    histories (B, S, T, C) -> event embedding -> one encoder per stream -> states (B, S*carry, d)
    given (B, U, C) -> event embedding -> causal self-attention -> cross-attention -> logits (B, U, V)

B windows, S streams, T source events, U target steps, C categories, V the sum of their sizes.
Transformer layers as in Vaswani et al. 2017, normalised before each block (Xiong et al. 2020).
`MultiStreamModel` computes all streams at once; `plain_form` gives the same network from standard layers.
"""
from __future__ import annotations

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.schema import Category, InputError
from helpers.windows import Batch

FEED_FORWARD = 4  # hidden width of a feed-forward block, in d_model


class SumOfRows(torch.autograd.Function):
    """The sum of the table's rows that each event names: (R, d) and (N, C) int32 -> (N, d).

    As `F.embedding_bag`, but three times as fast in the backward pass. A row's gradient is the sum over the events
    that name it, so with the names sorted it is a bag of rows of the gradient.
    """

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = len(table)
        return F.embedding_bag(rows, table, mode="sum")

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        rows, = ctx.saved_tensors
        short = rows.flatten().to(torch.int16 if ctx.size < 2 ** 15 else torch.int32)  # sorted twice as fast
        sorted_rows, place = short.sort(stable=True)
        starts = torch.searchsorted(sorted_rows, torch.arange(ctx.size, dtype=short.dtype, device=rows.device))
        return F.embedding_bag(place // rows.shape[1], grad, starts, mode="sum"), None


class EventEmbedding(nn.Module):
    """An event's vector: the sum of one vector per category, plus a learned position.

    Positions count along one axis: a history ends at the origin, and the target goes on from there.
    """

    def __init__(self, sizes: list[int], length: int, d_model: int):
        super().__init__()
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0).int(), persistent=False)
        self.values = nn.Embedding(sum(sizes), d_model)
        self.position = nn.Parameter(0.3 * waves(length, d_model))
        nn.init.normal_(self.values.weight, std=0.5 / math.sqrt(len(sizes)))

    def forward(self, events: Tensor, start: int) -> Tensor:  # (..., L, C) -> (..., L, d)
        *lead, length, categories = events.shape
        rows = (events + self.first).reshape(-1, categories)
        summed = SumOfRows.apply(self.values.weight, rows)
        return summed.view(*lead, length, -1) + self.position[start:start + length]


def waves(length: int, d_model: int) -> Tensor:
    """Sines and cosines of growing wave length (Vaswani et al. 2017): (length, d). "The event before" then looks
    alike at every position, which a start at zero would have to learn place by place."""
    rates = 100 ** -torch.linspace(0, 1, (d_model + 1) // 2)
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :d_model]


@torch.no_grad()
def start_as_copy(*maps: Tensor) -> None:
    """Starts the value and the output map of an attention, (..., d, d) each, as the identity.

    What is attended to then goes on unchanged, so what the histories hold is in the decoder's reach from the
    first step (after Trockman and Kolter 2023); from random maps both would have to be found together.
    """
    for weight in maps:
        weight.copy_(torch.eye(weight.shape[-1]).expand_as(weight))


def split_heads(x: Tensor, heads: int) -> Tensor:  # (N, L, d) -> (N, heads, L, d / heads)
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, attn_mask: Tensor | None = None, dropout_p: float = 0.0) -> Tensor:
    """Attention in several heads: queries (N, Lq, d) over keys and values (N, Lk, d) -> (N, Lq, d).

    `attn_mask`, True where a query may look, is (Lq, Lk) or (N, 1, 1 or Lq, Lk).
    """
    q, k, v = (split_heads(x, heads) for x in (q / math.sqrt(q.shape[-1] // heads), k, v))
    # Batched products of three dimensions: with four, PyTorch copies and reshapes before and after each product.
    scores = torch.bmm(q.flatten(0, 1), k.flatten(0, 1).mT).view(*q.shape[:3], -1)
    weights = attention_weights(scores, attn_mask, dropout_p)
    return torch.bmm(weights.flatten(0, 1), v.flatten(0, 1)).view_as(q).transpose(1, 2).flatten(2)


def attention_weights(scores: Tensor, attn_mask: Tensor | None, dropout_p: float) -> Tensor:  # (N, heads, Lq, Lk) both
    if attn_mask is not None:
        scores = scores + torch.where(attn_mask, 0.0, -torch.inf)
    # PyTorch's softmax is five times faster across rows than along rows of fewer than 16 numbers.
    weights = scores.mT.softmax(-2).mT if scores.shape[-1] < 16 else scores.softmax(-1)
    for seen in _records:
        seen.append(weights)
    return F.dropout(weights, dropout_p)


_records: list[list[Tensor]] = []


@contextmanager
def attention_recorded():
    """Collects the weights of every attention that a model computes inside: `with attention_recorded() as seen`.

    `seen` becomes a list of (N, heads, Lq, Lk), in the order of computing: the encoder layers with
    N = S*B, streams first, then the self-attention and the cross-attention of each decoder layer with N = B.
    """
    _records.append(seen := [])
    try:
        yield seen
    finally:
        _records.pop()


class StreamLinear(nn.Module):
    """A linear map for each of S streams: (S, N, d_in) -> (S, N, d_out) in one batched matrix product."""

    def __init__(self, streams: int, d_in: int, d_out: int):
        super().__init__()
        bound = 1 / math.sqrt(d_in)  # as nn.Linear starts
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
    """One transformer encoder layer of each stream; only the last `queries` positions are computed."""

    def __init__(self, streams: int, d_model: int, num_heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = num_heads, dropout
        self.norm1, self.norm2 = StreamNorm(streams, d_model), StreamNorm(streams, d_model)
        self.query = StreamLinear(streams, d_model, d_model)
        self.key_value = StreamLinear(streams, d_model, 2 * d_model)
        self.out = StreamLinear(streams, d_model, d_model)
        self.wide = StreamLinear(streams, d_model, FEED_FORWARD * d_model)
        self.narrow = StreamLinear(streams, FEED_FORWARD * d_model, d_model)
        start_as_copy(self.key_value.weight[..., d_model:], self.out.weight)

    def forward(self, x: Tensor, known: Tensor, queries: int) -> Tensor:  # (S, B, T, d) -> (S, B, queries, d)
        drop = self.dropout if self.training else 0.0
        read = self.read_last if queries == 1 else self.read
        mixed = read(self.norm1(x), known, queries, drop)
        x = x[:, :, -queries:] + F.dropout(self.out(mixed), drop)
        hidden = F.dropout(F.relu(self.wide(self.norm2(x))), drop)
        return x + F.dropout(self.narrow(hidden), drop)

    def read(self, x: Tensor, known: Tensor, queries: int, drop: float) -> Tensor:
        """What each of the last `queries` positions reads from its history: (S, B, T, d) -> (S, B, queries, d)."""
        S, B, T, d = x.shape
        q, (k, v) = self.query(x[:, :, -queries:]), self.key_value(x).chunk(2, -1)
        mixed = attend(q.reshape(S * B, queries, d), k.reshape(S * B, T, d), v.reshape(S * B, T, d), self.heads,
                       known.reshape(S * B, 1, 1, T), drop)
        return mixed.view(S, B, queries, d)

    def read_last(self, x: Tensor, known: Tensor, queries: int, drop: float) -> Tensor:
        """The same where the last position alone asks. Then nothing needs a key or a value of its own.

        A score is q . (W x) = (W^T q) . x, so the question goes through the keys' weights once, in place of every
        position; and what is read is sum of w (W x) = W (sum of w x). The keys' bias adds the same to all of a
        question's scores, which changes no weight.
        """
        S, B, T, d = x.shape
        head = d // self.heads
        key, value = self.key_value.weight.view(S, d, 2, self.heads, head).permute(2, 0, 3, 1, 4)  # (S, heads, d, head) each
        q = (self.query(x[:, :, -1]) / math.sqrt(head)).view(S, B, self.heads, head).transpose(1, 2)
        question = (q @ key.mT).transpose(1, 2).reshape(S * B, self.heads, d)
        x = x.view(S * B, T, d)
        scores = torch.bmm(question, x.mT).view(S * B, self.heads, 1, T)
        weights = attention_weights(scores, known.reshape(S * B, 1, 1, T), drop).squeeze(2)
        mixed = torch.bmm(weights, x).view(S, B, self.heads, d).transpose(1, 2) @ value  # (S, heads, B, head)
        return (mixed.transpose(1, 2).reshape(S, B, d) + self.key_value.bias[:, :, d:]).unsqueeze(2)


class DecoderLayer(nn.Module):
    """Causal self-attention over the target so far, cross-attention over the states, feed-forward."""

    def __init__(self, d_model: int, num_heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = num_heads, dropout
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d_model) for _ in range(3))
        self.self_in, self.self_out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.cross_query, self.cross_key_value = nn.Linear(d_model, d_model), nn.Linear(d_model, 2 * d_model)
        self.cross_out = nn.Linear(d_model, d_model)
        self.wide, self.narrow = nn.Linear(d_model, FEED_FORWARD * d_model), nn.Linear(FEED_FORWARD * d_model, d_model)
        start_as_copy(self.self_in.weight[2 * d_model:], self.self_out.weight, self.cross_key_value.weight[d_model:], self.cross_out.weight)

    def forward(self, x: Tensor, states: Tensor, known: Tensor) -> Tensor:  # (B, U, d), (B, S*carry, d) -> (B, U, d)
        drop = self.dropout if self.training else 0.0
        past = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        q, k, v = self.self_in(self.norm1(x)).chunk(3, -1)
        x = x + F.dropout(self.self_out(attend(q, k, v, self.heads, past, drop)), drop)
        q = self.cross_query(self.norm2(x))
        k, v = self.cross_key_value(states).chunk(2, -1)
        mixed = attend(q, k, v, self.heads, known[:, None, None], drop)
        x = x + F.dropout(self.cross_out(mixed), drop)
        hidden = F.dropout(F.relu(self.wide(self.norm3(x))), drop)
        return x + F.dropout(self.narrow(hidden), drop)


class MultiStreamModel(nn.Module):
    """The multi-stream encoder-decoder, all streams at once. An InputError names a shape that cannot work."""

    def __init__(self, categories: list[Category], streams: int, src_seq_len: int, tgt_seq_len: int, d_model: int,
                 num_heads: int, encoder_layers: int, decoder_layers: int, carry: int = 1, dropout: float = 0.0,
                 tied: bool = False):
        super().__init__()
        if d_model % num_heads:
            raise InputError(f"model: num_heads {num_heads} must divide d_model {d_model}")
        if not 1 <= carry <= src_seq_len:
            raise InputError(f"carry: must be 1 to src_seq_len {src_seq_len}, found {carry}")
        self.sizes = [category.size for category in categories]
        self.carry, self.origin = carry, src_seq_len - 1
        self.embedding = EventEmbedding(self.sizes, src_seq_len + tgt_seq_len - 1, d_model)
        self.encoder = nn.ModuleList(StreamEncoderLayer(streams, d_model, num_heads, dropout) for _ in range(encoder_layers))
        self.encoder_norm = StreamNorm(streams, d_model)
        self.decoder = nn.ModuleList(DecoderLayer(d_model, num_heads, dropout) for _ in range(decoder_layers))
        self.decoder_norm = nn.LayerNorm(d_model)
        self.heads = nn.Linear(d_model, sum(self.sizes))  # one head per category, side by side
        nn.init.normal_(self.heads.weight, std=0.1)
        nn.init.zeros_(self.heads.bias)
        if tied:  # a value's weights are its vector in the event embedding (Press and Wolf 2017)
            self.heads.weight = self.embedding.values.weight

    def encode(self, histories: Tensor, known: Tensor) -> Tensor:
        """The states: (B, S, T, C) and (B, S, T) -> (B, S*carry, d)."""
        x, known = self.embedding(histories.transpose(0, 1), 0), known.transpose(0, 1)
        for layer in self.encoder[:-1]:
            x = layer(x, known, x.shape[2])
        x = self.encoder[-1](x, known, self.carry)  # the last layer computes what goes on, and no more
        return self.encoder_norm(x).transpose(0, 1).flatten(1, 2)

    def decode(self, given: Tensor, states: Tensor, known: Tensor) -> Tensor:
        """The decoder vectors: (B, U, C), (B, S*carry, d) and its mask (B, S*carry) -> (B, U, d)."""
        x = self.embedding(given, self.origin)
        for layer in self.decoder:
            x = layer(x, states, known)
        return self.decoder_norm(x)

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B, U, V)
        states = self.encode(batch.histories, batch.known)
        return self.heads(self.decode(batch.given, states, batch.known[:, :, -self.carry:].flatten(1)))


@torch.no_grad()
def rollout(model: MultiStreamModel, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
    """A forecast of the whole horizon, each step read from the step before: (B, U, C) int32.

    Without a generator each category takes its most likely value; with one, values are drawn. The categories
    of a step are independent given the past, as in training. Only the batch's histories and origins are read.
    """
    known = batch.known[:, :, -model.carry:].flatten(1)
    training = model.training
    model.eval()
    states, events = model.encode(batch.histories, batch.known), batch.given[:, :1]
    for _ in range(batch.given.shape[1]):
        parts = model.heads(model.decode(events, states, known)[:, -1]).split(model.sizes, -1)
        drawn = [part.argmax(-1) if generator is None else torch.multinomial(part.softmax(-1), 1, generator=generator)[:, 0] for part in parts]
        events = torch.cat([events, torch.stack(drawn, -1)[:, None].int()], 1)
    model.train(training)
    return events[:, 1:]


class PlainEmbedding(nn.Module):
    """The event embedding with a table per category."""

    def __init__(self, sizes: list[int], length: int, d_model: int):
        super().__init__()
        self.values = nn.ModuleList(nn.Embedding(size, d_model) for size in sizes)
        self.position = nn.Parameter(torch.zeros(length, d_model))

    def forward(self, events: Tensor, start: int) -> Tensor:  # (..., L, C) -> (..., L, d)
        return sum(table(events[..., c]) for c, table in enumerate(self.values)) + self.position[start:start + events.shape[-2]]


class PlainModel(nn.Module):
    """The same network as a reader would first write it: standard layers in lists, one stream after another.

    It is what the batched form is tested and timed against. `plain_form` fills it with a batched model's weights.
    """

    def __init__(self, sizes: list[int], streams: list[str], src_seq_len: int, tgt_seq_len: int, d_model: int,
                 num_heads: int, encoder_layers: int, decoder_layers: int, carry: int = 1, dropout: float = 0.0):
        super().__init__()
        shape = dict(nhead=num_heads, dim_feedforward=FEED_FORWARD * d_model, dropout=dropout, norm_first=True, batch_first=True)
        self.carry, self.origin = carry, src_seq_len - 1
        self.embedding = PlainEmbedding(sizes, src_seq_len + tgt_seq_len - 1, d_model)
        self.encoders = nn.ModuleDict({name: nn.TransformerEncoder(nn.TransformerEncoderLayer(d_model, **shape), encoder_layers,
                                                                   nn.LayerNorm(d_model), enable_nested_tensor=False) for name in streams})
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(d_model, **shape), decoder_layers, nn.LayerNorm(d_model))
        self.heads = nn.ModuleList(nn.Linear(d_model, size) for size in sizes)

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B, U, V)
        histories, states = self.embedding(batch.histories, 0), []
        for s, encoder in enumerate(self.encoders.values()):
            encoded = encoder(histories[:, s], src_key_padding_mask=~batch.known[:, s])
            states.append(encoded[:, -self.carry:])  # the last-vector constraint: (B, carry, d)
        x = self.embedding(batch.given, self.origin)
        future = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device, dtype=torch.bool)
        padded = ~batch.known[:, :, -self.carry:].flatten(1)
        x = self.decoder(x, torch.cat(states, 1), tgt_mask=future, memory_key_padding_mask=padded)
        return torch.cat([head(x) for head in self.heads], -1)


def plain_form(model: MultiStreamModel, streams: list[str]) -> PlainModel:
    """The plain form with the batched model's weights, so that both give the same numbers."""
    first = model.encoder[0]
    plain = PlainModel(model.sizes, streams, model.origin + 1, len(model.embedding.position) - model.origin,
                       model.embedding.values.embedding_dim, first.heads, len(model.encoder), len(model.decoder), model.carry, first.dropout)
    _fill(plain.embedding.position, model.embedding.position)
    for tables, ours in ((plain.embedding.values, model.embedding.values.weight), (plain.heads, model.heads.weight)):
        for table, part in zip(tables, ours.split(model.sizes)):
            _fill(table.weight, part)
    for table, head, part in zip(plain.embedding.values, plain.heads, model.heads.bias.split(model.sizes)):
        _fill(head.bias, part)
        if model.heads.weight is model.embedding.values.weight:  # tied
            head.weight = table.weight
    for s, encoder in enumerate(plain.encoders.values()):
        for layer, ours in zip(encoder.layers, model.encoder):
            _fill(layer.self_attn.in_proj_weight, torch.cat([ours.query.weight[s], ours.key_value.weight[s]], 1).T)
            _fill(layer.self_attn.in_proj_bias, torch.cat([ours.query.bias[s], ours.key_value.bias[s]], 1))
            for theirs, mine in ((layer.self_attn.out_proj, ours.out), (layer.linear1, ours.wide), (layer.linear2, ours.narrow),
                                 (layer.norm1, ours.norm1), (layer.norm2, ours.norm2)):
                _fill(theirs.weight, mine.weight[s].T if isinstance(theirs, nn.Linear) else mine.weight[s])
                _fill(theirs.bias, mine.bias[s])
        _fill(encoder.norm.weight, model.encoder_norm.weight[s])
        _fill(encoder.norm.bias, model.encoder_norm.bias[s])
    for layer, ours in zip(plain.decoder.layers, model.decoder):
        layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias = ours.self_in.weight, ours.self_in.bias
        _fill(layer.multihead_attn.in_proj_weight, torch.cat([ours.cross_query.weight, ours.cross_key_value.weight]))
        _fill(layer.multihead_attn.in_proj_bias, torch.cat([ours.cross_query.bias, ours.cross_key_value.bias]))
        layer.self_attn.out_proj, layer.multihead_attn.out_proj = ours.self_out, ours.cross_out
        layer.linear1, layer.linear2 = ours.wide, ours.narrow
        layer.norm1, layer.norm2, layer.norm3 = ours.norm1, ours.norm2, ours.norm3
    plain.decoder.norm = model.decoder_norm
    return plain


@torch.no_grad()
def _fill(parameter: Tensor, values: Tensor) -> None:
    parameter.copy_(values.reshape(parameter.shape))
