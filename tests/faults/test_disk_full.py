"""A node's disk is full, in the middle of a rendition: that one waits, and everything else goes on."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.both.people import done
from tests.both.playing import link_of
from tests.both.toptank import PROCESSED_WITHIN_S, Worker, eventually
from tests.clips import Clips
from tests.faults.acts import Cast
from tests.faults.worker_deaths import is_ready, steps
from tests.faults.world import World, running_world
from tests.processes import stopped_in

DISK_BYTES, BEGUN_BYTES, ROOM_BYTES = 32 * 2**20, 2**18, 2**20
"""What is left first is enough to begin a rendition in; later it is for a small video, and not for a large one."""
NO_ROOM = "There is no room on the disk."
SETTINGS = {
    "TOPTANK_DISK_RESERVE_BYTES": "0",
    "TOPTANK_PROCESSING_RESERVE_BYTES": "0",
    "TOPTANK_PROCESSING_RETRY_S": "0.3",
}
pytestmark = pytest.mark.usefixtures("audited")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk cannot be mounted here: {getattr(error, 'stderr', '') or error}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def world(cluster: Path, secrets_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with (
        small_disk(folder / "node-1"),
        running_world(folder, secrets_folder, cluster, settings=SETTINGS) as world,
    ):
        yield world
        world.check_no_secret_in_logs()


@pytest.fixture
def worker(world: World) -> Iterator[Worker]:
    world.cloud.worker.start()
    yield world.cloud.worker
    world.cloud.worker.stop()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Clips(tmp_path_factory.mktemp("clips")).slow


class Filler:
    """A file that takes all the room there is on a disk, or all but some."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "filler"

    def take_all_but(self, left: int) -> None:
        with self._path.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.truncate(self._path, max(0, self._path.stat().st_size - left))

    def go(self) -> None:
        self._path.unlink()


def upload(world: World, cast: Cast, film: bytes) -> str:
    return cast.upload(cast.draft().lesson_id, film=film)


def test_a_disk_that_becomes_full_while_a_rendition_is_written_makes_it_wait_and_nobody_else(
    world: World, cast: Cast, worker: Worker, slow: bytes
) -> None:
    media = world.cloud.folder / "media"
    large, filler = upload(world, cast, slow), Filler(media)
    ffmpeg = stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S)
    (attempt,) = (media / "work" / large).iterdir()
    small = upload(world, cast, cast.film)
    filler.take_all_but(BEGUN_BYTES)
    assert shutil.disk_usage(media).free <= BEGUN_BYTES
    os.kill(ffmpeg, signal.SIGCONT)

    eventually(lambda: (1, "sd", "stopped") in steps(cast, large), PROCESSED_WITHIN_S)
    assert not attempt.exists()
    filler.take_all_but(ROOM_BYTES)
    eventually(lambda: is_ready(cast, small), PROCESSED_WITHIN_S)
    assert not is_ready(cast, large)
    assert cast.teacher.watch(large).content == slow
    went = done(cast.teacher.cloud.get(f"/videos/{large}/processing"))["steps"]
    assert {step["reason"] for step in went if step["result"] == "stopped"} == {NO_ROOM}
    assert world.node_sql("SELECT status, renditions FROM videos WHERE id = ?", large) == [("processing", "[]")]

    filler.go()
    eventually(lambda: is_ready(cast, large), PROCESSED_WITHIN_S)
    assert {attempt for attempt, _, _ in steps(cast, large)} == {1}


def test_on_a_full_disk_films_are_watched_all_the_same(world: World, cast: Cast) -> None:
    """Also by whoever begins only then."""
    course, video_id = cast.course_on_sale()
    watching, beginning = cast.buyer_of(course), cast.buyer_of(course)
    assert watching.let_in().status_code == 200
    link, filler = link_of(world, watching.buyer, video_id), Filler(world.cloud.folder / "media")
    filler.take_all_but(0)
    try:
        assert link.follow().body == cast.film
        begun = link_of(world, beginning.buyer, video_id)
        assert begun.follow().body == cast.film
    finally:
        filler.go()
    assert [one.follow().body for one in (link, begun)] == [cast.film] * 2
