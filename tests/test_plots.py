"""Every figure: what it draws is what it was given. Nothing is compared as an image."""

import ast
import copy
import inspect
import re
import warnings
from functools import cache

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from small import SOURCE, small_log, small_truth, small_windows, trained_run
from unkind import LOOKS, UNKIND, assert_no_formula, unkind_run

from helpers import plots
from helpers.events import TEST
from helpers.losses import Evaluation, evaluate, fit_baselines
from helpers.support.baselines import BASELINES
from helpers.support.errors import InputError
from helpers.world import BREAK_END, BREAK_START, HABITS, KEYS, PLANNED, START_HOURS

STREAMS = ["EventType", "Actor", "Recipient", "Location", "CostCode", "JobCode", "Time"]


@cache
def make_evaluation() -> Evaluation:
    run = trained_run()
    baselines = fit_baselines(run.data.log)
    return evaluate(run.model, run.data.windows[TEST], baselines, small_truth())


@pytest.fixture
def evaluation() -> Evaluation:
    return copy.deepcopy(make_evaluation())


@pytest.fixture
def axes():
    axes = make_axes()
    yield axes
    axes.figure.canvas.draw()  # it can be drawn as well as described
    assert axes.get_title("left") and axes.get_xlabel()


def make_axes(**size) -> Axes:
    figure = Figure(layout="constrained", **size)
    return FigureCanvasAgg(figure).figure.subplots()  # a canvas of no kind draws nothing


def read_line(line) -> tuple[np.ndarray, np.ndarray]:
    x, y = line.get_data()
    return np.asarray(x, float), np.asarray(y, float)


def read_lines(axes) -> dict:
    """Label -> (x, y) of each line; those without a label of their own are numbered."""
    return {line.get_label(): read_line(line) for line in axes.lines}


def read_legend(axes) -> list[str]:
    return read_texts(axes.get_legend().get_texts())


def read_texts(texts) -> list[str]:
    return [text.get_text() for text in texts]


def read_rows(axes) -> list[str]:
    return read_texts(axes.get_yticklabels())


def read_markers(lines) -> list[str]:
    return [line.get_marker() for line in lines]


def read_colours(lines) -> list[str]:
    return [line.get_color() for line in lines]


def read_styles(lines) -> list[str]:
    return [line.get_linestyle() for line in lines]


def read_spans(axes) -> list:
    """(from, to, y) of the horizontal lines."""
    (collection,) = (one for one in axes.collections if isinstance(one, LineCollection))
    spans = []
    for start, end in collection.get_segments():
        assert start[1] == end[1]
        spans.append((start[0], end[0], start[1]))
    return spans


def read_intervals(axes) -> dict:
    """Label -> (x, y, ends) of what was drawn with bars to both sides."""
    intervals = {}
    for container in axes.containers:
        line, _, (bars,) = container
        x, y = read_line(line)
        ends = np.array(bars.get_segments())[:, :, 0]
        intervals[container.get_label()] = (x, y, ends)
    return intervals


def assert_draws(line, x, y) -> None:
    np.testing.assert_allclose(line, [x, y], rtol=1e-6)


def assert_whole(ticks) -> None:
    assert all(tick == round(tick) for tick in ticks)


def list_figures() -> list[str]:
    return [name for name in list_functions() if name.startswith("draw_")]


def list_functions() -> list[str]:
    functions = inspect.getmembers(plots, inspect.isfunction)
    own = [name for name, one in functions if one.__module__ == plots.__name__]
    return [name for name in own if not name.startswith("_")]


def test_every_figure_is_tested_here():
    tests = {f"test_{name}" for name in list_figures()}
    assert tests
    assert not tests - set(globals())


def test_every_public_function_draws_or_tells():
    assert set(list_functions()) == {*list_figures(), "tell_span"}


# -- a log and a network


@pytest.mark.parametrize("short", [True, False], ids=["with padding", "without"])
def test_draw_histories(axes, short):
    windows, log = small_windows(), small_log()
    places = windows.history_index(windows.origins)
    padded = (places == len(log)).any((1, 2))
    index = places[padded == short][2]
    origin = windows.origins[padded == short][2]
    assert plots.draw_histories(axes, log, index, origin) is axes
    *histories, origins = read_lines(axes).values()
    assert len(histories) == len(index) == 7
    earliest, latest = axes.get_xlim()
    for row, events in enumerate(index):
        there = [event for event in events if event < len(log)]
        hours = [count_hours(log.time[event] - log.time[origin]) for event in there]
        assert_draws(histories[row], hours, [row] * len(hours))
        assert earliest < min(hours)
        assert max(hours) <= 0 < latest
        assert_tells(axes.texts[row], row, -min(hours))
    assert_draws(origins, [0] * 7, range(7))
    assert read_legend(axes) == ["origin"]
    assert read_rows(axes) == STREAMS
    assert axes.yaxis_inverted()
    assert str(SOURCE) in axes.get_title("left")


def count_hours(span: np.timedelta64) -> float:
    return span.astype("timedelta64[m]").astype(int) / 60


def assert_tells(text, row: int, hours: float) -> None:
    number, unit = text.get_text().split("back ")[1].split()
    units = {"min": 60, "h": 1, "days": 1 / 24}
    assert abs(float(number) - hours * units[unit]) <= 0.5
    assert text.get_position()[1] == row


def test_the_legend_of_histories_hides_no_event(axes):
    log = small_log()
    origin = small_windows().origins[-1]
    index = small_windows().history_index(np.array([origin]))[0]
    plots.draw_histories(axes, log, index, origin)
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


@pytest.mark.parametrize(
    "hours, told",
    [
        (0.25, "15 min"),
        (1.99, "119 min"),
        (2, "2 h"),
        (47.4, "47 h"),
        (48, "2 days"),
        (240, "10 days"),
    ],
)
def test_tell_span(hours, told):
    assert plots.tell_span(hours) == told


def test_draw_model_shapes():
    axes = Figure().subplots()
    drawn = plots.draw_model_shapes(
        axes,
        STREAMS,
        source=6,
        target=5,
        categories=17,
        d_model=8,
        values=999,
        carry=2,
    )
    assert drawn is axes
    axes.figure.canvas.draw()
    texts = read_texts(axes.texts)
    assert [text for text in texts if text in STREAMS] == STREAMS
    assert texts.count("encoder") == 7
    shapes = {
        "(B, 7, 6, 17)",
        "(B, 7, 6, 8)",
        "(B, 14, 8)",
        "(B, 5, 8)",
        "(B, 5, 999)",
        "(B, 5, 17)",
    }
    assert not shapes - set(texts)
    assert any("the last 2 vectors go on" in text for text in texts)
    assert axes.get_title("left")
    histories, encoders, states = 7, 7, 2 * 7
    shared = 5  # embedding, self-attention, decoder, heads, target
    assert len(axes.patches) == histories + encoders + states + shared


@pytest.mark.parametrize("carry", [1, 3, 6])
def test_draw_last_vectors(axes, carry):
    known = np.ones((7, SOURCE), bool)
    known[2, :5] = known[4, :2] = False
    assert plots.draw_last_vectors(axes, STREAMS, known, carry) is axes
    drawn = read_lines(axes)
    place = np.arange(1 - SOURCE, 1)
    kinds = {
        "goes on": known & (place > -carry),
        "encoded, stays behind": known & (place <= -carry),
        "padded, masked": ~known,
    }
    kinds = {name: there for name, there in kinds.items() if there.any()}
    assert read_legend(axes) == list(kinds)
    assert ("encoded, stays behind" in kinds) == (carry < SOURCE)
    for name, there in kinds.items():
        row, column = np.nonzero(there)
        assert_draws(drawn[name], place[column], row)
    words = " ".join(read_texts(axes.texts))
    assert f"7 x {SOURCE} = {7 * SOURCE} vectors" in words
    assert f"7 x {carry} = {7 * carry} vectors" in words
    assert read_rows(axes) == STREAMS
    assert axes.yaxis_inverted()
    assert f"carry is {carry}" in axes.get_title("left")


@pytest.mark.parametrize("carry", [1, 3, 6])
def test_what_goes_on_is_drawn_once_more_on_the_decoders_side(axes, carry):
    known = np.ones((7, SOURCE), bool)
    known[2, :5] = known[4, :2] = False
    plots.draw_last_vectors(axes, STREAMS, known, carry)
    memory = [line for line in axes.lines if line.get_label().startswith("_")]
    places = [line.get_xdata() for line in memory]
    assert len(np.concatenate(places)) == 7 * carry
    assert np.concatenate(places).min() == 3
    padded = (~known[:, SOURCE - carry :]).sum()
    assert len(memory) == (2 if padded else 1)
    assert not padded or len(places[1]) == padded


# -- a run


def test_draw_loss_per_epoch(axes, run):
    assert plots.draw_loss_per_epoch(axes, run.epochs()) is axes
    history = pd.DataFrame(run.history)
    losses = history.groupby(["measure", "epoch"])["value"].mean()
    train, validation = losses["train"], losses["validation"]
    drawn = read_lines(axes)
    (kept,) = run.epochs().query("best")["epoch"]
    best = f"best, epoch {kept}"
    assert read_legend(axes) == list(drawn) == ["train", "validation", best]
    assert_draws(drawn["train"], range(6), train)
    assert_draws(drawn["validation"], range(6), validation)
    assert_draws(drawn[best], [kept], [validation[kept]])
    assert_whole(axes.get_xticks())
    assert "nats" in axes.get_ylabel()


def test_draw_gradient_norms(axes, run):
    norms = pd.DataFrame(run.history).query("measure == 'gradient'")
    norms = norms.pivot(index="epoch", columns="name", values="value")[STREAMS]
    assert plots.draw_gradient_norms(axes, norms) is axes
    drawn = read_lines(axes)
    assert read_legend(axes) == list(drawn) == STREAMS
    for stream in STREAMS:
        assert_draws(drawn[stream], range(6), norms[stream])
    assert axes.get_yscale() == "log"
    assert_whole(axes.get_xticks())


def test_draw_curves(axes):
    columns = {"one": [1, 2, np.nan], "two": [3, np.nan, 5]}
    table = pd.DataFrame(columns, index=[1, 2, 4])
    assert plots.draw_curves(axes, table, "Two", "carry", "loss (nats)", {"here": 3}) is axes
    drawn = read_lines(axes)
    assert read_legend(axes) == list(drawn) == ["one", "two", "here"]
    assert_draws(drawn["one"], [1, 2], [1, 2])
    assert_draws(drawn["two"], [1, 4], [3, 5])
    assert drawn["here"][0].tolist() == [3, 3]
    assert axes.get_title("left") == "Two"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("carry", "loss (nats)")
    assert len(set(read_colours(axes.lines))) == 3
    assert len(set(read_styles(axes.lines))) == 3
    assert read_markers(axes.lines[:2]) == ["o", "^"]
    assert_whole(axes.get_xticks())


def test_curves_of_many_points_have_no_markers_and_a_single_one_no_legend(axes):
    table = pd.DataFrame({"one": range(41)})
    plots.draw_curves(axes, table, "One", "batch", "loss (nats)")
    assert axes.lines[0].get_marker() in ("", "None")
    assert axes.get_legend() is None


def test_the_legend_of_many_curves_stands_beside_them(axes):
    table = make_columns("abcdef")
    plots.draw_curves(axes, table, "Six", "epoch", "loss (nats)")
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1


def make_columns(names: str) -> pd.DataFrame:
    return pd.DataFrame(dict.fromkeys(names, [1.0, 2.0]))


# -- losses by category


BEST, OWN, ALL = "best baseline", "exact reader, own stream", "exact reader, all streams"
FLOOR, MODEL = "floor: nothing beats it", "model"
NAMES = {BEST: "baseline", OWN: "reader_own", ALL: "reader", FLOOR: "floor", MODEL: "model"}


def test_draw_category_ladder(axes, evaluation):
    report = evaluation.report()
    assert plots.draw_category_ladder(axes, report) is axes
    rows = report[report["category"] != "mean"].set_index("category")
    names = read_rows(axes)
    assert names == sorted(rows.index, key=rows["model"].get)  # the hardest at the top
    assert len(names) == 17
    assert_rungs(axes, rows.loc[names])
    assert read_legend(axes) == list(NAMES)


def assert_rungs(axes, rows: pd.DataFrame) -> None:
    drawn = read_lines(axes)
    assert list(drawn) == list(NAMES)
    levels = rows.assign(baseline=rows[list(BASELINES)].min(axis=1))[[*NAMES.values()]]
    for label, column in NAMES.items():
        assert_draws(drawn[label], levels[column], range(len(rows)))
    assert_spans(axes, levels.min(axis=1), levels.max(axis=1))
    assert read_ceilings(axes) == [f"{ceiling:.1f}" for ceiling in rows["ceiling"]] + ["ceiling"]


def read_ceilings(axes) -> list[str]:
    return read_texts(axes.texts)


def assert_spans(axes, start, end) -> None:
    spans = np.column_stack([start, end, range(len(start))])
    np.testing.assert_allclose(read_spans(axes), spans)


def test_the_ladder_of_decisions_has_a_row_a_stream(axes, evaluation):
    decisions = evaluation.decisions()
    plots.draw_category_ladder(axes, decisions, title="Where a habit decides")
    rows = decisions[decisions["stream"] != "mean"].sort_values("model")
    assert set(rows["stream"]) == set(HABITS)
    assert read_rows(axes) == [f"{row.stream}\n{row.category}" for row in rows.itertuples()]
    assert_rungs(axes, rows)
    assert axes.get_title("left") == "Where a habit decides"


def test_ceilings_do_not_squeeze_the_ladder(axes):
    plots.draw_category_ladder(axes, make_ladder(ceiling=[4.6]))
    assert read_ceilings(axes) == ["4.6", "ceiling"]
    low, high = axes.get_xlim()
    assert low == 0 and 1 < high < 1.1  # all else is 1


def test_the_ladder_of_a_log_without_a_simulator_names_neither_floor_nor_readers(axes, evaluation):
    report = evaluation.report().assign(floor=np.nan, reader=np.nan, reader_own=np.nan)
    plots.draw_category_ladder(axes, report)
    rows = report.set_index("category").loc[read_rows(axes)]
    ends = rows[[*BASELINES, "model"]].assign(best=rows[list(BASELINES)].min(axis=1))
    ends = ends[["best", "model"]]
    assert_spans(axes, ends.min(axis=1), ends.max(axis=1))
    assert read_legend(axes) == list(read_lines(axes)) == [BEST, MODEL]


def split_questions(evaluation) -> dict[str, pd.DataFrame]:
    report = evaluation.all_questions()
    return dict(iter(report.groupby("question", sort=False)))


def test_draw_category_ladders(evaluation):
    reports, axes = split_questions(evaluation), make_axes(figsize=(16, 8))
    figure = axes.figure
    last = plots.draw_category_ladders(axes, reports)
    following, every, decided = figure.axes
    assert last is decided
    titles = ["Next event", "All steps", "Where a habit decides"]
    assert [one.get_title("left") for one in figure.axes] == titles
    figure.canvas.draw()
    names = read_rows(following)
    for one, step in ((following, 1), (every, None)):  # in one order, and named once
        assert_rungs(one, evaluation.report(step).set_index("category").loc[names])
    assert not any(label.get_visible() for label in every.get_yticklabels())
    streams = [name.split("\n")[0] for name in read_rows(decided)]
    assert_rungs(decided, evaluation.decisions().set_index("stream").loc[streams])
    assert all(one.get_legend() is None for one in figure.axes)
    (legend,) = figure.legends
    assert read_texts(legend.get_texts()) == list(NAMES)


def test_the_ladders_of_a_log_without_a_simulator_are_two(evaluation):
    evaluation.deciders = None
    reports, axes = split_questions(evaluation), make_axes()
    figure = axes.figure
    plots.draw_category_ladders(axes, reports)
    assert [one.get_title("left") for one in figure.axes] == ["Next event", "All steps"]


def test_draw_category_ranges(axes, run):
    assert plots.draw_category_ranges(axes, run.category_ranges()) is axes
    values = pd.DataFrame(run.history).query("measure == 'validation'")
    values = values.groupby("name")["value"].agg(["min", "max"])
    values = values.sort_values("max")
    assert read_rows(axes) == values.index.tolist()
    assert len(values) == 17
    assert (values["min"] < values["max"]).all()
    assert_spans(axes, values["min"], values["max"])


def test_a_range_of_nothing_is_seen_by_its_ends(axes):
    ranges = {"category": ["kind", "site"], "min": [1.0, 2.0], "max": [1.0, 3.0]}
    plots.draw_category_ranges(axes, pd.DataFrame(ranges))
    least, greatest = read_lines(axes).values()
    assert_draws(least, [1, 2], [0, 1])
    assert_draws(greatest, [1, 3], [0, 1])


def test_draw_two_orders(axes):
    left = pd.Series([0.3, 0.1, 0.2, 0.4, 0.5], list("abcde"), name="loss")
    right = pd.Series([0.3, 0.5, 0.2, 0.1, 0.4], list("abcde"), name="gap")
    assert plots.draw_two_orders(axes, left, right) is axes
    places = [(2, 2), (0, 4), (1, 1), (3, 0), (4, 3)]  # the greatest at the top
    for line, ends in zip(axes.lines, places, strict=True):
        assert_draws(read_line(line), [0, 1], ends)
    assert read_markers(axes.lines) == ["s", "o", "s", "o", "o"]  # those that moved stand out
    assert len(set(read_colours(axes.lines))) == 2
    assert read_texts(axes.texts[:4]) == ["a  0.300", "0.300  a", "b  0.100", "0.500  b"]
    assert read_texts(axes.get_xticklabels()) == ["loss (nats)", "gap (nats)"]
    assert axes.get_xlabel() == "ordered by"


def test_draw_leak_alarm(axes):
    gaps = pd.DataFrame(
        {
            "what": ["honest", "unsure", "leak"],
            "gap": [0.2, -0.02, -0.3],
            "standard_error": [0.01, 0.01, 0.05],
        }
    )
    assert plots.draw_leak_alarm(axes, gaps) is axes
    drawn = read_intervals(axes)
    reach = 3 * gaps["standard_error"]
    bars = np.column_stack([gaps["gap"] - reach, gaps["gap"] + reach])
    for label, rows in {"no alarm": [0, 1], "below the exact reader: a leak": [2]}.items():
        x, y, ends = drawn[label]
        assert_draws((x, y), gaps["gap"][rows], rows)
        np.testing.assert_allclose(ends, bars[rows])
    assert read_legend(axes) == ["exact reader", *drawn]
    assert axes.get_title("left") == "Who is below the exact reader?"
    assert len(drawn) == 2
    assert read_rows(axes) == gaps["what"].tolist()
    assert axes.yaxis_inverted()
    assert "nats" in axes.get_xlabel()


def test_the_legend_of_the_leak_alarm_hides_no_gap(axes):
    gaps = pd.DataFrame({"what": list("abc"), "gap": 0.1, "standard_error": 0.01})
    plots.draw_leak_alarm(axes, gaps)
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y1 <= axes.get_window_extent().y0


def test_the_leak_alarm_can_ring_at_the_floor(axes):
    table = pd.DataFrame({"what": ["leak"], "gap": [-0.1], "standard_error": [0.01]})
    plots.draw_leak_alarm(axes, table, line="floor")
    assert read_legend(axes) == ["floor", "below the floor: a leak"]
    assert "above the floor" in axes.get_xlabel()
    assert axes.get_title("left") == "Who is below the floor?"


def test_long_names_of_the_leak_alarm_are_on_two_lines(axes):
    name = "what was read with the target's own next events in it"
    table = pd.DataFrame({"what": [name], "gap": [0.1], "standard_error": [0.01]})
    plots.draw_leak_alarm(axes, table)
    (drawn,) = read_rows(axes)
    assert drawn.split() == name.split() and drawn.count("\n") == 1


# -- the workplace


def make_decisions(*names: str) -> pd.DataFrame:
    """As `helpers.tools.decisions` makes it, with two steps; the i-th name has i, then i + 0.5."""
    rows = []
    for i, name in enumerate(names):
        losses = {"all steps": 9.0, "Actor": 9.0, "step 1": i, "step 2": i + 0.5}
        rows += [(name, question, float(loss)) for question, loss in losses.items()]
    return pd.DataFrame(rows, columns=["who", "question", "loss"])


def test_draw_decisions_by_step(axes):
    runs, readers = ["working_run", "larger_run"], ["reader of Recipient alone"]
    table = make_decisions("floor", "reader", *runs, "without Actor", *readers, *BASELINES)
    assert plots.draw_decisions_by_step(axes, table) is axes
    drawn = read_lines(axes)
    expected = {"floor": 0, ALL: 1, OWN: 5, "working run": 2, "larger run": 3}
    curves = axes.lines[: len(expected)]
    assert [line.get_label() for line in curves] == list(expected)
    for label, first in expected.items():
        assert_draws(drawn[label], [1, 2], [first, first + 0.5])
    assert len(set(read_colours(curves))) == len(curves)
    assert read_names(axes) == sorted(expected, key=expected.get)  # as the curves end
    (filled,) = axes.collections  # between the floor and the reader
    (path,) = filled.get_paths()
    assert path.contains_points([(1.5, 0.7), (1.5, 2.4)]).tolist() == [True, False]
    assert axes.get_ylim()[0] == 0
    assert_whole(axes.get_xticks())
    assert "nats" in axes.get_ylabel()


def test_decisions_of_runs_alone_have_no_part_that_nobody_could_know(axes):
    plots.draw_decisions_by_step(axes, make_decisions("working_run"))
    assert read_texts(axes.texts) == ["working run"]
    assert not axes.collections


def list_habits() -> pd.DataFrame:
    rows = [(stream, KEYS[stream], habit.kind, habit.category) for stream, habit in HABITS.items()]
    return pd.DataFrame(rows, columns=["stream", "key", "kind", "category"])


def draw_habits(table: pd.DataFrame) -> Axes:
    axes = make_axes(figsize=(14, 6))
    assert plots.draw_shift(axes, table) is axes
    axes.figure.canvas.draw()
    return axes


def test_draw_shift():
    axes = draw_habits(list_habits())
    cards = [one for one in axes.patches if isinstance(one, FancyBboxPatch)]
    decided, streams = cards[: len(HABITS)], cards[len(HABITS) :]
    assert len(streams) == len(STREAMS)
    for table, card in zip(sort_by_kind(list_habits()), decided):
        inside = read_texts(find_texts(axes, card))
        assert inside == [f"habit of the {plots.KEY_WORDS[table.key]}", table.category]
        assert_feeds(axes, card, table.kind)
    looks = {}
    for stream, card in zip(STREAMS, streams):
        name, words = read_texts(find_texts(axes, card))
        assert name == stream
        assert words.split("\n")[0] == plots.KEY_WORDS[KEYS.get(stream, "EventType")]
        assert ("placebo" in words) == (stream == "EventType")
        looks[stream] = to_hex(card.get_edgecolor())
    assert len(set(looks.values())) == len(STREAMS)
    for table, card in zip(sort_by_kind(list_habits()), decided):  # of one stream, one colour
        assert to_hex(card.get_edgecolor()) == looks[table.stream]
    assert axes.get_title("left")


def sort_by_kind(habits: pd.DataFrame) -> list:
    """The habits in the order in which their cards are drawn."""
    return [row for _, rows in habits.groupby("kind", sort=False) for row in rows.itertuples()]


def find_texts(axes, card) -> list[Text]:
    """The texts in a card, all of which lie within its borders."""
    box = card.get_window_extent()
    texts = [text for text in axes.texts if box.contains(*find_middle(text))]
    for text in texts:
        extent = text.get_window_extent()
        assert box.x0 < extent.x0 and extent.x1 < box.x1
        assert box.y0 < extent.y0 and extent.y1 < box.y1
    return texts


def find_middle(text: Text) -> tuple[float, float]:
    extent = text.get_window_extent()
    return (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2


def assert_feeds(axes, card, kind: str) -> None:
    """The card stands above the clock of its kind of event."""
    x = plots.CLOCKS[kind][0]
    assert card.get_x() + card.get_width() / 2 == pytest.approx(x)
    assert card.get_y() > plots.LINE + plots.RADIUS


def test_texts_of_the_shift_do_not_run_into_each_other():
    axes = draw_habits(list_habits())
    texts = [text for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            assert not one.overlaps(other)
    left, right = axes.get_window_extent().intervalx
    assert all(left <= box.x0 and box.x1 <= right for box in boxes)


def test_the_clocks_of_the_shift_show_a_day_that_can_be():
    _, hours, minutes, _ = map(list, zip(*plots.CLOCKS.values()))
    planned, begun, left, back, ended = hours
    assert list(plots.CLOCKS) == [
        "shift_scheduled",
        "punch_in",
        "break_start",
        "break_end",
        "punch_out",
    ]
    assert begun in START_HOURS and planned == begun - 1 and minutes[0] == PLANNED
    assert (left, back) == (BREAK_START, BREAK_END)
    assert ended in HABITS["JobCode"].values
    assert minutes[1] == minutes[2] == minutes[3] and minutes[1] in HABITS["Recipient"].values
    assert minutes[4] in HABITS["Actor"].values


def test_a_habit_at_an_event_without_a_clock_is_refused():
    table = list_habits().assign(kind="job_transfer")
    with pytest.raises(InputError, match="kind must be one of shift_scheduled, .* found job_trans"):
        draw_habits(table)


def test_draw_worths(axes):
    worths = pd.DataFrame(
        {"left out": [0.5, 0.0], "swapped": [0.4, -0.004]}, index=["Actor", "EventType"]
    )
    assert plots.draw_worths(axes, worths, "Worth") is axes
    assert read_legend(axes) == ["left out", "swapped"]
    assert read_rows(axes) == ["Actor", "EventType"]
    assert axes.yaxis_inverted()
    for bars, (_, column) in zip(axes.containers, worths.items()):
        assert [bar.get_width() for bar in bars] == column.tolist()
        middles = [bar.get_y() + bar.get_height() / 2 for bar in bars]
        assert np.abs(np.subtract(middles, [0, 1])).max() < 0.5
    assert read_texts(axes.texts) == [" 0.50", " 0.00", " 0.40", " 0.00"]  # and not -0.00
    assert len({bars[0].get_hatch() for bars in axes.containers}) == 2
    assert axes.get_title("left") == "Worth"
    assert "nats" in axes.get_xlabel()
    low, high = axes.get_xlim()
    assert low < -0.004 and high > 0.5


def test_a_worth_that_is_not_known_has_no_number(axes):
    worths = pd.DataFrame({"left out": [0.5, np.nan]}, index=["Actor", "EventType"])
    plots.draw_worths(axes, worths, "Worth")
    assert read_texts(axes.texts) == [" 0.50"]


# -- forecasts


def test_draw_reliability(axes):
    tables = {
        "one": pd.DataFrame({"predicted": [0.2, 0.8], "observed": [0.3, 0.6]}),
        "two": pd.DataFrame({"predicted": [0.9], "observed": [0.9]}),
    }
    assert plots.draw_reliability(axes, tables) is axes
    drawn = read_lines(axes)
    assert read_legend(axes) == list(drawn) == ["as often as said", "one", "two"]
    assert_draws(drawn["as often as said"], [0, 1], [0, 1])
    assert_draws(drawn["one"], [0.2, 0.8], [0.3, 0.6])
    assert_draws(drawn["two"], [0.9], [0.9])
    assert axes.get_xlim() == axes.get_ylim() == (0, 1)
    assert axes.get_aspect() == 1


def test_draw_right_or_wrong(axes):
    right = np.array([[True, False, True], [False, False, True]])
    names = ["kind", "site", "hour"]
    assert plots.draw_right_or_wrong(axes, right, names, "Two steps") is axes
    (crosses,) = read_lines(axes).values()
    assert_draws(crosses, [1, 2, 2], [1, 0, 1])  # steps count from 1
    squares = axes.collections[0].get_array()
    np.testing.assert_array_equal(squares.ravel(), right.T.ravel())
    counts = axes.texts[:3]
    assert read_texts(counts) == ["1", "0", "2"]
    assert [text.get_position()[1] for text in counts] == [0, 1, 2]
    assert read_rows(axes) == names
    assert axes.yaxis_inverted()
    assert axes.get_title("left") == "Two steps"


def test_draw_stream_heat(axes):
    values = {"HoursWorked": [0.2, -0.1], "IsTimesheet": [0.004, 0.05]}
    values = pd.DataFrame(values, ["Location", "Time"])
    assert plots.draw_stream_heat(axes, values, title="Rises", xlabel="category") is axes
    mesh = axes.collections[0]
    drawn = np.asarray(mesh.get_array(), float).ravel()
    np.testing.assert_allclose(drawn, [0.2, 0.004, 0, 0.05])
    assert read_texts(axes.texts) == [".20", "", "", ".05"]
    assert read_rows(axes) == ["Location", "Time"]
    assert read_texts(axes.get_xticklabels()) == list(values)
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0, 0.2)
    assert mesh.colorbar.ax.get_ylabel() == "nats"


def test_stream_heat_writes_what_it_is_told_to(axes):
    values = pd.DataFrame({"a": [0.2, 0.01]}, ["Location", "Time"])
    plots.draw_stream_heat(
        axes,
        values,
        shown=values < 0.1,
        top=1,
        unit="weight",
        title="Weights",
        xlabel="step",
    )
    assert read_texts(axes.texts) == ["", ".01"]
    mesh = axes.collections[0]
    assert mesh.norm.vmax == 1
    assert mesh.colorbar.ax.get_ylabel() == "weight"


# -- forecasts by sampling

EDGES = [0.05, 0.25, 0.5, 0.75, 0.95]


def make_bands(rows) -> pd.DataFrame:
    return pd.DataFrame([[1, 2, 3, 5, 8], [0, 1, 4, 6, 9]], rows, EDGES, dtype=float)


def test_draw_fan(axes):
    times = pd.to_datetime(["2023-06-01T12:00", "2023-06-02T12:00"])
    bands, truth = make_bands(times), pd.Series([3.0, 5.0], times)
    assert plots.draw_fan(axes, "model", bands, truth, "hours", "Ahead") is axes
    names = ["90% of the futures", "50% of the futures", "their median"]
    assert read_legend(axes) == [*(f"model: {name}" for name in names), "what came"]
    for drawn, (low, high) in zip(axes.collections, [(0.05, 0.95), (0.25, 0.75)], strict=True):
        y = drawn.get_paths()[0].vertices[:, 1]
        assert set(y) == {*bands[low], *bands[high]}
    median, came = axes.lines
    assert list(median.get_ydata()) == [3, 4] and list(came.get_ydata()) == [3, 5]
    assert axes.get_ylabel() == "hours"


def test_draw_pit(axes):
    shares = pd.DataFrame({"model": [0.5, 1.5], "simulator": [1.1, 0.9]})
    assert plots.draw_pit(axes, shares, 0.1, "Even?") is axes
    assert read_legend(axes) == ["chance, 2 standard errors", "model", "simulator"]
    for bars, who in zip(axes.containers, shares, strict=True):
        assert [bar.get_height() for bar in bars] == list(shares[who])
        assert [int(2 * bar.get_x()) for bar in bars] == [0, 1]  # each in its bin
    assert axes.patches[0].get_y() == 0.8 and axes.patches[0].get_height() == pytest.approx(0.4)


def test_draw_hours(axes):
    bands = {who: make_bands(["A", "B"]) for who in ("simulator", "model")}
    points = {"truth": pd.Series([7.0, 2.0], ["A", "B"])}
    assert plots.draw_hours(axes, bands, points, "hours", "By site") is axes
    assert read_legend(axes) == ["simulator", "model", "truth"] and read_rows(axes) == ["A", "B"]
    drawn = read_lines(axes)
    assert_draws(drawn["truth"], [7, 2], [0, 1])
    assert_draws(drawn["simulator"], [3, 4], [-0.2, 0.8])
    assert_draws(drawn["model"], [3, 4], [0.2, 1.2])
    wide, narrow, *_ = axes.collections
    assert [[end[0] for end in line] for line in wide.get_segments()] == [[1, 8], [0, 9]]
    assert [[end[0] for end in line] for line in narrow.get_segments()] == [[2, 5], [1, 6]]


def test_hours_of_other_sites_are_refused():
    bands = {"model": make_bands(["A", "B"])}
    with pytest.raises(InputError, match="truth: its rows must be those"):
        plots.draw_hours(make_axes(), bands, {"truth": pd.Series([1.0], ["A"])}, "hours", "By site")
    bands["simulator"] = make_bands(["A", "C"])
    with pytest.raises(InputError, match="bands of simulator: its rows must be those"):
        plots.draw_hours(make_axes(), bands, {}, "hours", "By site")


# -- what a state holds, and substitutes


def make_probes(*names: str) -> pd.DataFrame:
    """A row for each pair of names, all different, the first habit's below nothing."""
    pairs = [(habit, state) for habit in names for state in names]
    known = np.linspace(-0.1, 0.9, len(pairs))
    return pd.DataFrame(pairs, columns=["habit", "state"]).assign(
        known=known, reader_known=known + 0.1
    )


def test_draw_probes(axes):
    probes = make_probes("Time", "Actor")  # not in the order of the alphabet
    assert plots.draw_probes(axes, probes) is axes
    assert read_rows(axes) == read_texts(axes.get_xticklabels()) == ["Time", "Actor"]
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares, [[0, 0.7 / 3], [1.7 / 3, 0.9]])  # below 0 counts as 0
    shown = {text.get_text(): text.get_position() for text in axes.texts}
    assert list(shown) == [
        *("0%", "reader 0%", "23%", "reader 33%"),
        *("57%", "reader 67%", "90%", "reader 100%"),
    ]
    assert [round(y) for _, y in shown.values()] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [x for x, _ in shown.values()] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_what_is_read_off_stands_clear_of_its_ground(axes):
    plots.draw_probes(axes, make_probes("Time", "Actor"))
    light = [to_hex(text.get_color()) == plots.WHITE.lower() for text in axes.texts]
    assert light == [False] * 6 + [True] * 2  # white on the darkest alone


def test_draw_substitutes(axes):
    grades = {"way": ["states", "random"], "minute": [0.7, 0.25], "minute_error": [0.05, 0.01]}
    grades = pd.DataFrame(grades)
    assert plots.draw_substitutes(axes, grades) is axes
    assert read_rows(axes) == ["states", "random"]
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.25]
    assert read_texts(axes.texts) == ["70%", "25%"]
    ends = np.concatenate(axes.collections[0].get_segments())[:, 0]
    np.testing.assert_allclose(ends, [0.6, 0.8, 0.23, 0.27])  # two standard errors
    assert_draws(read_line(axes.lines[-1]), [0.25, 0.25], [0, 1])


# -- odd events, and what if


def make_what_if() -> pd.DataFrame:
    columns = [f"{who}, {when}" for who in ("model", "simulator") for when in ("before", "after")]
    values = [[0.5, 0.2, 0.9, 0.1], [0.4, 0.7, 0.1, 0.9]]
    return pd.DataFrame(values, [20, 24], columns).rename_axis("hours")


def test_draw_odd_events(axes):
    table = pd.DataFrame({"site": [12.4, -0.3], "hour": [0.4, 1.2]}, ["a site", "an hour"])
    assert plots.draw_odd_events(axes, table) is axes
    mesh = axes.collections[0]
    np.testing.assert_allclose(np.asarray(mesh.get_array(), float).ravel(), [12.4, 0.4, 0, 1.2])
    assert read_texts(axes.texts) == ["12", "", "", "1"]
    assert read_rows(axes) == ["a site", "an hour"]
    assert read_texts(axes.get_xticklabels()) == ["site", "hour"]


def test_draw_odd_event(axes):
    event = pd.DataFrame({"score": [3.0, 0.5], "expected": [1.0, 0.4]}, ["site", "hour"])
    assert plots.draw_odd_event(axes, event, "Odd") is axes
    assert [bar.get_width() for bar in axes.patches] == [3.0, 0.5]
    assert_draws(read_lines(axes)["expected"], [1.0, 0.4], [0, 1])
    assert read_rows(axes) == ["site", "hour"]
    assert axes.get_title("left") == "Odd"


def test_draw_what_if(axes):
    table = make_what_if()
    assert plots.draw_what_if(axes, table, "Another site") is axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [0.5, 0.4, 0.2, 0.7]
    drawn = read_lines(axes)
    assert_draws(drawn["simulator, before"], [-0.2, 0.8], [0.9, 0.1])
    assert_draws(drawn["simulator, after"], [0.2, 1.2], [0.1, 0.9])
    assert read_texts(axes.get_xticklabels()) == ["20", "24"]
    assert axes.get_xlabel() == "hours"
    with pytest.raises(InputError, match="what if: no column"):
        plots.draw_what_if(make_axes(), table.drop(columns=["model, after"]), "title")


# -- suffixes


def make_suffixes() -> pd.DataFrame:
    rows = [
        ("mine", "truth", "", 0.97),
        ("mine", "network", "greedy", 0.8),
        ("mine", "network", "beam", 0.7),
        ("mine", "network", "median", None),
        ("mine", "table", "greedy", 0.75),
        ("mine", "table", "beam", 0.6),
        ("yours", "truth", "", 1.0),
        ("yours", "network", "greedy", 0.5),
        ("yours", "table", "greedy", 0.55),
    ]
    return pd.DataFrame(rows, columns=["log", "who", "way", "similarity"])


def test_draw_suffixes(axes):
    assert plots.draw_suffixes(axes, make_suffixes()) is axes
    assert read_rows(axes) == ["mine", "greedy", "beam", "yours", "greedy"]
    bold = [label.get_fontweight() == "bold" for label in axes.get_yticklabels()]
    assert bold == [True, False, False, True, False]
    drawn = read_lines(axes)
    assert_draws(drawn["network"], [0.8, 0.7, 0.5], [1, 2, 4])
    assert_draws(drawn["table"], [0.75, 0.6, 0.55], [1, 2, 4])
    assert len(set(read_markers(axes.lines))) == len(set(read_colours(axes.lines))) == 2
    beyond = [path.get_extents() for one in axes.collections for path in one.get_paths()]
    assert [(box.x0, box.x1, box.y0, box.y1) for box in beyond] == [
        (0.97, 1, 0.5, 2.5),
        (1, 1, 3.5, 4.5),
    ]
    assert set(read_legend(axes)) == {"network", "table", "nobody can: the horizon is too short"}


# -- the figures of the widgets


def make_curve(*values) -> pd.Series:
    epochs = range(3, 3 + len(values))
    return pd.Series(values, epochs, dtype=float)


def read_names(axes) -> list[str]:
    """The names beside the curves, from the bottom."""
    texts = [text for text in axes.texts if text.get_position()[0] == 1.075]
    return read_texts(sorted(texts, key=lambda text: text.get_position()[1]))


def test_draw_loss_curves(axes):
    curves = {
        ("one", "kind", "validation"): make_curve(3, 2, 1),
        ("one", "site", "validation"): make_curve(3.5, 2.5, 1.5),
        ("two", "kind", "validation"): make_curve(4, 3),
    }
    levels = {"ceiling": [4.0, 4.5], "floor": [0.5, np.nan]}
    levels = pd.DataFrame(levels, ["kind", "site"])
    assert plots.draw_loss_curves(axes, curves, levels, "loss (nats)") is axes
    drawn = read_lines(axes)
    for (name, category, _), losses in curves.items():
        assert_draws(drawn[f"{category}\n{name}"], losses.index, losses)
    assert axes.get_title("left") == "validation"
    assert axes.get_ylabel() == "loss (nats)"
    assert read_names(axes) == ["kind\none", "site\none", "kind\ntwo"]  # as the curves end
    kind, site, two = axes.lines[:3]
    assert kind.get_color() == two.get_color() != site.get_color()
    assert len(set(read_markers([kind, site, two]))) == 3
    assert read_levels(axes.lines[3:6]) == [
        (4, kind.get_color(), "-"),
        (0.5, kind.get_color(), "--"),
        (4.5, site.get_color(), "-"),
    ]
    assert read_texts(axes.texts[-2:]) == ["ceiling", "floor"]


def read_levels(lines) -> list[tuple[float, str, str]]:
    levels = [line.get_ydata()[0] for line in lines]
    return list(zip(levels, read_colours(lines), read_styles(lines), strict=True))


def test_loss_curves_of_one_category_go_by_run_and_measure(axes):
    curves = {
        ("one", "kind", "train"): make_curve(3, 2),
        ("one", "kind", "validation"): make_curve(3, 2),
        ("two", "kind", "train"): make_curve(1, 1),
    }
    levels = pd.DataFrame({"floor": [0.5]}, ["kind"])
    plots.draw_loss_curves(axes, curves, levels, "loss (nats)")
    one, validation, two, floor = axes.lines[:4]
    assert one.get_color() == validation.get_color() != two.get_color()
    assert axes.get_title("left") == "kind"
    assert read_styles([one, validation, two]) == ["--", "-", "--"]
    assert sorted(read_names(axes)) == ["one, train", "one, validation", "two, train"]
    assert floor.get_color() == plots.GREY


@pytest.mark.parametrize("start", [0, 1, 2], ids=["at the top", "in the middle", "at the bottom"])
def test_loss_curves_write_eight_names_apart_and_inside(axes, start):
    curves = {}
    for i in range(4):
        curves[f"run {i}", "kind", "train"] = make_curve(start, 1)
        curves[f"run {i}", "kind", "validation"] = make_curve(start, 1)
    plots.draw_loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert len(heights) == 8
    assert np.diff(heights).min() > 0.06
    assert heights[0] >= 0
    assert heights[-1] <= 1


def test_markers_of_long_loss_curves_leave_the_line_to_be_seen(axes):
    curves = {("one", "kind", "train"): make_curve(*range(45))}
    curves["two", "kind", "train"] = make_curve(*range(19))
    plots.draw_loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")
    assert [line.get_markevery() for line in axes.lines[:2]] == [3, 1]


def test_loss_curves_of_nothing(axes):
    plots.draw_loss_curves(axes, {}, pd.DataFrame(), "loss (nats)")
    assert not axes.lines


def test_loss_curves_are_named_where_they_end_and_not_where_they_are_blank(axes):
    curves = {("one", "kind", "train"): make_curve(3, 2, np.nan)}
    curves["two", "kind", "train"] = make_curve(1, 1, 1)
    plots.draw_loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")
    assert read_names(axes) == ["two", "one"]


def test_names_from_a_log_are_no_formulas(axes):
    names = ["$\\frac$", "$x", "a" * 99]
    curves = {(name, "_kind", "train"): make_curve(i, i) for i, name in enumerate(names)}
    plots.draw_loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")
    axes.figure.canvas.draw()
    drawn = read_names(axes)
    assert drawn[:2] == [r"\$\frac\$", r"\$x"]
    assert max(map(len, drawn)) == 30
    assert drawn[2].endswith("…")


def test_draw_decoder_reads(axes):
    weights = pd.Series([0.7, 0.3], ["Actor", "Time"])
    assert plots.draw_decoder_reads(axes, weights) is axes
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.3]
    assert read_rows(axes) == ["Actor", "Time"]
    assert axes.yaxis_inverted()
    assert read_texts(axes.texts) == ["0.70", "0.30"]


def test_draw_history_weights(axes):
    weights = np.array([[np.nan, 0.9, 0.1], [0.05, 0.25, 0.7]])
    table = pd.DataFrame(weights, ["Actor", "Time"])
    assert plots.draw_history_weights(axes, table) is axes
    drawn = axes.images[0].get_array()
    np.testing.assert_array_equal(drawn.mask, np.isnan(weights))
    np.testing.assert_array_equal(drawn.filled(np.nan), weights)
    assert axes.patch.get_hatch()
    assert read_rows(axes) == ["Actor", "Time"]
    nine, seven = axes.texts
    assert read_texts(axes.texts) == [".9", ".7"]
    assert nine.get_position() == (1, 0)
    assert seven.get_position() == (2, 1)
    assert read_texts(axes.get_xticklabels()) == ["oldest", "origin"]
    assert "3 events" in axes.get_title("left")


@pytest.mark.parametrize(
    "truth, shown",
    [
        (2, ["c  0.60  (true)", "a  0.25", "d  0.10"]),
        (5, ["c  0.60", "a  0.25", "f  0.00  (true)"]),
        (None, ["c  0.60", "a  0.25", "d  0.10"]),
    ],
)
def test_draw_predicted_values(axes, truth, shown):
    p = np.array([0.25, 0.05, 0.6, 0.1, 0, 0])
    assert plots.draw_predicted_values(axes, p, list("abcdef"), truth, "kind", most=3) is axes
    assert read_texts(axes.texts) == shown
    assert axes.get_title("left") == "kind"
    expected = [p["abcdef".index(text[0])] for text in shown]
    assert [bar.get_width() for bar in axes.patches] == expected
    hatched = [bool(bar.get_hatch()) for bar in axes.patches]
    assert hatched == ["true" in text for text in shown]


def make_paths(*rows) -> np.ndarray:
    """Futures that are in these rows, step by step."""
    steps = np.broadcast_to(np.arange(1, len(rows[0]) + 1), np.shape(rows))
    return np.stack([steps, rows], -1).astype(float)


PAST = np.array([[-1.0, 0], [0, 1]])
CAME = np.array([[1.0, 2], [2, 0]])


def draw_paths(axes, futures, odd, **more):
    names = ["plan", "begin", "end"]
    return plots.draw_future_paths(axes, PAST, futures, names, odd, CAME, "kind", **more)


def read_fans(axes) -> list[dict]:
    """Of the futures and of what follows a cross: each line's ends, and its width."""
    fans = [one for one in axes.collections if isinstance(one, LineCollection)]
    return [
        {
            tuple(map(float, np.ravel(line))): width
            for line, width in zip(fan.get_segments(), fan.get_linewidths(), strict=True)
        }
        for fan in fans
    ]


@pytest.fixture
def wide_axes():
    return make_axes(figsize=(12, 5))


def test_draw_future_paths(wide_axes):
    axes = wide_axes
    futures = make_paths([2, 0], [2, 0], [2, 1], [0, 1])
    odd = np.array([2, 2, 1, 0])
    assert draw_paths(axes, futures, odd, xlabel="steps", xlim=(-1, 2)) is axes
    fan, after = read_fans(axes)
    assert set(fan) == {(0, 1, 1, 2), (1, 2, 2, 0), (1, 2, 2, 1), (0, 1, 1, 0)}
    assert set(after) == {(1, 0, 2, 1)}
    most, two, *ones = sorted(fan.values(), reverse=True)
    assert most == fan[0, 1, 1, 2] > two == fan[1, 2, 2, 0] > ones[0] == ones[1]
    (crosses,) = [one for one in axes.collections if len(one.get_offsets()) == 2]
    assert sorted(crosses.get_offsets().tolist()) == [[1, 0], [2, 1]]
    drawn = read_lines(axes)
    assert_draws(drawn["the last events"], *PAST.T)
    assert_draws(drawn["what came"], [0, 1, 2], [1, 2, 0])
    assert "the best" not in drawn
    labels = ["the last events", "what came", "futures", "what follows a cross", "cannot happen"]
    assert read_legend(axes) == labels
    assert read_rows(axes) == ["plan", "begin", "end"]
    assert axes.yaxis_inverted()
    assert (axes.get_title("left"), axes.get_xlabel()) == ("kind", "steps")


def test_the_best_of_future_paths_and_those_of_which_nothing_is_known(wide_axes):
    axes = wide_axes
    futures = make_paths([2, 0], [2, 1])
    futures[1, 1, 0] = np.nan
    draw_paths(axes, futures, None, best=True, xlabel="days")
    (fan,) = read_fans(axes)
    assert set(fan) == {(0, 1, 1, 2), (1, 2, 2, 0)}  # what has no place is not drawn
    assert_draws(read_lines(axes)["the best"], [0, 1, 2], [1, 2, 0])
    assert read_legend(axes) == ["the last events", "what came", "futures", "the best"]


def test_future_paths_that_all_can_be_have_no_cross(wide_axes):
    axes = wide_axes
    draw_paths(axes, make_paths([2, 0]), np.array([2]), xlabel="steps")
    assert not any(len(one.get_offsets()) for one in axes.collections if hasattr(one, "_sizes"))


def test_draw_live_losses(axes):
    train = pd.Series([4, 2, 3, 1.0], [0.5, 1, 1.5, 2])
    validation = pd.Series([2.5], [1])
    assert plots.draw_live_losses(axes, train, validation, 3.7, 0.1, window=2) is axes
    drawn = read_lines(axes)
    expected = {
        "train, each batch": (train.index, train),
        "train, mean of 2": (train.index, [4, 3, 2.5, 2]),
        "validation": ([1], [2.5]),
        "ceiling 3.700": ([0, 1], [3.7, 3.7]),
        "floor 0.100": ([0, 1], [0.1, 0.1]),
    }
    assert read_legend(axes) == list(drawn) == list(expected)
    for label, (x, y) in expected.items():
        assert_draws(drawn[label], x, y)
    assert axes.get_yscale() == "log"
    assert "nats" in axes.get_ylabel()
    start, end = axes.get_xlim()
    assert start == 0
    assert end >= 2


# -- the benchmark


def test_draw_speed_by_batch(axes):
    speeds = {"ours": 40.0, "plain": 10.0}
    sizes = [(batch, d_model) for d_model in (32, 64) for batch in (16, 64)]
    rows = [
        ("forms", name, batch, d_model, speed * batch / d_model)
        for name, speed in speeds.items()
        for batch, d_model in sizes
    ]
    rows.append(("growth", "carry", np.nan, np.nan, 1.0))
    table = pd.DataFrame(rows, columns=["part", "name", "batch", "d_model", "value"])
    assert plots.draw_speed_by_batch(axes, table) is axes
    drawn = read_lines(axes)
    labels = ["ours, 32", "ours, 64", "plain, 32", "plain, 64"]
    assert read_legend(axes) == list(drawn) == labels
    assert_draws(drawn["plain, 64"], [16, 64], [2.5, 10])
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert read_texts(axes.get_xticklabels()) == ["16", "64"]


def test_draw_growth(axes):
    rows = [
        ("growth", "streams", 1, 5.0),
        ("growth", "streams", 4, 10.0),
        ("growth", "ids", 25, 8.0),
        ("growth", "ids", 200, 12.0),
        ("exponent of growth", "ids", 200, 0.3),
    ]
    table = pd.DataFrame(rows, columns=["part", "name", "size", "value"])
    assert plots.draw_growth(axes, table) is axes
    drawn = read_lines(axes)
    assert read_legend(axes) == list(drawn) == ["streams, from 1", "ids, from 25", "in proportion"]
    assert_draws(drawn["streams, from 1"], [1, 4], [1, 2])
    assert_draws(drawn["ids, from 25"], [1, 8], [1, 1.5])
    assert_draws(drawn["in proportion"], [1, 8], [1, 8])


# -- colours, markers and lines come from one place


LOOK_WORDS = {"color", "colors", "c", "facecolor", "edgecolor", "linecolor", "cmap", "fmt", "ls"}
LOOK_WORDS |= {"markerfacecolor", "markeredgecolor", "marker", "linestyle", "linestyles"}


def find_own_looks(source: str) -> list[str]:
    """The colours, markers and line styles that functions spell out, in a module's source."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                found += [one.value for one in list_looks(node) if is_look(one)]
    return found


def list_looks(node: ast.AST) -> list[ast.AST]:
    """Where in a node of a syntax tree a look would stand."""
    if isinstance(node, ast.Constant) and is_named_colour(node.value):
        return [node]
    if isinstance(node, ast.keyword) and node.arg in LOOK_WORDS:
        return [node.value]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [value for key, value in pairs if getattr(key, "value", None) in LOOK_WORDS]
    if isinstance(node, ast.Subscript):  # "osD^"[i]
        return [node.value]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".plot"):
        return node.args[2:]  # "o-"
    return []


def is_named_colour(value: object) -> bool:
    """Not the single letters: in a string of its own a "y" is an axis more often than a yellow."""
    return isinstance(value, str) and len(value) > 1 and is_color_like(value)


def is_look(node: ast.AST) -> bool:
    text = getattr(node, "value", None)
    return isinstance(text, str) and text != ""


def test_no_function_has_a_look_of_its_own():
    assert not find_own_looks(inspect.getsource(plots))


@pytest.mark.parametrize(
    "statement, look",
    [
        ("axes.plot(x, y, color='#E69F00')", "#E69F00"),
        ("colours = ('#cccccc', BLUE)", "#cccccc"),
        ("axes.hlines(y, low, high, colors='k')", "k"),
        ("axes.text(0, 0, text, color='white')", "white"),
        ("axes.plot(x, y, 'o-', color=BLUE)", "o-"),
        ("axes.plot(x, y, marker='osD^'[i % 4])", "osD^"),
        ("look = {'linestyle': '--'}", "--"),
        ("axes.errorbar(x, y, xerr=z, fmt='D')", "D"),
        ("axes.imshow(values, cmap='Blues')", "Blues"),
    ],
)
def test_a_look_of_its_own_is_found(statement, look):
    assert look in find_own_looks(f"def draw(axes):\n    {statement}")


HEX = r"#[0-9A-Fa-f]{3,8}\b"


def test_colours_are_named_once_and_before_the_first_function():
    source = inspect.getsource(plots)
    head, functions = source.split("\ndef ", 1)
    colours = re.findall(HEX, head)
    assert len(colours) == len(set(colours)) >= len(plots.COLOURS)
    assert not re.findall(HEX, functions)


EIGHT = "abcdefgh"


def draw_eight_gradients(axes) -> None:
    plots.draw_gradient_norms(axes, make_columns(EIGHT))


def draw_eight_columns(axes) -> None:
    plots.draw_curves(axes, make_columns(EIGHT), "Eight", "epoch", "loss (nats)")


def draw_eight_categories(axes) -> None:
    curves = {("run", name, "train"): make_curve(1, 1) for name in EIGHT}
    plots.draw_loss_curves(axes, curves, pd.DataFrame(), "loss (nats)")


def draw_eight_forms(axes) -> None:
    table = pd.DataFrame({"name": list(EIGHT), "value": 1.0})
    plots.draw_speed_by_batch(axes, table.assign(part="forms", batch=16, d_model=32))


def draw_eight_that_grow(axes) -> None:
    table = pd.DataFrame({"name": list(EIGHT), "value": 1.0})
    plots.draw_growth(axes, table.assign(part="growth", size=1))


def draw_eight_reliabilities(axes) -> None:
    table = pd.DataFrame({"predicted": [0.5], "observed": [0.5]})
    plots.draw_reliability(axes, dict.fromkeys(EIGHT, table))


DRAW_EIGHT = [
    draw_eight_gradients,
    draw_eight_columns,
    draw_eight_categories,
    draw_eight_forms,
    draw_eight_that_grow,
    draw_eight_reliabilities,
]


@pytest.mark.parametrize("draw", DRAW_EIGHT)
def test_eight_series_have_the_eight_looks_of_the_module(axes, draw):
    draw(axes)
    lines = [line for line in axes.lines if line.get_marker() in plots.MARKERS]
    assert read_markers(lines[:8]) == list(plots.MARKERS)
    assert read_colours(lines[:8]) == list(plots.COLOURS)


def test_the_eight_looks_are_eight():
    assert len(plots.MARKERS) == len(set(plots.MARKERS)) == 8
    assert len(plots.COLOURS) == len({to_hex(colour) for colour in plots.COLOURS}) == 8


# -- a legend names what is drawn, and nothing else


BLANK = pd.Series(dtype=float)


def make_ladder(**columns) -> pd.DataFrame:
    levels = ["ceiling", *BASELINES, "reader_own", "reader", "model", "floor"]
    losses = dict.fromkeys(levels, 1.0)
    return pd.DataFrame({"category": ["kind"], **losses} | columns)


def draw_ladder(axes, *blank: str) -> None:
    plots.draw_category_ladder(axes, make_ladder(**dict.fromkeys(blank, np.nan)))


def draw_live(axes, train=BLANK, validation=BLANK, ceiling=None, floor=None) -> None:
    plots.draw_live_losses(axes, train, validation, ceiling, floor, window=2)


def draw_epochs(axes, blank: str) -> None:
    table = {"epoch": [0, 1], "train": 2.0, "validation": 1.0, "best": [False, True]}
    plots.draw_loss_per_epoch(axes, pd.DataFrame(table | {blank: np.nan}))


def draw_gradients(axes) -> None:
    norms = pd.DataFrame({"Actor": [1.0, 2.0], "Time": np.nan})
    plots.draw_gradient_norms(axes, norms)


def draw_columns(axes) -> None:
    table = pd.DataFrame({"one": [1.0, 2.0], "two": np.nan, "three": 3.0})
    plots.draw_curves(axes, table, "Three", "epoch", "loss (nats)")


def draw_reliabilities(axes) -> None:
    one = pd.DataFrame({"predicted": [0.5], "observed": [0.5]})
    two = pd.DataFrame({"predicted": [0.5], "observed": [np.nan]})
    plots.draw_reliability(axes, {"one": one, "two": two})


def draw_gaps(axes, *gaps: float) -> None:
    table = pd.DataFrame({"what": "kind", "gap": gaps, "standard_error": 0.01})
    plots.draw_leak_alarm(axes, table)


def draw_vectors(axes, carry: int) -> None:
    plots.draw_last_vectors(axes, ["Actor"], np.ones((1, 3), bool), carry)


def draw_forms(axes) -> None:
    table = pd.DataFrame({"name": ["ours", "plain"], "value": [1.0, np.nan]})
    plots.draw_speed_by_batch(axes, table.assign(part="forms", batch=16, d_model=32))


def draw_growing(axes) -> None:
    table = pd.DataFrame({"name": ["ids", "carry"], "value": [1.0, np.nan]})
    plots.draw_growth(axes, table.assign(part="growth", size=1))


TRAIN = pd.Series([4.0, 2.0], [0.5, 1.0])
OF_TRAIN = ["train, each batch", "train, mean of 2"]


@pytest.mark.parametrize(
    "draw, given, named",
    [
        (draw_ladder, ["floor"], [BEST, OWN, ALL, MODEL]),
        (draw_ladder, ["ceiling"], [BEST, OWN, ALL, FLOOR, MODEL]),
        (draw_ladder, BASELINES, [OWN, ALL, FLOOR, MODEL]),
        (draw_ladder, ["reader", "reader_own", "floor"], [BEST, MODEL]),
        (draw_ladder, ["model", "floor"], [BEST, OWN, ALL]),
        (draw_epochs, ["validation"], ["train"]),
        (draw_epochs, ["train"], ["validation", "best, epoch 1"]),
        (draw_gradients, [], ["Actor"]),
        (draw_columns, [], ["one", "three"]),
        (draw_reliabilities, [], ["as often as said", "one"]),
        (draw_gaps, [0.1, 0.2], ["exact reader", "no alarm"]),
        (draw_gaps, [-0.1, np.nan], ["exact reader", "below the exact reader: a leak"]),
        (draw_gaps, [np.nan], ["exact reader"]),
        (draw_vectors, [1], ["goes on", "encoded, stays behind"]),
        (draw_vectors, [3], ["goes on"]),
        (draw_live, [TRAIN], OF_TRAIN),
        (draw_live, [TRAIN, TRAIN * np.nan], OF_TRAIN),
        (draw_live, [BLANK, BLANK, 3.7], ["ceiling 3.700"]),
        (draw_live, [TRAIN, BLANK, np.nan, np.nan], OF_TRAIN),
        (draw_live, [TRAIN, BLANK, None, 0.0], OF_TRAIN),  # the scale is logarithmic
        (draw_forms, [], ["ours, 32"]),
        (draw_growing, [], ["ids, from 1", "in proportion"]),
    ],
)
def test_a_series_without_a_value_is_neither_drawn_nor_named(axes, draw, given, named):
    draw(axes, *given)
    assert read_legend(axes) == named
    labels = [one.get_label() for one in (*axes.lines, *axes.containers)]
    labels = [label for label in labels if not label.startswith("_")]
    assert sorted(labels) == sorted(named)


def test_a_curve_or_a_level_without_a_value_is_neither_drawn_nor_named(axes):
    curves = {
        ("one", "kind", "train"): make_curve(2, 1),
        ("two", "kind", "train"): make_curve(np.nan, np.nan),
        ("three", "kind", "train"): make_curve(),
        ("four", "kind", "train"): make_curve(4, 3),
    }
    levels = pd.DataFrame({"ceiling": [np.nan], "floor": [0.5]}, ["kind"])
    plots.draw_loss_curves(axes, curves, levels, "loss (nats)")
    assert read_names(axes) == ["one", "four"]
    assert read_levels(axes.lines[2:3]) == [(0.5, plots.GREY, "--")]
    assert len(axes.lines) == 6  # two curves with a line to their names, a level with a sample
    assert read_texts(axes.texts) == ["one", "four", "floor"]


def draw_nothing_known(axes) -> None:
    plots.draw_gradient_norms(axes, pd.DataFrame({"Actor": [np.nan]}))


@pytest.mark.parametrize("draw", [draw_live, draw_nothing_known])
def test_a_figure_of_nothing_has_no_legend(axes, draw):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(axes)
    assert axes.get_legend() is None and not axes.lines


def test_the_legend_of_an_earlier_drawing_goes(axes):
    draw_live(axes, TRAIN)
    assert read_legend(axes) == OF_TRAIN
    for line in list(axes.lines):
        line.remove()
    draw_live(axes)
    assert axes.get_legend() is None


# -- what cannot be drawn

TABLES = {
    "draw_loss_per_epoch": {"epoch": [0], "train": [1.0], "validation": [1.0], "best": [True]},
    "draw_category_ladder": make_ladder().to_dict("list"),
    "draw_category_ranges": {"category": ["kind"], "min": [1.0], "max": [1.0]},
    "draw_leak_alarm": {"what": ["kind"], "gap": [1.0], "standard_error": [1.0]},
    "draw_decisions_by_step": {"who": ["floor"], "question": ["step 1"], "loss": [1.0]},
    "draw_shift": {"stream": ["a"], "key": ["a"], "kind": ["punch_in"], "category": ["a"]},
    "draw_probes": {"habit": ["a"], "state": ["a"], "known": [0.5], "reader_known": [0.6]},
    "draw_substitutes": {"way": ["random"], "minute": [0.5], "minute_error": [0.1]},
}


def draw_table(name: str, table) -> None:
    getattr(plots, name)(make_axes(), table)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_column_or_a_row_is_refused_in_words(name):
    table = pd.DataFrame(TABLES[name])
    draw_table(name, table)
    needed = ", ".join(table)
    for column in table:
        with pytest.raises(InputError, match=f"no column '{column}'; it needs {needed}, and has "):
            draw_table(name, table.drop(columns=column))
    with pytest.raises(InputError, match="the table is empty"):
        draw_table(name, table[:0])
    with pytest.raises(InputError, match=f"no column '{table.columns[0]}'.* has none"):
        draw_table(name, None)


NOTHING, NO_COLUMN = pd.DataFrame(), pd.DataFrame(index=["a"])
SERIES = pd.Series([1.0, 2.0], ["a", "b"])
NEVER_BEST = pd.DataFrame(TABLES["draw_loss_per_epoch"] | {"best": [False]})
NO_STEP = pd.DataFrame({"who": ["floor"], "question": ["all steps"], "loss": [1.0]})
NOT_OBSERVED = {"one": pd.DataFrame({"predicted": [1]})}
HALVES = np.array([0.5, 0.5])
SHAPE = [6, 5, 17, 8, 99]
KNOWN = np.ones((1, 4), bool)
DIFFER = "both must be of the same names, each once"


def draw_some_histories(axes, streams: int, origin: int) -> None:
    plots.draw_histories(axes, small_log(), np.zeros((streams, 3), int), origin)


def draw_histories_after_the_end(axes) -> None:
    draw_some_histories(axes, 7, len(small_log()))


@pytest.mark.parametrize(
    "draw, given, said",
    [
        (plots.draw_loss_per_epoch, [NEVER_BEST], "no epoch is the best"),
        (plots.draw_gradient_norms, [NOTHING], "norms of the gradients: the table is empty"),
        (plots.draw_stream_heat, [NOTHING], "heat: the table is empty"),
        (plots.draw_worths, [NOTHING, "title"], "worths: the table is empty"),
        (plots.draw_decisions_by_step, [NO_STEP], "no question is a step of the horizon"),
        (plots.draw_stream_heat, [NO_COLUMN], "heat: the table is empty"),
        (plots.draw_reliability, [NOT_OBSERVED], "reliability of one: no column 'observed'"),
        (plots.draw_two_orders, [SERIES, SERIES[:1]], DIFFER),
        (plots.draw_two_orders, [SERIES, SERIES.rename({"a": "c"})], DIFFER),
        (plots.draw_two_orders, [SERIES[["a", "a"]], SERIES[["a", "a"]]], DIFFER),
        (draw_some_histories, [7, -1], "origin: must be the number of an event, 0 to "),
        (draw_histories_after_the_end, [], "origin: must be the number of an event"),
        (draw_some_histories, [6, 5], "a row for each of the 7 streams, found 6"),
        (plots.draw_predicted_values, [HALVES, ["a"], None, "kind"], "found 1 names"),
        (
            plots.draw_predicted_values,
            [HALVES, ["a", "b"], 2, "kind"],
            "the true value is one of them; found 2 names and 2",
        ),
        (plots.draw_model_shapes, [STREAMS, *SHAPE, 7], "carry: must be 1 to 6"),
        (plots.draw_model_shapes, [[], *SHAPE], "found 1 of 0 streams"),
        (
            plots.draw_right_or_wrong,
            [np.ones((3, 2), bool), ["a"], "title"],
            "2 categories need as many names, found 1",
        ),
        (plots.draw_last_vectors, [["a"], KNOWN, 0], "carry: must be 1 to 4"),
        (plots.draw_last_vectors, [["a"], KNOWN, 5], "carry: must be 1 to 4"),
        (plots.draw_last_vectors, [["a"], KNOWN[[0, 0]], 1], "found 1 and 1 names"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(draw, given, said):
    with pytest.raises(InputError, match=re.escape(said)):
        draw(make_axes(), *given)


# -- names that are not kind

EACH = pd.Series(np.linspace(0.1, 1, len(UNKIND)), UNKIND)


OF_UNKIND = {
    "histories": lambda axes, run: plots.draw_histories(
        axes,
        run.data.log,
        run.data.windows[TEST].history_index(run.data.windows[TEST].origins[:1])[0],
        run.data.windows[TEST].origins[0],
    ),
    "category_ladder": lambda axes, run: plots.draw_category_ladder(
        axes, run.evaluation().report()
    ),
    "category_ladders": lambda axes, run: plots.draw_category_ladders(
        axes, {"all": run.evaluation().report(), "next": run.evaluation().report(1)}
    ),
    "shift": lambda axes, run: plots.draw_shift(
        axes,
        pd.DataFrame({"stream": UNKIND, "key": UNKIND, "kind": "punch_in", "category": UNKIND}),
    ),
    "worths": lambda axes, run: plots.draw_worths(
        axes, pd.DataFrame(np.ones((12, 12)), UNKIND, UNKIND), "title"
    ),
    "category_ranges": lambda axes, run: plots.draw_category_ranges(axes, run.category_ranges()),
    "gradient_norms": lambda axes, run: plots.draw_gradient_norms(axes, pd.DataFrame([EACH])),
    "two_orders": lambda axes, run: plots.draw_two_orders(
        axes, EACH.rename("$a$"), EACH[::-1].rename("$b$")
    ),
    "reliability": lambda axes, run: plots.draw_reliability(
        axes, {name: pd.DataFrame({"predicted": [0.5], "observed": [0.5]}) for name in UNKIND}
    ),
    "loss_curves": lambda axes, run: plots.draw_loss_curves(
        axes,
        {(name, name, "train"): pd.Series([1.0]) for name in UNKIND[2:10]},
        pd.DataFrame(),
        "loss",
    ),
    "decoder_reads": lambda axes, run: plots.draw_decoder_reads(axes, EACH),
    "history_weights": lambda axes, run: plots.draw_history_weights(axes, pd.DataFrame({0: EACH})),
    "predicted_values": lambda axes, run: plots.draw_predicted_values(
        axes, EACH.to_numpy(), UNKIND, 3, UNKIND[3], most=12
    ),
    "future_paths": lambda axes, run: plots.draw_future_paths(
        axes, PAST, make_paths([2, 0]), UNKIND, None, CAME, UNKIND[3]
    ),
    "model_shapes": lambda axes, run: plots.draw_model_shapes(axes, UNKIND, 6, 5, 12, 8, 99),
    "right_or_wrong": lambda axes, run: plots.draw_right_or_wrong(
        axes, np.eye(6, len(UNKIND)) > 0, UNKIND, "title"
    ),
    "leak_alarm": lambda axes, run: plots.draw_leak_alarm(
        axes, pd.DataFrame({"what": UNKIND, "gap": 0.1, "standard_error": 0.01})
    ),
    "last_vectors": lambda axes, run: plots.draw_last_vectors(
        axes, UNKIND, np.ones((len(UNKIND), 6), bool), 1
    ),
    "curves": lambda axes, run: plots.draw_curves(
        axes, pd.DataFrame([EACH]), "title", "x", "y", {"$mark$": 0}
    ),
    "hours": lambda axes, run: plots.draw_hours(
        axes, {name: pd.DataFrame(1.0, UNKIND, EDGES) for name in UNKIND}, {}, "hours", "title"
    ),
    "stream_heat": lambda axes, run: plots.draw_stream_heat(
        axes, pd.DataFrame(np.ones((12, 12)), UNKIND, UNKIND)
    ),
    "odd_events": lambda axes, run: plots.draw_odd_events(
        axes, pd.DataFrame(np.ones((12, 12)), UNKIND, UNKIND)
    ),
    "odd_event": lambda axes, run: plots.draw_odd_event(
        axes, pd.DataFrame({"score": EACH, "expected": EACH}), UNKIND[3]
    ),
    "what_if": lambda axes, run: plots.draw_what_if(
        axes,
        pd.DataFrame({column: EACH for column in make_what_if()}).rename_axis(UNKIND[3]),
        UNKIND[3],
    ),
    "probes": lambda axes, run: plots.draw_probes(axes, make_probes(*UNKIND)),
    "substitutes": lambda axes, run: plots.draw_substitutes(
        axes, pd.DataFrame({"way": UNKIND, "minute": 0.5, "minute_error": 0.1})
    ),
    "suffixes": lambda axes, run: plots.draw_suffixes(
        axes, pd.DataFrame({"log": UNKIND, "who": UNKIND, "way": "beam", "similarity": 0.5})
    ),
}


@LOOKS
@pytest.mark.parametrize("name", OF_UNKIND)
def test_unkind_names_in_a_figure(name):
    run = unkind_run()
    figure = FigureCanvasAgg(Figure(figsize=(12, 8))).figure
    OF_UNKIND[name](figure.subplots(), run)
    assert_no_formula(figure)
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    assert any(r"\$\frac{1}" in text for text in texts) and max(map(len, texts)) < 99
    assert any(
        "_hidden" in text for text in texts
    )  # a legend leaves out what begins with an underscore


def test_every_figure_with_names_has_been_given_unkind_ones():
    figures = {
        name.removeprefix("draw_")
        for name, one in inspect.getmembers(plots, inspect.isfunction)
        if one.__module__ == plots.__name__ and name.startswith("draw_")
    }
    assert figures == OF_UNKIND.keys() | {
        "loss_per_epoch",
        "decisions_by_step",
        "live_losses",
        "fan",
        "pit",
        "speed_by_batch",
        "growth",
    }  # which name nothing of a log
