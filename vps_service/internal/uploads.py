"""What the VPS answers a node that is about to take an upload."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import UploadAnswer, UploadQuestion, UploadRefusal
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import acting_user
from vps_service.courses import queries, rules
from vps_service.courses.videos import delete_failed_replacement
from vps_service.followers.models import Teacher
from vps_service.settings import VpsSettings


@dataclass(frozen=True, slots=True)
class Decided:
    """What forbids the upload; else the course it goes into, for a practice video its owner, and what is in its way."""

    refusal: UploadRefusal | None = None
    course_id: UUID | None = None
    replaces: UUID | None = None
    lesson_title: str = ""
    quota_bytes: int = 0
    used_elsewhere_bytes: int = 0


async def answer_upload(
    session: AsyncSession, node_id: str, question: UploadQuestion, settings: VpsSettings
) -> UploadAnswer:
    """May they, and into which course? A replacement that failed is deleted for the one that is about to come."""
    as_of = await changes.position(session)
    user = await acting_user(session, question, admins_need_totp=settings.admins_need_totp)
    teacher = await session.get(Teacher, user.id) if user and user.has_role("teacher") else None
    if user is None:
        decided = Decided("signed_out")
    elif question.lesson_id is None:
        decided = await _decide_practice(session, node_id, user, settings.practice_quota_bytes)
    else:
        decided = await _decide_lesson(session, teacher, question.lesson_id, question)
    is_allowed = decided.refusal is None
    return UploadAnswer(
        allowed=is_allowed,
        reason=decided.refusal,
        followers=teacher.followers if teacher else 0,
        required=settings.followers_required,
        course_id=decided.course_id,
        teacher_username=user.username if user and is_allowed else None,
        replaces=decided.replaces,
        lesson_title=decided.lesson_title,
        quota_bytes=decided.quota_bytes,
        used_elsewhere_bytes=decided.used_elsewhere_bytes,
        as_of=as_of,
    )


async def _decide_practice(session: AsyncSession, node_id: str, user: User, quota_bytes: int) -> Decided:
    """Anybody may; the node, which knows what it holds itself, sees to the quota first."""
    elsewhere = await queries.practice_bytes(session, user.id, not_on=node_id)
    return Decided(course_id=user.id, quota_bytes=quota_bytes, used_elsewhere_bytes=elsewhere)


async def _decide_lesson(
    session: AsyncSession, teacher: Teacher | None, lesson_id: UUID, question: UploadQuestion
) -> Decided:
    found = await queries.lesson_and_course(session, lesson_id)
    course = found[1] if found else None
    refusal, replaces = rules.may_upload(teacher, course), None
    if refusal is None and course and question.kind == "course":
        refusal, replaces = await _make_room(session, course.id, lesson_id, replace=question.replace)
    if refusal or found is None:
        return Decided(refusal)
    return Decided(course_id=found[1].id, replaces=replaces, lesson_title=found[0].title)


async def _make_room(
    session: AsyncSession, course_id: UUID, lesson_id: UUID, *, replace: bool
) -> tuple[UploadRefusal | None, UUID | None]:
    """What forbids one more video in this lesson, or else which one it will replace, with room made for it."""
    if replace:
        await queries.locked_course(session, course_id)
    current = await queries.current_video(session, lesson_id)
    replacement = await queries.replacement_of(session, current.id) if current else None
    refusal = rules.takes_video(current, replacement, replace=replace)
    if refusal is None and replacement:
        await delete_failed_replacement(session, replacement)
    return refusal, current.id if current and refusal is None else None
