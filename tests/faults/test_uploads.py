"""Uploads that end in every way but well, and answers that are lost: all of it is kept, or nothing."""

import base64
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.both.people import done, make_student
from tests.both.toptank import eventually
from tests.both.wire import Answer, Wire, upload_to
from tests.clips import padded
from tests.faults import damage
from tests.faults.acts import Cast, written_down
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")

NODES = 2
SETTINGS = {
    "TOPTANK_UPLOAD_IDLE_S": "5",
    "TOPTANK_UPLOAD_MIN_BYTES_PER_S": "100000",
    "TOPTANK_UPLOAD_RATE_WINDOW_S": "5",
}
"""A machine may stand still for some seconds: uploads that go well have to outlast that."""
GONE_WITHIN_S = 5.0
"""It is gone at once; a machine that has much else to do may need a moment."""
LARGE = 3 * 2**20


def begin(world: World, cast: Cast, lesson_id: str, content: bytes, share: float, **headers: str) -> Wire:
    """An upload of which this share has reached the node."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    wire = upload_to(world.cloud.url, cast.teacher.token, f"lesson_id={lesson_id}", len(content), told)
    wire.send(content[: int(len(content) * share)])
    eventually(lambda: world.scratch)
    return wire


def is_gone(world: World) -> bool:
    return not world.scratch and not world.node_sql("SELECT * FROM uploads")


def rights_of(world: World, cast: Cast) -> list[tuple[str]]:
    """What the node remembers of the teacher."""
    return world.node_sql("SELECT user_id FROM teachers WHERE user_id = ?", cast.teacher.id)


def falls_silent(wire: Wire) -> None:
    assert wire.answer().status == 408


def drips(wire: Wire) -> None:
    while not wire.has_answer():
        wire.send(b"x")
        time.sleep(0.1)
    assert wire.answer().status == 408


ENDS: dict[str, tuple[float, Callable[[Wire], None]]] = {
    "FIN before the first byte": (0.0, Wire.finish),
    "FIN half-way": (0.5, Wire.finish),
    "FIN shortly before the end": (0.99, Wire.finish),
    "FIN before the last byte": (1 - 1 / LARGE, Wire.finish),
    "RST half-way": (0.5, Wire.reset),
    "RST before the last byte": (1 - 1 / LARGE, Wire.reset),
    "silence half-way": (0.5, falls_silent),
    "a drip": (0.5, drips),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_upload_that_ends_early_leaves_nothing(world: World, cast: Cast, end: str) -> None:
    course, film = cast.draft(), padded(cast.film, LARGE)
    share, act = ENDS[end]
    assert done(cast.teacher.cloud.get("/uploads/permission"))["allowed"]
    assert rights_of(world, cast)
    act(begin(world, cast, course.lesson_id, film, share))
    eventually(lambda: is_gone(world), GONE_WITHIN_S)
    assert not rights_of(world, cast)
    assert course.video_ids() == [None]


def in_one_go(world: World, cast: Cast, lesson_id: str, content: bytes, declared: int, **headers: str) -> Answer:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    with upload_to(world.cloud.url, cast.teacher.token, f"lesson_id={lesson_id}", declared, told) as wire:
        return wire.send(content).answer()


def test_bytes_that_are_others_than_was_said_are_not_kept(world: World, cast: Cast) -> None:
    course = cast.draft()
    of_another = base64.b64encode(hashlib.sha256(b"another").digest()).decode()
    answer = in_one_go(world, cast, course.lesson_id, cast.film, len(cast.film), Repr_Digest=f"sha-256=:{of_another}:")
    assert (answer.status, b"digest_mismatch" in answer.body) == (422, True)
    for declared in (len(cast.film), len(cast.film) // 2):
        more = in_one_go(world, cast, course.lesson_id, cast.film + bytes(1000), declared)
        assert more.status == 400  # what comes behind the body is taken for a request, and is none
        eventually(lambda: is_gone(world), GONE_WITHIN_S)
    assert is_gone(world)
    assert course.video_ids() == [None]


def test_whoever_leaves_right_behind_the_last_byte_is_told_the_same_video_when_asking_again(
    world: World, cast: Cast
) -> None:
    course, key = cast.draft(), uuid4().hex
    wire = begin(world, cast, course.lesson_id, cast.film, 0.5, Idempotency_Key=key)
    wire.send(cast.film[len(cast.film) // 2 :]).finish()
    (kept,) = eventually(lambda: [known for known in course.video_ids() if known])

    def again(_: int) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return cast.teacher.cloud.post(f"/videos?lesson_id={course.lesson_id}", content=cast.film, headers=headers)

    assert written_down(world, done(again(0), 201), cast.film) == kept
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(again, range(4)))
    assert {answer.status_code for answer in answers} <= {201, 409}  # one of them may be under way
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201} <= {kept}


def test_an_answer_that_the_vps_never_got_to_give_is_asked_for_again(world: World, cast: Cast) -> None:
    """The link to the VPS breaks before the rights are known: 503, nothing is kept, and the same key is free."""
    course, headers = cast.draft(), {"Idempotency-Key": uuid4().hex}

    def upload() -> httpx.Response:
        return cast.teacher.cloud.post(f"/videos?lesson_id={course.lesson_id}", content=cast.film, headers=headers)

    world.link.refuse()
    answer = upload()
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert is_gone(world)
    world.link.heal()
    video_id = written_down(world, done(upload(), 201), cast.film)
    eventually(lambda: course.video_ids() == [video_id])


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize("share", [0.0, 0.99])
def test_a_node_that_ends_during_an_upload_keeps_nothing_of_it(
    world: World, cast: Cast, share: float, end: str
) -> None:
    course, film = cast.draft(), padded(cast.film, LARGE)
    wire = begin(world, cast, course.lesson_id, film, share)
    if end == "stopped":
        assert world.cloud.stop() == 0
        assert world.scratch == []
    else:
        world.cloud.kill()
        assert world.scratch
    wire.finish()
    world.cloud.start()  # returns as soon as it listens
    assert is_gone(world)
    assert course.video_ids() == [None]


def test_an_upload_outlives_the_database_or_leaves_nothing(world: World, cast: Cast) -> None:
    """Deleted under it, when half of its bytes have arrived; whatever it is answered is so."""
    course, film = cast.draft(), padded(cast.film, LARGE)
    with begin(world, cast, course.lesson_id, film, 0.5) as wire:
        damage.unlink(world.cloud.database)
        wire.send(film[LARGE // 2 :])
        answer = wire.answer()
    assert answer.status in (201, 503), answer.body
    eventually(lambda: world.cloud.database.exists())  # the node has noticed, and is about to make itself another
    eventually(lambda: cast.teacher.cloud.get("/health/ready").status_code == 200)
    if answer.status == 201:
        video = httpx.Response(201, content=answer.body).json()
        video_id = written_down(world, video, film)
        eventually(lambda: course.video_ids() == [video_id])
        eventually(lambda: cast.teacher.watch(video_id).status_code == 200)
        assert cast.teacher.watch(video_id).content == film
    else:
        eventually(lambda: is_gone(world))
        assert course.video_ids() == [None]


def test_a_video_that_is_deleted_twice_at_once_on_two_nodes_is_deleted_once(world: World, cast: Cast) -> None:
    course, video_id = cast.course_on_sale()
    purchase, stranger = cast.buyer_of(course), make_student(world)
    assert purchase.let_in().status_code == 200
    world.ledger.deleted.add(video_id)
    with ThreadPoolExecutor(4) as pool:
        who = [cast.teacher.at(node) for node in world.nodes] * 2
        answers = list(pool.map(lambda one: one.cloud.delete(f"/videos/{video_id}").status_code, who))
    assert set(answers) == {204}
    eventually(lambda: purchase.watch().status_code == stranger.watch(video_id).status_code == 404)
    deleted = "SELECT count(*) FROM changes WHERE kind = 'video_deleted' AND video_id = %s"
    assert world.sql(deleted, video_id) == [(1,)]
    eventually(lambda: (cast.teacher.id, video_id) not in world.originals)


@pytest.mark.parametrize("where", ["here", "on another node"])
def test_of_a_deletion_and_an_upload_that_finishes_the_deletion_stands(world: World, cast: Cast, where: str) -> None:
    course = cast.draft()
    with begin(world, cast, course.lesson_id, cast.film, 0.5) as wire:
        cast.delete_course(course, None if where == "here" else world.nodes[1])
        answer = wire.send(cast.film[len(cast.film) // 2 :]).answer()
    assert answer.status in (201, 404)
    eventually(lambda: not world.node_sql("SELECT id FROM videos WHERE course_id = ?", course.id))
    assert world.sql("SELECT id FROM videos WHERE course_id = %s AND deleted_at IS NULL", course.id) == []
