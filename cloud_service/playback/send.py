"""Sending a file by byte ranges as RFC 9110 has it, for as long as somebody may go on receiving it."""

import asyncio
import os
from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from cloud_service.playback.blocks import BLOCK_BYTES, blocks, read_cached
from cloud_service.playback.ranges import ByteRange, Unsatisfiable, is_unchanged, range_still_holds, wanted_range
from shared.problems import AppError, InternalError

Headers = list[tuple[bytes, bytes]]


class RangeNotSatisfiable(AppError):
    status, code, title = 416, "range_not_satisfiable", "The file has no such bytes"


class Representation(NamedTuple):
    """A file as a client sees it; `size` in bytes, `modified_at` in Unix seconds."""

    path: str
    size: int
    etag: str
    modified_at: int
    media_type: str


async def send_file(
    scope: Scope,
    receive: Receive,
    send: Send,
    file: Representation,
    *,
    also: Headers,
    may_go_on: Callable[[], bool],
) -> None:
    """Answer a GET or HEAD, with the headers `also`. `may_go_on` is asked before every block after the first.

    Raises RangeNotSatisfiable, and InternalError for a file that is missing, before anything is sent.
    """
    status, part, answer = _negotiated(scope["method"], dict(scope["headers"]), file)
    answer += also
    if part is None:
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": b""})
        return
    handle = _open(file)
    try:
        await send({"type": "http.response.start", "status": status, "headers": answer})
        if part.length <= BLOCK_BYTES:
            block = read_cached(handle, part.start, part.length)
            if block is not None and len(block) == part.length:
                await send({"type": "http.response.body", "body": block})
                return
        await _send_blocks(handle, part, receive, send, may_go_on)
    finally:
        os.close(handle)


def _open(file: Representation) -> int:
    try:
        return os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InternalError from None


async def _send_blocks(
    handle: int, part: ByteRange, receive: Receive, send: Send, may_go_on: Callable[[], bool]
) -> None:
    """Until everything is sent, the client has gone, or it may not go on: the server cuts what is left unfinished."""
    gone = asyncio.ensure_future(_disconnected(receive))
    left = part.length
    try:
        async for block in blocks(handle, part.start, part.stop):
            if gone.done() or not may_go_on():
                return
            left -= len(block)
            await send({"type": "http.response.body", "body": block, "more_body": left > 0})
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _negotiated(
    method: str, headers: dict[bytes, bytes], file: Representation
) -> tuple[int, ByteRange | None, Headers]:
    """Status, the bytes to send if any, and the headers (RFC 9110). A Range means something to GET only."""
    answer: Headers = [
        (b"accept-ranges", b"bytes"),
        (b"etag", file.etag.encode()),
        (b"last-modified", formatdate(file.modified_at, usegmt=True).encode()),
        (b"cache-control", b"private, no-cache"),
    ]
    conditions = (headers.get(b"if-none-match"), headers.get(b"if-modified-since"))
    if any(conditions) and is_unchanged(*conditions, file.etag, file.modified_at):
        return 304, None, answer
    part = None
    asked = headers.get(b"range")
    if asked and method == "GET" and range_still_holds(headers.get(b"if-range"), file.etag, file.modified_at):
        try:
            part = wanted_range(asked, file.size)
        except Unsatisfiable:
            raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{file.size}"}) from None
    status, sent = (206, part) if part else (200, ByteRange(0, file.size))
    if part:
        answer.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, file.size)))
    answer += [
        (b"content-length", b"%d" % sent.length),
        (b"content-type", file.media_type.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    return status, sent if method == "GET" else None, answer
