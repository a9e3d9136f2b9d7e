"""One function per figure: data in, axes out.

Colours are Okabe and Ito's (2008), which colour-blind readers tell apart. Where several series are
drawn, markers and lines differ as well.
"""

from __future__ import annotations

from itertools import cycle
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, PowerNorm, to_rgba
from matplotlib.dates import DateFormatter, DayLocator, HourLocator
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from helpers.events import Log
from helpers.schema import WORKPLACE
from helpers.support.baselines import BASELINES
from helpers.support.errors import InputError, check_table

# One look for every figure of the course, large enough for the back row.
rcParams.update(
    {
        "font.size": 13,
        "axes.titlesize": 15,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "lines.linewidth": 2.2,
    }
)

# -- colours, markers and lines: no function below has any of its own

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER = "#56B4E9", "#E69F00"
BLACK, DARK, GREY = "#000000", "#333333", "#777777"
PALE, FAINT, WHITE = "#CCCCCC", "#EEEEEE", "#FFFFFF"
HEAT = "Blues"  # from nothing to much

# What tells the first of several series from the second, the third and so on.
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, AMBER, BLACK, GREY)
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")

# The line of each level that a loss is read against.
LEVELS = {
    "ceiling": "solid",
    "marginal": "dotted",
    "copy_last": "dashdot",
    "markov": "dashed",
    "look_back": (0, (1, 3)),
    "reader_own": (0, (9, 3)),
    "reader": (0, (9, 2, 1, 2)),
    "floor": (0, (6, 1, 1, 1, 1, 1)),
}
LEVEL_COLOURS = {"ceiling": GREY, "floor": GREEN}
# What the two exact readers are called in figures.
LEVEL_NAMES = {
    "reader_own": "exact reader, own stream",
    "reader": "exact reader, all streams",
}

# What stands on a ladder, in the order in which it is drawn.
RUNGS = {
    "baseline": "best baseline",
    **LEVEL_NAMES,
    "floor": "floor: nothing beats it",
    "model": "model",
}

# What has a name of its own looks the same wherever it is drawn.
_UPRIGHT = {"marker": "|", "markersize": 15, "markeredgewidth": 3, "linestyle": ""}
_SQUARE = {"marker": "s", "markeredgecolor": GREY, "linestyle": ""}
_DOT = {"markersize": 9, "linestyle": ""}
LOOKS = {
    "train": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "validation": {"color": ORANGE, "marker": "s", "linestyle": "--"},
    "best": {"color": GREEN, "marker": "*", "linestyle": "", "markersize": 18},
    "each batch": {"color": SKY, "linewidth": 0.8, "alpha": 0.7},
    "mean of batches": {"color": BLUE},
    "measured on train": {"linestyle": "--", "markerfacecolor": WHITE},
    "event": _UPRIGHT | {"color": BLUE, "markersize": 22, "markeredgewidth": 2},
    "origin": _DOT | {"color": ORANGE, "marker": "o"},
    "ceiling": _UPRIGHT | {"color": GREY},
    "baseline": _DOT | {"color": ORANGE, "marker": "D", "markersize": 8},
    "model": _DOT | {"color": BLUE, "marker": "o", "markersize": 8},
    "reader_own": _UPRIGHT | {"color": AMBER},
    "reader": _UPRIGHT | {"color": PINK},
    "floor": _UPRIGHT | {"color": GREEN},
    "range": {"color": BLUE, "linewidth": 7},
    "end of a range": _UPRIGHT | {"color": BLUE, "markersize": 7, "markeredgewidth": 1.5},
    "moved": {"color": ORANGE, "marker": "o", "linestyle": "-", "linewidth": 2.2},
    "stayed": {"color": GREY, "marker": "s", "linestyle": "--", "linewidth": 1.2},
    "reference": {"color": GREY, "linestyle": "--", "linewidth": 1.5},
    "in proportion": {"color": GREY, "linestyle": ":"},
    "border": {"color": GREEN, "linestyle": "--"},
    "no alarm": _DOT | {"color": BLUE, "marker": "o"},
    "alarm": _DOT | {"color": ORANGE, "marker": "X"},
    "goes on": _SQUARE | {"color": ORANGE},
    "encoded, stays behind": _SQUARE | {"color": PALE},
    "padded, masked": _SQUARE | {"color": WHITE},
    "past": {"color": BLACK, "marker": "o", "linestyle": "-", "markersize": 7, "zorder": 3},
    "what came": {"color": GREEN, "marker": "s", "linestyle": "--", "markersize": 7},
    "best future": {"color": ORANGE, "marker": "D", "linestyle": "-", "markersize": 7},
    "future": {"color": BLUE, "zorder": 1.2},
    "no future": {"color": GREY, "zorder": 1.1},  # it begins with what cannot happen
    "cannot happen": {"color": BLACK, "marker": "x", "linewidth": 2, "zorder": 4},
    "wrong": _DOT | {"color": BLACK, "marker": "x", "markersize": 7, "markeredgewidth": 1.8},
    "true value": {"color": GREEN, "edgecolor": WHITE, "hatch": "//"},
    "other value": {"color": SKY, "edgecolor": WHITE},
    "no event": {"edgecolor": PALE, "hatch": "////"},
    "passing time": {"color": PALE, "linewidth": 5, "marker": ">", "markersize": 15},
    "clock": {"facecolor": WHITE, "edgecolor": DARK, "linewidth": 2.5},
    "hand of a clock": {"color": DARK, "linewidth": 2.5, "solid_capstyle": "round"},
    "nobody could know": {"facecolor": (GREEN, 0.12), "edgecolor": (WHITE, 0)},
    "placebo": {"facecolor": WHITE, "edgecolor": GREY, "linestyle": "--"},
}

# What is known of decisions step by step: its name in the figure, and its look.
BY_STEP = {
    "floor": ("floor", {"color": GREEN, "linestyle": "-."}),
    "reader": (LEVEL_NAMES["reader"], {"color": PINK, "linestyle": "-"}),
    "reader of Recipient alone": (LEVEL_NAMES["reader_own"], {"color": AMBER, "linestyle": "--"}),
}
# Of a change: before and after it, by whom.
WHAT_IF = {
    "model, before": {"color": PALE, "edgecolor": GREY},
    "model, after": {"color": SKY, "edgecolor": BLUE, "hatch": "//"},
    "simulator, before": _DOT | {"color": GREY, "marker": "D"},
    "simulator, after": _DOT | {"color": GREEN, "marker": "D"},
}
HATCHES = ("", "//", "..")  # of bars, beside their colours

# Where a legend goes that would hide something inside the axes. The distance is in letters.
BESIDE = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4, "fontsize": 12}
BELOW_NAMES = BELOW | {"bbox_to_anchor": (0.35, 0)}  # further left, where the rows' names are long


def _finish(axes: Axes, **labels) -> Axes:
    axes.set(**labels)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _pick_look(i: int) -> dict:
    """How the i-th of several series is told from the others, in black and white too."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def _draw_series(axes: Axes, x, y, **look) -> None:
    """Draws a series, unless it has no point: a legend shall not name what is not there."""
    if np.any(pd.notna(x) & pd.notna(y)):
        axes.plot(x, y, **look)


def _draw_intervals(axes: Axes, x: pd.Series, y: np.ndarray, reach: pd.Series, **look) -> None:
    """Draws points with a bar to each side, unless there is none."""
    if x.notna().any():
        axes.errorbar(x, y, xerr=reach, **look)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": DARK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=look)


def _write(axes: Axes, x: float, y: float, text: str, size=12, va="center", **look) -> None:
    axes.text(x, y, text, fontsize=size, va=va, **look)


def _add_legend(axes: Axes, **where) -> None:
    """Names what is drawn. Where nothing is, the legend of an earlier drawing goes."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(frameon=False, **where)
    elif axes.get_legend():
        axes.get_legend().remove()


def _count_whole(axes: Axes) -> None:
    """Ticks of the x-axis at whole numbers only: there is no half epoch, and no half step."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _list_downwards(axes: Axes, names, most: int = 30) -> None:
    """Names the rows 0, 1, 2 and so on, the first at the top."""
    names = _shorten_all(names, most)
    axes.set_yticks(range(len(names)), names)
    # Not by invert_yaxis(): axes that share this one would turn it back.
    axes.set_ylim(len(names) - 0.5, -0.5)


def _shorten(text: object, most: int = 30) -> str:
    """Text for a figure: short, and on one line.

    Names come from a log, and a figure shows them as they are: a dollar begins no formula, and a
    leading underscore hides nothing from a legend.
    """
    text = " ".join(str(text).split())
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    if text.startswith("_"):
        text = "\u200b" + text
    return text.replace("$", r"\$")


def _break_lines(text: str) -> str:
    """A name of up to 60 letters on two lines where one would be long."""
    return "\n".join(wrap(text, 34, break_long_words=False))


def _list_once(names) -> list:
    """Each of the names once, in the order in which they come."""
    return list(dict.fromkeys(names))


def _shorten_all(names, most: int = 30) -> list[str]:
    return [_shorten(name, most) for name in names]


# -- a log and a network


def draw_histories(axes: Axes, log: Log, index: np.ndarray, origin: int) -> Axes:
    """The histories (streams, history) of one origin on a timeline.

    Places that name no event are padding.
    """
    if not 0 <= origin < len(log):
        raise InputError(
            f"origin: must be the number of an event, 0 to {len(log) - 1}, found {origin}"
        )
    if len(index) != len(log.streams):
        raise InputError(
            f"histories: must have a row for each of the {len(log.streams)} streams, "
            f"found {len(index)}"
        )
    earliest = -1.0
    for row, events in enumerate(index):
        events = events[events < len(log)]
        hours = (log.time[events] - log.time[origin]) / np.timedelta64(1, "h")
        earliest = min(earliest, hours.min())
        axes.plot(hours, np.full(len(hours), row), **LOOKS["event"])
        _write(axes, 0.4, row, f"  back {tell_span(-hours.min())}", size=11)
    rows = range(len(index))
    axes.plot([0] * len(rows), rows, label="origin", **LOOKS["origin"])
    _scale_to_hours_before(axes, earliest)
    _list_downwards(axes, [stream.name for stream in log.streams])
    _add_legend(axes, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    return _finish(
        axes,
        xlabel="hours before the origin (logarithmic)",
        title=f"The last {index.shape[1]} events in each stream",
    )


def _scale_to_hours_before(axes: Axes, earliest: float) -> None:
    """A logarithmic scale of hours that ends at the origin, with room for words after it."""
    hours = [-1000, -100, -10, -1, 0]
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks(hours, map(str, hours))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(1.5 * earliest, 8)


def tell_span(hours: float) -> str:
    """A span of time in words, in the unit that suits it."""
    if hours < 2:
        return f"{hours * 60:.0f} min"
    if hours < 48:
        return f"{hours:.0f} h"
    return f"{hours / 24:.0f} days"


# The drawing of the network: where each column begins, how wide it is, and how high a box is.
COLUMNS = {
    "histories": (0.0, 1.9),
    "vectors": (2.6, 1.6),
    "encoded": (4.9, 1.7),
    "states": (7.3, 0.5),
    "decoder vectors": (9.1, 1.9),
    "logits": (11.8, 1.4),
}
BOX_HEIGHT = 0.62


def draw_model_shapes(
    axes: Axes,
    streams: list[str],
    source: int,
    target: int,
    categories: int,
    d_model: int,
    values: int,
    carry: int = 1,
) -> Axes:
    """The network with the shape of what goes through it.

    B windows have histories of ``source`` events in each of the streams, and a target of
    ``target`` events. ``values`` counts the values of all categories together; ``carry`` is how
    many last vectors of a history go on.
    """
    S = len(streams)
    if not S or not 1 <= carry <= source:
        raise InputError(
            f"carry: must be 1 to {source}, the length of the histories, of at least one stream; "
            f"found {carry} of {S} streams"
        )
    rows = -0.78 * np.arange(S)
    below = rows[-1] - 1.4
    for y, stream in zip(rows, streams, strict=True):
        _draw_stream_of_model(axes, y, stream, carry)
    _draw_decoder_of_model(axes, rows, below, categories)
    shapes = {
        "histories": f"(B, {S}, {source}, {categories})",
        "vectors": f"(B, {S}, {source}, {d_model})",
        "encoded": f"(B, {S}, {source}, {d_model})",
        "states": f"(B, {S * carry}, {d_model})",
        "decoder vectors": f"(B, {target}, {d_model})",
        "logits": f"(B, {target}, {values})",
    }
    _name_columns(axes, rows[0] + BOX_HEIGHT / 2, shapes)
    _write_words(axes, 0.95, below - 0.75, f"(B, {target}, {categories})", color=BLUE)
    _write_words(axes, 6.65, below + 0.15, f"(B, {target}, {d_model})", color=BLUE)
    vectors = "vector goes" if carry == 1 else f"{carry} vectors go"
    only = f"carry = {carry}: only the last {vectors} on"
    _write_words(axes, 7.55, rows[-1] - 0.66, only, color=ORANGE)
    axes.set(xlim=(-0.1, 13.4), ylim=(below - 0.9, 1.31))
    axes.set_title("From histories to the next events")
    axes.axis("off")
    return axes


def _draw_stream_of_model(axes: Axes, y: float, stream: str, carry: int) -> None:
    """A row of the network: a history, its encoder, and what goes on of it."""
    _draw_box(axes, "histories", y, BOX_HEIGHT, _shorten(stream, 14), GREY)
    _draw_box(axes, "encoded", y, BOX_HEIGHT, "encoder", BLUE)
    shown = min(carry, 4)  # more would not be told apart
    for place in range(shown):
        _draw_box(axes, "states", y, 0.6 * BOX_HEIGHT, "", ORANGE, shift=0.12 * place)
    _join_columns(axes, "histories", "vectors", y)
    _join_columns(axes, "vectors", "encoded", y)
    _join_columns(axes, "encoded", "states", y)
    _join_columns(axes, "states", "decoder vectors", y, shift=0.12 * (shown - 1))


def _draw_decoder_of_model(axes: Axes, rows: np.ndarray, below: float, categories: int) -> None:
    """What is shared by all streams, and the row of the origin and the target below them."""
    middle = (rows[0] + rows[-1]) / 2
    height = rows[0] - rows[-1] + BOX_HEIGHT
    top, bottom = rows[0] + BOX_HEIGHT / 2, below - 0.4
    embedding = "event\nembedding\n\nshared by\nall"
    _draw_box(axes, "vectors", (top + bottom) / 2, top - bottom, embedding, GREEN)
    decoder = "decoder\n\ncross-attention\nreads the\nstates"
    _draw_box(axes, "decoder vectors", middle, height, decoder, PINK)
    heads = f"{categories} heads\n\none per\ncategory"
    _draw_box(axes, "logits", middle, height, heads, GREEN)
    _join_columns(axes, "decoder vectors", "logits", middle)
    _draw_box(axes, "histories", below, 0.8, "origin and\ntarget so far", GREY)
    _draw_box(axes, "decoder vectors", below, 0.8, "causal\nself-attention", PINK)
    _join_columns(axes, "histories", "vectors", below)
    _join_columns(axes, "vectors", "decoder vectors", below)
    x = _find_middle("decoder vectors")
    _draw_arrow(axes, (x, below + 0.4), (x, middle - height / 2))


def _name_columns(axes: Axes, top: float, shapes: dict[str, str]) -> None:
    """Above each column what it is, and its shape."""
    for column, shape in shapes.items():
        x = _find_middle(column)
        _write_words(axes, x, top + 0.55, column, size=12, fontweight="bold")
        _write_words(axes, x, top + 0.2, shape, color=BLUE)


def _draw_box(
    axes: Axes, column: str, y: float, height: float, text: str, colour: str, shift: float = 0
) -> None:
    left, width = COLUMNS[column]
    corner = (left + shift, y - height / 2)
    box = FancyBboxPatch(
        corner,
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=(colour, 0.2),
        edgecolor=colour,
        linewidth=1.8,
    )
    axes.add_patch(box)
    _write_words(axes, _find_middle(column), y, text, va="center")


def _join_columns(axes: Axes, start: str, end: str, y: float, shift: float = 0) -> None:
    left, width = COLUMNS[start]
    right = left + width + shift
    _draw_arrow(axes, (right, y), (COLUMNS[end][0], y))


def _find_middle(column: str) -> float:
    left, width = COLUMNS[column]
    return left + width / 2


def _write_words(
    axes: Axes, x: float, y: float, words: str, size: float = 11.5, va: str = "baseline", **look
) -> None:
    _write(axes, x, y, words, size, ha="center", va=va, **look)


def draw_last_vectors(axes: Axes, streams: list[str], known: np.ndarray, carry: int) -> Axes:
    """Which vectors of the encoded histories go on to the decoder.

    ``known`` (streams, history) is False where a history is padded.
    """
    S, T = known.shape
    if not 1 <= carry <= T or len(streams) != S:
        raise InputError(
            f"carry: must be 1 to {T}, the length of the histories, and each of {S} streams "
            f"needs a name; found {carry} and {len(streams)} names"
        )
    _draw_vectors(axes, known, carry)
    for row in range(S):
        _draw_arrow(axes, (0.6, row), (2.4, row))
    encoded = f"encoded histories: {S} x {T} = {S * T} vectors"
    axes.text((1 - T) / 2, -0.9, encoded, ha="center", va="bottom")
    memory = f"the decoder's memory:\n{S} x {carry} = {S * carry} vectors"
    side = "left" if carry < 8 else "center"
    axes.text(2.6, S - 0.2, memory, ha=side, va="top")
    _list_downwards(axes, streams)
    fives = range(-5 * ((T - 1) // 5), 1, 5)
    axes.set_xticks(sorted({1 - T, *fives}))
    _add_legend(axes, **BELOW, ncols=3)
    _finish(
        axes,
        xlim=(0.2 - T, 3 + max(carry, 7)),
        ylim=(S + 0.9, -1.6),
        xlabel="place in the history (0 is the origin)",
        title=f"What goes on when carry is {carry}",
    )
    axes.grid(False)
    return axes


def _draw_vectors(axes: Axes, known: np.ndarray, carry: int) -> None:
    """A square for each encoded vector, and at the right those that go on once more."""
    T = known.shape[1]
    goes_on = np.arange(T) >= T - carry
    kinds = {
        "goes on": known & goes_on,
        "encoded, stays behind": known & ~goes_on,
        "padded, masked": ~known,
    }
    size = 15 if carry < 8 else 9
    for name, there in kinds.items():
        look = LOOKS[name] | {"markersize": size}
        row, place = np.nonzero(there)
        _draw_series(axes, place - T + 1, row, label=name, **look)
        row, place = np.nonzero(there & goes_on)
        _draw_series(axes, place - T + carry + 3, row, **look)


# -- a run


def draw_loss_per_epoch(axes: Axes, epochs: pd.DataFrame) -> Axes:
    """Train and validation loss by epoch, the best epoch marked.

    Columns epoch, train, validation and best.
    """
    check_table(epochs, ("epoch", "train", "validation", "best"), "losses per epoch")
    if not epochs["best"].any():
        raise InputError("losses per epoch: no epoch is the best; mark one in the column 'best'")
    for name in ("train", "validation"):
        _draw_series(axes, epochs["epoch"], epochs[name], label=name, **LOOKS[name])
    best = epochs[epochs["best"]]
    label = f"best, epoch {best['epoch'].iloc[0]}"
    _draw_series(axes, best["epoch"], best["validation"], label=label, **LOOKS["best"])
    _count_whole(axes)
    _add_legend(axes)
    return _finish(axes, xlabel="epoch", ylabel="loss (nats)", title="Loss per epoch")


def draw_gradient_norms(axes: Axes, norms: pd.DataFrame) -> Axes:
    """The norm of each stream's gradients by epoch: a row an epoch, a column a stream."""
    check_table(norms, (), "norms of the gradients")
    for i, stream in enumerate(norms):
        _draw_series(axes, norms.index, norms[stream], label=_shorten(stream), **_pick_look(i))
    axes.set_yscale("log")
    _count_whole(axes)
    _add_legend(axes, **BESIDE)
    return _finish(
        axes,
        xlabel="epoch",
        ylabel="norm of the gradients",
        title="How much each stream's encoder is pulled",
    )


def draw_curves(
    axes: Axes,
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    ylabel: str,
    marks: dict[str, float] | None = None,
) -> Axes:
    """A line for each column of a table over its index, and an upright line at each of ``marks``.

    Blanks are left out.
    """
    for i, name in enumerate(table):
        column = table[name].dropna()
        look = _pick_look(i) | {"linestyle": LINES[i % len(LINES)]}
        if len(table) > 40:
            look["marker"] = ""
        _draw_series(axes, column.index, column, label=_shorten(name, 60), **look)
    lines = cycle(reversed(LINES))  # or a mark would look like the first curve
    for name, x in (marks or {}).items():
        label = _shorten(name, 60)
        axes.axvline(x, color=DARK, linestyle=next(lines), linewidth=1.8, label=label)
    if pd.api.types.is_integer_dtype(table.index):
        _count_whole(axes)
    _, names = axes.get_legend_handles_labels()
    if len(names) > 1:
        where = BESIDE if len(names) > 5 else {}
        _add_legend(axes, **where, fontsize=12)
    return _finish(axes, xlabel=xlabel, ylabel=ylabel, title=title)


# -- losses by category


def draw_category_ladder(axes: Axes, report: pd.DataFrame, title: str | None = None) -> Axes:
    """Each category's best baseline, exact readers, model and floor, from a category report.

    The hardest is at the top; of a table of decisions there is a row a stream. The ceilings stand
    as numbers at the right: drawn, they would squeeze the rest. A log without a simulator has
    neither readers nor floor, and none are drawn.
    """
    rows = _sort_rungs(report)
    _draw_ladder(axes, rows, title or "What each category could lose, and does")
    _add_legend(axes, **BELOW_NAMES, ncols=3)
    return axes


def draw_category_ladders(axes: Axes, reports: dict[str, pd.DataFrame]) -> Axes:
    """The ladders of several questions side by side, in the place of the axes.

    Where two ladders have the same rows, the second keeps the order of the first. Returns the axes
    of the last one.
    """
    figure, place = axes.figure, axes.get_subplotspec()
    axes.remove()
    grid, names = place.subgridspec(1, len(reports)), None
    for number, (question, report) in enumerate(reports.items()):
        rows = _sort_rungs(report)
        axes = figure.add_subplot(grid[number])
        same = names is not None and set(rows.index) == set(names)
        _draw_ladder(axes, rows.loc[names] if same else rows, question[:1].upper() + question[1:])
        axes.tick_params(axis="y", labelleft=not same)
        names = rows.index if not same else names
        if not number:
            figure.legend(loc="outside lower center", frameon=False, ncols=5)
    return axes


def _sort_rungs(report: pd.DataFrame) -> pd.DataFrame:
    """A row for each that has a ladder, the hardest last, with what is drawn of it by its look."""
    needed = ("category", "ceiling", *BASELINES, "reader_own", "reader", "model", "floor")
    check_table(report, needed, "category report")
    of_streams = "stream" in report and report["stream"].notna().any()  # a table of decisions
    rows = report.assign(baseline=report[list(BASELINES)].min(axis=1))
    rows["label"] = rows["category"].map(_shorten)
    if of_streams:
        rows["label"] = rows["stream"].map(_shorten) + "\n" + rows["label"]
    rows = rows.set_index("stream" if of_streams else "category").drop("mean", errors="ignore")
    return rows.sort_values("model")[["label", "ceiling", *RUNGS]]


def _draw_ladder(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    drawn, y = rows[list(RUNGS)], np.arange(len(rows))
    axes.hlines(y, drawn.min(axis=1), drawn.max(axis=1), color=PALE, zorder=0)
    for name, label in RUNGS.items():
        _draw_series(axes, rows[name], y, label=label, **LOOKS[name])
    axes.set_yticks(y, rows["label"])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 1.03 * np.nanmax(drawn, initial=0.01))
    _write_ceilings(axes, rows["ceiling"])
    _finish(axes, xlabel="loss (nats)", title=title)


def _write_ceilings(axes: Axes, ceilings: pd.Series) -> None:
    """The ceilings of the rows as numbers, right of the axes, with their name above."""
    texts = [(y, f"{ceiling:.1f}", 0) for y, ceiling in enumerate(ceilings) if pd.notna(ceiling)]
    if texts:
        texts.append((texts[-1][0], "ceiling", 16))
    look = {"color": GREY, "fontsize": 11, "va": "center", "textcoords": "offset points"}
    for y, text, up in texts:
        axes.annotate(text, (1, y), (8, up), axes.get_yaxis_transform(), **look)


def draw_category_ranges(axes: Axes, ranges: pd.DataFrame) -> Axes:
    """The least and greatest loss of each category over the epochs.

    Columns category, min and max.
    """
    check_table(ranges, ("category", "min", "max"), "ranges of loss")
    rows = ranges.sort_values("max").reset_index(drop=True)
    axes.hlines(rows.index, rows["min"], rows["max"], **LOOKS["range"])
    for end in ("min", "max"):  # a range of nothing, as after one epoch, is seen by its ends
        axes.plot(rows[end], rows.index, **LOOKS["end of a range"])
    axes.set_yticks(rows.index, _shorten_all(rows["category"]))
    return _finish(
        axes, xlabel="validation loss over the epochs (nats)", title="Ranges of loss by category"
    )


def draw_two_orders(axes: Axes, left: pd.Series, right: pd.Series) -> Axes:
    """The same names in two orders, by two Series of values, the greatest at the top.

    A line joins a name's two places.
    """
    same = len(left) == len(right) and set(left.index) == set(right.index)
    if not same or not left.index.is_unique:
        raise InputError("two orders: both must be of the same names, each once")
    order, other = left.rank(method="first") - 1, right.rank(method="first") - 1
    for name in left.index:
        here, there = order[name], other[name]
        moved = abs(here - there) >= len(left) / 5
        look = LOOKS["moved"] if moved else LOOKS["stayed"]
        axes.plot([0, 1], [here, there], **look)
        text = _shorten(name)
        _write(axes, -0.03, here, f"{text}  {left[name]:.3f}", size=11, ha="right")
        _write(axes, 1.03, there, f"{right[name]:.3f}  {text}", size=11)
    axes.set(xlim=(-0.9, 1.9), yticks=[], xlabel="ordered by")
    axes.set_title("Two orders of the same categories, the greatest at the top")
    axes.spines[:].set_visible(False)
    names = _shorten_all([left.name, right.name])
    axes.set_xticks([0, 1], [f"{name} (nats)" for name in names])
    return axes


def draw_leak_alarm(axes: Axes, gaps: pd.DataFrame, line: str = "reader") -> Axes:
    """Differences to a line that nothing honest passes, with three standard errors to each side.

    Columns what, gap and standard_error. What is below by more than that has a leak, and stands
    out. `line` names it: the exact reader or the floor.
    """
    words = "exact reader" if line == "reader" else line
    check_table(gaps, ("what", "gap", "standard_error"), f"gaps to the {line}")
    gap, reach = gaps["gap"], 3 * gaps["standard_error"]
    alarm = (gap + reach < 0).to_numpy()
    axes.axvline(0, label=words, **LOOKS["border"])
    y = np.arange(len(gaps))
    kinds = {"no alarm": (~alarm, "no alarm"), "alarm": (alarm, f"below the {words}: a leak")}
    for name, (rows, label) in kinds.items():
        look = LOOKS[name] | {"capsize": 4, "label": label}
        _draw_intervals(axes, gap[rows], y[rows], reach[rows], **look)
    _list_downwards(axes, gaps["what"], 60)
    axes.set_yticks(y, [_break_lines(name) for name in _shorten_all(gaps["what"], 60)])
    _add_legend(axes, **BELOW, ncols=3)
    return _finish(
        axes,
        xlabel=f"loss above the {words}, with three standard errors (nats)",
        title=f"Who is below the {words}?",
    )


# -- the workplace: what decides, and what its streams are worth


def draw_decisions_by_step(axes: Axes, table: pd.DataFrame) -> Axes:
    """The mean loss of decisions at each step of the horizon, for the floor, readers and runs.

    Columns who, question and loss, as `helpers.tools.decisions` gives them.
    """
    check_table(table, ("who", "question", "loss"), "decisions")
    rows = table[table["question"].str.startswith("step ")]
    if rows.empty:
        raise InputError("decisions: no question is a step of the horizon, such as 'step 1'")
    rows = rows.assign(step=rows["question"].str.removeprefix("step ").astype(int))
    wide = rows.pivot(index="step", columns="who", values="loss").sort_index()
    rest = [name for name in _list_once(rows["who"]) if name not in (*BY_STEP, *BASELINES)]
    runs = [name for name in rest if not name.startswith("without ")]
    drawn = {name: look for name, look in BY_STEP.items() if name in wide}
    for i, name in enumerate(runs):
        look = _pick_look(6 * i) | {"markersize": 7, "markerfacecolor": WHITE}
        drawn[name] = (_shorten(name.replace("_", " ")), look)
    lines = []
    for name, (label, look) in drawn.items():
        lines += axes.plot(wide.index, wide[name], label=label, **look)
    if {"floor", "reader"} <= set(wide):
        axes.fill_between(wide.index, wide["floor"], wide["reader"], **LOOKS["nobody could know"])
        middle = wide[["floor", "reader"]].iloc[len(wide) // 2].mean()
        _write(axes, wide.index[len(wide) // 2], middle, "nobody could know", ha="center")
    axes.set_ylim(bottom=0)
    axes.set_xticks([1, *range(5, len(wide) + 1, 5)])
    axes.margins(x=0.02)
    _finish(
        axes,
        xlabel="step of the horizon (1 is the next event)",
        ylabel="loss where a habit decides (nats)",
        title="What streams are for, and how a forecast fades",
    )
    _name_at_the_right(axes, lines)
    return axes


# The drawing of a shift, one of many: where each event stands, the time on its clock, and its name.
# The distances are not those of the times.
CLOCKS = {
    "shift_scheduled": (1.35, 7, 57, "planned"),
    "punch_in": (4.45, 8, 10, "punch in"),
    "break_start": (6.45, 12, 10, "break"),
    "break_end": (8.2, 13, 10, "back at work"),
    "punch_out": (11.95, 16, 45, "punch out"),
}
LINE, RADIUS = 2.9, 0.36  # how high the clocks stand, and how large they are
# What the keys of the built-in log's streams are called.
KEY_WORDS = {
    "EventType": "kind of event",
    "ActorRecordId": "lead",
    "RecipientRecordId": "employee",
    "LocationRecordId": "site",
    "CostCodeRecordId": "project",
    "JobCodeRecordId": "job",
    "Time_Reference_Hour": "start hour",
}


def draw_shift(axes: Axes, decided: pd.DataFrame) -> Axes:
    """A shift on the clock, and which stream's habit decides which category of which event.

    Columns stream, key (its category), kind and category: a row a habit. A stream of the built-in
    log that has none is named as the placebo. Made for 14 x 6 inches.
    """
    check_table(decided, ("stream", "key", "kind", "category"), "habits")
    unknown = sorted(set(decided["kind"]) - set(CLOCKS))
    if unknown:
        raise InputError(
            f"habits: kind must be one of {', '.join(CLOCKS)}, found {_shorten(unknown[0])}"
        )
    colours = dict(zip(decided["stream"], cycle(COLOURS), strict=False))
    _draw_clocks(axes)
    for kind, habits in decided.groupby("kind", sort=False):
        x, top = CLOCKS[kind][0], LINE + RADIUS
        for i, row in enumerate(habits.itertuples()):
            box = (x - 1.72, top + 0.42 + 0.88 * i, 3.44, 0.78)
            words = f"habit of the {_shorten(KEY_WORDS.get(row.key, row.key))}"
            _draw_card(axes, box, _pick_card(colours, row.stream))
            _write(axes, x, box[1] + 0.57, words, ha="center", size=13)
            _write(axes, x, box[1] + 0.24, _shorten(row.category), ha="center", fontweight="bold")
        _draw_arrow(axes, (x, top + 0.42), (x, top + 0.03))
    _draw_keys(axes, colours)
    axes.set(xlim=(0, 14), ylim=(0, 5.5), aspect="equal")
    axes.set_title("One shift: what happens, and which hidden habit decides what of it")
    axes.axis("off")
    return axes


def _draw_clocks(axes: Axes) -> None:
    """The events of a shift along a line, a clock each, and what happens at both ends of it."""
    axes.plot([0.3, 13.75], [LINE, LINE], markevery=[1], zorder=0, **LOOKS["passing time"])
    for x, hour, minute, name in CLOCKS.values():
        axes.add_patch(Circle((x, LINE), RADIUS, **LOOKS["clock"]))
        for turns, length in ((minute / 60, 0.26), ((hour + minute / 60) / 12, 0.16)):
            right, up = np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)
            axes.plot(
                [x, x + length * right], [LINE, LINE + length * up], **LOOKS["hand of a clock"]
            )
        _write(axes, x, LINE - 0.56, name, size=14, ha="center", fontweight="bold")
        _write(axes, x, LINE - 0.86, f"{hour}:{minute:02d}", ha="center")
    x = CLOCKS["shift_scheduled"][0]
    lots = "drawn by lot:\nthe lead, who acts,\nthe site, the project,\nthe job, the start hour"
    _write(axes, x, LINE + RADIUS + 0.47, lots, ha="center", va="bottom", linespacing=1.3)
    _draw_arrow(axes, (x, LINE + RADIUS + 0.42), (x, LINE + RADIUS + 0.03))
    sheet = "at once the\ntimesheet and\nits approval"
    _write(axes, CLOCKS["punch_out"][0] + 0.78, LINE - 0.8, sheet)


def _draw_keys(axes: Axes, colours: dict[str, str]) -> None:
    """The streams of the built-in log with what their keys are."""
    streams = WORKPLACE.streams
    said = (
        "Each event joins a history of each stream. A key's habit shows in the history of that key:"
    )
    _write(axes, 0.05, 1.36, said, size=13)
    width = 14 / len(streams)
    for i, (stream, key) in enumerate(streams.items()):
        box = (width * i + 0.05, 0.05, width - 0.1, 1.05)
        _draw_card(axes, box, _pick_card(colours, stream))
        words = KEY_WORDS[key] if stream in colours else f"{KEY_WORDS[key]}\nno habit: placebo"
        x = width * (i + 0.5)
        _write(axes, x, 0.82, stream, size=14, ha="center", fontweight="bold")
        _write(axes, x, 0.58, words, ha="center", va="top")


def _pick_card(colours: dict[str, str], stream: str) -> dict:
    """How a stream's card looks: in its colour, or as the placebo's where it has none."""
    if stream not in colours:
        return LOOKS["placebo"]
    return {"facecolor": (colours[stream], 0.2), "edgecolor": colours[stream]}


def _draw_card(axes: Axes, box: tuple[float, float, float, float], look: dict) -> None:
    left, bottom, width, height = box
    shape = "round,pad=0,rounding_size=0.1"
    card = FancyBboxPatch((left, bottom), width, height, boxstyle=shape, linewidth=1.8, **look)
    axes.add_patch(card)


def draw_worths(axes: Axes, worths: pd.DataFrame, title: str) -> Axes:
    """What each stream is worth on the decisions of its habit: a row a stream, a bar a column."""
    check_table(worths, (), "worths")
    bars = len(worths.columns)
    height = 0.8 / bars
    for i, name in enumerate(worths):
        y = np.arange(len(worths)) + height * (i - (bars - 1) / 2)
        look = {"color": COLOURS[i % len(COLOURS)], "hatch": HATCHES[i % len(HATCHES)]}
        label = _shorten(name, 60)
        axes.barh(y, worths[name], 0.95 * height, label=label, edgecolor=WHITE, **look)
        for place, worth in zip(y, worths[name], strict=True):
            if pd.notna(worth):
                text = f" {round(worth, 2) + 0:.2f}"  # and 0 has no sign
                _write(axes, max(worth, 0), place, text, size=12 if bars < 3 else 10)
    _list_downwards(axes, worths.index)
    axes.axvline(0, **LOOKS["reference"])
    least, most = np.nanmin(worths, initial=0), np.nanmax(worths, initial=0.01)
    axes.set_xlim(least - 0.02 * (most - least), most + 0.1 * (most - least))
    _add_legend(axes, **BELOW_NAMES, ncols=2)
    return _finish(axes, xlabel="rise in loss on its decisions (nats)", title=title)


# -- forecasts


def draw_reliability(axes: Axes, curves: dict[str, pd.DataFrame]) -> Axes:
    """How often what was predicted came true.

    Tables with the columns predicted and observed, by name.
    """
    axes.plot([0, 1], [0, 1], label="as often as said", **LOOKS["reference"])
    for i, (name, table) in enumerate(curves.items()):
        check_table(table, ("predicted", "observed"), f"reliability of {name}")
        look = _pick_look(i) | {"markersize": 9, "label": _shorten(name)}
        _draw_series(axes, table["predicted"], table["observed"], **look)
    axes.set_aspect("equal")
    _add_legend(axes, **BESIDE)
    return _finish(
        axes,
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="predicted probability of the likeliest value",
        ylabel="share in which it was true",
        title="Reliability",
    )


def draw_right_or_wrong(axes: Axes, right: np.ndarray, names: list[str], title: str) -> Axes:
    """Which values of a forecast were right, (steps, categories).

    A square each, with a cross where it was wrong, and how many were right at the end of a row.
    """
    steps, categories = right.shape
    if len(names) != categories:
        raise InputError(
            f"right or wrong: {categories} categories need as many names, found {len(names)}"
        )
    axes.pcolormesh(
        np.arange(steps + 1) + 0.5,
        np.arange(categories + 1) - 0.5,
        right.T,
        cmap=ListedColormap([ORANGE, (SKY, 0.4)]),
        vmin=0,
        vmax=1,
        edgecolor=WHITE,
        linewidth=1.5,
    )
    step, category = np.nonzero(~right)
    axes.plot(step + 1, category, **LOOKS["wrong"])
    for row, count in enumerate(right.sum(0)):
        weight = "normal" if count == steps else "bold"
        _write(axes, steps + 0.8, row, str(count), fontweight=weight)
    axes.text(steps + 0.8, -0.8, "right", fontsize=11)
    _list_downwards(axes, names)
    axes.set_xticks([1, *range(5, steps + 1, 5)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="step of the horizon (a cross: wrong)", title=title)
    return axes


def draw_stream_heat(
    axes: Axes,
    values: pd.DataFrame,
    shown: pd.DataFrame | None = None,
    top: float | None = None,
    unit: str = "nats",
    **labels,
) -> Axes:
    """A row a stream, and a colour for each value; below 0 counts as 0.

    ``shown`` says which values are written in (those of at least 0.05, where None). The colours go
    by the square root, so that small values are told from nothing; ``top`` is where they are
    darkest.
    """
    import seaborn as sns  # which loads all of scipy: only who draws a heat map waits for it

    check_table(values, (), "heat")
    shown = values >= 0.05 if shown is None else shown
    texts = values.map("{:.2f}".format).replace("^0", "", regex=True)
    sns.heatmap(
        values.rename(index=_shorten, columns=_shorten).clip(lower=0),
        ax=axes,
        annot=texts.where(shown, "").to_numpy(),
        annot_kws={"size": 11},
        fmt="",
        cmap=HEAT,
        norm=PowerNorm(0.5, 0, top or values.to_numpy().max()),
        linewidths=1,
        linecolor=FAINT,
        cbar_kws={"label": unit, "pad": 0.01},
    )
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
    _slant_long_names(axes)
    axes.set(**{"xlabel": "", "ylabel": ""} | labels)
    return axes


def _slant_long_names(axes: Axes) -> None:
    """Turns the names below the columns where they would run into each other."""
    labels = axes.get_xticklabels()
    if max((len(label.get_text()) for label in labels), default=0) > 6:  # none where hidden
        axes.tick_params(axis="x", rotation=35)
        for label in labels:
            label.set(ha="right", rotation_mode="anchor")


# -- forecasts by sampling

# Who forecasts, what is known beside, and how much of the futures an interval holds.
TELLERS = {
    "model": {"color": BLUE, "marker": "o"},
    "simulator": {"color": GREEN, "marker": "s"},
    "table": {"color": AMBER, "marker": "^"},
}
POINTS = {
    "truth": {"color": BLACK, "marker": "*", "markersize": 15, "linestyle": ""},
    "last week": _UPRIGHT | {"color": ORANGE},
}
TRUE_LINE = {"color": BLACK, "linewidth": 2.5}
BANDS = {0.9: (0.05, 0.95), 0.5: (0.25, 0.75)}  # share -> its edges, the wider one first
CHANCE = {"facecolor": FAINT, "edgecolor": PALE}
SHADES, WIDTHS = {0.9: 0.22, 0.5: 0.45}, {0.9: 2, 0.5: 7}


def _pick_teller(who: str, i: int) -> dict:
    """How a forecaster looks: as everywhere, or as the i-th of several."""
    return TELLERS.get(who, _pick_look(i))


def draw_fan(
    axes: Axes, who: str, bands: pd.DataFrame, truth: pd.Series, unit: str, title: str
) -> Axes:
    """What futures say by time, as bands of 50 and 90 % around their median, and what came.

    bands: a row a time, the columns 0.05, 0.25, 0.5, 0.75 and 0.95; truth: by time too
    """
    check_table(bands, (0.5, *BANDS[0.5], *BANDS[0.9]), "bands")
    look = {"color": _pick_teller(who, 0)["color"]}
    name = _shorten(who)
    for share, (low, high) in BANDS.items():
        label = f"{name}: {share:.0%} of the futures"
        shade = look | {"alpha": SHADES[share], "linewidth": 0, "label": label}
        axes.fill_between(bands.index, bands[low], bands[high], **shade)
    _draw_series(axes, bands.index, bands[0.5], label=f"{name}: their median", **look)
    _draw_series(axes, truth.index, truth, label="what came", **TRUE_LINE)
    axes.xaxis.set_major_locator(DayLocator())
    axes.xaxis.set_major_formatter(DateFormatter("%a %d %b"))
    axes.xaxis.set_minor_locator(HourLocator([12]))
    axes.margins(x=0)
    _add_legend(axes, loc="upper left")
    return _finish(axes, xlabel="time (a line at midnight)", ylabel=unit, title=title)


def draw_pit(axes: Axes, shares: pd.DataFrame, error: float, title: str) -> Axes:
    """Where among their futures the truths fell, as a histogram of the `pit`.

    shares: a row a bin, the lowest first, a column a forecaster; 1 is as many as in each other bin
    error: the standard error of a bin that is 1; two of them to both sides are shaded
    """
    check_table(shares, (), "shares")
    bins, tellers = shares.shape
    axes.axhspan(1 - 2 * error, 1 + 2 * error, label="chance, 2 standard errors", **CHANCE)
    axes.axhline(1, **LOOKS["reference"])
    width = 0.84 / bins / tellers
    for i, who in enumerate(shares):
        left = (np.arange(bins) + 0.08) / bins + i * width
        look = {"color": _pick_teller(who, i)["color"], "hatch": HATCHES[i % len(HATCHES)]}
        label = _shorten(who)
        axes.bar(left, shares[who], width, align="edge", edgecolor=WHITE, label=label, **look)
    _add_legend(axes, **BELOW, ncols=3)
    return _finish(
        axes,
        xlim=(0, 1),
        xlabel="share of the futures below the truth",
        ylabel="truths (1: an even share)",
        title=title,
    )


def draw_hours(
    axes: Axes,
    bands: dict[str, pd.DataFrame],
    points: dict[str, pd.Series],
    unit: str,
    title: str,
) -> Axes:
    """What forecasts say of each site, as intervals of 50 and 90 %, and single values beside.

    bands: by forecaster, a row a site, the columns 0.05, 0.25, 0.5, 0.75 and 0.95; points: by name,
    a value for each site, "truth" and "last week" with looks of their own
    """
    names = None
    for i, (who, table) in enumerate(bands.items()):
        check_table(table, (0.5, *BANDS[0.5], *BANDS[0.9]), f"bands of {who}")
        names = table.index if names is None else names
        if list(table.index) != list(names):
            raise InputError(f"bands of {who}: its rows must be those of the first forecaster")
        y = np.arange(len(table)) + 0.8 * ((i + 0.5) / len(bands) - 0.5)
        look = _pick_teller(who, i)
        for share, (low, high) in BANDS.items():
            lines = {"color": look["color"], "linewidth": WIDTHS[share]}
            axes.hlines(y, table[low], table[high], **lines)
        median = look | {"linestyle": "", "markeredgecolor": WHITE, "markersize": 9}
        _draw_series(axes, table[0.5], y, label=_shorten(who), **median)
    for i, (name, values) in enumerate(points.items()):
        if list(values.index) != list(names):
            raise InputError(f"{name}: its rows must be those of the forecasts")
        look = POINTS.get(name, _pick_look(i + len(bands)))
        _draw_series(axes, values, range(len(values)), label=_shorten(name), **look)
    _list_downwards(axes, names)
    _add_legend(axes, **BELOW, ncols=4)
    return _finish(axes, xlabel=unit, title=title)


# -- what a state holds, and substitutes


def draw_probes(axes: Axes, probes: pd.DataFrame) -> Axes:
    """What each stream's state remembers of each habit, from the table of `grade_probes`.

    A row a habit, a column a state: in colour and in large figures the share of the habit that a
    probe reads off the state, ``(ln values - loss) / ln values`` as the table has it in `known`;
    below it what the exact reader of the same histories knows, `reader_known`. Below 0 is 0.
    """
    check_table(probes, ("habit", "state", "known", "reader_known"), "probes")
    rows, columns = _list_once(probes["habit"]), _list_once(probes["state"])
    known, reader = (
        probes.pivot(index="habit", columns="state", values=name).loc[rows, columns].clip(lower=0)
        for name in ("known", "reader_known")
    )
    axes.imshow(known, cmap=HEAT, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for (y, x), share in np.ndenumerate(known.to_numpy()):
        colour = WHITE if share > 0.6 else BLACK
        _write(axes, x, y - 0.12, f"{share:.0%}", 17, ha="center", color=colour, weight="bold")
        text = f"reader {reader.iat[y, x]:.0%}"
        _write(axes, x, y + 0.28, text, 11, ha="center", color=colour)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(which="minor", color=WHITE, linewidth=3)
    axes.set_xticks(range(len(columns)), _shorten_all(columns, 14))
    axes.set_yticks(range(len(rows)), _shorten_all(rows, 14))
    axes.tick_params(which="both", length=0)
    _slant_long_names(axes)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="whose state is read", ylabel="whose habit", title="What a last vector holds")
    return axes


def draw_substitutes(axes: Axes, grades: pd.DataFrame) -> Axes:
    """How many picked substitutes come at the absent one's minute, from `grade_substitutes`.

    A bar a way to pick, with two standard errors to each side; the line is a random colleague's.
    """
    check_table(grades, ("way", "minute", "minute_error"), "substitutes")
    y = np.arange(len(grades))
    axes.barh(y, grades["minute"], color=SKY, height=0.6)
    reach = 2 * grades["minute_error"]
    axes.errorbar(grades["minute"], y, xerr=reach, linestyle="", color=DARK, capsize=4)
    for place, share, far in zip(y, grades["minute"], reach, strict=True):
        _write(axes, share + far + 0.02, place, f"{share:.0%}")
    random = grades.loc[grades["way"] == "random", "minute"]
    for share in random:
        axes.axvline(share, **LOOKS["reference"])
    _list_downwards(axes, grades["way"])
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    return _finish(
        axes,
        xlim=(0, 1.12),
        xlabel="of the picked come at the same minute",
        title="Who could take over",
    )


# -- odd events, and what if


def draw_odd_events(axes: Axes, table: pd.DataFrame) -> Axes:
    """Which category gives each kind of odd event away: a row a kind, a column a category.

    Values are nats above what was expected; those of at least 1 are written in.
    """
    import seaborn as sns  # as above

    check_table(table, (), "odd events")
    texts = table.map("{:.0f}".format).where(table >= 1, "")
    sns.heatmap(
        table.rename(index=lambda name: _break_lines(_shorten(name, 60)), columns=_shorten).clip(
            lower=0
        ),
        ax=axes,
        annot=texts.to_numpy(),
        fmt="",
        cmap=HEAT,
        norm=PowerNorm(0.5, 0, table.to_numpy().max()),
        linewidths=1,
        linecolor=FAINT,
        cbar_kws={"label": "nats above expected", "pad": 0.01},
    )
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
    _slant_long_names(axes)
    axes.set(xlabel="category", ylabel="", title="What gives each kind away")
    return axes


def draw_odd_event(axes: Axes, event: pd.DataFrame, title: str) -> Axes:
    """One event, a bar a category: its score, and a mark where it was expected.

    event: index the categories, columns "score" and "expected", in nats
    """
    check_table(event, ("score", "expected"), "odd event")
    rows = range(len(event))
    axes.barh(rows, event["score"], label="its score", **LOOKS["other value"])
    axes.plot(event["expected"], rows, label="expected", **LOOKS["alarm"])
    _list_downwards(axes, event.index)
    _add_legend(axes, loc="lower right")
    return _finish(axes, xlabel="nats", title=_shorten(title, 60))


def draw_what_if(axes: Axes, table: pd.DataFrame, title: str) -> Axes:
    """What is decided, before and after the change: bars of the model, marks of the simulator.

    table: index the values, columns "model, before" and so on, as `compare_what_if` has them
    """
    check_table(table, tuple(WHAT_IF), "what if")
    x = np.arange(len(table))
    for name, place in zip(WHAT_IF, cycle((-0.2, 0.2)), strict=False):
        if name.startswith("model"):
            axes.bar(x + place, table[name], width=0.36, label=name, **WHAT_IF[name])
        else:
            axes.plot(x + place, table[name], label=name, **WHAT_IF[name])
    axes.set_xticks(x, _shorten_all(table.index, 14))
    _add_legend(axes, **BESIDE)
    return _finish(
        axes,
        xlabel=_shorten(table.index.name or ""),
        ylabel="probability",
        ylim=(0, 1.05),
        title=_shorten(title, 60),
    )


# -- suffixes


def draw_suffixes(axes: Axes, table: pd.DataFrame) -> Axes:
    """How like the true suffixes the forecast ones are: a row for each log and way.

    table: columns log, who, way and similarity, as `helpers.tools.suffixes` stores them
    """
    check_table(table, ("log", "who", "way", "similarity"), "suffixes")
    known = table.dropna(subset="similarity")
    forecast = known[known["who"] != "truth"]
    names, rows, spans = [], {}, {}
    for log, ours in forecast.groupby("log", sort=False):
        names.append(log)
        for way in _list_once(ours["way"]):
            rows[log, way] = len(names)
            names.append(way)
        spans[log] = (names.index(log) + 0.5, len(names) - 0.5)
    for log, best in known[known["who"] == "truth"].set_index("log")["similarity"].items():
        label = "nobody can: the horizon is too short" if log == known["log"].iloc[0] else None
        axes.fill_betweenx(spans[log], best, 1, label=label, **LOOKS["nobody could know"])
    for i, (who, ours) in enumerate(forecast.groupby("who", sort=False)):
        y = [rows[pair] for pair in zip(ours["log"], ours["way"], strict=True)]
        look = _pick_look(i) | {"linestyle": "", "markersize": 10, "label": _shorten(who)}
        _draw_series(axes, ours["similarity"], y, **look)
    _list_downwards(axes, names)
    for row, label in enumerate(axes.get_yticklabels()):
        label.set_fontweight("normal" if row in rows.values() else "bold")
    axes.set_xlim(right=1.01)
    _add_legend(axes, **BELOW, ncols=3)
    return _finish(axes, xlabel="similarity to the true suffix", title="Suffixes, by way")


# -- the figures of the widgets


def draw_loss_curves(
    axes: Axes,
    curves: dict[tuple[str, str, str], pd.Series],
    levels: pd.DataFrame,
    ylabel: str,
) -> Axes:
    """Losses by epoch, and the levels that they are read against.

    curves: (run, category, measure) -> a Series by epoch; one without a value is left out
    levels: a row a category, a column a kind of level

    Colours go by category, or by run where all is of one category; each curve has its own marker,
    and train is dashed.
    """
    curves = {key: losses for key, losses in curves.items() if losses.notna().any()}
    parts = [_list_once(key[place] for key in curves) for place in range(3)]
    runs, categories, _ = parts
    told_by = 0 if len(categories) == 1 and len(runs) > 1 else 1  # a place in the keys
    colours = dict(zip(parts[told_by], cycle(COLOURS), strict=False))
    markers = cycle(MARKERS)
    lines = []
    for key, losses in curves.items():
        look = {"color": colours[key[told_by]], "marker": next(markers), "markersize": 8}
        look["markevery"] = 1 + len(losses) // 20  # or they would hide the line
        if key[2] == "train":
            look |= LOOKS["measured on train"]
        lines += axes.plot(losses.index, losses, label=_name_curve(key, parts), **look)
    _draw_levels(axes, levels, colours)
    _frame_curves(axes, parts, ylabel)
    _name_at_the_right(axes, lines)
    _name_levels(axes, [kind for kind in levels if levels[kind].notna().any()])
    return axes


def _frame_curves(axes: Axes, parts: list[list[str]], ylabel: str) -> None:
    """The axes of loss curves; the title says what all of them share."""
    axes.margins(x=0.02)
    _count_whole(axes)
    _finish(axes, xlabel="epoch", ylabel=ylabel)
    shared = [_shorten(names[0]) for names in parts if len(names) == 1]
    axes.set_title(", ".join(shared) or "Loss by epoch", y=1)


def _name_curve(key: tuple[str, str, str], parts: list[list[str]]) -> str:
    """What tells a curve from the others drawn.

    Its category is on one line, its run and its measure on the next.
    """
    told = [
        _shorten(name) if len(names) > 1 else "" for name, names in zip(key, parts, strict=True)
    ]
    run, category, measure = told
    second = ", ".join(filter(None, [run, measure]))
    both = "\n".join(filter(None, [category, second]))
    return both or _shorten(key[1])


def _draw_levels(axes: Axes, levels: pd.DataFrame, colours: dict[str, str]) -> None:
    """A line across for each level, grey where all are of one category."""
    for category, row in levels.iterrows():
        colour = colours.get(category, GREY) if len(levels) > 1 else GREY
        for kind, level in row.dropna().items():
            axes.axhline(level, color=colour, linestyle=LEVELS[kind], linewidth=1.8, zorder=1)


def _name_levels(axes: Axes, kinds: list[str]) -> None:
    """Names the lines of the levels below the axes, right of the axis' name, four in a row."""
    for i, kind in enumerate(kinds):
        row, column = divmod(i, 4)
        left = 0.59 + 0.24 * column
        down = -0.14 if len(kinds) <= 4 else -0.11 - 0.065 * row
        line = Line2D(
            [left, left + 0.068],
            [down, down],
            color=GREY,
            linestyle=LEVELS[kind],
            linewidth=1.8,
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.add_artist(line)
        _write(axes, left + 0.077, down, kind, transform=axes.transAxes)


def _name_at_the_right(axes: Axes, lines: list[Line2D]) -> None:
    """Names each curve beside its end, in the order in which they end.

    A legend would take as long to draw as all else together.
    """
    low, high = axes.get_ylim()
    lines = sorted(lines, key=_find_end)
    ends = [(_find_end(line) - low) / (high - low) for line in lines]
    room = [0.068 + 0.057 * line.get_label().count("\n") for line in lines]
    for line, end, place in zip(lines, ends, _push_apart(ends, room), strict=True):
        hand = Line2D(
            [1.005, 1.04, 1.055],
            [end, place, place],
            color=line.get_color(),
            linewidth=1,
            marker=line.get_marker(),
            markevery=[2],
            markersize=8,
            markerfacecolor=line.get_markerfacecolor(),
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.add_artist(hand)
        name = line.get_label()
        _write(axes, 1.075, place, name, linespacing=1.1, transform=axes.transAxes)


def _find_end(line: Line2D) -> float:
    """The last loss of a curve."""
    losses = np.asarray(line.get_ydata())
    return losses[pd.notna(losses)][-1]


def _push_apart(ends: list[float], room: list[float]) -> list[float]:
    """Places for names near the ends of their curves: 0 is the bottom of the axes, 1 the top.

    The ends are in ascending order; ``room`` is what each name needs.
    """
    places = []
    for i, end in enumerate(ends):
        if places:
            end = max(end, places[-1] + (room[i - 1] + room[i]) / 2)
        places.append(max(end, 0))
    highest = 1 - room[-1] / 4 if room else 1
    for i in reversed(range(len(places))):  # what was pushed above the top comes down again
        places[i] = min(places[i], highest)
        highest = places[i] - (room[i] + room[i - 1]) / 2
    return places


def draw_decoder_reads(axes: Axes, weights: pd.Series) -> Axes:
    """How much of each stream's state the decoder reads, one bar a stream."""
    axes.barh(range(len(weights)), weights, color=ORANGE)
    for y, weight in enumerate(weights):
        _write(axes, weight + 0.03, y, f"{weight:.2f}")
    _list_downwards(axes, weights.index, 14)
    axes.set_title("The decoder reads", y=1)
    return _finish(axes, xlabel="weight of its state", xlim=(0, 1.25), xticks=[0, 0.5, 1])


def draw_history_weights(axes: Axes, weights: pd.DataFrame) -> Axes:
    """The weight on each event of each history: a row a stream, oldest first.

    NaN, drawn hatched, where no event is.
    """
    values = weights.to_numpy()
    streams, length = values.shape
    top = np.nanmax(values, initial=0.01)
    axes.patch.set(**LOOKS["no event"])
    axes.imshow(values, cmap=HEAT, vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    borders = np.arange(streams - 1) + 0.5
    axes.hlines(borders, -0.5, length - 0.5, color=WHITE, linewidth=3)
    _write_weights(axes, values, top)
    axes.set_yticks(range(streams), _shorten_all(weights.index, 14))
    axes.set_xticks([0, length - 1], ["oldest", "origin"])
    axes.set_title(f"Each encoder reads its last {length} events", y=1)
    axes.set_xlabel("place in the history")
    axes.spines[:].set_visible(False)
    return axes


def _write_weights(axes: Axes, values: np.ndarray, top: float) -> None:
    """Writes those weights in that are well above an equal share."""
    events = np.isfinite(values).sum(1, keepdims=True)
    notable = np.clip(1.5 / events, 0.095, 0.9)
    for y, x in zip(*np.nonzero(values >= notable), strict=True):
        weight = values[y, x]
        colour = WHITE if weight > 0.5 * top else BLACK
        text = f"{weight:.1f}".lstrip("0")
        _write(axes, x, y, text, ha="center", color=colour)


def draw_predicted_values(
    axes: Axes,
    probabilities: np.ndarray,
    names: list,
    truth: int | None,
    title: str,
    most: int = 5,
) -> Axes:
    """The likeliest values of a category, and the true one, hatched (None: there is none).

    ``names`` are the values'.
    """
    count = len(probabilities)
    if len(names) < count or truth is not None and not 0 <= truth < count:
        raise InputError(
            f"values: {count} probabilities need a name each, and the true value is one of them; "
            f"found {len(names)} names and {truth}"
        )
    for y, value in enumerate(_pick_values(probabilities, truth, most)):
        probability, true = probabilities[value], value == truth
        look = LOOKS["true value"] if true else LOOKS["other value"]
        axes.barh(y + 0.15, probability, height=0.4, **look)
        text = f"{_shorten(names[value], 18)}  {probability:.2f}"
        _write(axes, 0.02, y - 0.08, f"{text}  (true)" if true else text, va="bottom")
    axes.set_ylim(most - 0.5, -0.5)
    axes.set_title(_shorten(title, 24), y=1, fontsize=13)
    return _finish(axes, xlabel="probability", xlim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[])


def _pick_values(probabilities: np.ndarray, truth: int | None, most: int) -> list[int]:
    """The likeliest values, without those that round to nothing, but with the true one."""
    order = np.argsort(-probabilities, kind="stable")[:most]
    picked = [value for value in order if probabilities[value] >= 0.005]
    if truth is not None and truth not in picked:
        picked = [*picked[: most - 1], truth]
    return picked


def draw_future_paths(
    axes: Axes,
    past: np.ndarray,
    futures: np.ndarray,
    names: list,
    odd: np.ndarray | None,
    came: np.ndarray,
    title: str,
    best: bool = False,
    **labels,
) -> Axes:
    """The fan of an origin's futures, from event to event: the more futures, the wider the line.

    past: (H, 2) place and row of the last events; the last one is the origin, at place 0
    futures: (N, U, 2), of the events of N futures; one without a place, NaN, is not drawn
    names: of the rows, the first at the top
    odd: (N,) the first step of each that cannot happen, from 0, U where all can; it gets a cross,
        and what follows it is grey. None where that is not known
    came: (u, 2), of the events that came
    best: whether the first future stands out
    """
    N, U, _ = futures.shape
    known, odd = odd is not None, np.full(N, U) if odd is None else odd
    whole = np.concatenate([np.broadcast_to(past[-1], (N, 1, 2)), futures], 1)
    lines = np.concatenate([whole[:, :-1], whole[:, 1:]], 2)  # (N, U, 4), one to each event
    after = np.arange(U) > odd[:, None]
    axes.axvline(0, **LOOKS["reference"])
    axes.plot(*past.T, label="the last events", **LOOKS["past"])
    axes.plot(*np.concatenate([past[-1:], came]).T, label="what came", **LOOKS["what came"])
    _draw_fan(axes, lines[~after], N, label="futures", **LOOKS["future"])
    if best:
        axes.plot(*whole[0].T, label="the best", **LOOKS["best future"])
    if known:
        _draw_fan(axes, lines[after], N, label="what follows a cross", **LOOKS["no future"])
        _mark_odd(axes, futures[odd < U, odd[odd < U]], N)
    _list_downwards(axes, names, 20)
    _add_legend(axes, loc="upper left", bbox_to_anchor=(-0.01, -0.12), ncols=6, fontsize=12)
    axes.set_title(_shorten(title), y=1)
    return _finish(axes, **labels)


def _draw_fan(axes: Axes, lines: np.ndarray, futures: int, label: str, color: str, zorder) -> None:
    """Lines, (many, 4); those that are the same become one, wider and less pale."""
    lines = lines[np.isfinite(lines).all(1)].round(3)
    lines, counts = np.unique(lines, axis=0, return_counts=True)
    share = np.minimum(counts / futures, 1)  # a future may come by twice
    colours = np.tile(to_rgba(color), (len(lines), 1))
    colours[:, 3] = 0.3 + 0.5 * share
    look = {"linewidths": 1.2 + 8 * share, "colors": colours, "zorder": zorder}
    axes.add_collection(LineCollection(lines.reshape(-1, 2, 2), **look))
    axes.plot([], [], color=color, label=label, linewidth=4)


def _mark_odd(axes: Axes, places: np.ndarray, futures: int) -> None:
    """A cross at each place, (many, 2), the larger the more futures have it."""
    places, counts = np.unique(places.round(3), axis=0, return_counts=True)
    look = LOOKS["cannot happen"]
    axes.scatter(*places.T, s=40 + 160 * np.sqrt(counts / futures), **look)
    axes.scatter([], [], s=80, label="cannot happen", **look)


def draw_live_losses(
    axes: Axes,
    train: pd.Series,
    validation: pd.Series,
    ceiling: float | None,
    floor: float | None,
    window: int,
) -> Axes:
    """A run under way, on a logarithmic scale.

    The train loss of each batch, its mean over the last ``window`` batches, and the validation
    loss. Both Series go by the epochs done, a batch being a part of one.
    """
    smooth = train.rolling(window, min_periods=1).mean()
    _draw_series(axes, train.index, train, label="train, each batch", **LOOKS["each batch"])
    label = f"train, mean of {window}"
    _draw_series(axes, smooth.index, smooth, label=label, **LOOKS["mean of batches"])
    _draw_series(axes, validation.index, validation, label="validation", **LOOKS["validation"])
    for name, level in {"ceiling": ceiling, "floor": floor}.items():
        if level is not None and level > 0:  # a logarithmic scale has no place for 0
            look = {"color": LEVEL_COLOURS[name], "linestyle": LEVELS[name]}
            axes.axhline(level, label=f"{name} {level:.3f}", **look)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.1)
    epochs = max([1, *np.ceil(train.index[-1:])])
    axes.set_xlim(0, 1.01 * epochs)
    _add_legend(axes, loc="upper left", bbox_to_anchor=(1.01, 1.03), fontsize=12)
    axes.set_title("A run under way", y=1)
    return _finish(axes, xlabel="epochs done", ylabel="loss (nats), logarithmic")


# -- the benchmark


def draw_speed_by_batch(axes: Axes, table: pd.DataFrame) -> Axes:
    """Windows per second of each form of the network by batch, from the benchmark's table.

    A colour a form, a line a width.
    """
    rows = table[table["part"] == "forms"].astype({"batch": int})
    for i, (name, form) in enumerate(rows.groupby("name", sort=False)):
        lines = cycle(LINES)
        for d_model, line in form.groupby("d_model"):
            look = _pick_look(i) | {"linestyle": next(lines)}
            label = f"{name}, {int(d_model)}"
            _draw_series(axes, line["batch"], line["value"], label=label, **look)
    batches = sorted(set(rows["batch"]))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batches, batches)
    below = BELOW | {"fontsize": 11, "title": "form, d_model"}
    _add_legend(axes, **below, ncols=3, handlelength=3.5)
    return _finish(
        axes,
        xlabel="windows in a batch",
        ylabel="windows per second",
        title="A training step in several forms",
    )


def draw_growth(axes: Axes, table: pd.DataFrame) -> Axes:
    """A step's time as one thing grows, from the benchmark's table.

    Both are multiples of the least; the dotted line is in proportion.
    """
    rows = table[table["part"] == "growth"].astype({"size": float})
    most = 1.0
    for i, (name, line) in enumerate(rows.groupby("name", sort=False)):
        least = line.iloc[0]
        size = line["size"] / least["size"]
        time = line["value"] / least["value"]
        label = f"{name}, from {least['size']:.0f}"
        _draw_series(axes, size, time, label=label, **_pick_look(i))
        most = max(most, size.max())
    axes.plot([1, most], [1, most], label="in proportion", **LOOKS["in proportion"])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    _add_legend(axes, fontsize=12)
    return _finish(axes, xlabel="times as large", ylabel="times as long", title="How a step grows")
