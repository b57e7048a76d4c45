"""What was asked for and not proved yet, and is to come to nothing."""

from typing import Literal

from sqlalchemy import String, cast, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import Proof, User
from vps_service.mail.models import Mail
from vps_service.phones.models import PhoneCode

Kind = Literal["verify_email", "reset_password", "change_email"]


async def void_links(session: AsyncSession, user: User, *kinds: Kind) -> None:
    """Have the links of these kinds that were made so far be good for nothing, and not be sent any more.

    By as much work whether there are any or not: there is none after one for an address that is another's.
    """
    gone = (Proof.user_id == user.id, Proof.kind.in_(kinds), Proof.ended_at.is_(None))
    links = select(cast(Proof.id, String)).where(*gone)
    await session.execute(delete(Mail).where(Mail.values["proof"].astext.in_(links)))
    await session.execute(update(Proof).where(*gone).values(ended_at=func.now()))


async def void_contact_changes(session: AsyncSession, user: User) -> None:
    """Have a locked user's e-mail address and phone stay what they are, whatever was sent to others.

    Whoever takes an account back would lose it again to a link that a thief still has.
    """
    await void_links(session, user, "change_email")
    await session.execute(
        delete(PhoneCode).where(PhoneCode.user_id == user.id, PhoneCode.phone.is_distinct_from(user.phone))
    )
