"""`toptank up` as somebody runs it in a terminal, and whatever it started."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.both.toptank import eventually
from tests.processes import free_port

TOPTANK = [sys.executable, "-m", "shared.cli"]
PORTS = ("VPS", "CLOUD", "SIMULATOR", "CATCHER", "CATCHER_SMTP")
RUNNING = "Ctrl-C stops it."


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """Of a terminal on this machine: free ports, a data folder of its own."""
    ports = {f"TOPTANK_{name}_PORT": str(free_port()) for name in PORTS}
    return {**os.environ, "TOPTANK_DATA_DIR": str(folder), "TOPTANK_BCRYPT_COST": "4", **ports, **changes}


def toptank(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TOPTANK, *arguments], env=environment, capture_output=True, text=True, timeout=90, check=False
    )


def processes_of(folder: Path) -> list[int]:
    """Everything that runs with this data folder, be it told of it or working in it."""
    mark, found = f"TOPTANK_DATA_DIR={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            works_in = os.readlink(process / "cwd").startswith(str(folder))
            is_told = mark in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if works_in or is_told:
            found.append(int(process.name))
    return found


def one_line(complaint: str) -> str:
    (line,) = complaint.strip().splitlines()
    assert "Traceback" not in line
    return line


class Up:
    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by end()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen([*TOPTANK, "up"], env=environment, stdout=self.output, stderr=self.errors)

    def started(self) -> "Up":
        eventually(lambda: RUNNING in self.said() or self.process.poll() is not None, within_s=60)
        assert self.process.poll() is None, self.complained()
        return self

    def said(self) -> str:
        self.output.seek(0)
        return self.output.read()

    def complained(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.environment[f'TOPTANK_{service.upper()}_PORT']}"

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def end(self) -> None:
        """However the test went."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.output.close()
        self.errors.close()
