"""Workers and their ffmpegs die and hang: videos are processed all the same, and nothing half made stays."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.both.toptank import PROCESSED_WITHIN_S, Worker, eventually, patience
from tests.clips import Clips
from tests.faults.acts import Cast
from tests.faults.audit import ffmpegs_of
from tests.faults.damage import held, unlink
from tests.faults.worker_deaths import SCENARIOS, check_kept, is_ready, steps
from tests.faults.world import World
from tests.processes import stopped_in

HELD_S = 10.0
SETTINGS = {
    "TOPTANK_PROCESSING_LEASE_S": "2",
    "TOPTANK_PROCESSING_RETRY_S": "0",
    "TOPTANK_TRUST_WATCHING_S": "60",
    "TOPTANK_TRUST_STARTING_S": "30",
}
"""What is known of rights is trusted for longer than a database is held."""
pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def worker(world: World, cast: Cast) -> Iterator[Worker]:
    """Not yet running, and with nothing to do."""
    for (video_id,) in world.node_sql("SELECT video_id FROM jobs"):
        cast.delete_video(video_id)
    yield world.cloud.worker
    eventually(lambda: not world.node_sql("SELECT * FROM jobs"), PROCESSED_WITHIN_S)
    world.cloud.worker.stop()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Clips(tmp_path_factory.mktemp("clips")).slow


def stopped_ffmpeg(worker: Worker) -> int:
    """The process id of the one that makes the first rendition, stopped as soon as there is one."""
    return stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S)


def upload(world: World, cast: Cast, film: bytes) -> str:
    return cast.upload(cast.draft().lesson_id, film=film)


@pytest.mark.parametrize("point", SCENARIOS)
def test_a_worker_that_died_at_any_point_has_lost_nothing(world: World, cast: Cast, worker: Worker, point: str) -> None:
    scenario = SCENARIOS[point](world, cast)
    next(scenario)
    worker.start_doomed(point)
    eventually(worker.has_died, PROCESSED_WITHIN_S)
    worker.stop()
    worker.start()
    assert next(scenario, None) is None


def test_a_worker_that_is_killed_three_times_takes_its_ffmpeg_with_it_and_its_job_runs_once_more(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    video_id = upload(world, cast, slow)
    for _ in range(3):
        worker.start()
        stopped_ffmpeg(worker)
        worker.kill()
        eventually(lambda: not ffmpegs_of(world.cloud))
        assert not is_ready(cast, video_id)
    worker.start()
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert max(attempt for attempt, _, _ in steps(cast, video_id)) == 4


def test_a_node_that_lost_its_database_as_a_worker_died_has_the_files_that_it_tells_of(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    """Its rows are made from each `video.json`, which may be ahead of the files."""
    video_id = upload(world, cast, slow)
    worker.start_doomed("processing.row_kept")
    eventually(worker.has_died, PROCESSED_WITHIN_S)
    world.cloud.stop()
    unlink(world.cloud.database)
    world.cloud.start()
    worker.stop()
    worker.start()
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    check_kept(world, video_id)


def has_it_open(pid: int, file: Path) -> bool:
    with suppress(OSError):  # it has closed another meanwhile, or has ended
        return any(os.readlink(handle) == str(file) for handle in Path(f"/proc/{pid}/fd").iterdir())
    return False


def runs(pid: int) -> bool:
    """What nobody has buried yet does not."""
    with suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def stopped_inspection(worker: Worker, original: Path, *, begun: bool) -> int:
    """As it has just been started, or as it looks into the file: then it is let on for moments at a time.

    On a busy machine such a moment may last until it has ended: the worker begins anew with another.
    """
    deadline = time.monotonic() + PROCESSED_WITHIN_S * patience()
    while time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            inspection = stopped_in(worker.pid, "python", "processing.inspection", PROCESSED_WITHIN_S)
            while begun and not has_it_open(inspection, original):
                assert time.monotonic() < deadline, "it never looks into the file"
                os.kill(inspection, signal.SIGCONT)
                time.sleep(0.001)
                os.kill(inspection, signal.SIGSTOP)
            return inspection
        worker.restart()
    raise AssertionError("no inspection was there for long enough to be stopped")


@pytest.mark.parametrize("begun", [False, True])
def test_a_worker_that_is_killed_takes_its_inspection_with_it(
    world: World, cast: Cast, worker: Worker, slow: bytes, begun: bool
) -> None:
    """One that has just been started, and one that looks into the file."""
    video_id = upload(world, cast, slow)
    (original,) = (world.cloud.folder / "media" / "videos").glob(f"*/{video_id}/original")
    worker.start()
    inspection = stopped_inspection(worker, original, begun=begun)
    worker.kill()
    if not begun:
        os.kill(inspection, signal.SIGCONT)
    eventually(lambda: not runs(inspection))
    worker.start()
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)


def test_an_ffmpeg_that_hangs_is_killed_and_the_video_tried_again(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    video_id = upload(world, cast, slow)
    worker.start(TOPTANK_PROCESSING_STALLED_S="2")
    hung = stopped_ffmpeg(worker)
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert not os.path.exists(f"/proc/{hung}")
    assert 1 in {attempt for attempt, _, result in steps(cast, video_id) if result == "failed"} <= {1, 2}


def test_a_worker_that_hangs_loses_its_job_to_another_and_does_no_harm_when_it_is_back(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    video_id = upload(world, cast, slow)
    worker.start()
    stopped_ffmpeg(worker)
    worker.freeze()
    another = worker.another()
    another.start()
    try:
        eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
        worker.thaw()
        eventually(lambda: not ffmpegs_of(world.cloud))
    finally:
        another.stop()
    assert is_ready(cast, video_id)


def test_while_somebody_holds_the_database_a_worker_waits_and_does_nothing_twice(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    """It is as long as uploads are refused; a rendition is finished meanwhile."""
    video_id = upload(world, cast, slow)
    worker.start(TOPTANK_PROCESSING_LEASE_S="15")
    pid, ffmpeg = worker.pid, stopped_ffmpeg(worker)
    with held(world.cloud.database):
        ends = time.monotonic() + HELD_S
        os.kill(ffmpeg, signal.SIGCONT)
        eventually(lambda: not os.path.exists(f"/proc/{ffmpeg}"), PROCESSED_WITHIN_S)
        while time.monotonic() < ends:
            assert cast.teacher.watch(video_id).content == slow
            time.sleep(0.1)
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert (worker.pid, worker.is_running) == (pid, True)
    assert steps(cast, video_id) == [(1, step, "made") for step in ("metadata", "poster", "sd", "storyboard")]
    said = [line["event"] for line in worker.lines() if line.get("video_id") == video_id]
    assert (said.count("job taken"), said.count("job done")) == (1, 1)


def test_a_full_disk_makes_jobs_wait_and_is_no_try(world: World, cast: Cast, worker: Worker, film: bytes) -> None:
    video_id = upload(world, cast, film)
    worker.start(TOPTANK_PROCESSING_RESERVE_BYTES=str(2**60))
    eventually(lambda: any(result == "stopped" for _, _, result in steps(cast, video_id)), PROCESSED_WITHIN_S)
    assert not is_ready(cast, video_id)
    assert cast.teacher.watch(video_id).content == film
    worker.restart()
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert {attempt for attempt, _, result in steps(cast, video_id) if result == "made"} == {1}


def test_a_node_that_dies_is_told_when_it_is_back(world: World, cast: Cast, worker: Worker, film: bytes) -> None:
    _, video_id = cast.course_on_sale()
    world.cloud.kill()
    worker.start()
    eventually(lambda: not world.node_sql("SELECT * FROM jobs"), PROCESSED_WITHIN_S)
    world.cloud.start()
    eventually(lambda: is_ready(cast, video_id))
    known = "SELECT status FROM videos WHERE id = %s"
    eventually(lambda: world.sql(known, video_id) == [("ready",)])


def test_a_worker_goes_on_when_the_node_has_lost_its_database(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    video_id = upload(world, cast, slow)
    worker.start()
    hung = stopped_ffmpeg(worker)
    world.cloud.database.unlink()
    eventually(lambda: not os.path.exists(f"/proc/{hung}"), PROCESSED_WITHIN_S)
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
