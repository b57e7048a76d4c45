"""The mails that were caught, in SQLite, so that a restart forgets none; the oldest make room."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vps_service.catcher.schemas import CaughtMail

SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    content BLOB NOT NULL
);
"""
SHOWN = 100


class Caught:
    def __init__(self, path: Path, most: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._most = path, most
        with self._open() as database:
            database.executescript(SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=5)
        database.row_factory = sqlite3.Row
        try:
            with database:
                yield database
        finally:
            database.close()

    def keep(self, sender: str, recipients: list[str], content: bytes) -> None:
        with self._open() as database:
            row = (datetime.now(UTC).isoformat(), sender, json.dumps(recipients), content)
            database.execute("INSERT INTO mails (at, sender, recipients, content) VALUES (?, ?, ?, ?)", row)
            database.execute("DELETE FROM mails WHERE id <= (SELECT max(id) FROM mails) - ?", (self._most,))

    def newest(self, recipient: str | None = None) -> list[CaughtMail]:
        """At most SHOWN, the newest first; only those to `recipient`, if one is named."""
        with self._open() as database:
            rows = database.execute(
                "SELECT * FROM mails WHERE ?1 IS NULL"
                " OR EXISTS (SELECT 1 FROM json_each(recipients) WHERE lower(value) = lower(?1))"
                " ORDER BY id DESC LIMIT ?2",
                (recipient, SHOWN),
            ).fetchall()
        return [_mail(row) for row in rows]

    def get(self, mail_id: int) -> CaughtMail | None:
        with self._open() as database:
            row = database.execute("SELECT * FROM mails WHERE id = ?", (mail_id,)).fetchone()
        return _mail(row) if row else None


def _mail(row: sqlite3.Row) -> CaughtMail:
    return CaughtMail(
        id=row["id"],
        at=datetime.fromisoformat(row["at"]),
        sender=row["sender"],
        recipients=json.loads(row["recipients"]),
        content=row["content"],
    )
