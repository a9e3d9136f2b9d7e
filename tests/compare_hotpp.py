"""Our training step beside that of HoTPP, a library for event sequences: predicted events a second.

    python tests/compare_hotpp.py [--threads 2] [--out build/benchmark]       # some two minutes

HoTPP is not among the course's packages; data/README.md says how to install it, in an environment
of its own. Both predict the same events: the 20 that follow each origin, in all 17 categories.
HoTPP reads the origin and the target, 21 events; ours reads seven histories of 20 besides. HoTPP is
as fast as we could make it: without batch norm, dropout, the loss of the time between events and
Lightning's trainer, its Adam fused. Batches are ready beforehand on both sides. FOLDER/hotpp.csv
then holds rows as those of benchmark.csv, of each of HoTPP's networks that we tried.
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
from helpers.support.files import DATA, ROOT, write_table  # noqa: E402
from helpers.tools.benchmark.forms import make_step  # noqa: E402
from helpers.tools.benchmark.table import make_table, tell_disturbance  # noqa: E402
from helpers.tools.benchmark.turns import take_turns  # noqa: E402
from helpers.training import Trainer, read_config  # noqa: E402

warnings.filterwarnings("ignore")

# The encoder, and the length of HoTPP's vector of a field; it puts them side by side.
NETWORKS = (("gru", 32), ("gru", 8), ("transformer", 32))
SECONDS = 20  # each comparison


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


def compare(run: Trainer, origins: np.ndarray, encoder: str, field: int) -> list[dict]:
    """Predicted events per second of ours and of one of HoTPP's networks, and the ratio."""
    batch, shape = run.data.windows[TRAIN].batch(origins), run.config.model
    sizes = dict(zip(run.names, run.sizes, strict=True))
    events = torch.cat([batch.given, batch.target[:, -1:]], 1)
    body = make_body(sizes, events.shape[1], encoder, field, shape.d_model, shape.num_heads)
    steps = {
        "ours": make_step(run.model, batch, run.data.log.categories),
        "HoTPP": make_hotpp_step(body, sizes, events),
    }
    turns = take_turns(steps, SECONDS)
    rates, here = batch.counted.sum().item() / turns.figures, {"batch": len(origins)}
    here["d_model"] = shape.d_model
    named, ratio = f"HoTPP, {encoder} {field}", rates["ours"] / rates["HoTPP"]
    return [
        turns.make_row("HoTPP", f"ours, beside {named}", rates["ours"], "events/s", **here),
        turns.make_row("HoTPP", named, rates["HoTPP"], "events/s", **here),
        turns.make_row("HoTPP", f"against {named}", ratio, "times", **here),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmark", metavar="FOLDER")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    run = Trainer(read_config(DATA / "reference_run.json"), progress=False)
    windows = run.data.windows[TRAIN]
    exists = windows.target_index(windows.origins) < len(windows.log)
    whole = windows.origins[exists.all(1)]  # all 20 events exist
    rows = []
    for size in (16, 64):
        origins = np.random.default_rng(0).choice(whole, size, replace=False)
        for encoder, field in NETWORKS:
            rows += compare(run, origins, encoder, field)
    table = make_table(rows)
    write_table(given.out / "hotpp.csv", table)
    print(table.to_string(index=False, na_rep=""), tell_disturbance(table), sep="\n\n")


if __name__ == "__main__":
    main()
