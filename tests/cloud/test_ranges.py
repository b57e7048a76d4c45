"""RFC 9110 section 14: which bytes a Range header asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cloud_service.playback.ranges import MOST_RANGES, Unsatisfiable, wanted_ranges
from tests.cloud.chance import UNHURRIED

SIZE = 1000
HUGE = b"9" * 5000


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        (b"bytes=0-499", 0, 500),
        (b"bytes=500-999", 500, 1000),
        (b"bytes=0-0", 0, 1),
        (b"bytes=999-999", 999, 1000),
        (b"bytes=0-", 0, 1000),
        (b"bytes=999-", 999, 1000),
        (b"bytes=-1", 999, 1000),
        (b"bytes=-1000", 0, 1000),
        (b"bytes=-5000", 0, 1000),
        (b"bytes=900-5000", 900, 1000),
        (b"bytes= 1-2 ", 1, 3),
        (b"bytes=1 - 2", 1, 3),
        (b"Bytes=1-2", 1, 3),
        (b"bytes=0001-0002", 1, 3),
        (b"bytes=" + b"0" * 5000 + b"1-2", 1, 3),
        (b"bytes=0-9999999999999999999", 0, 1000),
        (b"bytes=-9999999999999999999", 0, 1000),
        (b"bytes=0-" + HUGE, 0, 1000),
        (b"bytes=-" + HUGE, 0, 1000),
    ],
)
def test_one_range_is_those_bytes(header: bytes, start: int, stop: int) -> None:
    assert wanted_ranges(header, SIZE) == (range(start, stop),)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (b"bytes=0-1,5-9", [(0, 2), (5, 10)]),
        (b"bytes=0-1, 5-9 , -3", [(0, 2), (5, 10), (997, 1000)]),
        (b"bytes=5-9,0-1", [(5, 10), (0, 2)]),
        (b"bytes=0-9,5-14", [(0, 10), (5, 15)]),
        (b"bytes=0-1,2000-,5-2,-0", [(0, 2)]),
        (b"bytes=0-499,500-999", [(0, 500), (500, 1000)]),
    ],
)
def test_several_ranges_are_those_that_exist_in_the_order_asked_for(
    header: bytes, wanted: list[tuple[int, int]]
) -> None:
    assert wanted_ranges(header, SIZE) == tuple(range(*one) for one in wanted)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes:0-1",
        b"bytes 0-1",
        b"0-1",
        b"items=0-1",
        b"none",
        b"bytes=0-499,500-999,0-0",
        b"bytes=0-,0-",
        b"bytes=-600,-600",
        b"bytes=" + b",".join(b"%d-%d" % (2 * n, 2 * n) for n in range(MOST_RANGES + 1)),
        b"bytes=" + b",".join([b"0-0"] * 10_000),
        b"bytes=" + b",".join([b"2000-"] * 10_000),
        b"bytes=" + b"," * 60_000,
    ],
    ids=lambda header: header[:30],
)
def test_other_units_and_more_than_it_is_worth_are_answered_with_the_whole(header: bytes) -> None:
    assert wanted_ranges(header, SIZE) == ()


def test_as_many_ranges_as_are_allowed_are_answered() -> None:
    asked = [range(2 * number, 2 * number + 1) for number in range(MOST_RANGES)]
    assert wanted_ranges(b"bytes=" + b",".join(b"%d-%d" % (one[0], one[0]) for one in asked), SIZE) == tuple(asked)


@pytest.mark.parametrize(
    "header",
    [
        b"bytes=1000-",
        b"bytes=1000-2000",
        b"bytes=9999999999999999999-",
        b"bytes=" + HUGE + b"-",
        b"bytes=-0",
        b"bytes=5-2",
        b"bytes=1000-,2000-3000",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1-b",
        b"bytes=--1",
        b"bytes=1--2",
        b"bytes=1-2-3",
        b"bytes=+1-2",
        b"bytes=1.0-2",
        b"bytes=0x1-0x2",
        b"bytes=1",
        b"bytes=- 5",
        b"bytes=0-1,",
        b"bytes=,0-1",
        b"bytes=0-1;2-3",
        b"bytes=0-1\x00",
        b"bytes=0-1\t",
        b"bytes=1-" + b" " * 60_000 + b"x",
        b"bytes=" + b" " * 60_000,
        b"bytes=" + b"1" * 60_000,
        "bytes=\u0661-\u0662".encode(),
    ],
    ids=lambda header: header[:30],
)
def test_without_one_byte_that_could_be_meant_a_range_is_unsatisfiable(header: bytes) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_ranges(header, SIZE)


@pytest.mark.parametrize("header", [b"bytes=0-", b"bytes=0-0", b"bytes=-1"])
def test_of_nothing_all_is_sent(header: bytes) -> None:
    assert wanted_ranges(header, 0) == ()


def test_every_range_of_a_small_video_is_as_slicing_has_it() -> None:
    content = bytes(range(7))
    for first in range(7):
        for last in range(first, 9):
            (found,) = wanted_ranges(b"bytes=%d-%d" % (first, last), 7)
            assert content[found.start : found.stop] == content[first : last + 1]


@UNHURRIED
@given(some.text("0123456789-, ", max_size=60), some.integers(0, 10**6))
def test_whatever_is_asked_for_no_more_comes_than_there_is(asked: str, size: int) -> None:
    try:
        found = wanted_ranges(b"bytes=" + asked.encode(), size)
    except Unsatisfiable:
        return
    assert sum(map(len, found)) <= size
    assert all(0 <= one.start < one.stop <= size for one in found)
