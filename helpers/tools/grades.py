"""Grades what the working run is used for, beside those who know more and less than it does.

    python -m helpers.tools.grades [--out data/grades.csv]

Notebook 08 shows the same on smaller samples; suffixes are graded by `helpers.tools.suffixes`. Some
ten minutes on one core. A row of the table is one number: the use, what it was graded on, who was
graded, the measure, its value, and where it is known the standard error.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from helpers.events import TEST, TRAIN
from helpers.support.commands import check_output, run_command
from helpers.support.files import DATA, write_table
from helpers.tools.train import list_inputs
from helpers.training import Trainer, finished_run, read_config
from helpers.uses.chain import fit_chain, joint_losses
from helpers.uses.forecast import beam_search, roll_out, sample
from helpers.uses.futures import Habits, plant, possible, read_habits, true_scores
from helpers.uses.hours import forecast_shifts, grade_calibration, grade_hours, pick_apart
from helpers.uses.odd_events import (
    grade_odd_events,
    network_scores,
    pick_events,
    reader_scores,
    table_scores,
)
from helpers.uses.states import grade_probes, grade_substitutes, list_plans
from helpers.uses.what_if import grade_what_if
from helpers.windows import pick_evenly
from helpers.world import KEYS

RUN = DATA / "working_run.json"
COLUMNS = ["use", "case", "who", "measure", "value", "error"]


def grade_events(run: Trainer, models: dict[str, nn.Module], habits: Habits) -> pd.DataFrame:
    """-ln p of whole events, and how many of those that are drawn cannot happen."""
    windows, rows = run.data.windows[TEST], []
    batch = windows.batch(pick_evenly(windows.origins, 500))
    for who, model in models.items():
        losses = joint_losses(model, batch)
        rows.append(("next 20 events", who, "-ln p of an event", losses.mean().item()))
    origins = pick_evenly(windows.origins, 200)
    batch = windows.batch(origins)
    draw = partial(sample, samples=10, generator=torch.Generator().manual_seed(0))
    ways = {
        "temperature 1": draw,
        "temperature 0.5": partial(draw, temperature=0.5),
        "top-p 0.9": partial(draw, top_p=0.9),
        "greedy": lambda model, batch: roll_out(model, batch)[:, None],
        "beam of 8": lambda model, batch: beam_search(model, batch, 8)[0][:, :1],
    }
    for who, model in models.items():
        for way, forecast in ways.items():
            found, judged = possible(run.data.log, origins, forecast(model, batch).numpy())
            rows.append((way, who, "cannot happen", 1 - found[judged].mean()))
            rows.append((way, who, "futures with such an event", 1 - found.all(-1).mean()))
    return pd.DataFrame(rows, columns=COLUMNS[1:-1])


def grade_forecasts(run: Trainer, models: dict[str, nn.Module], habits: Habits) -> pd.DataFrame:
    """How sure forecasts of the next shift's length are, and of hours still to be paid how good."""
    windows, chain = run.data.windows[TEST], models["chain"]
    forecasts, truth = forecast_shifts(chain, windows, habits, pick_apart(windows, 400), 39)
    shifts = grade_calibration(forecasts, truth).assign(case="next shift")
    days = np.arange("2023-05-03", "2023-09-12", 4, dtype="datetime64[D]")
    noons = list(days + np.timedelta64(12, "h"))
    hours = grade_hours(chain, windows, habits, noons, 19, days=2)
    when = hours["ahead"].map({0: "today", 1: "tomorrow"})
    hours = hours.assign(case=hours["by"] + ", " + when)
    crps = hours.assign(measure="crps", value=hours["crps"], error=np.nan)
    behind = hours.assign(measure="behind the simulator", value=hours["behind"])
    return pd.concat([shifts, crps, behind])


def grade_states(run: Trainer, models: dict[str, nn.Module], habits: Habits) -> pd.DataFrame:
    """Who could take over a shift, and what each state remembers."""
    windows = run.data.windows
    picked = grade_substitutes(models["network"], windows[TEST], habits, 400).set_index("way")
    errors = picked.filter(like="_error").rename(columns=lambda name: name.removesuffix("_error"))
    values = picked.drop(columns=[*picked.filter(like="_error"), "shifts"])
    picked = flatten(values, errors).assign(case="substitute")
    probes = grade_probes(models["network"], windows, habits, 12_000, 3000, 6000)
    probes["case"] = "habit of " + probes["habit"]
    probes["who"] = "state of " + probes["state"]
    rows = []
    for measure in ("accuracy", "loss", "reader_accuracy", "reader_loss"):
        error = probes.get(f"{measure}_error", np.nan)
        rows.append(probes.assign(measure=measure, value=probes[measure], error=error))
    return pd.concat([picked, *rows])


def flatten(values: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell: columns who, measure, value and, where there is one, error."""
    long = values.rename_axis("who").melt(ignore_index=False, var_name="measure").reset_index()
    of_cell = errors.rename_axis("who").melt(ignore_index=False, var_name="measure")
    of_cell = of_cell.rename(columns={"value": "error"}).reset_index()
    return long.merge(of_cell, how="left", on=["who", "measure"])


def grade_scores(run: Trainer, models: dict[str, nn.Module], habits: Habits) -> pd.DataFrame:
    """How well odd events are found, at two rates."""
    windows, log = run.data.windows[TEST], run.data.log
    rng = np.random.default_rng(0)
    table, kinds = plant(log, habits, 0.02, rng)
    events = pick_events(windows, kinds, 5000, rng)
    judges = {who: network_scores(one, windows, table, events) for who, one in models.items()}
    judges["table"] = table_scores(log, table, events)
    judges["exact reader"] = reader_scores(windows, table, events)
    judges["simulator"] = true_scores(log, habits, table, events)
    rankings = {}
    for who, (scores, expected) in judges.items():
        if scores.ndim == 2:  # of each category
            rankings[f"{who}, one category"] = (scores - expected).max(1)
            scores, expected = scores.sum(1), expected.sum(1)
        rankings |= {f"{who}, -ln p": scores, f"{who}, above expected": scores - expected}
    parts = []
    for rate in (0.01, 0.002):
        grades = grade_odd_events(rankings, kinds[events], rate, 10, np.random.default_rng(0))
        parts.append(flatten(*grades).assign(case=f"odd: {rate:.1%}"))
    return pd.concat(parts)


def grade_changes(run: Trainer, models: dict[str, nn.Module], habits: Habits) -> pd.DataFrame:
    """How far forecasts after a change are from the simulator's."""
    windows, parts = run.data.windows[TEST], []
    origins = pick_evenly(list_plans(windows), 400)
    for category in KEYS.values():
        if category == "RecipientRecordId":
            continue  # whose next events are asked for stays
        rng = np.random.default_rng(0)
        table = grade_what_if(models["chain"], windows, habits, origins, category, rng)
        error = table[["error"]].rename(columns={"error": "changed"})
        parts.append(flatten(table.drop(columns="error"), error).assign(case=category))
    return pd.concat(parts)


USES = {
    "events": grade_events,
    "hours": grade_forecasts,
    "states": grade_states,
    "odd events": grade_scores,
    "what if": grade_changes,
}


def measure() -> pd.DataFrame:
    """The table, with the columns `COLUMNS`."""
    run, habits, parts = finished_run(RUN), read_habits(), []
    with run.forecaster() as network:
        models = {"network": network, "chain": fit_chain(network, run.data.windows[TRAIN])}
        for use, grade in tqdm(USES.items(), "grading", unit="use", leave=False):
            parts.append(grade(run, models, habits).assign(use=use))
    return pd.concat(parts).reindex(columns=COLUMNS)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.grades",
        description="Grades what the working run is used for.",
    )
    parser.add_argument("--out", default=DATA / "grades.csv", metavar="CSV", help="%(default)s")
    given = parser.parse_args(arguments)
    check_output("--out", given.out, list_inputs(read_config(RUN), RUN))
    table = measure()
    write_table(given.out, table.round(5))
    for use, rows in table.groupby("use", sort=False):
        wide = rows.pivot(index=["case", "who"], columns="measure", values="value")
        print(f"\n{use}\n{wide.to_string(float_format='{:.3f}'.format, na_rep='')}")
    print(f"\nEverything is in {Path(given.out)}.")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
