"""The optimiser takes PyTorch's steps, and a training begins without what it does not need."""

import subprocess
import sys

import pytest
import torch
from small import ENVIRONMENT

from helpers.support.files import ROOT
from helpers.support.optimizer import EagerAdamW


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_its_steps_are_those_of_pytorch_to_the_last_bit(decay):
    start = torch.linspace(-1, 1, 6).view(2, 3)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = {
        EagerAdamW([ours], lr=0.1, weight_decay=decay, fused=True): ours,
        torch.optim.AdamW([theirs], lr=0.1, weight_decay=decay, fused=True): theirs,
    }
    for step in range(5):
        for optimizer, weight in optimizers.items():
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            (weight**3 + weight.sum()).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            assert weight.grad is None
    assert torch.equal(ours, theirs) and not torch.equal(ours, start)
    one, other = (optimizer.state[weight] for optimizer, weight in optimizers.items())
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


FIRST_STEP = """
import sys
from helpers.tools import train
from helpers.training import Trainer, read_config
run = Trainer(read_config("data/working_run.json", {"batches": 1}), progress=False)
run.train_epoch()
assert run.optimizer.state
print(*sorted({name.split(".")[0] for name in sys.modules} | {
    name for name in sys.modules if name.startswith("torch._")}))
"""
SLOW = {"torch._dynamo", "torch._inductor", "matplotlib", "seaborn", "scipy", "IPython"}


def test_a_first_step_loads_nothing_that_it_does_not_need():
    command = [sys.executable, "-c", FIRST_STEP]
    ran = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT)
    loaded = set(ran.stdout.split())
    assert {"torch", "pandas", "pyarrow"} <= loaded, ran.stderr
    assert loaded & SLOW == set()
