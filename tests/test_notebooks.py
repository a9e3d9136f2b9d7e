"""What must hold for every notebook as stored: first cell, rhythm, exercises, prose's numbers.

A rule is a function that takes a notebook and returns complaints.
Each is tried on a tiny notebook first,
on one that keeps it and on some that break it.
"""

import re
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
LAST = "09"  # the notebook that no other follows
CELL_SECONDS = 100
MINUTES = re.compile(
    r"\*\*Minutes:\*\* (\d+) to run on two cores, (\d+) to teach, (\d+) for the exercises\."
)
EXERCISE = re.compile(
    r"### Exercise (\d\d)\.(\d) · \S.*\n+\*Difficulty: ([1-5]) of 5 · \d+ minutes\*\n"
)
ANSWER = re.compile(r"<details><summary>Answer</summary>\n\n.+?</details>", re.DOTALL)
NOT_DONE = re.compile(r"(Not done yet: .+\n)+")
QUESTION = re.compile(r"\*\*Question (\d)\.\*\* [^\n]+\?\n\n")
CHOICE = re.compile(
    r"<details><summary>([A-D])\. (.+?)</summary>\n\n(Right|No)\. (.+?)\n</details>", re.DOTALL
)
HINT = re.compile(r"<details><summary>Hint (\d)</summary>\n\n.+?</details>", re.DOTALL)


# Looking at a notebook


def slide_type(cell) -> str | None:
    return cell.metadata.get("slideshow", {}).get("slide_type")


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def without_notes(notebook) -> list:
    return [cell for cell in notebook.cells if slide_type(cell) != "notes"]


def number_of(notebook) -> str:
    return notebook.cells[0].source[2:4]


def printed(cell) -> str:
    """All that the cell left as text; what stands for a picture is none."""
    data = [
        output.get("data", {"text/plain": output.get("text", "")})
        for output in cell.get("outputs", [])
    ]
    return "".join(kinds.get("text/plain", "") for kinds in data if "image/png" not in kinds)


def seconds(cell) -> float | None:
    times = cell.metadata.get("execution", {})
    if not {"iopub.execute_input", "shell.execute_reply"} <= times.keys():
        return None
    start, end = (
        datetime.fromisoformat(times[key]) for key in ("iopub.execute_input", "shell.execute_reply")
    )
    return (end - start).total_seconds()


# The rule of the numbers

NUMBER = re.compile(
    r"(?<![\w.])\d+(?:[.,]\d+)*(?:e[+-]?\d+)?"
)  # 3, 347,524, 0.25, 1e-5; not the digits of E028 or x2
NO_MEASURE = [
    re.compile(pattern, re.MULTILINE | re.DOTALL)
    for pattern in (
        r"```.*?```",
        r"`[^`\n]*`",  # code
        r"\$\$.*?\$\$",
        r"\$[^$\n]*\$",  # formulas
        r"\[[^]\n]*\]\([^)\n]*\)",
        r"https?://\S+",  # links
        r"^# \d\d ·",  # the notebook's own number
        r"^### Exercise \d\d\.\d ·",
        r"^\*Difficulty: .*\*$",
        r"^\*\*Question \d\.\*\*",
        r"\b[Ee]xercises? \d\d\.\d((, | and )\d\d\.\d)*",
        r"\b[Nn]otebooks? \d\d(?:(?:,| and|, and| to|,? or) \d\d)*\b",
        r"<summary>.*?</summary>",
        r"<[^>\n]+>",  # "Hint 1", and the attributes of HTML
        r"^\*\*Minutes:\*\*.*$",
        r"^\s*\d+\. ",  # numbered lists
        r"\b[A-Z][\w-]+(?: et al\.| (?:and|&) [A-Z][\w-]+),? \(?(?:19|20)\d\d\b",
        r"(?<=[(;])\s?[A-Z][\w-]+,? (?:19|20)\d\d(?=[);])",  # (Bishop 2006)
    )
]
LESSON_MINUTES = re.compile(r"\b\d+(?: to \d+)? minutes?\b")


def numbers_in_prose(text: str, notes: bool = False) -> set[str]:
    """The numbers that prose claims. What names or counts a thing of the course is taken out first.

    In what is said to the teacher, minutes are advice.
    """
    for pattern in [*NO_MEASURE, *[LESSON_MINUTES] * notes]:
        text = pattern.sub(" ", text)
    return set(NUMBER.findall(text))


def numbers_of_code(source: str, output: str) -> set[str]:
    """The numbers that a code cell contains or prints; 100_000 in code is 100,000 in prose."""
    return set(NUMBER.findall(re.sub(r"(?<=\d)_(?=\d)", ",", source))) | set(NUMBER.findall(output))


def numbers(notebook) -> list[str]:
    """Every number in prose is, written the same way, in a code cell or in what one printed."""
    known = set().union(*(numbers_of_code(cell.source, printed(cell)) for cell in code(notebook)))
    return [
        f"{sorted(unknown)} in: {cell.source}"
        for cell in markdown(notebook)
        if (unknown := numbers_in_prose(cell.source, slide_type(cell) == "notes") - known)
    ]


# The other rules


def first_cell(notebook) -> list[str]:
    source = notebook.cells[0].source
    parts = {
        "'# NN · Title'": r"\A# \d\d · \S",
        "the question in bold": r"^\*\*[^*\n]+\?\*\*$",
        "'After this notebook you can' and three bullets": (
            r"^After this notebook you can\n+(?:- .+\n+){3}(?!- )"
        ),
        "'**Before this:** '": r"^\*\*Before this:\*\* \S",
        "the line of minutes": f"^{MINUTES.pattern}$",
    }
    return [
        f"the first cell lacks {part}"
        for part, pattern in parts.items()
        if not re.search(pattern, source, re.MULTILINE)
    ]


def minutes(notebook) -> list[str]:
    """The minutes to run are those of the stored run, with slack for another machine's mood."""
    told, taken = (
        MINUTES.search(notebook.cells[0].source),
        [seconds(cell) for cell in code(notebook)],
    )
    if not told or None in taken:
        return ["the minutes are not told, or the times of a cell are not stored"]
    told, taken = int(told[1]), sum(taken) / 60
    return (
        [] if taken / 1.5 <= told <= 2 * taken + 1 else [f"{told} minutes told, {taken:.1f} taken"]
    )


def cell_seconds(notebook) -> list[str]:
    return [
        f"{seconds(cell):.0f} s: {cell.source}"
        for cell in code(notebook)
        if (seconds(cell) or 0) > CELL_SECONDS
    ]


def slide_types(notebook) -> list[str]:
    wrong = [
        f"slide type {slide_type(cell)}: {cell.source}"
        for cell in notebook.cells
        if slide_type(cell) not in SLIDE_TYPES
    ]
    return wrong + ["the first cell begins no slide"] * (slide_type(notebook.cells[0]) != "slide")


def teacher_notes(notebook) -> list[str]:
    notes = [cell for cell in notebook.cells if slide_type(cell) == "notes"]
    wrong = [
        cell.source
        for cell in notes
        if cell.cell_type != "markdown" or not cell.source.startswith("**For the teacher.** ")
    ]
    return wrong + [f"{len(notes)} notes for the teacher"] * (len(notes) < 3)


def predictions(notebook) -> list[str]:
    """Each 'Predict before you run' asks, is followed by code, and then by an answer."""
    cells = without_notes(notebook)
    asked = [
        i
        for i, cell in enumerate(cells)
        if cell.cell_type == "markdown" and "**Predict before you run.**" in cell.source
    ]
    wrong = []
    for start, end in zip(asked, [*asked[1:], len(cells)]):
        answer = next(
            (
                i
                for i in range(start + 1, end)
                if cells[i].cell_type == "markdown" and ANSWER.search(cells[i].source)
            ),
            None,
        )
        if (
            "?" not in cells[start].source
            or answer is None
            or all(cell.cell_type != "code" for cell in cells[start:answer])
        ):
            wrong.append(f"no question, code and answer: {cells[start].source}")
    return wrong + [f"{len(asked)} predictions"] * (len(asked) < 2)


def exercises(notebook) -> list[str]:
    cells, wrong = without_notes(notebook), []
    heads = [i for i, cell in enumerate(cells) if cell.source.startswith("### Exercise")]
    for k, (start, end) in enumerate(zip(heads, [*heads[1:], len(cells)]), start=1):
        place = next(
            (i for i in range(start, end) if "exercise" in tags(cells[i])), start
        )  # the stub; what it needs may come before
        form, hints = (
            EXERCISE.match(cells[start].source),
            HINT.findall("".join(cell.source for cell in cells[start : place + 1])),
        )
        faults = {
            "the form of its head": not form,
            "its number": form and (form[1], form[2]) != (number_of(notebook), str(k)),
            "its hints": len(hints) < 2 or hints != [str(n) for n in range(1, len(hints) + 1)],
            "its stub, and its solution right after": [
                tags(cell) for cell in cells[place : place + 2]
            ]
            != [["exercise"], ["solution"]],
        }
        if not faults["its stub, and its solution right after"]:
            stub, solution = cells[place : place + 2]
            faults["what its stub says"] = not NOT_DONE.fullmatch(printed(stub)) or any(
                output.get("name") != "stdout" for output in stub.outputs
            )
            faults["what its solution says"] = {
                line[:3] for line in printed(solution).splitlines()
            } & {"Rig", "Not"} != {"Rig"}
            faults["that its solution is collapsed"] = not solution.metadata.get("jupyter", {}).get(
                "source_hidden"
            )
        wrong += [f"exercise {k}: {fault}" for fault, is_so in faults.items() if is_so]
    for tag in ("exercise", "solution"):
        count = sum(tag in tags(cell) for cell in cells)
        wrong += [f"{count} cells tagged {tag}, {len(heads)} exercises"] * (count != len(heads))
    difficulties = [
        int(found[3]) for found in map(EXERCISE.match, (cells[i].source for i in heads)) if found
    ]
    wrong += ["no hard exercise"] * (max(difficulties, default=0) < 4)
    return wrong + [f"{len(heads)} exercises"] * (not 3 <= len(heads) <= 5)


def quiz(notebook) -> list[str]:
    """Three to five questions before 'What we saw', each with one right answer, all explained."""
    cells = without_notes(notebook)
    places = [i for i, cell in enumerate(cells) if cell.source.startswith("**Question ")]
    before = [cell.source.split("\n")[0] for cell in cells[places[0] - 1 :]] if places else []
    around = [*before[:1], *before[len(places) + 1 : len(places) + 2]]
    wrong = ["no quiz before 'What we saw'"] * (around != ["## Quiz", "## What we saw"])
    wrong += [f"{len(places)} questions"] * (not 3 <= len(places) <= 5)
    known = set().union(*(numbers_of_code(cell.source, printed(cell)) for cell in code(notebook)))
    right = []  # the letter of each question's
    for number, place in enumerate(places, start=1):
        source = cells[place].source
        asked, choices = QUESTION.match(source), CHOICE.findall(source)
        letters, answers, verdicts, reasons = zip(*choices) if choices else [()] * 4
        faults = {
            "its number and its question": not asked or asked[1] != str(number),
            "its three or four answers": "".join(letters) not in ("ABC", "ABCD"),
            "an answer without a reason": source.count("<details>") != len(choices),
            "its one right answer": verdicts.count("Right") != 1,
            "answers or reasons that are alike": len({*answers, *reasons}) != 2 * len(choices),
            "a number that no cell knows": not numbers_in_prose(" ".join(answers)) <= known,
        }
        wrong += [f"question {number}: {fault}" for fault, is_so in faults.items() if is_so]
        right += [letter for letter, _, verdict, _ in choices if verdict == "Right"]
    return wrong + ["the right answers all stand in one place"] * (len(set(right)) == 1)


def code_length(notebook) -> list[str]:
    """The median code cell has at most 6 lines, and nine in ten have at most 20."""
    lengths = sorted(len(cell.source.splitlines()) for cell in code(notebook))
    middle, long = lengths[(len(lengths) - 1) // 2], sum(length > 20 for length in lengths)
    return [f"the median cell has {middle} lines"] * (middle > 6) + [
        f"{long} of {len(lengths)} are long"
    ] * (10 * long > len(lengths))


def line_length(notebook) -> list[str]:
    return [line for cell in code(notebook) for line in cell.source.splitlines() if len(line) > 120]


def closing(notebook) -> list[str]:
    """'What we saw' comes last: code that prints it, then the next notebook's question."""
    cells = without_notes(notebook)
    start = next(
        (i for i, cell in enumerate(cells) if cell.source.startswith("## What we saw")), None
    )
    if start is None:
        return ["no 'What we saw'"]
    *saw, last = cells[start:]
    wrong = ["no findings are printed"] * (
        not any(cell.cell_type == "code" and printed(cell) for cell in saw)
    )
    wrong += ["exercises come after 'What we saw'"] * any(
        tags(cell)[:1] in (["exercise"], ["solution"]) for cell in saw + [last]
    )
    asks = last.cell_type == "markdown" and ("?" in last.source or number_of(notebook) == LAST)
    return wrong + ["the last cell asks no question"] * (not asks)


def images(notebook) -> list[str]:
    return [
        cell.source
        for cell in markdown(notebook)
        if cell.get("attachments") or re.search(r"!\[|<img", cell.source)
    ]


def figures(notebook) -> list[str]:
    """Every figure has words for who cannot see it: `alt` in the metadata of its cell."""
    drawn = [
        cell
        for cell in code(notebook)
        if any("image/png" in output.get("data", {}) for output in cell.outputs)
    ]
    return [cell.source for cell in drawn if len(cell.metadata.get("alt", "")) < 40]


def web(notebook) -> list[str]:
    """No cell loads from the web, but for the one that fetches the course where Colab runs it."""
    return [
        cell.source
        for cell in code(notebook)
        if "colab" not in tags(cell) and re.search(r"https?://|\bcdn\b", cell.source, re.IGNORECASE)
    ]


RULES = [
    numbers,
    first_cell,
    minutes,
    cell_seconds,
    slide_types,
    teacher_notes,
    predictions,
    exercises,
    quiz,
    code_length,
    line_length,
    closing,
    images,
    figures,
    web,
]


# The rules, tried on a tiny notebook


def text(source: str, slide: str = "-"):
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": slide}})


def cell(source: str, output: str = "", *, tag: str = "", slide: str = "-"):
    metadata = {"slideshow": {"slide_type": slide}, "tags": [tag] if tag else []}
    metadata["execution"] = {
        "iopub.execute_input": "2026-01-01T10:00:00.000000Z",
        "shell.execute_reply": "2026-01-01T10:00:01.500000Z",
    }
    if tag == "solution":
        metadata["jupyter"] = {"source_hidden": True}
    return new_code_cell(
        source,
        metadata=metadata,
        outputs=[new_output("stream", name="stdout", text=output)] if output else [],
    )


def question(number: int, right: str):
    """A question of the quiz whose right answer has this letter."""
    choices = [
        f"<details><summary>{letter}. Answer {letter}</summary>\n\n"
        f"{'Right' if letter == right else 'No'}. The reason of {letter}.\n</details>"
        for letter in "ABC"
    ]
    return text("\n\n".join([f"**Question {number}.** Is it so?", *choices]), "subslide")


def tiny():
    """A notebook that keeps every rule."""
    note = "**For the teacher.** Ask first. 5 to 10 minutes."
    predict = "**Predict before you run.** What is 1 + 1?"
    answer = "<details><summary>Answer</summary>\n\nIt is 2, as `3 - 1` is.\n</details>"
    hints = "".join(f"<details><summary>Hint {n}</summary>\n\nThink.\n</details>\n" for n in (1, 2))
    cells = [
        text(
            "# 01 · A tiny notebook\n\n**How small may it be?**\n\nAfter this notebook you can\n"
            "- add,\n- say so,\n- stop.\n\n"
            "**Before this:** nothing.\n\n**Minutes:** 1 to run on two cores, 40 to teach, "
            "50 for the exercises.",
            "slide",
        ),
        text(note, "notes"),
        text(note, "notes"),
        text(note, "notes"),
        text(predict, "slide"),
        cell("print(1 + 1)", "2\n"),
        text(answer, "fragment"),
        text(predict, "subslide"),
        cell("print(1 + 1)", "2\n"),
        text(answer, "skip"),
    ]
    for k, difficulty in enumerate((1, 2, 5), start=1):
        cells += [
            text(
                f"### Exercise 01.{k} · Add\n\n*Difficulty: {difficulty} of 5 · 10 minutes*\n\n"
                f"Add.\n\n{hints}",
                "skip",
            ),
            cell(
                "def add(a, b):\n    ...  # your code\n\nprint('Not done yet: add')",
                "Not done yet: add\n",
                tag="exercise",
                slide="skip",
            ),
            cell(
                "def add(a, b):\n    return a + b\n\nprint('Right: all agree.')",
                "Right: all agree.\n",
                tag="solution",
                slide="skip",
            ),
        ]
    cells += [text("## Quiz\n\nChoose.", "slide"), *[question(k, "ABA"[k - 1]) for k in (1, 2, 3)]]
    cells += [
        text("## What we saw", "slide"),
        cell("print('One and one is', 1 + 1)", "One and one is 2\n"),
        text("Next: what is two?"),
    ]
    return new_notebook(cells=cells)


def at(place: int, field: str, old: str, new: str):
    """A change of one cell's text: its source or its output."""

    def change(notebook):
        holder = notebook.cells[place] if field == "source" else notebook.cells[place].outputs[0]
        assert old in holder[field]
        holder[field] = holder[field].replace(old, new)

    return change


def end(place: int, time: str):
    return lambda notebook: (
        notebook.cells[place]
        .metadata["execution"]
        .update({"shell.execute_reply": f"2026-01-01T{time}Z"})
    )


def drop(*places: int):
    return lambda notebook: [notebook.cells.pop(place) for place in sorted(places, reverse=True)]


def put(place: int, *cells):
    return lambda notebook: notebook.cells.__setitem__(slice(place, place), cells)


def meta(place: int, **changes):
    return lambda notebook: notebook.cells[place].metadata.update(changes)


HEAD, STUB, SOLUTION, QUIZ, CLOSING = 10, 11, 12, 19, 23  # places in the tiny notebook
LONG = "\n".join("x = 0" for _ in range(21))
BREAKS = [
    (numbers, at(6, "source", "It is 2", "It is 2.0")),
    (numbers, at(1, "source", "5 to 10 minutes", "loss 0.25")),
    (first_cell, at(0, "source", "# 01 ·", "# 01:")),
    (first_cell, at(0, "source", "be?**", "be.**")),
    (first_cell, at(0, "source", "- say so,\n", "")),
    (first_cell, at(0, "source", "- say so,\n", "- say so,\n- ask,\n")),
    (first_cell, at(0, "source", "**Before this:** nothing.", "")),
    (first_cell, at(0, "source", "40 to teach", "forty to teach")),
    (minutes, at(0, "source", "1 to run", "2 to run")),
    (minutes, end(5, "10:02:00")),
    (minutes, meta(5, execution={})),
    (cell_seconds, end(5, "10:01:41")),
    (slide_types, meta(5, slideshow={})),
    (slide_types, meta(5, slideshow={"slide_type": "page"})),
    (slide_types, meta(0, slideshow={"slide_type": "-"})),
    (teacher_notes, drop(1)),
    (teacher_notes, at(2, "source", "**For the teacher.**", "For the teacher.")),
    (predictions, drop(7)),
    (predictions, drop(6)),
    (predictions, drop(9)),
    (predictions, drop(5)),
    (predictions, at(4, "source", "?", ".")),
    (predictions, at(9, "source", "<details><summary>Answer</summary>\n\n", "")),
    (exercises, drop(10, 11, 12)),
    (exercises, put(13, *[new for _ in range(3) for new in tiny().cells[10:13]])),
    (exercises, at(HEAD, "source", "### Exercise 01.1", "### Exercise 02.1")),
    (exercises, at(HEAD, "source", "### Exercise 01.1", "### Exercise 01.2")),
    (exercises, at(HEAD, "source", "Difficulty: 1 of 5", "Difficulty: easy")),
    (exercises, at(HEAD, "source", " · 10 minutes", "")),
    (exercises, at(HEAD, "source", "Hint 2", "Hint 3")),
    (exercises, at(HEAD, "source", "<details><summary>Hint 2</summary>\n\nThink.\n</details>", "")),
    (exercises, at(16, "source", "5 of 5", "3 of 5")),
    (exercises, drop(STUB)),
    (exercises, drop(SOLUTION)),
    (exercises, put(SOLUTION, text("And this."))),
    (
        exercises,
        lambda notebook: notebook.cells[STUB].outputs.append(
            new_output("stream", name="stderr", text="Not done yet: add\n")
        ),
    ),
    (exercises, put(5, cell("1", tag="solution"))),
    (exercises, meta(STUB, tags=[])),
    (exercises, meta(SOLUTION, jupyter={})),
    (exercises, at(STUB, "text", "Not done yet: add\n", "Not done yet: add\nand more\n")),
    (exercises, at(STUB, "text", "Not done yet", "Right")),
    (exercises, at(SOLUTION, "text", "Right", "Not yet")),
    (exercises, lambda notebook: notebook.cells[SOLUTION].update(outputs=[])),
    (quiz, drop(QUIZ)),
    (quiz, drop(QUIZ + 2)),
    (quiz, drop(QUIZ, QUIZ + 1, QUIZ + 2, QUIZ + 3)),
    (quiz, put(QUIZ + 4, question(4, "C"), question(5, "C"), question(6, "C"))),
    (quiz, put(QUIZ + 2, text("By the way."))),
    (quiz, at(QUIZ + 1, "source", "Question 1.", "Question 2.")),
    (quiz, at(QUIZ + 1, "source", "so?", "so.")),
    (quiz, at(QUIZ + 1, "source", "No. The reason of B", "Right. The reason of B")),
    (quiz, at(QUIZ + 1, "source", "Right. The reason of A", "No. The reason of A")),
    (quiz, at(QUIZ + 1, "source", "No. The reason of C", "Because of C")),
    (quiz, at(QUIZ + 1, "source", "The reason of C", "The reason of B")),
    (quiz, at(QUIZ + 1, "source", "Answer C", "Answer B")),
    (quiz, at(QUIZ + 1, "source", "Answer C", "About 0.25")),
    (quiz, lambda notebook: notebook.cells.__setitem__(QUIZ + 2, question(2, "A"))),
    (code_length, put(1, *[cell("\n".join("abcdefg")) for _ in range(10)])),
    (code_length, put(1, cell(LONG), cell(LONG))),
    (line_length, put(1, cell("x" * 121))),
    (closing, at(CLOSING, "source", "What we saw", "The end")),
    (closing, drop(CLOSING + 1)),
    (closing, drop(CLOSING + 2)),
    (closing, at(CLOSING + 2, "source", "?", ".")),
    (closing, put(CLOSING + 1, *tiny().cells[10:13])),
    (images, put(1, text("![the model](model.png)"))),
    (images, put(1, text('<img src="model.png">'))),
    (
        figures,
        put(1, new_code_cell("draw()", outputs=[new_output("display_data", {"image/png": ""})])),
    ),
    (web, put(1, cell("pd.read_csv('https://example.org/log.csv')"))),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_lets_the_tiny_notebook_pass(rule):
    assert rule(tiny()) == []


@pytest.mark.parametrize(
    "rule, change", BREAKS, ids=[f"{rule.__name__}-{i}" for i, (rule, _) in enumerate(BREAKS)]
)
def test_a_rule_catches(rule, change):
    notebook = tiny()
    change(notebook)
    assert rule(notebook) != []


def test_every_rule_has_been_seen_to_catch():
    assert {rule for rule, _ in BREAKS} == set(RULES)


def test_what_rules_leave_free():
    notebook = tiny()
    at(STUB, "text", "add\n", "add\nNot done yet: subtract\n")(notebook)
    put(STUB, cell("numbers = 1, 2"), text("Add these."))(notebook)  # what an exercise works on
    assert exercises(notebook) == []
    put(1, *[cell("x = 1") for _ in range(4)], cell(LONG))(notebook)  # one long cell of many
    put(-1, text("**For the teacher.** The end.", "notes"))(notebook)
    notebook.cells[0].source = notebook.cells[0].source.replace("# 01", f"# {LAST}")
    at(-1, "source", "Next: what is two?", "A checklist.")(
        notebook
    )  # nothing comes after the last notebook
    assert code_length(notebook) == closing(notebook) == teacher_notes(notebook) == []


@pytest.mark.parametrize(
    "prose, found",
    [
        (
            "It fell to 3.6974 nats, and 347,524 events of 58 employees are 97 % of it.",
            {"3.6974", "347,524", "58", "97"},
        ),
        (
            "In 1, 2 or 3. A rate of 1e-5 (not 1e-3), 2x as fast: −0.5 to 0.25.",
            {"1", "2", "3", "1e-5", "1e-3", "0.5", "0.25"},
        ),
        ("From 2023-04-02 on, at 00:30", {"2023", "04", "02", "00", "30"}),
        ("| floor | 0.131 |", {"0.131"}),
        ("<details><summary>Answer</summary>\n\nAbout 12.\n</details>", {"12"}),
        ("`d = 32` and\n```\nx = 3\n```\nand $d = 16$ and $$\nn = 2\n$$ and 8", {"8"}),
        (
            "a cost of $5$, in [1 of 2](page3.html), https://a.org/7, <b style='width: 9px'>x</b>",
            set(),
        ),
        ("# 05 · Training in 20 epochs", {"20"}),
        ("## The 17 categories", {"17"}),
        (
            "### Exercise 05.2 · Stop after 3\n*Difficulty: 2 of 5 · 10 minutes*\n\nAdd 7.",
            {"3", "7"},
        ),
        ("as in notebook 06, Notebooks 01, 02 and 05, and exercise 03.1; notebook 6", {"6"}),
        ("**Minutes:** 2 to run on two cores, 40 to teach, 50 for the exercises.", set()),
        ("<details><summary>Hint 2</summary>\n\nDivide by 4.</details>", {"4"}),
        ("1. first\n2. second, 3 times", {"3"}),
        ("(Vaswani et al. 2017; Kingma and Ba 2015), Bahdanau et al. (2015), (Bishop 2006)", set()),
        ("Since 2017, or in (the year 2017), Vaswani and 2017 others", {"2017"}),
        ("E028 at SITE-06 on day_3, float32 and x2", {"06"}),
        ("It takes 10 minutes.", {"10"}),
    ],
)
def test_numbers_in_prose(prose, found):
    assert numbers_in_prose(prose) == found


def test_the_size_of_a_picture_is_no_number_of_the_text():
    picture = new_output(
        "display_data", {"image/png": "", "text/plain": "<Figure size 900x450 with 1 Axes>"}
    )
    assert (
        printed(
            new_code_cell(
                "",
                outputs=[
                    picture,
                    new_output("stream", text="7\n"),
                    new_output("execute_result", {"text/plain": "8"}),
                ],
            )
        )
        == "7\n8"
    )


def test_minutes_are_free_in_what_is_said_to_the_teacher():
    assert numbers_in_prose(
        "Allow 10 minutes, 5 to 8 minutes or 1 minute for 3 tensors.", notes=True
    ) == {"3"}


@pytest.mark.parametrize(
    "source, output, found",
    [
        ("x2 = origins[100_000:]  # all but 5", "", {"100,000", "5"}),
        ("f'{loss:.4f}'", "mean 3.6974 nats, 1e-05", {"3.6974", "1e-05"}),
    ],
)
def test_numbers_of_code(source, output, found):
    assert found <= numbers_of_code(source, output)
    assert "100" not in numbers_of_code(source, output)


# The notebooks of the course


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps(rule, path):
    complaints = rule(nbformat.read(path, as_version=4))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_called_by_its_number(path):
    assert number_of(nbformat.read(path, as_version=4)) == path.stem[:2]
