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

HEAD_START_S = 0.6
SOME_BYTES = 1000
MANY_BYTES = BODY_BYTES_PER_S * 4


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
    with serving(uvicorn.Config(make_app(), loop="uvloop", http=BoundedHead, log_config=None)) as (port, _):
        yield port


def asked(port: int, path: str, *body: bytes, pause_s: float = 0, method: str = "POST") -> tuple[int, bytes]:
    """Status and body; `body`, if there is one, is sent with these pauses until there is an answer."""
    length = f"Content-Length: {sum(map(len, body))}\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n{length}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(head.encode())
        for piece in body:
            sock.sendall(piece)
            if select.select([sock], [], [], pause_s)[0]:
                break
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    head_said, _, content = said.partition(b"\r\n\r\n")
    return int(head_said.split()[1]), content


def dripped(content: bytes, drops: int) -> list[bytes]:
    step = len(content) // drops + 1
    return [content[start : start + step] for start in range(0, len(content), step)]


def test_a_body_that_drips_is_refused_and_its_connection_closed(port: int) -> None:
    status, said = asked(port, "/", *dripped(b'"' + b"x" * 300, 300), pause_s=HEAD_START_S / 10)
    assert (status, json.loads(said)["code"]) == (408, "too_slow")


def test_so_is_one_of_which_nothing_comes(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
        )
        assert b'"too_slow"' in b"".join(iter(lambda: sock.recv(65536), b""))


def test_what_may_be_larger_has_longer(port: int) -> None:
    drops = dripped(b'{"name": "oud"}', 5)
    assert asked(port, "/large", *drops, pause_s=HEAD_START_S / 3)[0] == 200


def test_a_route_that_streams_its_body_sees_to_that_itself(port: int) -> None:
    drops = dripped(b'{"name": "oud"}', 5)
    assert asked(port, "/streamed", *drops, pause_s=HEAD_START_S / 3)[0] == 200


@pytest.mark.parametrize("body", [(), (b"{}",)])
def test_an_answer_may_take_longer_than_any_body(port: int, body: tuple[bytes, ...]) -> None:
    method = "POST" if body else "GET"
    status, said = asked(port, "/song", *body, method=method)
    assert status == 200
    assert said.count(b"la ") == 4
