"""More connections than a process has files for cost nobody anything who is there already, or comes later."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from shared.localdb import die_with_parent
from shared.serving import FILES_BESIDE, FILES_OF_A_CONNECTION
from tests.processes import POLL_S, START_WITHIN_S, free_port

SERVER = """
import os, sys
from shared.serving import serve

async def app(scope, receive, send):
    # As a film that is sent slowly, or an upload: two files beside the connection.
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await receive()
    while (await receive())["type"] != "http.disconnect": pass
    for file in files: os.close(file)

serve(lambda: app, "127.0.0.1", int(sys.argv[1]), "PORT")
"""
AT_ONCE = 40
FILES = FILES_BESIDE + FILES_OF_A_CONNECTION * AT_ONCE
ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def _with_few_files() -> None:
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, FILES))


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Its port, and its process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], preexec_fn=_with_few_files, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: listens(port))
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Raises OSError where nobody does. The server has then seen this connection end: it counts as one no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(1) == b""


def eventually(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until:
        with suppress(OSError):
            if happens():
                return
        time.sleep(POLL_S)
    raise AssertionError("it did not happen")


def answered(sock: socket.socket) -> bool:
    try:
        sock.sendall(ASKED)
        return sock.recv(100).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


def test_as_many_are_served_as_there_are_files_for_and_others_again_once_they_left(server: tuple[int, int]) -> None:
    port, pid = server
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (FILES, FILES)
    opened = len(os.listdir(f"/proc/{pid}/fd"))
    for _ in range(2):
        crowd = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(2 * FILES)]
        assert sum(map(answered, crowd)) == AT_ONCE
        assert len(os.listdir(f"/proc/{pid}/fd")) < FILES
        for sock in crowd:
            sock.close()
        eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= opened)
