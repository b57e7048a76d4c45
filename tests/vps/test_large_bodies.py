"""What has to be taken apart in memory is bounded before: nobody waits for somebody's huge body (abuse case 46)."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.vps.people import done, draft_course, make_student, make_teacher, refused
from tests.vps.running import Vps
from tests.vps.test_greedy_bodies import bodies
from tests.vps.test_openapi import called
from vps_service.app import JSON_BYTES, TOLD_BY_NODES_BYTES

pytestmark = pytest.mark.anyio

LOGIN = "/api/auth/login"
IN_JSON = {"Content-Type": "application/json"}
BOUNDED_BYTES = 64 * 1024


async def test_no_route_takes_more_json_than_any_honest_body_is(vps: Vps) -> None:
    document = (await vps.http.get("/openapi.json")).json()
    for route, (kind, _) in bodies(document).items():
        method, path = called(route)
        limit = TOLD_BY_NODES_BYTES if path.startswith("/internal/") else JSON_BYTES
        if kind == "application/json":
            answer = await vps.http.request(method, path, content=b" " * (limit + 1), headers=IN_JSON)
            refused(answer, 413, "too_large")


async def test_nor_one_whose_size_is_not_told_or_whose_kind_is_not(vps: Vps) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (JSON_BYTES // 4)

    refused(await vps.http.post(LOGIN, content=pieces(), headers=IN_JSON), 413, "too_large")
    refused(await vps.http.post(LOGIN, content=b" " * (JSON_BYTES + 1)), 413, "too_large")


async def test_json_that_says_that_it_is_a_form_is_not_taken_apart(vps: Vps) -> None:
    told = json.dumps({f"a{number}": 0 for number in range(100_000)}).encode()
    answer = await vps.http.post(LOGIN, content=told, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert [error["field"] for error in refused(answer, 422, "validation_failed")["errors"]] == ["body"]


async def test_of_too_many_fields_not_every_one_is_complained_of(vps: Vps) -> None:
    told = json.dumps({f"a{number}": 0 for number in range(20_000)}, separators=(",", ":")).encode()
    answer = await vps.http.post(LOGIN, content=told, headers=IN_JSON)
    assert [error["field"] for error in refused(answer, 422, "validation_failed")["errors"]] == ["body"]
    assert len(answer.content) < 1024


async def test_nor_every_item_of_too_long_a_list(vps: Vps) -> None:
    student = await make_student(vps)
    answer = await student.patch("/api/users/me", {"instruments": [0] * 80_000})
    refused(answer, 422, "validation_failed")
    assert len(answer.content) < BOUNDED_BYTES


async def test_the_longest_description_is_taken_however_it_is_written(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    said = json.dumps({"description": "\N{VIOLIN}" * 20_000, "title": "\N{VIOLIN}" * 200})
    assert len(said) > 240_000
    answer = await course.teacher.send("PATCH", course.path, content=said, headers=IN_JSON)
    assert len(done(answer)["description"]) == 20_000
