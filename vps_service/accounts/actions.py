"""Registering, signing in, and staying signed in."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.problems import Invalid
from shared.tokens import Role
from vps_service.accounts import queries
from vps_service.accounts.errors import AlreadyTaken, BadCredentials, BadRefreshToken
from vps_service.accounts.images import ImageStore
from vps_service.accounts.models import RefreshToken, User
from vps_service.accounts.passwords import Hasher
from vps_service.db import Sessions
from vps_service.followers.actions import recount
from vps_service.followers.models import Teacher
from vps_service.followers.queries import followed_by


async def new_user(
    hasher: Hasher,
    *,
    role: Role,
    name: str,
    username: str,
    password: str,
    email: str | None = None,
    phone: str | None = None,
    image_id: UUID | None = None,
) -> User:
    """A user that is not stored yet. Raises Invalid for a weak password."""
    await hasher.check_strength(password, name, username, email or "", phone or "")
    return User(
        id=uuid7(),
        role=role,
        name=name,
        username=username,
        email=email,
        phone=phone,
        image_id=image_id,
        password_hash=await hasher.hash(password),
    )


async def store_user(session: AsyncSession, user: User) -> None:
    """Raises AlreadyTaken for a username, e-mail or phone in use."""
    async with _taken_is_a_conflict():
        session.add(user)
        await session.flush()
    if user.has_role("teacher"):
        session.add(Teacher(user_id=user.id))
        await session.flush()
    await session.refresh(user)


async def sign_up(sessions: Sessions, user: User, refresh_life_s: int) -> str:
    """Store the user and sign them in, both or neither; the refresh token. Raises AlreadyTaken."""
    async with sessions() as session, session.begin():
        await store_user(session, user)
        return await issue_refresh_token(session, user, refresh_life_s)


async def sign_up_teacher(
    sessions: Sessions, images: ImageStore, user: User, raw_image: bytes, *, max_pixels: int, refresh_life_s: int
) -> str:
    """As `sign_up`, with the image on disk before the user is, and gone again if the user comes to nothing."""
    user.image_id = uuid7()
    try:
        await images.add(user.image_id, raw_image, max_pixels)
        return await sign_up(sessions, user, refresh_life_s)
    except BaseException:
        images.remove(user.image_id)
        raise


@asynccontextmanager
async def _taken_is_a_conflict() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        constraint = str(getattr(getattr(error.orig, "diag", None), "constraint_name", ""))
        if not constraint.startswith("uq_users_"):
            raise
        raise AlreadyTaken(f"This {constraint.removeprefix('uq_users_')} is in use.") from None


async def authenticate(sessions: Sessions, hasher: Hasher, login: str, password: str) -> User:
    """Raises BadCredentials, alike for unknown users, wrong passwords and banned accounts."""
    async with sessions() as session:
        user = await queries.user_by_login(session, login)
    fits = await hasher.fits(password, user.password_hash if user else None)
    if user is None or not fits or not user.is_active:
        raise BadCredentials
    return user


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def issue_refresh_token(session: AsyncSession, user: User, life_s: int, family: UUID | None = None) -> str:
    """A new opaque token; a new family unless it replaces one."""
    token = secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + timedelta(seconds=life_s)
    row = RefreshToken(user_id=user.id, family=family or uuid7(), token_hash=_hash(token), expires_at=expires_at)
    session.add(row)
    await session.flush()
    return token


async def rotate_refresh_token(sessions: Sessions, token: str, life_s: int) -> tuple[User, str]:
    """The user and the next token. Raises BadRefreshToken; a token used twice ends its whole family (RFC 9700)."""
    async with sessions() as session, session.begin():
        row = await queries.refresh_token(session, _hash(token))
        if row and row.used_at is None and row.expires_at > datetime.now(UTC):
            user = await session.get_one(User, row.user_id)
            if user.is_active:
                row.used_at = datetime.now(UTC)
                return user, await issue_refresh_token(session, user, life_s, row.family)
        if row:
            await session.execute(delete(RefreshToken).where(RefreshToken.family == row.family))
    raise BadRefreshToken


async def sign_out(session: AsyncSession, token: str) -> None:
    """End the token's family. An unknown token is no error: the caller is signed out either way."""
    row = await queries.refresh_token(session, _hash(token))
    if row:
        await session.execute(delete(RefreshToken).where(RefreshToken.family == row.family))


async def confirm_contact(sessions: Sessions, username: str, required: int) -> None:
    """An operator vouches that the account's e-mail and phone are its owner's; their follows count from now on.

    Raises Invalid for an unknown user.
    """
    async with sessions() as session, session.begin():
        user = await queries.user_by_login(session, username)
        if user is None:
            raise Invalid(f"there is no user {username}", field="username")
        now = datetime.now(UTC)
        user.email_verified_at = user.email_verified_at or (now if user.email else None)
        user.phone_verified_at = user.phone_verified_at or (now if user.phone else None)
    # Counted only now: a follow that is being made meanwhile is counted by itself or by this.
    async with sessions() as session:
        teachers = await followed_by(session, user)
    for teacher_id in teachers:
        async with sessions() as session, session.begin():
            await recount(session, teacher_id, required)
