"""RFC 9110 section 13: when a condition holds for a file, and when a range of it still does."""

import os
from email.utils import formatdate
from pathlib import Path

import pytest

from cloud_service.playback.conditions import Validators, has_failed, is_unchanged, range_still_holds, validators_of

MODIFIED = 1_700_000_000
NOW = Validators(b'"abc"', formatdate(MODIFIED, usegmt=True).encode(), MODIFIED)

ABSURD = [
    b"Fri, 31 Dec 0000 23:59:59 GMT",
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"Fri, 31 Dec 9999 23:59:59 -9999999999",
    b"Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    b"Tue, 14 Nov 2023 22:13:20 +99999999999999999999",
]
"""Dates that are none on any clock; Python's own reading of them ends in several kinds of error."""
SPELLED = [b"Tuesday, 14-Nov-23 22:13:20 GMT", b"Tue Nov 14 22:13:20 2023", b"Tue, 14 Nov 2023 22:13:20 GMT"]
"""The three spellings of MODIFIED that a server has to read (5.6.7)."""


def date(moment: int) -> bytes:
    return formatdate(moment, usegmt=True).encode()


def fields(**headers: bytes | None) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value for name, value in headers.items() if value is not None}


def test_validators_are_those_that_nginx_has_for_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"x" * 1234)
    os.utime(tmp_path / "film", ns=(0, MODIFIED * 10**9 + 999_999_999))
    etag, last_modified, modified_at = validators_of(os.stat(tmp_path / "film"))
    assert (etag, modified_at) == (b'"6553f100-4d2"', MODIFIED)
    assert last_modified == b"Tue, 14 Nov 2023 22:13:20 GMT"


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
        *((spelled, True) for spelled in SPELLED),
        *((absurd, False) for absurd in ABSURD),
    ],
)
def test_a_range_holds_for_the_very_same_video_only(if_range: bytes | None, holds: bool) -> None:
    assert range_still_holds(if_range, NOW) is holds


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
        (b"", None, False),
        (None, date(MODIFIED), True),
        (None, date(MODIFIED + 60), True),
        (None, date(MODIFIED - 60), False),
        (None, b"not a date", False),
        *((None, spelled, True) for spelled in SPELLED),
        *((None, absurd, False) for absurd in ABSURD),
        (b'"x"', date(MODIFIED + 60), False),
        (b'"abc"', date(0), True),
    ],
)
def test_a_copy_is_current_by_its_tag_or_else_by_its_date(
    if_none_match: bytes | None, if_modified_since: bytes | None, unchanged: bool
) -> None:
    assert is_unchanged(fields(if_none_match=if_none_match, if_modified_since=if_modified_since), NOW) is unchanged


@pytest.mark.parametrize(
    ("if_match", "if_unmodified_since", "failed"),
    [
        (None, None, False),
        (b'"abc"', None, False),
        (b'"x", "abc"', None, False),
        (b"*", None, False),
        (b'"x"', None, True),
        (b'W/"abc"', None, True),
        (b"", None, True),
        (None, date(MODIFIED), False),
        (None, date(MODIFIED + 60), False),
        (None, date(MODIFIED - 1), True),
        (None, b"not a date", False),
        *((None, absurd, False) for absurd in ABSURD[2:]),
        (b'"abc"', date(0), False),
        (b'"x"', date(MODIFIED), True),
    ],
)
def test_whoever_wants_another_state_of_the_file_is_refused(
    if_match: bytes | None, if_unmodified_since: bytes | None, failed: bool
) -> None:
    assert has_failed(fields(if_match=if_match, if_unmodified_since=if_unmodified_since), NOW) is failed
