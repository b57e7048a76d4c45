"""Base of every body, so that unknown input is refused and times are alike in both APIs."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, field_validator


def _storable(value: Any) -> Any:
    """PostgreSQL's text holds every character but NUL."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


Text = Annotated[str, AfterValidator(_storable)]
"""Text from a path or a query that the database will be asked about; bodies check theirs by themselves."""


class Body(BaseModel):
    """A request body: unknown fields are an error, strings come trimmed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    _check_text = field_validator("*")(_storable)


class Out(BaseModel):
    """An answer, made from a row or from values."""

    model_config = ConfigDict(from_attributes=True)


def rfc3339(moment: datetime) -> str:
    """The moment in UTC with a `Z`, as RFC 3339 writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]


class Money(Body):
    """An amount in minor units (piastres, cents) of an ISO 4217 currency."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, frozen=True)

    amount: int
    currency: str


Item = TypeVar("Item")


class Page(Out, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, null on the last."""

    items: list[Item]
    next: str | None = None
