"""One request at a time at an upload; who comes later has the one before end, be that stuck or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cloud_service.uploads.tus.errors import UploadTakenOver


class Turns:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._newest = 0
        self._receiving: asyncio.Timeout | None = None

    @property
    def is_free(self) -> bool:
        return not self._lock.locked()

    @asynccontextmanager
    async def next(self) -> AsyncIterator["Turn"]:
        """Begins as soon as the one before has put away what it received, or ended what it was at."""
        self._newest += 1
        turn = Turn(self, self._newest)
        self._interrupt()
        async with self._lock:
            yield turn

    def _interrupt(self) -> None:
        receiving, self._receiving = self._receiving, None
        if receiving:
            receiving.reschedule(asyncio.get_running_loop().time())

    def is_newest(self, number: int) -> bool:
        return number == self._newest

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Raises UploadTakenOver, within the block, when somebody newer comes."""
        try:
            async with asyncio.timeout(None) as limit:
                self._receiving = limit
                try:
                    yield
                finally:
                    self._receiving = None
        except TimeoutError:
            if limit.expired():
                raise UploadTakenOver from None
            raise


class Turn:
    def __init__(self, turns: Turns, number: int) -> None:
        self._turns, self._number = turns, number

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """In here a newer request ends this one: raises UploadTakenOver."""
        if not self._turns.is_newest(self._number):
            raise UploadTakenOver
        async with self._turns.receiving():
            yield
