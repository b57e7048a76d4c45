"""Keyset pages: a cursor is the place of the last item, so that a page costs the same however deep it is."""

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from shared.problems import Invalid

Limit = Annotated[int, Query(ge=1, le=100, description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before.")]

Item = TypeVar("Item")


def after(cursor: str | None) -> UUID | None:
    """The id that the next page starts behind. Raises Invalid."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise Invalid("is not a cursor of this list", field="query.cursor") from None


def cut(rows: Sequence[Item], limit: int, id_of: Callable[[Item], UUID]) -> tuple[Sequence[Item], str | None]:
    """One page of `rows`, of which one more than `limit` was asked for, and the cursor of the next."""
    if len(rows) <= limit:
        return rows, None
    last = id_of(rows[limit - 1])
    return rows[:limit], base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()
