"""Leaving: asked for with the password, taken back by signing in, and after a time of grace done for good.

What is done for good is done step by step, each of which may be repeated: whatever dies at whatever moment, a later
run of the job goes on. Who has been told that they left comes back by nothing from the first step on.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.killpoints import killpoint
from vps_service import changes
from vps_service.accounts.images import ImageStore
from vps_service.accounts.models import User
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.proving import password_again
from vps_service.accounts.queries import locked_user
from vps_service.accounts.sessions import end_sessions
from vps_service.audit import actions as audit
from vps_service.courses.queries import has_practice_videos, locked_courses
from vps_service.courses.videos import delete_video
from vps_service.courses.withdrawing import withdraw_courses
from vps_service.db import Sessions
from vps_service.followers.actions import end_follows, recount_followed
from vps_service.leaving import queries
from vps_service.leaving.errors import LastAdmin
from vps_service.leaving.forgetting import forget
from vps_service.leaving.models import Leaving
from vps_service.mail.actions import queue

log = logging.getLogger(__name__)


async def leave(
    sessions: Sessions, hasher: Hasher, user: User, password: str, *, grace: timedelta, required: int
) -> Leaving:
    """They are signed out everywhere, and not there for anybody else from now on.

    Raises WrongPassword, LastAdmin, TooManyRequests.
    """
    async with password_again(sessions, hasher, user, password) as (session, now):
        if now.has_role("admin") and not await queries.has_other_admin(session, now):
            raise LastAdmin
        await audit.record(session, "account_deletion_asked", actor_id=now.id, subject=now.id)
        asked_at = datetime.now(UTC)
        leaving = Leaving(user_id=now.id, asked_at=asked_at, due_at=asked_at + grace, unpublished=[])
        session.add(leaving)
        await _withdraw(session, now, leaving)
        await recount_followed(session, now, required)
        if now.email and now.email_verified_at:
            language = now.locale or "en"
            await queue(session, to=now.email, template="account_leaving", language=language, until=leaving.due_at)
    return leaving


async def _withdraw(session: AsyncSession, user: User, leaving: Leaving) -> None:
    """What `come_back` gives back, but for the place in the queue for review."""
    user.state = "leaving"
    await end_sessions(session, user, "user_signed_out")
    if await has_practice_videos(session, user.id):
        changes.record(session, "practice_videos_hidden", course_id=user.id)
    leaving.unpublished = await withdraw_courses(session, user)
    await session.flush()


async def finish_leavings(sessions: Sessions, images: ImageStore, required: int) -> int:
    """Those who did not come back are gone; how many. One that fails does not keep the others waiting."""
    async with sessions() as session:
        waiting = await queries.due(session, datetime.now(UTC))
    gone = 0
    for user_id in waiting:
        try:
            gone += await _finish(sessions, images, user_id, required)
        except Exception:
            log.exception("an account could not be deleted", extra={"user_id": user_id})
    return gone


async def _finish(sessions: Sessions, images: ImageStore, user_id: UUID, required: int) -> bool:
    """False for somebody who came back at the last moment."""
    async with sessions() as session, session.begin():
        user = await locked_user(session, user_id)
        if not await queries.is_leaving(session, user_id):
            return False
        if not user.is_deleted:
            user.state = "deleted"
            # Waits for a video that is being stored: it is there then, and one that comes later is unwanted.
            await _close_courses(session, user_id)
    killpoint("leaving.closed")
    async with sessions() as session:
        videos = await queries.living_videos(session, user_id)
    for video_id in videos:
        async with sessions() as session, session.begin():
            await delete_video(session, user, video_id)
        killpoint("leaving.video_deleted")
    if user.image_id:
        await asyncio.to_thread(images.remove, user.image_id)
    killpoint("leaving.image_gone")
    while await _end_some_follows(sessions, user_id, required):
        pass
    async with sessions() as session, session.begin():
        user = await locked_user(session, user_id)
        if not await queries.is_leaving(session, user_id):
            return False  # another process was faster
        await forget(session, user)
        await audit.record(session, "account_deleted", subject=user_id)
    killpoint("leaving.forgotten")
    log.info("an account was deleted", extra={"user_id": user_id})
    return True


async def _end_some_follows(sessions: Sessions, user_id: UUID, required: int) -> int:
    async with sessions() as session, session.begin():
        return await end_follows(session, await locked_user(session, user_id), required)


async def _close_courses(session: AsyncSession, teacher_id: UUID) -> None:
    """Whoever holds a key keeps it as a receipt. Nodes ask anew, and are told no name."""
    for course in await locked_courses(session, teacher_id):
        course.status, course.rejection_reason = "archived", None
        changes.record(session, "course_unpublished", course_id=course.id)
    await session.flush()
