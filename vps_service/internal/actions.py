"""What the VPS answers to nodes: who may watch, how a teacher stands, what may go, and what became of a video."""

from typing import Literal, NamedTuple
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
    StandingAnswer,
    StandingQuestion,
    Via,
    VideoStored,
)
from shared.killpoints import killpoint
from shared.playbacks import PlaybackTold
from shared.posters import PostersAnswer, PostersQuestion
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import acting_user, signed_in_user
from vps_service.community.queries import right_to_practice
from vps_service.courses import queries, rules
from vps_service.courses.actions import delete_course
from vps_service.courses.errors import CourseNotFound, VideoNotFound
from vps_service.courses.models import Course, Video
from vps_service.courses.videos import delete_video, store_video
from vps_service.followers.models import Teacher
from vps_service.keys.queries import active_key
from vps_service.nodes.models import ReceivedEvent
from vps_service.playbacks.actions import lose_playbacks, take_playback
from vps_service.settings import VpsSettings


async def answer_access(session: AsyncSession, question: AccessQuestion, settings: VpsSettings) -> AccessAnswer:
    as_of = await changes.position(session)  # before the facts: the answer is never older than it says
    viewer = await acting_user(session, question, admins_need_totp=settings.admins_need_totp)
    if viewer is None:
        return AccessAnswer(allowed=False, reason="signed_out", as_of=as_of)
    video = await queries.living_video(session, question.video_id)
    right = await _right(session, viewer, video) if video else None
    if video is None or right is None or rules.is_hidden(viewer, video, right.course, right.via):
        return AccessAnswer(allowed=False, reason="video_not_found", as_of=as_of)
    return AccessAnswer(
        allowed=right.via is not None,
        reason="granted" if right.via else "key_required",
        via=right.via,
        course_id=video.collection_id,
        teacher_username=right.owner.username,
        may_download=rules.may_download(right.via, right.course),
        as_of=as_of,
    )


class Right(NamedTuple):
    """How a viewer has a right to a video, if at all; whose it is, and of which course unless it is a practice one."""

    via: Via | None
    owner: User
    course: Course | None


async def _right(session: AsyncSession, viewer: User, video: Video) -> Right | None:
    """None when its course is deleted."""
    if video.lesson_id is None:
        return Right(*await right_to_practice(session, viewer, video), None)
    found = await queries.lesson_and_course(session, video.lesson_id)
    if found is None or found[1].is_deleted:
        return None
    lesson, course = found
    holds_key = await active_key(session, viewer.id, course.id) is not None
    return Right(rules.may_watch(viewer, course, lesson, holds_key=holds_key), course.teacher, course)


async def answer_posters(session: AsyncSession, question: PostersQuestion) -> PostersAnswer:
    as_of = await changes.position(session)
    course = await session.get(Course, question.course_id)
    return PostersAnswer(are_public=rules.shows_posters(course), as_of=as_of)


async def answer_standing(session: AsyncSession, question: StandingQuestion, required: int) -> StandingAnswer:
    as_of = await changes.position(session)
    user = await signed_in_user(session, question)
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


async def agree_to_deletion(session: AsyncSession, question: DeletionQuestion, settings: VpsSettings) -> DeletionAnswer:
    """Delete here first. What this owner deleted before is agreed to again, so that a node can finish."""
    owner = await acting_user(session, question, admins_need_totp=settings.admins_need_totp)
    if owner is None:
        return DeletionAnswer(agreed=False, reason="signed_out", as_of=await changes.position(session))
    try:
        if question.course_id:
            await delete_course(session, owner, question.course_id)
        elif question.video_id:
            await delete_video(session, owner, question.video_id, is_file=question.is_file)
    except (CourseNotFound, VideoNotFound):
        reason: Literal["not_found", "forbidden"] = "not_found" if owner.has_role("teacher") else "forbidden"
        return DeletionAnswer(agreed=False, reason=reason, as_of=await changes.position(session))
    as_of = await changes.number_now(session)
    killpoint("deletion.before_commit")
    return DeletionAnswer(agreed=True, teacher_username=owner.username, as_of=as_of)


async def receive_event(session: AsyncSession, node_id: str, event: Event, settings: VpsSettings) -> EventAnswer:
    """Apply an event once; the same event again gets the same answer. What is unknown may be known another time."""
    about = event.about
    if isinstance(about, VideoStored):
        answer = await _receive_video(session, node_id, event.id, about, settings.practice_quota_bytes)
    elif isinstance(about, PlaybackTold):
        answer = EventAnswer(verdict=await take_playback(session, node_id, about, settings.playbacks_per_user))
    else:
        answer = EventAnswer(verdict=await lose_playbacks(session, node_id, about))
    killpoint("event.before_commit")
    return answer


async def _receive_video(
    session: AsyncSession, node_id: str, event_id: UUID, stored: VideoStored, practice_quota_bytes: int
) -> EventAnswer:
    new = insert(ReceivedEvent).values(id=event_id, node_id=node_id).on_conflict_do_nothing()
    is_new = (await session.execute(new.returning(ReceivedEvent.id))).scalar_one_or_none()
    row = await session.get_one(ReceivedEvent, event_id)
    if is_new:
        row.verdict = await store_video(session, node_id, stored, practice_quota_bytes)
        if row.verdict == "unknown":
            await session.delete(row)
    await session.flush()
    refused = await session.get_one(Video, stored.video_id) if row.verdict == "refused" else None
    return EventAnswer(verdict=row.verdict, reason=refused.reason if refused else "")
