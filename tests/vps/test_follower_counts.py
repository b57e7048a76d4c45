"""Abuse case 33: a teacher's count is exact, whatever happens to followers at the same time.

Followers follow, unfollow, are confirmed, banned, activated and leave in parallel; then the count is compared with what
the rows say.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.vps.people import (
    Person,
    ask_to_teach,
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
    sign_in,
    signed_in,
    teacher_form,
)
from tests.vps.running import Vps
from vps_service.accounts.queries import locked_user
from vps_service.followers.actions import end_follows

pytestmark = pytest.mark.anyio

TRUE_COUNTS = """
SELECT users.username, teachers.followers AS counted, (
    SELECT count(*) FROM follows JOIN users AS f ON f.id = follower_id
    WHERE teacher_id = teachers.user_id AND f.state = 'active'
      AND (f.email_verified_at IS NOT NULL OR f.phone_verified_at IS NOT NULL)
) AS actual
FROM teachers JOIN users ON users.id = teachers.user_id ORDER BY username
"""


async def counts(vps: Vps) -> dict[str, int]:
    """Each teacher's count, which is what the rows say."""
    rows = await vps.rows(TRUE_COUNTS)
    assert [(row["username"], row["counted"]) for row in rows] == [(row["username"], row["actual"]) for row in rows]
    return {row["username"]: row["counted"] for row in rows}


async def kinds(vps: Vps) -> list[str]:
    return [row["kind"] for row in await vps.rows("SELECT kind FROM changes ORDER BY number")]


async def follow(follower: Person, *usernames: str) -> None:
    for username in usernames:
        done(await follower.put(f"/api/teachers/{username}/follow"))


async def leave(vps: Vps, person: Person) -> None:
    """What becomes of the follows of somebody whose account is deleted."""
    async with vps.sessions() as session, session.begin():
        await end_follows(session, await locked_user(session, person.id), vps.settings.followers_required)


async def at_last(ask: Callable[[], Awaitable[Any]]) -> None:
    """As clients do that are told to come back; who was banned is refused, and so is who would follow them."""
    while (answer := await ask()).status_code == 503:  # noqa: ASYNC110 - as told
        await asyncio.sleep(float(answer.headers["Retry-After"]) / 10)
    assert answer.status_code in (200, 401, 404), answer.text


@pytest.mark.settings(followers_required=1000)
@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_exact_after_everything_at_once(vps: Vps, seed: int) -> None:
    chance = random.Random(seed)
    admin, names = await make_admin(vps), ("omar", "huda")
    huda = [await make_teacher(vps, name) for name in names][1]
    people = [huda, *[await make_student(vps, f"student{number}") for number in range(11)]]

    async def act() -> None:
        person, path = chance.choice(people), "/api/teachers/omar/follow"
        path = path if person is huda else path.replace("omar", chance.choice(names))
        account = f"/api/admin/users/{person.id}"
        acts: list[Callable[[], Awaitable[None]]] = [
            lambda: at_last(lambda: person.put(path)),
            lambda: at_last(lambda: person.put(path)),
            lambda: at_last(lambda: person.delete(path)),
            lambda: at_last(lambda: admin.post(f"{account}/ban")),
            lambda: at_last(lambda: admin.post(f"{account}/activate")),
            lambda: confirm(vps, person),
            lambda: leave(vps, person),
        ]
        await chance.choice(acts)()

    for _ in range(6):
        await asyncio.gather(*(act() for _ in range(25)))
        await counts(vps)
        for person in people:
            done(await admin.post(f"/api/admin/users/{person.id}/activate"))
            if (await person.get("/api/auth/me")).status_code == 401:
                person.access_token = (await sign_in(vps, person.username)).access_token
        await counts(vps)
    assert await vps.row("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == {
        "deadlocks": 0
    }


@pytest.mark.settings(followers_required=20)
async def test_twenty_who_are_confirmed_at_once_verify_the_teacher_once(vps: Vps) -> None:
    await make_teacher(vps)
    students = [await make_student(vps, f"student{number}") for number in range(20)]
    for student in students:
        await follow(student, "omar")
    assert await counts(vps) == {"omar": 0}
    await asyncio.gather(*(confirm(vps, student) for student in students[1:]))
    assert (await counts(vps), await kinds(vps)) == ({"omar": 19}, [])
    await asyncio.gather(*(confirm(vps, students[0]) for _ in range(5)))
    assert (await counts(vps), await kinds(vps)) == ({"omar": 20}, ["teacher_verified"])


async def test_a_follow_that_nobody_counts_yet_is_counted_once_its_follower_is_confirmed(vps: Vps) -> None:
    await make_teacher(vps)
    student = await make_student(vps)
    await asyncio.gather(follow(student, "omar"), confirm(vps, student))
    assert await counts(vps) == {"omar": 1}


async def test_a_ban_and_a_follow_at_once_leave_a_follow_that_does_not_count(vps: Vps) -> None:
    admin = await make_admin(vps)
    await make_teacher(vps)
    for number in range(10):
        student = await make_verified_student(vps, f"student{number}")
        asked = student.put("/api/teachers/omar/follow"), admin.post(f"/api/admin/users/{student.id}/ban")
        await asyncio.gather(*asked)
    assert await counts(vps) == {"omar": 0}


NEVER_LESS = "ALTER TABLE teachers ADD CONSTRAINT never_less CHECK (followers >= 1) NOT VALID"


async def test_a_ban_and_the_count_that_it_changes_are_one_transaction(vps: Vps) -> None:
    """Where the count cannot be changed, nobody is banned: there is no moment, nor a crash, between the two."""
    admin, student = await make_admin(vps), await make_verified_student(vps)
    await make_teacher(vps)
    await follow(student, "omar")
    await vps.rows(NEVER_LESS)
    refused(await admin.post(f"/api/admin/users/{student.id}/ban"), 500, "internal_error")
    done(await student.get("/api/auth/me"))
    refused(await student.delete("/api/teachers/omar/follow"), 500, "internal_error")
    assert await counts(vps) == {"omar": 1}
    await vps.rows("ALTER TABLE teachers DROP CONSTRAINT never_less")
    done(await admin.post(f"/api/admin/users/{student.id}/ban"))
    assert await counts(vps) == {"omar": 0}


def of_follows(asked: list[str]) -> list[str]:
    """Without what jobs ask meanwhile."""
    return [statement for statement in asked if "follows" in statement or "teachers" in statement]


async def test_a_ban_of_who_follows_many_asks_the_database_no_more_than_of_who_follows_one(vps: Vps) -> None:
    admin, few, many = await make_admin(vps), *[await make_verified_student(vps, name) for name in ("few", "many")]
    teachers = [f"teacher-{number}" for number in range(5)]
    for teacher in teachers:
        await make_teacher(vps, teacher)
    await follow(few, teachers[0])
    await follow(many, *teachers)
    asked: list[str] = []
    event.listen(vps.sessions.kw["bind"].sync_engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    done(await admin.post(f"/api/admin/users/{few.id}/ban"))
    for_one = of_follows(asked)
    asked.clear()
    done(await admin.post(f"/api/admin/users/{many.id}/ban"))
    assert of_follows(asked) == for_one
    assert await counts(vps) == dict.fromkeys(teachers, 0)


async def test_who_leaves_follows_nobody_and_is_followed_by_nobody(vps: Vps) -> None:
    omar, huda = await make_teacher(vps), await make_teacher(vps, "huda")
    student = await make_verified_student(vps)
    await confirm(vps, omar)
    await follow(student, "omar", "huda")
    await follow(omar, "huda")
    await leave(vps, omar)
    assert await counts(vps) == {"huda": 1, "omar": 0}
    await leave(vps, huda)
    await leave(vps, student)
    assert await counts(vps) == {"huda": 0, "omar": 0}
    assert await vps.rows("SELECT 1 FROM follows") == []


async def test_a_follow_that_changes_no_count_waits_for_nobody(vps: Vps) -> None:
    """An unconfirmed account, or one that follows already, cannot keep others waiting for a teacher's count."""
    await make_teacher(vps)
    known, unknown = await make_verified_student(vps), await make_student(vps, "ali")
    await follow(known, "omar")
    async with vps.sessions() as session, session.begin():
        await session.execute(text("SELECT 1 FROM teachers FOR NO KEY UPDATE"))
        async with asyncio.timeout(4):  # less than anybody waits for a lock
            await follow(known, "omar")
            await follow(unknown, "omar")


@pytest.mark.settings(followers_required=1)
@pytest.mark.parametrize(("confirmed", "wanted", "mails"), [(True, True, 1), (False, True, 0), (True, False, 0)])
async def test_who_becomes_verified_is_told_by_mail_once(vps: Vps, confirmed: bool, wanted: bool, mails: int) -> None:
    form = teacher_form(email="omar@example.com")
    teacher, student = signed_in(vps, done(await ask_to_teach(vps, form), 201)), await make_verified_student(vps)
    done(await teacher.patch("/api/users/me", {"locale": "ar-EG", "notifications": {"email": wanted}}))
    if confirmed:
        await confirm(vps, teacher)
    for _ in range(2):
        await follow(student, "omar")
        done(await student.delete("/api/teachers/omar/follow"))
    told = await vps.rows("SELECT address, language FROM mails WHERE template = 'teacher_verified'")
    assert told == [{"address": "omar@example.com", "language": "ar-EG"}] * mails
    assert await kinds(vps) == ["teacher_verified"]
