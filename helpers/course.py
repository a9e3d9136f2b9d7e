"""Run every notebook of the course in order: `python -m helpers.course`.

Executed copies and an HTML page of each go to build/notebooks; notebooks/ itself is only read.
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from tqdm.auto import tqdm

from helpers.training import ROOT, show

NOTEBOOKS = ROOT / "notebooks"
EXECUTED = ROOT / "build" / "notebooks"
REPORT = ROOT / "build" / "runs" / "working_run" / "report.csv"
CELL_TIMEOUT = 600  # seconds


def run(path: Path) -> None:
    """Execute one notebook, and write what was executed even when a cell fails: the page shows the whole error."""
    notebook = nbformat.read(path, as_version=4)
    cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    with tqdm(total=cells, desc=path.stem, unit="cell", leave=False, mininterval=0) as bar:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",  # of the Python that runs this, whatever the notebook was stored with
            extra_arguments=["--log-level=ERROR"],  # the kernel's warnings on its own set-up would cut the bar in two
            resources={"metadata": {"path": str(NOTEBOOKS)}},
            on_cell_execute=lambda **_: bar.update(),  # as a cell begins, so bar.n is the number of the cell at work
        )
        try:
            client.execute()
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            text = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else str(error)
            sys.exit(f"{path.name}, code cell {bar.n}: {text.splitlines()[0]}\nSee {EXECUTED / path.stem}.html")
        finally:
            EXECUTED.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, EXECUTED / path.name)
            page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": path.stem}})
            (EXECUTED / f"{path.stem}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not paths:
        sys.exit(f"no notebook in {NOTEBOOKS}")
    for path in paths:
        start = time.perf_counter()
        run(path)
        print(f"{path.name:<40} {time.perf_counter() - start:6.1f} s  ok", flush=True)
    if REPORT.exists():
        print(show(pd.read_csv(REPORT, dtype={"size": "Int64"})))
