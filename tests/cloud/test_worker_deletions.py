"""Deletions that come at the worst moment: while files move, and while a folder is tidied up."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloud_service.db import FILE, Database, Transaction
from cloud_service.processing import queue
from cloud_service.processing.attempt import Attempt
from cloud_service.processing.queue import Standing
from cloud_service.processing.results import Results
from cloud_service.processing.sweep import remove_attempt
from cloud_service.processing.worker import Worker
from cloud_service.videos.actions import remove_video
from cloud_service.videos.catalogue import Catalogue
from tests.clips import Clips
from tests.cloud.running import eventually
from tests.cloud.working import Desk
from tests.processes import children_of

pytestmark = pytest.mark.anyio

MANY = 20_000


@pytest.fixture
async def desk(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Desk]:
    async with Desk.made(tmp_path, processing_lease_s=60) as desk:
        yield desk


class Hesitant(Worker):
    """Does not commit that a file is where it is before it may."""

    def __init__(self, desk: Desk, file: Path) -> None:
        super().__init__(desk.settings, desk.database)
        self._file = file
        self.hesitates, self.may = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        async with super().writing() as transaction:
            yield transaction
            if self._file.exists():
                self.hesitates.set()
                await self.may.wait()


@pytest.mark.parametrize("name", ["poster.jpg", "sd.mp4", "storyboard.vtt"])
async def test_a_video_that_is_deleted_while_files_are_put_in_their_place_leaves_nothing(
    desk: Desk, clips: Clips, name: str
) -> None:
    video = await desk.add(clips.film)
    worker = Hesitant(desk, desk.store.folder(video) / name)
    node = await Database.open(desk.settings.folder / FILE)
    working = asyncio.ensure_future(worker.run())
    try:
        await asyncio.wait_for(worker.hesitates.wait(), 30)
        catalogue = Catalogue(node)
        deleting = asyncio.ensure_future(remove_video(catalogue, desk.store, video))
        await eventually(lambda: catalogue.find(video.id))
        worker.may.set()
        await deleting
        await eventually(lambda: not desk.at_work and not children_of(os.getpid(), told=video.id), 30)
    finally:
        working.cancel()
        await asyncio.wait([working])
        await node.close()
    assert not desk.store.folder(video).exists()
    for table in ("videos", "jobs", "processed", "news"):
        assert not await desk.database.fetch(f"SELECT * FROM {table}"), table


async def test_one_that_ends_while_the_folder_of_another_is_removed_leaves_none_of_its_own(desk: Desk) -> None:
    video = await desk.add(b"film")
    (left := desk.store.work / video.id / "another").mkdir(parents=True)
    for number in range(MANY):
        (left / str(number)).touch()
    async with desk.database.transaction() as transaction:
        job = await queue.take(transaction, 60)
    assert job
    results = Results(lambda: desk.database.transaction(durable=True), desk.store, job)
    attempt = Attempt(job, desk.settings, desk.store, results, Standing())
    trying = asyncio.ensure_future(attempt.run())
    while not trying.done() and len(os.listdir(left)) == MANY:  # noqa: ASYNC110 - seldom looked at, they might all be gone
        await asyncio.sleep(0)
    trying.cancel()
    await asyncio.wait([trying])
    remove_attempt(attempt.folder)
    await asyncio.sleep(0.2)  # a thread may still be at it
    assert not desk.at_work
