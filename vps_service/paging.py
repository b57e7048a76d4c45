"""Keyset pages: a cursor is the place of the last item, so that a page costs the same however deep it is."""

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from shared.problems import Invalid
from shared.schemas import Page
from vps_service.db import Row

Limit = Annotated[int, Query(ge=1, le=100, description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before.")]

HasId = TypeVar("HasId", bound=Row)
Shown = TypeVar("Shown")


def after(cursor: str | None) -> UUID | None:
    """The id that the next page starts behind. Raises Invalid."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise Invalid("is not a cursor of this list", field="query.cursor") from None


def page(rows: Sequence[HasId], limit: int, show: Callable[[HasId], Shown]) -> Page[Shown]:
    """One page of `rows`, of which one more than `limit` was asked for, and the cursor of the next."""
    items = [show(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items=items)
    return Page(items=items, next=base64.urlsafe_b64encode(rows[limit - 1].id.bytes).rstrip(b"=").decode())
