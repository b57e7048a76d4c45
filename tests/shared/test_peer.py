"""Calls to the other service go to the other service, whatever the environment says of proxies."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contract import JWKS, Jwks
from shared.peer import Peer, PeerRefused, PeerUnreachable
from shared.tokens import ServiceSigner

pytestmark = pytest.mark.anyio

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
NOBODY_LISTENS = "http://127.0.0.1:9"


class Other(BaseHTTPRequestHandler):
    """Answers as the path says: /200, /302, /503; the keys where they belong."""

    def do_GET(self) -> None:
        keys = self.path == JWKS
        self.send_response(200 if keys else int(self.path.strip("/")))
        self.send_header("Location", JWKS)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": []}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def peer(url: str) -> Peer:
    return Peer("vps", url, ServiceSigner("node-1", Ed25519PrivateKey.generate()))


async def test_a_proxy_in_the_environment_is_not_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, NOBODY_LISTENS)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    other = peer(url)
    assert await other.get(JWKS, Jwks) == Jwks(keys=[])
    await other.close()


async def test_a_redirect_is_not_followed(url: str) -> None:
    other = peer(url)
    with pytest.raises(PeerRefused) as refused:
        await other.get("/302", Jwks)
    assert refused.value.answered_status == 302
    await other.close()


async def test_silence_and_failures_are_alike(url: str) -> None:
    for other, path in ((peer(url), "/503"), (peer(NOBODY_LISTENS), JWKS)):
        with pytest.raises(PeerUnreachable):
            await other.get(path, Jwks)
        await other.close()
