"""Settings: frozen, checked whenever they are made, and what they say where a value is wrong."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from small import changed, refused, small_config, write_log
from spoil import TOKEN, try_many

from helpers.support.errors import InputError
from helpers.support.settings import MOST, change_keys, pick_named
from helpers.training import Config, ModelConfig, load_data, read_config

HUGE = 10**12
SETTINGS = {
    "src_seq_len": 4,
    "tgt_seq_len": 3,
    "epochs": 1,
    "batch_size": 4,
    "batches": 2,
    "model": {"d_model": 8, "num_heads": 2},
}


@pytest.mark.parametrize("name", Config.model_fields)
def test_a_configuration_cannot_be_changed(name):
    config = Config()
    before = config.model_dump()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, name, getattr(config, name))
    assert config.model_dump() == before


def test_what_stands_inside_a_configuration_cannot_be_changed_either():
    with pytest.raises(ValidationError, match="frozen"):
        Config().model.d_model = 64


def test_a_change_gives_others_and_leaves_these():
    config = Config(seed=3)
    assert config.change(epochs=5) == Config(seed=3, epochs=5)
    assert config == Config(seed=3)


def test_a_change_is_checked_also_against_the_values_that_stay():
    with pytest.raises(InputError, match="^key 'epochs': must be at least 0, found -1$"):
        Config().change(epochs=-1)
    with pytest.raises(InputError, match="^key 'carry': must be at most src_seq_len 4, found 5$"):
        Config(carry=5).change(src_seq_len=4)


def test_dots_lead_inside():
    assert change_keys({"a": {"b": 1}}, {"a.c": 2, "d.e": 3}, "x") == {
        "a": {"b": 1, "c": 2},
        "d": {"e": 3},
    }
    with pytest.raises(InputError, match="^mine.json: 'a' in 'a.b' is not an object"):
        change_keys({"a": 1}, {"a.b": 2}, "mine.json")


def test_items_are_picked_in_the_order_wanted():
    class Item:
        def __init__(self, name):
            self.name = name

    one, two = Item("one"), Item("two")
    assert pick_named([one, two], ["two", "one"], "items") == [two, one]
    for wanted in ([], ["three"], ["one", "one"]):
        with pytest.raises(InputError, match="^key 'items': must name one or more of one, two"):
            pick_named([one, two], wanted, "items")


def test_settings_of_equal_values_are_equal():
    assert ModelConfig(d_model=64) == ModelConfig(**{"d_model": 64})
    assert ModelConfig(d_model=64) != ModelConfig()


# -- a configuration's file

# The path of a key, its bad values, and what the refusal must say, parted by bars.
KEYS = [
    ("src_seq_len", [0, -3, "20", 2.5, None, [], HUGE, 10**400], "'src_seq_len'"),
    ("tgt_seq_len", [0, HUGE], "'tgt_seq_len'"),
    ("id_category_size", [1, 0, -1, HUGE], "'id_category_size'"),
    ("epochs", [-1], "'epochs': must be at least 0, found -1"),
    ("epochs", ["3", 3.5, True, HUGE, {}], "'epochs': must be"),
    ("batches", [0, HUGE], "'batches'"),
    ("batch_size", [0], "'batch_size': must be at least 1"),
    ("grad_accum", [0, False], "'grad_accum'"),
    ("seed", [-1, 2**63, 1.0], "'seed'"),
    ("model", [None, [], "big"], "'model'"),
    ("model.d_model", [0, HUGE, "32"], "key 'model', key 'd_model': must be"),
    ("model.d_model", [7], "key 'model', key 'd_model'|is not a multiple of num_heads"),
    ("carry", [5], "'carry': must be at most src_seq_len 4, found 5"),
    ("model.num_heads", [0, 3, HUGE], "num_heads"),
    ("model.encoder_layers", [0, HUGE, [1, 2]], "encoder_layers"),
    ("model.dropout", [0.1], "'dropout'"),
    (
        "learning_rate",
        [-1, float("nan"), float("inf"), 10**400, "fast", None],
        "'learning_rate': must be",
    ),
    ("weight_decay", [float("-inf"), True], "'weight_decay'"),
    ("clip_norm", [0, -1.0, "1", float("inf")], "'clip_norm': must be"),
    ("dropout", [1, 2.5, float("nan")], "'dropout'"),
    ("hide", [1, -0.1, "0.1", float("nan"), None], "'hide'"),
    ("step_decay", [-0.1, []], "'step_decay'"),
    ("carry", [0, HUGE], "'carry'"),
    ("tied", [0, "yes", None], "'tied'"),
    ("shuffle", ["true", 1], "'shuffle'"),
    ("schedule", ["", "Cosine", "linear", None, 1], "'schedule'"),
    ("precision", ["float16", "", 16, None], "'precision'"),
    ("device", ["", "gpu", "cuda:99", "meta", 0, "cpu\0"], "'device'"),
    ("device", ["abacus"], "'device'|use cpu"),
    ("streams", ["Actor", {"Actor": 1}, 3], "'streams'"),
    ("log", ["", 3, ["log.csv"]], "'log'"),
    ("mapping", ["", {}, "a\0b"], "'mapping'"),
    ("log", ["mine.csv"], "'mapping': a log of your own needs one"),
    ("model_checkpoint", ["", False, "a\0b"], "'model_checkpoint'"),
    ("start_from", ["", False, "a\0b"], "'start_from'"),
    ("out", ["", "a\0b", 1, [], "config.json", "config.json/below/it"], "'out'"),
    ("Epochs", [3], "unknown key 'Epochs'; known keys are src_seq_len, "),
    ("model.layers", [3], "key 'model': unknown key 'layers'; known keys are d_model"),
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
    Path("config.json").write_text(json.dumps(changed(SETTINGS, path, value)))
    Path("mine.csv").touch()
    with pytest.raises(InputError) as caught:
        read_config("config.json")
    message = str(caught.value)
    assert message.startswith("config.json: ")
    assert [words for words in said.split("|") if words not in message] == [], message
    assert len(message.splitlines()) == 1
    assert len(message) < 800


# -- the files that a configuration names

LIES = {  # the places where the file lies, whether a change names it, and where it is found
    "beside": ("conf", False, "conf"),
    "here": (".", False, "."),
    "beside and here": ("conf .", False, "conf"),
    "changed, here": (".", True, "."),
    "changed, beside": ("conf", True, "conf"),
    "changed, both": ("conf .", True, "."),
}


@pytest.mark.parametrize("key", ["log", "mapping", "model_checkpoint", "start_from"])
@pytest.mark.parametrize("places, changes, found", LIES.values(), ids=LIES)
def test_a_file_is_found_beside_its_configuration_or_here(
    tmp_path, monkeypatch, key, places, changes, found
):
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    named = {"log": "other", "mapping": "other"} | {key: "file"}
    for place in places.split():
        Path(place, "file").touch()
    for place in ("conf", "."):
        Path(place, "other").touch()
    in_file = {} if changes else named
    Path("conf/mine.json").write_text(json.dumps(SETTINGS | in_file))
    config = read_config("conf/mine.json", named if changes else None)
    assert getattr(config, key) == str(Path(found, "file"))


def test_a_file_may_be_named_from_the_home_or_from_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    log, mapping, conf = tmp_path / "log.csv", tmp_path / "mapping.json", tmp_path / "a" / "b"
    log.touch()
    mapping.touch()
    conf.mkdir(parents=True)
    named = {"log": "~/log.csv", "mapping": str(mapping), "out": "~/runs/mine"}
    (conf / "mine.json").write_text(json.dumps(SETTINGS | named))
    config = read_config(conf / "mine.json")
    assert (config.log, config.mapping) == (str(log), str(mapping))
    assert config.out == str(tmp_path / "runs" / "mine")


def test_a_file_that_is_nowhere_is_refused_by_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    path = Path("conf", "mine.json")
    path.write_text(json.dumps(SETTINGS | {"log": "log.csv"}))
    words = ("key 'log'", f"there is no {Path('conf', 'log.csv')} and no log.csv", "correct it")
    refused(lambda: read_config(path), *words, start=path)
    words = ("key 'mapping'", f"there is no m.json and no {Path('conf', 'm.json')}")
    refused(lambda: read_config(path, {"mapping": "m.json", "log": None}), *words, start=path)


def test_the_settings_that_are_spoilt_here_are_good(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    assert read_config(tmp_path / "config.json").batches == 2


def test_dotted_changes_replace_inner_values_and_are_checked(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": 3, "model": {"num_heads": 2}}')
    config = read_config(path, {"model.d_model": 64, "learning_rate": 1})
    assert config.model == ModelConfig(d_model=64, num_heads=2)
    assert (config.epochs, config.learning_rate) == (3, 1.0)
    with pytest.raises(InputError, match="config.json: key 'model': unknown key 'depth'"):
        read_config(path, {"model.depth": 1})
    with pytest.raises(InputError, match="config.json: 'epochs' in 'epochs.d_model' is not"):
        read_config(path, {"epochs.d_model": 1})


def test_streams_pick_from_those_of_the_mapping(tmp_path):
    log = load_data(small_config(**write_log(tmp_path), streams=["Time", "Actor"])).log
    assert [stream.name for stream in log.streams] == ["Time", "Actor"]


@pytest.mark.parametrize(
    "streams",
    [[], ["time"], ["Time", "Time"], [3], [None], [["Time"]], [{}], ["Time", "x" * 10**5]],
    ids=lambda value: str(value)[:20],
)
def test_streams_that_are_not_there_or_stand_twice_are_refused(tmp_path, streams):
    config = small_config(**write_log(tmp_path), streams=streams)
    words = ("must name one or more of EventType, Actor", "each once", json.dumps(streams)[:200])
    refused(lambda: load_data(config), *words, "; correct it", start="key 'streams': ")


def check_settings(path: Path) -> None:
    """What is read holds together."""
    config = read_config(path)
    assert Config(**config.model_dump()) == config  # it is checked again
    whole = config.model_dump() | config.model.model_dump()
    assert all(
        0 <= value <= MOST for key, value in whole.items() if type(value) is int and key != "seed"
    )
    assert (
        type(config.learning_rate) is float and config.model.d_model % config.model.num_heads == 0
    )
    assert not Path(config.out).exists() or Path(config.out).is_dir()


@pytest.mark.parametrize("number", [100, pytest.param(3300, marks=pytest.mark.long)])
def test_a_configuration_spoilt_at_random_is_refused_or_holds_together(tmp_path, number):
    config = Config(streams=["Actor", "Time"], clip_norm=1.0, out="run")
    whole = json.dumps(config.model_dump(), indent=1)
    try_many(tmp_path / "config.json", whole, TOKEN, check_settings, number)
