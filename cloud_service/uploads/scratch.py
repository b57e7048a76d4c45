"""Writing an upload to disk while it arrives: hashed and written in a thread, one block behind the network."""

import asyncio
import hashlib
import mmap
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

BLOCK_BYTES = 2**20
WRITE_BYTES = 128 * 1024
"""With larger ones Linux looks for large pages to cache them in, which can take many times as long."""
SEND_ON_BYTES = 32 * 2**20
"""How much may wait in memory before the disk is set to work, so that little is left for the end."""
THREADS = ThreadPoolExecutor(8, thread_name_prefix="upload")
"""Of uploads' own: a disk that is slow to sync holds up no viewer who waits for a thread to read."""


class ScratchFile:
    """Two blocks of memory, used over and over: one is being filled while the other is being written.

    A file of its own, or one that is there already and goes on behind its first `offset` bytes. `digests` are kept up
    to date with what is written; without any it is a SHA-256 of the file.
    """

    def __init__(self, path: Path, *, offset: int | None = None, digests: "Sequence[Digest] | None" = None) -> None:
        self.path = path
        self.size = offset or 0
        self._digests = (hashlib.sha256(),) if digests is None else tuple(digests)
        self._handle = os.open(path, os.O_WRONLY | (os.O_CREAT | os.O_EXCL if offset is None else 0), 0o600)
        os.lseek(self._handle, self.size, os.SEEK_SET)
        self._filling, self._spare = _block(), _block()
        self._filled = 0
        self._writing: asyncio.Future[None] | None = None
        self.stored = self._sent_on = self.size
        """How much of it the disk was given."""

    async def write(self, chunk: bytes) -> None:
        """Raises OSError, perhaps of an earlier chunk. When it is cancelled, `size` tells how much was taken."""
        rest = memoryview(chunk)
        while rest:
            fits = min(len(rest), BLOCK_BYTES - self._filled)
            self._filling[self._filled : self._filled + fits] = rest[:fits]
            self._filled += fits
            self.size += fits
            rest = rest[fits:]
            if self._filled == BLOCK_BYTES:
                await self._hand_over()

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
        await self._hand_over()
        await self._written()

    def begin_sync(self) -> None:
        self._writing = self._in_thread(os.fsync, self._handle)

    async def synced(self) -> None:
        await self._written()
        os.close(self._handle)
        self._handle = -1

    async def discard(self) -> None:
        """Away with it, at once."""
        await asyncio.to_thread(self.path.unlink, missing_ok=True)  # a large one takes the system a while
        await self.close()

    async def close(self) -> None:
        """As it is; what was not written yet is lost."""
        if self._writing:
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    async def _hand_over(self) -> None:
        await self._written()
        full = self._filling[: self._filled]
        self._filling, self._spare, self._filled = self._spare, self._filling, 0
        self._writing = self._in_thread(self._store, full)

    @staticmethod
    def _in_thread(work: Callable[..., None], *arguments: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(THREADS, work, *arguments)

    async def _written(self) -> None:
        if self._writing:
            await asyncio.shield(self._writing)
            self._writing = None

    def _store(self, block: memoryview) -> None:
        for digest in self._digests:
            digest.update(block)
        while block:
            written = os.write(self._handle, block[:WRITE_BYTES])
            self.stored += written
            block = block[written:]
        if self.stored - self._sent_on >= SEND_ON_BYTES:
            # For pages that are dirty this starts their way to the disk, without waiting (Linux).
            os.posix_fadvise(self._handle, self._sent_on, self.stored - self._sent_on, os.POSIX_FADV_DONTNEED)
            self._sent_on = self.stored


def _block() -> memoryview:
    """Memory that is not taken before it is written to, and given back with it: most of it may never be needed."""
    return memoryview(mmap.mmap(-1, BLOCK_BYTES))
