"""What workers changed reaches the node's memory, and through its outbox the VPS."""

import asyncio
import logging

from cloud_service.db import Database
from cloud_service.outbox import Outbox
from cloud_service.videos.catalogue import Catalogue

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
RETRY_S = 2.0


class News:
    def __init__(self, database: Database, catalogue: Catalogue, outbox: Outbox) -> None:
        self._database, self._catalogue, self._outbox = database, catalogue, outbox

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.take_in()
                await asyncio.sleep(LOOK_EVERY_S)
            except Exception:
                log.exception("news not taken in")
                await asyncio.sleep(RETRY_S)

    async def take_in(self) -> None:
        """Everything there is."""
        rows = await self._database.fetch("SELECT number, video_id FROM news ORDER BY number")
        if not rows:
            return
        await self._catalogue.read_again(sorted({row["video_id"] for row in rows}))
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM news WHERE number <= ?", (rows[-1]["number"],))
        self._outbox.wake()
