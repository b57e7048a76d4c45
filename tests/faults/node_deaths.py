"""How a node is brought to each of its kill points, and what must be the case when it runs again.

A scenario prepares, yields for the node to be started doomed, acts until it dies, yields for it to be started again,
and looks. What was being uploaded or deleted as it died is in doubt; nothing else is.
"""

from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx

from tests.both.people import done, make_student, refused
from tests.both.toptank import eventually
from tests.faults import playback_deaths, resumable_deaths, view_deaths
from tests.faults.acts import Cast, answered, attempt, buy, written_down
from tests.faults.damage import flip_bytes
from tests.faults.world import World
from tests.processes import run

SUBRIP = b"1\n00:00:00,100 --> 00:00:00,900\nso\n"
Scenario = Callable[[World, Cast], Iterator[None]]


def _unanswered_upload(world: World, cast: Cast, *, keeps: bool) -> Iterator[None]:
    """Tried again with its key, it is stored, and stored once."""
    course, key = cast.draft(), {"Idempotency-Key": uuid4().hex}

    def upload() -> httpx.Response:
        return cast.teacher.cloud.post(f"/videos?lesson_id={course.lesson_id}", content=cast.film, headers=key)

    yield
    assert attempt(upload) is None
    yield
    kept = eventually(course.video_ids) if not keeps else eventually(lambda: [one for one in course.video_ids() if one])
    video_id = written_down(world, done(upload(), 201), cast.film)
    assert kept == ([video_id] if keeps else [None])
    eventually(lambda: course.video_ids() == [video_id])
    assert answered(lambda: cast.teacher.watch(video_id)).content == cast.film


def loses_an_upload(world: World, cast: Cast) -> Iterator[None]:
    """No success was said: nothing of it stays, and the lesson takes the next one."""
    return _unanswered_upload(world, cast, keeps=False)


def keeps_an_upload(world: World, cast: Cast) -> Iterator[None]:
    """It was stored for good before the answer; the VPS hears of it all the same."""
    return _unanswered_upload(world, cast, keeps=True)


def announces_twice(world: World, cast: Cast) -> Iterator[None]:
    """The VPS has applied the event and the node does not know: sent again, it counts once."""
    course = cast.draft()
    yield
    answer = attempt(lambda: cast.teacher.upload(course.lesson_id, cast.film))
    if answer is not None and answer.status_code == 201:  # it may have been told before the node died
        written_down(world, answer.json(), cast.film)
    yield
    (video_id,) = eventually(lambda: [known for known in course.video_ids() if known])
    eventually(lambda: not world.node_sql("SELECT * FROM outbox"))
    assert answered(lambda: cast.teacher.watch(video_id)).content == cast.film


def hears_of_ended_rights(world: World, cast: Cast) -> Iterator[None]:
    """Two rights ended while it was away; it dies over the news, and both are over when it is back."""
    course, _ = cast.course_on_sale()
    refunded, banned, other = (cast.buyer_of(course) for _ in range(3))
    for purchase in (refunded, banned, other):
        assert purchase.let_in().status_code == 200
    world.cloud.stop()
    cast.refund(refunded)
    cast.ban(banned.buyer)
    yield
    yield
    eventually(lambda: refunded.watch().status_code == 403)
    eventually(lambda: banned.watch().status_code == 401)
    assert other.watch().status_code == 200


def starts_anew(world: World, cast: Cast) -> Iterator[None]:
    """The VPS's history is another one: whatever was remembered is dropped, once and for all, and every video is in
    doubt until it was compared."""
    course, _ = cast.course_on_sale()
    purchase, refunded = cast.buyer_of(course), cast.buyer_of(course)
    assert purchase.let_in().status_code == refunded.let_in().status_code == 200
    world.cloud.stop()
    cast.refund(refunded)
    world.sql("UPDATE change_counter SET epoch = gen_random_uuid()")
    yield
    yield
    eventually(lambda: refunded.watch().status_code == 403)
    eventually(lambda: purchase.watch().content == cast.film)


def learns_a_right(world: World, cast: Cast) -> Iterator[None]:
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    yield
    assert attempt(purchase.watch) is None
    yield
    assert purchase.let_in().content == cast.film


def deletes(world: World, cast: Cast) -> Iterator[None]:
    """The VPS agreed, so it is deleted; nobody is served any of it once the node is back, without being asked again."""
    course, video_id = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    yield
    assert attempt(lambda: cast.teacher.cloud.delete(f"/videos/{video_id}")) is None
    yield
    eventually(lambda: purchase.watch().status_code == 404)
    eventually(lambda: (cast.teacher.id, video_id) not in world.originals)
    cast.delete_video(video_id)


def _captions(world: World, cast: Cast, *, before: list[str], after: list[str]) -> Iterator[None]:
    """Nothing was said; file and row agree when it is back."""
    _, video_id = cast.course_on_sale()
    video, cloud = f"/videos/{video_id}", cast.teacher.cloud
    for language in before:
        done(cloud.put(f"{video}/captions/{language}", content=SUBRIP))
    yield
    assert attempt(lambda: cloud.send("DELETE" if before else "PUT", f"{video}/captions/ar", content=SUBRIP)) is None
    yield
    assert done(cloud.get(video))["captions"] == after
    assert cloud.get(f"{video}/captions/ar").status_code == (200 if after else 404)


def puts_captions(world: World, cast: Cast) -> Iterator[None]:
    return _captions(world, cast, before=[], after=["ar"])


def takes_captions_away(world: World, cast: Cast) -> Iterator[None]:
    return _captions(world, cast, before=["ar"], after=[])


def reconciles(world: World, cast: Cast) -> Iterator[None]:
    """Asked to compare everything, it dies over it, and does it when it is back."""
    course, _ = cast.course_on_sale()
    stranger = make_student(world)
    world.cloud.stop()
    run("vps_service.nodes.operator", "reconcile", "--wait", "0", environment=world.environment)
    yield
    yield
    done = "SELECT reconciled_order = reconcile_order FROM nodes WHERE id = %s"
    eventually(lambda: world.sql(done, world.cloud.id) == [(True,)])
    refused(answered(lambda: stranger.watch(course.video_ids()[0] or "")), 403, "key_required")
    assert buy(world, stranger, course).let_in().content == cast.film


def sets_its_database_aside(world: World, cast: Cast) -> Iterator[None]:
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    world.cloud.stop()
    flip_bytes(world.cloud.database)
    yield
    yield
    eventually(lambda: attempt(lambda: purchase.watch()) is not None and purchase.watch().status_code == 200)
    assert purchase.let_in().content == cast.film
    assert list(world.cloud.folder.glob("node.sqlite3.broken-*"))


SCENARIOS: dict[str, Scenario] = {
    "upload.received": loses_an_upload,
    "upload.synced": loses_an_upload,
    "upload.renamed": loses_an_upload,
    "upload.committed": keeps_an_upload,
    "captions.moved": puts_captions,
    "captions.removed": takes_captions_away,
    "outbox.answered": announces_twice,
    "feed.pulled": hears_of_ended_rights,
    "feed.half_applied": hears_of_ended_rights,
    "feed.applied": hears_of_ended_rights,
    "feed.reset": starts_anew,
    "access.answered": learns_a_right,
    "access.remembered": learns_a_right,
    "deletion.agreed": deletes,
    "deletion.row_gone": deletes,
    "reconcile.compared": reconciles,
    "database.set_aside": sets_its_database_aside,
    **playback_deaths.SCENARIOS,
    **resumable_deaths.SCENARIOS,
    **view_deaths.SCENARIOS,
}
"""What brings a node to each point."""
