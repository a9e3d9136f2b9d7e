"""Measures of training steps: their rows, the products that they consist of, and growth."""

import pytest
import torch
from torch import nn

from helpers.tools.benchmark import turns
from helpers.tools.benchmark.steps import (
    RecordProducts,
    find_exponent,
    measure_forms,
    measure_growth,
    measure_products,
    measure_tricks,
)


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    monkeypatch.setattr(turns, "TURN", 0)


def test_recorded_products_are_those_of_the_step():
    x, layer = torch.randn(5, 3), nn.Linear(3, 2)
    with RecordProducts() as record:
        layer(x).square().sum().backward()
    # Forward, and the gradient of the weight; x needs none.
    shapes = sorted(tuple(product().shape) for product in record.products)
    assert shapes in ([(2, 3), (5, 2)], [(3, 2), (5, 2)])


def test_an_exponent_is_one_in_proportion():
    assert find_exponent(2, 4, 10.0, 20.0) == pytest.approx(1)
    assert find_exponent(5, 50, 1.0, 100.0) == pytest.approx(2)
    assert find_exponent(1, 16, 3.0, 3.0) == 0


def test_a_ratio_is_that_of_the_rates_about():
    rows = {(row["part"], row["name"]): row for row in measure_forms(2, 8, seconds=0)}
    ours = rows["forms", "ours"]
    others = [name for part, name in rows if part == "forms" and name != "ours"]
    assert len(others) == 3 and len(rows) == 7
    for name in others:
        ratio = rows["speed of ours", f"against {name}"]
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
        assert (ratio["value"] > 1) == (ours["value"] > rows["forms", name]["value"])
        assert ratio["batch"] == 2 and ratio["d_model"] == 8


def test_each_trick_and_each_size_has_its_row():
    assert len(measure_tricks(2, 8, seconds=0)) == 10
    rows = measure_growth("carry", (1, 2, 4), seconds=0)
    assert [(row["part"], row["size"]) for row in rows] == [
        *(("growth", size) for size in (1, 2, 4)),
        *(("exponent of growth", size) for size in (2, 4)),
    ]


def test_a_step_takes_longer_than_its_products_alone():
    share, step, products, square = measure_products(4, 8, seconds=0)
    assert 1 < share["value"] < 100
    assert step["value"] < products["value"] < square["value"]
