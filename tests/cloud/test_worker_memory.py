"""Memory that runs out: the video is tried again, then it has failed and says why, and nothing half made is kept."""

import resource
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud_service.media.confined import Limits
from cloud_service.media.containers import QUICKTIME
from cloud_service.processing.ffmpeg import Ffmpeg, FfmpegFailed, Patience
from cloud_service.processing.queue import ATTEMPTS
from tests.clips import H264, PICTURE, Clips
from tests.cloud.beginning import done_to_each
from tests.cloud.working import Desk

pytestmark = pytest.mark.anyio

MIB = 2**20
TOO_LITTLE_TO_CONVERT, TOO_LITTLE_TO_READ = 350 * MIB, 210 * MIB
"""Enough for ffmpeg and for an inspection themselves, and not for the picture."""
TOO_MUCH_TO_CONVERT, TOO_MUCH_TO_READ = (f"The video takes too much memory to {do}." for do in ("convert", "read"))
AS_UPLOADED = {"original", "video.json"}


@pytest.fixture
async def desk(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Desk]:
    async with Desk.made(tmp_path, processing_memory_bytes=TOO_LITTLE_TO_CONVERT) as desk:
        yield desk


@pytest.fixture(scope="module")
def wide(clips: Clips) -> bytes:
    """A picture of 150 MB, as it is in memory."""
    wide = ("-f", "lavfi", "-i", "color=black:size=5000x5000:rate=1,format=rgb48be")
    return clips.made("wide.mov", *wide, "-c:v", "png", "-pred", "none", "-compression_level", "1")


async def failed_for_good(desk: Desk, wide: bytes, *reasons: str) -> list[tuple[int, str]]:
    """Attempts, and at which step they ended; the last two of them."""
    video = await desk.add(wide, media_type=QUICKTIME)
    await desk.tried_before(ATTEMPTS - 2)
    async with desk.worker():
        failed = await desk.ended(video)
    assert failed.status == "error"
    assert failed.reason in reasons
    assert desk.files(video) == AS_UPLOADED
    assert desk.store.original(video.owner_id, video.id).read_bytes() == wide
    assert not desk.at_work
    assert [(about["status"], about["reason"]) for about in await desk.told()] == [("error", failed.reason)]
    ended = [done for done in await desk.log(video) if done.result == "failed" and done.reason in reasons]
    return [(done.attempt, done.step) for done in ended if done.step != "poster"]


async def test_a_video_that_takes_too_much_memory_to_convert_has_failed_after_the_last_try(
    desk: Desk, wide: bytes
) -> None:
    """Where it was a thread that found no room, ffmpeg does not say that memory was what it lacked."""
    went = await failed_for_good(desk, wide, TOO_MUCH_TO_CONVERT, "The video could not be converted.")
    assert went == [(ATTEMPTS - 1, "sd"), (ATTEMPTS, "sd")]


async def test_a_video_that_takes_too_much_memory_to_read_is_tried_again_before_it_has_failed(
    desk: Desk, wide: bytes
) -> None:
    """It may have been others who took all the memory; that nothing could be read is no word about the film."""

    def leave_little_to(inspection: Process) -> None:
        resource.prlimit(inspection.pid, resource.RLIMIT_AS, (TOO_LITTLE_TO_READ, TOO_LITTLE_TO_READ))

    with done_to_each(leave_little_to):
        went = await failed_for_good(desk, wide, TOO_MUCH_TO_READ)
    assert went == [(ATTEMPTS - 1, "metadata"), (ATTEMPTS, "metadata")]


async def test_an_ffmpeg_that_went_on_without_memory_has_failed(tmp_path: Path) -> None:
    """It leaves pictures out then, and ends well; here it is made to say what it says of that."""
    arguments = ("-loglevel", "info", *PICTURE, "-metadata", "title=Cannot allocate memory", *H264, "-t", "1")
    ffmpeg = Ffmpeg(Limits(memory_bytes=2**32, cpu_s=60, file_bytes=2**30), Patience(60, 60))
    with pytest.raises(FfmpegFailed, match=TOO_MUCH_TO_CONVERT):
        await ffmpeg.run([*arguments, str(tmp_path / "out.mp4")], reads=[], writes=tmp_path)
