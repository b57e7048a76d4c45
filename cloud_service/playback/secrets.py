"""The node's own secrets for signed links: made here, told to nobody, and replaced while the last one still holds."""

import asyncio
import logging
import secrets
import sqlite3
import time

from cloud_service.db import Database
from cloud_service.playback.tokens import Secret

log = logging.getLogger(__name__)

BYTES = 32
LOOK_EVERY_S = 60.0


class PlaybackSecrets:
    """Two live: links are signed with the newest, and those that were signed with the one before still hold.

    A new one comes as soon as no link of the last but one can be left: after as long as a playback may last.
    """

    def __init__(self, database: Database, replaced_after_s: float) -> None:
        self._database, self._replaced_after_s = database, replaced_after_s
        self.live: tuple[Secret, ...] = ()
        """The newest first."""

    async def load(self) -> None:
        rows = await self._database.fetch("SELECT number, value, made_at FROM playback_secrets ORDER BY number DESC")
        self.live = tuple(Secret(row["number"], row["value"], row["made_at"]) for row in rows)
        try:
            await self.replace_when_due()
        except sqlite3.Error:
            if not self.live:
                raise
            log.exception("the secret of links was not replaced")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.replace_when_due()
            except Exception:
                log.exception("the secret of links was not replaced")

    async def replace_when_due(self) -> None:
        now = int(time.time())
        newest = self.live[0] if self.live else None
        if newest and 0 <= now - newest.made_at < self._replaced_after_s:
            return
        number = max(now, newest.number + 1 if newest else 0)  # no number comes again, even in a new database
        made = Secret(number, secrets.token_bytes(BYTES), now)
        live = (made, newest) if newest else (made,)
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute(
                "INSERT INTO playback_secrets (number, value, made_at) VALUES (?, ?, ?)",
                (made.number, made.value, made.made_at),
            )
            await transaction.execute("DELETE FROM playback_secrets WHERE number < ?", (live[-1].number,))
            transaction.on_commit(lambda: setattr(self, "live", live))
