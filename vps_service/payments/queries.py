from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.payments.errors import PaymentNotFound
from vps_service.payments.models import Payment


async def own_payment(session: AsyncSession, buyer: User, payment_id: UUID, *, lock: bool = False) -> Payment:
    """Raises PaymentNotFound, also for somebody else's."""
    wanted = select(Payment).where(Payment.id == payment_id, Payment.user_id == buyer.id)
    payment = (await session.scalars(wanted.with_for_update() if lock else wanted)).one_or_none()
    if payment is None:
        raise PaymentNotFound
    return payment


async def by_idempotency_key(session: AsyncSession, buyer: User, key: str) -> Payment | None:
    wanted = select(Payment).where(Payment.user_id == buyer.id, Payment.idempotency_key == key)
    return (await session.scalars(wanted)).one_or_none()


async def open_payment(session: AsyncSession, buyer: User, course_id: UUID) -> Payment | None:
    wanted = select(Payment).where(
        Payment.user_id == buyer.id, Payment.course_id == course_id, Payment.status == "pending"
    )
    return (await session.scalars(wanted)).one_or_none()


async def payments_of(session: AsyncSession, buyer: User, *, after: UUID | None, limit: int) -> Sequence[Payment]:
    """Newest first; one more than `limit`."""
    wanted = select(Payment).where(Payment.user_id == buyer.id)
    if after:
        wanted = wanted.where(Payment.id < after)
    return (await session.scalars(wanted.order_by(Payment.id.desc()).limit(limit + 1))).all()
