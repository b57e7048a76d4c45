from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.problems import Invalid, NotAuthenticated
from shared.schemas import Money
from vps_service import changes
from vps_service.accounts.errors import WrongRole
from vps_service.accounts.models import User
from vps_service.accounts.queries import stays_admin, unchanging_user
from vps_service.audit import actions as audit
from vps_service.courses import queries
from vps_service.courses.errors import NothingToPublish, WrongStatus
from vps_service.courses.models import Course, Lesson, Section
from vps_service.keys import actions as keys
from vps_service.leaving.unpublished import keep_unpublished


async def draft_course(
    session: AsyncSession, teacher: User, title: str, description: str, price: Money, currency: str
) -> Course:
    """Any teacher may draft; only uploads wait for the followers. Raises Invalid for another currency."""
    _check_currency(price, currency)
    # Made a student a moment ago, they had no course then, and so must have none now.
    await _still_teaching(session, teacher)
    course = Course(
        id=uuid7(),
        teacher_id=teacher.id,
        title=title,
        description=description,
        price_amount=price.amount,
        currency=price.currency,
    )
    session.add(course)
    await session.flush()
    return await queries.owned_course(session, teacher, course.id)


async def _still_teaching(session: AsyncSession, teacher: User) -> None:
    """And so until this transaction ends; before their courses are locked, as by who leaves.

    Raises NotAuthenticated for who was banned or left a moment ago, WrongRole.
    """
    now = await unchanging_user(session, teacher.id)
    if now is None or not now.is_active:
        raise NotAuthenticated
    if not now.has_role("teacher"):
        raise WrongRole


async def change_course(
    session: AsyncSession,
    teacher: User,
    course_id: UUID,
    currency: str,
    *,
    title: str | None = None,
    description: str | None = None,
    price: Money | None = None,
    downloads_allowed: bool | None = None,
) -> Course:
    """Change what is given. A price holds for later purchases only; a pending payment keeps its own."""
    course = await queries.owned_course(session, teacher, course_id)
    if price is not None:
        _check_currency(price, currency)
        course.price_amount, course.currency = price.amount, price.currency
    if title is not None:
        course.title = title
    if description is not None:
        course.description = description
    if downloads_allowed is not None and downloads_allowed != course.downloads_allowed:
        course.downloads_allowed = downloads_allowed
        changes.record(session, "course_downloads_changed", course_id=course.id)
    await session.flush()
    return course


def _check_currency(price: Money, currency: str) -> None:
    if price.currency != currency:
        raise Invalid(f"prices are in {currency}", field="body.price.currency")


async def submit_course(session: AsyncSession, teacher: User, course_id: UUID) -> Course:
    """Ask for publication. Raises WrongStatus, NothingToPublish, NotAuthenticated, WrongRole."""
    await _still_teaching(session, teacher)
    course = await queries.owned_course(session, teacher, course_id)
    if course.status not in ("draft", "rejected", "archived"):
        raise WrongStatus(f"The course is {course.status}.")
    if not await queries.lessons_of(session, course.id):
        raise NothingToPublish
    course.status, course.rejection_reason = "pending", None
    await session.flush()
    return course


async def approve_course(session: AsyncSession, admin: User, course_id: UUID) -> Course:
    course = await _pending_course(session, admin, course_id)
    course.status = "published"
    await session.flush()
    changes.record(session, "course_published", course_id=course.id)
    await audit.record(session, "course_approved", actor_id=admin.id, subject=course.id)
    return course


async def reject_course(session: AsyncSession, admin: User, course_id: UUID, reason: str) -> Course:
    course = await _pending_course(session, admin, course_id)
    course.status, course.rejection_reason = "rejected", reason
    await audit.record(session, "course_rejected", actor_id=admin.id, subject=course.id)
    return course


async def _pending_course(session: AsyncSession, admin: User, course_id: UUID) -> Course:
    await stays_admin(session, admin)
    course = await queries.course_for_review(session, course_id)
    if course.status != "pending":
        raise WrongStatus(f"The course is {course.status}.")
    return course


async def archive_course(session: AsyncSession, teacher: User, course_id: UUID) -> Course:
    """Take one's own course out of the shop. Raises CourseNotFound, WrongStatus."""
    return await _archive(session, await queries.owned_course(session, teacher, course_id))


async def unpublish_course(session: AsyncSession, admin: User, course_id: UUID) -> Course:
    """As the teacher's `archive_course`, by an admin; it stays so, should a teacher who is leaving come back.

    Raises CourseNotFound, WrongStatus.
    """
    await stays_admin(session, admin)
    course = await queries.course_for_review(session, course_id)
    if course.status == "published" or await keep_unpublished(session, course):
        await audit.record(session, "course_unpublished", actor_id=admin.id, subject=course.id)
    return await _archive(session, course)


async def _archive(session: AsyncSession, course: Course) -> Course:
    """Nobody finds or buys it any more, those who hold a key go on watching. Archiving again changes nothing."""
    if course.status == "archived":
        return course
    if course.status != "published":
        raise WrongStatus(f"The course is {course.status}.")
    course.status = "archived"
    await session.flush()
    changes.record(session, "course_unpublished", course_id=course.id)
    return course


async def add_section(session: AsyncSession, teacher: User, course_id: UUID, title: str) -> Section:
    course = await queries.owned_course(session, teacher, course_id)
    position = await queries.next_position(session, Section, course.id)
    section = Section(id=uuid7(), course_id=course.id, title=title, position=position)
    session.add(section)
    await session.flush()
    return section


async def add_lesson(
    session: AsyncSession, teacher: User, section_id: UUID, *, title: str, kind: str, is_preview: bool
) -> Lesson:
    section = await queries.owned_section(session, teacher, section_id)
    lesson = Lesson(
        id=uuid7(),
        course_id=section.course_id,
        section_id=section.id,
        kind=kind,
        title=title,
        is_preview=is_preview,
        position=await queries.next_position(session, Lesson, section.id),
    )
    session.add(lesson)
    await session.flush()
    return lesson


async def change_lesson(
    session: AsyncSession, teacher: User, lesson_id: UUID, *, title: str | None = None, is_preview: bool | None = None
) -> Lesson:
    """Change what is given. Raises LessonNotFound, also for somebody else's."""
    lesson = await queries.owned_lesson(session, teacher, lesson_id)
    if title is not None:
        lesson.title = title
    if is_preview is not None and is_preview != lesson.is_preview:
        lesson.is_preview = is_preview
        for video in await queries.videos_of_lesson(session, lesson.id):
            changes.record(session, "lesson_preview_changed", course_id=lesson.course_id, video_id=video.id)
    await session.flush()
    return lesson


async def delete_course(session: AsyncSession, teacher: User, course_id: UUID) -> Course:
    """Soft: the rows stay, nobody sees or watches it, keys become void receipts. Deleting again agrees again."""
    course = await queries.owned_course(session, teacher, course_id, deleted_too=True)
    if not course.is_deleted:
        course.deleted_at = datetime.now(UTC)
        await keys.void_keys_of_course(session, course.id)
        await session.flush()
        changes.record(session, "course_deleted", course_id=course.id)
    return course
