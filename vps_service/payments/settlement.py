"""Moving a payment to where its provider says it is, with everything that hangs on it: key, ledger, announcement."""

import logging
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.killpoints import killpoint
from vps_service.courses.models import Course
from vps_service.db import Sessions
from vps_service.keys import actions as keys
from vps_service.payments import ledger, queries, rules
from vps_service.payments.errors import PaymentMismatch
from vps_service.payments.models import Payment
from vps_service.payments.providers import Charge, Provider

log = logging.getLogger(__name__)


async def ask_and_settle(
    sessions: Sessions, provider: Provider, payment_id: UUID, fee_percent: int, *, expire: bool = False
) -> Payment:
    """Ask the provider, and move the payment there; with `expire`, one that stays pending for too long is given up.

    Raises ProviderUnreachable, PaymentMismatch.
    """
    question, ref = await _number_question(sessions, payment_id)
    charge = await provider.look_up(ref)
    return await _heed(sessions, payment_id, question, charge, fee_percent, expire=expire)


async def refund_and_settle(sessions: Sessions, provider: Provider, payment_id: UUID, fee_percent: int) -> Payment:
    """As `ask_and_settle`, having the provider give the money back first. Raises RefundRefused too."""
    question, ref = await _number_question(sessions, payment_id)
    charge = await provider.refund(ref)
    killpoint("refund.after_provider")
    payment = await _heed(sessions, payment_id, question, charge, fee_percent)
    killpoint("refund.after_commit")
    return payment


async def give_up(sessions: Sessions, payment_id: UUID) -> bool:
    """A pending payment that the provider does not know is over once it is old enough. Whether it is."""
    async with sessions() as session, session.begin():
        payment = await queries.locked_payment(session, payment_id)
        if payment.status != "pending" or not rules.is_old(payment, datetime.now(UTC)):
            return False
        payment.status = "expired"
        return True


async def _number_question(sessions: Sessions, payment_id: UUID) -> tuple[int, str]:
    async with sessions() as session, session.begin():
        return await queries.next_question(session, payment_id)


async def _heed(
    sessions: Sessions, payment_id: UUID, question: int, charge: Charge, fee_percent: int, *, expire: bool = False
) -> Payment:
    async with sessions() as session, session.begin():
        payment = await queries.locked_payment(session, payment_id)
        if not rules.is_stale(payment, charge, question):
            payment.answered = max(payment.answered, question)
            await settle(session, payment, charge, fee_percent)
        if expire and rules.expires(payment, charge, datetime.now(UTC)):
            payment.status = "expired"
        await session.flush()
        killpoint("payment.before_commit")
    killpoint("payment.after_commit")
    return payment


async def settle(session: AsyncSession, payment: Payment, charge: Charge, fee_percent: int) -> None:
    """Nothing happens to a locked payment that is there already, or final. Raises PaymentMismatch."""
    steps = rules.steps(payment, charge)
    if rules.came_too_late(payment, charge):
        log.error("paid after it was given up; refund it at the provider", extra={"payment_id": payment.id})
    if steps and not rules.is_about(charge, payment):
        log.error("payment mismatch", extra={"payment_id": payment.id, "charge": charge})
        raise PaymentMismatch
    for step in steps:
        match step:
            case "paid":
                await _deliver(session, payment, fee_percent)
            case "failed":
                payment.status = "failed"
            case "refunded":
                payment.status = "refunded"
                await keys.take_back_key(session, payment.id, "key_refunded")
                await ledger.reverse(session, payment, "refund")
            case "disputed":
                payment.status = "disputed"
                await keys.take_back_key(session, payment.id, "key_disputed")
                await ledger.reverse(session, payment, "dispute")
            case "won":
                await _deliver_again(session, payment)


async def _deliver(session: AsyncSession, payment: Payment, fee_percent: int) -> None:
    payment.status, payment.paid_at = "paid", datetime.now(UTC)
    await session.flush()
    course = await session.get_one(Course, payment.course_id, with_for_update={"read": True})
    if not course.is_deleted and await keys.grant_key(session, payment.user_id, course.id, payment.id):
        await ledger.record_sale(session, payment, course.teacher_id, fee_percent)
        return
    _log_paid_for_nothing(payment)
    await ledger.hold_for_refund(session, payment)
    await keys.grant_receipt(session, payment.user_id, course.id, payment.id)


async def _deliver_again(session: AsyncSession, payment: Payment) -> None:
    """A dispute was won: the money is here again, and so is what it was paid for, if it can be had."""
    payment.status = "paid"
    await session.flush()
    # No shared lock: of two that give this course to one user at once, the later has to see the earlier.
    course = await session.get_one(Course, payment.course_id, with_for_update={"key_share": True})
    sold = await ledger.was_sold(session, payment)
    if sold and (course.is_deleted or await keys.give_back_key(session, payment.id)):
        await ledger.reinstate_sale(session, payment)
        return
    _log_paid_for_nothing(payment)
    await ledger.hold_for_refund(session, payment)


def _log_paid_for_nothing(payment: Payment) -> None:
    log.error("paid for nothing; refund it", extra={"payment_id": payment.id, "course_id": payment.course_id})
