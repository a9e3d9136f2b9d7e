"""A process for a student's code: started, asked, watched, and ended with all that it started."""

from __future__ import annotations

import io
import json
import math
import os
import queue
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import cloudpickle
import psutil
import torch

from helpers.checks import last_vector, stream_encoders, training
from helpers.support.errors import InputError
from helpers.support.files import DATA, ROOT
from helpers.tools.grading import hidden_cases
from helpers.tools.grading.student import with_gradient

SECONDS_TO_START = 120.0
MEMORY = 2 * 2**30  # bytes that it may take besides what Python and PyTorch take
FILE_SIZE = 64 * 2**20
FOLDER_SIZE = 256 * 2**20  # of all that it writes
BLOCK = 4096  # bytes that a file or a folder takes at least
ANSWER_SIZE = 2**20  # bytes; the course's own answers have 4,000 at most
LOOK_EVERY = 0.25  # seconds

START = "import sys; sys.path.insert(0, sys.argv[1]); from helpers.tools.grading import student"
NO_CHECKS = '"""The checks are not here: a grade is given elsewhere."""\n'
# Classes of these stand in cases. They are sent as they are written, since where they go the
# modules are not.
for module in (last_vector, stream_encoders, training, hidden_cases):
    cloudpickle.register_pickle_by_value(module)


class Stopped(BaseException):
    """A student's process was ended, or ended itself; the text says why."""


def make_template(folder: Path) -> list[str]:
    """Writes what a student's process works in: the course without answers, and without tools.

    Returns what the system's kernel guards here, and leaves caches that make each start faster.
    """
    left_out = shutil.ignore_patterns("__pycache__", "checks", "tools")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=left_out)
    for name in ("tools", "tools/grading", "checks"):
        (folder / "helpers" / name).mkdir()
        (folder / "helpers" / name / "__init__.py").write_text(NO_CHECKS, encoding="utf-8")
    for name in ("checks/verdicts.py", "tools/grading/confine.py", "tools/grading/student.py"):
        shutil.copy(ROOT / "helpers" / name, folder / "helpers" / name)
    shutil.copytree(DATA, folder / "data")
    shutil.copy(ROOT / "requirements.txt", folder)
    for name in ("notebooks", "build", "temporary"):
        (folder / name).mkdir()
    process = StudentProcess({}, folder, copy=False)
    process.close()
    return process.guarded


class StudentProcess:
    """Asks a process that holds a student's code, in a copy of a folder that only it may write."""

    def __init__(self, files: dict[str, Path], template: Path, copy: bool = True):
        """files: the student's notebooks, by the names of the course's"""
        self.folder, self.is_copy = template, copy
        if copy:
            self.folder = Path(tempfile.mkdtemp(dir=template.parent)).resolve()
            shutil.copytree(template, self.folder, dirs_exist_ok=True)
        for name, path in files.items():
            shutil.copy(path, self.folder / "notebooks" / f"{name}.ipynb")
        self.most = measure(self.folder) + FOLDER_SIZE  # what was handed in may be large
        self.stopped, self.refused, self.asked = "", set(), 0
        self.guarded = None  # until the walls stand
        command = [sys.executable, "-I", "-c", f"{START}; student.main()", self.folder]
        with open(self.folder / "errors.txt", "wb") as errors:
            self.process = subprocess.Popen(
                [*command, str(MEMORY), str(FILE_SIZE)],
                cwd=self.folder,
                env=make_environment(self.folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        # No more answers wait than are asked for, so that a flood of them stays in its process.
        self.questions, self.answers = queue.Queue(), queue.Queue(maxsize=1)
        for work in (self.send, self.receive):
            threading.Thread(target=work, daemon=True).start()
        self.give(SECONDS_TO_START)
        try:
            self.guarded = self.wait_for(0)["guarded"]
        except Stopped as stopped:
            text = (self.folder / "errors.txt").read_text("utf-8", "replace").strip()
            self.close()
            raise InputError(f"no process for hand-ins can be started: {stopped}; {text}") from None

    # -- the channel: threads wait for it, so that nothing else ever does

    def send(self) -> None:
        with suppress(OSError, ValueError):
            while (question := self.questions.get()) is not None:
                self.process.stdin.write(question)
                self.process.stdin.flush()

    def receive(self) -> None:
        with suppress(OSError, ValueError):
            while line := self.process.stdout.readline(ANSWER_SIZE):
                self.answers.put(line)
        self.answers.put(b"")

    def give(self, seconds: float) -> None:
        """The time from now that the process has for its next answers together."""
        self.seconds, self.until = seconds, time.monotonic() + seconds

    def ask(self, what: str, **arguments) -> dict:
        """The answer to a question; raises Stopped where none will come."""
        if self.stopped:
            raise Stopped(self.stopped)
        self.asked += 1
        self.questions.put(dump({"ask": what, "with": arguments, "id": self.asked}))
        return self.wait_for(self.asked)

    def wait_for(self, number: int) -> dict:
        while True:
            try:
                line = self.answers.get(timeout=LOOK_EVERY)
                break
            except queue.Empty:
                self.look()
        if not line:
            self.stop("the process ended before it had answered")
        if len(line) == ANSWER_SIZE:
            self.stop("it answered too much")
        try:
            answer = json.loads(line)
            fits = answer["id"] == number
            self.refused.update(str(each)[:60] for each in answer.get("refused", [])[:9])
            kind = str(answer["error"][0]) if "error" in answer else ""
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            fits = False
        if not fits:
            self.stop("what it answered cannot be read")
        # NumPy has a MemoryError of its own, PyTorch none; and what is held may stay so.
        if kind.endswith("MemoryError") or "can't allocate memory" in str(answer.get("error")):
            self.stop("it took too much memory")
        return answer

    # -- the watch

    def look(self) -> None:
        """Ends the process where it has taken more than it was given."""
        if time.monotonic() > self.until:
            self.stop(f"it gave no answer in {self.seconds:g} seconds")
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.process.pid)
            if self.guarded is not None and process.children():  # libraries may, at the start
                self.stop("it started another process")
            if process.memory_info().rss > 2 * MEMORY:
                self.stop("it took too much memory")
        if measure(self.folder) > self.most:
            self.stop("it wrote too much")

    def stop(self, why: str):
        self.stopped = why
        self.kill()
        raise Stopped(why)

    def kill(self) -> None:
        """Ends the process and all that it has started, once."""
        if self.process.returncode is not None:
            return
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self.questions.put(None)
        with suppress(queue.Empty):  # until the thread that receives has ended
            while self.answers.get(timeout=LOOK_EVERY):
                pass
        if self.is_copy:
            remove(self.folder)


def make_environment(folder: Path) -> dict[str, str]:
    """The variables that the process gets: none that tells of the user or of the machine."""
    kept = ("PATH", "SYSTEMROOT", "WINDIR", "LANG", "LD_LIBRARY_PATH")
    own = dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "MPLCONFIGDIR", "IPYTHONDIR"), "")
    own |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), "temporary")
    variables = {name: str(folder / place) for name, place in own.items()}
    variables |= {name: os.environ[name] for name in kept if name in os.environ}
    return variables | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class Pickler(cloudpickle.Pickler):
    """Keeps the gradient of a tensor, which a pickle leaves out."""

    def reducer_override(self, value):
        if isinstance(value, torch.Tensor) and value.is_leaf and value.grad is not None:
            return with_gradient, (value.detach(), value.grad)
        return super().reducer_override(value)


def dump(question: dict) -> bytes:
    file = io.BytesIO()
    Pickler(file).dump(question)
    return file.getvalue()


def measure(folder: Path) -> float:
    """Bytes of all that lies in a folder; endless where a folder in there hides what it holds."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except FileNotFoundError:
            continue
        except OSError:  # closed, or too deep to be reached; Windows says so of what is going
            if os.name == "nt":
                continue
            return math.inf
        for entry in entries:
            with suppress(OSError):
                total += max(entry.stat(follow_symlinks=False).st_size, BLOCK)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total


def remove(folder: Path) -> None:
    """Removes a folder with all in it, be that closed or as deep as no path reaches.

    Folders are moved up before they are emptied, so that no path is long.
    """
    name, waiting = secrets.token_hex(8), [folder]
    for here in waiting:  # which grows
        entries = []
        with suppress(OSError):
            os.chmod(here, stat.S_IRWXU)
            entries = list(os.scandir(here))
        for entry in entries:
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, stat.S_IRWXU)
                place = folder / f"{name}-{len(waiting)}"
                os.rename(entry.path, place)
                waiting.append(place)
    for here in reversed(waiting):
        with suppress(OSError):
            os.rmdir(here)
