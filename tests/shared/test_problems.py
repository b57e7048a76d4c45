"""Errors: one shape whatever goes wrong, and nothing told that should not be."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from shared import logs, problems
from shared.schemas import Body
from shared.serving import BodyLimit

pytestmark = pytest.mark.anyio

SECRET = "hunter22-do-not-tell"


class CourseFull(problems.Conflict):
    code, title = "course_full", "There is no seat left"


class Wish(Body):
    name: str
    password: str = ""


def make_app() -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    problems.install(app)
    app.add_middleware(BodyLimit, limit=lambda scope: None if scope["path"] == "/stream" else 1000)
    app.add_middleware(logs.RequestLog)

    @app.get("/full", responses=problems.responses(CourseFull, problems.NotFound, problems.Conflict))
    async def full() -> None:
        raise CourseFull("Twelve of twelve are taken.")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(SECRET)

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Tea": "mint"})

    @app.get("/busy")
    async def busy() -> None:
        raise problems.Unavailable(retry_after_s=7)

    @app.post("/wish")
    async def wish(wish: Wish) -> str:
        return wish.name

    @app.post("/stream")
    async def stream(wish: Wish) -> str:
        return wish.name

    return app


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body.pop("request_id")
    return body


async def test_an_expected_error_has_its_status_code_and_detail(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/full")) == {
        "type": "about:blank",
        "title": "There is no seat left",
        "status": 409,
        "code": "course_full",
        "detail": "Twelve of twelve are taken.",
    }


async def test_an_unknown_error_is_logged_with_the_id_that_is_answered_and_tells_nothing(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await http.get("/broken", headers={logs.HEADER: "request-number-1"})
    assert response.json()["request_id"] == response.headers[logs.HEADER] == "request-number-1"
    assert (problem(response)["code"], response.status_code) == ("internal_error", 500)
    assert SECRET not in response.text
    assert SECRET in caplog.text


async def test_framework_errors_have_the_same_shape(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/nowhere"))["code"] == "not_found"
    wrong_method = await http.delete("/full")
    assert problem(wrong_method)["code"] == "method_not_allowed"
    assert wrong_method.headers["allow"] == "GET"
    teapot = await http.get("/teapot")
    assert (problem(teapot)["detail"], teapot.headers["x-tea"]) == ("short and stout", "mint")


async def test_what_is_unavailable_says_when_to_come_back(http: httpx.AsyncClient) -> None:
    response = await http.get("/busy")
    assert (problem(response)["code"], response.headers["retry-after"]) == ("unavailable", "7")


async def test_validation_names_each_field_and_repeats_no_value(http: httpx.AsyncClient) -> None:
    response = await http.post("/wish", json={"password": [SECRET], "role": SECRET})
    errors = problem(response)["errors"]
    assert {error["field"] for error in errors} == {"body.name", "body.password", "body.role"}
    assert SECRET not in response.text


async def test_text_comes_in_trimmed_and_without_nul(http: httpx.AsyncClient) -> None:
    assert (await http.post("/wish", json={"name": "  oud "})).json() == "oud"
    assert problem(await http.post("/wish", json={"name": "a\0b"}))["errors"][0]["field"] == "body.name"


async def test_a_body_over_the_limit_is_refused_declared_or_not(http: httpx.AsyncClient) -> None:
    large = b'{"name": "' + b"x" * 2000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        yield large[:900]
        yield large[900:]

    declared = await http.post("/wish", content=large)
    assert problem(declared)["code"] == "too_large"
    assert declared.headers["connection"] == "close"
    assert problem(await http.post("/wish", content=pieces()))["code"] == "too_large"
    fits = b'{"name": "' + b"x" * 988 + b'"}'
    assert (await http.post("/wish", content=fits, headers={"Content-Type": "application/json"})).status_code == 200
    assert (await http.post("/stream", content=large, headers={"Content-Type": "application/json"})).status_code == 200


async def test_the_document_shows_errors_as_they_are_answered(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    told = document["paths"]["/full"]["get"]["responses"]
    assert told["409"]["description"].startswith("`course_full`: There is no seat left; `conflict`: ")
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    assert told["404"]["content"] == {problems.MEDIA_TYPE: reference}
    assert document["paths"]["/wish"]["post"]["responses"]["422"]["content"] == {problems.MEDIA_TYPE: reference}
    assert {"Problem", "FieldError", "Wish"} == set(document["components"]["schemas"])
