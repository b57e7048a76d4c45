"""The playbacks of this node: in memory for every request, in SQLite so that beginning again ends none.

A machine that was started anew has forgotten them: their times are in seconds of its uptime.
"""

import asyncio
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from uuid_utils.compat import uuid7

from cloud_service.access.models import Viewer
from cloud_service.clock import boot, uptime
from cloud_service.db import Database
from cloud_service.playback.models import Lives, Playback

log = logging.getLogger(__name__)

KEEP_EVERY_S = 30.0
"""How much of the time since a playback's last use a crash may forget."""
WRITTEN_WITHIN_S = 1.0
"""For longer nobody who may watch is kept waiting by a file that cannot be written."""
MOVED_KEPT = 8
"""How many of a user's playbacks that have moved are remembered, for whoever still uses their links."""


def _tell_failure(writing: asyncio.Future[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()):  # what is not written down, a restart ends
        log.error("a playback is kept in memory only", extra={"reason": repr(error)})


class Playbacks:
    """At most `at_once` of a user are live: one more ends that user's oldest."""

    def __init__(self, database: Database, lives: Lives, at_once: int) -> None:
        self._database, self.lives, self._at_once = database, lives, at_once
        self._by_id: dict[str, Playback] = {}
        self._of_user: dict[str, list[Playback]] = defaultdict(list)
        """Each user's, the oldest first."""
        self._used: set[str] = set()
        """Since their rows were last written."""

    def __len__(self) -> int:
        return len(self._by_id)

    async def load(self) -> None:
        """Those of this start of the machine; the others go."""
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM playbacks WHERE boot != ?", (boot(),))
        for row in await self._database.fetch("SELECT * FROM playbacks ORDER BY began_at, id"):
            viewer = Viewer(row["user_id"], row["generation"], 0)
            playback = Playback(
                row["id"],
                row["video_id"],
                viewer,
                row["began_at"],
                self._last_use(row["began_at"], row["used_at"]),
                bool(row["has_original"]),
                bool(row["has_moved"]),
            )
            self._remember(playback)
        await self.forget_expired()

    def _last_use(self, began_at: float, used_at: float | None) -> float | None:
        """A first use at the last moment may not have been written down before a crash."""
        last_moment = began_at + self.lives.open_within_s
        if used_at is None and last_moment <= uptime() < last_moment + KEEP_EVERY_S:
            return last_moment
        return used_at

    def get(self, playback_id: str) -> Playback | None:
        return self._by_id.get(playback_id)

    def is_live(self, playback: Playback, now: float) -> bool:
        return playback.state(now, self.lives) == "live"

    def use(self, playback: Playback, now: float) -> None:
        """It was used just now; that is written down after a while."""
        playback.used_at = now
        self._used.add(playback.id)

    async def begin(self, viewer: Viewer, video_id: str, *, has_original: bool) -> Playback:
        now = uptime()
        playback = Playback(str(uuid7()), video_id, viewer, now, has_original=has_original)
        live = [one for one in self._of_user[viewer.id] if self.is_live(one, now)]
        moved = live[: max(0, len(live) + 1 - self._at_once)]
        for one in moved:
            one.has_moved = True
        self._remember(playback)
        gone = [one for one in self._of_user[viewer.id] if one.has_moved][:-MOVED_KEPT]
        self._forget(gone)
        writing = asyncio.ensure_future(self._write_new(playback, moved, gone))
        writing.add_done_callback(_tell_failure)
        await asyncio.wait([writing], timeout=WRITTEN_WITHIN_S)
        return playback

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await asyncio.sleep(KEEP_EVERY_S)
                for keep in (self.keep_uses, self.forget_expired):
                    try:
                        await keep()
                    except Exception:
                        log.exception("the playbacks were not kept")
        finally:
            with suppress(sqlite3.Error):
                await asyncio.shield(self.keep_uses())

    async def keep_uses(self) -> None:
        """What was used since the last time, in one transaction."""
        used, self._used = self._used, set()
        times = [(one.used_at, one.id) for one in map(self._by_id.get, used) if one]
        if not times:
            return
        try:
            async with self._database.transaction() as transaction:
                await transaction.execute_many("UPDATE playbacks SET used_at = ? WHERE id = ?", times)
        except BaseException:
            self._used |= used
            raise

    async def forget_expired(self) -> None:
        """One that has moved is remembered until its links would have ended, for whoever still uses them."""
        now = uptime()
        if over := [one for one in self._by_id.values() if self._is_over(one, now)]:
            self._forget(over)
            async with self._database.transaction() as transaction:
                await transaction.execute_many("DELETE FROM playbacks WHERE id = ?", [(one.id,) for one in over])

    def _forget(self, over: Iterable[Playback]) -> None:
        for one in over:
            del self._by_id[one.id]
            self._of_user[one.viewer.id].remove(one)
            if not self._of_user[one.viewer.id]:
                del self._of_user[one.viewer.id]

    def _is_over(self, playback: Playback, now: float) -> bool:
        if playback.has_moved:
            return now - playback.began_at >= self.lives.in_all_s
        return not self.is_live(playback, now)

    def _remember(self, playback: Playback) -> None:
        self._by_id[playback.id] = playback
        self._of_user[playback.viewer.id].append(playback)

    async def _write_new(self, playback: Playback, moved: Iterable[Playback], gone: Iterable[Playback]) -> None:
        async with self._database.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO playbacks (id, video_id, user_id, generation, has_original, boot, began_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    playback.id,
                    playback.video_id,
                    playback.viewer.id,
                    playback.viewer.generation,
                    playback.has_original,
                    boot(),
                    playback.began_at,
                ),
            )
            moving = "UPDATE playbacks SET has_moved = 1 WHERE id = ?"
            await transaction.execute_many(moving, [(one.id,) for one in moved])
            await transaction.execute_many("DELETE FROM playbacks WHERE id = ?", [(one.id,) for one in gone])
