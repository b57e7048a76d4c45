"""Which pages of other origins may read what is answered, and how that is told to the services."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from shared import problems
from shared.cors import let_pages_read, origin_of

pytestmark = pytest.mark.anyio

OURS, ALSO_OURS = "https://learn.example", "http://127.0.0.1:3000"
ALLOWED = "access-control-allow-origin"
OTHERS = [
    "null",
    "*",
    "",
    "https://elsewhere.example",
    "http://learn.example",
    "https://learn.example:8443",
    "https://learn.example.",
    "https://learn.example/",
    "https://learn.example.elsewhere.example",
    "https://elsewhere.example,https://learn.example",
    "https://elsewhere.example https://learn.example",
    "https://notlearn.example",
    "https://sub.learn.example",
    "HTTPS://LEARN.EXAMPLE",
    "https://learn.example\x00",
]


def make_app() -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    problems.install(app)
    let_pages_read(app, [OURS, ALSO_OURS], sent=["Authorization", "Range"], read=["ETag", "Content-Range"])

    @app.get("/open")
    async def open_to_all() -> str:
        return "as you like it"

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("nobody expected this")

    @app.get("/busy")
    async def busy() -> None:
        raise problems.Unavailable

    return app


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def told(response: httpx.Response) -> set[str]:
    return {name for name in response.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [OURS, ALSO_OURS])
@pytest.mark.parametrize(("path", "status"), [("/open", 200), ("/busy", 503), ("/nowhere", 404), ("/broken", 500)])
async def test_whatever_is_answered_a_page_of_ours_may_read(
    http: httpx.AsyncClient, origin: str, path: str, status: int
) -> None:
    response = await http.get(path, headers={"Origin": origin})
    assert (response.status_code, response.headers[ALLOWED]) == (status, origin)
    assert response.headers["access-control-expose-headers"] == "ETag, Content-Range"
    assert told(response) == {ALLOWED, "access-control-expose-headers"}


@pytest.mark.parametrize("origin", OTHERS)
async def test_to_no_other_page_anything_is_told(http: httpx.AsyncClient, origin: str) -> None:
    for path in ("/open", "/busy", "/nowhere", "/broken"):
        assert told(await http.get(path, headers={"Origin": origin})) == set()
    asking = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    response = await http.options("/open", headers=asking)
    assert (response.status_code, told(response)) == (405, set())


async def test_every_answer_says_that_it_depends_on_the_origin(http: httpx.AsyncClient) -> None:
    for path in ("/open", "/busy", "/nowhere", "/broken"):
        for headers in ({}, {"Origin": OURS}, {"Origin": "null"}):
            assert (await http.get(path, headers=headers)).headers.get_list("vary") == ["Origin"]


async def test_a_page_is_told_beforehand_what_it_may_ask_with(http: httpx.AsyncClient) -> None:
    asking = {"Origin": OURS, "Access-Control-Request-Method": "DELETE"}
    response = await http.options("/nowhere", headers=asking | {"Access-Control-Request-Headers": "authorization"})
    assert (response.status_code, response.content) == (204, b"")
    assert dict(response.headers) == {
        "access-control-allow-origin": OURS,
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": "Authorization, Range",
        "access-control-max-age": "7200",
        "vary": "Origin",
    }


async def test_a_plain_options_is_answered_as_ever(http: httpx.AsyncClient) -> None:
    response = await http.options("/open", headers={"Origin": OURS})
    assert (response.status_code, response.headers[ALLOWED]) == (405, OURS)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Learn.Example/app/", "https://learn.example"),
        ("https://learn.example:443", "https://learn.example"),
        ("http://learn.example:80/", "http://learn.example"),
        ("http://learn.example:443", "http://learn.example:443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
    ],
)
def test_a_url_has_the_origin_that_browsers_give_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
