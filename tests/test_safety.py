"""Safe by default: no code runs from data, nothing is fetched, names from a log stay names.

And the notebooks are for one reader.
"""

import ast
import inspect
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from ipywidgets import HTML, HTMLMath
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text
from small import SOURCE, STEPS, small_config

from helpers import plots
from helpers.events import TEST, TRAIN, VALIDATION, Log, read_log
from helpers.schema import LogMapping, Source, Stream
from helpers.tools.train import show
from helpers.training import Data, Trainer
from helpers.widgets import AttentionExplorer, LiveRun, LossExplorer, history_rows, read_attention
from helpers.windows import Windows

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "helpers").rglob("*.py"))


# -- what the package never does

MODULES_REFUSED = {
    "pickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "joblib",
    "yaml",
    "subprocess",
    "ctypes",
    "importlib",
    "socket",
    "ssl",
    "urllib",
    "http",
    "ftplib",
    "smtplib",
    "xmlrpc",
    "requests",
    "httpx",
    "aiohttp",
    "fsspec",
}
CALLS_REFUSED = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.startfile",
    "torch.save",
    "torch.hub.load",
}
BY_ITS_MODULE = {"torch.load", "numpy.load"}  # so that the check below sees how it is called
ENDINGS_REFUSED = (
    "read_pickle",
    "to_pickle",
    "read_html",
    "read_sql",
    "urlopen",
    "import_module",
    "init_process_group",
)
WORKERS = (
    "workers.py: init_process_group in join_workers"  # to meet the others, where torchrun asks
)


def dotted(node: ast.AST) -> str:
    """a.b.c of such an expression; of another one, what follows its last name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def unsafe(source: str) -> list[str]:
    """What is refused above, as "what" or "what in function"."""
    found, tree = [], ast.parse(source)
    of = {
        id(node): f" in {function.name}"
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        found += [name for name in names if name.split(".")[0] in MODULES_REFUSED]
        if isinstance(node, ast.ImportFrom):
            found += [
                alias.name
                for alias in node.names
                if f"{node.module}.{alias.name}" in CALLS_REFUSED | BY_ITS_MODULE
                or alias.name in ENDINGS_REFUSED
            ]
        if isinstance(node, ast.Call):
            name, options = (
                dotted(node.func),
                {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords},
            )
            if (
                name in CALLS_REFUSED
                or re.match(r"os\.(exec|spawn)", name)
                or name.split(".")[-1] in ENDINGS_REFUSED
            ):
                found.append(name.split(".")[-1] + of.get(id(node), ""))
            if (
                name == "torch.load"
                and options.get("weights_only") is not True
                or name in ("np.load", "numpy.load")
                and options.get("allow_pickle", False) is not False
            ):
                found.append(name)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_runs_code_from_data_or_opens_a_connection(path):
    assert [
        what
        for each in unsafe(path.read_text(encoding="utf-8"))
        if (what := f"{path.name}: {each}") != WORKERS
    ] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from urllib.request import urlopen",
        "import a, requests.adapters",
        "eval(text)",
        "def f():\n    exec(text)",
        "import os\nos.system('ls')",
        "from os import system",
        "from numpy import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "yaml.load(text) if (yaml := __import__('yaml')) else 0",
        "torch.distributed.init_process_group()",
    ],
)
def test_what_is_refused_would_be_found(source):
    assert unsafe(source)


def test_what_is_harmless_is_not_refused():
    assert (
        unsafe(
            "model.eval()\nnp.load(path)\ntorch.load(path, weights_only=True)\n"
            "re.compile(text)\nfrom helpers.schema import replace"
        )
        == []
    )


OFFLINE = """
import sys
def refuse(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        print("REACHED OUT", event, given)
        raise OSError("no network here")
sys.addaudithook(refuse)
import helpers.training, helpers.widgets, helpers.tools.course
from helpers.training import Trainer, read_config
helpers.training.VALIDATION_WINDOWS = 50
changes = {"epochs": 1, "batches": 2, "out": sys.argv[1]}
run = Trainer(read_config("data/working_run.json", changes), progress=False).fit()
print("trained", run.epochs_done, "on", len(run.data.log))
import socket
print("now one that is refused")
socket.create_connection(("127.0.0.1", 9))
"""


def test_importing_reading_the_log_and_training_need_no_network(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path / "run")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    quiet, said, after = ran.stdout.partition("now one that is refused")
    assert re.search(r"trained 1 on \d{5}", quiet) and "REACHED OUT" not in quiet, (
        ran.stdout + ran.stderr
    )
    assert said and "REACHED OUT" in after  # it would have been seen


# -- names that are not kind

NAMES = [
    "<script>alert(1)</script>",
    "<img src=x onerror='alert(1)'>",
    "&amp; &lt;",
    r"$\frac{1}{2}$",
    r"$\frac$ and $",
    "two\nlines",
    "l" * 3000,
    "\u202eעברית مرحبا",
    "🦆 👩‍🔧",
    "_hidden",
    '"\' onload="alert(1)',
    r"costs \$1 or $2",
]
LOOKS = pytest.mark.filterwarnings("ignore:Glyph", "ignore:Matplotlib currently does not support")


@cache
def unkind_log(folder: Path) -> Log:
    """Columns, categories, streams and values all have such names."""
    rng, n = np.random.default_rng(0), 400
    values = {f"column {name}": rng.choice(NAMES, n) for name in NAMES}
    frame = pd.DataFrame(
        values
        | {
            "<i>who</i>": rng.choice(NAMES[:4], n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), "h"),
        }
    )
    frame.to_csv(folder / "log.csv", index=False)
    categories = {name: Source(column=f"column {name}") for name in NAMES}
    log = read_log(
        folder / "log.csv",
        LogMapping(
            sequence="<i>who</i>", time="when", categories=categories, streams={"any": NAMES[0]}
        ),
    )
    log.streams = [
        Stream(name, name) for name in NAMES
    ]  # a mapping refuses some of these as a stream's name
    return log


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Trainer:
    folder = tmp_path_factory.mktemp("unkind")
    log = unkind_log(folder)
    windows = {part: Windows(log, part, SOURCE, STEPS) for part in (TRAIN, VALIDATION, TEST)}
    return Trainer(
        small_config(batches=3, out=str(folder / "run")), Data(log, windows, None), progress=False
    ).fit()  # and its figures are saved


@pytest.fixture(scope="module")
def report(run) -> pd.DataFrame:
    return run.evaluation(VALIDATION).report()


class Tags(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.found, self.text = set(), ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.add((tag, *dict(attributes)))

    def handle_data(self, data):
        self.text += data


OURS = {("table",), ("tr",), ("tr", "style"), ("td", "style")}


def assert_only_names(widget) -> None:
    """The widget's HTML has no tag but those of our table, and its figure no formula.

    Lab reads formulas in HTMLMath, not in HTML.
    """
    parts = [
        widget,
        *(
            one
            for part in getattr(widget, "children", ())
            for one in (part, *getattr(part, "children", ()))
        ),
    ]
    pages = [one.value for one in parts if isinstance(one, HTML) and one.value]
    assert not any(type(one) is HTMLMath for one in parts)
    assert pages
    for page in pages:
        assert Tags(page).found <= (OURS if page.startswith("<table>") else set())
    assert_no_formula(widget.figure)


def assert_no_formula(figure: Figure) -> None:
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert [
        text for text in texts if is_math_text(text) and not text.startswith(r"$\mathdefault")
    ] == []  # but for 10 to a power at an axis


def test_the_check_of_widgets_can_fail():
    assert (
        not Tags("<table></table><img src=x onerror=y>").found <= OURS
        and not Tags("<td onclick=y>").found <= OURS
    )
    figure = Figure()
    figure.text(0, 0, "$x$")
    with pytest.raises(AssertionError):
        assert_no_formula(figure)


@LOOKS
def test_unkind_names_in_the_loss_explorer(run, report, tmp_path):
    history = pd.DataFrame(run.history)
    explorer = LossExplorer({name: history for name in NAMES}, report, tmp_path / "<b>figures")
    assert_only_names(explorer)
    for name in NAMES:
        explorer.runs.value, explorer.categories.value = [name], [name]
        assert_only_names(explorer)
        assert (
            f"{name} of {name}, validation" in explorer.said
            and f"{name} of {name}" in Tags(explorer.words.value).text
        )
    explorer.runs.value, explorer.categories.value = NAMES[:4], NAMES[:2]
    assert_only_names(explorer)
    explorer.search.value = NAMES[0]
    explorer.save.click()
    assert "Saved as " in explorer.said and "<b>figures" in explorer.said
    assert_only_names(explorer)


@LOOKS
def test_unkind_names_in_the_attention_explorer(run):
    explorer = AttentionExplorer(run, run.data.windows[TEST].origins[:2])
    for name in NAMES:
        explorer.category.value = explorer.stream.value = name
        assert_only_names(explorer)
        assert (
            name in Tags(explorer.events.value).text
            and f"{name}: " in Tags(explorer.words.value).text
        )
    shown = {
        cell
        for s in range(3)
        for row in history_rows(
            run.data.log, read_attention(run, explorer.origins[1]).events[s], np.ones(SOURCE), 0
        )
        for cell in row
    }
    assert any("<script>" in cell for cell in shown)  # such values are among them


@LOOKS
def test_unkind_names_in_a_live_run(run, tmp_path):
    live = LiveRun(run.config.change(epochs=1, out=str(tmp_path / "<b>$x$ & co")), run.data)
    live.start()
    live.wait(60)
    assert live.state == "Finished" and "<b>$x$ & co" in live.said
    assert_only_names(live)
    failing = LiveRun(run.config.change(model_checkpoint="<img src=x>"), run.data)
    failing.start()
    failing.wait(60)
    assert "<img src=x>: no such checkpoint" in failing.said
    assert_only_names(failing)


def test_unkind_names_in_tables(run, report):
    page, text = report._repr_html_(), show(report)
    assert (
        not {"script", "img"} & {tag for tag, *_ in Tags(page).found}
        and "<script>" in Tags(page).text
    )
    assert "<script>alert(1)</script>" in text and all(len(line) for line in text.splitlines())
    assert pd.read_csv(Path(run.config.out) / "category_ranges.csv")["category"].tolist() == NAMES


NUMBERS = pd.Series(np.linspace(0.1, 1, len(NAMES)), NAMES)
FIGURES = {
    "histories": lambda axes, run: plots.draw_histories(
        axes,
        run.data.log,
        run.data.windows[TEST].history_index(run.data.windows[TEST].origins[:1])[0],
        run.data.windows[TEST].origins[0],
    ),
    "category_ladder": lambda axes, run: plots.draw_category_ladder(
        axes, run.evaluation().report()
    ),
    "category_ranges": lambda axes, run: plots.draw_category_ranges(axes, run.category_ranges()),
    "gradient_norms": lambda axes, run: plots.draw_gradient_norms(axes, pd.DataFrame([NUMBERS])),
    "two_orders": lambda axes, run: plots.draw_two_orders(
        axes, NUMBERS.rename("$a$"), NUMBERS[::-1].rename("$b$")
    ),
    "reliability": lambda axes, run: plots.draw_reliability(
        axes, {name: pd.DataFrame({"predicted": [0.5], "observed": [0.5]}) for name in NAMES}
    ),
    "loss_curves": lambda axes, run: plots.draw_loss_curves(
        axes,
        {(name, name, "train"): pd.Series([1.0]) for name in NAMES[2:10]},
        pd.DataFrame(),
        "loss",
    ),
    "decoder_reads": lambda axes, run: plots.draw_decoder_reads(axes, NUMBERS),
    "history_weights": lambda axes, run: plots.draw_history_weights(
        axes, pd.DataFrame({0: NUMBERS})
    ),
    "predicted_values": lambda axes, run: plots.draw_predicted_values(
        axes, NUMBERS.to_numpy(), NAMES, 3, NAMES[3], most=12
    ),
    "model_shapes": lambda axes, run: plots.draw_model_shapes(axes, NAMES, 6, 5, 12, 8, 99),
    "right_or_wrong": lambda axes, run: plots.draw_right_or_wrong(
        axes, np.eye(6, len(NAMES)) > 0, NAMES, "title"
    ),
    "leak_alarm": lambda axes, run: plots.draw_leak_alarm(
        axes, pd.DataFrame({"what": NAMES, "gap": 0.1, "standard_error": 0.01})
    ),
    "last_vectors": lambda axes, run: plots.draw_last_vectors(
        axes, NAMES, np.ones((len(NAMES), 6), bool), 1
    ),
    "curves": lambda axes, run: plots.draw_curves(
        axes, pd.DataFrame([NUMBERS]), "title", "x", "y", {"$mark$": 0}
    ),
    "runs_against_the_first": lambda axes, run: plots.draw_runs_against_the_first(
        axes,
        pd.DataFrame({"run": NAMES, "category": NAMES, "difference": 0.1, "standard_error": 0.01}),
        "title",
    ),
    "stream_heat": lambda axes, run: plots.draw_stream_heat(
        axes, pd.DataFrame(np.ones((12, 12)), NAMES, NAMES)
    ),
}


@LOOKS
@pytest.mark.parametrize("name", FIGURES)
def test_unkind_names_in_a_figure(name, run):
    axes = Figure(figsize=(12, 8)).subplots()
    FIGURES[name](axes, run)
    assert_no_formula(axes.figure)
    texts = [text.get_text() for text in axes.figure.findobj(Text) if text.get_visible()]
    assert any(r"\$\frac{1}" in text for text in texts) and max(map(len, texts)) < 99
    assert any(
        "_hidden" in text for text in texts
    )  # a legend leaves out what begins with an underscore


def test_every_figure_with_names_has_been_given_unkind_ones():
    figures = {
        name.removeprefix("draw_")
        for name, one in inspect.getmembers(plots, inspect.isfunction)
        if one.__module__ == plots.__name__ and name.startswith("draw_")
    }
    assert figures == FIGURES.keys() | {
        "loss_per_epoch",
        "gap_by_step",
        "live_losses",
        "speed_by_batch",
        "growth",
    }  # which name nothing of a log


# -- the notebooks are for one reader


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab as `make lab` starts it, but for what a test needs.

    No browser, a port of its own, and root in a container.
    """
    (recipe,) = re.findall(
        r"(?m)^lab:.*\n\t\$\(BIN\)/jupyter (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8")
    )
    folder = tmp_path_factory.mktemp("jupyter")
    own = {
        f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")
    }
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")
    } | own
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        *["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0),
    ]
    with open(folder / "lab.log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", *recipe.split(), *options],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 120
        while answer(port) is None:
            assert server.poll() is None and time.monotonic() < until, (
                folder / "lab.log"
            ).read_text()
            time.sleep(0.2)
        (about,) = (folder / "runtime").glob("jpserver-*.json")
        yield port, json.loads(about.read_text())
    finally:
        server.terminate()
        server.wait(30)


def answer(
    port: int, path: str = "/api", token: str | None = None, host: str = "127.0.0.1"
) -> tuple[int, str] | None:
    """Status and address after redirections; None where nobody listens."""
    request = urllib.request.Request(
        f"http://{host}:{port}{path}", headers={"Authorization": f"token {token}"} if token else {}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=10
        ) as reply:
            return reply.status, reply.url
    except urllib.error.HTTPError as error:
        return error.code, error.url
    except OSError:
        return None


def test_the_notebooks_ask_for_a_token(lab):
    port, about = lab
    assert len(about["token"]) >= 40 and not about["password"]
    for path in ("/api/contents", "/api/kernels", "/files/01_data_prep.ipynb"):
        with_token = answer(port, path, about["token"])
        assert with_token == (200, f"http://127.0.0.1:{port}{path}")
        for token in (None, "guess", about["token"][:-1]):
            status, address = answer(port, path, token)
            assert status == 403 or "/login" in address
    assert "/login" in answer(port, "/lab")[1]


def test_the_notebooks_are_served_on_this_machine_alone(lab):
    port, about = lab
    listening = {
        one.laddr.ip
        for one in psutil.Process(about["pid"]).net_connections("inet")
        if one.status == "LISTEN" and one.laddr.port == port
    }
    assert listening and listening <= {"127.0.0.1", "::1"}
