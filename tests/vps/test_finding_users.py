"""Admins find users; nobody else does, and nobody becomes an admin over HTTP."""

from typing import Any

import pytest

from tests.vps.people import (
    Person,
    ask_to_teach,
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    refused,
    student_form,
    teacher_form,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


async def found(admin: Person, **params: Any) -> list[str]:
    """The usernames, newest first."""
    return [user["username"] for user in done(await admin.get("/api/admin/users", params=params))["items"]]


async def test_by_any_part_of_what_is_known_of_them(vps: Vps) -> None:
    admin = await make_admin(vps)
    omar = done(await ask_to_teach(vps, teacher_form("omar", phone="+201009876543")), 201)["user"]
    await vps.http.post("/api/auth/register", json=student_form("sara", name="سارة Mansour", email="s@oud.example"))
    for part in ("mar", "OMA", "009876", omar["phone"]):
        assert await found(admin, q=part) == ["omar"]
    for part in ("ARA", "سار", "mansour", "@oud."):
        assert await found(admin, q=part) == ["sara"]
    assert await found(admin, q="nobody") == []
    assert await found(admin) == ["sara", "omar", "root-admin"]


async def test_one_or_two_letters_find_what_a_word_begins_with(vps: Vps) -> None:
    admin = await make_admin(vps)
    omar = done(await ask_to_teach(vps, teacher_form("omar", phone="+201009876543")), 201)["user"]
    await vps.http.post("/api/auth/register", json=student_form("sara", name="سارة Mansour", email="oud@xebec.example"))
    for letters in ("o", "OM", "+2", omar["phone"][:2]):
        assert "omar" in await found(admin, q=letters)
    for letters in ("sa", "Ma", "سا", "ou"):
        assert await found(admin, q=letters) == ["sara"]
    for letters in ("ar", "xe", "54"):
        assert await found(admin, q=letters) == []


async def test_capitals_are_found_by_small_letters_and_the_other_way_in_every_alphabet(vps: Vps) -> None:
    admin = await make_admin(vps)
    for number, name in enumerate(("ÉMILE ŞAHİN", "émile şahin", "ЖУКОВА", "жукова")):
        done(await vps.http.post("/api/auth/register", json=student_form(f"person{number}", name=name)), 201)
    for q in ("Émile", "şahin", "ŞAHİ", "éM", "ş"):
        assert await found(admin, q=q) == ["person1", "person0"]
    for q in ("Жуков", "УКО", "жУ"):
        assert await found(admin, q=q) == ["person3", "person2"]


async def test_what_is_looked_for_is_letters_and_no_pattern(vps: Vps) -> None:
    """Abuse case 37."""
    admin = await make_admin(vps)
    for username, name in (("per.cent", "100 %"), ("under_score", "a_b"), ("back", "a\\b"), ("plain", "plain")):
        done(await vps.http.post("/api/auth/register", json=student_form(username, name=name)), 201)
    assert await found(admin, q="%") == ["per.cent"]
    assert await found(admin, q="_") == ["under_score"]
    assert await found(admin, q="\\") == ["back"]
    for odd in ("' OR 1=1 --", "a%b", "a__b", "%%", "\\%", '"', "/"):
        assert await found(admin, q=odd) == []


async def test_by_role_and_state(vps: Vps) -> None:
    admin, sara = await make_admin(vps), await make_student(vps)
    await make_teacher(vps)
    done(await admin.post(f"/api/admin/users/{sara.id}/ban"))
    assert await found(admin, role="teacher") == ["omar"]
    assert await found(admin, role="admin") == ["root-admin"]
    assert await found(admin, state="banned") == ["sara"]
    assert await found(admin, state="leaving") == await found(admin, state="deleted") == []
    assert await found(admin, state="active", q="r") == ["root-admin"]
    for wrong in ({"role": "root"}, {"state": "gone"}, {"q": "x" * 255}, {"cursor": "?"}):
        refused(await admin.get("/api/admin/users", params=wrong), 422, "validation_failed")


async def test_page_by_page_each_comes_once(vps: Vps) -> None:
    admin = await make_admin(vps)
    for number in range(5):
        await make_student(vps, f"student{number}")
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = done(await admin.get("/api/admin/users", params=params))
        seen += [user["username"] for user in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == [*(f"student{number}" for number in reversed(range(5))), "root-admin"]


async def test_an_admin_sees_how_to_reach_them_and_no_secret(vps: Vps) -> None:
    admin, sara = await make_admin(vps), await make_student(vps)
    await confirm(vps, sara)
    (shown,) = done(await admin.get("/api/admin/users", params={"q": "sara"}))["items"]
    del shown["created_at"]
    assert shown == {
        "id": str(sara.id),
        "username": "sara",
        "name": "Sara",
        "role": "student",
        "state": "active",
        "email": "sara@example.com",
        "phone": None,
        "email_verified": True,
        "phone_verified": False,
    }


async def test_no_route_makes_an_admin_whoever_asks(vps: Vps) -> None:
    """That is an operator's, at the server."""
    admin, sara, omar = await make_admin(vps), await make_student(vps), await make_teacher(vps)
    document = done(await vps.http.get("/openapi.json"))
    for path, item in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        for name, value in (("user_id", str(sara.id)), ("username", "omar")):
            path = path.replace(f"{{{name}}}", value)
        for method in item.keys() - {"get", "delete"}:
            for person in (sara, omar, admin):
                await person.send(method.upper(), path, json={"role": "admin"})
    assert await vps.rows("SELECT username FROM users WHERE role = 'admin'") == [{"username": "root-admin"}]
