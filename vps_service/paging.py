"""Keyset pages: a cursor is the place of the last item, so that a page costs the same however deep it is."""

import base64
import struct
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


PLACE = struct.Struct(">q16s")
Place = tuple[int, UUID]
"""Where an item is in a list that is not ordered by age: by this number, and by the id among equals."""
Item = TypeVar("Item")


def after_place(cursor: str | None, most: int) -> Place | None:
    """The place that the next page starts behind; its number is from 0 to `most`. Raises Invalid."""
    if cursor is None:
        return None
    try:
        number, item_id = PLACE.unpack(base64.urlsafe_b64decode(cursor + "=="))
    except (ValueError, struct.error):
        number, item_id = -1, b""
    if not 0 <= number <= most:
        raise Invalid("is not a cursor of this list", field="query.cursor")
    return number, UUID(bytes=item_id)


def page_by_place(
    rows: Sequence[Item], limit: int, show: Callable[[Item], Shown], place: Callable[[Item], Place]
) -> Page[Shown]:
    """As `page`, for a list in the order of `place`."""
    items = [show(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items=items)
    number, item_id = place(rows[limit - 1])
    return Page(items=items, next=base64.urlsafe_b64encode(PLACE.pack(number, item_id.bytes)).decode())
