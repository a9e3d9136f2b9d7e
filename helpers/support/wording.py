"""What a run has found, as tables of text and in words, for a terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.support.baselines import BASELINES
from helpers.support.errors import in_one_line
from helpers.support.reports import ACCURACIES, LEAST, share_unknown
from helpers.support.splits import TEST

# What each part of a report is about.
QUESTIONS = {
    "next event": "Test part, the next event",
    "all steps": "Test part, all steps of the horizon",
    "where a habit decides": "Test part, the next event where a stream's habit decides it",
}
LONGEST = 40  # letters of a name
UNITS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


# -- the report as text


def show(report: pd.DataFrame) -> str:
    """A report of `all_questions` as text: the best baseline of each row alone, three digits.

    A row says so where the model is behind a baseline. Of the next event the losses and accuracies
    of all baselines follow.
    """
    parts = []
    for question, table in report.groupby("question", sort=False):
        parts.append(f"{QUESTIONS[question]}, losses in nats:\n{write_rows(find_levels(table))}\n")
        if question == "next event" and table.columns.isin(ACCURACIES).any():
            rows = table[["category", *BASELINES, "model"]]
            parts.append(f"The losses of all baselines there:\n{write_rows(rows)}\n")
            rows = table[["category", *ACCURACIES, "accuracy", "unseen", "unknown"]]
            rows = rows.set_axis(["category", *BASELINES, "model", "unseen", "unknown"], axis=1)
            parts.append(
                f"How often their most likely value is the true one, and the shares of true values "
                f"that are unseen or unknown:\n{write_rows(rows)}\n"
            )
    return "\n".join(parts)


def find_levels(table: pd.DataFrame) -> pd.DataFrame:
    """Of one question's rows, the columns of a table of text."""
    more = ["error", "accuracy_error", "unseen", "unknown", "names"]
    rows = table.drop(columns=["question", *BASELINES, *ACCURACIES, *more], errors="ignore")
    best = table[list(BASELINES)].min(axis=1)
    rows.insert(rows.columns.get_loc("ceiling") + 1, "baseline", best)
    if "best" in rows:
        rows.insert(rows.columns.get_loc("baseline") + 1, "which", rows.pop("best"))
        rows["behind"] = rows.pop("behind").map({True: "behind"})
    return rows


def write_rows(table: pd.DataFrame) -> str:
    """A table as text, without the columns that are blank."""
    table = table.dropna(axis=1, how="all")
    for name in table:
        if name in ("size", "decisions"):
            table[name] = table[name].astype("Int64").astype("string").fillna("")
        elif not pd.api.types.is_numeric_dtype(table[name]):
            table[name] = table[name].map(shorten, na_action="ignore").astype(object).fillna("")
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="")


def shorten(name: str) -> str:
    """A name as a terminal can show it, cut off where it is long."""
    name = in_one_line(str(name))
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


# -- the report in words


def verdict(report: pd.DataFrame) -> str:
    """Whether the network is worth using on this log, from a report of `all_questions`.

    It is told by the next event: its first category, the kind of event, and the mean over the
    categories of names, each against the baselines that are best there.
    """
    rows = report[report["question"] == "next event"].iloc[:-1]
    lines, found = [], {"better": [], "behind": []}
    for whose, some in pick_subjects(rows):
        measures = compare(some)
        said = "; ".join(f"{text}: {word}" for _, text, word in measures)
        lines.append(f"The next event, {whose}: {said}.")
        for word, places in found.items():
            if what := [name for name, _, judged in measures if judged == word]:
                places.append(f"{' and '.join(what)} of {whose}")
    better, behind = (" and ".join(places) for places in found.values())
    if better and not behind:
        first = f"The network is worth using on this log: better than any table in {better}."
    elif better:
        first = f"The network is better than any table in {better}, and behind in {behind}."
    else:
        first = (
            f"The network is no better than a table on this log: use the table "
            f"({rows['best'].iloc[0]}).{f' It is behind in {behind}.' * bool(behind)}"
        )
    return "\n".join([first, *lines, count_behind(rows)])


def pick_subjects(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """What a verdict is about: the kind of event, and the names where there are several."""
    subjects = [(shorten(rows["category"].iloc[0]), rows.iloc[:1])]
    names = rows[rows["names"].astype(bool)]
    if len(names) > 1:
        subjects.append((f"the {len(names)} categories of names on average", names))
    return subjects


def compare(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Loss and accuracy of these rows against the best baselines': what, both figures, and a word.

    A difference within two standard errors is none that the test can show. The standard error of
    the mean over rows is at most the mean of theirs, which is taken.
    """
    name = f" of {rows['best'].iloc[0]}" if len(rows) == 1 else ""
    loss, least = rows["model"].mean(), rows[list(BASELINES)].min(axis=1).mean()
    right, most = rows["accuracy"].mean(), rows[ACCURACIES].max(axis=1).mean()
    errors = rows["error"].mean(), rows["accuracy_error"].mean()
    return [
        ("loss", f"loss {loss:.3f} against {least:.3f}{name}", judge(least - loss, errors[0])),
        ("accuracy", f"accuracy {right:.1%} against {most:.1%}", judge(right - most, errors[1])),
    ]


def count_behind(rows: pd.DataFrame) -> str:
    """In how many categories the model is behind, and which."""
    behind = rows["category"][rows["behind"].astype(bool)].map(shorten)
    which = f": {', '.join(behind)}" if len(behind) else ""
    return f"It is behind the best table in {len(behind)} of {len(rows)} categories{which}."


def judge(ahead: float, error: float) -> str:
    if abs(ahead) <= 2 * error:
        return "no difference that this test can show"
    if abs(ahead) <= LEAST:
        return "hardly a difference"
    return "better" if ahead > 0 else "behind"


def sum_up(report: pd.DataFrame) -> str:
    """The gap in words, and its two parts, from a report of `all_questions`."""
    lines = []
    for question, words in (("all steps", "all steps"), ("next event", "the next event")):
        mean = report[report["question"] == question].iloc[-1]
        gap, nobody, unread = mean[["gap", "unknowable", "unread"]]
        lines.append(
            f"Mean gap, {words}: {gap:.4f}. Of it {nobody:.4f} nobody could know, and {unread:.4f} "
            f"the model could have known."
        )
    if pd.isna(gap):
        return "This log has no simulator, so no floor and no exact reader are known."
    return "\n".join(lines)


# -- a log, and its durations


def tell_values(log) -> list[str]:
    """Which shares of a `Log`'s test events have no value that training can tell of.

    A line for each category that has any.
    """
    lines, shares = [], share_unknown(log, np.flatnonzero(log.part == TEST))
    for category, (unseen, unknown) in zip(log.categories, shares, strict=True):
        name, blank = shorten(category.name), f"unknown or blank in {tell_share(unknown)}"
        if unseen:
            lines.append(
                f"in {tell_share(unseen)} of the test events {name} has a value that training "
                f"never has, or too seldom; it is {blank}"
            )
        elif unknown:
            lines.append(f"{name} is {blank} of the test events")
    return lines


def tell_share(share: float) -> str:
    return "less than 0.1%" if 0 < share < 0.001 else f"{share:.{1 if share < 0.1 else 0}%}"


def tell_durations(table: pd.DataFrame) -> str:
    """`reports.durations` as text, in units that a person uses."""
    shown = pd.DataFrame({"forecast": table["forecast"]})
    shown["off by (median)"] = table["median_error"].map(tell_time)
    shown["off by (mean)"] = table["mean_error"].map(tell_time)
    shown["80% interval holds"] = table["coverage"].map("{:.1%}".format)
    shown["its width (median)"] = table["width"].map(tell_time)
    title = f"How long until the next event, {table['events'].iloc[0]} of the test part:"
    return f"{title}\n{shown.to_string(index=False)}"


def tell_time(seconds: float) -> str:
    for unit, size in UNITS.items():
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
