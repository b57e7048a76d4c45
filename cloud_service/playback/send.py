"""Sending a file by byte ranges as RFC 9110 has it, for as long as somebody may go on receiving it."""

import asyncio
import logging
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from cloud_service.playback.blocks import BLOCK_BYTES, blocks, read_cached
from cloud_service.playback.conditions import Validators, validators_of
from cloud_service.playback.edge import EDGE_BYTES, Edge, is_plain
from cloud_service.playback.negotiation import OF_A_RIGHT, Answer, Headers, negotiated
from shared.problems import AppError, InternalError

log = logging.getLogger(__name__)

PARTIAL = 206

MayGoOn = Callable[[], Awaitable[bool]]
Noted = Callable[[int, int], Awaitable[None]]
"""Told of bytes of the file, from where up to where, just before they are sent or left to the edge."""


class Representation(NamedTuple):
    """A file that clients see as `media_type`; `absence` is what they are told when it is not there."""

    path: str
    media_type: str
    absence: type[AppError] = InternalError
    cache_control: bytes = OF_A_RIGHT


async def send_file(
    scope: Scope,
    receive: Receive,
    send: Send,
    file: Representation,
    *,
    also: Headers,
    may_go_on: MayGoOn,
    edge: Edge | None = None,
    noted: Noted | None = None,
) -> None:
    """Answer a GET or HEAD, with the headers `also`. `may_go_on` is asked before every block of a long answer.

    With an edge, a short answer is left to that. What the node sends is the file that it opened and looked at, whatever
    takes its place meanwhile. Raises what `negotiated` does, and `file.absence`, before anything is sent.
    """
    if edge and await _leave(edge, scope, send, file, also, noted):
        return
    handle = _open(file)
    try:
        answer, _ = _answered(scope, file, os.fstat(handle))
        at_once = _read_at_once(handle, answer)
        if at_once is not None:
            await _note(noted, answer)
        headers = answer.headers + answer.framing + also
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if at_once is None:
            await _send_blocks(handle, answer, receive, send, may_go_on, noted)
        else:
            await send({"type": "http.response.body", "body": at_once})
    finally:
        os.close(handle)


async def _leave(
    edge: Edge, scope: Scope, send: Send, file: Representation, also: Headers, noted: Noted | None
) -> bool:
    """Whether the edge was told to send it: an answer that is short, and that every edge would make the same of."""
    try:
        state = os.stat(file.path, follow_symlinks=False)
    except OSError as error:
        raise _trouble(file, error) from None
    answer, now = _answered(scope, file, state)
    if len(answer.body) != 1 or answer.length > EDGE_BYTES:
        return False
    if not is_plain(scope["headers"], now, is_part=answer.status == PARTIAL):
        return False
    await _note(noted, answer)
    address = [(b"content-length", b"0"), (b"x-accel-redirect", edge.address_of(file.path))]
    await send({"type": "http.response.start", "status": 200, "headers": answer.headers + also + address})
    await send({"type": "http.response.body", "body": b""})
    return True


def _open(file: Representation) -> int:
    """A symbolic link in its place would lead to somebody else's."""
    try:
        return os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise _trouble(file, error) from None


def _answered(scope: Scope, file: Representation, state: os.stat_result) -> tuple[Answer, Validators]:
    if not stat.S_ISREG(state.st_mode):
        raise _unusable(file, "not a file")
    now = validators_of(state)
    fields = dict(reversed(scope["headers"]))  # of a header that is there twice, the first, as with nginx
    return negotiated(scope["method"], fields, now, state.st_size, file.media_type, file.cache_control), now


def _trouble(file: Representation, error: OSError) -> AppError:
    if isinstance(error, FileNotFoundError) and file.absence is not InternalError:
        return file.absence()
    return _unusable(file, str(error.strerror))


def _unusable(file: Representation, reason: str) -> AppError:
    log.error("a file cannot be sent", extra={"file": file.path, "reason": reason})
    return InternalError()


async def _note(noted: Noted | None, answer: Answer) -> None:
    """Of an answer that is sent at once, in one piece or none."""
    for piece in answer.body:
        if noted and isinstance(piece, range):
            await noted(piece.start, piece.stop)


def _read_at_once(handle: int, answer: Answer) -> bytes | bytearray | memoryview | None:
    """The whole body, if that is short and in memory."""
    if not answer.body:
        return b""
    (first, *rest) = answer.body
    if rest or isinstance(first, bytes) or len(first) > BLOCK_BYTES:
        return None
    block = read_cached(handle, first.start, len(first))
    return block if block is not None and len(block) == len(first) else None


async def _send_blocks(
    handle: int, answer: Answer, receive: Receive, send: Send, may_go_on: MayGoOn, noted: Noted | None
) -> None:
    """Until everything is sent, the client has gone, or it may not go on: the server cuts what is left unfinished."""
    gone = asyncio.ensure_future(_disconnected(receive))
    left = answer.length
    try:
        async for block, start in _blocks_of(handle, answer):
            if gone.done() or not await may_go_on():
                return
            if noted and start is not None:
                await noted(start, start + len(block))
            left -= len(block)
            await send({"type": "http.response.body", "body": block, "more_body": left > 0})
    except (EOFError, OSError) as error:
        log.error("a file could not be read to its end", extra={"reason": str(error)})
    finally:
        gone.cancel()


async def _blocks_of(handle: int, answer: Answer) -> AsyncIterator[tuple[bytes | bytearray | memoryview, int | None]]:
    """Each with where in the file it begins, if it is of the file."""
    for piece in answer.body:
        if isinstance(piece, bytes):
            yield piece, None
            continue
        start = piece.start
        async for block in blocks(handle, piece.start, piece.stop):
            yield block, start
            start += len(block)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
