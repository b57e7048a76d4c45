"""Pulls the VPS's changes feed and applies it: how the node hears that a right has ended."""

import asyncio
import logging
import random
import time
from urllib.parse import urlencode

from cloud_service.access.rights import Rights
from shared.contract import CHANGES, Changes
from shared.peer import Peer
from shared.problems import AppError

log = logging.getLogger(__name__)

WAIT_S = 5
RETRY_S = 1.0


class Feed:
    """One puller a node. The age of its last good pull is how stale the node's rights may be."""

    def __init__(self, rights: Rights, vps: Peer) -> None:
        self._rights, self._vps = rights, vps
        self._pulled_at = time.monotonic()
        self._was_pulled = False

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
        query: dict[str, object] = {"wait_s": WAIT_S if self._was_pulled else 0}
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
                await self._rights.apply(changes.items, changes.epoch, numbers[-1])
        if (self._rights.position or 0) >= changes.head:
            self._pulled_at, self._was_pulled = asked_at, True
