"""Mailed links: to confirm that an address is one's own, and to choose a new password where the old one is forgotten.

A link is good once, for a while, and only the newest of its kind. Its token is in no table (`mail.links`).
"""

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from vps_service import changes
from vps_service.accounts import queries
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
from vps_service.settings import VpsSettings

MAILS_AN_HOUR = 5
"""To one address, of each kind of link, whoever asks for them: none keeps those of another kind from coming."""
RESETS = 20
"""Attempts in a quarter of an hour to choose a new password: each is hard work, and may spend no link."""
OLD = timedelta(days=7)
ONE_ADDRESS_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(:address, 7607827))"


async def mail_link(session: AsyncSession, settings: VpsSettings, user: User, kind: Kind, address: str) -> None:
    """Have a link mailed to `address`; older ones of its kind are void from then on.

    Nothing is sent to an address that was sent as many of the kind as it may be in the last hour.
    """
    user = await queries.locked_user(session, user.id)
    await session.execute(text(ONE_ADDRESS_AT_A_TIME), {"address": address})
    if await _mailed_lately(session, kind, address) >= MAILS_AN_HOUR:
        return
    await void_links(session, user, kind)
    proof_id = uuid7()
    life_s = settings.reset_link_s if kind == "reset_password" else settings.email_link_s
    expires_at = datetime.now(UTC) + timedelta(seconds=life_s)
    token_hash = _hash(proof_token(settings.access_key, proof_id))
    session.add(
        Proof(id=proof_id, user_id=user.id, kind=kind, address=address, token_hash=token_hash, expires_at=expires_at)
    )
    language = user.locale or "en"
    await queue(session, to=address, template=kind, language=language, until=expires_at, proof=str(proof_id))


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
    """Raises LinkNotValid, also for a link to an address that the user has no more."""
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
    """Mail a link to whoever forgot a password and has an e-mail address; how many asked."""
    answered = 0
    oldest = select(ForgottenPassword.id).order_by(ForgottenPassword.id).limit(1).with_for_update(skip_locked=True)
    taken = delete(ForgottenPassword).where(ForgottenPassword.id == oldest.scalar_subquery())
    while True:
        async with sessions() as session, session.begin():
            login = (await session.scalars(taken.returning(ForgottenPassword.login))).one_or_none()
            if login is None:
                return answered
            user = await queries.user_by_login(session, login)
            if user and user.may_sign_in and user.email and _may_be_mailed(user):
                await mail_link(session, settings, user, "reset_password", user.email)
        answered += 1


def _may_be_mailed(user: User) -> bool:
    """Whoever mistyped an address and confirmed a phone is not to lose the account to the address's owner."""
    return user.email_verified_at is not None or user.phone_verified_at is None


async def reset_password(sessions: Sessions, hasher: Hasher, token: str, password: str, required: int) -> None:
    """All sessions of theirs end. The link is spent only by a password that will do.

    Raises LinkNotValid, Invalid, TooManyRequests.
    """
    async with sessions() as session:
        user = await _whose(session, token, "reset_password")
    await limits.take(sessions, "resets", str(user.id), most=RESETS, per_s=QUARTER_S)
    await hasher.check_strength(password, user.name, user.username, user.email or "", user.phone or "")
    password_hash = await hasher.hash(password)
    async with sessions() as session, session.begin():
        user, address = await spend_link(session, token, "reset_password")
        await _confirm(session, user, address, required)
        user.password_hash = password_hash
        await end_sessions(session, user)
        changes.record(session, "user_signed_out", user_id=user.id)
        await audit.record(session, "password_reset", actor_id=user.id, subject=user.id)
        await queue(session, to=address, template="password_changed", language=user.locale or "en")


async def forget_old(session: AsyncSession) -> None:
    """Links that are good for nothing, and by then count against nobody."""
    await session.execute(delete(Proof).where(Proof.expires_at < func.now() - OLD))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def _confirm(session: AsyncSession, user: User, address: str, required: int) -> None:
    """Who followed a link to the user's own address has confirmed it, and their follows count from now on.

    Raises LinkNotValid for another address.
    """
    if user.email != address:
        raise LinkNotValid
    user.email_verified_at = user.email_verified_at or datetime.now(UTC)
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


async def _mailed_lately(session: AsyncSession, kind: Kind, address: str) -> int:
    to = (Proof.kind == kind, Proof.address == address)
    lately = Proof.created_at > func.now() - timedelta(hours=1)
    return (await session.execute(select(func.count()).select_from(Proof).where(*to, lately))).scalar_one()
