"""Runs one ASGI application as a process; a busy port is one clear line."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.problems import TooLarge, problem_response
from shared.settings import stop

GRACE_S = 5
LINGER_S = 2
HEAD_BYTES = 64 * 1024
ZERO_COPY = "http.response.zerocopysend"
"""Answers part of an open file by its descriptor (https://asgi.readthedocs.io/en/latest/extensions.html)."""
FIRST_BYTES = 16 * 1024
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
KEPT_BYTES = 16 * 2**20
LARGEST_KEPT_BYTES = 4 * 2**20


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class Lingering(asyncio.Transport):
    """What an answer is written to whose request is still being sent; `linger` is called in place of a close."""

    def __init__(self, transport: asyncio.Transport, linger: Callable[[], None]) -> None:
        self._transport, self._linger = transport, linger

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def close(self) -> None:
        self._linger()


class Cycle(RequestResponseCycle):
    """Hands on the end of a body whose sender has left right behind it, and only then tells of the leaving.

    `linger` ends a connection whose answer came before the end of the body. Understands ZERO_COPY.
    """

    linger: Callable[[], None]
    _is_told = False

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        if self.more_body and not isinstance(self.transport, Lingering):
            self.transport = Lingering(self.transport, self.linger)
        if message["type"] == ZERO_COPY:
            return self._send_of_file(message["file"], message["offset"], message["count"], message["more_body"])
        return super().send(message)

    async def _send_of_file(self, file: int, start: int, count: int, more_body: bool) -> None:
        """From file to socket within the system, as much as that takes (sendfile(2)).

        Whenever it takes no more, a little is written in the ordinary way, and with that the transport waits, and looks
        after connections that stall. Raises EOFError when the file ends before, ConnectionError when the client has
        gone.
        """
        stop = start + count
        self._check_open()
        self.transport.set_write_buffer_limits(0)  # what is written goes out at once, or is waited for
        try:
            while start < stop:
                piece = os.pread(file, min(FIRST_BYTES, stop - start), start)
                if not piece:
                    raise EOFError("the file has become shorter")
                await super().send({"type": "http.response.body", "body": piece, "more_body": True})
                start += len(piece)
                if self.flow.write_paused:
                    await self.flow.drain()
                sent = self._send_at_once(file, start, stop)
                start += sent
                self.expected_content_length -= sent
        finally:
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()
        if not more_body:
            await super().send({"type": "http.response.body", "body": b"", "more_body": False})

    def _send_at_once(self, file: int, start: int, stop: int) -> int:
        """How many bytes the socket took."""
        self._check_open()  # the number of a socket that is closed may be another's already
        socket_number, sent = self.transport.get_extra_info("socket").fileno(), 0
        try:
            while start + sent < stop:
                taken = os.sendfile(socket_number, file, start + sent, stop - start - sent)
                if not taken:
                    raise EOFError("the file has become shorter")
                sent += taken
        except BlockingIOError:
            pass
        except ConnectionError:
            self.disconnected = True
            self.transport.close()
            raise
        return sent

    def _check_open(self) -> None:
        if self.disconnected or self.transport.is_closing():
            raise ConnectionResetError

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if message["type"] == "http.request":
            self._is_told = not message.get("more_body", False)
        elif not (self.more_body or self._is_told or self.response_complete):
            self._is_told = True
            rest, self.body = bytes(self.body), bytearray()
            return {"type": "http.request", "body": rest, "more_body": False}
        return message


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose head (or trailer) does not end: the parser itself would collect it for ever.

    The parser does not say where a head ends within what was received, so what is counted is what brought neither
    the end of a head nor any of a body.

    One that ends while its peer still sends lingers: it is closed for writing, and wholly a little later. Closed at
    once with bytes unread, it would be reset, and the peer, an edge above all, could lose the answer (RFC 9112 9.6).

    One whose peer takes nothing of its answer for `stalled_s` is broken off, with what waits for it in memory. Players
    that were paused for so long ask for the rest anew.
    """

    stalled_s = 600.0

    _went_on = False
    _lingers = False
    _stalled: asyncio.TimerHandle | None = None
    _unended_bytes = 0

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking(self.transport.get_write_buffer_size())

    def _await_taking(self, waiting: int) -> None:
        """Of some of these bytes at least."""

        def look() -> None:
            if (left := self.transport.get_write_buffer_size()) < waiting:
                self._await_taking(left)
            else:
                self.transport.abort()

        self._stalled = self.loop.call_later(self.stalled_s, look)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._stalled:
            self._stalled.cancel()

    def linger(self) -> None:
        self._lingers = True
        self.flow.pause_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def on_response_complete(self) -> None:
        if self._lingers:  # what is still to come is no request
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        self._went_on = False
        super().data_received(data)
        self._unended_bytes = 0 if self._went_on else self._unended_bytes + len(data)
        if self._unended_bytes > HEAD_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._went_on = True
        self.scope["extensions"] = {ZERO_COPY: {}}
        super().on_headers_complete()
        self.cycle.__class__ = Cycle
        assert isinstance(self.cycle, Cycle)
        self.cycle.linger = self.linger

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        held = self.cycle.body
        if not held:
            self.cycle.body = b""  # type: ignore[assignment]  # to which the piece is added without being copied
        elif isinstance(held, bytes):
            self.cycle.body = bytearray(held)
        super().on_body(body)


def keep_freed_memory() -> None:
    """For the next use, instead of giving it back to the system: pieces of a film come and go by the thousand, and to
    have the system clear pages for each took half of the time that receiving them takes.

    Elsewhere than with glibc nothing changes.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def serve(app: Callable[[], ASGIApp], host: str, port: int, port_setting: str) -> None:
    """Serve until SIGINT or SIGTERM. The port is taken first, so that the application is built only if it is free."""
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
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=BoundedHead,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
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
    """ASGI middleware: refuses a body over `limit` bytes, by its declared length before reading any of it.

    A route that streams its body and counts for itself is let through by `streams`.
    """

    def __init__(self, app: ASGIApp, limit: int, streams: Callable[[Scope], bool] = lambda _: False) -> None:
        self.app, self.limit, self.streams = app, limit, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.streams(scope):
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self.limit:
            refusal = problem_response(TooLarge(f"At most {self.limit} bytes are taken here."))
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limit:
                raise HTTPException(TooLarge.status)  # FastAPI lets no other kind through while it reads a body
            return message

        await self.app(scope, counted, send)
