"""Both services as processes, once a module, on a database of its own; audited when the module is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.secrets import make_secrets
from tests.both.edges import EDGES, Edge, edge_before
from tests.both.people import Person, make_student, make_teacher
from tests.both.toptank import TopTank, settled
from tests.clips import Clips
from tests.databases import copy_of


@pytest.fixture(scope="module")
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """A module that needs others says so in `SETTINGS`, or by a fixture of this name."""
    told: dict[str, str] = getattr(request.module, "SETTINGS", {})
    return told


@pytest.fixture(scope="module")
def toptank(
    request: pytest.FixtureRequest,
    settings: dict[str, str],
    template_url: str,
    secrets_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TopTank]:
    """A module that needs more nodes says so in `NODES`."""
    nodes = getattr(request.module, "NODES", 1)
    folder = tmp_path_factory.mktemp("toptank")
    secrets = secrets_folder if nodes == 1 else folder / "secrets"
    make_secrets(secrets, nodes=nodes)
    with copy_of(template_url) as database_url:
        toptank = TopTank(folder, secrets, database_url, settings, routes=[None] * nodes)
        try:
            toptank.start()
            yield toptank
            settled(toptank.check_nothing_left_over)
            toptank.check_no_secret_in_logs()
        finally:
            toptank.stop()


@pytest.fixture(scope="module", params=EDGES)
def edge(request: pytest.FixtureRequest, toptank: TopTank) -> Iterator[Edge]:
    """Whoever asks for it is tried behind each edge that is installed; the module's `SETTINGS` are BEHIND_AN_EDGE."""
    with edge_before(toptank, request.param) as edge:
        yield edge


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def teacher(toptank: TopTank) -> Person:
    """A verified one."""
    return make_teacher(toptank)


@pytest.fixture(scope="module")
def student(toptank: TopTank) -> Person:
    return make_student(toptank)
