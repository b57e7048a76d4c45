"""That nobody has all of a node: turns that go around."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairTurns:
    """So many at once, of each owner one; who has just had one comes behind all other owners."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._having: dict[str, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def next(self, owner_id: str, within_s: float) -> AsyncIterator[None]:
        """Raises TimeoutError."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner_id, deque()).append(mine)
        self._hand_out()
        try:
            async with asyncio.timeout(within_s):
                await mine
            yield
        finally:
            self._give_back(owner_id, mine)
            self._hand_out()

    def _hand_out(self) -> None:
        for owner_id in [one for one in self._waiting if one not in self._having][: self._free]:
            turn = self._having[owner_id] = self._waiting[owner_id].popleft()
            if not self._waiting[owner_id]:
                del self._waiting[owner_id]
            self._free -= 1
            if not turn.done():  # who has just gone away gives it back at once
                turn.set_result(None)

    def _give_back(self, owner_id: str, turn: asyncio.Future[None]) -> None:
        if self._having.get(owner_id) is turn:
            del self._having[owner_id]
            self._free += 1
            if waiting := self._waiting.pop(owner_id, None):
                self._waiting[owner_id] = waiting  # behind all others
            return
        self._waiting[owner_id].remove(turn)
        if not self._waiting[owner_id]:
            del self._waiting[owner_id]
