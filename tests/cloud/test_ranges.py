"""RFC 9110: which bytes a Range header asks for, and when a condition holds."""

from email.utils import formatdate

import pytest

from cloud_service.playback.ranges import ByteRange, Unsatisfiable, is_unchanged, range_still_holds, wanted_range

SIZE = 1000
ETAG = '"abc"'
MODIFIED = 1_700_000_000


ABSURD = [
    b"Fri, 31 Dec 0000 23:59:59 GMT",
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"Fri, 31 Dec 9999 23:59:59 -9999999999",
    b"Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    b"Tue, 14 Nov 2023 22:13:20 +99999999999999999999",
]
"""Dates that are none on any clock; Python's own reading of them ends in several kinds of error."""


def date(moment: int) -> bytes:
    return formatdate(moment, usegmt=True).encode()


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
        (b"Bytes=1-2", 1, 3),
        (b"bytes=0001-0002", 1, 3),
        (b"bytes=0-9999999999999999999", 0, 1000),
        (b"bytes=-9999999999999999999", 0, 1000),
    ],
)
def test_one_range_is_those_bytes(header: bytes, start: int, stop: int) -> None:
    found = wanted_range(header, SIZE)
    assert found == ByteRange(start, stop)
    assert found.length == stop - start


@pytest.mark.parametrize("header", [b"bytes=1000-", b"bytes=1000-2000", b"bytes=9999999999999999999-", b"bytes=-0"])
def test_a_range_without_one_byte_is_unsatisfiable(header: bytes) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_range(header, SIZE)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1-b",
        b"bytes=5-2",
        b"bytes=--1",
        b"bytes=1--2",
        b"bytes=+1-2",
        b"bytes=1.0-2",
        b"bytes=0x1-0x2",
        b"bytes=1 - 2",
        b"bytes:0-1",
        b"0-1",
        b"items=0-1",
        b"none",
        b"bytes=0-1,2-3",
        b"bytes=0-1,",
        b"bytes=,0-1",
        b"bytes=" + b"9" * 20 + b"-",
        b"bytes=" + b"9" * 5000 + b"-" + b"9" * 5000,
        "bytes=\u0661-\u0662".encode(),
        b"bytes=0-1\x00",
    ],
)
def test_anything_else_is_answered_with_the_whole(header: bytes) -> None:
    assert wanted_range(header, SIZE) is None


def test_every_range_of_a_small_video_is_as_slicing_has_it() -> None:
    content = bytes(range(7))
    for first in range(7):
        for last in range(first, 9):
            found = wanted_range(b"bytes=%d-%d" % (first, last), 7)
            assert found is not None
            assert content[found.start : found.stop] == content[first : last + 1]


@pytest.mark.parametrize(
    ("if_range", "holds"),
    [
        (None, True),
        (b'"abc"', True),
        (b' "abc" ', True),
        (b'"abd"', False),
        (b'W/"abc"', False),
        (b"abc", False),
        (b"*", False),
        (b"", False),
        (date(MODIFIED), True),
        (date(MODIFIED - 1), False),
        (date(MODIFIED + 1), False),
        (b"yesterday", False),
        (b"Tue, 99 Nov 2023 99:99:99 GMT", False),
        (b"\xff\xfe", False),
        *((absurd, False) for absurd in ABSURD),
    ],
)
def test_a_range_holds_for_the_very_same_video_only(if_range: bytes | None, holds: bool) -> None:
    assert range_still_holds(if_range, ETAG, MODIFIED) is holds


@pytest.mark.parametrize(
    ("if_none_match", "if_modified_since", "unchanged"),
    [
        (None, None, False),
        (b'"abc"', None, True),
        (b'W/"abc"', None, True),
        (b'"x", "abc" , "y"', None, True),
        (b'"x"', None, False),
        (b"*", None, True),
        (b"abc", None, False),
        (None, date(MODIFIED), True),
        (None, date(MODIFIED + 60), True),
        (None, date(MODIFIED - 60), False),
        (None, b"not a date", False),
        *((None, absurd, False) for absurd in ABSURD),
        (b'"x"', date(MODIFIED + 60), False),
        (b'"abc"', date(0), True),
    ],
)
def test_a_copy_is_current_by_its_tag_or_else_by_its_date(
    if_none_match: bytes | None, if_modified_since: bytes | None, unchanged: bool
) -> None:
    assert is_unchanged(if_none_match, if_modified_since, ETAG, MODIFIED) is unchanged
