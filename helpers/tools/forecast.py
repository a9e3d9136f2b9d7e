"""Forecasts how the sequences of a trained run's log go on, and writes that as a table.

    python -m helpers.tools.forecast build/runs/my/config.json --out forecasts.csv
        [--since 2024-06-01] [--steps 2] [--samples 500]

Nothing tells which sequences have ended. So all of them are forecast, each from its last event on;
--since leaves out those in which nothing has happened since that day.

It never trains. A run belongs to its log as it was, and when events have come it is trained anew:
a job for every night is

    python -m helpers.tools.train build/runs/my/config.json --replace
    python -m helpers.tools.forecast build/runs/my/config.json --out forecasts.csv

The table has a row for each sequence and each step ahead. Futures are drawn; of each category it
has the value that most of them have at this step, blank where that is unknown, and as <category>_p
the share of the futures that have it. Where a category tells the time since the event before, its
quantiles are <category>_seconds_10, _50 and _90: the median, and the ends of the 80 % interval.
"""

from __future__ import annotations

import argparse
import shlex
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from helpers.events import TEST, Log
from helpers.schema import WORKPLACE, read_mapping
from helpers.support.checkpoints import find_run, load_run
from helpers.support.commands import check_output, parse_arguments, run_command
from helpers.support.durations import QUANTILES, find_elapsed, read_quantiles
from helpers.support.errors import InputError
from helpers.support.files import DATA, STORED, write_table
from helpers.support.log_files import read_frame
from helpers.support.notes import Notes
from helpers.tools import train
from helpers.training import Config, Trainer, read_config
from helpers.uses.forecast import sample
from helpers.windows import Batch, Windows

AT_ONCE = 64  # sequences


def read_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, dict]:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.forecast",
        description="Forecasts how the sequences of a trained run's log go on.",
    )
    add = parser.add_argument
    add("--out", required=True, metavar="CSV", help="where the forecasts go")
    add("--steps", type=int, metavar="N", help="events ahead; all that the run forecasts")
    add("--samples", type=int, default=100, metavar="N", help="futures of each; %(default)s")
    add("--seed", type=int, default=0, metavar="N", help="of the draw; %(default)s")
    add("--since", metavar="DATE", help="only sequences that had an event on this day or later")
    return parse_arguments(parser, arguments, "a trained run's configuration in JSON")


def main(arguments: list[str] | None = None) -> None:
    given, changes = read_arguments(arguments)
    if train.is_log(given.config):
        raise InputError(
            f"{given.config}: is no configuration; give the config.json that {train.COMMAND} "
            f"writes into the run's folder"
        )
    config = read_config(given.config, changes)
    since = check_options(given, config)
    there = find_finished(config, given.config, changes)
    check_output("--out", given.out, [*train.list_inputs(config, given.config), there])

    run = load_finished(config, given.config, there)
    origins = list_origins(run.data.log, since)
    table = forecast(run, origins, given.steps or config.tgt_seq_len, given.samples, given.seed)
    write_table(given.out, table)
    print(f"{len(origins)} sequences, {len(table) // len(origins)} steps of each: {given.out}")


def check_options(given: argparse.Namespace, config: Config) -> np.datetime64 | None:
    """Refuses what cannot be forecast before anything is read; the day that --since says."""
    most = config.tgt_seq_len
    if given.steps is not None and not 1 <= given.steps <= most:
        raise InputError(f"--steps {given.steps}: must be 1 to {most}, the run's tgt_seq_len")
    if given.samples < 1:
        raise InputError(f"--samples {given.samples}: must be at least 1")
    if not 0 <= given.seed < 2**63:
        raise InputError(f"--seed {given.seed}: must be at least 0, and below 2 ** 63")
    if given.since is None:
        return None
    try:
        return np.datetime64(date.fromisoformat(given.since))
    except ValueError:
        raise InputError(f"--since {given.since}: is no date; write it as 2024-01-31") from None


# -- the run


def tell_training(path: str) -> str:
    return f"{train.COMMAND} {shlex.quote(path)}"


def find_finished(config: Config, path: str, changes: dict) -> Path:
    """The checkpoint in the run's folder, or else the one that comes with the course."""
    there = find_run(config.out)
    if there is None and not changes:
        there = find_run(STORED / Path(path).stem)
    if there is None:
        raise InputError(f"{config.out}: holds no run; train it first, by {tell_training(path)}")
    return there


def load_finished(config: Config, path: str, there: Path) -> Trainer:
    run = Trainer(config, progress=False)
    try:
        load_run(run, there)
    except InputError as error:
        raise InputError(f"{error}; or train anew by {tell_training(path)} --replace") from None
    if run.epochs_done < config.epochs:
        raise InputError(
            f"{there}: {run.epochs_done} of {config.epochs} epochs are trained; go on by "
            f"{tell_training(path)} --go-on"
        )
    return run


# -- the sequences


def list_origins(log: Log, since: np.datetime64 | None) -> np.ndarray:
    """The last event of each sequence, by event number, of those that had one since then."""
    last = len(log) - 1 - np.unique(log.sequence[::-1], return_index=True)[1]
    origins = last if since is None else last[log.time[last] >= since]
    if not len(origins):
        raise InputError(
            f"--since {since}: no sequence has an event since; the log's last one is of "
            f"{str(log.time[-1])[:10]}, name an earlier day"
        )
    return origins


def list_names(run: Trainer, events: np.ndarray) -> list[str]:
    """The names in the log of the sequences of these events.

    A `Log` has but the place of an event among the file's rows that are events, so these are read
    again, as it was read.
    """
    mapping = read_mapping(run.config.mapping) if run.config.mapping else WORKPLACE
    path = run.config.log or DATA / "workplace.csv.gz"
    names = read_frame(mapping, Notes(path))[0][mapping.sequence].astype(str)
    rows = names[~names.index.duplicated()].sort_index()  # two events may be of one row
    return rows.iloc[run.data.log.row[events]].tolist()


def make_batch(windows: Windows, origins: np.ndarray) -> Batch:
    """Windows of any origins, the last of a sequence too: without a target, U = 1."""
    places = torch.from_numpy(windows.history_index(origins))  # (B, S, T)
    given = windows.table[torch.from_numpy(origins)][:, None]
    event = torch.full(given.shape[:2], len(windows.log))
    known = places != len(windows.log)
    return Batch(windows.table[places], known, given, given * 0, event < 0, event)


# -- the table


def forecast(
    run: Trainer, origins: np.ndarray, steps: int, samples: int, seed: int
) -> pd.DataFrame:
    """The table that the command writes, see above: a row for each origin and step."""
    windows, device, parts = run.data.windows[TEST], run.config.device, []
    generator = torch.Generator(device).manual_seed(seed)
    names = np.array(list_names(run, origins), object)
    with run.forecaster() as model, tqdm(total=len(origins), unit="sequence") as bar:
        for start in range(0, len(origins), AT_ONCE):
            some = origins[start : start + AT_ONCE]
            batch = make_batch(windows, some).to(device)
            events = sample(model, batch, samples, generator, steps).cpu()
            parts.append(tell_futures(events, run.data.log))
            bar.update(len(some))
    ahead = np.tile(np.arange(1, steps + 1), len(names))
    first = pd.DataFrame({"sequence": np.repeat(names, steps), "ahead": ahead})
    table = pd.concat([first, pd.concat(parts, ignore_index=True)], axis=1)
    return table.set_axis(tell_apart(list(table)), axis=1)


def tell_futures(events: Tensor, log: Log) -> pd.DataFrame:
    """What N futures, (B, N, U, C), say together: a row for each window and step."""
    columns, elapsed = [], find_elapsed(log.categories)
    for c, category in enumerate(log.categories):
        p = count_shares(events[..., c], category.size)
        words = np.full(category.size, None, object)  # not all integers need have a value
        vocabulary = log.vocabularies[category.name]
        words[: len(vocabulary)] = vocabulary
        columns += [(category.name, words[p.argmax(1)]), (f"{category.name}_p", p.max(1).round(4))]
        if c == elapsed:
            seconds = read_seconds(p[:, 1:]).T
            for share, one in zip(QUANTILES, seconds, strict=True):
                columns.append((f"{category.name}_seconds_{share * 100:.0f}", one))
    names, values = zip(*columns, strict=True)
    return pd.DataFrame(dict(enumerate(values))).set_axis(names, axis=1)


def count_shares(values: Tensor, size: int) -> np.ndarray:
    """In what share of the futures each value comes: (B, N, U) -> (B * U, size)."""
    B, N, U = values.shape
    counts = torch.zeros(B, size, U, dtype=torch.float64)
    counts.scatter_add_(1, values.long(), torch.ones_like(values, dtype=torch.float64))
    return (counts / N).transpose(1, 2).flatten(0, 1).numpy()


def read_seconds(p: np.ndarray) -> np.ndarray:
    """QUANTILES of a time whose bins have these shares, (rows, BINS): (rows, 3) seconds.

    NaN where no future has such a time.
    """
    seconds, some = np.full((len(p), len(QUANTILES)), np.nan), p.any(1)
    seconds[some] = read_quantiles(p[some]).round(1)
    return seconds


def tell_apart(names: list[str]) -> list[str]:
    """The names, with underscores where one stands before it already, so that all differ."""
    apart: list[str] = []
    for name in names:
        while name in apart:
            name += "_"
        apart.append(name)
    return apart


if __name__ == "__main__":
    run_command(main, "stopped; no forecast is written")
