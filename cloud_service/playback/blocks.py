"""Reading a stretch of a file in large blocks without holding up the event loop.

What is in the page cache is read at once, and a thread is used only when the disk is needed: a thread for every block
costs more than the read (preadv2(2), RWF_NOWAIT).
"""

import asyncio
import os
from collections.abc import AsyncIterator

BLOCK_BYTES = 2**20


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
    block = bytearray(wanted)
    try:
        count = os.preadv(handle, [block], start, os.RWF_NOWAIT)
    except BlockingIOError:
        return None
    except OSError:  # a file system that does not know the flag
        return None
    return block if count == wanted else memoryview(block)[:count]


def _read(handle: int, start: int, wanted: int) -> bytearray | memoryview:
    block = bytearray(wanted)
    count = os.preadv(handle, [block], start)
    return block if count == wanted else memoryview(block)[:count]
