"""What our server does otherwise than the one it is made from."""

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.answers import LARGE_BYTES, PIECE_BYTES, ZERO_COPY, GoesOn
from shared.connections import BoundedHead
from tests.shared.server_thread import serving

PIECES = (b"a" * 70_000, b"b", b"c" * 200_000)
FILM = os.urandom(2**20 + 17) * 24
PART_BYTES = 2**20
endings = SimpleQueue[type[Exception]]()
"""Of what could not be sent or received to its end."""
may_go_on = threading.Event()


async def may_go() -> bool:
    return may_go_on.is_set()


async def film(scope: Scope, send: Send, path: str, range_: str, goes_on: GoesOn | None) -> None:
    """A part after the other, or all at once where that may have to end."""
    first, last = map(int, range_.split("-"))
    length = [(b"content-length", str(last + 1 - first).encode())]
    await send({"type": "http.response.start", "status": 206, "headers": length})
    assert ZERO_COPY in scope["extensions"]
    file = os.open(path, os.O_RDONLY)
    try:
        if goes_on:
            whole = {"file": file, "offset": first, "count": last + 1 - first}
            await send({"type": ZERO_COPY, **whole, "more_body": False, "goes_on": goes_on})
            return
        for start in range(first, last + 1, PART_BYTES):
            part = {"file": file, "offset": start, "count": min(PART_BYTES, last + 1 - start)}
            await send({"type": ZERO_COPY, **part, "more_body": start + PART_BYTES <= last})
            await asyncio.sleep(0)  # as a node does: what is sent takes no turn of its own while somebody takes it
    except (EOFError, ConnectionError) as error:
        endings.put(type(error))
    finally:
        os.close(file)


async def refuse_after(request: Request, taken: int, send: Send) -> None:
    """So many bytes of a body."""
    try:
        async for piece in request.stream():
            if (taken := taken - len(piece)) <= 0:
                break
        await Response(b"enough", 403)(request.scope, request.receive, send)
    except ClientDisconnect as error:
        endings.put(type(error))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The body, once all of it may have arrived before it is asked for."""
    request = Request(scope, receive)
    if "film" in request.headers:
        goes_on = may_go if "ending" in request.headers else None
        await film(scope, send, request.headers["film"], request.headers["part"], goes_on)
        return
    if "refused" in request.headers:
        await Response(b"no", 403, headers={"Connection": "close"})(scope, receive, send)
        return
    if taken := int(request.headers.get("taken", "0")):
        await refuse_after(request, taken, send)
        return
    late_s = float(request.headers.get("late", "0"))
    time.sleep(late_s)  # noqa: ASYNC251 - nothing is received meanwhile, so the pieces come together
    pieces = [piece async for piece in request.stream()]
    await Response(b"".join(pieces))(scope, receive, send)


class Patient(BoundedHead):
    """With whoever takes its answers, on a machine that may stand still for some seconds."""

    stalled_s = 10.0


class Impatient(BoundedHead):
    stalled_s = 3.0


@contextmanager
def running(http: type[BoundedHead] = Patient) -> Iterator[tuple[int, uvicorn.Server]]:
    """With its port."""
    config = uvicorn.Config(echo, loop="uvloop", http=http, lifespan="off", log_config=None)
    with serving(config) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running() as (port, _):
        yield port


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


def test_who_takes_nothing_of_an_answer_is_broken_off_and_who_takes_it_slowly_is_not() -> None:
    whole = b"e" * (32 * 2**20)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n\r\n".encode()
    with running(Impatient) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as stuck:
        stuck.sendall(head + whole)
        assert stuck.recv(1)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
            slow.sendall(head + whole)
            taken, began = 0, time.monotonic()
            while taken < len(whole):
                piece = slow.recv(2**20)
                assert piece
                taken += len(piece)
                time.sleep(max(0, began + 2 * Impatient.stalled_s * taken / len(whole) - time.monotonic()))
        assert sum(map(len, iter(lambda: stuck.recv(2**20), b""))) < len(whole) // 2


def test_what_comes_after_a_refusal_is_no_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nRefused: 1\r\nContent-Length: 3\r\n\r\n")
        time.sleep(0.2)
        sock.sendall(b"abcPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert said.count(b"HTTP/1.1") == 1


# --- large bodies ---------------------------------------------------------------------------------------

SMUGGLED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def posting(body: bytes, *more: str) -> bytes:
    lines = ("POST / HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more)
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("size", [LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + PIECE_BYTES + 1, len(FILM)])
@pytest.mark.parametrize("first", [0, 1, 70_000])
def test_large_bodies_arrive_as_they_were_sent_and_what_comes_after_them_too(port: int, size: int, first: int) -> None:
    """Whatever of it comes together with its head, whatever together with the next."""
    bodies = [FILM[:size], b"small", FILM[-size:], b""]
    sent = b"".join(map(posting, bodies))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        head = sent.index(b"\r\n\r\n") + 4 + first
        sock.sendall(sent[:head])
        time.sleep(0.05)
        rest = threading.Thread(target=sock.sendall, args=(sent[head:],))
        rest.start()
        for body in bodies:
            assert body_of(sock, len(body)) == body
        rest.join()


def test_a_large_body_that_is_waited_for_with_100_continue_arrives(port: int) -> None:
    whole = posting(FILM, "Expect: 100-continue")
    head = whole.index(b"\r\n\r\n") + 4
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(whole[:head])
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        rest = threading.Thread(target=sock.sendall, args=(whole[head:],))
        rest.start()
        assert body_of(sock, len(FILM)) == FILM
        rest.join()


@pytest.mark.parametrize("taken", [2 * PIECE_BYTES, LARGE_BYTES])
def test_nothing_in_a_large_body_is_a_request_when_it_is_refused_amid(port: int, taken: int) -> None:
    body = SMUGGLED * (4 * LARGE_BYTES // len(SMUGGLED))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(posting(body, f"Taken: {taken}")[: 2 * LARGE_BYTES])
        sock.sendall(SMUGGLED * 1000)
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert said.count(b"HTTP/1.1") == 1
    assert said.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in said
    assert said.endswith(b"enough")


def test_refusals_amid_large_bodies_leave_nothing_open(port: int) -> None:
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            sock.sendall(posting(FILM, f"Taken: {2 * PIECE_BYTES}")[: 4 * PIECE_BYTES])
            assert b"enough" in b"".join(iter(lambda: sock.recv(65536), b""))
    deadline = time.monotonic() + 30
    while len(os.listdir("/proc/self/fd")) > opened and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= opened


def test_a_server_that_stops_takes_the_large_body_that_is_under_way_and_no_request_after_it() -> None:
    with running() as (port, server), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        whole = posting(FILM)
        sock.sendall(whole[: 4 * LARGE_BYTES])
        server.should_exit = True
        with pytest.raises(ConnectionError):
            while True:
                socket.create_connection(("127.0.0.1", port), timeout=30).close()
        time.sleep(0.2)
        sock.sendall(whole[4 * LARGE_BYTES :])
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert body == FILM


@pytest.mark.parametrize("sent", [0, 10, LARGE_BYTES, 3 * LARGE_BYTES])
@pytest.mark.parametrize("is_reset", [False, True])
def test_it_is_known_at_once_that_the_sender_of_a_large_body_has_left(port: int, sent: int, is_reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        head = len(posting(b"", f"Taken: {4 * LARGE_BYTES}"))
        sock.sendall(posting(FILM[: 4 * LARGE_BYTES], f"Taken: {4 * LARGE_BYTES}")[: head + 6 + sent])
        if is_reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert endings.get(timeout=30) is ClientDisconnect


# --- files by their descriptor --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film"
    path.write_bytes(FILM)
    return path


def asking(path: Path, first: int, last: int, *more: str) -> bytes:
    lines = ("GET / HTTP/1.1", "Host: x", f"Film: {path}", f"Part: {first}-{last}", *more)
    return "\r\n".join([*lines, "", ""]).encode()


def body_of(sock: socket.socket, count: int, pause_s: float = 0) -> bytes:
    """The next answer's, of `count` bytes or as many as come."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += sock.recv(1) or pytest.fail("the answer has no end of its head")
    received.clear()
    while len(received) < count and (piece := sock.recv(min(2**20, count - len(received)))):
        received += piece
        time.sleep(pause_s)
    return bytes(received)


@pytest.mark.parametrize("size", [1, 16 * 1024, 16 * 1024 + 1, PART_BYTES, PART_BYTES + 1, len(FILM)])
def test_a_part_of_a_file_arrives_as_it_is_and_the_connection_goes_on(port: int, path: Path, size: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        for first in (0, len(FILM) - size, (len(FILM) - size) // 3):
            sock.sendall(asking(path, first, first + size - 1))
            assert body_of(sock, size) == FILM[first : first + size]


def test_several_that_are_asked_for_at_once_come_one_after_the_other(port: int, path: Path) -> None:
    parts = [(number * 3_000_000, (number + 1) * 3_000_000 - 1) for number in range(5)]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(b"".join(asking(path, *part) for part in parts))
        time.sleep(0.2)
        for first, last in parts:
            assert body_of(sock, last + 1 - first) == FILM[first : last + 1]


def test_a_file_reaches_those_who_take_it_slowly_and_by_little(port: int, path: Path) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", port))
        sock.sendall(asking(path, 0, 4 * PART_BYTES - 1))
        assert body_of(sock, 4 * PART_BYTES, 0.0005) == FILM[: 4 * PART_BYTES]


def test_a_file_reaches_who_still_sends_a_body(port: int, path: Path) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking(path, 5, len(FILM) - 1, "Content-Length: 1000") + b"half of it")
        assert body_of(sock, len(FILM) - 5) == FILM[5:]


def test_nothing_is_written_amid_a_file_to_who_sends_nonsense(port: int, path: Path) -> None:
    """Behind the request it costs nothing of the answer; as its body it ends it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking(path, 0, len(FILM) - 1) + b"no request")
        assert body_of(sock, len(FILM) + 1) == FILM
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking(path, 0, len(FILM) - 1, "Transfer-Encoding: chunked"))
        received = body_of(sock, PART_BYTES)
        sock.sendall(b"x\r\n")
        with suppress(ConnectionError):
            while piece := sock.recv(2**20):
                received += piece
    assert len(received) < len(FILM)
    assert FILM.startswith(received)
    assert issubclass(endings.get(timeout=30), ConnectionError)


def test_who_leaves_amid_a_file_is_not_sent_to_any_more(port: int, path: Path) -> None:
    for taken in (1, 3 * PART_BYTES):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            sock.sendall(asking(path, 0, len(FILM) - 1))
            body_of(sock, taken)
        assert issubclass(endings.get(timeout=30), ConnectionError)


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_long_part_of_a_file_ends_while_somebody_takes_it_slowly(path: Path, is_ended: bool) -> None:
    may_go_on.set()
    with running(BoundedHead) as (port, _), socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", port))
        sock.sendall(asking(path, 0, len(FILM) - 1, "Ending: perhaps"))
        received = body_of(sock, PART_BYTES)
        if is_ended:
            may_go_on.clear()
        while len(received) < len(FILM) and (piece := sock.recv(2**16)):
            received += piece
            time.sleep(0.01)
    assert FILM.startswith(received)
    assert (len(received) < len(FILM)) == is_ended
    if is_ended:
        assert endings.get(timeout=30) is ConnectionAbortedError


def test_who_takes_nothing_more_of_a_file_is_broken_off(path: Path) -> None:
    with running(Impatient) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking(path, 0, len(FILM) - 1))
        assert body_of(sock, 1)
        assert issubclass(endings.get(timeout=30), ConnectionError)


def test_who_takes_nothing_more_is_broken_off_sooner_when_the_answer_may_not_go_on(path: Path) -> None:
    may_go_on.clear()
    with running(BoundedHead) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking(path, 0, len(FILM) - 1, "ending: yes"))
        assert body_of(sock, 1)
        assert endings.get(timeout=30) is ConnectionAbortedError


@pytest.mark.parametrize("there", [0, 5, 16 * 1024, 3 * PART_BYTES])
def test_an_answer_from_a_file_that_becomes_shorter_is_cut(port: int, tmp_path: Path, there: int) -> None:
    (short := tmp_path / "short").write_bytes(FILM[:there])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking(short, 0, len(FILM) - 1))
        assert body_of(sock, len(FILM)) == FILM[:there]
    assert endings.get(timeout=30) is EOFError
