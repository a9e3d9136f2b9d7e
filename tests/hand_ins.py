"""Makes hand-ins as students write them: right, partly right, wrong, untouched, hanging, malicious.

python tests/hand_ins.py FOLDER     # makes a class of forty there, and grades it
"""

from __future__ import annotations

import ast
import csv
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat

from helpers.tools.grade import grade
from helpers.tools.grading.exercises import list_exercises

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


@cache
def read_exercises() -> dict[str, tuple[str, str, str]]:
    """Of each exercise's cell, by its id: (its notebook, the stub, the course's solution)."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        stub = None
        for cell in nbformat.read(path, as_version=4).cells:
            tags = cell.metadata.get("tags", [])
            if "exercise" in tags:
                stub = cell
            elif "solution" in tags:
                found[stub.id] = path.stem, stub.source, find_imports(stub.source) + cell.source
    return found


def find_imports(source: str) -> str:
    """The imports of a stub's cell, which the course's solution does not repeat."""
    kinds = (ast.Import, ast.ImportFrom)
    return "".join(f"{ast.unparse(n)}\n" for n in ast.parse(source).body if isinstance(n, kinds))


def write_hand_in(
    folder: Path, answers: dict[str, str], notebooks: tuple[str, ...] = (), before: str = ""
) -> None:
    """Writes the student edition with answers in the place of stubs.

    answers: id of a stub's cell -> source
    notebooks: the beginnings of the notebooks' names, such as "00"; all, if none is named
    before: a cell at the top of the first notebook
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        if notebooks and not path.stem.startswith(notebooks):
            continue
        notebook = nbformat.read(path, as_version=4)
        kept = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
        for cell in kept:
            cell.source = answers.get(cell.id, cell.source)
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        if before:
            kept.insert(0, nbformat.v4.new_code_cell(before))
            before = ""
        notebook.cells = kept
        nbformat.write(notebook, folder / path.name)


def get_right() -> dict[str, str]:
    return {cell: solution for cell, (_, _, solution) in read_exercises().items()}


def get_wrong() -> dict[str, str]:
    """Answers that are filled in, and wrong."""
    return {cell: spoil(stub) for cell, (_, stub, _) in read_exercises().items()}


def spoil(stub: str) -> str:
    """A stub whose functions return a number that is never right, or whose values are wrong."""
    tree = ast.parse(stub)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.body = ast.parse("return 12345").body
        elif isinstance(node, ast.Assign):
            for value in node.value.values:
                assert value.value is ...
                value.value = "wrong"
    return ast.unparse(tree)


def replace_body(stub: str, body: str) -> str:
    """A stub whose first function has another body."""
    tree = ast.parse(stub)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    function.body = ast.parse(textwrap.dedent(body)).body
    return ast.unparse(tree)


# Bodies of a function that never end

ENDLESS = {
    "a loop": "while True: pass",
    "a loop that swallows all": """
        while True:
            try:
                while True: pass
            except BaseException: pass
        """,
    "a sleep": "import time; time.sleep(10**6)",
    "a lock": "import threading; a = threading.Lock(); a.acquire(); a.acquire()",
}

# Bodies of a function that mean harm. CANARY is a folder with a file `kept.txt`, and PORT one on
# which somebody listens. None gives a right value.

MALICIOUS = {
    "a typed verdict": "print('Right: all 3 cases agree.'); return 'Right'",
    "checks taken over": """
        import sys
        from helpers import checks
        from helpers.checks import verdicts
        verdicts.are_equal = lambda *a, **k: True
        verdicts.find_difference = lambda *a, **k: None
        checks.ceiling = lambda *a, **k: print('Right: all 3 cases agree.')
        verdicts.verdict = verdicts.compare = lambda *a, **k: 'Right: all 3 cases agree.'
        for module in list(sys.modules.values()):
            if hasattr(module, 'encode_change'):
                encode = module.encode
                def mine(value, encode=encode):
                    return 'Right' if value == 0.12345 else encode(value)
                module.encode = mine
        return 0.12345
        """,
    "the way out": "import sys; sys.exit('Right')",
    "the hard way out": "import os; os._exit(0)",
    "a crash": "import sys; sys.setrecursionlimit(10**9); f = lambda: f(); f()",
    "forged answers": """
        import json, os
        for number in range(400):
            line = {'id': number, 'score': 1, 'line': 'Right', 'value': 'Right', 'changed': {},
                    'counted': {}, 'gradients': {}, 'drew': False, 'refused': []}
            for file in range(3, 12):
                try: os.write(file, json.dumps(line).encode() + b'\\n')
                except OSError: pass
        return 0
        """,
    "a flood of answers": """
        import os
        while True:
            for file in range(3, 12):
                try: os.write(file, b'[' * 10**6)
                except OSError: pass
        """,
    "brackets without end": """
        import os
        for file in range(3, 12):
            try: os.write(file, b'[' * 10**6 + b'\\n')
            except OSError: pass
        return 0
        """,
    "an error named as a verdict": """
        raise type('E\\nRight: all 7 cases agree.\\n', (Exception,), {})('no')
        """,
    "a value that is equal to all": """
        class Equal(float):
            def __eq__(self, other): return True
            def tolist(self): return self
            def __reduce__(self): return print, ('here',)
        return Equal(1)
        """,
    "a value that holds itself": "a = []; a.append(a); return a",
    "a huge number": "return 10 ** 4000",
    "a fork bomb": """
        import os
        while True:
            try: os.fork()
            except OSError: pass
        """,
    "processes": """
        import _posixsubprocess, subprocess, sys
        for start in (subprocess.Popen, __import__('os').system):
            try: start('echo harm >> CANARY/kept.txt' if start is not subprocess.Popen else
                       [sys.executable, '-c', 'open("CANARY/harm", "w")'])
            except Exception: pass
        return 0
        """,
    "memory": """
        held = []
        while True: held.append(bytearray(10 ** 8))
        """,
    "memory that is kept": """
        import builtins, numpy
        builtins.held = []
        while True: builtins.held.append(numpy.ones(10 ** 7))
        """,
    "tensors that are kept": """
        import builtins, torch
        builtins.held = []
        while True: builtins.held.append(torch.ones(10 ** 7))
        """,
    "memory without a word": """
        held, size = [], 10 ** 8
        while True:
            try: held.append(bytes(size))
            except MemoryError: size = size // 2 + 1
        """,
    "a large answer": "return [[]] * 10 ** 6",
    "deleted files": """
        import os, pathlib, shutil
        ways = [os.remove, os.unlink, pathlib.Path.unlink, os.rmdir, shutil.rmtree]
        for path in ('CANARY/kept.txt', 'CANARY', os.path.expanduser('~'), '/'):
            for way in ways:
                try: way(pathlib.Path(path))
                except Exception: pass
            try: os.rename(path, path + '.gone')
            except Exception: pass
            try: open(path, 'w')
            except Exception: pass
        return 0
        """,
    "a connection": """
        import socket, urllib.request
        for way in (lambda: socket.create_connection(('127.0.0.1', PORT), timeout=3),
                    lambda: urllib.request.urlopen('http://127.0.0.1:PORT', timeout=3),
                    lambda: socket.socket().connect(('127.0.0.1', PORT))):
            try: way()
            except Exception: pass
        return 0
        """,
    "gigabytes": """
        number = 0
        while True:
            with open(f'large{number}', 'wb') as file:
                for _ in range(60): file.write(bytes(10 ** 6))
            number += 1
        """,
    "folders in folders": """
        import os
        path = 'deep'
        while len(path) < 4000:
            try: os.mkdir(path)
            except OSError: break
            path += '/a'
        return 0
        """,
    "closed folders": """
        import os, time
        os.mkdir('closed', 0)
        os.mkdir('blind', 0o300)
        for number in range(8):
            with open(f'blind/large{number}', 'wb') as file:
                for _ in range(60): file.write(bytes(10 ** 6))
        time.sleep(1)
        return 0
        """,
    "files without end": """
        number = 0
        while True:
            number += 1
            open(f'empty{number}', 'w').close()
        """,
    "other files": """
        import os
        told = []
        for path in ('CANARY/kept.txt', '/proc/self/environ', '/proc/1/environ', '/etc/passwd'):
            try: told.append(open(path).read())
            except Exception: pass
        for folder in ('CANARY', '/tmp', '../..', '/'):
            try: told += os.listdir(folder)
            except Exception: pass
        return told
        """,
    "the answers": """
        import helpers.checks.start_here as answers
        from helpers.tools.grading import hidden_cases
        return answers
        """,
    "the judge": """
        import os, signal
        for number in (os.getppid(), 0, -1):
            try: os.kill(number, signal.SIGKILL)
            except Exception: pass
        return 0
        """,
    "the hook": """
        import gc, sys
        try: open('CANARY/harm', 'w')
        except Exception as error:
            place = error.__traceback__
            while place.tb_next: place = place.tb_next
            for name, value in dict(place.tb_frame.f_locals).items():
                for part, new in (('__code__', (lambda *a: True).__code__), ('__defaults__', ()),
                                  ('__kwdefaults__', {})):
                    try: setattr(value, part, new)
                    except Exception: pass
        for way in (gc.get_objects, lambda: sys.settrace(print)):
            try: way()
            except Exception: pass
        try: open('CANARY/harm', 'w')
        except Exception: pass
        return 0
        """,
}


def attack(body: str, canary: Path, port: int) -> str:
    return body.replace("CANARY", canary.as_posix()).replace("PORT", str(port))


# A class of forty


def write_class(
    folder: Path, canary: Path, port: int, of_each: int = 10
) -> dict[str, dict[str, int | None]]:
    """Writes a class's hand-ins; returns what each should get: student -> id of a cell -> score.

    ``of_each`` are right, as many partly right, at most four wrong and four untouched; four hang
    and eight mean harm, which is forty in all. Some are folders, some zips, some single notebooks.
    """
    cells = list(read_exercises())
    functions = [cell for cell, (_, stub, _) in read_exercises().items() if "def " in stub]
    right, wrong = get_right(), get_wrong()
    expected = {}

    def hand_in(student: str, answers: dict[str, str], scores: dict, write=write_hand_in):
        number = len(expected)
        expected[student] = {cell: scores.get(cell) for cell in cells}
        if number % 3 == 1:
            zip_hand_in(folder, student, lambda place: write(place, answers))
        elif number % 3 == 2:
            write(folder / student, answers)
            for path in (folder / student).iterdir():
                path.rename(folder / f"{student}_{path.name}")
            (folder / student).rmdir()
        else:
            write(folder / student, answers)

    for n in range(of_each):
        hand_in(f"right {n}", right, dict.fromkeys(cells, 1))
    for n in range(of_each):
        parts = [cells[start :: n % 3 + 3] for start in range(2)]  # wrong, untouched; else right
        answers = right | {cell: wrong[cell] for cell in parts[0]}
        scores = dict.fromkeys(cells, 1) | dict.fromkeys(parts[0], 0)
        answers = {cell: source for cell, source in answers.items() if cell not in parts[1]}
        hand_in(f"partly {n}", answers, {c: s for c, s in scores.items() if c not in parts[1]})
    for n in range(min(of_each, 4)):
        hand_in(f"wrong {n}", wrong, dict.fromkeys(cells, 0))
        hand_in(f"untouched {n}", {}, {})
    for n, body in enumerate(ENDLESS.values()):
        hangs = functions[n::20]
        answers = right | {cell: replace_body(read_exercises()[cell][1], body) for cell in hangs}
        hand_in(f"hanging {n}", answers, dict.fromkeys(cells, 1) | dict.fromkeys(hangs, 0))
    bodies = [attack(body, canary, port) for body in MALICIOUS.values()]
    for n in range(8):
        harm = dict(zip(functions[n::9], bodies[n::8], strict=False))
        answers = right | {
            cell: replace_body(read_exercises()[cell][1], body) for cell, body in harm.items()
        }
        hand_in(f"harm {n}", answers, dict.fromkeys(cells, 1) | dict.fromkeys(harm, 0))
    return expected


def zip_hand_in(folder: Path, student: str, write: Callable[[Path], None]) -> None:
    place = folder / f".{student}"
    write(place)
    with zipfile.ZipFile(folder / f"{student}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(place.iterdir()):
            archive.write(path, f"work/{path.name}")
            path.unlink()
    place.rmdir()


def grade_class(folder: Path, expected: dict[str, dict[str, int | None]]) -> list[tuple]:
    """Grades a class; what was not graded as it should have been: student, exercise, both scores.

    ``expected`` is what `write_class` returned.
    """
    out = grade(folder)
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    number_of = {each.cell: each.number for each in list_exercises()}
    return [
        (name, number_of[cell], rows[name][number_of[cell]], score)
        for name, scores in expected.items()
        for cell, score in scores.items()
        if rows[name][number_of[cell]] != ("" if score is None else str(score))
    ]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    guarded = target.with_name(f"{target.name}-canary")
    guarded.mkdir()
    (guarded / "kept.txt").write_text("kept")
    scores = write_class(target, guarded.resolve(), 9)
    began = time.monotonic()
    print(grade_class(target, scores), "were not graded as they should have been")
    print(f"{len(scores)} hand-ins in {(time.monotonic() - began) / 60:.1f} minutes")
