"""What the VPS has still to hear from this node: stored with the fact itself, sent until it is answered."""

import asyncio
import json
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import aiosqlite
from uuid_utils.compat import uuid7

from cloud_service.db import Database, Transaction
from cloud_service.videos.models import SELECT_VIDEOS, StoredVideo
from cloud_service.vps import Vps, VpsFailed, VpsRefused, VpsUnreachable
from shared.contract import EVENTS, Event, EventAnswer, VideoStored
from shared.killpoints import killpoint
from shared.playbacks import PlaybacksLost, PlaybackTold

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 60.0
IDLE_S = 30.0
TRIES = 8
"""After so many answers that were failures, an event is held to be what the VPS fails on."""
NEVER_UNDERSTOOD = (400, 422)
"""Answers that are about the event itself. Any other refusal (keys, clocks) can be mended: try again."""
DOWN = 503
AT_ONCE = 50
"""So many are sent before somebody looks whether there is by now something more urgent."""
DAY_S = 86_400
FORGOTTEN_DAYS = 14
"""What nobody has understood for so long, of a playback, nobody will."""
WAITING = """
SELECT number, CASE video_id WHEN '' THEN playback_id ELSE video_id END AS about,
        CASE WHEN playback_id = '' THEN 0
            WHEN json_extract(event, '$.about.end') IS NOT NULL THEN 1
            WHEN json_array_length(event, '$.about.watched') = 0 THEN 1
            ELSE 2 END AS turn
    FROM outbox
    WHERE set_aside IS NULL AND number > ?1
        AND (?2 IS NULL OR video_id IN (SELECT value FROM json_each(?2))) AND (video_id <> '' OR NOT ?3)
    ORDER BY number
"""
TURNS = 3
"""Videos first; then playbacks that began, became a view or ended; then those that only go on."""
STILL_WAITING = "SELECT event FROM outbox WHERE set_aside IS NULL AND number = ?"


@dataclass(frozen=True, slots=True)
class Backlog:
    """`age_s` is that of the oldest event to be sent; `set_aside` are those that nobody could understand."""

    depth: int
    age_s: float
    set_aside: int


async def announce(transaction: Transaction, about: VideoStored) -> None:
    """To be sent by whoever runs the node's outbox."""
    await _add(transaction, about, video_id=str(about.video_id))


async def announce_playbacks(transaction: Transaction, abouts: Sequence[PlaybackTold]) -> None:
    """In place of whatever waits or was set aside about each: it is all in there."""
    ids = [(str(about.playback_id),) for about in abouts]
    await transaction.execute_many("DELETE FROM outbox WHERE playback_id = ?", ids)
    now = int(time.time())
    events = [Event(id=uuid7(), about=about).model_dump_json() for about in abouts]
    waiting = [(event, *playback_id, now) for event, playback_id in zip(events, ids, strict=True)]
    await transaction.execute_many("INSERT INTO outbox (event, playback_id, added_at) VALUES (?, ?, ?)", waiting)


async def announce_lost_playbacks(transaction: Transaction) -> None:
    """This database was just made: it knows of none of the playbacks that the VPS believes to go on here."""
    await _add(transaction, PlaybacksLost(lost_at=datetime.now(UTC)))


async def _add(transaction: Transaction, about: VideoStored | PlaybacksLost, *, video_id: str = "") -> None:
    event = Event(id=uuid7(), about=about).model_dump_json()
    added = "INSERT INTO outbox (event, video_id, added_at) VALUES (?, ?, ?)"
    await transaction.execute(added, (event, video_id, int(time.time())))


async def _ignored(_: str) -> None: ...


class Outbox:
    """The events of one video go in the order they came; one that fails holds up its own video and no other.

    `unwanted` is told of a video that the VPS will never want, `refused` of one that nothing is to become of, and why;
    `moved` of a playback whose viewer has begun to watch elsewhere.
    """

    def __init__(
        self,
        database: Database,
        vps: Vps,
        unwanted: Callable[[str], Awaitable[None]],
        refused: Callable[[str, str], Awaitable[None]],
        moved: Callable[[str], Awaitable[None]] = _ignored,
    ) -> None:
        self._database, self._vps = database, vps
        self._unwanted, self._refused, self._moved = unwanted, refused, moved
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()

    async def add(self, transaction: Transaction, about: VideoStored) -> None:
        await announce(transaction, about)
        transaction.on_commit(self.wake)

    def wake(self) -> None:
        """There is something to send, be it of another process."""
        self._news.set()

    async def announce_again(self, video_id: str) -> None:
        """As it is by now, in place of whatever waits or was set aside about this video."""
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute("DELETE FROM outbox WHERE video_id = ?", (video_id,))
            for row in await transaction.fetch(f"{SELECT_VIDEOS} WHERE id = ?", (video_id,)):
                await self.add(transaction, StoredVideo.from_row(dict(row)).announcement())

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
            with suppress(TimeoutError):  # not by wait_for: before Python 3.12 it may lose a cancellation
                async with asyncio.timeout(pause if failures else IDLE_S):
                    await self._news.wait()

    async def deliver(self, only: Collection[str] | None = None, *, of_videos: bool = False) -> int:
        """Send everything now, or `only` what is about these videos, or about any; how many failed and are kept.

        Who sends a few waits for one event of who sends many, not for all. Raises VpsUnreachable, with the rest kept.
        """
        wanted = None if only is None else json.dumps(list(only)), of_videos
        held_up, newest = set[str](), 0
        waiting = [deque[aiosqlite.Row]() for _ in range(TURNS)]
        while True:
            for row in await self._database.fetch(WAITING, (newest, *wanted)):
                waiting[row["turn"]].append(row)
                newest = row["number"]
            if not any(waiting):
                return len(held_up)
            for _ in range(min(AT_ONCE, sum(map(len, waiting)))):
                row = next(filter(None, waiting)).popleft()
                if row["about"] not in held_up and not await self._send(row["number"]):
                    held_up.add(row["about"])

    async def _send(self, number: int) -> bool:
        """False if the VPS failed on it. Raises VpsUnreachable."""
        async with self._sending:
            try:
                for still in await self._database.fetch(STILL_WAITING, (number,)):
                    await self._deliver_one(number, Event.model_validate_json(still["event"]))
            except VpsFailed as error:
                if error.answered_status == DOWN:
                    raise
                await self._count_failure(number, error.answered_status)
                return False
        return True

    async def retry_playbacks(self) -> None:
        """What was set aside about them carries everything and may be told again, perhaps to a newer VPS."""
        if not await self._database.fetch("SELECT 1 FROM outbox WHERE set_aside IS NOT NULL AND video_id = '' LIMIT 1"):
            return
        async with self._database.transaction() as transaction:
            too_old = "DELETE FROM outbox WHERE set_aside IS NOT NULL AND video_id = '' AND added_at < ?"
            await transaction.execute(too_old, (int(time.time()) - FORGOTTEN_DAYS * DAY_S,))
            again = "UPDATE outbox SET set_aside = NULL, failures = 0 WHERE set_aside IS NOT NULL AND video_id = ''"
            await transaction.execute(again)
            transaction.on_commit(self.wake)

    async def _deliver_one(self, number: int, event: Event) -> None:
        try:
            answer = await self._vps.post(EVENTS, event, EventAnswer)
        except VpsRefused as error:
            if error.answered_status not in NEVER_UNDERSTOOD:
                raise VpsUnreachable from None
            await self._set_aside(number, f"{error.answered_status} {error.answered_body}")
            return
        killpoint("outbox.answered")
        if isinstance(event.about, VideoStored) and answer.verdict == "unknown":
            await self._set_aside(number, "the VPS has no place for the video")
            return
        if isinstance(event.about, VideoStored):
            await self._heed(str(event.about.video_id), answer)
        elif isinstance(event.about, PlaybackTold) and answer.verdict == "unwanted":
            await self._moved(str(event.about.playback_id))
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM outbox WHERE number = ?", (number,))

    async def _heed(self, video_id: str, answer: EventAnswer) -> None:
        if answer.verdict == "unwanted":
            log.warning("video unwanted", extra={"video_id": video_id})
            await self._unwanted(video_id)
        if answer.verdict == "refused":
            log.warning("video refused", extra={"video_id": video_id, "reason": answer.reason})
            await self._refused(video_id, answer.reason)
            async with self._database.transaction() as transaction:  # nothing else of it will the VPS hear of
                await transaction.execute("DELETE FROM outbox WHERE video_id = ?", (video_id,))

    async def _count_failure(self, number: int, status: int) -> None:
        async with self._database.transaction() as transaction:
            await transaction.execute("UPDATE outbox SET failures = failures + 1 WHERE number = ?", (number,))
            rows = await transaction.fetch("SELECT failures FROM outbox WHERE number = ?", (number,))
        if rows and rows[0]["failures"] >= TRIES:  # it may have been replaced meanwhile
            await self._set_aside(number, f"answered {status} {TRIES} times")

    async def _set_aside(self, number: int, reason: str) -> None:
        log.error("event set aside", extra={"number": number, "reason": reason})
        async with self._database.transaction() as transaction:
            await transaction.execute("UPDATE outbox SET set_aside = ? WHERE number = ?", (reason, number))
