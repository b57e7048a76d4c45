"""What an admin does to accounts: banning, letting in again, changing roles; and who else may not."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.vps.lives import leave
from tests.vps.people import (
    PASSWORD,
    Person,
    access,
    announced,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    published_course,
    refused,
    sign_in,
    store_video,
    submitted_course,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

UNKNOWN = "019a0000-0000-7000-8000-000000000000"

ROUTES = {
    "POST /api/admin/users/{id}/ban": (None, "user_not_found"),
    "POST /api/admin/users/{id}/activate": (None, "user_not_found"),
    "PUT /api/admin/users/{id}/role": ({"role": "teacher"}, "user_not_found"),
    "POST /api/admin/teachers/{id}/verify": (None, "teacher_not_found"),
    "POST /api/admin/teachers/{id}/demote": (None, "teacher_not_found"),
    "POST /api/admin/payments/{id}/refund": (None, "payment_not_found"),
    "POST /api/admin/keys/{id}/void": (None, "no_such_key"),
    "POST /api/admin/courses/{id}/unpublish": (None, "course_not_found"),
}
"""What is sent to each, and what it answers an admin who names nobody."""


def ban(admin: Person, user: Person) -> Awaitable[Any]:
    return admin.post(f"/api/admin/users/{user.id}/ban")


def activate(admin: Person, user: Person) -> Awaitable[Any]:
    return admin.post(f"/api/admin/users/{user.id}/activate")


def make(admin: Person, user: Person, role: str) -> Awaitable[Any]:
    return admin.put(f"/api/admin/users/{user.id}/role", {"role": role})


async def cannot_sign_in(vps: Vps, login: str) -> None:
    answer = await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD})
    refused(answer, 401, "bad_credentials")


@pytest.mark.parametrize("route", ROUTES)
async def test_only_admins_do_this_and_to_what_there_is(vps: Vps, route: str) -> None:
    method, path = route.replace("{id}", UNKNOWN).split()
    body, code = ROUTES[route]
    for person in (await make_student(vps), await make_teacher(vps)):
        refused(await person.send(method, path, json=body), 403, "wrong_role")
    refused(await vps.http.request(method, path, json=body), 401, "not_authenticated")
    admin = await make_admin(vps)
    refused(await admin.send(method, path, json=body), 404, code)
    if "teachers" not in route:
        refused(await admin.send(method, path.replace(UNKNOWN, "1;DROP"), json=body), 422, "validation_failed")
    assert await announced(vps) == []


# --- bans ---------------------------------------------------------------------------------------------------


async def test_a_ban_ends_every_session_at_once_and_lets_nobody_in(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    answer = done(await ban(admin, student))
    assert (answer["id"], answer["state"]) == (str(student.id), "banned")
    refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    refreshed = await vps.http.post("/api/auth/refresh", json={"refresh_token": student.refresh_token})
    refused(refreshed, 401, "bad_refresh_token")
    await cannot_sign_in(vps, "sara")
    told, session = await announced(vps)
    assert (session["kind"], session["user_id"]) == ("session_ended", str(student.id))
    assert told == {"kind": "user_banned", "user_id": str(student.id)}


async def test_who_is_let_in_again_has_to_sign_in(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    done(await ban(admin, student))
    assert done(await activate(admin, student))["state"] == "active"
    refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    done(await (await sign_in(vps, "sara")).get("/api/auth/me"))
    assert [change["kind"] for change in await announced(vps)] == ["user_banned", "session_ended", "user_activated"]


async def test_bans_and_their_end_may_be_repeated(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    done(await activate(admin, student))
    for _ in range(3):
        done(await ban(admin, student))
    for _ in range(3):
        done(await activate(admin, student))
    assert [change["kind"] for change in await announced(vps)] == ["user_banned", "session_ended", "user_activated"]
    assert (await vps.row("SELECT generation FROM users WHERE username = 'sara'"))["generation"] == 1


async def test_of_twenty_bans_at_once_one_is_announced(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    answers = await asyncio.gather(*(ban(admin, student) for _ in range(20)))
    assert {done(answer)["state"] for answer in answers} == {"banned"}
    assert len(await announced(vps, "user_banned")) == len(await announced(vps, "session_ended")) == 1


async def test_no_sign_in_at_the_moment_of_a_ban_outlives_it(vps: Vps) -> None:
    admin = await make_admin(vps)
    for number in range(8):
        student = await make_student(vps, f"student{number}")
        login = vps.http.post("/api/auth/login", json={"login": student.username, "password": PASSWORD})
        answer, _ = await asyncio.gather(login, ban(admin, student))
        done(await activate(admin, student))
        if answer.status_code == 200:  # it was first, and ended with the others
            tokens = answer.json()
            refreshed = await vps.http.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
            refused(refreshed, 401, "bad_refresh_token")
            student.access_token = tokens["access_token"]
            refused(await student.get("/api/auth/me"), 401, "not_authenticated")


async def test_an_admin_cannot_ban_themselves_but_another_can(vps: Vps) -> None:
    admin, other = await make_admin(vps), await make_admin(vps, "other-admin")
    refused(await ban(admin, admin), 409, "cannot_ban_oneself")
    done(await ban(other, admin))
    refused(await ban(admin, other), 401, "not_authenticated")


async def test_a_banned_followers_follow_counts_no_more_until_they_are_back(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    students = [await make_verified_student(vps, f"student{number}") for number in range(3)]
    for student in students:
        done(await student.put("/api/teachers/omar/follow"))

    async def followers() -> int:
        return int(done(await teacher.get("/api/auth/me"))["followers"])

    done(await ban(admin, students[0]))
    assert await followers() == 2
    await asyncio.gather(*(ban(admin, student) for student in students))
    assert await followers() == 0
    await asyncio.gather(*(activate(admin, student) for student in students))
    assert await followers() == 3


@pytest.mark.settings(followers_required=2)
async def test_bans_do_not_take_a_verification_away_and_an_end_of_one_can_bring_it(vps: Vps) -> None:
    admin, omar, huda = await make_admin(vps), await make_teacher(vps), await make_teacher(vps, "huda")
    sara, ali = await make_verified_student(vps), await make_verified_student(vps, "ali")
    for student in (sara, ali):
        done(await student.put("/api/teachers/omar/follow"))
    done(await sara.put("/api/teachers/huda/follow"))
    done(await ban(admin, sara))
    assert done(await omar.get("/api/auth/me"))["verified"] is True
    done(await ali.put("/api/teachers/huda/follow"))
    assert done(await huda.get("/api/auth/me"))["verified"] is False
    done(await activate(admin, sara))
    assert done(await huda.get("/api/auth/me"))["verified"] is True


async def test_what_a_banned_teacher_sells_leaves_the_shop_and_who_has_bought_it_goes_on_watching(vps: Vps) -> None:
    teacher, buyer, other = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    sold, waiting = await published_course(vps, teacher, 0), await submitted_course(teacher)
    video = await store_video(vps, sold)
    done(await buyer.post(f"{sold.path}/enroll"), 201)
    admin = await sign_in(vps, "root-admin")
    done(await ban(admin, teacher))
    assert done(await vps.http.get("/api/courses"))["items"] == []
    refused(await other.get(sold.path), 404, "course_not_found")
    refused(await other.post(f"{sold.path}/enroll"), 404, "course_not_found")
    refused(await admin.post(f"/api/admin/courses/{waiting.id}/approve"), 409, "wrong_status")
    assert await access(vps, buyer, video) == (True, "granted", "key")
    assert await announced(vps, "course_unpublished") == [{"kind": "course_unpublished", "course_id": sold.id}]
    told = await vps.row("SELECT details FROM audit_events WHERE what = 'user_banned'")
    assert told["details"] == {"withdrawn": [sold.id]}
    done(await activate(admin, teacher))
    assert done(await vps.http.get("/api/courses"))["items"] == []
    teacher = await sign_in(vps, "omar")
    for course in (sold, waiting):
        done(await teacher.post(f"{course.path}/submit"))


async def test_who_was_banned_when_that_left_the_shop_as_it_was_is_taken_out_by_another_ban(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    sold = await published_course(vps, teacher, 0)
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=teacher.id)
    done(await ban(await sign_in(vps, "root-admin"), teacher))
    assert done(await vps.http.get("/api/courses"))["items"] == []
    assert await announced(vps, "course_unpublished") == [{"kind": "course_unpublished", "course_id": sold.id}]


async def test_who_was_banned_while_leaving_sells_nothing_by_coming_back(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    await published_course(vps, teacher, 0)
    admin = await sign_in(vps, "root-admin")
    done(await leave(teacher), 202)
    done(await ban(admin, teacher))
    done(await activate(admin, teacher))
    done(await (await sign_in(vps, "omar")).get("/api/auth/me"))
    assert done(await vps.http.get("/api/courses"))["items"] == []


# --- roles --------------------------------------------------------------------------------------------------


async def test_a_student_becomes_a_teacher_who_may_draft(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    assert done(await make(admin, student, "teacher"))["role"] == "teacher"
    refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    teacher = await sign_in(vps, "sara")
    assert (teacher.user["role"], teacher.user["followers"], teacher.user["verified"]) == ("teacher", 0, False)
    await draft_course(teacher)
    assert await announced(vps, "user_role_changed") == [{"kind": "user_role_changed", "user_id": str(student.id)}]


async def test_a_teacher_without_courses_becomes_a_student_and_back(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    course = await draft_course(teacher)
    refused(await make(admin, teacher, "student"), 409, "teacher_has_courses")
    done(await teacher.get("/api/auth/me"))
    assert await announced(vps) == []
    await teacher.delete(course.path)
    done(await make(admin, teacher, "student"))
    student = await sign_in(vps, "omar")
    refused(await student.get("/api/teacher/courses"), 403, "wrong_role")
    done(await make(admin, teacher, "teacher"))
    done(await (await sign_in(vps, "omar")).get("/api/teacher/courses"))


async def test_the_role_one_has_is_no_change(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    await draft_course(teacher)
    done(await make(admin, teacher, "teacher"))
    done(await teacher.get("/api/auth/me"))
    assert await announced(vps) == []


async def test_of_twenty_changes_of_a_role_at_once_one_is_announced(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    answers = await asyncio.gather(*(make(admin, student, "teacher") for _ in range(20)))
    assert {done(answer)["role"] for answer in answers} == {"teacher"}
    assert len(await announced(vps, "user_role_changed")) == 1


async def test_nobody_becomes_an_admin_and_no_admin_anything_else(vps: Vps) -> None:
    admin, other, student = await make_admin(vps), await make_admin(vps, "other-admin"), await make_student(vps)
    for role in ("admin", "Teacher", "", None, ["teacher"]):
        path = f"/api/admin/users/{student.id}/role"
        refused(await admin.put(path, {"role": role}), 422, "validation_failed")
        refused(await admin.put(path, {"role": "teacher", "state": "active"}), 422, "validation_failed")
    for role in ("student", "teacher"):
        for person in (admin, other):
            refused(await make(admin, person, role), 409, "admin_role")
    assert await announced(vps) == []


async def test_no_course_is_drafted_by_who_is_made_a_student_at_that_moment(vps: Vps) -> None:
    admin = await make_admin(vps)
    for number in range(8):
        teacher = await make_teacher(vps, f"teacher{number}")
        draft = {"title": "The oud", "price": {"amount": 0, "currency": "EGP"}}
        drafted, changed = await asyncio.gather(teacher.post("/api/courses", draft), make(admin, teacher, "student"))
        assert (drafted.status_code, changed.status_code) in ((201, 409), (403, 200), (401, 200))
    owners = "SELECT 1 FROM courses JOIN users ON users.id = teacher_id WHERE role = 'student'"
    assert await vps.rows(owners) == []
