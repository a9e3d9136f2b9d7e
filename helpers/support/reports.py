"""The tables of an evaluation: by category, where habits decide, and all questions in one.

A gap, model - floor, has two parts: what nobody could know from the histories (reader - floor) and
what the model could have known (model - reader).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.support.baselines import BASELINES
from helpers.support.errors import InputError

FIRST = ("question", "stream", "category", "size", "decisions")  # what a row is of
LEVELS = (*BASELINES, "reader_own", "reader", "model", "floor")  # beside the ceiling


def report(evaluation, step: int | None = None) -> pd.DataFrame:
    """A row a category and a last one of means, over all steps or at one step of the horizon."""
    steps = slice(None) if step is None else pick_step(evaluation, step)
    counted = evaluation.counted[:, steps]
    means = {name: one[:, steps][counted].mean(0, float) for name, one in evaluation.losses.items()}
    sizes = [category.size for category in evaluation.log.categories]
    table = pd.DataFrame({"category": [category.name for category in evaluation.log.categories]})
    table["size"], table["ceiling"] = sizes, np.log(sizes)
    table = add_levels(table, means)
    table["accuracy"] = evaluation.correct[:, steps][counted].mean(0)
    mean = {"category": "mean"} | dict(table.drop(columns=["category", "size"]).mean())
    return pd.concat([table, pd.DataFrame([mean])], ignore_index=True).astype({"size": "Int64"})


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
    """The report over all steps and at the next event, and the decisions there, one below another.

    The first column, `question`, says which; a log without a simulator has no decisions.
    """
    tables = {"all steps": report(evaluation), "next event": report(evaluation, 1)}
    if evaluation.deciders is not None and evaluation.deciders[:, 0].any():
        tables["where a habit decides"] = decisions(evaluation, streams, 1)
    for question, table in tables.items():
        table.insert(0, "question", question)
    whole = pd.concat(tables.values(), ignore_index=True)
    first = [name for name in FIRST if name in whole]
    return whole[[*first, *whole.columns.difference(first, sort=False)]]


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
