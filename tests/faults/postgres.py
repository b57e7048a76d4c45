"""A PostgreSQL that a test may kill, and set back to an older copy of itself.

Its files are in memory where there is room. A killed process loses nothing that it wrote to a file, wherever that
is; so what a commit promises is put to the test just the same.
"""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from shared.localdb import LocalDatabase
from tests.both.toptank import eventually
from tests.processes import children_of


def copy_folder(source: Path, target: Path) -> None:
    """With owners and modes: PostgreSQL minds both."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def runs(pid: int) -> bool:
    """Whether it does anything any more; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Postgres(LocalDatabase):
    """Durable: an acknowledged commit is in a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, durable=True)

    @classmethod
    def as_copied(cls, cluster: Path, folder: Path) -> "Postgres":
        """A server of its own on a copy of a stopped one's files."""
        folder.mkdir()
        copy_folder(cluster / "cluster", folder / "cluster")
        return cls(folder)

    def kill(self) -> None:
        """kill -9 of the server and of every process it has, so that nobody is left to tidy up."""
        server = self._process
        assert server is not None
        family = [server.pid, *children_of(server.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait()
        self._process = None
        eventually(lambda: not any(runs(pid) for pid in family))

    def stop_now(self) -> None:
        """An immediate shutdown: no checkpoint, connections are cut; the next start recovers from the log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)
        self._process = None

    def freeze(self) -> None:
        """Every process of it hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for pid in (self._process.pid, *children_of(self._process.pid)):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, number)

    def back_up(self, copy: Path) -> None:
        """Stops for a moment; whoever is connected has to come again."""
        self.stop()
        copy_folder(self.folder / "cluster", copy)
        self.start()

    def set_back(self, copy: Path) -> None:
        """To what it was when it was backed up, as an operator restores it."""
        self.stop()
        shutil.rmtree(self.folder / "cluster")
        copy_folder(copy, self.folder / "cluster")
        self.start()
