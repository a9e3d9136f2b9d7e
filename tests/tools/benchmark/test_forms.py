"""The forms of a training step compute the same, and each rung of the ladder runs its trick."""

import pytest
import torch
from small import small_batch, small_log, small_model
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.losses import category_losses
from helpers.model import (
    DecoderLayer,
    EventEmbedding,
    MultiStreamModel,
    StreamEncoderLayer,
    attend,
)
from helpers.schema import WORKPLACE
from helpers.support.fast import (
    FastDecoderLayer,
    FastEmbedding,
    FastEncoderLayer,
    attend_fast,
    category_losses_fast,
    speed_up,
)
from helpers.support.plain import PlainModel, make_plain
from helpers.tools.benchmark import forms as benchmark
from helpers.tools.benchmark.forms import (
    AllQueries,
    draw_batch,
    forms,
    ladder,
    make_core,
    make_step,
    plain_losses,
    replace_attention,
    standard_attention,
)

CATEGORIES = WORKPLACE.make_categories(10)
NAMES = [str(s) for s in range(7)]


def test_plain_losses_and_standard_attention_are_ours():
    batch, model = small_batch(), small_model()
    logits = model(batch)
    plain = plain_losses(logits, batch.target, model.sizes)
    torch.testing.assert_close(plain, category_losses(logits, batch.target, model.sizes))
    q, k, v = torch.randn(3, 5, 4, 8)
    mask = torch.rand(5, 1, 1, 4) > 0.3
    mask[..., -1] = True
    torch.testing.assert_close(standard_attention(q, k, v, 2, mask), attend(q, k, v, 2, mask))


def test_the_other_embedding_and_the_other_queries_compute_the_same():
    batch = small_batch()
    sizes = [category.size for category in small_log().categories]
    bag, ours = EventEmbedding(sizes, 6, 8), FastEmbedding(sizes, 6, 8)
    bag.load_state_dict(ours.state_dict())
    torch.testing.assert_close(bag(batch.histories, 0), ours(batch.histories, 0))
    for carry in (1, 2):
        model, every = small_model(carry=carry), small_model(carry=carry)
        every.__class__ = AllQueries
        torch.testing.assert_close(every(batch), model(batch))
        assert every.carry == carry


@pytest.mark.parametrize("other", [standard_attention, attend_fast])
def test_another_attention_computes_the_same_in_every_layer_and_in_this_model_alone(other):
    batch, model = small_batch(), small_model(encoder_layers=2)
    called = []

    def watch(*arguments):
        called.append(len(arguments[0]))
        return other(*arguments)

    changed = replace_attention(small_model(encoder_layers=2), watch)
    torch.testing.assert_close(changed(batch), model(batch), atol=1e-5, rtol=0)
    assert called == [7 * 16, 7 * 16, 16, 16]
    assert StreamEncoderLayer.attend is DecoderLayer.attend is attend


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("form", ["ours", "core"])
def test_a_step_follows_the_gradient_of_the_whole_batch(form, one_by_one, monkeypatch):
    def make_descent(parameters, lr, **options):  # so the size of a gradient is seen
        return torch.optim.SGD(parameters, 0.1)

    monkeypatch.setattr(torch.optim, "Adam", make_descent)
    torch.manual_seed(0)
    batch, model = draw_batch(CATEGORIES, 3), make_core(CATEGORIES, 8)
    start = model.heads.bias.detach().clone()
    plain = make_plain(model, NAMES)
    if form == "ours":
        ours = make_step(speed_up(model), batch, CATEGORIES)
    else:
        ours = make_step(model, batch, CATEGORIES, category_losses)
    options = dict(fused=False, one_by_one=one_by_one)
    theirs = make_step(plain, batch, CATEGORIES, plain_losses, **options)
    for _ in range(2):
        ours()
        theirs()
    assert not torch.allclose(model.heads.bias, start, atol=1e-4)
    wanted = make_plain(model, NAMES).state_dict()
    for name, found in plain.named_parameters():
        torch.testing.assert_close(found.detach(), wanted[name], atol=1e-6, rtol=1e-4, msg=name)


class Seen(TorchDispatchMode):
    """Which operations run inside, and on what kind of numbers."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        first = next((a for a in arguments if isinstance(a, torch.Tensor)), None)
        about = None if first is None else (tuple(first.shape), first.dtype)
        self.operations.append((function.overloadpacket.__name__, about))
        return function(*arguments, **(options or {}))


def count_operations(step) -> dict:
    with Seen() as seen:
        step()
    names = [name for name, _ in seen.operations]
    standard = "_scaled_dot_product_flash_attention_for_cpu"
    attention = [about[0] for name, about in seen.operations if name == standard]
    return {
        "fused": "_fused_adam_" in names,
        "bag": "_embedding_bag_forward_only" in names or "_embedding_bag" in names,
        "sorted": "searchsorted" in names,
        "heads": names.count("addmm"),
        "log-softmax": "_log_softmax" in names,
        "queries": [shape[-2] for shape in attention],
        "products": names.count("baddbmm"),
        "halves": any(a and a[1] == torch.bfloat16 for name, a in seen.operations if name == "mm"),
    }


def test_each_rung_of_the_ladder_runs_its_trick():
    rungs = {name: count_operations(step) for name, step in ladder(CATEGORIES, 3, 8).items()}

    def column(key):
        return [rung[key] for rung in rungs.values()]

    def difference(key, one, other):
        return rungs[one][key] - rungs[other][key]

    assert column("fused") == [False] + [True] * 10
    assert column("bag") == [False] * 2 + [True] * 9
    assert column("sorted")[3:] == [True] * 8
    assert not column("sorted")[2]
    assert difference("heads", "gradient from sorted rows", "one head matrix") == 16
    assert column("log-softmax") == [True] * 5 + [False] * 6
    assert [len(queries) for queries in column("queries")] == [9] * 6 + [3] * 2 + [0] * 3
    assert rungs["all streams at once"]["queries"][0] == 20
    assert rungs["only the last query"]["queries"][0] == 1
    keyless = "no keys for one question (ours)"
    assert difference("products", "attention in plain products", keyless) == 1
    assert column("halves") == [False] * 10 + [True]


def watch_steps(monkeypatch) -> list:
    """What the steps are made of from now on: model, batch, losses."""
    seen = []

    def watched(model, batch, categories, losses=category_losses_fast, *rest, **options):
        seen.append((model, batch, losses))
        return make_step(model, batch, categories, losses, *rest, **options)

    monkeypatch.setattr(benchmark, "make_step", watched)
    return seen


def test_ours_is_what_training_runs_and_the_core_is_what_is_read(monkeypatch):
    seen = watch_steps(monkeypatch)
    names = list(forms(CATEGORIES, 3, 8))
    made = dict(zip(names, seen, strict=True))
    rungs = dict(zip(ladder(CATEGORIES, 3, 8), seen[len(names) :], strict=True))
    fast = {FastEmbedding, FastEncoderLayer, FastDecoderLayer}
    written = {EventEmbedding, StreamEncoderLayer, DecoderLayer}
    halves = rungs["products of 16-bit numbers (off)"]
    for model, _, losses in (made["ours"], rungs["no keys for one question (ours)"], halves):
        assert type(model) is MultiStreamModel and losses is category_losses_fast
        assert fast <= {type(module) for module in model.modules()}
    model, _, losses = made["the core as it is read"]
    assert type(model) is MultiStreamModel and losses is category_losses
    kinds = {type(module) for module in model.modules()}
    assert written <= kinds and not fast & kinds
    for name in ("plain, whole batches", "plain, window by window"):
        assert type(made[name][0]) is PlainModel and made[name][2] is plain_losses


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_step_is_one_step_of_adam_on_the_whole_batch(one_by_one):
    torch.manual_seed(0)
    batch, model = draw_batch(CATEGORIES, 3), make_core(CATEGORIES, 8)
    plain = make_plain(model, NAMES)
    weight = model.decoder[0].cross_out.weight
    before = weight.detach().clone()
    make_step(speed_up(model), batch, CATEGORIES)()
    make_step(plain, batch, CATEGORIES, plain_losses, fused=False, one_by_one=one_by_one)()
    # Adam's first step is the sign of the gradient, so tiny gradients may differ.
    moved = (weight - before).abs() > 5e-6
    assert moved.float().mean() > 0.9
    theirs = plain.decoder.layers[0].multihead_attn.out_proj.weight
    torch.testing.assert_close(theirs[moved], weight[moved], atol=1e-6, rtol=0)


def test_every_form_and_every_trick_lowers_its_loss_on_one_batch(monkeypatch):
    seen = watch_steps(monkeypatch)
    steps = [*forms(CATEGORIES, 3, 8).values(), *ladder(CATEGORIES, 3, 8).values()]
    assert len(steps) == len(seen) == 4 + 11
    sizes = [category.size for category in CATEGORIES]

    @torch.no_grad()
    def measure_loss(model, batch):
        return category_losses(model(batch), batch.target, sizes).mean()

    for step, (model, batch, _) in zip(steps, seen, strict=True):
        first = measure_loss(model, batch)
        for _ in range(20):
            step()
        assert measure_loss(model, batch) < first
