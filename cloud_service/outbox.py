"""What the VPS has still to hear from this node: stored with the fact itself, sent until it is answered."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from uuid_utils.compat import uuid7

from cloud_service.db import Database, Transaction
from shared.contract import EVENTS, Event, EventAnswer, VideoStored
from shared.peer import Peer, PeerRefused, PeerUnreachable

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 60.0
IDLE_S = 30.0
NEVER_UNDERSTOOD = (400, 422)
"""Answers that are about the event itself. Any other refusal (keys, clocks, a proxy) can be mended: try again."""


class Outbox:
    """Events go in the order they came. `unwanted` is told of a video that the VPS will never want."""

    def __init__(self, database: Database, vps: Peer, unwanted: Callable[[str], Awaitable[None]]) -> None:
        self._database, self._vps, self._unwanted = database, vps, unwanted
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()

    async def add(self, transaction: Transaction, about: VideoStored) -> None:
        event = Event(id=uuid7(), about=about)
        await transaction.execute("INSERT INTO outbox (event) VALUES (?)", (event.model_dump_json(),))
        transaction.on_commit(self._news.set)

    async def depth(self) -> int:
        return int((await self._database.fetch("SELECT count(*) FROM outbox WHERE set_aside IS NULL"))[0][0])

    async def run(self) -> None:
        """Until cancelled: send what there is, then wait for news."""
        failures = 0
        while True:
            self._news.clear()
            try:
                await self.deliver()
                failures = 0
                pause = IDLE_S
            except PeerUnreachable:
                failures += 1
                pause = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2**failures) * random.uniform(0.5, 1)  # noqa: S311
            except Exception:
                log.exception("outbox not delivered")
                pause = LONGEST_RETRY_S
            try:
                await asyncio.wait_for(self._news.wait(), pause)
            except TimeoutError:
                continue

    async def deliver(self) -> None:
        """Send everything now. Raises PeerUnreachable, with the rest kept."""
        async with self._sending:
            wanted = "SELECT number, event FROM outbox WHERE set_aside IS NULL ORDER BY number"
            for row in await self._database.fetch(wanted):
                await self._deliver_one(row["number"], Event.model_validate_json(row["event"]))

    async def _deliver_one(self, number: int, event: Event) -> None:
        try:
            answer = await self._vps.post(EVENTS, event, EventAnswer)
        except PeerRefused as error:
            if error.answered_status not in NEVER_UNDERSTOOD:
                raise PeerUnreachable from None
            log.error("event set aside", extra={"event": event.id, "reason": error.answered_body})
            async with self._database.transaction() as transaction:
                reason = f"{error.answered_status} {error.answered_body}"
                await transaction.execute("UPDATE outbox SET set_aside = ? WHERE number = ?", (reason, number))
            return
        if not answer.applied:
            log.warning("video unwanted", extra={"video_id": event.about.video_id, "reason": answer.reason})
            await self._unwanted(str(event.about.video_id))
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM outbox WHERE number = ?", (number,))
