"""Runs one ASGI application as a process; a busy port is one clear line."""

import asyncio
import ctypes
import resource
import signal
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.connections import BoundedHead, has_body
from shared.ports import bind
from shared.problems import TooLarge, TooSlow, problem_response
from shared.settings import stop

GRACE_S = 5
KEEP_ALIVE_S = 10
"""How long a connection may be idle: twice as long as any caller of ours keeps one, edges and httpx, so that none is
closed as a request is on its way by it."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
BODY_HEAD_START_S, BODY_BYTES_PER_S = 30.0, 2 * 1024
"""Less than any line brings, and more than somebody sends who only wants to keep a connection."""
CLOSING = {"Connection": "close"}
KEPT_BYTES = 16 * 2**20
LARGEST_KEPT_BYTES = 4 * 2**20
FILES_AT_MOST, FILES_BESIDE, FILES_OF_A_CONNECTION = 2**20, 128, 3
"""A connection is one, and a film that it is sent; or twice one, and an upload that comes by it."""


def keep_freed_memory() -> None:
    """For the next use, instead of giving it back to the system: pieces of a film come and go by the thousand, and to
    have the system clear pages for each took half of the time that receiving them takes.

    Elsewhere than with glibc nothing changes.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def room_for_connections() -> int:
    """How many there is room for among the files that this process may have open: as many as it can be let."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES_AT_MOST if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    except (OSError, ValueError):
        files = soft
    return max(1, (files - FILES_BESIDE) // FILES_OF_A_CONNECTION)


def serve(
    app: Callable[[], ASGIApp],
    host: str,
    port: int,
    port_setting: str,
    begins_at_once: Callable[[Scope], bool] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. The port is taken first, so that the application is built only if it is free.

    `begins_at_once` is as in `BoundedHead`.
    """
    try:
        sock = bind(host, port)
    except OSError as error:
        stop(f"cannot listen on {host}:{port} ({error.strerror}); set {port_setting} to another port")
    keep_freed_memory()
    # uvicorn raises the signal anew once it has shut down: to be stopped is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        application = app()
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}")
    at_once = begins_at_once and staticmethod(begins_at_once)
    own = {"begins_at_once": at_once, "at_most": room_for_connections()}
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=type("Connection", (BoundedHead,), own),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config).run(sockets=[sock])


_stopping = False


def is_stopping() -> bool:
    """Whether this process was told to end: what waits for something should wait no longer."""
    return _stopping


class Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        global _stopping
        _stopping = True
        super().handle_exit(sig, frame)


class BodyLimit:
    """ASGI middleware: refuses a body over `limit` bytes, by its declared length before reading any of it, and one
    that, after `head_start_s`, comes at less than BODY_BYTES_PER_S.

    A request for which there is no limit is one whose route streams the body and sees to both for itself.
    """

    def __init__(
        self, app: ASGIApp, limit: Callable[[Scope], int | None], head_start_s: float = BODY_HEAD_START_S
    ) -> None:
        self.app, self.limit, self.head_start_s = app, limit, head_start_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self.limit(scope) if scope["type"] == "http" else None
        if limit is None:
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > limit:
            refusal = problem_response(TooLarge(f"At most {limit} bytes are taken here."))
            refusal.headers.update(CLOSING)
            await refusal(scope, receive, send)
            return
        taken, began = 0, asyncio.get_running_loop().time()
        is_awaited = has_body(scope["headers"])
        """Until it is there, or the answer begins: who receives then wants to know when the client leaves."""

        async def counted() -> Message:
            nonlocal taken, is_awaited
            if not is_awaited:
                return await receive()
            # FastAPI lets no other kind of error through while it reads a body.
            try:
                async with asyncio.timeout_at(began + self.head_start_s + taken / BODY_BYTES_PER_S):
                    message = await receive()
            except TimeoutError:
                if is_awaited:
                    raise HTTPException(TooSlow.status, headers=CLOSING) from None
                return await receive()
            taken += len(message.get("body", b""))
            if is_awaited and taken > limit:
                raise HTTPException(TooLarge.status, headers=CLOSING)
            is_awaited = is_awaited and message.get("more_body", False)
            return message

        async def noted(message: Message) -> None:
            nonlocal is_awaited
            is_awaited = False
            await send(message)

        await self.app(scope, counted, noted)
