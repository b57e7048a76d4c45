"""Giving the money back: the provider first, and by its word the key goes and the ledger is set right."""

from uuid import UUID

from vps_service.accounts.models import User
from vps_service.accounts.queries import stays_admin
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.payments import queries
from vps_service.payments.errors import PaymentNotPaid, ProviderNotOffered
from vps_service.payments.models import Payment
from vps_service.payments.providers import Provider
from vps_service.payments.settlement import refund_and_settle


async def refund_payment(
    sessions: Sessions, provider: Provider | None, admin: User, payment_id: UUID, fee_percent: int
) -> Payment:
    """Refund what was paid; of what is refunded nothing changes. Safe to repeat after any failure.

    Raises PaymentNotFound, PaymentNotPaid, RefundRefused, ProviderUnreachable.
    """
    async with sessions() as session:
        payment = await queries.any_payment(session, payment_id)
    if payment.status == "refunded":
        return payment
    if payment.status not in ("paid", "disputed") or payment.provider_ref is None:
        raise PaymentNotPaid(f"The payment is {payment.status}.")
    if provider is None or provider.name != payment.provider:
        raise ProviderNotOffered
    async with sessions() as session, session.begin():
        await stays_admin(session, admin)
        await audit.record(session, "refund_ordered", actor_id=admin.id, subject=payment.id)
    return await refund_and_settle(sessions, provider, payment.id, fee_percent)
