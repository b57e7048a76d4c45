"""A worker in this process, on a node's folder of which nothing else runs."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from cloud_service.db import FILE, Database
from cloud_service.processing.queue import StepDone, enqueue
from cloud_service.processing.worker import work
from cloud_service.settings import WorkerSettings
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import SELECT_VIDEOS, StoredVideo
from cloud_service.videos.store import VideoStore
from tests.cloud.running import a_video, eventually
from tests.processes import stopped_in

DONE_WITHIN_S = 60


@dataclass(frozen=True)
class Desk:
    """Videos as uploads leave them, and what workers made of them."""

    settings: WorkerSettings
    database: Database
    store: VideoStore

    @classmethod
    @asynccontextmanager
    async def made(cls, folder: Path, **told: object) -> AsyncIterator["Desk"]:
        quick = {"processing_lease_s": 3, "processing_retry_s": 0}
        settings = WorkerSettings.model_validate({"environment": "local", "data_dir": folder} | quick | told)
        database = await Database.open(settings.folder / FILE)
        try:
            yield cls(settings, database, VideoStore(settings.folder / "media"))
        finally:
            await database.close()

    async def add(self, film: bytes, number: int = 1, owner: UUID | None = None, **fields: Any) -> StoredVideo:
        video = replace(a_video(number), size=len(film), **fields)
        video = replace(video, owner_id=str(owner)) if owner else video
        self.store.scratch(video.id).write_bytes(film)
        self.store.keep(self.store.scratch(video.id), video)
        async with self.database.transaction() as transaction:
            await Catalogue(self.database).add(transaction, video)
            await enqueue(transaction, video)
        return video

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        working = asyncio.ensure_future(work(self.settings))
        try:
            yield
            assert not working.done(), working.exception()
        finally:
            working.cancel()
            await asyncio.wait([working])

    async def tried_before(self, times: int) -> None:
        async with self.database.transaction() as transaction:
            await transaction.execute("UPDATE jobs SET attempts = ?", (times,))

    async def row(self, video: StoredVideo) -> StoredVideo:
        (row,) = await self.database.fetch(f"{SELECT_VIDEOS} WHERE id = ?", (video.id,))
        return StoredVideo.from_row(dict(row))

    async def ended(self, video: StoredVideo) -> StoredVideo:
        """As it is when its job is done."""

        async def is_done() -> bool:
            return not await self.jobs()

        await eventually(is_done, DONE_WITHIN_S)
        return await self.row(video)

    async def jobs(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.database.fetch("SELECT * FROM jobs ORDER BY video_id")]

    async def is_free(self) -> bool:
        """Whether nobody is at any job."""
        return all(job["lease"] is None for job in await self.jobs())

    async def log(self, video: StoredVideo) -> list[StepDone]:
        """Of a video whose job is done."""
        (row,) = await self.database.fetch("SELECT log FROM processed WHERE video_id = ?", (video.id,))
        return [StepDone(**done) for done in json.loads(row["log"])]

    async def told(self) -> list[dict[str, Any]]:
        """What the VPS will hear."""
        return [json.loads(row["event"])["about"] for row in await self.database.fetch("SELECT event FROM outbox")]

    def files(self, video: StoredVideo) -> set[str]:
        return {path.name for path in self.store.folder(video).iterdir()}

    @property
    def at_work(self) -> list[Path]:
        """What lies in the folder of attempts under way."""
        return list(self.store.work.glob("**/*"))


async def _stopped(program: str, told: str) -> int:
    """A child of the worker, as soon as there is one; looked for beside the loop, where the worker itself is."""
    return await asyncio.to_thread(stopped_in, os.getpid(), program, told, 30)


async def stopped_ffmpeg() -> int:
    """The process id of the one that makes the first rendition."""
    return await _stopped("ffmpeg", "/sd.mp4")


async def stopped_inspection(desk: Desk, video: StoredVideo) -> int:
    """Of a file that takes a while to be read."""
    os.truncate(desk.store.original(video.owner_id, video.id), 2**40)
    return await _stopped("python", "processing.inspection")
