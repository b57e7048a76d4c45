"""E-mail addresses and phones: anybody may claim any, and of all who do one at most has proved it.

Nobody is told that another account has proved what they claim, but by whoever reads what is sent there.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.errors import AlreadyTaken
from vps_service.accounts.models import User


@asynccontextmanager
async def taken_is_a_conflict() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        constraint = str(getattr(getattr(error.orig, "diag", None), "constraint_name", ""))
        if not constraint.startswith("uq_users_"):
            raise
        raise AlreadyTaken(f"This {constraint.removeprefix('uq_users_')} is in use.") from None


async def prove_email(session: AsyncSession, user: User, email: str) -> None:
    """It is this locked user's from now on, and nobody else's. Raises AlreadyTaken by another who has proved it."""
    async with taken_is_a_conflict():
        if user.email != email or user.email_verified_at is None:
            user.email, user.email_verified_at = email, datetime.now(UTC)
        await session.flush()


async def prove_phone(session: AsyncSession, user: User, phone: str) -> None:
    """As `prove_email`."""
    async with taken_is_a_conflict():
        if user.phone != phone or user.phone_verified_at is None:
            user.phone, user.phone_verified_at = phone, datetime.now(UTC)
        await session.flush()
