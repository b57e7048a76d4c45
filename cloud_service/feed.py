"""Pulls the VPS's changes feed and applies it: how the node hears that a right has ended."""

import asyncio
import logging
import random
from typing import Protocol
from urllib.parse import urlencode

from cloud_service.access.rights import Rights
from cloud_service.clock import uptime
from cloud_service.db import Transaction
from cloud_service.freshness import Freshness
from cloud_service.vps import Vps
from shared.contract import CHANGES, Change, Changes, Position
from shared.killpoints import killpoint
from shared.problems import AppError

log = logging.getLogger(__name__)

RETRY_S = 0.5
GRACE_S = 2.0
"""What an answer may take beyond the time that the VPS was asked to wait."""


class Listening(Protocol):
    """Who else has to do something about what is heard, before the node's position moves or with it."""

    async def changed(self, change: Change) -> None: ...

    async def was_reset(self, transaction: Transaction) -> None: ...


class Feed:
    """One puller a node. The age of its last good pull is how stale the node's rights may be."""

    def __init__(self, rights: Rights, freshness: Freshness, vps: Vps, listening: Listening, wait_s: float) -> None:
        self._rights, self._freshness, self._vps = rights, freshness, vps
        self._listening, self._wait_s = listening, wait_s
        self.lag = 0
        """How many changes the VPS had made at the last pull that are still to be applied."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.pull()
            except AppError as error:
                age_s = round(self._freshness.age_s(), 1)
                log.warning("feed not pulled", extra={"reason": error.code, "age_s": age_s})
                await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311
            except Exception:
                log.exception("feed not applied")
                await asyncio.sleep(RETRY_S)

    async def pull(self) -> None:
        """One long poll, applied. The clock starts when it is sent: the answer is at least as fresh as that."""
        asked_at = uptime()
        recently = self._freshness.was_pulled and self._freshness.age_s() < 2 * self._wait_s
        query: dict[str, object] = {"wait_s": self._wait_s if recently and not self.lag else 0}
        position, mark = self._rights.position, self._rights.mark
        if position is not None:
            query |= {"after": position.number, "epoch": position.epoch, "mark": mark}
        found = await self._vps.get(f"{CHANGES}?{urlencode(query)}", Changes, timeout_s=self._wait_s + GRACE_S)
        killpoint("feed.pulled")
        number = await self._take(found, position)
        self.lag = max(0, found.head - number)
        if not self.lag:
            await self._freshness.renew(asked_at)

    async def _take(self, found: Changes, position: Position | None) -> int:
        """The number that the node has come to."""
        numbers = [change.number for change in found.items]
        if found.reset or position is None:
            log.info("feed reset", extra={"epoch": found.epoch, "head": found.head})
            return await self._reset(Position(epoch=found.epoch, number=found.head), found)
        if not numbers:
            return position.number
        if numbers != list(range(position.number + 1, position.number + 1 + len(numbers))):
            log.error("feed has a gap", extra={"position": position.number, "numbers": numbers[:3]})
            return await self._reset(Position(epoch=found.epoch, number=numbers[-1]), found)
        self._rights.hear(found.items)  # before anything that may take long, or fail
        for change in found.items:
            await self._listening.changed(change)
        await self._rights.apply(found.items, Position(epoch=found.epoch, number=numbers[-1]), found.mark)
        killpoint("feed.applied")
        return numbers[-1]

    async def _reset(self, position: Position, found: Changes) -> int:
        await self._rights.reset(position, found.mark, self._listening.was_reset)
        return position.number
