"""Writes the instructor's guide, one page: build/guide.md, and build/guide.html to print.

python -m helpers.tools.guide

Minutes, questions, objectives, notes to the teacher, predictions, tasks with their answers, quizzes
and the glossary are read from the notebooks, and what an exercise's check says of a common wrong
answer from the check, so that none of these can go stale. What only a person can write, a plan for
each lesson, what to ask back and the calendars, stands in guide.toml, and the page around it in
guide.md.j2.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from helpers.support.commands import prepare_folder, run_command
from helpers.support.files import NOTEBOOKS, ROOT

HERE = Path(__file__).parent
CHECKS = ROOT / "helpers" / "checks"
PAGE = ROOT / "build" / "guide"

TITLE = re.compile(r"# (\d\d) · (.+)")
MINUTES = re.compile(r"(\d+) to run on two cores, (\d+) to teach, (\d+) for the exercises")
EXERCISE = re.compile(r"### Exercise (\S+) · (.+)\n+\*Difficulty: (\d) of 5 · (\d+) minutes\*")
CHECK = re.compile(r"checks\.(\w+)\(")
FOLDED = re.compile(r"<details><summary>(.+?)</summary>\s*(.+?)\s*</details>", re.DOTALL)
PREDICT = "**Predict before you run.** "
SENTENCE_ENDS = re.compile(r"(?<=[.?!])\s+(?=[A-Z`*$])")
THEN = re.compile(r"(?<=[.?!$])\s+(?=Then )")  # "Then think: ...?"
ASKS = re.compile(r"(?<=[.?!])\s+(?=(?:[A-Z][^.?!]*\?\s*)+$)")
QUIZ = re.compile(r"\*\*Question \d\.\*\* (.+?)\s*(?=<details>)", re.DOTALL)
WORD = re.compile(r"^\| \*\*(.+)\*\* \| (.+) \|$", re.MULTILINE)
LINE = re.compile(r"^- the \*\*(.+)\*\*[,:] (.+)[;.]$", re.MULTILINE)
NOTE = "**For the teacher.** "
FIRST_SECTION = "At the beginning"  # where a note is that comes before any heading
TASK_WORDS = 60  # a longer task is cut after the sentence that reaches this number
BREAK, NOON = 10, 60  # minutes, after each hour and on a long day
HALF_A_DAY = 240  # minutes; a day that is longer has a noon
WORDS_OF_A_SENTENCE = 4  # a string of fewer words in a check is a name, not a verdict


@dataclass
class Exercise:
    """One exercise, as a teacher needs it."""

    number: str
    title: str
    difficulty: int
    minutes: int
    task: str = ""  # what is to be done, shortened
    ending: str = ""  # the question that it ends with, if an answer follows
    check: str = ""  # the name of its check
    answers: list[str] = field(default_factory=list)  # to that question


@dataclass
class Prediction:
    """A question to vote on before a cell is run."""

    section: str
    question: str
    answer: str = ""


@dataclass
class Question:
    """One question of a quiz; an option is what it says, and why it is right or wrong."""

    text: str
    options: list[tuple[str, str]]

    @property
    def right(self) -> str:
        (right,) = [says for says, why in self.options if why.startswith("Right")]
        return right


@dataclass
class Lesson:
    """One notebook, as a teacher needs it."""

    number: str
    title: str
    question: str
    objectives: list[str]
    before: str
    run: int  # minutes, as the two below
    teach: int
    practice: int
    exercises: list[Exercise] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)  # (section, what to say there)
    sections: list[str] = field(default_factory=list)  # without the exercises
    predictions: list[Prediction] = field(default_factory=list)
    quiz: list[Question] = field(default_factory=list)


# What the notebooks say


def read_lesson(path: Path) -> Lesson:
    """What a notebook says to a teacher.

    Raises ValueError if the notebook's first cell is not that of a lesson.
    """
    notebook = nbformat.read(path, as_version=4)
    lesson = read_first_cell(notebook.cells[0].source, path)
    section, exercise = FIRST_SECTION, None
    for cell in notebook.cells[1:]:
        if cell.cell_type == "code":
            find_check(cell, exercise)
            continue
        if heading := re.match(r"##+ (.+)", cell.source):
            section, exercise = heading[1], None
        if head := EXERCISE.match(cell.source):
            exercise = Exercise(head[1], head[2], int(head[3]), int(head[4]))
            exercise.task = cell.source[head.end() :].split("<details>")[0].strip()
            lesson.exercises.append(exercise)
        elif heading:
            lesson.sections.append(section)
        if PREDICT in cell.source:
            exercise = None  # the next answer is that of the prediction
        read_cell(cell.source, lesson, section, exercise)
    for exercise in lesson.exercises:
        exercise.task, exercise.ending = split_task(exercise.task, bool(exercise.answers))
    return lesson


def read_first_cell(source: str, path: Path) -> Lesson:
    title, minutes = TITLE.match(source), MINUTES.search(source)
    if not title or not minutes:
        raise ValueError(f"{path}: the first cell has no title or no minutes; see notebook 00's")
    question = re.search(r"^\*\*(.+\?)\*\*$", source, re.MULTILINE)[1]
    before = re.search(r"\*\*Before this:\*\* (.+)", source)[1]
    objectives = [line.strip(" ,.") for line in re.findall(r"^- (.+)$", source, re.MULTILINE)]
    return Lesson(*title.groups(), question, objectives, before, *map(int, minutes.groups()))


def find_check(cell: NotebookNode, exercise: Exercise | None) -> None:
    """Notes which check the exercise's stub calls."""
    called = CHECK.search(cell.source)
    if exercise and called and "exercise" in cell.metadata.get("tags", []):
        exercise.check = called[1]


def read_cell(source: str, lesson: Lesson, section: str, exercise: Exercise | None) -> None:
    """Adds what a cell of text holds for the teacher."""
    if source.startswith(NOTE):
        lesson.notes.append((section, source.removeprefix(NOTE)))
    elif question := QUIZ.search(source):
        lesson.quiz.append(Question(question[1], FOLDED.findall(source)))
    elif PREDICT in source:
        question = source.split(PREDICT)[1].split("\n\n")[0]
        section = [FIRST_SECTION, *lesson.sections][-1]  # of an exercise, the one that it stands in
        lesson.predictions.append(Prediction(section, question))
    else:
        folded = FOLDED.findall(source)
        answers = [text for summary, text in folded if not summary.startswith("Hint")]
        if exercise:
            exercise.answers += answers
        elif answers and lesson.predictions:
            lesson.predictions[-1].answer = answers[0]


def split_task(task: str, answered: bool) -> tuple[str, str]:
    """A task, shortened, and the question that it ends with, "" where no answer follows."""
    end = next(reversed([*THEN.finditer(task)]), None) or ASKS.search(task)
    if not end or not (answered or task.endswith("?")):
        return cut(task), ""
    begins, ending = cut(task[: end.start()]), task[end.end() :]
    return (begins, ending) if answered else (f"{begins} {ending}", "")


def cut(task: str) -> str:
    """The sentences of a task up to the one that reaches TASK_WORDS; dots say that more follows."""
    for end in SENTENCE_ENDS.finditer(task):
        if len(task[: end.start()].split()) >= TASK_WORDS:
            return task[: end.start()] + " …"
    return task


def read_glossary(path: Path) -> list[tuple[str, str]]:
    """(word, meaning): the table of words of notebook 00, and the lines that a loss is held to."""
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    lines = [text for text in texts if LINE.search(text)][0]
    words = [text for text in texts if text.startswith("## The words")][0]
    return WORD.findall(words) + LINE.findall(lines)


# What the checks say


def read_verdicts(folder: Path = CHECKS) -> dict[str, list[str]]:
    """Of each check, the sentences that it may say of a wrong answer, as its source has them."""
    return {
        name: find_sentences(function, functions)
        for path in sorted(folder.glob("*.py"))
        if (functions := find_functions(path))
        for name, function in functions.items()
    }


def find_functions(path: Path) -> dict[str, ast.FunctionDef]:
    """The functions of a module, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def find_sentences(function: ast.FunctionDef, others: dict[str, ast.FunctionDef]) -> list[str]:
    """The sentences in a function and in those of its module that it names, without docstrings."""
    nodes = [*ast.walk(function)]
    named = {node.id for node in nodes if isinstance(node, ast.Name)} & set(others)
    for name in sorted(named - {function.name}):
        nodes += ast.walk(others[name])
    documented = (ast.FunctionDef, ast.ClassDef)
    docstrings = {
        ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, documented)
    }
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    sentences = [text for text in texts if isinstance(text, str) and text not in docstrings]
    return [text for text in sentences if len(text.split()) >= WORDS_OF_A_SENTENCE]


def join_asked(asked: dict[str, str], verdicts: list[str], check: str) -> list[tuple[str, str]]:
    """(what the check says, what to ask back), for sentences given by their beginnings.

    Raises ValueError if a beginning is not that of one sentence of the check alone.
    """
    rows = []
    for beginning, question in asked.items():
        if beginning.startswith("("):  # told in the guide's own words
            rows.append((beginning, question))
            continue
        found = [verdict for verdict in verdicts if verdict.startswith(beginning)]
        found = [beginning] if beginning in found else found  # one may begin with another
        if len(found) != 1:
            raise ValueError(
                f"guide.toml, [ask.{check}]: {len(found)} sentences of the check begin with "
                f"'{beginning}'; give the beginning of one of: {verdicts}"
            )
        rows.append((found[0], question))
    return rows


# Minutes


@dataclass
class Step:
    """One step of a lesson's plan: from and to which minute, and what to do."""

    start: int
    end: int
    text: str


def time_plan(lesson: Lesson, plan: list[list]) -> list[Step]:
    """The steps of a plan with their minutes, which sum up to those of the notebook.

    A step is [share, text], or [check, text] for an exercise, which takes the minutes that the
    notebook gives it. The shares are parts of the notebook's minutes to teach.
    """
    shares = sum(length for length, _ in plan if not isinstance(length, str))
    steps, taught, practised = [], 0, 0
    for length, text in plan:
        start = round(taught * lesson.teach / shares) + practised
        if isinstance(length, str):
            exercise = find_exercise(lesson, length)
            practised += exercise.minutes
            text = f"*Exercise {exercise.number}, {exercise.title}.* {text}"
        else:
            taught += length
        steps.append(Step(start, round(taught * lesson.teach / shares) + practised, text))
    return steps


def find_exercise(lesson: Lesson, check: str) -> Exercise:
    """The lesson's exercise with this check; raises ValueError if there is none."""
    for exercise in lesson.exercises:
        if exercise.check == check:
            return exercise
    known = [exercise.check for exercise in lesson.exercises]
    raise ValueError(
        f"guide.toml, lesson {lesson.number}: no exercise calls '{check}'; {known} are"
    )


def list_in_class(lesson: Lesson, plan: list[list]) -> list[Exercise]:
    """The exercises that a plan has in class; the others are homework."""
    return [find_exercise(lesson, length) for length, _ in plan if isinstance(length, str)]


def find_at_home(lesson: Lesson, sections: list[str]) -> list[int]:
    """The numbers of the predictions in the sections that a plan leaves for home.

    Raises ValueError if the notebook has no section of such a name.
    """
    for section in sections:
        if section not in lesson.sections:
            raise ValueError(
                f"guide.toml, lesson {lesson.number}: no section is called '{section}'; "
                f"{lesson.sections} are"
            )
    predictions = enumerate(lesson.predictions, start=1)
    return [number for number, each in predictions if each.section in sections]


@dataclass
class Meeting:
    """One meeting of a calendar: its lessons, the minutes of each, and what is left for home."""

    lessons: list[tuple[Lesson, int]]
    homework: list[Exercise]

    @property
    def minutes(self) -> int:
        return sum(minutes for _, minutes in self.lessons)

    @property
    def clock(self) -> str:
        """From beginning to end: ten minutes' break after each hour, and on a long day a noon."""
        breaks = BREAK * ((self.minutes - 1) // 60)
        total = self.minutes + breaks + (NOON if self.minutes > HALF_A_DAY else 0)
        return f"{total // 60}:{total % 60:02} h"


def lay_out(calendar: dict, lessons: dict[str, Lesson], plans: dict[str, list]) -> list[Meeting]:
    """The meetings of a calendar, by the minutes that the notebooks give."""
    meetings = []
    for numbers in calendar["meetings"]:
        meeting = Meeting([], [])
        for lesson in map(lessons.get, numbers):
            which = calendar.get("instead", {}).get(lesson.number, calendar["exercises"])
            done = choose_exercises(which, lesson, plans[lesson.number])
            minutes = lesson.teach + sum(exercise.minutes for exercise in done)
            meeting.lessons.append((lesson, minutes))
            meeting.homework += [each for each in lesson.exercises if each not in done]
        meetings.append(meeting)
    return meetings


def choose_exercises(which: str | list, lesson: Lesson, plan: list[list]) -> list[Exercise]:
    """The exercises in class: "all", the "plan"'s, the "first" of these, or those of a list."""
    if isinstance(which, list):
        return [find_exercise(lesson, check) for check in which]
    if which == "all":
        return lesson.exercises
    in_class = list_in_class(lesson, plan)
    return in_class[:1] if which == "first" else in_class


def find_worth(calendar: dict, lessons: dict[str, Lesson]) -> list[Exercise]:
    """The exercises that a calendar names, by their checks, as homework to begin with."""
    checks = calendar.get("worth", [])
    return [
        each for lesson in lessons.values() for each in lesson.exercises if each.check in checks
    ]


# The page


class WithFormulas(IPythonRenderer):
    """Markdown's parts as HTML, formulas as browsers show them without a library."""

    def inline_math(self, body: str) -> str:
        return convert(space_out(body))

    def block_math(self, body: str) -> str:
        return f'<span class="formula">{convert(space_out(body), display="block")}</span>'


def space_out(formula: str) -> str:
    r"""The thin spaces that LaTeX leaves around \ln, and MathML does not: T ln 8, not Tln8."""
    formula = re.sub(r"(?<=[\w})] )\\ln", r"\\,\\ln", formula)
    return re.sub(r"\\ln (?=[\w\\])", r"\\ln\\, ", formula)


def write_guide(page: Path = PAGE) -> None:
    """Writes the guide as Markdown and as a page of HTML that needs no network."""
    prepare_folder(page.parent)
    templates = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = templates.get_template("guide.md.j2").render(gather())
    renderer = WithFormulas(escape=False, exclude_anchor_links=True)
    body = MarkdownWithMath(renderer=renderer).render(text).replace("<th>", '<th scope="col">')
    html = templates.get_template("guide.html.j2").render(body=body)
    page.with_suffix(".md").write_text(text, encoding="utf-8")
    page.with_suffix(".html").write_text(html, encoding="utf-8")


def gather() -> dict:
    """All that the page says of lessons and calendars, by the names that its template uses."""
    told = tomllib.loads((HERE / "guide.toml").read_text(encoding="utf-8"))
    lessons = {path.name[:2]: read_lesson(path) for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))}
    plans = {number: each["plan"] for number, each in told["lessons"].items()}
    verdicts = read_verdicts()
    return {
        "lessons": lessons,
        "told": told["lessons"],
        "glossary": read_glossary(sorted(NOTEBOOKS.glob("00_*.ipynb"))[0]),
        "decks": [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))],
        "at_home": {
            number: find_at_home(lessons[number], each["home"])
            for number, each in told["lessons"].items()
        },
        "calendars": [(each, lay_out(each, lessons, plans)) for each in told["calendars"]],
        "worth": {each["name"]: find_worth(each, lessons) for each in told["calendars"]},
        "plans": {number: time_plan(lessons[number], plan) for number, plan in plans.items()},
        "in_class": {
            number: list_in_class(lessons[number], plan) for number, plan in plans.items()
        },
        "common": {
            check: join_asked(asked, verdicts.get(check, []), check)
            for check, asked in told["ask"].items()
        },
    }


def main(arguments: list[str]) -> None:
    """Writes the guide and says where."""
    if arguments:
        sys.exit(f"error: nothing is to be said beside the command; not '{' '.join(arguments)}'")
    write_guide()
    print(f"The instructor's guide is in {PAGE}.html and {PAGE}.md")


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]), "stopped")
