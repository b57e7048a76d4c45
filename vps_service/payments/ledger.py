"""Double-entry ledger: what the provider took in is owed to the teacher, less the platform's fee."""

from typing import Literal
from uuid import UUID

from sqlalchemy import BindParameter, ScalarSelect, SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.payments.models import LedgerEntry, Payment


def split_sale(amount: int, fee_percent: int) -> dict[str, int]:
    """Signed legs by account in minor units, adding up to zero; the fee is rounded down, in the teacher's favour."""
    fee = amount * fee_percent // 100
    return {"provider": -amount, "platform": fee, "teacher": amount - fee}


async def record_sale(session: AsyncSession, payment: Payment, teacher_id: UUID, fee_percent: int) -> None:
    await _record(session, payment, "sale", split_sale(payment.amount, fee_percent), teacher_id)


async def hold_for_refund(session: AsyncSession, payment: Payment) -> None:
    """Money that came for nothing: the platform owes it to the buyer, the teacher has earned none of it."""
    round_ = await _round(session, payment)
    legs = {"provider": -payment.amount, "platform": payment.amount}
    await _record(session, payment, "undeliverable", legs, round_=round_)


async def reverse(session: AsyncSession, payment: Payment, reason: Literal["refund", "dispute"]) -> None:
    """Take back whatever the payment still moves, so that each account has of it what it had before."""
    sums = (
        select(LedgerEntry.account, LedgerEntry.teacher_id, func.sum(LedgerEntry.amount))
        .where(LedgerEntry.payment_id == payment.id)
        .group_by(LedgerEntry.account, LedgerEntry.teacher_id)
    )
    moved = {(account, teacher): int(amount) for account, teacher, amount in await session.execute(sums)}
    if not any(moved.values()):
        return  # a dispute took it back before the refund
    round_ = await _round(session, payment) + (reason == "dispute")
    teacher_id = next((teacher for _, teacher in moved if teacher), None)
    legs = {account: -amount for (account, _), amount in moved.items()}
    await _record(session, payment, reason, legs, teacher_id, round_=round_)


async def was_sold(session: AsyncSession, payment: Payment) -> bool:
    """Whether it was a sale, and not money that came for nothing."""
    held = select(LedgerEntry.id).where(LedgerEntry.payment_id == payment.id, LedgerEntry.reason == "undeliverable")
    return (await session.execute(held.limit(1))).first() is None


async def reinstate_sale(session: AsyncSession, payment: Payment) -> None:
    """Credit again what the newest dispute took, at the fee of then."""
    round_ = await _round(session, payment)
    taken = select(LedgerEntry).where(
        LedgerEntry.payment_id == payment.id, LedgerEntry.reason == "dispute", LedgerEntry.round == round_
    )
    entries = (await session.scalars(taken)).all()
    teacher_id = next((entry.teacher_id for entry in entries if entry.teacher_id), None)
    legs = {entry.account: -entry.amount for entry in entries}
    await _record(session, payment, "dispute_won", legs, teacher_id, round_=round_)


async def _round(session: AsyncSession, payment: Payment) -> int:
    """How often the payment was disputed so far."""
    newest = select(func.coalesce(func.max(LedgerEntry.round), 0)).where(LedgerEntry.payment_id == payment.id)
    return (await session.execute(newest)).scalar_one()


async def _record(
    session: AsyncSession,
    payment: Payment,
    reason: str,
    legs: dict[str, int],
    teacher_id: UUID | None = None,
    *,
    round_: int = 0,
) -> None:
    for account, amount in legs.items():
        entry = LedgerEntry(
            payment_id=payment.id,
            reason=reason,
            round=round_,
            account=account,
            teacher_id=teacher_id if account == "teacher" else None,
            amount=amount,
            currency=payment.currency,
        )
        session.add(entry)
    await session.flush()


def owed(teacher_id: UUID | SQLColumnExpression[UUID], currency: str | BindParameter[str]) -> ScalarSelect[int]:
    """What the platform owes the teacher in this currency, to be asked for together with other things."""
    total = select(func.coalesce(func.sum(LedgerEntry.amount), 0)).where(
        LedgerEntry.account == "teacher",
        LedgerEntry.teacher_id == teacher_id,
        LedgerEntry.currency == currency,
    )
    return total.scalar_subquery()
