"""Starting our own programs as an operator would, and waiting until they answer."""

import importlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from shared import killpoints
from shared.cli import chosen
from shared.localdb import die_with_parent

PORTS = [range(first, first + 100) for first in range(10_000, 32_700, 100)]
START_WITHIN_S = 60
STOP_WITHIN_S = 15
POLL_S = 0.02


_taken: list[socket.socket] = []
"""Names of blocks of ports, each one process's for as long as that lasts."""


@cache
def _ports() -> Iterator[int]:
    """Each once, of blocks that no other process has, and none that the system gives to whoever asks for any (32768
    and above)."""

    def found() -> Iterator[int]:
        for block in PORTS:
            name = socket.socket(socket.AF_UNIX)
            try:
                name.bind(f"\0toptank-tests-ports-{block.start}")
            except OSError:
                name.close()
                continue
            _taken.append(name)
            yield from block

    return found()


def free_port() -> int:
    """It stays free until it is used, and while whoever uses it is started anew: no other test is given it."""
    for port in _ports():
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there are no more ports")


def children_of(pid: int, program: str = "", told: str = "") -> list[int]:
    """The processes that this one started and that still run, with this in their name and that in their command."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            name, _, rest = process.joinpath("stat").read_text().partition(" (")[2].rpartition(") ")
            state, parent = rest.split()[:2]
            is_meant = program in name and told.encode() in process.joinpath("cmdline").read_bytes()
            if int(parent) == pid and state != "Z" and is_meant:
                found.append(int(process.name))
    return found


def stopped_in(parent: int, program: str, told: str, within_s: float) -> int:
    """The child that is that program, told that, as soon as there is one; stopped as soon as it has become it.

    What starts it is that child already, told the same: it is let on for moments at a time.
    """
    deadline = time.monotonic() + within_s
    while not (found := children_of(parent, told=told)):
        assert time.monotonic() < deadline, f"nothing was told {told}"
        time.sleep(POLL_S / 4)
    (pid,) = found
    os.kill(pid, signal.SIGSTOP)
    while not children_of(parent, program, told):
        assert time.monotonic() < deadline, f"{told} was told to no {program}"
        os.kill(pid, signal.SIGCONT)
        time.sleep(POLL_S / 10)
        os.kill(pid, signal.SIGSTOP)
    return pid


@cache
def _imported() -> ForkServerContext:
    """A process that has imported our programs and runs none: what is forked off it starts ten times as fast."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "tests.imported"])
    return context


def _run_forked(module: str, arguments: Sequence[str], environment: dict[str, str], files: dict[int, str]) -> None:
    """In the forked process, in place of `python -m module`, its `files` by the numbers of their descriptors."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in files.items():
        opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lasts
    os.environ.clear()
    os.environ.update(environment)
    importlib.reload(killpoints)  # it reads the environment when it is imported
    if module == "shared.cli":
        module, *arguments = chosen(list(arguments))
    sys.argv = [module, *arguments]
    program = importlib.import_module(module)
    if hasattr(program, "__path__"):
        program = importlib.import_module(f"{module}.__main__")
    program.main()


class Forked:
    """A forked program, as `subprocess.Popen` would have it."""

    def __init__(self, module: str, arguments: Sequence[str], environment: dict[str, str], files: dict[int, Path]):
        told = {number: str(path) for number, path in files.items()}
        self._process: ForkServerProcess = _imported().Process(
            target=_run_forked, args=(module, arguments, environment, told), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired([], timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, and that is about to be told
                os.kill(self.pid, number)


def executed(module: str, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", module], env=environment, stderr=errors, preexec_fn=die_with_parent
        )


def forked(module: str, environment: dict[str, str], log: Path) -> Forked:
    return Forked(module, (), environment, {2: log})


def run(
    module: str, *arguments: str, environment: Mapping[str, str], given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a module to its end; `given` is its standard input."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("given", "said", "complained")]
        for file in files:
            file.touch()
        files[0].write_text(given)
        program = Forked(module, arguments, {**os.environ, **environment}, dict(enumerate(files)))
        try:
            code = program.wait(START_WITHIN_S)
        finally:
            program.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess([module, *arguments], code, files[1].read_text(), files[2].read_text())


class Process:
    """A module of ours that serves on a port, its standard error in a file.

    `doomed`: it may die before it answers. Without `wait`, whoever starts it calls `wait_until_it_answers`. `is_fresh`:
    it imports everything itself, as where the start is what is tested. Start it from the main thread only: it ends
    with the thread that did.
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
        is_fresh: bool = False,
    ) -> None:
        self.port, self.log, self._doomed = port, log, doomed
        start = executed if is_fresh or "LD_PRELOAD" in environment else forked
        self._process = start(module, {**os.environ, **environment}, log)
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
            time.sleep(POLL_S)
        return False

    @property
    def pid(self) -> int:
        return self._process.pid

    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL, its own hand included."""
        return self._process.poll() == -signal.SIGKILL

    def stop(self) -> int:
        """Ends it as an operator would; its exit code."""
        for number in (signal.SIGCONT, signal.SIGTERM):  # a stopped one would hear of nothing else
            self._process.send_signal(number)
        try:
            return self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            return self._process.wait()
