"""The API as a whole: documented, closed unless said otherwise, and every error a problem."""

import re
from typing import Any

import pytest

from shared.problems import MEDIA_TYPE
from tests.both.policy import VPS, rows
from tests.vps.people import make_admin, make_student, make_teacher, refused
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

ID = "019a0000-0000-7000-8000-000000000000"
ANYONE, SIGNED_IN, LEARNER, TEACHER, ADMIN, NODE = "anyone", "signed in", "learner", "teacher", "admin", "node"

ROLES = {
    SIGNED_IN: {"student", "teacher", "admin"},
    LEARNER: {"student", "teacher"},
    TEACHER: {"teacher"},
    ADMIN: {"admin"},
    NODE: set(),
}
ROLE_OF = {"student": "student", "buyer": "student", "owner": "teacher", "rival": "teacher", "admin": "admin"}
"""Of the table that `test_policy` tries with everybody's own things and other people's: those who may sign in."""


def who_may(route: str) -> str:
    """Whom the route is for, whosever the things are that it acts on."""
    rules = [rule.by_actor() for row, rule in VPS.items() if row.partition(" #")[0] == route]
    if any(outcomes["nobody"] != "401" for outcomes in rules):
        return ANYONE
    roles = {ROLE_OF[one] for one in ROLE_OF for outcomes in rules if outcomes[one] not in ("401", "403")}
    (found,) = [who for who, allowed in ROLES.items() if allowed == roles]
    return found


WHO_MAY = {route: who_may(route) for service, row in rows() if service == "vps" for route in [row.partition(" #")[0]]}
"""Every route there is, those last that take something away; one that is added fails until it is in the table."""

CLOSED = [route for route, who in WHO_MAY.items() if who != ANYONE]


def called(route: str) -> tuple[str, str]:
    method, path = route.split()
    for name, value in (("username", "nobody"), ("size", "square")):
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + ID + path[path.index("}") + 1 :]
    return method, path


@pytest.fixture
async def operations(vps: Vps) -> dict[str, dict[str, Any]]:
    paths = (await vps.http.get("/openapi.json")).json()["paths"]
    return {f"{method.upper()} {path}": operation for path, item in paths.items() for method, operation in item.items()}


async def test_for_every_route_it_is_said_who_may_call_it(operations: dict[str, dict[str, Any]]) -> None:
    assert set(operations) == set(WHO_MAY)


async def test_a_closed_route_is_closed_to_strangers(vps: Vps) -> None:
    for route in CLOSED:
        method, path = called(route)
        response = await vps.http.request(method, path)
        assert response.status_code == 401, (route, response.text)
        refused(response, 401, "not_authenticated")


async def test_each_route_is_open_to_its_roles_and_to_no_other(vps: Vps) -> None:
    people = {"student": await make_student(vps), "teacher": await make_teacher(vps), "admin": await make_admin(vps)}
    for route in CLOSED:
        method, path = called(route)
        for role, person in people.items():
            status = (await person.send(method, path)).status_code
            if WHO_MAY[route] == NODE:
                assert status == 401, (route, role)
            else:
                assert (status in (401, 403)) is (role not in ROLES[WHO_MAY[route]]), (route, role, status)


async def test_every_route_has_a_summary_and_a_typed_answer(operations: dict[str, dict[str, Any]]) -> None:
    for route, operation in operations.items():
        assert operation.get("summary"), route
        ((status, success),) = [item for item in operation["responses"].items() if item[0] < "400"]
        if status == "204" or route == "GET /metrics":
            assert "content" not in success, route
        elif "images" in route:
            assert set(success["content"]) == {"image/webp"}, route
        elif "export" in route:
            assert set(success["content"]) == {"application/zip"}, route
        else:
            schema = success["content"]["application/json"]["schema"]
            assert {"$ref", "anyOf"} & (schema["items"] if schema.get("type") == "array" else schema).keys(), route


async def test_every_error_is_documented_as_a_problem_with_its_codes(operations: dict[str, dict[str, Any]]) -> None:
    for route, operation in operations.items():
        statuses = set(operation["responses"])
        if WHO_MAY[route] != ANYONE:
            assert "401" in statuses, route
        if WHO_MAY[route] in (LEARNER, TEACHER, ADMIN):
            assert "403" in statuses, route
        if operation.get("parameters") or "requestBody" in operation:
            assert "422" in statuses, route
        for status, response in operation["responses"].items():
            if status >= "400":
                schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
                assert response["content"] == {MEDIA_TYPE: schema}, (route, status)
                assert "`" in response["description"], (route, status)


def codes(operation: dict[str, Any], status: str) -> list[str]:
    return re.findall(r"`(\w+)`", operation["responses"].get(status, {}).get("description", ""))


async def test_whatever_asks_the_database_says_that_it_may_be_away(operations: dict[str, dict[str, Any]]) -> None:
    silent = {route for route, operation in operations.items() if "database_unreachable" not in codes(operation, "503")}
    assert silent == {"GET /health/live", "GET /.well-known/jwks.json", "GET /api/images/{image_id}/{size}"}


async def test_whatever_looks_at_a_token_says_that_an_admin_may_have_to_enrol_first(
    operations: dict[str, dict[str, Any]],
) -> None:
    """Production wants that of them; it documents nothing itself."""
    told = {route for route, operation in operations.items() if "totp_enrolment_required" in codes(operation, "401")}
    of_tokens = {route for route, who in WHO_MAY.items() if who not in (ANYONE, NODE)}
    may_come_with_one = {"GET /api/courses/{course_id}", "GET /api/teachers/{username}"}
    assert told == of_tokens - {"POST /api/auth/totp", "POST /api/auth/totp/confirm"} | may_come_with_one


async def test_every_body_refuses_what_it_does_not_know(vps: Vps) -> None:
    document = (await vps.http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for item in document["paths"].values():
        for operation in item.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                assert schemas[name]["additionalProperties"] is False, name


async def test_no_answer_has_a_field_for_a_secret(vps: Vps) -> None:
    document = (await vps.http.get("/openapi.json")).json()
    fields = {
        (name, field)
        for name, schema in document["components"]["schemas"].items()
        for field in schema.get("properties", {})
        if any(word in field for word in ("hash", "password", "secret", "token"))
    }
    asked = {("Login", "password"), ("RegisterStudent", "password"), ("RegisterTeacher", "password")}
    asked |= {("Leave", "password")}
    asked |= {(name, "password") for name in ("EmailWanted", "PhoneWanted", "PasswordAgain", "BothAgain")}
    asked |= {("PasswordChange", "old_password"), ("PasswordChange", "new_password")}
    assert fields == asked | {
        ("TotpEnrolment", "secret"),
        *(("AuthOut", name) for name in ("access_token", "refresh_token", "token_type")),
        ("Refresh", "refresh_token"),
        *(("VerifyEmail", "token"), ("ResetPassword", "token"), ("ResetPassword", "password")),
    }


async def test_an_unknown_address_and_a_wrong_method_are_problems_too(vps: Vps) -> None:
    for path in ("/", "/api", "/api/nothing", "/api/courses/", "/internal", "/docs/x", "/%00", "/..%2f..%2fetc/passwd"):
        refused(await vps.http.get(path), 404, "not_found")
    wrong = await vps.http.request("PUT", "/api/courses")
    refused(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"]


async def test_no_route_answers_junk_with_anything_but_a_problem(vps: Vps) -> None:
    people = [await make_student(vps), await make_teacher(vps), await make_admin(vps)]
    senders: list[Any] = [vps.http.request, *(person.send for person in people)]
    junk: list[dict[str, Any]] = [
        {"content": b"\xff\x00{", "headers": {"Content-Type": "application/json"}},
        {"content": b"[" * 5000, "headers": {"Content-Type": "application/json"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
        {"content": b"x", "headers": {"Content-Type": "text/html"}},
        {"json": {"a": 1}},
    ]
    odd_query: list[dict[str, Any]] = [{"params": {"limit": "x", "cursor": "\0", "q": "\0"}}]
    for route in WHO_MAY:
        await vps.node.report()  # or it would soon count as gone where this takes long
        method, path = called(route)
        for send in senders:
            for more in odd_query if method == "GET" else junk:
                response = await send(method, path, **more)
                assert response.status_code < 500 or "unreachable" in response.text, (route, more, response.text)
                if response.status_code >= 400:
                    assert response.headers["content-type"] == MEDIA_TYPE, (route, more)


async def test_every_answer_has_a_request_id_and_a_problem_repeats_it(vps: Vps) -> None:
    response = await vps.http.get("/api/keys", headers={"X-Request-ID": "from-the-edge-1"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "from-the-edge-1"
    for odd in ("short", "x" * 65, "with space!", "inj\tect"):
        answered = (await vps.http.get("/health/live", headers={"X-Request-ID": odd})).headers["x-request-id"]
        assert len(answered) == 32


async def test_the_service_is_alive_and_ready(vps: Vps) -> None:
    for path in ("/health/live", "/health/ready"):
        assert (await vps.http.get(path)).json() == {"status": "ok"}


async def test_without_its_schema_it_is_alive_but_not_ready(vps: Vps) -> None:
    await vps.rows("ALTER TABLE change_counter RENAME TO gone")
    assert (await vps.http.get("/health/live")).status_code == 200
    refused(await vps.http.get("/health/ready"), 503, "database_unreachable")
