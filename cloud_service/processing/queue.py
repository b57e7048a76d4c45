"""What the workers have to do: one row a video, in the node's SQLite."""

from cloud_service.db import Database, Transaction
from cloud_service.videos.models import StoredVideo


async def enqueue(transaction: Transaction, video: StoredVideo) -> None:
    """Once; a video that waits already keeps its place."""
    await transaction.execute(
        "INSERT OR IGNORE INTO jobs (video_id, owner_id, added_at) VALUES (?, ?, ?)",
        (video.id, video.owner_id, video.stored_at),
    )


async def enqueue_missing(transaction: Transaction) -> None:
    """Every video that nobody has processed, and that is not waiting: rows were made anew from the disk."""
    await transaction.execute(
        "INSERT OR IGNORE INTO jobs (video_id, owner_id, added_at)"
        " SELECT id, owner_id, stored_at FROM videos WHERE status = 'processing'"
    )


async def dequeue(transaction: Transaction, video_id: str) -> None:
    """Whoever is at it finds that out within seconds, and stops."""
    await transaction.execute("DELETE FROM jobs WHERE video_id = ?", (video_id,))


async def percent_done(database: Database, video: StoredVideo) -> int:
    """Of its processing; 100 for one that nothing more is made of."""
    if video.status != "processing":
        return 100
    rows = await database.fetch("SELECT percent FROM jobs WHERE video_id = ?", (video.id,))
    return int(rows[0]["percent"]) if rows else 0
