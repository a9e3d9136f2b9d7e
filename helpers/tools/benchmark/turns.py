"""What is compared takes turns, so that a neighbour who slows the machine slows all alike.

The ratio of each turn is what counts, and a figure is the median over the turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from helpers.tools.benchmark.forms import Step
from helpers.tools.benchmark.machine import LOST, find_taken, find_witness, read_clocks

# A comparison takes turns for so many seconds and at least so often; a step's seconds in its turn.
SECONDS, LEAST, TURN = 8, 5, 0.1
PATIENCE = 2  # where turns are disturbed it goes on for up to so many times as long and as often

Figures = dict[str, float]


class Turns(NamedTuple):
    """What was measured in turns.

    figures: a column a figure, a row a turn
    disturbed: the share of these turns that were disturbed; not a number where nobody watched
    """

    figures: pd.DataFrame
    disturbed: float

    def make_row(self, part: str, name: str, values, unit: str, **setting) -> dict:
        """A row of the benchmark's table: the median of a value of each turn, and the quartiles."""
        low, value, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
        of_turns = {"value": value, "low": low, "high": high}
        return {
            "part": part,
            "name": name,
            **setting,
            **of_turns,
            "unit": unit,
            "disturbed": self.disturbed,
        }


def take_turns(steps: dict[str, Step], seconds: float = SECONDS, least: int = LEAST) -> Turns:
    """The seconds of each step in each turn.

    In its turn a short step runs again and again for as long as TURN, since what another one leaves
    in the caches is of no use to the first run. How often, a first turn tells, which is not
    counted.
    """
    first = {name: time_step(step) for name, step in steps.items()}
    times = {name: max(1, round(TURN / taken)) for name, taken in first.items()}

    def make_measure(name: str) -> Callable[[], Figures]:
        return lambda: {name: time_step(steps[name], times[name])}

    return collect([make_measure(name) for name in steps], seconds, least)


def time_step(step: Step, times: int = 1) -> float:
    """How many seconds a step takes, the mean of so many."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def collect(
    measures: list[Callable[[], Figures]], seconds: float = SECONDS, least: int = LEAST
) -> Turns:
    """What each of these measures, in each turn.

    A turn that was disturbed is repeated, as far as PATIENCE goes. Then the turns that were not
    disturbed stay; where they are fewer than `least`, the calmest of the others join them.
    """
    witness = find_witness(torch.get_num_threads())
    turns, looks, taken, start = [], [], [], time.perf_counter()
    while True:
        # What the witness has lost is told anew each time: the least may be that of a later turn.
        lost = np.maximum(1 - witness.least / np.array(looks), taken)
        calm, spent = int((lost <= LOST).sum()), time.perf_counter() - start
        done = calm >= least and spent >= seconds
        if done or len(turns) >= PATIENCE * least and spent >= PATIENCE * seconds:
            break
        figures, around, before = {}, [witness.look()], read_clocks()
        for measure in measures[::-1] if len(turns) % 2 else measures:  # who begins takes turns too
            figures |= measure()
            around.append(witness.look())
        turns.append(figures)
        looks.append(max(around))  # seconds
        taken.append(find_taken(before, read_clocks()))  # cores
    kept = np.sort(np.argsort(lost, kind="stable")[: max(least, calm)])
    return Turns(pd.DataFrame(turns).iloc[kept], float((lost[kept] > LOST).mean()))
