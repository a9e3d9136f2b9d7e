"""Takes from a process what a student's code has no need of. Only Python's own library is used.

There are two walls, since each has gaps. Python's audit hook sees on every system what code asks of
it through Python, and cannot be removed again; compiled code may pass it by, and so may one who
knows the inside of Python well. On Linux the kernel guards files, signals and the network besides
(Landlock and a network of its own, where it permits them), and neither of these passes that by.
Windows and macOS have the hook alone.
"""

from __future__ import annotations

import ctypes
import os
import re
import stat
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Beside Python's own folders; none of them holds what is anybody's.
SYSTEM = (
    *("/usr", "/lib", "/lib64", "/etc/localtime", "/etc/fonts", "/etc/ld.so.cache"),
    *("/proc/cpuinfo", "/sys/devices/system/cpu"),  # PyTorch asks for them at its first product
)
DEVICES = (os.devnull, "/dev/urandom", "/dev/random")

# What no exercise needs, by the names of Python's audit events.
REFUSED = re.compile(
    r"socket\.|subprocess\.|ctypes\.|pty\.|winreg\.|msvcrt\.|syslog\.|shutil\.chown"
    r"|os\.(system|exec|fork|forkpty|posix_spawn|spawn|startfile|kill|killpg|chdir|fchdir)$"
    r"|os\.(link|symlink|chmod|chown|lchown|chflags|lchflags|setxattr|removexattr)$"
    r"|_winapi\.(CreateProcess|OpenProcess|TerminateProcess|CreateJunction|CreateNamedPipe)$"
    r"|signal\.pthread_kill|resource\.(setrlimit|prlimit)|sqlite3\.connect|webbrowser\."
    r"|sys\.(addaudithook|settrace|setprofile|_current_frames|monitoring\.)|gc\.get_"
    r"|urllib\.|http\.|ftplib\.|smtplib\.|imaplib\.|nntplib\.|poplib\.|telnetlib\."
)
WRITES = re.compile(r"os\.(remove|rmdir|mkdir|rename|truncate|utime)$")
LOOKS = re.compile(r"os\.(listdir|scandir|walk)$")
# Modules of compiled code that ask the system past the hook.
MODULES = frozenset({"_cffi_backend", "_posixshmem", "_multiprocessing", "_interpreters"})
OF_A_FUNCTION = frozenset({"__code__", "__defaults__", "__kwdefaults__"})
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refused(PermissionError):
    """What a student's code asked for and may not have."""


def list_readable() -> list[Path]:
    """The folders of Python, of its packages and of the system, which every process reads."""
    names = [sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), *SYSTEM]
    found = {Path(name).resolve() for name in names} - {Path("/")}
    return sorted(path for path in found if path.exists())


# Limits, where the system has them


def open_sizes():
    """Where Linux tells the size of this process, to be opened while that may be read; or None."""
    return open("/proc/self/statm") if sys.platform == "linux" else None


def read_size(sizes) -> int:
    """The bytes of memory that this process has, by the file of `open_sizes`."""
    import resource

    return int(sizes.read().split()[0]) * resource.getpagesize()


def set_limits(memory: int, file_size: int, sizes) -> None:
    """No more bytes of memory than now and `memory`, no larger file, and no dump of a crash.

    sizes: what `open_sizes` gave; elsewhere addresses are counted that are never used
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {"RLIMIT_FSIZE": file_size, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 256}
    if sizes is not None:
        limits["RLIMIT_AS"] = read_size(sizes) + memory
    for name, most in limits.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))


def limit_own_memory(memory: int) -> None:
    """No more bytes of memory than now and `memory` for this process, where Linux holds to it.

    A process that it starts may ask for another limit.
    """
    if sys.platform != "linux":
        return
    import resource

    with open_sizes() as sizes:
        now = read_size(sizes)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError):  # it has less already
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, hard))


# The kernel's wall, on Linux

CREATE, ADD, RESTRICT = 444, 445, 446  # the system calls of Landlock, alike on all processors
NO_NEW_PRIVILEGES = 38
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
READ = 1 | 1 << 2 | 1 << 3  # run, read a file, read a folder
WRITE_A_FILE = 1 << 1 | 1 << 14
OF_A_FILE = 1 | 1 << 2 | WRITE_A_FILE | 1 << 15  # the rest is of folders alone
SINCE_THE_FIRST = (1 << 13) - 1


class Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class Beneath(ctypes.Structure):
    _pack_, _layout_ = 1, "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("opened", ctypes.c_int32)]


def ask_kernel(folder: Path) -> list[str]:
    """Shuts this process into a folder, which it may write, and into what it may read.

    Returns what the kernel now guards, of "files", "network" and "signals". To be called before
    there are threads, for which it would not hold.
    """
    if sys.platform != "linux":
        return []
    library = ctypes.CDLL(None, use_errno=True)
    alone = not library.unshare(NEW_NETWORK) or not library.unshare(NEW_USER | NEW_NETWORK)
    version = library.syscall(CREATE, None, 0, 1)
    guarded = ["network"] * alone
    if version < 1:
        return guarded
    files = SINCE_THE_FIRST | (version >= 2) << 13 | (version >= 3) << 14 | (version >= 5) << 15
    rules = Ruleset(files, 3 * (version >= 4), 3 * (version >= 6))
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = library.syscall(CREATE, ctypes.byref(rules), size, 0)
    may = dict.fromkeys(list_readable(), READ) | {folder: files}
    may |= {Path(name): READ | WRITE_A_FILE for name in DEVICES}
    for path, rights in may.items():
        opened = os.open(path, os.O_PATH)
        rights &= files if path.is_dir() else files & OF_A_FILE
        library.syscall(ADD, ruleset, 1, ctypes.byref(Beneath(rights, opened)), 0)
        os.close(opened)
    library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if library.syscall(RESTRICT, ruleset, 0):
        return guarded
    os.close(ruleset)
    guarded += ["files", *["network"] * (version >= 4), *["signals"] * (version >= 6)]
    return sorted(set(guarded))


# Python's wall, everywhere. All that a hook uses are its default values, a tuple: names of modules,
# closures and dictionaries could be changed by the code that it guards.


def refuse_from_now_on(folder: Path, told: Callable[[str], None]) -> None:
    """Refuses connections, processes and other folders to all code of this process, for good.

    folder: the one that may be written, where this process works
    told: is called with the name of each event that is refused
    """
    start_no_process()
    sys.addaudithook(make_hook(folder, list_readable(), told))


def start_no_process() -> None:
    """Puts a refusal where processes are started without the hook being asked."""

    def refuse(*_, **__):
        raise Refused("processes are refused while grading")

    with suppress(ImportError):
        import _posixsubprocess

        _posixsubprocess.fork_exec = refuse
    if hasattr(subprocess, "_fork_exec"):
        subprocess._fork_exec = refuse


def make_hook(folder: Path, readable: list[Path], told: Callable[[str], None]):
    allows, own = make_judge_of_paths(folder, readable), globals()

    def hook(
        event,
        given,
        refused=REFUSED.match,
        writes=WRITES.match,
        looks=LOOKS.match,
        modules=MODULES,
        of_a_function=OF_A_FUNCTION,
        writing=WRITING,
        reading=frozenset("rbtU"),
        allows=allows,
        told=told,
        own=own,
        function=types.FunctionType,
        type=type,
        str=str,
        bytes=bytes,
        error=Refused,
    ):
        fine = True
        if refused(event):
            fine = False
        elif event == "open":
            path, mode, flags = given
            writes_it = flags & writing if mode is None else not reading.issuperset(mode)
            fine = allows(path, writes_it, mode is None)
        elif event == "import":  # nor a compiled module that the code has written
            fine = given[0] not in modules and (given[1] is None or not allows(given[1], True))
        elif event == "object.__setattr__":  # others' functions may be changed, not these
            fine = (
                given[1] not in of_a_function
                or type(given[0]) is not function
                or given[0].__globals__ is not own
            )
        elif writes(event):
            for part in given:
                if type(part) is str or type(part) is bytes:
                    fine = fine and allows(part, True, True)
        elif looks(event):
            fine = given[0] is None or allows(given[0], False)
        if not fine:
            told(event)
            what = given[0] if given and type(given[0]) is str else ""
            raise error(f"{event} is refused while grading: {what}")

    return hook


def make_judge_of_paths(folder: Path, readable: list[Path]):
    """A function that says whether a path may be written, or else read. Its text alone decides:
    no link leads elsewhere, since none can be made.
    """
    here = os.getcwd()
    fold = str.lower if os.name == "nt" else str  # whether large and small letters are the same
    inside = (fold(str(folder) + os.sep),)
    roots = inside + tuple(fold(str(path) + os.sep) for path in readable)

    def allows(
        path,
        to_write,
        opens=False,
        fold=fold,
        inside=inside,
        roots=roots,
        devices=frozenset(DEVICES),
        here=here,
        separator=os.sep,
        first="" if os.name == "nt" else os.sep,
        starts_at_root=re.compile(r"[A-Za-z]:|[/\\]" if os.name == "nt" else "/").match,
        split=re.compile(r"[/\\]" if os.name == "nt" else "/").split,
        look=os.stat,
        is_folder=stat.S_ISDIR,
        type=type,
        int=int,
        bytes=bytes,
        error=OSError,
    ):
        if type(path) is int:  # what is open already
            return True
        if type(path) is bytes:
            path = path.decode("utf-8", "surrogateescape")
        path = "".join((path,))  # the text itself, whatever a class of its own says that it is
        parts = []
        for part in split(path if starts_at_root(path) else here + separator + path):
            if part == "..":
                if opens:  # the system may take the path from another folder than this one
                    return False
                del parts[-1:]
            elif part != "" and part != ".":
                parts.append(part)
        found = fold(first + separator.join(parts))
        if (found + separator).startswith(inside) or found in devices:
            return True
        if to_write or not (found + separator).startswith(roots):
            return False
        if opens:  # an open folder could be the place that other paths are relative to
            try:
                return not is_folder(look(path).st_mode)
            except error:
                return True
        return True

    return allows
