"""What can be known, and what is: the floor, the exact readers, the baselines and trained runs.

    python -m helpers.tools.decisions [data/working_run.json data/larger_run.json]
        [--out data/decisions.csv]

A reader of all streams, of all but one, and of the Recipient's alone are set beside the runs, over
all steps, at the next event, and there where each stream's habit decides. The table is printed and
stored, with the mean over the decisions of each step of the horizon, which is drawn beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import plots
from helpers.losses import Evaluation
from helpers.reader import read
from helpers.schema import WORKPLACE
from helpers.support.baselines import BASELINES
from helpers.support.commands import check_output, run_command
from helpers.support.errors import InputError
from helpers.support.files import DATA, Truth, write_figure, write_table
from helpers.tools.train import list_inputs
from helpers.training import TEST, Config, Data, finished_run, read_config
from helpers.windows import pick_evenly

WINDOWS = 8000  # of the test part, evenly spaced in time
STREAMS = list(WORKPLACE.streams)
RUNS = [DATA / "working_run.json", DATA / "larger_run.json"]


def ask(losses: np.ndarray, evaluation: Evaluation) -> dict[str, float]:
    """Mean losses by question: all steps, next event, each stream's decisions, decisions by step.

    losses: (N, U, C) nats on the evaluation's windows
    """
    counted, deciders = evaluation.counted, evaluation.deciders
    answers = {
        "all steps": losses[counted].mean(dtype=float),
        "next event": losses[:, 0][counted[:, 0]].mean(dtype=float),
    }
    at_next, *_ = by_step = [
        average_decisions(losses, deciders, u) for u in range(counted.shape[1])
    ]
    answers |= at_next | {"decisions": np.mean(list(at_next.values()))}
    for step, of_streams in enumerate(by_step, 1):
        answers[f"step {step}"] = np.mean(list(of_streams.values()))
    return answers


def average_decisions(losses: np.ndarray, deciders: np.ndarray, step: int) -> dict[str, float]:
    """The mean loss of each stream's decisions at a step, from 0, where it has some."""
    averages = {}
    for number, stream in enumerate(STREAMS, 1):
        if (ours := deciders[:, step] == number).any():
            averages[stream] = losses[:, step][ours].mean(dtype=float)
    return averages


def list_readers(data: Data, origins: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
    """Losses of the reader without each stream in turn: name -> (N, U, C) nats."""
    readers = {}
    for stream in STREAMS:
        rest = [name for name in STREAMS if name != stream]
        readers[f"without {stream}"] = read(data.windows[TEST], truth, rest, origins)
    return readers


def check_log(config: Config, path: Path) -> None:
    """Refuses a configuration whose runs cannot be asked; better told before they are trained."""
    if config.log or config.mapping or config.streams not in (None, STREAMS):
        raise InputError(
            f"{path}: decisions are known of the built-in log and its seven streams alone; "
            f"remove 'log', 'mapping' and 'streams'"
        )


def read_configs(paths: list[Path]) -> list[Config]:
    """The runs' configurations, refused where they cannot stand in one table."""
    configs, taken = [read_config(path) for path in paths], {"floor", "reader", *BASELINES}
    for config, path in zip(configs, paths, strict=True):
        check_log(config, path)
        for key in ("src_seq_len", "tgt_seq_len", "id_category_size"):
            if getattr(config, key) != getattr(configs[0], key):
                raise InputError(
                    f"{path}: '{key}' is not that of {paths[0]}; ask about them one by one"
                )
        if path.stem in taken:
            raise InputError(f"{path}: there is a '{path.stem}' in the table already; rename it")
        taken.add(path.stem)
    return configs


def check_outputs(given: argparse.Namespace) -> Path:
    """Refuses a table or picture in the place of what is read; returns the picture's place."""
    inputs = []
    for config, path in zip(read_configs(given.runs), given.runs, strict=True):
        inputs += list_inputs(config, path)
    check_output("--out", given.out, inputs)
    picture = Path(given.out).with_suffix(".png")
    if picture == Path(given.out):
        raise InputError(f"--out {given.out}: is where the picture goes; name it .csv")
    check_output("--out", picture, inputs)
    return picture


def measure(paths: list[Path]) -> pd.DataFrame:
    """Columns who, question and loss (nats)."""
    runs = [finished_run(path) for path in paths]
    data = runs[0].data
    origins = pick_evenly(data.windows[TEST].origins, WINDOWS)
    losses: dict[str, np.ndarray] = {}
    for path, run in zip(paths, runs, strict=True):
        evaluation = run.evaluation(origins=origins)
        losses[path.stem] = evaluation.losses["model"]
    theirs = evaluation.losses
    losses = {"floor": theirs["floor"], "reader": theirs["reader"]} | losses
    losses |= list_readers(data, origins, data.truth)
    losses |= {"reader of Recipient alone": theirs["reader_own"]}
    losses |= {name: theirs[name] for name in BASELINES}
    rows = []
    for who, one in losses.items():
        rows += [(who, question, loss) for question, loss in ask(one, evaluation).items()]
    return pd.DataFrame(rows, columns=["who", "question", "loss"])


def pivot(table: pd.DataFrame, questions: list[str]) -> pd.DataFrame:
    """A row for each who, a column for each of the questions, in the order of the table."""
    wide = table.pivot(index="who", columns="question", values="loss")
    return wide.loc[table["who"].unique(), questions]


def list_questions(table: pd.DataFrame) -> list[str]:
    """The questions of the printed table: all but those by step."""
    return [name for name in table["question"].unique() if not name.startswith("step ")]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.decisions",
        description="Sets trained runs beside the floor, the exact readers and the baselines.",
    )
    parser.add_argument("runs", nargs="*", type=Path, default=RUNS, help="configurations (JSON)")
    parser.add_argument("--out", default=DATA / "decisions.csv", metavar="CSV", help="%(default)s")
    given = parser.parse_args(arguments)
    picture = check_outputs(given)
    table = measure(given.runs)
    write_table(given.out, table.round(5))
    write_figure(picture, plots.draw_decisions_by_step, table, (10, 5.5))
    print(pivot(table, list_questions(table)).to_string(float_format="{:.3f}".format))
    print(f"\nMeans in nats, {WINDOWS:,} test windows. Everything is in {given.out} and {picture}.")


if __name__ == "__main__":
    run_command(main, "stopped; runs that have to be trained first go on where they were")
