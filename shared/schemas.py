"""Base of every body, so that unknown input is refused and times are alike in both APIs."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)


def _storable(value: Any) -> Any:
    """PostgreSQL's text holds every character but NUL."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


Text = Annotated[str, AfterValidator(_storable)]
"""Text from a path or a query that the database will be asked about; bodies check theirs by themselves."""

CONVENTIONS = """
Ids are UUIDs, times RFC 3339 in UTC, money `{amount, currency}` in minor units. A list is `{items, next}`; send `next`
back as `cursor`. Errors are RFC 9457 `application/problem+json`: decide on `code`. 503 comes with `Retry-After`.
Unknown fields are refused.
"""


MOST_FIELDS = 500
"""More than any body has. Each that is unknown is complained of by name."""


class Body(BaseModel):
    """A request body: unknown fields are an error, strings come trimmed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    _check_text = field_validator("*")(_storable)

    @model_validator(mode="before")
    @classmethod
    def _has_not_too_many_fields(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > MOST_FIELDS:
            raise ValueError(f"must not have more than {MOST_FIELDS} fields")
        return given


class Patch(Body):
    """A change of some fields: one that is left out stays, and null is refused but for those in NULLABLE."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _names_what_changes(self) -> Self:
        for name, value in self.changes().items():
            if value is None and name not in self.NULLABLE:
                raise ValueError(f"{name} must not be null; leave it out to keep it")
        return self

    def changes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Out(BaseModel):
    """An answer, made from a row or from values."""

    model_config = ConfigDict(from_attributes=True)


def rfc3339(moment: datetime) -> str:
    """The moment in UTC with a `Z`, as RFC 3339 writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _of_a_calendar(moment: datetime) -> datetime:
    """No database gives back what in UTC is before the year 1 or after the year 9999."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be of the years 1 to 9999 in UTC") from None
    return moment


Moment = Annotated[
    datetime,
    AfterValidator(_of_a_calendar),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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
