"""Another e-mail address: it counts once a link that was sent there has been followed, and the old one is told."""

from vps_service.accounts.claims import prove_email
from vps_service.accounts.errors import AlreadyVerified
from vps_service.accounts.models import User
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.pending import void_links
from vps_service.accounts.proofs import mail_link, spend_link
from vps_service.accounts.proving import password_again
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.followers.actions import recount_followed
from vps_service.mail.actions import queue
from vps_service.settings import VpsSettings


async def ask_for_email(
    sessions: Sessions, settings: VpsSettings, hasher: Hasher, asker: User, password: str, email: str
) -> None:
    """Have a link mailed to the new address. Whether it is another account's, only its owner is told.

    Raises WrongPassword, AlreadyVerified when it is the account's own already, TooManyRequests.
    """
    async with password_again(sessions, hasher, asker, password) as (session, user):
        if user.email == email and user.email_verified_at:
            raise AlreadyVerified
        await mail_link(session, settings, user, "change_email", email)


async def change_email(sessions: Sessions, token: str, required: int) -> None:
    """Links that were sent to the old address are void, and it is told if it was proved: else it may be anybody's.

    Raises LinkNotValid, AlreadyTaken.
    """
    async with sessions() as session, session.begin():
        user, address = await spend_link(session, token, "change_email")
        replaced = user.email if user.email_verified_at else None
        await prove_email(session, user, address)
        await void_links(session, user, "verify_email", "reset_password")
        await audit.record(session, "email_changed", actor_id=user.id, subject=user.id)
        if replaced and replaced != address:
            await queue(session, to=replaced, template="email_changed", language=user.locale or "en")
        await recount_followed(session, user, required)
