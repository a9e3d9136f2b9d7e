"""The control trainings: the histories that each way is given, and the table of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from small import (
    SOURCE,
    STEPS,
    command,
    refused,
    small_batch,
    small_config,
    small_data,
    small_log,
    small_model,
)

from helpers.events import TEST, TRAIN, VALIDATION
from helpers.schema import WORKPLACE
from helpers.support.checkpoints import copy_weights
from helpers.tools import controls
from helpers.tools.controls import (
    ALONE,
    COPIES,
    ONE,
    SEVEN,
    OneEncoder,
    fair_width,
    list_trainings,
    main,
    pick_streams,
)

STREAMS = list(WORKPLACE.streams)
RECIPIENT = STREAMS.index("Recipient")
SHAPE = dict(d_model=8, num_heads=2, encoder_layers=2, decoder_layers=1)


def one_encoder(**changes) -> OneEncoder:
    torch.manual_seed(0)
    shape = SHAPE | {"src_seq_len": SOURCE, "tgt_seq_len": STEPS} | changes
    return OneEncoder(small_log().categories, len(STREAMS), **shape).eval()


def test_several_seeds_have_carry_1_and_several_carries_the_first_seed():
    assert list_trainings([3, 5], [1, 4]) == [
        *((way, 1, seed) for seed in (3, 5) for way in (SEVEN, COPIES, ALONE, ONE)),
        *((way, 4, 3) for way in (SEVEN, COPIES, ALONE)),
    ]
    assert list_trainings([3, 3, 5], [4, 4]) == list_trainings([3, 5], [1, 4])


# -- the histories


@pytest.mark.parametrize("part", [TRAIN, VALIDATION, TEST])
def test_each_way_has_its_histories_and_all_have_the_same_targets(part):
    data = small_data()
    origins = data.windows[part].origins[::7]
    seven = data.windows[part].history_index(origins)
    own = seven[:, [RECIPIENT]]
    expected = {SEVEN: seven, ONE: seven, ALONE: own, COPIES: np.repeat(own, 7, 1)}
    for way, histories in expected.items():
        windows = pick_streams(data, way, small_config()).windows[part]
        assert np.array_equal(windows.history_index(origins), histories), way
        assert np.array_equal(windows.origins, data.windows[part].origins)
        target = windows.target_index(origins)
        assert np.array_equal(target, data.windows[part].target_index(origins))


def test_the_streams_that_are_given_leave_the_log_as_it_was():
    data = small_data()
    names = [stream.name for stream in pick_streams(data, COPIES, small_config()).log.streams]
    assert len(set(names)) == 7
    assert [stream.name for stream in data.log.streams] == STREAMS


# -- one encoder


@pytest.mark.parametrize("streams, d", [(7, 8), (7, 32), (7, 64), (2, 16)])
def test_one_encoder_has_as_many_weights_as_the_streams_have_together(streams, d):
    shape = dict(d_model=d, num_heads=2, src_seq_len=SOURCE, tgt_seq_len=STEPS)
    shape |= dict(encoder_layers=1, decoder_layers=1)
    categories = small_log().categories
    ours = OneEncoder(categories, streams, **shape)
    theirs = small_model(streams, **{key: shape[key] for key in ("d_model", "num_heads")})

    def count(model) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    assert abs(count(ours) - count(theirs)) <= 2 * d + 1  # a unit of the wide layer
    assert fair_width(streams, d) > 4 * d


@pytest.mark.parametrize("carry", [1, 2])
def test_one_encoder_gives_each_stream_its_own_states(carry):
    model, batch = one_encoder(carry=carry), small_batch()
    with torch.no_grad():
        whole = model.encode(batch.histories, batch.known)
        assert whole.shape == (len(batch.histories), 7 * carry, 8)
        for s in range(7):
            changed = batch.histories.clone()
            changed[:, s] = (changed[:, s] + 1) % 4
            moved = model.encode(changed, batch.known) != whole
            places = slice(s * carry, (s + 1) * carry)
            assert moved[:, places].any() and not moved[:, : s * carry].any()
            assert not moved[:, (s + 1) * carry :].any()


def test_one_encoder_is_the_same_for_all_but_for_what_says_which_stream_it_reads():
    model, batch = one_encoder(), small_batch()
    swapped = [6, 1, 2, 3, 4, 5, 0]
    with torch.no_grad():
        whole = model.encode(batch.histories, batch.known)
        other = model.encode(batch.histories[:, swapped], batch.known[:, swapped])
        assert not torch.allclose(other, whole[:, swapped], atol=1e-3)
        model.which.zero_()
        whole = model.encode(batch.histories, batch.known)
        other = model.encode(batch.histories[:, swapped], batch.known[:, swapped])
        torch.testing.assert_close(other, whole[:, swapped])


# -- the command


def test_the_command_trains_each_way_once_and_asks_all(built_in, tmp_path, capsys, monkeypatch):
    config, out = built_in(tgt_seq_len=4), tmp_path / "tables" / "controls.csv"
    arguments = [str(config), "--seeds", "0", "1", "--carry", "1", "2", "--out", str(out)]
    arguments += ["--set", "batches=2"]
    main(arguments)
    table, said = pd.read_csv(out), capsys.readouterr().out
    assert list(table.columns) == ["way", "carry", "seed", "question", "loss"]
    trainings = table[["way", "carry", "seed"]].drop_duplicates()
    assert list(map(tuple, trainings.to_numpy())) == list_trainings([0, 1], [1, 2])
    questions = table["question"].unique().tolist()
    assert questions == ["all steps", "next event", *STREAMS[1:], "decisions"] + [
        f"step {step}" for step in range(1, 5)
    ]
    assert len(table) == len(trainings) * len(questions) and table["loss"].notna().all()
    assert table[table["question"] == "all steps"]["loss"].is_unique  # no two trained alike
    for way, carry, seed in list_trainings([0, 1], [1, 2]):
        name = f"{way}, carry {carry}, seed {seed}"
        assert name in said
        folder = tmp_path / "run" / "controls" / name.replace(" ", "_")
        assert (folder / "checkpoint.safetensors").exists()

    monkeypatch.setattr(controls.Trainer, "epoch", lambda *_: pytest.fail("trained again"))
    main(arguments)
    pd.testing.assert_frame_equal(pd.read_csv(out), table)


def test_a_seed_is_where_one_encoder_starts(tmp_path):
    config, data = small_config(epochs=0), small_data()
    starts = []
    for place, seed in enumerate((0, 0, 1)):
        out = str(tmp_path / str(place))
        run = controls.train(data, config.change(seed=seed, out=out), ONE)
        starts.append(copy_weights(run.model))
    assert torch.equal(starts[0]["which"], starts[1]["which"])
    assert not torch.equal(starts[0]["which"], starts[2]["which"])


@pytest.mark.parametrize(
    "arguments, key",
    [(["--seeds", "0", "-1"], "'seed'"), (["--carry", "1", "0"], "'carry'")]
    + [(["--carry", "1", str(SOURCE + 1)], "'carry'")],
)
def test_what_no_run_can_have_is_refused_before_the_first_one(built_in, tmp_path, arguments, key):
    arguments = [str(built_in()), *arguments, "--out", str(tmp_path / "x.csv")]
    refused(lambda: main(arguments), key)
    assert not (tmp_path / "run").exists() and not (tmp_path / "x.csv").exists()


def test_one_encoder_is_of_the_configuration_s_shape(tmp_path):
    config = small_config(epochs=0, out=str(tmp_path), tied=True, dropout=0.25, carry=2)
    model = controls.train(small_data(), config, ONE).model
    assert model.heads.weight is model.embedding.values.weight and model.carry == 2
    assert {layer.dropout for layer in model.encoder} == {0.25}


def test_a_log_of_one_s_own_and_a_table_over_an_input_are_refused(built_in, tmp_path, config_file):
    ran = command(config_file(), "--out", "x.csv", cwd=tmp_path, tool="controls")
    assert ran.returncode == 1 and ran.stdout == "" and ran.stderr.count("\n") == 1
    assert "decisions are known of the built-in log" in ran.stderr
    assert not (tmp_path / "run").exists() and not (tmp_path / "x.csv").exists()
    config = built_in()
    refused(lambda: main([str(config), "--out", str(config)]), "is no table", start="--out ")
