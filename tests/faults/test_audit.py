"""The audit itself: it sees what it is there to see."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import imageio_ffmpeg
import pytest

from tests.both.toptank import eventually
from tests.faults import audit
from tests.faults.acts import Cast
from tests.faults.world import World

Wrong = Callable[[World], AbstractContextManager[None]]
"""Something is wrong as long as the block lasts."""


@pytest.fixture(scope="module")
def bought(world: World, cast: Cast) -> str:
    """A payment of somebody who watches."""
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    audit.audit(world, cast)
    return purchase.payment_id


@contextmanager
def a_key_is_lost(world: World) -> Iterator[None]:
    world.sql("UPDATE keys SET status = 'void'")
    yield
    world.sql("UPDATE keys SET status = 'active'")


@contextmanager
def a_payment_is_lost(world: World) -> Iterator[None]:
    world.ledger.paid.add("01a1fe2c-0000-7000-8000-000000000000")
    yield
    world.ledger.paid.remove("01a1fe2c-0000-7000-8000-000000000000")


@contextmanager
def a_video_is_lost(world: World) -> Iterator[None]:
    world.ledger.stored["01a1fe2c-0000-7000-8000-000000000001"] = "0" * 64
    yield
    del world.ledger.stored["01a1fe2c-0000-7000-8000-000000000001"]


@contextmanager
def a_state_is_another(world: World) -> Iterator[None]:
    world.sql("UPDATE videos SET status = 'error'")
    yield
    world.sql("UPDATE videos SET status = 'processing'")


@contextmanager
def a_byte_is_wrong(world: World) -> Iterator[None]:
    path = next((world.cloud.folder / "media" / "videos").glob("*/*/original"))
    film = path.read_bytes()
    path.write_bytes(bytes([film[0] ^ 1]) + film[1:])
    yield
    path.write_bytes(film)


def left_in(name: str) -> Wrong:
    """By an upload or a worker that nobody knows of."""

    @contextmanager
    def leave(world: World) -> Iterator[None]:
        left = world.cloud.folder / "media" / name / "half"
        left.mkdir(parents=True)
        yield
        left.rmdir()

    return leave


@contextmanager
def a_rendition_is_left_over(world: World) -> Iterator[None]:
    left = next((world.cloud.folder / "media" / "videos").glob("*/*/original")).with_name("sd.mp4")
    left.touch()
    yield
    left.unlink()


@contextmanager
def a_place_is_still_taken(world: World) -> Iterator[None]:
    world.node_sql("INSERT INTO uploads (id, place, owner_id) VALUES ('an', 'old', 'one')")
    yield
    world.node_sql("DELETE FROM uploads")


@contextmanager
def a_job_is_lost(world: World) -> Iterator[None]:
    world.node_sql("CREATE TABLE lost AS SELECT * FROM jobs")
    world.node_sql("DELETE FROM jobs")
    yield
    world.node_sql("INSERT INTO jobs SELECT * FROM lost")
    world.node_sql("DROP TABLE lost")


@contextmanager
def an_ffmpeg_runs_for_nobody(world: World) -> Iterator[None]:
    nothing = ("-re", "-f", "lavfi", "-i", "testsrc", "-f", "null", "-")
    command, folder = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *nothing], world.cloud.folder
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as running:
        try:
            eventually(lambda: audit.ffmpegs_of(world.cloud) == [running.pid])
            yield
        finally:
            running.kill()


def jobs_are_done(world: World) -> None:
    audit.ffmpeg_has_a_job(world.cloud)


SEEN_BY: list[tuple[Wrong, Callable[[World], None]]] = [
    (a_payment_is_lost, audit.acknowledged_writes_exist),
    (a_video_is_lost, audit.acknowledged_writes_exist),
    (a_state_is_another, audit.files_and_rows_match),
    (a_byte_is_wrong, audit.files_and_rows_match),
    (left_in("scratch"), World.check_nothing_left_over),
    (left_in("parts"), World.check_nothing_left_over),
    (left_in("work"), World.check_nothing_left_over),
    (a_rendition_is_left_over, World.check_nothing_left_over),
    (a_place_is_still_taken, World.check_nothing_left_over),
    (a_job_is_lost, World.check_nothing_left_over),
    (a_key_is_lost, audit.paid_is_one_live_key),
    (an_ffmpeg_runs_for_nobody, jobs_are_done),
]


@pytest.mark.parametrize(("wrong", "check"), SEEN_BY)
def test_what_is_wrong_is_seen(world: World, bought: str, wrong: Wrong, check: Callable[[World], None]) -> None:
    with wrong(world), pytest.raises(AssertionError):
        check(world)
    check(world)


def test_a_right_that_the_vps_would_not_give_is_seen(world: World, bought: str) -> None:
    with a_key_is_lost(world), pytest.raises(AssertionError):  # and the node was not told
        audit.remembered_rights_are_true(world, world.cloud)
