"""The node's own secrets for signed links: made here, told to nobody, and replaced while the last one still holds."""

import asyncio
import logging
import secrets
import sqlite3
import time

from cloud_service.db import Database
from cloud_service.playback.tokens import Secret, of_node
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

BYTES = 32
LOOK_EVERY_S = 60.0


class PlaybackSecrets:
    """Two live: links are signed with the newest, and those that were signed with the one before still hold.

    A new one comes as soon as no link of the last but one can be left: after as long as a playback may last.
    """

    def __init__(self, database: Database, node_id: str, replaced_after_s: float) -> None:
        self._database, self._node_id, self._replaced_after_s = database, node_id, replaced_after_s
        self.live: tuple[Secret, ...] = ()
        """The newest first."""

    async def load(self) -> None:
        rows = await self._database.fetch("SELECT number, value, made_at FROM playback_secrets ORDER BY number DESC")
        self.live = tuple(self._secret(row["number"], row["value"], row["made_at"]) for row in rows)
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
        value = secrets.token_bytes(BYTES)
        made = self._secret(number, value, now)
        live = (made, newest) if newest else (made,)
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute(
                "INSERT INTO playback_secrets (number, value, made_at) VALUES (?, ?, ?)",
                (made.number, value, made.made_at),
            )
            await transaction.execute("DELETE FROM playback_secrets WHERE number < ?", (live[-1].number,))
            transaction.on_commit(lambda: self._sign_with(live))

    def _sign_with(self, live: tuple[Secret, ...]) -> None:
        killpoint("playback_secret.replaced")
        self.live = live

    def _secret(self, number: int, value: bytes, made_at: int) -> Secret:
        return Secret(number, of_node(value, self._node_id), made_at)
