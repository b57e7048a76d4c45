"""A node's SQLite is damaged, deleted, or held by somebody else, at the start and while it runs."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.both.people import Course, Person, make_student, refused
from tests.both.toptank import Node, eventually
from tests.both.wire import upload
from tests.faults import damage
from tests.faults.acts import Cast, Purchase, attempt
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")

SETTINGS = {"TOPTANK_TRUST_WATCHING_S": "60", "TOPTANK_TRUST_STARTING_S": "30"}
NOTICED_WITHIN_S = 5.0
HELD_S = 10.0
DAMAGES: dict[str, Callable[[Path], None]] = {
    "bytes flipped": damage.flip_bytes,
    "truncated": damage.truncate,
    "header overwritten": damage.overwrite_header,
    "deleted": damage.unlink,
}


@dataclass(frozen=True)
class Scene:
    course: Course
    video_id: str
    buyer: Purchase
    refunded: Purchase
    stranger: Person


@pytest.fixture
def scene(world: World, cast: Cast) -> Scene:
    """Somebody who may watch, somebody who might any more, and somebody who never could."""
    course, video_id = cast.course_on_sale()
    scene = Scene(course, video_id, cast.buyer_of(course), cast.buyer_of(course), make_student(world))
    for purchase in (scene.buyer, scene.refunded):
        assert purchase.let_in().status_code == 200
    cast.refund(scene.refunded)
    eventually(lambda: scene.refunded.watch().status_code == 403)
    return scene


def set_aside(node: Node) -> set[str]:
    return {path.name for path in node.folder.glob("node.sqlite3.broken-*")}


def complaints(node: Node) -> int:
    """How often it has said that something is wrong with its database."""
    said = ("the database is damaged", "the database file is gone")
    return sum(line["event"] in said for line in node.lines())


def check_whole_again(world: World, cast: Cast, scene: Scene) -> None:
    eventually(lambda: scene.buyer.watch().status_code == 200)
    assert scene.buyer.watch().content == cast.film
    refused(scene.refunded.watch(), 403, "key_required")
    refused(scene.stranger.watch(scene.video_id), 403, "key_required")
    assert world.node_sql("SELECT id FROM videos WHERE id = ?", scene.video_id) == [(scene.video_id,)]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_database_that_is_damaged_before_the_start_is_rebuilt(
    world: World, cast: Cast, scene: Scene, kind: str
) -> None:
    """From the files beside the videos, and from the VPS; what was there is kept for whoever wants to look."""
    before = set_aside(world.cloud)
    world.cloud.stop()
    DAMAGES[kind](world.cloud.database)
    world.cloud.start()
    check_whole_again(world, cast, scene)
    assert (set_aside(world.cloud) > before) == (kind != "deleted")


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_database_that_is_damaged_while_the_node_runs_is_noticed_and_rebuilt(
    world: World, cast: Cast, scene: Scene, kind: str
) -> None:
    """Without a restart. Meanwhile it says so, or serves what is right; it never serves what is not."""
    pid, seen, before = world.cloud.pid, set[int](), complaints(world.cloud)

    def is_noticed() -> bool:
        for response in (attempt(scene.buyer.watch), attempt(lambda: cast.teacher.watch(scene.video_id))):
            seen.add(response.status_code if response is not None else 0)
        assert scene.refunded.watch().status_code in (403, 503)
        assert scene.stranger.watch(scene.video_id).status_code in (403, 503)
        return complaints(world.cloud) > before

    damage.check_in(world.cloud.database)
    DAMAGES[kind](world.cloud.database)
    eventually(is_noticed, within_s=NOTICED_WITHIN_S)
    check_whole_again(world, cast, scene)
    assert seen <= {200, 503}
    assert world.cloud.pid == pid
    assert world.cloud.is_running


def test_an_announcement_that_was_lost_with_the_database_is_made_up_for(world: World, cast: Cast) -> None:
    """Stored while the VPS was away, and the database was lost before it came back: the file itself is evidence."""
    course = cast.draft()
    with upload(world.cloud.url, cast.teacher.token, course.lesson_id, len(cast.film)) as wire:
        wire.send(cast.film[:-1])
        eventually(lambda: world.scratch)
        world.vps.kill()
        answer = wire.send(cast.film[-1:]).answer()
    assert answer.status == 201
    video = httpx.Response(201, content=answer.body).json()
    world.ledger.stored[video["id"]] = video["sha256"]
    world.cloud.stop()
    damage.unlink(world.cloud.database)
    world.cloud.start()
    world.vps.start()
    eventually(lambda: course.video_ids() == [video["id"]])
    assert cast.teacher.watch(video["id"]).content == cast.film


def test_a_database_lost_while_the_vps_is_away_serves_nobody_it_cannot_know(
    world: World, cast: Cast, scene: Scene
) -> None:
    world.cloud.stop()
    damage.unlink(world.cloud.database)
    world.link.refuse()
    world.cloud.start()
    for response in (scene.buyer.watch(), scene.refunded.watch(), scene.stranger.watch(scene.video_id)):
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
    world.link.heal()
    check_whole_again(world, cast, scene)


def test_while_somebody_holds_the_database_reads_go_on_and_writes_are_503(
    world: World, cast: Cast, scene: Scene
) -> None:
    lesson, before = scene.course.add_lesson(), set_aside(world.cloud)
    with damage.held(world.cloud.database), ThreadPoolExecutor(1) as pool:
        ends = time.monotonic() + HELD_S
        uploading = pool.submit(cast.teacher.upload, lesson, cast.film)
        while time.monotonic() < ends:
            assert scene.buyer.watch().status_code == 200
            time.sleep(0.1)
        answer = uploading.result()
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    eventually(lambda: scene.buyer.watch().status_code == 200)
    assert cast.upload(lesson)
    assert set_aside(world.cloud) == before
