from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.mail.models import Mail


class Waiting(NamedTuple):
    mails: int
    oldest_s: float


async def waiting(session: AsyncSession) -> Waiting:
    """What is still to be sent."""
    oldest = func.coalesce(func.extract("epoch", func.now() - func.min(Mail.created_at)), 0)
    mails, oldest_s = (await session.execute(select(func.count(), oldest).select_from(Mail))).one()
    return Waiting(mails, float(oldest_s))
