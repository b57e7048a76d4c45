"""Mails to whoever owns an account about what was done with it."""

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.mail.actions import queue


async def tell_owner(session: AsyncSession, user: User, template: str) -> None:
    """If they have an address that is surely theirs: another's owner is not to hear of somebody's account."""
    if user.email and user.email_verified_at:
        await queue(session, to=user.email, template=template, language=user.locale or "en")
