"""The playbacks of this node: in memory for every request, in SQLite so that a restart ends none."""

import asyncio
import logging
import sqlite3
from collections import defaultdict

from uuid_utils.compat import uuid7

from cloud_service.access.models import Viewer
from cloud_service.clock import boot, uptime
from cloud_service.db import Database
from cloud_service.playback.models import Lives, Playback

log = logging.getLogger(__name__)

KEEP_EVERY_S = 30.0
"""How much of the time since a playback's last use a crash may forget."""


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
        """Those of this start of the machine: its seconds are what theirs count in."""
        wanted = "SELECT * FROM playbacks WHERE boot = ? ORDER BY began_at, id"
        for row in await self._database.fetch(wanted, (boot(),)):
            viewer = Viewer(row["user_id"], row["generation"], 0)
            playback = Playback(
                row["id"], row["video_id"], viewer, row["began_at"], row["used_at"], bool(row["has_moved"])
            )
            self._remember(playback)
        await self.forget_expired()

    def get(self, playback_id: str) -> Playback | None:
        return self._by_id.get(playback_id)

    def is_live(self, playback: Playback, now: float) -> bool:
        return playback.state(now, self.lives) == "live"

    def use(self, playback: Playback, now: float) -> None:
        """It was used just now; that is written down after a while."""
        playback.used_at = now
        self._used.add(playback.id)

    async def begin(self, viewer: Viewer, video_id: str) -> Playback:
        now = uptime()
        playback = Playback(str(uuid7()), video_id, viewer, now)
        live = [one for one in self._of_user[viewer.id] if self.is_live(one, now)]
        moved = live[: max(0, len(live) + 1 - self._at_once)]
        for one in moved:
            one.has_moved = True
        self._remember(playback)
        try:
            await self._write_new(playback, moved)
        except sqlite3.Error as error:  # what is not written down, a restart ends
            log.warning("a playback is kept in memory only", extra={"reason": str(error)})
        return playback

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            try:
                await self.keep_uses()
                await self.forget_expired()
            except Exception:
                log.exception("the playbacks were not kept")

    async def keep_uses(self) -> None:
        """What was used since the last time, in one transaction."""
        used, self._used = self._used, set()
        times = [(one.used_at, one.id) for one in map(self._by_id.get, used) if one]
        async with self._database.transaction() as transaction:
            await transaction.execute_many("UPDATE playbacks SET used_at = ? WHERE id = ?", times)

    async def forget_expired(self) -> None:
        """One that has moved is remembered until its links would have ended, for whoever still uses them."""
        now = uptime()
        over = [one for one in self._by_id.values() if self._is_over(one, now)]
        for one in over:
            del self._by_id[one.id]
            self._of_user[one.viewer.id].remove(one)
            if not self._of_user[one.viewer.id]:
                del self._of_user[one.viewer.id]
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM playbacks WHERE boot != ?", (boot(),))
            await transaction.execute_many("DELETE FROM playbacks WHERE id = ?", [(one.id,) for one in over])

    def _is_over(self, playback: Playback, now: float) -> bool:
        if playback.has_moved:
            return now - playback.began_at >= self.lives.in_all_s
        return not self.is_live(playback, now)

    def _remember(self, playback: Playback) -> None:
        self._by_id[playback.id] = playback
        self._of_user[playback.viewer.id].append(playback)

    async def _write_new(self, playback: Playback, moved: list[Playback]) -> None:
        async with self._database.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO playbacks (id, video_id, user_id, generation, began_at, boot) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    playback.id,
                    playback.video_id,
                    playback.viewer.id,
                    playback.viewer.generation,
                    playback.began_at,
                    boot(),
                ),
            )
            moving = "UPDATE playbacks SET has_moved = 1 WHERE id = ?"
            await transaction.execute_many(moving, [(one.id,) for one in moved])
