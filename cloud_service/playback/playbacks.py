"""The playbacks of this node: in memory for every request, in SQLite so that beginning again ends none.

A machine that was started anew has forgotten them: their times are in seconds of its uptime. So has a new database.

The VPS is told of each when it begins, when it is a view, at times while it goes on, and when it ends, each time all
that is known of it, in one transaction with what is kept here; it only adds to what it has heard. So whatever dies,
and whatever is told again, nothing counts twice. A crash costs what was watched in the last half minute. A database
that is lost while the node runs costs nothing, for memory knows it all (`left_over`, `end_left_over`); one that is
lost with the process costs what the VPS was not told yet, and all of the node's playbacks are told to be lost.
"""

import asyncio
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from uuid_utils.compat import uuid7

from cloud_service.access.models import Viewer
from cloud_service.clock import boot, uptime
from cloud_service.db import Database
from cloud_service.playback.models import NEVER, Lives, Playback
from cloud_service.playback.positions import forget_old_positions, position_of, put_positions
from cloud_service.playback.rows import delete_rows, insert_row, playback_of, update_rows
from cloud_service.playback.telling import Telling
from cloud_service.playback.timelines import Timelines
from cloud_service.playback.watched import BEGINNING_S, END_S, Run, note_sent
from cloud_service.videos.models import StoredVideo
from shared.killpoints import killpoint
from shared.playbacks import PlaybackEnd

log = logging.getLogger(__name__)

KEEP_EVERY_S = 30.0
"""How much of the time since a playback's last use a crash may forget."""
TELL_EVERY_S = 60.0
WRITTEN_WITHIN_S = 1.0
"""For longer nobody who may watch is kept waiting by a file that cannot be written."""
AT_ONCE = 200
"""Of very many playbacks so many are looked through, or written down, before others have their turn."""
MOVED_KEPT = 8
"""How many of a user's playbacks that have moved are remembered, for whoever still uses their links."""


def _tell_failure(writing: asyncio.Future[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()):  # what is not written down, a restart ends
        log.error("a playback is kept in memory only", extra={"reason": repr(error)})


def _nobody() -> None: ...


class Playbacks:
    """At most `at_once` of a user are live: one more ends that user's oldest.

    `wake` sends what is told to the VPS, whose time is `now` in Unix seconds; without `timelines` nobody knows which
    bytes are which seconds.
    """

    def __init__(
        self,
        database: Database,
        lives: Lives,
        at_once: int,
        timelines: Timelines | None = None,
        wake: Callable[[], None] = _nobody,
        now: Callable[[], float] = time.time,
        tell_every_s: float = TELL_EVERY_S,
    ) -> None:
        self._database, self.lives, self._at_once = database, lives, at_once
        self._timelines, self._now = timelines, now
        self._telling = Telling(database, lives, wake, tell_every_s)
        self._by_id: dict[str, Playback] = {}
        self._of_user: dict[str, list[Playback]] = defaultdict(list)
        """Each user's, the oldest first."""
        self._used: set[str] = set()
        """Since their rows were last written."""

    def __len__(self) -> int:
        return len(self._by_id)

    async def load(self) -> None:
        """Those of this start of the machine; the others have ended."""
        rows = await self._database.fetch("SELECT * FROM playbacks ORDER BY began_at, id")
        of_before = [playback_of(row) for row in rows if row["boot"] != boot()]
        told = self._over([one for one in of_before if not one.has_moved], "expired")
        async with self._telling.transaction(told) as transaction:
            await delete_rows(transaction, of_before)
            await forget_old_positions(transaction)
        for row in rows:
            if row["boot"] == boot():
                playback = playback_of(row)
                playback.used_at = self._last_use(playback)
                self._remember(playback)
        await self.forget_expired()

    def _last_use(self, playback: Playback) -> float | None:
        """A first use at the last moment may not have been written down before a crash."""
        last_moment = playback.began_at + self.lives.open_within_s
        if playback.used_at is None and last_moment <= uptime() < last_moment + KEEP_EVERY_S:
            return last_moment
        return playback.used_at

    def get(self, playback_id: str) -> Playback | None:
        return self._by_id.get(playback_id)

    def is_live(self, playback: Playback, now: float) -> bool:
        return playback.state(now, self.lives) == "live"

    def use(self, playback: Playback, now: float) -> None:
        """It was used just now; that is written down after a while."""
        playback.used_at = now
        self._used.add(playback.id)

    async def sends(self, playback: Playback, name: str, start: int, stop: int) -> None:
        """These bytes of moving picture are about to be sent. The first of all make it a view, before they are."""
        now = uptime()
        note_sent(playback.sent, name, start, stop, now)
        self.use(playback, now)
        if playback.viewed_at is None:
            playback.viewed_at = self._now()
            await self._within_a_moment(self._write_view(playback))
            killpoint("playback.viewed")

    async def begin(self, viewer: Viewer, video_id: str, *, has_original: bool) -> Playback:
        now = uptime()
        playback = Playback(str(uuid7()), video_id, viewer, now, has_original=has_original, began_unix=self._now())
        live = [one for one in self._of_user[viewer.id] if self.is_live(one, now)]
        moved = live[: max(0, len(live) + 1 - self._at_once)]
        for one in moved:
            self._mark_moved(one)
        self._remember(playback)
        gone = [one for one in self._of_user[viewer.id] if one.has_moved][:-MOVED_KEPT]
        self._forget(gone)
        await self._within_a_moment(self._write_new(playback, moved, gone))
        killpoint("playback.begun")
        return playback

    async def move(self, playback_id: str) -> None:
        """Its viewer began to watch on another node, says the VPS. Raises sqlite3.Error; then say it again."""
        playback = self._by_id.get(playback_id)
        if playback is None or (playback.has_moved and self._telling.is_told(playback)):
            return
        self._mark_moved(playback)
        async with self._telling.transaction([playback]) as transaction:
            await update_rows(transaction, [playback])

    async def end_used_up(self, playback: Playback) -> None:
        """Now, and the VPS is told: it would count among its viewer's for as long as it lives."""
        if not playback.is_used_up:
            playback.is_used_up = True
            seen = {"playback_id": playback.id, "video_id": playback.video_id, "user_id": playback.viewer.id}
            log.warning("playback used up", extra={**seen, "bytes": playback.sent_bytes})
            await self._within_a_moment(self._end([playback]))

    async def end_session(self, user_id: str, session_id: str) -> None:
        """Whatever they began with it ends. Raises sqlite3.Error; then say it again."""
        if over := [one for one in self._of_user.get(user_id, ()) if one.viewer.session_id == session_id]:
            await self._end(self._over(over, "signed_out"))

    def tell_again(self) -> None:
        """Of all that go on, to a VPS that may have been set back."""
        going_on = [one for one in self._by_id.values() if not one.has_moved]
        for one in going_on:
            one.told_at = NEVER
        self._telling.has_news(going_on)

    async def resume_at_s(self, viewer: Viewer, video: StoredVideo) -> float | None:
        """Where this viewer was in it the last time; None when that is unknown, or was its end."""
        here = [one for one in self._of_user.get(viewer.id, ()) if one.video_id == video.id]
        await self._bring_up_to_date(here)
        runs = [one.run for one in here if one.run and _position_s(one.run) is not None]
        newest = max(runs, key=lambda run: run.last_at, default=None)
        position_s = _position_s(newest) if newest else await position_of(self._database, viewer.id, video.id)
        return position_s if position_s is not None and position_s <= video.duration_s - END_S else None

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await asyncio.sleep(min(KEEP_EVERY_S, self._telling.every_s))
                for keep in (self.keep_uses, self.forget_expired):
                    try:
                        await keep()
                    except Exception:
                        log.exception("the playbacks were not kept")
        finally:
            with suppress(sqlite3.Error):
                await asyncio.shield(self.keep_uses())

    async def keep_uses(self) -> None:
        """What was used since the last time; of some the VPS is told."""
        used, self._used = list(self._used), set()
        for start in range(0, len(used), AT_ONCE):
            try:
                await self._keep([one for one in map(self._by_id.get, used[start : start + AT_ONCE]) if one])
            except BaseException:
                self._used.update(used[start:])
                raise
        due = self._telling.due(self._by_id)
        for start in range(0, len(due), AT_ONCE):
            await self._keep(due[start : start + AT_ONCE], are_told=True)

    async def _keep(self, playbacks: Sequence[Playback], *, are_told: bool = False) -> None:
        await self._bring_up_to_date(playbacks)
        async with self._telling.transaction(playbacks if are_told else ()) as transaction:
            await update_rows(transaction, playbacks)
            await put_positions(transaction, _positions(playbacks))
        killpoint("playback.kept")

    async def forget_expired(self) -> None:
        """One that has moved is remembered until its links would have ended, for whoever still uses them."""
        known = list(self._by_id)
        for start in range(0, len(known), AT_ONCE):
            now, some = uptime(), map(self._by_id.get, known[start : start + AT_ONCE])
            if over := [one for one in some if one and self._is_over(one, now)]:
                await self._end(over)
            await asyncio.sleep(0)

    async def _end(self, over: Sequence[Playback]) -> None:
        await self._bring_up_to_date(over)
        gone = [one for one in over if self._video_is_gone(one)]
        self._over(gone, "video_gone")
        told = [one for one in self._over(over, "expired") if not (one.has_moved and self._telling.is_told(one))]
        async with self._telling.transaction(told) as transaction:
            await put_positions(transaction, _positions(over))
            await delete_rows(transaction, over)
            transaction.on_commit(lambda: self._forget(over))
        killpoint("playback.ended")

    async def left_over(self) -> list[Playback]:
        """Of a node whose database is lost: all that went on, as far as they had come."""
        left = [one for one in self._by_id.values() if not one.has_moved]
        await self._bring_up_to_date(left)
        return left

    async def end_left_over(self, left: Sequence[Playback]) -> None:
        """In a new database: the VPS is told all of them, and that they are over."""
        async with self._telling.transaction(self._over(left, "lost")) as transaction:
            await put_positions(transaction, _positions(left))

    # --- what becomes of each -----------------------------------------------------------------------

    def _mark_moved(self, playback: Playback) -> None:
        playback.has_moved = True
        self._over([playback], "moved")
        self._used.add(playback.id)  # what was sent in the end is still to be told
        self._telling.has_news([playback])

    def _over(self, playbacks: Sequence[Playback], end: PlaybackEnd) -> Sequence[Playback]:
        for one in playbacks:
            one.ended(end, self._now())
        return playbacks

    def _is_over(self, playback: Playback, now: float) -> bool:
        if playback.has_moved:
            return now - playback.began_at >= self.lives.in_all_s
        return not self.is_live(playback, now) or self._video_is_gone(playback)

    def _video_is_gone(self, playback: Playback) -> bool:
        return self._timelines is not None and self._timelines.video(playback.video_id) is None

    def _remember(self, playback: Playback) -> None:
        self._by_id[playback.id] = playback
        self._of_user[playback.viewer.id].append(playback)

    def _forget(self, over: Iterable[Playback]) -> None:
        for one in over:
            if self._by_id.pop(one.id, None):
                self._of_user[one.viewer.id].remove(one)
                if not self._of_user[one.viewer.id]:
                    del self._of_user[one.viewer.id]

    async def _bring_up_to_date(self, playbacks: Iterable[Playback]) -> None:
        """Seconds of the video in place of bytes of its files."""
        if self._timelines:
            self._telling.has_news([one for one in playbacks if await self._timelines.take_in(one)])

    # --- writing it down, and telling it --------------------------------------------------------------

    async def _within_a_moment(self, step: Coroutine[Any, Any, None]) -> None:
        writing = asyncio.ensure_future(step)
        writing.add_done_callback(_tell_failure)
        await asyncio.wait([writing], timeout=WRITTEN_WITHIN_S)

    async def _write_view(self, playback: Playback) -> None:
        async with self._telling.transaction([playback]) as transaction:
            await update_rows(transaction, [playback])

    async def _write_new(self, playback: Playback, moved: Sequence[Playback], gone: Sequence[Playback]) -> None:
        async with self._telling.transaction([*moved, playback]) as transaction:
            await insert_row(transaction, playback)
            await update_rows(transaction, moved)
            await delete_rows(transaction, gone)


def _position_s(run: Run) -> float | None:
    """None at the very beginning: a player that was only opened begins there too."""
    position_s = run.position_s(run.last_at)
    return position_s if position_s >= BEGINNING_S else None


def _positions(playbacks: Iterable[Playback]) -> list[tuple[str, str, float]]:
    """As `put_positions` takes them."""
    found = ((one, _position_s(one.run)) for one in playbacks if one.run)
    return [(one.viewer.id, one.video_id, position_s) for one, position_s in found if position_s is not None]
