"""Who changes the same thing at the same time in this process waits here for the others, and not in the database, where
each would keep one of few connections from everybody else.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from shared.problems import Unavailable

WITHIN_S = 20.0


class TooManyAtOnce(Unavailable):
    code, title = "too_many_at_once", "Too many people are doing that at this moment"


class Turns:
    """One at a time of those who name the same, in the order in which they came.

    What is right does not hang on it: with other processes only the database's own locks decide.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """To be taken before a connection is. Raises TooManyAtOnce."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(WITHIN_S):
                await lock.acquire()
        except TimeoutError:
            raise TooManyAtOnce from None
        try:
            yield
        finally:
            lock.release()
