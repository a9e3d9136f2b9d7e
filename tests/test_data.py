"""What data/README.md and README.md say is true of the files, the simulator and the package."""

import csv
import json
import random
import re

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import world
from helpers.events import TEST
from helpers.schema import CATEGORY_NAMES, WORKPLACE
from helpers.support import files
from helpers.support.baselines import BASELINES
from helpers.support.checkpoints import identify
from helpers.support.errors import InputError
from helpers.support.files import DATA, ROOT, STORED, read_truth
from helpers.tools.controls import list_trainings
from helpers.tools.decisions import ask
from helpers.training import Trainer, finished_run, pick_evenly, read_config
from helpers.world import Causes, Workplace

CARD = (DATA / "README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first heading this is."""
    (body,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]


def quoted(text: str, first: str, pattern: str = r"`(\w+)`") -> list[str]:
    """The names in the first column of the table whose first heading this is."""
    return re.findall(pattern, " ".join(row[0] for row in table(text, first)))


def number(pattern: str, text: str = CARD) -> int:
    """The one number that the prose gives here."""
    (found,) = re.findall(pattern, text)
    return int(found.replace(",", ""))


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return pd.read_csv(DATA / "workplace.csv.gz", parse_dates=["event_time", "reference_time"])


# -- the log


def test_the_log_has_the_events_people_and_days_of_the_card(log):
    assert len(log) == number(r"([\d,]+) events of")
    assert log.recipient.nunique() == number(r"of (\d+) employees on")
    default = Workplace()
    assert default.days == number(r"on ([\d,]+) days") and f"days from {default.start}" in CARD
    days = log.event_time.dt.normalize()
    assert days.min() == pd.Timestamp(default.start)
    assert days.max() == days.min() + pd.Timedelta(days=default.days - 1)


def test_both_pages_give_the_same_number_of_events(log):
    said = [int(n.replace(",", "")) for n in re.findall(r"(\d+(?:,\d{3})+) events", CARD + README)]
    assert said and set(said) == {len(log)}


def test_floors_and_deciders_have_a_row_an_event_and_a_column_a_category(log):
    columns = number(r"\(events, (\d+)\)")
    assert columns == len(CATEGORY_NAMES)
    truth = read_truth(DATA / "workplace.csv.gz")
    assert truth.floors.shape == truth.deciders.shape == (len(log), columns)


def test_the_columns_of_the_log_are_those_of_the_card(log):
    assert quoted(CARD, "column") == log.columns.tolist()


def test_the_log_is_at_most_4_mb():
    assert (DATA / "workplace.csv.gz").stat().st_size <= 4_000_000


def test_a_shift_goes_as_the_card_says(log):
    prose = re.search(r"A shift goes .*", CARD)[0]
    count = log.event_type.value_counts()
    assert set(re.findall(r"`(\w+)`", prose)) == set(count.index) == set(world.EVENT_TYPES)
    assert len(count) == {"nine": 9}[re.search(r"one of the (\w+) below", CARD)[1]]
    mended = count["timesheet_mended"] / (count["timesheet_mended"] + count["timesheet_approved"])
    assert abs(mended - number(r"in (\d+) % of cases", prose) / 100) < 0.01
    transferred = count["job_transfer"] / count["punch_in"]
    said = 1 / number(r"one punch in of (\d+) comes a `job_transfer`", prose)
    assert abs(transferred - said) < 0.003


def test_shifts_have_the_hours_of_the_card(log):
    first, last = map(int, re.search(r"\((\d+) to (\d+) o'clock\)", CARD).groups())
    assert tuple(range(first, last + 1)) == world.START_HOURS
    start, hour = log.reference_time.dt.hour, log.event_time.dt.hour
    assert sorted(set(start)) == list(world.START_HOURS)
    kind, minute = log.event_type, log.event_time.dt.minute
    planned = kind == "shift_scheduled"
    assert (hour[planned] == start[planned] - 1).all()
    assert set(minute[planned]) == {number(r"at minute (\d+)")}
    assert (hour[kind == "punch_in"] == start[kind == "punch_in"]).all()
    begins, ends = map(int, re.search(r"break goes from (\d+) to (\d+) o'clock", CARD).groups())
    assert set(hour[kind == "break_start"]) == {begins} and set(hour[kind == "break_end"]) == {ends}
    (leaves,) = re.findall(r"the shift ends at ([\d, or]+) o'clock", CARD)
    assert sorted(set(hour[kind == "punch_out"])) == [int(n) for n in re.findall(r"\d+", leaves)]


def test_minutes_go_on_as_the_card_says(log):
    told = "at the minute of the punch in", "handed in and approved in the minute of the punch out"
    assert all(words in CARD for words in told)
    for first, later in (
        ("punch_in", ["break_start", "break_end"]),
        ("punch_out", ["timesheet_submitted", "timesheet_approved", "timesheet_mended"]),
    ):
        minute = log.event_time.dt.minute.where(log.event_type == first)
        before = minute.groupby(log.recipient).ffill()
        some = log.event_type.isin(later)
        assert (before[some] == log.event_time.dt.minute[some]).all()


def test_the_next_shift_comes_when_the_card_says(log):
    days = log.event_time[log.event_type == "shift_scheduled"].dt.normalize()
    gaps = days.groupby(log.recipient).diff().dropna().dt.days.value_counts(normalize=True)
    shares = re.search(r"a day later \((\d+) %\), two \((\d+) %\) or three \((\d+) %\)", CARD)
    said = {days: int(share) / 100 for days, share in enumerate(shares.groups(), 1)}
    assert said == world.GAPS
    assert dict(gaps) == pytest.approx(said, abs=0.01)


def test_what_is_drawn_by_lot_is_even(log):
    assert "in which job and from which hour on (4 to 11 o'clock) is drawn by lot" in CARD
    plans = log[log.event_type == "shift_scheduled"]
    for column in ("actor", "location", "cost_code", "job_code"):
        counts = plans[column].value_counts()
        mean = len(plans) / len(Workplace().make_names(""))
        assert len(counts) == len(plans) / mean
        assert (counts - mean).abs().max() < 5 * mean**0.5  # five standard deviations


def test_there_are_no_weekends(log):
    days = log.event_time.dt.day_of_week.value_counts(normalize=True)
    assert "There are no weekends" in CARD and len(days) == 7 and days.max() < 1.05 * days.min()


def test_workplaces_are_as_large_as_the_card_says():
    most = number(r"up to (\d+) employees")
    Workplace(employees=most)
    with pytest.raises(InputError):
        Workplace(employees=most + 1)


# -- what each stream knows

HABITS = {row[0]: row[1:] for row in table(CARD, "stream")}
VALUES = {"six managers": ["M01", "M02", "M03", "M04", "M05", "M06"]}


def test_the_table_of_habits_names_every_stream_and_the_placebo():
    assert list(HABITS) == [*world.HABITS, "EventType"]
    assert set(HABITS) == set(WORKPLACE.streams)
    assert "placebo" in HABITS["EventType"][1]


@pytest.mark.parametrize("stream", world.HABITS)
def test_a_habit_decides_what_the_card_says(stream):
    _, _, category, kind, said = HABITS[stream]
    habit = world.HABITS[stream]
    assert (habit.category, habit.kind) == (category, kind)
    values = Causes(Workplace(), random.Random(0)).values[stream]
    if said in VALUES:
        assert list(values) == VALUES[said]
    else:
        scale = 4 if "hours" in said else 1
        assert list(values) == [scale * int(n) for n in re.findall(r"\d+", said)]


def test_habits_are_as_strong_and_change_as_often_as_the_card_says():
    assert number(r"Each is followed with (\d+) %") / 100 == world.FOLLOWED
    usual = number(r"with a probability of (\d+) % a day") / 100
    hours = number(r"those of the start hours with (\d+) %") / 100
    for stream, habit in world.HABITS.items():
        assert habit.change == (hours if stream == "Time" else usual)


def test_deciders_are_where_the_card_says():
    deciders = read_truth(DATA / "workplace.csv.gz").deciders
    kinds = pd.read_csv(DATA / "workplace.csv.gz", usecols=["event_type"])["event_type"]
    for number_of, stream in enumerate(WORKPLACE.streams, 1):
        event, category = np.nonzero(deciders == number_of)
        if stream == "EventType":
            assert not len(event)
            continue
        habit = world.HABITS[stream]
        assert set(category) == {CATEGORY_NAMES.index(habit.category)}
        assert np.array_equal(event, np.flatnonzero(kinds == habit.kind))


# -- what can be known, and what is

STORED_DECISIONS = pd.read_csv(DATA / "decisions.csv")
DECIDED = STORED_DECISIONS.pivot(index="who", columns="question", values="loss")


@pytest.mark.parametrize(
    "first, columns",
    [
        ("who \\| all steps", ["all steps", "next event"]),
        ("who \\| Actor", [*world.HABITS, "decisions"]),
    ],
    ids=["all", "decisions"],
)
def test_the_card_shows_the_stored_decisions(first, columns):
    shown = {row[0]: list(map(float, row[1:])) for row in table(CARD, first)}
    assert set(shown) == set(DECIDED.index) - {"marginal", "copy_last"}
    for who, numbers in shown.items():
        assert numbers == [round(float(DECIDED.loc[who, column]), 3) for column in columns], who


def test_every_stream_but_the_placebo_is_worth_what_was_asked_to_the_exact_reader():
    asked = {"Actor": 0.4, "Location": 0.4, "CostCode": 0.4}
    asked |= {"JobCode": 0.15, "Time": 0.1, "Recipient": 0.2}
    for stream, worth in asked.items():
        assert DECIDED.loc[f"without {stream}", stream] - DECIDED.loc["reader", stream] >= worth
    placebo = DECIDED.loc["without EventType"] - DECIDED.loc["reader"]
    assert (placebo[["next event", *world.HABITS]] == 0).all()


def test_readers_and_runs_stand_in_their_order():
    for question in ("all steps", "next event", "decisions"):
        column = DECIDED[question]
        without = column[[who for who in column.index if who.startswith("without ")]]
        assert column["floor"] < column["reader"] <= without.min()
        assert without.max() <= column["reader of Recipient alone"]
        assert column["reader"] < column[["working_run", "larger_run"]].min()


# -- the files


def test_every_file_of_the_data_card_exists():
    names = quoted(CARD, "file", r"`([\w.]+)`")
    assert len(names) >= 7 and [name for name in names if not (DATA / name).is_file()] == []


@pytest.mark.parametrize("page", [README, CARD], ids=["README.md", "data/README.md"])
def test_every_link_to_a_file_leads_to_one(page):
    folder = ROOT if page is README else DATA
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []


CORE = ["schema", "world", "events", "windows", "reader", "model", "losses", "training"]


def test_the_readme_s_hours_are_the_sum_of_the_notebooks_minutes():
    found = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        head = path.read_text(encoding="utf-8").split("**Minutes:**")[1]
        found.append(
            [int(minutes) for minutes in re.findall(r"(\d+) (?:to teach|for the ex)", head)]
        )
    teach, exercises = (round(sum(minutes) / 60) for minutes in zip(*found, strict=True))
    assert len(found) == 10
    assert f"All ten take {teach} hours to teach and {exercises} for the exercises" in README


def test_the_readme_lists_the_core_in_its_order_and_with_its_lines():
    rows = {row[0].strip("`"): int(row[1]) for row in table(README, "module")}
    assert list(rows) == CORE
    for module, lines in rows.items():
        text = (ROOT / "helpers" / f"{module}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) == lines, module


def test_the_readme_names_every_other_module_and_folder_of_the_package():
    package = ROOT / "helpers"
    names = {path.stem for path in package.glob("*.py")} - {"__init__", *CORE}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert [name for name in names if f"`{name}`" not in README] == []
    assert [name for name in folders if f"`{name}/`" not in README] == []


def test_the_readme_lists_the_notebooks():
    names = []
    for row in table(README, "notebook"):
        name, file = re.fullmatch(r"\[(\w+)\]\(notebooks/(\w+)\.ipynb\)", row[0]).groups()
        assert name == file
        names.append(name)
    assert sorted(names) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


# -- the published run


def test_the_published_epochs_are_twenty_the_last_three_repeated_and_one_the_best():
    with open(DATA / "reference_epochs.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(20)]
    train = [row["train"] for row in rows]
    assert train[17:20] == train[14:17] and len(set(train)) == 17
    (best,) = (row for row in rows if row["best"] == "True")
    assert {row["best"] for row in rows} == {"True", "False"}
    assert float(best["validation"]) == min(float(row["validation"]) for row in rows)


# -- the stored controls


def test_every_control_is_measured_on_the_same_questions():
    controls = pd.read_csv(DATA / "controls.csv")
    assert list(controls) == ["way", "carry", "seed", "question", "loss"]
    trained = set(controls[["way", "carry", "seed"]].itertuples(index=False, name=None))
    assert trained == set(list_trainings([0, 1], [1, 4, 20]))
    questions = set(STORED_DECISIONS["question"])
    for _, rows in controls.groupby(["way", "carry", "seed"]):
        assert set(rows["question"]) == questions and len(rows) == len(questions)


# -- the trained runs that come with the course

HISTORIES = sorted(path.parent.name for path in STORED.glob("*/history.csv"))


@pytest.fixture(scope="module")
def run() -> Trainer:
    return finished_run(DATA / "working_run.json", {})


@pytest.fixture(scope="module")
def evaluation(run):
    return run.evaluation(origins=pick_evenly(run.data.windows[TEST].origins, 8000))


@pytest.fixture(scope="module")
def rows(evaluation) -> pd.DataFrame:
    return evaluation.report().set_index("category").drop(index="mean")


def test_the_working_run_is_taken_from_where_it_is_stored(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "ROOT", tmp_path)  # no run of one's own lies there
    monkeypatch.setattr(Trainer, "epoch", lambda run: pytest.fail("it trains"))
    run = finished_run(DATA / "working_run.json")
    assert run.epochs_done == run.config.epochs
    stored = pd.read_csv(STORED / "working_run" / "history.csv")
    pd.testing.assert_frame_equal(pd.DataFrame(run.history), stored)


@pytest.mark.parametrize("name", HISTORIES)
def test_a_stored_history_covers_every_epoch_of_its_configuration(name):
    history = pd.read_csv(STORED / name / "history.csv")
    config = read_config(DATA / f"{name}.json")
    assert sorted(set(history["epoch"])) == list(range(config.epochs))
    names = history.groupby("measure")["name"].nunique()
    assert names.to_dict() == {"gradient": 7, "train": 17, "validation": 17}


def test_the_working_run_is_ahead_of_every_baseline_where_a_habit_decides(evaluation):
    decisions = evaluation.decisions().set_index("stream").drop(index="mean")
    assert (decisions["model"] < decisions[list(BASELINES)].min(axis=1)).all()


def test_the_working_run_is_near_its_best_baseline_in_every_category(rows):
    behind = rows["model"] - rows[list(BASELINES)].min(axis=1)
    assert behind.max() < 0.03, behind.sort_values()


def test_the_stored_decisions_are_the_working_runs(evaluation):
    for who, name in (("working_run", "model"), ("reader", "reader"), ("floor", "floor")):
        measured = ask(evaluation.losses[name], evaluation)
        assert measured == pytest.approx(DECIDED.loc[who].to_dict(), abs=2e-3)


def test_nothing_is_below_the_exact_reader_by_more_than_three_standard_errors(evaluation, rows):
    error = evaluation.standard_error(evaluation.losses["model"] - evaluation.losses["reader"])
    assert (rows["unread"].to_numpy() > -3 * error).all()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_training_goes_as_the_stored_run_went(run):
    torch.set_num_threads(1)
    anew = Trainer(read_config(DATA / "working_run.json").change(out=None), run.data)
    for _ in range(3):
        anew.epoch()
    ours, theirs = anew.epochs(), run.epochs().iloc[:3]
    # The same processor gives the same bits; another sums in another order.
    for part in ("train", "validation"):
        assert (theirs[part] - ours[part]).abs().max() < 0.02
    assert json.loads(json.dumps(identify(anew))) == json.loads(json.dumps(identify(run)))


# -- what it is good for

GRADES = pd.read_csv(DATA / "grades.csv")
# A table of the card by its first heads: use, and for each column (case, measure), or, where the
# first column tells the case, (case, who, measure) with the first column's word in the place of {}.
GRADED = {
    "drawn by": ("events", [("{}", "network", "cannot happen"), ("{}", "chain", "cannot happen")]),
    "of the next shift": (
        "hours",
        [
            ("next shift", "{}", measure)
            for measure in ("crps", "covered_50", "covered_90", "width_50", "width_90")
        ],
    ),
    "crps, hours": (
        "hours",
        [
            (f"{by}, {day}", "{}", "crps")
            for by in ("site", "project")
            for day in ("today", "tomorrow")
        ],
    ),
    "picked by": (
        "states",
        [("substitute", "{}", "minute"), ("substitute", "{}", "keys")],
    ),
    "habit, in its own state": (
        "states",
        [
            ("habit of {}", "state of {}", measure)
            for measure in ("accuracy", "reader_accuracy", "loss", "reader_loss")
        ],
    ),
    "ranked by": (
        "odd events",
        [
            ("odd: 1.0%", "{}", "all"),
            ("odd: 0.2%", "{}", "all"),
            ("odd: 1.0%", "{}", "a manager who is not in charge"),
            ("odd: 1.0%", "{}", "a shift at the wrong hour"),
        ],
    ),
    "another key": (
        "what if",
        [
            ("{}", "model", "as it was"),
            ("{}", "model", "changed"),
            ("{}", "model, forecast left as it was", "changed"),
            ("{}", "exact reader", "changed"),
            ("{}", "guessing", "changed"),
        ],
    ),
}


@pytest.mark.parametrize("first", GRADED)
def test_the_card_shows_the_stored_grades(first):
    use, columns = GRADED[first]
    of_use = GRADES[GRADES["use"] == use].set_index(["case", "who", "measure"])["value"]
    rows = table(CARD, first)
    assert len(rows) >= 2
    for word, *cells in rows:
        assert len(cells) == len(columns)
        for cell, place in zip(cells, columns):
            stored = float(of_use[tuple(name.format(word) for name in place)])
            assert cell == f"{stored:.{len(cell.split('.')[1])}f}", (word, place)


def test_what_the_card_says_of_the_grades_is_so():
    def find(use, case, who, measure):
        return GRADES.set_index(["use", "case", "who", "measure"]).loc[(use, case, who, measure)]

    said = re.search(r"whole event from ([\d.]+) to ([\d.]+) nats", CARD)
    for who, number in zip(("network", "chain"), said.groups()):
        loss = find("events", "next 20 events", who, "-ln p of an event")["value"]
        assert f"{loss:.2f}" == number
    for by in ("site", "project"):
        crps = {who: find("hours", f"{by}, today", who, "crps") for who in ("model", "table")}
        assert crps["table"]["value"] < crps["model"]["value"]
        for who in crps:  # tomorrow, within three standard errors of the simulator
            behind = find("hours", f"{by}, tomorrow", who, "behind the simulator")
            assert abs(behind["value"]) < 3 * behind["error"]
    kinds = ["a colleague's badge", "a site where nobody is that day", "hours doubled"]
    for who in ("network", "chain", "table"):
        for kind in kinds:
            grade = find("odd events", "odd: 1.0%", f"{who}, one category", kind)["value"]
            assert round(grade, 2) >= 0.99


def test_the_card_shows_the_stored_suffixes():
    stored = pd.read_csv(DATA / "suffixes.csv").set_index(["log", "who", "way"])
    rows = table(CARD, "log \\| who")
    assert len(rows) == 2 * len(stored.index.unique("log"))
    for log, who, *cells, hours in rows:
        for cell, way in zip(cells, ("greedy", "beam", "sample", "medoid")):
            assert cell == f"{stored.loc[(log, who, way), 'similarity']:.3f}"
        assert hours == f"{stored.loc[(log, who, 'median'), 'hours']:.1f}"


# -- public logs


def test_the_card_shows_what_one_command_made_of_the_public_logs():
    stored = pd.read_csv(DATA / "own_logs.csv").set_index("log")
    columns = [
        f"{what}_{who}" for what in ("kind", "names") for who in ("model", "table", "copy_last")
    ]
    shown = {row[0]: row[1:] for row in table(CARD, "log \\| model")}
    mean = shown.pop("mean")
    assert list(shown) == list(stored.index)
    for log, cells in [*shown.items(), ("mean", mean)]:
        figures = stored[columns].mean() if log == "mean" else stored.loc[log, columns]
        found = [float(cell) for cell in [*cells[:3], *cells[4:7]]]  # without HoTPP's
        assert found == [round(float(figure), 3) for figure in figures], log
