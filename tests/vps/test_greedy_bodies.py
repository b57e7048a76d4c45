"""Abuse case 1: whatever column is sent to whatever route that writes, nobody gives themselves anything."""

from typing import Any

import pytest

from tests.vps.people import Person, done, make_admin, make_student, make_teacher, picture, refused
from tests.vps.running import Vps
from tests.vps.test_openapi import called
from vps_service.models import Base

pytestmark = pytest.mark.anyio

WRITING = ("post", "put", "patch", "delete")
COLUMNS = {column.name for table in Base.metadata.tables.values() for column in table.columns}
MADE_UP = {
    "verified",
    "is_admin",
    "is_verified",
    "admin",
    "balance",
    "roles",
    "permissions",
    "user",
    "$set",
    "__proto__",
}
VALUES: dict[str, Any] = {"role": "admin", "state": "active", "followers": 15_000, "generation": 0, "balance": 10**6}
ROWS = "SELECT to_jsonb(t) AS row FROM {} t ORDER BY 1"
OF_ACCOUNTS = ("users", "teachers", "profiles", "follows", "payments", "keys", "courses", "ledger_entries")


async def everything(vps: Vps) -> dict[str, Any]:
    """Every row that is worth something to somebody."""
    return {table: await vps.rows(ROWS.format(table)) for table in OF_ACCOUNTS}


def bodies(document: dict[str, Any]) -> dict[str, tuple[str, set[str]]]:
    """Of each route that takes a body: its media type, and the fields that it has."""
    found = {}
    for path, item in document["paths"].items():
        for method in set(WRITING) & item.keys():
            for kind, content in item[method].get("requestBody", {}).get("content", {}).items():
                schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                found[f"{method.upper()} {path}"] = kind, set(schema["properties"])
    return found


async def people(vps: Vps) -> list[Person]:
    return [await make_student(vps), await make_teacher(vps), await make_admin(vps)]


async def test_a_column_is_refused_by_name_wherever_it_is_sent(vps: Vps) -> None:
    askers = await people(vps)
    document, before = (await vps.http.get("/openapi.json")).json(), await everything(vps)
    tried = 0
    for route, (kind, fields) in bodies(document).items():
        if route.split()[1].startswith(("/internal", "/api/payments/webhooks")):
            continue  # not for people: signed by nodes and by providers
        method, path = called(route)
        greedy = {name: VALUES.get(name, "teacher") for name in (COLUMNS | MADE_UP) - fields}
        how: dict[str, Any] = {"json": greedy} if kind == "application/json" else {"data": greedy}
        if kind != "application/json":
            how["files"] = {"image": ("me.png", picture())}
        answers = [await asker.send(method, path, **how) for asker in askers]
        let_in = [answer for answer in answers if answer.status_code not in (401, 403)]
        assert let_in, route
        for answer in let_in:
            named = {error["field"] for error in refused(answer, 422, "validation_failed")["errors"]}
            assert {f"body.{name}" for name in greedy} <= named, (route, greedy.keys())
        tried += 1
    assert tried > 15
    assert await everything(vps) == before


async def test_a_column_beside_what_may_be_changed_changes_neither(vps: Vps) -> None:
    student, teacher, _ = await people(vps)
    before = await everything(vps)
    for person in (student, teacher):
        for name in sorted((COLUMNS | MADE_UP) - {"full_name", "bio", "instruments", "experience_level", "locale"}):
            body = {"bio": "greedy", name: VALUES.get(name, True)}
            refused(await person.patch("/api/users/me", body), 422, "validation_failed")
    assert await everything(vps) == before


async def test_columns_in_the_address_change_nothing(vps: Vps) -> None:
    student, *_ = await people(vps)
    before = await everything(vps)
    address = "/api/users/me?role=admin&followers=15000&email_verified_at=2026-01-01&state=active&id=1"
    done(await student.patch(address, {}))
    assert await everything(vps) == before
