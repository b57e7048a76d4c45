"""The database is started once: by the controller when tests run in parallel, else by the first test that needs it."""

import gc
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.secrets import make_secrets

TEMPLATE = "TOPTANK_TEST_TEMPLATE_URL"
"""How the controller tells its workers where the migrated template is."""
SLOWEST = ("tests/faults/", "tests/both/", "tests/cloud/processing/", "tests/vps/")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(**changes): settings of the service under test")
    # Programs are started by the hundred: what is compiled at every start costs more than what most of them do.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Nobody here speaks TLS, and to read every authority that a machine trusts takes 40 ms a client.
    os.environ |= {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "/nowhere"}
    for name in [name for name in os.environ if name.startswith("TOPTANK_") and not name.startswith("TOPTANK_TEST_")]:
        del os.environ[name]  # what this machine's own installation is told is not for the one under test
    if config.getoption("numprocesses", None):
        os.environ[TEMPLATE] = _start(config)


def _start(config: pytest.Config) -> str:
    from tests.databases import migrated_database  # slow to import, and not every run needs it

    stack = ExitStack()
    config.add_cleanup(stack.close)
    return stack.enter_context(migrated_database())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that no worker is left with one of them when the others have finished."""
    items.sort(key=lambda item: next((n for n, place in enumerate(SLOWEST) if place in item.nodeid), len(SLOWEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Why a service did what a test did not expect is in its log."""
    report = yield
    for name in ("toptank", "world"):
        if report.failed and (running := getattr(item, "funcargs", {}).get(name)):
            report.sections.append((f"what {name} complained of last", running.complaints()))
    return report


def pytest_collection_finish() -> None:
    """What is imported by now stays: no collection has to look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def template_url(pytestconfig: pytest.Config) -> str:
    return os.environ.get(TEMPLATE) or _start(pytestconfig)


@pytest.fixture
def database_url(template_url: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    from tests.databases import copy_of

    with copy_of(template_url) as url:
        yield url


@pytest.fixture(scope="session")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installation") / "secrets"
    make_secrets(folder)
    return folder
