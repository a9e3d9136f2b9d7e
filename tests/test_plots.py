"""Every figure: what it draws is what it was given. Nothing is compared as an image."""
import inspect
import re

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
from helpers.schema import InputError
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
    assert axes.get_title("left") and axes.get_xlabel()


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


@pytest.mark.parametrize("short", [True, False], ids=["with padding", "without"])
def test_histories(axes, short):
    windows, log = small_windows(), small_log()
    padded = (windows.history_index(windows.origins) == len(log)).any((1, 2))
    origin = windows.origins[padded == short][2]
    index = windows.history_index(np.array([origin]))[0]
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
    assert str(SOURCE) in axes.get_title("left")


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


def test_two_orders(axes):
    left = pd.Series([0.3, 0.1, 0.2, 0.4, 0.5], list("abcde"), name="loss")
    right = pd.Series([0.3, 0.5, 0.2, 0.1, 0.4], list("abcde"), name="gap")
    assert plots.two_orders(axes, left, right) is axes
    for line, places in zip(axes.lines, [(2, 2), (0, 4), (1, 1), (3, 0), (4, 3)]):  # the greatest at the top
        draws(np.array(line.get_data(), float), [0, 1], places)
    assert [line.get_marker() for line in axes.lines] == ["s", "o", "s", "o", "o"]  # those that moved stand out
    assert [text.get_text() for text in axes.texts[:4]] == ["a  0.300", "0.300  a", "b  0.100", "0.500  b"]
    assert ticks(axes.get_xticklabels()) == ["loss (nats)", "gap (nats)"] and axes.get_xlabel() == "ordered by"


def test_reliability(axes):
    tables = {"one": pd.DataFrame({"predicted": [0.2, 0.8], "observed": [0.3, 0.6]}), "two": pd.DataFrame({"predicted": [0.9], "observed": [0.9]})}
    assert plots.reliability(axes, tables) is axes
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["as often as said", "one", "two"]
    draws(drawn["as often as said"], [0, 1], [0, 1])
    draws(drawn["one"], [0.2, 0.8], [0.3, 0.6])
    draws(drawn["two"], [0.9], [0.9])
    assert axes.get_xlim() == axes.get_ylim() == (0, 1) and axes.get_aspect() == 1


def test_model_shapes():
    axes = Figure().subplots()
    assert plots.model_shapes(axes, STREAMS, source=6, target=5, categories=17, d_model=8, values=999, carry=2) is axes
    axes.figure.canvas.draw()
    texts = [text.get_text() for text in axes.texts]
    assert [text for text in texts if text in STREAMS] == STREAMS and texts.count("encoder") == 7
    shapes = ["(B, 7, 6, 17)", "(B, 7, 6, 8)", "(B, 14, 8)", "(B, 5, 8)", "(B, 5, 999)", "(B, 5, 17)"]
    assert not set(shapes) - set(texts)
    assert any("the last 2 vectors go on" in text for text in texts) and axes.get_title("left")
    assert len(axes.patches) == 7 * 2 + 7 * 2 + 5  # histories, encoders, two states each; embedding, decoder (2), heads, target


def test_right_or_wrong(axes):
    right = np.array([[True, False, True], [False, False, True]])
    assert plots.right_or_wrong(axes, right, ["kind", "site", "hour"], "Two steps") is axes
    (crosses,) = lines(axes).values()
    draws(crosses, [1, 2, 2], [1, 0, 1])  # steps count from 1
    assert axes.collections[0].get_array().ravel().tolist() == right.T.ravel().tolist()
    assert [(text.get_text(), text.get_position()[1]) for text in axes.texts[:3]] == [("1", 0), ("0", 1), ("2", 2)]
    assert ticks(axes.get_yticklabels()) == ["kind", "site", "hour"] and axes.yaxis_inverted() and axes.get_title("left") == "Two steps"


def test_leak_alarm(axes):
    gaps = pd.DataFrame({"what": ["honest", "unsure", "leak"], "gap": [0.2, -0.02, -0.3], "standard_error": [0.01, 0.01, 0.05]})
    assert plots.leak_alarm(axes, gaps) is axes
    points = {container.get_label(): container for container in axes.containers}
    for label, rows in (("no alarm", [0, 1]), ("below the floor: a leak", [2])):
        line, _, (bars,) = points[label]
        draws(np.array(line.get_data(), float), gaps["gap"][rows], rows)
        reach = [(segment[0, 0], segment[1, 0]) for segment in bars.get_segments()]
        np.testing.assert_allclose(reach, [(gaps["gap"][i] - 3 * gaps["standard_error"][i], gaps["gap"][i] + 3 * gaps["standard_error"][i]) for i in rows])
    assert set(legend(axes)) == {"floor", *points} and ticks(axes.get_yticklabels()) == gaps["what"].tolist()
    assert "nats" in axes.get_xlabel()


@pytest.mark.parametrize("carry", [1, 3, 6])
def test_last_vectors(axes, carry):
    known = np.ones((7, SOURCE), bool)
    known[2, :5] = known[4, :2] = False
    assert plots.last_vectors(axes, STREAMS, known, carry) is axes
    drawn = lines(axes)
    assert legend(axes) == ["goes on", "encoded, stays behind", "padded, masked"]
    place = np.arange(1 - SOURCE, 1)
    for name, there in (("goes on", known & (place > -carry)), ("encoded, stays behind", known & (place <= -carry)), ("padded, masked", ~known)):
        s, t = np.nonzero(there)
        draws(drawn[name], place[t], s)
    memory = [line for line in axes.lines if line.get_label().startswith("_")]  # the same squares once more, on the decoder's side
    assert sum(len(line.get_xdata()) for line in memory) == 7 * carry and min(min(line.get_xdata(), default=3) for line in memory) == 3
    assert len(memory[2].get_xdata()) == (~known[:, SOURCE - carry:]).sum()
    words = " ".join(text.get_text() for text in axes.texts)
    assert f"7 x {SOURCE} = {7 * SOURCE} vectors" in words and f"7 x {carry} = {7 * carry} vectors" in words
    assert ticks(axes.get_yticklabels()) == STREAMS and axes.yaxis_inverted() and f"carry is {carry}" in axes.get_title("left")


def test_curves(axes):
    table = pd.DataFrame({"one": [1.0, 2.0, np.nan], "two": [3.0, np.nan, 5.0]}, index=[1, 2, 4])
    assert plots.curves(axes, table, "Two", "carry", "loss (nats)", {"here": 3}) is axes
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["one", "two", "here"]
    draws(drawn["one"], [1, 2], [1, 2])
    draws(drawn["two"], [1, 4], [3, 5])
    assert drawn["here"][0].tolist() == [3, 3]
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("Two", "carry", "loss (nats)")
    assert len({line.get_color() for line in axes.lines}) == len({line.get_linestyle() for line in axes.lines}) == 3
    assert [line.get_marker() for line in axes.lines[:2]] == ["o", "^"]
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_curves_of_many_points_have_no_markers_and_a_single_one_no_legend(axes):
    plots.curves(axes, pd.DataFrame({"one": range(41)}), "One", "batch", "loss (nats)")
    assert axes.lines[0].get_marker() in ("", "None") and axes.get_legend() is None


def test_runs_against_the_first(axes):
    table = pd.DataFrame([("a", "kind", 0.1, 0.01), ("a", "site", -0.2, 0.02), ("b", "kind", 0.3, 0.03), ("b", "site", 0.0, 0.0)],
                         columns=["run", "category", "difference", "standard_error"])
    assert plots.runs_against_the_first(axes, table, "Against a first run") is axes
    points = {container.get_label(): container for container in axes.containers}
    assert legend(axes) == list(points) == ["a", "b"] and ticks(axes.get_yticklabels()) == ["kind", "site"] and axes.yaxis_inverted()
    for run, values, reach in (("a", [0.1, -0.2], [(0.08, 0.12), (-0.24, -0.16)]), ("b", [0.3, 0.0], [(0.24, 0.36), (0, 0)])):
        line, _, (bars,) = points[run]
        x, y = np.array(line.get_data(), float)
        np.testing.assert_allclose(x, values)
        assert np.abs(y - [0, 1]).max() < 0.25
        np.testing.assert_allclose([(segment[0, 0], segment[1, 0]) for segment in bars.get_segments()], reach, atol=1e-12)
    assert axes.lines[0].get_xdata()[0] == 0 and "nats" in axes.get_xlabel() and axes.get_title("left") == "Against a first run"


def test_stream_heat(axes):
    values = pd.DataFrame({"HoursWorked": [0.2, -0.1], "IsTimesheet": [0.004, 0.05]}, ["Location", "Time"])
    assert plots.stream_heat(axes, values, title="Rises", xlabel="category") is axes
    mesh = axes.collections[0]
    np.testing.assert_allclose(np.asarray(mesh.get_array(), float).ravel(), [0.2, 0.004, 0, 0.05])
    assert [text.get_text() for text in axes.texts] == [".20", "", "", ".05"]
    assert ticks(axes.get_yticklabels()) == ["Location", "Time"] and ticks(axes.get_xticklabels()) == list(values)
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0, 0.2) and mesh.colorbar.ax.get_ylabel() == "nats"


def test_stream_heat_writes_what_it_is_told_to(axes):
    values = pd.DataFrame({"a": [0.2, 0.01]}, ["Location", "Time"])
    plots.stream_heat(axes, values, shown=values < 0.1, top=1, unit="weight", title="Weights", xlabel="step")
    assert [text.get_text() for text in axes.texts] == ["", ".01"]
    assert axes.collections[0].norm.vmax == 1 and axes.collections[0].colorbar.ax.get_ylabel() == "weight"


# -- the figures of the widgets

def curve(*values) -> pd.Series:
    return pd.Series(values, index=range(3, 3 + len(values)))


def named(axes) -> list[str]:
    """The names beside the curves, from the bottom."""
    texts = [text for text in axes.texts if text.get_position()[0] == 1.075]
    return [text.get_text() for text in sorted(texts, key=lambda text: text.get_position()[1])]


def test_loss_curves(axes):
    curves = {("one", "kind", "validation"): curve(3, 2, 1), ("one", "site", "validation"): curve(3.5, 2.5, 1.5),
              ("two", "kind", "validation"): curve(4, 3)}
    levels = pd.DataFrame({"ceiling": [4.0, 4.5], "floor": [0.5, np.nan]}, ["kind", "site"])
    assert plots.loss_curves(axes, curves, levels, "loss (nats)") is axes
    drawn = lines(axes)
    for (run, category, _), losses in curves.items():
        draws(drawn[f"{category}\n{run}"], losses.index, losses)
    assert axes.get_title("left") == "validation" and axes.get_ylabel() == "loss (nats)"
    assert named(axes) == ["kind\none", "site\none", "kind\ntwo"]  # as the curves end
    kind, site, two = axes.lines[:3]
    assert kind.get_color() == two.get_color() != site.get_color()
    assert len({line.get_marker() for line in (kind, site, two)}) == 3
    across = [(line.get_ydata()[0], line.get_color(), line.get_linestyle()) for line in axes.lines[3:6]]
    assert across == [(4, kind.get_color(), "-"), (0.5, kind.get_color(), "--"), (4.5, site.get_color(), "-")]
    assert [text.get_text() for text in axes.texts[-2:]] == ["ceiling", "floor"]


def test_loss_curves_of_one_category_go_by_run_and_measure(axes):
    curves = {("one", "kind", "train"): curve(3, 2), ("one", "kind", "validation"): curve(3, 2), ("two", "kind", "train"): curve(1, 1)}
    plots.loss_curves(axes, curves, pd.DataFrame({"floor": [0.5]}, ["kind"]), "loss (nats)")
    one, validation, two = axes.lines[:3]
    assert one.get_color() == validation.get_color() != two.get_color() and axes.get_title("left") == "kind"
    assert [line.get_linestyle() for line in (one, validation, two)] == ["--", "-", "--"]
    assert sorted(named(axes)) == ["one, train", "one, validation", "two, train"]
    assert axes.lines[3].get_color() == plots.GREY


def test_loss_curves_write_eight_names_apart_and_inside(axes):
    curves = {(f"run {i}", "kind", measure): curve(1, 1) for i in range(4) for measure in ("train", "validation")}
    plots.loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")
    heights = [text.get_position()[1] for text in axes.texts]
    assert len(heights) == 8 and np.diff(sorted(heights)).min() > 0.06 and 0 <= min(heights) and max(heights) <= 1


def test_loss_curves_of_nothing(axes):
    plots.loss_curves(axes, {}, pd.DataFrame(), "loss (nats)")
    assert not axes.lines


def test_names_from_a_log_are_no_formulas(axes):
    curves = {("$\\frac$", "_kind", "train"): curve(1, 1), ("$x", "_kind", "train"): curve(2, 2), ("a" * 99, "_kind", "train"): curve(3, 3)}
    plots.loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")
    axes.figure.canvas.draw()
    assert max(map(len, named(axes))) == 30 and named(axes)[2].endswith("…")


def test_decoder_reads(axes):
    weights = pd.Series([0.7, 0.3], ["Actor", "Time"])
    assert plots.decoder_reads(axes, weights) is axes
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.3] and ticks(axes.get_yticklabels()) == ["Actor", "Time"] and axes.yaxis_inverted()
    assert [text.get_text() for text in axes.texts] == ["0.70", "0.30"]


def test_history_weights(axes):
    weights = pd.DataFrame([[np.nan, 0.9, 0.1], [0.05, 0.25, 0.7]], ["Actor", "Time"])
    assert plots.history_weights(axes, weights) is axes
    drawn = axes.images[0].get_array()
    np.testing.assert_array_equal(drawn.mask, weights.isna())
    np.testing.assert_array_equal(drawn[~drawn.mask], weights.to_numpy()[~weights.isna()])
    assert axes.patch.get_hatch() and ticks(axes.get_yticklabels()) == ["Actor", "Time"]
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [(".9", (1, 0)), (".7", (2, 1))]
    assert ticks(axes.get_xticklabels()) == ["oldest", "origin"] and "3 events" in axes.get_title("left")


@pytest.mark.parametrize("truth, shown", [
    (2, ["c  0.60  (true)", "a  0.25", "d  0.10"]),
    (5, ["c  0.60", "a  0.25", "f  0.00  (true)"]),
    (None, ["c  0.60", "a  0.25", "d  0.10"]),
])
def test_predicted_values(axes, truth, shown):
    p = np.array([0.25, 0.05, 0.6, 0.1, 0, 0])
    assert plots.predicted_values(axes, p, list("abcdef"), truth, "kind", most=3) is axes
    assert [text.get_text() for text in axes.texts] == shown and axes.get_title("left") == "kind"
    assert [bar.get_width() for bar in axes.patches] == [p["abcdef".index(text[0])] for text in shown]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == ["true" in text for text in shown]


def test_live_losses(axes):
    train = pd.Series([4, 2, 3, 1.0], [0.5, 1, 1.5, 2])
    assert plots.live_losses(axes, train, pd.Series([2.5], [1]), 3.7, 0.1, window=2) is axes
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["train, each batch", "train, mean of 2", "validation", "ceiling 3.700", "floor 0.100"]
    draws(drawn["train, each batch"], train.index, train)
    draws(drawn["train, mean of 2"], train.index, [4, 3, 2.5, 2])
    draws(drawn["validation"], [1], [2.5])
    draws(drawn["ceiling 3.700"], [0, 1], [3.7, 3.7])
    assert axes.get_yscale() == "log" and axes.get_xlim()[0] == 0 and axes.get_xlim()[1] >= 2 and "nats" in axes.get_ylabel()


def test_live_losses_before_the_first_batch(axes):
    nothing = pd.Series(dtype=float)
    plots.live_losses(axes, nothing, nothing, None, None, window=2)
    assert legend(axes) == ["train, each batch", "train, mean of 2", "validation"]


# -- what cannot be drawn

TABLES = {
    "loss_per_epoch": {"epoch": [0], "train": [1.0], "validation": [1.0], "best": [True]},
    "category_ladder": {"category": ["kind"], "ceiling": [1.0], "marginal": [1.0], "copy_last": [1.0], "markov": [1.0], "model": [1.0], "floor": [1.0]},
    "category_ranges": {"category": ["kind"], "min": [1.0], "max": [1.0]},
    "leak_alarm": {"what": ["kind"], "gap": [1.0], "standard_error": [1.0]},
    "runs_against_the_first": {"run": ["a"], "category": ["kind"], "difference": [1.0], "standard_error": [1.0]},
}


def call(name: str, table) -> None:
    getattr(plots, name)(Figure().subplots(), table, *["title"] * (name == "runs_against_the_first"))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_column_or_a_row_is_refused_in_words(name):
    table = pd.DataFrame(TABLES[name])
    call(name, table)
    for column in table:
        with pytest.raises(InputError, match=f"no column '{column}'; it needs {', '.join(table)}, and has "):
            call(name, table.drop(columns=column))
    with pytest.raises(InputError, match="the table is empty"):
        call(name, table[:0])
    with pytest.raises(InputError, match=f"no column '{table.columns[0]}'.* has none"):
        call(name, None)


NOTHING, SERIES = pd.DataFrame(), pd.Series([1.0, 2.0], ["a", "b"])


@pytest.mark.parametrize("draw, said", [
    (lambda axes: plots.loss_per_epoch(axes, pd.DataFrame(TABLES["loss_per_epoch"] | {"best": [False]})), "no epoch is the best"),
    (lambda axes: plots.gradient_norms(axes, NOTHING), "norms of the gradients: the table is empty"),
    (lambda axes: plots.stream_heat(axes, NOTHING), "heat: the table is empty"),
    (lambda axes: plots.stream_heat(axes, pd.DataFrame(index=["a"])), "heat: the table is empty"),
    (lambda axes: plots.reliability(axes, {"one": pd.DataFrame({"predicted": [1]})}), "reliability of one: no column 'observed'"),
    (lambda axes: plots.two_orders(axes, SERIES, SERIES[:1]), "both must be of the same names"),
    (lambda axes: plots.two_orders(axes, SERIES, SERIES.rename({"a": "c"})), "both must be of the same names"),
    (lambda axes: plots.histories(axes, small_log(), np.zeros((7, 3), int), -1), "origin: must be the number of an event, 0 to "),
    (lambda axes: plots.histories(axes, small_log(), np.zeros((7, 3), int), len(small_log())), "origin: must be the number of an event"),
    (lambda axes: plots.histories(axes, small_log(), np.zeros((6, 3), int), 5), "a row for each of the 7 streams, found 6"),
    (lambda axes: plots.predicted_values(axes, np.array([0.5, 0.5]), ["a"], None, "kind"), "found 1 names"),
    (lambda axes: plots.predicted_values(axes, np.array([0.5, 0.5]), ["a", "b"], 2, "kind"), "the true value is one of them; found 2 names and 2"),
    (lambda axes: plots.model_shapes(axes, STREAMS, 6, 5, 17, 8, 99, carry=7), "carry: must be 1 to 6"),
    (lambda axes: plots.model_shapes(axes, [], 6, 5, 17, 8, 99), "found 1 of 0 streams"),
    (lambda axes: plots.right_or_wrong(axes, np.ones((3, 2), bool), ["a"], "title"), "2 categories need as many names, found 1"),
    (lambda axes: plots.last_vectors(axes, ["a"], np.ones((1, 4), bool), 0), "carry: must be 1 to 4"),
    (lambda axes: plots.last_vectors(axes, ["a"], np.ones((1, 4), bool), 5), "carry: must be 1 to 4"),
    (lambda axes: plots.last_vectors(axes, ["a"], np.ones((2, 4), bool), 1), "found 1 and 1 names"),
])
def test_what_cannot_be_drawn_is_refused_in_words(draw, said):
    with pytest.raises(InputError, match=re.escape(said)):
        draw(Figure().subplots())


def test_speed_by_batch(axes):
    rows = [{"part": "forms", "name": name, "batch": batch, "d_model": d_model, "value": value * batch / d_model}
            for name, value in (("ours", 40.0), ("plain", 10.0)) for d_model in (32, 64) for batch in (16, 64)]
    plots.speed_by_batch(axes, pd.DataFrame([*rows, {"part": "growth", "name": "carry", "size": 1, "value": 1.0}]))
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["ours, 32", "ours, 64", "plain, 32", "plain, 64"]
    draws(drawn["plain, 64"], [16, 64], [2.5, 10])
    assert axes.get_xscale() == axes.get_yscale() == "log" and ticks(axes.get_xticklabels()) == ["16", "64"]


def test_growth(axes):
    rows = [{"part": "growth", "name": name, "size": size, "value": value} for name, size, value in
            (("streams", 1, 5.0), ("streams", 4, 10.0), ("ids", 25, 8.0), ("ids", 200, 12.0))]
    plots.growth(axes, pd.DataFrame([*rows, {"part": "exponent of growth", "name": "ids", "size": 200, "value": 0.3}]))
    drawn = lines(axes)
    assert legend(axes) == list(drawn) == ["streams, from 1", "ids, from 25", "in proportion"]
    draws(drawn["streams, from 1"], [1, 4], [1, 2])
    draws(drawn["ids, from 25"], [1, 8], [1, 1.5])
    draws(drawn["in proportion"], [1, 8], [1, 8])
