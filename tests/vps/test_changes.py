"""The changes feed: numbered without gaps, in the order of commits, and started again when it must be."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contract import CHANGES
from tests.vps.people import done, make_student, make_teacher, published_course, refused
from tests.vps.running import Vps
from vps_service import changes

pytestmark = pytest.mark.anyio


async def pull(vps: Vps, **query: Any) -> Any:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return done(await vps.node.get(f"{CHANGES}?{asked}" if asked else CHANGES))


async def test_a_node_without_a_position_starts_at_the_head(vps: Vps) -> None:
    student = await make_student(vps)
    await student.post(f"{(await published_course(vps, await make_teacher(vps), 0)).path}/enroll")
    answer = await pull(vps)
    assert (answer["reset"], answer["head"], answer["items"]) == (True, 1, [])
    assert await pull(vps, after=1, epoch=answer["epoch"]) == {**answer, "reset": False}


async def test_each_change_says_what_it_is_about(vps: Vps) -> None:
    epoch = (await pull(vps))["epoch"]
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    done(await student.post(f"{course.path}/enroll"), 201)
    await teacher.delete(course.path)
    items = (await pull(vps, after=0, epoch=epoch))["items"]
    assert items == [
        {"number": 1, "kind": "key_granted", "user_id": str(student.id), "course_id": course.id, "video_id": None},
        {"number": 2, "kind": "course_deleted", "user_id": None, "course_id": course.id, "video_id": None},
    ]
    assert (await pull(vps, after=1, epoch=epoch))["items"] == items[1:]
    assert (await pull(vps, after=2, epoch=epoch))["items"] == []


async def test_a_position_of_another_epoch_or_from_the_future_starts_again(vps: Vps) -> None:
    here = await pull(vps)
    for odd in ({"after": 0, "epoch": uuid4()}, {"after": 1, "epoch": here["epoch"]}, {"after": 0}):
        assert await pull(vps, **odd) == {**here, "reset": True}
    await vps.rows("UPDATE change_counter SET epoch = gen_random_uuid()")  # as after a restore
    renewed = await pull(vps, after=0, epoch=here["epoch"])
    assert renewed["reset"] is True
    assert renewed["epoch"] != here["epoch"]


async def test_a_position_that_is_no_number_is_refused(vps: Vps) -> None:
    for query in ("after=-1", "after=x", "epoch=x", "wait_s=31", "wait_s=-1", "wait_s=nan"):
        refused(await vps.node.get(f"{CHANGES}?{query}"), 422, "validation_failed")


async def test_fifty_parallel_changes_are_seen_without_a_gap_and_in_order(vps: Vps) -> None:
    epoch = (await pull(vps))["epoch"]
    course = await published_course(vps, await make_teacher(vps), 0)
    students = [await make_student(vps, f"student{number}") for number in range(50)]
    seen: list[int] = []

    async def follow_the_feed() -> None:
        while len(seen) < 50:
            items = (await pull(vps, after=len(seen), epoch=epoch))["items"]
            seen.extend(item["number"] for item in items)
            assert seen == list(range(1, len(seen) + 1))

    enrolments = [student.post(f"{course.path}/enroll") for student in students]
    await asyncio.wait_for(asyncio.gather(follow_the_feed(), *enrolments), 60)
    assert len(await vps.rows("SELECT 1 FROM keys")) == 50


async def test_numbers_follow_commits_not_beginnings_and_a_rollback_leaves_no_gap(vps: Vps) -> None:
    epoch = (await pull(vps))["epoch"]
    first, second = uuid4(), uuid4()

    async def record(course_id: UUID, *, commit: bool) -> None:
        async with vps.sessions() as session, session.begin() as transaction:
            changes.record(session, "course_deleted", course_id=course_id)
            await asyncio.sleep(0.3)
            if not commit:
                await transaction.rollback()

    rolled_back = asyncio.create_task(record(first, commit=False))
    await asyncio.sleep(0.1)
    await record(second, commit=True)
    await rolled_back
    items = (await pull(vps, after=0, epoch=epoch))["items"]
    assert [(item["number"], item["course_id"]) for item in items] == [(1, str(second))]


async def test_an_uncommitted_change_is_not_told(vps: Vps) -> None:
    here = await pull(vps)
    async with vps.sessions() as session, session.begin():
        changes.record(session, "course_deleted", course_id=uuid4())
        assert await pull(vps, after=0, epoch=here["epoch"]) == {**here, "reset": False}
    assert (await pull(vps, after=0, epoch=here["epoch"]))["head"] == 1


async def test_a_long_way_behind_is_caught_up_in_batches(vps: Vps) -> None:
    epoch = (await pull(vps))["epoch"]
    await vps.rows("INSERT INTO changes (number, kind) SELECT n, 'course_deleted' FROM generate_series(1, 1200) n")
    await vps.rows("UPDATE change_counter SET last = 1200")
    seen: list[int] = []
    while len(seen) < 1200:
        answer = await pull(vps, after=len(seen), epoch=epoch)
        assert answer["head"] == 1200
        assert 0 < len(answer["items"]) <= 500
        seen += [item["number"] for item in answer["items"]]
    assert seen == list(range(1, 1201))


async def test_a_waiting_node_hears_of_a_change_at_once(vps: Vps) -> None:
    epoch = (await pull(vps))["epoch"]
    student = await make_student(vps)
    course = await published_course(vps, await make_teacher(vps), 0)
    waiting = asyncio.create_task(pull(vps, after=0, epoch=epoch, wait_s=20))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    done(await student.post(f"{course.path}/enroll"), 201)
    answer = await asyncio.wait_for(waiting, 2)
    assert [item["kind"] for item in answer["items"]] == ["key_granted"]


async def test_waiting_ends_with_nothing_when_nothing_happens(vps: Vps) -> None:
    here = await pull(vps)
    started = time.monotonic()
    assert await pull(vps, after=0, epoch=here["epoch"], wait_s=0.5) == {**here, "reset": False}
    assert 0.4 < time.monotonic() - started < 3
    started = time.monotonic()
    assert (await pull(vps, wait_s=20))["reset"] is True  # somebody who must start again is not kept waiting
    assert time.monotonic() - started < 3
