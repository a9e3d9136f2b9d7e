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
from helpers.support.commands import check_output, parse_arguments, run_command
from helpers.support.files import lock_folder, write_figure, write_table
from helpers.support.workers import get_rank, join_workers, leave_workers
from helpers.training import Config, Trainer, read_config


def show(report: pd.DataFrame) -> str:
    """A report as text, three digits, blanks where nothing is known."""
    table = report.astype({"size": "string"}).fillna({"size": ""})
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="")


def list_inputs(config: Config, path: str) -> list[str | Path | None]:
    """The files that a command with this configuration reads, and must not write over."""
    checkpoint = Path(config.out) / "checkpoint.safetensors"
    return [path, config.log, config.mapping, config.model_checkpoint, checkpoint]


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
    report = evaluation.report()
    with lock_folder(out):
        write_table(out / "report.csv", report)
        write_figure(out / "category_ladder.png", plots.draw_category_ladder, report, (10, 7))
    if given.report:
        write_table(given.report, report)
    if given.history:
        write_table(given.history, pd.DataFrame(run.history))
    print(f"\nTest part, all steps of the horizon, losses in nats:\n{show(report)}\n")
    if run.data.floors is not None:
        gap, first = (table["gap"].iloc[-1] for table in (report, evaluation.report(1)))
        print(f"Mean gap over all steps {gap:.4f}, at the first step {first:.4f}.")
    print(f"Everything is in {out}.")


if __name__ == "__main__":
    run_command(main, "stopped; the last whole epoch, if there is one, is in the run's folder")
