"""Every answer tells browsers to run, frame, guess and pass on nothing."""

import httpx
import pytest

from shared.problems import MEDIA_TYPE
from tests.settings import PRODUCTION
from tests.vps.people import done, make_student, make_teacher
from tests.vps.running import Vps
from tests.vps.test_openapi import WHO_MAY, called
from tests.vps.test_unexpected_errors import lose_the_tables

pytestmark = pytest.mark.anyio

APP = "https://app.example"


def check(answer: httpx.Response) -> None:
    where = (answer.request.method, answer.request.url.path, answer.status_code)
    told = answer.headers
    assert told["x-content-type-options"] == "nosniff", where
    assert told["referrer-policy"] == "no-referrer", where
    assert told["x-frame-options"] == "DENY", where
    assert "frame-ancestors 'none'" in told["content-security-policy"], where
    assert "default-src 'none'" in told["content-security-policy"] or "docs" in where[1], where
    for name in ("x-content-type-options", "cache-control", "content-security-policy"):
        assert len(told.get_list(name)) == 1, where


async def test_every_route_says_so_whatever_it_answers(vps: Vps) -> None:
    student = await make_student(vps)
    for route in WHO_MAY:
        method, path = called(route)
        check(await vps.http.request(method, path))
        check(await student.send(method, path))
        check(await vps.http.request("TRACE", path))
    for path in ("/", "/api/nothing", "/%00", "/docs", "/openapi.json"):
        check(await vps.http.get(path))


@pytest.mark.settings(cors_origins=[APP])
async def test_so_does_the_answer_to_a_browser_that_asks_first(vps: Vps) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    answer = await vps.http.options("/api/auth/login", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, APP)
    check(answer)


async def test_and_so_does_what_nobody_expected(vps: Vps) -> None:
    student = await make_student(vps)
    await lose_the_tables(vps, but=("users",))
    answer = await student.get("/api/keys")
    assert (answer.status_code, answer.headers["content-type"]) == (500, MEDIA_TYPE)
    check(answer)


async def test_an_image_is_kept_by_browsers_and_tokens_are_not(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    image = await vps.http.get(httpx.URL(teacher.user["image"]["square"]).path)
    assert "immutable" in image.headers["cache-control"]
    check(image)
    assert (await teacher.get("/api/auth/me")).headers["cache-control"] == "no-store"


async def test_the_page_that_describes_the_api_may_run_its_scripts_and_no_other_page(vps: Vps) -> None:
    assert (await vps.http.get("/docs")).headers["content-security-policy"] == "frame-ancestors 'none'"
    assert "default-src 'none'" in (await vps.http.get("/docs/x")).headers["content-security-policy"]


async def test_without_tls_browsers_are_not_told_to_insist_on_it(vps: Vps) -> None:
    assert "strict-transport-security" not in (await vps.http.get("/health/live")).headers


@pytest.mark.settings(**PRODUCTION)
async def test_with_tls_they_are(vps: Vps) -> None:
    for path in ("/health/live", "/api/auth/me", "/docs"):
        answer = await vps.http.get(path)
        assert answer.headers["strict-transport-security"] == "max-age=31536000", path
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
    done(await vps.http.get("/api/courses"))
