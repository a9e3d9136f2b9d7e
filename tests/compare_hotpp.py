"""Our training step beside that of HoTPP, a library for event sequences: predicted events a second.

    python tests/compare_hotpp.py [--encoder gru] [--field 32] [--threads 2]

HoTPP is not among the course's packages; data/README.md says how to install it, in an environment
of its own. Both predict the same events: the 20 that follow each origin, in all 17 categories.
HoTPP reads the origin and the target, 21 events; ours reads seven histories of 20 besides. HoTPP is
as fast as we could make it: without batch norm, dropout, the loss of the time between events and
Lightning's trainer, its Adam fused, its batches ready beforehand.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from hotpp.data import PaddedBatch
from hotpp.losses import CrossEntropyLoss, NextItemLoss
from hotpp.modules import NextItemModule
from hotpp.nn import GRU, Embedder, Encoder, Head, RnnEncoder, SimpleTransformer
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from helpers.events import TRAIN  # noqa: E402
from helpers.losses import category_losses, multi_objective_loss  # noqa: E402
from helpers.support.files import DATA  # noqa: E402
from helpers.tools.benchmark.turns import take_turns  # noqa: E402
from helpers.training import Trainer, read_config  # noqa: E402

warnings.filterwarnings("ignore")


def make_body(
    sizes: dict[str, int], length: int, encoder: str, field: int, d_model: int, heads: int
) -> nn.Module:
    """HoTPP's embedding of events and its encoder of up to ``length`` of them."""
    embedder = Embedder(
        embeddings={name: {"in": size, "out": field} for name, size in sizes.items()},
        numeric_values={"timestamps": "identity"},
        use_batch_norm=False,
    )
    if encoder == "gru":
        gru = partial(GRU, hidden_size=d_model, num_layers=1)
        return RnnEncoder(embedder, rnn_partial=gru, max_time_delta=1.0)
    transformer = partial(
        SimpleTransformer,
        n_positions=length + 1,
        n_embd=d_model,
        n_layer=1,
        n_head=heads,
        causal=True,
        max_duration=100.0,
        pos_type="pos-angular",
        dropout=0.0,
        sos=False,
    )
    return Encoder(embedder, max_time_delta=1.0, model_partial=transformer)


def make_hotpp_step(body: nn.Module, sizes: dict[str, int], events: Tensor) -> Callable[[], None]:
    """A training step of HoTPP's next-item module on events (B, L + 1, C).

    It predicts all of them but the first.
    """
    loss = NextItemLoss({name: CrossEntropyLoss(num_classes=size) for name, size in sizes.items()})
    module = NextItemModule(
        body,
        loss,
        labels_field=next(iter(sizes)),
        head_partial=Head,
        optimizer_partial=partial(torch.optim.Adam, lr=1e-5, fused=True),
    ).train()
    optimizer = module.configure_optimizers()
    fields = {name: events[..., c].long().contiguous() for c, name in enumerate(sizes)}
    fields["timestamps"] = torch.rand(events.shape[:2]).cumsum(1)
    batch = PaddedBatch(fields, torch.full((len(events),), events.shape[1]))

    def step() -> None:  # as its `training_step`, without the logging
        outputs, states = module(batch, return_states="full" if module._need_states else False)
        losses, _ = module.compute_loss(batch, outputs, states)
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def make_our_step(trainer: Trainer, origins: np.ndarray) -> Callable[[], None]:
    """A training step of ours on the windows of these origins (B,)."""

    def step() -> None:
        batch = trainer.data.windows[TRAIN].batch(origins)
        losses = category_losses(trainer.model(batch), batch.target, trainer.sizes)
        multi_objective_loss(losses, batch.counted).mean().backward()
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", choices=("gru", "transformer"), default="gru")
    parser.add_argument(
        "--field",
        type=int,
        default=32,
        help="the length of HoTPP's vector of a field; it puts them side by side",
    )
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    trainer = Trainer(read_config(DATA / "reference_run.json"), progress=False)
    shape = trainer.config.model
    sizes = dict(zip(trainer.names, trainer.sizes, strict=True))
    windows = trainer.data.windows[TRAIN]
    exists = windows.target_index(windows.origins) < len(windows.log)
    whole = windows.origins[exists.all(1)]  # all 20 events exist
    for size in (16, 64):
        origins = np.random.default_rng(0).choice(whole, size, replace=False)
        batch = windows.batch(origins)
        events = torch.cat([batch.given, batch.target[:, -1:]], 1)
        body = make_body(
            sizes, events.shape[1], given.encoder, given.field, shape.d_model, shape.num_heads
        )
        steps = {
            "ours": make_our_step(trainer, origins),
            "HoTPP": make_hotpp_step(body, sizes, events),
        }
        seconds = take_turns(steps, seconds=20)
        predicted = batch.counted.sum().item()
        rates = {name: predicted / seconds[name].median() for name in steps}
        low, middle, high = (seconds["HoTPP"] / seconds["ours"]).quantile([0.25, 0.5, 0.75])
        print(
            f"batch {size}: ours {rates['ours']:,.0f} events/s, "
            f"HoTPP ({given.encoder}, {given.field}) {rates['HoTPP']:,.0f}; "
            f"ratio {middle:.2f} ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
