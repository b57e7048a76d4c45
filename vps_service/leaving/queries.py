from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.courses.models import Video
from vps_service.courses.queries import is_living
from vps_service.leaving.models import Leaving

ADMINS_LEAVING = 7_260_117_402
"""A lock of the database's that nothing else takes."""


async def is_leaving(session: AsyncSession, user_id: UUID) -> bool:
    return await session.get(Leaving, user_id, populate_existing=True) is not None


async def due(session: AsyncSession, now: datetime) -> Sequence[UUID]:
    """Whose time to come back is over, who asked first comes first."""
    wanted = select(Leaving.user_id).where(Leaving.due_at <= now)
    return (await session.scalars(wanted.order_by(Leaving.due_at))).all()


async def has_other_admin(session: AsyncSession, admin: User) -> bool:
    """Somebody who can still do an admin's work. Of the last two who ask at once, the second waits for the first."""
    await session.execute(select(func.pg_advisory_xact_lock(ADMINS_LEAVING)))
    other = select(User.id).where(User.role == "admin", User.state == "active", User.id != admin.id)
    return (await session.execute(other.limit(1))).first() is not None


async def living_videos(session: AsyncSession, owner_id: UUID) -> Sequence[UUID]:
    """Of any kind, files too, on whichever nodes."""
    wanted = select(Video.id).where(Video.owner_id == owner_id, is_living)
    return (await session.scalars(wanted.order_by(Video.id))).all()
