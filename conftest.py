"""Settings of every test run. It lies beside tests/ and notebooks/, so that it holds for both."""

import torch
from nbval.plugin import IPyNbCell

torch.set_num_threads(1)  # sums come out in one order, so the same on every machine


def pytest_collection_modifyitems(items):
    cells = [item for item in items if isinstance(item, IPyNbCell)]
    for cell in cells:
        # Seconds for a message from the kernel; nbval's 5 are too few on a busy machine.
        cell.output_timeout = 60
    # Tests run in random order, but a notebook's cells from top to bottom.
    cells.sort(key=lambda cell: (cell.path, cell.cell_num))
    items[:] = cells + [item for item in items if not isinstance(item, IPyNbCell)]
