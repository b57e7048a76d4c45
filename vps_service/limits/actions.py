"""How often something may be done: counted in the database, so that it is the same for all VPS processes together.

By the generic cell rate algorithm (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm): one moment a row says it
all, and one statement reads, decides and writes. The clock is the database's.
"""

import hashlib
import math
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from vps_service.db import Sessions
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.models import RateLimit

NOW = func.clock_timestamp()
"""Not the transaction's beginning: who waited for the row's lock is later than that."""


async def take(sessions: Sessions, name: str, key: str, *, most: int, per_s: float) -> None:
    """Count one more of `name` for `key`; `most` may come at once, and then one every `per_s / most` seconds.

    Committed when this returns, whatever becomes of the request. With `most` = 0 nothing is limited. Raises
    TooManyRequests.
    """
    if not most:
        return
    row_id, each, whole = _id(name, key), _each(most, per_s), timedelta(seconds=per_s)
    later = func.greatest(RateLimit.full_at, NOW) + each
    taken = (
        insert(RateLimit)
        .values(id=row_id, full_at=NOW + each)
        .on_conflict_do_update(index_elements=[RateLimit.id], set_={"full_at": later}, where=later <= NOW + whole)
        .returning(RateLimit.id)
    )
    async with sessions() as session, session.begin():
        if (await session.execute(taken)).scalar_one_or_none() is not None:
            return
        wanted = select(func.extract("epoch", RateLimit.full_at + each - whole - NOW)).where(RateLimit.id == row_id)
        wait_s = (await session.execute(wanted)).scalar_one_or_none() or 0
    raise TooManyRequests(max(1, math.ceil(wait_s)))


async def give_back(sessions: Sessions, name: str, key: str, *, most: int, per_s: float) -> None:
    """What was taken is not to count after all: the login was right."""
    if not most:
        return
    returned = update(RateLimit).where(RateLimit.id == _id(name, key))
    async with sessions() as session, session.begin():
        await session.execute(returned.values(full_at=RateLimit.full_at - _each(most, per_s)))


async def forget_full(sessions: Sessions) -> None:
    """Rows that say no more than no row would."""
    async with sessions() as session, session.begin():
        await session.execute(delete(RateLimit).where(RateLimit.full_at < NOW))


def _each(most: int, per_s: float) -> timedelta:
    """Rounded down: rounded up, the last of `most` would be one too many."""
    return timedelta(microseconds=int(per_s * 1_000_000 / most))


def _id(name: str, key: str) -> bytes:
    """Of one length whatever was typed as a login, and no address or name of a person."""
    return hashlib.sha256(f"{name}\0{key}".encode(errors="surrogatepass")).digest()
