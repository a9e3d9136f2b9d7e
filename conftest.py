"""Settings of every test run. It lies beside tests/ and notebooks/, so that it holds for both."""

import torch
from nbval.plugin import IPyNbCell

torch.set_num_threads(1)  # sums come out in one order, so the same on every machine


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, IPyNbCell):
            # Seconds for a message from the kernel; nbval's 5 are too few on a busy machine.
            item.output_timeout = 60
