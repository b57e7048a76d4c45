"""What becomes of a video that a node says it has stored."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Verdict, VideoStored
from vps_service.courses.models import Course, Lesson, Video


async def store_video(session: AsyncSession, node_id: str, stored: VideoStored) -> Verdict:
    """Nothing is ever deleted for good here: a course that is unknown is one that this database has lost."""
    lesson = await session.get(Lesson, stored.lesson_id)
    course = await session.get(Course, stored.course_id, with_for_update={"read": True})
    if lesson is None or course is None:
        return "unknown"
    if known := await session.get(Video, stored.video_id):
        known.status, known.reason, known.duration_s = stored.status, stored.reason, stored.duration_s
        known.renditions = [made.model_dump() for made in stored.renditions]
        return "unwanted" if known.is_deleted or course.is_deleted else "applied"
    if course.is_deleted or lesson.course_id != course.id or course.teacher_id != stored.owner_id:
        return "unwanted"
    await _give_up_missing(session, lesson.id)
    return "applied" if await _add(session, node_id, stored) else "unknown"


async def _give_up_missing(session: AsyncSession, lesson_id: UUID) -> None:
    """A video that its node does not have any more makes room for the one that there is."""
    lost = update(Video).where(
        Video.lesson_id == lesson_id, Video.deleted_at.is_(None), Video.missing_since.is_not(None)
    )
    await session.execute(lost.values(deleted_at=datetime.now(UTC)))


async def _add(session: AsyncSession, node_id: str, stored: VideoStored) -> UUID | None:
    """None when the lesson has a video already."""
    row = insert(Video).values(
        id=stored.video_id,
        kind=stored.video_kind,
        title=stored.title,
        lesson_id=stored.lesson_id,
        course_id=stored.course_id,
        owner_id=stored.owner_id,
        node_id=node_id,
        size=stored.size,
        sha256=stored.sha256,
        media_type=stored.media_type,
        duration_s=stored.duration_s,
        status=stored.status,
        reason=stored.reason,
        renditions=[made.model_dump() for made in stored.renditions],
    )
    return (await session.execute(row.on_conflict_do_nothing().returning(Video.id))).scalar_one_or_none()
