"""Control trainings: is it the streams that tell, or only that there are seven encoders?

    python -m helpers.tools.controls data/working_run.json [--set epochs=20 ...]
        [--seeds 0 1] [--carry 1 4 20] [--out data/controls.csv]

Each way of giving the histories is trained with the same recipe and measured on the same test
windows: seven streams, the Recipient's history seven times to seven encoders, the Recipient's
history alone, and, with carry 1, seven streams through one encoder of as many weights. What is
trained lies in the configuration's folder, and is not trained again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from helpers.model import FEED_FORWARD, MultiStreamModel, StreamLinear
from helpers.schema import Stream
from helpers.support import checkpoints
from helpers.support.commands import check_output, parse_arguments, run_command
from helpers.support.files import DATA, write_table
from helpers.tools.decisions import WINDOWS, ask, check_log
from helpers.tools.train import list_inputs
from helpers.training import TEST, Config, Data, Trainer, index_windows, load_data, read_config
from helpers.windows import pick_evenly

SEVEN, COPIES, ALONE, ONE = (
    "seven streams",
    "seven copies of Recipient",
    "Recipient alone",
    "one encoder for all",
)


class OneEncoder(MultiStreamModel):
    """One encoder for all streams, with as many weights as one each, told which stream it reads."""

    def __init__(self, categories, streams: int, **shape):
        super().__init__(categories, 1, **shape)  # as if there were one stream
        d = shape["d_model"]
        self.which = nn.Parameter(0.1 * torch.randn(streams, 1, 1, d))
        wide = fair_width(streams, d)
        for layer in self.encoder:
            layer.wide, layer.narrow = StreamLinear(1, d, wide), StreamLinear(1, wide, d)

    def encode(self, histories: Tensor, known: Tensor) -> Tensor:
        B, S, T, _ = histories.shape
        x = self.embedding(histories.transpose(0, 1), 0) + self.which  # (S, B, T, d)
        x, known = x.view(1, S * B, T, -1), known.transpose(0, 1).reshape(1, S * B, T)
        for layer in self.encoder[:-1]:
            x = layer(x, known, T)
        x = self.encoder_norm(self.encoder[-1](x, known, self.carry))  # (1, S * B, carry, d)
        return x.view(S, B, self.carry, -1).transpose(0, 1).flatten(1, 2)


def fair_width(streams: int, d: int) -> int:
    """The feed-forward width that gives one encoder as many weights as `streams` have together."""
    each = 2 * d + 1  # a unit's row, its bias, its column
    rest = 3 * 2 * d + 4 * (d * d + d) + d  # three norms; query, key, value and out; a bias
    return (streams * (rest + each * FEED_FORWARD * d) - streams * d - rest) // each


def pick_streams(data: Data, way: str, config: Config) -> Data:
    """The data with the histories that this way of giving them has."""
    if way in (SEVEN, ONE):
        return data
    (own,) = [stream for stream in data.log.streams if stream.name == "Recipient"]
    streams = [own]
    if way == COPIES:
        streams = [Stream(f"Recipient {i + 1}", own.key) for i in range(len(data.log.streams))]
    log = replace(data.log, streams=streams)
    return replace(data, log=log, windows=index_windows(log, config))


def train(data: Data, config: Config, way: str) -> Trainer:
    """The run, from its folder or trained now."""
    model = None
    if way == ONE:
        torch.manual_seed(config.seed)
        more = {"src_seq_len", "tgt_seq_len", "carry", "dropout", "tied"}
        shape = config.model.model_dump() | config.model_dump(include=more)
        model = OneEncoder(data.log.categories, len(data.log.streams), **shape)
    run = Trainer(config, pick_streams(data, way, config), model=model)
    checkpoints.load_first(run, [Path(config.out)])
    return run.fit(replace=True)


def list_trainings(seeds: list[int], carries: list[int]) -> list[tuple[str, int, int]]:
    """(way, carry, seed): several carries with the first seed, several seeds with carry 1.

    Each once, and those that no configuration may have as well, to be refused there.
    """
    trainings = [(way, 1, seed) for seed in seeds for way in (SEVEN, COPIES, ALONE, ONE)]
    more = [carry for carry in carries if carry != 1]
    trainings += [(way, carry, seeds[0]) for carry in more for way in (SEVEN, COPIES, ALONE)]
    return list(dict.fromkeys(trainings))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.controls",
        description="Trains the same recipe on other histories, to see what the streams tell.",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="%(default)s")
    parser.add_argument("--carry", nargs="+", type=int, default=[1, 4, 20], help="%(default)s")
    parser.add_argument("--out", default=DATA / "controls.csv", metavar="CSV", help="%(default)s")
    given, changes = parse_arguments(parser, arguments)
    config = read_config(given.config, changes)
    check_log(config, given.config)
    check_output("--out", given.out, list_inputs(config, given.config))
    trainings = {}  # (way, carry, seed) -> its configuration; better refused now than in an hour
    for way, carry, seed in list_trainings(given.seeds, given.carry):
        out = Path(config.out) / "controls" / f"{way}, carry {carry}, seed {seed}".replace(" ", "_")
        trainings[way, carry, seed] = config.change(carry=carry, seed=seed, out=str(out))
    data, rows = load_data(config), []
    for (way, carry, seed), changed in trainings.items():
        print(f"{way}, carry {carry}, seed {seed}", flush=True)
        run = train(data, changed, way)
        origins = pick_evenly(run.data.windows[TEST].origins, WINDOWS)
        evaluation = run.evaluation(origins=origins)
        for question, loss in ask(evaluation.losses["model"], evaluation).items():
            rows.append((way, carry, seed, question, round(loss, 5)))
        write_table(
            given.out, pd.DataFrame(rows, columns=["way", "carry", "seed", "question", "loss"])
        )
    print(f"Everything is in {given.out}.")


if __name__ == "__main__":
    run_command(main, "stopped; the runs so far are kept, and the same command goes on after them")
