"""What becomes of a job: a video that is ready, one more try, a reason, or patience."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from cloud_service.clock import uptime
from cloud_service.db import FILE, Database
from cloud_service.guard import set_aside
from cloud_service.media.asking import Asking
from cloud_service.media.confined import FAILED, landlock_version
from cloud_service.media.containers import MPEG_TS
from cloud_service.processing.ffmpeg import LOOK_EVERY_S
from cloud_service.processing.queue import ATTEMPTS, standing_of
from cloud_service.processing.worker import Worker
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import ROW
from tests.clips import H264, PICTURE, Clips
from tests.cloud.running import eventually
from tests.cloud.working import Desk, stopped_ffmpeg, stopped_inspection
from tests.corpus.pictures import pictures_that_grow_beyond_all_bounds
from tests.corpus.trap import set_trap
from tests.processes import children_of

pytestmark = pytest.mark.anyio

MADE = {"original", "video.json", "sd.mp4", "sd.m3u8", "master.m3u8", "poster.jpg", "storyboard.jpg", "storyboard.vtt"}


@pytest.fixture
async def desk(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Desk]:
    """A test that needs other settings says so: `@pytest.mark.settings(processing_retry_s=60)`."""
    told = {name: value for marker in request.node.iter_markers("settings") for name, value in marker.kwargs.items()}
    async with Desk.made(tmp_path, **told) as desk:
        yield desk


async def is_given_back(desk: Desk) -> bool:
    (job,) = await desk.jobs()
    return job["lease"] is None and job["not_before"] > 0


async def impatient(desk: Desk) -> Worker:
    """Its SQLite does not wait for the lock, so that tests need not either."""
    async with desk.database.transaction() as transaction:
        await transaction.execute("PRAGMA busy_timeout = 20")
    return Worker(desk.settings, desk.database)


@contextmanager
def locked(desk: Desk) -> Iterator[None]:
    """By another process."""
    other = sqlite3.connect(desk.settings.folder / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


async def status_is(desk: Desk, video: StoredVideo, status: str) -> bool:
    return (await desk.row(video)).status == status


async def test_a_video_becomes_ready_with_all_that_players_need(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.film)
    async with desk.worker():
        ready = await desk.ended(video)
    assert (ready.status, ready.reason) == ("ready", "")
    assert [made.name for made in ready.renditions] == ["sd"]
    assert desk.files(video) == MADE
    assert (desk.store.folder(video) / "sd.mp4").stat().st_size == ready.renditions[0].size
    assert desk.store.original(video.owner_id, video.id).read_bytes() == clips.film
    assert ready.from_json((desk.store.folder(video) / ROW).read_bytes()) == ready
    assert [done.result for done in await desk.log(video)] == ["made"] * 4
    assert [(about["status"], len(about["renditions"])) for about in await desk.told()] == [("ready", 1)]
    assert {row["video_id"] for row in await desk.database.fetch("SELECT video_id FROM news")} == {video.id}
    assert not desk.at_work


async def test_renditions_that_are_there_are_not_made_again(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.film)
    async with desk.worker():
        await desk.ended(video)
        before = (desk.store.folder(video) / "sd.mp4").stat()
        async with desk.database.transaction() as transaction:
            await transaction.execute("UPDATE videos SET status = 'processing'")
            await transaction.execute("INSERT INTO jobs (video_id, owner_id, added_at) VALUES (?, 'o', 0)", (video.id,))
        assert (await desk.ended(video)).status == "ready"
    assert {done.step: done.result for done in await desk.log(video)}["sd"] == "was_there"
    assert (desk.store.folder(video) / "sd.mp4").stat().st_ino == before.st_ino


async def test_after_the_last_try_the_video_has_failed_with_a_reason_and_its_original_stays(
    desk: Desk, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_PATH", "/bin/false")
    video = await desk.add(clips.film)
    async with desk.worker():
        failed = await desk.ended(video)
    assert (failed.status, failed.reason) == ("error", "The video could not be converted.")
    assert desk.files(video) == {"original", "video.json"}
    tries = [done.attempt for done in await desk.log(video) if (done.step, done.result) == ("sd", "failed")]
    assert tries == [1, 2, 3, ATTEMPTS]
    assert [(about["status"], about["reason"]) for about in await desk.told()] == [("error", failed.reason)]
    assert not desk.at_work


async def test_an_ffmpeg_that_says_all_is_well_and_made_nothing_has_failed(
    desk: Desk, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_PATH", "/bin/true")
    video = await desk.add(clips.film)
    await desk.tried_before(ATTEMPTS - 1)
    async with desk.worker():
        assert (await desk.ended(video)).status == "error"
    assert desk.files(video) == {"original", "video.json"}


async def test_what_can_never_work_is_not_tried_again(desk: Desk) -> None:
    video = await desk.add(b"no video at all" * 1000)
    async with desk.worker():
        failed = await desk.ended(video)
    assert failed.status == "error"
    assert [(done.step, done.attempt, done.result) for done in await desk.log(video)] == [("metadata", 1, "failed")]


async def test_a_video_whose_files_somebody_deleted_waits_no_more(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.film)
    shutil.rmtree(desk.store.folder(video))
    async with desk.worker():
        assert (await desk.ended(video)).status == "error"


async def test_a_job_whose_workers_died_again_and_again_fails(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.film)
    await desk.tried_before(ATTEMPTS)
    async with desk.worker():
        failed = await desk.ended(video)
    assert (failed.status, failed.reason.partition(",")[0]) == (
        "error",
        "The processing was interrupted again and again",
    )


@pytest.mark.settings(processing_retry_s=60)
async def test_an_ffmpeg_that_is_killed_is_one_try_and_leaves_nothing_half_made(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.slow)
    async with desk.worker():
        os.kill(await stopped_ffmpeg(), signal.SIGKILL)

        async def is_given_back() -> bool:
            (job,) = await desk.jobs()
            return job["lease"] is None and job["attempts"] == 1

        await eventually(is_given_back, 30)
    assert (await desk.row(video)).status == "processing"
    assert desk.files(video) <= {"original", "video.json", "poster.jpg"}
    assert not desk.at_work


async def test_without_a_storyboard_a_video_is_ready_all_the_same(desk: Desk, clips: Clips, tmp_path: Path) -> None:
    with set_trap(tmp_path) as nothing:
        film = pictures_that_grow_beyond_all_bounds(clips, nothing)
    video = await desk.add(film, media_type=MPEG_TS)
    async with desk.worker():
        assert (await desk.ended(video)).status == "ready"
    assert desk.files(video) == MADE - {"storyboard.jpg", "storyboard.vtt"}
    assert {done.step: done.result for done in await desk.log(video)}["storyboard"] == "failed"


@pytest.mark.settings(processing_retry_s=60)
async def test_an_inspection_that_is_killed_is_one_try(desk: Desk, clips: Clips) -> None:
    """Whoever looks after memory may choose it, whatever it looked at."""
    video = await desk.add(clips.film)
    async with desk.worker():
        os.kill(await stopped_inspection(desk, video), signal.SIGKILL)
        await eventually(lambda: is_given_back(desk), 30)
    ((job,), log) = await desk.jobs(), await standing_of(desk.database, await desk.row(video))
    assert job["attempts"] == 1
    assert [(done.step, done.result) for done in log[1].log] == [("metadata", "failed")]
    assert (await desk.row(video)).status == "processing"


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
async def test_an_inspection_that_cannot_be_confined_says_so(tmp_path: Path) -> None:
    """Which is the machine's fault; here it is to be shown a file that is not there."""
    asking = Asking("cloud_service.processing.inspection")
    answer = await asking.ask("video/mp4", str(tmp_path / "none"), within_s=60)
    assert answer.code == FAILED


@pytest.mark.settings(processing_retry_s=60)
async def test_an_ffmpeg_that_cannot_be_started_is_no_try_and_is_waited_for_longer_and_longer(
    desk: Desk, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_PATH", "/nowhere/ffmpeg")
    video = await desk.add(clips.film)
    async with desk.worker():
        for pause_s in (180, 360, 600, 600):
            await eventually(lambda: is_given_back(desk), 30)
            (job,) = await desk.jobs()
            assert (job["attempts"], job["not_before"] - uptime()) == (0, pytest.approx(pause_s, abs=30))
            async with desk.database.transaction() as transaction:
                await transaction.execute("UPDATE jobs SET not_before = 0")
        assert (await desk.row(video)).status == "processing"
        monkeypatch.delenv("FFMPEG_PATH")
        async with desk.database.transaction() as transaction:
            await transaction.execute("UPDATE jobs SET not_before = 0")
        assert (await desk.ended(video)).status == "ready"


@pytest.mark.settings(processing_retry_s=60)
async def test_a_rendition_is_not_begun_for_which_there_is_no_room(tmp_path: Path, clips: Clips) -> None:
    """Nine hours in three frames, of which nearly eight gigabytes may become."""
    hours = clips.made("hours.mp4", *PICTURE, "-vf", "setpts=N*10800/TB", "-fps_mode", "vfr", *H264, seconds=30_000)
    room = shutil.disk_usage(tmp_path).free - 4 * 10**9
    async with Desk.made(tmp_path, processing_reserve_bytes=max(0, room), processing_retry_s=60) as desk:
        video = await desk.add(hours)
        async with desk.worker():
            await eventually(lambda: is_given_back(desk), 30)
        _, standing = await standing_of(desk.database, video)
    assert [(done.step, done.result) for done in standing.log][-1] == ("sd", "stopped")


async def test_whoever_holds_the_databases_lock_for_long_is_waited_for(desk: Desk) -> None:
    worker = await impatient(desk)

    async def write() -> None:
        async with worker.writing() as transaction:
            await transaction.execute("DELETE FROM jobs")

    with locked(desk):
        writing = asyncio.ensure_future(write())
        assert not (await asyncio.wait([writing], timeout=1))[0]
    await writing


@pytest.mark.settings(processing_lease_s=2, processing_retry_s=60)
async def test_a_database_that_is_locked_for_longer_than_a_lease_is_no_try(desk: Desk, clips: Clips) -> None:
    await desk.add(clips.slow)
    worker = asyncio.ensure_future((await impatient(desk)).run())
    pid = await stopped_ffmpeg()
    with locked(desk):
        await eventually(lambda: not os.path.exists(f"/proc/{pid}"), 30)
    await eventually(lambda: is_given_back(desk), 30)
    worker.cancel()
    await asyncio.wait([worker])
    (job,) = await desk.jobs()
    assert job["attempts"] == 0


async def test_a_long_video_lets_others_by_once_it_plays(desk: Desk, clips: Clips) -> None:
    long = await desk.add(clips.hd, 1)
    async with desk.worker():
        ffmpeg = await stopped_ffmpeg()
        other = await desk.add(clips.film, 2, UUID(int=2))
        os.kill(ffmpeg, signal.SIGCONT)
        await eventually(lambda: status_is(desk, other, "ready"), 30)
        assert (await desk.row(long)).status == "processing"
        (job,) = await desk.jobs()
        assert job["percent"] > 0
        assert (await desk.ended(long)).status == "ready"
    log = await desk.log(long)
    assert {done.attempt for done in log} == {1}
    assert [(done.step, done.result) for done in log if done.step != "metadata"] == [
        ("poster", "made"),
        ("sd", "made"),
        ("poster", "was_there"),
        ("sd", "was_there"),
        ("storyboard", "made"),
        ("hd", "made"),
    ]


async def test_a_sweep_that_fails_keeps_no_job_from_being_taken(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.film)
    nonsense = replace(video, id="nonsense", lesson_id="another")
    async with desk.database.transaction() as transaction:
        await Catalogue(desk.database).add(transaction, nonsense)
        await transaction.execute("UPDATE videos SET renditions = 'no list' WHERE id = 'nonsense'")
    async with desk.worker():
        assert (await desk.ended(video)).status == "ready"


@pytest.mark.settings(processing_reserve_bytes=2**60, processing_retry_s=60)
async def test_without_room_on_the_disk_jobs_wait_and_hold_nobody_up(desk: Desk, clips: Clips) -> None:
    videos = [await desk.add(clips.film, number, UUID(int=number)) for number in (1, 2)]

    async def have_been_tried() -> bool:
        return all(job["not_before"] > 0 and job["lease"] is None for job in await desk.jobs())

    async with desk.worker():
        await eventually(have_been_tried, 30)
    assert [job["attempts"] for job in await desk.jobs()] == [0, 0]
    assert [(await desk.row(video)).status for video in videos] == ["processing"] * 2
    assert [desk.files(video) for video in videos] == [{"original", "video.json"}] * 2
    assert not desk.at_work


async def test_a_worker_that_is_stopped_gives_its_job_back(desk: Desk, clips: Clips) -> None:
    await desk.add(clips.slow)
    async with desk.worker():
        await stopped_ffmpeg()
    (job,) = await desk.jobs()
    assert (job["lease"], job["attempts"], job["not_before"]) == (None, 0, pytest.approx(uptime(), abs=60))
    assert not children_of(os.getpid(), "ffmpeg")
    assert not desk.at_work


async def test_a_worker_that_is_stopped_while_it_takes_a_job_gives_it_back_too(desk: Desk) -> None:
    await desk.add(b"film")
    beside = sqlite3.connect(desk.settings.folder / FILE)
    async with desk.worker():
        while not beside.execute("SELECT 1 FROM jobs WHERE lease IS NOT NULL").fetchall():  # noqa: ASYNC110
            await asyncio.sleep(0)
    beside.close()
    (job,) = await desk.jobs()
    assert (job["lease"], job["attempts"]) == (None, 0)


async def test_a_job_that_is_taken_away_is_dropped_at_once(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.slow)
    async with desk.worker():
        await stopped_ffmpeg()
        async with desk.database.transaction() as transaction:
            await transaction.execute("UPDATE jobs SET lease = 'another', leased_until = 1e12")
        await eventually(lambda: not children_of(os.getpid(), "ffmpeg"))
        await eventually(lambda: not desk.at_work)
    assert (await desk.row(video)).status == "processing"


async def test_a_video_that_is_deleted_while_it_is_looked_into_is_left_at_once(desk: Desk, clips: Clips) -> None:
    video = await desk.add(clips.film)
    async with desk.worker():
        pid = await stopped_inspection(desk, video)
        await Catalogue(desk.database).remove(video)
        await eventually(lambda: not os.path.exists(f"/proc/{pid}"))
        await eventually(lambda: not desk.at_work)
    assert await desk.jobs() == []


async def test_a_worker_waits_for_a_node_that_has_not_begun(tmp_path: Path, clips: Clips, anyio_backend: str) -> None:
    async with Desk.made(tmp_path / "elsewhere") as desk:
        path = desk.settings.folder / FILE
    path.unlink()
    async with desk.worker():
        sqlite3.connect(path).close()  # made, and still empty
        async with Desk.made(tmp_path / "elsewhere") as node:
            assert (await node.ended(await node.add(clips.film))).status == "ready"


async def test_a_worker_goes_on_with_the_database_that_took_the_place_of_its_own(desk: Desk, clips: Clips) -> None:
    path = desk.settings.folder / FILE
    await desk.add(clips.slow)
    async with desk.worker():
        await stopped_ffmpeg()
        set_aside(path)
        another = Desk(desk.settings, await Database.open(path), desk.store)
        try:
            await eventually(lambda: not children_of(os.getpid(), "ffmpeg"))
            assert (await another.ended(await another.add(clips.film, 2))).status == "ready"
            assert [row[0] for row in await another.database.fetch("PRAGMA quick_check")] == ["ok"]
        finally:
            await another.database.close()
    (job,) = await desk.jobs()
    assert job["attempts"] == 1  # as it was when it was set aside


@pytest.mark.settings(processing_at_most_s=0.001, processing_at_most_durations=600)
async def test_a_video_that_did_not_say_how_long_it_lasts_is_given_the_time_that_it_needs(
    desk: Desk, clips: Clips
) -> None:
    video = await desk.add(clips.slow, duration_s=0)
    async with desk.worker():
        pid = await stopped_ffmpeg()
        await asyncio.sleep(2 * LOOK_EVERY_S)
        os.kill(pid, signal.SIGCONT)
        assert (await desk.ended(video)).status == "ready"
    assert {done.attempt for done in await desk.log(video)} == {1}
