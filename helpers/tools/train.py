"""Trains one configuration and reports on it.

    python -m helpers.tools.train data/working_run.json [--set key=value ...] [--report out.csv]
    torchrun --nproc-per-node 2 -m helpers.tools.train ...     # each with half of every batch

Beside what `helpers.training` leaves in a run's folder, this writes report.csv,
loss_per_epoch_full.png and category_ladder.png there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from helpers import plots
from helpers.losses import Evaluation
from helpers.support.baselines import BASELINES
from helpers.support.commands import check_output, parse_arguments, run_command
from helpers.support.files import DATA, lock_folder, write_figure, write_table
from helpers.support.workers import get_rank, join_workers, leave_workers
from helpers.training import Config, Trainer, read_config

# What each part of a report is about.
QUESTIONS = {
    "all steps": "Test part, all steps of the horizon",
    "next event": "Test part, the next event",
    "where a habit decides": "Test part, the next event where a stream's habit decides it",
}


def show(report: pd.DataFrame) -> str:
    """A report of `all_questions` as text: the best baseline of each row alone, three digits."""
    parts = []
    for question, table in report.groupby("question", sort=False):
        best = table[list(BASELINES)].min(axis=1)
        table.insert(table.columns.get_loc("ceiling") + 1, "baseline", best)
        table = table.drop(columns=["question", *BASELINES]).dropna(axis=1, how="all")
        for name in ("size", "decisions"):
            if name in table:
                table[name] = table[name].astype("Int64").astype("string").fillna("")
        words = ["stream", "category"]
        table[words] = table.reindex(columns=words).astype(object).fillna("")
        if not table["stream"].any():
            table = table.drop(columns="stream")
        text = table.to_string(index=False, float_format="{:.3f}".format, na_rep="")
        parts.append(f"{QUESTIONS[question]}, losses in nats:\n{text}\n")
    return "\n".join(parts)


def list_inputs(config: Config, path: str) -> list[str | Path | None]:
    """The files that a command with this configuration reads, and must not write over."""
    checkpoint = Path(config.out) / "checkpoint.safetensors"
    built_in = [DATA / "workplace.csv.gz", DATA / "floors.npz"]
    return [path, config.log, config.mapping, config.model_checkpoint, checkpoint, *built_in]


def write_losses(run: Trainer) -> None:
    path = Path(run.config.out) / "loss_per_epoch_full.png"
    write_figure(path, plots.draw_loss_per_epoch, run.epochs(), (8, 4.5))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.train",
        description="Trains one configuration and reports on it.",
    )
    parser.add_argument(
        "--report", metavar="CSV", help="write the category report of the test part here as well"
    )
    parser.add_argument(
        "--history", metavar="CSV", help="write losses and gradient norms by epoch here as well"
    )
    given, changes = parse_arguments(parser, arguments)
    config = read_config(given.config, changes)
    for option, path in (("--report", given.report), ("--history", given.history)):
        if path:
            check_output(option, path, list_inputs(config, given.config))

    join_workers(config.device)
    run, first = Trainer(config), get_rank() == 0
    if first:
        for note in run.data.log.notes:
            print(note)
    run.fit(after_epoch=write_losses)
    leave_workers()
    if first:
        report_run(run, given)


def report_run(run: Trainer, given: argparse.Namespace) -> None:
    evaluation, out = run.evaluation(), Path(run.config.out)
    report = evaluation.all_questions()
    with lock_folder(out):
        write_table(out / "report.csv", report)
        ladders = {name: report[report["question"] == name] for name in report["question"].unique()}
        write_figure(out / "category_ladder.png", plots.draw_category_ladders, ladders, (16, 8))
    if given.report:
        write_table(given.report, report)
    if given.history:
        write_table(given.history, pd.DataFrame(run.history))
    print(f"\n{show(report)}\n{sum_up(evaluation)}\nEverything is in {out}.")


def sum_up(evaluation: Evaluation) -> str:
    """The gap in words, and its two parts."""
    if evaluation.deciders is None:
        return "This log has no simulator, so no floor and no exact reader are known."
    lines = []
    for name, table in (
        ("all steps", evaluation.report()),
        ("the next event", evaluation.report(1)),
    ):
        gap, nobody, unread = table[["gap", "unknowable", "unread"]].iloc[-1]
        lines.append(
            f"Mean gap, {name}: {gap:.4f}. Of it {nobody:.4f} nobody could know, and {unread:.4f} "
            f"the model could have known."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main, "stopped; the last whole epoch, if there is one, is in the run's folder")
