"""HTTP spoken by hand over a socket, so that it can stop, stall or lie wherever a test wants."""

import http.client
import select
import socket
import struct
from dataclasses import dataclass
from email.message import Message
from typing import Any, Self
from urllib.parse import urlsplit

SMALL_BUFFER = 64 * 1024


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


class Wire:
    """One connection, from `source` if that is given.

    Its buffers are small, so that what was sent was nearly all taken by the other side.
    """

    def __init__(self, url: str, timeout_s: float = 15, source: str | None = None) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, buffer, SMALL_BUFFER)
        self.socket.settimeout(timeout_s)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((parts.hostname, parts.port))
        self.host = parts.netloc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, method: str, target: str, headers: dict[str, str]) -> Self:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *(f"{k}: {v}" for k, v in headers.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self

    def send(self, content: bytes) -> Self:
        try:
            self.socket.sendall(content)
        except BrokenPipeError:
            raise AssertionError(self.answer()) from None
        return self

    def send_chunk(self, content: bytes) -> Self:
        """One chunk of a chunked body; an empty one ends it."""
        self.socket.sendall(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        return self

    def send_until_answered(self, block: bytes, at_most: int) -> int:
        """Sends blocks until an answer is there or nobody reads any more; the number of bytes that were taken."""
        sent = 0
        self.socket.setblocking(False)
        try:
            while sent < at_most and not self.has_answer():
                try:
                    sent += self.socket.send(block)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    break
        finally:
            self.socket.settimeout(15)
        return sent

    def has_answer(self) -> bool:
        """Whether an answer, or the end, has begun to come."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def answer(self, method: str = "GET") -> Answer:
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        return Answer(response.status, response.headers, response.read())

    def headers(self) -> http.client.HTTPResponse:
        """The answer without its body, which is still to be read."""
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        return response

    def finish(self) -> None:
        """FIN: an orderly close."""
        self.socket.close()

    def reset(self) -> None:
        """RST: the connection breaks."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def upload(cloud: str, token: str, lesson_id: str, declared: int | None, **more: Any) -> Wire:
    """A POST /videos whose body is still to be sent; chunked when no length is declared."""
    return upload_to(cloud, token, f"lesson_id={lesson_id}", declared, {}, **more)


def upload_to(cloud: str, token: str, place: str, declared: int | None, headers: dict[str, str], **more: Any) -> Wire:
    """As `upload`, into whatever place the query names."""
    framing = {"Transfer-Encoding": "chunked"} if declared is None else {"Content-Length": str(declared)}
    wire = Wire(cloud, **more)
    return wire.request("POST", f"/videos?{place}", {"Authorization": f"Bearer {token}", **framing, **headers})
