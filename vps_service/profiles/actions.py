"""What users change of how they appear, and the pictures that nobody appears with any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.problems import NotAuthenticated
from vps_service.accounts.images import ImageStore
from vps_service.accounts.models import User
from vps_service.accounts.queries import locked_user
from vps_service.db import Sessions
from vps_service.profiles import queries
from vps_service.profiles.models import Profile


async def change_profile(
    session: AsyncSession,
    user: User,
    *,
    full_name: str | None = None,
    notifications: dict[str, bool] | None = None,
    **said: Any,
) -> tuple[User, Profile]:
    """Change what is given. `said` are the columns of a profile, and `locale`."""
    changed = await locked_user(session, user.id)
    if full_name is not None:
        changed.name = full_name
    if "locale" in said:
        changed.locale = said.pop("locale")
    said |= {f"{way}_notifications": wanted for way, wanted in (notifications or {}).items()}
    if said:
        row = insert(Profile).values(user_id=user.id, **said)
        await session.execute(row.on_conflict_do_update(index_elements=[Profile.user_id], set_=said))
    await session.flush()
    return changed, await queries.profile_of(session, changed)


async def change_avatar(sessions: Sessions, images: ImageStore, user: User, raw: bytes, max_pixels: int) -> User:
    """The new picture is on disk before the user has it, and the old one gone once they have it no more.

    Raises NotAnImage, TooManyImages, NotAuthenticated for who was banned meanwhile. What a failure leaves
    `remove_stray_images` finds.
    """
    image_id = uuid7()
    try:
        await images.add(image_id, raw, max_pixels)
    except BaseException:
        images.remove(image_id)
        raise
    async with sessions() as session, session.begin():
        changed = await locked_user(session, user.id)
        if not changed.is_active:
            raise NotAuthenticated
        before, changed.image_id = changed.image_id, image_id
    if before:
        images.remove(before)
    return changed


async def remove_stray_images(sessions: Sessions, images: ImageStore, age: timedelta) -> int:
    """Remove pictures of at least this age that are nobody's; how many. Younger ones may be about to be somebody's."""
    stored = await asyncio.to_thread(images.stored_before, datetime.now(UTC) - age)
    async with sessions() as session:
        used = {*await session.scalars(select(User.image_id).where(User.image_id.is_not(None)))} if stored else set()
    for image_id in stored - used:
        images.remove(image_id)
    return len(stored - used)
