"""Suffixes: their likeness, their ends and their times, by hand and against the log."""

import numpy as np
import pandas as pd
import pytest
import torch
from rapidfuzz.distance import OSA
from small import refused, small_log, small_model, small_windows
from support.toy import random_log

from helpers.events import TEST, TRAIN, read_log
from helpers.losses import fit_baselines
from helpers.schema import LogMapping
from helpers.uses.forecast import beam_search, log_probability, roll_out, sample
from helpers.uses.suffixes import (
    END,
    WAYS,
    Suffixes,
    TableForecaster,
    add_ends,
    compare,
    find_ends,
    find_medoids,
    grade_suffixes,
    hours_until,
    list_ending,
    middle_hours,
    pick_best,
    rate,
    read_suffixes,
    similarity,
    true_suffixes,
)
from helpers.windows import Windows

# -- likeness


def test_similarity_is_of_the_true_distance_and_not_of_the_alignment():
    # From ca to abc: transpose to ac, then insert b between the two; OSA may not, and needs 3.
    assert OSA.distance("ca", "abc") == 3
    assert similarity("ca", "abc") == pytest.approx(1 - 2 / 3)


@pytest.mark.parametrize(
    "ours, theirs, expected",
    [
        ([1, 2, 3], [1, 2, 3], 1),
        ([1, 2, 3], [1, 3, 2], 1 - 1 / 3),
        ([1, 2], [1, 2, 3, 4], 1 / 2),
        ([1, 2], [], 0),
        ([], [], 1),
        ([300, 7], [300, 8], 1 / 2),
    ],
)
def test_similarity_by_hand(ours, theirs, expected):
    assert similarity(ours, theirs) == similarity(theirs, ours) == pytest.approx(expected)
    found = compare([ours, theirs])
    np.testing.assert_allclose(found, [[1, expected], [expected, 1]], rtol=1e-6)


def test_the_medoid_is_the_sample_most_like_the_others():
    kinds = [[[9, 9], [1, 2, 3], [1, 2, 4], [1, 2, 3, 5]], [[1], [], [], [2]]]
    assert find_medoids(Suffixes(kinds, None, None)).tolist() == [1, 1]


# -- ends


def make_cases() -> pd.DataFrame:
    """Three cases, in no order of time, and with a column of a split."""
    rows = [
        ("a", "go", "2024-01-01 08:00", "1"),
        ("b", "stop", "2024-01-03 10:30", "2"),
        ("b", "go", "2024-01-03 08:00", "2"),
        ("a", "stop", "2024-01-01 09:00", "1"),
        ("c", "go", "2024-01-01 09:00", "1"),
    ]
    return pd.DataFrame(rows, columns=["case", "what", "when", "fold"])


def test_each_sequence_is_given_one_end_after_its_last_event(tmp_path):
    cases = make_cases()
    ended = add_ends(cases, "case", "what", "when")
    pd.testing.assert_frame_equal(ended[: len(cases)], cases)
    assert ended[len(cases) :].to_numpy().tolist() == [
        ["b", END, "2024-01-03 10:30", "2"],
        ["a", END, "2024-01-01 09:00", "1"],
        ["c", END, "2024-01-01 09:00", "1"],
    ]
    many = [
        ended.assign(case=ended["case"] + str(i), when=ended["when"].str.replace("2024", str(i)))
        for i in range(2000, 2020)
    ]
    pd.concat(many).to_csv(tmp_path / "log.csv", index=False)
    mapping = dict(sequence="case", time="when", streams={"case": "case"}, min_count=1)
    mapping |= {"categories": {"what": {"column": "what", "size": 5}}}
    log = read_log(tmp_path / "log.csv", LogMapping(**mapping))
    (end,) = find_ends(log)
    for one in np.unique(log.sequence):
        assert (log.table[log.sequence == one, 0] == end).tolist()[-1]
    assert (log.table[:, 0] == end).sum() == 60


def test_ends_are_not_added_twice_nor_by_columns_that_are_not_there():
    cases = make_cases()
    refused(lambda: add_ends(cases, "who", "what", "when"), "'who'", "case", start="log: ")
    ended = add_ends(cases, "case", "what", "when")
    refused(lambda: add_ends(ended, "case", "what", "when"), "END already", start="log: ")


def test_the_last_event_is_the_last_in_time_however_it_is_written():
    cases = make_cases()
    cases["when"] = ["2024-01-01T08:00+05:00", "2024-1-3", "2024-01-02", "2024-01-01T04:00Z"] + [
        "2024"
    ]
    ended = add_ends(cases, "case", "what", "when")
    assert ended["when"][len(cases) :].tolist() == ["2024-1-3", "2024-01-01T04:00Z", "2024"]
    cases["when"] = ["01.02.2024", "02.01.2024", "03.01.2024", "02.02.2024", "01.01.2024"]
    refused(
        lambda: add_ends(cases, "case", "what", "when"), "year first", start="log: column 'when'"
    )


def test_a_log_without_ends_is_refused():
    log = random_log()
    log.vocabularies = {"kind": [None, "a", "b", "c"]}
    refused(lambda: find_ends(log), "add_ends", "train anew", start="log: ")


def test_true_suffixes_are_what_the_log_has_until_the_shift_ends():
    log, windows = small_log(), small_windows(part=TEST)
    kinds, ends = log.vocabularies["EventType"], find_ends(log)
    assert {kinds[end] for end in ends} == {"timesheet_approved", "timesheet_mended"}
    origins = list_ending(log, windows.origins)
    assert len(origins) > 300
    truth = true_suffixes(log, origins)
    for origin, (some,), hours in zip(origins[::20], truth.kinds[::20], truth.hours[::20, 0]):
        after = np.flatnonzero(log.sequence == log.sequence[origin])
        after = after[after > origin]
        assert log.table[after[: len(some)], 0].tolist() == some and not set(some) & set(ends)
        end = after[len(some)]
        assert log.table[end, 0] in ends
        assert hours == (log.time[end] - log.time[origin]) / np.timedelta64(1, "h")
    every = np.arange(len(log))
    running = np.setdiff1d(every, list_ending(log, every))  # after the last end of their sequence
    refused(lambda: true_suffixes(log, running[:1]), "list_ending", start=f"origin {running[0]}")


# -- what futures say


def test_the_truth_read_as_a_forecast_is_the_truth():
    log, windows = small_log(), Windows(small_log(), TRAIN, 6, 12)  # which knows all its days
    origins = list_ending(log, windows.origins)
    truth = true_suffixes(log, origins)
    read = read_suffixes(log, origins, windows.batch(origins).target[:, None])
    shown = read.ended[:, 0]
    assert shown.mean() > 0.9
    assert [one for one, whole in zip(read.kinds, shown) if whole] == [
        one for one, whole in zip(truth.kinds, shown) if whole
    ]
    np.testing.assert_allclose(read.hours[shown], truth.hours[shown])


def test_a_future_is_cut_at_its_first_end_or_at_the_horizon():
    log = small_log()
    end = find_ends(log)[0]
    futures = np.zeros((1, 3, 4, len(log.categories)), int)
    futures[0, :, :, 0] = [[1, end, 2, end], [end, 1, 1, 1], [1, 2, 1, 2]]
    read = read_suffixes(log, np.array([0]), futures)
    assert read.kinds == [[[1], [], [1, 2, 1, 2]]]
    assert read.ended.tolist() == [[True, True, False]]
    for false in (futures[:, :, :0], futures[..., :5], futures[0], futures.repeat(2, 0)):
        refused(lambda: read_suffixes(log, np.array([0]), false), start="futures must be")


def test_hours_go_to_the_nearest_year_and_never_back():
    origin = np.array(["2021-12-31T20:30", "2024-02-28T23:00"], "datetime64[ns]")
    # Month, day, hour and minute as integers, hours and minutes shifted by one.
    event = np.array([[[1, 1, 5, 1], [12, 31, 21, 46], [12, 31, 1, 1]], [[2, 29, 1, 31]] * 3])
    found = hours_until(origin, event)
    np.testing.assert_allclose(found, [[7.5, 0.25, 0], [1.5, 1.5, 1.5]])


def write_steps(folder) -> str:
    """Cases of three steps of which the second takes an hour or a little more."""
    rng, rows = np.random.default_rng(0), []
    for case in range(60):
        start = np.datetime64("2024-01-01T00:00:00") + np.timedelta64(case, "D")
        for step, seconds in (("one", 0), ("two", 3600 + rng.integers(400)), ("three", 10_000)):
            rows.append((f"c{case}", step, str(start + seconds)))
    log = pd.DataFrame(rows, columns=["case", "what", "when"])
    add_ends(log, "case", "what", "when").to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def read_steps(folder):
    categories = {
        "what": {"column": "what", "size": 6},
        "when": {"column": "when", "kind": "time", "parts": ["SinceLast"]},
    }
    mapping = dict(sequence="case", time="when", streams={"case": "case"}, categories=categories)
    return read_log(write_steps(folder), LogMapping(**mapping))


def test_remaining_time_is_the_sum_of_what_the_bins_count_for(tmp_path):
    log = read_steps(tmp_path)
    middle = middle_hours(log, 1)
    training = log.part == 0
    second = training & (log.table[:, 0] == log.vocabularies["what"].index("two"))
    (bin_of,) = set(log.table[second, 1])
    before = np.flatnonzero(second) - 1
    seconds = (log.time[second] - log.time[before]) / np.timedelta64(1, "s")
    assert middle[bin_of] == pytest.approx(seconds.mean() / 3600)
    assert middle[0] == middle[1] == 0
    assert middle[20] == pytest.approx(2**18.5 / 3600)  # which training never has

    windows = Windows(log, TEST, 3, 3)
    origins = list_ending(log, windows.origins)
    truth = true_suffixes(log, origins)
    read = read_suffixes(log, origins, windows.batch(origins).target[:, None])
    assert read.kinds == truth.kinds
    assert 0 < rate("truth", "", read, truth)["hours"] < 0.1


# -- the table as a rival


def toy_table():
    baselines = fit_baselines(random_log())
    return TableForecaster(baselines), baselines


def test_the_table_says_what_it_expects_of_the_next_event():
    model, baselines = toy_table()
    windows = Windows(random_log(), TEST, 6, 3)
    batch = windows.batch(windows.origins)
    p = model(batch).split(model.sizes, -1)
    counted = batch.counted.numpy()
    for c, part in enumerate(p):
        assert torch.allclose(part.exp().sum(-1), torch.tensor(1.0), atol=1e-5)
        loss = -part.gather(-1, batch.target[..., c, None].long())[..., 0].numpy()
        expected = baselines["back_off"][batch.event.numpy().clip(max=299), c]
        np.testing.assert_allclose(loss[counted], expected[counted], atol=1e-5)


def test_the_table_is_rolled_out_as_a_network_is():
    model, _ = toy_table()
    windows = Windows(random_log(), TEST, 6, 3)
    batch = windows.batch(windows.origins[:8])
    greedy, (futures, log_p) = roll_out(model, batch), beam_search(model, batch, 12)
    assert greedy.shape == (8, 3, 2)
    told = log_probability(model, batch, futures).sum((-1, -2))
    assert torch.allclose(told, log_p, atol=1e-4)
    assert (log_p[:, 0] >= log_probability(model, batch, greedy).sum((1, 2)) - 1e-5).all()
    drawn = sample(model, batch, 2000, torch.Generator().manual_seed(0), steps=1)
    p = model(batch)[:, 0].split(model.sizes, -1)[0].exp()
    found = torch.stack([torch.bincount(one, minlength=4) for one in drawn[:, :, 0, 0]]) / 2000
    assert torch.allclose(found, p, atol=0.05)


def test_a_table_needs_the_history_of_the_sequence_itself():
    log = small_log()
    log.streams = [one for one in log.streams if one.name != "Recipient"]
    baselines = type("Baselines", (), {"fitted": [], "log": log})
    refused(lambda: TableForecaster(baselines), "mapping", start="streams: ")


# -- grades


def test_of_a_beam_the_one_is_picked_that_is_likeliest_up_to_its_end():
    log, model, windows = small_log(), small_model(), small_windows(part=TEST)
    batch = windows.batch(windows.origins[::40])
    picked = pick_best(model, batch, 4, log)
    futures, _ = beam_search(model, batch, 4)
    ends = torch.tensor(find_ends(log))
    for one, theirs, p in zip(picked, futures, log_probability(model, batch, futures).sum(-1)):
        sums = []
        for future, steps in zip(theirs, p):
            end = torch.isin(future[:, 0], ends).nonzero()
            sums.append(steps[: end[0, 0] + 1].sum() if len(end) else steps.sum())
        assert torch.equal(one, theirs[torch.stack(sums).argmax()])


@pytest.fixture(scope="module")
def graded():
    windows, models = small_windows(part=TEST), {"a": small_model(), "b": small_model(seed=1)}
    return windows, models, grade_suffixes(models, windows, prefixes=70, samples=6)


def test_grades_are_a_row_for_each_forecaster_and_way(graded):
    windows, models, table = graded
    assert table["who"].tolist() == ["truth", *["a"] * 6, *["b"] * 6]
    assert table["way"].tolist() == ["", *WAYS, *WAYS]
    assert (table["prefixes"] == 70).all()
    no_suffix = table["way"].isin(["mean", "median"])
    assert table["similarity"].isna().tolist() == no_suffix.tolist()
    assert table["hours"].notna().all()
    again = grade_suffixes(models, windows, prefixes=70, samples=6)
    pd.testing.assert_frame_equal(again, table)


def test_grades_of_greedy_are_means_over_the_prefixes(graded):
    windows, models, table = graded
    log = windows.log
    ending = list_ending(log, windows.origins)
    origins = ending[np.linspace(0, len(ending) - 1, 70).astype(int)]
    truth = true_suffixes(log, origins)
    futures = roll_out(models["b"], windows.batch(origins))[:, None]
    read = read_suffixes(log, origins, futures)
    row = table[(table["who"] == "b") & (table["way"] == "greedy")].iloc[0]
    alike = [similarity(one[0], true[0]) for one, true in zip(read.kinds, truth.kinds)]
    assert row["similarity"] == pytest.approx(np.mean(alike))
    assert row["hours"] == pytest.approx(np.abs(read.hours - truth.hours).mean())
    assert row["no_end"] == pytest.approx(1 - read.ended.mean())
    assert row["length"] == pytest.approx(np.mean([len(one[0]) for one in read.kinds]))


def test_fewer_steps_see_fewer_ends(graded):
    windows, models, table = graded
    short = grade_suffixes({"a": models["a"]}, windows, prefixes=70, samples=6, steps=2)
    for name, count in (("prefixes", 0), ("prefixes", 1.5), ("steps", 0), ("steps", 6)):
        refused(lambda: grade_suffixes(models, windows, **{name: count}), count, start=f"{name}: ")
    assert short["no_end"][0] > table["no_end"][0]
    assert short["similarity"][0] < 1
