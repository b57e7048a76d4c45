"""What no upload may ever reach, and what tells when one did."""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

IN_NONBLOCK, IN_ACCESS, IN_OPEN = 0o4000, 0x1, 0x20


@dataclass(frozen=True)
class Trap:
    """`canary` is the video of another course, `listener` (`host:port`) a service on this machine."""

    canary: Path
    listener: str
    _socket: socket.socket
    _watch: int

    def baits(self) -> tuple[str, ...]:
        name = self.canary.name
        return (str(self.canary), name, f"file:{self.canary}", f"http://{self.listener}/x", f"tcp://{self.listener}")

    def visits(self) -> list[str]:
        """What came since it was asked last: somebody opened or read the canary, or knocked."""
        found = []
        try:
            if os.read(self._watch, 4096):
                found.append("canary")
        except BlockingIOError:
            pass
        try:
            self._socket.accept()[0].close()
            found.append("listener")
        except BlockingIOError:
            pass
        return found


@contextmanager
def set_trap(canary: Path) -> Iterator[Trap]:
    """inotify(7) sees who opens a file, whether or not the file system keeps times of access."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(IN_NONBLOCK)
    assert libc.inotify_add_watch(watch, os.fsencode(canary), IN_ACCESS | IN_OPEN) >= 0, os.strerror(ctypes.get_errno())
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            host, port = listener.getsockname()
            yield Trap(canary, f"{host}:{port}", listener, watch)
    finally:
        os.close(watch)
