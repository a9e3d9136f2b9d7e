"""Are the tests worth their name? Each line of MUTATIONS breaks one thing in a copy of the project, and a test must notice.

python -m pytest tests/test_mutations.py        four minutes; in the end it says what caught what
"""

import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("helpers", "tests", "data", "conftest.py", "pyproject.toml")


class Mutation(NamedTuple):
    """Something broken: in this module of helpers, `old`, which stands there once, becomes `new`; one of `tests` fails."""

    name: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]


BOTH_FORMS = "test_model.py::test_plain_and_batched_form_give_the_same_logits_and_gradients"
RESUMED = "test_training.py::test_a_resumed_run_equals_an_unbroken_one_bit_for_bit"
BORDER = "test_windows.py::test_no_target_reaches_over_a_border"

MUTATIONS = [
    # what may be seen
    Mutation(
        "causal mask",
        "model",
        ".tril()",
        "",
        ("test_model.py::test_a_target_event_changes_no_earlier_prediction_and_every_later_one",),
    ),
    Mutation(
        "padding mask of the encoders",
        "model",
        "self.heads,\n                       known.reshape(S * B, 1, 1, T), drop)",
        "self.heads, None, drop)",
        ("test_model.py::test_values_in_padded_places_change_nothing",),
    ),
    Mutation(
        "padding mask of the last query",
        "model",
        "attention_weights(scores, known.reshape(S * B, 1, 1, T), drop)",
        "attention_weights(scores, None, drop)",
        ("test_model.py::test_values_in_padded_places_change_nothing",),
    ),
    Mutation(
        "padding mask of the cross-attention",
        "model",
        "known[:, None, None]",
        "None",
        ("test_model.py::test_values_in_padded_places_change_nothing",),
    ),
    Mutation(
        "history ends one event late",
        "windows",
        "np.arange(self.src_seq_len - 1, -1, -1,",
        "np.arange(self.src_seq_len - 2, -2, -1,",
        (BORDER,),
    ),
    Mutation(
        "an unknown key is shared",
        "windows",
        "np.where(key == 0, self.rank[i], self.start[i])",
        "self.start[i]",
        ("test_windows.py::test_a_key_of_zero_is_shared_with_nobody",),
    ),
    Mutation(
        "split by rows, not by time",
        "events",
        "time >= time[int(len(time) * share)]",
        "np.arange(len(time)) >= int(len(time) * share)",
        ("test_events.py::test_a_split_by_time_has_no_equal_times_across_a_border",),
    ),
    Mutation(
        "target reaches over the border",
        "windows",
        "_Runs([log.sequence + 1], log.part == part)",
        "_Runs([log.sequence + 1], log.part >= 0)",
        (BORDER,),
    ),
    Mutation(
        "the decoder is given the target",
        "windows",
        "torch.cat([torch.from_numpy(origins)[:, None], event[:, :-1]], 1)",
        "event",
        ("test_windows.py::test_a_batch_holds_those_events_and_zeros_where_padded",),
    ),
    Mutation(
        "vocabulary of all parts",
        "events",
        "text[part == TRAIN]",
        "text",
        ("test_events.py::test_a_value_first_seen_after_training_is_unknown_and_unseen",),
    ),
    Mutation(
        "baselines of all parts",
        "losses",
        "np.flatnonzero(log.part == TRAIN)",
        "np.arange(len(log))",
        ("test_losses.py::test_baselines_look_at_the_training_part_alone",),
    ),
    # what an event becomes
    Mutation(
        "hours and minutes from 0",
        "events",
        '1 if name in ("Month", "Day") else 0',
        "1",
        ("test_events.py::test_time_parts_leave_zero_free",),
    ),
    Mutation(
        "the floor's sum",
        "world",
        "p = sum(o.p",
        "p = max(o.p",
        ("test_world.py::test_floors_are_those_of_the_fully_expanded_product",),
    ),
    # the network
    Mutation(
        "carry from the wrong end",
        "model",
        "x = x[:, :, -queries:] +",
        "x = x[:, :, :queries] +",
        (BOTH_FORMS,),
    ),
    Mutation(
        "mask of the carry from the wrong end",
        "model",
        "states, batch.known[:, :, -self.carry:]",
        "states, batch.known[:, :, :self.carry]",
        (BOTH_FORMS,),
    ),
    Mutation(
        "scale of the last query",
        "model",
        "x[:, :, -1]) / math.sqrt(head)",
        "x[:, :, -1]) / math.sqrt(d)",
        (BOTH_FORMS,),
    ),
    Mutation(
        "positions of the target",
        "model",
        "x = self.embedding(given, self.origin)",
        "x = self.embedding(given, 0)",
        (BOTH_FORMS,),
    ),
    Mutation(
        "backward of the embedding",
        "model",
        "place // rows.shape[1]",
        "place % rows.shape[1]",
        ("test_model.py::test_summing_rows_has_the_gradient_of_the_standard_embedding_bag",),
    ),
    Mutation(
        "tied heads",
        "model",
        "self.heads.weight = self.embedding.values.weight",
        "pass",
        ("test_model.py::test_tied_heads_share_the_weights_of_the_event_embedding_in_both_forms",),
    ),
    # the loss
    Mutation(
        "mask of padded steps",
        "losses",
        "losses.where(counts[..., None], 0)",
        "losses",
        (
            "test_losses.py::test_padded_steps_count_in_neither_loss_nor_gradient_even_where_they_cannot_occur",
        ),
    ),
    Mutation(
        "padded steps in the mean",
        "losses",
        "whole.sum().clamp(min=1e-9)",
        "whole.numel()",
        (
            "test_losses.py::test_the_loss_is_the_mean_over_categories_of_the_mean_over_steps_that_count",
        ),
    ),
    Mutation(
        "gradient of the cross-entropies",
        "losses",
        "p.scatter_add_(-1, columns, -grad)",
        "p",
        ("test_losses.py::test_each_category_has_the_gradient_of_its_cross_entropy",),
    ),
    Mutation(
        "dropout in an evaluation",
        "losses",
        "model.eval()",
        "pass",
        ("test_losses.py::test_evaluation_leaves_the_model_in_its_mode_and_uses_no_dropout",),
    ),
    # training
    Mutation(
        "optimiser's step",
        "training",
        "self.optimizer.step()",
        "pass",
        ("test_training.py::test_another_network_is_trained_in_the_place_of_ours",),
    ),
    Mutation(
        "zero_grad",
        "training",
        "self.optimizer.step()\n        self.optimizer.zero_grad()",
        "self.optimizer.step()",
        ("test_training.py::test_each_step_is_of_its_own_gradients",),
    ),
    Mutation(
        "grad_accum's division",
        "training",
        " / in_step",
        "",
        ("test_training.py::test_two_accumulated_batches_of_8_make_the_step_of_one_of_16",),
    ),
    Mutation(
        "clipping",
        "training",
        "nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip_norm, norm)",
        "pass",
        ("test_training.py::test_gradients_are_clipped_to_the_length_asked_for",),
    ),
    Mutation(
        "weight decay",
        "training",
        "weight_decay=config.weight_decay",
        "weight_decay=0.0",
        ("test_training.py::test_weight_decay_shrinks_every_weight",),
    ),
    Mutation(
        "schedule",
        "training",
        " * rate(self.config.schedule, step, steps)",
        "",
        ("test_training.py::test_the_configured_rate_is_the_one_that_steps",),
    ),
    Mutation(
        "shuffle's seed of the epoch",
        "training",
        "[config.seed, epoch]",
        "[config.seed]",
        ("test_training.py::test_shuffled_epochs_differ_and_pass_over_no_window",),
    ),
    Mutation(
        "the last epoch is best",
        "training",
        '["validation"].idxmin()',
        '["validation"].index[-1]',
        (
            "test_training.py::test_the_best_epoch_has_the_least_validation_loss_and_its_weights_are_kept_and_evaluated",
        ),
    ),
    Mutation(
        "the test part chooses",
        "training",
        "windows = self.data.windows[VALIDATION]",
        "windows = self.data.windows[TEST]",
        (
            "test_training.py::test_monitors_give_the_mean_loss_of_each_category_and_the_gradient_of_each_stream",
        ),
    ),
    Mutation(
        "the dice of a resumed run",
        "training",
        "[self.config.seed, self.epochs_done, rank()]",
        "[os.getpid() + id(self)]",
        (RESUMED,),
    ),
]


class Copy:
    """A copy of the project to break: `run` runs tests in it, and `rows` say what caught what, and how long it took."""

    def __init__(self, folder: Path):
        self.folder, self.rows = folder, []
        for name in PROJECT:
            there = ROOT / name
            if there.is_dir():
                shutil.copytree(there, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(there, folder)

    def run(self, tests) -> dict[str, str | None]:
        """Test -> None where it passed, or what it failed with."""
        out = self.folder / "out.xml"
        out.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={out}",
            *(f"tests/{test}" for test in tests),
        ]
        # No bytecode: Python may take that of the unbroken source for the broken one's, where size and second agree.
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.folder),
        }
        ran = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8"
        )
        cases = list(ET.parse(out).iter("testcase")) if out.exists() else []
        assert ran.returncode in (0, 1) and cases, (
            ran.stdout + ran.stderr
        )  # else nothing was tested
        failed = {
            case.get("name"): case.find("failure")
            if case.find("error") is None
            else case.find("error")
            for case in cases
        }
        return {
            name: None if one is None else f"{one.tag}: {one.get('message')}"
            for name, one in failed.items()
        }


@pytest.fixture(scope="module")
def project(tmp_path_factory, request):
    copy = Copy(tmp_path_factory.mktemp("project"))
    sound = copy.run(dict.fromkeys(test for mutation in MUTATIONS for test in mutation.tests))
    assert [
        failure for failure in sound.values() if failure
    ] == []  # else a failure would say nothing about a mutation
    yield copy
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", *("{:<38} {:>5.1f} s  {}".format(*row) for row in copy.rows), sep="\n")


def test_there_are_enough_mutations_of_many_modules():
    assert len(MUTATIONS) >= 20 and len({mutation.module for mutation in MUTATIONS}) >= 6


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_is_broken_is_caught(mutation, project):
    path = project.folder / "helpers" / f"{mutation.module}.py"
    source, start = path.read_text(encoding="utf-8"), time.monotonic()
    assert (there := source.count(mutation.old)) == 1, (
        f"{path.name} has changed: the text that this mutation replaces stands there "
        f"{there} times, not once; write it anew:\n{mutation.old}"
    )
    try:
        path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
        outcomes = project.run(mutation.tests)
    finally:
        path.write_text(source, encoding="utf-8")
    caught = [
        test
        for test, failure in outcomes.items()
        if failure and failure.startswith(("failure: assert ", "failure: AssertionError"))
    ]
    assert caught, f"no test fails by an assertion: {outcomes}"
    project.rows.append((mutation.name, time.monotonic() - start, caught[0]))
