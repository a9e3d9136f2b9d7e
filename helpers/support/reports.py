"""The tables of an evaluation: by category, where habits decide, and all questions in one.

A gap, model - floor, has two parts: what nobody could know from the histories (reader - floor) and
what the model could have known (model - reader).

Beside its losses a report has accuracies, how often the most likely value was the true one: of the
model, and of each baseline as accuracy_<name>. Whether the model is worth more than a table:

best            the baseline that loses least
error           standard error of the difference between the model's loss and that one's
accuracy_error  the same of the accuracies of the model and of the most accurate baseline
behind          whether the model loses more than the best by over LEAST nats and two standard
                errors, or is less accurate than the most accurate by over LEAST

And of the true values:

unseen          the share that has no integer of its own, as training has it never or too seldom
unknown         the share that is 0: unseen, blank or not applicable
names           whether they are names, not numbers or times
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.support.baselines import BASELINES
from helpers.support.errors import InputError

ACCURACIES = [f"accuracy_{name}" for name in BASELINES]
LEAST = 0.005  # a difference in nats or accuracy that is worth a word
FIRST = ("question", "stream", "category", "size", "decisions")  # what a row is of
LEVELS = (*BASELINES, "reader_own", "reader", "model", "floor")  # beside the ceiling


def report(evaluation, step: int | None = None) -> pd.DataFrame:
    """A row a category and a last one of means, over all steps or at one step of the horizon."""
    log, steps = evaluation.log, slice(None) if step is None else pick_step(evaluation, step)
    counted = evaluation.counted[:, steps]

    def mean(one: np.ndarray) -> np.ndarray:  # (N, U, C) -> (C,)
        return one[:, steps][counted].astype(float).mean(0)

    sizes = [category.size for category in log.categories]
    table = pd.DataFrame({"category": [category.name for category in log.categories]})
    table["size"], table["ceiling"] = sizes, np.log(sizes)
    table = add_levels(table, {name: mean(one) for name, one in evaluation.losses.items()})
    table["accuracy"] = mean(evaluation.correct)
    for name, column in zip(BASELINES, ACCURACIES, strict=True):
        right = evaluation.baseline_correct.get(name)
        table[column] = np.nan if right is None else mean(right)
    table[["unseen", "unknown"]] = share_unknown(log, evaluation.event[:, steps][counted])
    last = {"category": "mean"} | dict(table.drop(columns=["category", "size"]).mean())
    table = pd.concat([table, pd.DataFrame([last])], ignore_index=True).astype({"size": "Int64"})
    table = add_rivals(table, evaluation, steps)
    table["names"] = [*list_names(log), False]
    return table


def list_names(log) -> list[bool]:
    """Of each category of a `Log`, whether its values are names, not numbers or times."""
    values = [log.vocabularies.get(category.name) or [None] for category in log.categories]
    return [isinstance(one[-1], str) for one in values]


def share_unknown(log, events: np.ndarray) -> np.ndarray:
    """Of events of a `Log`, the shares whose value is unseen, and unknown: (C, 2)."""
    return np.stack([log.unseen[events].mean(0), (log.table[events] == 0).mean(0)], 1)


def add_rivals(table: pd.DataFrame, evaluation, steps: slice) -> pd.DataFrame:
    """Adds what the model is to the best baselines, in each row; the last is of the means."""
    losses, right = evaluation.losses, evaluation.baseline_correct
    lost, missed = table[list(BASELINES)], 1 - table[ACCURACIES].set_axis(BASELINES, axis=1)
    table["best"], table["error"] = find_best(lost, losses, losses["model"], evaluation, steps)
    _, table["accuracy_error"] = find_best(missed, right, evaluation.correct, evaluation, steps)
    loses = table["model"] - lost.min(axis=1) > np.maximum(2 * table["error"], LEAST)
    misses = table[ACCURACIES].max(axis=1) - table["accuracy"] > LEAST
    table["behind"] = loses | misses
    return table


def find_best(
    levels: pd.DataFrame, theirs: dict, ours: np.ndarray, evaluation, steps: slice
) -> tuple[pd.Series, np.ndarray]:
    """Each row's baseline of the lowest level, and the standard error of ours less its own.

    theirs, ours: what the levels are means of, (N, U, C)
    """
    if levels.isna().all(axis=None):
        return pd.Series(None, levels.index, object), np.full(len(levels), np.nan)

    def of_row(one: np.ndarray, c: int) -> np.ndarray:  # (N, U), in the last row a mean
        one = one[:, steps]
        return one[..., c] if c < one.shape[-1] else one.mean(-1, float)

    best, counted = levels.idxmin(axis=1), evaluation.counted[:, steps, None]
    difference = np.empty((*counted.shape[:2], len(best)))  # (N, U, rows)
    for c, name in enumerate(best):
        np.subtract(of_row(ours, c), of_row(theirs[name], c), out=difference[..., c], dtype=float)
    units = evaluation.sequence
    if len(np.unique(units)) == 1:  # of a single sequence the windows are all there is to tell by
        units = np.arange(len(units))
    return best, standard_error(difference, counted, units)


def decisions(evaluation, streams: list[str], step: int) -> pd.DataFrame:
    """A row for each stream whose habit decides something at this step, and a last one of means.

    streams: names of the simulator's streams, which the deciders are numbers of

    `decisions` counts them; the losses are of the category that was decided, and of those events
    alone. `recovered` is the share that the model has of what all streams tell the exact reader
    beyond the sequence's own: (reader_own - model) / (reader_own - reader).
    """
    if evaluation.deciders is None:
        raise InputError("decisions: nobody knows what decided the events of a log of one's own")
    steps = pick_step(evaluation, step)
    deciders = evaluation.deciders[:, steps]  # (N, 1, C)
    measured = evaluation.losses | {"accuracy": evaluation.correct}
    rows = []
    for number, name in enumerate(streams, 1):
        ours = deciders == number
        if ours.any():
            (place,) = np.flatnonzero(ours.any((0, 1)))  # a habit decides one category
            category = evaluation.log.categories[place]
            row = {"stream": name, "category": category.name, "decisions": int(ours.sum())}
            row["ceiling"] = np.log(category.size)
            rows.append(
                row | {key: one[:, steps][ours].mean(0, float) for key, one in measured.items()}
            )
    if not rows:
        raise InputError(
            f"decisions: no habit decides anything at step {step} of these windows; give more"
        )
    table = pd.DataFrame(rows)
    accuracy = table.pop("accuracy")
    table = add_levels(table, {key: table.pop(key) for key in evaluation.losses})
    # Of a habit of the sequence's own stream, that stream tells all: nothing is to be recovered.
    room = (table["reader_own"] - table["reader"]).where(lambda nats: nats > 0.05)
    table["recovered"] = (table["reader_own"] - table["model"]) / room
    table["accuracy"] = accuracy
    mean = {"stream": "mean", "decisions": table["decisions"].sum()}
    mean |= dict(table.drop(columns=["stream", "category", "decisions"]).mean())
    return pd.concat([table, pd.DataFrame([mean])], ignore_index=True)


def add_levels(table: pd.DataFrame, means: dict) -> pd.DataFrame:
    """Adds a column for each level, blank where it is not known, and the gap with its two parts."""
    for name in LEVELS:
        table[name] = means.get(name, np.nan)
    table["gap"] = table["model"] - table["floor"]
    table["unknowable"] = table["reader"] - table["floor"]
    table["unread"] = table["model"] - table["reader"]
    return table


def pick_step(evaluation, step: int) -> slice:
    horizon = evaluation.counted.shape[1]
    if not 1 <= step <= horizon:
        raise InputError(f"step: must be 1 to {horizon}, the windows' horizon, found {step}")
    return slice(step - 1, step)


def ask_three_questions(evaluation, streams: list[str]) -> pd.DataFrame:
    """The report at the next event and over all steps, and the decisions, one below another.

    The first column, `question`, says which; a log without a simulator has no decisions.
    """
    tables = {"next event": report(evaluation, 1), "all steps": report(evaluation)}
    if evaluation.deciders is not None and evaluation.deciders[:, 0].any():
        tables["where a habit decides"] = decisions(evaluation, streams, 1)
    for question, table in tables.items():
        table.insert(0, "question", question)
    whole = pd.concat(tables.values(), ignore_index=True)
    first = [name for name in FIRST if name in whole]
    return whole[[*first, *whole.columns.difference(first, sort=False)]]


def durations(evaluation) -> pd.DataFrame | None:
    """How good the forecasts of the time until the next event are; None where there is none.

    A row for the model and one for a table. The median's mean and median absolute error, the share
    of the true durations that lie in the 80 % interval, and its median width; in seconds.
    """
    if evaluation.durations is None:
        return None
    truth, rows = evaluation.durations["truth"], []
    for who in ("model", "table"):
        low, median, high = evaluation.durations[who].T
        error, inside = np.abs(median - truth), (low <= truth) & (truth <= high)
        rows.append((who, len(truth), error.mean(), np.median(error), inside.mean()))
        rows[-1] += (np.median(high - low),)
    columns = ["forecast", "events", "mean_error", "median_error", "coverage", "width"]
    return pd.DataFrame(rows, columns=columns)


def standard_error(difference: np.ndarray, counted: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    """Standard error of the mean of a (N, U, C) difference where it counts, per category: (C,).

    Windows of one sequence overlap, so the sequences are the units (clustered as in Liang and
    Zeger 1986). counted: (N, U, C) or (N, U, 1) bool; sequence: (N,)
    """
    steps = counted.sum((0, 1))
    mean = np.where(counted, difference, 0).sum((0, 1)) / steps
    residual = np.where(counted, difference - mean, 0).sum(1)  # (N, C)
    sums = pd.DataFrame(residual).groupby(sequence).sum().to_numpy()  # (sequences, C)
    return np.sqrt((sums**2).sum(0)) / steps
