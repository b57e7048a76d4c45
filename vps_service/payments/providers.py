"""What a payment provider must do for us. Its word decides; a client's never does."""

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID


@dataclass(frozen=True)
class Checkout:
    """Where the buyer goes to pay; `ref` is the provider's id for it."""

    ref: str
    url: str


@dataclass(frozen=True)
class Charge:
    """What the provider says of one checkout; amount in minor units, `payment_id` as we gave it."""

    status: Literal["pending", "paid", "failed"]
    payment_id: str
    amount: int
    currency: str


class Provider(Protocol):
    """Both calls raise ProviderUnreachable."""

    name: str

    async def start(self, payment_id: UUID, amount: int, currency: str, title: str) -> Checkout:
        """Open a checkout; asked again for the same payment, the same checkout."""
        ...

    async def look_up(self, ref: str) -> Charge: ...

    async def close(self) -> None: ...
