"""An attempt that has lost its job changes nothing any more, at whatever moment it notices."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from cloud_service.processing import queue
from cloud_service.processing.queue import Job, Standing
from cloud_service.processing.results import JobGone, Results
from cloud_service.processing.source import Picture, Source
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import Rendition, StoredVideo
from tests.cloud.working import Desk

pytestmark = pytest.mark.anyio

SD = Rendition("sd", 160, 90, 10.0, 4, 1000, "avc1.64001e")
MANY = 300
AS_UPLOADED = {"original", "video.json"}


@pytest.fixture
async def desk(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Desk]:
    async with Desk.made(tmp_path) as desk:
        yield desk


@pytest.fixture
async def video(desk: Desk) -> StoredVideo:
    return await desk.add(b"film")


@pytest.fixture
async def job(desk: Desk, video: StoredVideo) -> Job:
    async with desk.database.transaction() as transaction:
        job = await queue.take(transaction, 60)
    assert job is not None
    return job


@pytest.fixture
def results(desk: Desk, job: Job) -> Results:
    return Results(lambda: desk.database.transaction(durable=True), desk.store, job)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder of an attempt that has just made a rendition."""
    folder = tmp_path / "attempt"
    folder.mkdir()
    for name in ("sd.mp4", "sd.m3u8"):
        (folder / name).write_bytes(b"made")
    return folder


async def test_what_is_found_of_a_video_stays_known(desk: Desk, video: StoredVideo, results: Results, job: Job) -> None:
    """To the node at once, to the VPS together with how it ended, and to whoever makes rows anew from the disk."""
    picture = Picture(0, "hevc", 90, 160, Fraction(25), 1, 0.0, 7.25, 2.0, True, False, "said", False)
    found = await results.found(Source("video/mp4", picture, None, plays=False))
    assert found == replace(video, duration_s=7.25, width=90, height=160, plays=False) != video
    assert await desk.row(video) == found
    assert desk.store.read_rows() == [found]
    assert [row["video_id"] for row in await desk.database.fetch("SELECT video_id FROM news")] == [video.id]
    await results.finish(Standing())
    assert [about["duration_s"] for about in await desk.told()] == [7.25]


async def test_nothing_is_told_of_a_video_that_is_as_was_thought(
    desk: Desk, video: StoredVideo, results: Results
) -> None:
    picture = Picture(
        0, "h264", video.width, video.height, Fraction(25), 1, 0.0, video.duration_s, 2.0, False, False, "said", False
    )
    assert await results.found(Source("video/mp4", picture, None, plays=video.plays)) == video
    assert await desk.database.fetch("SELECT video_id FROM news") == []


async def add(results: Results, made: Path) -> StoredVideo:
    return await results.add(SD, made, ["sd.mp4", "sd.m3u8"])


async def test_a_rendition_is_the_videos_as_soon_as_it_is_made(
    desk: Desk, video: StoredVideo, results: Results, made: Path
) -> None:
    added = await add(results, made)
    assert added == await desk.row(video)
    assert (added.status, added.renditions) == ("processing", (SD,))
    assert desk.files(video) == AS_UPLOADED | {"sd.mp4", "sd.m3u8"}
    assert await desk.told() == []


async def test_without_room_for_its_row_a_rendition_stays_where_the_attempt_made_it(
    desk: Desk, video: StoredVideo, results: Results, made: Path
) -> None:
    """From there it is removed with all the rest; in the video's folder it would fill the disk until it is swept."""
    (desk.store.folder(video) / "video.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        await add(results, made)
    assert desk.files(video) == AS_UPLOADED | {"video.partial"}
    assert await desk.row(video) == video


async def test_files_that_are_moving_have_arrived_before_anybody_else_has_a_turn(
    desk: Desk, video: StoredVideo, results: Results, made: Path
) -> None:
    """Whoever moves them is cancelled, and whoever deletes the video is next."""
    names = [f"{number}.mp4" for number in range(MANY)]
    for name in names:
        (made / name).write_bytes(b"made")
    adding = asyncio.ensure_future(results.add(SD, made, names))
    while not (desk.store.folder(video) / names[0]).exists():  # noqa: ASYNC110
        await asyncio.sleep(0)
    adding.cancel()
    async with desk.database.transaction():
        assert set(names) <= desk.files(video)
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert await desk.row(video) == video


async def test_a_video_that_was_ready_stays_so_when_a_lost_rendition_cannot_be_made_again(
    desk: Desk, video: StoredVideo, results: Results
) -> None:
    async with desk.database.transaction() as transaction:
        await transaction.execute("UPDATE videos SET status = 'ready'")
    await results.fail(Standing(), "The video could not be converted.")
    after = await desk.row(video)
    assert (after.status, after.reason) == ("ready", "")
    assert await desk.jobs() == []


async def test_what_another_has_taken_over_is_left_to_them(
    desk: Desk, video: StoredVideo, results: Results, made: Path
) -> None:
    async with desk.database.transaction() as transaction:
        await transaction.execute("UPDATE jobs SET lease = 'another'")
    for late in (add(results, made), results.finish(Standing()), results.fail(Standing(), "Too late.")):
        with pytest.raises(JobGone):
            await late
    assert await desk.row(video) == video
    assert desk.files(video) == AS_UPLOADED
    assert len(await desk.jobs()) == 1
    assert await desk.told() == []


async def test_a_video_that_was_deleted_meanwhile_stays_deleted(
    desk: Desk, video: StoredVideo, results: Results, made: Path
) -> None:
    await Catalogue(desk.database).remove(video)
    with pytest.raises(JobGone):
        await add(results, made)
    assert desk.files(video) == AS_UPLOADED  # they go next
    desk.store.remove(video.owner_id, video.id)
    with pytest.raises(JobGone):
        await results.finish(Standing())
    assert not desk.store.folder(video).exists()
    assert await desk.database.fetch("SELECT * FROM processed") == []
