from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.payments.errors import PaymentNotFound
from vps_service.payments.models import Payment


async def any_payment(session: AsyncSession, payment_id: UUID) -> Payment:
    """Whoever's. Raises PaymentNotFound."""
    payment = await session.get(Payment, payment_id)
    if payment is None:
        raise PaymentNotFound
    return payment


async def locked_payment(session: AsyncSession, payment_id: UUID) -> Payment:
    wanted = select(Payment).where(Payment.id == payment_id).with_for_update()
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one()


async def next_question(session: AsyncSession, payment_id: UUID) -> tuple[int, str]:
    """The number of a question to the provider about this payment, and what the provider knows it by."""
    asked = update(Payment).where(Payment.id == payment_id).values(asked=Payment.asked + 1)
    row = (await session.execute(asked.returning(Payment.asked, Payment.provider_ref))).one()
    assert row.provider_ref is not None, "only what the provider knows of is asked about"
    return row.asked, row.provider_ref


async def by_provider_ref(session: AsyncSession, provider: str, ref: str) -> Payment | None:
    wanted = select(Payment).where(Payment.provider == provider, Payment.provider_ref == ref)
    return (await session.scalars(wanted)).one_or_none()


async def waiting_payments(
    session: AsyncSession, provider: str, *, before: datetime, after: UUID | None, limit: int
) -> Sequence[Payment]:
    """Pending ones that the provider knows of, made before that moment, oldest first."""
    wanted = select(Payment).where(
        Payment.provider == provider,
        Payment.status == "pending",
        Payment.provider_ref.is_not(None),
        Payment.created_at < before,
    )
    if after:
        wanted = wanted.where(Payment.id > after)
    return (await session.scalars(wanted.order_by(Payment.id).limit(limit))).all()


async def paid_payments(
    session: AsyncSession, provider: str, *, since: datetime, after: UUID | None, limit: int
) -> Sequence[Payment]:
    """Those that may still be refunded or disputed, made since that moment, oldest first."""
    wanted = select(Payment).where(
        Payment.provider == provider,
        Payment.status.in_(("paid", "disputed")),
        Payment.provider_ref.is_not(None),
        Payment.created_at >= since,
    )
    if after:
        wanted = wanted.where(Payment.id > after)
    return (await session.scalars(wanted.order_by(Payment.id).limit(limit))).all()


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
