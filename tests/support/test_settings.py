"""Settings: frozen, checked whenever they are made, and what they say where a value is wrong."""

import pytest
from pydantic import ValidationError

from helpers.support.errors import InputError
from helpers.support.settings import change_keys, fill, pick_named
from helpers.training import Config, ModelConfig


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


@pytest.mark.parametrize(
    "given, said",
    [
        ({"epochs": "5"}, "key 'epochs': must be a valid integer, found \"5\""),
        ({"epochs": True}, "key 'epochs': must be a valid integer, found true"),
        ({"model": {"d_model": 0}}, "key 'model', key 'd_model': must be at least 1, found 0"),
        ({"model": {"d_model": 6}}, "key 'model', key 'd_model': 6 is not a multiple of num_heads"),
        ({"epoch": 5}, "unknown key 'epoch'; known keys are src_seq_len, "),
        ({"model": {"depth": 5}}, "key 'model': unknown key 'depth'; known keys are d_model, "),
    ],
)
def test_a_wrong_value_is_told_with_its_file_and_key(given, said):
    with pytest.raises(InputError) as caught:
        fill(Config, given, "mine.json")
    assert str(caught.value).startswith(f"mine.json: {said}")
    assert "\n" not in str(caught.value)


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
