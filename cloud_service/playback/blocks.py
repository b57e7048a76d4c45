"""Reading a stretch of a file in large blocks without holding up the event loop.

What is in the page cache is read at once, and a thread is used only when the disk is needed: a thread for every block
costs more than the read (preadv2(2), RWF_NOWAIT).
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from weakref import ref

BLOCK_BYTES = 2**20
IDLE_BUFFERS = 16


class _Buffers:
    """Memory that is read into again and again: a new piece is cleared first, which takes half as long as to read.

    A buffer comes back when the view of it that was handed out is gone, unless somebody looks into it by another.
    """

    def __init__(self) -> None:
        self._idle: list[bytearray] = []
        self._lent: dict[int, tuple[ref[memoryview], bytearray]] = {}
        """By the reference's id: views have no hash."""

    def take(self) -> bytearray:
        """Of BLOCK_BYTES, with anything in it. Threads may ask at once."""
        try:
            return self._idle.pop()
        except IndexError:
            return bytearray(BLOCK_BYTES)

    def hand_out(self, buffer: bytearray, count: int) -> memoryview:
        view = memoryview(buffer)[:count]
        lent = ref(view, self._take_back)
        self._lent[id(lent)] = lent, buffer
        return view

    def _take_back(self, lent: ref[memoryview]) -> None:
        _, buffer = self._lent.pop(id(lent))
        if len(self._idle) < IDLE_BUFFERS:
            with suppress(BufferError):  # its size cannot be changed as long as anybody looks into it
                buffer.append(buffer.pop())
                self._idle.append(buffer)


_buffers = _Buffers()


async def blocks(handle: int, start: int, stop: int) -> AsyncIterator[bytearray | memoryview]:
    """The bytes from `start` up to `stop`. Raises EOFError when the file ends before."""
    while start < stop:
        wanted = min(BLOCK_BYTES, stop - start)
        block = read_cached(handle, start, wanted)
        if block is None:
            block = await asyncio.to_thread(_read, handle, start, wanted)
        if not block:
            raise EOFError("the file is shorter than its row says")
        start += len(block)
        yield block


def read_cached(handle: int, start: int, wanted: int) -> bytearray | memoryview | None:
    """As much as is in memory, or None when not even the first byte is."""
    try:
        return _read(handle, start, wanted, os.RWF_NOWAIT)
    except BlockingIOError:
        return None
    except OSError:  # a file system that does not know the flag
        return None


def _read(handle: int, start: int, wanted: int, flags: int = 0) -> bytearray | memoryview:
    is_large = wanted > BLOCK_BYTES // 2
    buffer = _buffers.take() if is_large else bytearray(wanted)
    with memoryview(buffer)[:wanted] as view:
        count = os.preadv(handle, [view], start, flags)
    if is_large:
        return _buffers.hand_out(buffer, count)
    return buffer if count == wanted else memoryview(buffer)[:count]
