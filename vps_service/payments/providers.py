"""What a payment provider must do for us. Its word decides; a client's never does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

ChargeStatus = Literal["pending", "paid", "failed", "refunded", "disputed"]


@dataclass(frozen=True)
class Checkout:
    """Where the buyer goes to pay; `ref` is the provider's id for it."""

    ref: str
    url: str


@dataclass(frozen=True)
class Charge:
    """What the provider says of one checkout; amount in minor units, `payment_id` as we gave it."""

    status: ChargeStatus
    payment_id: str
    amount: int
    currency: str


class Provider(Protocol):
    """Whatever asks the provider raises ProviderUnreachable."""

    name: str

    async def start(self, payment_id: UUID, amount: int, currency: str, title: str) -> Checkout:
        """Open a checkout; asked again for the same payment, the same checkout."""
        ...

    async def look_up(self, ref: str) -> Charge: ...

    async def refund(self, ref: str) -> Charge:
        """Give all of it back; asked again, nothing more. Raises RefundRefused for what was not paid."""
        ...

    def ref_of_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """Which checkout a message is about. Raises BadWebhook unless the provider signed these very bytes just now.

        `headers` by lower-case name, `now` in Unix seconds.
        """
        ...

    async def close(self) -> None: ...
