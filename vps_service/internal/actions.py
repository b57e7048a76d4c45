"""What the VPS answers to nodes: who may watch, who may upload, what may go, and what became of a video."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import (
    AccessAnswer,
    AccessQuestion,
    DeletionAnswer,
    DeletionQuestion,
    Event,
    EventAnswer,
    TeacherAnswer,
    UploadAnswer,
    UploadQuestion,
    VideoStored,
)
from shared.problems import NotFound
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.courses import queries, rules
from vps_service.courses.actions import delete_course
from vps_service.courses.models import Course, Lesson, Video
from vps_service.followers.models import Teacher
from vps_service.internal.models import ReceivedEvent
from vps_service.keys.queries import active_key


async def answer_access(session: AsyncSession, question: AccessQuestion) -> AccessAnswer:
    version = await changes.head(session)  # before the facts: the answer is never older than it says
    viewer = await session.get(User, question.user_id)
    if viewer is None or not viewer.is_active:
        return AccessAnswer(allowed=False, reason="user_inactive", version=version)
    found = await queries.playable(session, question.video_id)
    if found is None:
        return AccessAnswer(allowed=False, reason="video_not_found", version=version)
    lesson, course = found
    holds_key = await active_key(session, viewer.id, course.id) is not None
    watching = rules.may_watch(viewer, course, lesson, holds_key=holds_key)
    return AccessAnswer(
        allowed=bool(watching),
        reason="granted" if watching else "key_required",
        via=watching.via,
        course_id=course.id,
        teacher_username=course.teacher.username,
        version=version,
    )


async def answer_teacher(session: AsyncSession, user_id: UUID, required: int) -> TeacherAnswer:
    version = await changes.head(session)
    user = await session.get(User, user_id)
    teacher = await session.get(Teacher, user_id)
    if user is None or teacher is None or not user.is_active:
        return TeacherAnswer(
            user_id=user_id, is_teacher=False, verified=False, followers=0, required=required, version=version
        )
    return TeacherAnswer(
        user_id=user_id,
        username=user.username,
        is_teacher=True,
        verified=teacher.is_verified,
        followers=teacher.followers,
        required=required,
        courses=[course.id for course in await queries.courses_of(session, user_id)],
        version=version,
    )


async def answer_upload(session: AsyncSession, question: UploadQuestion, required: int) -> UploadAnswer:
    """Only a verified teacher, only into a lesson of theirs that has no video yet."""
    standing = await answer_teacher(session, question.user_id, required)
    found = await queries.lesson_and_course(session, question.lesson_id)
    refused = UploadAnswer(
        allowed=False,
        reason="not_a_teacher",
        followers=standing.followers,
        required=standing.required,
        version=standing.version,
    )
    if not standing.is_teacher:
        return refused
    if found is None or found[1].is_deleted or found[1].teacher_id != question.user_id:
        return refused.model_copy(update={"reason": "lesson_not_found"})
    if not standing.verified:
        return refused.model_copy(update={"reason": "not_enough_followers"})
    lesson, course = found
    if await queries.video_of(session, lesson.id):
        return refused.model_copy(update={"reason": "lesson_has_video"})
    return UploadAnswer(
        allowed=True,
        reason=None,
        followers=standing.followers,
        required=standing.required,
        course_id=course.id,
        teacher_username=standing.username,
        version=standing.version,
    )


async def agree_to_deletion(session: AsyncSession, question: DeletionQuestion) -> DeletionAnswer:
    """Delete here first. What this teacher deleted before is agreed to again, so that a node can finish."""
    teacher = await session.get(User, question.user_id)
    if teacher is None or not teacher.is_active or not teacher.has_role("teacher"):
        return DeletionAnswer(agreed=False, reason="forbidden", version=await changes.head(session))
    try:
        if question.course_id:
            await delete_course(session, teacher, question.course_id)
        elif question.video_id:
            await _delete_video(session, teacher, question.video_id)
    except NotFound:
        return DeletionAnswer(agreed=False, reason="not_found", version=await changes.head(session))
    return DeletionAnswer(agreed=True, teacher_username=teacher.username, version=await changes.head(session))


async def _delete_video(session: AsyncSession, teacher: User, video_id: UUID) -> None:
    """Raises NotFound for a video that is not this teacher's."""
    video = await session.get(Video, video_id, with_for_update=True)
    if video is None or video.teacher_id != teacher.id:
        raise NotFound
    if video.is_deleted:
        return
    video.deleted_at = datetime.now(UTC)
    await session.flush()
    await changes.record(session, "video_deleted", video_id=video.id, course_id=video.course_id)


async def receive_event(session: AsyncSession, node_id: str, event: Event) -> EventAnswer:
    """Apply an event once; the same event again gets the same answer."""
    new = insert(ReceivedEvent).values(id=event.id, node_id=node_id).on_conflict_do_nothing()
    is_new = (await session.execute(new.returning(ReceivedEvent.id))).scalar_one_or_none()
    row = await session.get_one(ReceivedEvent, event.id)
    if is_new:
        row.refused = await _store_video(session, node_id, event.about)
    return EventAnswer(applied=row.refused is None, reason=row.refused)


async def _store_video(session: AsyncSession, node_id: str, stored: VideoStored) -> str | None:
    """None, or why this video will never be wanted: the world moved on while it was on its way."""
    lesson = await session.get(Lesson, stored.lesson_id)
    course = await session.get(Course, stored.course_id, with_for_update={"read": True})
    if lesson is None or course is None or lesson.course_id != course.id or course.is_deleted:
        return "lesson_not_found"
    if course.teacher_id != stored.owner_id:
        return "lesson_not_found"
    row = (
        insert(Video)
        .values(
            id=stored.video_id,
            lesson_id=lesson.id,
            course_id=course.id,
            teacher_id=course.teacher_id,
            node_id=node_id,
            size=stored.size,
            sha256=stored.sha256,
            media_type=stored.media_type,
            duration_s=stored.duration_s,
        )
        .on_conflict_do_nothing()
        .returning(Video.id)
    )
    taken = (await session.execute(row)).scalar_one_or_none() is None
    return "lesson_has_video" if taken else None
