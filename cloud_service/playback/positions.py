"""Where each user was in each video the last time, for longer than a playback lasts."""

import time
from collections.abc import Sequence

from cloud_service.db import Database, Transaction

MOST_OF_A_USER = 200
KEPT_S = 180 * 86_400.0

PUT = """
INSERT INTO positions (user_id, video_id, position_s, at) SELECT ?1, ?2, ?3, ?4
    WHERE EXISTS (SELECT 1 FROM videos WHERE id = ?2)
    ON CONFLICT (user_id, video_id) DO UPDATE SET position_s = excluded.position_s, at = excluded.at
"""
KEEP_NEWEST = f"""
DELETE FROM positions WHERE user_id = ?1 AND video_id NOT IN
    (SELECT video_id FROM positions WHERE user_id = ?1 ORDER BY at DESC LIMIT {MOST_OF_A_USER})
"""  # noqa: S608


async def put_positions(transaction: Transaction, positions: Sequence[tuple[str, str, float]]) -> None:
    """Of user and video, in seconds. Of a video that is deleted nothing is kept."""
    now = time.time()
    await transaction.execute_many(PUT, [(*position, now) for position in positions])
    await transaction.execute_many(KEEP_NEWEST, [(user_id,) for user_id in {position[0] for position in positions}])


async def position_of(database: Database, user_id: str, video_id: str) -> float | None:
    wanted = "SELECT position_s FROM positions WHERE user_id = ? AND video_id = ?"
    rows = await database.fetch(wanted, (user_id, video_id))
    return rows[0]["position_s"] if rows else None


async def forget_old_positions(transaction: Transaction) -> None:
    await transaction.execute("DELETE FROM positions WHERE at < ?", (time.time() - KEPT_S,))
