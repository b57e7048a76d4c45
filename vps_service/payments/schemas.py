from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.schemas import Body, Moment, Money, Out
from vps_service.courses.schemas import VideoLink
from vps_service.keys.schemas import KeyOut
from vps_service.payments.models import Payment


class Purchase(Body):
    course_id: UUID
    provider: Annotated[str, Field(max_length=40, examples=["simulator"])]


class Redirect(Out):
    """What the buyer does next: open `url` and pay there."""

    kind: Literal["redirect"] = "redirect"
    url: str


class PaymentOut(Out):
    id: UUID
    course_id: UUID
    provider: str
    status: Literal["pending", "paid", "failed", "expired", "refunded", "disputed"]
    price: Money
    action: Redirect | None
    created_at: Moment
    paid_at: Moment | None

    @classmethod
    def from_row(cls, payment: Payment) -> "PaymentOut":
        """With what the buyer has to do next, while there is something."""
        pays_at = payment.checkout_url if payment.status == "pending" else None
        fields = ("id", "course_id", "provider", "status", "price", "created_at", "paid_at")
        shown = {name: getattr(payment, name) for name in fields}
        return cls(action=Redirect(url=pays_at) if pays_at else None, **shown)


class PaymentCheck(Out):
    """Key and videos come once the provider says that it was paid; until then `key` is null."""

    payment: PaymentOut
    key: KeyOut | None
    videos: list[VideoLink]
