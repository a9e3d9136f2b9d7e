"""The command that simulates a workplace: what it writes, and what it refuses."""

import gzip
from functools import partial

import numpy as np
import pandas as pd
import pytest
from small import command

from helpers.support.files import DATA, ROOT, read_truth
from helpers.tools import simulate
from helpers.tools.simulate import export_all
from helpers.uses.futures import Habits, read_habits
from helpers.world import Workplace

SMALL = Workplace(employees=20, days=20)


run = partial(command, cwd=ROOT, tool="simulate")


def test_the_command_writes_the_same_bytes_twice_and_nothing_else(tmp_path):
    log, truth, changes = export_all(SMALL, progress=False)
    for folder, hash_seed in (("one", "1"), ("two", "2")):
        done = run(
            "--employees",
            SMALL.employees,
            "--days",
            SMALL.days,
            "--out",
            tmp_path / folder,
            PYTHONHASHSEED=hash_seed,
        )
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["floors.npz", "habits.npz", "shift.png", "workplace.csv.gz"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    read = read_truth(tmp_path / "one" / "workplace.csv.gz")
    assert np.array_equal(read.floors, truth.floors)
    assert np.array_equal(read.deciders, truth.deciders) and read.deciders.dtype == np.int8
    assert len(pd.read_csv(tmp_path / "one" / "workplace.csv.gz")) == len(log)
    habits, same = read_habits(tmp_path / "one" / "workplace.csv.gz"), Habits(SMALL, changes)
    assert habits.workplace == SMALL and np.array_equal(habits.values, same.values)


@pytest.mark.parametrize(
    "option, value, words",
    [
        ("employees", 3, "error: key 'employees': must be at least 20, found 3"),
        ("start", "9999-12-31", "error: key 'start': '9999-12-31' is no date"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, option, value, words):
    done = run(f"--{option}", value, "--out", tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(words) and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_before_it_simulates_that_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--out", tmp_path / "file")
    assert (
        done.returncode == 1
        and done.stderr.startswith("error: --out: '")
        and "cannot be made a folder" in done.stderr
        and done.stderr.count("\n") == 1
    )


@pytest.mark.long
def test_the_log_of_the_course_can_be_remade(tmp_path):
    simulate.main(["--out", str(tmp_path)])
    # What is in the archive, byte for byte; another release of zlib may pack the same text in
    # other bytes.
    ours, remade = (
        gzip.decompress((folder / "workplace.csv.gz").read_bytes()) for folder in (DATA, tmp_path)
    )
    assert ours == remade
    ours, remade = (read_truth(folder / "workplace.csv.gz") for folder in (DATA, tmp_path))
    np.testing.assert_allclose(ours.floors, remade.floors, rtol=1e-12, atol=1e-12)
    assert np.array_equal(ours.deciders, remade.deciders)
    ours, remade = (read_habits(folder / "workplace.csv.gz") for folder in (DATA, tmp_path))
    assert np.array_equal(ours.values, remade.values)


def test_the_first_hour_gives_every_habit_and_later_ones_what_changed():
    changes = export_all(SMALL, progress=False)[2]
    hour, habit, value = changes[:, 0], changes[:, 1:3], changes[:, 3]
    whole = Habits(SMALL, changes).values.shape[1]
    assert (hour[:whole] == hour[0]).all() and (np.diff(hour) >= 0).all()
    assert len(np.unique(habit[:whole], axis=0)) == whole
    last = {}
    for one, now in zip(map(tuple, habit.tolist()), value.tolist(), strict=True):
        assert last.get(one) != now
        last[one] = now
    assert len(changes) > 1.5 * whole
