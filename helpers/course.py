"""Run, hand out or present the notebooks of the course. notebooks/ itself is only read.

    python -m helpers.course            runs every notebook; executed copies and HTML pages go to build/notebooks
    python -m helpers.course student    the student edition, without solutions: build/student
    python -m helpers.course slides     a deck of slides for each, as the notebooks are stored: build/slides
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

from helpers.training import ROOT, show

NOTEBOOKS = ROOT / "notebooks"
EXECUTED = ROOT / "build" / "notebooks"
STUDENT = ROOT / "build" / "student"
SLIDES = ROOT / "build" / "slides"
REPORT = ROOT / "build" / "runs" / "working_run" / "report.csv"
CELL_TIMEOUT = 600  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"

# A deck needs these two. They are taken from node_modules beside the deck, or else from the web.
LIBRARIES = {"reveal.js": "5.2.1", "mathjax": "3.2.2"}
INSTALL = "npm install --prefix build/slides " + " ".join(f"{name}@{version}" for name, version in LIBRARIES.items())
# nbconvert's deck, with fewer scripts, wider, and with each slide made smaller until all of it can be seen.
DECK = """
{%- extends "reveal/index.html.j2" -%}
{%- block html_head_js %}{% endblock -%}
{%- block jupyter_widgets %}{% endblock -%}
{%- block html_head_js_mathjax %}
<script>MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], processEscapes: true}};</script>
<script src="{{ resources.mathjax_url }}" async></script>
{%- endblock -%}
{%- block body_header %}
{{ super() }}
<style>
:root { --jp-content-font-size1: 25px; --jp-ui-font-size1: 20px; --jp-code-font-size: 20px; --jp-cell-padding: 2px; }
.reveal .slides section { padding: 10px 0; }
.reveal h1, .reveal h2, .reveal h3 { text-transform: none; letter-spacing: normal; color: #222; }
.reveal pre { box-sizing: border-box; white-space: pre-wrap; line-height: 1.35; }
.reveal div.highlight > pre, .reveal div.jp-OutputArea-output > pre { width: 100%; }
.reveal div.jp-OutputArea-output > pre { word-break: normal; overflow-wrap: anywhere; }
.reveal .slide-number { top: 8px; bottom: auto; left: auto; right: 8px; }
.reveal .jp-InputArea-editor { background: #f6f6f6; }
.reveal img { max-width: 100%; max-height: 560px; margin: 0; }
.reveal table { margin: 0.3em 0; font-size: 18px; }
.reveal details > summary { cursor: pointer; color: #0072b2; }
.reveal .controls { font-size: 6px; }
</style>
{%- endblock -%}
{%- block footer_js %}
<script src="{{ resources.reveal.url_prefix }}/dist/reveal.js"></script>
<script src="{{ resources.reveal.url_prefix }}/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({
  width: {{ resources.reveal.width }}, height: {{ resources.reveal.height }}, margin: 0.03, center: false,
  hash: true, slideNumber: "c/t", transition: "none", plugins: [RevealNotes],
});
const parts = "pre, p, li, table, img, summary, mjx-container";
function fit() {
  const slide = Reveal.getCurrentSlide(), page = document.querySelector(".slides").getBoundingClientRect();
  slide.style.maxHeight = slide.style.overflow = "";
  const seen = [...slide.querySelectorAll(parts)].filter(part => part.checkVisibility());  // not what is still folded up
  const inside = ({right, bottom}) => right <= page.right + 1 && bottom <= page.bottom + 1;
  for (let percent = 100; percent >= 50; percent -= 5) {
    slide.style.zoom = percent / 100;
    if (seen.every(part => inside(part.getBoundingClientRect()))) return;
  }
  Object.assign(slide.style, {maxHeight: "{{ resources.reveal.height | int * 2 }}px", overflow: "auto"});  // smaller, nobody reads it
}
Reveal.on("ready", () => {
  fit();
  for (const event of ["slidechanged", "resize"]) Reveal.on(event, fit);
  for (const event of ["load", "toggle"]) window.addEventListener(event, fit, true);  // pictures come in, answers open
});
</script>
{%- endblock -%}
"""


def run(path: Path, folder: Path = EXECUTED) -> NotebookNode:
    """Execute one notebook, and write what was executed even when a cell fails: the page shows the whole error."""
    notebook = nbformat.read(path, as_version=4)
    cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    with tqdm(total=cells, desc=path.stem, unit="cell", leave=False, mininterval=0) as bar:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",  # of the Python that runs this, whatever the notebook was stored with
            extra_arguments=["--log-level=ERROR"],  # the kernel's warnings on its own set-up would cut the bar in two
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_execute=lambda **_: bar.update(),  # as a cell begins, so bar.n is the number of the cell at work
        )
        try:
            client.execute()
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            text = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else str(error)
            sys.exit(f"{path.name}, code cell {bar.n}: {text.splitlines()[0]}\nSee {folder / path.stem}.html")
        finally:
            folder.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, folder / path.name)
            page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": path.stem}})
            (folder / f"{path.stem}.html").write_text(page, encoding="utf-8")
    return notebook


def student(path: Path, folder: Path = STUDENT) -> None:
    """Write the notebook as a student gets it: without solutions, what is said to the teacher, and outputs."""
    notebook = without(path, tags={"solution"}, slide_types={"notes"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of a run
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / path.name)


def slides(path: Path, folder: Path = SLIDES) -> None:
    """Write the notebook, as it is stored, as a deck of slides with the teacher's notes."""
    notebook = without(path, tags={"exercise", "solution"}, slide_types={"skip"})
    for cell in notebook.cells:  # a widget lives in a kernel; what is left of it here is a line of code
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    folder.mkdir(parents=True, exist_ok=True)
    source = {name: f"https://cdn.jsdelivr.net/npm/{name}@{version}" for name, version in LIBRARIES.items()}
    source |= {name: f"node_modules/{name}" for name in LIBRARIES if (folder / "node_modules" / name).exists()}
    exporter = SlidesExporter(
        raw_template=DECK,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        reveal_url_prefix=source["reveal.js"],
        mathjax_url=f"{source['mathjax']}/es5/tex-svg.js",
        reveal_theme="white",  # its fonts lie beside it
        reveal_width="1280",
        reveal_height="720",
    )
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    (folder / f"{path.stem}.html").write_text(page, encoding="utf-8")


def without(path: Path, tags: set[str], slide_types: set[str]) -> NotebookNode:
    """The notebook without the cells of these tags or slide types, its links as they are from a folder in build/."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [
        cell for cell in notebook.cells
        if not tags & set(cell.metadata.get("tags", [])) and cell.metadata.get("slideshow", {}).get("slide_type") not in slide_types
    ]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"(\]\(|src=\"|href=\")\.\./", r"\1../../", cell.source)
    return notebook


def main(arguments: list[str]) -> None:
    makes = {"student": (student, STUDENT), "slides": (slides, SLIDES)}
    if arguments and (len(arguments) > 1 or arguments[0] not in makes):
        sys.exit(f"error: say student or slides, or nothing to run the notebooks; not '{' '.join(arguments)}'")
    paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not paths:
        sys.exit(f"no notebook in {NOTEBOOKS}")
    if arguments:
        make, folder = makes[arguments[0]]
        for path in paths:
            make(path, folder)
        print(f"{len(paths)} notebooks in {folder}; each call writes them anew, so work on a copy")
        if make is slides and not (folder / "node_modules").exists():
            print(f"They load reveal.js and mathjax from the web. For a room without it: {INSTALL}, then make them again.")
        return
    for path in paths:
        start = time.perf_counter()
        run(path)
        print(f"{path.name:<40} {time.perf_counter() - start:6.1f} s  ok", flush=True)
    if REPORT.exists():
        print(show(pd.read_csv(REPORT, dtype={"size": "Int64"})))


if __name__ == "__main__":
    main(sys.argv[1:])
