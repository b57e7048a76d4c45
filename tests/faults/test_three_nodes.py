"""Three nodes of one VPS: each is told, each can be cut off alone, and what is deleted is gone on all of them."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.both.people import Course, done, draft_course, make_student, make_teacher, refused
from tests.both.toptank import Node, eventually
from tests.both.wire import Wire, upload
from tests.clips import padded
from tests.faults.acts import PRICE, Cast, Purchase, answered, written_down
from tests.faults.world import WATCHING_S, World

NODES = 3
BOUND_S = 2.0
"""Within this time of the commit, a right that has ended opens nothing on any node whose link is up."""

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def spread(world: World, cast: Cast) -> tuple[Course, list[str]]:
    """A course on sale with a video on every node."""
    course = draft_course(world, cast.teacher, amount=PRICE)
    lessons = [course.lesson_id, course.add_lesson(), course.add_lesson()]
    videos = [cast.upload(lesson, node) for lesson, node in zip(lessons, world.nodes, strict=True)]
    course.publish()
    eventually(lambda: course.video_ids() == videos)
    return course, videos


def statuses(purchase: Purchase) -> list[int]:
    """Of watching each video of the course at the address the buyer was given."""
    return [purchase.watch(uri).status_code for uri in purchase.uris]


def test_a_buyer_is_sent_to_the_node_that_holds_each_video(
    world: World, cast: Cast, spread: tuple[Course, list[str]]
) -> None:
    course, videos = spread
    purchase = cast.buyer_of(course)
    for node, video_id, uri in zip(world.nodes, videos, purchase.uris, strict=True):
        assert uri.startswith(f"{node.url}/videos/{video_id}/stream")
    assert statuses(purchase) == [200] * NODES


@pytest.mark.parametrize("end", ["refund", "ban", "sign_out_everywhere"])
def test_a_right_that_ends_opens_nothing_on_any_node(
    world: World, cast: Cast, spread: tuple[Course, list[str]], end: str
) -> None:
    purchase, other = cast.buyer_of(spread[0]), cast.buyer_of(spread[0])
    assert statuses(purchase) == statuses(other) == [200] * NODES
    if end == "refund":
        cast.refund(purchase)
    elif end == "ban":
        cast.ban(purchase.buyer)
    else:
        cast.sign_out_everywhere(purchase.buyer)
    expected = 403 if end == "refund" else 401
    eventually(lambda: statuses(purchase) == [expected] * NODES, within_s=BOUND_S)
    assert statuses(other) == [200] * NODES


def test_a_node_that_is_cut_off_alone_is_alone_in_not_knowing(
    world: World, cast: Cast, spread: tuple[Course, list[str]]
) -> None:
    purchase, other = cast.buyer_of(spread[0]), cast.buyer_of(spread[0])
    assert statuses(purchase) == statuses(other) == [200] * NODES
    world.links[1].cut()
    cast.refund(purchase)
    eventually(lambda: statuses(purchase)[::2] == [403, 403], within_s=BOUND_S)
    eventually(lambda: statuses(purchase)[1] == statuses(other)[1] == 503, within_s=WATCHING_S + 5)
    assert statuses(other)[::2] == [200, 200]
    world.links[1].heal()
    eventually(lambda: statuses(purchase) == [403] * NODES)
    eventually(lambda: statuses(other) == [200] * NODES)


def test_a_course_deleted_while_it_is_watched_is_cut_off_and_gone(world: World, cast: Cast) -> None:
    """The next block, and the next range, are refused; the key stays as a receipt."""
    film = padded(cast.film, 24 * 2**20)
    course = cast.draft()
    video_id = cast.upload(course.lesson_id, film=film)
    course.publish()
    eventually(lambda: course.video_ids() == [video_id])
    purchase = cast.buyer_of(course)
    with Wire(world.cloud.url) as wire:
        wire.request("GET", f"/videos/{video_id}/stream", {"Authorization": f"Bearer {purchase.buyer.token}"})
        download = wire.headers()
        assert download.status == 200
        cast.delete_course(course)
        refused(purchase.watch(), 404, "video_not_found")
        got = sum(len(block) for block in iter(lambda: download.read1(2**20), b""))
    assert got < len(film) / 2
    assert [key["status"] for key in done(purchase.buyer.vps.get("/keys"))["items"]] == ["void"]


def test_a_course_deleted_on_all_nodes_at_once_is_deleted_once(
    world: World, cast: Cast, spread: tuple[Course, list[str]]
) -> None:
    course, videos = spread
    purchase = cast.buyer_of(course)
    assert statuses(purchase) == [200] * NODES
    world.ledger.deleted.add(course.id)
    with ThreadPoolExecutor(2 * NODES) as pool:
        who = [cast.teacher.at(node) for node in world.nodes] * 2
        answers = list(pool.map(lambda one: one.cloud.delete(f"/courses/{course.id}").status_code, who))
    assert set(answers) == {204}
    eventually(lambda: statuses(purchase) == [404] * NODES, within_s=BOUND_S)
    deleted = "SELECT count(*) FROM changes WHERE kind = 'course_deleted' AND course_id = %s"
    assert world.sql(deleted, course.id) == [(1,)]
    eventually(lambda: not any((cast.teacher.id, video) in node.originals for node in world.nodes for video in videos))


def test_of_a_deletion_and_an_upload_that_finishes_elsewhere_the_deletion_stands(world: World, cast: Cast) -> None:
    """The bytes come in on one node while the teacher deletes the course on another."""
    course = cast.draft()
    second = world.nodes[1]
    with upload(second.url, cast.teacher.token, course.lesson_id, len(cast.film)) as wire:
        wire.send(cast.film[:-1])
        eventually(lambda: second.scratch)
        cast.delete_course(course)
        answer = wire.send(cast.film[-1:]).answer()
    assert answer.status in (201, 404)
    eventually(lambda: not second.sql("SELECT id FROM videos WHERE course_id = ?", course.id))
    assert world.sql("SELECT id FROM videos WHERE course_id = %s AND deleted_at IS NULL", course.id) == []


def test_of_videos_for_one_lesson_on_all_nodes_at_once_one_is_its_video_and_the_others_wait_for_their_teacher(
    world: World, cast: Cast
) -> None:
    """All were acknowledged, so none is thrown away; what came late is in nobody's way."""
    course = cast.draft()
    with ExitStack() as stack:
        wires = [
            stack.enter_context(upload(node.url, cast.teacher.token, course.lesson_id, len(cast.film)))
            for node in world.nodes
        ]
        for node, wire in zip(world.nodes, wires, strict=True):
            wire.send(cast.film[:-1])
            eventually(lambda node=node: node.scratch)  # type: ignore[misc]
        for wire in wires:
            wire.send(cast.film[-1:])
        videos = []
        for wire in wires:
            answer = wire.answer()
            assert answer.status == 201, answer.body
            videos.append(written_down(world, json.loads(answer.body), cast.film))

    def states() -> list[str]:
        return sorted(state_of(cast, node, video)["status"] for node, video in zip(world.nodes, videos, strict=True))

    eventually(lambda: states().count("error") == NODES - 1)
    (first,) = course.video_ids()
    for node, video in zip(world.nodes, videos, strict=True):
        if video == first:
            continue
        assert state_of(cast, node, video)["reason"] == "Another video was first in this lesson."
        done(cast.teacher.at(node).cloud.post(f"/videos?lesson_id={course.lesson_id}", content=cast.film), 409)
        done(cast.teacher.at(node).cloud.delete(f"/videos/{video}"), 204)
        world.ledger.deleted.add(video)
        assert (cast.teacher.id, video) not in node.originals
    assert course.video_ids() == [first]


def state_of(cast: Cast, node: Node, video_id: str) -> dict[str, Any]:
    """As its teacher is told by the node that holds it."""
    return dict(done(cast.teacher.at(node).cloud.get(f"/videos/{video_id}")))


def test_a_course_deleted_while_a_node_is_away_is_never_served_by_it_again(
    world: World, cast: Cast, spread: tuple[Course, list[str]]
) -> None:
    course, videos = spread
    purchase = cast.buyer_of(course)
    assert statuses(purchase) == [200] * NODES
    away = world.nodes[2]
    away.kill()
    cast.delete_course(course)
    away.start()
    eventually(lambda: purchase.watch(purchase.uris[2]).status_code == 404, within_s=BOUND_S)
    eventually(lambda: (cast.teacher.id, videos[2]) not in away.originals)


def test_a_demoted_teacher_uploads_nowhere(world: World, cast: Cast) -> None:
    teacher = make_teacher(world)
    course = draft_course(world, teacher)
    for node in world.nodes:
        assert done(teacher.at(node).cloud.get("/uploads/permission"))["allowed"]
    done(cast.admin.vps.post(f"/admin/teachers/{teacher.username}/demote"))
    for node in world.nodes:
        asked = partial(teacher.at(node).upload, course.lesson_id, cast.film)
        refused(answered(asked), 403, "upload_not_allowed")
    eventually(
        lambda: not any(done(teacher.at(node).cloud.get("/uploads/permission"))["allowed"] for node in world.nodes),
        within_s=BOUND_S,
    )
    done(cast.admin.vps.post(f"/admin/teachers/{teacher.username}/verify"))
    replace(cast, teacher=teacher).upload(course.lesson_id, world.nodes[2])


def test_an_operator_who_asks_is_told_that_all_nodes_agree(world: World, cast: Cast) -> None:
    """And a grant that should not be there, whyever it is, goes."""
    course, _ = cast.course_on_sale(world.nodes[1])
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    stranger = make_student(world)
    node = world.nodes[1]
    node.stop()
    node.sql("UPDATE grants SET user_id = ? WHERE course_id = ? AND via = 'key'", stranger.id, course.id)
    node.start()
    said = world.operate("reconcile", "--wait", "20")
    assert [line.split()[0] for line in said.splitlines()] == [node.id for node in world.nodes]
    eventually(lambda: not node.sql("SELECT * FROM grants WHERE user_id = ?", stranger.id))
    refused(answered(lambda: stranger.watch(purchase.uris[0].rsplit("/", 2)[1])), 404, "video_not_found")
    assert purchase.let_in().status_code == 200
