"""What nodes tell of playbacks.

Each time a node tells all that it knows of one, and here it is only ever added to. So a view counts once however
often it is told, a word that comes late takes nothing back, and a database that was set back learns again whatever
still goes on; what ended after the backup was made stays unknown.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Verdict
from shared.intervals import merged
from shared.playbacks import PlaybacksLost, PlaybackTold
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.playbacks.models import Playback
from vps_service.playbacks.queries import live_playbacks

PROMPTLY = timedelta(seconds=5)
"""What began less long ago has just begun, by the one clock that orders those of several nodes."""
UNSEEN_KEPT = timedelta(days=1)
"""After their links ended at the latest."""


async def take_playback(session: AsyncSession, node_id: str, told: PlaybackTold, at_once: int) -> Verdict:
    """Unwanted once it has made room for a later one. Another node's playback stays as it is.

    Each user has so many `at_once`, on all nodes: when one more begins, nodes are told that the oldest has moved.
    """
    now = datetime.now(UTC)
    new = insert(Playback).values(
        id=told.playback_id,
        video_id=told.video_id,
        user_id=told.user_id,
        node_id=node_id,
        began_at=told.began_at if now - told.began_at > PROMPTLY else now,
        ends_at=told.ends_at,
        watched=[],
    )
    added = new.on_conflict_do_nothing().returning(Playback.id)
    is_new = (await session.execute(added)).scalar_one_or_none()
    playback = await session.get_one(Playback, told.playback_id, with_for_update=True)
    if _is_same(playback, node_id, told):
        _add(playback, told)
    await session.flush()
    if is_new and not playback.ended_at:
        await _make_room(session, told.user_id, at_once)
    return "unwanted" if playback.moved_at and not playback.ended_at else "applied"


async def _make_room(session: AsyncSession, user_id: UUID, at_once: int) -> None:
    """The user's row is locked first: of two that begin at once on two nodes, the second knows of the first."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    now = datetime.now(UTC)
    live = await live_playbacks(session, user_id, now)
    for oldest in live[: max(0, len(live) - at_once)]:
        oldest.moved_at = now
        changes.record(session, "playback_moved", user_id=user_id, playback_id=oldest.id)
    await session.flush()


def _is_same(playback: Playback, node_id: str, told: PlaybackTold) -> bool:
    known: tuple[str, UUID, UUID] = playback.node_id, playback.video_id, playback.user_id
    return known == (node_id, told.video_id, told.user_id)


def _add(playback: Playback, told: PlaybackTold) -> None:
    playback.viewed_at = playback.viewed_at or told.viewed_at
    playback.used_at = max(filter(None, (playback.used_at, told.used_at)), default=None)
    known = [(start_s, stop_s) for start_s, stop_s in playback.watched]
    playback.watched = [list(stretch) for stretch in merged([*known, *told.watched])]
    if playback.ended_at is None and told.end:
        playback.ended_at, playback.end = told.ended_at or told.used_at or told.began_at, told.end


async def lose_playbacks(session: AsyncSession, node_id: str, told: PlaybacksLost) -> Verdict:
    """Those of this node that began before end; the node's clock may be ahead."""
    lost_at = min(told.lost_at, datetime.now(UTC))
    began_before = (Playback.node_id == node_id, Playback.ended_at.is_(None), Playback.began_at < lost_at)
    await session.execute(update(Playback).where(*began_before).values(ended_at=lost_at, end="lost"))
    return "applied"


async def forget_unseen(session: AsyncSession) -> int:
    """How many that were never viewed and are over for long; of a view that is told later still, it is known anew."""
    over = (Playback.viewed_at.is_(None), Playback.ends_at < datetime.now(UTC) - UNSEEN_KEPT)
    gone = await session.execute(delete(Playback).where(*over).returning(Playback.id))
    return len(gone.all())
