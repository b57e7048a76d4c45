"""One request and its answer on a connection of our server: uvicorn's, but for large bodies and parts of files."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Protocol

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

ZERO_COPY = "http.response.zerocopysend"
"""Answers part of an open file by its descriptor (https://asgi.readthedocs.io/en/latest/extensions.html)."""
GoesOn = Callable[[], Awaitable[bool]]
LOOK_EVERY_S = 1.0
TIMER_EARLY_S = 0.01
"""More than a timer may be early."""
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

    def abort(self) -> None:
        self._transport.abort()


class Connection(Protocol):
    """`linger` ends one whose answer came before the end of the body. `when_writable` is called whenever it is."""

    when_writable: Callable[[], None] | None

    def linger(self) -> None: ...

    def renew_parser(self) -> None: ...


class Part:
    """Of a file, `left` bytes from `start` on."""

    def __init__(self, file: int, start: int, count: int) -> None:
        self.file, self.start, self.left = file, start, count

    def sent(self, count: int) -> None:
        """Raises EOFError."""
        if not count:
            raise EOFError("the file has become shorter")
        self.start += count
        self.left -= count

    def read(self) -> bytes:
        """A little, and it counts as sent. Raises EOFError."""
        piece = os.pread(self.file, min(LITTLE_BYTES, self.left), self.start)
        self.sent(len(piece))
        return piece

    def read_from_memory(self) -> bytes:
        """As `read`, or nothing if the disk has to be waited for: what was in memory may be gone by now."""
        piece = bytearray(min(LITTLE_BYTES, self.left))
        try:
            count = os.preadv(self.file, [piece], self.start, os.RWF_NOWAIT)
        except OSError:  # or the file system does not know the flag
            return b""
        self.sent(count)
        return bytes(piece[:count])


class Cycle(RequestResponseCycle):
    """Hands on the end of a body whose sender has left right behind it, and only then tells of the leaving.

    Understands ZERO_COPY, and with it `goes_on`, a GoesOn: it is asked whenever a client has made the part wait for so
    long, before more is sent.
    """

    connection: Connection
    body_left: int | None = None
    """Of a body whose length was declared, as far as the parser knows."""
    _direct: socket.socket | None = None
    _is_told = False

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        if self.more_body and not isinstance(self.transport, Lingering):
            self.transport = Lingering(self.transport, self.connection.linger)
        if self._direct:  # the parser would take the rest of the body for a request
            self.keep_alive = False
        if message["type"] == ZERO_COPY:
            part = Part(message["file"], message["offset"], message["count"])
            return self._send_of_file(part, message["more_body"], message.get("goes_on"))
        return super().send(message)

    async def _send_of_file(self, part: Part, more_body: bool, goes_on: GoesOn | None) -> None:
        """From file to socket within the system, as much as that takes (sendfile(2)).

        Whenever it takes no more, a little is written in the ordinary way, and with that the transport waits, and looks
        after connections that stall. Raises EOFError when the file ends before, ConnectionError when the client has
        gone, or the answer may not go on.
        """
        if self.chunked_encoding or part.left > self.expected_content_length:
            raise RuntimeError("not as much as the answer's Content-Length says")
        self.expected_content_length -= part.left
        self._check_open()
        self.transport.set_write_buffer_limits(0)  # what is written goes out at once, or is waited for
        look_at = monotonic() + LOOK_EVERY_S if goes_on else inf
        try:
            while not self._is_sent(part):
                if self.flow.write_paused:
                    await self._sent_by_and_by(part, look_at)
                    if goes_on and monotonic() >= look_at:
                        if not await goes_on():
                            self.transport.abort()  # nor what is on its way to who may take nothing for long
                            raise ConnectionAbortedError
                        look_at = monotonic() + LOOK_EVERY_S
                else:
                    piece = await asyncio.to_thread(part.read)
                    self._check_open()
                    self.transport.write(piece)
        finally:
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()
        if not more_body:
            await super().send({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_sent(self, part: Part) -> bool:
        """As much as the socket takes. What is left waits until it takes more, or for the disk."""
        self._check_open()
        if not self.transport.get_write_buffer_size():  # else what is in there goes first, the head above all
            self._send_at_once(part)
        while part.left and not self.flow.write_paused and (piece := part.read_from_memory()):
            self.transport.write(piece)
            if not self.flow.write_paused:
                self._send_at_once(part)
        return not part.left

    async def _sent_by_and_by(self, part: Part, look_at: float) -> None:
        """Goes on whenever the transport can, without a task's having its turn each time, until it has to."""
        woken = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if woken.done():
                return
            try:
                if monotonic() >= look_at or self._is_sent(part) or not self.flow.write_paused:
                    woken.set_result(None)
            except (EOFError, OSError) as error:
                woken.set_exception(error)

        self.connection.when_writable = go_on
        timer = None
        if look_at < inf:  # also for who takes nothing at all
            timer = asyncio.get_running_loop().call_later(look_at - monotonic() + TIMER_EARLY_S, go_on)
        try:
            await woken
        finally:
            self.connection.when_writable = None
            if timer:
                timer.cancel()

    def _send_at_once(self, part: Part) -> None:
        self._check_open()  # the number of a socket that is closed may be another's already
        socket_number = self.transport.get_extra_info("socket").fileno()
        try:
            while part.left:
                part.sent(os.sendfile(socket_number, part.file, part.start, part.left))
        except BlockingIOError:
            pass
        except (ConnectionError, TimeoutError):
            self.disconnected = True
            self.transport.close()
            raise ConnectionResetError from None

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
            self.connection.renew_parser()
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
