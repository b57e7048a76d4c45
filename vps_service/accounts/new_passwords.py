"""Another password, by the word of who knows the present one."""

from uuid import UUID

from shared.problems import Invalid
from vps_service.accounts.models import User
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.pending import void_contact_changes, void_links
from vps_service.accounts.proving import prove_password, proved
from vps_service.accounts.sessions import end_other_sessions
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.mail.actions import queue


async def change_password(
    sessions: Sessions, hasher: Hasher, asker: User, session_id: UUID | None, old: str, new: str
) -> None:
    """Every session of theirs ends but this one. No link to reset the password is good any more, and none to change the
    e-mail address; no code to change the phone.

    Raises WrongPassword, Invalid, TooManyRequests.
    """
    await prove_password(sessions, hasher, asker, old)
    if new == old:
        raise Invalid("is the present one", field="body.new_password")
    about = (asker.name, asker.username, asker.email or "", asker.phone or "")
    await hasher.check_strength(new, *about, field="body.new_password")
    password_hash = await hasher.hash(new)
    async with proved(sessions, asker) as (session, user):
        user.password_hash = password_hash
        await void_links(session, user, "reset_password")
        await void_contact_changes(session, user)
        await end_other_sessions(session, user, session_id)
        await audit.record(session, "password_changed", actor_id=user.id, subject=user.id)
        if user.email and user.email_verified_at:
            await queue(session, to=user.email, template="password_changed", language=user.locale or "en")
