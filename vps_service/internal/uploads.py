"""What the VPS answers a node that is about to take an upload."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Position, UploadAnswer, UploadQuestion, UploadRefusal
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import signed_in_user
from vps_service.courses import queries, rules
from vps_service.courses.videos import delete_failed_replacement
from vps_service.followers.models import Teacher
from vps_service.settings import VpsSettings


async def answer_upload(
    session: AsyncSession, node_id: str, question: UploadQuestion, settings: VpsSettings
) -> UploadAnswer:
    """May they, and into which course? A replacement that failed is deleted for the one that is about to come."""
    as_of = await changes.position(session)
    required = settings.followers_required
    user = await signed_in_user(session, question)
    if user is None:
        return UploadAnswer(allowed=False, reason="signed_out", followers=0, required=required, as_of=as_of)
    teacher = await session.get(Teacher, user.id) if user.has_role("teacher") else None
    if question.lesson_id is None:
        return await _answer_practice(session, node_id, user, teacher, settings, as_of)
    found = await queries.lesson_and_course(session, question.lesson_id)
    course = found[1] if found else None
    refusal, replaces = rules.may_upload(teacher, course), None
    if refusal is None and course and question.kind == "course":
        refusal, replaces = await _make_room(session, course.id, question.lesson_id, replace=question.replace)
    return UploadAnswer(
        allowed=refusal is None,
        reason=refusal,
        followers=teacher.followers if teacher else 0,
        required=required,
        course_id=course.id if course and refusal is None else None,
        teacher_username=user.username if refusal is None else None,
        replaces=replaces,
        as_of=as_of,
    )


async def _answer_practice(
    session: AsyncSession, node_id: str, user: User, teacher: Teacher | None, settings: VpsSettings, as_of: Position
) -> UploadAnswer:
    """Anybody may; the node, which knows what it holds itself, sees to the quota first."""
    return UploadAnswer(
        allowed=True,
        reason=None,
        followers=teacher.followers if teacher else 0,
        required=settings.followers_required,
        course_id=user.id,
        teacher_username=user.username,
        quota_bytes=settings.practice_quota_bytes,
        used_elsewhere_bytes=await queries.practice_bytes(session, user.id, not_on=node_id),
        as_of=as_of,
    )


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
