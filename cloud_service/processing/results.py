"""What workers change about videos: files into the video's folder, its row, the news for the node and for the VPS.

Files move inside the transaction that names them. Whoever deletes the video, takes the job over or sweeps the folder
does so before or after, never between; a crash between leaves files that no row knows, for the sweep.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path

from cloud_service.db import Transaction, to_its_end
from cloud_service.outbox import announce
from cloud_service.processing.queue import Job, Standing, end, is_held, is_new_waiting
from cloud_service.processing.source import Source
from cloud_service.videos.models import COLUMNS, SELECT_VIDEOS, Rendition, StoredVideo
from cloud_service.videos.store import VideoStore, sync_folder
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

Writing = Callable[[], AbstractAsyncContextManager[Transaction]]
"""A durable transaction on the node's database, as long as that is the one which the job was taken from."""


class JobGone(Exception):
    """The video is deleted, or somebody else has taken the job over: whatever is under way is to be dropped."""


async def video_of(transaction: Transaction, job: Job) -> StoredVideo:
    """Raises JobGone."""
    if not await is_held(transaction, job):
        raise JobGone
    rows = await transaction.fetch(f"{SELECT_VIDEOS} WHERE id = ?", (job.video_id,))
    if not rows:
        raise JobGone
    return StoredVideo.from_row(dict(rows[0]))


async def save(transaction: Transaction, video: StoredVideo) -> None:
    """What was found of it, its state and its renditions; the node's memory follows in a moment."""
    row = dict(zip(COLUMNS, video.to_row(), strict=True))
    await transaction.execute(
        "UPDATE videos SET duration_s = :duration_s, width = :width, height = :height, plays = :plays,"
        " status = :status, reason = :reason, renditions = :renditions WHERE id = :id",
        row,
    )
    await transaction.execute("INSERT INTO news (video_id) VALUES (?)", (video.id,))


class Results:
    """Of one job. Everything raises JobGone, and OSError when the disk is full."""

    def __init__(self, writing: Writing, store: VideoStore, job: Job) -> None:
        self._writing, self._store, self._job = writing, store, job

    async def load(self) -> StoredVideo:
        async with self._writing() as transaction:
            return await video_of(transaction, self._job)

    async def found(self, source: Source) -> StoredVideo:
        """The video as it is: what took it in may not have counted it, or not have looked into it at all."""
        picture = source.picture
        async with self._writing() as transaction:
            before = await video_of(transaction, self._job)
            video = replace(before, width=picture.width, height=picture.height, plays=source.plays)
            video = replace(video, duration_s=round(source.duration_s, 3))
            if video != before:
                await to_its_end(asyncio.to_thread(self._store.keep_row, video))
                await save(transaction, video)
        return video

    async def add(self, made: Rendition | None, folder: Path, names: Sequence[str]) -> StoredVideo:
        """The video with the new files in its folder, for good."""
        await asyncio.to_thread(_sync, [folder / name for name in names])
        async with self._writing() as transaction:
            video = await video_of(transaction, self._job)
            if made:
                others = (one for one in video.renditions if one.name != made.name)
                video = replace(video, renditions=tuple(sorted((*others, made), key=lambda one: one.height)))
                await to_its_end(asyncio.to_thread(self._store.keep_row, video))  # there may be no room for it
                await save(transaction, video)
                killpoint("processing.row_kept")
            await to_its_end(asyncio.to_thread(_move, folder, self._store.folder(video), names))
            killpoint("processing.moved")
        return video

    async def hold_up_others(self) -> bool:
        """Whether somebody waits for the first rendition of a video meanwhile."""
        async with self._writing() as transaction:
            return await is_new_waiting(transaction)

    async def finish(self, standing: Standing) -> None:
        """Everything is made."""
        await self._conclude(standing, "")

    async def fail(self, standing: Standing, reason: str) -> None:
        """For good; the original stays, and what was made of it. A video that was ready stays so, without the rest."""
        await self._conclude(standing, reason)

    async def _conclude(self, standing: Standing, reason: str) -> None:
        async with self._writing() as transaction:
            before = await video_of(transaction, self._job)
            if reason and before.status == "ready":
                log.error("a rendition that was lost could not be made again", extra={"video_id": before.id})
                reason = ""
            video = replace(before, status="error" if reason else "ready", reason=reason)
            with suppress(FileNotFoundError):  # somebody deleted all of it by hand: at least it waits no more
                await to_its_end(asyncio.to_thread(self._store.keep_row, video))
            await save(transaction, video)
            await announce(transaction, video.announcement())
            await end(transaction, self._job, standing)
        killpoint("processing.ended")


def _sync(files: Sequence[Path]) -> None:
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _move(folder: Path, place: Path, names: Sequence[str]) -> None:
    """Over whatever an earlier attempt left there."""
    for name in names:
        (folder / name).rename(place / name)
    sync_folder(place)
