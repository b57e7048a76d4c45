"""A body that is taken apart in memory comes in time or not at all, and who drips it does not keep a connection
(abuse case 44)."""

import asyncio
import json
import select
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from shared import problems
from shared.connections import BoundedHead
from shared.schemas import Body
from shared.serving import BODY_BYTES_PER_S, BodyLimit
from tests.shared.server_thread import serving

HEAD_START_S = 1.0
SOME_BYTES = 1000
MANY_BYTES = BODY_BYTES_PER_S * 40


class Wish(Body):
    name: str


def make_app() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    limits = {"/streamed": None, "/large": MANY_BYTES}
    app.add_middleware(BodyLimit, limit=lambda scope: limits.get(scope["path"], SOME_BYTES), head_start_s=HEAD_START_S)

    async def long_answer() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"la "
            await asyncio.sleep(HEAD_START_S / 2)

    @app.post("/")
    @app.post("/large")
    @app.post("/streamed")
    async def wish(wish: Wish) -> str:
        return wish.name

    @app.post("/song")
    @app.get("/song")
    async def song() -> StreamingResponse:
        return StreamingResponse(long_answer())

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(make_app(), loop="uvloop", http=BoundedHead, log_config=None, timeout_keep_alive=1)
    with serving(config) as (port, _):
        yield port


def asked(
    port: int, path: str, *body: bytes, pause_s: float = 0, missing: int = 0, method: str = "POST"
) -> tuple[int, bytes, bytes]:
    """Status, head and body; `body`, if there is one, is sent with these pauses until there is an answer. So many bytes
    that are declared do not come."""
    length = f"Content-Length: {sum(map(len, body)) + missing}\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(head.encode())
        for piece in body:
            sock.sendall(piece)
            if select.select([sock], [], [], pause_s)[0]:
                break
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    answered, _, content = said.partition(b"\r\n\r\n")
    return int(answered.split()[1]), answered, content


def dripped(content: bytes, drops: int) -> list[bytes]:
    step = len(content) // drops
    return [content[start : start + step] for start in range(0, len(content), step)]


SHORT, LONG = (b'{"name": "oud"' + b" " * spaces + b"}" for spaces in (26, 3 * MANY_BYTES // 4))


def test_a_body_that_drips_is_refused_and_its_connection_closed(port: int) -> None:
    status, head, said = asked(port, "/", *dripped(SHORT, 40), pause_s=HEAD_START_S / 4)
    assert (status, json.loads(said)["code"]) == (408, "too_slow")
    assert b"connection: close" in head


def test_so_is_one_of_which_nothing_comes(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")
        assert b'"too_slow"' in b"".join(iter(lambda: sock.recv(65536), b""))


def test_whoever_gets_on_has_longer(port: int) -> None:
    """What came buys time for what is still to come."""
    assert asked(port, "/large", *dripped(LONG, 6), pause_s=HEAD_START_S / 2)[0] == 200
    assert asked(port, "/large", *dripped(SHORT, 6), pause_s=HEAD_START_S / 2)[0] == 408


def test_a_route_that_streams_its_body_sees_to_that_itself(port: int) -> None:
    assert asked(port, "/streamed", *dripped(SHORT, 6), pause_s=HEAD_START_S / 2)[0] == 200


@pytest.mark.parametrize("body", [(), (b"{}",), (b"{", b"")])
def test_an_answer_may_take_longer_than_any_body(port: int, body: tuple[bytes, ...]) -> None:
    """Also one that does not wait for the end of the request."""
    method, more = ("POST", len(body) - 1) if body else ("GET", 0)
    status, _, said = asked(port, "/song", *body[:1], missing=more, method=method)
    assert status == 200
    assert said.count(b"la ") == 4
