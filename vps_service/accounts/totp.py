"""The second factor: one-time passwords by the clock (RFC 6238), and recovery codes for who has lost them.

A secret counts once its first code has been entered. Every code is good once: of several who send the same code at
once, the database lets one pass.
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pyotp
from sqlalchemy import delete, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.accounts import queries
from vps_service.accounts.errors import (
    BadTotp,
    SecondFactorRequired,
    TotpAlreadyOn,
    TotpNotBegun,
    TotpOff,
    TotpRequired,
    WrongCode,
    WrongSecondFactor,
)
from vps_service.accounts.models import RecoveryCode, TotpSecret, User
from vps_service.accounts.notices import tell_owner
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.proving import TRIES, password_again, prove_password, proved
from vps_service.accounts.sealing import CodesKey, Unreadable
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.limits import actions as limits
from vps_service.limits.rules import QUARTER_S

log = logging.getLogger(__name__)

ISSUER = "TopTank"
STEPS_ASIDE = 1
"""Codes of the half minute before and after this one are taken too: clocks differ, and people type."""
RECOVERY_CODES, RECOVERY_LETTERS = 10, "abcdefghjkmnpqrstuvwxyz23456789"
RECOVERY_PURPOSE = "recovery code"


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app is told, by hand or as a QR code."""

    secret: str
    uri: str


@dataclass(frozen=True)
class SecondFactor:
    """What somebody who signs in shows besides the password."""

    key: CodesKey
    totp: str | None = None
    recovery_code: str | None = None

    async def count(self, sessions: Sessions, user: User) -> None:
        """Before it is checked: a million codes are soon tried. Raises TooManyRequests."""
        if user.totp_since and (self.totp or self.recovery_code):
            await limits.take(sessions, "second_factors", str(user.id), most=TRIES, per_s=QUARTER_S)

    async def check(self, session: AsyncSession, user: User) -> None:
        """Raises TotpRequired, BadTotp, unless it fits or the user has no second factor. What fitted is spent."""
        if user.totp_since is None:
            return
        if self.totp:
            passed = await _spend_totp(session, self.key, user, self.totp)
        elif self.recovery_code:
            passed = await _spend_recovery_code(session, self.key, user, self.recovery_code)
            if passed:
                await audit.record(session, "recovery_code_used", actor_id=user.id, subject=user.id)
                await tell_owner(session, user, "recovery_code_used")
        else:
            raise TotpRequired
        if not passed:
            raise BadTotp


@asynccontextmanager
async def both_again(
    sessions: Sessions, hasher: Hasher, asker: User, password: str, second: SecondFactor
) -> AsyncIterator[tuple[AsyncSession, User]]:
    """Asking for the password and the second factor, before what a stolen token and a password that was told to a
    false page must not do together: a transaction, with the asker as they are now and locked.

    Raises WrongPassword, TotpOff, SecondFactorRequired, WrongSecondFactor, TooManyRequests.
    """
    await prove_password(sessions, hasher, asker, password)
    await second.count(sessions, asker)
    async with proved(sessions, asker) as (session, user):
        if user.totp_since is None:
            raise TotpOff
        try:
            await second.check(session, user)
        except TotpRequired:
            raise SecondFactorRequired from None
        except BadTotp:
            raise WrongSecondFactor from None
        yield session, user


async def enrol(sessions: Sessions, hasher: Hasher, key: CodesKey, asker: User, password: str) -> Enrolment:
    """A new secret, which counts from the first code on; one that was not confirmed is replaced.

    Raises WrongPassword, TotpAlreadyOn.
    """
    made = pyotp.random_base32()
    async with password_again(sessions, hasher, asker, password) as (session, user):
        if user.totp_since:
            raise TotpAlreadyOn
        values = {"sealed": key.seal(user.id, made), "last_step": None}
        row = insert(TotpSecret).values(user_id=user.id, **values)
        await session.execute(row.on_conflict_do_update(index_elements=[TotpSecret.user_id], set_=values))
    return Enrolment(made, pyotp.TOTP(made).provisioning_uri(name=asker.username, issuer_name=ISSUER))


async def count_confirmation(sessions: Sessions, asker: User) -> None:
    """Before a first code is checked. Raises TooManyRequests."""
    await limits.take(sessions, "second_factors", str(asker.id), most=TRIES, per_s=QUARTER_S)


async def confirm(session: AsyncSession, key: CodesKey, asker: User, session_id: UUID | None, code: str) -> list[str]:
    """From now on a code is needed to sign in; the recovery codes, which nobody can show again.

    Raises TotpAlreadyOn, TotpNotBegun, WrongCode; NotAuthenticated for who was signed out a moment ago.
    """
    user = await queries.stays_signed_in(session, asker, session_id)
    if user.totp_since:
        raise TotpAlreadyOn
    if await session.get(TotpSecret, user.id) is None:
        raise TotpNotBegun
    if not await _spend_totp(session, key, user, code):
        raise WrongCode
    user.totp_since = datetime.now(UTC)
    await audit.record(session, "totp_enabled", actor_id=user.id, subject=user.id)
    await tell_owner(session, user, "totp_enabled")
    return await _new_codes(session, key, user)


async def replace_recovery_codes(
    sessions: Sessions, hasher: Hasher, asker: User, password: str, second: SecondFactor
) -> list[str]:
    """Those before are void, used or not. Raises as `both_again`."""
    async with both_again(sessions, hasher, asker, password, second) as (session, user):
        await audit.record(session, "recovery_codes_replaced", actor_id=user.id, subject=user.id)
        await tell_owner(session, user, "recovery_codes_replaced")
        return await _new_codes(session, second.key, user)


async def _new_codes(session: AsyncSession, key: CodesKey, user: User) -> list[str]:
    """Of a locked user, who has no others from now on."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    hashed = (key.hash(user.id, RECOVERY_PURPOSE, _bare(code)) for code in codes)
    session.add_all(RecoveryCode(user_id=user.id, code_hash=code_hash) for code_hash in hashed)
    await session.flush()
    return codes


async def remove(sessions: Sessions, hasher: Hasher, asker: User, password: str, second: SecondFactor) -> None:
    """The password alone signs in again. Raises as `both_again`."""
    async with both_again(sessions, hasher, asker, password, second) as (session, user):
        await forget(session, user)
        await audit.record(session, "totp_removed", actor_id=user.id, subject=user.id)
        await tell_owner(session, user, "totp_removed")


async def forget(session: AsyncSession, user: User) -> None:
    """Take the second factor of a locked user away. Nodes have to ask anew whether an admin may do anything without."""
    user.totp_since = None
    if user.has_role("admin"):
        changes.record(session, "user_role_changed", user_id=user.id)
    await session.execute(delete(TotpSecret).where(TotpSecret.user_id == user.id))
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    await session.flush()


async def _spend_totp(session: AsyncSession, key: CodesKey, user: User, code: str) -> bool:
    """Whether the code fits and is newer than every one that was used."""
    kept = await session.get(TotpSecret, user.id, populate_existing=True)
    if kept is None:
        return False
    try:
        totp = pyotp.TOTP(key.unseal(user.id, kept.sealed))
        step = totp.verify_and_get_timecode(code, for_time=time.time(), valid_window=STEPS_ASIDE)
    except Unreadable:
        log.error("a second factor was sealed with another TOPTANK_CODES_KEY", extra={"user": user.id})
        return False
    except pyotp.OTPVerificationError:
        return False
    is_newer = or_(TotpSecret.last_step.is_(None), TotpSecret.last_step < step)
    # Not a secret that was replaced meanwhile either.
    same = (TotpSecret.user_id == user.id, TotpSecret.sealed == kept.sealed, is_newer)
    spent = update(TotpSecret).where(*same).values(last_step=step).returning(TotpSecret.user_id)
    return (await session.execute(spent)).first() is not None


async def _spend_recovery_code(session: AsyncSession, key: CodesKey, user: User, code: str) -> bool:
    code_hash = key.hash(user.id, RECOVERY_PURPOSE, _bare(code))
    mine = (RecoveryCode.user_id == user.id, RecoveryCode.code_hash == code_hash)
    spent = delete(RecoveryCode).where(*mine).returning(RecoveryCode.id)
    return (await session.execute(spent)).first() is not None


def _recovery_code() -> str:
    """50 bits, without letters that look alike, in two halves."""
    letters = "".join(secrets.choice(RECOVERY_LETTERS) for _ in range(10))
    return f"{letters[:5]}-{letters[5:]}"


def _bare(code: str) -> str:
    return "".join(letter for letter in code.lower() if letter.isalnum())
