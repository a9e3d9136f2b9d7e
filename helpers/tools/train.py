"""Trains one configuration, or on a log of one's own, and reports on it.

    python -m helpers.tools.train data/working_run.json [--set key=value ...] [--report out.csv]
    python -m helpers.tools.train my.csv               # proposes a mapping and a recipe, and trains
    python -m helpers.tools.train my.csv --look        # writes both to be looked at, and stops
    torchrun --nproc-per-node 2 -m helpers.tools.train ...     # each with half of every batch

Beside what `helpers.training` leaves in a run's folder, this writes report.csv,
loss_per_epoch_full.png and category_ladder.png there; of a log of one's own mapping.json and
config.json, too, which trains the same run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import get_args

import pandas as pd

from helpers.own_log import Look, look_at, propose_config, propose_mapping
from helpers.schema import Column, LogMapping, read_mapping
from helpers.support import reports, wording
from helpers.support.checkpoints import find_run, tell_run
from helpers.support.commands import check_output, parse_arguments, run_command
from helpers.support.errors import InputError
from helpers.support.files import (
    DATA,
    lock_folder,
    name_run_folder,
    read_json,
    replace_file,
    write_figure,
    write_table,
)
from helpers.support.settings import change_keys, fill
from helpers.support.workers import get_rank, join_workers, leave_workers
from helpers.training import Config, Trainer, read_config

COMMAND = "python -m helpers.tools.train"
DATES = get_args(get_args(Column.model_fields["dates"].annotation)[0])
ENDINGS = {".gz", ".csv", ".tsv", ".txt", ".xes", ".xml", ".json", ".jsonl", ".parquet", ".pq"}
OF_LOGS = ("sequence", "time", "kind", "dates", "mapping", "look")  # options


def read_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, dict]:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Trains one configuration, or on a log of one's own, and reports on it.",
    )
    add = parser.add_argument
    add("--report", metavar="CSV", help="write the category report of the test part here as well")
    add("--history", metavar="CSV", help="write losses and gradient norms by epoch here as well")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--go-on", action="store_true", help="go on with the run in the folder")
    there.add_argument("--replace", action="store_true", help="replace the run in the folder")
    log = parser.add_argument_group("of a log: what a file does not tell, or is to be otherwise")
    add = log.add_argument
    add("--sequence", metavar="COLUMN", help="which events belong together: a case, a patient")
    add("--time", nargs="+", metavar="COLUMN", help="when they happen; or a date and a time of day")
    add("--kind", metavar="COLUMN", help="what kind of event it is: an activity, a page")
    add("--dates", choices=DATES, help="how dates are written")
    add("--mapping", metavar="JSON", help="a mapping of your own, in the place of a proposal")
    add("--look", action="store_true", help="write mapping and configuration, and do not train")
    about = "a log (CSV, XES, Parquet, JSON lines), or a configuration in JSON"
    return parse_arguments(parser, arguments, about)


def main(arguments: list[str] | None = None) -> None:
    given, changes = read_arguments(arguments)
    told = []
    if is_log(given.config):
        given.config, changes, told = prepare(given, changes)
        if given.look:
            return
    elif options := [f"--{name}" for name in OF_LOGS if getattr(given, name)]:
        raise InputError(
            f"{options[0]}: is for a log, and {given.config} is a configuration; leave it out"
        )
    config = read_config(given.config, changes)
    config = find_place(config, given)
    for option, path in (("--report", given.report), ("--history", given.history)):
        if path:
            check_output(option, path, list_inputs(config, given.config))

    join_workers(config.device)
    run, first = Trainer(config), get_rank() == 0
    if first:
        notes = [note for note in run.data.log.notes if note not in told]
        print(*notes, *wording.tell_values(run.data.log), sep="\n")
    run.fit(after_epoch=write_losses, replace=given.replace)
    leave_workers()
    if first:
        report_run(run, given)


def find_place(config: Config, given: argparse.Namespace) -> Config:
    """The configuration, going on with the run in its folder where that is asked for.

    Another run there is refused before anything is read, unless it is to be replaced.
    """
    there = find_run(config.out)
    if there and given.go_on:
        return config.change(model_checkpoint=str(there))
    if there and not given.replace and not config.model_checkpoint:
        refuse_run(there)
    return config


def refuse_run(there: Path) -> None:
    raise InputError(
        f"{there.parent}: holds {tell_run(there)}; go on with it by --go-on, replace it by "
        f"--replace, or name another folder by --set out=FOLDER"
    )


# -- a log of one's own


def is_log(path: str) -> bool:
    """Whether it is no configuration, which is one JSON object in a file named .json."""
    path = Path(path).expanduser()
    if path.suffix.lower() != ".json" or path.is_dir():
        return True
    try:
        with open(path, encoding="utf-8-sig") as file:
            first, second = (file.readline(1 << 16).strip() for _ in range(2))
    except (OSError, ValueError):
        return False  # to be refused as a configuration
    lines = first.startswith("{") and first.endswith("}") and second.startswith("{")
    objects = any(word in first + second for word in ('"ocel:', '"objectTypes"', '"eventTypes"'))
    return lines or first.startswith("[") or objects


def prepare(given: argparse.Namespace, changes: dict) -> tuple[Path, dict, list[str]]:
    """Writes a log's mapping and configuration, unless a run goes on with those it has.

    Returns the configuration's path, what still changes in it, and the notes that were told.
    """
    log = given.config
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError(
            f"{log}: a log is looked at by one process; do that by --look, and then give torchrun "
            f"the config.json that it writes"
        )
    if not os.path.exists(os.path.expanduser(log)):
        raise InputError(f"{log}: no such file; check the path")
    for key in {"log", "mapping"} & changes.keys():
        raise InputError(f"--set {key}: the log is {log}; give its mapping by --mapping FILE")
    out = Path(str(changes.get("out") or "") or name_run_folder(f"{name_log(log)}.json"))
    out = out.expanduser().absolute()
    path, there = out / "config.json", find_run(out)
    if given.go_on and path.exists():
        return path, {key: value for key, value in changes.items() if key != "out"}, []
    if there and not given.replace:
        refuse_run(there)

    look = look_at(log)
    print(*look.notes, look.tell(), sep="\n")
    mapping = propose(look, given)
    config = change_keys(propose_config(look, LogMapping(**mapping)), changes, log)
    files = {"log": str(look.path.absolute()), "mapping": "mapping.json", "out": str(out)}
    for key in {"model_checkpoint", "start_from"} & changes.keys():
        files[key] = os.path.abspath(os.path.expanduser(str(changes[key])))
    config = files | config | files
    fill(Config, config, log)
    write_settings(out / "mapping.json", mapping, given.replace)
    write_settings(path, config, given.replace)
    print(f"\nWritten: mapping.json and config.json in {out}.")
    if given.look:
        print(f"Change them as you like, and train by:\n{COMMAND} {shlex.quote(str(path))}")
    return path, {}, look.notes


def propose(look: Look, given: argparse.Namespace) -> dict:
    """The mapping that is given, or one that is proposed, with its reasons."""
    options = (given.sequence, given.time, given.kind, given.dates)
    if given.mapping:
        if any(options):
            raise InputError(
                f"--mapping: {given.mapping} says it all; correct it there, or leave it out"
            )
        return read_mapping(given.mapping).model_dump(exclude_unset=True)
    mapping, reasons = propose_mapping(look, *options)
    print("\nProposed:", *reasons, sep="\n  ")
    return mapping


def name_log(path: str) -> str:
    """A log's name without what its kind adds: my of my.xes.gz."""
    name = Path(path).absolute().name
    while (end := Path(name).suffix) and end.lower() in ENDINGS:
        name = name.removesuffix(end)
    return name


def write_settings(path: Path, settings: dict, replace: bool) -> None:
    """Writes a mapping or a configuration; one that says something else is kept, and told."""
    if path.exists():
        if read_json(path) == settings:
            return
        if not replace:
            raise InputError(
                f"{path}: is there already, and says something else than what would be written "
                f"now; train with it by {COMMAND} "
                f"{shlex.quote(str(path.with_name('config.json')))}, or replace it by --replace"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = lay_out(settings) + "\n"
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def lay_out(value, depth: int = 0) -> str:
    """JSON as one would write it by hand: a line for each category."""
    if not isinstance(value, dict) or depth == 2 or not value:
        return json.dumps(value, ensure_ascii=False)
    space = "  " * depth
    lines = [
        f"{space}  {json.dumps(key, ensure_ascii=False)}: {lay_out(value[key], depth + 1)}"
        for key in value
    ]
    return "{\n" + ",\n".join(lines) + f"\n{space}}}"


# -- the report


def list_inputs(config: Config, path: str) -> list[str | Path | None]:
    """The files that a command with this configuration reads, and must not write over."""
    checkpoint = Path(config.out) / "checkpoint.safetensors"
    built_in = [DATA / "workplace.csv.gz", DATA / "floors.npz"]
    files = [config.log, config.mapping, config.model_checkpoint, config.start_from]
    return [path, *files, checkpoint, *built_in]


def write_losses(run: Trainer) -> None:
    from helpers import plots  # which takes a while to load, and training begins without

    path = Path(run.config.out) / "loss_per_epoch_full.png"
    write_figure(path, plots.draw_loss_per_epoch, run.epochs(), (8, 4.5))


def report_run(run: Trainer, given: argparse.Namespace) -> None:
    from helpers import plots

    evaluation, out = run.evaluation(), Path(run.config.out)
    report, durations = evaluation.all_questions(), reports.durations(evaluation)
    with lock_folder(out):
        write_table(out / "report.csv", report)
        ladders = {name: report[report["question"] == name] for name in report["question"].unique()}
        write_figure(out / "category_ladder.png", plots.draw_category_ladders, ladders, (16, 8))
    if given.report:
        write_table(given.report, report)
    if given.history:
        write_table(given.history, pd.DataFrame(run.history))
    print(f"\n{run.tell_choice()}")
    for one in filter(None, (run.viewed, run.mixture)):
        print(one.tell(run.names))
    print(f"\n{wording.show(report)}")
    if durations is not None:
        print(f"{wording.tell_durations(durations)}\n")
    print(f"{wording.sum_up(report)}\n{wording.verdict(report)}\nEverything is in {out}.")


if __name__ == "__main__":
    run_command(
        main,
        "stopped; the last whole epoch, if there is one, is in the run's folder; go on by --go-on",
    )
