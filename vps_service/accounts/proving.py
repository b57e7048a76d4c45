"""Asking for the password again, before what somebody with a stolen token alone must not do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts import queries
from vps_service.accounts.errors import WrongPassword
from vps_service.accounts.models import User
from vps_service.accounts.passwords import Hasher
from vps_service.db import Sessions
from vps_service.limits import actions as limits
from vps_service.limits.rules import QUARTER_S

TRIES = 10
"""In a quarter of an hour."""


async def prove_password(sessions: Sessions, hasher: Hasher, asker: User, password: str) -> None:
    """Raises WrongPassword, TooManyRequests."""
    await limits.take(sessions, "passwords_again", str(asker.id), most=TRIES, per_s=QUARTER_S)
    if not await hasher.fits(password, asker.password_hash):
        raise WrongPassword


@asynccontextmanager
async def proved(sessions: Sessions, asker: User) -> AsyncIterator[tuple[AsyncSession, User]]:
    """A transaction, with the asker as they are now and locked.

    Raises WrongPassword when the password that they proved to know was replaced meanwhile.
    """
    async with sessions() as session, session.begin():
        user = await queries.locked_user(session, asker.id)
        if user.password_hash != asker.password_hash or not user.is_active:
            raise WrongPassword
        yield session, user


@asynccontextmanager
async def password_again(
    sessions: Sessions, hasher: Hasher, asker: User, password: str
) -> AsyncIterator[tuple[AsyncSession, User]]:
    """Both of these, one after the other. Raises WrongPassword, TooManyRequests."""
    await prove_password(sessions, hasher, asker, password)
    async with proved(sessions, asker) as (session, user):
        yield session, user
