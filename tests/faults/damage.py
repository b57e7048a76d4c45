"""What happens to files on a bad disk, or under a careless hand."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.both.toptank import eventually

PAGE = 4096


def check_in(database: Path) -> None:
    """Everything is in the file itself: what is still in the log beside it would hide the damage, and then mend it."""

    def is_done() -> bool:
        with closing(sqlite3.connect(database, timeout=5)) as connection:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    eventually(is_done)


def flip_bytes(database: Path, pages: int = 40) -> None:
    """Every bit of a stretch in the middle of the first pages; the file keeps its size, its inode and its header."""
    with database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for start in range(PAGE, min(size, pages * PAGE), PAGE):
            file.seek(start)
            page = file.read(64)
            file.seek(start)
            file.write(bytes(255 - byte for byte in page))
        file.flush()
        os.fsync(file.fileno())


def truncate(database: Path) -> None:
    """The second half is gone."""
    os.truncate(database, database.stat().st_size // 2 // PAGE * PAGE)


def overwrite_header(database: Path) -> None:
    """It does not look like a database any more."""
    with database.open("r+b") as file:
        file.write(b"\0" * 100)


def unlink(database: Path) -> None:
    """With what belongs to it, as `rm node.sqlite3*` does."""
    for path in database.parent.glob(f"{database.name}*"):
        if ".broken-" not in path.name:
            path.unlink()


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Somebody else has the write lock."""
    holder = sqlite3.connect(database, isolation_level=None, timeout=5)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()
