"""The wire between a node and the VPS: a TCP proxy that can be cut, silently or loudly, in either direction, or slow.

A silent cut is what a firewall that drops does: connections are taken and stay open, nothing comes through, not even
that one side has closed. What was sent meanwhile arrives once the cut is healed, as TCP would send it again.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal, TypeVar

Direction = Literal["to_vps", "to_node"]
BOTH: tuple[Direction, Direction] = ("to_vps", "to_node")
CHUNK = 64 * 1024

Result = TypeVar("Result")


class _Way:
    """One direction: whether anything passes, and how long it takes. Of the loop's thread only."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.is_fast = asyncio.Event()
        self.is_fast.set()
        self.delay_s = 0.0
        self.passed = 0

    async def pump(self, source: socket.socket, target: socket.socket) -> None:
        """Everything from one to the other, up to the end of it."""
        loop = asyncio.get_running_loop()
        while True:
            await self.is_open.wait()
            data = await loop.sock_recv(source, CHUNK)
            if not self.is_fast.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.is_fast.wait(), self.delay_s)
            await self.is_open.wait()  # what was on its way when the cut came does not arrive either
            if not data:
                with suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(target, data)
            self.passed += len(data)


class Link:
    """Listens on `port` and passes everything on to `target_port`, both on this machine, until told otherwise."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._refusing = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="link")
        self._thread.start()
        self._ways = self._run(self._begin())

    # --- what a test does to it -----------------------------------------------------------------------

    def cut(self, *directions: Direction) -> None:
        """Silently: nothing passes in these directions, in both when none is named."""
        self._run(self._set_open(directions or BOTH, False))

    def refuse(self) -> None:
        """Loudly: every connection is reset, new ones as soon as they are made."""
        self._run(self._refuse())

    def delay(self, seconds: float, *directions: Direction) -> None:
        """Whatever passes takes this long."""
        self._run(self._set_delay(directions or BOTH, seconds))

    def heal(self) -> None:
        """As new. Connections that were frozen go on."""
        self._run(self._heal())

    def reset_connections(self) -> None:
        """Both ends of every open connection see it break; new ones are welcome."""
        self._run(self._reset())

    @property
    def passed(self) -> dict[Direction, int]:
        """Bytes that came through so far."""
        return {direction: way.passed for direction, way in self._ways.items()}

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def close(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- on the loop's thread -------------------------------------------------------------------------

    def _run(self, step: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(10)

    async def _begin(self) -> dict[Direction, _Way]:
        self._accepting = asyncio.ensure_future(self._accept())
        self._carrying: set[asyncio.Task[None]] = set()
        return {direction: _Way() for direction in BOTH}

    async def _accept(self) -> None:
        while True:
            node, _ = await self._loop.sock_accept(self._listener)
            node.setblocking(False)
            if self._refusing:
                _break(node)
                continue
            task = asyncio.ensure_future(self._carry(node))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, node: socket.socket) -> None:
        vps = socket.socket()
        vps.setblocking(False)
        pair = (node, vps)
        self._pairs.add(pair)
        try:
            await self._ways["to_vps"].is_open.wait()  # a dropped SYN opens nothing on the other side
            await self._loop.sock_connect(vps, ("127.0.0.1", self._target_port))
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._both_ways(node, vps)
        except OSError:
            _break(*pair)  # also when nobody listens there
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    async def _both_ways(self, node: socket.socket, vps: socket.socket) -> None:
        """Until both have ended; when one breaks, so does the other."""
        pumps = [
            asyncio.ensure_future(self._ways["to_vps"].pump(node, vps)),
            asyncio.ensure_future(self._ways["to_node"].pump(vps, node)),
        ]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def _set_open(self, directions: tuple[Direction, ...], is_open: bool) -> None:
        for direction in directions:
            way = self._ways[direction]
            (way.is_open.set if is_open else way.is_open.clear)()

    async def _set_delay(self, directions: tuple[Direction, ...], seconds: float) -> None:
        for direction in directions:
            way = self._ways[direction]
            way.delay_s = seconds
            (way.is_fast.clear if seconds else way.is_fast.set)()

    async def _refuse(self) -> None:
        self._refusing = True
        await self._reset()

    async def _heal(self) -> None:
        self._refusing = False
        await self._set_open(BOTH, True)
        await self._set_delay(BOTH, 0)

    async def _reset(self) -> None:
        for pair in list(self._pairs):
            _linger_none(*pair)
        for task in list(self._carrying):
            task.cancel()
        if self._carrying:
            await asyncio.wait(list(self._carrying))

    async def _end(self) -> None:
        self._accepting.cancel()
        await self._reset()
        self._listener.close()


def _linger_none(*ends: socket.socket) -> None:
    """Closing them will be a reset, not an orderly end."""
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _break(*ends: socket.socket) -> None:
    _linger_none(*ends)
    for end in ends:
        end.close()
