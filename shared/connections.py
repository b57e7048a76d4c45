"""A connection of our server: uvicorn's, but for whatever films and hostile peers need otherwise."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import copy_context
from types import coroutine
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.answers import ZERO_COPY, Cycle, Lingering

LINGER_S = 2
HEAD_BYTES = 64 * 1024
PIPELINED_AT_MOST = 100
"""That wait for their turn. What is read at once may hold thousands of small ones."""


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose head (or trailer) does not end: the parser itself would collect it for ever.

    The parser does not say where a head ends within what was received, so what is counted is what brought neither
    the end of a head nor any of a body.

    One that ends while its peer still sends lingers: it is closed for writing, and wholly a little later. Closed at
    once with bytes unread, it would be reset, and the peer, an edge above all, could lose the answer (RFC 9112 9.6).

    One whose peer takes nothing of its answer for `stalled_s` is broken off, with what waits for it in memory. Players
    that were paused for so long ask for the rest anew.

    What `begins_at_once` says of a request without a body, is answered from where it was received, and becomes a task
    only if and when it has to wait: most of what is known from memory never does, and a task costs more than it. Until
    then there is no current task, which much of anyio and asyncio.timeout want.
    """

    stalled_s = 600.0
    at_most = 2**20
    """Of a process. Those above are closed as they come: there would be no file left for who is there already."""
    told_every_s = 60.0
    _told_at = float("-inf")
    head_s = 30.0
    """For the first head, or one that has begun since the last answer; the edges take as long."""
    begins_at_once: Callable[[Any], bool] | None = None

    _answered: RequestResponseCycle | None = None
    """Not the newest, where others wait for their turn."""
    _at_once: Coroutine[Any, Any, None] | None = None
    """That will begin when the message is complete."""
    _may_begin = False
    """One of those that came together, so that others have their turn."""
    _idle_since: float | None = None
    _idle_at_most_s = 0.0
    when_writable: Callable[[], None] | None = None
    _went_on = False
    _lingers = False
    _makes_no_sense = False
    """What is still received."""
    _stalled: asyncio.TimerHandle | None = None
    _untaken, _untaken_since = 0, 0.0
    _unended_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.at_most:
            self._turn_away()
            return
        self._idle_since, self._idle_at_most_s = self.loop.time(), self.head_s
        self._look_whether_idle(self.head_s)

    def _turn_away(self) -> None:
        self.transport.abort()
        if self.loop.time() - self._told_at >= self.told_every_s:
            type(self)._told_at = self.loop.time()
            self.logger.warning("Connections are turned away: there are %d", self.at_most)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taking()

    def _expect_taking(self) -> None:
        self._untaken, self._untaken_since = self.transport.get_write_buffer_size(), self.loop.time()
        if not self._stalled:
            self._stalled = self.loop.call_later(self.stalled_s, self._look_whether_stalled)

    def _look_whether_stalled(self) -> None:
        """A timer for as long as there are answers that have to wait, not for each time that one does."""
        self._stalled = None
        if not (self.flow.write_paused or self._lingers or self.transport.is_closing()):
            return
        if (left := self.transport.get_write_buffer_size()) < self._untaken:
            self._untaken, self._untaken_since = left, self.loop.time()
        left_s = self._untaken_since + self.stalled_s - self.loop.time()
        if left_s > 0:
            self._stalled = self.loop.call_later(left_s, self._look_whether_stalled)
        else:
            self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.when_writable:
            self.when_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answered and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        if self.when_writable:  # or never again
            self.when_writable()
        if self.timeout_keep_alive_task:
            self.timeout_keep_alive_task.cancel()
        if isinstance(self.cycle, Cycle):
            self.cycle.break_direct()
        if self._stalled:
            self._stalled.cancel()

    def linger(self) -> None:
        self._lingers = True
        self.flow.pause_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
        self._expect_rest_taken()

    def _expect_rest_taken(self) -> None:
        """Of a connection that ends: it is little, so that the transport does not say that it waits."""
        if self.transport.get_write_buffer_size():
            self._expect_taking()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._lingers or self.transport.is_closing():  # what is still to come is no request
            self._expect_rest_taken()
            return
        if self.pipeline:  # and nothing more is read before those are answered, unless one waits for its body
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.flow.resume_reading()
            self._idle_since, self._idle_at_most_s = self.loop.time(), self.timeout_keep_alive
            if not self.timeout_keep_alive_task:
                self._look_whether_idle(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Whatever is received: only a head that is complete is something to do."""

    def _look_whether_idle(self, after_s: float) -> None:
        """A timer for a connection, not for each request on it: to set one costs more than to look in vain.

        Never further ahead than an answer that is given meanwhile would have it.
        """
        after_s = min(after_s, self.timeout_keep_alive)
        self.timeout_keep_alive_task = self.loop.call_later(after_s, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left_s = self._idle_since + self._idle_at_most_s - self.loop.time()
        if left_s > 0:
            self._look_whether_idle(left_s)
        else:
            super().timeout_keep_alive_handler()
            self._expect_rest_taken()

    def data_received(self, data: bytes) -> None:
        if self._lingers or self._makes_no_sense:
            return
        self._went_on, self._may_begin = False, True
        super().data_received(data)
        self._may_begin = False
        self._unended_bytes = 0 if self._went_on else self._unended_bytes + len(data)
        if self._unended_bytes > HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._idle_since is not None:
            self._idle_at_most_s = self.head_s

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_AT_MOST:
            if not self.transport.is_closing():
                self.transport.abort()
            raise BufferError("too many requests wait for their turn")  # nothing else stops the parser
        self._went_on, self._idle_since = True, None
        self.scope["extensions"] = {ZERO_COPY: {}}
        super().on_headers_complete()
        self.cycle.__class__ = Cycle
        assert isinstance(self.cycle, Cycle)
        self.cycle.connection = self
        self.cycle.body_left = _declared_length(self.headers)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self.transport.is_closing():  # what comes after the last answer is no request
            return
        self._answered = cycle
        if self._may_begin and self.begins_at_once and self.begins_at_once(self.scope) and not has_body(self.headers):
            self._at_once = cycle.run_asgi(app)
        else:
            super()._start_asgi_task(cycle, app)
        self._may_begin = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if answering := self._at_once:
            self._at_once = None
            self._begin(answering)

    def _begin(self, answering: Coroutine[Any, Any, None]) -> None:
        context = copy_context()
        try:
            awaited = context.run(answering.send, None)
        except StopIteration:
            return
        task = self.loop.create_task(_going_on(answering, awaited), context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def send_400_response(self, msg: str) -> None:
        """Unless the last answer was given, or one is under way: it would be taken for a part of that.

        Then what was asked before is answered, and that is all.
        """
        if self._lingers or self._makes_no_sense or self.transport.is_closing():
            return
        if self.pipeline and self.cycle.more_body:  # it is in the body of this
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._answered
        if last is None or last.response_complete or (not self.pipeline and self._is_called_off(last)):
            super().send_400_response(msg)
            self._expect_rest_taken()
        elif last.more_body:
            self.transport.close()
            self._expect_rest_taken()
        else:
            self._makes_no_sense, last.keep_alive = True, False
            last.transport = Lingering(self.transport, self.linger)

    def _is_called_off(self, answering: RequestResponseCycle) -> bool:
        """By nonsense in its body or right behind, where there is more than was declared: it had better not be done."""
        return answering is self.cycle and not answering.response_started and has_body(answering.scope["headers"])

    def renew_parser(self) -> None:
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


async def _going_on(begun: Coroutine[Any, Any, None], awaited: asyncio.Future[Any] | None) -> None:
    """The rest of what has come to wait for this, or only for others to have their turn."""
    await _rest_of(begun, awaited)


@coroutine
def _rest_of(begun: Coroutine[Any, Any, None], awaited: asyncio.Future[Any] | None) -> Generator[Any, Any, None]:
    while awaited:
        try:
            yield awaited
            break
        except BaseException as error:
            try:
                awaited = begun.throw(error)
            except StopIteration:
                return
    yield from begun


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """In bytes. The parser has seen to it that there is no other, and no other way to tell the end."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)


def has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
