"""The whole product as processes: VPS, Cloud and payment simulator, each to be killed and started again at will."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.processes import Process, free_port
from tests.settings import vps_environment
from tests.simulator import Simulator

FOLLOWERS_REQUIRED = 3
SOON_S = 10.0


def eventually(holds: Callable[[], Any], within_s: float = SOON_S) -> Any:
    """The first true value, or a failure after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (value := holds()):
        assert time.monotonic() < deadline, f"did not come about within {within_s} s"
        time.sleep(0.02)
    return value


class Service:
    """One of our programs; its log is kept over restarts."""

    def __init__(self, module: str, port: int, environment: dict[str, str], log: Path) -> None:
        self._module, self._port, self._environment, self.log = module, port, environment, log
        self.url = f"http://127.0.0.1:{port}"
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self, **changes: str) -> None:
        """`changes` are environment variables of this one run."""
        self._process = Process(self._module, self._port, self._environment | changes, self.log)

    def stop(self) -> int:
        process, self._process = self._process, None
        return process.stop() if process else 0

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is flushed."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def restart(self, **changes: str) -> None:
        self.stop()
        self.start(**changes)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it logged."""
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            if line.startswith("{"):
                yield json.loads(line)

    def requests(self, path: str) -> list[dict[str, Any]]:
        """The requests to this path that it answered; its log line comes a moment after the answer."""
        time.sleep(0.05)
        return [line for line in self.lines() if line["event"] == "request" and line["path"] == path]


class TopTank:
    def __init__(self, folder: Path, secrets: Path, database_url: str, settings: dict[str, str]) -> None:
        self.folder, self.secrets, self.database_url = folder, secrets, database_url
        self.simulator = Simulator(folder, secrets)
        vps_port, cloud_port = free_port(), free_port()
        public_keys = ("node_key", "vps_public_key")
        environment = {
            **vps_environment(database_url, secrets, folder),
            **{f"TOPTANK_{name.upper()}_FILE": str(secrets / name) for name in public_keys},
            "TOPTANK_VPS_PORT": str(vps_port),
            "TOPTANK_VPS_URL": f"http://127.0.0.1:{vps_port}",
            "TOPTANK_VPS_INTERNAL_URL": f"http://127.0.0.1:{vps_port}",
            "TOPTANK_CLOUD_PORT": str(cloud_port),
            "TOPTANK_CLOUD_URL": f"http://127.0.0.1:{cloud_port}",
            "TOPTANK_CLOUD_INTERNAL_URL": f"http://127.0.0.1:{cloud_port}",
            "TOPTANK_SIMULATOR_URL": self.simulator.url,
            "TOPTANK_FOLLOWERS_REQUIRED": str(FOLLOWERS_REQUIRED),
            "TOPTANK_UPLOAD_IDLE_S": "1",
            **settings,
        }
        self.environment = environment
        self.vps = Service("vps_service", vps_port, environment, folder / "vps.log")
        self.cloud = Service("cloud_service", cloud_port, environment, folder / "cloud.log")
        self.http = httpx.Client(timeout=30)
        self.told: set[str] = set()
        """Passwords, tokens and whatever else must be in no log."""

    def start(self) -> None:
        self.vps.start()
        self.cloud.start()

    def stop(self) -> None:
        self.http.close()
        self.cloud.stop()
        self.vps.stop()
        self.simulator.stop()

    # --- what only somebody at the server sees ------------------------------------------------------

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """On the VPS's database."""
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def node_sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """On the node's SQLite."""
        database = sqlite3.connect(self.folder / "node-1" / "node.sqlite3", timeout=5)
        try:
            with database:
                return database.execute(statement, values).fetchall()
        finally:
            database.close()

    @property
    def scratch(self) -> list[Path]:
        return list((self.folder / "node-1" / "media" / "scratch").iterdir())

    @property
    def originals(self) -> dict[tuple[str, str], int]:
        """Sizes of the stored files by owner and video."""
        videos = self.folder / "node-1" / "media" / "videos"
        return {(path.parts[-3], path.parts[-2]): path.stat().st_size for path in videos.glob("*/*/original")}

    # --- audits -----------------------------------------------------------------------------------

    def check_nothing_left_over(self) -> None:
        """Files and rows are one to one, nothing is half done."""
        rows = {(owner, video): size for owner, video, size in self.node_sql("SELECT owner_id, id, size FROM videos")}
        assert self.originals == rows
        folders = (self.folder / "node-1" / "media" / "videos").glob("*/*")
        assert {(path.parts[-2], path.parts[-1]) for path in folders} == set(rows)
        assert self.scratch == []
        assert self.node_sql("SELECT * FROM uploads") == []

    def check_no_secret_in_logs(self) -> None:
        secrets = {path.read_text().strip() for path in self.secrets.iterdir()}
        pems = {line for secret in secrets for line in secret.splitlines() if not line.startswith("-----")}
        for log in self.folder.glob("*.log"):
            text = log.read_text()
            leaked = [secret for secret in self.told | secrets | pems if secret in text]
            assert not leaked, f"{log.name} tells {leaked}"
