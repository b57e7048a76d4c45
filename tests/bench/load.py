"""A load of equal requests over a few connections, kept alive, from one process with one epoll.

Large answers are received into one buffer, so that the client's own cost stays small and the same for every peer.
"""

import json
import resource
import selectors
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

BUFFER_BYTES = 2**20
HEAD_BYTES = 2048
CONNECTIONS = 16
OPEN_FILES = 16_384
_TRUSTING = ssl.create_default_context()
_TRUSTING.check_hostname, _TRUSTING.verify_mode = False, ssl.CERT_NONE


def let_open_files(pid: int) -> None:
    """As many as there are of a crowd and more. Our services and Caddy do so for themselves, for nginx its operator."""
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


@dataclass(frozen=True)
class Load:
    """What one run gave; `received` are all bytes, those of answers that were not awaited too.

    `waits` are the seconds from each request to the last byte of its answer; `refused` were told to come back later.
    """

    requests: int
    received: int
    seconds: float
    waits: list[float] = field(default_factory=list, repr=False)
    refused: int = 0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Answer:
    """One that is being received: `expect` is how it has to begin, in one of several ways."""

    def __init__(self, *expect: bytes) -> None:
        self._expect = expect
        self._left = -1
        self.is_refusal = False

    def take(self, received: memoryview) -> bool:
        """Whether that was the last of it. Raises ValueError when it is another than was expected."""
        if self._left < 0:
            head, _, _ = bytes(received[:HEAD_BYTES]).partition(b"\r\n\r\n")
            if not head.startswith(self._expect):
                raise ValueError(f"unexpected answer: {head[:200]!r}")
            self.is_refusal = not head.startswith(self._expect[0])
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self._left = length + len(head) + 4
        self._left -= len(received)
        return self._left == 0


class _Connection:
    def __init__(self, url: str, requests: Iterator[bytes], expect: Sequence[bytes]) -> None:
        self.socket = connect(url)
        self._requests, self._expect = requests, expect
        self._answer = Answer(*expect)
        self.received = self.refused = 0
        self.waits: list[float] = []
        self._asked_at = 0.0

    def ask(self) -> bool:
        """False when there is nothing more to ask."""
        wanted = next(self._requests, None)
        if wanted is None:
            return False
        self._asked_at = time.perf_counter()
        self.socket.sendall(wanted)
        self._answer = Answer(*self._expect)
        return True

    def receive(self, buffer: memoryview) -> bool:
        """Take what there is; on the last byte of an answer, ask again. False at the end."""
        count = self.socket.recv_into(buffer)
        if count == 0:
            raise ConnectionError("the server closed the connection")
        self.received += count
        if not self._answer.take(buffer[:count]):
            return True
        self.waits.append(time.perf_counter() - self._asked_at)
        self.refused += self._answer.is_refusal
        return self.ask()


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def connect(url: str) -> socket.socket:
    """By TLS if the address says so, whoever's the certificate is."""
    host, port = address_of(url)
    sock = socket.create_connection((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _TRUSTING.wrap_socket(sock, server_hostname=host) if url.startswith("https:") else sock


def request(url: str, headers: dict[str, str], method: str = "GET", body: object = None) -> bytes:
    """As it goes over the wire, with a body in JSON if one is given."""
    parts = urlsplit(url)
    content = b"" if body is None else json.dumps(body).encode()
    told = {"Content-Type": "application/json", "Content-Length": str(len(content))} if content else {}
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers | told).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def run(
    url: str,
    requests: Sequence[bytes],
    *,
    status: int,
    seconds: float | None = 2.0,
    connections: int = CONNECTIONS,
    refusal: int | None = None,
) -> Load:
    """Connections share the requests out and go round them for `seconds`, or once each without a limit.

    Of n connections each has those of every nth place. Raises ValueError on any answer of another status, unless it
    is that `refusal`.
    """
    buffer = memoryview(bytearray(BUFFER_BYTES))
    expect = [f"HTTP/1.1 {one}".encode() for one in (status, refusal) if one]
    shares = [requests[number % len(requests) :: connections] for number in range(connections)]
    opened = [_Connection(url, iter(share) if seconds is None else cycle(share), expect) for share in shares]
    with selectors.DefaultSelector() as selector:
        for connection in opened:
            if connection.ask():
                selector.register(connection.socket, selectors.EVENT_READ, connection)
        started = time.perf_counter()
        while selector.get_map() and (seconds is None or time.perf_counter() < started + seconds):
            for key, _ in selector.select(timeout=1):
                if not key.data.receive(buffer):
                    selector.unregister(key.fileobj)
        took = time.perf_counter() - started
    for connection in opened:
        connection.socket.close()
    waits = [wait for one in opened for wait in one.waits]
    received, refused = (sum(getattr(one, what) for one in opened) for what in ("received", "refused"))
    return Load(len(waits), received, took, waits, refused)
