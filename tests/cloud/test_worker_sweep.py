"""Files and rows are made one to one again: what nobody knows goes, what should be there is made."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud_service.clock import boot, uptime
from cloud_service.processing.sweep import SETTLED_S, sweep
from cloud_service.videos.models import Rendition, StoredVideo
from tests.cloud.working import Desk

pytestmark = pytest.mark.anyio

SD = Rendition("sd", 854, 480, 25.0, 4, 10**6, "avc1.64001e")
HD = Rendition("hd", 1280, 720, 25.0, 4, 10**6, "avc1.64001f")
PICTURES = {"poster.jpg", "storyboard.jpg", "storyboard.vtt"}
KEPT = {"original", "video.json", "captions.ar.vtt", *PICTURES}


@pytest.fixture
async def desk(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Desk]:
    async with Desk.made(tmp_path) as desk:
        yield desk


@pytest.fixture
async def video(desk: Desk) -> StoredVideo:
    """With everything that was made of it, and captions."""
    video = await desk.add(b"film", status="ready", renditions=(SD, HD))
    async with desk.database.transaction() as transaction:
        await transaction.execute("DELETE FROM jobs")
    for name in ("sd.mp4", "sd.m3u8", "hd.mp4", "hd.m3u8", "master.m3u8", "captions.ar.vtt", *PICTURES):
        (desk.store.folder(video) / name).write_bytes(b"made")
    return video


async def swept(desk: Desk) -> None:
    await sweep(desk.database, lambda: desk.database.transaction(durable=True), desk.store)


async def test_what_is_as_it_should_be_is_left_alone(desk: Desk, video: StoredVideo) -> None:
    before = desk.files(video)
    await swept(desk)
    assert desk.files(video) == before
    assert await desk.row(video) == video
    assert await desk.jobs() == []


async def test_a_rendition_that_was_never_committed_goes(desk: Desk, video: StoredVideo) -> None:
    (desk.store.folder(video) / "full_hd.mp4").write_bytes(b"moved, then the power failed")
    (desk.store.folder(video) / "full_hd.m3u8").write_bytes(b"moved, then the power failed")
    await swept(desk)
    assert desk.files(video) == {*KEPT, "sd.mp4", "sd.m3u8", "hd.mp4", "hd.m3u8", "master.m3u8"}
    master = (desk.store.folder(video) / "master.m3u8").read_text()
    assert ("sd.m3u8" in master, "hd.m3u8" in master, "full_hd.m3u8" in master) == (True, True, False)


@pytest.mark.parametrize("harm", ["sd.mp4", "sd.m3u8"])
async def test_a_rendition_that_somebody_deleted_is_offered_no_more_and_made_again(
    desk: Desk, video: StoredVideo, harm: str
) -> None:
    (desk.store.folder(video) / harm).unlink()
    await swept(desk)
    after = await desk.row(video)
    assert (after.status, after.renditions) == ("ready", (HD,))
    assert after.from_json((desk.store.folder(video) / "video.json").read_bytes()) == after
    assert [job["video_id"] for job in await desk.jobs()] == [video.id]
    assert len(await desk.database.fetch("SELECT * FROM news")) == 1


async def test_a_rendition_that_was_cut_is_made_again(desk: Desk, video: StoredVideo) -> None:
    (desk.store.folder(video) / "sd.mp4").write_bytes(b"m")
    (desk.store.folder(video) / "hd.mp4").unlink()
    await swept(desk)
    assert (await desk.row(video)).renditions == ()
    assert desk.files(video) == KEPT


async def test_folders_that_somebody_put_there_go_too_and_stop_nothing(desk: Desk, video: StoredVideo) -> None:
    before = desk.files(video)
    (desk.store.folder(video) / "@eaDir" / "original").mkdir(parents=True)
    await swept(desk)
    assert desk.files(video) == before


async def test_a_folder_that_cannot_be_put_right_keeps_no_other_from_it(desk: Desk, video: StoredVideo) -> None:
    other = await desk.add(b"film", 2)
    (desk.store.folder(video) / "hd.mp4").unlink()
    (desk.store.folder(video) / "video.partial").mkdir()  # where the row would be written
    (desk.store.folder(video) / "master.partial").mkdir()
    (desk.store.folder(other) / "stray").touch()
    await swept(desk)
    assert desk.files(other) == {"original", "video.json"}


async def test_what_is_just_being_written_is_left_for_a_minute(desk: Desk, video: StoredVideo) -> None:
    partial = desk.store.folder(video) / "video.partial"
    partial.write_bytes(b"half a row")
    await swept(desk)
    assert partial.exists()
    os.utime(partial, (time.time() - 2 * SETTLED_S,) * 2)
    await swept(desk)
    assert not partial.exists()


async def test_what_attempts_left_goes_unless_somebody_is_at_it(desk: Desk) -> None:
    work = desk.store.work
    for folder in ("v1/living", "v1/dead", "v2/dead", "v3/ran-out"):
        (work / folder).mkdir(parents=True)
        (work / folder / "sd.mp4").write_bytes(b"half")
    leases = [("v1", "living", uptime() + 60), ("v3", "ran-out", uptime() - 1)]
    async with desk.database.transaction() as transaction:
        await transaction.execute_many(
            "INSERT INTO jobs (video_id, owner_id, added_at, lease, leased_until, boot) VALUES (?, 'o', 0, ?, ?, ?)",
            [(*lease, boot()) for lease in leases],
        )
    await swept(desk)
    assert {str(path.relative_to(work)) for path in desk.at_work} == {"v1", "v1/living", "v1/living/sd.mp4"}


async def test_a_folder_without_a_row_is_the_nodes_to_judge(desk: Desk, video: StoredVideo) -> None:
    """It may be of an upload that is just being kept."""
    other = desk.store.folder(video).parent / "another"
    other.mkdir()
    (other / "sd.mp4").write_bytes(b"x")
    await swept(desk)
    assert (other / "sd.mp4").exists()
