"""Sending a file by byte ranges as RFC 9110 has it, for as long as somebody may go on receiving it."""

import asyncio
import errno
import logging
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from starlette.types import Scope, Send

from cloud_service.playback.conditions import Validators, validators_of
from cloud_service.playback.edge import EDGE_BYTES, Edge, is_plain
from cloud_service.playback.errors import TooManyOpenFiles
from cloud_service.playback.memory import bring_in
from cloud_service.playback.negotiation import OF_A_RIGHT, Answer, Headers, negotiated
from cloud_service.playback.portions import Portion
from shared.answers import ZERO_COPY
from shared.problems import AppError, InternalError

log = logging.getLogger(__name__)

PARTIAL = 206

MayGoOn = Callable[[], Awaitable[bool]]
Noted = Callable[[int, int], Awaitable[None]]
"""Told of bytes of the file, from where up to where, just before they are sent or left to the edge. Ends the answer by
raising ConnectionError.
"""


class Representation(NamedTuple):
    """A file that clients see as `media_type`; `absence` is what they are told when it is not there."""

    path: str
    media_type: str
    absence: type[AppError] = InternalError
    cache_control: bytes = OF_A_RIGHT


async def send_file(
    scope: Scope,
    send: Send,
    file: Representation,
    *,
    also: Headers,
    may_go_on: MayGoOn,
    edge: Edge | None = None,
    noted: Noted | None = None,
    portion: Portion | None = None,
) -> None:
    """Answer a GET or HEAD, with the headers `also`. `may_go_on` is asked before each further part of a long answer,
    parts that are as long as `portion` says, which this viewer's answers may share.

    With an edge, a short answer is left to that. What the node sends is the file that it opened and looked at, whatever
    takes its place meanwhile. Raises what `negotiated` does, and `file.absence`, before anything is sent.
    """
    if edge and await _leave(edge, scope, send, file, also, noted):
        return
    handle = _open(file)
    try:
        answer, _ = _answered(scope, file, os.fstat(handle))
        headers = answer.headers + answer.framing + also
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await _send_body(handle, answer, send, may_go_on, noted, portion or Portion())
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
    for piece in answer.body:
        if noted and isinstance(piece, range):
            await noted(piece.start, piece.stop)
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
    if error.errno in (errno.EMFILE, errno.ENFILE):
        log.error("no more files can be opened")
        return TooManyOpenFiles()
    return _unusable(file, str(error.strerror))


def _unusable(file: Representation, reason: str) -> AppError:
    log.error("a file cannot be sent", extra={"file": file.path, "reason": reason})
    return InternalError()


async def _send_body(
    handle: int, answer: Answer, send: Send, may_go_on: MayGoOn, noted: Noted | None, portion: Portion
) -> None:
    """Until everything is sent, the client has gone, or it may not go on: the server cuts what is left unfinished."""
    left = answer.length
    if not left:
        await send({"type": "http.response.body", "body": b""})
    try:
        for part in _parts(answer, portion):
            if left < answer.length:
                await asyncio.sleep(0)  # who takes everything at once is not the only one
                if not await may_go_on():
                    return
            left -= len(part)
            if isinstance(part, bytes):
                await send({"type": "http.response.body", "body": part, "more_body": left > 0})
                continue
            await bring_in(handle, part)
            if noted:
                await noted(part.start, part.stop)
            of_file = {"file": handle, "offset": part.start, "count": len(part), "goes_on": may_go_on}
            began = time.monotonic()
            await send({"type": ZERO_COPY, **of_file, "more_body": left > 0})
            portion.took(len(part), time.monotonic() - began)
    except ConnectionError:
        pass
    except (EOFError, OSError) as error:
        log.error("a file could not be read to its end", extra={"reason": str(error)})


def _parts(answer: Answer, portion: Portion) -> Iterator[bytes | range]:
    """Its pieces, those of the file in parts as long as may be sent at the time."""
    for piece in answer.body:
        if isinstance(piece, bytes):
            yield piece
            continue
        start = piece.start
        while start < piece.stop:
            yield (part := range(start, min(start + portion.size, piece.stop)))
            start = part.stop
