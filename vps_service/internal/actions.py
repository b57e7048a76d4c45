"""What the VPS answers to nodes: who may watch, who may upload, what may go, and what became of a video."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import (
    AccessAnswer,
    AccessQuestion,
    Asker,
    DeletionAnswer,
    DeletionQuestion,
    Event,
    EventAnswer,
    StandingAnswer,
    StandingQuestion,
    UploadAnswer,
    UploadQuestion,
)
from shared.killpoints import killpoint
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.courses import queries, rules
from vps_service.courses.actions import delete_course, delete_video
from vps_service.courses.errors import CourseNotFound, VideoNotFound
from vps_service.courses.videos import store_video
from vps_service.followers.models import Teacher
from vps_service.keys.queries import active_key
from vps_service.nodes.models import ReceivedEvent


async def _signed_in(session: AsyncSession, asker: Asker) -> User | None:
    """The user, unless banned, or signed out everywhere since the token was made."""
    user = await session.get(User, asker.user_id)
    return user if user and user.is_active and user.generation == asker.generation else None


async def answer_access(session: AsyncSession, question: AccessQuestion) -> AccessAnswer:
    as_of = await changes.position(session)  # before the facts: the answer is never older than it says
    viewer = await _signed_in(session, question)
    if viewer is None:
        return AccessAnswer(allowed=False, reason="signed_out", as_of=as_of)
    found = await queries.playable(session, question.video_id)
    if found is None:
        return AccessAnswer(allowed=False, reason="video_not_found", as_of=as_of)
    lesson, course = found
    holds_key = await active_key(session, viewer.id, course.id) is not None
    via = rules.may_watch(viewer, course, lesson, holds_key=holds_key)
    return AccessAnswer(
        allowed=via is not None,
        reason="granted" if via else "key_required",
        via=via,
        course_id=course.id,
        teacher_username=course.teacher.username,
        as_of=as_of,
    )


async def answer_standing(session: AsyncSession, question: StandingQuestion, required: int) -> StandingAnswer:
    as_of = await changes.position(session)
    user = await _signed_in(session, question)
    teacher = await session.get(Teacher, user.id) if user and user.has_role("teacher") else None
    if user is None or teacher is None:
        return StandingAnswer(
            user_id=question.user_id,
            signed_out=user is None,
            is_teacher=False,
            verified=False,
            followers=0,
            required=required,
            as_of=as_of,
        )
    return StandingAnswer(
        user_id=user.id,
        username=user.username,
        is_teacher=True,
        verified=teacher.is_verified,
        followers=teacher.followers,
        required=required,
        courses=[course.id for course in await queries.courses_of(session, user.id)],
        as_of=as_of,
    )


async def answer_upload(session: AsyncSession, question: UploadQuestion, required: int) -> UploadAnswer:
    as_of = await changes.position(session)
    user = await _signed_in(session, question)
    if user is None:
        return UploadAnswer(allowed=False, reason="signed_out", followers=0, required=required, as_of=as_of)
    teacher = await session.get(Teacher, user.id) if user.has_role("teacher") else None
    found = await queries.lesson_and_course(session, question.lesson_id) if question.lesson_id else None
    course = found[1] if found else None
    has_video = found is not None and await queries.video_of(session, found[0].id) is not None
    refusal = rules.may_upload(teacher, course, has_video=has_video)
    return UploadAnswer(
        allowed=refusal is None,
        reason=refusal,
        followers=teacher.followers if teacher else 0,
        required=required,
        course_id=course.id if course and refusal is None else None,
        teacher_username=user.username if refusal is None else None,
        as_of=as_of,
    )


async def agree_to_deletion(session: AsyncSession, question: DeletionQuestion) -> DeletionAnswer:
    """Delete here first. What this teacher deleted before is agreed to again, so that a node can finish."""
    teacher = await _signed_in(session, question)
    if teacher is None:
        return DeletionAnswer(agreed=False, reason="signed_out", as_of=await changes.position(session))
    if not teacher.has_role("teacher"):
        return DeletionAnswer(agreed=False, reason="forbidden", as_of=await changes.position(session))
    try:
        if question.course_id:
            await delete_course(session, teacher, question.course_id)
        elif question.video_id:
            await delete_video(session, teacher, question.video_id)
    except (CourseNotFound, VideoNotFound):
        return DeletionAnswer(agreed=False, reason="not_found", as_of=await changes.position(session))
    as_of = await changes.number_now(session)
    killpoint("deletion.before_commit")
    return DeletionAnswer(agreed=True, teacher_username=teacher.username, as_of=as_of)


async def receive_event(session: AsyncSession, node_id: str, event: Event) -> EventAnswer:
    """Apply an event once; the same event again gets the same answer. What is unknown may be known another time."""
    new = insert(ReceivedEvent).values(id=event.id, node_id=node_id).on_conflict_do_nothing()
    is_new = (await session.execute(new.returning(ReceivedEvent.id))).scalar_one_or_none()
    row = await session.get_one(ReceivedEvent, event.id)
    if is_new:
        row.verdict = await store_video(session, node_id, event.about)
        if row.verdict == "unknown":
            await session.delete(row)
    await session.flush()
    killpoint("event.before_commit")
    return EventAnswer(verdict=row.verdict)
