"""What becomes of a video that a node says it has, and of one whose owner wants it gone.

A course's videos change one at a time, its row being locked first: which of a lesson's videos plays, and which is on
its way to take that one's place, is decided by whoever holds it.
"""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Verdict, VideoStored
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.courses import queries
from vps_service.courses.errors import VideoNotFound
from vps_service.courses.models import Course, Lesson, Video

CAME_LATE = "Another video was first in this lesson."
OVER_QUOTA = "Your practice videos take more room than you have."


async def store_video(session: AsyncSession, node_id: str, stored: VideoStored, practice_quota_bytes: int) -> Verdict:
    """Take over what its node tells. Nothing is deleted for good here: what is unknown, this database has lost.

    Refused is only what was just stored: of anything else this may be a database that was set back.
    """
    if stored.video_kind == "practice":
        return await _store_practice(session, node_id, stored, practice_quota_bytes)
    lesson = await session.get(Lesson, stored.lesson_id) if stored.lesson_id else None
    course = await queries.locked_course(session, stored.course_id)
    if lesson is None or course is None:
        return "unknown"
    if known := await session.get(Video, stored.video_id):
        if known.is_deleted or course.is_deleted:
            return "unwanted"
        if known.came_late:
            return "refused"
        await _take_state(session, node_id, known, stored)
        return "applied"
    if course.is_deleted or not _belongs(stored, lesson, course) or await _has_left(session, stored.owner_id):
        return "unwanted"
    current = await queries.current_video(session, lesson.id) if stored.video_kind == "course" else None
    if current and (other := await _make_room(session, current, stored)):
        if other.node_id == node_id or stored.status != "processing":
            return "unknown"
        await _add(session, node_id, stored, replaces=stored.video_id, refused=CAME_LATE)
        return "refused"
    replaces = current.id if current and not current.is_deleted else None
    return "applied" if await _add(session, node_id, stored, replaces=replaces) else "unknown"


def _belongs(stored: VideoStored, lesson: Lesson, course: Course) -> bool:
    return lesson.course_id == course.id and course.teacher_id == stored.owner_id


async def _has_left(session: AsyncSession, owner_id: UUID) -> bool:
    """Their videos are being deleted, or are by now: what comes late would stay."""
    owner = await session.get(User, owner_id, populate_existing=True)
    return owner is not None and owner.is_deleted


async def _make_room(session: AsyncSession, current: Video, stored: VideoStored) -> Video | None:
    """The video that keeps this one out of the lesson; else None, and what had to go for it is deleted.

    One that is to replace it is taken, unless there is another already, and plays at once if it is ready. Any other is
    taken only when the node of the current one does not have that any more.
    """
    if replacement := await queries.replacement_of(session, current.id):
        return replacement
    if stored.replaces == current.id:
        if stored.status == "ready":
            await _delete(session, current)
        return None
    if current.missing_since:
        current.deleted_at = datetime.now(UTC)
        await session.flush()
        return None
    return current


async def _store_practice(session: AsyncSession, node_id: str, stored: VideoStored, quota_bytes: int) -> Verdict:
    """The owner's row is locked first: what their videos take together is asked by one at a time."""
    owner = await session.get(User, stored.owner_id, with_for_update={"key_share": True})
    if owner is None:
        return "unknown"
    if owner.is_deleted:
        return "unwanted"
    if known := await session.get(Video, stored.video_id, with_for_update=True):
        if known.is_deleted:
            return "unwanted"
        await _take_state(session, node_id, known, stored)
        return "applied"
    others = await queries.practice_bytes(session, stored.owner_id)
    is_over = stored.status == "processing" and others + stored.size > quota_bytes
    await _add(session, node_id, stored, refused=OVER_QUOTA if is_over else "")
    return "refused" if is_over else "applied"


async def _add(
    session: AsyncSession, node_id: str, stored: VideoStored, *, replaces: UUID | None = None, refused: str = ""
) -> UUID | None:
    """None when there is such a video, or there is no room for it. `refused` is why nothing is to become of it."""
    is_practice = stored.video_kind == "practice"
    row = insert(Video).values(
        id=stored.video_id,
        kind=stored.video_kind,
        title=stored.title,
        lesson_id=None if is_practice else stored.lesson_id,
        course_id=None if is_practice else stored.course_id,
        owner_id=stored.owner_id,
        node_id=node_id,
        size=stored.size,
        sha256=stored.sha256,
        media_type=stored.media_type,
        duration_s=stored.duration_s,
        status="error" if refused else stored.status,
        reason=refused or stored.reason,
        renditions=[made.model_dump() for made in stored.renditions],
        replaces_id=replaces,
    )
    return (await session.execute(row.on_conflict_do_nothing().returning(Video.id))).scalar_one_or_none()


async def _take_state(session: AsyncSession, node_id: str, video: Video, stored: VideoStored) -> None:
    """As its own node tells it. What was ready once is not made unready by a word from before, told again late.

    Its title is as it was first told, or as its owner has called it since.
    """
    if video.node_id != node_id or (video.status == "ready" and stored.status == "processing"):
        return
    video.duration_s = stored.duration_s
    video.status, video.reason = stored.status, stored.reason
    video.renditions = [made.model_dump() for made in stored.renditions]
    if video.status == "ready" and video.replaces_id:
        replaced = await session.get_one(Video, video.replaces_id)
        await _delete(session, replaced)
        await _take_place(session, video)
    await session.flush()


async def _take_place(session: AsyncSession, video: Video) -> None:
    """It plays in its lesson from now on; the one before it is deleted by now."""
    video.replaces_id = None
    await session.flush()


async def delete_video(session: AsyncSession, owner: User, video_id: UUID, *, is_file: bool | None = None) -> None:
    """Raises VideoNotFound, also for somebody else's, and for one that is not `is_file`. Again changes nothing.

    If another was on its way to take its place, the lesson has that one from now on, in whatever state it is.
    """
    video = await session.get(Video, video_id)
    if video is None or video.owner_id != owner.id:
        raise VideoNotFound
    if is_file is not None and is_file != (video.kind == "file"):
        raise VideoNotFound
    if video.course_id:
        await queries.locked_course(session, video.course_id)
    await session.refresh(video, with_for_update=True)
    if video.is_deleted:
        return
    await _delete(session, video)
    if replacement := await queries.replacement_of(session, video.id):
        await _take_place(session, replacement)


async def delete_failed_replacement(session: AsyncSession, failed: Video) -> None:
    """So that there is room for another try. The caller has locked the course."""
    assert failed.replaces_id, "what plays is deleted by its teacher only"
    await _delete(session, failed)


async def _delete(session: AsyncSession, video: Video) -> None:
    video.deleted_at = datetime.now(UTC)
    await session.flush()
    changes.record(session, "video_deleted", video_id=video.id, course_id=video.collection_id)
