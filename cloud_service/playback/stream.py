"""`GET /videos/{id}/stream`: the hot path, a plain ASGI callable in front of the framework.

A warm request costs a dictionary look-up for its token, one for its video, one for its grant, and the read. While a
long answer is being sent, every block is preceded by the same look-ups, so a right that ends, ends the answer.
"""

import asyncio
import logging
import os
from email.utils import formatdate

from starlette.types import Receive, Scope, Send

from cloud_service.access.actions import Access, RightsUnknown, VideoNotFound
from cloud_service.access.models import Viewer
from cloud_service.access.viewers import Viewers
from cloud_service.playback.blocks import BLOCK_BYTES, blocks, read_cached
from cloud_service.playback.ranges import ByteRange, Unsatisfiable, is_unchanged, range_still_holds, wanted_range
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from shared.logs import incoming_request_id
from shared.problems import AppError, InternalError, MethodNotAllowed, problem_response

log = logging.getLogger(__name__)

PREFIX, SUFFIX = "/videos/", "/stream"
Headers = list[tuple[bytes, bytes]]


class RangeNotSatisfiable(AppError):
    status, code, title = 416, "range_not_satisfiable", "The video has no such bytes"


def streams(scope: Scope) -> bool:
    """Whether the request is for this path."""
    if scope["type"] != "http":
        return False
    path: str = scope["path"]
    return path.startswith(PREFIX) and path.endswith(SUFFIX)


class Stream:
    def __init__(self, viewers: Viewers, catalogue: Catalogue, access: Access, store: VideoStore) -> None:
        self._viewers, self._catalogue, self._access, self._store = viewers, catalogue, access, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = incoming_request_id(scope)
        try:
            await self._answer(scope, receive, send, request_id)
        except AppError as error:
            log.info("stream refused", extra={"path": scope["path"], "status": error.status, "code": error.code})
            refusal = problem_response(error)
            refusal.headers["X-Request-ID"] = request_id
            await refusal(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        headers = dict(scope["headers"])
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        viewer = await self._viewers.identify(headers.get(b"authorization", b"").decode("latin-1"))
        video = self._catalogue.get(scope["path"][len(PREFIX) : -len(SUFFIX)].lower())
        if video is None:
            raise VideoNotFound
        if not self._access.granted(viewer, video):
            await self._access.check(viewer, video)
        status, part, answer = _negotiated(scope["method"], headers, video)
        answer.append((b"x-request-id", request_id.encode()))
        if part is None:
            await send({"type": "http.response.start", "status": status, "headers": answer})
            await send({"type": "http.response.body", "body": b""})
            return
        handle = self._open(video)
        try:
            await send({"type": "http.response.start", "status": status, "headers": answer})
            if part.length <= BLOCK_BYTES:
                block = read_cached(handle, part.start, part.length)
                if block is not None and len(block) == part.length:
                    await send({"type": "http.response.body", "body": block})
                    return
            await self._send_blocks(handle, part, viewer, video, receive, send)
        finally:
            os.close(handle)

    def _open(self, video: StoredVideo) -> int:
        try:
            return os.open(self._store.path(video), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            log.error("a video's file is missing", extra={"video_id": video.id})
            raise InternalError from None

    async def _send_blocks(
        self, handle: int, part: ByteRange, viewer: Viewer, video: StoredVideo, receive: Receive, send: Send
    ) -> None:
        """Until everything is sent, the viewer has gone, or the right has ended."""
        gone = asyncio.ensure_future(_disconnected(receive))
        left = part.length
        try:
            async for block in blocks(handle, part.start, part.stop):
                if gone.done():
                    return
                if not self._may_go_on(viewer, video):
                    log.info("right ended", extra={"video_id": video.id, "user_id": viewer.id})
                    return  # the status has been sent; the server cuts an answer that is left unfinished
                left -= len(block)
                await send({"type": "http.response.body", "body": block, "more_body": left > 0})
        finally:
            gone.cancel()

    def _may_go_on(self, viewer: Viewer, video: StoredVideo) -> bool:
        try:
            return self._catalogue.get(video.id) is not None and self._access.granted(viewer, video)
        except RightsUnknown:
            return False


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _negotiated(method: str, headers: dict[bytes, bytes], video: StoredVideo) -> tuple[int, ByteRange | None, Headers]:
    """Status, the bytes to send if any, and the headers (RFC 9110). A Range means something to GET only."""
    answer: Headers = [
        (b"accept-ranges", b"bytes"),
        (b"etag", video.etag.encode()),
        (b"last-modified", formatdate(video.stored_at, usegmt=True).encode()),
        (b"cache-control", b"private, no-cache"),
    ]
    conditions = (headers.get(b"if-none-match"), headers.get(b"if-modified-since"))
    if any(conditions) and is_unchanged(*conditions, video.etag, video.stored_at):
        return 304, None, answer
    part = None
    asked = headers.get(b"range")
    if asked and method == "GET" and range_still_holds(headers.get(b"if-range"), video.etag, video.stored_at):
        try:
            part = wanted_range(asked, video.size)
        except Unsatisfiable:
            raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{video.size}"}) from None
    status, sent = (206, part) if part else (200, ByteRange(0, video.size))
    if part:
        answer.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, video.size)))
    answer += [
        (b"content-length", b"%d" % sent.length),
        (b"content-type", video.media_type.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    return status, sent if method == "GET" else None, answer
