"""Proving that a phone is one's own, by a code that is sent to it."""

import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts import queries
from vps_service.accounts.claims import prove_phone
from vps_service.accounts.errors import WrongCode
from vps_service.accounts.models import User
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.proving import prove_password, proved
from vps_service.accounts.sealing import CodesKey
from vps_service.audit import actions as audit
from vps_service.clients import current_subscriber
from vps_service.db import Sessions
from vps_service.followers.actions import recount_followed
from vps_service.limits import actions as limits
from vps_service.limits.rules import HOUR_S
from vps_service.phones.errors import NoCode, NoPhone, PhoneAlreadyVerified, PhoneProviderUnreachable
from vps_service.phones.models import PhoneCode
from vps_service.phones.senders import PhoneSender
from vps_service.phones.texts import CODE, IN_USE, REPLACED, wording

log = logging.getLogger(__name__)

CODE_LIFE, ATTEMPTS = timedelta(minutes=10), 5
CODES_AN_HOUR, CODES_PER_CLIENT = 5, 20


@dataclass(frozen=True)
class Phones:
    """The way to phones, and the key with which codes are hashed."""

    sender: PhoneSender
    key: CodesKey


@dataclass(frozen=True)
class Sent:
    phone: str
    expires_at: datetime


async def _count(sessions: Sessions, user: User, phone: str) -> None:
    """Messages cost money, and whoever gets them may not have asked. Raises TooManyRequests."""
    await limits.take(sessions, "phone_codes_of_client", current_subscriber(), most=CODES_PER_CLIENT, per_s=HOUR_S)
    await limits.take(sessions, "phone_codes_of_user", str(user.id), most=CODES_AN_HOUR, per_s=HOUR_S)
    await limits.take(sessions, "phone_codes", phone, most=CODES_AN_HOUR, per_s=HOUR_S)


async def send_code(sessions: Sessions, phones: Phones, asker: User) -> Sent:
    """To the account's own phone. Whether it is another account's too, only its owner is told.

    Raises NoPhone, PhoneAlreadyVerified, TooManyRequests, PhoneProviderUnreachable.
    """
    if asker.phone and not asker.phone_verified_at:
        await _count(sessions, asker, asker.phone)
    async with sessions() as session, session.begin():
        user = await queries.locked_user(session, asker.id)
        if user.phone is None:
            raise NoPhone
        if user.phone_verified_at:
            raise PhoneAlreadyVerified
        text, sent = await _new_code(session, phones.key, user, user.phone)
    await phones.sender.send(sent.phone, text)
    return sent


async def ask_for_phone(
    sessions: Sessions, phones: Phones, hasher: Hasher, asker: User, password: str, phone: str
) -> Sent:
    """To the phone that is to replace the account's. Whether it is another account's, only its owner is told.

    Raises WrongPassword, PhoneAlreadyVerified when it is the account's own already, TooManyRequests,
    PhoneProviderUnreachable.
    """
    await prove_password(sessions, hasher, asker, password)
    await _count(sessions, asker, phone)
    async with proved(sessions, asker) as (session, user):
        if user.phone == phone and user.phone_verified_at:
            raise PhoneAlreadyVerified
        text, sent = await _new_code(session, phones.key, user, phone)
    await phones.sender.send(sent.phone, text)
    return sent


async def enter_code(sessions: Sessions, phones: Phones, asker: User, code: str, required: int) -> User:
    """The phone that the code was sent to is the account's, and verified; a verified one that it replaces is told.

    Raises NoCode after too many attempts or too long, WrongCode, AlreadyTaken.
    """
    async with sessions() as session, session.begin():
        user = await queries.locked_user(session, asker.id)
        kept = await session.get(PhoneCode, user.id)
        if kept is None or kept.attempts >= ATTEMPTS or kept.expires_at <= datetime.now(UTC):
            raise NoCode
        kept.attempts += 1  # a wrong one too is committed before it is refused
        is_right = hmac.compare_digest(kept.code_hash, phones.key.hash(user.id, kept.phone, code))
        replaced = user.phone if is_right and user.phone_verified_at and user.phone != kept.phone else None
        if is_right:
            await _take_phone(session, user, kept)
            await recount_followed(session, user, required)
    if not is_right:
        raise WrongCode
    if replaced:
        await _tell_old_phone(phones, replaced, user.locale)
    return user


async def forget_expired(session: AsyncSession) -> None:
    """Phones that nobody proved are nobody's business."""
    await session.execute(delete(PhoneCode).where(PhoneCode.expires_at < func.now()))


async def _take_phone(session: AsyncSession, user: User, proved: PhoneCode) -> None:
    await prove_phone(session, user, proved.phone)
    await session.delete(proved)
    await audit.record(session, "phone_changed", actor_id=user.id, subject=user.id)


async def _tell_old_phone(phones: Phones, phone: str, locale: str | None) -> None:
    """It is replaced whether it can be told or not."""
    try:
        await phones.sender.send(phone, wording(REPLACED, locale))
    except PhoneProviderUnreachable:
        log.warning("a phone that was replaced could not be told")


async def _new_code(session: AsyncSession, key: CodesKey, user: User, phone: str) -> tuple[str, Sent]:
    """What to send to the phone, for a locked user: every earlier code of theirs is void.

    Where another account has proved the phone there is no code that anybody could enter.
    """
    owner = await queries.owner_of_phone(session, phone)
    is_anothers = owner is not None and owner.id != user.id
    code = secrets.token_urlsafe() if is_anothers else f"{secrets.randbelow(10**6):06d}"
    expires_at = datetime.now(UTC) + CODE_LIFE
    values = {
        "phone": phone,
        "code_hash": key.hash(user.id, phone, code),
        "attempts": 0,
        "expires_at": expires_at,
        "created_at": datetime.now(UTC),
    }
    row = insert(PhoneCode).values(user_id=user.id, **values)
    await session.execute(row.on_conflict_do_update(index_elements=[PhoneCode.user_id], set_=values))
    text = wording(IN_USE if is_anothers else CODE, (owner or user).locale).format(code=code)
    return text, Sent(phone, expires_at)
