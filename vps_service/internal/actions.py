"""What the VPS answers to nodes: who may watch, who may upload, what may go, and what became of a video."""

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
)
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.courses import queries, rules
from vps_service.courses.actions import delete_course, delete_video, store_video
from vps_service.courses.errors import CourseNotFound, VideoNotFound
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
    via = rules.may_watch(viewer, course, lesson, holds_key=holds_key)
    return AccessAnswer(
        allowed=via is not None,
        reason="granted" if via else "key_required",
        via=via,
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
    version = await changes.head(session)
    user = await session.get(User, question.user_id)
    teacher = await session.get(Teacher, question.user_id) if user and user.is_active else None
    found = await queries.lesson_and_course(session, question.lesson_id)
    course = found[1] if found else None
    has_video = await queries.video_of(session, question.lesson_id) is not None
    refusal = rules.may_upload(teacher, course, has_video=has_video)
    return UploadAnswer(
        allowed=refusal is None,
        reason=refusal,
        followers=teacher.followers if teacher else 0,
        required=required,
        course_id=course.id if course and refusal is None else None,
        teacher_username=user.username if user and refusal is None else None,
        version=version,
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
            await delete_video(session, teacher, question.video_id)
    except (CourseNotFound, VideoNotFound):
        return DeletionAnswer(agreed=False, reason="not_found", version=await changes.head(session))
    return DeletionAnswer(agreed=True, teacher_username=teacher.username, version=await changes.number_now(session))


async def receive_event(session: AsyncSession, node_id: str, event: Event) -> EventAnswer:
    """Apply an event once; the same event again gets the same answer."""
    new = insert(ReceivedEvent).values(id=event.id, node_id=node_id).on_conflict_do_nothing()
    is_new = (await session.execute(new.returning(ReceivedEvent.id))).scalar_one_or_none()
    row = await session.get_one(ReceivedEvent, event.id)
    if is_new:
        row.refused = await store_video(session, node_id, event.about)
    return EventAnswer(applied=row.refused is None, reason=row.refused)
