"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a retry after a lost answer stores nothing twice.

A key is its user's from when their upload was stored, for as long as it is kept, over restarts. An upload that failed
leaves no key, and neither does one whose video was deleted since: sent again, it is a new one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cloud_service.db import Database, Transaction
from cloud_service.uploads.errors import IdempotencyKeyInUse
from cloud_service.videos.models import StoredVideo

KEPT_S = 24 * 3600
MOST_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Use:
    """What a key was first used for; `request` is everything but the body."""

    owner_id: str
    request: str
    video_id: str


class IdempotencyKeys:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._in_use: set[str] = set()

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """While its upload is under way. Raises IdempotencyKeyInUse."""
        if key in self._in_use:
            raise IdempotencyKeyInUse
        self._in_use.add(key)
        try:
            yield
        finally:
            self._in_use.remove(key)

    async def find(self, key: str) -> Use | None:
        wanted = "SELECT owner_id, request, video_id FROM idempotency_keys WHERE key = ? AND added_at > ?"
        rows = await self._database.fetch(wanted, (key, _oldest()))
        return Use(**dict(rows[0])) if rows else None

    async def keep(self, transaction: Transaction, key: str, request: str, video: StoredVideo) -> None:
        """In the transaction that stores the video."""
        await transaction.execute(
            "INSERT OR REPLACE INTO idempotency_keys (owner_id, key, request, video_id, sha256, added_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (video.owner_id, key, request, video.id, video.sha256, int(time.time())),
        )

    async def sweep(self) -> None:
        """Away with those that nobody will come back to."""
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM idempotency_keys WHERE added_at <= ?", (_oldest(),))


def _oldest() -> int:
    return int(time.time()) - KEPT_S
