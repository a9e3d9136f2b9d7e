"""The benchmark: what it compares computes the same, what it measures is what it says, and its stored table is quoted right."""
import copy
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm.auto import tqdm

from helpers import benchmark
from helpers.benchmark import (AllQueries, BagEmbedding, _Record, batched, forms, in_a_process_of_its_own, ladder, peak_memory, plain_losses,
                               random_batch, repeated_log, standard_attention, step_of, take_turns)
from helpers.events import read_log
from helpers.losses import category_losses
from helpers.model import EventEmbedding, attend, plain_form
from helpers.schema import WORKPLACE
from small import small_batch, small_log, small_model

ROOT = Path(__file__).resolve().parent.parent
CATEGORIES = WORKPLACE.sized(10)


def test_plain_losses_and_standard_attention_are_ours():
    batch, model = small_batch(), small_model()
    sizes = [category.size for category in small_log().categories]
    logits = model(batch)
    torch.testing.assert_close(plain_losses(logits, batch.target, sizes), category_losses(logits, batch.target, sizes))
    q, k, v = torch.randn(3, 5, 4, 8)
    mask = torch.rand(5, 1, 1, 4) > 0.3
    mask[..., -1] = True
    torch.testing.assert_close(standard_attention(q, k, v, 2, mask), attend(q, k, v, 2, mask))


def test_the_other_embedding_and_the_other_queries_compute_the_same():
    batch = small_batch()
    ours, bag = EventEmbedding([c.size for c in small_log().categories], 6, 8), BagEmbedding([c.size for c in small_log().categories], 6, 8)
    bag.load_state_dict(ours.state_dict())
    torch.testing.assert_close(bag(batch.histories, 0), ours(batch.histories, 0))
    for carry in (1, 2):
        model, every = small_model(carry=carry), small_model(carry=carry)
        every.__class__ = AllQueries
        torch.testing.assert_close(every(batch), model(batch))
        assert every.carry == carry


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_step_follows_the_gradient_of_the_whole_batch(one_by_one, monkeypatch):
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, lr, **options: torch.optim.SGD(parameters, 0.1))  # so the size of a gradient is seen
    torch.manual_seed(0)
    batch, model = random_batch(CATEGORIES, 3), batched(CATEGORIES, 8)
    plain = plain_form(copy.deepcopy(model), [str(s) for s in range(7)])
    ours, theirs = step_of(model, batch, CATEGORIES), step_of(plain, batch, CATEGORIES, plain_losses, fused=False, one_by_one=one_by_one)
    for _ in range(2):
        ours()
        theirs()
    assert not torch.allclose(model.heads.bias, torch.zeros(()), atol=1e-4)
    for (name, wanted), (_, found) in zip(plain_form(model, [str(s) for s in range(7)]).named_parameters(), plain.named_parameters(), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4, msg=name)


class _Seen(TorchDispatchMode):
    """Which operations run inside, and on what kind of numbers."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        first = next((a for a in arguments if isinstance(a, torch.Tensor)), None)
        self.operations.append((function.overloadpacket.__name__, None if first is None else (tuple(first.shape), first.dtype)))
        return function(*arguments, **(options or {}))


def test_each_rung_of_the_ladder_runs_its_trick():
    def counted(step) -> dict:
        with _Seen() as seen:
            step()
        names = [name for name, _ in seen.operations]
        attention = [about[0] for name, about in seen.operations if name == "_scaled_dot_product_flash_attention_for_cpu"]
        return {"fused": "_fused_adam_" in names, "bag": "_embedding_bag_forward_only" in names or "_embedding_bag" in names, "sorted": "sort" in names,
                "heads": names.count("addmm"), "log-softmax": "_log_softmax" in names, "queries": [shape[-2] for shape in attention],
                "products": names.count("baddbmm"), "halves": any(about and about[1] == torch.bfloat16 for name, about in seen.operations if name == "mm")}

    rungs = {name: counted(step) for name, step in ladder(CATEGORIES, 3, 8).items()}
    def column(key): return [rung[key] for rung in rungs.values()]
    assert column("fused") == [False] + [True] * 10
    assert column("bag") == [False] * 2 + [True] * 9
    assert column("sorted")[3:] == [True] * 8 and not column("sorted")[2]
    assert rungs["gradient from sorted rows"]["heads"] - rungs["one head matrix"]["heads"] == 16
    assert column("log-softmax") == [True] * 5 + [False] * 6
    assert [len(queries) for queries in column("queries")] == [9] * 6 + [3] * 2 + [0] * 3
    assert rungs["all streams at once"]["queries"][0] == 20 and rungs["only the last query"]["queries"][0] == 1
    assert rungs["attention in plain products"]["products"] - rungs["no keys for one question (ours)"]["products"] == 1
    assert column("halves") == [False] * 10 + [True]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_step_is_one_step_of_adam_on_the_whole_batch(one_by_one):
    torch.manual_seed(0)
    batch, model = random_batch(CATEGORIES, 3), batched(CATEGORIES, 8)
    plain = plain_form(model, [str(s) for s in range(7)])
    before = model.decoder[0].cross_out.weight.detach().clone()  # the two forms share this layer
    step_of(model, batch, CATEGORIES)()
    ours = model.decoder[0].cross_out.weight.detach().clone()
    with torch.no_grad():
        model.decoder[0].cross_out.weight.copy_(before)
    for parameter in plain.parameters():
        parameter.grad = None
    step_of(plain, batch, CATEGORIES, plain_losses, fused=False, one_by_one=one_by_one)()
    moved = (ours - before).abs() > 5e-6  # Adam's first step is the sign of the gradient, so tiny gradients may differ
    assert moved.float().mean() > 0.9
    torch.testing.assert_close(plain.decoder.layers[0].multihead_attn.out_proj.weight[moved], ours[moved], atol=1e-6, rtol=0)


def test_every_form_and_every_trick_lowers_its_loss_on_one_batch(monkeypatch):
    seen = []

    def watched(model, batch, categories, losses=category_losses, fused=True, one_by_one=False):
        step = step_of(model, batch, categories, losses, fused, one_by_one)
        seen.append((model, batch))
        return step

    monkeypatch.setattr(benchmark, "step_of", watched)
    steps = [*forms(CATEGORIES, 3, 8).values(), *ladder(CATEGORIES, 3, 8).values()]
    assert len(steps) == len(seen) == 3 + 11
    sizes = [category.size for category in CATEGORIES]
    for step, (model, batch) in zip(steps, seen):
        with torch.no_grad():
            first = category_losses(model(batch), batch.target, sizes).mean()
        for _ in range(20):
            step()
        with torch.no_grad():
            assert category_losses(model(batch), batch.target, sizes).mean() < first


def test_turns_are_paired_and_short_steps_are_repeated(monkeypatch):
    clock, calls = [0.0], []

    def step(name: str, seconds: float):
        calls.append(name)
        clock[0] += seconds

    monkeypatch.setattr(benchmark, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(benchmark, "TURN", 0.05)
    table = take_turns({"short": lambda: step("s", 0.01), "long": lambda: step("l", 0.1)}, seconds=0, least=4)
    assert list(table) == ["short", "long"] and len(table) == 4
    assert "".join(calls) == "sl" + 2 * ("sssssl" + "lsssss")  # the first turn is not counted; who begins takes turns too
    np.testing.assert_allclose(table, [[0.01, 0.1]] * 4)


def test_recorded_products_are_those_of_the_step():
    x, layer = torch.randn(5, 3), nn.Linear(3, 2)
    with _Record() as record:
        layer(x).square().sum().backward()
    assert len(record.products) == 2  # forward, and the gradient of the weight; x needs none
    assert sorted(tuple(product().shape) for product in record.products) in ([(2, 3), (5, 2)], [(3, 2), (5, 2)])


def test_a_log_of_any_length_is_the_built_in_one_again_and_again(tmp_path):
    path = tmp_path / "log.csv"
    repeated_log(path, 323_000)  # a little more than there is
    lines = sum(1 for _ in path.open(encoding="utf-8"))
    assert lines == 323_001
    last = pd.read_csv(path, dtype=str, keep_default_na=False).tail(400)
    last.to_csv(path, index=False)
    log = read_log(path, WORKPLACE)
    assert len(log) == 400 and (np.diff(log.time) >= np.timedelta64(0)).all()
    assert all("too rare" in note for note in log.notes)  # each employee in a few rows


def test_memory_is_that_of_another_process():
    small, large = (in_a_process_of_its_own(allocate, megabytes) for megabytes in (1, 300))
    assert 250 < large - small < 400


def allocate(megabytes: int) -> float:
    np.ones(megabytes * 131072)
    return peak_memory()


@pytest.mark.long
def test_a_whole_run_writes_its_table_and_its_figure(tmp_path, monkeypatch, capsys):
    for name, value in dict(SECONDS=0, LEAST=1, TURN=0, BATCHES=(2, 4), WIDTHS=(8, 16), EVENTS=(3000, 6000), AXES={"streams": (1, 2), "carry": (1, 2)},
                            RUNS=(1, 2)).items():
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setattr(benchmark, "tqdm", lambda **options: tqdm(disable=True))
    monkeypatch.setattr(benchmark, "read_config", lambda path, changes=None: tiny(path, changes))
    monkeypatch.setattr(sys, "argv", ["benchmark", "--out", str(tmp_path), "--threads", "1"])
    benchmark.main()
    table = pd.read_csv(tmp_path / "benchmark.csv")
    assert set(table["part"]) == {"forms", "speed of ours", "gain of a trick", "products", "growth", "exponent of growth", "use",
                                  "reference run", "reading", "epochs"}
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    share = table.query("name == \"share of the products' rate\"")["value"]
    assert share.between(1, 100).all() and len(share) == 4
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    assert "times" in capsys.readouterr().out


def tiny(path, changes):
    from helpers.training import read_config
    return read_config(path, (changes or {}) | {"batches": 2, "epochs": 1})


def test_a_wrong_argument_gets_words():
    done = subprocess.run([sys.executable, "-m", "helpers.benchmark", "--threads", "0"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "error: --threads 0: must be at least 1\n"


# -- the stored table, and what the data card quotes of it

def stored() -> pd.DataFrame:
    return pd.read_csv(ROOT / "data" / "benchmark.csv", keep_default_na=False, na_values={"batch": "", "d_model": "", "size": ""})


def value(part: str, name: str, **setting) -> float:
    rows = stored().query("part == @part and name == @name")
    for key, wanted in setting.items():
        rows = rows[rows[key] == wanted]
    assert len(rows) == 1, (part, name, setting)
    return rows["value"].iloc[0]


def card_table(first: str) -> list[list[str]]:
    """The rows of the table of data/README.md whose first heading this is."""
    card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    body, = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", card, re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]


def speed_rows() -> list[list[str]]:
    rows = []
    for d_model in benchmark.WIDTHS:
        for batch in benchmark.BATCHES:
            here = dict(batch=batch, d_model=d_model)
            rows.append([str(d_model), str(batch), *(f"{value('speed of ours', f'against plain, {form}', **here):.1f}" for form in ("whole batches", "window by window")),
                         f"{value('products', 'share of the products' + chr(39) + ' rate', **here):.0f} %"])
    return rows


def trick_rows() -> list[list[str]]:
    tricks = stored().query("part == 'gain of a trick' and batch == 16")["name"]
    return [[name, *(f"{value('gain of a trick', name, batch=batch):.2f}" for batch in (16, 256))] for name in tricks]


def growth_rows() -> list[list[str]]:
    rows = []
    for axis, sizes in benchmark.AXES.items():
        rows.append([axis, f"{sizes[0]} to {sizes[-1]}", f"{value('growth', axis, size=sizes[-1]) / value('growth', axis, size=sizes[0]):.1f}",
                     f"{value('exponent of growth', axis, size=sizes[-1]):.2f}"])
    return rows


def memory_rows() -> list[list[str]]:
    return [[f"{events:,}", f"{value('reading', 'read and indexed', size=events):,.0f}", f"{value('reading', 'peak memory', size=events):,.0f}"]
            for events in benchmark.EVENTS]


@pytest.mark.parametrize("first, rows", [("d_model", speed_rows), ("trick", trick_rows), ("what grows", growth_rows), ("events", memory_rows)])
def test_the_data_card_quotes_the_stored_benchmark(first, rows):
    assert card_table(first) == rows()


def test_the_stored_benchmark_shows_what_the_data_card_says():
    ours = stored().query("part == 'speed of ours'")
    assert (ours["low"] > 3).all()  # more than three times as fast at every size
    assert value("products", "share of the products' rate", batch=256, d_model=128) >= 30
    assert value("gain of a trick", "products of 16-bit numbers (off)", batch=16) < 1 < value("gain of a trick", "products of 16-bit numbers (off)", batch=256)
    assert value("reference run", "ours against plain, window by window") > 17 * 60 / 70
    assert value("reading", "peak memory", size=1_000_000) < 1000
    exponents = stored().query("part == 'exponent of growth' and name in ('streams', 'source length')")["value"]
    assert len(exponents) and (exponents <= 1.1).all()
    assert value("epochs", "peak memory", size=64) < 1.1 * value("epochs", "peak memory", size=8)  # 2.7 MB more each, kept, would be 1.2
