"""Suffixes, as the process-mining field measures them: how a case goes on until its end.

    table = grade_suffixes({"network": model, "table": TableForecaster(log, tables)}, windows)

A suffix is the kinds of event after an origin and before the end of the sequence, and the time that
remains until that end. In the built-in log the end is the shift's, an approved or mended timesheet;
in a log of your own `add_ends` gives each case one. Kinds are integers of the first category.

Shapes: N windows, S futures of each, U steps, C categories. Times are in hours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from rapidfuzz.distance import DamerauLevenshtein
from rapidfuzz.process import cdist
from torch import Tensor, nn

from helpers.events import TRAIN, Log
from helpers.support.baselines import ORDER, CategoryBaseline, find_before, number
from helpers.support.durations import find_elapsed
from helpers.support.errors import InputError
from helpers.support.mixtures import list_before
from helpers.support.refusals import check_count
from helpers.uses.forecast import beam_search, log_probability, roll_out, sample
from helpers.uses.futures import APPROVED
from helpers.windows import Batch, Windows, pick_evenly

END = "END"  # the kind of event that `add_ends` adds
WAYS = ("greedy", "beam", "sample", "medoid", "mean", "median")
CLOCK = [f"Time_Event_{part}" for part in ("Month", "Day", "Hour", "Minute")]
AT_ONCE = 64  # windows
HOUR = np.timedelta64(1, "h")


# -- how alike two suffixes are


def similarity(ours, theirs) -> float:
    """How alike two sequences are, from 0 to 1: 1 - distance / the longer one's length.

    The distance is the least number of insertions, deletions, substitutions and transpositions of
    neighbours that make one of the other, in its true form (Damerau 1964; the recurrence of
    Lowrance and Wagner 1975): what was transposed may be edited again. The form of optimal string
    alignment, often meant by the same name, forbids that, and is sometimes greater: from "ca" to
    "abc" the true distance is 2 (transpose, insert), the other one's 3. Two empty ones are alike.
    """
    return DamerauLevenshtein.normalized_similarity(list(ours), list(theirs))


def compare(futures: list[list[int]]) -> np.ndarray:
    """The similarity of each of S suffixes to each, (S, S)."""
    words = ["".join(map(chr, one)) for one in futures]  # a kind a letter: the library is faster
    return cdist(words, words, scorer=DamerauLevenshtein.normalized_similarity)


# -- where a sequence ends


def add_ends(log: pd.DataFrame, sequence: str, kind: str, time: str) -> pd.DataFrame:
    """The log with one row more for each sequence, of the kind "END", after its last event.

    sequence, kind, time: names of columns; time is of moments, or of text written year first

    The row is a copy of the last event but for its kind: at the same time, in the same part of a
    split, so that besides the end nothing new is to be forecast. Nothing tells which cases were
    still running when the log was taken, and these end too; leave out the last weeks' cases where
    that matters. Read the log anew after it: END is a value of the kind's column like any other.

    An InputError names a column that is missing or a time that cannot be read so, or says that the
    log has such ends.
    """
    if missing := [name for name in (sequence, kind, time) if name not in log]:
        raise InputError(f"log: no column '{missing[0]}'; it has {', '.join(map(str, log))}")
    if (log[kind] == END).any():
        raise InputError(f"log: column '{kind}' has an {END} already; each case gets but one")
    try:
        moments = pd.to_datetime(log[time], format="ISO8601", utc=True)
    except ValueError:
        raise InputError(
            f"log: column '{time}' has a time that is not written year first, as 2024-01-31 08:00 "
            f"is; make times of it before"
        ) from None
    in_order = log.iloc[moments.argsort(kind="stable")]
    last = in_order.drop_duplicates(sequence, keep="last")
    # At the end of the file, since rows of one moment keep its order.
    return pd.concat([log, last.assign(**{kind: END}).sort_index()], ignore_index=True)


def find_ends(log: Log) -> list[int]:
    """The kinds of event that end a sequence; an InputError says that the log has none."""
    kinds = log.vocabularies[log.categories[0].name]
    ends = [kinds.index(kind) for kind in ((END,) if END in kinds else APPROVED) if kind in kinds]
    if not ends:
        raise InputError(
            f"log: no kind of event is '{END}', so no suffix has an end; add ends to the log by "
            f"`add_ends`, and train anew"
        )
    return ends


def list_ending(log: Log, origins: np.ndarray) -> np.ndarray:
    """Those of the origins after which an end of their sequence stands in the log: (N,)."""
    last = np.full(log.sequence.max() + 1, -1)  # of each sequence the last end
    ends = np.flatnonzero(np.isin(log.table[:, 0], find_ends(log)))
    np.maximum.at(last, log.sequence[ends], ends)
    return origins[last[log.sequence[origins]] > origins]


# -- suffixes, true or forecast


class Suffixes(NamedTuple):
    """Futures cut at their first end, or else at the horizon: of each of N windows S of them.

    kinds: N lists of S lists of the kinds of event before the end
    hours: (N, S) until the end, or until the horizon's last event
    ended: (N, S) bool, False where no end came within the horizon
    """

    kinds: list[list[list[int]]]
    hours: np.ndarray
    ended: np.ndarray

    def pick(self, places: np.ndarray) -> Suffixes:
        """One of each window's, by its place, (N,)."""
        kinds = [[each[place]] for each, place in zip(self.kinds, places, strict=True)]
        hours, ended = (
            np.take_along_axis(one, places[:, None], 1) for one in (self.hours, self.ended)
        )
        return Suffixes(kinds, hours, ended)


def true_suffixes(log: Log, origins: np.ndarray) -> Suffixes:
    """How it went on in the log, to the end, however far that is: S = 1.

    An InputError names an origin after which the log has no end; see `list_ending`.
    """
    ends, kind = set(find_ends(log)), log.table[:, 0].tolist()
    order = np.argsort(log.sequence, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    if len(strangers := np.setdiff1d(origins, list_ending(log, origins))):
        raise InputError(
            f"origin {strangers[0]}: its sequence has no end after it; take those of `list_ending`"
        )
    kinds, last = [], []
    for origin in origins:
        some, at = [], place[origin] + 1
        while kind[order[at]] not in ends:
            some.append(kind[order[at]])
            at += 1
        kinds.append([some])
        last.append(order[at])
    hours = (log.time[last] - log.time[origins]) / HOUR
    return Suffixes(kinds, hours[:, None], np.full((len(origins), 1), True))


def read_suffixes(log: Log, origins: np.ndarray, futures: np.ndarray) -> Suffixes:
    """What futures say, (N, S, U, C) integers, of N origins."""
    futures, wanted = np.asarray(futures), (len(origins), len(log.categories))
    if futures.ndim != 4 or futures.shape[::3] != wanted or not futures.shape[2]:
        raise InputError(
            f"futures must be of {wanted[0]} origins and {wanted[1]} categories, of one step at "
            f"least, found {futures.shape}"
        )
    lengths, U = find_lengths(log, futures), futures.shape[2]
    kinds = [
        [future[:length] for future, length in zip(each, cut, strict=True)]
        for each, cut in zip(futures[..., 0].tolist(), lengths.tolist(), strict=True)
    ]
    last = np.minimum(lengths, U - 1)[..., None]
    return Suffixes(kinds, read_hours(log, origins, futures, last), lengths < U)


def find_lengths(log: Log, futures: np.ndarray) -> np.ndarray:
    """How many events come before the first end: (N, S, U, C) -> (N, S), U where none comes."""
    is_end = np.isin(futures[..., 0], find_ends(log))
    return np.where(is_end.any(-1), is_end.argmax(-1), futures.shape[2])


# -- the time that remains


def read_hours(log: Log, origins: np.ndarray, futures: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Hours from each origin to a step of its futures, `last` (N, S, 1): (N, S).

    Where a category tells the time since the event before, they are the sum over the steps; in the
    built-in log the last step's clock and date. NaN where the log has neither.
    """
    names = [category.name for category in log.categories]
    if (elapsed := find_elapsed(log.categories)) is not None:
        hours = middle_hours(log, elapsed)[futures[..., elapsed]].cumsum(-1)  # (N, S, U)
        return np.take_along_axis(hours, last, -1)[..., 0]
    if not set(CLOCK) <= set(names):
        return np.full(last.shape[:2], np.nan)
    clock = [names.index(name) for name in CLOCK]
    event = np.take_along_axis(futures[..., clock], last[..., None], 2)[:, :, 0]  # (N, S, 4)
    event = np.where(event > 0, event, log.table[origins][:, None, clock])
    return hours_until(log.time[origins], event)


def middle_hours(log: Log, elapsed: int) -> np.ndarray:
    """What each bin of a category of ELAPSED times counts for in a sum, in hours: (BINS + 1,).

    The mean over the training events in it, so that sums are right in the mean; of a bin that
    training never has it is the geometric middle, and 0 of no duration.
    """
    before = find_before(log.sequence)
    training = (log.part == TRAIN) & (before >= 0)
    hours = ((log.time - log.time[before]) / HOUR)[training]
    bins, size = log.table[training, elapsed], log.categories[elapsed].size
    count, total = np.bincount(bins, minlength=size), np.bincount(bins, hours, size)
    middle = 2.0 ** (np.arange(size) - 1.5) / 3600
    middle[:2] = 0  # no duration, and less than a second
    return np.where(count > 0, total / np.maximum(count, 1), middle)


def hours_until(origin: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Hours from moments, (N,), to events that tell no year: month, day, hour, minute (N, S, 4).

    The year is the one in which the event is nearest to the origin. One that lies before it, which
    cannot be, is 0 hours away.
    """
    month, day, hour, minute = np.moveaxis(event.astype(int) - 1, -1, 0)  # counted from 0
    year = origin.astype("datetime64[Y]").astype(int)[:, None]
    apart = []
    for other in (-1, 0, 1):
        months = (12 * (year + other) + month).astype("datetime64[M]")
        minutes = (24 * day + hour) * 60 + minute
        moment = months.astype("datetime64[m]") + minutes.astype("timedelta64[m]")
        apart.append((moment - origin[:, None]) / HOUR)
    apart = np.stack(apart)  # (3, N, S)
    nearest = np.abs(apart).argmin(0)
    return np.take_along_axis(apart, nearest[None], 0)[0].clip(0)


# -- a rival


class TableForecaster(nn.Module):
    """A back-off table that forecasts as a network does: greedy, by beam, by samples.

    baselines: those of a log, as `fit_baselines` counts them; each category's table knows kinds and
    values of the ORDER events before, and nothing of other streams

    An InputError says that no stream is the sequence's own, so that it could not be read.
    """

    def __init__(self, baselines):
        super().__init__()
        self.tables: list[CategoryBaseline] = baselines.fitted
        self.sizes = [table.size for table in self.tables]
        self.own = find_own_stream(baselines.log)

    def forward(self, batch: Batch) -> Tensor:  # -> logits (B, U, V), ln p
        before = list_before(batch, self.own).cpu().numpy().astype(int)  # (B, U, ORDER, C)
        before = before.reshape(-1, *before.shape[2:])
        kind, answers = before[..., 0], []
        for c, table in enumerate(self.tables):
            # Futures have much in common, and of what is the same the table is asked once.
            both = np.concatenate([kind, before[..., c]], 1)  # (B * U, 2 * ORDER)
            every = np.zeros(len(both), int)
            for column in both.T:
                every = number(every * (column.max() + 2) + column + 1)
            first = np.unique(every, return_index=True)[1]
            p = table.spread(both[first, :ORDER], both[first, ORDER:])
            answers.append(torch.from_numpy(np.log(p)).to(batch.given.device, torch.float)[every])
        return torch.cat(answers, -1).unflatten(0, batch.given.shape[:2])


def find_own_stream(log: Log) -> int:
    """The place of the stream whose histories are those of the sequence itself."""
    sequences = len(np.unique(log.sequence))
    for place, stream in enumerate(log.streams):
        key = log.key(stream)
        pairs = len(pd.DataFrame({"key": key, "sequence": log.sequence}).drop_duplicates())
        if key.all() and pairs == len(np.unique(key)) == sequences:
            return place
    raise InputError(
        "streams: none is the sequence's own, which a table reads; add one to the mapping whose "
        "key is its 'sequence'"
    )


# -- grades


def pick_best(
    model: nn.Module, batch: Batch, width: int, log: Log, steps: int | None = None
) -> Tensor:
    """Of the futures of a beam the one that is likeliest up to its end: (B, U, C).

    A beam search goes on to the horizon, and what it puts after the end shall not count.
    """
    futures, _ = beam_search(model, batch, width, steps)  # (B, W, U, C)
    log_p = log_probability(model, batch, futures).sum(-1).cpu()  # (B, W, U)
    lengths = torch.from_numpy(find_lengths(log, futures.cpu().numpy()))
    counts = torch.arange(futures.shape[2]) <= lengths[..., None]
    best = (log_p * counts).sum(-1).argmax(-1).to(futures.device)
    return futures[torch.arange(len(best)), best]


def find_medoids(suffixes: Suffixes) -> np.ndarray:
    """Of each window's samples the place of the one that is most like the others: (N,)."""
    return np.array([compare(each).sum(1).argmax() for each in suffixes.kinds])


def grade_suffixes(
    forecasters: dict[str, nn.Module],
    windows: Windows,
    prefixes: int = 200,
    samples: int = 20,
    width: int = 5,
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """How good each forecaster's suffixes are, by way: a row for each.

    forecasters: name -> what `sample`, `roll_out` and `beam_search` take as a model
    prefixes: so many origins, evenly spaced among those whose sequence has an end; width: beams
    steps: U, the horizon; None is as many as the windows' targets have

    way: greedy, the likeliest value step by step: one quick answer, which may loop and never end
        beam, the likeliest suffix as a whole: what is sure, and short, since each event costs
        sample, any one sample, in the mean over all: typical, and right only by luck
        medoid, the sample most like the others: the best single pick where similarity is what
            counts (minimum Bayes risk, Kumar and Byrne 2004); it is some sample, so it can happen
        mean, median, of the samples' times alone: the best forecasts of a time under the squared
            and the absolute error; they are no suffix, so they have no similarity
    similarity: see `similarity`, in the mean over the prefixes
    hours: the mean absolute error of the remaining time; blank where no category tells of time
    length, empty: events before the end, in the mean; the share that has none, the end comes next
    no_end: the share without an end within the horizon, which is cut there
    prefixes: how many origins

    Who is "truth" is what came, shown for as many steps as the horizon has and read as forecasts
    are, by bins: what it lacks no forecast can have. The true suffix goes on to its end, and the
    true time is the log's.
    """
    check_count("prefixes", prefixes)
    check_count("steps", windows.tgt_seq_len if steps is None else steps, windows.tgt_seq_len)
    log = windows.log
    origins = pick_evenly(list_ending(log, windows.origins), prefixes)
    if not len(origins):
        raise InputError("windows: no origin's sequence has an end after it; give a longer log")
    truth = true_suffixes(log, origins)
    parts = [origins[start : start + AT_ONCE] for start in range(0, len(origins), AT_ONCE)]
    batches = [windows.batch(part) for part in parts]

    def read(futures: list[Tensor]) -> Suffixes:
        return read_suffixes(log, origins, torch.cat(futures).cpu().numpy())

    rows = [rate("truth", "", read([batch.target[:, None, :steps] for batch in batches]), truth)]
    for who, model in forecasters.items():
        generator, greedy, beam, drawn = torch.Generator(device).manual_seed(seed), [], [], []
        for batch in batches:
            batch = batch.to(device)
            greedy.append(roll_out(model, batch, steps)[:, None])
            beam.append(pick_best(model, batch, width, log, steps)[:, None])
            drawn.append(sample(model, batch, samples, generator, steps))
        some = read(drawn)
        rows += [rate(who, "greedy", read(greedy), truth), rate(who, "beam", read(beam), truth)]
        rows += [rate(who, "sample", some, truth)]
        rows += [rate(who, "medoid", some.pick(find_medoids(some)), truth)]
        for way, middle in (("mean", some.hours.mean(1)), ("median", np.median(some.hours, 1))):
            error = np.abs(middle - truth.hours[:, 0]).mean()
            rows.append({"who": who, "way": way, "hours": error})
    return pd.DataFrame(rows).assign(prefixes=len(origins))


def rate(who: str, way: str, ours: Suffixes, truth: Suffixes) -> dict:
    """A row of `grade_suffixes`; where there are several futures of a window, their means."""
    alike = [
        [similarity(one, true) for one in each]
        for each, (true,) in zip(ours.kinds, truth.kinds, strict=True)
    ]
    return {
        "who": who,
        "way": way,
        "similarity": np.mean(alike),
        "hours": np.abs(ours.hours - truth.hours).mean(),
        "length": np.mean([[len(one) for one in each] for each in ours.kinds]),
        "empty": np.mean([[not one for one in each] for each in ours.kinds]),
        "no_end": 1 - ours.ended.mean(),
    }
