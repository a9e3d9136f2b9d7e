"""A module's source, broken in one place: by an operator, or by a pattern of one's own.

Places are found in the syntax tree, so no layout matters. A mutant is named by its module, its
function, the operator and a number, as "losses.evaluate constant 3", so that a change of one
function leaves the names in all others as they were.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from os.path import commonprefix
from typing import NamedTuple


class Place(NamedTuple):
    """Where a node hangs: in the field of its parent, at an index where the field is a list."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    statement: ast.stmt  # the smallest around it
    function: str  # its qualified name, "" outside of functions

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


class Mutant(NamedTuple):
    name: str
    change: str  # "what stood there -> what stands there now"
    source: str  # of the whole module, broken


# What no test of behaviour can see: types, how a number is stored or where, what a bar shows, and
# the words of a refusal. `strict` only refuses what never happens.
QUIET_FIELDS = {"annotation", "returns", "decorator_list", "args"}
QUIET_KEYWORDS = {"dtype", "device", "desc", "unit", "disable", "leave", "progress", "strict"}


def is_quiet(parent: ast.AST, field: str) -> bool:
    if isinstance(parent, ast.keyword):
        return parent.arg in QUIET_KEYWORDS
    return isinstance(parent, ast.Raise) or (
        field in QUIET_FIELDS and not isinstance(parent, ast.Call)
    )


def walk(node: ast.AST, statement: ast.stmt | None = None, names: tuple = ()) -> Iterator[Place]:
    """All places below a node that may be broken, in the order of the text."""
    for field, value in ast.iter_fields(node):
        if is_quiet(node, field):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            nearest = child if isinstance(child, ast.stmt) else statement
            if nearest is not None:
                yield Place(child, node, field, index, nearest, ".".join(names))
            scope = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            yield from walk(child, nearest, (*names, child.name) if scope else names)


# -- operators

NEXT_TO = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
NEGATION = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
NEGATION |= {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In}
NEGATION |= {ast.Is: ast.IsNot, ast.IsNot: ast.Is}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
ARITHMETIC |= {ast.FloorDiv: ast.Mod, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult}
ARITHMETIC |= {ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
OPPOSITES = {"min": "max", "minimum": "maximum", "argmin": "argmax", "any": "all"}
OPPOSITES |= {other: one for one, other in OPPOSITES.items()}


def change(node: ast.AST, field: str, value) -> ast.AST:
    changed = copy.copy(node)
    setattr(changed, field, value)
    return changed


def break_node(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(operator, what may stand in the node's place)."""
    match node:
        case ast.Compare(ops=signs):
            for i, sign in enumerate(signs):
                for other in (NEXT_TO.get(type(sign)), NEGATION.get(type(sign))):
                    if other:
                        others = [*signs[:i], other(), *signs[i + 1 :]]
                        yield "comparison", change(node, "ops", others)
        case ast.BinOp(op=sign) if type(sign) in ARITHMETIC:
            yield "arithmetic", change(node, "op", ARITHMETIC[type(sign)]())
            yield "arithmetic", node.left
        case ast.AugAssign(op=sign):
            yield "arithmetic", change(node, "op", ARITHMETIC[type(sign)]())
            yield "statement", ast.Pass()
        # Not of a number: axis -1 of a matrix is its axis 1, so nothing would change.
        case ast.UnaryOp(operand=operand) if not isinstance(operand, ast.Constant):
            yield "arithmetic", operand
        case ast.BoolOp(op=sign, values=values):
            yield "condition", change(node, "op", ast.And() if type(sign) is ast.Or else ast.Or())
            for value in values if len(values) == 2 else ():
                yield "condition", value
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", ast.Constant(value + 1)
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Assign(targets=[ast.Subscript()]):
            yield "statement", ast.Pass()
        case ast.Call(keywords=keywords):  # without one of its arguments, so its default holds
            for i, keyword in enumerate(keywords):
                if keyword.arg not in QUIET_KEYWORDS:
                    yield "argument", change(node, "keywords", keywords[:i] + keywords[i + 1 :])
        case ast.Slice():
            for end in ("lower", "upper"):
                if getattr(node, end):
                    yield "slice", change(node, end, None)
        case ast.Name(id=name) if name in OPPOSITES:
            yield "opposite", change(node, "id", OPPOSITES[name])
        case ast.Attribute(attr=name) if name in OPPOSITES:
            yield "opposite", change(node, "attr", OPPOSITES[name])
        # Comparisons and `not` have operators of their own.
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(
            test, (ast.Compare, ast.UnaryOp)
        ):
            yield "condition", change(node, "test", ast.UnaryOp(ast.Not(), test))


def make_mutants(module: str, source: str) -> list[Mutant]:
    """Every way of every operator to break a function of this module."""
    tree, numbers, mutants = ast.parse(source), Counter(), []
    for place in walk(tree):
        for operator, node in break_node(place.node) if place.function else ():
            name = f"{module}.{place.function} {operator}"
            numbers[name] += 1
            mutants.append(put_in(f"{name} {numbers[name]}", tree, place, node))
    return mutants


def put_in(name: str, tree: ast.Module, place: Place, node: ast.AST) -> Mutant:
    before = show(place.statement)
    place.put(node)
    after = show(node if place.node is place.statement else place.statement)
    source = ast.unparse(tree)
    place.put(place.node)
    start = max(0, len(commonprefix([before, after])) - 30)
    told = " -> ".join(f"{'..' * (start > 0)}{text[start:][:80]}" for text in (before, after))
    return Mutant(name, told, source)


def show(statement: ast.AST) -> str:
    return ast.unparse(statement).splitlines()[0]


def draw(mutants: list[Mutant], size: int) -> list[Mutant]:
    """So many of them, always the same, by the checksums of their names."""
    return sorted(mutants, key=lambda mutant: sha256(mutant.name.encode()).digest())[:size]


# -- patterns


def find_pattern(module: str, source: str, pattern: str, broken: str) -> list[Mutant]:
    """The mutants of a module in which `broken` stands where the pattern fits.

    Both are Python. `_x` is any expression, the same one wherever it stands; `f(...)` is a call of
    `f` with any arguments; a name is also an attribute of that name, `step()` thus `a.b.step()`.
    """
    tree, wanted, mutants = ast.parse(source), parse_pattern(pattern), []
    for place in walk(tree):
        found: dict[str, ast.AST] = {}
        if fits(wanted, place.node, found):
            node = Filler(found).visit(parse_pattern(broken))
            name = f"{module}.{place.function} place {len(mutants) + 1}"
            mutants.append(put_in(name, tree, place, node))
    return mutants


def parse_pattern(text: str) -> ast.AST:
    statement = ast.parse(text).body[0]
    return statement.value if isinstance(statement, ast.Expr) else statement


def is_wild(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id.startswith("_")


def fits(wanted, node, found: dict[str, ast.AST]) -> bool:
    """Whether a pattern, or a part of one, is of this form; `found` takes what `_x` stands for."""
    if is_wild(wanted) and isinstance(node, ast.expr):
        return ast.unparse(found.setdefault(wanted.id, node)) == ast.unparse(node)
    if isinstance(wanted, ast.Name) and isinstance(node, ast.Attribute):
        return wanted.id == node.attr
    if type(wanted) is not type(node):
        return False
    if isinstance(wanted, list):
        pairs = zip(wanted, node, strict=False)
        return len(wanted) == len(node) and all(fits(one, other, found) for one, other in pairs)
    if not isinstance(wanted, ast.AST):
        return wanted == node
    fields = [field for field in wanted._fields if field not in ("ctx", "kind", "type_comment")]
    if isinstance(wanted, ast.Call) and [ast.unparse(one) for one in wanted.args] == ["..."]:
        fields = ["func"]
    return all(fits(getattr(wanted, field), getattr(node, field), found) for field in fields)


class Filler(ast.NodeTransformer):
    """Puts what was found in the places of `_x`."""

    def __init__(self, found: dict[str, ast.AST]):
        self.found = found

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return copy.deepcopy(self.found[node.id]) if is_wild(node) else node
