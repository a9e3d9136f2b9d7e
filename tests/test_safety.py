"""Safe by default: no code runs from data, nothing is fetched, the notebooks are for one reader."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from small import command, write_config

from helpers.__main__ import COMMANDS
from helpers.support.errors import InputError
from helpers.training import load_data, read_config

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
ALLOWED = {
    "workers.py: init_process_group in join_workers",  # to meet the others, where torchrun asks
    "readiness.py: importlib",  # its metadata alone: which releases are installed
    "colab.py: subprocess",  # pip, for what Colab lacks of the pinned packages
    "colab.py: importlib",  # its metadata, likewise
    "__main__.py: subprocess",  # the environment's own Python, with the commands that stand there
    "processes.py: subprocess",  # the project's own commands, to be timed
    "fast.py: ctypes",  # the system's allocator, told what to keep
    # A student's code is to be run: by a process of its own, which the judge sends cases to.
    "process.py: subprocess",
    "process.py: cloudpickle",  # written, and read by that process alone
    "student.py: pickle",
    *(f"student.py: {what} in run" for what in ("compile", "exec", "eval")),
    *(f"confine.py: {what}" for what in ("ctypes", "subprocess")),  # to take them away
    "packed.py: importlib.abc",  # modules of the package itself, packed in a hand-out
    "packed.py: importlib.machinery",
}


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
        if (what := f"{path.name}: {each}") not in ALLOWED
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


# -- what is printed commands no terminal

HOSTILE = "\x1b[2Jgone\x9b31m \u202eback\x07"


def commands_in(text: str) -> list[str]:
    """What a terminal would obey, but for line ends and a progress bar's return to its start."""
    return [letter for letter in text if not letter.isprintable() and letter not in "\n\r"]


def write_hostile_log(folder: Path, rows: int = 240) -> Path:
    """A log whose columns and values command a terminal, its mapping and a configuration."""
    path = write_config(folder, log="log.csv", mapping="mapping.json", epochs=1)
    columns = ["case", "when", f"what{HOSTILE}", "split"]
    lines = [",".join(columns)]
    for i in range(rows):
        what = f"{HOSTILE} {i % 5 if i % 3 else i}"
        lines.append(f"c{i % 20},2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{what},{i % 20 // 8}")
    (folder / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    what = {"column": f"what{HOSTILE}", "size": 9}
    mapping = {"sequence": "case", "time": "when", "categories": {"what": what}}
    (folder / "mapping.json").write_text(json.dumps(mapping | {"streams": {"what": "what"}}))
    return path


def test_a_command_prints_nothing_of_a_log_that_would_command_a_terminal(tmp_path):
    ran = command(write_hostile_log(tmp_path), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert r"\x1b[2Jgone\x9b31m \u202eback\x07" in ran.stdout  # of a note
    assert commands_in(ran.stdout + ran.stderr) == []


FAULTS = {
    "a time": lambda log, mapping: (log.replace("2024-01-01 03:00", HOSTILE), mapping),
    "a column": lambda log, mapping: (log.replace(f"what{HOSTILE}", "gone"), mapping),
    "a value of no part": lambda log, mapping: (
        log.replace(",0\n", f",{HOSTILE}\n", 1),
        mapping | {"split": {"by": "split", "train": ["0", "1"], "test": ["2"]}},
    ),
    "a category": lambda log, mapping: (
        log,
        mapping | {"categories": {HOSTILE: mapping["categories"]["what"]}},
    ),
    "a stream": lambda log, mapping: (log, mapping | {"streams": {HOSTILE: "what"}}),
    "a key": lambda log, mapping: (log, mapping | {"streams": {"what": HOSTILE}}),
    "a key that is not known": lambda log, mapping: (log, mapping | {HOSTILE: 1}),
    "a sequence": lambda log, mapping: (log, mapping | {"sequence": HOSTILE}),
}


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_no_refusal_commands_a_terminal(tmp_path, spoil):
    path = write_hostile_log(tmp_path)
    log, mapping = tmp_path / "log.csv", tmp_path / "mapping.json"
    text, settings = spoil(log.read_text(encoding="utf-8"), json.loads(mapping.read_text()))
    log.write_text(text, encoding="utf-8")
    mapping.write_text(json.dumps(settings))
    with pytest.raises(InputError) as caught:
        load_data(read_config(path))
    assert "back" in str(caught.value)
    assert commands_in(str(caught.value)) == []


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
    assert re.search(r"trained 1 on \d{6}", quiet) and "REACHED OUT" not in quiet, (
        ran.stdout + ran.stderr
    )
    assert said and "REACHED OUT" in after  # it would have been seen


# -- the notebooks are for one reader


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab as `make lab` starts it, but for what a test needs.

    No browser, a port of its own, and root in a container.
    """
    (recipe,) = COMMANDS["lab"][1]
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
            [sys.executable, "-m", *recipe.split(), *options],
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
    for path in ("/api/contents", "/api/kernels", "/files/notebooks/01_data_prep.ipynb"):
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
