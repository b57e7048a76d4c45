"""What our server does otherwise than the one it is made from."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.serving import BoundedHead, bind

PIECES = (b"a" * 70_000, b"b", b"c" * 200_000)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The body, once all of it may have arrived before it is asked for."""
    request = Request(scope, receive)
    if "refused" in request.headers:
        await Response(b"no", 403, headers={"Connection": "close"})(scope, receive, send)
        return
    late_s = float(request.headers.get("late", "0"))
    time.sleep(late_s)  # noqa: ASYNC251 - nothing is received meanwhile, so the pieces come together
    pieces = [piece async for piece in request.stream()]
    await Response(b"".join(pieces))(scope, receive, send)


class Impatient(BoundedHead):
    stalled_s = 0.5


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    sock = bind("127.0.0.1", 0)
    sock.listen()
    config = uvicorn.Config(echo, loop="uvloop", http=Impatient, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def answered(port: int, head: str, *sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n".encode())
        for piece in sent:
            sock.sendall(piece)
        return b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("late_s", [0, 0.3])
def test_a_body_arrives_as_it_was_sent_whether_it_is_waited_for_or_not(port: int, late_s: float) -> None:
    whole = b"".join(PIECES)
    assert answered(port, f"Late: {late_s}\r\nContent-Length: {len(whole)}", *PIECES) == whole


@pytest.mark.parametrize("late_s", [0, 0.3])
def test_a_body_in_chunks_arrives_as_it_was_sent(port: int, late_s: float) -> None:
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*PIECES, *[b"d"] * 1000)]
    sent = b"".join(chunks) + b"0\r\n\r\n"
    assert answered(port, f"Late: {late_s}\r\nTransfer-Encoding: chunked", sent) == b"".join(PIECES) + b"d" * 1000


def test_two_requests_in_one_piece_have_their_own_bodies(port: int) -> None:
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(one + b"abc" + one.replace(b"Host: x", b"Host: x\r\nConnection: close") + b"def")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert [part.split(b"\r\n\r\n")[-1] for part in said.split(b"HTTP/1.1 200 OK")[1:]] == [b"abc", b"def"]


def test_a_refusal_reaches_a_sender_who_sends_on(port: int) -> None:
    """Who is an edge, and takes a connection that breaks while it sends for a server that failed."""
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nRefused: 1\r\nContent-Length: 100000000\r\n\r\n")
            for _ in range(20):
                sock.sendall(bytes(5000))
                time.sleep(0.002)
            said = b"".join(iter(lambda: sock.recv(65536), b""))
        assert said.startswith(b"HTTP/1.1 403")
        assert said.endswith(b"no")


def test_who_takes_nothing_of_an_answer_is_broken_off_and_who_takes_it_slowly_is_not(port: int) -> None:
    whole = b"e" * (32 * 2**20)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as stuck:
        stuck.sendall(head + whole)
        assert stuck.recv(1)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
            slow.sendall(head + whole)
            taken = 0
            while taken < len(whole):
                piece = slow.recv(2**20)
                assert piece
                taken += len(piece)
                time.sleep(0.02)
        assert sum(map(len, iter(lambda: stuck.recv(2**20), b""))) < len(whole) // 2


def test_what_comes_after_a_refusal_is_no_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nRefused: 1\r\nContent-Length: 3\r\n\r\n")
        time.sleep(0.2)
        sock.sendall(b"abcPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert said.count(b"HTTP/1.1") == 1
