"""The network: only the carried vectors pass, and nothing sees the future or the padding."""

import pytest
import torch
from small import SOURCE, STEPS, small_batch, small_log, small_model

from helpers.losses import category_losses, multi_objective_loss
from helpers.model import EventEmbedding, MultiStreamModel, make_waves
from helpers.support.errors import InputError
from helpers.support.fast import speed_up
from helpers.support.plain import make_plain

NAMES = [stream.name for stream in small_log().streams]
SIZES = torch.tensor([category.size for category in small_log().categories])
# What holds for the layers as they are read holds for the fast ones.
FORMS = {
    "core": lambda model: model,
    "fast": speed_up,
    "plain": lambda model: make_plain(model, NAMES).eval(),
}
BATCHED = pytest.mark.parametrize("form", [FORMS["core"], FORMS["fast"]], ids=["core", "fast"])


def loss_of(model, batch):
    losses = category_losses(model(batch), batch.target, SIZES.tolist())
    return multi_objective_loss(losses, batch.counted)


def other_values(events):
    """The events with every category's value changed."""
    return ((events + 1) % SIZES).int()


@BATCHED
def test_event_embedding_is_the_sum_of_one_vector_per_category_and_a_position(form):
    embedding = form(EventEmbedding([4, 3], 5, 8))
    torch.nn.init.normal_(embedding.position)
    vectors = embedding.values.weight
    summed = torch.stack([vectors[3] + vectors[4 + 2], vectors[0] + vectors[4 + 1]])
    expected = summed + embedding.position[2:4]
    torch.testing.assert_close(embedding(torch.tensor([[3, 2], [0, 1]]), 2), expected)


def test_what_a_new_network_attends_to_goes_on_unchanged():
    model = MultiStreamModel(small_log().categories, 3, SOURCE, STEPS, 8, 2, 2, 2)
    x = torch.randn(3, 5, 8)
    for layer in model.encoder:
        torch.testing.assert_close(layer.out(layer.key_value(x).chunk(2, -1)[1]), x)
    for layer in model.decoder:
        read = layer.cross_out(layer.cross_key_value(x).chunk(2, -1)[1])
        biases = layer.cross_key_value.bias[8:] + layer.cross_out.bias
        torch.testing.assert_close(read, x + biases)
        read = layer.self_out(layer.self_in(x).chunk(3, -1)[2])
        biases = layer.self_in.bias[16:] + layer.self_out.bias
        torch.testing.assert_close(read, x + biases)


@pytest.mark.parametrize("d_model", (8, 9))
def test_positions_start_so_that_equal_distances_look_alike(d_model):
    assert make_waves(12, d_model).shape == (12, d_model)
    start = make_waves(12, 2 * d_model)
    products = start @ start.T
    for distance in range(12):
        alike = products[0, distance].expand(12 - distance)
        torch.testing.assert_close(products.diagonal(distance), alike, atol=1e-4, rtol=0)


@BATCHED
@pytest.mark.parametrize("carry, streams", [(1, 7), (3, 2), (SOURCE, 1)])
def test_encode_gives_carry_states_for_each_stream(carry, streams, form):
    batch, model = small_batch(streams), form(small_model(streams, carry=carry, d_model=12))
    states = model.encode(batch.histories, batch.known)
    assert states.shape == (16, streams * carry, 12)


@BATCHED
@pytest.mark.parametrize("carry", [1, 3])
def test_the_states_are_all_that_the_decoder_learns_of_the_histories(carry, form, monkeypatch):
    batch, model = small_batch(), form(small_model(carry=carry))
    before, states = model(batch), model.encode(batch.histories, batch.known)
    known = batch.known.clone()
    known[:, :, :-carry] = ~known[:, :, :-carry]
    changed = batch._replace(histories=other_values(batch.histories), known=known)
    assert not torch.equal(model(changed), before)
    monkeypatch.setattr(model, "encode", lambda histories, known: states)
    assert torch.equal(model(changed), before)


@pytest.mark.parametrize("carry", [1, 3])
def test_only_the_last_carried_vectors_of_each_history_receive_a_gradient(carry):
    batch, plain = small_batch(), FORMS["plain"](small_model(carry=carry, encoder_layers=2))
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


@BATCHED
def test_a_target_event_changes_no_earlier_prediction_and_every_later_one(form):
    batch, model = small_batch(), form(small_model(decoder_layers=2))
    before = model(batch)
    for u in range(STEPS):
        given = batch.given.clone()
        given[:, u] = other_values(given[:, u])
        after = model(batch._replace(given=given))
        assert torch.equal(after[:, :u], before[:, :u])
        assert (after[:, u:] != before[:, u:]).any(-1).all()


@pytest.mark.parametrize("carry", [1, 3])
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_values_in_padded_places_change_nothing(form, carry):
    batch, model = small_batch(), form(small_model(carry=carry, encoder_layers=2))
    changed = torch.where(batch.known[..., None], batch.histories, other_values(batch.histories))
    assert not torch.equal(changed, batch.histories)
    assert torch.equal(model(batch._replace(histories=changed)), model(batch))


@BATCHED
def test_gradients_reach_every_parameter_and_position(form):
    batch, model = small_batch(), form(small_model(encoder_layers=2, decoder_layers=2))
    loss_of(model, batch).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert [name for name, grad in gradients.items() if grad is None or not grad.any()] == []
    assert model.embedding.position.grad.any(1).all()
    for layer in model.encoder:  # each stream has weights of its own
        assert layer.wide.weight.grad.flatten(1).any(1).all()


@BATCHED
def test_dropout_acts_in_training_alone(form):
    batch, model = small_batch(), form(small_model(dropout=0.5))
    assert torch.equal(model(batch), model(batch))
    model.train()
    assert not torch.equal(model(batch), model(batch))


@pytest.mark.parametrize("carry", [1, 2])
def test_dropout_acts_in_all_its_places(carry, monkeypatch):
    seen = []
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, p: seen.append(p) or x)
    model = small_model(carry=carry, dropout=0.25, encoder_layers=2, decoder_layers=3)
    model.train()(small_batch())
    # Attention, its output, and both of the feed-forward block; in a decoder layer attention twice.
    assert seen == [0.25] * (2 * 4 + 3 * 6)


@BATCHED
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_another_device_gives_the_same_logits_and_gradients(device, form):
    if not getattr(torch, device).is_available():
        pytest.skip(f"no {device} device here")
    batch, model = small_batch(), form(small_model())
    expected = model(batch)
    loss_of(model, batch).backward()
    gradient = model.embedding.values.weight.grad.clone()
    model, batch = model.to(device), batch.to(device)
    model.zero_grad()
    loss_of(model, batch).backward()
    torch.testing.assert_close(model(batch).cpu(), expected, atol=1e-3, rtol=1e-3)
    found = model.embedding.values.weight.grad.cpu()
    torch.testing.assert_close(found, gradient, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "shape, named",
    [
        ({"d_model": 8, "num_heads": 3}, "num_heads 3"),
        ({"carry": 0}, "carry"),
        ({"carry": SOURCE + 1}, "carry"),
    ],
)
def test_shapes_that_cannot_work_are_refused(shape, named):
    with pytest.raises(InputError, match=named):
        small_model(**shape)
