"""Faulty configurations, mappings and checkpoints, and commands without sense.

Each is refused in one line, before any harm.
"""

import json
import math
import os
import pickle
import runpy
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file
from small import small_config, small_data, small_model, write_log
from test_bad_logs import GOOD as LOG
from test_bad_logs import check_refused

from helpers.schema import read_mapping
from helpers.support.checkpoints import copy_weights, load_run
from helpers.support.errors import InputError
from helpers.tools import train
from helpers.training import Config, Data, ModelConfig, Trainer, load_data, read_config

ROOT = Path(__file__).resolve().parent.parent
HUGE = 10**12
DEEP = "[" * 100_000
SETTINGS = {
    "src_seq_len": 4,
    "tgt_seq_len": 3,
    "epochs": 1,
    "batch_size": 4,
    "batches": 2,
    "model": {"d_model": 8, "num_heads": 2},
}
MAPPING = {
    "sequence": "what",
    "time": "when",
    "min_count": 1,
    "categories": {"what": {"column": "what", "size": 9}},
    "streams": {"what": "what"},
}


def changed(whole: dict, path: str, value) -> str:
    """JSON with the value at a dotted path put in place."""
    whole = json.loads(json.dumps(whole))
    *outer, last = path.split(".")
    place = whole
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = value
    return json.dumps(whole)


# path of the key: its bad values, what the refusal must say of the key, and what else
KEYS = [
    ("src_seq_len", [0, -3, "20", 2.5, None, [], HUGE, 10**400], "'src_seq_len'"),
    ("tgt_seq_len", [0, HUGE], "'tgt_seq_len'"),
    ("id_category_size", [1, 0, -1, HUGE], "'id_category_size'"),
    ("epochs", [-1, HUGE, {}], "'epochs'"),
    ("batches", [0, HUGE], "'batches'"),
    ("grad_accum", [0, False], "'grad_accum'"),
    ("seed", [-1, 2**63, 1.0], "'seed'"),
    ("model", [None, [], "big"], "'model'"),
    ("model.d_model", [0, 7, HUGE, "32"], "'d_model'|'model.d_model'"),
    ("model.num_heads", [0, 3, HUGE], "num_heads"),
    ("model.encoder_layers", [0, HUGE, [1, 2]], "encoder_layers"),
    ("model.dropout", [0.1], "'dropout'"),
    ("learning_rate", [-1, float("nan"), float("inf"), 10**400, "fast", None], "'learning_rate'"),
    ("weight_decay", [float("-inf"), True], "'weight_decay'"),
    ("clip_norm", [0, -1.0, "1"], "'clip_norm'"),
    ("dropout", [1, 2.5, float("nan")], "'dropout'"),
    ("step_decay", [-0.1, []], "'step_decay'"),
    ("carry", [0, 5, HUGE], "'carry'"),
    ("tied", [0, "yes", None], "'tied'"),
    ("shuffle", ["true"], "'shuffle'"),
    ("schedule", ["", "Cosine", "linear", None, 1], "'schedule'"),
    ("precision", ["float16", "", 16, None], "'precision'"),
    ("device", ["", "gpu", "cuda:99", "meta", 0, "cpu\0"], "'device'"),
    ("streams", ["Actor", {"Actor": 1}, 3], "'streams'"),
    ("log", ["", 3, ["log.csv"]], "'log'"),
    ("mapping", ["", {}, "a\0b"], "'mapping'"),
    ("model_checkpoint", ["", False, "a\0b"], "'model_checkpoint'"),
    ("out", ["", "a\0b", 1, [], "config.json", "config.json/below/it"], "'out'"),
    ("Epochs", [3], "'Epochs'"),
    ("", [3], "''"),
    ("x" * 300, [3], "unknown key"),
]


@pytest.mark.parametrize(
    "path, value, said",
    [
        pytest.param(path, value, said, id=f"{path[:20]}={str(value)[:20]!r}")
        for path, values, said in KEYS
        for value in values
    ],
)
def test_a_bad_value_is_refused_by_file_and_key(tmp_path, monkeypatch, path, value, said):
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(changed(SETTINGS, path, value))
    with pytest.raises(InputError) as caught:
        read_config("config.json")
    message = str(caught.value)
    assert message.startswith("config.json") and any(word in message for word in said.split("|")), (
        message
    )
    assert len(message.splitlines()) == 1 and len(message) < 800


def test_the_settings_that_are_spoilt_here_are_good(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    assert read_config(tmp_path / "config.json").batches == 2


@pytest.mark.parametrize(
    "settings, said",
    [
        (
            {"model": {"d_model": 2**17}, "id_category_size": 10},
            "the weights of its model would take about",
        ),
        (
            {"model": {"d_model": 32, "decoder_layers": 2**20}},
            "the weights of its model would take about",
        ),
        ({"batch_size": 2**20}, "a batch would take about"),
        ({"src_seq_len": 2**16}, "a batch would take about"),
        ({"tgt_seq_len": 2**18}, "a batch would take about"),
        (
            {
                "batches": 2**20,
                "batch_size": 2**12,
                "src_seq_len": 1,
                "tgt_seq_len": 1,
                "id_category_size": 2,
                "model": {"d_model": 1, "num_heads": 1},
            },
            "the order of an epoch's windows would take about",
        ),
    ],
)
def test_what_no_memory_holds_is_refused(tmp_path, settings, said):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    with pytest.raises(InputError) as caught:
        Trainer(read_config(path), small_data(), progress=False)
    message = str(caught.value)
    assert said in message and "GB" in message and "sizes, lengths or counts smaller" in message


@pytest.mark.parametrize("size, fits", [(9, True), (2**20, False)])
def test_memory_is_counted_with_the_sizes_of_one_s_own_mapping(mine, size, fits):
    Path(mine["mapping"]).write_text(changed(MAPPING, "categories.what.size", size))
    check_memory_of(fits, load_data(Config(**mine)), 1, d_model=1024)


def test_memory_is_counted_with_the_sizes_that_the_configuration_gives(tmp_path):
    config = Config(**write_log(tmp_path), id_category_size=2**20)
    check_memory_of(False, load_data(config), 7, d_model=2**12)


@pytest.mark.parametrize("streams, fits", [(3, True), (7, False)])
def test_memory_is_counted_with_the_streams_of_the_log(streams, fits):
    data = small_data()
    data.log.streams = data.log.streams[:streams]
    check_memory_of(fits, data, streams, d_model=5000)


def check_memory_of(fits: bool, data: Data, streams: int, d_model: int) -> None:
    """Whether the weights of so wide a model fit; a small one stands in, so none is made."""
    config = small_config(model=ModelConfig(d_model=d_model, num_heads=2))
    words = "the weights of its model would take about"
    with nullcontext() if fits else pytest.raises(InputError, match=words):
        Trainer(config, data, progress=False, model=small_model(streams))


FILES = {
    "a comment": (
        b'{\n  // steps\n  "epochs": 3}',
        ["line 2", "not valid JSON", "correct that line"],
    ),
    "a comma at the end": (b'{"epochs": 3,\n}', ["not valid JSON", "correct that line"]),
    "single quotes": (b"{'epochs': 3}", ["line 1", "not valid JSON"]),
    "Python's words": (b'{"shuffle": True}', ["line 1", "not valid JSON"]),
    "no end": (b'{"epochs": 3', ["line 1", "not valid JSON"]),
    "two objects": (b'{"epochs": 3}\n{"epochs": 4}', ["line 2", "not valid JSON"]),
    "an empty file": (b"", ["line 1", "not valid JSON"]),
    "a list": (b"[]", ["JSON object", "found list", "put braces"]),
    "a number": (b"3", ["JSON object", "found int", "put braces"]),
    "null": (b"null", ["JSON object", "found NoneType", "put braces"]),
    "a key twice": (
        b'{"epochs": 3, "epochs": 4}',
        ["key 'epochs' stands twice", "rename or remove"],
    ),
    "an inner key twice": (
        b'{"model": {"d_model": 8, "d_model": 16}}',
        ["key 'd_model' stands twice", "rename or remove"],
    ),
    "brackets without end": (DEEP.encode(), ["cannot be read", "give a JSON file"]),
    "a number of 5000 digits": (
        b'{"epochs": ' + b"9" * 5000 + b"}",
        ["cannot be read", "give a JSON file"],
    ),
    "UTF-16": ('{"epochs": 3}'.encode("utf-16"), ["cannot be read", "give a JSON file"]),
    "UTF-16 without a mark": ('{"epochs": 3}'.encode("utf-16-le"), ["not valid JSON", "correct"]),
    "Windows' Western encoding": (
        '{"log": "Zoë.csv"}'.encode("cp1252"),
        ["cannot be read", "give a JSON file"],
    ),
    "a checkpoint": (save({"weight": torch.zeros(3)}), ["line 1", "not valid JSON"]),
    "a line end within a text": (b'{"log": "a\nb"}', ["line 1", "not valid JSON"]),
}


@pytest.mark.parametrize("content, words", FILES.values(), ids=FILES)
@pytest.mark.parametrize("read", [read_config, read_mapping])
def test_a_bad_file_is_refused_as_configuration_and_as_mapping(tmp_path, read, content, words):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    check_refused(lambda: read(path), path, words)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(json.dumps(SETTINGS).encode("utf-8-sig"))
    assert read_config(path).batches == 2


BAD_MAPPINGS = {
    "size over the limit": ("categories.what.size", HUGE, ["'what'", "at most 1048576"]),
    "endless bin": ("categories.what.bin", float("inf"), ["'what'", "'bin'", "finite", "Infinity"]),
    "bin that is no number": (
        "categories.what.bin",
        float("nan"),
        ["'what'", "'bin'", "finite", "NaN"],
    ),
    "bin beyond floating point": (
        "categories.what.bin",
        10**400,
        ["'what'", "'bin'", "valid number", "1000"],
    ),
    "no least count": ("min_count", 0, ["'min_count': must be at least 1", "found 0"]),
    "negative least count": ("min_count", -5, ["'min_count': must be at least 1", "found -5"]),
    "endless share": ("split", {"train": float("inf")}, ["shares must be above 0"]),
    "a stream that leads upwards": (
        "streams",
        {"../../x": "what"},
        ["stream '../../x'", "rename it"],
    ),
    "a stream that leads upwards on Windows": (
        "streams",
        {"..\\x": "what"},
        ["a name holds none of", "rename it"],
    ),
    "a stream on a drive": ("streams", {"C:x": "what"}, ["stream 'C:x'", "rename it"]),
    "a stream of two lines": ("streams", {"a\nb": "what"}, ["a name holds none of", "rename it"]),
}


@pytest.mark.parametrize("key, value, words", BAD_MAPPINGS.values(), ids=BAD_MAPPINGS)
def test_a_bad_mapping_is_refused(tmp_path, key, value, words):
    path = tmp_path / "mapping.json"
    path.write_text(changed(MAPPING, key, value))
    check_refused(lambda: read_mapping(path), path, words)


@pytest.fixture
def mine(tmp_path) -> dict:
    """The keys of a configuration with a log and a mapping of one's own."""
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
    return {"log": str(tmp_path / "log.csv"), "mapping": str(tmp_path / "mapping.json")}


@pytest.mark.parametrize(
    "streams",
    [[], ["What"], ["what", "what"], [3], [None], [["what"]], [{}], ["what", "x" * 10**5]],
    ids=lambda value: str(value)[:20],
)
def test_streams_that_are_not_there_or_stand_twice_are_refused(mine, streams):
    with pytest.raises(
        InputError, match="key 'streams': must name one or more of what, each once, .*; correct it"
    ) as caught:
        load_data(Config(**mine, streams=streams))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("key", ["log", "mapping", "model_checkpoint"])
@pytest.mark.parametrize(
    "value", ["none", ".", "x" * 5000, "\ud800"], ids=["missing", "folder", "long", "surrogate"]
)
def test_a_path_that_leads_nowhere_is_refused(tmp_path, monkeypatch, mine, key, value):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        Trainer(small_config(**mine | {key: value}), progress=False)
    assert (
        str(caught.value).startswith(value)
        and len(str(caught.value).splitlines()) == 1
        and "; " in str(caught.value)
    )


# -- where a run may write


@pytest.mark.parametrize("name", ["...json", "..json", "....json"])
def test_a_configuration_named_by_dots_does_not_lead_out_of_the_runs(tmp_path, name):
    path = tmp_path / name
    path.write_text("{}")
    if path.stem.strip("."):
        assert Path(read_config(path).out).parent == ROOT / "build" / "runs"
    else:
        check_refused(lambda: read_config(path), path, ["dots alone", "rename it or set 'out'"])
    assert read_config(path, {"out": str(tmp_path / "run")}).out == str(tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["a.b.json", ".json", "run", "~", "a b.json", "..a.json", "-.json"]
)
def test_a_run_lies_directly_within_the_runs(tmp_path, name):
    (tmp_path / name).write_text("{}")
    assert Path(read_config(tmp_path / name).out).resolve().parent == ROOT / "build" / "runs"


def test_no_name_leads_out_of_the_run_s_folder(tmp_path, monkeypatch, mine, capsys):
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(
        LOG.replace("Zoë", "../../Zoë").replace("E01", "/E01"), encoding="utf-8"
    )
    categories = {
        name: {"column": "what"} for name in ("../../up", "/abs", "C:\\drive", "$\\frac", "x" * 60)
    }
    Path("mapping.json").write_text(
        json.dumps(MAPPING | {"categories": categories, "streams": {"..": "/abs", "own": "what"}})
    )
    Path("config.json").write_text(json.dumps(SETTINGS | mine))
    before = set(tmp_path.parent.rglob("*"))
    train.main(["config.json", "--set", "out=run"])
    new = set(tmp_path.parent.rglob("*")) - before
    assert {path.name for path in new if path.parent == tmp_path / "run"} >= {
        "checkpoint.safetensors",
        "report.csv",
        "history.csv",
    }
    assert {path for path in new if path.parent != tmp_path / "run"} == {tmp_path / "run"}


# -- checkpoints


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    Trainer(small_config(epochs=1, out=str(folder)), small_data(), progress=False).fit()
    return folder / "checkpoint.safetensors"


def check_not_taken(path: Path, words: list[str]) -> None:
    """The checkpoint is refused, and the run that should have taken it up is as it was."""
    run = Trainer(small_config(epochs=1), small_data(), progress=False)
    before, state = copy_weights(run.model), torch.get_rng_state()
    check_refused(lambda: load_run(run, path), path, words)
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in copy_weights(run.model).items()
    )
    assert (
        run.epochs_done == 0
        and run.history == []
        and torch.equal(torch.get_rng_state(), state)
        and not run.optimizer.state
    )


def rows(change):
    """Changes the rows of the history."""

    def spoil(tensors, about):
        history = json.loads(about["history"])
        about["history"] = json.dumps(change(history) or history)

    return spoil


def put(name: str, change):
    """Replaces a tensor by what becomes of it."""
    return lambda tensors, about: tensors.update({name: change(tensors[name])})


def nan_at_the_end(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[-1] = float("nan")
    return tensor


WHOLE, OURS, FIT, FINITE = (
    "not a whole checkpoint",
    "not a checkpoint of this package",
    "do not fit this log",
    "not finite; start anew",
)
WEIGHT, BIAS = "model.heads.weight", "heads.bias"
SPOILT = {
    "a tensor less": (lambda tensors, about: tensors.pop(WEIGHT), [FIT, "use those"]),
    "a best tensor less": (lambda tensors, about: tensors.pop(f"best.{BIAS}"), [FIT]),
    "no best": (
        lambda tensors, about: [
            tensors.pop(name) for name in list(tensors) if name.startswith("best.")
        ],
        [FIT],
    ),
    "a step less": (lambda tensors, about: tensors.pop(f"optimizer.step.{BIAS}"), [FIT]),
    "a tensor more": (lambda tensors, about: tensors.update(more=torch.zeros(1)), [FIT]),
    "a tensor renamed": (
        lambda tensors, about: tensors.update({"model.head.weight": tensors.pop(WEIGHT)}),
        [FIT],
    ),
    "a transposed tensor": (put(WEIGHT, lambda t: t.T.contiguous()), [FIT]),
    "a tensor that would be spread out": (put(WEIGHT, lambda t: t[:1, :1].contiguous()), [FIT]),
    "a number for a tensor": (put(f"model.{BIAS}", lambda t: torch.zeros(())), [FIT]),
    "a best tensor of other shape": (put(f"best.{BIAS}", lambda t: t[:-1].contiguous()), [FIT]),
    "a moment of other shape": (
        put(f"optimizer.exp_avg.{BIAS}", lambda t: t[:-1].contiguous()),
        [FIT],
    ),
    "double precision": (put(WEIGHT, torch.Tensor.double), [FIT]),
    "half precision": (put(WEIGHT, torch.Tensor.half), [FIT]),
    "whole numbers": (put(WEIGHT, torch.Tensor.long), [FIT]),
    "a NaN": (put(WEIGHT, nan_at_the_end), [WEIGHT, FINITE]),
    "a NaN in the best": (put(f"best.{BIAS}", nan_at_the_end), [f"best.{BIAS}", FINITE]),
    "an endless moment": (put(f"optimizer.exp_avg_sq.{BIAS}", lambda t: t / 0), [FINITE]),
    "no metadata": (lambda tensors, about: about.clear(), [OURS, "start anew"]),
    "no history": (lambda tensors, about: about.pop("history"), [OURS]),
    "no number of epochs": (lambda tensors, about: about.pop("epochs_done"), [OURS]),
    "configuration broken off": (
        lambda tensors, about: about.update(config=about["config"][:50]),
        [OURS],
    ),
    "configuration that is a list": (lambda tensors, about: about.update(config="[1]"), [OURS]),
    "configuration of another run": (
        lambda tensors, about: about.update(
            config=about["config"].replace('"seed": 0', '"seed": 1')
        ),
        ["'seed' is 1 there"],
    ),
    "history broken off": (
        lambda tensors, about: about.update(history=about["history"][:50]),
        [OURS],
    ),
    "history that is a number": (lambda tensors, about: about.update(history="3"), [OURS]),
    "history of nothing": (lambda tensors, about: about.update(history="[]"), [OURS]),
    "history of other keys": (rows(lambda history: [{"epoch": 0}]), [OURS]),
    "history of texts": (
        rows(lambda history: [row.update(value="low") for row in history] and None),
        [OURS],
    ),
    "history of other measures": (rows(lambda history: history[0].update(measure="trian")), [OURS]),
    "history of other names": (rows(lambda history: history[0].update(name="Moon")), [OURS]),
    "history with rows twice": (rows(lambda history: history.append(history[0])), [OURS]),
    "history without its validation": (
        rows(lambda history: history.__delitem__(slice(17, 34))),
        [OURS],
    ),
    "history of NaN": (rows(lambda history: history[0].update(value=math.nan)), [OURS]),
    "history of another epoch": (rows(lambda history: history[0].update(epoch=7)), [OURS]),
    "epochs in words": (lambda tensors, about: about.update(epochs_done="one"), [OURS]),
    "negative epochs": (lambda tensors, about: about.update(epochs_done="-1"), [OURS]),
    "more epochs than the history": (lambda tensors, about: about.update(epochs_done="2"), [OURS]),
}


@pytest.mark.parametrize("spoil, words", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_checkpoint_is_refused_and_leaves_the_run_alone(good, tmp_path, spoil, words):
    with safe_open(good, "pt") as file:
        tensors, about = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    spoil(tensors, about)
    save_file(tensors, tmp_path / good.name, about)
    check_not_taken(tmp_path / good.name, words)


def test_the_checkpoint_that_is_spoilt_here_is_good(good, tmp_path):
    run = Trainer(small_config(epochs=1), small_data(), progress=False)
    load_run(run, good)
    assert run.epochs_done == 1


FOREIGN = {
    "text": b"weights, to follow\n" * 20,
    "JSON": b'{"weight": [1, 2, 3]}',
    "zeros": bytes(4096),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a header of 2 to the 63 bytes": b"\xff" * 7 + b"\x7f" + b"{}",
    "a header that is no JSON": (8).to_bytes(8, "little") + b"notjson!",
    "a header that points outside": (70).to_bytes(8, "little")
    + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(70),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    check_not_taken(path, [WHOLE, "start anew"])


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.9, 0.9999])
def test_a_checkpoint_cut_short_anywhere_is_refused(good, tmp_path, share):
    content = good.read_bytes()
    (tmp_path / good.name).write_bytes(content[: int(share * len(content))])
    check_not_taken(tmp_path / good.name, [WHOLE, "start anew"])


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda pickled: pickled,
        lambda pickled: len(pickled).to_bytes(8, "little") + pickled,
        lambda pickled: (2).to_bytes(8, "little") + b"{}" + pickled,
    ],
    ids=["alone", "as a header", "as tensors"],
)
def test_a_command_does_not_run_what_a_pickle_says(tmp_path, monkeypatch, mine, wrap):
    monkeypatch.chdir(tmp_path)
    mark, path = tmp_path / "executed", tmp_path / "checkpoint.safetensors"
    path.write_bytes(wrap(pickle.dumps(Touch(mark))))
    Path("config.json").write_text(
        json.dumps(SETTINGS | mine | {"model_checkpoint": str(path), "out": "run"})
    )
    check_refused(lambda: train.main(["config.json"]), path, [WHOLE])
    assert not mark.exists() and not Path("run").exists()
    pickle.loads(pickle.dumps(Touch(mark)))
    assert mark.exists()  # it would have been seen


# -- the command

COMMANDS = {
    "a missing configuration": (["none.json"], "none.json: no such file"),
    "a folder": (["."], "cannot be read"),
    "an empty name": ([""], "cannot be read"),
    "a long name": (["x" * 5000], "cannot be read"),
    "a log for a configuration": (["log.csv"], "log.csv, line 1: not valid JSON"),
    "a change without a value": (
        ["config.json", "--set", "epochs"],
        "--set epochs: write it as key=value",
    ),
    "an empty change": (["config.json", "--set", ""], "--set : write it as key=value"),
    "a change of nothing": (["config.json", "--set", "=3"], "unknown key ''"),
    "a change of a part of a number": (
        ["config.json", "--set", "epochs.more=3"],
        "'epochs' in 'epochs.more' is not an object",
    ),
    "a change to nothing": (["config.json", "--set", "log="], "key 'log'"),
    "a change to a NaN": (["config.json", "--set", "learning_rate=NaN"], "key 'learning_rate'"),
    "a change to far too much": (
        ["config.json", "--set", f"model.d_model={HUGE}"],
        "key 'model', key 'd_model'",
    ),
    "a change to half a list": (["config.json", "--set", "streams=[what"], "key 'streams'"),
    "a number of 5000 digits": (["config.json", "--set", "epochs=" + "9" * 5000], "key 'epochs'"),
    "brackets without end": (["config.json", "--set", f"streams={DEEP}"], "key 'streams'"),
    "a stream that is not there": (
        ["config.json", "--set", 'streams=["who"]'],
        "key 'streams': must name one or more of what",
    ),
    "a folder for a log": (["config.json", "--set", "log=."], "is a folder; give a CSV"),
    "a file for the run's folder": (["config.json", "--set", "out=log.csv"], "key 'out'"),
    "a folder for the report": (
        ["config.json", "--report", "."],
        "--report .: is a folder; give the name of a file",
    ),
    "a folder for the history": (
        ["config.json", "--history", "."],
        "--history .: is a folder; give the name of a file",
    ),
    "the log for the report": (
        ["config.json", "--report", "./log.csv"],
        "--report log.csv: is no table, and would be lost",
    ),
    "the configuration for the history": (
        ["config.json", "--history", "config.json"],
        "--history config.json: is no table, and would be lost",
    ),
    "a device for the report": (
        ["config.json", "--report", os.devnull],
        "is no table, and would be lost",
    ),
    "a file for the report's folder": (
        ["config.json", "--report", "log.csv/report.csv"],
        "--report: 'log.csv' cannot be made a folder",
    ),
    "half a letter": (["half.json"], "half.json: cannot be read as text"),
    "a device that is not there": (
        ["config.json", "--set", "device=hpu"],
        "key 'device': 'hpu' cannot be used here",
    ),
    "a spreadsheet": (
        ["config.json", "--set", "log=log.xlsx"],
        "log.xlsx: is a spreadsheet; save it there as CSV",
    ),
}


@pytest.mark.filterwarnings("ignore:'helpers.tools.train' found in sys.modules")
@pytest.mark.parametrize("arguments, said", COMMANDS.values(), ids=COMMANDS)
def test_a_command_without_sense_ends_in_one_line_and_trains_nothing(
    tmp_path, monkeypatch, mine, arguments, said
):
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(SETTINGS | mine | {"out": "run"}))
    Path("half.json").write_text(r'{"out": "\ud800"}')
    Path("log.xlsx").write_bytes(b"PK")
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("helpers.tools.train", run_name="__main__", alter_sys=True)
    message = caught.value.code
    assert (
        message.startswith("error: ")
        and said in message
        and len(message.splitlines()) == 1
        and not Path("run").exists()
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["config.json", "--epochs", "3"], ["config.json", "--set"], ["a.json", "b.json"]],
)
def test_a_command_that_is_not_understood_shows_how_it_is_used(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        train.main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert (
        said.startswith("usage: python -m helpers.tools.train")
        and "error: " in said.splitlines()[-1]
    )


def test_a_refusal_goes_to_stderr_with_an_exit_code(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "helpers.tools.train", str(tmp_path / "none.json")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (
        ran.returncode == 1
        and ran.stdout == ""
        and ran.stderr.splitlines()
        == [f"error: {tmp_path / 'none.json'}: no such file; check the path"]
    )
