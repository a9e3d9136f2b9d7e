"""What the states of a trained network hold: who is like whom, and which habits they remember.

    states = collect_states(model, windows, origins)      # (N, S, carry * d)
    find_substitutes(model, windows, habits, origin)      # who could take over the shift planned
    grade_substitutes(model, windows, habits)             # how good such picks are
    grade_probes(model, run.data.windows, habits)         # what each state remembers of each habit

Somebody falls ill when the shift is planned, and a free colleague takes it over. The shift's lead,
site, project, job and start hour stay as they are, and so does all that the habits of these decide.
What the substitute brings along is one thing, the minute of coming. So the grade of a substitute
is whether the habit in force is the absent one's (`minute`). Whether the last shift had the same
lead, site, project, job or hour is told too: a planner may ask for such experience, but in this
workplace it is drawn by lot and decides nothing.

model: a `MultiStreamModel`, or what holds one, as `helpers.uses.forecast` takes it
windows: `Windows` of the built-in log or another simulated one, with its `Habits`
Shapes: N origins, S streams, T source events, d the width of a state, E employees, M of them free.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers.events import PART_NAMES, TEST, TRAIN, VALIDATION, Log
from helpers.model import MultiStreamModel
from helpers.reader import Draws, find_draws
from helpers.schema import CATEGORY_NAMES
from helpers.support.errors import InputError
from helpers.support.refusals import check_count, check_events
from helpers.support.reports import standard_error
from helpers.support.watching import evaluating
from helpers.uses.futures import APPROVED, Habits, list_values
from helpers.uses.odd_events import believe_of
from helpers.windows import Windows, pick_evenly
from helpers.world import HABITS, KEYS

CHUNK = 512  # origins that are encoded at a time
EMPLOYEE, KIND = CATEGORY_NAMES.index("RecipientRecordId"), CATEGORY_NAMES.index("EventType")
# What a shift has and a substitute may know from the last one.
SHARED = {
    "lead": "ActorRecordId",
    "site": "LocationRecordId",
    "project": "CostCodeRecordId",
    "job": "JobCodeRecordId",
    "hour": "Time_Reference_Hour",
}
GRADES = ("minute", *SHARED)  # in what a substitute can be like the absent one
# Counts of these would tell who it is and on which day, and not what he or she is like.
NOT_COUNTED = (
    "RecipientRecordId",
    *(f"Time_{of}_{part}" for of in ("Event", "Reference") for part in ("Month", "Day")),
)
PENALTIES = (0.03, 0.3)  # C of a probe, of which the validation windows choose
LEAST_P = 1e-6  # that a probe is taken to give to a value that training never had


# -- states, and the counts to hold against them


def collect_states(model: nn.Module, windows: Windows, origins: np.ndarray) -> np.ndarray:
    """What the network remembers of each stream at these origins: (N, S, carry * d) float32.

    origins: (N,) numbers of events, which need not begin a window

    An InputError says that there is no network, or names an event without a history here.
    """
    networks = [one for one in model.modules() if isinstance(one, MultiStreamModel)]
    if not networks:
        raise InputError("model: it holds no MultiStreamModel, and so no states; give a network")
    origins, found = check_histories(windows, origins), []
    with evaluating(model), torch.no_grad():
        device = networks[0].heads.weight.device
        for start in range(0, len(origins), CHUNK):
            index = torch.from_numpy(windows.history_index(origins[start : start + CHUNK]))
            known = index != len(windows.log)  # (B, S, T)
            states = networks[0].encode(windows.table[index].to(device), known.to(device))
            found.append(states.float().cpu().view(*known.shape[:2], -1).numpy())
    return np.concatenate(found)


def check_histories(windows: Windows, origins: np.ndarray) -> np.ndarray:
    origins = np.asarray(origins)
    if not origins.size:
        raise InputError("origins: there are none; give the number of at least one event")
    if origins.ndim != 1 or not np.issubdtype(origins.dtype, np.integer):
        raise InputError("origins: must be the numbers of events, one after the other")
    inside = (origins >= 0) & (origins < len(windows.log))
    there = inside & (windows.histories.rank[0, np.where(inside, origins, 0)] >= 0)
    if not there.all():
        raise InputError(
            f"origins: event {origins[~there][0]} has no history here; give events that the "
            f"{PART_NAMES[windows.part]} windows may see, 0 to {len(windows.log) - 1} at most"
        )
    return origins


def count_values(
    windows: Windows, origins: np.ndarray, stream: str, categories: list[str] | None = None
) -> np.ndarray:
    """How often each value stands in the history of one stream: (N, V) float32.

    categories: names; None for all but the day, the month and the employee, which would drown what
        is alike in different people
    """
    log, origins = windows.log, check_histories(windows, origins)
    names = [category.name for category in log.categories]
    if missing := [name for name in categories or () if name not in names]:
        raise InputError(
            f"categories: there is no '{missing[0]}'; they must be of {', '.join(names)}"
        )
    chosen = [
        name not in NOT_COUNTED if categories is None else name in categories for name in names
    ]
    index = windows.history_index(origins)[:, find_stream(log, stream)]  # (N, T)
    sizes = np.array([category.size for category in log.categories])
    first = np.cumsum([0, *sizes[chosen][:-1]])
    columns = windows.table.numpy()[index][..., chosen] + first  # (N, T, categories)
    width = sizes[chosen].sum()
    places = columns + width * np.arange(len(origins))[:, None, None]
    counted = np.bincount(places[index != len(log)].ravel(), minlength=width * len(origins))
    return counted.reshape(len(origins), width).astype(np.float32)


def find_stream(log: Log, stream: str) -> int:
    names = [one.name for one in log.streams]
    if stream not in names:
        raise InputError(f"stream: there is no '{stream}'; it must be of {', '.join(names)}")
    return names.index(stream)


# -- the habits, and what can be known of them


def find_habits(log: Log, habits: Habits, origins: np.ndarray) -> dict[str, np.ndarray]:
    """The habits in force when each origin had happened, of its keys: stream -> (N,) int.

    A habit's place among its values; -1 where the key is unknown.
    """
    origins = check_events(origins, len(log))
    known = dict(zip(CATEGORY_NAMES, list_values(log), strict=True))
    hours, of_hour = np.unique(log.time[origins].astype("datetime64[h]"), return_inverse=True)
    causes = [habits.at(hour) for hour in hours]  # constant within an hour
    found = {}
    for stream, category in KEYS.items():
        numbers = log.table[origins, CATEGORY_NAMES.index(category)]
        keys = [known[category][number] for number in numbers]
        possible = habits.causes.values[stream]
        found[stream] = np.array(
            [
                -1 if key is None else possible.index(causes[place].of[stream][key])
                for key, place in zip(keys, of_hour, strict=True)
            ]
        )
    return found


def believe_now(
    windows: Windows, draws: Draws, stream: str, source: str, origins: np.ndarray, now: np.ndarray
) -> np.ndarray:
    """What the exact reader of one stream's histories believes of a habit: (N, values).

    draws: `find_draws` of `stream`, whose habit it is, of the origin's key there
    source: the stream whose histories, ending at the origins, are read
    now: (N,) events that are drawn at the time in question, such as those that follow the origins
    """
    known = windows.history_index(origins)[:, find_stream(windows.log, source)]  # (N, T)
    key = windows.log.table[origins, CATEGORY_NAMES.index(KEYS[stream])]
    return believe_of(known, key, now, draws, HABITS[stream])


# -- substitutes


def list_plans(windows: Windows, employee: str | None = None) -> np.ndarray:
    """The origins at which a shift has just been planned, of one employee or of all: (N,).

    An InputError says that there is no such employee, or no such plan in this part.
    """
    log, values = windows.log, list_values(windows.log)
    table = log.table[windows.origins]
    chosen = table[:, KIND] == values[KIND].index("shift_scheduled")
    if employee is not None:
        if employee not in values[EMPLOYEE][1:]:
            raise InputError(
                f"employee: there is no '{employee}'; take one of {values[EMPLOYEE][1]} to "
                f"{values[EMPLOYEE][-1]}"
            )
        chosen &= table[:, EMPLOYEE] == values[EMPLOYEE].index(employee)
    if not chosen.any():
        raise InputError(
            f"employee: no shift of {employee or 'anybody'} is planned in the "
            f"{PART_NAMES[windows.part]} part; take another one"
        )
    return windows.origins[chosen]


def find_free(log: Log, origins: np.ndarray) -> np.ndarray:
    """Of every employee the last event before each origin, if he or she is free: (N, E).

    -1 for the origin's own employee, for whom no event comes before, and for those at work: free is
    whose last shift is over, and whose next one isn't planned yet.
    """
    people = np.arange(log.sequence.max() + 1)
    keys = np.sort(log.sequence * len(log) + np.arange(len(log)))  # by employee, then by time
    place = np.searchsorted(keys, people * len(log) + np.asarray(origins)[:, None]) - 1  # (N, E)
    last = np.where(place >= 0, keys[place] - people * len(log), -1)
    over = [list_values(log)[KIND].index(kind) for kind in APPROVED]
    free = np.isin(log.table[last, KIND], over) & (log.table[last, EMPLOYEE] > 0)
    return np.where((last >= 0) & free & (people != log.sequence[origins][:, None]), last, -1)


def compare(log: Log, habits: Habits, origin: int, free: np.ndarray) -> np.ndarray:
    """In what of `GRADES` each of the free is like the absent one: (M, GRADES) bool.

    free: (M,) the last events of colleagues. The habits are those in force at the origin.
    """
    comes = list_minutes(log, habits, origin, np.array([origin, *free]))
    columns = [CATEGORY_NAMES.index(category) for category in SHARED.values()]
    keys, wanted = log.table[free][:, columns], log.table[origin, columns]
    return np.column_stack([comes[1:] == comes[0], (keys == wanted) & (wanted > 0)])


def list_minutes(log: Log, habits: Habits, origin: int, events: np.ndarray) -> np.ndarray:
    """The minute that is the habit, in force at the origin, of each event's employee: (N,)."""
    in_force = habits.at(log.time[origin]).of["Recipient"]
    names = list_values(log)[EMPLOYEE]
    return np.array([in_force[names[number]] for number in log.table[events, EMPLOYEE]])


def pick_nearest(
    vectors: np.ndarray, wanted: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of M vectors, (M, d), to one, (d,): their places and distances, (neighbours,).

    An InputError says that there are not so many.
    """
    if not len(vectors):
        raise InputError("neighbours: nobody is free then; take a later shift")
    check_count("neighbours", neighbours, len(vectors), ", as many as are free")
    nearest = NearestNeighbors(n_neighbors=neighbours).fit(vectors)
    distances, places = nearest.kneighbors(wanted[None])
    return places[0], distances[0]


def find_substitutes(
    model: nn.Module, windows: Windows, habits: Habits, origin: int, neighbours: int = 5
) -> pd.DataFrame:
    """Who could take over the shift planned at an origin, by states of the Recipient stream.

    origin: one of `list_plans`; an InputError names another, and more neighbours than are free

    A row for each of the nearest, the nearest first: employee, distance of the states, `comes`, the
    minute that is the employee's habit, and in what of `GRADES` he or she is like the absent one.
    """
    log = windows.log
    if origin not in list_plans(windows):
        raise InputError(
            f"origin: at event {origin} no shift is planned in the {PART_NAMES[windows.part]} "
            f"part; take one of `list_plans`"
        )
    free = find_free(log, [origin])[0]
    free = free[free >= 0]
    stream = find_stream(log, "Recipient")
    states = collect_states(model, windows, np.array([origin, *free]))[:, stream]
    places, distances = pick_nearest(states[1:], states[0], neighbours)
    picked, names = free[places], list_values(log)[EMPLOYEE]
    found = pd.DataFrame({"employee": [names[one] for one in log.table[picked, EMPLOYEE]]})
    found["distance"] = distances
    found["comes"] = list_minutes(log, habits, origin, picked)
    found[list(GRADES)] = compare(log, habits, origin, picked)
    return found


def grade_substitutes(
    model: nn.Module, windows: Windows, habits: Habits, shifts: int = 100, neighbours: int = 3
) -> pd.DataFrame:
    """How like the absent one the picked substitutes are, a row for each way to pick them.

    shifts: so many plans, evenly spaced in time; where fewer are free than neighbours, one is left
        out

    states   the nearest by the state of the Recipient stream
    counts   the nearest by `count_values` of the same history
    minutes  the nearest by its counts of minutes alone: somebody has said where to look
    reader   those whose habit is the absent one's with the highest probability, by what the exact
             reader believes of both from the same histories
    random   any of the free: the mean over all of them
    best     picked by the grade itself, for each column anew

    `minute` and the keys of `SHARED`: the share of the picked that are alike in it; `keys`, how
    many of the five keys are shared in the mean; `minute_error` and `keys_error`, standard errors,
    the weeks being the units, since habits stay for weeks. `shifts`: how many were graded.
    """
    check_count("shifts", shifts)
    check_count("neighbours", neighbours)
    log, plans = windows.log, pick_evenly(list_plans(windows), shifts)
    free = find_free(log, plans)
    enough = (free >= 0).sum(1) >= neighbours
    if not enough.any():
        raise InputError(
            f"neighbours: at none of {len(plans)} shifts are {neighbours} free; ask for fewer"
        )
    plans, free = plans[enough], free[enough]
    events = np.unique([*plans, *free[free >= 0]])
    vectors = {
        "states": collect_states(model, windows, events)[:, find_stream(log, "Recipient")],
        "counts": count_values(windows, events, "Recipient"),
        "minutes": count_values(windows, events, "Recipient", ["Time_Event_Minute"]),
    }
    draws = find_draws(log, "Recipient")
    after = windows.target_index(plans)[:, 0]  # drawn when the plan had been made
    grades: dict[str, list] = {}
    for plan, colleagues, next_event in zip(plans, free, after, strict=True):
        colleagues = colleagues[colleagues >= 0]
        alike = compare(log, habits, plan, colleagues).astype(float)
        alike = np.column_stack([alike, alike[:, 1:].sum(1)])  # (M, GRADES + 1)
        both = np.array([plan, *colleagues])
        wanted, *places = np.searchsorted(events, both)
        for way, of_event in vectors.items():
            nearest, _ = pick_nearest(of_event[places], of_event[wanted], neighbours)
            grades.setdefault(way, []).append(alike[nearest].mean(0))
        now = np.full(len(both), next_event)
        own, *others = believe_now(windows, draws, "Recipient", "Recipient", both, now)
        likely = np.argsort(-(np.array(others) @ own), kind="stable")[:neighbours]
        grades.setdefault("reader", []).append(alike[likely].mean(0))
        grades.setdefault("random", []).append(alike.mean(0))
        grades.setdefault("best", []).append(-np.sort(-alike, 0)[:neighbours].mean(0))
    weeks = log.time[plans].astype("datetime64[W]")
    return pd.DataFrame([sum_up(way, np.array(one), weeks) for way, one in grades.items()])


def sum_up(way: str, grades: np.ndarray, weeks: np.ndarray) -> dict:
    """A row of `grade_substitutes`, from the grades of its shifts: (N, GRADES + 1)."""
    means = dict(zip((*GRADES, "keys"), grades.mean(0), strict=True))
    errors = measure_error(grades, weeks)
    return {
        "way": way,
        **means,
        "minute_error": errors[0],
        "keys_error": errors[-1],
        "shifts": len(grades),
    }


def measure_error(values: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """The standard error of each column's mean, clustered by week: (N, F) -> (F,)."""
    every = np.ones((len(values), 1, 1), bool)
    return standard_error(values[:, None], every, weeks)


# -- what a state remembers


def grade_probes(
    model: nn.Module,
    windows: dict[int, Windows],
    habits: Habits,
    train: int = 4000,
    validation: int = 1000,
    test: int = 2000,
) -> pd.DataFrame:
    """How well a linear probe reads each habit off each stream's state, a row for each pair.

    windows: a part -> Windows, as `Data` has them; train, validation, test: so many windows of
        each, evenly spaced in time. The probe is a logistic regression of the habit, in force at
        the origin, of the origin's key (Alain and Bengio 2016). It is fitted on training windows,
        validation windows choose its penalty, test windows grade it.

    habit, state   the stream whose habit it is, and the stream whose state is probed
    values         how many values the habit has: guessing gives an accuracy of 1 / values
    accuracy, loss, known   of the probe: how often its likeliest value is in force; mean nats; the
        share of ln(values), the nats of guessing, that it saves
    reader_accuracy, reader_loss, reader_known   of the exact reader of the same histories
    accuracy_error, loss_error     standard errors of the probe's, the weeks being the units
    penalty, windows   C of the probe; how many test windows have such a key
    """
    wanted = {TRAIN: train, VALIDATION: validation, TEST: test}
    for name, count in zip(("train", "validation", "test"), wanted.values(), strict=True):
        check_count(name, count)
    origins = {part: pick_evenly(windows[part].origins, most) for part, most in wanted.items()}
    states = {part: collect_states(model, windows[part], some) for part, some in origins.items()}
    log = windows[TEST].log
    truths = {part: find_habits(log, habits, some) for part, some in origins.items()}
    now, rows = windows[TEST].target_index(origins[TEST])[:, 0], []
    for stream in HABITS:
        truth = {part: of_stream[stream] for part, of_stream in truths.items()}
        draws, values = find_draws(log, stream), len(habits.causes.values[stream])
        known = truth[TEST] >= 0
        weeks = log.time[origins[TEST][known]].astype("datetime64[W]")
        for place, source in enumerate(one.name for one in log.streams):
            of_state = {part: (states[part][:, place], truth[part]) for part in wanted}
            p, penalty = fit_probe(of_state, values)
            belief = believe_now(windows[TEST], draws, stream, source, origins[TEST], now)
            right, losses = judge(p, truth[TEST][known])
            reader_right, reader_losses = judge(belief[known], truth[TEST][known])
            errors = measure_error(np.stack([right, losses], 1), weeks)
            rows.append(
                {
                    "habit": stream,
                    "state": source,
                    "values": values,
                    "accuracy": right.mean(),
                    "loss": losses.mean(),
                    "known": 1 - losses.mean() / np.log(values),
                    "reader_accuracy": reader_right.mean(),
                    "reader_loss": reader_losses.mean(),
                    "reader_known": 1 - reader_losses.mean() / np.log(values),
                    "accuracy_error": errors[0],
                    "loss_error": errors[1],
                    "penalty": penalty,
                    "windows": known.sum(),
                }
            )
    return pd.DataFrame(rows)


def fit_probe(
    parts: dict[int, tuple[np.ndarray, np.ndarray]], values: int
) -> tuple[np.ndarray, float]:
    """What a linear probe says of the test windows that have a habit, (N, values), and its C.

    parts: a part -> its vectors, (N, d), and the habits in force, (N,), -1 where there is none
    """
    known = {part: (x[y >= 0], y[y >= 0]) for part, (x, y) in parts.items()}
    if len(np.unique(known[TRAIN][1])) < 2 or not all(len(y) for _, y in known.values()):
        raise InputError(
            "train, validation, test: too few windows to show a habit in each and two in training; "
            "take more"
        )
    scaler = StandardScaler().fit(known[TRAIN][0])
    scaled = {part: scaler.transform(x) for part, (x, _) in known.items()}
    best, probe = None, LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
    for penalty in PENALTIES:
        probe.set_params(C=penalty).fit(scaled[TRAIN], known[TRAIN][1])
        p = {part: np.full((len(scaled[part]), values), LEAST_P) for part in (VALIDATION, TEST)}
        for part, of_part in p.items():
            of_part[:, probe.classes_] = probe.predict_proba(scaled[part]).clip(LEAST_P)
        loss = judge(p[VALIDATION], known[VALIDATION][1])[1].mean()
        if best is None or loss < best[0]:
            best = loss, p[TEST], penalty
    return best[1:]


def judge(p: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the likeliest value is true, and -ln p of the true one, (N,) each; p: (N, values)."""
    return p.argmax(1) == truth, -np.log(p[np.arange(len(p)), truth])
