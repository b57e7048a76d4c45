"""Signing in, staying signed in, and ending that: on one device, on all others, or everywhere at once.

A session is a row (`SignIn`), which its access tokens name and its refresh tokens belong to. When it ends, the row
goes, and nodes are told.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.tokens import ACCESS_LIFE_AT_MOST_S, CLOCK_LEEWAY_S
from vps_service import changes
from vps_service.accounts import queries
from vps_service.accounts.attempts import Attempt
from vps_service.accounts.errors import BadCredentials, BadRefreshToken, BadTotp, SessionNotFound, TotpRequired
from vps_service.accounts.models import RefreshToken, SignIn, User
from vps_service.accounts.notices import tell_owner
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.pending import void_contact_changes
from vps_service.accounts.totp import SecondFactor
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.leaving.coming_back import come_back
from vps_service.limits import actions as limits
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.rules import DAY_S, Limit

GRACE = timedelta(seconds=10)
"""For so long a spent refresh token gives its successor again: to a double submit, or whom no answer reached."""
TOKEN_BYTES = 32
HAVE_TOKENS = timedelta(seconds=ACCESS_LIFE_AT_MOST_S + 60 * CLOCK_LEEWAY_S)
"""For so long after its last use a session may have an access token that somebody takes."""
FORGOTTEN_AT_ONCE = 5_000


class Device(NamedTuple):
    """What somebody signs in with: the `name` that it gives itself, and the address that it comes from."""

    name: str
    address: str


class SignedIn(NamedTuple):
    user: User
    session_id: UUID
    refresh_token: str


async def sign_in(
    sessions: Sessions,
    hasher: Hasher,
    attempt: Attempt,
    password: str,
    second: SecondFactor,
    life_s: int,
    device: Device,
    followers_required: int,
) -> SignedIn:
    """Raises BadCredentials, alike for unknown users, wrong passwords, banned accounts; and, only to who knows the
    password, TotpRequired, BadTotp, TooManyRequests.

    Who asked to be deleted, and still may change their mind, has done so by this.
    """
    user = await _who_fits(sessions, hasher, attempt, password)
    try:
        await second.count(sessions, user)
        async with sessions() as session, session.begin():
            if now := await _still_the_same(session, user, followers_required):
                await second.check(session, now)
                await audit.record(session, "signed_in", actor_id=now.id, subject=now.id)
                return await begin_session(session, now, life_s, device)
            await audit.record(session, "sign_in_failed", subject=user.id)
    except (TotpRequired, BadTotp, TooManyRequests) as error:
        await _note_failed_factor(sessions, user, error)
        raise
    raise BadCredentials


async def _note_failed_factor(sessions: Sessions, user: User, error: TotpRequired | BadTotp | TooManyRequests) -> None:
    """It is all that tells that somebody else may know the password; the owner is told when it goes on, once a day."""
    why = {TotpRequired: "missing", BadTotp: "wrong", TooManyRequests: "too_often"}[type(error)]
    await audit.record_alone(sessions, "sign_in_failed", subject=user.id, second_factor=why)
    if isinstance(error, TotpRequired) or await limits.took_all(sessions, [_mistyped(user)]):
        return
    if await limits.took_all(sessions, [Limit("second_factors_told", str(user.id), 1, DAY_S)]):
        async with sessions() as session, session.begin():
            await tell_owner(session, user, "second_factor_failed")


def _mistyped(user: User) -> Limit:
    """So many wrong codes a day are the owner's, perhaps."""
    return Limit("second_factors_mistyped", str(user.id), 3, DAY_S)


async def _still_the_same(session: AsyncSession, user: User, followers_required: int) -> User | None:
    """Whose password fitted a moment ago, as they are until this transaction ends; None if they may not sign in.

    A ban or a sign-out that came while the password was hashed ends no token made after it.
    """
    now = await (queries.locked_user if user.is_leaving else queries.unchanging_user)(session, user.id)
    if now is None or now.password_hash != user.password_hash:
        return None
    if user.is_leaving:
        await come_back(session, now, followers_required)
    return now if now.is_active else None


async def _who_fits(sessions: Sessions, hasher: Hasher, attempt: Attempt, password: str) -> User:
    """The first who is meant and whose password it is; its hash costs what hashes cost now. Raises BadCredentials."""
    hashes = [one.user.password_hash if one.user else None for one in attempt.candidates]
    found = await hasher.which_fit(password, hashes)
    fitting = [one for one, fits in zip(attempt.candidates, found, strict=True) if fits]
    attempt.met = next((one for one in fitting if one.is_heard), None)
    user = attempt.met.user if attempt.met else None
    if user is None:
        meant = (fitting or attempt.candidates)[0]
        told: dict[str, Any] = {} if meant.is_heard else {"too_often": True}
        await audit.record_alone(sessions, "sign_in_failed", subject=meant.user.id if meant.user else None, **told)
        raise BadCredentials
    if hasher.is_outdated(user.password_hash):
        return await _with_dearer_hash(sessions, hasher, user, password)
    return user


async def _with_dearer_hash(sessions: Sessions, hasher: Hasher, user: User, password: str) -> User:
    """Of several who sign in at once one hashes it anew for all. Raises BadCredentials for who was too late to do so
    and whose password is another one by now.
    """
    dearer = await hasher.hash(password)
    same = (User.id == user.id, User.password_hash == user.password_hash)
    async with sessions() as session, session.begin():
        await session.execute(update(User).where(*same).values(password_hash=dearer))
        now = await session.get(User, user.id)
    if now is None or (now.password_hash != dearer and not await hasher.fits(password, now.password_hash)):
        raise BadCredentials
    return now


async def begin_session(session: AsyncSession, user: User, life_s: int, device: Device) -> SignedIn:
    """For a user who has just proved to be who they say; its refresh tokens live for `life_s` from their last use."""
    began = SignIn(id=uuid7(), user_id=user.id, device=device.name, address=device.address)
    began.expires_at = datetime.now(UTC) + timedelta(seconds=life_s)
    session.add(began)
    await session.flush()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await _store(session, began, token)
    return SignedIn(user, began.id, token)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _successor(token: str, salt: bytes) -> str:
    """The next token; neither the token alone nor the database alone is enough to make it."""
    return urlsafe_b64encode(hmac.digest(salt, token.encode(), "sha256")).rstrip(b"=").decode()


async def _store(session: AsyncSession, sign_in: SignIn, token: str) -> None:
    row = RefreshToken(user_id=sign_in.user_id, family=sign_in.id, token_hash=_hash(token))
    row.expires_at = sign_in.expires_at
    session.add(row)
    await session.flush()


async def rotate_refresh_token(sessions: Sessions, token: str, life_s: int, device: Device) -> SignedIn:
    """The next token. Raises BadRefreshToken; a token used twice ends its session (RFC 9700).

    But for a moment after the first use, as long as the next token was not used itself, it is given once more: all of
    many who use a token at once get the same.
    """
    async with sessions() as session, session.begin():
        found = await queries.refresh_token(session, _hash(token))
        sign_in = await queries.locked_sign_in(session, found.family) if found else None
        # Not locked, or who does this over and over would keep a ban waiting. It ends the session once this is done.
        user = await session.get(User, sign_in.user_id) if sign_in else None
        spent = await queries.refresh_token(session, _hash(token)) if sign_in else None
        if user and sign_in and spent:
            usable = user.is_active and spent.expires_at > datetime.now(UTC)
            following = await _follow(session, sign_in, spent, token, life_s, device) if usable else None
            if following:
                return SignedIn(user, sign_in.id, following)
            if spent.used_at:
                await audit.record(session, "refresh_token_reused", subject=user.id)
            await end_session(session, user.id, sign_in.id)
    raise BadRefreshToken


async def _follow(
    session: AsyncSession, sign_in: SignIn, spent: RefreshToken, token: str, life_s: int, device: Device
) -> str | None:
    """The token that takes the place of this one; None when this one is replayed."""
    now = datetime.now(UTC)
    if spent.used_at is None:
        spent.used_at, spent.salt = now, secrets.token_bytes(TOKEN_BYTES)
        sign_in.device, sign_in.address = device
        sign_in.last_used_at, sign_in.expires_at = now, now + timedelta(seconds=life_s)
        following = _successor(token, spent.salt)
        await _store(session, sign_in, following)
        return following
    if spent.salt is None or now - spent.used_at > GRACE:
        return None
    following = _successor(token, spent.salt)
    row = await queries.refresh_token(session, _hash(following))
    return following if row and row.used_at is None else None


# --- ending it ------------------------------------------------------------------------------------------------


async def sign_out(session: AsyncSession, token: str) -> None:
    """End the token's session. An unknown token is no error: the caller is signed out either way."""
    if row := await queries.refresh_token(session, _hash(token)):
        await end_session(session, row.user_id, row.family)


async def end_own_session(session: AsyncSession, user: User, session_id: UUID) -> None:
    """Raises SessionNotFound, for somebody else's too."""
    if not await end_session(session, user.id, session_id):
        raise SessionNotFound


async def end_session(session: AsyncSession, user_id: UUID, session_id: UUID) -> bool:
    """False when there is none. Nodes refuse its access tokens, and end what was begun with them."""
    return bool(await _end(session, user_id, SignIn.id == session_id))


async def end_other_sessions(session: AsyncSession, user: User, kept: UUID | None) -> None:
    """All of a locked user but the one that is `kept`."""
    await _end(session, user.id, SignIn.id.is_distinct_from(kept))


async def _end(session: AsyncSession, user_id: UUID, which: ColumnElement[bool]) -> list[UUID]:
    gone = await session.scalars(delete(SignIn).where(SignIn.user_id == user_id, which).returning(SignIn.id))
    ended = list(gone)
    for session_id in ended:
        changes.record(session, "session_ended", user_id=user_id, session_id=session_id)
    return ended


async def sign_out_everywhere(session: AsyncSession, asker: User) -> None:
    """Void every token of theirs. Of several who ask with tokens of one generation, the first has done it for all."""
    user = await queries.locked_user(session, asker.id)
    if user.generation == asker.generation:
        await end_sessions(session, user, "user_signed_out")
        await audit.record(session, "signed_out_everywhere", actor_id=user.id, subject=user.id)


async def end_sessions(
    session: AsyncSession, user: User, why: Literal["user_signed_out", "user_banned", "user_role_changed"]
) -> None:
    """Void every access and refresh token of a locked user, and what was begun with them.

    Nodes are told `why`, which ends what they remember, before anything else: there may be thousands of sessions. Then
    of each that a token may still be good of: no other change says which tokens are of before and which of after.
    """
    user.generation += 1
    changes.record(session, why, user_id=user.id)
    gone = delete(SignIn).where(SignIn.user_id == user.id).returning(SignIn.id, SignIn.last_used_at)
    unused_since = datetime.now(UTC) - HAVE_TOKENS
    for session_id, last_used_at in await session.execute(gone):
        if last_used_at > unused_since:
            changes.record(session, "session_ended", user_id=user.id, session_id=session_id)
    await void_contact_changes(session, user)
    await session.flush()


async def forget_expired(sessions: Sessions) -> int:
    """Some of the sessions and spent tokens that have expired, passing over those in use; how many of both.

    A spent token is kept until then: its being used again is how a theft is noticed. A session takes its tokens along,
    so who goes for one must hold no token meanwhile: whoever else does so would be waited for, and wait in turn.
    """
    now, gone = datetime.now(UTC), 0
    tables: tuple[type[RefreshToken] | type[SignIn], ...] = (SignIn, RefreshToken)
    for table in tables:
        expired = select(table.id).where(table.expires_at < now).limit(FORGOTTEN_AT_ONCE)
        some = delete(table).where(table.id.in_(expired.with_for_update(skip_locked=True))).returning(table.id)
        async with sessions() as session, session.begin():
            gone += len((await session.scalars(some)).all())
    return gone
