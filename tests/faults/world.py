"""The product for tests that break it: a PostgreSQL of its own, and a link that can be cut between each node and it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.localdb import LocalDatabase
from shared.secrets import make_secrets
from tests.both.toptank import Service, TopTank, eventually
from tests.databases import scratch
from tests.faults.ledger import Ledger
from tests.faults.link import Link
from tests.faults.postgres import Postgres
from tests.processes import free_port
from tests.settings import vps_settings
from vps_service.migrate import migrate

WATCHING_S, STARTING_S = 8, 4
"""For how long a node goes by what it knows of somebody who watches, and of somebody who begins to."""
QUICK = {
    "TOPTANK_TRUST_WATCHING_S": str(WATCHING_S),
    "TOPTANK_TRUST_STARTING_S": str(STARTING_S),
    "TOPTANK_VPS_TIMEOUT_S": "2",
    "TOPTANK_FEED_WAIT_S": "0.5",
    "TOPTANK_REPORT_EVERY_S": "0.5",
    "TOPTANK_PLAYBACK_TOLD_EVERY_S": "0.5",
}
MAX_NODES = 3


@contextmanager
def short_lived_folder() -> Iterator[Path]:
    """Where PostgreSQL, if it runs as another user than we do, passes through."""
    folder = Path(tempfile.mkdtemp(prefix="toptank-faults-", dir=scratch()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def migrated_cluster() -> Iterator[Path]:
    """The files of a PostgreSQL with this release's schema; nobody runs on them."""
    with short_lived_folder() as folder:
        make_secrets(folder / "secrets", nodes=MAX_NODES)
        database = LocalDatabase(folder / "postgres", durable=False)
        try:
            database.start()
            migrate(vps_settings(database.url(), folder / "secrets", folder))
        finally:
            database.stop()
        yield database.folder


class World(TopTank):
    """All that can break, and what was acknowledged in it so far."""

    def __init__(
        self, folder: Path, secrets: Path, postgres: Postgres, nodes: int = 1, settings: dict[str, str] | None = None
    ) -> None:
        self.postgres = postgres
        vps_port = free_port()
        self.links = [Link(vps_port) for _ in range(nodes)]
        super().__init__(
            folder,
            secrets,
            postgres.url(),
            {**QUICK, **(settings or {})},
            vps_port=vps_port,
            routes=[link.url for link in self.links],
        )
        self.ledger = Ledger()

    @property
    def link(self) -> Link:
        return self.links[0]

    def start(self) -> None:
        self.simulator.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        for link in self.links:
            link.close()

    def heal(self) -> None:
        """Everything runs and everything passes; what a case broke on purpose, it mends itself."""
        for link in self.links:
            link.heal()
        for service in (self.vps, *self.nodes):
            if service.has_died():
                service.stop()
            if not service.is_running:
                service.start()

    @staticmethod
    def revive(doomed: Service) -> None:
        """Waits until it has killed itself, and starts it again."""
        eventually(doomed.has_died)
        doomed.stop()
        doomed.start()


@contextmanager
def running_world(
    folder: Path, secrets: Path, cluster: Path, nodes: int = 1, settings: dict[str, str] | None = None
) -> Iterator[World]:
    make_secrets(secrets, nodes=MAX_NODES)
    with short_lived_folder() as database_folder:
        postgres = Postgres.as_copied(cluster, database_folder / "postgres")
        world = World(folder, secrets, postgres, nodes, settings)
        try:
            postgres.start()
            world.start()
            yield world
        finally:
            world.stop()
            postgres.stop()
