"""The widgets without a browser.

Each control is moved by its value, then words, picture and axes are looked at.
"""

import html
import re
import threading
import time
from functools import cache
from io import BytesIO

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
from ipywidgets import HTML, HBox, Image, Label, VBox
from ipywidgets.widgets.widget import _instances as ALIVE
from matplotlib.artist import Artist
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from small import (
    CHECKPOINT,
    OWN_MAPPING,
    REFUSED_FOLDER,
    SOURCE,
    STEPS,
    heard,
    refused,
    small_config,
    small_data,
    small_log,
    small_model,
    small_truth,
    small_windows,
    train_in,
    trained_run,
)
from traitlets import TraitError
from unkind import LOOKS, OURS, UNKIND, Tags, assert_no_formula, assert_only_names, unkind_run

from helpers import plots, training, widgets
from helpers.events import TEST, TRAIN, VALIDATION, read_log
from helpers.losses import evaluate
from helpers.model import MultiStreamModel
from helpers.schema import LogMapping
from helpers.support.errors import InputError
from helpers.support.fast import category_losses_fast
from helpers.support.files import Truth
from helpers.training import Data, ModelConfig, Trainer, pick_evenly
from helpers.uses.forecast import beam_search, log_probability, roll_out, sample
from helpers.uses.futures import possible
from helpers.widgets import (
    AttentionExplorer,
    ForecastExplorer,
    LiveRun,
    LossExplorer,
    count_hours,
    loss_tables,
    make_forecast,
    pick_rows,
    read_attention,
    select_curves,
)
from helpers.windows import Windows
from helpers.world import EVENT_TYPES

MARKUP = "<b onclick=alert(1)>$x_1$ & co</b>"


def lines(axes) -> dict:
    """Label -> (x, y) of each curve; what has no label of its own is none."""
    return {
        line.get_label(): (line.get_xdata(), np.asarray(line.get_ydata(), float))
        for line in axes.lines
        if line.get_label()[:1] not in ("", "_")
    }


def draws_level(axes, level: float) -> bool:
    across = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 2]
    return any(np.allclose(ends, level) for ends in across)


def moved(explorer, control, value) -> str:
    """Sets a control; the words and the picture must change. Gives the words."""
    before = explorer.said, explorer.image.value
    control.value = value
    assert explorer.said != before[0] and explorer.image.value != before[1]
    assert bytes(explorer.image.value[8:12]) == b"WEBP"
    return explorer.said


def controls(widget) -> list:
    return [widget, *(one for child in getattr(widget, "children", ()) for one in controls(child))]


@cache
def make_report() -> pd.DataFrame:
    report = trained_run().evaluation(VALIDATION).report()
    parts = {"look_back": 0.9, "reader_own": 0.8, "reader": 0.7, "floor": 0.5}
    return report.assign(**{name: part * report["markov"] for name, part in parts.items()})


@pytest.fixture
def report() -> pd.DataFrame:
    return make_report().copy()


@pytest.fixture
def explorer(run, report, tmp_path) -> LossExplorer:
    history = pd.DataFrame(run.history)
    return LossExplorer(
        {"one": history, "two": history.assign(value=history["value"] + 0.25)},
        report,
        tmp_path / "figures",
    )


@pytest.fixture
def attention(run) -> AttentionExplorer:
    return AttentionExplorer(run, run.data.windows[TRAIN].origins[[3, 700, 40]])


@cache
def forecast_windows() -> Windows:
    return small_windows()  # of the training part: what follows has months that have no integer


@cache
def forecast_model() -> MultiStreamModel:
    return small_model()


@pytest.fixture
def forecasts() -> ForecastExplorer:
    windows = forecast_windows()
    return ForecastExplorer(forecast_model(), windows, windows.origins[500:])


def test_every_control_has_a_label_and_no_markup_in_it(explorer, attention, forecasts):
    for widget in (explorer, attention, forecasts, LiveRun(small_config(), small_data())):
        assert isinstance(widget, VBox)
        parts = [one for one in controls(widget) if not isinstance(one, (VBox, HBox, HTML, Label))]
        assert sum(isinstance(one, Image) for one in parts) == 1
        for one in parts:
            assert (
                isinstance(one, Image)
                or one.description
                and not getattr(one, "description_allow_html", False)
            )


@pytest.mark.parametrize("kind", ["loss", "attention", "forecast", "live"])
def test_a_widget_that_is_closed_leaves_nothing_behind(kind, run, report):
    before = set(ALIVE)
    if kind == "loss":
        widget = LossExplorer({"one": pd.DataFrame(run.history)}, report)
    elif kind == "attention":
        widget = AttentionExplorer(run, run.data.windows[TRAIN].origins[:3])
    elif kind == "forecast":
        widget = ForecastExplorer(forecast_model(), forecast_windows(), [])
    else:
        widget = LiveRun(small_config(), small_data())
    assert len(ALIVE) > len(before) + 20
    widget.close()
    assert set(ALIVE) == before
    widget.close()  # a second time does no harm


def test_a_widget_that_is_refused_leaves_nothing_behind(run, report):
    before = set(ALIVE)
    for make in (lambda: LossExplorer({}, None), lambda: LiveRun({}), lambda: LossExplorer([], 1)):
        with pytest.raises(InputError):
            make()
    with pytest.raises(InputError):
        AttentionExplorer(run, "three")
    with pytest.raises(InputError):
        ForecastExplorer(run, forecast_windows(), [])
    assert set(ALIVE) == before


# -- losses


def test_the_loss_explorer_draws_what_the_history_says(explorer, run):
    assert explorer.said.startswith(
        "1 run, 1 category, epochs 0 to 5, validation: loss in nats; "
        "lines: look_back, reader, floor. Lowest: mean of one, "
    )
    ((x, y),) = lines(explorer.axes).values()
    epochs = run.epochs()
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(y, epochs["validation"])
    assert (
        f"{epochs['validation'].min():.4f} at epoch {epochs['validation'].idxmin()}."
        in explorer.said
    )


def test_each_control_of_the_loss_explorer(explorer, report, run):
    rows = report.set_index("category")
    history = pd.DataFrame(run.history).pivot(
        index="epoch", columns=["measure", "name"], values="value"
    )
    assert "2 runs" in moved(explorer, explorer.runs, ["one", "two"])
    assert (
        set(lines(explorer.axes)) == {"one", "two"}
        and explorer.axes.get_title("left") == "mean, validation"
    )
    assert "2 categories" in moved(explorer, explorer.categories, ["EventType", "HoursWorked"])
    assert set(lines(explorer.axes)) == {
        "EventType\none",
        "HoursWorked\none",
        "EventType\ntwo",
        "HoursWorked\ntwo",
    }
    assert "epochs 2 to 4" in moved(explorer, explorer.epochs, (2, 4))
    assert lines(explorer.axes)["EventType\none"][0].tolist() == [2, 3, 4]
    assert "mean of 3 epochs" in moved(explorer, explorer.smoothing, 3)
    losses = history["validation", "HoursWorked"]
    np.testing.assert_allclose(
        lines(explorer.axes)["HoursWorked\ntwo"][1],
        [losses.loc[e - 2 : e].mean() + 0.25 for e in (2, 3, 4)],
    )
    assert "train: " in moved(explorer, explorer.measure, "train")
    losses = history["train", "HoursWorked"]
    np.testing.assert_allclose(
        lines(explorer.axes)["HoursWorked\none"][1],
        [losses.loc[e - 2 : e].mean() for e in (2, 3, 4)],
    )
    assert "gap to the floor in nats" in moved(explorer, explorer.scale, "gap to the floor")
    floor = rows["floor"]["HoursWorked"]
    np.testing.assert_allclose(
        lines(explorer.axes)["HoursWorked\none"][1],
        [losses.loc[e - 2 : e].mean() - floor for e in (2, 3, 4)],
    )
    assert "share of the ceiling" in moved(explorer, explorer.scale, "share of the ceiling")
    np.testing.assert_allclose(
        lines(explorer.axes)["HoursWorked\none"][1],
        [losses.loc[e - 2 : e].mean() / np.log(100) for e in (2, 3, 4)],
    )
    for name, box in explorer.levels.items():
        level = rows[name]["HoursWorked"] / np.log(100)
        assert draws_level(explorer.axes, level) == box.value
        moved(explorer, box, not box.value)
        assert draws_level(explorer.axes, level) == box.value


def test_the_names_of_all_lines_stand_below_the_axes_and_inside_the_picture(explorer):
    for box in explorer.levels.values():
        box.value = True
    axes, frame = explorer.axes, explorer.figure.bbox
    names = [text for text in axes.texts if text.get_text() in plots.LEVELS]
    assert [text.get_text() for text in names] == list(plots.LEVELS)
    boxes = [text.get_window_extent() for text in names]
    low, high = axes.get_xlim()
    ticks = [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    boxes += [label.get_window_extent() for label in ticks]
    boxes.append(axes.xaxis.label.get_window_extent())
    for i, box in enumerate(boxes):
        assert frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0
        assert box.y1 < axes.get_window_extent().y0
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_train_and_validation_are_told_apart_without_colour(explorer):
    explorer.measure.value = "both"
    train, validation = explorer.axes.lines[:2]
    assert (train.get_label(), validation.get_label()) == ("train", "validation")
    assert (
        train.get_linestyle() != validation.get_linestyle()
        and train.get_marker() != validation.get_marker()
    )


def test_a_search_offers_what_fits_and_keeps_what_is_chosen(explorer):
    explorer.categories.value = ["EventType"]
    explorer.search.value = " MINUTE "
    assert explorer.categories.options == (
        "EventType",
        "Time_Event_Minute",
        "Time_Reference_Minute",
    )
    assert explorer.categories.value == ("EventType",) and "EventType of one" in explorer.said
    explorer.search.value = "no such"
    assert (
        explorer.categories.options == ("EventType",)
        and "No category's name holds “no such”." in explorer.said
    )
    explorer.search.value = ""
    assert len(explorer.categories.options) == 18


def test_a_search_redraws_once(explorer, monkeypatch):
    drawn = []
    monkeypatch.setattr(LossExplorer, "_draw", lambda explorer: drawn.append(1))
    explorer.search.value = "Minute"
    assert drawn == [1]


@pytest.mark.parametrize("nothing", ["runs", "categories"])
def test_an_empty_selection_is_answered_in_words(explorer, nothing):
    getattr(explorer, nothing).value = ()
    assert "Nothing to draw" in explorer.said and lines(explorer.axes) == {}


def test_a_reversed_range_is_turned(explorer):
    explorer.epochs.value = (4, 1)
    assert explorer.epochs.value == (1, 4) and "epochs 1 to 4" in explorer.said
    explorer.epochs.value = (-9, 99)
    assert explorer.epochs.value == (0, 5)


def test_more_curves_than_can_be_told_apart_are_refused_in_words(explorer):
    explorer.categories.value = explorer.names[:9]
    assert len(lines(explorer.axes)) == widgets.MOST_CURVES == 8
    assert "Only the first 8 of 9 curves are drawn; choose fewer." in explorer.said


def test_what_the_report_lacks_is_said(run, report):
    report = report.assign(reader_own=np.nan, reader=np.nan, floor=np.nan)
    explorer = LossExplorer({"one": pd.DataFrame(run.history)}, report)
    assert "lines: look_back." in explorer.said
    explorer.scale.value = "gap to the floor"
    assert "Not drawn: mean of one." in explorer.said and lines(explorer.axes) == {}


def test_runs_of_other_lengths_and_categories_stand_side_by_side(run, report):
    history = pd.DataFrame(run.history)
    explorer = LossExplorer(
        {"long": history, "short": history.query("epoch < 3 and name != 'EventType'")}, report
    )
    explorer.runs.value, explorer.categories.value = ["long", "short"], ["EventType", "HoursWorked"]
    lengths = {label: len(x) for label, (x, _) in lines(explorer.axes).items()}
    assert lengths == {"EventType\nlong": 6, "HoursWorked\nlong": 6, "HoursWorked\nshort": 3}
    assert "Not drawn: EventType of short." in explorer.said
    explorer.epochs.value = (4, 5)
    assert "EventType of short, HoursWorked of short." in explorer.said


def test_no_run_at_all(report):
    explorer = LossExplorer({}, report)
    assert "Nothing to draw" in explorer.said


def test_names_from_a_log_are_drawn_and_said_as_they_are(run, report):
    history = pd.DataFrame(run.history).replace(
        {"name": {"EventType": MARKUP, "HoursWorked": "_hidden"}}
    )
    explorer = LossExplorer({"<i>": history}, report.replace({"category": {"EventType": MARKUP}}))
    explorer.categories.value = [MARKUP, "_hidden"]
    assert "<" not in explorer.words.value and "&lt;i&gt;" in explorer.words.value
    explorer.categories.value = [MARKUP]
    assert MARKUP in explorer.said and html.escape(
        MARKUP, quote=False
    ) in explorer.words.value.replace("&quot;", '"').replace("&#x27;", "'")
    explorer.search.value = "<script>"
    assert "<" not in explorer.words.value


def test_figures_are_saved_beside_each_other_and_nowhere_else(explorer, tmp_path):
    for number in (1, 2):
        explorer.save.click()
        assert explorer.said.endswith(f"figures/loss_explorer_{number}.png.")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "loss_explorer_1.png",
        "loss_explorer_2.png",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]


def test_a_figure_that_cannot_be_saved_is_said(run, report, tmp_path):
    (tmp_path / "file").write_text("")
    explorer = LossExplorer({"one": pd.DataFrame(run.history)}, report, tmp_path / "file")
    explorer.save.click()
    assert "Not saved: " in explorer.said


def test_the_curves_can_be_had_without_a_widget(explorer, run, report):
    explorer.measure.value, explorer.scale.value = "both", "gap to the floor"
    axes, rows = Figure().subplots(), report.set_index("category")
    curves = select_curves(
        loss_tables({"one": run.history}),
        rows,
        ["one"],
        ["mean"],
        ["train", "validation"],
        (0, 5),
        "gap to the floor",
    )
    plots.draw_loss_curves(axes, curves, pd.DataFrame(), "gap (nats)")
    for label, (x, y) in lines(explorer.axes).items():
        np.testing.assert_allclose(lines(axes)[label], (x, y))


@pytest.mark.parametrize(
    "runs, said",
    [
        ([1, 2], "runs: must be histories by name"),
        (
            {"mine": []},
            "history of 'mine': no column 'epoch'; it needs epoch, measure, name, value, "
            "and has none",
        ),
        (
            {"mine": pd.DataFrame({"epoch": [0], "loss": [1]})},
            "history of 'mine': no column 'measure'",
        ),
        (
            {"mine": pd.DataFrame(columns=["epoch", "measure", "name", "value"])},
            "history of 'mine': the table is empty",
        ),
        (
            {
                "mine": pd.DataFrame(
                    {"epoch": [3, 3], "measure": "train", "name": "EventType", "value": 1.0}
                )
            },
            "epoch 3 stands there twice",
        ),
    ],
)
def test_histories_that_are_none_are_refused_in_words(report, runs, said):
    with pytest.raises(InputError, match=re.escape(said)):
        LossExplorer(runs, report)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda report: report.set_index("category"), "report: no column 'category'"),
        (
            lambda report: report.drop(columns="markov"),
            "report: no column 'markov'; it needs category, ceiling,",
        ),
        (lambda report: report[:0], "report: the table is empty"),
        (lambda report: None, "report: no column 'category'"),
    ],
)
def test_a_report_that_is_none_is_refused_in_words(run, report, spoil, said):
    with pytest.raises(InputError, match=re.escape(said)):
        LossExplorer({"one": run.history}, spoil(report))


def test_a_scale_that_does_not_exist_is_refused_in_words(run, report):
    with pytest.raises(
        InputError,
        match="scale: must be one of nats, share of the ceiling, gap to the floor, found 'bits'",
    ):
        select_curves(
            loss_tables({"one": run.history}),
            report.set_index("category"),
            ["one"],
            ["mean"],
            ["train"],
            (0, 5),
            "bits",
        )


@pytest.mark.parametrize(
    "control, value",
    [("runs", ["three"]), ("categories", ["no such"]), ("measure", "test"), ("scale", "bits")],
)
def test_a_menu_takes_only_what_it_offers(explorer, control, value):
    before = explorer.said
    with pytest.raises(TraitError, match="Invalid selection"):
        getattr(explorer, control).value = value
    assert explorer.said == before


# -- attention


def test_a_reading_is_what_the_model_attends_to(run):
    windows = run.data.windows[TRAIN]
    origin = windows.origins[3]
    read, batch = read_attention(run, origin), windows.batch(np.array([origin]))
    assert read.histories.shape == (2, 7, SOURCE) and read.states.shape == (2, STEPS, 7)
    np.testing.assert_array_equal(
        np.isnan(read.histories), np.broadcast_to(~batch.known[0].numpy(), read.histories.shape)
    )
    assert np.isnan(read.histories).any()  # this origin's histories are short
    np.testing.assert_allclose(np.nansum(read.histories, -1), 1, atol=1e-5)
    np.testing.assert_allclose(read.states.sum(-1), 1, atol=1e-5)
    with torch.no_grad():
        parts = run.model(batch)[0].split(run.sizes, -1)
    for ours, part in zip(read.probabilities, parts, strict=True):
        np.testing.assert_allclose(ours, part.softmax(-1), atol=1e-5)


@pytest.mark.parametrize(
    "shape",
    [
        {"carry": 3},
        {"model": ModelConfig(d_model=8, num_heads=2, encoder_layers=2, decoder_layers=2)},
    ],
)
def test_a_reading_of_other_networks(shape):
    run = Trainer(small_config(**shape), small_data(), progress=False)
    read = read_attention(run, run.data.windows[TEST].origins[0])
    assert read.states.shape == (2, STEPS, 7) and read.histories.shape == (2, 7, SOURCE)
    np.testing.assert_allclose(
        read.states.sum(-1), 1, atol=1e-5
    )  # a stream that carries several states counts them together
    np.testing.assert_allclose(np.nansum(read.histories, -1), 1, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_a_reading_that_is_interrupted_leaves_the_model_in_its_mode(training, monkeypatch):
    run = Trainer(small_config(), small_data(), progress=False)
    run.model.train(training)
    origin, modes = run.data.windows[TEST].origins[0], []

    def interrupt(*given):
        modes.append(run.model.training)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run.model, "decode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read_attention(run, origin)
    assert modes == [False] and run.model.training == training
    read_attention(run, origin)
    assert run.model.training == training


def test_each_control_of_the_attention_explorer(attention, run):
    log, origins = run.data.log, attention.origins
    assert (
        origins.tolist() == run.data.windows[TRAIN].origins[[3, 700, 40]].tolist()
    )  # in the order given
    assert "Origin 1 of 3: " in attention.said
    assert "Origin 2 of 3: " in moved(attention, attention.origin, 2)
    assert "Step 4, mean of all heads" in moved(attention, attention.step, 4)
    assert "head 2" in moved(attention, attention.head, 2)
    assert "HoursWorked: " in moved(attention, attention.category, "HoursWorked")
    read, c = read_attention(run, origins[1]), run.names.index("HoursWorked")
    bars, grid, values = attention.axes
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], read.states[1, 3])
    np.testing.assert_allclose(np.ma.filled(grid.images[0].get_array(), np.nan), read.histories[1])
    truth = log.table[int(read.batch.event[0, 3]), c]
    expected = f"expected with {read.probabilities[c][3, truth]:.2f}"
    assert f"true is {widgets.value_name(log, c, truth)}, {expected}" in attention.said
    assert sum("(true)" in text.get_text() for text in values.texts) == 1
    before = attention.events.value
    attention.stream.value = "Actor"
    assert (
        attention.events.value != before and attention.events.value.count("<tr") == SOURCE + 1
    )  # all events and the head


def test_padding_shows_as_absent(attention, run):
    assert (read_attention(run, attention.origins[0]).events == len(run.data.log)).any()
    assert "absent: " in attention.events.value
    assert np.isnan(
        np.ma.filled(attention.axes[1].images[0].get_array().astype(float), np.nan)
    ).any()
    assert attention.axes[1].patch.get_hatch()
    attention.origin.value = 2
    assert "absent: " not in attention.events.value


def test_the_events_are_the_histories(attention, run):
    log, origin = run.data.log, int(attention.origins[1])
    events = run.data.windows[TRAIN].history_index(np.array([origin]))[0, 2][::-1]
    told = widgets.history_rows(
        log, events[::-1], read_attention(run, origin).histories.mean(0)[2], 3
    )
    assert [float(weight) for weight, *_ in told] == pytest.approx(
        read_attention(run, origin).histories.mean(0)[2][::-1], abs=0.006
    )
    for (_, event, site, ago), number in zip(told, events, strict=True):
        kind, who = event.split(", ")
        assert kind == log.vocabularies["EventType"][log.table[number, 0]]
        assert log.vocabularies["RecipientRecordId"][log.table[number, 2]] in who
        assert site == (log.vocabularies["LocationRecordId"][log.table[number, 3]] or "unknown")
        assert ago == plots.tell_span(
            (log.time[origin] - log.time[number]) / np.timedelta64(1, "h")
        )
    attention.origin.value, attention.category.value, attention.stream.value = (
        2,
        "LocationRecordId",
        "Recipient",
    )
    assert all(f">{html.escape(cell)}<" in attention.events.value for row in told for cell in row)


def test_an_origin_is_read_once(attention, monkeypatch):
    read = []
    monkeypatch.setattr(
        widgets,
        "read_attention",
        lambda run, origin: read.append(origin) or read_attention(run, origin),
    )
    for step, origin in ((2, 1), (3, 2), (4, 1), (5, 2)):
        attention.step.value, attention.origin.value = step, origin
    assert read == [attention.origins[1]]


def test_a_target_that_ends_early_has_no_true_value(run):
    windows = run.data.windows[TEST]
    short = windows.origins[(windows.target_index(windows.origins) == len(run.data.log)).any(1)][:1]
    explorer = AttentionExplorer(run, short)
    explorer.step.value = STEPS
    assert "no event came at this step" in explorer.said


@pytest.mark.parametrize("origins", [[], [10**9, -1]])
def test_no_origin_at_all(run, origins):
    explorer = AttentionExplorer(run, origins)
    explorer.step.value, explorer.head.value, explorer.category.value = 3, 2, "HoursWorked"
    assert "There is nothing to show" in explorer.said
    assert ("2 of the given events begin no window" in explorer.said) == bool(origins)


@pytest.mark.parametrize("origins", [None, "three", [1.5], ["a"], [np.nan]])
def test_origins_that_are_no_numbers_are_refused_in_words(run, origins):
    with pytest.raises(InputError, match="origins: must be numbers of events"):
        AttentionExplorer(run, origins)


def test_an_origin_that_begins_no_window_is_not_read(run):
    last = max(windows.origins.max() for windows in run.data.windows.values())
    for origin in (-1, last + 1, len(run.data.log), 10**9):
        with pytest.raises(InputError, match=f"origin: {origin} begins no window"):
            read_attention(run, origin)


def test_sliders_stay_in_their_range(attention):
    attention.step.value, attention.origin.value = 0, 99
    assert (
        (attention.step.value, attention.origin.value) == (1, 3)
        and "Origin 3 of 3" in attention.said
        and "Step 1," in attention.said
    )
    attention.step.value = STEPS + 1
    assert attention.step.value == STEPS and f"Step {STEPS}," in attention.said
    for control, value in (
        (attention.head, 3),
        (attention.category, "no such"),
        (attention.stream, "no such"),
    ):
        with pytest.raises(TraitError, match="Invalid selection"):
            control.value = value


def test_values_from_a_log_are_shown_as_they_are(run, monkeypatch):
    log = run.data.log
    monkeypatch.setitem(log.vocabularies, "EventType", [None, *[f"{MARKUP}{i}" for i in range(9)]])
    explorer = AttentionExplorer(run, run.data.windows[TEST].origins[:1])
    assert (
        "<b" not in explorer.words.value
        and "<b" not in explorer.events.value
        and "&lt;b" in explorer.events.value
    )


def test_the_simulators_own_probability_is_told_where_it_is_known(run):
    floors = np.full(run.data.log.table.shape, 0.5)
    truth = Truth(floors, np.zeros(floors.shape, np.int8))
    told = Trainer(run.config, Data(run.data.log, run.data.windows, truth), progress=False)
    assert (
        f"(the simulator: {np.exp(-0.5):.2f})"
        in AttentionExplorer(told, run.data.windows[TEST].origins[:1]).said
    )
    assert "simulator" not in AttentionExplorer(run, run.data.windows[TEST].origins[:1]).said


def test_pictures_that_are_kept_give_what_the_canvas_draws(attention, forecasts):
    attention.category.value, attention.step.value = "HoursWorked", 3
    assert_as_drawn(attention)
    for over, category, way in (
        ("time", "HoursWorked", "samples"),
        ("steps", "HoursWorked", "beam"),
        ("steps", "LocationRecordId", "greedy"),
        ("time", "EventType", "samples"),
    ):
        forecasts.over.value, forecasts.category.value = over, category
        forecasts.way.value = way
        assert_as_drawn(forecasts)


def assert_as_drawn(explorer) -> None:
    """The picture put together from parts is the whole one, but for rounding."""
    kept = read_pixels(explorer)
    explorer._draw()
    assert abs(kept - read_pixels(explorer)).max() <= 2


def read_pixels(explorer) -> np.ndarray:
    return np.asarray(PIL.Image.open(BytesIO(explorer.image.value)).convert("RGB"), int)


def test_axes_and_legends_are_drawn_once_for_each_look(forecasts, monkeypatch):
    drawn = []

    def draw(part, renderer):
        drawn.append(type(part).__name__)
        Artist.draw(part, renderer)

    for part in (XAxis, YAxis, Legend):
        monkeypatch.setattr(part, "draw", draw)
    for category, over, way, new in (
        ("HoursWorked", "time", "samples", {"YAxis"}),
        ("HoursWorked", "steps", "samples", {"XAxis"}),
        ("HoursWorked", "steps", "greedy", {"YAxis", "Legend"}),
        ("HoursWorked", "steps", "samples", set()),
        ("EventType", "time", "samples", set()),
    ):
        drawn.clear()
        forecasts.category.value, forecasts.over.value = category, over
        forecasts.way.value = way
        assert set(drawn) <= new and len(drawn) == len(set(drawn))
    monkeypatch.setattr(widgets, "MOST_PICTURES", len(forecasts._pictures))
    forecasts.category.value = "Time_Event_Hour"
    assert len(forecasts._pictures) == widgets.MOST_PICTURES


# -- forecasts


def read_fan(explorer) -> np.ndarray:
    """The lines to the events of the futures that are drawn, (many, 4), the grey ones too."""
    collections = [one for one in explorer.axes.collections if hasattr(one, "get_segments")]
    return np.concatenate([np.reshape(one.get_segments(), (-1, 4)) for one in collections])


def read_crosses(explorer) -> np.ndarray:
    (one,) = [
        one
        for one in explorer.axes.collections
        if len(one.get_offsets()) and not (hasattr(one, "get_segments"))
    ]
    return np.asarray(one.get_offsets())


def moved_forecast(explorer, control, value) -> str:
    """As `moved`; and says whether it was computed, by the sign that shows it."""
    seen = []
    explorer.progress.layout.observe(lambda change: seen.append(change["new"]), "visibility")
    said = moved(explorer, control, value)
    explorer.progress.layout.unobserve_all()
    assert seen in ([], ["visible", "hidden"])
    return f"{said} {'computed' if seen else 'kept'}"


def test_forecasts_are_those_of_the_functions():
    model, windows = forecast_model(), forecast_windows()
    origin = windows.origins[100]
    batch = windows.batch(np.array([origin]))
    generator = torch.Generator().manual_seed(int(origin))
    expected = {
        "samples": sample(model, batch, 7, generator, temperature=0.7),
        "beam": beam_search(model, batch, 7)[0],
        "greedy": roll_out(model, batch)[:, None],
    }
    for way, events in expected.items():
        made = make_forecast(model, windows, origin, way, 7, 0.7)
        np.testing.assert_array_equal(made.events, events[0])
        log_p = log_probability(model, batch, events)[0].sum(-1)
        np.testing.assert_allclose(made.log_p, log_p, atol=1e-4)
        found = possible(windows.log, [origin], events.numpy())[0][0]
        assert made.odd.tolist() == [STEPS if one.all() else one.argmin() for one in found]
        assert made.came.tolist() == batch.event[0].tolist()
        true = log_probability(model, batch, batch.target)[0].sum(-1)
        np.testing.assert_allclose(made.true_log_p, true, atol=1e-4)
    with pytest.raises(InputError, match="way: must be one of samples, beam, greedy, found 'luck'"):
        make_forecast(model, windows, origin, "luck", 7)


def test_each_control_of_the_forecast_explorer(forecasts):
    log = forecasts.windows.log
    assert forecasts.sequence.description == "employee"
    assert forecasts.said.startswith("E001, origin 1 of ")
    assert f"100 samples of {STEPS} events: ln p is " in forecasts.said
    said = moved_forecast(forecasts, forecasts.sequence, "E005")
    assert said.startswith("E005, origin 1 of ") and said.endswith("computed")
    said = moved_forecast(forecasts, forecasts.origin, 3)
    assert said.startswith("E005, origin 3 of ") and said.endswith("computed")
    said = moved_forecast(forecasts, forecasts.origin, 1)
    assert said.startswith("E005, origin 1 of ") and said.endswith("kept")
    said = moved_forecast(forecasts, forecasts.futures, 12)
    assert "12 samples" in said and said.endswith("computed")
    said = moved_forecast(forecasts, forecasts.temperature, 0.5)
    assert "events, temperature 0.5: ln p" in said and said.endswith("computed")
    said = moved_forecast(forecasts, forecasts.steps, 3)
    assert "12 samples of 3 events" in said and "Step 3 comes after" in said
    assert said.endswith("kept")
    said = moved_forecast(forecasts, forecasts.way, "beam")
    assert "The best of 12 beams of 3 events" in said and said.endswith("computed")
    assert forecasts.temperature.disabled and not forecasts.futures.disabled
    said = moved_forecast(forecasts, forecasts.way, "greedy")
    assert "The greedy future of 3 events" in said and "come to one: " in said
    assert forecasts.temperature.disabled and forecasts.futures.disabled
    for control, value in ((forecasts.category, "LocationRecordId"), (forecasts.over, "steps")):
        before = forecasts.image.value
        control.value = value
        assert forecasts.image.value != before
    assert forecasts.axes.get_title("left") == "LocationRecordId"
    assert forecasts.axes.get_xlabel() == "steps from the origin"
    origin = forecasts.origins["E005"][0]
    made = make_forecast(forecasts.model, forecasts.windows, origin, "greedy", 1)
    assert f"ln p is {made.log_p[0, :3].sum():.1f} nats, of what came" in forecasts.said
    x, y = lines(forecasts.axes)["the best"]
    rows = [label.get_text() for label in forecasts.axes.get_yticklabels()]
    sites = [widgets.value_name(log, 3, value) for value in made.events[0, :3, 3]]
    assert x.tolist() == [0, 1, 2, 3]
    shown = [site if site in rows else "another" for site in sites]  # the network knows no better
    assert [rows[int(row)] for row in y[1:]] == shown


def test_the_fan_over_time(forecasts):
    forecasts.sequence.value = "E005"
    log, origin = forecasts.windows.log, forecasts.origins["E005"][0]
    made = make_forecast(forecasts.model, forecasts.windows, origin, "samples", 100)
    hours = count_hours(log, origin, made.events)
    unit = forecasts.axes.get_xlabel().removesuffix(" from the origin")
    fan, size = read_fan(forecasts), widgets.UNITS[unit]
    known = np.isfinite(hours)
    assert set(fan[:, 2]) <= set((hours[known] / size).round(3))
    x, y = lines(forecasts.axes)["what came"]
    came = (log.time[made.came] - log.time[origin]) / np.timedelta64(1, "h")
    np.testing.assert_allclose(x, [0, *came / size])
    kinds = [label.get_text() for label in forecasts.axes.get_yticklabels()]
    assert kinds[:9] == list(EVENT_TYPES)
    names = log.vocabularies["EventType"]
    assert [kinds[int(row)] for row in y[1:]] == [names[value] for value in log.table[made.came, 0]]


def test_crosses_are_where_the_simulator_says_that_it_cannot_be(forecasts):
    forecasts.over.value = "steps"
    origin = forecasts.origins["E001"][0]
    made = make_forecast(forecasts.model, forecasts.windows, origin, "samples", 100)
    broken = made.odd < STEPS
    judged = np.minimum(made.odd + 1, STEPS).sum()
    assert f"Of {judged} events that the simulator can judge" in forecasts.said
    assert f"futures that come to one: {broken.sum()} of 100." in forecasts.said
    assert set(read_crosses(forecasts)[:, 0]) == set(made.odd[broken] + 1)
    forecasts.way.value = "greedy"
    (odd,) = make_forecast(forecasts.model, forecasts.windows, origin, "greedy", 1).odd
    assert forecasts.events.value.count("cannot happen") == (odd < STEPS) == 1


def test_the_table_goes_from_the_last_events_to_a_future(forecasts):
    forecasts.way.value, forecasts.category.value = "greedy", "HoursWorked"
    log, origin = forecasts.windows.log, forecasts.origins["E001"][0]
    made = make_forecast(forecasts.model, forecasts.windows, origin, "greedy", 1)
    text = Tags(forecasts.events.value).text
    assert "RecipientRecordId" not in text  # always the same
    assert text.count("the origin") == text.count("the greedy future") == 1
    when = str(log.time[origin].astype("datetime64[m]")).split("T")[1]
    assert f"the origin0{'{}'}".format("") in text and when in text
    for row in made.events[0]:
        assert widgets.value_name(log, 0, row[0]) in text
    last = np.flatnonzero(log.sequence[: origin + 1] == log.sequence[origin])[-widgets.LAST :]
    assert forecasts.events.value.count("<tr") == 1 + len(last) + STEPS


def test_a_forecast_is_computed_once(forecasts, monkeypatch):
    made = []
    monkeypatch.setattr(
        widgets, "make_forecast", lambda *asked: made.append(asked[2:]) or make_forecast(*asked)
    )
    forecasts.way.value = "greedy"
    for steps, way in ((2, "beam"), (3, "greedy"), (4, "samples"), (5, "beam")):
        forecasts.steps.value, forecasts.way.value = steps, way
        forecasts.category.value, forecasts.over.value = "HoursWorked", "steps"
    first = forecasts.origins["E001"][0]
    assert made == [(first, "greedy", 1, 1.0), (first, "beam", 100, 1.0)]
    forecasts.sequence.value = "E002"
    assert len(made) == 3


def test_another_employee_is_drawn_once(forecasts, monkeypatch):
    drawn = []
    forecasts.origin.value = 9
    monkeypatch.setattr(ForecastExplorer, "_draw", lambda *given, **more: drawn.append(1))
    forecasts.sequence.value = "E002"
    assert drawn == [1] and forecasts.origin.value == 1


def test_the_sign_of_progress_goes_where_computing_fails(forecasts, monkeypatch):
    def fail(*asked):
        assert forecasts.progress.layout.visibility == "visible"
        raise KeyboardInterrupt

    monkeypatch.setattr(widgets, "make_forecast", fail)
    with pytest.raises(KeyboardInterrupt):
        forecasts.way.value = "beam"
    assert forecasts.progress.layout.visibility == "hidden"


def test_forecasts_outlive_the_weights_that_they_were_given():
    model, windows = small_model(), forecast_windows()
    origin = windows.origins[500]
    explorer = ForecastExplorer(model, windows, [origin])
    expected = make_forecast(model, windows, origin, "greedy", 1).log_p.sum()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    explorer.way.value = "greedy"
    assert f"ln p is {expected:.1f} nats" in explorer.said


def test_a_forecast_of_which_not_all_came():
    windows = forecast_windows()
    events = windows.target_index(windows.origins)
    short = windows.origins[(events == len(windows.log)).any(1)][:1]
    explorer = ForecastExplorer(forecast_model(), windows, short)
    assert "of what came" not in explorer.said
    explorer.steps.value = 1
    assert "of what came" in explorer.said


@pytest.mark.parametrize("origins", [[], [10**9, -1]])
def test_no_origin_to_forecast_from(origins):
    explorer = ForecastExplorer(forecast_model(), forecast_windows(), origins)
    explorer.steps.value, explorer.way.value = 3, "beam"
    assert "There is nothing to show" in explorer.said
    assert ("2 of the given events begin no window" in explorer.said) == bool(origins)


def test_what_is_no_network_and_has_no_windows_is_refused(run):
    model, windows = forecast_model(), forecast_windows()
    refused(lambda: ForecastExplorer(run, windows, []), "found Trainer and Windows")
    refused(lambda: ForecastExplorer(model, run.data.windows, []), "and dict")
    refused(lambda: ForecastExplorer(model, windows, "three"), "origins: must be numbers")


# -- forecasts of a log of somebody's own


def own_windows(folder, parts: list[str] | None) -> Windows:
    """A log of cases that each begin, are worked on and end; of time it has these parts."""
    rng, rows = np.random.default_rng(0), ["case,what,amount,when,due"]
    for case in range(60):
        time = pd.Timestamp("2024-01-01") + pd.Timedelta(hours=7 * case)
        for what in ["begin", *["work"] * rng.integers(2, 5), "end"]:
            rows.append(f"{case},{what},{rng.integers(1, 4)},{time},{time}")
            time += pd.Timedelta(minutes=int(rng.integers(5, 500)))
    (folder / "own.csv").write_text("\n".join(rows))
    kept = {name: OWN_MAPPING["categories"][name] for name in ("what", "amount")}
    streams = {"what": "what", "case": "case"}
    if parts:
        kept["time"] = {"column": "when", "kind": "time", "parts": parts}
    mapping = LogMapping(**OWN_MAPPING | {"categories": kept, "streams": streams})
    return Windows(read_log(folder / "own.csv", mapping), TEST, SOURCE, STEPS)


def own_explorer(windows: Windows) -> ForecastExplorer:
    torch.manual_seed(0)
    shape = dict(d_model=8, num_heads=2, encoder_layers=1, decoder_layers=1)
    model = MultiStreamModel(windows.log.categories, 2, SOURCE, STEPS, **shape)
    return ForecastExplorer(model, windows, windows.origins)


def test_an_own_log_without_a_time_goes_by_steps(tmp_path):
    explorer = own_explorer(own_windows(tmp_path, None))
    assert explorer.sequence.description == "sequence"
    assert explorer.over.options == ("steps",)
    assert re.match(r"sequence \d+, origin 1 of \d+: ", explorer.said)
    assert "What cannot happen is not known here" in explorer.said
    assert "Step" not in explorer.said and "cross" not in str(lines(explorer.axes))
    assert [one.get_text() for one in explorer.axes.get_yticklabels()][:3] == [
        "begin",
        "end",
        "work",
    ]
    explorer.category.value, explorer.way.value = "amount", "beam"
    assert "the best beam" in explorer.events.value


def test_an_own_log_with_the_time_since_the_event_before(tmp_path):
    windows = own_windows(tmp_path, ["SinceLast"])
    explorer = own_explorer(windows)
    assert explorer.over.options == ("time", "steps")
    explorer.way.value = "greedy"
    origin = next(iter(explorer.origins.values()))[0]
    made = make_forecast(explorer.model, windows, origin, "greedy", 1)
    starts = [windows.log.vocabularies["time_SinceLast"][value] for value in made.events[0, :, 2]]
    if None in starts:
        starts[starts.index(None) :] = [np.nan] * (STEPS - starts.index(None))
    np.testing.assert_allclose(made.hours[0], np.cumsum(starts) * 2**0.5 / 3600)


@pytest.mark.parametrize("hours", [0, 4.5, 1000, -24 * 20, np.nan])
def test_hours_are_counted_by_the_date_that_is_nearest(hours):
    log = small_log()
    origin, event = 500, np.zeros((1, 1, 17), int)
    if hours == hours:
        then = pd.Timestamp(log.time[origin]) + pd.Timedelta(hours=hours)
        event[..., 9:13] = (then.month, then.day, then.hour + 1, then.minute + 1)
    assert (pd.Timestamp(log.time[origin]) + pd.Timedelta(days=-20)).year == 2020
    assert count_hours(log, origin, event)[0, 0] == pytest.approx(hours, nan_ok=True)


def test_a_clock_of_another_time_is_none():
    log = small_log()
    log.table[:, 9:13] = log.table[:, 13:17]
    assert count_hours(log, 500, log.table[None, 501:503]) is None


def test_rows_are_few_and_the_rest_share_one():
    log, c = small_log(), 3
    log.vocabularies["LocationRecordId"] = [None, *(f"site {i}" for i in range(1, 31))]
    shown = np.array([*range(1, 15), *range(3, 15), 0, 99])
    names, rows = pick_rows(log, c, shown)
    assert names == [*(f"site {i}" for i in range(3, 15)), "another", "unknown"]
    assert rows[[3, 14, 1, 99, 0]].tolist() == [0, 11, 12, 12, 13]
    assert pick_rows(log, c, np.array([2, 2]))[0] == ["site 2"]
    assert pick_rows(log, 0, np.array([1]))[0] == list(EVENT_TYPES)


# -- a run under way


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def live(tmp_path):
    """A run of more epochs than any test waits for; it is stopped in the end."""
    live = LiveRun(small_config(epochs=10_000, out=str(tmp_path / "live")), small_data())
    yield live
    live.stop()
    live.wait(60)


def test_a_live_run_is_the_run_without_a_widget(tmp_path):
    config = small_config(epochs=3, shuffle=True, schedule="cosine", out=str(tmp_path / "live"))
    live = LiveRun(config, small_data())
    before = live.image.value
    live.start()
    live.wait()
    alone = Trainer(
        small_config(epochs=3, shuffle=True, schedule="cosine"), small_data(), progress=False
    ).fit()
    assert live.run.history == alone.history
    assert (
        live.said.startswith(
            "Finished. Learning rate 0.001, carry 1; 3 of 3 epochs done. Train loss "
        )
        and live.image.value != before
    )
    x, y = lines(live.axes)["validation"]
    assert x.tolist() == [1, 2, 3]
    np.testing.assert_allclose(y, alone.epochs()["validation"])
    x, y = lines(live.axes)["train, each batch"]
    np.testing.assert_allclose(x, np.arange(1, 16) / 5)
    np.testing.assert_allclose(y.reshape(3, 5).mean(1), alone.epochs()["train"], atol=1e-3)
    ceiling = np.mean([np.log(category.size) for category in small_log().categories])
    np.testing.assert_allclose(lines(live.axes)[f"ceiling {ceiling:.3f}"][1], ceiling)


def test_the_controls_of_a_live_run_are_taken_at_the_start(live):
    live.rate.value, live.carry.value = 0.02, 3
    assert live.said == "Not started. The next start takes learning rate 0.02 and carry 3."
    live.start()
    until(lambda: live.run and live.run.epochs_done)
    live.carry.value = 2
    assert "The next start takes learning rate 0.02 and carry 2." in live.said
    assert (live.run.config.learning_rate, live.run.config.carry, live.run.model.carry) == (
        0.02,
        3,
        3,
    )


@pytest.mark.parametrize("slider, taken", [(0.0079432823, 0.008), (0.01, 0.01)])
def test_a_learning_rate_that_the_browser_rounds_is_taken_as_it_was_given(slider, taken):
    live = LiveRun(small_config(epochs=1, learning_rate=0.008), small_data())
    live.rate.value = slider
    live.start()
    live.wait(60)
    assert live.run.config.learning_rate == taken


def test_stopping_keeps_the_whole_epochs(live, tmp_path):
    live.start()
    until(lambda: live.run and live.run.epochs_done >= 2)
    live.stop()
    live.wait(60)
    assert (
        live.state == "Stopped"
        and live.said.startswith("Stopped. ")
        and f"Checkpoint and history are in {tmp_path / 'live'}" in live.said
    )
    done = live.run.epochs_done
    alone = Trainer(small_config(epochs=10_000), small_data(), progress=False)
    for _ in range(done):
        alone.epoch()
    again = Trainer(
        small_config(epochs=10_000, model_checkpoint=str(tmp_path / "live" / CHECKPOINT)),
        small_data(),
        progress=False,
    )
    for other in (
        live.run,
        again,
    ):  # in memory as on the disk, nothing is left of the epoch that was broken off
        assert other.epochs_done == done and other.history == alone.history
        assert all(
            torch.equal(ours, theirs)
            for ours, theirs in zip(other.model.parameters(), alone.model.parameters(), strict=True)
        )
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "live" / "history.csv"), pd.DataFrame(alone.history)
    )
    live.run.epoch()
    alone.epoch()
    assert live.run.history == alone.history  # and it goes on from there


def test_a_paused_run_waits_and_goes_on(live):
    live.start()
    until(lambda: live.run and live.run.epochs_done)
    live.pause_button.click()
    assert live.said.startswith("Paused.") and live.pause_button.description == "Go on"
    # What is under way ends: the epoch is saved, a batch is drawn. Then nothing moves.
    seen, since = None, time.monotonic()

    def stands_still() -> bool:
        nonlocal seen, since
        now = (len(live._losses), bytes(live.image.value))
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 2

    until(stands_still)
    batches = len(live._losses)
    live.pause_button.click()
    until(lambda: len(live._losses) > batches)
    assert live.state == "Running" and live.pause_button.description == "Pause"
    live.pause()
    live.stop_button.click()  # stops a paused run too
    live.wait(60)
    assert live.state == "Stopped" and live.pause_button.description == "Pause"


def test_a_second_start_is_refused_while_one_is_under_way(live):
    live.start_button.click()
    until(lambda: live.run)
    run, threads = live.run, threading.active_count()
    live.start_button.click()
    assert "no second one was started; stop it first" in live.said
    time.sleep(2 * widgets.REDRAW)
    assert "no second one was started" in live.said  # it stays to be read
    assert live.run is run and threading.active_count() == threads
    live.stop()
    live.wait(60)
    live.start()
    until(lambda: live.run)
    assert live.run is not run and "second" not in live.said


def test_a_run_that_is_stopping_is_not_paused(live):
    live.start()
    live.stop()
    live.pause_button.click()
    live.wait(60)
    assert live.state == "Stopped"


def started(config) -> LiveRun:
    live = LiveRun(config, small_data())
    live.start()
    until(lambda: live.run and live.run.epochs_done)
    return live


def was_taken_over(old: LiveRun) -> bool:
    told = old.state == "Stopped" and old.said.endswith(" A new run takes over.")
    return told and not old._thread.is_alive()


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("folder", ["live", None])
def test_a_cell_that_is_run_again_takes_over(tmp_path, folder, paused):
    out = str(tmp_path / folder) if folder else None
    old = started(small_config(epochs=10_000, out=out))
    if paused:
        old.pause()
    new = LiveRun(small_config(epochs=2, out=out), small_data())
    assert was_taken_over(old) and old.pause_button.description == "Pause"
    done = old.run.epochs_done
    new.start()
    new.wait(60)
    assert new.state == "Finished" and "takes over" not in new.said
    assert old.run.epochs_done == done and was_taken_over(old)


def test_the_run_that_is_started_last_takes_over(tmp_path):
    config = small_config(epochs=10_000, out=str(tmp_path / "live"))
    same = small_config(epochs=10_000, out=str(tmp_path / "other" / ".." / "live"))
    one, two = LiveRun(config, small_data()), LiveRun(same, small_data())
    one.start()
    until(lambda: one.run and one.run.epochs_done)
    two.start()
    assert was_taken_over(one)
    until(lambda: two.run and two.run.epochs_done)
    one.start()
    assert was_taken_over(two)
    until(lambda: one.run and one.run.epochs_done)
    assert one.state == "Running" and "takes over" not in one.said
    one.close()


def test_runs_of_other_folders_go_on(tmp_path):
    runs = []
    for out in (str(tmp_path / "a"), str(tmp_path / "b"), None):
        live = started(small_config(epochs=10_000, out=out))
        live.pause()  # or three that train at once would wait long for each other
        runs.append(live)
    assert [live.state for live in runs] == ["Paused"] * 3
    for live in runs:
        assert live._thread.is_alive()
        live.close()


def test_a_run_that_has_ended_keeps_its_words(tmp_path):
    config = small_config(epochs=1, out=str(tmp_path / "live"))
    old = LiveRun(config, small_data())
    old.start()
    old.wait(60)
    said = old.said
    LiveRun(config, small_data()).start()
    assert old.said == said and said.startswith("Finished.")


def test_a_run_is_taken_over_while_it_reads_its_data(monkeypatch, tmp_path):
    reading, trained = threading.Event(), []

    def load(config):
        reading.set()
        old._halt.wait(60)  # until another takes over
        return small_data()

    monkeypatch.setattr(widgets, "load_data", load)
    monkeypatch.setattr(widgets, "Trainer", lambda *given, **more: trained.append(given))
    config = small_config(out=str(tmp_path / "live"))
    old = LiveRun(config)
    old.start()
    assert reading.wait(60)
    LiveRun(config)
    assert was_taken_over(old) and not trained


@pytest.mark.parametrize("paused", [False, True])
def test_closing_ends_the_run(tmp_path, paused):
    before, folder = set(ALIVE), tmp_path / "live"
    live = started(small_config(epochs=10_000, out=str(folder)))
    if paused:
        live.pause()
    live.close()
    assert not live._thread.is_alive() and live.state == "Stopped"
    assert set(ALIVE) == before
    assert len(pd.read_csv(folder / "epochs.csv")) == live.run.epochs_done
    assert not (folder / ".lock").exists()


def test_nothing_to_pause_or_to_stop(live):
    live.pause_button.click()
    assert live.said == "Not started. There is nothing to pause."
    live.stop_button.click()
    assert live.said == "Not started. There is nothing to stop."
    live.wait()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"learning_rate": 0.1, "model_checkpoint": "no such file"}, "no such checkpoint"),
        ({"log": "no_such.csv", "mapping": "no_such.json"}, "no such file"),
    ],
)
def test_an_error_is_said(changes, said):
    live = LiveRun(small_config(**changes), None if "log" in changes else small_data())
    live.start()
    live.wait(60)
    assert live.said.startswith("Ended by an error: ") and said in live.said
    live.start()  # it may be tried again
    live.wait(60)


@pytest.mark.parametrize(
    "config, said",
    [
        ("data/working_run.json", "config: must be a Config, such as read_config gives, found str"),
        ({"epochs": 3}, "found dict"),
    ],
)
def test_a_configuration_that_is_none_is_refused_before_it_starts(config, said):
    with pytest.raises(InputError, match=re.escape(said)):
        LiveRun(config, small_data())


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"carry": SOURCE + 1}, f"key 'carry': must be at most src_seq_len {SOURCE}"),
        ({"learning_rate": -1.0}, "key 'learning_rate'"),
        ({"batch_size": 0}, "key 'batch_size'"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_before_it_starts(changes, said):
    with pytest.raises(InputError, match=re.escape(said)):
        LiveRun(small_config(**changes), small_data())


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_its_whole_epochs(monkeypatch, tmp_path):
    live = LiveRun(small_config(epochs=9, out=str(tmp_path / "live")), small_data())
    factors = iter([1.0] * 8 + [np.nan] * 100)  # one a batch, five batches an epoch
    monkeypatch.setattr(
        training,
        "category_losses_fast",
        lambda *given: category_losses_fast(*given) * next(factors),
    )
    live.start()
    live.wait(60)
    assert "is not finite; lower learning_rate" in live.said and "1 of 9 epochs done" in live.said
    assert all(parameter.isfinite().all() for parameter in live.run.model.parameters())


def test_a_run_that_names_no_folder_says_so():
    live = LiveRun(small_config(epochs=1), small_data())
    live.start()
    live.wait(60)
    assert "Nothing is saved: the configuration names no folder" in live.said


def test_pictures_are_not_drawn_more_often_than_they_can_be_seen(live, monkeypatch):
    drawn = []
    monkeypatch.setattr(LiveRun, "_draw", lambda live: drawn.append(time.monotonic()))
    live.start()
    until(lambda: len(drawn) > 3)
    assert np.diff(drawn[:4]).min() >= widgets.REDRAW


def test_the_floor_of_a_live_run_is_that_of_the_windows_it_validates_on():
    truth = small_truth()
    data = Data(small_log(), small_data().windows, truth)
    windows = data.windows[VALIDATION]
    run = Trainer(small_config(), data, progress=False)
    checked = evaluate(run.model, windows, truth=truth, origins=pick_evenly(windows.origins, 2000))
    assert widgets.validation_floor(data) == pytest.approx(
        checked.losses["floor"][checked.counted].mean(), rel=1e-5
    )
    assert f"floor {widgets.validation_floor(data):.3f}" in lines(
        LiveRun(small_config(), data).axes
    )
    assert widgets.validation_floor(small_data()) is None


def test_a_live_run_in_the_folder_of_another_process_says_that_it_is_refused(start, tmp_path):
    process, pipe = start(train_in, tmp_path, 10_000)
    assert heard(pipe) == "training"
    live = LiveRun(small_config(epochs=1, out=str(tmp_path)), small_data())
    live.start()
    live.wait(60)
    assert live.said.startswith("Ended by an error: ") and REFUSED_FOLDER in live.said
    process.kill()
    process.join()
    live.start()
    live.wait(60)
    assert live.said.startswith("Finished.") and not (tmp_path / ".lock").exists()
    live.close()


# -- names that are not kind


def test_the_check_of_widgets_can_fail():
    assert (
        not Tags("<table></table><img src=x onerror=y>").found <= OURS
        and not Tags("<td onclick=y>").found <= OURS
    )
    figure = Figure()
    figure.text(0, 0, "$x$")
    with pytest.raises(AssertionError):
        assert_no_formula(figure)


@LOOKS
def test_unkind_names_in_the_loss_explorer(tmp_path):
    run = unkind_run()
    report = run.evaluation(VALIDATION).report()
    history = pd.DataFrame(run.history)
    explorer = LossExplorer({name: history for name in UNKIND}, report, tmp_path / "<b>figures")
    assert_only_names(explorer)
    for name in UNKIND:
        explorer.runs.value, explorer.categories.value = [name], [name]
        assert_only_names(explorer)
        assert (
            f"{name} of {name}, validation" in explorer.said
            and f"{name} of {name}" in Tags(explorer.words.value).text
        )
    explorer.runs.value, explorer.categories.value = UNKIND[:4], UNKIND[:2]
    assert_only_names(explorer)
    explorer.search.value = UNKIND[0]
    explorer.save.click()
    assert "Saved as " in explorer.said and "<b>figures" in explorer.said
    assert_only_names(explorer)


@LOOKS
def test_unkind_names_in_the_attention_explorer():
    run = unkind_run()
    explorer = AttentionExplorer(run, run.data.windows[TEST].origins[:2])
    for name in UNKIND:
        explorer.category.value = explorer.stream.value = name
        assert_only_names(explorer)
        assert (
            name in Tags(explorer.events.value).text
            and f"{name}: " in Tags(explorer.words.value).text
        )
    shown = {
        cell
        for s in range(3)
        for row in widgets.history_rows(
            run.data.log, read_attention(run, explorer.origins[1]).events[s], np.ones(SOURCE), 0
        )
        for cell in row
    }
    assert any("<script>" in cell for cell in shown)  # such values are among them


@LOOKS
def test_unkind_names_in_the_forecast_explorer():
    run = unkind_run()
    windows = run.data.windows[TEST]
    explorer = ForecastExplorer(run.model, windows, windows.origins[::9])
    for name in UNKIND:
        explorer.category.value = name
        assert_only_names(explorer)
        assert name in Tags(explorer.events.value).text
    cells = {widgets.value_name(run.data.log, 0, value) for value in range(1, 13)}
    assert any(cell in Tags(explorer.events.value).text for cell in cells if "<" in cell)


@LOOKS
def test_unkind_names_in_a_live_run(tmp_path):
    run = unkind_run()
    live = LiveRun(run.config.change(epochs=1, out=str(tmp_path / "<b>$x$ & co")), run.data)
    live.start()
    live.wait(60)
    assert live.state == "Finished" and "<b>$x$ & co" in live.said
    assert_only_names(live)
    failing = LiveRun(run.config.change(model_checkpoint="<img src=x>"), run.data)
    failing.start()
    failing.wait(60)
    assert "<img src=x>: no such checkpoint" in failing.said
    assert_only_names(failing)
