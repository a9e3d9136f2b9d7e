"""What the tests of checks share."""

import copy
from types import SimpleNamespace

import pytest
from small import small_data, small_model

from helpers.training import Data


@pytest.fixture
def said(capsys):
    """Calls a check, and returns the one line that it printed."""

    def call(check, *arguments, **options) -> str:
        assert check(*arguments, **options) is None
        printed = capsys.readouterr()
        assert printed.err == ""
        assert printed.out.count("\n") == 1
        return printed.out.rstrip("\n")

    return call


@pytest.fixture
def run():
    """What a check wants of a trained run, with a model that has learned nothing."""
    model = small_model()
    log = copy.deepcopy(small_data().log)
    for category in ("EventType", "LocationRecordId"):  # it names values that never were
        vocabulary = log.vocabularies[category]
        vocabulary += [f"value {i}" for i in range(len(vocabulary), 100)]
    names = [category.name for category in log.categories]
    data = Data(log, small_data().windows, None)
    return SimpleNamespace(data=data, model=model, sizes=model.sizes, names=names)
