"""What a grading writes: a table with a row a student, and a page for the teacher."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime
from pathlib import Path

import pandas as pd
from jinja2 import Environment

from helpers.support.files import replace_file
from helpers.tools.grading.exercises import Exercise

PAGE = Path(__file__).with_name("grades.html.j2")
COMMON = 5  # wrong verdicts that are shown of an exercise
BINS = 10  # of the totals, at most
RIGHT, WRONG, MISSING = "right", "wrong", "not done"


def write_grades(folder: Path, graded: list[dict], exercises: list[Exercise], guarded: str) -> None:
    """Writes grades.csv and grades.html into a folder.

    graded: of each student {"student", "verdicts": {number: {"score", "words"}}, "remarks"}
    guarded: a sentence on what kept the hand-ins apart
    """
    rows = [make_row(each, exercises) for each in graded]
    table = pd.DataFrame(rows)  # spreadsheets know the letters of names by the mark in front
    replace_file(
        folder / "grades.csv",
        # Texts in quotes: a name stays one cell where a spreadsheet takes ";" to part them.
        lambda part: table.to_csv(
            part, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_NONNUMERIC
        ),
    )
    page = make_page(folder.name.removesuffix("-grades"), graded, exercises, guarded)
    replace_file(folder / "grades.html", lambda part: part.write_text(page, encoding="utf-8"))


def make_row(graded: dict, exercises: list[Exercise]) -> dict:
    """A student's row: 1, 0, or blank where an exercise was not handed in."""
    scores = {each.number: graded["verdicts"][each.number]["score"] for each in exercises}
    row = {"student": as_text(graded["student"])}
    row |= {number: "" if score is None else score for number, score in scores.items()}
    row["total"] = sum(score or 0 for score in scores.values())
    row["remarks"] = as_text("; ".join(graded["remarks"]))
    return row


def as_text(text: str) -> str:
    """A text that a spreadsheet takes for no formula, whatever a student called himself."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def make_page(name: str, graded: list[dict], exercises: list[Exercise], guarded: str) -> str:
    students = [summarise(each, exercises) for each in graded]
    bins = count_totals([student["right"] for student in students], len(exercises))
    template = Environment(autoescape=True, trim_blocks=True).from_string(
        PAGE.read_text(encoding="utf-8")
    )
    return template.render(
        folder=name,
        when=f"{datetime.now():%d %B %Y, %H:%M}",
        guarded=guarded,
        students=students,
        noted=[student for student in students if student["remarks"]],
        exercises=[count_verdicts(each, graded) for each in exercises],
        totals=bins,
        totals_in_words=", ".join(f"{each['label']}: {each['count']}" for each in bins),
    )


def summarise(graded: dict, exercises: list[Exercise]) -> dict:
    scores = Counter(graded["verdicts"][each.number]["score"] for each in exercises)
    counts = {RIGHT: scores[1], WRONG: scores[0], "missing": scores[None]}
    return {"name": graded["student"], "remarks": graded["remarks"]} | counts


def count_verdicts(exercise: Exercise, graded: list[dict]) -> dict:
    """An exercise's bars, and the words of its wrong verdicts with how often they were said."""
    verdicts = [each["verdicts"][exercise.number] for each in graded]
    scores = Counter(verdict["score"] for verdict in verdicts)
    words = Counter(verdict["words"] for verdict in verdicts if verdict["score"] == 0)
    return exercise._asdict() | {
        "bars": {RIGHT: scores[1], WRONG: scores[0], MISSING: scores[None]},
        "colours": {RIGHT: "right", WRONG: "wrong", MISSING: "none"},
        "faults": words.most_common(COMMON),
    }


def count_totals(totals: list[int], most: int) -> list[dict]:
    """The histogram of how many exercises a student has right, from 0 to `most`."""
    width = -(-(most + 1) // BINS)
    starts = range(0, most + 1, width)
    counts = Counter(total // width for total in totals)
    highest = max(counts.values(), default=1)
    bins = []
    for number, start in enumerate(starts):
        end = min(start + width - 1, most)
        label = f"{start}–{end}" if end > start else str(start)
        percent = 85 * counts[number] / highest
        bins.append({"label": label, "count": counts[number], "percent": percent})
    return bins
