"""The changes feed: numbered without gaps in the order of commits, waited for, caught up with, started again."""

import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.contract import CHANGES
from tests.vps.feed import announce, follower, pull
from tests.vps.people import announced, done, make_student, make_teacher, published_course, refused
from tests.vps.running import Vps, running
from vps_service import changes

pytestmark = pytest.mark.anyio

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
SOON_S = 30
"""Far less than a node waits for, far more than anything takes."""


async def test_a_node_without_a_position_starts_at_the_head(vps: Vps) -> None:
    await announce(vps, 3)
    node = await follower(vps.node)
    assert (node.resets, node.number, node.seen) == (1, 3, [])
    answer = await node.follow()
    assert (answer["reset"], answer["head"], answer["items"], node.resets) == (False, 3, [], 1)


async def test_each_change_says_what_it_is_about(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    node = await follower(vps.node)
    done(await student.post(f"{course.path}/enroll"), 201)
    await teacher.delete(course.path)
    await node.follow()
    first = node.number - 1
    about = {"course_id": course.id, "video_id": None, "playback_id": None, "session_id": None}
    assert node.seen == [
        {"number": first, "kind": "key_granted", "user_id": str(student.id), **about},
        {"number": first + 1, "kind": "course_deleted", "user_id": None, **about},
    ]


async def test_a_position_that_is_no_number_is_refused(vps: Vps) -> None:
    for query in ("after=-1", "after=x", "epoch=x", "mark=x", "wait_s=31", "wait_s=-1", "wait_s=nan"):
        refused(await vps.node.get(f"{CHANGES}?{query}"), 422, "validation_failed")


# --- numbers -----------------------------------------------------------------------------------------------


async def test_fifty_parallel_changes_of_two_processes_are_seen_without_a_gap_and_in_order(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)

    async def follow_the_feed() -> None:
        while len(node.seen) < 50:
            await node.follow(wait_s=5)
            assert node.numbers == list(range(2, len(node.seen) + 2))

    async with running(vps.settings, vps.secrets) as other:
        writers = [announce(process, 10) for process in (vps, other, vps, other, vps)]
        await asyncio.wait_for(asyncio.gather(follow_the_feed(), *writers), 60)
    assert (node.resets, node.number) == (1, 51)


async def test_numbers_follow_commits_not_beginnings_and_a_rollback_leaves_no_gap(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)
    first, second, third = uuid4(), uuid4(), uuid4()
    second_is_in, first_begun = asyncio.Event(), asyncio.Event()

    async def record(course_id: UUID, *, commit: bool) -> None:
        async with vps.sessions() as session, session.begin() as transaction:
            changes.record(session, "course_deleted", course_id=course_id)
            first_begun.set()
            await second_is_in.wait()
            if not commit:
                await transaction.rollback()

    slow = [asyncio.create_task(record(first, commit=True)), asyncio.create_task(record(third, commit=False))]
    await first_begun.wait()
    async with vps.sessions() as session, session.begin():
        changes.record(session, "course_deleted", course_id=second)
    second_is_in.set()
    await asyncio.gather(*slow)
    await node.catch_up()
    assert [(item["number"], item["course_id"]) for item in node.seen] == [(2, str(second)), (3, str(first))]


async def test_a_change_whose_request_fails_is_recorded_nowhere(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    before = await announced(vps)
    await vps.rows("ALTER TABLE keys ADD CONSTRAINT none CHECK (status <> 'active') NOT VALID")
    assert (await student.post(f"{course.path}/enroll")).status_code == 500
    assert await announced(vps) == before
    await vps.rows("ALTER TABLE keys DROP CONSTRAINT none")
    done(await student.post(f"{course.path}/enroll"), 201)
    numbers = [row["number"] for row in await vps.rows("SELECT number FROM changes ORDER BY number")]
    assert numbers == list(range(1, len(before) + 2))


async def test_an_uncommitted_change_is_not_told(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)
    async with vps.sessions() as session, session.begin():
        changes.record(session, "course_deleted", course_id=uuid4())
        await changes.number_now(session)
        assert (await node.follow())["head"] == 1
    await node.follow()
    assert node.numbers == [2]


async def test_a_long_way_behind_is_caught_up_in_batches(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)
    async with vps.sessions() as session, session.begin():
        for _ in range(1200):
            changes.record(session, "course_deleted", course_id=uuid4())
    sizes = []
    while node.number < 1201:
        sizes.append(len((await node.follow())["items"]))
    assert (sizes, node.resets) == ([500, 500, 200], 1)
    assert node.numbers == list(range(2, 1202))


# --- waiting -------------------------------------------------------------------------------------------------


async def test_all_waiting_nodes_of_all_processes_hear_of_a_change(vps: Vps) -> None:
    await announce(vps)
    async with running(vps.settings, vps.secrets) as other:
        nodes = [await follower(process.node) for process in (vps, vps, other)]
        waiting = [asyncio.create_task(node.follow(wait_s=30)) for node in nodes]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waiting)
        await announce(vps)
        for answer in await asyncio.wait_for(asyncio.gather(*waiting), SOON_S):
            assert [item["number"] for item in answer["items"]] == [2]


async def test_the_database_notifies_of_each_commit_with_changes_and_of_no_other(vps: Vps, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listening:
        await listening.execute(f"LISTEN {changes.CHANNEL}")
        await make_student(vps)
        await announce(vps, 2)
        heard = [notice.payload async for notice in listening.notifies(timeout=SOON_S, stop_after=2)]
    assert heard == ["1", "2"]


async def test_a_change_is_heard_of_when_the_listening_connection_was_killed(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)
    waiting = asyncio.create_task(node.follow(wait_s=30))
    await asyncio.sleep(0.3)
    (killed,) = await vps.rows(LISTENERS)
    await vps.rows("SELECT pg_terminate_backend(:pid)", pid=killed["pid"])
    await announce(vps)
    answer = await asyncio.wait_for(waiting, SOON_S)
    assert [item["number"] for item in answer["items"]] == [2]

    for _ in range(600):
        if [row for row in await vps.rows(LISTENERS) if row["pid"] != killed["pid"]]:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("nobody listens")
    waiting = asyncio.create_task(node.follow(wait_s=30))
    await asyncio.sleep(0.3)
    await announce(vps)
    assert [item["number"] for item in (await asyncio.wait_for(waiting, SOON_S))["items"]] == [3]


async def test_waiting_ends_with_nothing_when_nothing_happens(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)
    answer = await node.follow(wait_s=0.5)
    assert (answer["items"], answer["reset"]) == ([], False)


async def test_somebody_who_must_start_again_is_not_kept_waiting(vps: Vps) -> None:
    assert (await asyncio.wait_for(pull(vps.node, wait_s=30), 25))["reset"] is True


async def test_what_waits_holds_no_connection_to_the_database(vps: Vps) -> None:
    await announce(vps)
    node = await follower(vps.node)
    position = {"after": node.number, "epoch": node.epoch, "mark": node.mark}
    more = 3 * vps.settings.database_pool
    waiting = [asyncio.create_task(pull(vps.node, **position, wait_s=30)) for _ in range(more)]
    await asyncio.sleep(0.5)
    await announce(vps)
    answers = await asyncio.wait_for(asyncio.gather(*waiting), SOON_S)
    assert [len(answer["items"]) for answer in answers] == [1] * more
