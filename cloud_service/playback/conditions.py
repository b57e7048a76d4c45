"""Conditional requests as RFC 9110 section 13 has them, and what they are compared with."""

import os
from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

Fields = Mapping[bytes, bytes]
"""Of a request, by their names in small letters."""
OF_CONDITIONS = frozenset({b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since"})


class Validators(NamedTuple):
    """Of a file as it is now; `modified_at` in Unix seconds."""

    etag: bytes
    last_modified: bytes
    modified_at: int


def validators_of(state: os.stat_result) -> Validators:
    """As nginx makes them of the same file: they are good whoever sends it, the node or an edge before it."""
    return _validators(state.st_mtime_ns // 10**9, state.st_size)


@lru_cache(maxsize=4096)
def _validators(modified_at: int, size: int) -> Validators:
    return Validators(b'"%x-%x"' % (modified_at, size), formatdate(modified_at, usegmt=True).encode(), modified_at)


def has_failed(fields: Fields, now: Validators) -> bool:
    """Whether the client wants another state of the file or none (13.1.1, 13.1.4): 412."""
    if (if_match := fields.get(b"if-match")) is not None:
        tags = _tags(if_match)
        return not (b"*" in tags or now.etag in tags)
    unmodified_since = _moment(fields.get(b"if-unmodified-since"))
    return unmodified_since is not None and now.modified_at > unmodified_since


def is_unchanged(fields: Fields, now: Validators) -> bool:
    """Whether a 304 says it all (13.1.2, 13.1.3); If-None-Match, when there is one, alone decides."""
    if (if_none_match := fields.get(b"if-none-match")) is not None:
        return names(if_none_match, now.etag)
    modified_since = _moment(fields.get(b"if-modified-since"))
    return modified_since is not None and now.modified_at <= modified_since


def names(if_none_match: bytes, etag: bytes) -> bool:
    """Whether this tag is among those of an If-None-Match, be they weak or strong."""
    tags = {tag.removeprefix(b"W/") for tag in _tags(if_none_match)}
    return b"*" in tags or etag in tags


def range_still_holds(if_range: bytes | None, now: Validators) -> bool:
    """Whether this is the state of the file that the client has part of (13.1.5). A weak tag never says so."""
    if if_range is None:
        return True
    value = if_range.strip()
    if value.startswith((b'"', b"W/")):
        return value == now.etag
    return _moment(value) == now.modified_at


def _tags(listed: bytes) -> list[bytes]:
    return [tag.strip() for tag in listed.split(b",")]


def _moment(date: bytes | None) -> int | None:
    """In Unix seconds. None for what is no date: such a condition is as if it were not there."""
    try:
        read = parsedate_to_datetime((date or b"").decode("latin-1"))
        return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
