"""People who are looked for by some letters of what is known of them, at the same cost however many there are."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

LOOKED_THROUGH = 1000
"""Of the first in the list, for letters that enough of them may have."""
FOUND_AT_MOST = 50_000
"""Of the others, however many have the letters."""
TRIGRAM = 3
"""Trigrams (pg_trgm) know as many letters or digits that stand together, of fewer only those that begin a word, and of
other characters nothing."""


def has(searched: ColumnElement[str], q: str) -> ColumnElement[bool]:
    """Whether these words, in small letters, have those of `q` in them: one or two letters where a word begins."""
    letters = _as_letters(q)
    if _most_together(q) >= TRIGRAM or not is_indexed(q):
        return searched.like(func.lower(f"%{letters}%"))
    return or_(*(searched.like(func.lower(f"{start}{letters}%")) for start in ("", "% ")))


def is_indexed(q: str) -> bool:
    """Whether an index knows which words have these letters."""
    return _most_together(q) > 0


def _most_together(q: str) -> int:
    """Letters and digits; ½ and ² are neither to the index, though they are to `str.isalnum` and to \\w."""
    runs = groupby(q, lambda one: one.isalpha() or one.isdecimal())
    return max((len([*run]) for is_word, run in runs if is_word), default=0)


def _as_letters(q: str) -> str:
    """For a LIKE pattern: to a person %, _ and \\ are letters like any other."""
    for special in ("\\", "%", "_"):
        q = q.replace(special, f"\\{special}")
    return q


async def first_with(
    session: AsyncSession,
    listed: Select[*tuple[Any, ...]],
    of_all: Select[*tuple[Any, ...]],
    fits: ColumnElement[bool],
    limit: int,
    *,
    indexed: bool,
) -> Sequence[Row[*tuple[Any, ...]]]:
    """The places of the first `limit` in a list that fit; the highest place comes first.

    `listed` are the places in this order, `of_all` the same ones in none. What no index helps to find is looked for
    among the first in the list only.
    """
    # Of common letters the first are soon found, and of seldom ones all are few. Which it is, PostgreSQL can only
    # guess, and a wrong guess reads everybody: so first a look at some, then, if that was not enough, at all.
    *place, fit = listed.add_columns(fits.label("fits")).limit(LOOKED_THROUGH).cte("some").c
    found = (await session.execute(_highest(place, limit).where(fit))).all()
    if len(found) == limit or not indexed:
        return found
    matching = of_all.where(fits).limit(FOUND_AT_MOST).cte("matching").prefix_with("MATERIALIZED", dialect="postgresql")
    all_found = (await session.execute(_highest([*matching.c], limit))).all()
    return sorted({*found, *all_found}, reverse=True)[:limit]


def _highest(place: Sequence[ColumnElement[Any]], limit: int) -> Select[*tuple[Any, ...]]:
    return select(*place).order_by(*(column.desc() for column in place)).limit(limit)
