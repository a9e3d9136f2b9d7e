"""What if: change one event of an origin's histories, and see where the forecast moves.

    batch = change(windows, [origin], "LocationRecordId", ["SITE-07"])  # for any network
    table = compare_what_if(model, windows, habits, origin, "LocationRecordId", "SITE-07")

A network tells what usually follows such histories. Whether it tells what *would* follow, had
somebody sent the shift to another site, depends on how sites were chosen in the log. In the
simulated workplace a lot chose them, so nothing else comes along with a site, and changing the plan
is what the simulator does with the same change: here the answer can be graded. In a real log who is
sent where has its reasons, and the forecast for another site is one for the people who usually go
there (confounding, Pearl 2009). And a change that training never saw, such as a site that moves in
the middle of a shift, asks a network for what it was never taught.

What a habit decides is asked: the manager that a project's shift will have, the hours that a site
will pay. N origins, v values that the habit can have.
"""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.events import Log
from helpers.reader import find_draws
from helpers.schema import CATEGORY_NAMES
from helpers.support.errors import InputError
from helpers.support.refusals import check_events
from helpers.uses.forecast import log_probability
from helpers.uses.futures import CALENDAR, Habits, encode, find_hour, last_event, list_values
from helpers.uses.odd_events import believe_of, spread_draw
from helpers.windows import Batch, Windows
from helpers.world import HABITS, KEYS, Causes, draw, next_outcomes

BATCH = 256  # origins of which a network forecasts at a time


def change(windows: Windows, origins: np.ndarray, category: str, values: list) -> Batch:
    """Windows as if the origins' events had had these values of a category: B origins.

    values: (B,) of the category's vocabulary, None for unknown

    The value is changed wherever the origin stands: at the end of each history, and where the
    decoder begins. A stream that has the category as its key shows the history of the new key, up
    to the origin. What came before the origin is as it was, and the target too, which therefore
    belongs to the origin as it was: nothing that forecasts reads it.

    An InputError names a category or a value that the log has not, or an event that begins no
    window.
    """
    if len(values) != len(origins):
        raise InputError(f"values: must be {len(origins)}, one an origin, found {len(values)}")
    place, numbers = number_values(windows.log, category, values)
    batch = windows.batch(origins)
    index = history_index(windows, np.asarray(origins), category, numbers)
    histories = windows.table[torch.from_numpy(index)]
    given = batch.given.clone()
    given[:, 0, place] = torch.from_numpy(numbers).int()
    histories[:, :, -1] = given[:, :1]
    known = torch.from_numpy(index != len(windows.log))
    return batch._replace(histories=histories, known=known, given=given)


def number_values(log: Log, category: str, values: list) -> tuple[int, np.ndarray]:
    """The category's place and the its values' integers; an InputError names what is missing."""
    names = [one.name for one in log.categories]
    if category not in names:
        raise InputError(f"category: there is no '{category}'; it must be of {', '.join(names)}")
    known = log.vocabularies[category]
    if missing := [value for value in values if value not in known]:
        raise InputError(
            f"value: {category} has no '{missing[0]}'; it must be one of "
            f"{', '.join(map(str, known[1:4]))} and so on, {len(known) - 1} in all"
        )
    return names.index(category), np.array([known.index(value) for value in values])


def history_index(
    windows: Windows, origins: np.ndarray, category: str, numbers: np.ndarray
) -> np.ndarray:
    """As `Windows.history_index`, had the origins these integers: (B, S, T) event numbers."""
    log, groups, index = windows.log, windows.histories, windows.history_index(origins)
    for s, stream in enumerate(log.streams):
        if stream.key != category:
            continue
        order, key = groups.order[s], log.key(stream)[groups.order[s]]  # sorted by key, then time
        for b, (origin, number) in enumerate(zip(origins, numbers, strict=True)):
            of_key = order[slice(*np.searchsorted(key, [number, number + 1]))] if number else []
            end = np.searchsorted(of_key, origin)  # without the origin, which may be there or not
            earlier = of_key[max(0, end - windows.src_seq_len + 1) : end]
            index[b, s] = len(log)
            index[b, s, -1 - len(earlier) :] = [*earlier, origin]
    return index


# -- what the habit of the changed key decides, before and after


def compare_what_if(
    model: nn.Module, windows: Windows, habits: Habits, origin: int, category: str, value
) -> pd.DataFrame:
    """What the key's habit will decide, as the origin was and with another value of the key.

    category: one of `world.KEYS`; value: of its vocabulary

    A row for each value that can be decided, as the simulator has it; columns "model, before",
    "model, after" and so on, of the network, of the exact reader of the same histories, and of
    the simulator that knows the habit. Each is the probability of the value at the event where the
    habit decides, given a way there: one that the simulator would go, told to all alike.

    An InputError names a category without a habit, a value that is no key, an origin without a
    window or one after which the habit decides nothing more in its shift.
    """
    stream = find_stream(category)
    arguments = model, windows, habits, np.array([origin]), category
    before = forecast_decided(*arguments, list_keys(windows.log, [origin], category))
    after = forecast_decided(*arguments, [value])
    columns = {
        f"{who}, {when}": p[who][0]
        for who in before
        for when, p in (("before", before), ("after", after))
    }
    decided = habits.causes.values[stream]
    return pd.DataFrame(columns, pd.Index(decided, name=HABITS[stream].category))


def grade_what_if(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    origins: np.ndarray,
    category: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """How far forecasts are from the simulator's, with keys as they were and with others by lot.

    A row each for the model, for the model that leaves its forecast as it was, for the exact
    reader, and for guessing. Columns: "as it was", the total variation distance from the
    simulator's probabilities, which is the share of the probability that lies in the wrong place,
    0 to 1; "changed", the same with the change; "error", the standard error of that.
    """
    find_stream(category)
    origins = check_events(origins, len(windows.log))
    keys = list_keys(windows.log, origins, category)
    known = set(windows.log.vocabularies[category])
    others = [one for one in habits.causes.keys[category] if one in known]
    changed = [rng.choice([one for one in others if one != key]) for key in keys]
    arguments = model, windows, habits, origins, category
    before, after = forecast_decided(*arguments, keys), forecast_decided(*arguments, changed)
    even = np.full_like(after["simulator"], 1 / after["simulator"].shape[1])
    rows = {
        "model": (before["model"], after["model"]),
        "model, forecast left as it was": (before["model"], before["model"]),
        "exact reader": (before["reader"], after["reader"]),
        "guessing": (even, even),
    }
    table = {}
    for who, (as_was, with_change) in rows.items():
        far = total_variation(with_change, after["simulator"])
        table[who] = {
            "as it was": total_variation(as_was, before["simulator"]).mean(),
            "changed": far.mean(),
            "error": far.std() / np.sqrt(len(far)),
        }
    return pd.DataFrame(table).T


def total_variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Half the sum of |p - q|, (N, v) each, where p may have more beyond: (N,)."""
    return (np.abs(p - q).sum(1) + 1 - p.sum(1)) / 2


def find_stream(category: str) -> str:
    """The stream whose habit goes by this category; an InputError says which have one."""
    streams = {key: stream for stream, key in KEYS.items()}
    if category not in streams:
        raise InputError(
            f"category: no habit goes by '{category}'; it must be of {', '.join(streams)}"
        )
    return streams[category]


def list_keys(log: Log, origins: np.ndarray, category: str) -> list:
    return [last_event(log, origin)[category] for origin in origins]


def forecast_decided(
    model: nn.Module,
    windows: Windows,
    habits: Habits,
    origins: np.ndarray,
    category: str,
    keys: list,
) -> dict[str, np.ndarray]:
    """What the habits of these keys decide, had the origins them: "model" and so on -> (N, v)."""
    log, stream = windows.log, find_stream(category)
    habit, draws = HABITS[stream], find_draws(log, stream)
    batch, rng = change(windows, origins, category, keys), random.Random(0)
    ways, hours, in_force = [], [], []
    for origin, key in zip(origins, keys, strict=True):
        causes = habits.at(log.time[origin])
        if key not in causes.of[stream]:
            raise InputError(f"value: {category} {key} has no habit; name a key of the workplace")
        last = last_event(log, origin) | {category: key}
        way = go_to_decision(last, causes, habit.kind, rng)
        hours.append(find_hour([last, *way][-2]) - find_hour(last))
        in_force.append(causes.values[stream].index(causes.of[stream][key]))
        ways.append(encode(log, way))
    decided = list_values(log)[CATEGORY_NAMES.index(habit.category)]
    numbers = [decided.index(value) for value in causes.values[stream]]
    _, number = number_values(log, category, keys)
    index = history_index(windows, origins, category, number).reshape(len(origins), -1)
    belief = believe_of(index, number, windows.target_index(origins)[:, 0], draws, habit)
    known = np.eye(len(numbers))[in_force]
    return {
        "model": ask(model, batch, ways, CATEGORY_NAMES.index(habit.category), numbers),
        "reader": spread_draw(fade(belief, habit.change, np.array(hours))),
        "simulator": spread_draw(fade(known, habit.change, np.array(hours))),
    }


def go_to_decision(last: dict, causes: Causes, kind: str, rng: random.Random) -> list[dict]:
    """The events after `last` up to one of this kind: of kinds the likeliest, the rest drawn."""
    way = [last]
    while len(way) == 1 or way[-1]["EventType"] != kind:
        likeliest = max(next_outcomes(way[-1], causes, CALENDAR), key=lambda one: one.p)
        if likeliest.event["EventType"] == "shift_scheduled":
            raise InputError(
                f"origin: after its {last['EventType']} there is no {kind} in the shift; take an "
                f"origin before that"
            )
        way.append(draw([likeliest._replace(p=1.0)], rng))
    return way[1:]


def fade(belief: np.ndarray, change: float, hours: np.ndarray) -> np.ndarray:
    """A belief (N, v) after so many hours, (N,), in which the habit may change; see `reader`."""
    even = 1 / belief.shape[1]
    keeps = 1 - change / 24 / (1 - even)
    return even + (belief - even) * keeps ** hours[:, None]


def ask(
    model: nn.Module, batch: Batch, ways: list[np.ndarray], place: int, numbers: list[int]
) -> np.ndarray:
    """The probability of each number of a category at the end of its origin's way: (N, v).

    ways: (U, C) events of each origin, U its own
    """
    found, lengths = np.zeros((len(ways), len(numbers))), np.array([len(way) for way in ways])
    for length in np.unique(lengths):
        of_length = np.flatnonzero(lengths == length)
        for some in np.split(of_length, range(BATCH, len(of_length), BATCH)):
            futures = np.stack([ways[n] for n in some])[:, None].repeat(len(numbers), 1)
            futures[:, :, -1, place] = numbers
            of_some = Batch(*(tensor[some] for tensor in batch))
            log_p = log_probability(model, of_some, torch.from_numpy(futures))
            found[some] = log_p[:, :, -1, place].exp()
    return found
