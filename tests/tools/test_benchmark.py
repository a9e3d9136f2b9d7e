"""The benchmark: what it compares computes the same, and it measures what it says.

And its stored table is quoted right.
"""

import json
import math
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small import small_batch, small_log, small_model
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm.auto import tqdm

from helpers.events import read_log
from helpers.losses import category_losses
from helpers.model import (
    DecoderLayer,
    EventEmbedding,
    MultiStreamModel,
    StreamEncoderLayer,
    attend,
)
from helpers.schema import WORKPLACE
from helpers.support.errors import InputError
from helpers.support.fast import (
    FastDecoderLayer,
    FastEmbedding,
    FastEncoderLayer,
    attend_fast,
    category_losses_fast,
    speed_up,
)
from helpers.support.files import ROOT
from helpers.support.plain import PlainModel, make_plain
from helpers.tools import benchmark
from helpers.tools.benchmark import (
    AllQueries,
    RecordProducts,
    draw_batch,
    forms,
    ladder,
    make_core,
    make_step,
    measure_reading,
    peak_memory,
    plain_losses,
    repeat_log,
    replace_attention,
    run_apart,
    standard_attention,
    take_turns,
)
from helpers.training import read_config

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


def test_turns_are_paired_and_short_steps_are_repeated(monkeypatch):
    clock, calls = [0.0], []

    def step(name: str, seconds: float):
        calls.append(name)
        clock[0] += seconds

    monkeypatch.setattr(benchmark, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(benchmark, "TURN", 0.05)
    steps = {"short": lambda: step("s", 0.01), "long": lambda: step("l", 0.1)}
    table = take_turns(steps, seconds=0, least=4)
    assert list(table) == ["short", "long"] and len(table) == 4
    # The first turn is not counted; who begins takes turns too.
    assert "".join(calls) == "sl" + 2 * ("sssssl" + "lsssss")
    np.testing.assert_allclose(table, [[0.01, 0.1]] * 4)


def test_recorded_products_are_those_of_the_step():
    x, layer = torch.randn(5, 3), nn.Linear(3, 2)
    with RecordProducts() as record:
        layer(x).square().sum().backward()
    # Forward, and the gradient of the weight; x needs none.
    shapes = sorted(tuple(product().shape) for product in record.products)
    assert shapes in ([(2, 3), (5, 2)], [(3, 2), (5, 2)])


def test_a_log_of_any_length_is_the_built_in_one_again_and_again(tmp_path):
    path = tmp_path / "log.csv"
    repeat_log(path, 323_000)  # a little more than there is
    lines = sum(1 for _ in path.open(encoding="utf-8"))
    assert lines == 323_001
    last = pd.read_csv(path, dtype=str, keep_default_na=False).tail(400)
    last.to_csv(path, index=False)
    log = read_log(path, WORKPLACE)
    assert len(log) == 400
    assert (np.diff(log.time) >= np.timedelta64(0)).all()
    assert all("too rare" in note for note in log.notes)  # each employee in a few rows


def test_reading_reads_the_log_beside_its_mapping(tmp_path):
    path = tmp_path / "log.csv"
    repeat_log(path, 3000)
    with pytest.raises(InputError, match="mapping.json"):
        measure_reading(str(path))
    path.with_name("mapping.json").write_text(json.dumps(WORKPLACE.model_dump()))
    seconds, peak = measure_reading(str(path))
    assert seconds > 0
    assert peak == peak_memory() or math.isnan(peak)


def test_memory_is_that_of_another_process():
    small, large = (run_apart(allocate, megabytes) for megabytes in (1, 300))
    assert 250 < large - small < 400


def allocate(megabytes: int) -> float:
    np.ones(megabytes * 131072)
    return peak_memory()


@pytest.mark.long
def test_a_whole_run_writes_its_table_and_its_figure(tmp_path, monkeypatch, capsys):
    settings = dict(
        SECONDS=0,
        LEAST=1,
        TURN=0,
        BATCHES=(2, 4),
        WIDTHS=(8, 16),
        EVENTS=(3000, 6000),
        AXES={"streams": (1, 2), "carry": (1, 2)},
        RUNS=(1, 2),
    )
    for name, value in settings.items():
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setattr(benchmark, "tqdm", lambda **options: tqdm(disable=True))
    monkeypatch.setattr(benchmark, "read_config", read_tiny)
    benchmark.main(["--out", str(tmp_path), "--threads", "1"])
    table = pd.read_csv(tmp_path / "benchmark.csv")
    assert set(table["part"]) == {
        "forms",
        "speed of ours",
        "gain of a trick",
        "products",
        "growth",
        "exponent of growth",
        "use",
        "reference run",
        "reading",
        "epochs",
    }
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    share = table.query('name == "share of the products\' rate"')["value"]
    assert share.between(1, 100).all() and len(share) == 4
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    assert "times" in capsys.readouterr().out


def read_tiny(path, changes=None):
    return read_config(path, (changes or {}) | {"batches": 2, "epochs": 1})


def test_a_wrong_argument_gets_words():
    command = [sys.executable, "-m", "helpers.tools.benchmark", "--threads", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: --threads 0: must be at least 1\n"


# -- the stored table, and what the data card quotes of it


def stored() -> pd.DataFrame:
    empty = {"batch": "", "d_model": "", "size": ""}
    return pd.read_csv(ROOT / "data" / "benchmark.csv", keep_default_na=False, na_values=empty)


def value(part: str, name: str, **setting) -> float:
    rows = stored().query("part == @part and name == @name")
    for key, wanted in setting.items():
        rows = rows[rows[key] == wanted]
    assert len(rows) == 1, (part, name, setting)
    return rows["value"].iloc[0]


def card_table(first: str) -> list[list[str]]:
    """The rows of the table of data/README.md whose first heading this is."""
    card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", card, re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]


def speed_rows() -> list[list[str]]:
    rows = []
    for d_model in benchmark.WIDTHS:
        for batch in benchmark.BATCHES:
            here = dict(batch=batch, d_model=d_model)
            whole = value("speed of ours", "against plain, whole batches", **here)
            single = value("speed of ours", "against plain, window by window", **here)
            share = value("products", "share of the products' rate", **here)
            rows.append(
                [str(d_model), str(batch), f"{whole:.1f}", f"{single:.1f}", f"{share:.0f} %"]
            )
    return rows


def trick_rows() -> list[list[str]]:
    rows = []
    for name in stored().query("part == 'gain of a trick' and batch == 16")["name"]:
        gains = [value("gain of a trick", name, batch=batch) for batch in (16, 256)]
        rows.append([name, *(f"{gain:.2f}" for gain in gains)])
    return rows


def growth_rows() -> list[list[str]]:
    rows = []
    for axis, sizes in benchmark.AXES.items():
        least, most = (value("growth", axis, size=size) for size in (sizes[0], sizes[-1]))
        exponent = value("exponent of growth", axis, size=sizes[-1])
        between = f"{sizes[0]} to {sizes[-1]}"
        rows.append([axis, between, f"{most / least:.1f}", f"{exponent:.2f}"])
    return rows


def memory_rows() -> list[list[str]]:
    rows = []
    for events in benchmark.EVENTS:
        names = ("read and indexed", "peak memory")
        values = [value("reading", name, size=events) for name in names]
        rows.append([f"{events:,}", *(f"{one:,.0f}" for one in values)])
    return rows


@pytest.mark.parametrize(
    "first, rows",
    [
        ("d_model", speed_rows),
        ("trick", trick_rows),
        ("what grows", growth_rows),
        ("events", memory_rows),
    ],
)
def test_the_data_card_quotes_the_stored_benchmark(first, rows):
    assert card_table(first) == rows()


def test_the_stored_benchmark_shows_what_the_data_card_says():
    ours = stored().query("part == 'speed of ours' and name.str.startswith('against plain')")
    assert len(ours) and (ours["low"] > 3).all()  # more than three times as fast at every size
    assert value("products", "share of the products' rate", batch=256, d_model=128) >= 30
    small, large = (
        value("gain of a trick", "products of 16-bit numbers (off)", batch=batch)
        for batch in (16, 256)
    )
    assert small < 1 < large
    assert value("reference run", "ours against plain, window by window") > 17 * 60 / 70
    assert value("reading", "peak memory", size=1_000_000) < 1000
    linear = "part == 'exponent of growth' and name in ('streams', 'source length')"
    exponents = stored().query(linear)["value"]
    assert len(exponents) and (exponents <= 1.1).all()
    eight, many = (value("epochs", "peak memory", size=size) for size in (8, 64))
    assert many < 1.1 * eight  # 2.7 MB more each, kept, would be 1.2
