"""Three widgets for the notebooks: thin shells of controls over the figures of `helpers.plots`.

    LossExplorer({"working_run": pd.DataFrame(run.history)}, report)
    AttentionExplorer(run, origins)
    LiveRun(config)

Each draws one Figure into one image and says in words what is selected; nothing is ever printed. What is drawn
comes from plain functions, so that a notebook can show it without a widget too.
"""
from __future__ import annotations

import dataclasses
import html
import threading
import time
from functools import lru_cache
from io import BytesIO
from itertools import count, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ipywidgets import (HTML, Button, Checkbox, Dropdown, FloatLogSlider, HBox, Image, IntRangeSlider, IntSlider, Label, Layout,
                        SelectMultiple, Text, VBox)
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Pixels
from traitlets import validate

from helpers import plots
from helpers.events import TRAIN, VALIDATION, Log
from helpers.model import attention_recorded
from helpers.schema import InputError, check_table, replace
from helpers.training import VALIDATION_WINDOWS, Config, Data, ReadyBatches, Trainer, check_config, evenly_spaced, load_data
from helpers.windows import Batch


def box(width: str, label: str = "initial") -> dict:
    return {"layout": {"width": width}, "style": {"description_width": label}}


LINE = box("370px", "95px")  # a control in a column of its like


class _Shell(VBox):
    """Rows of controls, `words` about what is selected, and one `image` of one `figure`."""

    def __init__(self, rows: list[list], size: tuple[float, float], *below, **margins):
        self.figure = FigureCanvasAgg(Figure(figsize=size, dpi=80)).figure
        self.figure.subplots_adjust(**margins)
        self._frames = None
        self.image, self.words = Image(format="png", layout=Layout(max_width="100%", object_fit="contain")), HTML(layout=Layout(min_height="58px"))
        super().__init__([*(HBox(row, layout=Layout(flex_flow="row wrap")) for row in rows), self.words, self.image, *below])

    @property
    def said(self) -> str:
        """The words as plain text."""
        return html.unescape(self.words.value)

    def _say(self, *words: str) -> None:
        self.words.value = html.escape(" ".join(filter(None, words)))  # names in them come from a log

    def _draw(self, frames_stay: bool = False) -> None:
        """Draws the picture. Where axes, ticks and titles never change, they are drawn once: they take the longest."""
        canvas, moving = self.figure.canvas, [artist for axes in self.figure.axes for artist in inside(axes)]
        if not frames_stay:
            canvas.draw()
        else:
            if self._frames is None:
                for artist in moving:
                    artist.set_visible(False)
                canvas.draw()
                self._frames = canvas.copy_from_bbox(self.figure.bbox)
            canvas.restore_region(self._frames)
            for artist in moving:
                artist.set_visible(True)
                self.figure.draw_artist(artist)
        Pixels.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer := BytesIO(), "png", compress_level=1)  # fast beats small
        self.image.value = buffer.getvalue()


def inside(axes: Axes) -> list:
    return [*axes.images, *axes.collections, *axes.patches, *axes.lines, *axes.texts]


def wipe(axes: Axes) -> None:
    """Takes away what is drawn, but keeps the ticks, which take long to make."""
    for artist in inside(axes):
        artist.remove()
    axes.relim()
    axes.autoscale()


# -- losses

SCALES = {"nats": "loss in nats", "share of the ceiling": "loss as a share of the ceiling", "gap to the floor": "gap to the floor in nats"}
MEASURES = {"validation": ["validation"], "train": ["train"], "both": ["train", "validation"]}
MOST_CURVES = 8


def loss_tables(runs: dict[str, pd.DataFrame]) -> dict[tuple[str, str], pd.DataFrame]:
    """From histories by run: {(run, measure): a row an epoch, a column a category, the last one their mean}."""
    if not isinstance(runs, dict):
        raise InputError(f"runs: must be histories by name, as {{'mine': pd.DataFrame(run.history)}}, found {type(runs).__name__}")
    tables = {}
    for run, history in runs.items():
        check_table(history := pd.DataFrame(history), ("epoch", "measure", "name", "value"), f"history of '{run}'")
        if (repeated := history.duplicated(["epoch", "measure", "name"])).any():
            raise InputError(f"history of '{run}': epoch {history['epoch'][repeated].iloc[0]} stands there twice; give the history of one run")
        for measure, rows in history.groupby("measure"):
            table = rows.pivot(index="epoch", columns="name", values="value")[list(dict.fromkeys(rows["name"]))]
            tables[run, measure] = table.assign(mean=table.mean(axis=1))
    return {key: table for key, table in tables.items() if key[1] in MEASURES["both"]}


def on_scale(losses, scale: str, category: str, report: pd.DataFrame):
    """Losses of a category, in nats, on one of SCALES; NaN where a report, by category, lacks the floor or the ceiling."""
    if scale not in SCALES:
        raise InputError(f"scale: must be one of {', '.join(SCALES)}, found '{scale}'")
    if scale == "nats":
        return losses
    level = report["floor" if scale == "gap to the floor" else "ceiling"].get(category, np.nan)
    return losses - level if scale == "gap to the floor" else losses / level


def loss_curves(tables, report, runs, categories, measures, epochs, scale="nats", smoothing=1) -> dict[tuple[str, str, str], pd.Series]:
    """What `plots.loss_curves` draws: for each run, category and measure the losses from the first to the last of
    `epochs`, each the mean of the last `smoothing` epochs; an empty Series where nothing is known."""
    curves = {}
    for run, category, measure in product(runs, categories, measures):
        losses = tables.get((run, measure), pd.DataFrame()).get(category, pd.Series(dtype=float)).rolling(smoothing, min_periods=1).mean()
        curves[run, category, measure] = on_scale(losses, scale, category, report).loc[slice(*epochs)].dropna()
    return curves


class _Range(IntRangeSlider):
    """A range that takes its ends in either order."""

    @validate("value")
    def _validate_value(self, proposal):
        return super()._validate_value({"value": tuple(sorted(proposal["value"]))})


class LossExplorer(_Shell):
    """Loss curves of runs and categories against the levels of a category report.

    runs: name -> history with columns epoch, measure, name and value, as `Trainer.history` or history.csv.
    report: the levels, best of the part that the curves are measured on: `run.evaluation(VALIDATION).report()`.
    folder: where figures are saved.
    """

    def __init__(self, runs: dict[str, pd.DataFrame], report: pd.DataFrame, folder: str | Path = "../build/figures"):
        check_table(report, ("category", *plots.LEVELS), "report")
        self.tables, self.report, self.folder = loss_tables(runs), report.set_index("category"), Path(folder)
        self.names = ["mean", *dict.fromkeys(name for table in self.tables.values() for name in table.columns[:-1])]
        epochs = [epoch for table in self.tables.values() for epoch in table.index] or [0]
        first, last = min(epochs), max(epochs)
        tip = "Ctrl picks several; by keyboard: Ctrl with the arrows, then Ctrl with space"
        self.runs = SelectMultiple(description="runs", options=list(runs), value=list(runs)[:1], rows=7, tooltip=tip, **box("200px"))
        self.search = Text(description="find category", placeholder="part of its name", **box("330px"))
        self.categories = SelectMultiple(description="categories", options=self.names, value=["mean"], rows=5, tooltip=tip, **box("330px"))
        self.epochs = _Range(description="epochs", value=(first, last), min=first, max=last, tooltip="the first and the last to draw", **LINE)
        self.smoothing = IntSlider(description="smoothing", value=1, max=min(10, last - first + 1), min=1, tooltip="mean of so many epochs", **LINE)
        self.measure = Dropdown(description="loss", options=list(MEASURES), **LINE)
        self.scale = Dropdown(description="scale", options=list(SCALES), **LINE)
        self.levels = {name: Checkbox(name in ("markov", "floor"), description=name, indent=False, **box("105px")) for name in plots.LEVELS}
        self.save = Button(description="Save figure", tooltip=f"as a PNG in {self.folder.as_posix()}")
        super().__init__([[self.runs, VBox([self.search, self.categories]), VBox([self.epochs, self.smoothing, self.measure, self.scale])],
                          [Label("lines to draw:"), *self.levels.values(), self.save]], (11, 4.6), left=0.075, right=0.66, bottom=0.15, top=0.91)
        self.axes, self._filtering = self.figure.subplots(), False
        for control in (self.runs, self.categories, self.epochs, self.smoothing, self.measure, self.scale, *self.levels.values()):
            control.observe(self._redraw, "value")
        self.search.observe(self._filter, "value")
        self.save.on_click(self._save)
        self._redraw()

    def _sought(self) -> str:
        return self.search.value.strip().lower()

    def _filter(self, change) -> None:
        """Offers the categories whose name holds the text, and those that are chosen."""
        chosen, self._filtering = self.categories.value, True
        self.categories.options = [name for name in self.names if self._sought() in name.lower() or name in chosen]
        self.categories.value, self._filtering = chosen, False
        self._redraw()

    def _redraw(self, change=None) -> None:
        if self._filtering:
            return
        curves = loss_curves(self.tables, self.report, self.runs.value, self.categories.value, MEASURES[self.measure.value],
                             self.epochs.value, self.scale.value, self.smoothing.value)
        drawn = dict([(key, losses) for key, losses in curves.items() if len(losses)][:MOST_CURVES])
        levels = self.report.reindex(dict.fromkeys(key[1] for key in drawn))[[kind for kind, box in self.levels.items() if box.value]]
        levels = levels.apply(lambda row: on_scale(row, self.scale.value, row.name, self.report), axis=1)
        wipe(self.axes)
        plots.loss_curves(self.axes, drawn, levels, SCALES[self.scale.value])
        self._selection = self._describe(curves, drawn, list(levels.dropna(axis=1, how="all")))
        self._say(self._selection)
        self._draw()

    def _describe(self, curves: dict, drawn: dict, kinds: list[str]) -> str:
        runs, categories, (first, last), smoothing = len(self.runs.value), len(self.categories.value), self.epochs.value, self.smoothing.value
        words = (f"{runs} run{'s' * (runs != 1)}, {categories} categor{'y' if categories == 1 else 'ies'}, epochs {first} to {last}, "
                 f"{' and '.join(MEASURES[self.measure.value])}: {SCALES[self.scale.value]}"
                 f"{f', mean of {smoothing} epochs' * (smoothing > 1)}; lines: {', '.join(kinds) or 'none'}.")
        if drawn:
            (run, category, measure), losses = min(drawn.items(), key=lambda item: item[1].min())
            words += f" Lowest: {category} of {run}, {measure}, {losses.min():.4f} at epoch {losses.idxmin()}."
        elif not curves:
            words += " Nothing to draw: choose at least one run and one category."
        if blank := dict.fromkeys(f"{category} of {run}" for (run, category, _), losses in curves.items() if not len(losses)):
            words += f" Not drawn: {', '.join(blank)}. Its history lacks it or these epochs, or the report lacks what the scale needs."
        if (most := sum(len(losses) > 0 for losses in curves.values())) > len(drawn):
            words += f" Only the first {len(drawn)} of {most} curves are drawn; choose fewer."
        if not any(self._sought() in name.lower() for name in self.names):
            words += f" No category's name holds “{self._sought()}”."
        return words

    def _save(self, button) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = next(path for n in count(1) if not (path := self.folder / f"loss_explorer_{n}.png").exists())
            replace(path, lambda part: self.figure.savefig(part, dpi=160, format="png"))
            self._say(self._selection, f"Saved as {path.as_posix()}.")
        except OSError as error:
            self._say(self._selection, f"Not saved: {error}.")


# -- attention

ALL_STREAMS = "all streams, the three read most"


@dataclasses.dataclass
class Reading:
    """What a model read from one origin, and what it expected. H heads, S streams; T, U and C as in a Batch."""

    batch: Batch
    events: np.ndarray  # (S, T) event numbers; the length of the log where padded
    histories: np.ndarray  # (H, S, T) weights of the last encoder layer's last query; NaN where padded
    states: np.ndarray  # (H, U, S) weights of the last decoder layer, those of a stream's states added up
    probabilities: list[np.ndarray]  # C arrays (U, size)


@torch.no_grad()
def reading(run: Trainer, origin: int) -> Reading:
    """Lets a run's model, as it stands, read one origin; each step is given what truly happened before it."""
    log, model = run.data.log, run.model
    if not 0 <= origin < len(log) or origin not in (windows := run.data.windows[int(log.part[origin])]).origins:
        raise InputError(f"origin: {origin} begins no window; take one of run.data.windows[TEST].origins")
    events, batch = windows.history_index(np.array([origin]))[0], windows.batch(np.array([origin]))
    training = model.training
    model.eval()
    with attention_recorded() as seen:
        logits = model(batch.to(run.config.device))[0].cpu()
    model.train(training)
    histories = seen[len(model.encoder) - 1][:, :, -1].transpose(0, 1).cpu().masked_fill(~batch.known[0], np.nan)
    states = seen[-1][0].unflatten(-1, (len(events), model.carry)).sum(-1).cpu()
    return Reading(batch, events, histories.numpy(), states.numpy(), [part.softmax(-1).numpy() for part in logits.split(model.sizes, -1)])


def value_name(log: Log, category: int, value: int) -> str:
    names = log.vocabularies[log.categories[category].name]
    return "unknown" if value == 0 else str(names[value]) if value < len(names) else f"number {value}, never used"


def event_name(log: Log, event: int) -> str:
    """The kind of an event, by whom and for whom, where the log says so."""
    names = [category.name for category in log.categories]
    who = [value_name(log, c, log.table[event, c]) for c, name in enumerate(names) if name in ("ActorRecordId", "RecipientRecordId")]
    return f"{value_name(log, 0, log.table[event, 0])}, {' for '.join(dict.fromkeys(who)) or f'sequence {log.sequence[event]}'}"


def history_rows(log: Log, events: np.ndarray, weights: np.ndarray, category: int, most: int | None = None) -> list[tuple[str, ...]]:
    """A history as readable events: weight, event, value of a category, how long before the origin.

    All of them, latest first; or the `most` with the greatest weights. The last row says how many places are absent.
    """
    there = np.flatnonzero(events < len(log))[::-1]
    there = there if most is None else there[np.argsort(-weights[there], kind="stable")[:most]]
    rows = [(f"{weights[t]:.2f}", event_name(log, events[t]), value_name(log, category, log.table[events[t], category]),
             plots._span((log.time[events[-1]] - log.time[events[t]]) / np.timedelta64(1, "h"))) for t in there]
    absent = int((events == len(log)).sum())
    return rows + [("", f"absent: {absent} of {len(events)} places, as this history has no earlier event", "", "")] * (absent > 0)


def whole_numbers(origins) -> np.ndarray:
    try:
        numbers = np.asarray(origins, float).ravel()
        if (numbers != np.floor(numbers)).any():
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"origins: must be numbers of events, such as run.data.windows[TEST].origins[:9], found {origins!r:.60}") from None
    return numbers.astype(int)


class AttentionExplorer(_Shell):
    """What a trained run's model reads at each step of a forecast, and from which events of the histories.

    origins: event numbers that begin a window, such as some of `run.data.windows[TEST].origins`.
    """

    def __init__(self, run: Trainer, origins: np.ndarray):
        self.run, self.streams, origins = run, [stream.name for stream in run.data.log.streams], whole_numbers(origins)
        self.origins = origins[np.isin(origins, np.concatenate([windows.origins for windows in run.data.windows.values()]))]
        self._left_out = f"{n} of the given events begin no window and are left out." if (n := len(origins) - len(self.origins)) else ""
        self.reading = lru_cache(200)(lambda origin: reading(run, origin))
        self.origin = IntSlider(description="origin", value=1, min=1, max=max(1, len(self.origins)), tooltip="which of the given origins", **LINE)
        self.step = IntSlider(description="step", value=1, min=1, max=run.config.tgt_seq_len, tooltip="of the horizon; 1 is the next event", **LINE)
        self.head = Dropdown(description="head", options=["all", *range(1, run.config.model.num_heads + 1)], **LINE)
        self.category = Dropdown(description="category", options=run.names, **LINE)
        self.stream = Dropdown(description="events of", options=[ALL_STREAMS, *self.streams], **LINE)
        self.events = HTML(layout=Layout(max_height="420px", overflow="auto"))
        super().__init__([[VBox([self.origin, self.step]), VBox([self.head, self.category, self.stream])]], (12, 3.9), self.events,
                         left=0.095, right=0.985, bottom=0.16, top=0.9)
        self.axes = self.figure.subplots(1, 3, width_ratios=[1, 2.4, 1.4], gridspec_kw={"wspace": 0.12})
        self.axes[1].tick_params(labelleft=False, left=False)  # its rows go on from the bars
        for control in (self.origin, self.step, self.head, self.category, self.stream):
            control.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, change=None) -> None:
        if not len(self.origins):
            return self._say("There is nothing to show: give events that another one follows in their part of the log.", self._left_out)
        log, origin, u = self.run.data.log, int(self.origins[self.origin.value - 1]), self.step.value - 1
        c, read, heads = self.run.names.index(self.category.value), self.reading(origin), self.head.value
        heads, told = (slice(None), "mean of all heads") if heads == "all" else ([heads - 1], f"head {heads}")
        states, histories = read.states[heads, u].mean(0), read.histories[heads].mean(0)
        expected, names = read.probabilities[c][u], [value_name(log, c, value) for value in range(log.categories[c].size)]
        event = int(read.batch.event[0, u])
        truth = int(log.table[event, c]) if event < len(log) else None
        if change and change["owner"] is self.category:
            self._frames = None  # its name is a title
        for axes in self.axes:
            wipe(axes)
        plots.decoder_reads(self.axes[0], pd.Series(states, self.streams))
        plots.history_weights(self.axes[1], pd.DataFrame(histories, self.streams))
        plots.predicted_values(self.axes[2], expected, names, truth, self.category.value)
        came = "no event came at this step."
        if truth is not None:
            known = "" if self.run.data.floors is None else f" (the simulator: {np.exp(-self.run.data.floors[event, c]):.2f})"
            came = f"true is {names[truth]}, expected with {expected[truth]:.2f}{known}, in {event_name(log, event)}."
        when = pd.Timestamp(log.time[origin]).strftime("%Y-%m-%d %H:%M")
        self._say(f"Origin {self.origin.value} of {len(self.origins)}: {event_name(log, origin)}, {when}.",
                  f"Step {u + 1}, {told}: the decoder reads {self.streams[states.argmax()]} most ({states.max():.2f}).",
                  f"{self.category.value}: {names[expected.argmax()]} is expected most ({expected.max():.2f}); {came}", self._left_out)
        self.events.value = self._table(read.events, histories, c)
        self._draw(frames_stay=True)

    def _table(self, events: np.ndarray, weights: np.ndarray, c: int) -> str:
        """The readable events of the stream that is chosen, or of all, as an HTML table."""
        rows = [("stream", "weight", "event", self.category.value, "before the origin")]
        for s, stream in enumerate(self.streams):
            if self.stream.value in (ALL_STREAMS, stream):
                part = history_rows(self.run.data.log, events[s], weights[s], c, 3 if self.stream.value == ALL_STREAMS else None)
                rows += [(stream if i == 0 else "", *row) for i, row in enumerate(part)]
        cells = ["".join(f"<td style='padding: 1px 18px 1px 0; line-height: 1.3'>{html.escape(text)}</td>" for text in row) for row in rows]
        return f"<table><tr style='font-weight: bold'>{'</tr><tr>'.join(cells)}</tr></table>"


# -- a run under way

REDRAW = 0.3  # seconds between two pictures
RUNNING_MEAN = 50  # batches


class Stopped(Exception):
    """Somebody pressed stop."""


def validation_floor(data: Data) -> float | None:
    """The mean floor of the windows that an epoch's validation loss is measured on."""
    windows = data.windows[VALIDATION]
    events = windows.target_index(evenly_spaced(windows.origins, VALIDATION_WINDOWS))
    return None if data.floors is None else float(data.floors[events[events < len(data.log)]].mean())


class LiveRun(_Shell):
    """Trains a configuration in the background while its curves draw themselves.

    `config` is a Config, such as `read_config("data/working_run.json")`. Learning rate and carry are taken when it starts;
    each start begins anew. After every whole epoch checkpoint and history are in `config.out`, where that is set, in the
    place of older ones. `run` is the Trainer; `wait` waits for its end.
    """

    def __init__(self, config: Config, data: Data | None = None):
        if not isinstance(config, Config):
            raise InputError(f"config: must be a Config, such as read_config gives, found {type(config).__name__}")
        check_config(config, "this run")
        self.config, self.data, self.run = config, data, None
        self.rate = FloatLogSlider(description="learning rate", value=config.learning_rate, min=-6, max=-1, readout_format=".1e",
                                   tooltip="taken when training starts", **LINE)
        self.carry = IntSlider(description="carry", value=config.carry, min=1, max=config.src_seq_len,
                               tooltip="last vectors of a history that go on; taken when training starts", **LINE)
        self.start_button = Button(description="Start", tooltip="train from the beginning, with this learning rate and carry")
        self.pause_button = Button(description="Pause", tooltip="wait after this batch; pressed again, go on")
        self.stop_button = Button(description="Stop", tooltip="end after this batch; whole epochs are kept")
        super().__init__([[self.rate, self.carry], [self.start_button, self.pause_button, self.stop_button]], (11, 4.2),
                         left=0.085, right=0.74, bottom=0.15, top=0.9)
        self.axes = self.figure.subplots()
        self._thread, self._ended, self._go, self._halt, self._lock = None, "Not started", threading.Event(), threading.Event(), threading.Lock()
        self._note, self._losses, self._batches, self._floor = "", {}, 1, validation_floor(data) if data else None
        for button, press in ((self.start_button, self.start), (self.pause_button, self.pause), (self.stop_button, self.stop)):
            button.on_click(press)
        for control in (self.rate, self.carry):
            control.observe(lambda change: self._answer(
                f"The next start takes learning rate {self.rate.value:.2g} and carry {self.carry.value}."), "value")
        self._show()

    @property
    def state(self) -> str:
        return self._ended or ("Stopping" if self._halt.is_set() else "Paused" if not self._go.is_set() else "Running" if self.run else "Starting")

    def _answer(self, note: str = "") -> None:
        """Says where the run stands, and a note that stays until the next control is touched."""
        self._note = note
        self._tell()

    def _tell(self) -> None:
        with self._lock:  # or the words of one thread would take the place of newer ones of the other
            self._say(self._describe(), self._note)

    def start(self, button=None) -> None:
        if not self._ended:
            return self._answer("A run is under way, so no second one was started; stop it first.")
        self.wait()
        self._go.set()
        self._halt.clear()
        self.run, self._losses, self._ended = None, {}, ""
        self._answer()
        asked, given = self.rate.value, self.config.learning_rate
        asked = given if 0.89 * given < asked < 1.13 * given else asked  # a browser rounds what the slider is given
        config = dataclasses.replace(self.config, learning_rate=asked, carry=self.carry.value)
        self._thread = threading.Thread(target=self._train, args=(config,), daemon=True)
        self._thread.start()

    def pause(self, button=None) -> None:
        if self._ended:
            return self._answer("There is nothing to pause.")
        self._go.clear() if self._go.is_set() else self._go.set()
        self.pause_button.description = "Pause" if self._go.is_set() else "Go on"
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

    def _train(self, config: Config) -> None:
        """What the thread does; while it lives, it alone draws."""
        try:
            check_config(config, "this run")
            self.data = self.data or load_data(config)
            self._floor, self._batches = validation_floor(self.data), len(ReadyBatches(self.data.windows[TRAIN], config, 0))
            self.run = Trainer(config, self.data, progress=False, watch=self._watch)
            self.run.fit()
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
        self._go.wait()
        if self._halt.is_set():
            raise Stopped

    def _show(self) -> None:
        train, validation = pd.Series(self._losses, dtype=float), pd.Series(dtype=float)
        if self.run and self.run.epochs_done:
            validation = self.run.epochs().set_index("epoch")["validation"].rename(lambda epoch: epoch + 1)
        ceiling = np.mean([np.log(category.size) for category in self.data.log.categories]) if self.data else None
        wipe(self.axes)
        plots.live_losses(self.axes, train, validation, ceiling, self._floor, RUNNING_MEAN)
        self._tell()
        self._draw()
        self._drawn = time.monotonic()

    def _describe(self) -> str:
        run, words = self.run, f"{self.state}."
        if run:
            words += f" Learning rate {run.config.learning_rate:.2g}, carry {run.config.carry}; {run.epochs_done} of {run.config.epochs} epochs done."
        if losses := list(self._losses.values())[-RUNNING_MEAN:]:
            words += f" Train loss {np.mean(losses):.3f} nats, mean of the last {len(losses)} batches."
        if run and run.epochs_done:
            best = run.epochs().query("best").iloc[0]
            words += f" Best validation loss {best['validation']:.3f} nats, in epoch {best['epoch']}."
            out = run.config.out
            words += f" Checkpoint and history are in {out}." if out else " Nothing is saved: the configuration names no folder (out)."
        return words
