"""Somebody watches, or begins to, while something breaks under them: they go on, or are told what to do."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.both.playing import Link, code_of, link_of
from tests.both.toptank import eventually
from tests.faults import damage
from tests.faults.acts import Cast, Purchase, attempt
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")

SETTINGS = {"TOPTANK_TRUST_WATCHING_S": "60", "TOPTANK_TRUST_STARTING_S": "30"}
HELD_S = 2.0


@dataclass(frozen=True)
class Scene:
    world: World
    video_id: str
    viewer: Purchase
    newcomer: Purchase
    link: Link
    film: bytes

    def begin(self, who: Purchase) -> Link:
        return link_of(self.world, who.buyer, self.video_id)

    @property
    def original(self) -> Path:
        (found,) = (self.world.cloud.folder / "media" / "videos").glob(f"*/{self.video_id}/original")
        return found


@pytest.fixture
def scene(world: World, cast: Cast) -> Scene:
    """One who watches, and one who could."""
    course, video_id = cast.course_on_sale()
    viewer, newcomer = cast.buyer_of(course), cast.buyer_of(course)
    assert viewer.let_in().status_code == 200
    link = link_of(world, viewer.buyer, video_id)
    assert link.follow().body == cast.film
    return Scene(world, video_id, viewer, newcomer, link, cast.film)


def test_while_somebody_holds_the_database_playbacks_begin_and_go_on(world: World, scene: Scene) -> None:
    """And are written down when it is free again."""
    with damage.held(world.cloud.database), ThreadPoolExecutor(1) as pool:
        ends = time.monotonic() + HELD_S
        beginning = pool.submit(scene.begin, scene.newcomer)
        while time.monotonic() < ends:
            assert scene.link.follow().body == scene.film
        begun = beginning.result()
        assert begun.follow().body == scene.film
    eventually(lambda: len(playbacks_of(world, scene.newcomer)) == 1)
    world.cloud.kill()
    world.cloud.start()
    assert [link.follow().body for link in (scene.link, begun)] == [scene.film] * 2


def playbacks_of(world: World, viewer: Purchase) -> list[tuple[str, ...]]:
    return world.node_sql("SELECT id FROM playbacks WHERE user_id = ?", viewer.buyer.id)


def test_a_playback_that_could_not_be_written_down_lasts_until_the_node_ends(world: World, scene: Scene) -> None:
    """Then its link says that it is over, and another one is begun."""
    full = "BEFORE INSERT ON playbacks BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    world.node_sql(f"CREATE TRIGGER full {full}")
    try:
        begun = scene.begin(scene.newcomer)
        assert begun.follow().body == scene.film
        assert playbacks_of(world, scene.newcomer) == []
    finally:
        world.node_sql("DROP TRIGGER full")
    world.cloud.restart()
    begun.check_refused(410, "playback_expired")
    assert scene.begin(scene.newcomer).follow().body == scene.film
    assert scene.link.follow().body == scene.film


def test_whoever_watches_as_the_database_is_lost_is_told_to_begin_again_and_can(world: World, scene: Scene) -> None:
    """Links are told apart by what was in it. Nobody is ever told that there is no such video."""
    seen = set()

    def is_over() -> bool:
        answer = scene.link.follow()
        seen.add((answer.status, code_of(answer)))
        return answer.status == 410

    damage.unlink(world.cloud.database)
    eventually(is_over)
    assert {status for status, _ in seen} <= {200, 410, 503}
    assert (410, "playback_expired") in seen
    again = eventually(lambda: attempt(lambda: scene.viewer.buyer.cloud.post(f"/videos/{scene.video_id}/playback")))
    assert again.status_code in (201, 503)
    eventually(lambda: scene.viewer.watch().status_code == 200)
    assert scene.begin(scene.viewer).follow().body == scene.film


def test_a_file_that_is_missing_is_our_error_and_no_other_video_suffers(world: World, cast: Cast, scene: Scene) -> None:
    """Not the viewer's, whose player tries again; and it is told in the log."""
    original, away = scene.original, scene.original.with_name("away")
    original.rename(away)
    try:
        answer = scene.link.follow()
        assert (answer.status, code_of(answer)) == (500, "internal_error")
        assert str(original).encode() not in answer.body
    finally:
        away.rename(original)
    assert scene.link.follow().body == scene.film
    assert [line for line in world.cloud.lines() if line["event"] == "link refused" and line["level"] == "error"]


def test_a_node_that_is_killed_again_and_again_costs_its_viewers_no_playback(world: World, scene: Scene) -> None:
    """Piece by piece, as players ask for them, with the node's end between any two."""
    got = b""
    while len(got) < len(scene.film):
        size = len(scene.film) // 3 + 1
        answer = scene.link.follow(Range=f"bytes={len(got)}-{len(got) + size - 1}")
        assert answer.status == 206
        got += answer.body
        world.cloud.kill()
        world.cloud.start()
    assert got == scene.film
    assert len(playbacks_of(world, scene.viewer)) == 1


def test_a_playback_outlives_the_vps_for_as_long_as_what_is_known_is_trusted(world: World, scene: Scene) -> None:
    world.vps.kill()
    assert scene.link.follow().body == scene.film
    assert scene.begin(scene.viewer).follow().body == scene.film
    unknown = scene.newcomer.buyer.cloud.post(f"/videos/{scene.video_id}/playback")
    assert (unknown.status_code, int(unknown.headers["retry-after"]) > 0) == (503, True)
    world.vps.start()
    eventually(lambda: scene.newcomer.watch().status_code == 200)
    assert scene.begin(scene.newcomer).follow().body == scene.film
