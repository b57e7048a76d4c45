"""A folder that only one process at a time may work in."""

import fcntl
from pathlib import Path
from typing import IO


class FolderInUse(Exception):
    """Another process holds the folder; the message is for the person at the terminal."""


def hold(folder: Path) -> IO[str]:
    """Make the folder and hold it as long as the answer is open. Raises FolderInUse, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FolderInUse(f"{folder} is in use by another process of the same kind") from None
    return lock
