"""Requests that two servers could read differently: through an edge the node never sees two in what is one."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.both.edges import BEHIND_AN_EDGE, Edge
from tests.both.people import Person
from tests.both.toptank import TopTank
from tests.both.wire import Wire

SETTINGS = BEHIND_AN_EDGE
QUIET_S = 3.0
ANSWER = re.compile(rb"HTTP/1\.[01] \d{3} ")

HONEST = "an honest length"
FRAMINGS = {
    HONEST: "Content-Length: {size}\r\n\r\n{inner}",
    "length and chunks": "Content-Length: {whole}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunks and a short length": "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunks}",
    "two lengths": "Content-Length: {whole}\r\nContent-Length: 0\r\n\r\n{inner}",
    "two lengths, the other first": "Content-Length: 0\r\nContent-Length: {whole}\r\n\r\n{inner}",
    "a list of lengths": "Content-Length: 0, {whole}\r\n\r\n{inner}",
    "a length with a sign": "Content-Length: +{size}\r\n\r\n{inner}",
    "a length with a point": "Content-Length: {size}.0\r\n\r\n{inner}",
    "a length in hexadecimal": "Content-Length: 0x{size:x}\r\n\r\n{inner}",
    "a negative length": "Content-Length: -1\r\n\r\n{inner}",
    "a length beyond counting": "Content-Length: 18446744073709551616\r\n\r\n{inner}",
    "a length behind a space": "Content-Length : {size}\r\n\r\n{inner}",
    "a length that is folded": "Content-Length:\r\n {size}\r\n\r\n{inner}",
    "chunks behind a space": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunks that are folded": "Transfer-Encoding:\r\n chunked\r\nContent-Length: {whole}\r\n\r\n0\r\n\r\n{inner}",
    "chunks behind a folded header": "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunks that are not last": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}",
    "chunks twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunks of another name": "Transfer-Encoding: xchunked\r\nContent-Length: {whole}\r\n\r\n0\r\n\r\n{inner}",
    "chunks behind a tab": "Transfer-Encoding:\tchunked\r\nContent-Length: {whole}\r\n\r\n0\r\n\r\n{inner}",
    "chunks behind a vertical tab": "Transfer-Encoding: \x0bchunked\r\nContent-Length: {whole}\r\n\r\n0\r\n\r\n{inner}",
    "chunks in capitals": "TRANSFER-ENCODING: CHUNKED\r\nContent-Length: {whole}\r\n\r\n0\r\n\r\n{inner}",
    "chunks behind a bare line feed": "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "chunks behind a bare return": "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
    "a zero byte": "X: y\0\r\nContent-Length: 0\r\n\r\n{inner}",
    "bare line feeds alone": "Content-Length: 0\n\n{inner}",
    "a size in another notation": "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{inner}",
    "a size with a sign": "Transfer-Encoding: chunked\r\n\r\n-1\r\n{inner}\r\n0\r\n\r\n",
    "a size beyond counting": "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{inner}\r\n0\r\n\r\n",
    "no size": "Transfer-Encoding: chunked\r\n\r\n\r\n{inner}\r\n0\r\n\r\n",
    "a chunk ended by a bare line feed": "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n{inner}",
    "a size ended by a bare line feed": "Transfer-Encoding: chunked\r\n\r\n0\n\n{inner}",
    "a size with an extension": "Transfer-Encoding: chunked\r\n\r\n0;a=\n\r\n\r\n{inner}",
    "a chunk that is longer": "Transfer-Encoding: chunked\r\n\r\n1\r\naaaa\r\n0\r\n\r\n{inner}",
    "a length in the trailer": "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: {size}\r\n\r\n{inner}",
    "a length that is named a hop": "Connection: Content-Length\r\nContent-Length: {size}\r\n\r\n{inner}",
    "an upgrade": "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {size}\r\n\r\n{inner}",
    "an old protocol": "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
}


@dataclass(frozen=True)
class Attack:
    """`id` is in the path of what is sent, `inner` in that of what is hidden in it."""

    id: str
    inner: str

    def written(self, method: str, framing: str, host: str) -> bytes:
        protocol = "HTTP/1.0" if framing == "an old protocol" else "HTTP/1.1"
        hidden = f"GET /{self.inner} HTTP/1.1\r\nHost: {host}\r\nX-Request-ID: {self.inner}\r\n\r\n"
        chunks = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"
        body = FRAMINGS[framing].format(inner=hidden, size=len(hidden), whole=len(hidden) + 5, chunks=chunks)
        return f"{method} /{self.id} {protocol}\r\nHost: {host}\r\n{body}".encode("latin-1")


def answers_to(base: str, sent: bytes) -> bytes:
    """All that comes back until the connection ends or is quiet."""
    got = b""
    with Wire(base) as wire:
        wire.send(sent)
        wire.socket.settimeout(QUIET_S)
        try:
            while piece := wire.socket.recv(65536):
                got += piece
        except (TimeoutError, ConnectionError):
            pass
    return got


def seen(toptank: TopTank, part: str) -> int:
    return sum(part in str(line.get("path")) for line in toptank.cloud.lines() if line["event"] == "request")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_case_56_the_node_sees_no_more_than_the_edge_answers_and_nobody_else_gets_those_answers(
    edge: Edge, toptank: TopTank, student: Person, method: str
) -> None:
    attacks = {framing: Attack(f"outer{uuid4().hex}", f"inner{uuid4().hex}") for framing in FRAMINGS}
    viewer, host = edge.person(student), urlsplit(edge.cloud).netloc
    with ThreadPoolExecutor(len(FRAMINGS)) as pool:
        answers = {
            framing: pool.submit(answers_to, edge.cloud, attack.written(method, framing, host))
            for framing, attack in attacks.items()
        }
        while not all(answer.done() for answer in answers.values()):
            mine = uuid4().hex
            got = viewer.cloud.get("/uploads/permission", headers={"X-Request-ID": mine})
            assert (got.status_code, got.headers["x-request-id"]) == (200, mine)
    time.sleep(QUIET_S)  # whatever was handed on has been logged
    for framing, attack in attacks.items():
        counted = len(ANSWER.findall(answers[framing].result()))
        assert seen(toptank, attack.id) <= 1, framing
        assert seen(toptank, attack.id) + seen(toptank, attack.inner) <= counted, framing
    honest = attacks[HONEST]
    assert (seen(toptank, honest.id), seen(toptank, honest.inner)) == (1, 0)
    for _ in range(2 * len(FRAMINGS)):
        mine = uuid4().hex
        got = viewer.cloud.get("/uploads/permission", headers={"X-Request-ID": mine})
        assert (got.status_code, got.headers["x-request-id"]) == (200, mine)
