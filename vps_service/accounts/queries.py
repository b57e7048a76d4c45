from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import RefreshToken, User


async def user_by_login(session: AsyncSession, login: str) -> User | None:
    """By username, e-mail or phone; a username has neither @ nor +, so one login never means two users."""
    login = login.strip().lower()
    wanted = or_(User.username == login, User.email == login, User.phone == login)
    return (await session.scalars(select(User).where(wanted))).one_or_none()


async def teacher_by_username(session: AsyncSession, username: str) -> User | None:
    wanted = select(User).where(User.username == username.lower(), User.role == "teacher", User.state == "active")
    return (await session.scalars(wanted)).one_or_none()


async def refresh_token(session: AsyncSession, token_hash: bytes) -> RefreshToken | None:
    """The token's row, locked, so that of two parallel uses one is the second."""
    wanted = select(RefreshToken).where(RefreshToken.token_hash == token_hash).with_for_update()
    return (await session.scalars(wanted)).one_or_none()
