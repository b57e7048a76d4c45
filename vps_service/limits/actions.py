"""How often something may be done: counted in the database, so that it is the same for all VPS processes together.

By the generic cell rate algorithm (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm): one moment a row says it
all, and one statement reads, decides and writes. The clock is the database's.
"""

import hashlib
import math
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.db import Sessions
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.models import RateLimit
from vps_service.limits.rules import Limit

NOW = func.clock_timestamp()
"""Not the transaction's beginning: who waited for the row's lock is later than that."""


async def take(sessions: Sessions, name: str, key: str, *, most: int, per_s: float) -> None:
    """Count one more of `name` for `key`; `most` may come at once, and then one every `per_s / most` seconds.

    Committed when this returns, whatever becomes of the request. With `most` = 0 nothing is limited. Raises
    TooManyRequests.
    """
    await take_all(sessions, [Limit(name, key, most, per_s)])


async def take_all(sessions: Sessions, limits: Sequence[Limit]) -> None:
    """One of each, or none; always in the same order of names, for none to wait for another. Raises TooManyRequests."""
    limits = [limit for limit in limits if limit.most]
    if not limits:
        return
    async with sessions() as session, session.begin():
        for limit in limits:
            await _take(session, limit)


async def took_all(sessions: Sessions, limits: Sequence[Limit]) -> bool:
    """One of each, or none, and which it was: by as many statements either way, so that nobody learns it from that."""
    async with sessions() as session:
        taken = [await _took(session, limit) for limit in limits if limit.most]
        await (session.commit() if all(taken) else session.rollback())
    return all(taken)


async def _take(session: AsyncSession, limit: Limit) -> None:
    if await _took(session, limit):
        return
    each, whole = _each(limit), timedelta(seconds=limit.per_s)
    wait_s = func.extract("epoch", RateLimit.full_at + each - whole - NOW)
    waited = (await session.execute(select(wait_s).where(RateLimit.id == _id(limit)))).scalar_one_or_none()
    raise TooManyRequests(max(1, math.ceil(waited or 0)))


async def _took(session: AsyncSession, limit: Limit) -> bool:
    each, whole = _each(limit), timedelta(seconds=limit.per_s)
    later = func.greatest(RateLimit.full_at, NOW) + each
    taken = (
        insert(RateLimit)
        .values(id=_id(limit), full_at=NOW + each)
        .on_conflict_do_update(index_elements=[RateLimit.id], set_={"full_at": later}, where=later <= NOW + whole)
        .returning(RateLimit.id)
    )
    return (await session.execute(taken)).scalar_one_or_none() is not None


async def is_used_up(sessions: Sessions, limit: Limit) -> bool:
    """Of one of which there is one at most: whether it was taken lately. Nothing is counted."""
    async with sessions() as session:
        found = select(RateLimit.id).where(RateLimit.id == _id(limit), RateLimit.full_at > NOW)
        return (await session.execute(found)).scalar_one_or_none() is not None


async def give_back(sessions: Sessions, limits: Sequence[Limit]) -> None:
    """What was taken is not to count after all: it was no failure."""
    async with sessions() as session, session.begin():
        for limit in limits:
            if limit.most:
                row = update(RateLimit).where(RateLimit.id == _id(limit))
                await session.execute(row.values(full_at=RateLimit.full_at - _each(limit)))


async def forget(session: AsyncSession, limits: Sequence[Limit]) -> None:
    """As if nothing had been taken. One after the other, as they are taken: else one could wait for who takes them, who
    waits for the other."""
    for limit in limits:
        await session.execute(delete(RateLimit).where(RateLimit.id == _id(limit)))


async def forget_full(sessions: Sessions) -> None:
    """Rows that say no more than no row would, but for those that somebody is counting in just now."""
    full = select(RateLimit.id).where(RateLimit.full_at < NOW).with_for_update(skip_locked=True)
    async with sessions() as session, session.begin():
        await session.execute(delete(RateLimit).where(RateLimit.id.in_(full)))


def _each(limit: Limit) -> timedelta:
    """Rounded down: rounded up, the last of `most` would be one too many."""
    return timedelta(microseconds=int(limit.per_s * 1_000_000 / limit.most))


def _id(limit: Limit) -> bytes:
    """Of one length whatever was typed as a login, and no address or name of a person."""
    return hashlib.sha256(f"{limit.name}\0{limit.key}".encode(errors="surrogatepass")).digest()
