"""One world a module, mended and audited after every case in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clips import Clips
from tests.faults.acts import Cast, make_cast
from tests.faults.audit import audit
from tests.faults.world import World, migrated_cluster, running_world


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    with migrated_cluster() as files:
        yield files


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Clips(tmp_path_factory.mktemp("clips")).film


@pytest.fixture(scope="module")
def world(
    request: pytest.FixtureRequest, cluster: Path, secrets_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A module that needs more nodes, or other settings, says so in `NODES` and `SETTINGS`."""
    folder = tmp_path_factory.mktemp("world")
    nodes, settings = getattr(request.module, "NODES", 1), getattr(request.module, "SETTINGS", {})
    with running_world(folder, secrets_folder, cluster, nodes, settings) as world:
        yield world
        world.check_no_secret_in_logs()


@pytest.fixture(scope="module")
def cast(world: World, film: bytes) -> Cast:
    return make_cast(world, film)


@pytest.fixture
def audited(world: World, cast: Cast) -> Iterator[None]:
    """For every test of a module that breaks things: `pytestmark = pytest.mark.usefixtures("audited")`."""
    yield
    world.heal()
    audit(world, cast)
