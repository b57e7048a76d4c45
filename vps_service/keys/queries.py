from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from vps_service.keys.models import Key


async def active_key(session: AsyncSession, user_id: UUID, course_id: UUID) -> Key | None:
    wanted = select(Key).where(Key.user_id == user_id, Key.course_id == course_id, Key.status == "active")
    return (await session.scalars(wanted.options(joinedload(Key.course)))).one_or_none()


async def key_of_payment(session: AsyncSession, payment_id: UUID) -> Key | None:
    wanted = select(Key).where(Key.payment_id == payment_id).options(joinedload(Key.course))
    return (await session.scalars(wanted)).one_or_none()


async def locked_key(session: AsyncSession, key_id: UUID) -> Key | None:
    wanted = select(Key).where(Key.id == key_id).options(joinedload(Key.course, innerjoin=True))
    return (await session.scalars(wanted.with_for_update(of=Key))).one_or_none()


async def keys_of(session: AsyncSession, user_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Key]:
    """Newest first, void ones too; one more than `limit`."""
    wanted = select(Key).where(Key.user_id == user_id).options(joinedload(Key.course))
    if after:
        wanted = wanted.where(Key.id < after)
    return (await session.scalars(wanted.order_by(Key.id.desc()).limit(limit + 1))).all()
