from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.problems import Conflict, Invalid
from shared.schemas import Money
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.courses import queries
from vps_service.courses.models import Course, Lesson, Section
from vps_service.keys import actions as keys


class WrongStatus(Conflict):
    code, title = "wrong_status", "The course is not in a state for that"


class NothingToPublish(Conflict):
    code, title = "nothing_to_publish", "A course needs at least one lesson"


async def draft_course(
    session: AsyncSession, teacher: User, title: str, description: str, price: Money, currency: str
) -> Course:
    """Any teacher may draft; only uploads wait for the followers. Raises Invalid for another currency."""
    _check_currency(price, currency)
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


async def change_course(
    session: AsyncSession,
    teacher: User,
    course_id: UUID,
    currency: str,
    *,
    title: str | None,
    description: str | None,
    price: Money | None,
) -> Course:
    """Change what is given. A price holds for later purchases only; a pending payment keeps its own."""
    course = await queries.owned_course(session, teacher, course_id)
    if price is not None:
        _check_currency(price, currency)
        course.price_amount = price.amount
    course.title = course.title if title is None else title
    course.description = course.description if description is None else description
    await session.flush()
    return course


def _check_currency(price: Money, currency: str) -> None:
    if price.currency != currency:
        raise Invalid(f"prices are in {currency}", field="body.price.currency")


async def submit_course(session: AsyncSession, teacher: User, course_id: UUID) -> Course:
    """Ask for publication. Raises WrongStatus, NothingToPublish."""
    course = await queries.owned_course(session, teacher, course_id)
    if course.status not in ("draft", "rejected"):
        raise WrongStatus(f"The course is {course.status}.")
    if not await queries.lessons_of(session, course.id):
        raise NothingToPublish
    course.status, course.rejection_reason = "pending", None
    await session.flush()
    return course


async def approve_course(session: AsyncSession, course_id: UUID) -> Course:
    course = await _pending_course(session, course_id)
    course.status = "published"
    await session.flush()
    return course


async def reject_course(session: AsyncSession, course_id: UUID, reason: str) -> Course:
    course = await _pending_course(session, course_id)
    course.status, course.rejection_reason = "rejected", reason
    await session.flush()
    return course


async def _pending_course(session: AsyncSession, course_id: UUID) -> Course:
    course = await queries.course_for_review(session, course_id)
    if course.status != "pending":
        raise WrongStatus(f"The course is {course.status}.")
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


async def delete_course(session: AsyncSession, teacher: User, course_id: UUID) -> Course:
    """Soft: the rows stay, nobody sees or watches it, keys become void receipts. Deleting again agrees again."""
    course = await queries.owned_course(session, teacher, course_id, deleted_too=True)
    if not course.is_deleted:
        course.deleted_at = datetime.now(UTC)
        await keys.void_keys_of_course(session, course.id)
        await session.flush()
        await changes.record(session, "course_deleted", course_id=course.id)
    return course
