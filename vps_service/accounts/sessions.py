"""Signing in, staying signed in, and ending that: here, or everywhere at once."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from vps_service import changes
from vps_service.accounts import queries
from vps_service.accounts.errors import BadCredentials, BadRefreshToken
from vps_service.accounts.models import RefreshToken, User
from vps_service.accounts.passwords import Hasher
from vps_service.db import Sessions


async def sign_in(sessions: Sessions, hasher: Hasher, login: str, password: str, life_s: int) -> tuple[User, str]:
    """The user and a token. Raises BadCredentials, alike for unknown users, wrong passwords, banned accounts."""
    async with sessions() as session:
        user = await queries.user_by_login(session, login)
    fits = await hasher.fits(password, user.password_hash if user else None)
    if user is None or not fits:
        raise BadCredentials
    async with sessions() as session, session.begin():
        # As they are now: a ban or a sign-out that came while the password was hashed ends no token made after it.
        now = await queries.unchanging_user(session, user.id)
        if now is None or not now.is_active or now.password_hash != user.password_hash:
            raise BadCredentials
        return now, await issue_refresh_token(session, now, life_s)


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
        # The user before the tokens, in the order in which `end_sessions` locks them.
        owner = await queries.owner_of_refresh_token(session, _hash(token))
        user = await queries.unchanging_user(session, owner) if owner else None
        row = await queries.refresh_token(session, _hash(token))
        if user and user.is_active and row and row.used_at is None and row.expires_at > datetime.now(UTC):
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


async def sign_out_everywhere(session: AsyncSession, asker: User) -> None:
    """Void every token of theirs. Of several who ask with tokens of one generation, the first has done it for all."""
    user = await queries.locked_user(session, asker.id)
    if user.generation == asker.generation:
        await end_sessions(session, user)
        changes.record(session, "user_signed_out", user_id=user.id)


async def end_sessions(session: AsyncSession, user: User) -> None:
    """Void every access and refresh token of a locked user; the caller records why."""
    user.generation += 1
    await session.execute(delete(RefreshToken).where(RefreshToken.user_id == user.id))
    await session.flush()
