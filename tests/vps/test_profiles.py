"""What people say of themselves, what they see of it, and what everybody else does."""

import asyncio
from typing import Any

import pytest

from tests.vps.people import (
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

SAID: dict[str, Any] = {
    "full_name": "سارة El-Sayed",
    "bio": "I play the oud.\nAnd a little qanun 👩‍🎤.",
    "instruments": ["oud", "qanun"],
    "experience_level": "advanced",
    "locale": "ar-EG",
    "notifications": {"email": False, "push": True},
}
PRIVATE = {"id", "email", "email_verified", "phone", "phone_verified", "locale", "notifications"}


async def test_who_has_said_nothing_yet_has_an_empty_profile(vps: Vps) -> None:
    student = await make_student(vps)
    assert done(await student.get("/api/users/me")) == {
        **{name: student.user[name] for name in ("id", "role", "username", "email", "phone", "image", "created_at")},
        **{"full_name": "Sara", "email_verified": False, "phone_verified": False},
        **{"bio": "", "instruments": [], "experience_level": None, "locale": None},
        "notifications": {"email": True, "push": True},
    }


async def test_what_is_said_is_kept_and_what_is_left_out_stays(vps: Vps) -> None:
    student = await make_student(vps)
    before = done(await student.get("/api/users/me"))
    assert done(await student.patch("/api/users/me", {})) == before
    assert done(await student.patch("/api/users/me", SAID)) == before | SAID
    for name, other in (("bio", ""), ("notifications", {"push": False}), ("instruments", [])):
        done(await student.patch("/api/users/me", {name: other}))
    expected = before | SAID | {"bio": "", "instruments": [], "notifications": {"email": False, "push": False}}
    assert done(await student.get("/api/users/me")) == expected
    assert done(await student.get("/api/auth/me"))["name"] == SAID["full_name"]


async def test_each_is_changed_alone_whatever_is_changed_at_the_same_time(vps: Vps) -> None:
    student = await make_student(vps)
    await asyncio.gather(*(student.patch("/api/users/me", {name: said}) for name, said in SAID.items()))
    shown = done(await student.get("/api/users/me"))
    assert {name: shown[name] for name in SAID} == SAID


async def test_level_and_language_can_be_taken_back_and_nothing_else_is_null(vps: Vps) -> None:
    student = await make_student(vps)
    done(await student.patch("/api/users/me", SAID))
    shown = done(await student.patch("/api/users/me", {"experience_level": None, "locale": None}))
    assert (shown["experience_level"], shown["locale"]) == (None, None)
    for name in SAID.keys() - {"experience_level", "locale"}:
        refused(await student.patch("/api/users/me", {name: None}), 422, "validation_failed")


MISSHAPEN: dict[str, list[Any]] = {
    "full_name": ["", "   ", "a" * 101, "Sa\nra", "Sa\0ra", 7],
    "bio": ["a" * 2001, "a\0b", "a\x1bb", 7, ["a"]],
    "instruments": ["oud", [""], ["a" * 51], ["o\nud"], ["o\0ud"], [7], [f"i{n}" for n in range(21)], {"0": "oud"}],
    "experience_level": ["", "expert", 3, ["beginner"]],
    "locale": ["", "Arabic", "AR", "ar_EG", "ar-eg", "../ar", "en-US-x-twain", 7],
    "notifications": [True, [], {"email": "perhaps"}, {"email": None}, {"sms": True}],
}


@pytest.mark.parametrize("field", MISSHAPEN)
async def test_each_field_has_a_shape(vps: Vps, field: str) -> None:
    student = await make_student(vps)
    for value in MISSHAPEN[field]:
        problem = refused(await student.patch("/api/users/me", {field: value}), 422, "validation_failed")
        assert problem["errors"][0]["field"].startswith(f"body.{field}"), value
    assert await vps.rows("SELECT 1 FROM profiles") == []


async def test_an_instrument_is_named_once(vps: Vps) -> None:
    student = await make_student(vps)
    shown = done(await student.patch("/api/users/me", {"instruments": ["Oud", " nay ", "oud", "OUD", "Nay"]}))
    assert shown["instruments"] == ["Oud", "nay"]


async def test_everybody_sees_a_profile_and_nothing_private_of_it(vps: Vps) -> None:
    student = await make_verified_student(vps)
    own = done(await student.patch("/api/users/me", SAID))
    shown = done(await vps.http.get("/api/users/SARA"))
    assert shown == {name: value for name, value in own.items() if name not in PRIVATE}
    for known in (own["id"], own["email"], "ar-EG"):
        assert known not in (await vps.http.get("/api/users/sara")).text


async def test_nobody_is_found_by_email_phone_or_id(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    await make_student(vps)
    for login in ("sara@example.com", teacher.user["phone"], str(teacher.id), "om%25r", "oma_"):
        refused(await vps.http.get(f"/api/users/{login}"), 404, "user_not_found")


async def test_admins_and_banned_accounts_have_no_public_profile(vps: Vps) -> None:
    admin, student, teacher = await make_admin(vps), await make_student(vps), await make_teacher(vps)
    same = refused(await vps.http.get("/api/users/nobody.there"), 404, "user_not_found")
    for person in (student, teacher):
        done(await admin.post(f"/api/admin/users/{person.id}/ban"))
    for name in ("root-admin", "sara", "omar"):
        problem = refused(await vps.http.get(f"/api/users/{name}"), 404, "user_not_found")
        assert problem | {"request_id": ""} == same | {"request_id": ""}
    refused(await vps.http.get("/api/teachers/omar"), 404, "teacher_not_found")
    assert done(await admin.get("/api/users/me"))["role"] == "admin"


async def test_a_confirmed_contact_is_shown_as_such_to_its_owner(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    await confirm(vps, teacher)
    shown = done(await teacher.get("/api/users/me"))
    assert (shown["phone_verified"], shown["email_verified"]) == (True, False)
