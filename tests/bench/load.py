"""A load of equal requests over a few connections, kept alive, from one process with one epoll.

Large answers are received into one buffer, so that the client's own cost stays small and the same for every peer.
"""

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

BUFFER_BYTES = 2**20


@dataclass(frozen=True)
class Load:
    """What one run gave."""

    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class _Connection:
    def __init__(self, address: tuple[str, int], requests: Sequence[bytes], expect: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests, self._expect = requests, expect
        self._next = 0
        self._left = 0
        self.done = 0

    def ask(self) -> None:
        self.socket.sendall(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)
        self._left = -1

    def receive(self, buffer: memoryview) -> None:
        """Take what there is; on the last byte of an answer, ask again."""
        count = self.socket.recv_into(buffer)
        if count == 0:
            raise ConnectionError("the server closed the connection")
        if self._left < 0:
            head, _, rest = bytes(buffer[: min(count, 2048)]).partition(b"\r\n\r\n")
            if not head.startswith(self._expect):
                raise ValueError(f"unexpected answer: {head[:200]!r}")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self._left = length + len(head) + 4
        self._left -= count
        if self._left == 0:
            self.done += 1
            self.ask()


def request(url: str, headers: dict[str, str], method: str = "GET") -> bytes:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def run(url: str, requests: Sequence[bytes], *, connections: int, seconds: float, status: int) -> Load:
    """Each connection goes round the requests by itself. Raises ValueError on any answer of another status."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    buffer = memoryview(bytearray(BUFFER_BYTES))
    open_connections = [
        _Connection(address, requests[number:] + requests[:number], f"HTTP/1.1 {status}".encode())
        for number in range(connections)
    ]
    with selectors.DefaultSelector() as selector:
        for connection in open_connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask()
        started = time.perf_counter()
        while (now := time.perf_counter()) < started + seconds:
            for key, _ in selector.select(timeout=1):
                key.data.receive(buffer)
    for connection in open_connections:
        connection.socket.close()
    return Load(sum(connection.done for connection in open_connections), now - started)
