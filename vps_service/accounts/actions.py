"""Registering, and having one's contact confirmed."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.problems import AppError, Invalid
from shared.tokens import Role
from vps_service.accounts import queries
from vps_service.accounts.claims import prove_email, prove_phone, taken_is_a_conflict
from vps_service.accounts.errors import UserNotFound
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
    """Raises AlreadyTaken for a username in use; the e-mail and the phone are theirs once they prove them."""
    async with taken_is_a_conflict():
        session.add(user)
        await session.flush()
    if user.has_role("teacher"):
        session.add(Teacher(user_id=user.id))
        await session.flush()
    await session.refresh(user)


async def sign_up(sessions: Sessions, user: User, settings: VpsSettings, device: Device) -> SignedIn:
    """Store the user, sign them in, and have them mailed how to confirm their address, all or nothing.

    Whether the address is another account's makes no difference but in the mail. Raises AlreadyTaken.
    """
    async with sessions() as session, session.begin():
        await store_user(session, user)
        if user.email:
            await mail_link(session, settings, user, "verify_email", user.email)
        await audit.record(session, "registered", actor_id=user.id, subject=user.id)
        return await begin_session(session, user, settings.refresh_token_s, device)


async def sign_up_teacher(
    sessions: Sessions, images: ImageStore, user: User, raw_image: bytes, settings: VpsSettings, device: Device
) -> SignedIn:
    """As `sign_up`, with the image on disk before the user is, and gone again if the user is refused.

    After any other failure nobody knows whether the user was stored: then it stays, until it is found to be nobody's
    (`remove_stray_images`).
    """
    user.image_id = uuid7()
    try:
        await images.add(user.image_id, raw_image, settings.image_pixels)
        return await sign_up(sessions, user, settings, device)
    except AppError:
        images.remove(user.image_id)
        raise


async def confirm_contact(sessions: Sessions, username: str, required: int) -> None:
    """An operator vouches that the account's e-mail and phone are its owner's; their follows count from now on.

    By username alone: whose an address is that several claim is the question. Raises Invalid for an unknown user,
    AlreadyTaken for an e-mail or phone that another account has proved.
    """
    async with sessions() as session, session.begin():
        try:
            found = await queries.user_by_username(session, username, banned_too=True)
        except UserNotFound:
            raise Invalid(f"there is no user {username}", field="username") from None
        user = await queries.locked_user(session, found.id)
        if user.email:
            await prove_email(session, user, user.email)
        if user.phone:
            await prove_phone(session, user, user.phone)
        await audit.record(session, "contact_confirmed", subject=user.id)
        await recount_followed(session, user, required)
