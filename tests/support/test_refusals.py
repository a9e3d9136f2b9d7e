"""Counts and numbers of events: what is none is refused in words."""

import numpy as np
import pytest
from small import refused

from helpers.support.refusals import check_count, check_events


@pytest.mark.parametrize("count", [0, -1, 2.5, 2.0, float("nan"), "2", None, 10])
def test_a_count_is_a_whole_number_within_its_reach(count):
    for good in (1, 9, np.int64(9)):
        check_count("beams", good, 9)
    words = f"from 1 to 9, the most, found {count}"
    refused(lambda: check_count("beams", count, 9, ", the most"), words, start="beams: ")
    check_count("beams", 10**9)
    refused(lambda: check_count("beams", 0), "of at least 1, found 0")


def test_numbers_of_events_are_those_of_the_log():
    assert check_events([0, 9], 10).tolist() == [0, 9] and check_events(9, 10) == 9
    for events, stranger in (([3, 10], 10), ([-1], -1), ([1.5], 1.5), (10, 10)):
        refused(lambda: check_events(events, 10), "0 to 9", start=f"event {stranger}: ")
    refused(lambda: check_events([], 10), start="events: there are none")
