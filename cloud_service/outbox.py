"""What the VPS has still to hear from this node: stored with the fact itself, sent until it is answered."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from uuid_utils.compat import uuid7

from cloud_service.db import Database, Transaction
from cloud_service.vps import Vps, VpsFailed, VpsRefused, VpsUnreachable
from shared.contract import EVENTS, Event, EventAnswer, VideoStored
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 60.0
IDLE_S = 30.0
TRIES = 8
"""After so many answers that were failures, an event is held to be what the VPS fails on."""
NEVER_UNDERSTOOD = (400, 422)
"""Answers that are about the event itself. Any other refusal (keys, clocks) can be mended: try again."""
DOWN = 503


@dataclass(frozen=True, slots=True)
class Backlog:
    """`age_s` is that of the oldest event to be sent; `set_aside` are those that nobody could understand."""

    depth: int
    age_s: float
    set_aside: int


async def announce(transaction: Transaction, about: VideoStored) -> None:
    """To be sent by whoever runs the node's outbox."""
    event = Event(id=uuid7(), about=about)
    await transaction.execute(
        "INSERT INTO outbox (event, video_id, added_at) VALUES (?, ?, ?)",
        (event.model_dump_json(), str(about.video_id), int(time.time())),
    )


class Outbox:
    """The events of one video go in the order they came; one that fails holds up its own video and no other.

    `unwanted` is told of a video that the VPS will never want.
    """

    def __init__(self, database: Database, vps: Vps, unwanted: Callable[[str], Awaitable[None]]) -> None:
        self._database, self._vps, self._unwanted = database, vps, unwanted
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()

    async def add(self, transaction: Transaction, about: VideoStored) -> None:
        await announce(transaction, about)
        transaction.on_commit(self.wake)

    def wake(self) -> None:
        """There is something to send, be it of another process."""
        self._news.set()

    async def announce_again(self, about: VideoStored) -> None:
        """In place of whatever was set aside about this video."""
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute("DELETE FROM outbox WHERE video_id = ?", (str(about.video_id),))
            await self.add(transaction, about)

    async def backlog(self) -> Backlog:
        waiting = "SELECT count(*) AS depth, min(added_at) AS oldest FROM outbox WHERE set_aside IS NULL"
        (row,) = await self._database.fetch(waiting)
        (aside,) = await self._database.fetch("SELECT count(*) AS events FROM outbox WHERE set_aside IS NOT NULL")
        age_s = max(0.0, time.time() - row["oldest"]) if row["oldest"] else 0.0
        return Backlog(row["depth"], age_s, aside["events"])

    async def run(self) -> None:
        """Until cancelled: send what there is, then wait for news."""
        failures = 0
        while True:
            self._news.clear()
            try:
                failures = failures + 1 if await self.deliver() else 0
            except VpsUnreachable:
                failures += 1
            except Exception:
                log.exception("outbox not delivered")
                failures += 1
            pause = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2**failures) * random.uniform(0.5, 1)  # noqa: S311
            try:
                await asyncio.wait_for(self._news.wait(), pause if failures else IDLE_S)
            except TimeoutError:
                continue

    async def deliver(self) -> int:
        """Send everything now; how many failed and are kept. Raises VpsUnreachable, with the rest kept."""
        async with self._sending:
            wanted = "SELECT number, video_id, event FROM outbox WHERE set_aside IS NULL ORDER BY number"
            held_up: set[str] = set()
            for row in await self._database.fetch(wanted):
                if row["video_id"] in held_up:
                    continue
                try:
                    await self._deliver_one(row["number"], Event.model_validate_json(row["event"]))
                except VpsFailed as error:
                    if error.answered_status == DOWN:
                        raise
                    held_up.add(row["video_id"])
                    await self._count_failure(row["number"], error.answered_status)
            return len(held_up)

    async def _deliver_one(self, number: int, event: Event) -> None:
        try:
            answer = await self._vps.post(EVENTS, event, EventAnswer)
        except VpsRefused as error:
            if error.answered_status not in NEVER_UNDERSTOOD:
                raise VpsUnreachable from None
            await self._set_aside(number, f"{error.answered_status} {error.answered_body}")
            return
        killpoint("outbox.answered")
        if answer.verdict == "unknown":
            await self._set_aside(number, "the VPS has no place for the video")
            return
        if answer.verdict == "unwanted":
            log.warning("video unwanted", extra={"video_id": event.about.video_id})
            await self._unwanted(str(event.about.video_id))
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM outbox WHERE number = ?", (number,))

    async def _count_failure(self, number: int, status: int) -> None:
        async with self._database.transaction() as transaction:
            await transaction.execute("UPDATE outbox SET failures = failures + 1 WHERE number = ?", (number,))
            (row,) = await transaction.fetch("SELECT failures FROM outbox WHERE number = ?", (number,))
        if row["failures"] >= TRIES:
            await self._set_aside(number, f"answered {status} {TRIES} times")

    async def _set_aside(self, number: int, reason: str) -> None:
        log.error("event set aside", extra={"number": number, "reason": reason})
        async with self._database.transaction() as transaction:
            await transaction.execute("UPDATE outbox SET set_aside = ? WHERE number = ?", (reason, number))
