from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Asker
from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.models import RefreshToken, User
from vps_service.accounts.schemas import PHONE_FILLING


async def user_by_login(session: AsyncSession, login: str) -> User | None:
    """By username, e-mail or phone; a username has neither @ nor +, so one login never means two users."""
    login = login.strip().lower()
    login = PHONE_FILLING.sub("", login) if login.startswith("+") else login
    wanted = or_(User.username == login, User.email == login, User.phone == login)
    return (await session.scalars(select(User).where(wanted))).one_or_none()


async def signed_in_user(session: AsyncSession, asker: Asker) -> User | None:
    """The user, unless banned, or signed out everywhere since the token was made."""
    user = await session.get(User, asker.user_id)
    return user if user and user.is_active and user.generation == asker.generation else None


async def locked_user(session: AsyncSession, user_id: UUID) -> User:
    """The user as they are now, for a change of them. Raises UserNotFound.

    Not FOR UPDATE: that would wait for every row that is being made for this user.
    """
    wanted = select(User).where(User.id == user_id).with_for_update(key_share=True)
    user = (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()
    if user is None:
        raise UserNotFound
    return user


async def unchanging_user(session: AsyncSession, user_id: UUID) -> User | None:
    """The user as they are now and will be until this transaction ends."""
    wanted = select(User).where(User.id == user_id).with_for_update(read=True)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def user_by_username(session: AsyncSession, username: str, *, banned_too: bool = False) -> User:
    """Raises UserNotFound."""
    wanted = select(User).where(User.username == username.lower())
    if not banned_too:
        wanted = wanted.where(User.state == "active")
    user = (await session.scalars(wanted)).one_or_none()
    if user is None:
        raise UserNotFound
    return user


async def teacher_by_username(session: AsyncSession, username: str, *, banned_too: bool = False) -> User | None:
    wanted = select(User).where(User.username == username.lower(), User.role == "teacher")
    if not banned_too:
        wanted = wanted.where(User.state == "active")
    return (await session.scalars(wanted)).one_or_none()


async def owner_of_refresh_token(session: AsyncSession, token_hash: bytes) -> UUID | None:
    wanted = select(RefreshToken.user_id).where(RefreshToken.token_hash == token_hash)
    return (await session.scalars(wanted)).one_or_none()


async def refresh_token(session: AsyncSession, token_hash: bytes) -> RefreshToken | None:
    """The token's row, its whole family locked: of parallel uses one is first, and no new token slips past an end."""
    found = select(RefreshToken.family).where(RefreshToken.token_hash == token_hash)
    query = select(RefreshToken).where(RefreshToken.family.in_(found)).order_by(RefreshToken.id).with_for_update()
    family = await session.scalars(query)
    return next((row for row in family if row.token_hash == token_hash), None)
