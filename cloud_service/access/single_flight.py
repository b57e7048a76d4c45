"""Many who ask the same at once are answered by one call."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SingleFlight(Generic[Answer]):
    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Answer]] = {}

    async def run(self, about: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of the call under way about this, or of a new one. One caller that gives up stops nobody else."""
        task = self._under_way.get(about)
        if task is None:
            task = asyncio.ensure_future(self._ask(about, ask))
            self._under_way[about] = task
        return await asyncio.shield(task)

    async def _ask(self, about: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await ask()
        finally:
            del self._under_way[about]
