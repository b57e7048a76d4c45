"""Verified by an admin, demoted by an admin: a demotion holds against every follower to come."""

import asyncio

import pytest

from tests.vps.people import (
    Person,
    announced,
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
)
from tests.vps.running import Vps

pytestmark = [pytest.mark.anyio, pytest.mark.settings(followers_required=1)]

VERIFY, DEMOTE = "/api/admin/teachers/omar/verify", "/api/admin/teachers/omar/demote"


async def is_verified(teacher: Person) -> bool:
    verified: bool = done(await teacher.get("/api/auth/me"))["verified"]
    return verified


async def kinds(vps: Vps) -> list[str]:
    return [change["kind"] for change in await announced(vps)]


async def test_a_demotion_holds_whoever_follows_later(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    done(await (await make_verified_student(vps)).put("/api/teachers/omar/follow"))
    assert await is_verified(teacher)
    answer = done(await admin.post(DEMOTE))
    assert answer == {"username": "omar", "followers": 1, "verified": False, "demoted": True}
    more = await make_student(vps, "ali")
    assert done(await more.put("/api/teachers/omar/follow"))["verified"] is False
    await confirm(vps, more)  # counts them again
    assert not await is_verified(teacher)
    assert await announced(vps, "teacher_demoted") == [{"kind": "teacher_demoted", "user_id": str(teacher.id)}]
    assert await kinds(vps) == ["teacher_verified", "teacher_demoted"]


async def test_an_admin_verifies_whatever_the_count_and_takes_a_demotion_back(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    expected = {"username": "omar", "followers": 0, "verified": True, "demoted": False}
    assert done(await admin.post(VERIFY)) == expected
    assert await is_verified(teacher)
    done(await admin.post(DEMOTE))
    assert done(await admin.post(VERIFY)) == expected
    assert await kinds(vps) == ["teacher_verified", "teacher_demoted", "teacher_verified"]


async def test_each_may_be_repeated(vps: Vps) -> None:
    admin = await make_admin(vps)
    await make_teacher(vps)
    for path in (VERIFY, DEMOTE):
        answers = await asyncio.gather(*(admin.post(path) for _ in range(20)))
        assert len({str(done(answer)) for answer in answers}) == 1
    assert await kinds(vps) == ["teacher_verified", "teacher_demoted"]


async def test_a_teacher_can_be_demoted_before_they_are_verified(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    assert done(await admin.post(DEMOTE))["demoted"] is True
    done(await (await make_verified_student(vps)).put("/api/teachers/omar/follow"))
    assert not await is_verified(teacher)
    assert await kinds(vps) == []  # no right has changed


async def test_following_and_demoting_at_once_ends_in_a_demotion(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    students = [await make_verified_student(vps, f"student{number}") for number in range(6)]
    follows = (student.put("/api/teachers/omar/follow") for student in students)
    await asyncio.gather(*follows, admin.post(DEMOTE))
    assert not await is_verified(teacher)
    assert await kinds(vps) in ([], ["teacher_verified", "teacher_demoted"])
    assert done(await teacher.get("/api/auth/me"))["followers"] == 6


async def test_a_banned_teacher_can_be_demoted_and_a_student_cannot(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    await make_student(vps)
    done(await admin.post(VERIFY))
    done(await admin.post(f"/api/admin/users/{teacher.id}/ban"))
    assert done(await admin.post(DEMOTE))["demoted"] is True
    for path in (VERIFY, DEMOTE):
        refused(await admin.post(path.replace("omar", "sara")), 404, "teacher_not_found")
        refused(await admin.post(path.replace("omar", "%00")), 422, "validation_failed")
