"""What admins look for."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tokens import Role
from vps_service.accounts.models import User


async def users(
    session: AsyncSession, *, q: str | None, role: Role | None, state: str | None, after: UUID | None, limit: int
) -> Sequence[User]:
    """The newest first, one more than `limit`. `q` is part of a username, name, e-mail or phone, letter by letter."""
    wanted = select(User).order_by(User.id.desc()).limit(limit + 1)
    if q:
        columns = (User.username, User.name, User.email, User.phone)
        wanted = wanted.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    if role:
        wanted = wanted.where(User.role == role)
    if state:
        wanted = wanted.where(User.state == state)
    if after:
        wanted = wanted.where(User.id < after)
    return (await session.scalars(wanted)).all()
