"""Starting our own programs as an operator would, and waiting until they answer."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from shared.localdb import die_with_parent

START_WITHIN_S = 30
STOP_WITHIN_S = 15


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def run(
    module: str, *arguments: str, environment: Mapping[str, str], given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a module to its end; `given` is its standard input."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=START_WITHIN_S,
        check=False,
    )


class Process:
    """A module of ours that serves on a port, its standard error in a file.

    `doomed`: it may die before it answers. Without `wait`, whoever starts it calls `wait_until_it_answers`. Start it
    from the main thread only: it ends with the thread that did.
    """

    def __init__(
        self,
        module: str,
        port: int,
        environment: Mapping[str, str],
        log: Path,
        *,
        doomed: bool = False,
        wait: bool = True,
    ) -> None:
        self.port, self.log, self._doomed = port, log, doomed
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**os.environ, **environment},
                stderr=errors,
                preexec_fn=die_with_parent,
            )
        if wait:
            self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        if not self._answers() and not (self._doomed and self.was_killed()):
            self.stop()
            raise AssertionError(f"did not start: {self.log.read_text()}")

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        return False

    @property
    def pid(self) -> int:
        return self._process.pid

    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL, its own hand included."""
        return self._process.poll() == -signal.SIGKILL

    def stop(self) -> int:
        """Ends it as an operator would; its exit code."""
        self._process.send_signal(signal.SIGCONT)  # a stopped one would hear of nothing else
        self._process.terminate()
        try:
            return self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
