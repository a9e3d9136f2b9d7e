"""What a network is shown of a window, and the choice of what it is read from."""

import numpy as np
import pytest
import torch
from small import small_batch, small_config, small_data, small_log, small_model

from helpers.events import VALIDATION
from helpers.losses import evaluate
from helpers.schema import Category, Stream
from helpers.support.checkpoints import copy_state, put_state
from helpers.support.views import MEAN, Viewed, choose_views, draw, list_views, show
from helpers.training import Trainer


def a_log(kinds: str, keys: list[str]):
    """A log of which only categories ("n" of names, "t" of times) and streams are looked at."""
    log = small_log()
    log.categories = [Category(f"c{i}", 3) for i in range(len(kinds))]
    words = {"n": [None, "a"], "t": [None, 1]}
    log.vocabularies = {f"c{i}": words[kind] for i, kind in enumerate(kinds)}
    log.streams = [Stream(key, key) for key in keys]
    return log


@pytest.mark.parametrize(
    "kinds, keys, shown",
    [
        (
            "ntn",
            ["case", "c0"],
            [("100", "10"), ("101", "10"), ("101", "11"), ("111", "10"), ("111", "11")],
        ),
        ("ntn", ["case"], [("100", "1"), ("101", "1"), ("111", "1")]),
        ("nt", ["case", "c0"], [("10", "10"), ("10", "11"), ("11", "10"), ("11", "11")]),
        ("nn", ["c0", "case"], [("10", "01"), ("11", "01"), ("11", "11")]),
        ("n", ["case"], [("1", "1")]),
        ("tt", ["c0", "c1"], [("10", "11"), ("11", "11")]),  # the kind of event is always shown
    ],
)
def test_views_go_from_the_plainest_to_the_whole(kinds, keys, shown):
    views = list_views(a_log(kinds, keys))
    found = [
        tuple("".join(str(int(flag)) for flag in part) for part in (view.categories, view.streams))
        for view in views
    ]
    assert found == shown


def test_what_is_not_shown_is_unknown_and_its_stream_the_origin_alone():
    batch = small_batch()
    categories = torch.arange(batch.given.shape[-1]) % 2 == 0
    streams = torch.arange(batch.known.shape[1]) == 2
    seen = show(batch, categories, streams)
    assert not seen.histories[..., ~categories].any() and not seen.given[..., ~categories].any()
    assert torch.equal(seen.histories[..., categories], batch.histories[..., categories])
    assert torch.equal(seen.known[:, 2], batch.known[:, 2])
    assert torch.equal(seen.known.sum(2)[:, ~streams], torch.ones(len(batch.given), 6).long())
    assert torch.equal(seen.target, batch.target)  # what is asked is asked all the same


def test_each_window_is_drawn_a_view_of_its_own_and_all_views_come():
    batch, views = small_batch(), list_views(small_log())
    torch.manual_seed(0)
    several = batch._replace(
        **{
            name: getattr(batch, name).repeat(20, *[1] * (getattr(batch, name).ndim - 1))
            for name in ("histories", "known", "given")
        }
    )
    seen = draw(several, views)
    forms = {
        (tuple(given.any(0).tolist()), tuple(known[:, :-1].any(1).tolist()))
        for given, known in zip(seen.given, seen.known)
    }
    assert len(forms) >= len(views)
    assert draw(batch, []) is batch


def test_a_network_answers_from_the_view_chosen_for_a_category_or_from_the_mean():
    model, batch, views = small_model(), small_batch(), list_views(small_log())
    choice = [i % (len(views) + 1) - 1 for i in range(len(model.sizes))]
    with torch.no_grad():
        read = Viewed(model, views, choice)(batch).split(model.sizes, -1)
        each = [model(show(batch, view.categories, view.streams)) for view in views]
        each = [logits.split(model.sizes, -1) for logits in each]
    for c, number in enumerate(choice):
        p = torch.stack([of_view[c].softmax(-1) for of_view in each])  # (views, B, U, size)
        expected = p.mean(0) if number == MEAN else p[number]
        torch.testing.assert_close(read[c].exp(), expected)


def test_the_plainest_view_is_chosen_where_nothing_loses_less_for_sure():
    run = Trainer(small_config(views=True, epochs=3, learning_rate=0.01, batches=100), small_data())
    run.progress = False
    run.fit()
    viewed = choose_views(run, evaluate)
    assert len(run.views) > 1

    def measure(choice: int) -> np.ndarray:
        one = Viewed(run.model, run.views, [choice] * len(run.names))
        checked = evaluate(one, run.data.windows[VALIDATION])
        return checked.losses["model"][checked.counted[:, 0], 0].mean(0)

    mean, losses = measure(MEAN), np.array([measure(i) for i in range(len(run.views))])
    for c, number in enumerate(viewed.choice):
        chosen = mean[c] if number == MEAN else losses[number, c]
        assert chosen <= losses[0, c]
        assert number == 0 or chosen < losses[0, c]
    assert len(set(viewed.choice)) > 1
    said = viewed.tell(run.names)
    assert all(name in said for name in run.names) and said.endswith(".")


def test_a_run_with_views_goes_on_as_if_unbroken(tmp_path):
    config = small_config(views=True, hide=0.1, focus=0.5, epochs=2, out=str(tmp_path / "whole"))
    whole = Trainer(config, small_data(), progress=False).fit()
    first = Trainer(config.change(out=str(tmp_path / "parts")), small_data(), progress=False)
    first.epoch()
    second = Trainer(config.change(out=None), small_data(), progress=False)
    put_state(second, copy_state(first))
    second.fit()
    for one, other in zip(whole.model.parameters(), second.model.parameters()):
        assert torch.equal(one, other)
