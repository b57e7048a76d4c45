from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.mail_server import MailServer
from tests.settings import vps_settings
from tests.simulator import Simulator
from tests.vps.running import Vps, running
from vps_service import jobs

NOT_IN_A_TEST_S = (3600.0, 3600.0)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory, secrets_folder: Path) -> Iterator[Simulator]:
    """The payment simulator; a module whose tests sell nothing does not start it."""
    simulator = Simulator(tmp_path_factory.mktemp("simulator"), secrets_folder)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def mail_server() -> MailServer:
    """Where the VPS of this test hands over its mail, for as long as that runs; without it, mails stay in the queue."""
    return MailServer()


@pytest.fixture
async def vps(
    request: pytest.FixtureRequest, database_url: str, secrets_folder: Path, tmp_path: Path
) -> AsyncIterator[Vps]:
    """The VPS on a database of the test's own; `@pytest.mark.settings(...)` changes its settings.

    What it would do once a minute or less it leaves undone: it would take the rows that a test counts, or do what a
    test wants done by another. A service that a test starts itself does it as ever.
    """
    changes = {name: value for mark in request.node.iter_markers("settings") for name, value in mark.kwargs.items()}
    if "simulator" in request.fixturenames:
        changes.setdefault("simulator_url", request.getfixturevalue("simulator").url)
    async with AsyncExitStack() as stack:
        if "mail_server" in request.fixturenames:
            server: MailServer = request.getfixturevalue("mail_server")
            await server.start()
            stack.push_async_callback(server.stop)
            changes = server.settings | changes
        settings = vps_settings(database_url, secrets_folder, tmp_path, **changes)
        with pytest.MonkeyPatch.context() as while_it_starts:
            while_it_starts.setattr(jobs, "AFTER_START_S", NOT_IN_A_TEST_S)
            vps = await stack.enter_async_context(running(settings, secrets_folder))
        yield vps
