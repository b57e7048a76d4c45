from typing import Annotated, Literal

from pydantic import BaseModel, Field

from shared.schemas import Body, Out, Text


class CheckoutAsked(Body):
    """`reference` is the merchant's own id for the order; `amount` in minor units."""

    reference: Annotated[str, Field(min_length=1, max_length=100)]
    amount: Annotated[int, Field(gt=0)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    title: Annotated[str, Field(max_length=200)]


class CheckoutState(Out):
    id: str
    reference: str
    amount: int
    currency: str
    status: Literal["pending", "paid", "failed", "refunded", "disputed"]
    url: str


class CheckoutEvent(BaseModel):
    """What a webhook says: something happened to this checkout. Which, its receiver asks."""

    id: Text
    checkout: Text
