"""The simulator's own books, in SQLite, so that a restart forgets no checkout and no message."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vps_service.simulator.schemas import CheckoutAsked

FIRST_SCHEMA = """
CREATE TABLE IF NOT EXISTS checkouts (
    id TEXT PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'paid', 'failed'))
);
"""
SECOND_SCHEMA = """
ALTER TABLE checkouts RENAME TO checkouts_before;
CREATE TABLE checkouts (
    id TEXT PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'paid', 'failed', 'refunded', 'disputed'))
);
INSERT INTO checkouts SELECT id, reference, amount, currency, title, status FROM checkouts_before;
DROP TABLE checkouts_before;
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL
);
PRAGMA user_version = 2;
"""

COMES_FROM = {
    "paid": ("pending", "disputed"),  # from disputed: the merchant was right
    "failed": ("pending",),
    "refunded": ("paid", "disputed"),
    "disputed": ("paid",),
}
"""What a checkout has to be to become this."""

SENT_AGAIN_AT_MOST_EVERY_S = 60.0


class Checkouts:
    """`announce`: whether every outcome makes a webhook, to be sent until somebody takes it."""

    def __init__(self, path: Path, *, announce: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._announce = path, announce
        with self._open() as database:
            if database.execute("PRAGMA user_version").fetchone()[0] < 2:
                database.executescript(f"BEGIN IMMEDIATE; {FIRST_SCHEMA} {SECOND_SCHEMA} COMMIT;")

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
        """Move the checkout there, and its webhook with it; from where that cannot be, nothing happens."""
        before = COMES_FROM[status]
        with self._open() as database:
            moved = database.execute(
                f"UPDATE checkouts SET status = ? WHERE id = ? AND status IN ({', '.join('?' * len(before))})",  # noqa: S608
                (status, checkout_id, *before),
            )
            if moved.rowcount and self._announce:
                event = f"evt_{uuid4().hex}"
                body = json.dumps({"id": event, "checkout": checkout_id})
                database.execute("INSERT INTO webhooks (id, body, due) VALUES (?, ?, ?)", (event, body, time.time()))

    def due_webhooks(self) -> list[sqlite3.Row]:
        with self._open() as database:
            return database.execute(
                "SELECT * FROM webhooks WHERE due <= ? ORDER BY due LIMIT 100", (time.time(),)
            ).fetchall()

    def webhook_taken(self, event: str) -> None:
        with self._open() as database:
            database.execute("DELETE FROM webhooks WHERE id = ?", (event,))

    def webhook_refused(self, event: str, tries: int) -> None:
        """Later again: after 1, 2, 4 and so on seconds."""
        wait_s = min(2.0 ** min(tries, 16), SENT_AGAIN_AT_MOST_EVERY_S)
        with self._open() as database:
            database.execute(
                "UPDATE webhooks SET tries = ?, due = ? WHERE id = ?", (tries + 1, time.time() + wait_s, event)
            )
