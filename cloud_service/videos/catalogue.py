"""The videos on this node: rows in SQLite, and in memory for every request."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from cloud_service.db import WHOLE, Database, Transaction
from cloud_service.processing.queue import dequeue
from cloud_service.videos.models import COLUMNS, SELECT_VIDEOS, StoredVideo

UNCONFIRMED = "catalogue_unconfirmed"
HAS_ITS_PLACE = "UPDATE OR IGNORE videos SET replaces = '' WHERE replaces = ?"


class Catalogue:
    """Nobody is shown a video that is going, being deleted, nor any at all while the catalogue is unconfirmed.

    It is unconfirmed from when its rows had to be made anew from the disk, or changes of the VPS were missed, until
    the VPS was asked about each: one that was deleted may be among them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shown: dict[str, StoredVideo] = {}
        self._hidden: dict[str, StoredVideo] = {}
        self._going: dict[str, StoredVideo] = {}
        self.is_confirmed = True
        self.doubts = 0
        """How often everything was in doubt so far: a comparing that began before the last time confirms nothing."""

    async def load(self) -> None:
        unconfirmed = await self._database.fetch("SELECT 1 FROM remembered WHERE name = ?", (UNCONFIRMED,))
        self.is_confirmed = not unconfirmed
        for row in await self._database.fetch(SELECT_VIDEOS):
            video = StoredVideo.from_row(dict(row))
            (self._shown if self.is_confirmed else self._hidden)[video.id] = video

    def get(self, video_id: str) -> StoredVideo | None:
        """The video, unless it is hidden."""
        return self._shown.get(video_id)

    def find(self, video_id: str) -> StoredVideo | None:
        """The video, also while it is hidden: a deletion that failed half-way is taken up again."""
        return self._shown.get(video_id) or self._hidden.get(video_id) or self._going.get(video_id)

    def __iter__(self) -> Iterator[StoredVideo]:
        return iter(list(chain(self._shown.values(), self._hidden.values(), self._going.values())))

    def __len__(self) -> int:
        return len(self._shown) + len(self._hidden) + len(self._going)

    def of_course(self, course_id: str) -> list[StoredVideo]:
        return [video for video in self if video.course_id == course_id]

    def of_lesson(self, lesson_id: str) -> list[StoredVideo]:
        """Its video, and perhaps the one that will take that one's place; one that is going has left it already."""
        there = chain(self._shown.values(), self._hidden.values())
        return [video for video in there if video.kind == "course" and video.lesson_id == lesson_id]

    def hide_all(self) -> None:
        """Nothing is served from here for now: the database beneath is gone, or who was deleted is in doubt."""
        self._hidden |= self._shown
        self._shown = {}
        self.is_confirmed = False
        self.doubts += 1

    async def doubt(self, transaction: Transaction) -> None:
        """Unconfirmed from now on, also after a crash."""
        if len(self):
            self.hide_all()
            await transaction.execute(
                "INSERT OR REPLACE INTO remembered (name, value) VALUES (?, 'true')", (UNCONFIRMED,)
            )

    async def is_whole(self) -> bool:
        """Whether the rows were ever complete: not in a database that was just made."""
        return bool(await self._database.fetch("SELECT 1 FROM remembered WHERE name = ?", (WHOLE,)))

    async def rebuild(self, videos: Collection[StoredVideo]) -> None:
        """Rows for what is on the disk; of two for one lesson the newer one is meant."""
        known = [(WHOLE,), (UNCONFIRMED,)] if videos else [(WHOLE,)]
        async with self._database.transaction(durable=True) as transaction:
            for video in sorted(videos, key=lambda video: (video.stored_at, video.id), reverse=True):
                await self._insert(transaction, video, "OR IGNORE")
            await transaction.execute_many("INSERT INTO remembered (name, value) VALUES (?, 'true')", known)

    async def confirm(self) -> None:
        """The VPS was asked about every video here."""
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM remembered WHERE name = ?", (UNCONFIRMED,))
            transaction.on_commit(self._show_all)

    def _show_all(self) -> None:
        self._shown |= self._hidden
        self._hidden, self.is_confirmed = {}, True

    async def add(self, transaction: Transaction, video: StoredVideo) -> None:
        """Shown once the transaction is committed."""
        await self._insert(transaction, video)
        transaction.on_commit(lambda: self._shown.__setitem__(video.id, video))

    async def read_again(self, video_ids: Sequence[str]) -> None:
        """Somebody else has changed these rows: shown from now on as they are there."""
        marks = ", ".join("?" for _ in video_ids)
        async with self._database.transaction() as transaction:
            rows = await transaction.fetch(f"{SELECT_VIDEOS} WHERE id IN ({marks})", video_ids)
            videos = [StoredVideo.from_row(dict(row)) for row in rows]
            transaction.on_commit(lambda: self._replace(videos))

    def _replace(self, videos: Iterable[StoredVideo]) -> None:
        for video in videos:
            for where in (self._shown, self._hidden):
                if video.id in where:
                    where[video.id] = video

    async def remove(self, video: StoredVideo) -> None:
        """Shown to nobody at once, then its row goes; a video that was to take its place has it now."""
        self._going[video.id] = video
        self._shown.pop(video.id, None)
        self._hidden.pop(video.id, None)
        async with self._database.transaction(durable=True) as transaction:
            transaction.on_commit(lambda: self._forget(video))
            await transaction.execute("DELETE FROM videos WHERE id = ?", (video.id,))
            await transaction.execute(HAS_ITS_PLACE, (video.id,))
            await transaction.execute("DELETE FROM captions WHERE video_id = ?", (video.id,))
            await transaction.execute("DELETE FROM positions WHERE video_id = ?", (video.id,))
            await transaction.execute("DELETE FROM resumable_uploads WHERE id = ?", (video.id,))
            await dequeue(transaction, video.id)

    def _forget(self, video: StoredVideo) -> None:
        self._going.pop(video.id, None)
        self._has_place_of(video.id)

    def _has_place_of(self, video_id: str) -> None:
        self._replace([replace(heir, replaces="") for heir in self if heir.replaces == video_id])

    async def take_place_of(self, video_id: str) -> None:
        """Of one that is deleted, wherever it was: what was to take its place has it now."""
        if not any(heir.replaces == video_id for heir in self):
            return
        async with self._database.transaction() as transaction:
            if await transaction.execute(HAS_ITS_PLACE, (video_id,)):
                transaction.on_commit(lambda: self._has_place_of(video_id))

    async def refuse(self, video_id: str, reason: str, keep_row: Callable[[StoredVideo], None]) -> None:
        """Nothing becomes of it: in error for this reason, and in nobody's way, until its owner deletes it.

        `keep_row` writes it down beside the video's files.
        """
        async with self._database.transaction(durable=True) as transaction:
            rows = await transaction.fetch(f"{SELECT_VIDEOS} WHERE id = ?", (video_id,))
            videos = [StoredVideo.from_row(dict(row)).refused(reason) for row in rows]
            for video in videos:
                with suppress(FileNotFoundError):
                    await asyncio.to_thread(keep_row, video)
                await transaction.execute(
                    "UPDATE videos SET status = ?, reason = ?, replaces = ? WHERE id = ?",
                    (video.status, video.reason, video.replaces, video.id),
                )
            await dequeue(transaction, video_id)
            transaction.on_commit(lambda: self._replace(videos))

    async def was_deleted(self, transaction: Transaction, course_id: str) -> bool:
        """Whether the course was: an upload into it may still have been on its way."""
        return bool(await transaction.fetch("SELECT 1 FROM deleted_courses WHERE id = ?", (course_id,)))

    @staticmethod
    async def _insert(transaction: Transaction, video: StoredVideo, or_else: str = "") -> None:
        marks = ", ".join("?" for _ in COLUMNS)
        await transaction.execute(
            f"INSERT {or_else} INTO videos ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608
            video.to_row(),
        )
