"""Grades a folder of hand-ins, each apart from the others and from everything else.

python -m helpers grade FOLDER

FOLDER holds a subfolder, a zip or single notebooks for each student, whose name is that of the
subfolder, of the zip, or what stands before the notebook's name: anna_00_start_here.ipynb is
anna's (all forms: `helpers.tools.grading.hand_ins`). FOLDER-grades/ then holds grades.csv, a row a
student and a column an exercise, and grades.html, which shows a histogram of each exercise, the
words of its wrong verdicts with how often they were said, and who is to be looked at.

**What counts.** A 1 is given where the course's check says "Right" of the student's function, here,
by this copy of the checks, on the notebook's cases and on others that no student has seen
(`hidden_cases`). What a notebook printed or stored counts for nothing. A 0 is any other verdict;
blank is what was not handed in or still says "Not done yet". The exercise is the last cell that
calls its check and is no stub, or else the cell of the course's own id. Whole notebooks are not
run: of the cells before, only the statements run on which the answer depends, as from top to
bottom. So an answer may not need what only a cell below defines, nor files or modules beside the
notebooks. Answers that are values (`shown_by`, `made_up_report`) have no other cases: whoever
copies one has it.

**What a hand-in may do.** It runs in processes of its own, in a copy of the course without answers,
30 seconds an exercise and five minutes in all; then it is ended with all that it has started, and
what it has not answered counts as wrong. The right answers and the other cases' answers stay in the
judge's process, to which it sends nothing but numbers and texts. It may write its own temporary
folder alone, and read nothing besides but Python and the system's libraries: not the checks, the
grades, another hand-in, or whatever else is on the machine. It opens no connection, starts no
process, and takes 2 GB of memory and 256 MB of disk at most; an answer of a megabyte counts as
wrong. On Linux the kernel holds to this (Landlock, from Linux 5.13; the page says whether it did),
and the judge's own memory has a limit, too. **On Windows and macOS Python alone does, and that can
be got past**: by compiled code in the installed libraries, which Python does not watch, and by one
who knows Python's inside well. What that one could do is what you could do on this machine. So a
class that you distrust is graded on Linux, or in a container or a virtual machine that
has nothing else in it.

**What cannot be hidden.** Some checks also ask how a value was found: how often `backward` was
called, how many rows a layer computed, whether an argument or a shared random state was changed.
The student's process counts that itself, and code written to cheat could count wrongly; a value it
cannot make up. And some exercises ask for what `helpers` itself does, so who looks can call it.

A grading that was broken off goes on where it was; a hand-in is graded anew when it, or the course,
has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import secrets
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm.auto import tqdm

from helpers.support.commands import prepare_folder, run_command
from helpers.support.errors import InputError
from helpers.support.files import NOTEBOOKS, ROOT, lock_folder, replace_file
from helpers.tools.grading import confine
from helpers.tools.grading.exercises import Exercise, list_exercises
from helpers.tools.grading.hand_ins import HandIn, collect, hash_name
from helpers.tools.grading.judge import judge
from helpers.tools.grading.process import make_template, remove
from helpers.tools.grading.tables import write_grades

JUDGE_MEMORY = 2 * 2**30  # bytes that a judge may take more than at its start; 0.6 GB were seen
GUARDS = {"files": "files", "network": "network", "signals": "other processes"}


def grade(folder: Path) -> Path:
    """Grades the hand-ins of a folder; returns the folder with the grades."""
    if not folder.resolve().name or not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the one that holds the hand-ins")
    out = folder.resolve().with_name(f"{folder.resolve().name}-grades")
    prepare_folder(out, f"copy {folder} to a place of your own, and grade the copy")
    exercises = list_exercises()
    temporary = Path(tempfile.mkdtemp(prefix="grading-")).resolve()
    try:
        with lock_folder(out):
            hand_ins = collect(
                folder, sorted({each.notebook for each in exercises}), temporary / "hand_ins"
            )
            if not hand_ins:
                raise InputError(
                    f"{folder}: no hand-in found; it should hold a subfolder, a zip, or notebooks "
                    f"such as anna_{exercises[0].notebook}.ipynb for each student"
                )
            guarded = make_template(temporary / "template")
            graded = grade_all(hand_ins, exercises, temporary / "template", out)
            write_grades(out, graded, exercises, tell_guards(guarded))
    finally:
        remove(temporary)
    return out


def grade_all(
    hand_ins: list[HandIn], exercises: list[Exercise], template: Path, out: Path
) -> list[dict]:
    """What came of each hand-in, in their order. What was graded before is taken from `out`."""
    kept = out / "graded"
    kept.mkdir(parents=True, exist_ok=True)
    seed, course = read_seed(kept / "seed.txt"), digest_course()
    digests = {each.student: each.digest(course, str(seed)) for each in hand_ins}
    found = {each.student: read_graded(kept, each, digests[each.student]) for each in hand_ins}
    left = [each for each in hand_ins if found[each.student] is None]
    if len(left) < len(hand_ins):
        print(f"{len(hand_ins) - len(left)} of {len(hand_ins)} hand-ins are graded already.")
    spawn = multiprocessing.get_context("spawn")
    workers = max(1, min(len(left), os.cpu_count() or 1))
    with ProcessPoolExecutor(workers, spawn, start_judge) as pool:
        started = {
            pool.submit(grade_one, each, exercises, template, seed): each.student for each in left
        }
        try:
            for done in tqdm(as_completed(started), total=len(left), unit="hand-in"):
                result = done.result() | {"digest": digests[started[done]]}
                found[started[done]] = result
                write_json(kept / f"{hash_name(started[done])}.json", result)
        except BaseException:  # the next time goes on from here
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [found[each.student] for each in hand_ins]


def start_judge() -> None:
    """Prepares a process that judges: on one core, and with no more memory than answers need."""
    import torch

    torch.set_num_threads(1)
    confine.limit_own_memory(JUDGE_MEMORY)


def grade_one(hand_in: HandIn, exercises: list[Exercise], template: Path, seed: int) -> dict:
    """A hand-in's verdicts and what is to be said of it, as JSON can hold it."""
    os.chdir(template.parent)  # where a check may leave what it likes
    verdicts = judge(hand_in.files, exercises, template, seed)
    told = {
        number: {"score": each.score, "line": each.line, "words": each.words}
        for number, each in verdicts.items()
    }
    remarks = list(dict.fromkeys(hand_in.remarks))
    for number, each in verdicts.items():
        if each.trouble:
            remarks.append(f"{number}: {each.trouble}")
    return {"student": hand_in.student, "verdicts": told, "remarks": remarks}


def read_seed(path: Path) -> int:
    """The number that draws the hidden cases, drawn itself when a folder is first graded."""
    if not path.exists():
        replace_file(path, lambda part: part.write_text(str(secrets.randbelow(2**31))))
    return int(path.read_text())


def digest_course() -> str:
    """A text that changes with the course's exercises, checks and tools."""
    paths = [*(ROOT / "helpers").rglob("*.py"), *NOTEBOOKS.glob("[0-9]*.ipynb")]
    texts = [path.read_bytes() for path in sorted(paths)]
    return hashlib.sha256(b"\n".join(texts)).hexdigest()


def read_graded(folder: Path, hand_in: HandIn, digest: str) -> dict | None:
    """What a hand-in got before, if nothing has changed since."""
    path = folder / f"{hash_name(hand_in.student)}.json"
    try:
        graded = json.loads(path.read_text(encoding="utf-8"))
        return graded if graded["digest"] == digest else None
    except (OSError, ValueError, KeyError):
        return None


def write_json(path: Path, value: dict) -> None:
    text = json.dumps(value, indent=1)
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def tell_guards(guarded: list[str]) -> str:
    if not guarded:
        return "Python alone kept the hand-ins apart; see what that means in helpers.tools.grade."
    names = ", ".join(GUARDS[each] for each in guarded)
    return f"Python kept the hand-ins apart, and so did the system's kernel ({names})."


def main(arguments: list[str] | None = None) -> None:
    """Grades the folder that the one argument names."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers grade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder of the hand-ins")
    out = grade(parser.parse_args(arguments).folder)
    print(f"{out / 'grades.csv'} and {out / 'grades.html'} are written.")


if __name__ == "__main__":
    run_command(main, "\nstopped; the same command goes on from here")
