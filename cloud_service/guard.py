"""Looks after the node's database file: damage or disappearance is noticed in seconds, not by the next reader."""

import asyncio
import logging
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from cloud_service.db import Database, is_damage

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
CHECK_EVERY_S = 2.0
MOST_SHARE = 0.05
"""Of the time that checking a large file may take up."""


async def watch(database: Database) -> None:
    """Until cancelled, or until the file is found to be broken."""
    next_check = time.monotonic() + CHECK_EVERY_S
    while not database.broken.is_set():
        await asyncio.sleep(LOOK_EVERY_S)
        if not database.is_there():
            log.error("the database file is gone")
            database.broken.set()
        elif time.monotonic() >= next_check:
            started = time.monotonic()
            if damage := await asyncio.to_thread(damage_of, database.path):
                log.error("the database is damaged", extra={"reason": damage})
                database.broken.set()
            took = time.monotonic() - started
            next_check = time.monotonic() + max(CHECK_EVERY_S, took / MOST_SHARE)


def damage_of(path: Path) -> str | None:
    """What is wrong with the file, seen with fresh eyes; None when nothing is, or nothing can be seen right now."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("SELECT count(*) FROM remembered").fetchone()
    except sqlite3.Error as error:
        return str(error) if is_damage(error) or "no such table" in str(error) else None
    return None if verdict == "ok" else str(verdict)


def set_aside(path: Path) -> None:
    """Keep what is broken for whoever wants to look into it, and make room."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.broken-{stamp}{suffix}"))
    log.error("database set aside", extra={"file": f"{path.name}.broken-{stamp}"})
