"""One function per figure: data in, axes out. Colours are Okabe and Ito's (2008), told apart by colour-blind readers."""
from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from helpers.events import Log
from helpers.schema import InputError, check_table

# One look for every figure of the course, large enough for the back row.
rcParams.update({"font.size": 13, "axes.titlesize": 15, "axes.titleweight": "bold", "axes.titlelocation": "left", "lines.linewidth": 2.2})

BLUE, ORANGE, GREEN, PINK, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#777777"


def _finish(axes: Axes, **labels) -> Axes:
    axes.set(**labels)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _as_is(text: object, most: int = 30) -> str:
    """Text for a figure: short, on one line, and neither a formula nor, by a leading underscore, hidden from legends.

    Names come from a log, and a figure shows them as they are.
    """
    text = " ".join(str(text).split())
    text = text if len(text) <= most else f"{text[:most - 1]}…"
    return "\u200b" * text.startswith("_") + text.replace("$", r"\$")


def _ticks(names, most: int = 30) -> list[str]:
    return [_as_is(name, most) for name in names]


def loss_per_epoch(axes: Axes, epochs: pd.DataFrame) -> Axes:
    """Train and validation loss by epoch, the best epoch marked, from columns epoch, train, validation, best."""
    check_table(epochs, ("epoch", "train", "validation", "best"), "losses per epoch")
    if not epochs["best"].any():
        raise InputError("losses per epoch: no epoch is the best; mark one in the column 'best'")
    axes.plot(epochs["epoch"], epochs["train"], "o-", label="train", color=BLUE)
    axes.plot(epochs["epoch"], epochs["validation"], "s--", label="validation", color=ORANGE)
    best = epochs[epochs["best"]]
    axes.plot(best["epoch"], best["validation"], "*", markersize=18, color=GREEN, label=f"best, epoch {best['epoch'].iloc[0]}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return _finish(axes, xlabel="epoch", ylabel="loss (nats)", title="Loss per epoch")


def histories(axes: Axes, log: Log, index: np.ndarray, origin: int) -> Axes:
    """The histories (streams, history) of one origin on a timeline; places that name no event are padding."""
    if not 0 <= origin < len(log):
        raise InputError(f"origin: must be the number of an event, 0 to {len(log) - 1}, found {origin}")
    if len(index) != len(log.streams):
        raise InputError(f"histories: must have a row for each of the {len(log.streams)} streams, found {len(index)}")
    earliest = -1.0
    for s, events in enumerate(index):
        events = events[events < len(log)]
        hours = (log.time[events] - log.time[origin]) / np.timedelta64(1, "h")
        earliest = min(earliest, hours.min())
        axes.plot(hours, np.full(len(events), s), "|", markersize=22, markeredgewidth=2, color=BLUE)
        axes.text(0.4, s, f"  back {_span(-hours.min())}", va="center", fontsize=11)
    axes.plot(np.zeros(len(index)), np.arange(len(index)), "o", color=ORANGE, markersize=9, label="origin")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([-1000, -100, -10, -1, 0], ["-1000", "-100", "-10", "-1", "0"])
    axes.set_xlim(1.5 * earliest, 8)
    axes.set_yticks(range(len(index)), _ticks(stream.name for stream in log.streams))
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower left")
    return _finish(axes, xlabel="hours before the origin (logarithmic)", title=f"The last {index.shape[1]} events in each stream")


def _span(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def category_ladder(axes: Axes, report: pd.DataFrame) -> Axes:
    """Each category's ceiling, best baseline, model and floor, from a category report; hardest at the top."""
    check_table(report, ("category", "ceiling", "marginal", "copy_last", "markov", "model", "floor"), "category report")
    rows = report[report["category"] != "mean"].sort_values("model").reset_index(drop=True)
    baseline = rows[["marginal", "copy_last", "markov"]].min(axis=1)
    y = np.arange(len(rows))
    axes.hlines(y, rows["floor"].fillna(rows["model"]), rows["ceiling"], color="#cccccc", zorder=0)
    for values, marker, colour, name in ((rows["ceiling"], "|", GREY, "ceiling: guessing"), (baseline, "D", ORANGE, "best baseline"),
                                         (rows["model"], "o", BLUE, "model"), (rows["floor"], "|", GREEN, "floor: nothing beats it")):
        axes.plot(values, y, marker, color=colour, label=name, markersize=15 if marker == "|" else 8, markeredgewidth=3 if marker == "|" else 1)
    axes.set_yticks(y, _ticks(rows["category"]))
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.35, -0.1), ncols=4, fontsize=12)
    return _finish(axes, xlabel="loss (nats)", title="What each category could lose, and does")


def category_ranges(axes: Axes, ranges: pd.DataFrame) -> Axes:
    """The least and greatest loss of each category over the epochs, from columns category, min, max."""
    check_table(ranges, ("category", "min", "max"), "ranges of loss")
    rows = ranges.sort_values("max").reset_index(drop=True)
    axes.hlines(rows.index, rows["min"], rows["max"], color=BLUE, linewidth=7)
    axes.set_yticks(rows.index, _ticks(rows["category"]))
    return _finish(axes, xlabel="validation loss over the epochs (nats)", title="Ranges of loss by category")


def gradient_norms(axes: Axes, norms: pd.DataFrame) -> Axes:
    """The norm of each stream's gradients by epoch: a row an epoch, a column a stream."""
    check_table(norms, (), "norms of the gradients")
    colours = (BLUE, ORANGE, GREEN, PINK, SKY, GREY, "#000000", "#E69F00")
    for i, stream in enumerate(norms):
        axes.plot(norms.index, norms[stream], "o^sDvPX*"[i % 8] + "-", color=colours[i % 8], label=_as_is(stream))
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _finish(axes, xlabel="epoch", ylabel="norm of the gradients", title="How much each stream's encoder is pulled")


def gap_by_step(axes: Axes, gaps: pd.Series) -> Axes:
    """The mean gap to the floor at each step of the horizon."""
    axes.plot(gaps.index, gaps, "o-", color=BLUE)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finish(axes, xlabel="step of the horizon (1 is the next event)", ylabel="mean gap to the floor (nats)",
                   title="How far from the floor, step by step")


def two_orders(axes: Axes, left: pd.Series, right: pd.Series) -> Axes:
    """The same names in two orders, by two Series of values, the greatest at the top; a line joins a name's two places."""
    if not left.index.is_unique or set(left.index) != set(right.index) or len(left) != len(right):
        raise InputError("two orders: both must be of the same names, each once")
    places = [values.rank(method="first")[left.index] - 1 for values in (left, right)]
    for name in left.index:
        here, there = (place[name] for place in places)
        moves = abs(here - there) >= len(left) / 5
        axes.plot([0, 1], [here, there], "o-" if moves else "s--", color=ORANGE if moves else GREY, linewidth=2.2 if moves else 1.2)
        for x, y, value, side in ((-0.03, here, left[name], "right"), (1.03, there, right[name], "left")):
            axes.text(x, y, f"{_as_is(name)}  {value:.3f}" if side == "right" else f"{value:.3f}  {_as_is(name)}", ha=side, va="center", fontsize=11)
    _finish(axes, xlim=(-0.9, 1.9), yticks=[], xlabel="ordered by", title="Two orders of the same categories, the greatest at the top")
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks([0, 1], [f"{_as_is(values.name)} (nats)" for values in (left, right)])
    return axes


def reliability(axes: Axes, curves: dict[str, pd.DataFrame]) -> Axes:
    """How often what was predicted came true, from tables with the columns predicted and observed, by name."""
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.5, label="as often as said")
    for i, (name, table) in enumerate(curves.items()):
        check_table(table, ("predicted", "observed"), f"reliability of {name}")
        axes.plot(table["predicted"], table["observed"], "o^sDvPX*"[i % 8] + "-", color=(BLUE, ORANGE, GREEN, PINK, SKY)[i % 5], markersize=9, label=_as_is(name))
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _finish(axes, xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability of the likeliest value", ylabel="share in which it was true",
                   title="Reliability")


# -- the figures of the widgets

LEVELS = {"ceiling": "solid", "marginal": "dotted", "copy_last": "dashdot", "markov": "dashed", "floor": (0, (6, 1, 1, 1, 1, 1))}
_COLOURS, _MARKERS = (BLUE, ORANGE, GREEN, PINK, SKY, "#E69F00", "#000000", GREY), "o^sDvPX*"


def loss_curves(axes: Axes, curves: dict[tuple[str, str, str], pd.Series], levels: pd.DataFrame, ylabel: str) -> Axes:
    """Losses by epoch: {(run, category, measure): a Series by epoch}; and levels: a row a category, a column a kind.

    Colours go by category, or by run where all is of one category; each curve has its own marker, and train is dashed.
    """
    runs, categories, _ = parts = [list(dict.fromkeys(part)) for part in zip(*curves)] or [[], [], []]
    colour_by = 0 if len(categories) == 1 and len(runs) > 1 else 1
    colour = {name: _COLOURS[i % 8] for i, name in enumerate(parts[colour_by])}
    for (key, values), marker in zip(curves.items(), _MARKERS):
        train = {"linestyle": "--", "markerfacecolor": "white"} if key[2] == "train" else {}
        axes.plot(values.index, values, marker=marker, markersize=8, color=colour[key[colour_by]], label=_curve_name(key, parts), **train)
    drawn = axes.lines[:]
    for category, row in levels.iterrows():
        for kind, value in row.dropna().items():
            axes.axhline(value, color=colour[category] if len(levels) > 1 else GREY, linestyle=LEVELS[kind], linewidth=1.8, zorder=1)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, xlabel="epoch", ylabel=ylabel)
    axes.set_title(", ".join(_as_is(names[0]) for names in parts if len(names) == 1) or "Loss by epoch", y=1)
    _name_at_the_right(axes, drawn)
    for i, kind in enumerate(kind for kind in levels if levels[kind].notna().any()):
        axes.add_artist(Line2D([0.58 + 0.2 * i, 0.63 + 0.2 * i], [-0.14, -0.14], color=GREY, linestyle=LEVELS[kind], linewidth=1.8,
                               transform=axes.transAxes, clip_on=False))
        axes.text(0.64 + 0.2 * i, -0.14, kind, va="center", fontsize=12, transform=axes.transAxes)
    return axes


def _curve_name(key: tuple[str, str, str], parts: list[list[str]]) -> str:
    """What tells a curve from the others drawn: its category on one line, its run and its measure on the next."""
    run, category, measure = (_as_is(name) if len(names) > 1 else "" for name, names in zip(key, parts))
    return "\n".join(filter(None, [category, ", ".join(filter(None, [run, measure]))])) or _as_is(key[1])


def _name_at_the_right(axes: Axes, lines: list[Line2D]) -> None:
    """Names each curve beside its end, in the order in which they end, pushed apart where they would overlap.

    A legend would take as long to draw as all else together.
    """
    (low, high), names = axes.get_ylim(), sorted(lines, key=lambda line: line.get_ydata()[-1])
    ends = [(line.get_ydata()[-1] - low) / (high - low) for line in names]
    room = [0.068 + 0.057 * line.get_label().count("\n") for line in names]
    places = []
    for end, need, before in zip(ends, room, [0, *room]):
        places.append(max(end, places[-1] + (need + before) / 2 if places else 0))
    for i in reversed(range(len(places))):  # what was pushed above the top comes down again
        places[i] = min(places[i], places[i + 1] - (room[i] + room[i + 1]) / 2 if i + 1 < len(places) else 1 - room[i] / 4)
    for line, end, place in zip(names, ends, places):
        axes.add_artist(Line2D([1.005, 1.04, 1.055], [end, place, place], color=line.get_color(), linewidth=1, marker=line.get_marker(), markevery=[2],
                               markersize=8, markerfacecolor=line.get_markerfacecolor(), transform=axes.transAxes, clip_on=False))
        axes.text(1.075, place, line.get_label(), va="center", fontsize=12, linespacing=1.1, transform=axes.transAxes)


def decoder_reads(axes: Axes, weights: pd.Series) -> Axes:
    """How much of each stream's state the decoder reads, one bar a stream."""
    axes.barh(range(len(weights)), weights, color=ORANGE)
    for y, weight in enumerate(weights):
        axes.text(weight + 0.03, y, f"{weight:.2f}", va="center", fontsize=12)
    axes.set_yticks(range(len(weights)), _ticks(weights.index, 14))
    axes.set_ylim(len(weights) - 0.5, -0.5)
    axes.set_title("The decoder reads", y=1)
    return _finish(axes, xlabel="weight of its state", xlim=(0, 1.25), xticks=[0, 0.5, 1])


def history_weights(axes: Axes, weights: pd.DataFrame) -> Axes:
    """The weight on each event of each history: a row a stream, oldest first; NaN, drawn hatched, where no event is."""
    values, top = weights.to_numpy(), np.nanmax(weights.to_numpy(), initial=0.01)
    axes.patch.set(hatch="////", edgecolor="#bbbbbb")
    axes.imshow(values, cmap="Blues", vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    axes.hlines(np.arange(len(values) - 1) + 0.5, -0.5, values.shape[1] - 0.5, color="white", linewidth=3)
    notable = np.clip(1.5 / np.isfinite(values).sum(1, keepdims=True), 0.095, 0.9)  # well above an equal share
    for y, x in zip(*np.nonzero(values >= notable)):
        axes.text(x, y, f"{values[y, x]:.1f}".lstrip("0"), ha="center", va="center", fontsize=12,
                  color="white" if values[y, x] > 0.5 * top else "black")
    axes.set_yticks(range(len(weights)), _ticks(weights.index, 14))
    axes.set_xticks([0, values.shape[1] - 1], ["oldest", "origin"])
    axes.set_title(f"Each encoder reads its last {values.shape[1]} events", y=1)
    axes.set_xlabel("place in the history")
    axes.spines[:].set_visible(False)
    return axes


def predicted_values(axes: Axes, probabilities: np.ndarray, names: list, truth: int | None, title: str, most: int = 5) -> Axes:
    """The likeliest values of a category, and the true one, hatched (None: there is none); `names` are the values'."""
    if len(names) < len(probabilities) or truth is not None and not 0 <= truth < len(probabilities):
        raise InputError(f"values: {len(probabilities)} probabilities need a name each, and the true value is one of them; "
                         f"found {len(names)} names and {truth}")
    likely = [value for value in np.argsort(-probabilities, kind="stable")[:most] if probabilities[value] >= 0.005]
    if truth is not None and truth not in likely:
        likely = [*likely[:most - 1], truth]
    for y, value in enumerate(likely):
        true = value == truth
        axes.barh(y + 0.15, probabilities[value], height=0.4, color=GREEN if true else SKY, hatch="//" if true else "", edgecolor="white")
        axes.text(0.02, y - 0.08, f"{_as_is(names[value], 18)}  {probabilities[value]:.2f}{'  (true)' if true else ''}", va="bottom", fontsize=12)
    axes.set_ylim(most - 0.5, -0.5)
    axes.set_title(_as_is(title, 24), y=1, fontsize=13)
    return _finish(axes, xlabel="probability", xlim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[])


def live_losses(axes: Axes, train: pd.Series, validation: pd.Series, ceiling: float | None, floor: float | None, window: int) -> Axes:
    """A run under way: the train loss of each batch, its mean over the last `window` batches, and the validation loss.

    Both Series go by the epochs done, a batch being a part of one. The scale is logarithmic.
    """
    axes.plot(train.index, train, color=SKY, linewidth=0.8, alpha=0.7, label="train, each batch")
    axes.plot(train.index, train.rolling(window, min_periods=1).mean(), color=BLUE, label=f"train, mean of {window}")
    axes.plot(validation.index, validation, "s--", color=ORANGE, label="validation")
    for level, colour, name in ((ceiling, GREY, "ceiling"), (floor, GREEN, "floor")):
        if level is not None:
            axes.axhline(level, color=colour, linestyle=LEVELS[name], label=f"{name} {level:.3f}")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.1)
    axes.set_xlim(0, 1.01 * max([1, *np.ceil(train.index[-1:])]))
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.03), fontsize=12)
    axes.set_title("A run under way", y=1)
    return _finish(axes, xlabel="epochs done", ylabel="loss (nats), logarithmic")


def model_shapes(axes: Axes, streams: list[str], source: int, target: int, categories: int, d_model: int, values: int, carry: int = 1) -> Axes:
    """The network with the shape of what goes through it: B windows, the histories and the target above as given here.

    `values` counts the values of all categories together; `carry` is how many last vectors of a history go on.
    """
    S, height = len(streams), 0.62
    if not S or not 1 <= carry <= source:
        raise InputError(f"carry: must be 1 to {source}, the length of the histories, of at least one stream; found {carry} of {S} streams")
    rows = -0.78 * np.arange(S)
    top, bottom = rows[0] + height / 2, rows[-1] - height / 2
    given = bottom - 1.1

    def box(x, y, width, tall, text, colour):
        axes.add_patch(FancyBboxPatch((x, y - tall / 2), width, tall, boxstyle="round,pad=0,rounding_size=0.1", facecolor=colour + "33", edgecolor=colour, linewidth=1.8))
        axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=11.5)

    def arrow(x, to, y):
        axes.annotate("", (to, y), (x, y), arrowprops=dict(arrowstyle="-|>", color="#333333", linewidth=1.2, shrinkA=0, shrinkB=0))

    for y, stream in zip(rows, streams):
        box(0.0, y, 1.9, height, _as_is(stream, 14), GREY)
        arrow(1.9, 2.6, y)
        arrow(4.2, 4.9, y)
        box(4.9, y, 1.7, height, "encoder", BLUE)
        arrow(6.6, 7.3, y)
        for k in range(min(carry, 4)):  # more would not be told apart
            box(7.3 + 0.12 * k, y, 0.5, 0.6 * height, "", ORANGE)
        arrow(7.8 + 0.12 * (min(carry, 4) - 1), 9.1, y)
    box(2.6, (top + given - 0.4) / 2, 1.6, top - given + 0.4, "event\nembedding\n\nshared by\nall", GREEN)
    box(0.0, given, 1.9, 0.8, "origin and\ntarget so far", GREY)
    arrow(1.9, 2.6, given)
    arrow(4.2, 9.1, given)
    box(9.1, (top + bottom) / 2, 1.9, top - bottom, "decoder\n\ncross-attention\nreads the\nstates", PINK)
    box(9.1, given, 1.9, 0.8, "causal\nself-attention", PINK)
    axes.annotate("", (10.05, bottom), (10.05, given + 0.4), arrowprops=dict(arrowstyle="-|>", color="#333333", linewidth=1.2))
    arrow(11.0, 11.8, (top + bottom) / 2)
    box(11.8, (top + bottom) / 2, 1.4, top - bottom, f"{categories} heads\n\none per\ncategory", GREEN)
    heads = ((0.95, "histories", f"(B, {S}, {source}, {categories})"), (3.4, "vectors", f"(B, {S}, {source}, {d_model})"),
             (5.75, "encoded", f"(B, {S}, {source}, {d_model})"), (7.7, "states", f"(B, {S * carry}, {d_model})"),
             (10.05, "decoder vectors", f"(B, {target}, {d_model})"), (12.5, "logits", f"(B, {target}, {values})"))
    for x, what, shape in heads:
        axes.text(x, top + 0.55, what, ha="center", fontsize=12, fontweight="bold")
        axes.text(x, top + 0.2, shape, ha="center", fontsize=11.5, color=BLUE)
    for x, shape in ((0.95, f"(B, {target}, {categories})"), (6.65, f"(B, {target}, {d_model})")):
        axes.text(x, given - 0.75 if x < 1 else given + 0.15, shape, ha="center", fontsize=11.5, color=BLUE)
    axes.text(7.55, bottom - 0.35, f"carry = {carry}: only the last {'vector goes' if carry == 1 else f'{carry} vectors go'} on", ha="center", fontsize=11.5, color=ORANGE)
    axes.set(xlim=(-0.1, 13.4), ylim=(given - 0.9, top + 1), title="From histories to the next events")
    axes.axis("off")
    return axes


def right_or_wrong(axes: Axes, right: np.ndarray, names: list[str], title: str) -> Axes:
    """Which values of a forecast were right, (steps, categories): a square each, a cross where it was wrong."""
    steps, categories = right.shape
    if len(names) != categories:
        raise InputError(f"right or wrong: {categories} categories need as many names, found {len(names)}")
    axes.pcolormesh(np.arange(steps + 1) + 0.5, np.arange(categories + 1) - 0.5, right.T, cmap=ListedColormap([ORANGE, SKY + "66"]),
                    vmin=0, vmax=1, edgecolor="white", linewidth=1.5)
    wrong_step, wrong = np.nonzero(~right)
    axes.plot(wrong_step + 1, wrong, "x", color="black", markersize=7, markeredgewidth=1.8)
    for c, count in enumerate(right.sum(0)):
        axes.text(steps + 0.8, c, str(count), va="center", fontsize=12, fontweight="normal" if count == steps else "bold")
    axes.set_yticks(range(categories), _ticks(names))
    axes.set_xticks([1, *range(5, steps + 1, 5)])
    axes.set_ylim(categories - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.text(steps + 0.8, -0.8, "right", fontsize=11)
    axes.set(xlabel="step of the horizon (a cross: wrong)", title=title)
    return axes


def leak_alarm(axes: Axes, gaps: pd.DataFrame) -> Axes:
    """Gaps to the floor with three standard errors each side, from columns what, gap, standard_error; alarms stand out."""
    check_table(gaps, ("what", "gap", "standard_error"), "gaps to the floor")
    y, alarm = np.arange(len(gaps)), (gaps["gap"] + 3 * gaps["standard_error"] < 0).to_numpy()
    axes.axvline(0, color=GREEN, linestyle="--", label="floor")
    for rows, marker, colour, name in ((~alarm, "o", BLUE, "no alarm"), (alarm, "X", ORANGE, "below the floor: a leak")):
        if rows.any():
            axes.errorbar(gaps["gap"][rows], y[rows], xerr=3 * gaps["standard_error"][rows], fmt=marker, color=colour, label=name, markersize=9, capsize=4)
    axes.set_yticks(y, _ticks(gaps["what"], 60))
    axes.set_ylim(len(gaps) - 0.5, -0.5)  # not inverted: axes that share this one would turn it back
    axes.legend(frameon=False, fontsize=12)
    return _finish(axes, xlabel="gap to the floor, with three standard errors (nats)", title="Who is below the floor?")


def last_vectors(axes: Axes, streams: list[str], known: np.ndarray, carry: int) -> Axes:
    """Which vectors of the encoded histories go on to the decoder; `known` (streams, history) is False where padded."""
    S, T = known.shape
    if not 1 <= carry <= T or len(streams) != S:
        raise InputError(f"carry: must be 1 to {T}, the length of the histories, and each of {S} streams needs a name; "
                         f"found {carry} and {len(streams)} names")
    place, goes_on = np.arange(1 - T, 1), np.arange(T) >= T - carry
    size = 15 if carry < 8 else 9
    for there, colour, name in ((known & goes_on, ORANGE, "goes on"), (known & ~goes_on, "#bbbbbb", "encoded, stays behind"), (~known, "white", "padded, masked")):
        look = dict(color=colour, markeredgecolor=GREY, markersize=size, linestyle="none")
        s, t = np.nonzero(there)
        axes.plot(place[t], s, "s", label=name, **look)
        s, t = np.nonzero(there & goes_on)
        axes.plot(t - T + carry + 3, s, "s", **look)
    for s in range(S):
        axes.annotate("", (2.4, s), (0.6, s), arrowprops=dict(arrowstyle="-|>", color="#333333", linewidth=1.2))
    axes.text((1 - T) / 2, -0.9, f"encoded histories: {S} x {T} = {S * T} vectors", ha="center", va="bottom")
    axes.text(2.6, S - 0.2, f"the decoder's memory:\n{S} x {carry} = {S * carry} vectors", ha="left" if carry < 8 else "center", va="top")
    axes.set_yticks(range(S), _ticks(streams))
    axes.set_ylim(S + 0.9, -1.6)
    axes.set_xlim(0.2 - T, 3 + max(carry, 7))
    axes.set_xticks([1 - T, *range(5 * (-T // 5 + 1), 1, 5)])
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.14), ncols=3, fontsize=12)
    _finish(axes, xlabel="place in the history (0 is the origin)", title=f"What goes on when carry is {carry}")
    axes.grid(False)
    return axes


def curves(axes: Axes, table: pd.DataFrame, title: str, xlabel: str, ylabel: str, marks: dict[str, float] = {}) -> Axes:
    """A line for each column of a table over its index, and an upright line at each of `marks`. Blanks are left out."""
    colours = (BLUE, ORANGE, GREEN, PINK, SKY, GREY)
    for i, name in enumerate(table):
        column, dots = table[name].dropna(), "o^sDvP"[i % 6] if len(table) <= 40 else ""
        axes.plot(column.index, column, dots + ("-", "--", "-.")[i % 3], color=colours[i % 6], label=_as_is(name, 60))
    for i, (name, x) in enumerate(marks.items()):
        axes.axvline(x, color="#333333", linestyle=(":", "--", "-.")[i % 3], linewidth=1.8, label=_as_is(name, 60))
    if pd.api.types.is_integer_dtype(table.index):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(table.columns) + len(marks) > 1:
        axes.legend(frameon=False, fontsize=12)
    return _finish(axes, xlabel=xlabel, ylabel=ylabel, title=title)


def runs_against_the_first(axes: Axes, table: pd.DataFrame, title: str) -> Axes:
    """How far each of several runs lies from a first one, category by category, with two standard errors each side.

    Columns run, category, difference and standard_error, in nats.
    """
    check_table(table, ("run", "category", "difference", "standard_error"), "differences to the first run")
    names = list(dict.fromkeys(table["category"]))
    runs = list(dict.fromkeys(table["run"]))
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1.5)
    for i, run in enumerate(runs):
        rows = table[table["run"] == run]
        y = np.array([names.index(name) for name in rows["category"]]) + 0.24 * (i - (len(runs) - 1) / 2)
        axes.errorbar(rows["difference"], y, xerr=2 * rows["standard_error"], fmt="osD^"[i % 4], color=(BLUE, ORANGE, GREEN, PINK)[i % 4], label=_as_is(run, 60), capsize=3)
    axes.set_yticks(range(len(names)), _ticks(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.35, -0.1), ncols=4, fontsize=12)
    return _finish(axes, xlabel="difference in loss (nats), with two standard errors", title=title)


def stream_heat(axes: Axes, values: pd.DataFrame, shown: pd.DataFrame | None = None, top: float | None = None, unit: str = "nats", **labels) -> Axes:
    """A row a stream. `shown` says which values are written in (those of at least 0.05, where None); below 0 counts as 0.

    The colours go by the square root, so that small values are told from nothing; `top` is where they are darkest.
    """
    check_table(values, (), "heat")
    texts = values.map("{:.2f}".format).replace("^0", "", regex=True).where(values >= 0.05 if shown is None else shown, "")
    values = values.rename(index=_as_is, columns=_as_is)
    sns.heatmap(values.clip(lower=0), ax=axes, annot=texts.to_numpy(), fmt="", cmap="Blues", norm=PowerNorm(0.5, 0, top or values.to_numpy().max()),
                linewidths=1, linecolor="#eeeeee", annot_kws={"size": 11}, cbar_kws={"label": unit, "pad": 0.01})
    axes.tick_params(length=0)
    axes.tick_params("y", rotation=0)
    if max(len(str(name)) for name in values) > 6:
        axes.tick_params("x", rotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set(**{"xlabel": "", "ylabel": ""} | labels)
    return axes


def speed_by_batch(axes: Axes, table: pd.DataFrame) -> Axes:
    """Windows per second of each form of the network by batch, from the benchmark's table: a colour per form, a line per width."""
    rows = table[table["part"] == "forms"]
    for (name, of_form), colour, marker in zip(rows.groupby("name", sort=False), _COLOURS, _MARKERS):
        for (d_model, line), style in zip(of_form.groupby("d_model"), ("-", "--", ":")):
            axes.plot(line["batch"].astype(int), line["value"], style, marker=marker, color=colour, label=f"{name}, {int(d_model)}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batches := sorted(set(rows["batch"].astype(int))), batches)
    axes.legend(frameon=False, fontsize=11, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, title="form, d_model")
    return _finish(axes, xlabel="windows in a batch", ylabel="windows per second", title="A training step in three forms")


def growth(axes: Axes, table: pd.DataFrame) -> Axes:
    """A step's time as one thing grows, both as multiples of the least, from the benchmark's table; dotted: in proportion."""
    rows, most = table[table["part"] == "growth"], 1.0
    for (name, line), colour, marker in zip(rows.groupby("name", sort=False), _COLOURS, _MARKERS):
        size = line["size"].astype(float) / float(line["size"].iloc[0])
        axes.plot(size, line["value"] / line["value"].iloc[0], "-", marker=marker, color=colour, label=f"{name}, from {int(line['size'].iloc[0])}")
        most = max(most, size.max())
    axes.plot([1, most], [1, most], ":", color=GREY, label="in proportion")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=12)
    return _finish(axes, xlabel="times as large", ylabel="times as long", title="How a step grows")
