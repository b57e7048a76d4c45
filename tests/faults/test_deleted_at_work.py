"""A video is deleted at any moment of its processing: that ends within seconds, and nothing of it is left."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.both.toptank import PROCESSED_WITHIN_S, Worker, eventually, settled
from tests.clips import H264, Clips
from tests.faults.acts import Cast
from tests.faults.audit import audit
from tests.faults.damage import held
from tests.faults.worker_deaths import is_ready
from tests.faults.world import World
from tests.processes import children_of, stopped_in

SETTINGS = {"TOPTANK_PROCESSING_RETRY_S": "600"}
STOPPED_WITHIN_S = 5.0
OF_VIDEOS = {"videos": "id", "jobs": "video_id", "processed": "video_id", "news": "video_id", "outbox": "video_id"}
AT = {
    "looking into it": ("python", "processing.inspection"),
    "the poster": ("ffmpeg", "/poster.jpg"),
    "sd": ("ffmpeg", "/sd.mp4"),
    "the storyboard": ("ffmpeg", "/storyboard.jpg"),
    "hd": ("ffmpeg", "/hd.mp4"),
    "full hd": ("ffmpeg", "/full_hd.mp4"),
}
"""What runs at each step: its name and what it is told."""


@pytest.fixture(scope="module")
def worker(world: World, cast: Cast) -> Iterator[Worker]:
    world.cloud.worker.start()
    pid = world.cloud.worker.pid
    yield world.cloud.worker
    assert world.cloud.worker.pid == pid
    assert world.cloud.worker.is_running
    audit(world, cast)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def large(clips: Clips) -> bytes:
    """Of which there are three renditions."""
    full_hd = ("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=5")
    return clips.made("large.mp4", *full_hd, "-c:v", "mpeg4", "-q:v", "9")


def uploaded(world: World, cast: Cast, film: bytes) -> str:
    return cast.upload(cast.draft().lesson_id, film=film)


def rows_of(world: World, video_id: str) -> list[str]:
    """The tables that know of it."""
    return [
        table
        for table, column in OF_VIDEOS.items()
        if world.node_sql(f"SELECT 1 FROM {table} WHERE {column} = ?", video_id)
    ]


def is_gone(world: World, video_id: str) -> bool:
    files = list((world.cloud.folder / "media").rglob(f"*{video_id}*"))
    return not (files or rows_of(world, video_id) or children_of(world.cloud.worker.pid))


def check_deleting_ends_it(world: World, cast: Cast, video_id: str) -> None:
    cast.delete_video(video_id)
    eventually(lambda: is_gone(world, video_id), STOPPED_WITHIN_S)
    settled(world.cloud.check_nothing_left_over)


@pytest.mark.parametrize("step", AT)
def test_deleting_ends_every_step(world: World, cast: Cast, worker: Worker, large: bytes, step: str) -> None:
    """It hangs, so that it is the deletion which ends it."""
    video_id = uploaded(world, cast, large)
    stopped_in(worker.pid, *AT[step], PROCESSED_WITHIN_S)
    check_deleting_ends_it(world, cast, video_id)


def test_deleting_ends_the_watching_of_what_was_copied(world: World, cast: Cast, worker: Worker, clips: Clips) -> None:
    minute = ("-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25")  # what is watched faster may be over unseen
    fits = clips.made("fits.mp4", *minute, *H264, "-g", "50", "-crf", "40", seconds=60)
    video_id = uploaded(world, cast, fits)
    stopped_in(worker.pid, "ffmpeg", "null", PROCESSED_WITHIN_S)
    check_deleting_ends_it(world, cast, video_id)


def test_deleting_ends_what_is_about_to_be_put_in_its_place(
    world: World, cast: Cast, worker: Worker, large: bytes
) -> None:
    """A rendition and its playlists are made, and both who adds them and who deletes the video wait for the lock."""
    video_id = uploaded(world, cast, large)
    ffmpeg = stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S)
    with ThreadPoolExecutor(1) as pool:
        with held(world.cloud.database):
            os.kill(ffmpeg, signal.SIGCONT)
            work = world.cloud.folder / "media" / "work" / video_id
            eventually(lambda: list(work.glob("*/master.m3u8")))
            deleting = pool.submit(cast.delete_video, video_id)
            known = "SELECT deleted_at FROM videos WHERE id = %s"
            eventually(lambda: world.sql(known, video_id)[0][0])
        eventually(lambda: is_gone(world, video_id), STOPPED_WITHIN_S)
        deleting.result()
    settled(world.cloud.check_nothing_left_over)


def test_what_waits_for_its_next_try_is_not_tried_any_more(
    world: World, cast: Cast, worker: Worker, large: bytes
) -> None:
    video_id = uploaded(world, cast, large)
    os.kill(stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S), signal.SIGKILL)
    waiting = "SELECT 1 FROM jobs WHERE video_id = ? AND lease IS NULL AND attempts = 1"
    eventually(lambda: world.node_sql(waiting, video_id))
    check_deleting_ends_it(world, cast, video_id)


def test_what_waits_for_its_turn_is_not_begun_and_nobody_else_is_disturbed(
    world: World, cast: Cast, worker: Worker, large: bytes
) -> None:
    first = uploaded(world, cast, large)
    ffmpeg = stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S)
    second = uploaded(world, cast, large)
    cast.delete_video(second)
    assert rows_of(world, second) == []
    assert not list((world.cloud.folder / "media").rglob(f"*{second}*"))
    os.kill(ffmpeg, signal.SIGCONT)
    eventually(lambda: is_ready(cast, first), PROCESSED_WITHIN_S)
    assert rows_of(world, second) == []
