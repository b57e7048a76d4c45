"""As much of a node as decides who may watch, on a real SQLite."""

from typing import Any
from uuid import UUID

from cloud_service.access.actions import Access
from cloud_service.access.rights import Rights
from cloud_service.clock import uptime
from cloud_service.db import Database
from cloud_service.freshness import Freshness
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps
from tests.cloud.things import MARK, change, position, video, viewer

SARA = viewer()


class DecidingNode:
    """With what is known to it of the feed."""

    def __init__(self, database: Database, vps: Vps, settings: CloudSettings) -> None:
        self.database, self._vps, self._settings = database, vps, settings
        self.rights, self.freshness = Rights(database), Freshness(database)
        self.access = Access(self.rights, self.freshness, vps, settings)

    async def is_up_to_date(self, number: int = 0, *, since_s: float = 0) -> None:
        if self.rights.position is None:
            await self.rights.reset(position(number), MARK)
        await self.freshness.renew(uptime() - since_s)

    async def hears(self, number: int, kind: str, **about: UUID) -> None:
        await self.rights.apply([change(number, kind, **about)], position(number), MARK)

    async def watches(self, who: Any = SARA, what: Any = None, *, after: int = 0) -> None:
        await self.access.check(who, what or video(), after=after)

    async def restarted(self) -> "DecidingNode":
        again = DecidingNode(self.database, self._vps, self._settings)
        await again.rights.load()
        await again.freshness.load()
        return again
