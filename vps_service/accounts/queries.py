from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Asker
from shared.problems import NotAuthenticated
from shared.tokens import AccessClaims
from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.models import RefreshToken, SignIn, User
from vps_service.accounts.schemas import PHONE_FILLING


def as_stored(login: str) -> str:
    """A username, an e-mail or a phone as people type it, in the form that the database has it in."""
    login = login.strip().lower()
    return PHONE_FILLING.sub("", login) if login.startswith("+") and "@" not in login else login


def most_meant(login: str) -> int:
    """How many users this login, as it is stored, may lead to; a username has neither @ nor +."""
    return 2 if "@" in login or login.startswith("+") else 1


async def users_by_login(session: AsyncSession, login: str, *, to_reset: bool = False) -> Sequence[User]:
    """By username, or by an e-mail or phone, which may lead to two of all who claim it: first who has proved it, else
    who has claimed it longest; then who claimed it last of the others. A banned one only where there is no other.

    So no claim that comes later takes it from who claimed it before, and who claims it is let in by it whether or not
    somebody has proved it. `to_reset`: sooner those whose password a link to an unproved address may replace.
    """
    login = as_stored(login)
    wanted = or_(User.username == login, User.email == login, User.phone == login)
    proved_email = and_(User.email == login, User.email_verified_at.is_not(None))
    proved_phone = and_(User.phone == login, User.phone_verified_at.is_not(None))
    order = [case((or_(proved_email, proved_phone), 0), (User.state == "banned", 2), else_=1)]
    if to_reset:
        order.append(case((or_(User.phone_verified_at.is_not(None), User.totp_since.is_not(None)), 1), else_=0))
    by_id = select(User.id).where(wanted).limit(1).correlate(None)
    first = by_id.order_by(*order, User.id).scalar_subquery()
    last = by_id.where(User.id != first).order_by(*order, User.id.desc()).scalar_subquery()
    found = select(User).where(or_(User.id == first, User.id == last)).order_by(User.id != first)
    return (await session.scalars(found)).all()


async def owner_of_email(session: AsyncSession, email: str) -> User | None:
    """Who has proved it."""
    proved = (User.email == email, User.email_verified_at.is_not(None))
    return (await session.scalars(select(User).where(*proved))).one_or_none()


async def owner_of_phone(session: AsyncSession, phone: str) -> User | None:
    """Who has proved it."""
    proved = (User.phone == phone, User.phone_verified_at.is_not(None))
    return (await session.scalars(select(User).where(*proved))).one_or_none()


ASKER = select(User).where(User.id == bindparam("user_id"))
ASKER_IN_SESSION = ASKER.join(SignIn, SignIn.user_id == User.id).where(SignIn.id == bindparam("session_id"))
"""Made once: nearly every request asks one of them."""


async def signed_in_user(session: AsyncSession, asker: Asker | AccessClaims) -> User | None:
    """The user, unless banned, or signed out since the token was made: everywhere, or where it was made."""
    wanted = ASKER_IN_SESSION if asker.session_id else ASKER
    user = (await session.scalars(wanted, {"user_id": asker.user_id, "session_id": asker.session_id})).one_or_none()
    return user if user and is_signed_in(user, asker) else None


def is_signed_in(user: User, asker: Asker | AccessClaims) -> bool:
    """Who was found with their session."""
    return user.is_active and user.generation == asker.generation


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


async def stays_signed_in(session: AsyncSession, asker: User, session_id: UUID | None) -> User:
    """Who was let in, as they are now and locked, if they are signed in until this transaction ends: there, too, where
    their token is of.

    Raises NotAuthenticated.
    """
    user = await locked_user(session, asker.id)
    if not user.is_active or user.generation != asker.generation:
        raise NotAuthenticated
    if session_id and await locked_sign_in(session, session_id) is None:
        raise NotAuthenticated
    return user


async def stays_admin(session: AsyncSession, admin: User) -> None:
    """Who was let in as an admin is one, and signed in, until this transaction ends.

    Raises NotAuthenticated for who was banned, left or signed out everywhere a moment ago. Locks a user, so it comes
    before the locks of anything else.
    """
    now = await unchanging_user(session, admin.id)
    if now is None or not now.is_active or not now.has_role("admin") or now.generation != admin.generation:
        raise NotAuthenticated


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
