"""What a request may be made of, on the wire: heads that do not end are cut off, everything ordinary is served."""

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.both.people import Person, draft_course
from tests.both.toptank import Service, TopTank
from tests.both.wire import Wire
from tests.clips import Clips, padded

PLENTY = 8 * 2**20
BLOCK = b"x" * 64 * 1024
LIVE = "/health/live"
ENDLESS = {
    "one header": (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: ", BLOCK),
    "many headers": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"X-More: and more\r\n" * 4096),
    "an address": (b"GET /", BLOCK),
    "a header's name": (b"GET /health/live HTTP/1.1\r\n", BLOCK),
    "a trailer": (b"POST /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ", BLOCK),
}


@pytest.fixture(params=["vps", "cloud"])
def service(request: pytest.FixtureRequest, toptank: TopTank) -> Service:
    found: Service = getattr(toptank, request.param)
    return found


@contextmanager
def held_up(service: Service) -> Iterator[None]:
    """Whatever arrives inside is there at once when the service goes on."""
    os.kill(service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.pid, signal.SIGCONT)


@pytest.mark.parametrize("endless", ENDLESS)
def test_a_head_that_does_not_end_ends_its_connection(service: Service, endless: str) -> None:
    beginning, more = ENDLESS[endless]
    with Wire(service.url) as wire:
        wire.send(beginning)
        taken = 0
        with pytest.raises(ConnectionError):
            while taken < PLENTY:
                wire.socket.sendall(more)  # who is refused before its trailer may have that refusal in hand
                taken += len(more)
    assert taken < PLENTY / 4


def test_a_head_that_arrives_in_small_pieces_is_counted_too(service: Service) -> None:
    with Wire(service.url) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.send(b"GET /health/live HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            for number in range(100_000):
                wire.send(f"X-{number:04}: {'y' * 20}\r\n".encode())


def test_an_ordinary_head_is_read_however_large_its_cookie(service: Service) -> None:
    with Wire(service.url) as wire:
        for size in (8 * 1024, 60 * 1024, 8 * 1024):
            assert wire.request("GET", LIVE, {"Cookie": "c" * size}).answer().status == 200


def test_a_connection_serves_any_number_of_requests(service: Service) -> None:
    with Wire(service.url) as wire:
        for _ in range(50):
            assert wire.request("GET", LIVE, {"Cookie": "c" * 4096}).answer().status == 200


def test_requests_that_arrive_together_are_all_answered(service: Service) -> None:
    request = f"GET {LIVE} HTTP/1.1\r\nHost: x\r\nCookie: {'c' * 1000}\r\n\r\n".encode()
    with Wire(service.url) as wire:
        with held_up(service):
            wire.send(request * 40)
        answered = b""
        while answered.count(b"HTTP/1.1 200") < 40:
            more = wire.socket.recv(2**16)
            assert more
            answered += more


def log_in(connection: socket.socket, size: int) -> None:
    """With a body of this many bytes, in one piece with its head."""
    head = (
        f"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )
    connection.sendall(head.encode() + b" " * (size - 2) + b"{}")


def status(connection: socket.socket) -> int:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


@pytest.mark.parametrize("size", [70_000, 100_000])
def test_a_large_body_may_arrive_together_with_its_head(toptank: TopTank, size: int) -> None:
    host, _, port = toptank.vps.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        for _ in range(20):  # the kernel learns to hand over large pieces
            log_in(connection, 250_000)
            assert status(connection) == 422
        with held_up(toptank.vps):
            log_in(connection, size)
        assert status(connection) == 422


def test_an_upload_in_small_chunks_is_no_endless_head(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, film = draft_course(toptank, teacher), padded(clips.film, 100_000)
    headers = {"Authorization": f"Bearer {teacher.token}", "Transfer-Encoding": "chunked"}
    with Wire(toptank.cloud.url) as wire:
        wire.request("POST", f"/videos?lesson_id={course.lesson_id}", headers)
        for at in range(0, len(film), 10):
            wire.send_chunk(film[at : at + 10])
        assert wire.send_chunk(b"").answer().status == 201
