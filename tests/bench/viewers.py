"""People who watch by HLS: each over a connection of their own fetches a segment every few seconds.

They run in a process of their own, on one loop, and receive into one buffer.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import cast

import uvloop

from tests.bench.load import BUFFER_BYTES, Answer, address_of, let_open_files

SEGMENT_S = 4.0
PARTIAL = b"HTTP/1.1 206"


@dataclass(frozen=True)
class Crowd:
    """`shows` are the requests that each viewer makes, one after the other."""

    url: str
    shows: Sequence[Sequence[bytes]]


class _Viewer(asyncio.BufferedProtocol):
    def __init__(self, buffer: memoryview) -> None:
        self._buffer, self._answer = buffer, Answer(PARTIAL)
        self._transport: asyncio.WriteTransport | None = None
        self._done: asyncio.Future[float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        assert self._done
        try:
            if self._answer.take(self._buffer[:count]):
                self._done.set_result(time.perf_counter())
        except ValueError as error:
            self._done.set_exception(error)

    def connection_lost(self, error: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))

    async def fetch(self, wanted: bytes) -> float:
        """When its last byte was there."""
        assert self._transport
        self._answer, self._done = Answer(PARTIAL), asyncio.get_running_loop().create_future()
        self._transport.write(wanted)
        return await self._done

    def close(self) -> None:
        if self._transport:
            self._transport.close()


async def _watch(address: tuple[str, int], show: Sequence[bytes], begins_at: float, buffer: memoryview) -> list[float]:
    """Seconds for each segment but the first, from when it was asked for, or due while the one before had not come."""
    await asyncio.sleep(begins_at - time.perf_counter())
    _, viewer = await asyncio.get_running_loop().create_connection(lambda: _Viewer(buffer), *address)
    waits = []
    for number, wanted in enumerate(show):
        due = begins_at + number * SEGMENT_S
        ahead = due - time.perf_counter()
        await asyncio.sleep(ahead)
        asked = time.perf_counter() if ahead > 0 else due
        waits.append(await viewer.fetch(wanted) - asked)
    viewer.close()
    return waits[1:]


async def _all_watch(crowd: Crowd) -> list[float]:
    address, buffer = address_of(crowd.url), memoryview(bytearray(BUFFER_BYTES))
    begins_at = time.perf_counter() + 0.1
    apart = SEGMENT_S / len(crowd.shows)
    watched = await asyncio.gather(
        *(_watch(address, show, begins_at + number * apart, buffer) for number, show in enumerate(crowd.shows))
    )
    return [wait for waits in watched for wait in waits]


def _run(crowd: Crowd) -> list[float]:
    let_open_files(os.getpid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_all_watch(crowd))


def watch(crowd: Crowd, meanwhile: Callable[[], None]) -> list[float]:
    """Seconds for each segment; `meanwhile` is called again and again until all are there."""
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        watching = elsewhere.submit(_run, crowd)
        while not watching.done():
            meanwhile()
        return watching.result()
