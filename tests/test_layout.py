"""What must hold for the repository as it is stored: its pins, its notebooks, its files."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PIN = re.compile(r'([A-Za-z0-9._-]+)==[0-9][0-9a-z.]*(; sys_platform (==|!=) "\w+")?')
# Absolute folders of somebody's machine; not what follows a word, as in a web address.
MACHINE_PATH = re.compile(
    r"(?<![\w.~-])/(?:home|Users|root|tmp|opt|mnt|work|workspace|var/folders)/\w|[A-Z]:\\+Users\\"
)


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line) for line in lines) if line]


def pinned() -> set[str]:
    return {normal(line.split("==")[0]) for line in requirements()[:-1]}


def code_cells(path: Path) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_requirements_are_pins_and_the_package():
    *pins, last = requirements()
    assert last == "-e ."
    assert [
        line for line in pins if not PIN.fullmatch(line)
    ] == []  # no address, no path, no local build
    assert "torch==2.13.0" in pins
    assert len(pins) == len(pinned())


def test_what_helpers_import_is_pinned():
    imported = set()
    for path in (ROOT / "helpers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    imported -= {"helpers", *sys.stdlib_module_names}
    assert "torch" in imported
    packages = packages_distributions()  # a module may be named other than its package
    assert [
        name for name in imported if not pinned() & {normal(p) for p in packages.get(name, [name])}
    ] == []


def test_conda_environment_takes_its_packages_from_requirements():
    _, dependencies = (ROOT / "environment.yml").read_text(encoding="utf-8").split("dependencies:")
    assert re.findall(r"- (.+)", dependencies) == [
        "python=3.11",
        "pip",
        "pip:",
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "-r requirements.txt",
    ]


def test_setuptools_is_one_release_everywhere():
    (setuptools,) = re.findall(
        r'requires = \["(.+)"\]', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert setuptools in requirements()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_as_one_full_run(path):
    # nbval passes over a cell that was stored unexecuted, so this is looked at here
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert counts


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_stores_no_error(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            if "raises-exception" not in cell.metadata.get("tags", []):
                assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small(path):
    assert path.stat().st_size <= 1_500_000


def test_no_file_names_a_folder_of_some_machine():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode or not listing.stdout:
        pytest.skip("not a git checkout with files in it")
    found = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # a binary file, or one removed since
            continue
        found += [f"{name}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


# -- who imports whom

CORE = ["schema", "world", "events", "windows", "reader", "model", "losses", "training"]
CALLED = ["plots", "uses", "own_log", "widgets", "checks"]


def list_imports(package: Path) -> list[tuple[str, str]]:
    """(module, what it imports) within a package named helpers, as "support.files"."""
    pairs = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "helpers":
                inner = node.module.removeprefix("helpers").strip(".")
                for alias in node.names:
                    leaf = f"{inner}.{alias.name}".strip(".")
                    file = (package / leaf.replace(".", "/")).with_suffix(".py")
                    taken = leaf if file.exists() else inner
                    pairs.append((module, taken or alias.name))
    return pairs


def may_import(module: str, taken: str) -> bool:
    """Whether the arrows allow it: support <- core <- called <- tools, the core in its order."""
    ring, of = module.split(".")[0], taken.split(".")[0]
    if ring == of:
        return ring != "__init__"
    if module in ("support.fast", "support.plain"):  # two more forms of the network
        return of in CORE[: CORE.index("losses")]
    if ring == "support" or of == "tools":
        return False
    if of == "support" or ring == "tools":
        return True
    if ring in CORE:
        return of in CORE[: CORE.index(ring)]
    return ring in CALLED and of in [*CORE, *CALLED]


def test_arrows_between_the_rings_go_one_way():
    pairs = list_imports(ROOT / "helpers")
    assert len(pairs) > 100
    assert [pair for pair in pairs if not may_import(*pair)] == []


@pytest.mark.parametrize(
    "module, line",
    [
        ("schema", "from helpers.world import DAY"),
        ("world", "from helpers import plots"),
        ("training", "from helpers.tools.train import show"),
        ("support/files", "from helpers.schema import Category"),
        ("support/fast", "from helpers.training import Trainer"),
        ("plots", "def f():\n    from helpers.tools import train"),
    ],
)
def test_a_wrong_arrow_would_be_found(tmp_path, module, line):
    path = (tmp_path / module).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(line)
    (pair,) = list_imports(tmp_path)
    assert not may_import(*pair)


# -- how much there is to read

CORE_LINES, MODEL_LINES, TRAINING_LINES = 1750, 250, 300  # at most
COLUMNS, NODES_A_LINE = 100, 8


def count_code(text: str) -> tuple[int, int]:
    """(nodes of the syntax tree, lines of code), blanks, comments and docstrings left out.

    Whether a name is read or written is not counted as a node.
    """
    tree = ast.parse(text)
    nodes = [node for node in ast.walk(tree) if not isinstance(node, ast.expr_context)]
    passed_over = {i for i, line in enumerate(text.splitlines(), 1) if not line.strip()}
    passed_over |= {i for i, line in enumerate(text.splitlines(), 1) if line.lstrip()[:1] == "#"}
    for node in nodes:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            passed_over |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(nodes), len(text.splitlines()) - len(passed_over)


def test_a_line_of_code_is_counted_by_its_nodes():
    text = '"""Two\nlines."""\n\n# why\nx = f(1)\n'
    # Module, Expr, Constant; Assign, Name, Call, Name, Constant
    assert count_code(text) == (8, 1)


def test_the_core_is_read_in_an_evening():
    texts = {
        path.relative_to(ROOT / "helpers").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "helpers").rglob("*.py"))
    }
    lines = {name: len(texts[f"{name}.py"].splitlines()) for name in CORE}
    print("lines of the core:", lines, "together", sum(lines.values()))
    assert sum(lines.values()) <= CORE_LINES
    assert lines["model"] <= MODEL_LINES
    assert lines["training"] <= TRAINING_LINES

    longest = {name: max(map(len, text.splitlines())) for name, text in texts.items() if text}
    assert [name for name, columns in longest.items() if columns > COLUMNS] == []

    nodes, code = map(sum, zip(*map(count_code, texts.values()), strict=True))
    print(f"nodes on a line of code: {nodes / code:.2f}")
    assert nodes / code <= NODES_A_LINE
