"""Grades the forecasts of suffixes: how cases go on until their end, and how long it takes.

    python -m helpers.tools.suffixes [build/runs/my/config.json ...] [--out data/suffixes.csv]
        [--prefixes 200] [--samples 20]

Always of the working run on the built-in log, and of other trained runs by their configurations.
Their logs need an end of each sequence, which `helpers.uses.suffixes.add_ends` adds before a run is
trained. Beside each network stands a back-off table of its log, whose futures are made the same
way. The table is printed and stored; its columns are those of `grade_suffixes`, and the log.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from helpers.events import TEST
from helpers.support.commands import check_output, run_command
from helpers.support.errors import InputError
from helpers.support.files import DATA, write_table
from helpers.tools.forecast import find_finished, load_finished
from helpers.tools.train import list_inputs
from helpers.training import Config, Trainer, finished_run, read_config
from helpers.uses.suffixes import TableForecaster, find_ends, grade_suffixes

BUILT_IN = DATA / "working_run.json"


def name_log(config: Config) -> str:
    """A log's name, without its endings."""
    return Path(config.log or "workplace").name.split(".")[0]


def check_options(given: argparse.Namespace) -> list[Config]:
    """Refuses what cannot be graded before anything is read; the other runs' configurations."""
    for option in ("prefixes", "samples"):
        if getattr(given, option) < 1:
            raise InputError(f"--{option} {getattr(given, option)}: must be at least 1")
    configs, names = [read_config(path) for path in given.runs], ["workplace"]
    for path, config in zip(given.runs, configs, strict=True):
        name = name_log(config)
        if name in names:
            raise InputError(f"{path}: a log named '{name}' is in the table already; rename it")
        names.append(name)
    return configs


def grade(run: Trainer, prefixes: int, samples: int) -> pd.DataFrame:
    """The rows of one run: its network and the table, on the test part."""
    find_ends(run.data.log)  # better refused before tables are counted
    device, windows = run.config.device, run.data.windows[TEST]
    with run.forecaster() as model:
        forecasters = {"network": model, "table": TableForecaster(run.data.baselines)}
        table = grade_suffixes(forecasters, windows, prefixes, samples, device=device)
    table.insert(0, "log", name_log(run.config))
    return table


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.suffixes",
        description="Grades forecasts of suffixes: by greedy, beam and samples, against a table.",
    )
    add = parser.add_argument
    add("runs", nargs="*", metavar="FILE", help="configurations of trained runs of other logs")
    add("--out", default=DATA / "suffixes.csv", metavar="CSV", help="%(default)s")
    add("--prefixes", type=int, default=200, metavar="N", help="of each log; %(default)s")
    add("--samples", type=int, default=20, metavar="N", help="futures of each; %(default)s")
    given = parser.parse_args(arguments)
    configs, tables = check_options(given), []
    inputs = list_inputs(read_config(BUILT_IN), BUILT_IN)
    there = [find_finished(*one, {}) for one in zip(configs, given.runs, strict=True)]
    for config, path in zip(configs, given.runs, strict=True):
        inputs += list_inputs(config, path)
    check_output("--out", given.out, [*inputs, *there])

    runs = zip(configs, given.runs, there, strict=True)
    for run in (finished_run(BUILT_IN), *(load_finished(*one) for one in runs)):
        tables.append(grade(run, given.prefixes, given.samples))
        print(tables[-1].to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    write_table(given.out, pd.concat(tables).round(4))
    print(f"\nTimes in hours. Everything is in {given.out}.")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
