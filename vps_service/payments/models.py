from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.schemas import Money
from vps_service.db import Row


class Payment(Row):
    """One purchase of one course, at the price it had then. `provider_ref` is the provider's own id for it.

    `asked` counts the questions to the provider, `answered` is the newest of them whose answer was heeded: answers may
    overtake each other.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'paid', 'failed', 'expired', 'refunded', 'disputed')", name="status"),
        CheckConstraint("amount > 0", name="amount"),
        UniqueConstraint("provider", "provider_ref"),
        UniqueConstraint("user_id", "idempotency_key"),
        Index("uq_payments_open", "user_id", "course_id", unique=True, postgresql_where="status = 'pending'"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), index=True)
    provider: Mapped[str]
    provider_ref: Mapped[str | None]
    checkout_url: Mapped[str | None]
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    status: Mapped[str] = mapped_column(default="pending")
    idempotency_key: Mapped[str | None]
    paid_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0, server_default="0")
    answered: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def price(self) -> Money:
        return Money(amount=self.amount, currency=self.currency)


class LedgerEntry(Row):
    """One leg of a double entry; the legs of one payment, reason and round add up to zero.

    A payment can be disputed and won more than once: each dispute begins a new round.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("account IN ('provider', 'platform', 'teacher')", name="account"),
        CheckConstraint("(account = 'teacher') = (teacher_id IS NOT NULL)", name="teacher"),
        UniqueConstraint("payment_id", "reason", "round", "account"),
    )

    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    reason: Mapped[str]
    round: Mapped[int] = mapped_column(default=0, server_default="0")
    account: Mapped[str]
    teacher_id: Mapped[UUID | None] = mapped_column(ForeignKey("teachers.user_id"), index=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
