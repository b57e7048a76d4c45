"""The whole product as processes: VPS, Cloud nodes, payment simulator, each to be killed and started again at will."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from shared.killpoints import SETTING as KILL_AT
from shared.secrets import of_node
from tests.processes import Process, children_of, free_port, run
from tests.settings import vps_environment
from tests.simulator import Simulator
from vps_service.migrate import with_database
from vps_service.nodes.operator import add_node
from vps_service.settings import DatabaseSettings

FOLLOWERS_REQUIRED = 3
PICTURES = {"master.m3u8", "poster.jpg", "storyboard.jpg", "storyboard.vtt"}
"""What is made of a video besides its renditions."""
MILD = re.compile(r'"level": "(debug|info)"')
COMPLAINTS_AT_MOST = 20
SOON_S = 10.0
LOOK_EVERY_S = 0.02
PROCESSED_WITHIN_S = 60.0


def patience() -> float:
    """How many times as long anything may take: 1, or more on a machine that has more to do than it can."""
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def eventually(holds: Callable[[], Any], within_s: float = SOON_S) -> Any:
    """The first true value, or a failure after `within_s`, for which a busy machine has longer (`patience`).

    Whoever looks is not alone: while they sleep for too long, nobody else may have run either, and the last look is one
    that begins too late.
    """
    deadline = time.monotonic() + within_s * patience()
    while True:
        began = time.monotonic()
        if value := holds():
            return value
        assert began < deadline, f"did not come about within {within_s} s"
        began = time.monotonic()
        time.sleep(LOOK_EVERY_S)
        deadline += time.monotonic() - began - LOOK_EVERY_S


def settled(check: Callable[[], None], within_s: float = SOON_S) -> None:
    """Holds by itself within this time: what is being tidied up needs a moment."""
    deadline = time.monotonic() + within_s * patience()
    while True:
        try:
            check()
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Service:
    """One of our programs; its log is kept over restarts."""

    def __init__(self, module: str, port: int, environment: dict[str, str], log: Path) -> None:
        self._module, self.port, self._environment, self.log = module, port, environment, log
        self.url = f"http://127.0.0.1:{port}"
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and not self._process.was_killed()

    def start(self, **changes: str) -> None:
        """`changes` are environment variables of this one run."""
        self.launch(**changes)
        self.wait_until_it_answers()

    def launch(self, **changes: str) -> None:
        """As `start`, without waiting for it."""
        self._process = Process(self._module, self.port, self._environment | changes, self.log, wait=False)

    def wait_until_it_answers(self) -> None:
        assert self._process is not None
        self._process.wait_until_it_answers()

    def start_doomed(self, point: str, **changes: str) -> None:
        """It will kill itself when it comes to this kill point (`name` or `name:times`)."""
        environment = self._environment | changes | {KILL_AT: point}
        self._process = Process(self._module, self.port, environment, self.log, doomed=True)

    def has_died(self) -> bool:
        """Whether it was killed, by itself or from outside."""
        return self._process is not None and self._process.was_killed()

    def stop(self) -> int:
        process, self._process = self._process, None
        return process.stop() if process else 0

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is flushed."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """It hangs: its sockets take what is sent, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self, **changes: str) -> None:
        self.stop()
        self.start(**changes)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it logged, but for a line that is being written."""
        whole, _, _ = (self.log.read_text() if self.log.exists() else "").rpartition("\n")
        for line in whole.splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    def requests(self, path: str) -> list[dict[str, Any]]:
        """The requests to this path that it answered; its log line comes a moment after the answer."""
        time.sleep(0.1 * patience())
        return [line for line in self.lines() if line["event"] == "request" and line["path"] == path]


class Worker(Service):
    """Of a node; it listens nowhere. Tests that need it start it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        super().__init__("cloud_service.processing", 0, environment, log)

    def another(self) -> "Worker":
        """Of the same node."""
        return Worker(self._environment, self.log.with_name(f"another-{self.log.name}"))

    def start(self, **changes: str) -> None:
        self.launch(**changes)

    def start_doomed(self, point: str, **changes: str) -> None:
        self.launch(**changes, **{KILL_AT: point})

    def ffmpeg(self) -> int:
        """The process id of the one that makes the first rendition, as soon as there is one."""
        (pid,) = eventually(lambda: children_of(self.pid, "ffmpeg", "/sd.mp4"), PROCESSED_WITHIN_S)
        return int(pid)


class Node(Service):
    """A Cloud node, its files, and its SQLite as only somebody at its machine sees it."""

    def __init__(self, number: int, folder: Path, secrets: Path, vps_url: str, environment: dict[str, str]) -> None:
        self.id = f"node-{number}"
        self.public_key = secrets / of_node("node_public_key", number)
        self.folder = folder / self.id
        port = free_port()
        own = {
            "TOPTANK_NODE_ID": self.id,
            "TOPTANK_NODE_KEY_FILE": str(secrets / of_node("node_key", number)),
            "TOPTANK_VPS_PUBLIC_KEY_FILE": str(secrets / "vps_public_key"),
            "TOPTANK_VPS_INTERNAL_URL": vps_url,
            "TOPTANK_CLOUD_PORT": str(port),
            "TOPTANK_CLOUD_URL": f"http://127.0.0.1:{port}",
        }
        super().__init__("cloud_service", port, environment | own, folder / f"{self.id}.log")
        self.worker = Worker(environment | own, folder / f"{self.id}-worker.log")

    @property
    def database(self) -> Path:
        return self.folder / "node.sqlite3"

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self.database, timeout=5)
        try:
            with database:
                return database.execute(statement, values).fetchall()
        finally:
            database.close()

    @property
    def scratch(self) -> list[Path]:
        return list((self.folder / "media" / "scratch").iterdir())

    @property
    def originals(self) -> dict[tuple[str, str], int]:
        """Sizes of the stored files by owner and video."""
        videos = self.folder / "media" / "videos"
        found = {}
        for path in videos.glob("*/*/original"):
            with suppress(FileNotFoundError):  # it was being deleted
                found[path.parts[-3], path.parts[-2]] = path.stat().st_size
        return found

    def check_nothing_left_over(self) -> None:
        """Files and rows are one to one, each with what a lost database would be rebuilt from; nothing is half done."""
        rows = {(owner, video): size for owner, video, size in self.sql("SELECT owner_id, id, size FROM videos")}
        assert self.originals == rows
        self._check_files_of_videos()
        assert self.scratch == []
        assert self.sql("SELECT * FROM uploads") == []
        unfinished = {
            upload for (upload,) in self.sql("SELECT id FROM resumable_uploads WHERE id NOT IN (SELECT id FROM videos)")
        }
        assert {path.name for path in self._lying_in("parts")} == unfinished
        assert {path.name for path in self._lying_in("work")} <= self._videos_in("SELECT video_id FROM jobs")
        assert self._videos_in("SELECT video_id FROM jobs") == self._videos_in(
            "SELECT id FROM videos WHERE status = 'processing'"
        )
        assert self._videos_in("SELECT video_id FROM captions") <= {video for _, video in rows}

    def _lying_in(self, name: str) -> list[Path]:
        folder = self.folder / "media" / name
        return list(folder.iterdir()) if folder.exists() else []

    def _videos_in(self, question: str) -> set[str]:
        return {video for (video,) in self.sql(question)}

    def _check_files_of_videos(self) -> None:
        """Each has what its row and its captions say, and nothing else but pictures of it."""
        captions = defaultdict[str, set[str]](set)
        for video, language in self.sql("SELECT video_id, language FROM captions"):
            captions[video].add(f"captions.{language}.vtt")
        kept = defaultdict[str, set[str]](set)
        for path in (self.folder / "media" / "videos").glob("*/*/*"):
            kept[path.parent.name].add(path.name)
        for video, renditions in self.sql("SELECT id, renditions FROM videos"):
            made = {f"{one['name']}.{ending}" for one in json.loads(renditions) for ending in ("mp4", "m3u8")}
            wanted = {"original", "video.json"} | made | captions[video]
            assert wanted <= kept[video] <= wanted | PICTURES, (
                video,
                kept[video],
            )


class TopTank:
    """`vps_port` and `routes` (how each node reaches the VPS, one URL a node) are for who puts something between."""

    def __init__(
        self,
        folder: Path,
        secrets: Path,
        database_url: str,
        settings: dict[str, str],
        *,
        vps_port: int | None = None,
        routes: Sequence[str | None] = (None,),
    ) -> None:
        self.folder, self.secrets, self.database_url = folder, secrets, database_url
        self.simulator = Simulator(folder, secrets)
        port = vps_port or free_port()
        vps_url = f"http://127.0.0.1:{port}"
        self.environment = {
            **vps_environment(database_url, secrets, folder),
            "TOPTANK_VPS_PORT": str(port),
            "TOPTANK_VPS_URL": vps_url,
            "TOPTANK_SIMULATOR_URL": self.simulator.url,
            "TOPTANK_FOLLOWERS_REQUIRED": str(FOLLOWERS_REQUIRED),
            **settings,
        }
        for_nodes = {
            "TOPTANK_ENVIRONMENT": "local",
            "TOPTANK_DATA_DIR": str(folder),
            "TOPTANK_VPS_URL": vps_url,
            "TOPTANK_VPS_TIMEOUT_S": "10",
            **settings,
        }
        self.vps = Service("vps_service", port, self.environment, folder / "vps.log")
        self.nodes = [
            Node(number, folder, secrets, route or vps_url, for_nodes) for number, route in enumerate(routes, start=1)
        ]
        self.http = httpx.Client(timeout=30)
        self.told: set[str] = set()
        """Passwords, tokens and whatever else must be in no log."""

    def start(self) -> None:
        for node in self.nodes:
            self.admit(node)
        for service in (self.vps, *self.nodes):
            service.launch()
        for service in (self.vps, *self.nodes):
            service.wait_until_it_answers()

    def admit(self, node: Node) -> None:
        """As `toptank add-node` does."""
        settings = DatabaseSettings(database_url=self.database_url)
        asyncio.run(with_database(settings, lambda sessions: add_node(sessions, node.id, node.public_key.read_text())))

    def operate(self, *arguments: str) -> str:
        """What an operator's command about nodes says when it succeeds."""
        made = run("vps_service.nodes.operator", *arguments, environment=self.environment)
        assert made.returncode == 0, made.stderr
        return made.stdout

    def stop(self) -> None:
        self.http.close()
        for node in self.nodes:
            node.worker.stop()
            node.stop()
        self.vps.stop()
        self.simulator.stop()

    # --- what only somebody at the server sees ------------------------------------------------------

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """On the VPS's database."""
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    # --- the first node, for tests that know of no other ----------------------------------------------

    @property
    def cloud(self) -> Node:
        return self.nodes[0]

    def node_sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.cloud.sql(statement, *values)

    @property
    def scratch(self) -> list[Path]:
        return self.cloud.scratch

    @property
    def originals(self) -> dict[tuple[str, str], int]:
        return self.cloud.originals

    def complaints(self) -> str:
        """The last warnings and errors in each log."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            lines = [line for line in log.read_text().splitlines() if not MILD.search(line)]
            found += lines[-COMPLAINTS_AT_MOST:]
        return "\n".join(found)

    def all_is_heard(self) -> bool:
        """Whether the node has heard of every change until now."""
        heard = self.node_sql("SELECT value FROM remembered WHERE name = 'feed_position'")
        return [(int(number),) for (number,) in heard] == self.sql("SELECT last FROM change_counter")

    # --- audits -----------------------------------------------------------------------------------

    def check_nothing_left_over(self) -> None:
        for node in self.nodes:
            node.check_nothing_left_over()

    def check_no_secret_in_logs(self) -> None:
        secrets = {path.read_text().strip() for path in self.secrets.iterdir()}
        pems = {line for secret in secrets for line in secret.splitlines() if not line.startswith("-----")}
        for log in self.folder.glob("*.log"):
            text = log.read_text()
            leaked = [secret for secret in self.told | secrets | pems if secret in text]
            assert not leaked, f"{log.name} tells {leaked}"
