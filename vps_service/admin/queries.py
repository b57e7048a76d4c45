"""What admins look for."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tokens import Role
from vps_service import searching
from vps_service.accounts.models import User

SEARCHED: ColumnElement[str] = literal_column(
    "lower(users.name || ' ' || users.username || ' ' || coalesce(users.email, '') || ' ' || coalesce(users.phone, ''))"
)
"""As a migration wrote it into the index ix_users_by_all, where PostgreSQL has pg_trgm."""


async def users(
    session: AsyncSession, *, q: str | None, role: Role | None, state: str | None, after: UUID | None, limit: int
) -> Sequence[User]:
    """The newest first, one more than `limit`. `q` is part of a username, name, e-mail or phone, letter by letter."""
    wanted = select(User).order_by(User.id.desc())
    if role:
        wanted = wanted.where(User.role == role)
    if state:
        wanted = wanted.where(User.state == state)
    if after:
        wanted = wanted.where(User.id < after)
    if q:
        ids = wanted.with_only_columns(User.id)
        fits, indexed = searching.has(SEARCHED, q), searching.is_indexed(q)
        found = await searching.first_with(session, ids, ids.order_by(None), fits, limit + 1, indexed=indexed)
        wanted = wanted.where(User.id.in_([user_id for (user_id,) in found]))
    return (await session.scalars(wanted.limit(limit + 1))).all()
