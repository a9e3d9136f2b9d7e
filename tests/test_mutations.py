"""Do the tests notice when `helpers` is broken? It is broken in one place at a time, in a copy.

What may never go wrong is in GUARDS, and each of it must be noticed. Beside it a fixed sample is
drawn of all that operators break, and of each module a share of it must be noticed.

Of the tools for this, mutmut 3 has neither a fixed sample nor patterns of one's own, and writes all
mutants of a package side by side into a folder of its own. cosmic-ray keeps them in a database,
changes the file in place, and starts one and the same command for each, here minutes of tests.
"""

import gc
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections import ChainMap
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from mutants import Mutant, draw, find_pattern, make_mutants

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = 7  # mutants of each module
LEAST = 0.7  # the share of them that must be noticed
# Imported once for all runs.
HEAVY = ["torch._dynamo", "pandas", "pyarrow.parquet", "pydantic", "safetensors.torch", "filelock"]
HEAVY += ["matplotlib.pyplot", "nbval.plugin", "hypothesis"]
MOST_MEMORY = 12 * 2**30  # bytes that one run of tests may address
SLOWEST = 3  # seconds of a processor; tests that take longer are left out
# Modules of helpers, those with slow tests first, and the tests that see them beside their own,
# which are tests/test_model.py for model, tests/support/test_fast.py for support/fast.
MODULES = {
    "training": [],
    "support/checkpoints": ["test_training.py"],
    "support/machine": ["test_training.py"],
    "support/views": ["support/test_mixtures.py"],
    "support/mixtures": [],
    "world": [],
    "reader": [],
    "losses": ["support/test_baselines.py", "support/test_reports.py"],
    "windows": [],
    "support/fast": ["support/test_watching.py"],
    "support/baselines": ["test_losses.py"],
    "support/reports": ["test_losses.py"],
    "schema": ["test_events.py", "support/test_settings.py", "support/test_log_files.py"],
    "events": ["support/test_log_files.py"],
    "support/splits": ["test_events.py"],
    "support/encoded": ["test_events.py"],
    "support/durations": ["test_events.py"],
    "support/log_files": ["test_events.py"],
    "model": ["support/test_fast.py", "support/test_plain.py"],
    "support/watching": ["test_training.py"],
    "support/records": ["test_training.py"],
    "support/refusals": ["test_schema.py", "support/test_settings.py", "test_windows.py"],
}


class Guard(NamedTuple):
    """Something that may never go wrong: wherever `pattern` fits, `broken` stands instead.

    How patterns are written is told in mutants.py, at `find_pattern`.
    """

    name: str
    pattern: str
    broken: str


GUARDS = [
    # what may be seen
    Guard("the decoder looks ahead", "_x.tril()", "_x"),
    Guard("no mask", "attend(_q, _k, _v, _n, _m, _p)", "self.attend(_q, _k, _v, _n, None, _p)"),
    Guard("no mask in the fast form", "weigh(_s, _m, _p)", "weigh(_s, None, _p)"),
    Guard("the first vector goes on, not the last", "_x[:, :, -_n:]", "_x[:, :, :_n]"),
    Guard("every vector goes on", "_c, _o = carry, _p", "_c, _o = src_seq_len, _p"),
    Guard("the decoder is given the target", "torch.cat([_o[:, None], _e[:, :-1]], 1)", "_e"),
    Guard("histories end late", "np.arange(_n - 1, -1, -1, dtype=_t)", "np.arange(_n)[::-1] - 1"),
    Guard("an unknown key is shared", "np.where(_key == 0, _one, _all)", "_all"),
    Guard("targets reach too far", "Groups([_s + 1], _p == _q)", "Groups([_s + 1], _p >= 0)"),
    Guard("a part sees later ones", "_log.part <= _p", "_log.part >= 0"),
    Guard("the split cuts a moment in two", "np.searchsorted(time[_b], time, side='right')",
          "np.searchsorted(_b, np.arange(len(time)), side='right')"),
    Guard("the split cuts a sequence in two", "np.searchsorted(_b, drawn, side='right')",
          "np.searchsorted(_b, np.arange(len(drawn)), side='right')"),
    Guard("all parts count as training", "_part == TRAIN", "_part >= TRAIN"),
    # what an event becomes
    Guard("hours and minutes from 1", "1 if _part in _names else 0", "1"),
    Guard("a floor forgets an outcome", "_p += _o.p * _share", "_p = _o.p * _share"),
    Guard("another stream decided", "list(streams).index(_s) + 1", "list(HABITS).index(_s) + 1"),
    # what the exact reader may know, and what it takes from that
    Guard("the reader knows the future", "_o | (_p >= _t[:, None])", "_o"),
    Guard("it knows what it reads", "_o | (_p >= _t[:, None])", "_o | (_p > _t[:, None])"),
    Guard("it reads every history", "history_index(_s)[:, _c]", "windows.history_index(_s)"),
    Guard("it mixes keys", "_o | (_p >= _t[:, None])", "_p >= _t[:, None]"),
    Guard("it counts a draw twice", "_s[:, 1:][_s[:, 1:] == _s[:, :-1]] = -1", "pass"),
    Guard("its habits never change", "keeps ** _hours", "1.0"),
    Guard("drawn in its own hour", "_h.astype(int)[_b]", "np.append(_h.astype(int), 0)"),
    Guard("no transfer could have come", "np.where(_p, 1 - TRANSFER, 1.0)", "np.ones(len(_p))"),
    Guard("noise where training has no value", "np.isin(_i, _i[_t]) | (_i == 0)", "_i >= 0"),
    Guard("what is hidden is asked no more", "_replace(histories=hide(_h), given=hide(_g))",
          "_replace(histories=hide(_h), given=hide(_g), target=hide(batch.target))"),
    Guard("a view shows all", "_h * _c[:, None, None]", "_h"),
    # the baselines
    Guard("a look at the event itself", "np.concatenate([[-1], _l[:-1]])", "_l"),
    Guard("a look at other sequences", "np.where(_l >= _first, _o[_l], -1)", "_o[_l]"),
    # the network
    Guard("scores without their scale", "_q @ _k.mT / math.sqrt(_d)", "_q @ _k.mT"),
    Guard("queries without their scale", "_q / math.sqrt(_d // _n)", "_q"),
    Guard("the last query without its scale", "query(_x) / math.sqrt(_d)", "self.query(_x)"),
    Guard("target's positions from 0", "embedding(_x, self.origin)", "self.embedding(_x, 0)"),
    Guard("a gradient of other rows", "_p.view(...).sub_(_b[:, None]).flatten()", "_p"),
    Guard("tied heads are free", "heads.weight = _table.weight", "pass"),
    # the loss
    Guard("a padded step's infinite loss", "_l.where(_counted[..., None], 0)", "_l"),
    Guard("padded steps in the mean", "(_c * _w).sum().clamp(...)", "_w.sum() * len(_c)"),
    Guard("steps weigh alike", "_counted * _w / total", "_counted / total"),
    Guard("the cross-entropies' gradient", "_p.scatter_add_(...)", "_p"),
    Guard("unseen values are correct", "_right & take_rows(~_unseen, _e)", "_right"),
    Guard("dropout in an evaluation", "_model.eval()", "None"),
    # training
    Guard("no step", "optimizer.step()", "None"),
    Guard("gradients pile up", "optimizer.zero_grad()", "None"),
    Guard("batches add up to a longer step", "(_l / _n).backward()", "_l.backward()"),
    Guard("gradients are not clipped", "clip_grads_with_norm_(...)", "None"),
    Guard("weights do not decay", "{'lr': _r, 'weight_decay': _d}", "{'lr': _r}"),
    Guard("the rate has no schedule", "_c.learning_rate * _s", "_c.learning_rate"),
    Guard("horizon's steps do not decay", "_s ** -_config.step_decay", "_s ** 0.0"),
    Guard("all epochs shuffle alike", "default_rng([_s, _e])", "np.random.default_rng([_s])"),
    Guard("all seeds shuffle alike", "default_rng([_s, _e])", "np.random.default_rng([_e])"),
    Guard("all seeds start alike", "own_chance(_c.seed, _d)", "machine.own_chance(0, _d)"),
    Guard("a resumed run draws anew", "SeedSequence(...)", "np.random.SeedSequence()"),
    Guard("the last epoch is best", "np.lexsort(_k)[0]", "len(_k[0]) - 1"),
    Guard("what cannot be predicted chooses", "np.minimum(_l, self.limits)", "_l"),
    Guard("another run is replaced", "stamp(_p) in run.stamps", "True"),
    Guard("the test chooses", "_w, _o = _all[VALIDATION], _part",
          "_w, _o = _all[TEST], _all[TEST].origins"),
    Guard("the test chooses what to read from", "_r.data.windows[VALIDATION]",
          "_r.data.windows[TEST]"),
    Guard("a table is told what is asked", "batch.given[:, 1:]", "batch.target"),
    Guard("the table answers alone", "torch.logaddexp(_theirs, _ours)", "_ours"),
    Guard("the last weights are evaluated", "put_weights(_r.model, _r.best)", "None"),
    Guard("half an epoch stays", "put_state(_run, _before)", "None"),
    Guard("another run's checkpoint", "_theirs.get(_k) == _ours[_k]", "True"),
    Guard("infinite gradients", "not _norm.isfinite()", "False"),
]  # fmt: skip


def read_source(module: str) -> str:
    path = ROOT / "helpers" / f"{module}.py"
    assert path.exists(), f"helpers has no module '{module}' any more; correct MODULES"
    return path.read_text(encoding="utf-8")


def find_guarded(guard: Guard) -> list[tuple[str, Mutant]]:
    """(module, mutant) of each place that a guard fits."""
    found = []
    for module in MODULES:
        mutants = find_pattern(module, read_source(module), guard.pattern, guard.broken)
        found += [
            (module, mutant._replace(name=f"{guard.name}: {mutant.name}")) for mutant in mutants
        ]
    return found


def find_tests(module: str) -> list[str]:
    own = Path("tests") / Path(module).with_name(f"test_{Path(module).name}.py")
    more = [Path("tests") / file for file in MODULES[module]]
    gone = [str(path) for path in more if not (ROOT / path).exists()]
    assert gone == [], f"no such tests of '{module}' any more; correct MODULES"
    files = [str(path) for path in dict.fromkeys([own, *more]) if (ROOT / path).exists()]
    assert files, f"no tests of '{module}'; correct MODULES"
    return files


# -- one run of tests, in a process of its own


class Job(NamedTuple):
    files: list[str]
    module: str = ""
    mutant: Mutant | None = None  # None: as it is
    seconds: dict[str, float] | None = None  # each test's, where nothing is broken


class Outcome(NamedTuple):
    job: Job
    failure: str  # the first test that failed, and why; "" where none did
    seconds: dict[str, float]


def import_heavy() -> None:
    """Once for many runs; nothing of ours, since each run has its own copy of it."""
    for name in HEAVY:
        import_module(name)
    gc.freeze()  # no garbage, so no run need look for it


def run_job(job: Job) -> Outcome:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("helpers", "tests"):
            shutil.copytree(ROOT / part, folder / part)
        for part in ("conftest.py", "pyproject.toml", "data"):
            (folder / part).symlink_to(ROOT / part)
        if job.mutant:
            path = folder / "helpers" / f"{job.module}.py"
            path.write_text(job.mutant.source, encoding="utf-8")
        context = multiprocessing.get_context("fork")
        process = context.Process(target=run_tests, args=(folder, job.files, job.seconds))
        process.start()
        process.join(600 if job.seconds is None else 60 + 5 * sum(job.seconds.values()))
        with suppress(ProcessLookupError):  # what it has started, too
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        told = folder / "told.json"
        code, failure, seconds = (
            json.loads(told.read_text()) if told.exists() else (1, "no end", {})
        )
    assert failure or code == 0, f"pytest ended with {code} and no failure"
    return Outcome(job, failure, seconds)


def run_tests(folder: Path, files: list[str], seconds: dict[str, float] | None) -> None:
    import resource

    import hypothesis

    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))  # a mutant may ask for all
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # The same examples each time, and none smaller are looked for when one has failed.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("quick", phases=phases, derandomize=True, database=None)
    hypothesis.settings.load_profile("quick")
    watch = Watch(seconds)
    names = ["randomly", "cacheprovider", "xdist", "cov", "anyio", "unraisableexception"]
    options = ["-x", "-q", "-m", "not long", *(f"-pno:{name}" for name in names)]
    if seconds is not None:  # a mutant may hang
        options.append(f"--timeout={10 * SLOWEST}")
    code = pytest.main([*options, *files], plugins=[watch])
    Path("told.json").write_text(json.dumps([code, watch.failure, watch.seconds]))


def count_seconds() -> float:
    """What this process and those that it started have used, whatever else the machine does."""
    return sum(os.times()[:4])


class Watch:
    """A plugin of pytest that takes the quickest tests first, and notes the first failure."""

    def __init__(self, known: dict[str, float] | None):
        self.known, self.failure, self.seconds = known, "", {}

    def pytest_collection_modifyitems(self, items) -> None:
        if self.known is not None:
            seconds = {item: self.known.get(item.nodeid, SLOWEST) for item in items}
            items[:] = sorted((i for i in items if seconds[i] < SLOWEST), key=seconds.get)

    def pytest_runtest_logstart(self, nodeid) -> None:
        self.start = count_seconds()

    def pytest_runtest_logfinish(self, nodeid) -> None:
        self.seconds[nodeid] = count_seconds() - self.start

    def pytest_exception_interact(self, node, call) -> None:
        self.failure = self.failure or f"{call.excinfo.typename} in {node.nodeid}"


# -- all of them


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked, which this system cannot do")
def test_what_is_broken_is_noticed(capsys):
    mutants = [pair for guard in GUARDS for pair in find_guarded(guard)]
    guarded = {mutant.name for _, mutant in mutants}
    for module in MODULES:
        sample = draw(make_mutants(module, read_source(module)), SAMPLE)
        mutants += [(module, mutant) for mutant in sample]
    of_module = {module: find_tests(module) for module in MODULES}
    files = dict.fromkeys(sum(of_module.values(), []))

    context = multiprocessing.get_context("spawn")  # has imported nothing of ours
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), context, import_heavy) as pool:
        sound = list(pool.map(run_job, [Job([file]) for file in files]))
        assert [outcome.failure for outcome in sound if outcome.failure] == []
        of_file = {outcome.job.files[0]: outcome.seconds for outcome in sound}
        jobs = []
        for module, mutant in mutants:
            seconds = ChainMap(*(of_file[file] for file in of_module[module]))
            jobs.append(Job(of_module[module], module, mutant, dict(seconds)))
        outcomes = list(pool.map(run_job, jobs))

    missed = [outcome for outcome in outcomes if not outcome.failure]
    drawn = [outcome for outcome in outcomes if outcome.job.mutant.name not in guarded]
    shares = {}
    for module in MODULES:
        of_this = [bool(outcome.failure) for outcome in drawn if outcome.job.module == module]
        shares[module] = sum(of_this) / len(of_this)
    with capsys.disabled():
        print()
        for module, share in shares.items():
            print(f"{module:<20} {share:4.0%} noticed")
        for outcome in missed:
            print(f"not noticed: {outcome.job.mutant.name}: {outcome.job.mutant.change}")
    assert [o.job.mutant.name for o in missed if o.job.mutant.name in guarded] == []
    assert {module: share for module, share in shares.items() if share < LEAST} == {}


# -- what is broken


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_has_something_to_guard(guard):
    assert find_guarded(guard), (
        f"nothing in helpers is like '{guard.pattern}' any more; write down in GUARDS what there "
        f"is instead, so that '{guard.name}' is still tried"
    )


PROGRAM = """
def mean(values, known):
    total = sum(values[known == 1])  # of all that are known
    if len(values) >= 2 and not known.all():
        refuse(values)
    return total / len(values)
"""


def test_every_operator_breaks_one_place():
    changes = {mutant.change for mutant in make_mutants("m", PROGRAM)}
    assert {
        "total = sum(values[known == 1]) -> total = sum(values[known != 1])",
        "total = sum(values[known == 1]) -> total = sum(values[known == 2])",
        "if len(values) >= 2 and (not known.all()): -> if len(values) > 2 and (not known.all()):",
        "if len(values) >= 2 and (not known.all()): -> if len(values) >= 2 or not known.all():",
        "refuse(values) -> pass",
        "return total / len(values) -> return total * len(values)",
        "return total / len(values) -> return total",
    } <= changes  # fmt: skip


def test_a_sample_depends_on_no_layout_and_on_no_other_function():
    longer = (
        PROGRAM.replace("  # of all", "\n    # of all") + "\ndef double(x):\n    return 2 * x\n"
    )
    short, long = (draw(make_mutants("m", program), 99) for program in (PROGRAM, longer))
    assert [m.name for m in long if m.name.startswith("m.mean")] == [m.name for m in short]


@pytest.mark.parametrize(
    "pattern, broken, change",
    [
        ("_a / len(_b)", "_a", "return total / len(values) -> return total"),
        ("refuse(...)", "None", "refuse(values) -> None"),
        ("sum(_a[_k == 1])", "sum(_a)", "total = sum(values[known == 1]) -> total = sum(values)"),
    ],
)
def test_a_pattern_fits_whatever_the_names(pattern, broken, change):
    (mutant,) = find_pattern("m", PROGRAM, pattern, broken)
    assert mutant.change == change


@pytest.mark.parametrize("pattern", ["_a / len(_a)", "_a[_k == 2]", "mean", "some.all()"])
def test_a_pattern_fits_nothing_else(pattern):
    assert find_pattern("m", PROGRAM, pattern, "None") == []
