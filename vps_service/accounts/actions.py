"""Registering, and having one's contact confirmed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.problems import Invalid
from shared.tokens import Role
from vps_service.accounts import queries
from vps_service.accounts.errors import AlreadyTaken
from vps_service.accounts.images import ImageStore
from vps_service.accounts.models import User
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.proofs import mail_link
from vps_service.accounts.sessions import Device, SignedIn, begin_session
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.followers.actions import recount_followed
from vps_service.followers.models import Teacher
from vps_service.settings import VpsSettings


async def new_user(
    hasher: Hasher,
    *,
    role: Role,
    name: str,
    username: str,
    password: str,
    email: str | None = None,
    phone: str | None = None,
    image_id: UUID | None = None,
) -> User:
    """A user that is not stored yet. Raises Invalid for a weak password."""
    await hasher.check_strength(password, name, username, email or "", phone or "")
    return User(
        id=uuid7(),
        role=role,
        name=name,
        username=username,
        email=email,
        phone=phone,
        image_id=image_id,
        password_hash=await hasher.hash(password),
    )


async def store_user(session: AsyncSession, user: User) -> None:
    """Raises AlreadyTaken for a username, e-mail or phone in use."""
    async with taken_is_a_conflict():
        session.add(user)
        await session.flush()
    if user.has_role("teacher"):
        session.add(Teacher(user_id=user.id))
        await session.flush()
    await session.refresh(user)


async def sign_up(sessions: Sessions, user: User, settings: VpsSettings, device: Device) -> SignedIn:
    """Store the user, sign them in, and have them mailed how to confirm their address, all or nothing.

    Raises AlreadyTaken.
    """
    async with sessions() as session, session.begin():
        await store_user(session, user)
        if user.email:
            await mail_link(session, settings, user, "verify_email", user.email)
        return await begin_session(session, user, settings.refresh_token_s, device)


async def sign_up_teacher(
    sessions: Sessions, images: ImageStore, user: User, raw_image: bytes, settings: VpsSettings, device: Device
) -> SignedIn:
    """As `sign_up`, with the image on disk before the user is, and gone again if the user comes to nothing."""
    user.image_id = uuid7()
    try:
        await images.add(user.image_id, raw_image, settings.image_pixels)
        return await sign_up(sessions, user, settings, device)
    except BaseException:
        images.remove(user.image_id)
        raise


@asynccontextmanager
async def taken_is_a_conflict() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        constraint = str(getattr(getattr(error.orig, "diag", None), "constraint_name", ""))
        if not constraint.startswith("uq_users_"):
            raise
        raise AlreadyTaken(f"This {constraint.removeprefix('uq_users_')} is in use.") from None


async def confirm_contact(sessions: Sessions, username: str, required: int) -> None:
    """An operator vouches that the account's e-mail and phone are its owner's; their follows count from now on.

    Raises Invalid for an unknown user.
    """
    async with sessions() as session, session.begin():
        found = await queries.user_by_login(session, username)
        if found is None:
            raise Invalid(f"there is no user {username}", field="username")
        user = await queries.locked_user(session, found.id)
        now = datetime.now(UTC)
        user.email_verified_at = user.email_verified_at or (now if user.email else None)
        user.phone_verified_at = user.phone_verified_at or (now if user.phone else None)
        await audit.record(session, "contact_confirmed", subject=user.id)
        await recount_followed(session, user, required)
