"""The network as a reader would first write it: standard layers in lists, one stream after another.

It is what the batched form is tested and timed against.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.model import FEED_FORWARD, MultiStreamModel, StreamEncoderLayer
from helpers.windows import Batch


class PlainEmbedding(nn.Module):
    """The event embedding with a table per category."""

    def __init__(self, sizes: list[int], length: int, d_model: int):
        super().__init__()
        self.values = nn.ModuleList(nn.Embedding(size, d_model) for size in sizes)
        self.position = nn.Parameter(torch.zeros(length, d_model))

    def forward(self, events: Tensor, start: int) -> Tensor:  # (..., L, C) -> (..., L, d)
        vectors = [table(events[..., c]) for c, table in enumerate(self.values)]
        return sum(vectors) + self.position[start : start + events.shape[-2]]


class PlainModel(nn.Module):
    """`MultiStreamModel` from standard layers; `make_plain` fills it with that model's weights."""

    def __init__(
        self,
        sizes: list[int],
        streams: list[str],
        src_seq_len: int,
        tgt_seq_len: int,
        d_model: int,
        num_heads: int,
        encoder_layers: int,
        decoder_layers: int,
        carry: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        shape = dict(nhead=num_heads, dim_feedforward=FEED_FORWARD * d_model, dropout=dropout)
        shape |= dict(norm_first=True, batch_first=True)

        def make_encoder() -> nn.TransformerEncoder:
            layer, norm = nn.TransformerEncoderLayer(d_model, **shape), nn.LayerNorm(d_model)
            return nn.TransformerEncoder(layer, encoder_layers, norm, enable_nested_tensor=False)

        self.carry, self.origin = carry, src_seq_len - 1
        self.embedding = PlainEmbedding(sizes, src_seq_len + tgt_seq_len - 1, d_model)
        self.encoders = nn.ModuleDict({name: make_encoder() for name in streams})
        layer = nn.TransformerDecoderLayer(d_model, **shape)
        self.decoder = nn.TransformerDecoder(layer, decoder_layers, nn.LayerNorm(d_model))
        self.heads = nn.ModuleList(nn.Linear(d_model, size) for size in sizes)

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B, U, V)
        histories, states = self.embedding(batch.histories, 0), []
        for s, encoder in enumerate(self.encoders.values()):
            encoded = encoder(histories[:, s], src_key_padding_mask=~batch.known[:, s])
            states.append(encoded[:, -self.carry :])  # the last-vector constraint: (B, carry, d)
        x = self.embedding(batch.given, self.origin)
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        padded = ~batch.known[:, :, -self.carry :].flatten(1)
        states = torch.cat(states, 1)  # (B, S*carry, d)
        x = self.decoder(x, states, tgt_mask=future, memory_key_padding_mask=padded)
        return torch.cat([head(x) for head in self.heads], -1)


def make_plain(model: MultiStreamModel, streams: list[str]) -> PlainModel:
    """The plain form of a batched model, with copies of its weights: both give the same numbers.

    Nothing is shared, so a step of one leaves the other as it is.
    """
    first = model.encoder[0]
    plain = PlainModel(
        model.sizes,
        streams,
        src_seq_len=model.origin + 1,
        tgt_seq_len=len(model.embedding.position) - model.origin,
        d_model=model.embedding.position.shape[1],
        num_heads=first.num_heads,
        encoder_layers=len(model.encoder),
        decoder_layers=len(model.decoder),
        carry=model.carry,
        dropout=first.dropout,
    )
    copy(plain.embedding.position, model.embedding.position)
    copy_tables(plain.embedding.values, model.embedding.values.weight)
    copy_tables(plain.heads, model.heads.weight)
    for head, bias in zip(plain.heads, model.heads.bias.split(model.sizes), strict=True):
        copy(head.bias, bias)
    if model.heads.weight is model.embedding.values.weight:  # tied
        for table, head in zip(plain.embedding.values, plain.heads, strict=True):
            head.weight = table.weight
    for s, encoder in enumerate(plain.encoders.values()):
        for layer, ours in zip(encoder.layers, model.encoder, strict=True):
            copy_encoder_layer(layer, ours, s)
        copy(encoder.norm.weight, model.encoder_norm.weight[s])
        copy(encoder.norm.bias, model.encoder_norm.bias[s])
    for layer, ours in zip(plain.decoder.layers, model.decoder, strict=True):
        copy_decoder_layer(layer, ours)
    plain.decoder.norm.load_state_dict(model.decoder_norm.state_dict())
    return plain


def copy_encoder_layer(layer: nn.TransformerEncoderLayer, ours: StreamEncoderLayer, s: int) -> None:
    """Copies stream s of a layer; our linear maps stand the other way round, (d_in, d_out)."""
    attention = layer.self_attn
    maps = torch.cat([ours.query.weight[s], ours.key_value.weight[s]], 1)
    copy(attention.in_proj_weight, maps.T)
    copy(attention.in_proj_bias, torch.cat([ours.query.bias[s], ours.key_value.bias[s]], 1))
    linear = {attention.out_proj: ours.out, layer.linear1: ours.wide, layer.linear2: ours.narrow}
    for theirs, mine in linear.items():
        copy(theirs.weight, mine.weight[s].T)
        copy(theirs.bias, mine.bias[s])
    for theirs, mine in {layer.norm1: ours.norm1, layer.norm2: ours.norm2}.items():
        copy(theirs.weight, mine.weight[s])
        copy(theirs.bias, mine.bias[s])


def copy_decoder_layer(layer: nn.TransformerDecoderLayer, ours: nn.Module) -> None:
    own, cross = layer.self_attn, layer.multihead_attn
    copy(own.in_proj_weight, ours.self_in.weight)
    copy(own.in_proj_bias, ours.self_in.bias)
    copy(cross.in_proj_weight, torch.cat([ours.cross_query.weight, ours.cross_key_value.weight]))
    copy(cross.in_proj_bias, torch.cat([ours.cross_query.bias, ours.cross_key_value.bias]))
    same = {own.out_proj: ours.self_out, cross.out_proj: ours.cross_out}
    same |= {layer.linear1: ours.wide, layer.linear2: ours.narrow}
    same |= {layer.norm1: ours.norm1, layer.norm2: ours.norm2, layer.norm3: ours.norm3}
    for theirs, mine in same.items():
        theirs.load_state_dict(mine.state_dict())


def copy_tables(modules: nn.ModuleList, joined: Tensor) -> None:
    """Copies one table of all categories' rows into the weights of one module a category."""
    parts = joined.split([len(module.weight) for module in modules])
    for module, part in zip(modules, parts, strict=True):
        copy(module.weight, part)


@torch.no_grad()
def copy(parameter: Tensor, values: Tensor) -> None:
    parameter.copy_(values.reshape(parameter.shape))


@torch.no_grad()
def sample_one_by_one(
    model: PlainModel, batch: Batch, samples: int, generator: torch.Generator
) -> Tensor:
    """Futures as one would first draw them, the network read anew for each event of each future.

    model: in evaluation mode; each of the batch's B windows has so many futures, as long as its
        target: (B, samples, U, C) int32
    """
    windows, steps = batch.given.shape[:2]
    sizes = [head.out_features for head in model.heads]
    futures = []
    for i in range(windows):
        window = Batch(*(tensor[i : i + 1] for tensor in batch))
        for _ in range(samples):
            given = window.given[:, :1]  # (1, 1, C), the origin
            for _ in range(steps):
                logits = model(window._replace(given=given))[0, -1]  # (V,)
                values = [
                    torch.multinomial(part.softmax(-1), 1, generator=generator)
                    for part in logits.split(sizes)
                ]
                given = torch.cat([given, torch.cat(values).int()[None, None]], 1)
            futures.append(given[0, 1:])
    return torch.stack(futures).unflatten(0, (windows, samples))
