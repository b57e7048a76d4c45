"""More nodes than the stack has, each over a copy of a node's database and the same bytes, and servers of others."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cloud_service.db import FILE
from shared.localdb import die_with_parent
from tests.bench.load import connect
from tests.bench.rig import Rig
from tests.processes import children_of, free_port

STARTS_WITHIN_S = 60
STOPS_WITHIN_S = 15
CLOUD = ("shared.cli", "cloud")
OURS, FILE_RESPONSE = (("tests.bench.serving", way) for way in ("ours", "file_response"))
LONG = {"TOPTANK_TRUST_STARTING_S": "7200", "TOPTANK_TRUST_WATCHING_S": "7200"}
"""For who never hears of the VPS."""
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """Whatever answers at this address, and the processes that have a part in it."""

    url: str
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """User and system time so far, of their children too."""
        return sum(map(_cpu_s, _with_children(self.pids)))


@dataclass(frozen=True)
class Beside(Server):
    """A node of the same VPS; `folder` is its own."""

    folder: Path


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICKS_S


def _with_children(pids: Sequence[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        found += children_of(pid)
    return found


def copy_node(folder: Path, copy: Path) -> Path:
    """A node's database as it is now, and links to its files: nothing is copied that is large."""
    copy.mkdir()
    with closing(sqlite3.connect(folder / FILE)) as database, closing(sqlite3.connect(copy / FILE)) as copied:
        database.backup(copied)
    shutil.copytree(folder / "media", copy / "media", copy_function=os.link)
    return copy


@contextmanager
def node(rig: Rig, folder: Path, program: Sequence[str] = CLOUD, **settings: str) -> Iterator[Beside]:
    """The program of a node, or another that is told the same, in this folder until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    told = {"TOPTANK_CLOUD_DATA_DIR": str(folder), "TOPTANK_CLOUD_PORT": str(port), "TOPTANK_CLOUD_URL": url}
    told |= {} if program == CLOUD else LONG
    command = [sys.executable, "-P", "-m", *program]
    with running(command, rig.stack.environment() | told | settings, folder / "log") as pid:
        wait_for(lambda: httpx.get(f"{url}/health/live", trust_env=False).is_success, folder / "log")
        yield Beside(url, (pid,), folder)


@contextmanager
def running(command: Sequence[str | Path], environment: Mapping[str, str] | None, log: Path) -> Iterator[int]:
    """Its process id; what it says is in `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=Path(__file__).parents[2],
            preexec_fn=die_with_parent,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()


def wait_for(answers: Callable[[], bool], log: Path) -> None:
    """Raises TimeoutError with what it said."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        try:
            if answers():
                return
        except (httpx.TransportError, OSError):
            pass
        time.sleep(0.05)
    raise TimeoutError(log.read_text(errors="replace")[-2000:])


def listens(url: str) -> bool:
    """Raises OSError where nobody does, or has no certificate yet."""
    connect(url).close()
    return True
