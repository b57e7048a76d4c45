"""How a payment moves, and what of the provider's word is to be believed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from vps_service.payments.models import Payment
from vps_service.payments.providers import Charge, ChargeStatus

Step = Literal["paid", "failed", "refunded", "disputed", "won"]

STEPS: dict[tuple[str, ChargeStatus], Sequence[Step]] = {
    ("pending", "paid"): ["paid"],
    ("pending", "failed"): ["failed"],
    # What came before was missed; it is caught up with in the same transaction.
    ("pending", "refunded"): ["paid", "refunded"],
    ("pending", "disputed"): ["paid", "disputed"],
    ("paid", "refunded"): ["refunded"],
    ("paid", "disputed"): ["disputed"],
    ("disputed", "refunded"): ["refunded"],
    ("disputed", "paid"): ["won"],
}
"""What a payment of this status has to go through to be where the provider says it is; final where nothing is said."""

EXPIRES_AFTER = timedelta(hours=24)


def steps(payment: Payment, charge: Charge) -> Sequence[Step]:
    return STEPS.get((payment.status, charge.status), [])


def is_stale(payment: Payment, charge: Charge, question: int) -> bool:
    """Whether a later question was answered already, so that this answer may be of the time before that.

    What is final cannot be; and a payment that is pending still was told of nothing later.
    """
    return question < payment.answered and payment.status != "pending" and charge.status not in ("refunded", "failed")


def is_about(charge: Charge, payment: Payment) -> bool:
    """Whether the provider speaks of what was ordered here."""
    return (charge.payment_id, charge.amount, charge.currency) == (str(payment.id), payment.amount, payment.currency)


def came_too_late(payment: Payment, charge: Charge) -> bool:
    """Money was taken for an order that is over: somebody has to give it back."""
    return payment.status in ("failed", "expired") and charge.status == "paid"


def expires(payment: Payment, charge: Charge, now: datetime) -> bool:
    return payment.status == charge.status == "pending" and is_old(payment, now)


def is_old(payment: Payment, now: datetime) -> bool:
    return payment.created_at < now - EXPIRES_AFTER
