"""What nobody expected is answered without detail, by every route of a node, and logged (abuse case 53)."""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from cloud_service.app import create_app
from cloud_service.playback.play import Play
from cloud_service.playback.stream import Stream
from cloud_service.settings import CloudSettings
from shared.tokens import sign_access
from tests.cloud.running import ACCESS_KEY
from tests.cloud.things import USER

pytestmark = pytest.mark.anyio

CANARY = "canary-/srv/media/videos-0x7f"
SOME = "019a0000-0000-7000-8000-000000000000"
WITHOUT_A_NODE = {("get", "/health/live"), ("options", "/uploads"), ("options", "/uploads/{upload_id}")}
TOLD = {"type", "title", "status", "code", "request_id"}


class Failing:
    """In place of a node: whatever is asked of it fails, as nobody has foreseen."""

    def __init__(self, settings: CloudSettings) -> None:
        self.settings = settings
        self.playback_secrets: Any

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{CANARY} {name}")


@pytest.fixture
async def http(settings: CloudSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Of a node that has started, and then everything in it fails."""
    app, node = create_app(settings), Failing(settings)
    node.playback_secrets = SimpleNamespace(live=())
    app.state.node, app.state.play = node, Play(node)  # type: ignore[arg-type]
    del node.playback_secrets
    app.state.stream = Stream(node)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://node.test") as client:
        yield client


def operations(settings: CloudSettings) -> Iterator[tuple[str, str]]:
    for path, item in create_app(settings).openapi()["paths"].items():
        for method in item:
            if (method, path) not in WITHOUT_A_NODE:
                yield method.upper(), re.sub(r"\{\w+\}", SOME, path)


def needed(path: str) -> dict[str, str]:
    """What a request has to say so that it is not refused before anything is asked of the node."""
    queries = {"/videos": {"lesson_id": SOME}, "/files": {"lesson_id": SOME, "name": "notes.pdf"}}
    return queries.get(path, {})


def headers_for(path: str) -> dict[str, str]:
    token = sign_access(ACCESS_KEY, USER, "sara", "student", 60)
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
    tus |= {"Content-Type": "application/offset+octet-stream"}
    return {"Authorization": f"Bearer {token}", **(tus if path.startswith("/uploads") else {})}


async def test_every_route_answers_the_unexpected_without_detail(
    http: httpx.AsyncClient, settings: CloudSettings, caplog: pytest.LogCaptureFixture
) -> None:
    for method, path in operations(settings):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            answer = await http.request(method, path, params=needed(path), headers=headers_for(path))
        assert answer.status_code == 500, (method, path, answer.text)
        assert CANARY not in str(answer.headers)
        if method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
            assert set(answer.json()) == TOLD
            assert (answer.json()["code"], CANARY in answer.text) == ("internal_error", False)
        assert CANARY in caplog.text, (method, path)


@pytest.mark.settings(environment="production", cloud_url="https://video.example")
@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
async def test_in_production_a_node_does_not_describe_itself(settings: CloudSettings, path: str) -> None:
    app = create_app(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node.test") as http:
        assert (await http.get(path)).status_code == 404
    assert not app.debug
