"""Runs or presents the notebooks of the course. notebooks/ itself is only read.

python -m helpers.tools.course           # runs every notebook; copies and pages: build/notebooks
python -m helpers.tools.course slides    # a deck of each, as it is stored: build/slides
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter, SlidesExporter
from nbformat import NotebookNode
from tqdm.auto import tqdm

from helpers.support.commands import prepare_folder, run_command
from helpers.support.files import NOTEBOOKS, ROOT
from helpers.support.wording import show

EXECUTED = ROOT / "build" / "notebooks"
SLIDES = ROOT / "build" / "slides"
REPORT = ROOT / "build" / "runs" / "working_run" / "report.csv"
CELL_TIMEOUT = 600  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"
LINK_UP = re.compile(r"(\]\(|src=\"|href=\")\.\./")  # Markdown's or HTML's, to a folder beside

DECK = Path(__file__).with_name("deck.html.j2")
# A deck needs these two. They are taken from node_modules beside the deck, or else from the web.
LIBRARIES = {"reveal.js": "5.2.1", "mathjax": "3.2.2"}
INSTALL = "npm install --prefix build/slides " + " ".join(
    f"{name}@{version}" for name, version in LIBRARIES.items()
)


def run_notebook(path: Path, folder: Path = EXECUTED) -> NotebookNode:
    """Executes a copy of a notebook and writes it, as a page too, into a folder.

    What was executed is written even when a cell fails, so that the page shows the whole error.
    One line then names the cell and ends the program (SystemExit).
    """
    notebook = nbformat.read(path, as_version=4)
    cells = count_code_cells(notebook)
    with tqdm(total=cells, desc=path.stem, unit="cell", leave=False, mininterval=0) as bar:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",  # of the Python that runs this, whatever the notebook names
            extra_arguments=["--log-level=ERROR"],  # the kernel's warnings would cut the bar in two
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_execute=lambda **_: bar.update(),  # as a cell begins: bar.n is the one at work
        )
        try:
            client.execute()
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            what = describe_error(error)
            sys.exit(f"{path.name}, code cell {bar.n}: {what}\nSee {folder / path.stem}.html")
        finally:
            write_notebook(notebook, folder / path.name)
            write_page(HTMLExporter(), notebook, folder / f"{path.stem}.html")
    return notebook


def count_code_cells(notebook: NotebookNode) -> int:
    """How many cells a run executes: a cell of white space is passed over."""
    return sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)


def describe_error(error: Exception) -> str:
    """One line on what ended a run."""
    text = str(error)
    if isinstance(error, CellExecutionError):  # whose own text is the whole traceback
        text = f"{error.ename}: {error.evalue}"
    return text.splitlines()[0]


def write_student_edition(path: Path, folder: Path, without: set[str]) -> None:
    """Writes a notebook as a student gets it: no note to the teacher, no output.

    Cells with one of the tags ``without`` are left out, solutions above all.
    """
    notebook = read_without(path, tags=without, slide_types={"notes"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of a run
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    write_notebook(notebook, folder / path.name)


def write_slides(path: Path, folder: Path = SLIDES) -> None:
    """Writes a notebook, as it is stored, as a deck of slides with the teacher's notes."""
    notebook = read_without(path, tags={"exercise", "solution"}, slide_types={"skip"})
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK_UP.sub(r"\1../../", cell.source)  # from two folders down
        if cell.cell_type == "code":
            # A widget lives in a kernel; what is left of it here is a line of code.
            cell.outputs = [each for each in cell.outputs if WIDGET not in each.get("data", {})]
            cell.metadata["draws"] = any(
                "image/png" in each.get("data", {}) for each in cell.outputs
            )
    exporter = SlidesExporter(
        raw_template=DECK.read_text(encoding="utf-8"),
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        reveal_url_prefix=find_library("reveal.js", folder),
        mathjax_url=f"{find_library('mathjax', folder)}/es5/tex-svg.js",
        reveal_theme="white",  # its fonts lie beside it
        reveal_width="1280",
        reveal_height="720",
    )
    write_page(exporter, notebook, folder / f"{path.stem}.html")


def find_library(name: str, folder: Path) -> str:
    """Where a deck in this folder loads a library from: beside it, or else the web."""
    beside = f"node_modules/{name}"
    if (folder / beside).exists():
        return beside
    return f"https://cdn.jsdelivr.net/npm/{name}@{LIBRARIES[name]}"


def read_without(path: Path, tags: set[str], slide_types: set[str]) -> NotebookNode:
    """A notebook without the cells of these tags or slide types."""
    notebook = nbformat.read(path, as_version=4)
    kept = []
    for cell in notebook.cells:
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type")
        if slide_type not in slide_types and not tags & set(cell.metadata.get("tags", [])):
            kept.append(cell)
    notebook.cells = kept
    return notebook


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def write_page(exporter: HTMLExporter, notebook: NotebookNode, path: Path) -> None:
    """Writes what an exporter makes of a notebook, making its folder."""
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def run_all(paths: list[Path]) -> None:
    """Runs every notebook, and shows the report of the working run where there is one."""
    for path in paths:
        start = time.perf_counter()
        run_notebook(path)
        print(f"{path.name:<40} {time.perf_counter() - start:6.1f} s  ok", flush=True)
    if REPORT.exists():
        print(f"\n{show(pd.read_csv(REPORT))}")


def main(arguments: list[str]) -> None:
    """Makes slides where the one argument says so, or runs every notebook without one."""
    if arguments not in ([], ["slides"]):
        sys.exit(f"error: say slides, or nothing to run the notebooks; not '{' '.join(arguments)}'")
    paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not paths:
        sys.exit(f"no notebook in {NOTEBOOKS}")
    prepare_folder(SLIDES if arguments else EXECUTED)
    if not arguments:
        run_all(paths)
        return
    for path in paths:
        write_slides(path, SLIDES)
    print(f"{len(paths)} decks in {SLIDES}; each call writes them anew")
    if not (SLIDES / "node_modules").exists():
        print(
            f"They load reveal.js and mathjax from the web. "
            f"For a room without it: {INSTALL}, then make them again."
        )


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]), "stopped")
