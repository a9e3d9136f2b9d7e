"""Every figure: what it draws is what it was given. Nothing is compared as an image."""
import inspect

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from helpers import plots
from helpers.events import TEST
from helpers.losses import evaluate, fit_baselines
from helpers.training import Trainer
from helpers.world import Workplace, export
from small import SOURCE, small_config, small_data, small_log, small_windows

STREAMS = ["EventType", "Actor", "Recipient", "Location", "CostCode", "JobCode", "Time"]


@pytest.fixture(scope="module")
def run() -> Trainer:
    return Trainer(small_config(epochs=3, learning_rate=1e-2), small_data(), progress=False).fit()


@pytest.fixture(scope="module")
def evaluation(run):
    floors = export(Workplace(employees=20, days=40), progress=False)[1][small_log().row]
    return evaluate(run.model, run.data.windows[TEST], fit_baselines(run.data.log), floors)


@pytest.fixture
def axes():
    axes = Figure(layout="constrained").subplots()
    yield axes
    axes.figure.canvas.draw()  # it can be drawn as well as described
    assert axes.get_title() and axes.get_xlabel()


def lines(axes) -> dict:
    """Label -> (x, y) of each line; those without a label of their own are numbered."""
    return {line.get_label(): (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in axes.lines}


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def ticks(labels) -> list[str]:
    return [label.get_text() for label in labels]


def spans(axes) -> list:
    """(from, to, y) of the horizontal lines."""
    collection, = (one for one in axes.collections if isinstance(one, LineCollection))
    return [(a[0], b[0], a[1]) for a, b in collection.get_segments() if a[1] == b[1]]


def draws(line, x, y) -> None:
    np.testing.assert_allclose(line, [x, y], rtol=1e-6)


def test_every_figure_is_tested_here():
    functions = inspect.getmembers(plots, inspect.isfunction)
    figures = {name for name, one in functions if one.__module__ == plots.__name__ and name[0] != "_"}
    assert figures and figures == {name.removeprefix("test_") for name in globals()} & figures


def test_loss_per_epoch(axes, run):
    assert plots.loss_per_epoch(axes, run.epochs()) is axes
    history = pd.DataFrame(run.history)
    losses = {measure: rows.groupby("epoch")["value"].mean() for measure, rows in history.groupby("measure")}
    best = int(losses["validation"].idxmin())
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["train", "validation", f"best, epoch {best}"]
    draws(drawn["train"], [0, 1, 2], losses["train"])
    draws(drawn["validation"], [0, 1, 2], losses["validation"])
    draws(drawn[f"best, epoch {best}"], [best], [losses["validation"].min()])
    assert all(tick == round(tick) for tick in axes.get_xticks()) and "nats" in axes.get_ylabel()


@pytest.mark.parametrize("place", [2, -1])  # the start of the log, where histories are padded, and its end
def test_histories(axes, place):
    windows, log = small_windows(), small_log()
    origin = windows.origins[place]
    index = windows.history_index(np.array([origin]))[0]
    assert (place == 2) == (index == len(log)).any()
    assert plots.histories(axes, log, index, origin) is axes
    *histories, (x, y) = lines(axes).values()
    assert len(histories) == len(index) == 7
    for s, events in enumerate(index):
        hours = [(log.time[e] - log.time[origin]).astype("timedelta64[m]").astype(int) / 60 for e in events if e < len(log)]
        draws(histories[s], hours, [s] * len(hours))
        assert axes.get_xlim()[0] < min(hours) <= max(hours) <= 0 < axes.get_xlim()[1]
        back = axes.texts[s].get_text()
        number, unit = back.split("back ")[1].split()
        assert abs(float(number) - -min(hours) * {"min": 60, "h": 1, "days": 1 / 24}[unit]) <= 0.5
        assert axes.texts[s].get_position()[1] == s
    assert x.tolist() == [0] * 7 and y.tolist() == list(range(7)) and legend(axes) == ["origin"]
    assert ticks(axes.get_yticklabels()) == STREAMS and axes.yaxis_inverted()
    assert str(SOURCE) in axes.get_title()


def test_category_ladder(axes, evaluation):
    report = evaluation.report()
    assert plots.category_ladder(axes, report) is axes
    rows = {row["category"]: row for _, row in report.iterrows() if row["category"] != "mean"}
    names = ticks(axes.get_yticklabels())
    assert names == sorted(rows, key=lambda name: rows[name]["model"]) and len(names) == 17  # the hardest at the top
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["ceiling: guessing", "best baseline", "model", "floor: nothing beats it"]
    draws(drawn["ceiling: guessing"], [np.log(rows[name]["size"]) for name in names], range(17))
    draws(drawn["best baseline"], [min(rows[name][["marginal", "copy_last", "markov"]]) for name in names], range(17))
    draws(drawn["model"], [rows[name]["model"] for name in names], range(17))
    draws(drawn["floor: nothing beats it"], [rows[name]["floor"] for name in names], range(17))
    np.testing.assert_allclose(spans(axes), [(rows[name]["floor"], rows[name]["ceiling"], y) for y, name in enumerate(names)])


def test_category_ladder_of_a_log_without_floors_begins_at_the_model(axes, evaluation):
    report = evaluation.report().assign(floor=np.nan)
    plots.category_ladder(axes, report)
    rows = report.set_index("category")
    names = ticks(axes.get_yticklabels())
    np.testing.assert_allclose(spans(axes), [(rows["model"][name], rows["ceiling"][name], y) for y, name in enumerate(names)])


def test_category_ranges(axes, run):
    assert plots.category_ranges(axes, run.category_ranges()) is axes
    values = pd.DataFrame(run.history).query("measure == 'validation'").groupby("name")["value"]
    names = values.max().sort_values().index.tolist()
    assert ticks(axes.get_yticklabels()) == names and len(names) == 17
    np.testing.assert_allclose(spans(axes), [(values.min()[name], values.max()[name], y) for y, name in enumerate(names)])
    assert values.min().lt(values.max()).all()


def test_gradient_norms(axes, run):
    norms = pd.DataFrame(run.history).query("measure == 'gradient'").pivot(index="epoch", columns="name", values="value")[STREAMS]
    assert plots.gradient_norms(axes, norms) is axes
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == STREAMS
    for stream in STREAMS:
        draws(drawn[stream], [0, 1, 2], norms[stream])
    assert axes.get_yscale() == "log"
    assert len({line.get_color() for line in axes.lines}) == len({line.get_marker() for line in axes.lines}) == 7


def test_gap_by_step(axes, evaluation):
    gaps = pd.Series({step: evaluation.report(step)["gap"].iloc[-1] for step in range(1, 6)})
    assert plots.gap_by_step(axes, gaps) is axes
    (line,) = lines(axes).values()
    difference = evaluation.losses["model"] - evaluation.losses["floor"]
    draws(line, range(1, 6), [difference[:, u][evaluation.counts[:, u]].mean() for u in range(5)])
    assert axes.get_ylim()[0] == 0 and min(gaps) > 0
