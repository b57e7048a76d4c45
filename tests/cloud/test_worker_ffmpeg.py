"""Running ffmpeg: what it says on the way, how it is ended, and how each way to fail is told."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from cloud_service.media.confined import Limits
from cloud_service.processing.failures import MachineFails, NoRoom
from cloud_service.processing.ffmpeg import Ffmpeg, FfmpegFailed, Patience, Progress
from tests.clips import H264, PICTURE, SOUND
from tests.cloud.running import eventually
from tests.processes import children_of

pytestmark = pytest.mark.anyio

LIMITS = Limits(memory_bytes=2**32, cpu_s=60, file_bytes=2**30)
PATIENT = Patience(stalled_s=60, in_all_s=60)
ENDLESS = ("-re", *PICTURE, *H264)


async def make(
    folder: Path,
    *arguments: str,
    limits: Limits = LIMITS,
    patience: Patience = PATIENT,
    seen: list[Progress] | None = None,
) -> str:
    told = seen if seen is not None else []
    running = Ffmpeg(limits, patience).run
    return await running([*arguments, str(folder / "out.mp4")], reads=[], writes=folder, on_progress=told.append)


async def started(folder: Path) -> int:
    """The process id of the ffmpeg that this process runs, once it has begun to write."""
    deadline = time.monotonic() + 30
    while not (folder / "out.mp4").exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    (pid,) = children_of(os.getpid(), "ffmpeg")
    return pid


async def test_it_tells_how_far_it_has_come_and_how_fast(tmp_path: Path) -> None:
    seen: list[Progress] = []
    assert await make(tmp_path, *PICTURE, *SOUND, *H264, "-t", "3", seen=seen) == ""
    assert seen[-1].seconds == pytest.approx(3, abs=0.2)
    assert seen[-1].speed > 0
    assert [one.seconds for one in seen] == sorted(one.seconds for one in seen)


async def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    running = asyncio.ensure_future(make(tmp_path, *ENDLESS, patience=Patience(stalled_s=5, in_all_s=60)))
    pid = await started(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(FfmpegFailed, match="did not get on"):
        await running
    assert not children_of(os.getpid(), "ffmpeg")


async def test_one_that_gets_on_is_left_alone_however_slow(tmp_path: Path) -> None:
    await make(tmp_path, *ENDLESS, "-t", "6", patience=Patience(stalled_s=5, in_all_s=60))


async def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(FfmpegFailed, match="too long"):
        await make(tmp_path, *ENDLESS, patience=Patience(stalled_s=60, in_all_s=1))
    assert not children_of(os.getpid(), "ffmpeg")


async def test_cancelled_it_is_gone_at_once(tmp_path: Path) -> None:
    running = asyncio.ensure_future(make(tmp_path, *ENDLESS))
    await started(tmp_path)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not children_of(os.getpid(), "ffmpeg")


async def test_one_that_is_killed_has_failed(tmp_path: Path) -> None:
    running = asyncio.ensure_future(make(tmp_path, *ENDLESS))
    os.kill(await started(tmp_path), signal.SIGKILL)
    with pytest.raises(FfmpegFailed, match="ended from outside") as failed:
        await running
    assert "signal 9" in failed.value.detail


async def test_its_last_words_are_for_the_log_and_not_for_teachers(tmp_path: Path) -> None:
    with pytest.raises(FfmpegFailed) as failed:
        await make(tmp_path, "-i", "/etc/passwd")
    assert str(failed.value) == "The video could not be converted."
    assert "/etc/passwd" in failed.value.detail


async def test_what_grows_without_end_is_ended(tmp_path: Path) -> None:
    small = Limits(memory_bytes=2**32, cpu_s=60, file_bytes=2**14)
    with pytest.raises(FfmpegFailed, match="beyond all measure"):
        await make(tmp_path, *PICTURE, *H264, "-t", "20", limits=small)


@pytest.mark.parametrize(
    ("number", "stalled_s", "end"),
    [
        (signal.SIGSTOP, 5, "did not get on"),
        (signal.SIGXFSZ, 60, "beyond all measure"),
        (signal.SIGKILL, 60, "ended from outside"),
    ],
)
async def test_a_warning_about_memory_hides_no_other_end(
    tmp_path: Path, number: signal.Signals, stalled_s: float, end: str
) -> None:
    """It may have gone on all the same; here it is made to say what it says of that."""
    warned = ("-loglevel", "info", *ENDLESS, "-metadata", "title=Cannot allocate memory")
    seen: list[Progress] = []
    running = asyncio.ensure_future(make(tmp_path, *warned, patience=Patience(stalled_s, 60), seen=seen))
    pid = await started(tmp_path)
    await eventually(lambda: seen, 30)  # it warns before it gets on
    os.kill(pid, number)
    with pytest.raises(FfmpegFailed, match=end):
        await running


async def test_that_no_more_threads_can_be_had_is_no_word_about_memory(tmp_path: Path) -> None:
    """It may be how many processes may run that is at its limit: the words are the same."""
    with pytest.raises(FfmpegFailed, match="could not be converted"):
        await make(tmp_path, "-i", "Resource temporarily unavailable")


async def test_a_full_disk_is_no_fault_of_the_video(tmp_path: Path) -> None:
    (tmp_path / "probe").symlink_to("/dev/full")
    with pytest.raises(NoRoom):
        await make(tmp_path, "-i", "none")
    assert not (tmp_path / "probe").is_symlink()


async def test_that_the_disk_is_full_is_not_taken_from_what_ffmpeg_says(tmp_path: Path) -> None:
    """A file may name another that it is made of, and ffmpeg repeats that name."""
    with pytest.raises(FfmpegFailed) as failed:
        await make(tmp_path, "-i", "No space left on device")
    assert "No space left on device" in failed.value.detail


async def test_a_folder_that_cannot_be_written_is_no_fault_of_the_video(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    with pytest.raises(MachineFails, match="Is a directory"):
        await make(tmp_path, "-i", "none")


async def test_one_that_cannot_be_started_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_PATH", str(tmp_path / "none"))
    with pytest.raises(MachineFails, match="not started"):
        await make(tmp_path, *PICTURE)
