"""A connection of our server: uvicorn's, but for whatever films and hostile peers need otherwise."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import httptools
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LINGER_S = 2
HEAD_BYTES = 64 * 1024
ZERO_COPY = "http.response.zerocopysend"
"""Answers part of an open file by its descriptor (https://asgi.readthedocs.io/en/latest/extensions.html)."""
LITTLE_BYTES = 16 * 1024
LARGE_BYTES = 2**20
"""Of a body from which on it is worth while to have it past the parser."""
PIECE_BYTES = 2**19


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

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def close(self) -> None:
        self._linger()


class Cycle(RequestResponseCycle):
    """Hands on the end of a body whose sender has left right behind it, and only then tells of the leaving.

    `linger` ends a connection whose answer came before the end of the body. Understands ZERO_COPY.
    """

    linger: Callable[[], None]
    renew_parser: Callable[[], None]
    body_left: int | None = None
    """Of a body whose length was declared, as far as the parser knows."""
    _direct: socket.socket | None = None
    _is_told = False

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        if self.more_body and not isinstance(self.transport, Lingering):
            self.transport = Lingering(self.transport, self.linger)
        if self._direct:  # the parser would take the rest of the body for a request
            self.keep_alive = False
        if message["type"] == ZERO_COPY:
            return self._send_of_file(message["file"], message["offset"], message["count"], message["more_body"])
        return super().send(message)

    async def _send_of_file(self, file: int, start: int, count: int, more_body: bool) -> None:
        """From file to socket within the system, as much as that takes (sendfile(2)).

        Whenever it takes no more, a little is written in the ordinary way, and with that the transport waits, and looks
        after connections that stall. Raises EOFError when the file ends before, ConnectionError when the client has
        gone.
        """
        if self.chunked_encoding or count > self.expected_content_length:
            raise RuntimeError("not as much as the answer's Content-Length says")
        stop = start + count
        self._check_open()
        self.transport.set_write_buffer_limits(0)  # what is written goes out at once, or is waited for
        try:
            while start < stop:
                if not self.transport.get_write_buffer_size():  # else what is in there goes first, the head above all
                    sent = self._send_at_once(file, start, stop)
                    start += sent
                    self.expected_content_length -= sent
                if start == stop:
                    break
                piece = await _read(file, min(LITTLE_BYTES, stop - start), start)
                if not piece:
                    raise EOFError("the file has become shorter")
                await super().send({"type": "http.response.body", "body": piece, "more_body": True})
                start += len(piece)
                if self.flow.write_paused:
                    await self.flow.drain()
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
        except (ConnectionError, TimeoutError):
            self.disconnected = True
            self.transport.close()
            raise ConnectionResetError from None
        return sent

    def _check_open(self) -> None:
        if self.disconnected or self.transport.is_closing():
            raise ConnectionResetError

    async def receive(self) -> ASGIReceiveEvent:
        if self._direct or self._is_worth_direct():
            return await self._receive_directly()
        message = await super().receive()
        if message["type"] == "http.request":
            self._is_told = not message.get("more_body", False)
        elif not (self.more_body or self._is_told or self.response_complete):
            self._is_told = True
            rest, self.body = bytes(self.body), bytearray()
            return {"type": "http.request", "body": rest, "more_body": False}
        return message

    def _is_worth_direct(self) -> bool:
        is_waiting = self.more_body and not self.body and not self.waiting_for_100_continue
        is_open = not (self.disconnected or self.response_complete or self.transport.is_closing())
        return is_waiting and is_open and (self.body_left or 0) >= LARGE_BYTES

    async def _receive_directly(self) -> ASGIReceiveEvent:
        """From the socket, past the transport and the parser, each of which would copy it once more.

        The parser is of no use for this connection any more until the body is complete, so that an answer before that
        ends it.
        """
        assert self.body_left is not None
        try:
            direct = self._direct or self._begin_direct()
        except OSError:  # no descriptor is left; this way needs none
            return await super().receive()
        try:
            piece = await asyncio.get_running_loop().sock_recv(direct, min(PIECE_BYTES, self.body_left))
        except OSError:
            piece = b""
        if not piece:
            self.end_direct()
            self.disconnected = True
            self.transport.close()
            return {"type": "http.disconnect"}
        self.body_left -= len(piece)
        if self.body_left == 0:
            self.end_direct()
            self.more_body, self._is_told = False, True
            self.renew_parser()
        return {"type": "http.request", "body": piece, "more_body": self.more_body}

    def _begin_direct(self) -> socket.socket:
        """Raises OSError."""
        self._direct = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        self._direct.setblocking(False)
        self.flow.pause_reading()
        return self._direct

    def end_direct(self) -> None:
        """As long as it is open, so is the connection."""
        if self._direct:
            self._direct.close()
            self._direct = None

    def break_direct(self) -> None:
        """With whoever waits for it."""
        if self._direct:
            with suppress(OSError):
                self._direct.shutdown(socket.SHUT_RDWR)
            self.end_direct()


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
        if isinstance(self.cycle, Cycle):
            self.cycle.break_direct()
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
        self.cycle.renew_parser = self._renew_parser
        self.cycle.body_left = _declared_length(self.headers)

    def _renew_parser(self) -> None:
        """For the next request, when the end of this one's body did not come by the parser."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        if isinstance(self.cycle, Cycle) and self.cycle.body_left is not None:
            self.cycle.body_left -= len(body)
        held = self.cycle.body
        if not held:
            self.cycle.body = b""  # type: ignore[assignment]  # to which the piece is added without being copied
        elif isinstance(held, bytes):
            self.cycle.body = bytearray(held)
        super().on_body(body)


async def _read(file: int, count: int, start: int) -> bytes:
    """In a thread, if the disk has to be waited for: what was in memory may be gone when a client takes more."""
    piece = bytearray(count)
    try:
        read = os.preadv(file, [piece], start, os.RWF_NOWAIT)
    except OSError:  # or the file system does not know the flag
        return await asyncio.to_thread(os.pread, file, count, start)
    return bytes(piece[:read])


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """In bytes. The parser has seen to it that there is no other, and no other way to tell the end."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)
