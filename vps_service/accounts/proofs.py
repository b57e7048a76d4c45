"""Mailed links: to confirm that an address is one's own, and to choose a new password where the old one is forgotten.

A link is good once, for a while, and only the newest of its kind. Its token is in no table (`mail.links`).
"""

import hashlib
import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from vps_service.accounts import queries
from vps_service.accounts.attempts import forget_guesses
from vps_service.accounts.claims import prove_email
from vps_service.accounts.errors import AlreadyVerified, LinkNotValid, NoEmail
from vps_service.accounts.models import ForgottenPassword, Proof, User
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.pending import Kind, void_links
from vps_service.accounts.sessions import end_sessions
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.followers.actions import recount_followed
from vps_service.limits import actions as limits
from vps_service.limits.rules import QUARTER_S
from vps_service.mail.actions import queue
from vps_service.mail.links import proof_token
from vps_service.mail.templates import unlinked
from vps_service.settings import VpsSettings

log = logging.getLogger(__name__)

MAILS_AN_HOUR = 5
"""To one address, of each kind of link: none keeps those of another kind from coming."""
OF_ANOTHER = 2
"""So many of these are taken up, at most, by any one account other than the one that is to be mailed about now. Who has
proved the address has all of them: what is sent there about other accounts takes up none."""
RESETS = 20
"""Attempts in a quarter of an hour to choose a new password: each is hard work, and may spend no link."""
OLD = timedelta(days=7)
ASKED_IN_VAIN = timedelta(days=1)
ONE_ADDRESS_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(:address, 7607827))"


async def mail_link(session: AsyncSession, settings: VpsSettings, user: User, kind: Kind, address: str) -> None:
    """Have a link mailed to `address`; older ones of its kind are void from then on.

    Whoever has proved the address for another account is told that they have one, instead: by as much work, so that
    whoever asked does not learn it. The proof that there is then is good for nothing; it only counts.

    Nothing is sent to an address that was sent as many of the kind as it may be in the last hour.
    """
    user = await queries.locked_user(session, user.id)
    await session.execute(text(ONE_ADDRESS_AT_A_TIME), {"address": address})
    if await _mailed_lately(session, kind, address, user) >= MAILS_AN_HOUR:
        return
    await void_links(session, user, kind)
    owner = await queries.owner_of_email(session, address)
    is_anothers = owner is not None and owner.id != user.id
    proof_id, now = uuid7(), datetime.now(UTC)
    life_s = settings.reset_link_s if kind == "reset_password" else settings.email_link_s
    expires_at = now + timedelta(seconds=life_s)
    proof = Proof(id=proof_id, user_id=user.id, kind=kind, address=address, expires_at=expires_at)
    proof.token_hash = _hash(proof_token(settings.access_key, proof_id))
    proof.ended_at = now if is_anothers else None
    session.add(proof)
    link = {"proof": str(proof_id), "username": unlinked(user.username)}
    template, values = ("address_in_use", {}) if is_anothers else (kind, link)
    language = (owner or user).locale or "en"
    await queue(session, to=address, template=template, language=language, until=expires_at, **values)


async def spend_link(session: AsyncSession, token: str, kind: Kind) -> tuple[User, str]:
    """The user, locked, and the address that the link was sent to. Raises LinkNotValid."""
    user = await queries.locked_user(session, (await _whose(session, token, kind)).id)
    spent = (
        update(Proof)
        .where(Proof.token_hash == _hash(token), Proof.kind == kind, Proof.user_id == user.id)
        .where(Proof.ended_at.is_(None), Proof.expires_at > func.now())
        .values(ended_at=func.now())
        .returning(Proof.address)
    )
    address = (await session.scalars(spent)).one_or_none()
    if address is None or not user.may_sign_in:
        raise LinkNotValid
    return user, address


async def verify_email(sessions: Sessions, token: str, required: int) -> None:
    """Raises LinkNotValid, also for a link to an address that the user has no more; AlreadyTaken."""
    async with sessions() as session, session.begin():
        user, address = await spend_link(session, token, "verify_email")
        await _confirm(session, user, address, required)


async def mail_verification_again(session: AsyncSession, settings: VpsSettings, user: User) -> None:
    """Raises NoEmail, AlreadyVerified."""
    if user.email is None:
        raise NoEmail
    if user.email_verified_at:
        raise AlreadyVerified
    await mail_link(session, settings, user, "verify_email", user.email)


async def note_forgotten(session: AsyncSession, login: str) -> None:
    """The same work for whatever login: `answer_forgotten` finds out whose it is."""
    session.add(ForgottenPassword(login=login))
    await session.flush()


async def answer_forgotten(sessions: Sessions, settings: VpsSettings) -> int:
    """Mail a link to whoever forgot a password and has an e-mail address; how many were answered.

    One that fails keeps no other waiting: it is tried again next time, for a day.
    """
    answered, failed = 0, set[str]()
    while True:
        login = None
        try:
            async with sessions() as session, session.begin():
                login = await _take_forgotten(session, failed)
                if login is None:
                    return answered
                for user in await _who_forgot(session, login):
                    if user.may_sign_in and user.email and _may_be_reset(user):
                        await mail_link(session, settings, user, "reset_password", user.email)
            answered += 1
        except Exception as error:
            if login is None:
                raise
            failed.add(login)
            log.warning("a forgotten password was not answered", extra={"reason": type(error).__name__})


async def _take_forgotten(session: AsyncSession, failed: Collection[str]) -> str | None:
    """The oldest login that somebody asked about, but for those that `failed` just now."""
    waiting = select(ForgottenPassword.id).where(ForgottenPassword.login.not_in(failed))
    oldest = waiting.order_by(ForgottenPassword.id).limit(1).with_for_update(skip_locked=True)
    taken = delete(ForgottenPassword).where(ForgottenPassword.id == oldest.scalar_subquery())
    return (await session.scalars(taken.returning(ForgottenPassword.login))).one_or_none()


async def _who_forgot(session: AsyncSession, login: str) -> list[User]:
    """Locked. Who has proved the address alone, else both who may be meant: a stranger's claim diverts nobody's link.

    All users before any address, in the order in which `mail_link` locks them.
    """
    found = await queries.users_by_login(session, login, to_reset=True)
    if found and found[0].has_proved(queries.as_stored(login)):
        found = found[:1]
    return [await queries.locked_user(session, user.id) for user in found]


def _may_be_reset(user: User) -> bool:
    """Whoever mistyped an address and confirmed a phone or has a second factor is not to lose the account to the
    address's owner; nor is that one to prove the address for an account that a stranger made and they cannot get into.
    """
    return user.email_verified_at is not None or (user.phone_verified_at is None and user.totp_since is None)


async def reset_password(sessions: Sessions, settings: VpsSettings, hasher: Hasher, token: str, password: str) -> None:
    """All sessions of theirs end. The link is spent only by a password that will do, which signs in at once.

    Raises LinkNotValid, Invalid, TooManyRequests, AlreadyTaken.
    """
    async with sessions() as session:
        user = await _whose(session, token, "reset_password")
    await limits.take(sessions, "resets", str(user.id), most=RESETS, per_s=QUARTER_S)
    await hasher.check_strength(password, user.name, user.username, user.email or "", user.phone or "")
    password_hash = await hasher.hash(password)
    async with sessions() as session, session.begin():
        user, address = await spend_link(session, token, "reset_password")
        if not _may_be_reset(user):
            raise LinkNotValid
        await _confirm(session, user, address, settings.followers_required)
        user.password_hash = password_hash
        await end_sessions(session, user, "user_signed_out")
        await forget_guesses(session, settings, user)
        await audit.record(session, "password_reset", actor_id=user.id, subject=user.id)
        await queue(session, to=address, template="password_changed", language=user.locale or "en")


async def forget_old(session: AsyncSession) -> None:
    """Links that are good for nothing, and by then count against nobody; and who waited in vain for one."""
    await session.execute(delete(Proof).where(Proof.expires_at < func.now() - OLD))
    await session.execute(delete(ForgottenPassword).where(ForgottenPassword.created_at < func.now() - ASKED_IN_VAIN))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def _confirm(session: AsyncSession, user: User, address: str, required: int) -> None:
    """Who followed a link to the user's own address has confirmed it, and their follows count from now on.

    Raises LinkNotValid for another address, AlreadyTaken.
    """
    if user.email != address:
        raise LinkNotValid
    await prove_email(session, user, address)
    await recount_followed(session, user, required)


async def _whose(session: AsyncSession, token: str, kind: Kind) -> User:
    """Raises LinkNotValid."""
    found = (
        select(User)
        .join(Proof, Proof.user_id == User.id)
        .where(Proof.token_hash == _hash(token), Proof.kind == kind)
        .where(Proof.ended_at.is_(None), Proof.expires_at > func.now())
    )
    user = (await session.scalars(found)).one_or_none()
    if user is None:
        raise LinkNotValid
    return user


async def _mailed_lately(session: AsyncSession, kind: Kind, address: str, user: User) -> int:
    """As it counts against this user."""
    to = (Proof.kind == kind, Proof.address == address)
    lately = Proof.created_at > func.now() - timedelta(hours=1)
    about = select(Proof.user_id, func.count()).where(*to, lately).group_by(Proof.user_id)
    mailed = dict((await session.execute(about)).all())
    own = mailed.pop(user.id, 0)
    return own if user.has_proved(address) else own + sum(min(number, OF_ANOTHER) for number in mailed.values())
