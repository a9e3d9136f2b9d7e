"""Four widgets for the notebooks: thin shells of controls over the figures of `helpers.plots`.

    LossExplorer({"working_run": pd.DataFrame(run.history)}, report)
    AttentionExplorer(run, origins)
    ForecastExplorer(model, windows, origins)
    LiveRun(config)

Each draws one Figure into one image and says in words what is selected; nothing is ever printed.
What is drawn comes from plain functions, so that a notebook can show it without a widget too.
"""

from __future__ import annotations

import copy
import html
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import count, product
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
import torch
from ipywidgets import (
    HTML,
    Button,
    Checkbox,
    Dropdown,
    FloatLogSlider,
    FloatSlider,
    HBox,
    Image,
    IntProgress,
    IntRangeSlider,
    IntSlider,
    Label,
    Layout,
    SelectMultiple,
    Text,
    VBox,
    Widget,
)
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from PIL import Image as Pixels
from torch import nn
from traitlets import validate

from helpers import plots
from helpers.events import TRAIN, VALIDATION, Log
from helpers.support.durations import STARTS, find_elapsed
from helpers.support.errors import InputError, check_table
from helpers.support.files import replace_file
from helpers.support.watching import evaluating, record_attention
from helpers.training import (
    VALIDATION_WINDOWS,
    Config,
    Data,
    Trainer,
    load_data,
    order_batches,
    pick_evenly,
)
from helpers.uses.forecast import beam_search, log_probability, roll_out, sample
from helpers.uses.futures import possible
from helpers.windows import Batch, Windows
from helpers.world import EVENT_TYPES


def box(width: str, label: str = "initial") -> dict:
    return {"layout": {"width": width}, "style": {"description_width": label}}


LINE = box("370px", "95px")  # a control in a column of its like
MOST_PICTURES = 100  # of parts of a figure


class _Shell(VBox):
    """Rows of controls, `words` about what is selected, and one `image` of one `figure`."""

    def __init__(self, rows: list[list], size: tuple[float, float], *below, **margins):
        self.figure = FigureCanvasAgg(Figure(figsize=size, dpi=80)).figure
        self.figure.subplots_adjust(**margins)
        self._pictures: dict[tuple, tuple] = {}  # of parts of the figure
        self.words = HTML(layout=Layout(min_height="58px"))
        self.image = Image(format="webp", layout=Layout(max_width="100%", object_fit="contain"))
        boxes = [HBox(row, layout=Layout(flex_flow="row wrap")) for row in rows]
        super().__init__([*boxes, self.words, self.image, *below])

    def close(self) -> None:
        """Closes it with all that it is made of; ipywidgets alone would keep every control."""
        if self.comm is None:  # closed before, or never made whole
            return
        for part in [*list_parts(self)]:
            part.close()
        super().close()

    @property
    def said(self) -> str:
        """The words as plain text."""
        return html.unescape(self.words.value)

    def _say(self, *words: str) -> None:
        said = " ".join(filter(None, words))
        self.words.value = html.escape(said)  # names in them come from a log

    def _draw(self, keep: bool = False) -> None:
        """Draws the picture.

        keep: whether axes and legends will look the same again, so that it pays to keep pictures
            of them; their text takes the longest
        """
        canvas = self.figure.canvas
        if keep:
            self._draw_parts(canvas.get_renderer())
        else:
            canvas.draw()
        picture = Pixels.fromarray(np.asarray(canvas.buffer_rgba()))
        buffer = BytesIO()
        picture.save(buffer, "webp", lossless=True, quality=0, method=0)  # fast beats small
        self.image.value = buffer.getvalue()

    def _draw_parts(self, renderer: RendererAgg) -> None:
        """What the canvas would draw, with all that stays around the inside from pictures."""
        renderer.clear()
        self.figure.patch.draw(renderer)
        for axes in self.figure.axes:
            parts = sorted(axes.get_children(), key=Artist.get_zorder)
            parts.remove(axes.patch)
            moving = [*inside(axes), *axes.spines.values()]  # spines are quickly drawn
            for part in [axes.patch, *parts]:  # the background, then the rest
                if part in moving:
                    part.draw(renderer)
                else:
                    renderer.draw_image(
                        renderer.new_gc(), *self._keep_picture(axes, part, renderer)
                    )

    def _keep_picture(
        self, axes: Axes, part: Artist, renderer: RendererAgg
    ) -> tuple[int, int, np.ndarray]:
        """A part, drawn once for each of its looks: left and lower end, and pixels, bottom up."""
        ends, texts = [], []  # of a background
        if isinstance(part, Legend):
            texts = part.get_texts()
        elif isinstance(part, Axis):
            ends, texts = part.get_view_interval(), [part.label, *part.get_ticklabels()]
        elif part is not axes.patch:  # a title
            texts = [part]
        key = (axes, type(part), *ends, *(text.get_text() for text in texts))
        if key not in self._pictures:
            if len(self._pictures) == MOST_PICTURES:
                del self._pictures[next(iter(self._pictures))]
            alone = RendererAgg(renderer.width, renderer.height, renderer.dpi)
            part.draw(alone)
            pixels = np.asarray(alone.buffer_rgba())[::-1]
            rows, columns = (np.flatnonzero(pixels[..., 3].any(axis)) for axis in (1, 0))
            left, low = columns.min(initial=0), rows.min(initial=0)
            inked = pixels[low : rows.max(initial=0) + 1, left : columns.max(initial=0) + 1]
            self._pictures[key] = left, low, inked.copy()  # and the rest of the page is let go
        return self._pictures[key]


def list_parts(widget: Widget) -> Iterator[Widget]:
    """Every widget inside of one: its children, layouts and styles, and theirs before them."""
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, tuple) else [value]:
            if isinstance(part, Widget):
                yield from list_parts(part)
                yield part


def inside(axes: Axes) -> list[Artist]:
    artists = [*axes.images, *axes.collections, *axes.patches, *axes.lines, *axes.texts]
    return sorted(artists, key=Artist.get_zorder)


def wipe(axes: Axes) -> None:
    """Takes away what is drawn, but keeps the ticks, which take long to make."""
    for artist in inside(axes):
        artist.remove()
    axes.relim()
    axes.autoscale()


# -- losses

SCALES = {
    "nats": "loss in nats",
    "share of the ceiling": "loss as a share of the ceiling",
    "gap to the floor": "gap to the floor in nats",
}
MEASURES = {"validation": ["validation"], "train": ["train"], "both": ["train", "validation"]}
MOST_CURVES = 8

Tables = dict[tuple[str, str], pd.DataFrame]
Curves = dict[tuple[str, str, str], pd.Series]


def loss_tables(runs: dict[str, pd.DataFrame]) -> Tables:
    """From histories by run: {(run, measure): a table}.

    A table has a row an epoch, and a column a category; the last one is their mean.
    """
    if not isinstance(runs, dict):
        raise InputError(
            f"runs: must be histories by name, as {{'mine': pd.DataFrame(run.history)}}, "
            f"found {type(runs).__name__}"
        )
    tables = {}
    for run, history in runs.items():
        history = pd.DataFrame(history)
        check_table(history, ("epoch", "measure", "name", "value"), f"history of '{run}'")
        repeated = history.duplicated(["epoch", "measure", "name"])
        if repeated.any():
            epoch = history["epoch"][repeated].iloc[0]
            raise InputError(
                f"history of '{run}': epoch {epoch} stands there twice; give the history of one run"
            )
        for measure in MEASURES["both"]:
            rows = history[history["measure"] == measure]
            if len(rows):
                table = rows.pivot(index="epoch", columns="name", values="value")
                table = table[list(dict.fromkeys(rows["name"]))]  # in the history's order
                tables[run, measure] = table.assign(mean=table.mean(axis=1))
    return tables


def on_scale(losses, scale: str, category: str, report: pd.DataFrame):
    """Losses of a category, in nats, on one of SCALES.

    NaN where the report, by category, lacks the floor or the ceiling.
    """
    if scale not in SCALES:
        raise InputError(f"scale: must be one of {', '.join(SCALES)}, found '{scale}'")
    if scale == "nats":
        return losses
    if scale == "gap to the floor":
        return losses - report["floor"].get(category, np.nan)
    return losses / report["ceiling"].get(category, np.nan)


def select_curves(
    tables: Tables,
    report: pd.DataFrame,
    runs,
    categories,
    measures,
    epochs: tuple[int, int],
    scale: str = "nats",
    smoothing: int = 1,
) -> Curves:
    """What `plots.draw_loss_curves` draws: the losses of each run, category and measure.

    They go from the first to the last of `epochs`, each the mean of the last `smoothing` epochs; an
    empty Series where nothing is known.
    """
    unknown = pd.Series(dtype=float)
    first, last = epochs
    curves = {}
    for run, category, measure in product(runs, categories, measures):
        table = tables.get((run, measure), pd.DataFrame())
        losses = table.get(category, unknown).rolling(smoothing, min_periods=1).mean()
        losses = on_scale(losses, scale, category, report)
        curves[run, category, measure] = losses.loc[first:last].dropna()
    return curves


def count_things(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


class _Range(IntRangeSlider):
    """A range that takes its ends in either order."""

    @validate("value")
    def _validate_value(self, proposal):
        return super()._validate_value({"value": tuple(sorted(proposal["value"]))})


class LossExplorer(_Shell):
    """Loss curves of runs and categories against the levels of a category report.

    runs: name -> history with columns epoch, measure, name and value, as `Trainer.history` or
        history.csv
    report: the levels, best of the part that the curves are measured on, which is
        `run.evaluation(VALIDATION).report()`
    folder: where figures are saved
    """

    def __init__(
        self,
        runs: dict[str, pd.DataFrame],
        report: pd.DataFrame,
        folder: str | Path = "../build/figures",
    ):
        check_table(report, ("category", *plots.LEVELS), "report")
        self.tables = loss_tables(runs)
        self.report = report.set_index("category")
        self.folder = Path(folder)
        categories = [name for table in self.tables.values() for name in table.columns[:-1]]
        self.names = list(dict.fromkeys(["mean", *categories]))
        self._filtering = False
        self._make_menus(list(runs))
        self._make_sliders()
        self._make_lines()
        columns = [
            self.runs,
            VBox([self.search, self.categories]),
            VBox([self.epochs, self.smoothing, self.measure, self.scale]),
        ]
        levels = list(self.levels.values())
        names = [Label(name, layout=Layout(width="100px")) for name in ("lines to draw:", "")]
        lines = [names[0], *levels[:4]], [names[1], *levels[4:], self.save]
        margins = {"left": 0.075, "right": 0.66, "bottom": 0.17, "top": 0.91}
        super().__init__([columns, *lines], (11, 4.8), **margins)
        self.axes = self.figure.subplots()
        menus = [self.runs, self.categories, self.measure, self.scale]
        for control in (*menus, self.epochs, self.smoothing, *self.levels.values()):
            control.observe(self._redraw, "value")
        self.search.observe(self._filter, "value")
        self.save.on_click(self._save)
        self._redraw()

    def _make_menus(self, runs: list[str]) -> None:
        tip = "Ctrl picks several; by keyboard: Ctrl with the arrows, then Ctrl with space"
        self.runs = SelectMultiple(
            description="runs",
            options=runs,
            value=runs[:1],
            rows=7,
            tooltip=tip,
            **box("200px"),
        )
        self.search = Text(
            description="find category", placeholder="part of its name", **box("330px")
        )
        self.categories = SelectMultiple(
            description="categories",
            options=self.names,
            value=["mean"],
            rows=5,
            tooltip=tip,
            **box("330px"),
        )
        self.measure = Dropdown(description="loss", options=list(MEASURES), **LINE)
        self.scale = Dropdown(description="scale", options=list(SCALES), **LINE)

    def _make_sliders(self) -> None:
        epochs = [epoch for table in self.tables.values() for epoch in table.index] or [0]
        first, last = min(epochs), max(epochs)
        self.epochs = _Range(
            description="epochs",
            value=(first, last),
            min=first,
            max=last,
            tooltip="the first and the last to draw",
            **LINE,
        )
        self.smoothing = IntSlider(
            description="smoothing",
            value=1,
            max=min(10, last - first + 1),
            min=1,
            tooltip="mean of so many epochs",
            **LINE,
        )

    def _make_lines(self) -> None:
        self.levels = {}
        for name in plots.LEVELS:
            drawn = name in ("look_back", "reader", "floor")
            self.levels[name] = Checkbox(drawn, description=name, indent=False, **box("115px"))
        self.save = Button(
            description="Save figure", tooltip=f"as a PNG in {self.folder.as_posix()}"
        )

    def _sought(self) -> str:
        return self.search.value.strip().lower()

    def _filter(self, change) -> None:
        """Offers the categories whose name holds the text, and those that are chosen."""
        chosen = self.categories.value
        offered = [name for name in self.names if self._sought() in name.lower() or name in chosen]
        self._filtering = True  # the menu changes twice, but the picture is drawn once
        self.categories.options = offered
        self.categories.value = chosen
        self._filtering = False
        self._redraw()

    def _redraw(self, change=None) -> None:
        if self._filtering:
            return
        scale = self.scale.value
        curves = select_curves(
            self.tables,
            self.report,
            self.runs.value,
            self.categories.value,
            MEASURES[self.measure.value],
            self.epochs.value,
            scale,
            self.smoothing.value,
        )
        known = [(key, losses) for key, losses in curves.items() if len(losses)]
        drawn = dict(known[:MOST_CURVES])
        kinds = [kind for kind, ticked in self.levels.items() if ticked.value]
        levels = self.report.reindex(dict.fromkeys(key[1] for key in drawn))[kinds]
        levels = levels.apply(lambda row: on_scale(row, scale, row.name, self.report), axis=1)
        wipe(self.axes)
        plots.draw_loss_curves(self.axes, drawn, levels, SCALES[scale])
        self._selection = self._describe(curves, drawn, list(levels.dropna(axis=1, how="all")))
        self._say(self._selection)
        self._draw()

    def _describe(self, curves: Curves, drawn: Curves, kinds: list[str]) -> str:
        runs = count_things(len(self.runs.value), "run", "runs")
        categories = count_things(len(self.categories.value), "category", "categories")
        first, last = self.epochs.value
        measures = " and ".join(MEASURES[self.measure.value])
        losses = SCALES[self.scale.value]
        if self.smoothing.value > 1:
            losses += f", mean of {self.smoothing.value} epochs"
        lines = ", ".join(kinds) or "none"
        words = f"{runs}, {categories}, epochs {first} to {last}, {measures}: {losses}"
        words += f"; lines: {lines}."
        if drawn:
            words += f" {self._describe_lowest(drawn)}"
        elif not curves:
            words += " Nothing to draw: choose at least one run and one category."
        blank = [f"{name} of {run}" for (run, name, _), losses in curves.items() if not len(losses)]
        if blank:
            words += (
                f" Not drawn: {', '.join(dict.fromkeys(blank))}. Its history lacks it or these "
                f"epochs, or the report lacks what the scale needs."
            )
        known = len(curves) - len(blank)
        if known > len(drawn):
            words += f" Only the first {len(drawn)} of {known} curves are drawn; choose fewer."
        if not any(self._sought() in name.lower() for name in self.names):
            words += f" No category's name holds “{self._sought()}”."
        return words

    def _describe_lowest(self, drawn: Curves) -> str:
        run, name, measure = min(drawn, key=lambda key: drawn[key].min())
        losses = drawn[run, name, measure]
        where = f"{losses.min():.4f} at epoch {losses.idxmin()}"
        return f"Lowest: {name} of {run}, {measure}, {where}."

    def _save(self, button) -> None:
        names = (f"loss_explorer_{number}.png" for number in count(1))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = next(self.folder / name for name in names if not (self.folder / name).exists())
            replace_file(path, lambda part: self.figure.savefig(part, dpi=160, format="png"))
            self._say(self._selection, f"Saved as {path.as_posix()}.")
        except OSError as error:
            self._say(self._selection, f"Not saved: {error}.")


# -- attention

ALL_STREAMS = "all streams, the three read most"


@dataclass
class Reading:
    """What a model read from one origin, and what it expected.

    H heads, S streams; T, U and C as in a Batch.

    events: (S, T) event numbers; the length of the log where padded
    histories: (H, S, T) weights of the last encoder layer's last query; NaN where padded
    states: (H, U, S) weights of the last decoder layer, those of a stream's states added up
    probabilities: C arrays (U, size)
    """

    batch: Batch
    events: np.ndarray
    histories: np.ndarray
    states: np.ndarray
    probabilities: list[np.ndarray]


@torch.no_grad()
def read_attention(run: Trainer, origin: int) -> Reading:
    """Lets a run's model, as it stands, read one origin.

    Each step is given what truly happened before it.
    """
    log, model = run.data.log, run.model
    windows = run.data.windows[int(log.part[origin])] if 0 <= origin < len(log) else None
    if windows is None or origin not in windows.origins:
        raise InputError(
            f"origin: {origin} begins no window; take one of run.data.windows[TEST].origins"
        )
    origins = np.array([origin])
    batch = windows.batch(origins)
    with evaluating(model), record_attention() as seen:
        logits = model(batch.to(run.config.device))[0].cpu()  # (U, V)
    histories = seen[len(model.encoder) - 1][:, :, -1].transpose(0, 1).cpu()  # (H, S, T)
    states = seen[-1][0].cpu()  # (H, U, S*carry)
    by_stream = states.unflatten(-1, (len(log.streams), model.carry)).sum(-1)
    return Reading(
        batch=batch,
        events=windows.history_index(origins)[0],
        histories=histories.masked_fill(~batch.known[0], np.nan).numpy(),
        states=by_stream.numpy(),
        probabilities=[part.softmax(-1).numpy() for part in logits.split(model.sizes, -1)],
    )


def value_name(log: Log, category: int, value: int) -> str:
    names = log.vocabularies[log.categories[category].name]
    if value == 0:
        return "unknown"
    return str(names[value]) if value < len(names) else f"number {value}, never used"


def event_name(log: Log, event: int) -> str:
    """The kind of an event, by whom and for whom, where the log says so."""
    values = log.table[event]
    who = [
        value_name(log, c, values[c])
        for c, category in enumerate(log.categories)
        if category.name in ("ActorRecordId", "RecipientRecordId")
    ]
    whose = " for ".join(dict.fromkeys(who)) or f"sequence {log.sequence[event]}"
    return f"{value_name(log, 0, values[0])}, {whose}"


def history_rows(
    log: Log, events: np.ndarray, weights: np.ndarray, category: int, most: int | None = None
) -> list[tuple[str, ...]]:
    """A history as readable events: weight, event, value of a category, time before the origin.

    All of them, latest first; or the `most` with the greatest weights. The last row says how many
    places are absent.
    """
    places = np.flatnonzero(events < len(log))[::-1]
    if most is not None:
        places = places[np.argsort(-weights[places], kind="stable")[:most]]
    rows = []
    for place in places:
        event = events[place]
        value = value_name(log, category, log.table[event, category])
        hours = (log.time[events[-1]] - log.time[event]) / np.timedelta64(1, "h")
        weight = f"{weights[place]:.2f}"
        rows.append((weight, event_name(log, event), value, plots.tell_span(hours)))
    absent = int((events == len(log)).sum())
    if absent:
        words = f"absent: {absent} of {len(events)} places, as this history has no earlier event"
        rows.append(("", words, "", ""))
    return rows


def whole_numbers(origins) -> np.ndarray:
    try:
        numbers = np.asarray(origins, float).ravel()
        if (numbers != np.floor(numbers)).any():
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(
            f"origins: must be numbers of events, such as run.data.windows[TEST].origins[:9], "
            f"found {origins!r:.60}"
        ) from None
    return numbers.astype(int)


class AttentionExplorer(_Shell):
    """What a run's model reads at each step of a forecast, and from which events of the histories.

    origins: event numbers that begin a window, such as some of `run.data.windows[TEST].origins`
    """

    def __init__(self, run: Trainer, origins: np.ndarray):
        self.run = run
        self.streams = [stream.name for stream in run.data.log.streams]
        given = whole_numbers(origins)
        known = np.concatenate([windows.origins for windows in run.data.windows.values()])
        self.origins = given[np.isin(given, known)]
        strangers = len(given) - len(self.origins)
        left_out = f"{strangers} of the given events begin no window and are left out."
        self._left_out = left_out if strangers else ""
        self.reading = lru_cache(200)(lambda origin: read_attention(run, origin))
        self._make_controls()
        self.events = HTML(layout=Layout(max_height="420px", overflow="auto"))
        columns = [VBox([self.origin, self.step]), VBox([self.head, self.category, self.stream])]
        margins = {"left": 0.095, "right": 0.985, "bottom": 0.16, "top": 0.9}
        super().__init__([columns], (12, 3.9), self.events, **margins)
        widths = {"width_ratios": [1, 2.4, 1.4], "gridspec_kw": {"wspace": 0.12}}
        self.axes = self.figure.subplots(1, 3, **widths)
        self.axes[1].tick_params(labelleft=False, left=False)  # its rows go on from the bars
        for control in (self.origin, self.step, self.head, self.category, self.stream):
            control.observe(self._redraw, "value")
        self._redraw()

    def _make_controls(self) -> None:
        config = self.run.config
        self.origin = IntSlider(
            description="origin",
            value=1,
            min=1,
            max=max(1, len(self.origins)),
            tooltip="which of the given origins",
            **LINE,
        )
        self.step = IntSlider(
            description="step",
            value=1,
            min=1,
            max=config.tgt_seq_len,
            tooltip="of the horizon; 1 is the next event",
            **LINE,
        )
        heads = ["all", *range(1, config.model.num_heads + 1)]
        self.head = Dropdown(description="head", options=heads, **LINE)
        self.category = Dropdown(description="category", options=self.run.names, **LINE)
        streams = [ALL_STREAMS, *self.streams]
        self.stream = Dropdown(description="events of", options=streams, **LINE)

    def _redraw(self, change=None) -> None:
        if not len(self.origins):
            return self._say(
                "There is nothing to show: give events that another one follows in their part of "
                "the log.",
                self._left_out,
            )
        log = self.run.data.log
        read = self.reading(int(self.origins[self.origin.value - 1]))
        c, u = self.run.names.index(self.category.value), self.step.value - 1
        head = self.head.value
        heads = slice(None) if head == "all" else [head - 1]
        states = pd.Series(read.states[heads, u].mean(0), self.streams)
        histories = read.histories[heads].mean(0)
        names = [value_name(log, c, value) for value in range(log.categories[c].size)]
        event = int(read.batch.event[0, u])
        truth = int(log.table[event, c]) if event < len(log) else None

        for axes in self.axes:
            wipe(axes)
        plots.draw_decoder_reads(self.axes[0], states)
        plots.draw_history_weights(self.axes[1], pd.DataFrame(histories, self.streams))
        expected = read.probabilities[c][u]
        plots.draw_predicted_values(self.axes[2], expected, names, truth, self.category.value)
        self._say(
            self._describe_origin(),
            self._describe_step(states),
            self._describe_values(expected, names, event, truth),
            self._left_out,
        )
        self.events.value = self._tabulate(read.events, histories, c)
        self._draw(keep=True)

    def _describe_origin(self) -> str:
        log, number = self.run.data.log, self.origin.value
        origin = self.origins[number - 1]
        when = pd.Timestamp(log.time[origin]).strftime("%Y-%m-%d %H:%M")
        return f"Origin {number} of {len(self.origins)}: {event_name(log, origin)}, {when}."

    def _describe_step(self, states: pd.Series) -> str:
        head = self.head.value
        heads = "mean of all heads" if head == "all" else f"head {head}"
        most = f"{states.idxmax()} most ({states.max():.2f})"
        return f"Step {self.step.value}, {heads}: the decoder reads {most}."

    def _describe_values(
        self, expected: np.ndarray, names: list[str], event: int, truth: int | None
    ) -> str:
        """What is expected of the category, (size,), and what came."""
        most = f"{names[expected.argmax()]} is expected most ({expected.max():.2f})"
        if truth is None:
            return f"{self.category.value}: {most}; no event came at this step."
        came = f"true is {names[truth]}, expected with {expected[truth]:.2f}"
        known = self.run.data.truth
        if known is not None:
            possible = np.exp(-known.floors[event, self.run.names.index(self.category.value)])
            came += f" (the simulator: {possible:.2f})"
        return f"{self.category.value}: {most}; {came}, in {event_name(self.run.data.log, event)}."

    def _tabulate(self, events: np.ndarray, weights: np.ndarray, c: int) -> str:
        """The readable events of the stream that is chosen, or of all, as an HTML table."""
        chosen = self.stream.value
        most = 3 if chosen == ALL_STREAMS else None
        rows = [("stream", "weight", "event", self.category.value, "before the origin")]
        for s, stream in enumerate(self.streams):
            if chosen not in (ALL_STREAMS, stream):
                continue
            part = history_rows(self.run.data.log, events[s], weights[s], c, most)
            rows += [(stream if i == 0 else "", *row) for i, row in enumerate(part)]
        head, *rest = ["".join(map(make_cell, row)) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in rest)
        return f"<table><tr style='font-weight: bold'>{head}</tr>{body}</table>"


def make_cell(text: str) -> str:
    style = "padding: 1px 18px 1px 0; line-height: 1.3; white-space: nowrap"
    return f"<td style='{style}'>{html.escape(text)}</td>"


# -- forecasts

WAYS = ("samples", "beam", "greedy")
MOST_FUTURES = 200
LAST = 8  # events up to the origin that are shown
MOST_ROWS = 12  # of the picture, a value each
COLUMNS = 4  # of the table, a category each
CLOCK = ("Month", "Day", "Hour", "Minute")
THIRD = box("318px", "82px")  # a control in one of three columns
UNITS = {"days": 24, "hours": 1, "minutes": 1 / 60, "seconds": 1 / 3600}  # in hours


@dataclass
class Forecast:
    """What a model expects to come after one origin: N futures of U steps.

    events: (N, U, C) integers
    log_p: (N, U) nats, ln p of each whole event given those before it, whatever the temperature
    hours: (N, U) from the origin, NaN where unknown; None where no category tells
    odd: (N,) the first step that the simulator says cannot happen, from 0; U where all can. None
        where that is not known
    came: (u,) numbers of the events that came, at most U; true_log_p: (u,) nats, ln p of each
    """

    events: np.ndarray
    log_p: np.ndarray
    hours: np.ndarray | None
    odd: np.ndarray | None
    came: np.ndarray
    true_log_p: np.ndarray


def make_forecast(
    model: nn.Module,
    windows: Windows,
    origin: int,
    way: str,
    futures: int,
    temperature: float = 1.0,
) -> Forecast:
    """What a model expects to come after an origin, by one of WAYS.

    futures: how many samples, or the beam's width, at most as many as events are possible; the
        greedy future is one

    The origin is the samples' seed, so they are the same whenever they are drawn.
    """
    if way not in WAYS:
        raise InputError(f"way: must be one of {', '.join(WAYS)}, found '{way}'")
    log, origins = windows.log, np.array([origin])
    device = next((one.device for one in model.parameters()), "cpu")
    batch = windows.batch(origins).to(device)
    if way == "samples":
        generator = torch.Generator(device).manual_seed(int(origin))
        events = sample(model, batch, futures, generator, temperature=temperature)
    elif way == "beam":
        events, _ = beam_search(model, batch, min(futures, math.prod(model.sizes)))
    else:
        events = roll_out(model, batch)[:, None]
    both = torch.cat([events, batch.target[:, None]], 1)
    log_p = log_probability(model, batch, both)[0].sum(-1).cpu().numpy()
    events, counted = events[0].cpu().numpy(), batch.counted[0].cpu().numpy()
    try:
        odd = possible(log, origins, events[None])[0][0].sum(1)
    except InputError:  # not the built-in log, or an event that it does not show whole
        odd = None
    return Forecast(
        events=events,
        log_p=log_p[:-1],
        hours=count_hours(log, origin, events),
        odd=odd,
        came=batch.event[0].cpu().numpy()[counted],
        true_log_p=log_p[-1, counted],
    )


def find_clock(log: Log) -> list[int]:
    """The places of the categories that tell month, day, hour and minute of the events' own time.

    None of them where there are none, or where they tell of another time.
    """
    names, some = [category.name for category in log.categories], 1 + len(log) // 1000
    time = pd.DatetimeIndex(log.time[::some])  # a thousand events will do
    shown = np.stack([time.month, time.day, time.hour + 1, time.minute + 1], 1)
    for name in names:
        parts = [f"{name.removesuffix(CLOCK[0])}{part}" for part in CLOCK]
        if name == parts[0] and set(parts) <= set(names):
            places = [names.index(part) for part in parts]
            told = log.table[::some, places]
            if ((told == shown) | (told == 0)).all():
                return places
    return []


def count_hours(log: Log, origin: int, events: np.ndarray) -> np.ndarray | None:
    """Hours from an origin to events that may come after it, (N, U, C): (N, U).

    By date and time, of the year that brings it nearest; or by the times since the event before,
    each the middle of its bin on a logarithmic scale. NaN where an event does not tell, None where
    the log's categories do not.
    """
    clock, elapsed = find_clock(log), find_elapsed(log.categories)
    if clock:
        month, day, hour, minute = np.moveaxis(events[..., clock, None].astype(int), -2, 0) - 1
        years = log.time[origin].astype("M8[Y]") + np.arange(-1, 2)
        days = (years.astype("M8[M]") + month).astype("M8[D]") + day  # (N, U, 3)
        hours = (days - log.time[origin]) / np.timedelta64(1, "h") + hour + minute / 60
        nearest = np.abs(hours).argmin(-1)[..., None]
        hours = np.take_along_axis(hours, nearest, -1)[..., 0]
        return np.where(events[..., clock].all(-1), hours, np.nan)
    if elapsed is not None:
        seconds = np.array([np.nan, 0, *(2**0.5 * start for start in STARTS[2:])])
        return seconds[events[..., elapsed]].cumsum(-1) / 3600
    return None


def pick_rows(log: Log, c: int, shown: np.ndarray) -> tuple[list[str], np.ndarray]:
    """A picture's rows for the values of a category: their names, and the row of each, (size,).

    shown: the values that are to be drawn, once for each time

    Few values have a row each; of many those that are drawn most. The others share the last rows.
    """
    size, vocabulary = log.categories[c].size, log.vocabularies[log.categories[c].name]
    counts = np.bincount(shown, minlength=size)
    values = np.arange(1, min(size, len(vocabulary)))
    if len(values) > MOST_ROWS:
        values = values[np.argsort(-counts[values], kind="stable")[:MOST_ROWS]]
        values = np.sort(values[counts[values] > 0])
    if set(vocabulary[1:]) <= set(EVENT_TYPES):
        values = sorted(values, key=lambda value: EVENT_TYPES.index(vocabulary[value]))
    names, rows = [value_name(log, c, value) for value in values], np.full(size, len(values))
    rows[values] = np.arange(len(values))
    if counts[rows == len(values)][1:].any():  # the first of them is 0
        names.append("another")
    if counts[0]:
        rows[0] = len(names)
        names.append("unknown")
    return names, rows


def group_origins(log: Log, origins: np.ndarray) -> dict[str, np.ndarray]:
    """Origins by the name of their sequence: its recipient, where that tells them apart."""
    sequence, c = log.sequence[origins], find_category(log, "RecipientRecordId")
    groups = {f"sequence {one}": origins[sequence == one] for one in np.unique(sequence)}
    if c is not None:
        named = {value_name(log, c, log.table[of_one[0], c]): of_one for of_one in groups.values()}
        if len(named) == len(groups):
            return dict(sorted(named.items()))
    return groups


def find_category(log: Log, name: str) -> int | None:
    names = [category.name for category in log.categories]
    return names.index(name) if name in names else None


def find_varied(log: Log) -> list[int]:
    """The places of the categories that do not stay the same in each sequence."""
    first = np.unique(log.sequence, return_index=True)[1]
    begun = first[np.unique(log.sequence, return_inverse=True)[1]]  # of each event's sequence
    return np.flatnonzero((log.table != log.table[begun]).any(0)).tolist()


def tell_hours(hours: float) -> str:
    """A span of time in words, days to a tenth."""
    return f"{hours / 24:.1f} days" if hours >= 48 else plots.tell_span(hours)


class ForecastExplorer(_Shell):
    """What a model expects to come after an event: the fan of its futures, and what came.

    model: what `helpers.uses.forecast` takes. It is copied, so that the widget outlives a
        `run.forecaster()` that yields it
    windows: such as `run.data.windows[TEST]`
    origins: event numbers that begin one of these windows, such as some of `windows.origins`

    What is computed is kept. Where the simulator knows what can happen, the first event of a future
    that cannot has a cross, and what follows it is grey.
    """

    def __init__(self, model: nn.Module, windows: Windows, origins: np.ndarray):
        if not isinstance(model, nn.Module) or not isinstance(windows, Windows):
            raise InputError(
                f"model, windows: must be a network, such as run.forecaster() yields, and its "
                f"windows, such as run.data.windows[TEST]; found {type(model).__name__} and "
                f"{type(windows).__name__}"
            )
        self.model, self.windows = copy.deepcopy(model), windows
        given = whole_numbers(origins)
        known = given[np.isin(given, windows.origins)]
        strangers = len(given) - len(known)
        left_out = f"{strangers} of the given events begin no window and are left out."
        self._left_out = left_out if strangers else ""
        self.origins = group_origins(windows.log, known)
        self.forecast = lru_cache(100)(self._compute)
        self._columns = find_varied(windows.log)[:COLUMNS]
        self._moving = False
        self._make_menus()
        self._make_sliders()
        self.events = HTML(layout=Layout(max_height="420px", overflow="auto"))
        columns = [
            VBox([self.sequence, self.origin, self.steps]),
            VBox([self.way, self.futures, self.temperature]),
            VBox([self.category, self.over, self.progress]),
        ]
        margins = {"left": 0.16, "right": 0.985, "bottom": 0.21, "top": 0.92}
        super().__init__([columns], (13, 5.6), self.events, **margins)
        self.words.layout.min_height = "86px"  # three lines, so that the picture stays in its place
        self.axes = self.figure.subplots()
        self.sequence.observe(self._choose_sequence, "value")
        sliders = (self.origin, self.steps, self.futures, self.temperature)
        for control in (*sliders, self.way, self.category, self.over):
            control.observe(self._redraw, "value")
        self._redraw()

    def _make_menus(self) -> None:
        log, names = self.windows.log, list(self.origins)
        whose = "sequence" if [*names, "sequence"][0].startswith("sequence") else "employee"
        self.sequence = Dropdown(description=whose, options=names, **THIRD)
        self.way = Dropdown(description="way", options=WAYS, **THIRD)
        categories = [category.name for category in log.categories]
        self.category = Dropdown(description="category", options=categories, **THIRD)
        timed = find_clock(log) or find_elapsed(log.categories) is not None
        self.over = Dropdown(
            description="over", options=["time", "steps"] if timed else ["steps"], **THIRD
        )

    def _make_sliders(self) -> None:
        self.origin = IntSlider(
            description="origin",
            value=1,
            min=1,
            max=self._count_origins(),
            continuous_update=False,
            tooltip="which of the given origins",
            **THIRD,
        )
        self.steps = IntSlider(
            description="steps",
            value=self.windows.tgt_seq_len,
            min=1,
            max=self.windows.tgt_seq_len,
            tooltip="of the horizon that are shown",
            **THIRD,
        )
        self.futures = IntSlider(
            description="futures",
            value=100,
            min=1,
            max=MOST_FUTURES,
            continuous_update=False,
            tooltip="how many samples or beams; the greedy future is one",
            **THIRD,
        )
        self.temperature = FloatSlider(
            description="temperature",
            value=1.0,
            min=0.2,
            max=2.0,
            step=0.1,
            readout_format=".1f",
            continuous_update=False,
            tooltip="of samples; below 1 the likely becomes likelier",
            **THIRD,
        )
        self.progress = IntProgress(description="computing", value=1, max=1, **THIRD)
        self.progress.layout.visibility = "hidden"

    def _count_origins(self) -> int:
        return max(1, len(self.origins.get(self.sequence.value, ())))

    def _choose_sequence(self, change) -> None:
        self._moving = True  # the slider may move, but the picture is drawn once
        self.origin.value = 1
        self.origin.max = self._count_origins()
        self._moving = False
        self._redraw()

    def _compute(self, *asked) -> Forecast:
        self.progress.layout.visibility = "visible"
        try:
            return make_forecast(self.model, self.windows, *asked)
        finally:
            self.progress.layout.visibility = "hidden"

    def _redraw(self, change=None) -> None:
        if self._moving:
            return
        if not self.origins:
            return self._say(
                "There is nothing to show: give events that another one follows in this part of "
                "the log.",
                self._left_out,
            )
        way = self.way.value
        self.futures.disabled, self.temperature.disabled = way == "greedy", way != "samples"
        futures = 1 if way == "greedy" else self.futures.value
        temperature = round(self.temperature.value, 1) if way == "samples" else 1.0
        origin = int(self.origins[self.sequence.value][self.origin.value - 1])
        made = self.forecast(origin, way, futures, temperature)
        last = self._find_last(origin)
        c = find_category(self.windows.log, self.category.value)
        self._draw_futures(origin, made, last, c)
        self._say(
            self._describe_origin(origin),
            self._describe_probability(made),
            self._describe_time(made),
            self._describe_odd(made),
            self._left_out,
        )
        self.events.value = self._tabulate(origin, made, last, c)
        self._draw(keep=True)

    def _find_last(self, origin: int) -> np.ndarray:
        """The sequence's last events, up to the origin."""
        sequence = self.windows.log.sequence
        return np.flatnonzero(sequence[: origin + 1] == sequence[origin])[-LAST:]

    def _draw_futures(self, origin: int, made: Forecast, last: np.ndarray, c: int) -> None:
        log, steps = self.windows.log, self.steps.value
        values = [log.table[last, c], made.events[..., c], log.table[made.came, c]]
        true = np.repeat([*values[0], *values[2]], len(made.events))  # as if each future had them
        names, rows = pick_rows(log, c, np.concatenate([true, values[1].ravel()]))
        if self.over.value == "steps":
            places, labels = self._place_by_step(made, last)
        else:
            places, labels = self._place_by_time(origin, made, last)
        pairs = zip(places, values, strict=True)
        past, futures, came = (np.stack([place, rows[some]], -1) for place, some in pairs)
        best = self.way.value != "samples"
        wipe(self.axes)
        odd = None if made.odd is None else np.minimum(made.odd, steps)
        futures, came = futures[:, :steps], came[:steps]
        title = self.category.value
        plots.draw_future_paths(self.axes, past, futures, names, odd, came, title, best, **labels)

    def _place_by_step(self, made: Forecast, last: np.ndarray) -> tuple[list[np.ndarray], dict]:
        """Where past, futures and what came stand along the picture, and the labels there."""
        N, U = made.log_p.shape
        ahead = np.arange(1, U + 1)
        places = [
            np.arange(1 - len(last), 1),
            np.broadcast_to(ahead, (N, U)),
            ahead[: len(made.came)],
        ]
        return places, {"xlabel": "steps from the origin", "xlim": (0.5 - LAST, U + 0.5)}

    def _place_by_time(
        self, origin: int, made: Forecast, last: np.ndarray
    ) -> tuple[list[np.ndarray], dict]:
        log, hour = self.windows.log, np.timedelta64(1, "h")
        past, came = ((log.time[some] - log.time[origin]) / hour for some in (last, made.came))
        known = made.hours[np.isfinite(made.hours)]
        # Dates that cannot be may lie months ahead.
        end = max([*came[-1:], *np.quantile(known, [0.95] * (len(known) > 0)), 1 / 3600])
        unit = next((name for name, size in UNITS.items() if end >= 2 * size), "seconds")
        size = UNITS[unit]
        right = np.ceil(end / size)
        left = max(-np.ceil(right / 2), np.floor(2 * past[0] / size) / 2)
        edge = 0.02 * (right - left)
        places = [some / size for some in (past, made.hours, came)]
        return places, {"xlabel": f"{unit} from the origin", "xlim": (left - edge, right + edge)}

    def _describe_origin(self, origin: int) -> str:
        log = self.windows.log
        when = pd.Timestamp(log.time[origin]).strftime("%Y-%m-%d %H:%M")
        which = f"origin {self.origin.value} of {self._count_origins()}"
        event = event_name(log, origin).removesuffix(f", {self.sequence.value}")
        return f"{self.sequence.value}, {which}: {event}, {when}."

    def _describe_probability(self, made: Forecast) -> str:
        """ln p of all the events that are shown, together."""
        steps, (N, _) = self.steps.value, made.log_p.shape
        log_p, events = made.log_p[:, :steps].sum(1), count_things(steps, "event", "events")
        if self.way.value == "samples":
            drawn = f"{count_things(N, 'sample', 'samples')} of {events}"
            if self.temperature.value != 1:
                drawn += f", temperature {self.temperature.value:.1f}"
            words = f"{drawn}: ln p is {np.median(log_p):.1f} nats in the median"
        elif self.way.value == "beam":
            found = count_things(N, "beam", "beams")
            words = f"The best of {found} of {events}: ln p is {log_p[0]:.1f} nats"
        else:
            words = f"The greedy future of {events}: ln p is {log_p[0]:.1f} nats"
        if len(made.came) >= steps:
            words += f", of what came {made.true_log_p[:steps].sum():.1f}"
        return f"{words}."

    def _describe_time(self, made: Forecast) -> str:
        """When the last event that is shown comes."""
        steps = self.steps.value
        hours = [] if made.hours is None else made.hours[:, steps - 1]
        hours = np.array([one for one in hours if np.isfinite(one)])
        if not len(hours):
            return ""
        if self.way.value != "samples":
            return f"Step {steps} comes after {tell_hours(hours[0])}."
        low, median, high = map(tell_hours, np.quantile(hours, [0.1, 0.5, 0.9]))
        return f"Step {steps} comes after {median} in the median (80 %: {low} to {high})."

    def _describe_odd(self, made: Forecast) -> str:
        if made.odd is None:
            return "What cannot happen is not known here; the simulator knows it of its own log."
        steps, N = self.steps.value, len(made.odd)
        odd, judged = (made.odd < steps).sum(), np.minimum(made.odd + 1, steps).sum()
        words = f"Of {count_things(judged, 'event', 'events')} that the simulator can judge,"
        words += f" {odd / judged:.0%} cannot happen; futures that come to one: {odd} of {N}."
        return words

    def _tabulate(self, origin: int, made: Forecast, last: np.ndarray, c: int) -> str:
        """The last events, and those of the best future or of one of many, as an HTML table."""
        log, steps = self.windows.log, self.steps.value
        columns = self._columns if c in self._columns else [*self._columns[: COLUMNS - 1], c]
        names = {"samples": "one of the samples", "beam": "the best beam"}
        future = names.get(self.way.value, "the greedy future")
        rows = [("", "step", "when", *(log.categories[c].name for c in columns))]
        for step, event in zip(range(1 - len(last), 1), last, strict=True):
            values = [value_name(log, c, log.table[event, c]) for c in columns]
            kind = "the origin" if step == 0 else "the last events" if event == last[0] else ""
            rows.append((kind, str(step), self._tell_time(log.time[event]), *values))
        odd = steps if made.odd is None else made.odd[0]
        for u in range(steps):
            values = [value_name(log, c, made.events[0, u, c]) for c in columns]
            hours = np.nan if made.hours is None else made.hours[0, u]
            minutes = np.timedelta64("NaT" if np.isnan(hours) else round(60 * hours), "m")
            when = self._tell_time(log.time[origin] + minutes)
            kind = future if u == 0 else ""
            if u == odd:
                kind = f"{kind}, cannot happen" if kind else "cannot happen"
            rows.append((kind, str(u + 1), when, *values))
        head, *rest = ["".join(map(make_cell, row)) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in rest)
        return f"<table><tr style='font-weight: bold'>{head}</tr>{body}</table>"

    @staticmethod
    def _tell_time(time: np.datetime64) -> str:
        return "" if np.isnat(time) else pd.Timestamp(time).strftime("%a %d %b %H:%M")


# -- a run under way

REDRAW = 0.3  # seconds between two pictures
RUNNING_MEAN = 50  # batches

# The run that was started last for each folder that runs write to; None is the folder of those that
# write nowhere. There is one at a time: a cell that is run again would leave the run of its first
# time training unseen.
_started: WeakValueDictionary[str | None, LiveRun] = WeakValueDictionary()
_starting = threading.Lock()  # held while one takes over from another


class Stopped(Exception):
    """Somebody pressed stop."""


def validation_floor(data: Data) -> float | None:
    """The mean floor of the windows that an epoch's validation loss is measured on."""
    if data.truth is None:
        return None
    windows = data.windows[VALIDATION]
    events = windows.target_index(pick_evenly(windows.origins, VALIDATION_WINDOWS))
    return float(data.truth.floors[events[events < len(data.log)]].mean())


class LiveRun(_Shell):
    """Trains a configuration in the background while its curves draw themselves.

    `config` is a Config, such as `read_config("data/working_run.json")`. Learning rate and carry
    are taken when it starts; each start begins anew. After every whole epoch checkpoint and history
    are in `config.out`, where that is set, in the place of older ones. `run` is the Trainer; `wait`
    waits for its end. A new LiveRun takes over: one that trains for the same folder, or as it for
    none, is stopped first.
    """

    def __init__(self, config: Config, data: Data | None = None):
        if not isinstance(config, Config):
            raise InputError(
                f"config: must be a Config, such as read_config gives, found "
                f"{type(config).__name__}"
            )
        self.config, self.data = config, data
        with _starting:
            self._take_over()
        self.run: Trainer | None = None
        self._thread: threading.Thread | None = None
        self._ended = "Not started"  # how it ended; nothing while it is under way
        self._go, self._halt = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._note = ""
        self._losses: dict[float, float] = {}  # epochs done -> train loss of the batch
        self._batches = 1  # in an epoch
        self._floor = validation_floor(data) if data else None
        self._make_controls()
        buttons = [self.start_button, self.pause_button, self.stop_button]
        margins = {"left": 0.085, "right": 0.74, "bottom": 0.15, "top": 0.9}
        super().__init__([[self.rate, self.carry], buttons], (11, 4.2), **margins)
        self.axes = self.figure.subplots()
        for button, press in zip(buttons, (self.start, self.pause, self.stop), strict=True):
            button.on_click(press)
        for control in (self.rate, self.carry):
            control.observe(self._announce, "value")
        self._show()

    def _make_controls(self) -> None:
        self.rate = FloatLogSlider(
            description="learning rate",
            value=self.config.learning_rate,
            min=-6,
            max=-1,
            readout_format=".1e",
            tooltip="taken when training starts",
            **LINE,
        )
        self.carry = IntSlider(
            description="carry",
            value=self.config.carry,
            min=1,
            max=self.config.src_seq_len,
            tooltip="last vectors of a history that go on; taken when training starts",
            **LINE,
        )
        self.start_button = Button(
            description="Start",
            tooltip="train from the beginning, with this learning rate and carry",
        )
        self.pause_button = Button(
            description="Pause", tooltip="wait after this batch; pressed again, go on"
        )
        self.stop_button = Button(
            description="Stop", tooltip="end after this batch; whole epochs are kept"
        )

    @property
    def state(self) -> str:
        if self._ended:
            return self._ended
        if self._halt.is_set():
            return "Stopping"
        if not self._go.is_set():
            return "Paused"
        return "Running" if self.run else "Starting"

    def _answer(self, note: str = "") -> None:
        """Says where the run stands, and a note that stays until the next control is touched."""
        self._note = note
        self._tell()

    def _tell(self) -> None:
        with self._lock:  # or the words of one thread would take the place of newer ones
            self._say(self._describe(), self._note)

    def _announce(self, change) -> None:
        taken = f"learning rate {self.rate.value:.2g} and carry {self.carry.value}"
        self._answer(f"The next start takes {taken}.")

    def start(self, button=None) -> None:
        if not self._ended:
            return self._answer("A run is under way, so no second one was started; stop it first.")
        with _starting:
            self.wait()
            self._take_over()
            _started[self._place()] = self
            self._go.set()
            self._halt.clear()
            self.run, self._losses, self._ended = None, {}, ""
            self._answer()
            controls = (self._asked_rate(), self.carry.value)
            self._thread = threading.Thread(target=self._train, args=controls, daemon=True)
            self._thread.start()

    def _asked_rate(self) -> float:
        """The slider's learning rate; the configuration's, where a browser has rounded it."""
        asked, given = self.rate.value, self.config.learning_rate
        return given if 0.89 * given < asked < 1.13 * given else asked

    def _place(self) -> str | None:
        """Where it writes."""
        return str(Path(self.config.out).resolve()) if self.config.out else None

    def _take_over(self) -> None:
        """Stops the run that writes to the same place, and waits for its end."""
        other = _started.get(self._place())
        if other is not None and other is not self:
            other._end("A new run takes over.")

    def _end(self, note: str) -> None:
        """Stops it, where it is under way, and waits."""
        if not self._ended:
            self._halt.set()
            self._go.set()
            self._answer(note)
        self.wait()

    def close(self) -> None:
        """Stops the run, waits for its end, and closes the widget."""
        if getattr(self, "_thread", None):  # Python closes too what could not be made
            self._end("The widget is closed.")
        super().close()

    def pause(self, button=None) -> None:
        if self._ended or self._halt.is_set():
            return self._answer("There is nothing to pause.")
        if self._go.is_set():
            self._go.clear()
            self.pause_button.description = "Go on"
        else:
            self._go.set()
            self.pause_button.description = "Pause"
        self._answer()

    def stop(self, button=None) -> None:
        if self._ended:
            return self._answer("There is nothing to stop.")
        self._halt.set()
        self._go.set()
        self._answer()

    def wait(self, seconds: float | None = None) -> None:
        if self._thread:
            self._thread.join(seconds)

    def _train(self, learning_rate: float, carry: int) -> None:
        """What the thread does; while it lives, it alone draws."""
        try:
            changes = {"learning_rate": learning_rate, "carry": carry}
            config = self.config.change(**changes)
            self.data = self.data or load_data(config)
            self._obey()
            self._floor = validation_floor(self.data)
            self._batches = len(order_batches(self.data.windows[TRAIN], config, 0))
            self.run = Trainer(config, self.data, progress=False, watch=self._watch)
            self.run.fit(replace=True)
            ended = "Finished"
        except Stopped:
            ended = "Stopped"
        except Exception as error:  # whatever it is, it should be read here and not in a log
            ended = f"Ended by an error: {error or type(error).__name__}"
        if self.run:
            self.run.watch = None  # it may go on without us
        self.pause_button.description = "Pause"
        self._ended = ended
        self._show()

    def _watch(self, batch: int, loss: float) -> None:
        self._losses[(batch + 1) / self._batches] = loss
        if time.monotonic() - self._drawn > REDRAW:
            self._show()
        self._obey()

    def _obey(self) -> None:
        """Waits while it is paused, and ends the thread where it is stopped."""
        self._go.wait()
        if self._halt.is_set():
            raise Stopped

    def _show(self) -> None:
        train, validation = pd.Series(self._losses, dtype=float), pd.Series(dtype=float)
        if self.run and self.run.epochs_done:
            epochs = self.run.epochs()
            validation = pd.Series(epochs["validation"].to_numpy(), epochs["epoch"] + 1)
        ceiling = None
        if self.data:
            ceiling = np.mean([np.log(category.size) for category in self.data.log.categories])
        wipe(self.axes)
        plots.draw_live_losses(self.axes, train, validation, ceiling, self._floor, RUNNING_MEAN)
        self._tell()
        self._draw()
        self._drawn = time.monotonic()

    def _describe(self) -> str:
        run, words = self.run, f"{self.state}."
        if not run:
            return words
        config = run.config
        words += f" Learning rate {config.learning_rate:.2g}, carry {config.carry};"
        words += f" {run.epochs_done} of {config.epochs} epochs done."
        losses = list(self._losses.values())[-RUNNING_MEAN:]
        if losses:
            mean = f"{np.mean(losses):.3f} nats, mean of the last {len(losses)} batches"
            words += f" Train loss {mean}."
        if run.epochs_done:
            best = run.epochs().query("best").iloc[0]
            found = f"{best['validation']:.3f} nats, in epoch {best['epoch']}"
            words += f" Best validation loss {found}."
            if config.out:
                words += f" Checkpoint and history are in {config.out}."
            else:
                words += " Nothing is saved: the configuration names no folder (out)."
        return words
