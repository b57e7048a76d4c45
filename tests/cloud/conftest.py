"""Parts of a node on a real SQLite; what answers for the VPS is outside the node and is made up."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import respx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_service.access.rights import Rights
from cloud_service.db import Database
from shared.contract import VPS
from shared.peer import Peer
from shared.tokens import ServiceSigner
from tests.clips import Clips

VPS_URL = "http://vps.test"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.sqlite3"


@pytest.fixture
async def database(path: Path, anyio_backend: str) -> AsyncIterator[Database]:
    database = await Database.open(path)
    yield database
    await database.close()


@pytest.fixture
async def rights(database: Database) -> Rights:
    rights = Rights(database)
    await rights.load()
    return rights


@pytest.fixture
def vps() -> respx.MockRouter:
    """What the VPS answers in this test."""
    return respx.mock(base_url=VPS_URL, assert_all_called=False)


@pytest.fixture
async def peer(vps: respx.MockRouter, anyio_backend: str) -> AsyncIterator[Peer]:
    with vps:
        peer = Peer(VPS, VPS_URL, ServiceSigner("node-1", Ed25519PrivateKey.generate()))
        yield peer
        await peer.close()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))
