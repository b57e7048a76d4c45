"""Following: who counts, once each, and the number at which a teacher is verified."""

import asyncio
from typing import Any

import psycopg
import pytest

from tests.vps.people import (
    Person,
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
)
from tests.vps.running import Vps
from tests.vps.waiting import comes_true
from vps_service.followers.seed import seed

pytestmark = pytest.mark.anyio


async def follow(follower: Person, teacher: Person) -> Any:
    return await follower.put(f"/api/teachers/{teacher.username}/follow")


async def somebody_waits(database_url: str) -> bool:
    """For a lock, in this database."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        return await (await connection.execute(waiting)).fetchone() is not None


async def seeded(vps: Vps, teacher: Person, count: int) -> int:
    """As `toptank seed-followers` does."""
    async with vps.sessions() as session, session.begin():
        return await seed(session, teacher.id, count, vps.settings.followers_required)


async def feed(vps: Vps) -> list[str]:
    return [row["kind"] for row in await vps.rows("SELECT kind FROM changes ORDER BY number")]


async def test_following_counts_once_and_unfollowing_takes_it_back(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_verified_student(vps)
    expected = {"username": "omar", "following": True, "followers": 1, "verified": False}
    assert done(await follow(student, teacher)) == expected
    assert done(await follow(student, teacher)) == expected
    for _ in range(2):
        answer = await student.delete("/api/teachers/omar/follow")
        assert done(answer) == {**expected, "following": False, "followers": 0}


async def test_an_account_without_a_verified_contact_does_not_count_until_it_has_one(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    assert done(await follow(student, teacher))["followers"] == 0
    await confirm(vps, student)
    assert done(await teacher.get("/api/auth/me"))["followers"] == 1


async def test_a_banned_account_does_not_count(vps: Vps) -> None:
    teacher, banned, other = (
        await make_teacher(vps),
        *[await make_verified_student(vps, name) for name in ("b1n", "ali")],
    )
    done(await follow(banned, teacher))
    done(await (await make_admin(vps)).post(f"/api/admin/users/{banned.id}/ban"))
    assert done(await follow(other, teacher))["followers"] == 1


async def test_nobody_follows_themselves(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    await confirm(vps, teacher)
    refused(await follow(teacher, teacher), 409, "cannot_follow_oneself")
    assert done(await teacher.get("/api/auth/me"))["followers"] == 0


@pytest.mark.settings(follows_per_user=2)
async def test_each_follows_so_many_in_an_hour(vps: Vps) -> None:
    """For every follow is one more to be counted anew by whoever bans them."""
    teacher, sara, ali = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    for _ in range(2):
        done(await follow(sara, teacher))
    refused(await follow(sara, teacher), 429, "too_many_requests")
    done(await follow(ali, teacher))


async def test_only_teachers_are_followed_and_only_by_learners(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_verified_student(vps)
    for name in ("nobody", "sara", "a" * 5000):
        refused(await student.put(f"/api/teachers/{name}/follow"), 404, "teacher_not_found")
    refused(await student.put("/api/teachers/om%00ar/follow"), 422, "validation_failed")
    refused(await follow(await make_admin(vps), teacher), 403, "wrong_role")
    refused(await vps.http.put("/api/teachers/omar/follow"), 401, "not_authenticated")
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=teacher.id)
    refused(await follow(student, teacher), 404, "teacher_not_found")


async def test_teachers_follow_each_other(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    await confirm(vps, other)
    assert done(await follow(other, teacher))["followers"] == 1


@pytest.mark.settings(followers_required=3)
async def test_the_follower_who_makes_the_number_verifies_the_teacher_for_good(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    students = [await make_verified_student(vps, f"student{number}") for number in range(3)]
    assert [done(await follow(student, teacher))["verified"] for student in students] == [False, False, True]
    assert done(await students[0].delete("/api/teachers/omar/follow")) == {
        **{"username": "omar", "following": False, "followers": 2, "verified": True}
    }
    assert done(await teacher.get("/api/auth/me"))["verified"] is True
    assert done(await follow(students[0], teacher))["verified"] is True
    assert await feed(vps) == ["teacher_verified"]


@pytest.mark.settings(followers_required=1)
async def test_confirming_a_follower_can_verify_a_teacher_too(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    assert done(await follow(student, teacher))["verified"] is False
    await confirm(vps, student)
    assert done(await teacher.get("/api/auth/me"))["verified"] is True
    assert await feed(vps) == ["teacher_verified"]


async def test_fourteen_thousand_nine_hundred_and_ninety_nine_followers_are_one_too_few(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_verified_student(vps)
    assert await seeded(vps, teacher, 14_999) == 14_999
    assert done(await teacher.get("/api/auth/me"))["verified"] is False
    assert await feed(vps) == []
    answer = done(await follow(student, teacher))
    assert (answer["followers"], answer["verified"]) == (15_000, True)
    assert await feed(vps) == ["teacher_verified"]


@pytest.mark.settings(followers_required=100)
async def test_a_hundred_people_who_follow_at_once_are_a_hundred(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    students = [await make_student(vps, f"student{number}") for number in range(100)]
    await vps.rows("UPDATE users SET email_verified_at = now() WHERE role = 'student'")
    answers = await asyncio.gather(*(follow(student, teacher) for student in students))
    assert sorted(done(answer)["followers"] for answer in answers) == list(range(1, 101))
    assert [done(answer)["verified"] for answer in answers].count(True) == 1
    assert await feed(vps) == ["teacher_verified"]


@pytest.mark.settings(database_pool=1)
async def test_many_who_wait_to_follow_one_teacher_keep_no_connection_from_others(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    students = [await make_verified_student(vps, f"student{number}") for number in range(10)]
    with psycopg.connect(vps.settings.database_url) as locking:
        locking.execute("SELECT 1 FROM teachers FOR UPDATE")
        waiting = asyncio.gather(*(follow(student, teacher) for student in students))
        await comes_true(lambda: somebody_waits(vps.settings.database_url))
        assert (await vps.http.get("/api/courses")).status_code == 200
    assert sorted(done(answer)["followers"] for answer in await waiting) == list(range(1, 11))


async def test_one_person_who_follows_twenty_times_at_once_is_one(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_verified_student(vps)
    answers = await asyncio.gather(*(follow(student, teacher) for _ in range(20)))
    assert {done(answer)["followers"] for answer in answers} == {1}
    assert len(await vps.rows("SELECT 1 FROM follows")) == 1


async def test_a_count_that_was_changed_by_hand_is_counted_again(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_verified_student(vps)
    await vps.rows("UPDATE teachers SET followers = 14999")
    assert done(await follow(student, teacher)) == {
        **{"username": "omar", "following": True, "followers": 1, "verified": False}
    }
