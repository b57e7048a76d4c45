"""PostgreSQL stops, dies, hangs, and comes back older than it was."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.both.people import enroll, make_student, refused
from tests.both.toptank import eventually
from tests.faults.acts import Cast, answered, attempt, order, pay, verify
from tests.faults.audit import position_of
from tests.faults.postgres import Postgres
from tests.faults.vps_deaths import keys_of
from tests.faults.webhooks import send_webhook
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")

ENDS: dict[str, Callable[[Postgres], None]] = {
    "is stopped": Postgres.stop,
    "is stopped immediately": Postgres.stop_now,
    "is killed": Postgres.kill,
}


def test_a_webhook_while_postgresql_is_down_is_not_taken_for_received(world: World, cast: Cast) -> None:
    """A provider that is told 5xx sends it again; one that is told 200 never would."""
    course, _ = cast.course_on_sale()
    placed = order(world, make_student(world), course)
    pay(world, placed)
    world.postgres.kill()
    answer = send_webhook(world, placed)
    world.postgres.start()
    assert answer.status_code == 503
    eventually(lambda: send_webhook(world, placed).status_code == 204)
    assert keys_of(world, placed) == ["active"]
    assert verify(world, placed).let_in().content == cast.film


@pytest.mark.parametrize("end", ENDS)
def test_what_was_acknowledged_outlives_postgresql(world: World, cast: Cast, end: str) -> None:
    """Under load: students enrol all the time, and whoever was told that they are, is."""
    course, video_id = cast.course_on_sale(amount=0)
    known = make_student(world)
    enroll(known, course)
    assert answered(lambda: known.watch(video_id)).status_code == 200
    students = [make_student(world) for _ in range(40)]
    enrolled: list[str] = []
    stop_at = time.monotonic() + 30

    def enrol_until_told() -> None:
        while students and time.monotonic() < stop_at:
            student = students.pop()
            for _ in range(100):
                answer = attempt(lambda: student.vps.post(f"/courses/{course.id}/enroll"))  # noqa: B023 - called here
                if answer is not None and answer.status_code in (201, 409):
                    enrolled.append(student.id)
                    break
                assert answer is None or answer.status_code == 503, answer.content
                time.sleep(0.1)

    with ThreadPoolExecutor(4) as pool:
        load = [pool.submit(enrol_until_told) for _ in range(4)]
        eventually(lambda: len(enrolled) > 5)
        ENDS[end](world.postgres)
        assert known.watch(video_id).status_code == 200
        time.sleep(0.5)
        world.postgres.start()
        for one in load:
            one.result()
    assert len(enrolled) == 40
    holders = {row[0] for row in world.sql("SELECT user_id::text FROM keys WHERE course_id = %s", course.id)}
    assert holders >= set(enrolled)
    numbers = [row[0] for row in world.sql("SELECT number FROM changes ORDER BY number")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_postgresql_that_hangs_is_503_and_forgotten_when_it_goes_on(world: World, cast: Cast) -> None:
    course, video_id = cast.course_on_sale()
    known, stranger = cast.buyer_of(course), make_student(world)
    assert known.let_in().status_code == 200
    world.postgres.freeze()
    try:
        assert known.watch().status_code == 200
        assert stranger.watch(video_id).status_code == 503
    finally:
        world.postgres.thaw()
    eventually(lambda: stranger.watch(video_id).status_code == 403)
    assert known.watch().status_code == 200


@pytest.mark.parametrize("heard", ["at once", "when it is ahead again"])
def test_a_vps_restored_from_a_backup_is_believed_from_then_on(
    world: World, cast: Cast, tmp_path: Path, heard: str
) -> None:
    """What came after the backup never was: the nodes notice by themselves, also when numbers have gone on since."""
    course, video_id = cast.course_on_sale()
    before, doomed, paying = cast.buyer_of(course), cast.course_on_sale(), make_student(world)
    lesson = course.add_lesson()
    placed = order(world, paying, course)
    epoch, _ = position_of(world.cloud)
    world.vps.stop()
    backup = tmp_path / "backup"
    world.postgres.back_up(backup)
    world.vps.start()
    acknowledged = world.ledger.copy()

    after = cast.buyer_of(course)
    pay(world, placed)
    verify(world, placed)
    _, lost_video = cast.course_on_sale()
    late_video = cast.upload(lesson)
    cast.delete_video(doomed[1])
    assert before.let_in().status_code == after.let_in().status_code == 200
    eventually(lambda: not world.node_sql("SELECT * FROM outbox WHERE set_aside IS NULL"))

    if heard == "when it is ahead again":
        world.link.cut()
    world.vps.stop()
    world.postgres.set_back(backup)
    world.vps.start()
    acknowledged.orphaned |= world.ledger.orphaned | {lost_video}
    world.ledger = acknowledged
    if heard == "when it is ahead again":
        for _ in range(10):
            change_something(world, cast)
        world.link.reset_connections()
        world.link.heal()

    eventually(lambda: position_of(world.cloud)[0] not in (epoch, None))
    eventually(lambda: before.watch().status_code == 200)  # once the node has asked about each video
    assert before.watch().content == cast.film
    eventually(lambda: after.watch().status_code in (401, 403))
    # The provider has the money of who paid after the backup, so asking it again gives the key.
    assert verify(world, placed).let_in().content == cast.film
    # What the node holds for a lesson that is known is announced again; what it deleted since is known to be missing.
    eventually(lambda: late_video in course.video_ids())
    missing = "SELECT missing_since IS NOT NULL FROM videos WHERE id = %s"
    eventually(lambda: world.sql(missing, doomed[1]) == [(True,)])
    assert (cast.teacher.id, lost_video) in world.originals
    refused(answered(lambda: make_student(world).watch(video_id)), 403, "key_required")


def change_something(world: World, cast: Cast) -> None:
    """Two changes of rights, whatever they are."""
    student = make_student(world)
    cast.ban(student)
    cast.activate(student)
