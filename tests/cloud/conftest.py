"""Parts of a node on a real SQLite; what answers for the VPS is outside the node and is made up."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_service.access.rights import Rights
from cloud_service.clock import VpsClock
from cloud_service.db import Database
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps
from tests.clips import Clips
from tests.cloud.made_up import VPS_URL, MadeUpVps, private_pem, public_pem
from tests.cloud.running import Answering, RunningNode, eventually, running_node

VPS_KEY, NODE_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


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
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> CloudSettings:
    """A test that needs others says so: `@pytest.mark.settings(trust_starting_s=1)`."""
    values: dict[str, Any] = {
        "environment": "local",
        "data_dir": tmp_path,
        "vps_internal_url": VPS_URL,
        "node_key": private_pem(NODE_KEY),
        "vps_public_key": public_pem(VPS_KEY),
    }
    for marker in request.node.iter_markers("settings"):
        values |= marker.kwargs
    return CloudSettings.model_validate(values)


@pytest.fixture
def made_up(anyio_backend: str) -> Iterator[MadeUpVps]:
    """What the VPS answers in this test."""
    vps = MadeUpVps(VPS_KEY)
    with vps.router:
        yield vps


@pytest.fixture
def clock() -> VpsClock:
    return VpsClock()


@pytest.fixture
async def vps(settings: CloudSettings, clock: VpsClock, made_up: MadeUpVps) -> AsyncIterator[Vps]:
    """The node's own client."""
    vps = Vps(settings, clock)
    yield vps
    await vps.close()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture
async def running(settings: CloudSettings, made_up: MadeUpVps) -> AsyncIterator[RunningNode]:
    """A node that has heard of the VPS; a module whose VPS answers otherwise makes its own."""
    Answering(made_up)
    async with running_node(settings) as running:
        await eventually(lambda: running.node and running.node.rights.position)
        yield running
