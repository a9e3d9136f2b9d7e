"""The instructor's guide: read from notebooks and checks, its minutes added up, one page."""

import re
from dataclasses import replace

import nbformat
import pytest
from bs4 import BeautifulSoup
from test_notebooks import NOTEBOOKS, text, tiny

from helpers.__main__ import COMMANDS
from helpers.tools import guide
from helpers.tools.guide import Exercise, Lesson, Meeting, Prediction, lay_out, time_plan

MOST_IN_A_DAY = 7 * 60  # minutes of teaching and exercises


@pytest.fixture(scope="module")
def told():
    return guide.gather()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("guide") / "guide"
    guide.write_guide(path)
    return path


@pytest.fixture
def lesson():
    """A lesson of 40 minutes with two exercises."""
    exercises = [
        Exercise("01.1", "Add", 1, 10, check="add"),
        Exercise("01.2", "Take", 4, 25, check="take"),
    ]
    return Lesson("01", "Tiny", "Why?", ["add"], "nothing.", 1, 40, 35, exercises)


# What is read


def store(notebook, folder):
    path = folder / "01_tiny.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_lesson_is_what_its_notebook_says(tmp_path):
    notebook = tiny()
    for stub in notebook.cells[11::3][:3]:
        stub.source += "\nchecks.added(add)"
    notebook.cells.insert(13, text("<details><summary>Answer</summary>\n\nBecause.\n</details>"))
    notebook.cells.insert(14, text("## Another section"))
    question = (
        "**Question 1.** What is more?\n\n"
        "<details><summary>A. One</summary>\n\nNo. It is less.\n</details>\n\n"
        "<details><summary>B. Two</summary>\n\nRight. By one.\n</details>"
    )
    notebook.cells.insert(15, text("**For the teacher.** Wait.", "notes"))
    notebook.cells.insert(16, text(question))
    read = guide.read_lesson(store(notebook, tmp_path))
    assert (read.number, read.title, read.question) == (
        "01",
        "A tiny notebook",
        "How small may it be?",
    )
    assert read.objectives == ["add", "say so", "stop"]
    assert (read.run, read.teach, read.practice) == (1, 40, 50)
    assert [each.number for each in read.exercises] == ["01.1", "01.2", "01.3"]
    assert read.exercises[0].check == "added"
    # A hint is no answer, nor is what a prediction is followed by.
    assert [each.answers for each in read.exercises] == [["Because."], [], []]
    assert [section for section, _ in read.notes] == ["At the beginning"] * 3 + ["Another section"]
    assert read.notes[-1][1] == "Wait."
    assert [(each.question, each.answer) for each in read.predictions] == [
        ("What is 1 + 1?", "It is 2, as `3 - 1` is.")
    ] * 2
    assert read.predictions[0].section == "At the beginning"
    assert read.sections[0] == "Another section"  # an exercise is none
    assert (read.quiz[0].text, read.quiz[0].right) == ("What is more?", "B. Two")
    assert read.quiz[0].options[0] == ("A. One", "No. It is less.")


LONG = " ".join(["Many words follow here."] * 20)  # 80 words


@pytest.mark.parametrize(
    "task, answered, begins, ending",
    [
        ("Add two. Then take one away.", False, "Add two. Then take one away.", ""),
        ("Add two. Then think: why?", True, "Add two.", "Then think: why?"),
        ("Add two.\n\nThen think. Is it more?", True, "Add two.", "Then think. Is it more?"),
        ("Add two. In all, how many are they?", True, "Add two.", "In all, how many are they?"),
        (LONG, False, " ".join(["Many words follow here."] * 15) + " …", ""),
        (f"{LONG} Then ask: why?", False, f"{LONG[:359]} … Then ask: why?", ""),
    ],
)
def test_a_task_is_cut_and_keeps_the_question_that_it_ends_with(task, answered, begins, ending):
    assert guide.split_task(task, answered) == (begins, ending)


def test_the_glossary_has_the_words_and_the_lines_of_notebook_00():
    words = dict(guide.read_glossary(NOTEBOOKS[0]))
    assert {"event", "stream", "origin", "habit", "state", "ceiling", "floor"} <= set(words)
    assert all(len(meaning.split()) > 4 for meaning in words.values())


def test_a_notebook_without_minutes_is_refused_by_name(tmp_path):
    notebook = tiny()
    notebook.cells[0].source = "# 01 · A tiny notebook"
    with pytest.raises(
        ValueError, match="01_tiny.ipynb: the first cell has no title or no minutes"
    ):
        guide.read_lesson(store(notebook, tmp_path))


def test_sentences_are_those_of_a_check_and_of_the_functions_it_names(tmp_path):
    (tmp_path / "checks.py").write_text(
        "def check(student):\n"
        '    """Exercise 01.1: not a sentence of it."""\n'
        '    mistakes = {"The sign must " "be turned.": 1, "short": 2}\n'
        "    judge(student, mistakes)\n\n\n"
        "def judge(student, mistakes):\n"
        '    return "Those are not the last."\n\n\n'
        "def other(student):\n"
        '    return "This is of another check."\n'
    )
    read = guide.read_verdicts(tmp_path)
    assert read["check"] == ["The sign must be turned.", "Those are not the last."]
    assert read["other"] == ["This is of another check."]


def test_what_to_ask_back_is_joined_to_a_whole_sentence():
    verdicts = ["That is the sum of all.", "That is the mean of all."]
    asked = {"That is the mean": "Of whom?", "(It says 3.)": "Why 3?"}
    assert guide.join_asked(asked, verdicts, "add") == [
        ("That is the mean of all.", "Of whom?"),
        ("(It says 3.)", "Why 3?"),
    ]


def test_a_whole_sentence_may_be_the_beginning_of_another():
    verdicts = ["That is wrong.", "That is wrong. And that."]
    assert guide.join_asked({"That is wrong.": "Why?"}, verdicts, "add") == [(verdicts[0], "Why?")]


@pytest.mark.parametrize("beginning, found", [("That is the", 2), ("That was", 0)])
def test_a_beginning_that_fits_no_sentence_or_two_is_refused(beginning, found):
    verdicts = ["That is the sum of all.", "That is the mean of all."]
    with pytest.raises(ValueError, match=rf"\[ask.add\]: {found} sentences .* '{beginning}'"):
        guide.join_asked({beginning: "Why?"}, verdicts, "add")


# Minutes


def test_a_plan_takes_its_minutes_from_the_notebook(lesson):
    plan = [[10, "Open."], ["add", "In pairs."], [30, "Dwell."]]
    steps = time_plan(lesson, plan)
    assert [(step.start, step.end) for step in steps] == [(0, 10), (10, 20), (20, 50)]
    assert steps[1].text == "*Exercise 01.1, Add.* In pairs."
    twice = time_plan(replace(lesson, teach=80), plan)
    assert [(step.start, step.end) for step in twice] == [(0, 20), (20, 30), (30, 90)]


def test_an_exercise_that_no_stub_calls_is_refused(lesson):
    with pytest.raises(
        ValueError, match=r"lesson 01: no exercise calls 'multiply'; \['add', 'take'\]"
    ):
        time_plan(lesson, [[40, "Open."], ["multiply", "Alone."]])


@pytest.mark.parametrize(
    "which, minutes, homework", [("all", 75, []), ("plan", 75, []), ("first", 50, ["01.2"])]
)
def test_a_meeting_adds_up_teaching_and_exercises(lesson, which, minutes, homework):
    plan = [[40, "Open."], ["add", "Alone."], ["take", "Alone."]]
    calendar = {"exercises": which, "meetings": [["01"]]}
    (meeting,) = lay_out(calendar, {"01": lesson}, {"01": plan})
    assert meeting.lessons == [(lesson, minutes)] and meeting.minutes == minutes
    assert [each.number for each in meeting.homework] == homework


def test_an_exercise_of_a_calendar_s_own_takes_the_place_of_the_plan_s(lesson):
    calendar = {"exercises": "first", "instead": {"01": ["take"]}, "meetings": [["01"]]}
    (meeting,) = lay_out(calendar, {"01": lesson}, {"01": [[40, "Open."], ["add", "Alone."]]})
    assert meeting.minutes == 65
    assert [each.number for each in meeting.homework] == ["01.1"]


@pytest.mark.parametrize(
    "minutes, clock",
    [(55, "0:55 h"), (60, "1:00 h"), (61, "1:11 h"), (240, "4:30 h"), (335, "7:25 h")],
)
def test_a_meeting_by_the_clock_has_breaks_and_a_noon_on_a_long_day(lesson, minutes, clock):
    assert Meeting([(lesson, minutes)], []).clock == clock


def test_predictions_of_sections_at_home_are_told_by_number(lesson):
    lesson.sections = ["First", "Second"]
    lesson.predictions = [Prediction("First", "Why?"), Prediction("Second", "How?")]
    assert guide.find_at_home(lesson, ["Second"]) == [2]
    with pytest.raises(ValueError, match="lesson 01: no section is called 'Third'"):
        guide.find_at_home(lesson, ["Third"])


# The guide of the course


def test_each_calendar_has_every_notebook_once_and_days_that_can_be_taught(told):
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert len(told["calendars"]) >= 2
    for calendar, meetings in told["calendars"]:
        named = [lesson.number for meeting in meetings for lesson, _ in meeting.lessons]
        assert sorted(named + calendar["at_home"]) == numbers, calendar["name"]
        assert named == sorted(named), calendar["name"]
        assert all(meeting.minutes <= MOST_IN_A_DAY for meeting in meetings), calendar["name"]


def test_each_plan_adds_up_and_ends_with_the_quiz(told):
    for number, steps in told["plans"].items():
        lesson, in_class = told["lessons"][number], told["in_class"][number]
        assert steps[-1].end == lesson.teach + sum(each.minutes for each in in_class)
        assert [step.start for step in steps] == [0, *[step.end for step in steps[:-1]]]
        assert all(step.end > step.start for step in steps)
        assert in_class and len(in_class) < len(lesson.exercises), "something is left for home"
        assert "uiz" in steps[-1].text
        assert any("ote" in step.text for step in steps), "a prediction to vote on"


def test_plans_have_their_exercises_in_the_notebook_s_order(told):
    for number, in_class in told["in_class"].items():
        numbers = [each.number for each in in_class]
        assert numbers == sorted(numbers), number


FOR_A_MEETING = re.compile(r"For (\w+) minutes: .*?exercises ((?:\d\d\.\d(?:, | and )?)+)")
IN_WORDS = {"seventy": 70, "ninety": 90}
SPARE = 15  # minutes that a note's meeting may have beyond the plan


def test_a_note_that_fills_a_meeting_has_the_plan_s_exercises_and_the_time_for_them(told):
    found = []
    for number, lesson in told["lessons"].items():
        for minutes, exercises in FOR_A_MEETING.findall(
            "\n".join(each for _, each in lesson.notes)
        ):
            found.append(number)
            in_class = [each.number for each in told["in_class"][number]]
            assert re.findall(r"[\d.]{4}", exercises) == in_class, number
            spare = int(IN_WORDS.get(minutes, minutes)) - told["plans"][number][-1].end
            assert 0 <= spare <= SPARE, number
    assert found == sorted(set(told["lessons"]) - {"00"})  # whose note has time for all of it
    whole = told["lessons"]["00"]
    assert any("In ninety minutes there is time for all" in text for _, text in whole.notes)
    assert whole.teach + whole.practice <= IN_WORDS["ninety"]


def test_each_lesson_has_its_quiz(told):
    assert all(3 <= len(lesson.quiz) <= 5 for lesson in told["lessons"].values())


def test_the_commands_that_the_guide_names_are_there(page):
    named = re.findall(r"`python -m helpers (\w+)", page.with_suffix(".md").read_text("utf-8"))
    assert {"guide", "slides"} <= set(named) <= set(COMMANDS)


def test_each_prediction_has_an_answer(told):
    for lesson in told["lessons"].values():
        assert len(lesson.predictions) >= 2, lesson.number
        assert all("?" in each.question for each in lesson.predictions), lesson.number
        assert all(each.answer for each in lesson.predictions), lesson.number


def test_each_exercise_has_its_task_and_each_answer_its_question(told):
    for lesson in told["lessons"].values():
        for exercise in lesson.exercises:
            assert len(exercise.task.split()) >= 10, exercise.number
            assert bool(exercise.ending) == bool(exercise.answers), exercise.number


def test_a_plan_votes_on_the_predictions_that_it_does_not_leave_for_home(told):
    for number, lesson in told["lessons"].items():
        in_class = len(lesson.predictions) - len(told["at_home"][number])
        plan = " ".join(step.text for step in told["plans"][number])
        assert len(re.findall("[Vv]ote", plan)) == in_class >= 2, number


def test_homework_that_a_calendar_commends_is_homework_in_it(told):
    for calendar, meetings in told["calendars"]:
        homework = [each for meeting in meetings for each in meeting.homework]
        worth = told["worth"][calendar["name"]]
        assert len(worth) == len(calendar.get("worth", [])), calendar["name"]
        assert all(each in homework for each in worth), calendar["name"]


def test_each_exercise_has_three_common_answers_with_what_to_ask_back(told):
    checks = [each.check for lesson in told["lessons"].values() for each in lesson.exercises]
    assert sorted(told["common"]) == sorted(checks)
    for check, rows in told["common"].items():
        assert len(rows) >= 3, check
        # A question leads on; it doesn't tell.
        assert all("?" in question or question.endswith(".") for _, question in rows), check
    asked = [question for rows in told["common"].values() for _, question in rows]
    assert sum("?" in question for question in asked) > 0.9 * len(asked)
    assert len(set(asked)) == len(asked)


def test_the_page_has_all_of_it_and_needs_no_network(page, told):
    html = page.with_suffix(".html").read_text(encoding="utf-8")
    soup = BeautifulSoup(html, "html.parser")
    seen = soup.get_text(" ")
    for lesson in told["lessons"].values():
        assert f"{lesson.number} · {lesson.title}" in seen
        assert all(f"{each.number} " in seen for each in lesson.exercises)
    assert len(soup.select("section.lesson")) == len(NOTEBOOKS)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//|@import", html)
    ids = {each["id"] for each in soup.select("[id]")}
    assert {link["href"][1:] for link in soup.select("a[href^='#']")} <= ids
    assert "{{" not in html and "**" not in soup.get_text()
    assert "<math" in html and "$" not in soup.get_text()
    assert all(each.get("scope") == "col" for each in soup.select("th"))
    assert len(soup.select(".lesson h2 a[href='#top']")) == len(NOTEBOOKS)
    exercises = [each for lesson in told["lessons"].values() for each in lesson.exercises]
    assert [len(each.select("tbody")) for each in soup.select(".exercise")] == [1] * len(exercises)


def test_folded_answers_and_the_explanations_of_a_quiz_are_on_the_page_as_a_whole(page, told):
    shown = " ".join(page.with_suffix(".md").read_text(encoding="utf-8").split())
    for lesson in told["lessons"].values():
        texts = [each.answer for each in lesson.predictions]
        texts += [why for question in lesson.quiz for _, why in question.options]
        texts += [answer for exercise in lesson.exercises for answer in exercise.answers]
        assert [text for text in texts if " ".join(text.split()) not in shown] == []


def test_what_a_notebook_says_to_the_teacher_is_on_the_page(page):
    shown = page.with_suffix(".md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        notes = [
            cell.source.removeprefix(guide.NOTE)
            for cell in nbformat.read(path, as_version=4).cells
            if cell.source.startswith(guide.NOTE)
        ]
        assert len(notes) >= 3
        assert [note for note in notes if note not in shown] == []


def test_the_command_says_where_the_page_is_and_takes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(guide.write_guide, "__defaults__", (tmp_path / "guide",))
    guide.main([])
    assert (tmp_path / "guide.html").exists() and (tmp_path / "guide.md").exists()
    assert "guide.html" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="nothing is to be said beside the command; not 'one day'"):
        guide.main(["one", "day"])
