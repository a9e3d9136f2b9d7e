"""What a run remembers of its epochs: its tables, and that there are none before the first one."""

import pytest
from small import refused, small_run

from helpers.training import Trainer


def test_category_ranges_are_the_least_and_greatest_validation_losses():
    run = small_run(epochs=3, learning_rate=1e-2).fit()
    values = [
        [
            row["value"]
            for row in run.history
            if row["measure"] == "validation" and row["name"] == name
        ]
        for name in run.names
    ]
    table = run.category_ranges()
    assert table["category"].tolist() == run.names
    assert table["min"].tolist() == [min(row) for row in values] and table["max"].tolist() == [
        max(row) for row in values
    ]


@pytest.mark.parametrize("table", [Trainer.epochs, Trainer.category_ranges])
def test_before_the_first_epoch_the_tables_say_that_there_is_none(table):
    refused(lambda: table(small_run()), "no whole epoch yet", "fit()")
