"""Answers that begin where their request was received, and become tasks only if they have to wait."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from shared.connections import PIPELINED_AT_MOST, BoundedHead
from tests.shared.server_thread import serving

KEEP_ALIVE_S = 1
BODY = "Transfer-Encoding: chunked"
asked: ContextVar[str] = ContextVar("asked", default="nothing")
begun = list[str]()
"""What was asked for and needs not be waited for any more."""
left = threading.Event()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what was asked before in the same context, with whether that is in a task, and with what is asked.

    The path says what to do first.
    """
    before = asked.get()
    name = scope["path"].rpartition("/")[2]
    asked.set(name)
    is_task = _is_task()
    if "/turn/" in scope["path"]:
        await asyncio.sleep(0)
    if "/wait/" in scope["path"]:
        await asyncio.sleep(1.5 * KEEP_ALIVE_S)
    if "/for-ever/" in scope["path"]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            name = "cancelled"
    if "/fail/" in scope["path"]:
        raise ValueError
    if "/receive/" in scope["path"]:
        name = repr(await receive())
    if "/all/" in scope["path"]:
        while (await receive()).get("more_body"):
            pass
    if "/until-gone/" in scope["path"]:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()
    begun.append(name)
    said = f"{before} {is_task} {_is_task()} {asked.get()} {name}".encode()
    headers = [(b"content-length", b"%d" % len(said)), *[(b"connection", b"close")] * ("/close/" in scope["path"])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


def _is_task() -> bool:
    return asyncio.current_task() is not None


class AtOnce(BoundedHead):
    begins_at_once = staticmethod(lambda scope: scope["path"].startswith("/now/"))


@contextmanager
def running(head_s: float = AtOnce.head_s, stalled_s: float = AtOnce.stalled_s) -> Iterator[tuple[int, uvicorn.Server]]:
    """With its port."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=type("Connection", (AtOnce,), {"head_s": head_s, "stalled_s": stalled_s}),
        lifespan="off",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    with serving(config, send_buffer=4096) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running() as (port, _):
        yield port


@pytest.fixture
def wire(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        yield sock


def asking(path: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", body]).encode()


def answer(wire: socket.socket) -> str:
    """The body of the next."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += wire.recv(1) or pytest.fail(f"the answer ends with {head!r}")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return wire.recv(length, socket.MSG_WAITALL).decode()


def test_what_never_waits_is_answered_without_a_task_and_everything_else_in_one(wire: socket.socket) -> None:
    for path, said in {
        "/now/a": "nothing False False a a",
        "/later/b": "nothing True True b b",
        "/now/turn/c": "nothing False True c c",
        "/now/wait/d": "nothing False True d d",
    }.items():
        wire.sendall(asking(path))
        assert answer(wire) == said


def test_of_those_that_come_together_one_begins_at_once_and_all_are_answered_in_their_order(
    wire: socket.socket,
) -> None:
    wire.sendall(b"".join(asking(f"/now/{number}") for number in range(50)))
    assert [answer(wire).split()[1:] for _ in range(50)] == [
        [str(number > 0), str(number > 0), str(number), str(number)] for number in range(50)
    ]


def test_who_waits_is_answered_before_those_that_come_after(wire: socket.socket) -> None:
    wire.sendall(asking("/now/wait/first"))
    wire.sendall(asking("/now/second") + asking("/now/turn/third"))
    assert [answer(wire).split()[-1] for _ in range(3)] == ["first", "second", "third"]


@pytest.mark.parametrize(
    "sent",
    [
        asking("/now/x", "Content-Length: 3", body="abc"),
        asking("/now/x", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    ],
)
def test_what_may_have_a_body_is_a_task(wire: socket.socket, sent: bytes) -> None:
    wire.sendall(sent)
    assert answer(wire) == "nothing True True x x"
    wire.sendall(asking("/now/y"))
    assert answer(wire).split()[-1] == "y"


def test_there_is_no_body_to_receive(wire: socket.socket) -> None:
    wire.sendall(asking("/now/receive/x"))
    assert answer(wire).endswith("{'type': 'http.request', 'body': b'', 'more_body': False}")


def test_a_failure_is_an_answer_too(wire: socket.socket) -> None:
    for path in ("/now/fail/x", "/now/turn/fail/x"):
        with socket.create_connection(wire.getpeername(), timeout=30) as one:
            one.sendall(asking(path))
            assert one.recv(100).startswith(b"HTTP/1.1 500")


def test_what_still_waits_when_the_server_stops_is_cancelled() -> None:
    with running() as (port, server), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking("/now/for-ever/x"))
        while not server.server_state.tasks:
            pass
        server.should_exit = True
        assert answer(sock).split()[-1] == "cancelled"


def test_a_connection_is_closed_when_nothing_is_asked_for_long_and_not_while_an_answer_is_awaited(
    wire: socket.socket,
) -> None:
    for path in ("/now/a", "/now/wait/b", "/wait/c", "/now/d"):
        wire.sendall(asking(path))
        assert answer(wire).split()[-1] == path[-1]
    assert wire.recv(1) == b""


# --- those who take more than is theirs -------------------------------------------------------------------


def test_who_asks_for_too_much_at_once_is_broken_off(wire: socket.socket) -> None:
    begun.clear()
    wire.sendall(asking("/now/wait/first"))
    wire.sendall(b"".join(asking("/now/next") for _ in range(PIPELINED_AT_MOST + 1)))
    assert said_at_last(wire) == b""
    assert "next" not in begun


def test_as_much_as_may_wait_is_answered_and_so_is_what_comes_later(wire: socket.socket) -> None:
    for _ in range(3):
        wire.sendall(asking("/now/turn/first") + asking("/now/receive/next") * PIPELINED_AT_MOST)
        assert all(answer(wire) for _ in range(1 + PIPELINED_AT_MOST))


def test_what_is_not_answered_yet_keeps_the_rest_from_being_read() -> None:
    """Or the memory for many who ask for ever would be ours."""
    with running() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(asking("/now/turn/first") + asking("/now/for-ever/second") + asking("/now/third"))
        assert answer(sock).endswith("first")
        sock.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                sock.sendall(b"\r\n" * 10_000)


@pytest.mark.parametrize(
    ("path", "behind"),
    [
        ("/now/close/a", asking("/now/behind")),
        ("/now/close/a", asking("/now/behind") * 2 * PIPELINED_AT_MOST),
        ("/now/close/" + "a" * 30_000, b"no request"),
        ("/later/close/a", asking("/now/behind") * 2),
    ],
)
def test_what_comes_behind_a_last_answer_is_no_request(path: str, behind: bytes) -> None:
    begun.clear()
    with running() as (port, _), socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", port))
        sock.sendall(asking(path) + behind)
        said = said_at_last(sock)
    assert said.count(b"HTTP/1.1 ") == said.count(b"HTTP/1.1 200") == 1
    assert begun == [path.rpartition("/")[2]]


@pytest.mark.parametrize("first", ["/later/", "/now/turn/"])
@pytest.mark.parametrize("between", [(), ("/now/b",), ("/turn/b", "/now/turn/c")], ids=len)
@pytest.mark.parametrize("nonsense", [b"no request\r\n\r\n", asking("/now/behind", BODY) + b"x\r\n"])
def test_what_cannot_be_understood_ends_a_connection_once_all_before_it_is_answered(
    first: str, between: tuple[str, ...], nonsense: bytes
) -> None:
    with running() as (port, _), socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", port))
        long = first + "a" * 30_000
        sock.sendall(b"".join(map(asking, (long, *between))) + nonsense)
        time.sleep(0.1)
        sock.sendall(asking("/now/behind"))
        said = said_at_last(sock)
    names = [path.rpartition("/")[2].encode() for path in (long, *between)]
    answers = said.split(b"HTTP/1.1 200 OK")[1:]
    assert [one.rpartition(b" ")[2] for one in answers] == names
    assert said.count(b"HTTP/1.1 ") == len(names)


def test_who_cannot_be_understood_is_told_so_when_nothing_else_is_under_way(wire: socket.socket) -> None:
    wire.sendall(asking("/now/a"))
    assert answer(wire).endswith("a")
    wire.sendall(asking("/all/b", BODY) + b"x\r\n")
    said = said_at_last(wire)
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1 ") == 1


def test_who_is_answered_hears_that_the_client_left_also_when_others_wait_behind() -> None:
    left.clear()
    with running() as (port, _):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            sock.sendall(asking("/now/turn/first") + asking("/until-gone/second") + asking("/now/third"))
            assert answer(sock).endswith("first")
        assert left.wait(30)


def said_at_last(wire: socket.socket) -> bytes:
    """Everything until the connection ends."""
    said = b""
    try:
        while piece := wire.recv(65536):
            said += piece
    except ConnectionError:
        pass
    return said


@pytest.mark.parametrize(
    ("before", "dripping"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (b"", b"G"),
        (b"GET / HT", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-", b"x"),
        (asking("/now/a"), b"\r\n"),
        (asking("/now/a") + b"GET /", b"x"),
        (asking("/a", BODY), b"1\r\nx\r\n"),
        (asking("/a", "Content-Length: 1000"), b"x"),
    ],
)
def test_who_asks_for_nothing_is_closed_whatever_else_they_send(before: bytes, dripping: bytes) -> None:
    slow = running(head_s=1.5 * KEEP_ALIVE_S)
    with slow as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(before)
        assert is_closed_while_sent(sock, dripping)


def is_closed_while_sent(sock: socket.socket, dripping: bytes) -> bool:
    """For long: again and again."""
    sock.settimeout(0.1)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            sock.sendall(dripping)
            if not sock.recv(65536):
                return True
        except TimeoutError:
            pass
        except ConnectionError:
            return True
    return False


@pytest.mark.parametrize("form", [BODY, "Content-Length: 30"])
def test_a_body_may_come_slowly(form: str) -> None:
    piece, end = (b"1\r\nx\r\n", b"0\r\n\r\n") if form == BODY else (b"x", b"")
    with running(head_s=KEEP_ALIVE_S) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        for name in ("a", "b"):
            sock.sendall(asking(f"/all/{name}", form))
            for _ in range(30):
                sock.sendall(piece)
                time.sleep(2.5 * KEEP_ALIVE_S / 30)
            sock.sendall(end)
            assert answer(sock).endswith(name)


def test_a_head_that_has_begun_may_come_slowly(wire: socket.socket) -> None:
    for path in ("/now/a", "/now/b"):
        wire.sendall(asking(path)[:10])
        time.sleep(1.5 * KEEP_ALIVE_S)
        wire.sendall(asking(path)[10:])
        assert answer(wire).endswith(path[-1])


@pytest.mark.parametrize("last", ["Connection: close", "Connection: keep-alive", "Content-Length: 1000"])
def test_who_never_takes_the_little_that_is_left_is_broken_off(last: str) -> None:
    with running(stalled_s=0.5) as (port, server), socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", port))
        sock.sendall(asking("/much/" + "x" * 30_000, last))
        until = time.monotonic() + 30
        while server.server_state.total_requests == 0 or server.server_state.connections:
            assert time.monotonic() < until, "it is still open"
            time.sleep(0.05)
