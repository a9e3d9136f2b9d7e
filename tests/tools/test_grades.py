"""What the working run is used for is graded into one table of one form."""

import pandas as pd
import pytest
from small import refused

from helpers.support.files import DATA
from helpers.tools import grades


def test_a_wide_table_becomes_a_row_a_cell_with_its_error_where_there_is_one():
    values = pd.DataFrame({"one": [1.0, 2.0], "two": [3.0, 4.0]}, ["states", "counts"])
    errors = pd.DataFrame({"two": [0.3, 0.4]}, ["states", "counts"])
    found = grades.flatten(values, errors).set_index(["who", "measure"])
    assert found["value"].to_dict() == {
        ("states", "one"): 1,
        ("counts", "one"): 2,
        ("states", "two"): 3,
        ("counts", "two"): 4,
    }
    assert found["error"].dropna().to_dict() == {("states", "two"): 0.3, ("counts", "two"): 0.4}


def test_the_stored_table_has_every_use_and_each_number_once():
    stored = pd.read_csv(DATA / "grades.csv")
    assert list(stored) == grades.COLUMNS
    assert list(stored["use"].unique()) == list(grades.USES)
    assert not stored[["use", "case", "who", "measure"]].duplicated().any()
    assert stored["value"].notna().sum() > 400


@pytest.mark.parametrize("name", ["working_run.json", "."])
def test_a_table_in_the_place_of_an_input_is_refused_before_anything_is_graded(name, monkeypatch):
    monkeypatch.setattr(grades, "measure", lambda: pytest.fail("it was graded"))
    refused(lambda: grades.main(["--out", str(DATA / name)]), start="--out")
