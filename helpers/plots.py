"""One function per figure: data in, axes out. Colours are Okabe and Ito's (2008), told apart by colour-blind readers."""
from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from helpers.events import Log

BLUE, ORANGE, GREEN, PINK, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#777777"


def _finish(axes: Axes, **labels) -> Axes:
    axes.set(**labels)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def loss_per_epoch(axes: Axes, epochs: pd.DataFrame) -> Axes:
    """Train and validation loss by epoch, the best epoch marked, from columns epoch, train, validation, best."""
    axes.plot(epochs["epoch"], epochs["train"], "o-", label="train", color=BLUE)
    axes.plot(epochs["epoch"], epochs["validation"], "s--", label="validation", color=ORANGE)
    best = epochs[epochs["best"]]
    axes.plot(best["epoch"], best["validation"], "*", markersize=18, color=GREEN, label=f"best, epoch {best['epoch'].iloc[0]}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return _finish(axes, xlabel="epoch", ylabel="loss (nats)", title="Loss per epoch")


def histories(axes: Axes, log: Log, index: np.ndarray, origin: int) -> Axes:
    """The histories (streams, history) of one origin on a timeline; places that name no event are padding."""
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
    axes.set_yticks(range(len(index)), [stream.name for stream in log.streams])
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower left")
    return _finish(axes, xlabel="hours before the origin (logarithmic)", title=f"The last {index.shape[1]} events in each stream")


def _span(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def category_ladder(axes: Axes, report: pd.DataFrame) -> Axes:
    """Each category's ceiling, best baseline, model and floor, from a category report; hardest at the top."""
    rows = report[report["category"] != "mean"].sort_values("model").reset_index(drop=True)
    baseline = rows[["marginal", "copy_last", "markov"]].min(axis=1)
    y = np.arange(len(rows))
    axes.hlines(y, rows["floor"].fillna(rows["model"]), rows["ceiling"], color="#cccccc", zorder=0)
    for values, marker, colour, name in ((rows["ceiling"], "|", GREY, "ceiling: guessing"), (baseline, "D", ORANGE, "best baseline"),
                                         (rows["model"], "o", BLUE, "model"), (rows["floor"], "|", GREEN, "floor: nothing beats it")):
        axes.plot(values, y, marker, color=colour, label=name, markersize=15 if marker == "|" else 8, markeredgewidth=3 if marker == "|" else 1)
    axes.set_yticks(y, rows["category"])
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.35, -0.1), ncols=4, fontsize=12)
    return _finish(axes, xlabel="loss (nats)", title="What each category could lose, and does")


def category_ranges(axes: Axes, ranges: pd.DataFrame) -> Axes:
    """The least and greatest loss of each category over the epochs, from columns category, min, max."""
    rows = ranges.sort_values("max").reset_index(drop=True)
    axes.hlines(rows.index, rows["min"], rows["max"], color=BLUE, linewidth=7)
    axes.set_yticks(rows.index, rows["category"])
    return _finish(axes, xlabel="validation loss over the epochs (nats)", title="Ranges of loss by category")


def gradient_norms(axes: Axes, norms: pd.DataFrame) -> Axes:
    """The norm of each stream's gradients by epoch: a row an epoch, a column a stream."""
    colours = (BLUE, ORANGE, GREEN, PINK, SKY, GREY, "#000000", "#E69F00")
    for i, stream in enumerate(norms):
        axes.plot(norms.index, norms[stream], "o^sDvPX*"[i % 8] + "-", color=colours[i % 8], label=stream)
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
