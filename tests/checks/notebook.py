"""What the cells of a notebook define: the solutions of its exercises, and their stubs.

A name is taken from the cell with its tag, and what it needs from the cells before. Of those cells
only the statements run that define what is needed, so nothing is trained. What only a run of the
whole notebook has is `given`.
"""

import ast
import symtable
from functools import cache
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class Notebook:
    def __init__(self, name: str):
        cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
        self.name = name
        self.cells = [cell for cell in cells if cell.cell_type == "code"]

    def solution(self, name: str, **given):
        return define(name, self.find_statements(name, "solution"), given)

    def stub(self, name: str):
        return define(name, self.find_statements(name, "exercise"), {})

    def find_statements(self, name: str, tag: str) -> dict[str, str]:
        """By name, the statement that defines it last before the tagged cell's end."""
        statements = {}
        for cell in self.cells:
            own = split_by_name(cell.source)
            statements |= own
            if tag in cell.metadata.get("tags", []) and name in own:
                return statements
        raise LookupError(f"notebook {self.name} has no cell with the tag {tag} and {name}")


@cache
def split_by_name(source: str) -> dict[str, str]:
    """A cell's statements by the names that they define."""
    statements = {}
    for node in ast.parse(source).body:
        statement = ast.unparse(node)
        for symbol in read_symbols(statement).get_symbols():
            if symbol.is_assigned() or symbol.is_imported():
                statements[symbol.get_name()] = statement
    return statements


def read_symbols(statement: str) -> symtable.SymbolTable:
    return symtable.symtable(statement, "cell", "exec")


def find_globals(symbols: symtable.SymbolTable) -> set[str]:
    """The names that a statement takes from outside, in its functions, too."""
    names = {symbol.get_name() for symbol in symbols.get_symbols() if symbol.is_global()}
    return names.union(*(find_globals(child) for child in symbols.get_children()))


def define(name: str, statements: dict[str, str], scope: dict):
    """Run the statement that defines a name, after those that it needs; gives the name's value."""
    statement = statements.pop(name)  # so that what needs itself comes to an end
    for needed in sorted(find_globals(read_symbols(statement))):
        if needed in statements and needed not in scope:
            define(needed, statements, scope)
    exec(statement, scope)
    return scope[name]
