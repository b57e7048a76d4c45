"""Buying a course: the order is stored before the provider hears of it, and only the provider's word settles it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from vps_service.accounts.models import User
from vps_service.courses.models import Course
from vps_service.db import Sessions
from vps_service.keys import actions as keys
from vps_service.keys.models import Key
from vps_service.keys.queries import active_key, key_of_payment
from vps_service.payments import queries
from vps_service.payments.errors import (
    CourseIsFree,
    IdempotencyKeyReused,
    PaymentMismatch,
    ProviderConfused,
    ProviderNotOffered,
    ProviderUnreachable,
)
from vps_service.payments.models import Payment
from vps_service.payments.providers import Provider
from vps_service.payments.settlement import ask_and_settle, give_up

log = logging.getLogger(__name__)

ASKED_AT_ONCE = 50


async def buy_course(
    sessions: Sessions,
    provider: Provider | None,
    buyer: User,
    course_id: UUID,
    *,
    provider_name: str,
    idempotency_key: str | None,
) -> Payment:
    """A pending payment with a checkout to go to. Buying again what is still pending goes on with that payment."""
    if provider is None or provider.name != provider_name:
        raise ProviderNotOffered
    async with sessions() as session, session.begin():
        payment, title = await _order(session, buyer, course_id, provider.name, idempotency_key)
    if payment.provider_ref:
        return payment
    checkout = await provider.start(payment.id, payment.amount, payment.currency, title)
    async with sessions() as session, session.begin():
        payment = await queries.own_payment(session, buyer, payment.id, lock=True)
        payment.provider_ref, payment.checkout_url = checkout.ref, checkout.url
    return payment


async def _order(
    session: AsyncSession, buyer: User, course_id: UUID, provider: str, idempotency_key: str | None
) -> tuple[Payment, str]:
    """The payment for this purchase, stored, and the course's title."""
    if idempotency_key and (earlier := await queries.by_idempotency_key(session, buyer, idempotency_key)):
        if (earlier.course_id, earlier.provider) != (course_id, provider):
            raise IdempotencyKeyReused
        return earlier, (await session.get_one(Course, course_id)).title
    course = await keys.course_for_sale(session, buyer, course_id)
    if course.is_free:
        raise CourseIsFree
    row = insert(Payment).values(
        id=uuid7(),
        user_id=buyer.id,
        course_id=course.id,
        provider=provider,
        amount=course.price_amount,
        currency=course.currency,
        status="pending",
        idempotency_key=idempotency_key,
    )
    await session.execute(row.on_conflict_do_nothing())
    payment = await queries.open_payment(session, buyer, course.id)
    if payment is None:  # the same Idempotency-Key, for another course, at the very same time
        raise IdempotencyKeyReused
    return payment, course.title


async def verify_payment(
    sessions: Sessions, provider: Provider | None, buyer: User, payment_id: UUID, fee_percent: int
) -> tuple[Payment, Key | None]:
    """Ask the provider, and settle by its answer. Raises PaymentNotFound, PaymentMismatch, ProviderUnreachable."""
    async with sessions() as session:
        payment = await queries.own_payment(session, buyer, payment_id)
        key = await _key_for(session, payment)
    if payment.status != "pending" or payment.provider_ref is None:
        return payment, key
    if provider is None or provider.name != payment.provider:
        raise ProviderNotOffered
    payment = await ask_and_settle(sessions, provider, payment.id, fee_percent)
    async with sessions() as session:
        return payment, await _key_for(session, payment)


async def recheck_pending(sessions: Sessions, provider: Provider, fee_percent: int, older_than_s: float) -> int:
    """Ask about every pending payment that is older: a message may have been lost. How many are settled now.

    One that the provider still calls pending after a day, or does not know, is given up.
    """
    before = datetime.now(UTC) - timedelta(seconds=older_than_s)

    async def batch(session: AsyncSession, after: UUID | None) -> Sequence[Payment]:
        return await queries.waiting_payments(session, provider.name, before=before, after=after, limit=ASKED_AT_ONCE)

    return await _recheck_each(sessions, provider, fee_percent, batch)


async def recheck_paid(sessions: Sessions, provider: Provider, fee_percent: int, newer_than: timedelta) -> int:
    """Ask about what was paid lately: a database that was set back missed refunds. How many have moved."""
    since = datetime.now(UTC) - newer_than

    async def batch(session: AsyncSession, after: UUID | None) -> Sequence[Payment]:
        return await queries.paid_payments(session, provider.name, since=since, after=after, limit=ASKED_AT_ONCE)

    return await _recheck_each(sessions, provider, fee_percent, batch)


Batch = Callable[[AsyncSession, UUID | None], Awaitable[Sequence[Payment]]]


async def _recheck_each(sessions: Sessions, provider: Provider, fee_percent: int, batch: Batch) -> int:
    """Stops where the provider does not answer: there will be another time."""
    after, moved = None, 0
    while True:
        async with sessions() as session:
            payments = await batch(session, after)
        for payment in payments:
            try:
                moved += await _recheck(sessions, provider, payment, fee_percent)
            except ProviderUnreachable:
                return moved
        if len(payments) < ASKED_AT_ONCE:
            return moved
        after = payments[-1].id


async def _recheck(sessions: Sessions, provider: Provider, payment: Payment, fee_percent: int) -> bool:
    try:
        now = await ask_and_settle(sessions, provider, payment.id, fee_percent, expire=True)
    except PaymentMismatch:
        return False  # it is in the log, and stays where it is
    except ProviderConfused:
        log.error("a payment that the provider does not know", extra={"payment_id": payment.id})
        return await give_up(sessions, payment.id)
    return now.status != payment.status


async def _key_for(session: AsyncSession, payment: Payment) -> Key | None:
    """The live key to what was paid, whichever payment it came by, else this payment's receipt."""
    if payment.status not in ("paid", "refunded", "disputed"):
        return None
    live = await active_key(session, payment.user_id, payment.course_id)
    return live or await key_of_payment(session, payment.id)
