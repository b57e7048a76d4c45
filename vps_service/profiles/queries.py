from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.models import User
from vps_service.accounts.queries import user_by_username
from vps_service.profiles.models import Profile


async def profile_of(session: AsyncSession, user: User) -> Profile:
    wanted = select(Profile).where(Profile.user_id == user.id).execution_options(populate_existing=True)
    return (await session.scalars(wanted)).one_or_none() or Profile.of_nothing(user.id)


async def public_user(session: AsyncSession, username: str) -> tuple[User, Profile]:
    """An active student or teacher. Raises UserNotFound; of admins nobody is told that there is such an account."""
    user = await user_by_username(session, username)
    if user.has_role("admin"):
        raise UserNotFound
    return user, await profile_of(session, user)
