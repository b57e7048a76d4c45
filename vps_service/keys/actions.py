from typing import Literal
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import stays_admin
from vps_service.audit import actions as audit
from vps_service.courses.errors import CourseNotFound
from vps_service.courses.models import Course
from vps_service.courses.queries import stays_public, visible_course
from vps_service.keys import queries
from vps_service.keys.errors import AlreadyOwned, CourseNotFree, KeyWasPaid, NoSuchKey, OwnCourse
from vps_service.keys.models import Key


async def grant_key(
    session: AsyncSession, user_id: UUID, course_id: UUID, payment_id: UUID | None = None
) -> Key | None:
    """A key, announced to the nodes; None when the user holds one already. The database decides races."""
    row = (
        insert(Key)
        .values(id=uuid7(), user_id=user_id, course_id=course_id, payment_id=payment_id, status="active")
        .on_conflict_do_nothing()
        .returning(Key.id)
    )
    if (await session.execute(row)).scalar_one_or_none() is None:
        return None
    changes.record(session, "key_granted", user_id=user_id, course_id=course_id)
    return await queries.active_key(session, user_id, course_id)


async def grant_receipt(session: AsyncSession, user_id: UUID, course_id: UUID, payment_id: UUID) -> Key:
    """A void key for money that was taken for nothing any more; the buyer sees that it arrived."""
    key = Key(user_id=user_id, course_id=course_id, payment_id=payment_id, status="void")
    session.add(key)
    await session.flush()
    await session.refresh(key, ["course", "created_at"])
    return key


async def take_back_key(session: AsyncSession, payment_id: UUID, why: Literal["key_refunded", "key_disputed"]) -> None:
    """What this payment paid for is no longer held, if it was. A key that was come by otherwise stays."""
    key = await queries.key_of_payment(session, payment_id)
    assert key is not None, "whatever was paid has a key or a receipt"
    await session.execute(update(Key).where(Key.id == key.id, Key.status == "active").values(status="void"))
    changes.record(session, why, user_id=key.user_id, course_id=key.course_id)


async def give_back_key(session: AsyncSession, payment_id: UUID) -> bool:
    """Make the payment's void key live again; False when the user holds another one by now.

    The caller has locked the course's row, so that no key to it is made or voided meanwhile.
    """
    key = await queries.key_of_payment(session, payment_id)
    assert key is not None, "whatever was paid has a key or a receipt"
    if await queries.active_key(session, key.user_id, key.course_id):
        return False
    await session.execute(update(Key).where(Key.id == key.id).values(status="active"))
    changes.record(session, "key_granted", user_id=key.user_id, course_id=key.course_id)
    return True


async def void_free_key(session: AsyncSession, admin: User, key_id: UUID) -> Key:
    """Take a free enrolment away; of one that is void already nothing is left to take.

    Raises NoSuchKey, KeyWasPaid.
    """
    await stays_admin(session, admin)
    key = await queries.locked_key(session, key_id)
    if key is None:
        raise NoSuchKey
    if key.payment_id is not None:
        raise KeyWasPaid
    if key.is_active:
        key.status = "void"
        await session.flush()
        changes.record(session, "key_voided", user_id=key.user_id, course_id=key.course_id)
        await audit.record(session, "key_voided", actor_id=admin.id, subject=key.id)
    return key


async def void_keys_of_course(session: AsyncSession, course_id: UUID) -> None:
    """Keys become void receipts; the caller announces what happened to the course."""
    await session.execute(update(Key).where(Key.course_id == course_id, Key.status == "active").values(status="void"))


async def course_for_sale(session: AsyncSession, learner: User, course_id: UUID) -> Course:
    """A published course that this learner could still get a key to. Raises CourseNotFound, OwnCourse, AlreadyOwned."""
    course = await visible_course(session, learner, course_id)
    if course.teacher_id == learner.id:
        raise OwnCourse
    if not course.is_public:
        raise CourseNotFound
    if await queries.active_key(session, learner.id, course.id):
        raise AlreadyOwned
    return course


async def enroll_free(session: AsyncSession, learner: User, course_id: UUID) -> Key:
    course = await course_for_sale(session, learner, course_id)
    if not course.is_free:
        raise CourseNotFree
    # Deleted a moment ago, its keys are void by now, and so would this one have to be.
    if not await stays_public(session, course.id):
        raise CourseNotFound
    key = await grant_key(session, learner.id, course.id)
    if key is None:
        raise AlreadyOwned
    return key
