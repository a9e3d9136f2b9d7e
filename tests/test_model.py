"""The network: both forms agree, only the carried vectors pass, and nothing sees the future or the padding."""
import math

import pytest
import torch

from helpers.losses import category_losses, multi_objective_loss
from helpers.model import EventEmbedding, MultiStreamModel, SumOfRows, attend, attention_recorded, plain_form, rollout, split_heads, waves
from helpers.schema import InputError
from small import SOURCE, STEPS, small_batch, small_log, small_model

NAMES = [stream.name for stream in small_log().streams]
SIZES = torch.tensor([category.size for category in small_log().categories])
SHAPES = [(1, 1, 1, 7), (2, 1, 1, 3), (1, 2, 3, 7), (3, 2, SOURCE, 1), (2, 3, 4, 2)]  # encoder and decoder layers, carry, streams


def loss_of(model, batch):
    return multi_objective_loss(category_losses(model(batch), batch.target, SIZES.tolist()), batch.counts).mean()


def both_forms(**shape):
    model = small_model(**shape)
    return model, plain_form(model, NAMES)


def other_values(events):
    """The events with every category's value changed."""
    return ((events + 1) % SIZES).int()


@pytest.mark.parametrize("encoder_layers, decoder_layers, carry, streams", SHAPES)
def test_plain_and_batched_form_give_the_same_logits_and_gradients(encoder_layers, decoder_layers, carry, streams):
    batch = small_batch(streams)
    model = small_model(streams, encoder_layers=encoder_layers, decoder_layers=decoder_layers, carry=carry)
    plain = plain_form(model, NAMES[:streams]).eval()
    for form in (model, plain):
        loss_of(form, batch).backward()
    torch.testing.assert_close(plain(batch), model(batch), atol=1e-5, rtol=0)
    first, tables = plain.encoders[NAMES[0]].layers[0].self_attn.in_proj_weight.grad, plain.embedding.values
    theirs_and_ours = [
        (torch.cat([table.weight.grad for table in tables]), model.embedding.values.weight.grad),
        (plain.embedding.position.grad, model.embedding.position.grad),
        (torch.cat([head.weight.grad for head in plain.heads]), model.heads.weight.grad),
        (torch.cat([head.bias.grad for head in plain.heads]), model.heads.bias.grad),
        (first.T, torch.cat([model.encoder[0].query.weight.grad[0], model.encoder[0].key_value.weight.grad[0]], 1)),
    ]
    for theirs, ours in theirs_and_ours:
        assert ours.abs().max() > 1e-4
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=1e-4)
    with torch.no_grad():  # standard layers take another path here
        torch.testing.assert_close(plain(batch), model(batch), atol=1e-5, rtol=0)


def test_tied_heads_share_the_weights_of_the_event_embedding_in_both_forms():
    batch, (model, plain) = small_batch(), both_forms(tied=True)
    assert model.heads.weight is model.embedding.values.weight and plain.heads[2].weight is plain.embedding.values[2].weight
    assert not small_model().heads.weight is small_model().embedding.values.weight
    torch.testing.assert_close(plain.eval()(batch), model(batch), atol=1e-5, rtol=0)


def test_event_embedding_is_the_sum_of_one_vector_per_category_and_a_position():
    embedding = EventEmbedding([4, 3], 5, 8)
    torch.nn.init.normal_(embedding.position)
    vectors = embedding.values.weight
    expected = torch.stack([vectors[3] + vectors[4 + 2], vectors[0] + vectors[4 + 1]]) + embedding.position[2:4]
    torch.testing.assert_close(embedding(torch.tensor([[3, 2], [0, 1]]), 2), expected)


def test_what_a_new_network_attends_to_goes_on_unchanged():
    model = MultiStreamModel(small_log().categories, 3, SOURCE, STEPS, 8, 2, 2, 2)
    x = torch.randn(3, 5, 8)
    for layer in model.encoder:
        torch.testing.assert_close(layer.out(layer.key_value(x).chunk(2, -1)[1]), x)
    for layer in model.decoder:
        torch.testing.assert_close(layer.cross_out(layer.cross_key_value(x).chunk(2, -1)[1]),
                                   x + layer.cross_key_value.bias[8:] + layer.cross_out.bias)
        torch.testing.assert_close(layer.self_out(layer.self_in(x).chunk(3, -1)[2]), x + layer.self_in.bias[16:] + layer.self_out.bias)


@pytest.mark.parametrize("d_model", (8, 9))
def test_positions_start_so_that_equal_distances_look_alike(d_model):
    assert waves(12, d_model).shape == (12, d_model)
    start = waves(12, 2 * d_model)
    products = start @ start.T
    for distance in range(12):
        torch.testing.assert_close(products.diagonal(distance), products[0, distance].expand(12 - distance), atol=1e-4, rtol=0)


@pytest.mark.parametrize("carry, streams", [(1, 7), (3, 2), (SOURCE, 1)])
def test_encode_gives_carry_states_for_each_stream(carry, streams):
    batch = small_batch(streams)
    assert small_model(streams, carry=carry, d_model=12).encode(batch.histories, batch.known).shape == (16, streams * carry, 12)


@pytest.mark.parametrize("carry", [1, 3])
def test_the_states_are_all_that_the_decoder_learns_of_the_histories(carry, monkeypatch):
    batch, model = small_batch(), small_model(carry=carry)
    before, states = model(batch), model.encode(batch.histories, batch.known)
    known = batch.known.clone()
    known[:, :, :-carry] = ~known[:, :, :-carry]
    changed = batch._replace(histories=other_values(batch.histories), known=known)
    assert not torch.equal(model(changed), before)
    monkeypatch.setattr(model, "encode", lambda histories, known: states)
    assert torch.equal(model(changed), before)


@pytest.mark.parametrize("carry", [1, 3])
def test_only_the_last_carried_vectors_of_each_history_receive_a_gradient(carry):
    batch, (_, plain) = small_batch(), both_forms(carry=carry, encoder_layers=2)
    encoded = []

    def keep(encoder, given, out):
        out.retain_grad()
        encoded.append(out)

    for encoder in plain.encoders.values():
        encoder.register_forward_hook(keep)
    loss_of(plain, batch).backward()
    assert len(encoded) == 7
    for s, vectors in enumerate(encoded):
        carried = torch.zeros_like(batch.known[:, s])
        carried[:, -carry:] = batch.known[:, s, -carry:]
        assert torch.equal(vectors.grad.abs().sum(-1) > 0, carried)


def test_a_target_event_changes_no_earlier_prediction_and_every_later_one():
    batch, model = small_batch(), small_model(decoder_layers=2)
    before = model(batch)
    for u in range(STEPS):
        given = batch.given.clone()
        given[:, u] = other_values(given[:, u])
        after = model(batch._replace(given=given))
        assert torch.equal(after[:, :u], before[:, :u])
        assert (after[:, u:] != before[:, u:]).any(-1).all()


@pytest.mark.parametrize("carry", [1, 3])
@pytest.mark.parametrize("form", [0, 1], ids=["batched", "plain"])
def test_values_in_padded_places_change_nothing(form, carry):
    batch, model = small_batch(), both_forms(carry=carry, encoder_layers=2)[form]
    changed = torch.where(batch.known[..., None], batch.histories, other_values(batch.histories))
    assert not torch.equal(changed, batch.histories)
    assert torch.equal(model(batch._replace(histories=changed)), model(batch))


def test_gradients_reach_every_parameter_and_position():
    batch, model = small_batch(), small_model(encoder_layers=2, decoder_layers=2)
    loss_of(model, batch).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert model.embedding.position.grad.any(1).all()
    for layer in model.encoder:  # each stream has weights of its own
        assert layer.wide.weight.grad.flatten(1).any(1).all()


def test_dropout_acts_in_training_alone():
    batch, model = small_batch(), small_model(dropout=0.5)
    assert torch.equal(model(batch), model(batch))
    assert torch.equal(rollout(model.train(), batch), rollout(model, batch)) and model.training  # forecasts drop nothing
    assert not torch.equal(model(batch), model(batch))


@pytest.mark.parametrize("carry", [1, 2])
def test_dropout_acts_in_all_its_places(carry, monkeypatch):
    seen = []
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, p: seen.append(p) or x)
    small_model(carry=carry, dropout=0.25, encoder_layers=2, decoder_layers=3).train()(small_batch())
    assert seen == [0.25] * (2 * 4 + 3 * 6)  # attention, its output, and both of the feed-forward block; twice attention in a decoder layer


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_another_device_gives_the_same_logits_and_gradients(device):
    if not getattr(torch, device).is_available():
        pytest.skip(f"no {device} device here")
    batch, model = small_batch(), small_model()
    expected = model(batch)
    loss_of(model, batch).backward()
    gradient = model.embedding.values.weight.grad.clone()
    model, batch = model.to(device), batch.to(device)
    model.zero_grad()
    loss_of(model, batch).backward()
    torch.testing.assert_close(model(batch).cpu(), expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(model.embedding.values.weight.grad.cpu(), gradient, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("shape, named", [({"d_model": 8, "num_heads": 3}, "num_heads 3"), ({"carry": 0}, "carry"),
                                          ({"carry": SOURCE + 1}, "carry")])
def test_shapes_that_cannot_work_are_refused(shape, named):
    with pytest.raises(InputError, match=named):
        small_model(**shape)


def test_summing_rows_has_the_gradient_of_the_standard_embedding_bag():
    table, rows = torch.randn(9, 4, dtype=torch.double), torch.tensor([[0, 3, 7], [3, 3, 8], [0, 1, 8]], dtype=torch.int32)  # 2, 4 to 6 unnamed
    ours, theirs = table.clone().requires_grad_(), table.clone().requires_grad_()
    weights = torch.randn(3, 4, dtype=torch.double)
    (SumOfRows.apply(ours, rows) * weights).sum().backward()
    (torch.nn.functional.embedding_bag(rows, theirs, mode="sum") * weights).sum().backward()
    assert torch.equal(SumOfRows.apply(ours, rows), table[rows.long()].sum(1))
    assert torch.allclose(ours.grad, theirs.grad) and not ours.grad[[2, 4, 5, 6]].any()
    assert torch.autograd.gradcheck(lambda table: SumOfRows.apply(table, rows), table.clone().requires_grad_())


def test_a_rollout_is_the_network_read_step_by_step():
    model, batch = small_model(), small_batch()
    events = rollout(model, batch)
    assert events.shape == batch.target.shape and events.dtype == torch.int32
    own = batch._replace(given=torch.cat([batch.given[:, :1], events[:, :-1]], 1))  # what it said, given to it
    best = torch.stack([part.argmax(-1) for part in model(own).split(model.sizes, -1)], -1)
    assert torch.equal(events, best.int())


def test_a_rollout_reads_nothing_of_the_target():
    model, batch = small_model(), small_batch()
    blind = batch._replace(target=batch.target * 0, event=batch.event * 0, given=torch.cat([batch.given[:, :1], batch.given[:, 1:] * 0], 1))
    assert torch.equal(rollout(model, batch), rollout(model, blind))


def test_a_drawn_rollout_follows_the_heads_probabilities():
    model, batch = small_model(), small_batch()
    many = type(batch)(*(tensor[:1].expand(4000, *tensor.shape[1:]) for tensor in batch))
    first = rollout(model, many._replace(given=many.given[:, :1]), torch.Generator().manual_seed(0))[:, 0, 0]
    p = model(batch)[0, 0, :model.sizes[0]].softmax(-1)
    assert torch.allclose(torch.bincount(first, minlength=model.sizes[0]) / 4000, p, atol=0.03)


def test_recorded_attention_is_that_of_the_standard_layers():
    model, batch = small_model(encoder_layers=2), small_batch()
    with attention_recorded() as seen:
        logits = model(batch)
    assert torch.equal(model(batch), logits) and len(seen) == 4  # two encoder layers, then self and cross
    S, B = batch.known.shape[1], batch.known.shape[0]
    encoder, last, self_attention, cross = seen
    assert encoder.shape == (S * B, 2, SOURCE, SOURCE) and last.shape == (S * B, 2, 1, SOURCE)
    assert self_attention.shape == (B, 2, STEPS, STEPS) and cross.shape == (B, 2, STEPS, S)
    assert all(torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5) for weights in seen)
    padded = ~batch.known.transpose(0, 1).reshape(S * B, 1, 1, SOURCE).expand_as(last)
    assert padded.any() and last[padded].abs().max() == 0
    assert self_attention.triu(1).abs().max() == 0  # no later event
    layer = model.decoder[-1]  # the cross-attention once more, by the formula
    states, x = model.encode(batch.histories, batch.known), model.embedding(batch.given, model.origin)
    q, k, v = layer.self_in(layer.norm1(x)).chunk(3, -1)
    x = x + layer.self_out(attend(q, k, v, 2, torch.ones(STEPS, STEPS, dtype=torch.bool).tril()))
    q, k = layer.cross_query(layer.norm2(x)), layer.cross_key_value(states).chunk(2, -1)[0]
    scores = split_heads(q, 2) @ split_heads(k, 2).transpose(-1, -2) / math.sqrt(q.shape[-1] / 2)
    assert torch.allclose(cross, scores.softmax(-1), atol=1e-5)
