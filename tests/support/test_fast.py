"""The fast forms compute what the plain ones do, on the very same parameters."""

import platform
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from small import small_batch, small_model

from helpers.losses import category_losses, multi_objective_loss
from helpers.model import (
    DecoderLayer,
    EventEmbedding,
    MultiStreamModel,
    StreamEncoderLayer,
    attend,
)
from helpers.support import fast
from helpers.support.fast import (
    MANY,
    FastDecoderLayer,
    FastEmbedding,
    FastEncoderLayer,
    SumOfRows,
    attend_fast,
    category_losses_fast,
    sort,
    speed_up,
)
from helpers.support.files import ROOT
from helpers.support.plain import make_plain
from support.toy import SIZES

# Encoder and decoder layers, carry, streams.
SHAPES = [(1, 1, 1, 7), (2, 1, 1, 3), (1, 2, 3, 7), (3, 2, 6, 1), (2, 3, 4, 2)]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("encoder_layers, decoder_layers, carry, streams", SHAPES)
def test_logits_losses_and_gradients_are_the_same(
    encoder_layers, decoder_layers, carry, streams, tied
):
    shape = dict(encoder_layers=encoder_layers, decoder_layers=decoder_layers, carry=carry)
    batch, slow = small_batch(streams), small_model(streams, **shape, tied=tied)
    fast = speed_up(small_model(streams, **shape, tied=tied))
    assert (~batch.known).any()
    batch.counted[::3, 2:] = False
    found = {}
    for form, losses in ((slow, category_losses), (fast, category_losses_fast)):
        logits = form(batch)
        each = losses(logits, batch.target, form.sizes)
        multi_objective_loss(each, batch.counted).backward()
        gradients = {name: p.grad for name, p in form.named_parameters()}
        found[form] = {"logits": logits, "losses": each} | gradients
    assert list(found[slow]) == list(found[fast])
    for name, expected in found[slow].items():
        assert expected.abs().max() > 1e-5
        torch.testing.assert_close(found[fast][name], expected, atol=1e-5, rtol=1e-4, msg=name)


def test_a_half_known_and_a_wholly_known_history_are_masked_alike():
    batch = small_batch()
    for known in (torch.ones_like(batch.known), batch.known):
        masked = batch._replace(known=known)
        slow, fast = small_model()(masked), speed_up(small_model())(masked)
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)


def test_parameters_stay_the_same_objects_under_the_same_names():
    model = small_model(encoder_layers=2, tied=True)
    keys, before = list(model.state_dict()), dict(model.named_parameters())
    buffers = dict(model.named_buffers())
    assert speed_up(model) is model
    after = dict(model.named_parameters())
    assert list(model.state_dict()) == keys
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    assert all(tensor is buffers[name] for name, tensor in model.named_buffers())
    assert type(model) is MultiStreamModel
    assert type(model.embedding) is FastEmbedding
    assert {type(layer) for layer in model.encoder} == {FastEncoderLayer}
    assert {type(layer) for layer in model.decoder} == {FastDecoderLayer}
    kinds = [type(module) for module in model.modules()]
    assert [type(module) for module in speed_up(model).modules()] == kinds


def test_classes_of_somebodys_own_are_left_alone():
    class OwnEmbedding(EventEmbedding):
        pass

    class OwnEncoderLayer(StreamEncoderLayer):
        pass

    class OwnDecoderLayer(DecoderLayer):
        pass

    model = small_model(encoder_layers=2, decoder_layers=2)
    own = {model.embedding: OwnEmbedding, model.encoder[0]: OwnEncoderLayer}
    own |= {model.decoder[1]: OwnDecoderLayer}
    for module, kind in own.items():
        module.__class__ = kind
    speed_up(model)
    assert all(type(module) is kind for module, kind in own.items())
    assert type(model.encoder[1]) is FastEncoderLayer
    assert type(model.decoder[0]) is FastDecoderLayer
    expected = small_model(encoder_layers=2, decoder_layers=2)(small_batch())
    torch.testing.assert_close(model(small_batch()), expected, atol=1e-5, rtol=0)

    plain = make_plain(small_model(), [str(s) for s in range(7)])
    kinds = [type(module) for module in plain.modules()]
    assert [type(module) for module in speed_up(plain).modules()] == kinds


def test_no_class_of_the_core_is_changed():
    speed_up(small_model())
    assert type(small_model().embedding) is EventEmbedding
    assert StreamEncoderLayer.attend is DecoderLayer.attend is attend


@pytest.mark.parametrize("places", [5, 15, 16, 40])  # softmax runs otherwise over short rows
@pytest.mark.parametrize("queries", [1, 5])
def test_fast_attention_has_the_numbers_and_gradients_of_attention(places, queries):
    torch.manual_seed(0)
    mask = torch.rand(3, 1, queries, places) > 0.3
    mask[..., -1] = True
    q, k, v = torch.randn(3, queries, 8), torch.randn(3, places, 8), torch.randn(3, places, 8)
    for given in (None, mask, mask[0, 0], mask[:, :, :1]):
        found = []
        for form in (attend, attend_fast):
            inputs = [one.clone().requires_grad_() for one in (q, k, v)]
            mixed = form(*inputs, 2, given)
            mixed.square().sum().backward()
            found.append([mixed, *(one.grad for one in inputs)])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("carry", [1, 2])
def test_dropout_acts_in_all_its_places(carry, monkeypatch):
    seen = []
    monkeypatch.setattr(F, "dropout", lambda x, p: seen.append(p) or x)
    model = small_model(carry=carry, dropout=0.25, encoder_layers=2, decoder_layers=3)
    speed_up(model).train()(small_batch())
    assert seen == [0.25] * (2 * 4 + 3 * 6)
    seen.clear()
    model.eval()(small_batch())
    assert not any(seen)


def test_summing_rows_has_the_gradient_of_the_standard_embedding_bag():
    torch.manual_seed(0)
    table, position = torch.randn(9, 4).double(), torch.randn(2, 4).double()
    rows = torch.tensor([[[0, 3, 7], [2, 3, 8]], [[0, 4, 8], [2, 4, 7]]], dtype=torch.int32)
    weights, found = torch.randn(2, 2, 4).double(), []

    def standard(table, position, rows):
        bags = F.embedding_bag(rows.flatten(0, 1), table, mode="sum")
        return bags.view(2, 2, 4) + position

    for form in (SumOfRows.apply, standard):
        inputs = [one.clone().requires_grad_() for one in (table, position)]
        summed = form(*inputs, rows)
        (summed * weights).sum().backward()
        found.append([summed, *(one.grad for one in inputs)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert not found[0][1][[1, 5, 6]].any()  # of the rows that nobody names
    inputs = [one.clone().requires_grad_() for one in (table, position)]
    assert torch.autograd.gradcheck(lambda *both: SumOfRows.apply(*both, rows), inputs)


@pytest.mark.parametrize("many", [100, MANY - 1, MANY, MANY + 1])
def test_equal_numbers_are_sorted_as_they_came(many):
    numbers = torch.randint(50, (many,), dtype=torch.int16)
    found, place = sort(numbers)
    assert torch.equal(found, numbers[place])
    both = found.long() * many + place
    assert (both[1:] > both[:-1]).all()


@pytest.mark.parametrize("start", [0, 3])
def test_the_embedding_takes_events_of_any_shape(start):
    plain, fast = EventEmbedding(SIZES, 8, 4), FastEmbedding(SIZES, 8, 4)
    fast.load_state_dict(plain.state_dict())
    for shape in ((5,), (2, 5), (3, 2, 5)):
        events = torch.stack([torch.randint(size, shape) for size in SIZES], -1).int()
        found = []
        for form in (plain, fast):
            form.zero_grad()
            vectors = form(events, start)
            vectors.square().sum().backward()
            found.append([vectors, form.values.weight.grad, form.position.grad])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


IN_THE_HEAP = """
import sys
from pathlib import Path
import torch
from helpers.support.fast import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
piece = torch.ones(7 * 10**6)  # 28 MB
for line in Path("/proc/self/maps").read_text().splitlines():
    start, end = (int(number, 16) for number in line.split()[0].split("-"))
    if start <= piece.data_ptr() < end:
        print("[heap]" in line)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone is told")
def test_large_pieces_lie_in_the_heap_which_stays():
    for how, expected in (("kept", "True"), ("given back", "False")):
        command = [sys.executable, "-c", IN_THE_HEAP, how]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == expected


@pytest.mark.parametrize("trouble", [AttributeError, OSError, TypeError])
def test_a_system_without_such_an_allocator_is_left_as_it_is(trouble, monkeypatch):
    def refuse(name):
        raise trouble

    monkeypatch.setattr(fast.ctypes, "CDLL", refuse)
    fast.keep_memory.cache_clear()
    assert isinstance(speed_up(small_model()).embedding, FastEmbedding)


# -- the losses


def far_logits(below: float, own: float = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """One category lies far below another, and its true value once below its others."""
    torch.manual_seed(0)
    logits = torch.randn(5, 2, sum(SIZES))
    target = torch.stack([torch.randint(size, (5, 2)) for size in SIZES], -1)
    logits[2:, :, 4:] -= below
    logits[3, 0, 4 + target[3, 0, 1]] -= own
    return logits, target.int()


FAR = [(0, 0), (50, 0), (70, 35), (200, 0), (0, 110), (-200, 0), (1e4, 1e4), (-1e30, 1e4)]


@pytest.mark.parametrize("below, own", FAR)
def test_the_losses_and_their_gradients_are_the_plain_ones_at_any_distance(below, own):
    logits, target = far_logits(below, own)
    weights, found = torch.rand(5, 2, 2), []
    for losses in (category_losses, category_losses_fast):
        start = logits.clone().requires_grad_()
        each = losses(start, target, SIZES)
        (each * weights).sum().backward()
        found.append((each, start.grad))
    for plain, ours in zip(*found, strict=True):
        assert plain.isfinite().all()
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_logit_that_is_no_number_is_told_as_the_plain_losses_tell_it(bad):
    logits, target = far_logits(0)
    logits[1, 1, 2] = bad
    plain = category_losses(logits, target, SIZES)
    fast = category_losses_fast(logits, target, SIZES)
    torch.testing.assert_close(fast, plain, equal_nan=True)


def test_numbers_of_16_bits_are_summed_in_32():
    logits, target = far_logits(0)
    plain = category_losses(logits.bfloat16(), target, SIZES)
    fast = category_losses_fast(logits.bfloat16(), target, SIZES)
    assert fast.dtype == plain.dtype == torch.float32
    torch.testing.assert_close(fast, plain)
