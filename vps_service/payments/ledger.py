"""Double-entry ledger: what the provider took in is owed to the teacher, less the platform's fee."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.schemas import Money
from vps_service.payments.models import LedgerEntry, Payment


def split_sale(amount: int, fee_percent: int) -> dict[str, int]:
    """Signed legs by account in minor units, adding up to zero; the fee is rounded down, in the teacher's favour."""
    fee = amount * fee_percent // 100
    return {"provider": -amount, "platform": fee, "teacher": amount - fee}


async def record_sale(session: AsyncSession, payment: Payment, teacher_id: UUID, fee_percent: int) -> None:
    await _record(session, payment, "sale", split_sale(payment.amount, fee_percent), teacher_id)


async def hold_for_refund(session: AsyncSession, payment: Payment) -> None:
    """Money that came for nothing: the platform owes it to the buyer, the teacher has earned none of it."""
    await _record(session, payment, "undeliverable", {"provider": -payment.amount, "platform": payment.amount})


async def _record(
    session: AsyncSession, payment: Payment, reason: str, legs: dict[str, int], teacher_id: UUID | None = None
) -> None:
    for account, amount in legs.items():
        entry = LedgerEntry(
            payment_id=payment.id,
            reason=reason,
            account=account,
            teacher_id=teacher_id if account == "teacher" else None,
            amount=amount,
            currency=payment.currency,
        )
        session.add(entry)
    await session.flush()


async def balance(session: AsyncSession, teacher_id: UUID, currency: str) -> Money:
    """What the platform owes the teacher in this currency."""
    owed = select(func.coalesce(func.sum(LedgerEntry.amount), 0)).where(
        LedgerEntry.account == "teacher",
        LedgerEntry.teacher_id == teacher_id,
        LedgerEntry.currency == currency,
    )
    return Money(amount=int((await session.execute(owed)).scalar_one()), currency=currency)
