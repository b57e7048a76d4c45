from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.playbacks.models import Playback


async def views_of(session: AsyncSession, video_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """How often each was viewed, of those that were."""
    if not video_ids:
        return {}
    counted = select(Playback.video_id, func.count().label("views")).where(
        Playback.video_id.in_(video_ids), Playback.viewed_at.is_not(None)
    )
    return {row.video_id: row.views for row in await session.execute(counted.group_by(Playback.video_id))}


async def live_playbacks(session: AsyncSession, user_id: UUID, now: datetime) -> Sequence[Playback]:
    """The user's on all nodes, as far as they told; the oldest first."""
    wanted = select(Playback).where(
        Playback.user_id == user_id, Playback.ended_at.is_(None), Playback.moved_at.is_(None), Playback.ends_at > now
    )
    return (await session.scalars(wanted.order_by(Playback.began_at, Playback.id))).all()
