from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Asker
from shared.tokens import AccessClaims
from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.models import RefreshToken, SignIn, User
from vps_service.accounts.schemas import PHONE_FILLING


def as_stored(login: str) -> str:
    """A username, an e-mail or a phone as people type it, in the form that the database has it in."""
    login = login.strip().lower()
    return PHONE_FILLING.sub("", login) if login.startswith("+") else login


async def user_by_login(session: AsyncSession, login: str) -> User | None:
    """By username, e-mail or phone; a username has neither @ nor +, so one login never means two users."""
    login = as_stored(login)
    wanted = or_(User.username == login, User.email == login, User.phone == login)
    return (await session.scalars(select(User).where(wanted))).one_or_none()


async def signed_in_user(session: AsyncSession, asker: Asker | AccessClaims) -> User | None:
    """The user, unless banned, or signed out since the token was made: everywhere, or where it was made."""
    wanted = select(User).where(User.id == asker.user_id)
    if asker.session_id:
        wanted = wanted.join(SignIn, SignIn.user_id == User.id).where(SignIn.id == asker.session_id)
    user = (await session.scalars(wanted)).one_or_none()
    return user if user and user.is_active and user.generation == asker.generation else None


async def acting_user(session: AsyncSession, asker: Asker, *, admins_need_totp: bool) -> User | None:
    """The signed-in user, unless all that they may do is to enrol a second factor."""
    user = await signed_in_user(session, asker)
    return None if user and user.lacks_totp(admins_need_totp=admins_need_totp) else user


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


async def refresh_token(session: AsyncSession, token_hash: bytes) -> RefreshToken | None:
    """As it was just now, perhaps."""
    wanted = select(RefreshToken).where(RefreshToken.token_hash == token_hash)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def locked_sign_in(session: AsyncSession, sign_in_id: UUID) -> SignIn | None:
    """Of parallel uses of its tokens one is first, and no new token slips past its end."""
    wanted = select(SignIn).where(SignIn.id == sign_in_id).with_for_update(key_share=True)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def sign_ins_of(
    session: AsyncSession, user_id: UUID, *, after: UUID | None = None, limit: int = 20
) -> Sequence[SignIn]:
    """Those that have not expired, the newest first; one more than `limit`."""
    wanted = select(SignIn).where(SignIn.user_id == user_id, SignIn.expires_at > func.now())
    if after:
        wanted = wanted.where(SignIn.id < after)
    return (await session.scalars(wanted.order_by(SignIn.id.desc()).limit(limit + 1))).all()
