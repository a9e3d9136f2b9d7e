"""What runs in a student's process: the cells that an exercise needs, and the student's function.

The judge asks by pickled messages on the standard input, one of prepare and call, and gets a line
of JSON for each on what was the standard output. No right answer ever comes here. Whatever the
student's code says or does on that channel is no more than an answer of its own.
"""

from __future__ import annotations

import ast
import json
import os
import pickle
import random
import re
import symtable
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from numbers import Real
from pathlib import Path

from helpers.tools.grading import confine

LONGEST = 300  # characters of an error's message that are told
MOST = 100_000  # numbers in an argument that are looked at for a change
# Jupyter's commands that run in the notebook what stands behind them.
OF_A_CELL = re.compile(r"\A\s*%%(time|capture|prun)\b.*\n")
OF_A_LINE = re.compile(r"(?m)^(\s*)%time\s+(?=\S)")


def main() -> None:
    """Serves the judge until it closes the channel.

    Arguments: the folder that the process may write, the bytes of memory, and of a file.
    """
    folder, memory, file_size = Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:])
    questions, answers = take_channel()
    os.chdir(folder / "notebooks")
    sizes = confine.open_sizes()
    guarded = confine.ask_kernel(folder)
    import_what_is_needed()
    refused: list[str] = []
    student = Student(refused)
    confine.set_limits(memory, file_size, sizes)
    confine.refuse_from_now_on(folder, refused.append)
    send_nowhere(2)  # until here errors were the judge's to read
    write_line(answers, {"id": 0, "guarded": guarded})
    while True:
        try:
            question = pickle.load(questions)
        except EOFError:
            return
        try:
            answer = getattr(student, question.pop("ask"))(**question.pop("with"))
        except BaseException as error:  # SystemExit and its like end nothing here
            answer = {"error": tell_error(error)}
        write_line(
            answers, answer | {"id": question["id"], "refused": list(dict.fromkeys(refused))}
        )


def take_channel():
    """The two ends of the channel as files, which are the standard ones no more."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    send_nowhere(0, 1)
    return questions, answers


def send_nowhere(*streams: int) -> None:
    """What is read from these is empty, and what is written to them is gone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def write_line(answers, answer: dict) -> None:
    try:
        text = json.dumps(answer)
    except (ValueError, TypeError, RecursionError, UnicodeError) as error:
        text = json.dumps({"id": answer["id"], "refused": [], "error": tell_error(error)})
    answers.write(text.encode() + b"\n")
    answers.flush()


def tell_error(error: BaseException) -> list[str]:
    """Its kind and its message."""
    try:
        message = str(error)
    except BaseException:  # a class of the student's own
        message = ""
    return [type(error).__name__[:LONGEST], message[:LONGEST]]


def import_what_is_needed() -> None:
    """Imports what would ask the system for more than the student's code may."""
    import IPython.core.inputtransformer2  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import numpy
    import sklearn.metrics  # noqa: F401
    import torch

    import helpers.training  # noqa: F401
    from helpers import checks
    from helpers.support.fast import keep_memory

    keep_memory()  # a training would, later
    torch.set_num_threads(1)  # as the notebooks do
    numpy.random.seed(0)
    checks.__getattr__ = say_nothing


def say_nothing(name: str):
    """What a cell calls as checks.NAME."""
    if name.startswith("__"):  # what Python itself asks a module for
        raise AttributeError(name)
    return lambda *_, **__: None


def with_gradient(tensor, gradient):
    """A tensor that has a gradient already; the judge's messages name this function."""
    tensor.requires_grad_()
    tensor.grad = gradient
    return tensor


class Student:
    """A hand-in's functions: `prepare` finds those of an exercise, `call` calls one."""

    def __init__(self, refused: list[str]):
        self.refused = refused
        self.arguments: list = []
        self.notebooks: dict[str, list[dict]] = {}

    def prepare(self, notebook: str, check: str, cell: str, call: str) -> dict:
        """Runs what an exercise needs of a notebook, and says what its check is called with.

        cell: the id of the exercise's cell; call: how the course calls its check there
        """
        self.refused.clear()
        if notebook not in self.notebooks:
            try:
                self.notebooks[notebook] = read_cells(Path(f"{notebook}.ipynb"))
            except Exception as error:  # whatever it is, it is no notebook
                return {"unreadable": tell_error(error)}
        first = None
        for statements, arguments in find_exercises(self.notebooks[notebook], check, cell, call):
            answer = self.run(statements, arguments)
            first = first or (answer, self.arguments)
            if not any(map(is_unfinished, answer["arguments"])):
                return answer
        if first is None:
            return {"missing": True}
        answer, self.arguments = first
        return answer

    def run(self, statements: list[ast.stmt], arguments: list[ast.expr]) -> dict:
        """Runs statements in a notebook of their own, and describes what the arguments then are."""
        scope = {"__name__": "__main__", "display": lambda *_, **__: None}
        for statement in statements:
            try:
                exec(compile(ast.Module([statement], []), "<hand-in>", "exec"), scope)
            except ImportError:
                if not is_star(statement):  # of which nobody knows whether it is needed
                    raise
        self.arguments = [
            eval(compile(ast.Expression(each), "<hand-in>", "eval"), scope) for each in arguments
        ]
        return {"arguments": [describe(each) for each in self.arguments]}

    def call(self, number: int, given: tuple) -> dict:
        """Calls the student's function of this number in the check's call."""
        before, state = [encode_change(each) for each in given], get_random_states()
        value = self.arguments[number](*given)
        value = list(value) if isinstance(value, Iterator) else value  # what was yielded
        answer = {"value": encode(simplify(value))}
        after = [encode_change(each) for each in given]
        answer["changed"] = {i: new for i, new in enumerate(after) if new != before[i]}
        answer["counted"] = {i: count(each) for i, each in enumerate(given)}
        answer["gradients"] = {
            i: encode(simplify(each.grad))
            for i, each in enumerate(given)
            if getattr(each, "requires_grad", False)
        }
        answer["drew"] = state != get_random_states()
        return answer


def describe(argument) -> dict:
    from helpers.checks.verdicts import is_stub

    if callable(argument):
        return {"function": True, "stub": bool(is_stub(argument))}
    return {"function": False, "value": encode(simplify(argument))}


def is_unfinished(described: dict) -> bool:
    """Whether an argument is as it was handed out."""
    return described.get("stub") or '{"kind": "ellipsis"}' in json.dumps(described)


# What is told of values


def simplify(value):
    from helpers.checks.verdicts import simplify

    return simplify(value)


def encode(value):
    """A simplified value as JSON can hold it; of what it cannot, the kind alone."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Real):  # a fraction, too
        return float(value)
    if isinstance(value, list):
        return [encode(part) for part in value]
    if isinstance(value, dict):
        pairs = [[encode(key), encode(part)] for key, part in value.items()]
        return {"pairs": pairs}
    return {"kind": "ellipsis" if value is ... else type(value).__name__}


def encode_change(argument):
    """What a function may have changed in an argument, or None where that is not looked at."""
    if isinstance(argument, (list, dict)) or hasattr(argument, "tolist"):
        size = getattr(argument, "size", 0)
        size = size() if callable(size) else size
        numbers = getattr(size, "numel", lambda: size)()
        return encode(simplify(argument)) if numbers <= MOST else None
    return None


def count(argument, depth: int = 2) -> dict:
    """The counters of an object and of its parts: "part.name" -> number."""
    found = {}
    for name, value in vars(argument).items() if hasattr(argument, "__dict__") else ():
        if type(value) in (int, float):
            found[name] = value
        elif depth and hasattr(value, "__dict__") and not isinstance(value, types.ModuleType):
            inner = count(value, depth - 1)
            found |= {f"{name}.{part}": number for part, number in inner.items()}
    return found


def get_random_states() -> list:
    import numpy
    import torch

    states = [numpy.random.get_state(), torch.get_rng_state(), random.getstate()]
    return simplify(states)


# Which statements an exercise needs


def read_cells(path: Path) -> list[dict]:
    """The code cells of a notebook, but for the course's own solutions."""
    notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    sheets = notebook.get("worksheets", [])  # where notebooks before the fourth form have them
    cells = [*notebook.get("cells", []), *(cell for sheet in sheets for cell in sheet["cells"])]
    return [
        {"id": cell.get("id"), "source": "".join(cell.get("source", cell.get("input", "")))}
        for cell in cells
        if cell["cell_type"] == "code"
        and "solution" not in (cell.get("metadata") or {}).get("tags", [])
    ]


Found = tuple[list[ast.stmt], list[ast.expr]]


def find_exercises(cells: list[dict], check: str, cell: str, call: str) -> Iterator[Found]:
    """(the statements that an exercise needs, the arguments of its check), the last cell's first.

    The exercise is the last cell that calls the check, or, where that is as it was handed out, one
    before. Where none does it is the one with the id of the course's own, with the course's call at
    its end. A cell that is no Python counts as empty, unless it is the exercise's: then it raises
    SyntaxError.
    """
    trees = [parse(each["source"]) for each in cells]
    found = False
    for place in reversed(range(len(cells))):
        tree = trees[place]
        if isinstance(tree, SyntaxError):
            if not found and (
                cells[place]["id"] == cell or f"checks.{check}(" in cells[place]["source"]
            ):
                raise tree
            continue
        calls = list(find_calls(tree, check))
        if calls:
            found = True
            number, arguments = calls[-1]
            yield choose(list_before(trees, place) + tree.body[:number], arguments), arguments
    places = [place for place, each in enumerate(cells) if each["id"] == cell]
    if places and not found:
        (own,) = ast.parse(call).body
        arguments = own.value.args
        yield choose(list_before(trees, places[0] + 1), arguments), arguments


def list_before(trees: list[ast.Module | SyntaxError], place: int) -> list[ast.stmt]:
    """The statements of the cells before a place."""
    before = [tree for tree in trees[:place] if not isinstance(tree, SyntaxError)]
    return [statement for tree in before for statement in tree.body]


def parse(source: str) -> ast.Module | SyntaxError:
    """A cell's syntax, with the commands of Jupyter as it writes them in Python."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        source = OF_A_LINE.sub(r"\1", OF_A_CELL.sub("", source))
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error if isinstance(error, SyntaxError) else SyntaxError(str(error))


def find_calls(tree: ast.Module, check: str) -> Iterator[tuple[int, list[ast.expr]]]:
    """(number of the statement, arguments) of each call of checks.CHECK in a cell."""
    for number, statement in enumerate(tree.body):
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and is_check(node.func, check):
                yield number, node.args + [keyword.value for keyword in node.keywords]


def is_check(function: ast.expr, check: str) -> bool:
    return f".{ast.unparse(function)}".endswith(f".checks.{check}")


def choose(statements: list[ast.stmt], arguments: list[ast.expr]) -> list[ast.stmt]:
    """Those of the statements, in their order, on which the arguments depend."""
    inside = {}  # of a function or a class the names that its body needs
    changes = {}  # and those whose objects it may change
    for statement in statements:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            needs = read_names(statement)[1]
            inside.setdefault(statement.name, set()).update(needs)
            changes.setdefault(statement.name, set()).update(needs & find_changed_inside(statement))

    def close(names: set[str]) -> set[str]:
        while more := set().union(*(inside.get(name, ()) for name in names)) - names:
            names = names | more
        return names

    needed = close(set().union(*(read_names(ast.Expr(each))[1] for each in arguments)))
    imported = {
        alias.asname or alias.name.split(".")[0]
        for statement in statements
        if isinstance(statement, (ast.Import, ast.ImportFrom))
        for alias in statement.names
    }
    chosen = []
    for statement in reversed(statements):
        bound, used = read_names(statement)
        changed = find_changed(statement) | find_changed_by_calls(statement, changes)
        changed -= imported
        if "*" in bound or needed & (bound | changed):
            chosen.append(statement)
            if is_plain(statement):  # what was bound before is not needed any more
                needed = needed - bound
            needed = close(needed | used)
    return chosen[::-1]


def is_plain(statement: ast.stmt) -> bool:
    """Whether it binds what it binds in any case, and anew."""
    plain = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    return isinstance(statement, plain)


def is_star(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"


def read_names(node: ast.AST) -> tuple[set[str], set[str]]:
    """(the names that a statement binds, those that it takes from outside)."""
    if is_star(node):
        return {"*"}, set()
    with suppress(SyntaxError):  # such as `await` or `return` outside a function
        table = symtable.symtable(ast.unparse(node), "cell", "exec")
        bound = {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_assigned() or symbol.is_imported()
        }
        return bound, find_globals(table)
    return set(), set()


def find_globals(table: symtable.SymbolTable) -> set[str]:
    """The names that a statement takes from outside, in its functions, too."""
    at_top = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if (at_top and symbol.is_referenced()) or (not at_top and symbol.is_global())
    }
    return names.union(*(find_globals(child) for child in table.get_children()))


def find_changed(statement: ast.stmt) -> set[str]:
    """The names whose objects a statement may change: a.b = ..., a[0] = ..., a.append(...)."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return set()
    found = set()
    for node in ast.walk(statement):
        target = None
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            method = node.value.func
            target = method.value if isinstance(method, ast.Attribute) else None
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(
            node.ctx, ast.Load
        ):
            target = node.value
        while isinstance(target, (ast.Attribute, ast.Subscript, ast.Call)):
            target = target.func if isinstance(target, ast.Call) else target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found


def find_changed_inside(statement: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """The names whose objects a function's body may change, or that it binds for all."""
    declared = [each.names for each in ast.walk(statement) if isinstance(each, ast.Global)]
    return set().union(*declared, *map(find_changed, statement.body))


def find_changed_by_calls(statement: ast.stmt, changes: dict[str, set[str]]) -> set[str]:
    """What calls that keep no value may change: an argument, or what the function's body does.

    changes: of the notebook's own functions, which alone are looked at
    """
    found = set()
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return found
    for node in ast.walk(statement):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            if isinstance(call.func, ast.Name) and call.func.id in changes:
                given = [*call.args, *(keyword.value for keyword in call.keywords)]
                found |= changes[call.func.id].union(n.id for n in given if isinstance(n, ast.Name))
    return found
