"""What was asked for and not proved yet, and is to come to nothing."""

from typing import Literal

from sqlalchemy import delete, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import Proof, User
from vps_service.phones.models import PhoneCode

Kind = Literal["verify_email", "reset_password", "change_email"]


async def void_links(session: AsyncSession, user: User, *kinds: Kind) -> None:
    """Have the links of these kinds that were sent so far be good for nothing."""
    gone = update(Proof).where(Proof.user_id == user.id, Proof.kind.in_(kinds), Proof.ended_at.is_(None))
    await session.execute(gone.values(ended_at=func.now()))


async def void_contact_changes(session: AsyncSession, user: User) -> None:
    """Have a locked user's e-mail address and phone stay what they are, whatever was sent to others.

    Whoever takes an account back would lose it again to a link that a thief still has.
    """
    await void_links(session, user, "change_email")
    await session.execute(
        delete(PhoneCode).where(PhoneCode.user_id == user.id, PhoneCode.phone.is_distinct_from(user.phone))
    )
