"""What a request for a file is answered with, before a byte of it is read."""

import os
from typing import NamedTuple

from cloud_service.playback.conditions import (
    OF_CONDITIONS,
    Fields,
    Validators,
    has_failed,
    is_unchanged,
    range_still_holds,
)
from cloud_service.playback.ranges import Unsatisfiable, wanted_ranges
from shared.problems import AppError

Headers = list[tuple[bytes, bytes]]
OF_A_RIGHT = b"private, no-cache"
"""Whoever asked may keep it, and has to ask again each time: that is what a right's end puts an end to, and with any
`max-age` would not. What is there already then costs a 304."""


class RangeNotSatisfiable(AppError):
    status, code, title = 416, "range_not_satisfiable", "The file has no such bytes"


class PreconditionFailed(AppError):
    status, code, title = 412, "precondition_failed", "The file is not the one that is asked for"


class Answer(NamedTuple):
    """`headers` say of the file what holds whoever sends it, `framing` says which bytes of it come.

    `body` is in pieces, bytes as they are and ranges of the file; `length` is of all of them, in bytes.
    """

    status: int
    headers: Headers
    framing: Headers
    body: tuple[bytes | range, ...] = ()
    length: int = 0


def negotiated(
    method: str, fields: Fields, now: Validators, size: int, media_type: str, cache_control: bytes = OF_A_RIGHT
) -> Answer:
    """To a GET or HEAD. Raises RangeNotSatisfiable, PreconditionFailed."""
    headers = [
        (b"etag", now.etag),
        (b"last-modified", now.last_modified),
        (b"cache-control", cache_control),
        (b"x-content-type-options", b"nosniff"),
    ]
    if not OF_CONDITIONS.isdisjoint(fields):
        if has_failed(fields, now):
            raise PreconditionFailed
        if is_unchanged(fields, now):
            return Answer(304, headers, [])
    ranges = _ranges(fields, now, size) if method == "GET" else ()  # it means something to no other (14.2)
    of_type = media_type.encode()
    framing = [(b"accept-ranges", b"bytes")]
    body: tuple[bytes | range, ...]
    if len(ranges) > 1:
        body, of_type = _multipart(ranges, size, of_type)
    elif ranges:
        body = ranges
        framing.append((b"content-range", _content_range(ranges[0], size)))
    else:
        body = (range(size),)
    headers.append((b"content-type", of_type))
    length = sum(map(len, body))
    framing.append((b"content-length", b"%d" % length))
    status = 206 if ranges else 200
    return Answer(status, headers, framing, body, length) if method == "GET" else Answer(status, headers, framing)


def _ranges(fields: Fields, now: Validators, size: int) -> tuple[range, ...]:
    asked = fields.get(b"range")
    if asked is None or not range_still_holds(fields.get(b"if-range"), now):
        return ()
    try:
        return wanted_ranges(asked, size)
    except Unsatisfiable:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"}) from None


def _multipart(ranges: tuple[range, ...], size: int, media_type: bytes) -> tuple[tuple[bytes | range, ...], bytes]:
    """The body and its media type (14.6). Its boundary is in no film but by a chance that nobody has."""
    boundary = os.urandom(16).hex().encode()
    body: list[bytes | range] = []
    for one in ranges:
        where = _content_range(one, size)
        body += [b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n" % (boundary, media_type, where), one]
    return (*body, b"\r\n--%b--\r\n" % boundary), b"multipart/byteranges; boundary=" + boundary


def _content_range(part: range, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (part.start, part.stop - 1, size)
