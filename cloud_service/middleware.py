"""What stands before the framework on a node."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_service.node import DatabaseUnusable
from cloud_service.playback.play import plays
from cloud_service.playback.stream import streams
from cloud_service.uploads.tus.middleware import is_tus
from shared.problems import problem_response

BAD_REQUEST = 400

SENT_BY_PAGES = (
    *("Authorization", "Content-Type", "Idempotency-Key", "Repr-Digest", "X-Request-ID"),
    *("Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"),
    *("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Checksum", "Upload-Defer-Length"),
    *("Upload-Concat", "X-HTTP-Method-Override"),
)
READ_BY_PAGES = (
    *("Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", "Repr-Digest", "Retry-After"),
    *("X-Request-ID", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
    *("Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Expires"),
)
"""Headers that pages of other origins may send and read, besides those that they always may."""


def takes_upload(scope: Scope) -> bool:
    """Whether the request's body is a video, a file or captions, which the route reads and bounds by itself."""
    method, path = scope["method"], scope["path"]
    if is_tus(path):
        return method in ("POST", "PATCH")
    return (method == "POST" and path in ("/videos", "/files")) or (method == "PUT" and "/captions/" in path)


def is_fast(scope: Scope) -> bool:
    """Whether it is answered past the framework. What has to be waited for there, waits in tasks of its own."""
    return streams(scope) or plays(scope)


class FastLane:
    """ASGI middleware: streaming and signed links are answered by callables of `app.state`, past the framework."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self.app, self.api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lane: ASGIApp | None = self.app
        if streams(scope):
            lane = self.api.state.stream
        elif plays(scope):
            lane = self.api.state.play
        await (lane or problem_response(DatabaseUnusable(retry_after_s=1)))(scope, receive, send)


class CloseRefusedUploads:
    """ASGI middleware: an upload that is refused ends its connection, or the server would swallow all of its bytes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= BAD_REQUEST:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        is_upload = scope["type"] == "http" and takes_upload(scope)
        await self.app(scope, receive, closing if is_upload else send)
