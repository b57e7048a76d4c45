"""Pulls the VPS's changes feed and applies it: how the node hears that a right has ended."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from cloud_service.access.rights import Rights
from cloud_service.db import Database
from shared.contract import CHANGES, Change, Changes
from shared.peer import Peer
from shared.problems import AppError

log = logging.getLogger(__name__)

PULLED_AT = "feed_pulled_at"
WAIT_S = 5
RETRY_S = 1.0


class Feed:
    """One puller a node. The age of its last good pull is how stale the node's rights may be."""

    def __init__(
        self, database: Database, rights: Rights, vps: Peer, deleted: Callable[[Change], Awaitable[None]]
    ) -> None:
        self._database, self._rights, self._vps, self._deleted = database, rights, vps, deleted
        self._pulled_at = time.monotonic()
        self._was_pulled = False

    async def load(self) -> None:
        """Go on being as old as before the restart: starting anew is no news of what has changed."""
        rows = await self._database.fetch("SELECT value FROM remembered WHERE name = ?", (PULLED_AT,))
        if rows:
            self._pulled_at -= max(0.0, time.time() - float(rows[0]["value"]))
            self._was_pulled = True

    def age_s(self) -> float:
        """Seconds since this node knew that it was up to date; since its start, if it never did."""
        return time.monotonic() - self._pulled_at

    @property
    def was_pulled(self) -> bool:
        return self._was_pulled

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.pull()
            except AppError as error:
                log.warning("feed not pulled", extra={"reason": error.code, "age_s": round(self.age_s(), 1)})
                await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311
            except Exception:
                log.exception("feed not applied")
                await asyncio.sleep(RETRY_S)

    async def pull(self) -> None:
        """One long poll, applied. The clock starts when it is sent: the answer is at least as fresh as that."""
        asked_at = time.monotonic()
        query: dict[str, object] = {"wait_s": WAIT_S if self._was_pulled and self.age_s() < 2 * WAIT_S else 0}
        if self._rights.position is not None:
            query |= {"after": self._rights.position, "epoch": self._rights.epoch}
        changes = await self._vps.get(f"{CHANGES}?{urlencode(query)}", Changes, timeout_s=WAIT_S + 2)
        if changes.reset:
            log.info("feed reset", extra={"epoch": changes.epoch, "head": changes.head})
            await self._rights.reset(changes.epoch, changes.head)
        elif changes.items:
            numbers = [change.number for change in changes.items]
            first = (self._rights.position or 0) + 1
            if numbers != list(range(first, first + len(numbers))):
                log.error("feed has a gap", extra={"position": self._rights.position, "numbers": numbers[:3]})
                await self._rights.reset(changes.epoch, numbers[-1])
            else:
                for change in changes.items:
                    await self._deleted(change)
                await self._rights.apply(changes.items, changes.epoch, numbers[-1])
        if (self._rights.position or 0) >= changes.head:
            await self._up_to_date(asked_at)

    async def _up_to_date(self, since: float) -> None:
        """`since` on the monotonic clock; kept as Unix seconds, which survive a restart."""
        self._pulled_at, self._was_pulled = since, True
        async with self._database.transaction() as transaction:
            wall = time.time() - self.age_s()
            await transaction.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (PULLED_AT, str(wall)))
