"""PyTorch's AdamW, without what it loads first."""

from __future__ import annotations

from inspect import unwrap

import torch
from torch.optim import AdamW, Optimizer


class EagerAdamW(AdamW):
    """PyTorch's AdamW, with the same steps.

    PyTorch's own loads its compiler (torch._dynamo) when it is made, which takes nearly as long as
    importing torch, and nothing here is compiled. Wrappers around its methods do so; these are
    the methods in them.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)
    step = torch.no_grad()(unwrap(AdamW.step))
