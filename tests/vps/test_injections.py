"""Abuse cases 36 and 37: what people write comes back as the text it was, and is never a command to anything."""

from typing import Any

import pytest

from tests.vps.people import (
    PASSWORD,
    Person,
    done,
    make_admin,
    make_student,
    make_teacher,
    practice_stored,
    published_course,
    told,
)
from tests.vps.running import Vps
from tests.vps.test_openapi import WHO_MAY, called

pytestmark = pytest.mark.anyio

SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "</title><script src=//evil.example></script>",
    "&lt;b&gt; &amp;amp;",
    "' onmouseover='alert(1)",
]
COMMANDS = [
    "'",
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "') UNION SELECT password_hash FROM users --",
    "1; SELECT pg_sleep(20)",
    "'||pg_sleep(20)||'",
    "(SELECT CASE WHEN true THEN pg_sleep(20) END)",
    "\\' OR 1=1 --",
    "$1",
    ":id",
    "%(id)s",
    "%",
    "\\",
    "{}",
    "created_at DESC; DELETE FROM users",
    "password_hash",
    "users.password_hash",
    "\u0000",
    "\ufeff\u202e",
    "&|!<->():*",
    "a" * 90,
]


async def one_course(vps: Vps, teacher: Person) -> str:
    return (await published_course(vps, teacher)).path


@pytest.mark.parametrize("script", SCRIPTS)
async def test_markup_comes_back_as_the_text_that_was_written(vps: Vps, script: str) -> None:
    teacher = await make_teacher(vps)
    course = await one_course(vps, teacher)
    said = {"full_name": script, "bio": script, "instruments": [script]}
    done(await teacher.patch("/api/users/me", said))
    done(await teacher.patch(course, {"title": script, "description": script}))
    event = practice_stored(teacher)
    assert await told(vps.node, event) == "applied"
    done(await teacher.patch(f"/api/videos/{event.about.video_id}", {"title": script, "piece_name": script}))
    shown: dict[str, dict[str, Any]] = {
        "/api/users/omar": {"full_name": script, "bio": script, "instruments": [script]},
        "/api/teachers/omar": {"full_name": script, "bio": script, "instruments": [script]},
        "/api/auth/me": {"name": script},
        course: {"title": script, "description": script},
        f"/api/videos/{event.about.video_id}": {"title": script, "piece_name": script},
    }
    for path, expected in shown.items():
        answer = await teacher.get(path)
        assert answer.headers["content-type"] == "application/json"
        body = done(answer)
        assert {name: body[name] for name in expected} == expected, path
    for path in ("/api/teachers", "/api/courses"):
        answer = await vps.http.get(path, params={"q": script[:100]})
        assert answer.headers["content-type"] == "application/json"


async def test_a_refusal_does_not_repeat_what_it_refuses(vps: Vps) -> None:
    student = await make_student(vps)
    for script in SCRIPTS:
        for answer in (
            await student.patch("/api/users/me", {"locale": script}),
            await vps.http.get("/api/courses", params={"cursor": script}),
            await vps.http.get("/api/images/x/y", params={"size": script}),
            await vps.http.get(f"/api/users/{script.replace('/', '')}"),
        ):
            assert answer.headers["content-type"] == "application/problem+json"
            assert script not in answer.text


def readable(document: dict[str, Any]) -> dict[str, list[str]]:
    """Of each route to read from: what its address may ask for."""
    return {
        f"GET {path}": [asked["name"] for asked in item["get"].get("parameters", []) if asked["in"] == "query"]
        for path, item in document["paths"].items()
        if "get" in item and not path.startswith(("/internal", "/metrics", "/health"))
    }


async def test_what_is_asked_for_is_never_a_command_to_the_database(vps: Vps) -> None:
    """What makes it sleep is answered as if the database were away: no statement may take longer than 15 s."""
    teacher, admin = await make_teacher(vps), await make_admin(vps)
    await one_course(vps, teacher)
    hashes = [row["password_hash"] for row in await vps.rows("SELECT password_hash FROM users")]
    for route, parameters in readable((await vps.http.get("/openapi.json")).json()).items():
        method, path = called(route)
        for command in COMMANDS:
            asked = dict.fromkeys((*parameters, "sort", "filter", "order_by", "fields", "include"), command)
            for asker in (teacher, admin):
                answer = await asker.send(method, path, params=asked)
                assert answer.status_code != 500, (route, command)
                assert "database_unreachable" not in answer.text, (route, command)
                assert not any(known in answer.text for known in hashes), (route, command)
    assert len(await vps.rows("SELECT 1 FROM users")) == len(hashes)


async def test_a_search_for_a_condition_finds_nothing_instead_of_everything(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    await one_course(vps, teacher)
    for command in COMMANDS[1:6]:
        for path, name in (("/api/courses", "q"), ("/api/courses", "teacher"), ("/api/teachers", "q")):
            answer = await vps.http.get(path, params={name: command})
            assert answer.status_code == 422 or done(answer)["items"] == [], (path, command)


async def test_a_path_is_never_a_command_either(vps: Vps) -> None:
    student = await make_student(vps)
    for command in COMMANDS:
        quoted = "".join(f"%{byte:02x}" for byte in command.encode())
        for path in ("/api/users/{}", "/api/teachers/{}", "/api/courses/{}", "/api/videos/{}", "/api/images/{}/square"):
            answer = await student.get(path.format(quoted))
            assert answer.status_code in (404, 422), (path, command, answer.text)


async def test_nothing_that_is_read_holds_a_secret_of_the_database(vps: Vps) -> None:
    """Every route to read from, asked by everybody, searched for every hash and token that the database holds."""
    askers = [await make_student(vps), await make_teacher(vps), await make_admin(vps)]
    await one_course(vps, askers[1])
    held = [value for row in await vps.rows("SELECT password_hash FROM users") for value in row.values()]
    tokens = await vps.rows(
        "SELECT encode(token_hash, 'hex') AS a, encode(token_hash, 'base64') AS b FROM refresh_tokens"
    )
    held += [value for row in tokens for value in row.values()]
    known = [*held, PASSWORD, *(asker.refresh_token for asker in askers), *(asker.access_token for asker in askers)]
    paths = [called(route)[1].replace("nobody", "omar") for route in WHO_MAY if route.startswith("GET")]
    for path in paths:
        for asker in askers:
            answer = await asker.get(path)
            assert not any(secret in answer.text for secret in known), path
    assert len(held) > len(askers)
