"""The job that deletes accounts for good: done once however many do it, and over and over until it is."""

import asyncio

import pytest

from tests.vps.lives import finish, gone_for_good, leave, practised, state_of, time_is_up
from tests.vps.people import (
    announced,
    done,
    make_student,
    make_teacher,
    make_verified_student,
    published_course,
    sign_in,
)
from tests.vps.running import Vps
from tests.vps.test_leaving import cannot_sign_in, followers
from vps_service.followers import actions as following

pytestmark = pytest.mark.anyio


async def test_what_several_processes_do_at_once_is_done_once(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    practices = [await practised(vps, huda) for _ in range(5)]
    done(await leave(huda), 202)
    await time_is_up(vps)
    await asyncio.gather(*(finish(vps) for _ in range(4)))
    assert await state_of(vps, huda) == "deleted"
    assert len(await announced(vps, "video_deleted")) == len(practices)
    assert len(await vps.rows("SELECT 1 FROM audit_events WHERE what = 'account_deleted'")) == 1


async def test_one_account_that_cannot_be_deleted_keeps_no_other_waiting(vps: Vps) -> None:
    sara, ali = await make_student(vps), await make_student(vps, "ali")
    for student in (sara, ali):
        done(await leave(student), 202)
    await time_is_up(vps)
    broken = f"CHECK (id <> '{sara.id}' OR email IS NOT NULL)"
    await vps.rows(f"ALTER TABLE users ADD CONSTRAINT for_now {broken}")
    await finish(vps)
    assert await state_of(vps, ali) == "deleted"
    assert len(await vps.rows("SELECT 1 FROM leavings")) == 1
    await cannot_sign_in(vps, "sara")
    await vps.rows("ALTER TABLE users DROP CONSTRAINT for_now")
    await finish(vps)
    assert (await vps.row("SELECT email FROM users WHERE id = :id", id=sara.id))["email"] is None
    assert await vps.rows("SELECT 1 FROM leavings") == []


async def test_an_account_that_cannot_be_deleted_makes_nodes_ask_about_its_courses_once(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    await published_course(vps, huda)
    done(await leave(huda), 202)
    await time_is_up(vps)
    await vps.rows(f"ALTER TABLE users ADD CONSTRAINT for_now CHECK (id <> '{huda.id}' OR phone IS NOT NULL)")
    before = len(await announced(vps))
    for _ in range(3):
        await finish(vps)
    assert [change["kind"] for change in await announced(vps)][before:] == ["course_unpublished"]


async def test_however_many_follow_somebody_who_leaves_they_are_let_go_of_some_at_a_time(
    vps: Vps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ENDED_AT_ONCE", 2)
    huda, omar = await make_teacher(vps, "huda"), await make_teacher(vps)
    for number in range(5):
        done(await (await make_verified_student(vps, f"student{number}")).put("/api/teachers/huda/follow"))
    done(await huda.put("/api/teachers/omar/follow"))
    done(await (await sign_in(vps, "student0")).put("/api/teachers/omar/follow"))
    await gone_for_good(vps, huda)
    assert await vps.rows("SELECT teacher_id FROM follows") == [{"teacher_id": omar.id}]
    assert await followers(omar) == 1
