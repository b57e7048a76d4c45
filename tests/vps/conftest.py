from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.settings import vps_settings
from tests.simulator import Simulator
from tests.vps.running import Vps, running


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory, secrets_folder: Path) -> Iterator[Simulator]:
    """The payment simulator; a module whose tests sell nothing does not start it."""
    simulator = Simulator(tmp_path_factory.mktemp("simulator"), secrets_folder)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
async def vps(
    request: pytest.FixtureRequest, database_url: str, secrets_folder: Path, tmp_path: Path
) -> AsyncIterator[Vps]:
    """The VPS on a database of the test's own; `@pytest.mark.settings(...)` changes its settings."""
    changes = {name: value for mark in request.node.iter_markers("settings") for name, value in mark.kwargs.items()}
    if "simulator" in request.fixturenames:
        changes.setdefault("simulator_url", request.getfixturevalue("simulator").url)
    async with running(vps_settings(database_url, secrets_folder, tmp_path, **changes), secrets_folder) as vps:
        yield vps
