"""What a student's process may not do, by Python's wall alone and by the kernel's alone."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Tries one thing after another; OUTSIDE is a folder that is not the process's own.
SCRIPT = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from helpers.tools.grading import confine
import shutil, signal, socket, sqlite3, subprocess, tempfile, gc
folder, outside, wall = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
os.chdir(folder)
os.mkdir("inner")
told = []
sizes = confine.open_sizes()
guarded = confine.ask_kernel(folder) if wall == "kernel" else []
confine.set_limits(2**30, 2**20, sizes)
if wall == "python":
    confine.refuse_from_now_on(folder, told.append)

def relative(path):
    return os.open(path, os.O_WRONLY | os.O_CREAT, dir_fd=os.open("inner", os.O_RDONLY))

class Text(str):
    def split(self, *_): return [str(folder), "a"]
    def __str__(self): return str(folder) + "/a"

def turn(part, new):
    try:
        open(outside + "/new", "w")
    except OSError as error:
        place = error.__traceback__
        while place.tb_next:
            place = place.tb_next
        for value in dict(place.tb_frame.f_locals).values():
            if callable(value) and hasattr(value, "__kwdefaults__"):
                setattr(value, part, new)
                return
        raise

tries = {
    "write": lambda: open("a", "w").write("x"),
    "remove own": lambda: os.remove("a"),
    "list own": lambda: os.listdir("."),
    "temporary": lambda: tempfile.mkdtemp(dir="."),
    "library": lambda: open(os.__file__).read(1),
    "import": lambda: __import__("xml.dom.minidom"),
    "random": lambda: os.urandom(1),
    "nowhere": lambda: open(os.devnull, "w").write("x"),
    "- read": lambda: open(outside + "/kept").read(),
    "- read as bytes": lambda: open((outside + "/kept").encode()).read(),
    "- read by dots": lambda: open("../outside/kept").read(),
    "- read accounts": lambda: open("/etc/passwd").read(),
    "- read a process": lambda: open("/proc/1/environ").read(),
    "- list": lambda: os.listdir(outside),
    "- write": lambda: open(outside + "/new", "w"),
    "- append": lambda: open(outside + "/kept", "a"),
    "- low write": lambda: os.open(outside + "/new", os.O_WRONLY | os.O_CREAT),
    "- write from another folder": lambda: relative("../../outside/new"),
    "- a text that is two": lambda: open(Text(outside + "/new"), "w"),
    "- remove": lambda: os.remove(outside + "/kept"),
    "- remove all": lambda: shutil.rmtree(outside),
    "- make": lambda: os.mkdir(outside + "/new"),
    "- move out": lambda: os.rename("inner", outside + "/new"),
    "- move in": lambda: os.rename(outside + "/kept", "kept"),
    "- database": lambda: sqlite3.connect(outside + "/new").execute("create table a (b)"),
    "- large file": lambda: open("large", "wb").write(bytes(2**21)),
    "- memory": lambda: bytearray(2**31),
    "- signal": lambda: os.kill(os.getppid(), 0),
    "- connect": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[5])), timeout=5),
    "-p link": lambda: os.symlink(outside, "link"),
    "-p rights": lambda: os.chmod(outside, 0o700),
    "-p fork": lambda: os.fork() or os._exit(0),
    "-p system": lambda: os.system("true"),
    "-p process": lambda: subprocess.run([sys.executable, "-c", ""]),
    "-p low process": lambda: __import__("_posixsubprocess").fork_exec(),
    "-p library": lambda: __import__("ctypes").CDLL(None),
    "-p objects": lambda: gc.get_objects(),
    "-p trace": lambda: sys.settrace(print),
    "-p code of the hook": lambda: turn("__code__", (lambda *_: True).__code__),
    "-p defaults of the hook": lambda: turn("__defaults__", ()),
}
done = {}
for name, attempt in tries.items():
    if name.startswith("-p") and wall != "python":
        continue
    try:
        attempt()
        done[name] = True
    except (OSError, MemoryError, sqlite3.Error) as error:
        done[name] = False
print(json.dumps([guarded, done, told]))
"""


@pytest.fixture
def walls(tmp_path):
    folder, outside = tmp_path.resolve() / "own", tmp_path.resolve() / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("kept")

    def attempt(wall: str):
        with socket.create_server(("127.0.0.1", 0)) as server:
            given = [str(ROOT), str(folder), str(outside), wall, str(server.getsockname()[1])]
            ran = subprocess.run(
                [sys.executable, "-I", "-c", SCRIPT, *given], capture_output=True, text=True
            )
        assert ran.returncode == 0, ran.stderr
        assert [path.name for path in outside.iterdir()] == ["kept"]
        assert (outside / "kept").read_text() == "kept"
        return json.loads(ran.stdout)

    return attempt


def test_python_refuses_all_that_is_not_the_process_s_own(walls):
    _, done, told = walls("python")
    assert {name for name in done if name[0] != "-" and not done[name]} == set()
    assert {name for name in done if name[0] == "-" and done[name]} == set()
    assert {"open", "os.fork", "socket.getaddrinfo", "object.__setattr__"} <= set(told)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a wall")
def test_the_kernel_guards_files_signals_and_the_network_without_python(walls):
    guarded, done, _ = walls("kernel")
    if set(guarded) != {"files", "network", "signals"}:
        pytest.skip(f"this kernel guards {guarded} alone")
    assert {name for name in done if name[0] != "-" and not done[name]} == set()
    assert {name for name in done if name[:2] == "- " and done[name]} == set()
