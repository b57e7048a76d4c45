from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import RefreshToken, User
from vps_service.accounts.schemas import PHONE_FILLING


async def user_by_login(session: AsyncSession, login: str) -> User | None:
    """By username, e-mail or phone; a username has neither @ nor +, so one login never means two users."""
    login = login.strip().lower()
    login = PHONE_FILLING.sub("", login) if login.startswith("+") else login
    wanted = or_(User.username == login, User.email == login, User.phone == login)
    return (await session.scalars(select(User).where(wanted))).one_or_none()


async def teacher_by_username(session: AsyncSession, username: str) -> User | None:
    wanted = select(User).where(User.username == username.lower(), User.role == "teacher", User.state == "active")
    return (await session.scalars(wanted)).one_or_none()


async def refresh_token(session: AsyncSession, token_hash: bytes) -> RefreshToken | None:
    """The token's row, its whole family locked: of parallel uses one is first, and no new token slips past an end."""
    found = select(RefreshToken.family).where(RefreshToken.token_hash == token_hash)
    query = select(RefreshToken).where(RefreshToken.family.in_(found)).order_by(RefreshToken.id).with_for_update()
    family = await session.scalars(query)
    return next((row for row in family if row.token_hash == token_hash), None)
