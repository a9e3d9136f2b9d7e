"""The plain form is the batched one, from standard layers and with weights of its own."""

import pytest
import torch
from small import SOURCE, STEPS, small_batch, small_log, small_model

from helpers.losses import category_losses, multi_objective_loss
from helpers.support.fast import category_losses_fast, speed_up
from helpers.support.plain import make_plain, sample_one_by_one
from helpers.uses.forecast import make_reader, sample
from helpers.windows import Batch

NAMES = [stream.name for stream in small_log().streams]
# Encoder and decoder layers, carry, streams.
SHAPES = [(1, 1, 1, 7), (2, 1, 1, 3), (1, 2, 3, 7), (3, 2, SOURCE, 1), (2, 3, 4, 2)]


def loss_of(model, batch, sizes, losses=category_losses):
    return multi_objective_loss(losses(model(batch), batch.target, sizes), batch.counted)


@pytest.mark.parametrize("fast", [False, True], ids=["core", "fast"])
@pytest.mark.parametrize("encoder_layers, decoder_layers, carry, streams", SHAPES)
def test_plain_and_batched_form_give_the_same_logits_and_gradients(
    encoder_layers, decoder_layers, carry, streams, fast
):
    batch = small_batch(streams)
    shape = dict(encoder_layers=encoder_layers, decoder_layers=decoder_layers, carry=carry)
    model = small_model(streams, **shape)
    plain = make_plain(model, NAMES[:streams]).eval()
    losses = category_losses
    if fast:
        model, losses = speed_up(model), category_losses_fast
    ours, theirs = loss_of(model, batch, model.sizes, losses), loss_of(plain, batch, model.sizes)
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(plain(batch), model(batch), atol=1e-5, rtol=0)
    tables, layer = plain.embedding.values, model.encoder[0]
    first = plain.encoders[NAMES[0]].layers[0].self_attn.in_proj_weight.grad
    last = torch.cat([layer.query.weight.grad[0], layer.key_value.weight.grad[0]], 1)
    theirs_and_ours = [
        (torch.cat([table.weight.grad for table in tables]), model.embedding.values.weight.grad),
        (plain.embedding.position.grad, model.embedding.position.grad),
        (torch.cat([head.weight.grad for head in plain.heads]), model.heads.weight.grad),
        (torch.cat([head.bias.grad for head in plain.heads]), model.heads.bias.grad),
        (first.T, last),
    ]
    for theirs, ours in theirs_and_ours:
        assert ours.abs().max() > 1e-4
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=1e-4)
    with torch.no_grad():  # standard layers take another path here
        torch.testing.assert_close(plain(batch), model(batch), atol=1e-5, rtol=0)


def test_tied_heads_share_the_weights_of_the_event_embedding_in_both_forms():
    batch, model = small_batch(), small_model(tied=True)
    plain = make_plain(model, NAMES)
    assert model.heads.weight is model.embedding.values.weight
    assert plain.heads[2].weight is plain.embedding.values[2].weight
    untied = small_model()
    assert untied.heads.weight is not untied.embedding.values.weight
    torch.testing.assert_close(plain.eval()(batch), model(batch), atol=1e-5, rtol=0)


@pytest.mark.parametrize("tied", [False, True])
def test_no_storage_is_shared_and_a_step_of_one_leaves_the_other_as_it_is(tied):
    batch, model = small_batch(), small_model(tied=tied, encoder_layers=2, decoder_layers=2)
    plain = make_plain(model, NAMES).eval()

    def list_storages(form):
        tensors = [*form.parameters(), *form.buffers()]
        return {tensor.untyped_storage().data_ptr() for tensor in tensors}

    assert not list_storages(plain) & list_storages(model)
    sizes = model.sizes
    for moved, still in ((model, plain), (plain, model)):
        before = {name: value.clone() for name, value in still.state_dict().items()}
        start = moved(batch).detach()
        optimizer = torch.optim.SGD(moved.parameters(), 0.1)
        loss_of(moved, batch, sizes).backward()
        assert not any(p.grad is not None and p.grad.any() for p in still.parameters())
        optimizer.step()
        optimizer.zero_grad()
        assert not torch.equal(moved(batch), start)
        after = still.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())


def first_windows(count: int) -> Batch:
    return Batch(*(tensor[:count] for tensor in small_batch()))


def test_each_step_of_a_future_drawn_alone_is_drawn_from_what_the_batched_form_says():
    model, batch, asked = small_model(), first_windows(2), []
    plain = make_plain(model, NAMES).eval()
    plain.register_forward_hook(lambda _, given, logits: asked.append(logits[0, -1]))
    futures = sample_one_by_one(plain, batch, 3, torch.Generator())  # (2, 3, U, C)
    assert futures.shape == (2, 3, STEPS, len(model.sizes)) and futures.dtype == torch.int32
    origin = batch.given[:, None, :1].expand(-1, 3, -1, -1)
    given = torch.cat([origin, futures[:, :, :-1]], 2)
    logits = make_reader(speed_up(model), batch)(given, STEPS)  # (2, 3, U, V)
    torch.testing.assert_close(torch.stack(asked), logits.flatten(0, 2), atol=1e-5, rtol=0)


def test_futures_drawn_alone_and_together_have_the_same_shares_which_are_the_probabilities():
    model, batch, samples = small_model(), first_windows(1), 1000
    batch = batch._replace(given=batch.given[:, :1])  # the next event alone
    with torch.no_grad():
        expected = model(batch)[0, 0, : model.sizes[0]].softmax(-1)  # of each kind of event
    plain = make_plain(model, NAMES).eval()
    alone = sample_one_by_one(plain, batch, samples, torch.Generator().manual_seed(0))
    together = sample(model, batch, samples, torch.Generator().manual_seed(0))
    error = (expected * (1 - expected) / samples).sqrt()
    for futures in (alone, together):
        shares = futures[0, :, 0, 0].bincount(minlength=len(expected)) / samples
        assert ((shares - expected).abs() < 4 * error).all()
        assert (shares - expected.flip(0)).abs().max() > 10 * error.max()  # another's is told apart
