"""The simulator's own books, in SQLite, so that a restart forgets no checkout."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vps_service.simulator.schemas import CheckoutAsked

SCHEMA = """
CREATE TABLE IF NOT EXISTS checkouts (
    id TEXT PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'paid', 'failed'))
)
"""


class Checkouts:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self._open() as database:
            database.execute(SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=5)
        database.row_factory = sqlite3.Row
        try:
            with database:
                yield database
        finally:
            database.close()

    def start(self, asked: CheckoutAsked) -> sqlite3.Row:
        """The checkout for this reference; a second call for it changes nothing."""
        with self._open() as database:
            database.execute(
                "INSERT INTO checkouts (id, reference, amount, currency, title) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (reference) DO NOTHING",
                (uuid4().hex, asked.reference, asked.amount, asked.currency, asked.title),
            )
            row: sqlite3.Row = database.execute(
                "SELECT * FROM checkouts WHERE reference = ?", (asked.reference,)
            ).fetchone()
            return row

    def get(self, checkout_id: str) -> sqlite3.Row | None:
        with self._open() as database:
            row: sqlite3.Row | None = database.execute(
                "SELECT * FROM checkouts WHERE id = ?", (checkout_id,)
            ).fetchone()
            return row

    def finish(self, checkout_id: str, status: str) -> None:
        """Only a pending checkout can be paid or failed."""
        with self._open() as database:
            database.execute(
                "UPDATE checkouts SET status = ? WHERE id = ? AND status = 'pending'", (status, checkout_id)
            )
