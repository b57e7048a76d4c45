"""`toptank up [--nodes N]`: the whole stack on this machine, each service a process of its own.

Everything is kept in the data folder: database, videos, secrets, logs. Ctrl-C ends it cleanly; the next start goes on.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import Self

from pydantic import Field

from shared import local_environment
from shared.folders import FolderInUse, hold
from shared.localdb import LocalDatabase, LocalDatabaseError, die_with_parent
from shared.ports import bind
from shared.secrets import make_secrets, of_node
from shared.settings import Settings, load, stop

NODE_PORTS_APART = 10
READY_WITHIN_S = 30
ANSWER_WITHIN_S = 5
STOP_WITHIN_S = 15


class StackSettings(Settings):
    """Where everything listens; whatever else the services can be told goes through to them untouched."""

    vps_host: str = "127.0.0.1"
    vps_port: int = Field(8000, ge=1, le=65535)
    cloud_host: str = "127.0.0.1"
    cloud_port: int = Field(8001, ge=1, le=65535)
    simulator_host: str = "127.0.0.1"
    simulator_port: int = Field(8002, ge=1, le=65535)
    catcher_host: str = "127.0.0.1"
    catcher_port: int = Field(8003, ge=1, le=65535)
    catcher_smtp_port: int = Field(8004, ge=1, le=65535)
    database_url: str | None = None


EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Addresses to listen on that are none to call, and what to call instead."""


@dataclass(frozen=True)
class Program:
    """`node` is the number of the Cloud node that it is, or belongs to."""

    name: str
    command: str
    about: str
    node: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Service(Program):
    """A program that listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What people on this machine are told."""
        return f"http://localhost:{self.port}" if self.host in ("127.0.0.1", *EVERYWHERE) else self.reach

    @property
    def reach(self) -> str:
        """Where the other services find it."""
        host = self._reached_at
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def _reached_at(self) -> str:
        return EVERYWHERE.get(self.host, self.host)

    def answers(self, path: str) -> bool:
        """Whether it finds nothing wrong there."""
        connection = HTTPConnection(self._reached_at, self.port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


class Stack:
    """The running processes. Leaving the block ends them, the last started first."""

    def __init__(self, settings: StackSettings, nodes: int = 1) -> None:
        self.settings = settings
        self.folder = settings.data_dir.absolute()
        self.database = LocalDatabase(self.folder / "postgres")
        self.simulator = Service(
            "simulator", "simulator", "payment simulator", settings.simulator_host, settings.simulator_port
        )
        self.catcher = Service(
            "catcher", "catcher", "mail catcher: nothing is sent", settings.catcher_host, settings.catcher_port
        )
        self.vps = Service("vps", "vps", "users, courses, payments, keys", settings.vps_host, settings.vps_port)
        self.nodes = [self._node(number) for number in range(1, nodes + 1)]
        self.workers = [self._worker(number) for number in range(1, nodes + 1)]
        self.services = [self.simulator, self.catcher, self.vps, *self.nodes]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _node(self, number: int) -> Service:
        """The first is `cloud`; others have a number, and ports ten apart."""
        about = f"uploads and streaming ({self._node_id(number)})"
        port = self.settings.cloud_port + NODE_PORTS_APART * (number - 1)
        return Service(of_node("cloud", number), "cloud", about, self.settings.cloud_host, port, node=number)

    def _worker(self, number: int) -> Program:
        return Program(of_node("worker", number), "worker", f"processing ({self._node_id(number)})", node=number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name, process in reversed(self.processes.items()):
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                print(f"toptank: {name} did not stop in {STOP_WITHIN_S} s and was ended", file=sys.stderr)
                process.kill()
                process.wait()
        self.database.stop()

    def environment(self) -> dict[str, str]:
        """What the services are told: local mode, our secrets, our URLs; the caller's own settings come first."""
        told = {
            "TOPTANK_ENVIRONMENT": "local",
            "TOPTANK_DATABASE_URL": self.database.url(),
            "TOPTANK_VPS_URL": self.vps.url,
            "TOPTANK_VPS_INTERNAL_URL": self.vps.reach,
            "TOPTANK_VPS_WEBHOOK_URL": f"{self.vps.reach}/api/payments/webhooks/simulator",
            "TOPTANK_CLOUD_URL": self.nodes[0].url,
            "TOPTANK_SIMULATOR_URL": self.simulator.reach,
            "TOPTANK_SIMULATOR_PUBLIC_URL": self.simulator.url,
        }
        if not os.environ.get("TOPTANK_SMTP_HOST"):
            told |= {
                "TOPTANK_SMTP_HOST": EVERYWHERE.get(self.settings.catcher_host, self.settings.catcher_host),
                "TOPTANK_SMTP_PORT": str(self.settings.catcher_smtp_port),
                "TOPTANK_SMTP_SECURITY": "none",
                "TOPTANK_PHONE_PROVIDER": "local",
            }
        for name in ("access_key", "vps_key", "vps_public_key", "node_key", "simulator_secret", "codes_key"):
            told[f"TOPTANK_{name.upper()}_FILE"] = str(self._secret(name))
        return {**os.environ, **{name: value for name, value in told.items() if not os.environ.get(name)}} | {
            "TOPTANK_DATA_DIR": str(self.folder)
        }

    def _environment_of(self, program: Program) -> dict[str, str]:
        """Nodes but for the first have their own name, key and address."""
        environment = self.environment()
        if program.node and program.node > 1:
            node = self.nodes[program.node - 1]
            environment |= {
                "TOPTANK_NODE_ID": self._node_id(program.node),
                "TOPTANK_NODE_KEY_FILE": str(self._secret(of_node("node_key", program.node))),
                "TOPTANK_CLOUD_PORT": str(node.port),
                "TOPTANK_CLOUD_URL": node.url,
            }
        return environment

    def _secret(self, name: str) -> Path:
        return self.folder / "secrets" / name

    @staticmethod
    def _node_id(number: int) -> str:
        own = os.environ.get("TOPTANK_NODE_ID")
        return own if number == 1 and own else f"node-{number}"

    def start(self) -> None:
        """Ends the process with one line when something is in the way."""
        try:
            # Two stacks in one folder would share its database, and the first to stop would take it from the other.
            self._lock = hold(self.folder)
            self.folder.chmod(0o711)  # whoever PostgreSQL runs as passes through; what is inside is closed
        except FolderInUse:
            stop(f"another toptank up is running in {self.folder}")
        except OSError as error:
            stop(f"{self.folder} cannot be used: {error.strerror}")
        smtp = Service("mail", "catcher_smtp", "", self.settings.catcher_host, self.settings.catcher_smtp_port)
        for service in (*self.services, smtp):
            self._check_free(service)
        try:
            make_secrets(self.folder / "secrets", nodes=len(self.nodes))
            (self.folder / "logs").mkdir(parents=True, exist_ok=True)
            if self.settings.database_url is None:
                self.database.start()
        except (LocalDatabaseError, OSError) as error:
            stop(str(error))
        local_environment.write(self.folder, self.environment())
        self._run("migrate")
        for number in range(1, len(self.nodes) + 1):
            self._run("add-node", self._node_id(number), str(self._secret(of_node("node_public_key", number))))
        for program in (*self.services, *self.workers):
            self._start(program)
        for service in self.services:
            self._wait_until_ready(service)

    @staticmethod
    def _command(*words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "shared.cli", *words]

    def _run(self, *words: str) -> None:
        """To its end; one that fails has said why and ends us too."""
        done = subprocess.run(self._command(*words), env=self.environment(), stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)

    @staticmethod
    def _check_free(service: Service) -> None:
        try:
            bind(service.host, service.port).close()
        except OSError as error:
            setting = f"TOPTANK_{service.command.upper()}_PORT"
            stop(f"{service.host}:{service.port} is not free ({error.strerror}); set {setting} to another port")

    def log_file(self, program: Program) -> Path:
        return self.folder / "logs" / f"{program.name}.log"

    def _start(self, program: Program) -> None:
        with self.log_file(program).open("ab") as log:
            self.processes[program.name] = subprocess.Popen(
                self._command(program.command),
                env=self._environment_of(program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                start_new_session=True,  # Ctrl-C reaches us only, and we end them in order
            )

    def _wait_until_ready(self, service: Service) -> None:
        path = "/health/live" if service in (self.simulator, self.catcher) else "/health/ready"
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and not self.fallen():
            if service.answers(path):
                return
            time.sleep(0.1)
        blamed = next((other for other in (*self.services, *self.workers) if other.name == self.fallen()), service)
        last = self.log_file(blamed).read_text(errors="replace").strip().splitlines()[-1:]
        stop(f"{blamed.name} did not start: {''.join(last) or self.log_file(blamed)}")

    def fallen(self) -> str | None:
        """The name of a service that has ended by itself."""
        return next((name for name, process in self.processes.items() if process.poll() is not None), None)


class _Stopped(Exception):
    pass


def _raise_stopped(_: int, __: FrameType | None) -> None:
    raise _Stopped


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank up", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1, help="how many Cloud nodes to run (default: 1)")
    nodes = parser.parse_args().nodes
    if nodes < 1:
        parser.error("--nodes must be at least 1")
    settings = load(StackSettings)
    os.umask(0o077)  # for our processes too: logs and databases are nobody else's business
    signal.signal(signal.SIGTERM, _raise_stopped)
    signal.signal(signal.SIGINT, _raise_stopped)
    with Stack(settings, nodes) as stack:
        try:
            stack.start()
            print(f"TopTank is running; its data is in {stack.folder}\n")
            for service in (stack.vps, *stack.nodes, stack.simulator, stack.catcher):
                print(f"  {service.url:24} {service.about}")
            for worker in stack.workers:
                print(f"  {'':24} {worker.about}")
            print("\nTry it in another terminal: .venv/bin/toptank demo\nCtrl-C stops it.", flush=True)
            while not (name := stack.fallen()):
                time.sleep(0.5)
            stop(f"{name} ended by itself; see {stack.folder / 'logs' / name}.log")
        except _Stopped:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("\nstopping", flush=True)


if __name__ == "__main__":
    main()
