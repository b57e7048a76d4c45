"""Another password, by the word of who knows the present one, or of an operator."""

from uuid import UUID

from shared.problems import Invalid
from vps_service.accounts import queries
from vps_service.accounts.attempts import forget_guesses
from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.models import User
from vps_service.accounts.notices import tell_owner
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.pending import void_contact_changes, void_links
from vps_service.accounts.proving import prove_password, proved
from vps_service.accounts.sessions import end_other_sessions, end_sessions
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.settings import VpsSettings


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
        await tell_owner(session, user, "password_changed")


async def replace_password(sessions: Sessions, settings: VpsSettings, hasher: Hasher, username: str, new: str) -> None:
    """For who forgot theirs and gets no mail. All sessions of theirs end, and no link to reset it is good any more.

    Nobody's guesses are in its way, but for those from the client that it is used at: nobody knows here which that is.

    Raises UserNotFound, also for who may not sign in; Invalid.
    """
    async with sessions() as session:
        found = await queries.user_by_username(session, username, banned_too=True)
    await hasher.check_strength(new, found.name, found.username, found.email or "", found.phone or "")
    password_hash = await hasher.hash(new)
    async with sessions() as session, session.begin():
        user = await queries.locked_user(session, found.id)
        if not user.may_sign_in:
            raise UserNotFound
        user.password_hash = password_hash
        await void_links(session, user, "reset_password")
        await end_sessions(session, user, "user_signed_out")
        await forget_guesses(session, settings, user)
        await audit.record(session, "password_reset", subject=user.id)
        await tell_owner(session, user, "password_changed")
