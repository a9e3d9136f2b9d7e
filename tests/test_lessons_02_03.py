"""The stored table of notebook 02: what the notebook reads from it is what it holds."""

import numpy as np
import pandas as pd

from helpers.schema import CATEGORY_NAMES
from helpers.support.files import DATA

COLUMNS = ["seed", "category", "dedicated", "shared", "difference", "standard_error"]


def test_one_encoder_is_compared_in_every_category_with_four_seeds():
    table = pd.read_csv(DATA / "one_encoder.csv")
    assert list(table) == COLUMNS
    categories = table.groupby("seed")["category"].apply(list)
    assert categories.to_dict() == {seed: CATEGORY_NAMES for seed in range(4)}
    np.testing.assert_allclose(table["difference"], table["shared"] - table["dedicated"], atol=2e-5)
    assert (table["standard_error"] > 0).all()
