"""Byte ranges as RFC 9110 section 14 has them, for one range; anything else is answered with the whole."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_ONE_RANGE = re.compile(rb"bytes=\s*(\d*)-(\d*)\s*", re.IGNORECASE | re.ASCII)
_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


class Unsatisfiable(Exception):
    """Well-formed, but not one byte of it exists: 416."""


def wanted_range(header: bytes, size: int) -> ByteRange | None:
    """The range to send, or None to send everything: other units, several ranges and nonsense are ignored.

    Raises Unsatisfiable.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if max(len(first), len(last)) > _MOST_DIGITS or not (first or last):
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return ByteRange(size - length, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return ByteRange(start, min(int(last) + 1, size) if last else size)


def range_still_holds(if_range: bytes | None, etag: str, modified_at: int) -> bool:
    """Whether the representation is the one the client has part of (RFC 9110 13.1.5). A weak tag never is."""
    if if_range is None:
        return True
    value = if_range.strip()
    if value.startswith((b'"', b"W/")):
        return value == etag.encode()
    try:
        return int(parsedate_to_datetime(value.decode("latin-1")).timestamp()) == modified_at
    except (ValueError, TypeError, OverflowError):
        return False


def is_unchanged(if_none_match: bytes | None, if_modified_since: bytes | None, etag: str, modified_at: int) -> bool:
    """Whether a 304 says it all (RFC 9110 13.2.2); If-None-Match, when there is one, alone decides."""
    if if_none_match is not None:
        tags = {tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")}
        return b"*" in tags or etag.encode() in tags
    if if_modified_since is None:
        return False
    try:
        return modified_at <= int(parsedate_to_datetime(if_modified_since.decode("latin-1")).timestamp())
    except (ValueError, TypeError, OverflowError):
        return False
