"""Writing an upload to disk while it arrives: hashed and written in a thread, one block behind the network."""

import asyncio
import hashlib
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

BLOCKS, BLOCK_BYTES = 4, 2**19
TURN_BLOCKS = 16
SEND_ON_BYTES = 32 * 2**20
"""How much may wait in memory before the disk is set to work, so that little is left for the end."""
UPLOADS_AT_ONCE = 8
THREADS = ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="upload")
"""Of uploads' own: a disk that is slow to sync holds up no viewer who waits for a thread to read."""


class ScratchFile:
    """A few blocks of memory, used over and over: while one is being filled, others wait for the thread that writes.

    That thread takes what waits for as long as its turn lasts: to be woken for each block would cost as much as writing
    it. Then it is the turn of others, or an upload that comes faster than the disk takes it would keep its thread.

    A file of its own, or one that is there already and goes on behind its first `offset` bytes. `digests` are kept up
    to date with what is written; without any it is a SHA-256 of the file.
    """

    def __init__(self, path: Path, *, offset: int | None = None, digests: "Sequence[Digest] | None" = None) -> None:
        self.path = path
        self.size = offset or 0
        self._digests = (hashlib.sha256(),) if digests is None else tuple(digests)
        self._handle = -1
        self._memory, self._blocks = _shared_memory(BLOCKS * BLOCK_BYTES)
        try:
            self._handle = os.open(path, os.O_WRONLY | (os.O_CREAT | os.O_EXCL if offset is None else 0), 0o600)
        except OSError:
            self._let_go()
            raise
        os.lseek(self._handle, self.size, os.SEEK_SET)
        self._free = deque(range(0, BLOCKS * BLOCK_BYTES, BLOCK_BYTES))
        """Where in there blocks begin that nobody uses."""
        self._full: deque[tuple[int, int]] = deque()
        """Where those begin that are to be written, and where what is in them ends."""
        self._filling: int | None = None
        self._filled = 0
        self._lock = threading.Lock()
        self._is_taken_up = False
        """Whether what is full is being written, or cannot be: nothing is written behind a gap."""
        self._failure: OSError | None = None
        self._freed: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self.stored = self._sent_on = self.size
        """How much of it the disk was given."""

    async def write(self, chunk: bytes) -> None:
        """Raises OSError, perhaps of an earlier chunk. When it is cancelled, `size` tells how much was taken."""
        rest = memoryview(chunk)
        while rest:
            if self._filling is None:
                self._filling = await self._free_block()
            fits, at = min(len(rest), BLOCK_BYTES - self._filled), self._filling + self._filled
            self._blocks[at : at + fits] = rest[:fits]
            self._filled += fits
            self.size += fits
            rest = rest[fits:]
            if self._filled == BLOCK_BYTES:
                self._hand_over()

    async def finish(self) -> str:
        """Everything is on disk when this returns; the SHA-256 in hexadecimal."""
        await self.sync()
        return self._digests[0].hexdigest()

    async def sync(self) -> None:
        """Everything is on disk when this returns, and nothing more can be written."""
        await self.write_out()
        self.begin_sync()
        await self.synced()

    async def write_out(self) -> None:
        """Nothing waits in memory when this returns: the digests are those of all of it."""
        self._hand_over()
        await self._written()

    def begin_sync(self) -> None:
        self._writing = self._in_thread(os.fsync, self._handle)

    async def synced(self) -> None:
        await self._written()
        self._let_go()

    async def discard(self) -> None:
        """Away with it, at once."""
        await asyncio.to_thread(self.path.unlink, missing_ok=True)  # a large one takes the system a while
        await self.close()

    async def close(self) -> None:
        """As it is; what was not written yet is lost."""
        with self._lock:
            self._full.clear()
        if self._writing:
            await asyncio.gather(self._writing, return_exceptions=True)
        self._let_go()

    def _let_go(self) -> None:
        for handle in {self._handle, self._memory} - {-1}:
            os.close(handle)
        self._handle = self._memory = -1
        self._blocks.close()

    async def _free_block(self) -> int:
        """Where the next to be filled begins. Raises OSError of what was written before."""
        while True:
            with self._lock:
                if self._failure:
                    raise self._failure
                if self._free:
                    return self._free.popleft()
                self._freed = asyncio.get_running_loop().create_future()
            await self._freed

    def _hand_over(self) -> None:
        if self._filling is None:
            return
        with self._lock:
            self._full.append((self._filling, self._filling + self._filled))
            self._filling, self._filled = None, 0
            if self._is_taken_up:
                return
            self._is_taken_up = True
        written: Future[None] = Future()
        written.set_running_or_notify_cancel()
        self._writing = asyncio.wrap_future(written)
        THREADS.submit(self._write_waiting, asyncio.get_running_loop(), written)

    @staticmethod
    def _in_thread(work: Callable[..., None], *arguments: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(THREADS, work, *arguments)

    async def _written(self) -> None:
        if self._writing:
            await asyncio.shield(self._writing)
            self._writing = None

    def _write_waiting(self, loop: asyncio.AbstractEventLoop, written: Future[None]) -> None:
        """Until nothing waits, which `written` tells, or for a turn, after which it begins another."""
        try:
            for _ in range(TURN_BLOCKS):
                with self._lock:
                    if not self._full:
                        self._is_taken_up = False
                        break
                    start, stop = self._full.popleft()
                self._write_block(start, stop, loop)
            else:
                THREADS.submit(self._write_waiting, loop, written)
                return
        except BaseException as error:
            written.set_exception(error)
        else:
            written.set_result(None)

    def _write_block(self, start: int, stop: int, loop: asyncio.AbstractEventLoop) -> None:
        """And tell whoever waits for a free one."""
        try:
            self._store(start, stop)
        except OSError as error:
            self._failure = error
            raise
        finally:
            with self._lock:
                self._free.append(start)
                freed, self._freed = self._freed, None
            if freed:
                loop.call_soon_threadsafe(_wake, freed)

    def _store(self, start: int, stop: int) -> None:
        """Copied within the system: it takes small pieces, as large ones are put into pages that are hard to find, and
        no call of ours for each, after which this thread would have to wait for its turn.
        """
        with memoryview(self._blocks)[start:stop] as block:
            for digest in self._digests:
                digest.update(block)
        while start < stop:
            written = os.sendfile(self._handle, self._memory, start, stop - start)
            self.stored += written
            start += written
        if self.stored - self._sent_on >= SEND_ON_BYTES:
            # For pages that are dirty this starts their way to the disk, without waiting (Linux).
            os.posix_fadvise(self._handle, self._sent_on, self.stored - self._sent_on, os.POSIX_FADV_DONTNEED)
            self._sent_on = self.stored


def _wake(freed: asyncio.Future[None]) -> None:
    if not freed.done():
        freed.set_result(None)


def _shared_memory(size: int) -> tuple[int, mmap.mmap]:
    """As a file and as memory. It is not taken before it is written to: most of it may never be needed."""
    handle = os.memfd_create("upload")
    try:
        os.ftruncate(handle, size)
        return handle, mmap.mmap(handle, size)
    except OSError:
        os.close(handle)
        raise
