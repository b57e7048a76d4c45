"""Hears at once, in every VPS process, that changes were committed (LISTEN/NOTIFY)."""

import asyncio
import logging
from contextlib import suppress

import psycopg

from vps_service.changes import CHANNEL
from vps_service.db import database_url
from vps_service.settings import DatabaseSettings

log = logging.getLogger(__name__)

RETRY_S = 1.0
RECHECK_S = 1.0
"""How long a notification that was lost may go unnoticed."""


class Listener:
    """One connection of its own, made again when it breaks. Whoever waits looks for themselves once in a while."""

    def __init__(self, settings: DatabaseSettings) -> None:
        url = database_url(settings).set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                log.warning("not listening for changes", extra={"reason": type(error).__name__})
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=5, keepalives_idle=10, keepalives_interval=5
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._ring()  # for what was committed while nobody listened
            async for _ in connection.notifies():
                self._ring()

    def _ring(self) -> None:
        """Wakes all who wait now; who comes later waits for the next one."""
        self._news.set()
        self._news = asyncio.Event()

    def next_news(self) -> asyncio.Event:
        """Take it before looking into the database, so that nothing falls between the look and the wait."""
        return self._news

    @staticmethod
    async def wait(news: asyncio.Event, at_most_s: float) -> None:
        """Until there is news, or it is time to look anyway."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(at_most_s, RECHECK_S)):
                await news.wait()
