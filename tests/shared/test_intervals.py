"""Stretches that are put together."""

import random
from itertools import pairwise

import pytest

from shared.intervals import Stretch, merged


@pytest.mark.parametrize(
    ("stretches", "whole"),
    [
        ([], []),
        ([(3, 3), (5, 4)], []),
        ([(4, 8), (0, 4)], [(0, 8)]),
        ([(0, 4), (4.5, 8)], [(0, 4), (4.5, 8)]),
        ([(0, 10), (2, 3), (9, 12)], [(0, 12)]),
    ],
)
def test_what_touches_becomes_one(stretches: list[Stretch], whole: list[Stretch]) -> None:
    assert merged(stretches) == whole


def test_of_too_many_the_smallest_gaps_are_passed_over() -> None:
    assert merged([(0, 1), (2, 3), (3.5, 4), (9, 10), (9.5, 11)], most=2) == [(0, 4), (9, 11)]


def test_it_holds_everything_that_was_in_them_whatever_they_are() -> None:
    chance = random.Random(5)
    for _ in range(200):
        starts = [chance.randrange(1000) for _ in range(chance.randrange(1, 40))]
        stretches = [(start, start + chance.randrange(1, 50)) for start in starts]
        exact, rough = merged(stretches), merged(stretches, most=5)
        seconds = {second for start, stop in stretches for second in range(start, stop)}
        assert {second for start, stop in exact for second in range(int(start), int(stop))} == seconds
        assert all(one[1] < other[0] for one, other in pairwise(exact))
        assert len(rough) <= 5
        assert merged([*exact, *rough]) == rough
