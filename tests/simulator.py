"""The payment simulator as a process of its own, and what only its owner could do: change its books."""

import sqlite3
from pathlib import Path

from tests.processes import Process, free_port


class Simulator:
    def __init__(self, folder: Path, secrets: Path, webhook_url: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "TOPTANK_ENVIRONMENT": "local",
            "TOPTANK_DATA_DIR": str(folder),
            "TOPTANK_SIMULATOR_PORT": str(self.port),
            "TOPTANK_SIMULATOR_PUBLIC_URL": self.url,
            "TOPTANK_SIMULATOR_SECRET_FILE": str(secrets / "simulator_secret"),
            "TOPTANK_VPS_WEBHOOK_URL": webhook_url,
        }
        self._process: Process | None = None

    def start(self) -> None:
        log = self.folder / "simulator.log"
        self._process = Process("vps_service.simulator", self.port, self._environment, log)

    def stop(self) -> None:
        if self._process:
            self._process.stop()
        self._process = None

    def falsify(self, payment_id: str, column: str, value: object) -> None:
        """Change what the provider believes about one payment's checkout."""
        assert column in ("reference", "amount", "currency", "status")
        database = sqlite3.connect(self.folder / "simulator.sqlite3", timeout=5)
        with database:
            changed = database.execute(f"UPDATE checkouts SET {column} = ? WHERE reference = ?", (value, payment_id))
            assert changed.rowcount == 1
        database.close()

    def checkouts(self) -> int:
        return self._count("checkouts")

    def unsent_webhooks(self) -> int:
        return self._count("webhooks")

    def _count(self, table: str) -> int:
        database = sqlite3.connect(self.folder / "simulator.sqlite3", timeout=5)
        count: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        database.close()
        return count
