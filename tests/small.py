"""A small log, small models and small configurations, shared by the tests.

Every call gives something of its own, so that no test can change what another one is given.
"""

import copy
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from helpers.events import TEST, TRAIN, VALIDATION, Log, read_log
from helpers.model import MultiStreamModel
from helpers.schema import WORKPLACE
from helpers.tools.simulate import export
from helpers.training import Config, Data, ModelConfig
from helpers.windows import Batch, Windows
from helpers.world import Workplace

SOURCE, STEPS = 6, 5


def write_log(folder: Path) -> dict:
    """Writes a small log and its mapping; returns the configuration's keys that name them."""
    log, mapping = folder / "log.csv", folder / "mapping.json"
    export(Workplace(employees=20, days=40), progress=False)[0].to_csv(log, index=False)
    mapping.write_text(json.dumps(WORKPLACE.model_dump()))
    return {"log": str(log), "mapping": str(mapping)}


@cache
def _small_log() -> Log:
    with tempfile.TemporaryDirectory() as folder:
        return read_log(write_log(Path(folder))["log"], WORKPLACE)


def small_log() -> Log:
    return copy.deepcopy(_small_log())


def small_windows(streams: int = 7, part: int = TRAIN) -> Windows:
    log = small_log()
    log.streams = log.streams[:streams]
    return Windows(log, part, SOURCE, STEPS)


def small_batch(streams: int = 7) -> Batch:
    """16 windows: eight of short histories, the others spread over the training part."""
    windows = small_windows(streams)
    batch = windows.batch(np.concatenate([windows.origins[:8], windows.origins[100::300][:8]]))
    assert 0 < (~batch.known).sum() < batch.known.sum()
    return batch


def small_model(streams: int = 7, seed: int = 0, **shape) -> MultiStreamModel:
    """A model that has no zeros and ones left from its start, so that every weight tells."""
    torch.manual_seed(seed)
    shape = dict(d_model=8, num_heads=2, encoder_layers=1, decoder_layers=1) | shape
    model = MultiStreamModel(small_log().categories, streams, SOURCE, STEPS, **shape)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


def small_config(**changes) -> Config:
    start = dict(
        src_seq_len=SOURCE,
        tgt_seq_len=STEPS,
        epochs=2,
        batch_size=8,
        batches=5,
        learning_rate=1e-3,
        model=ModelConfig(d_model=8, num_heads=2),
    )
    return Config(**(start | changes))


@cache
def _small_data(tgt_seq_len: int) -> Data:
    log = small_log()
    parts = (TRAIN, VALIDATION, TEST)
    windows = {part: Windows(log, part, SOURCE, tgt_seq_len) for part in parts}
    return Data(log, windows, None)


def small_data(tgt_seq_len: int = STEPS) -> Data:
    return copy.deepcopy(_small_data(tgt_seq_len))  # its windows go on sharing its log
