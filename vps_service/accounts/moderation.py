"""What an admin may do to an account: ban it, let it in again, make it a student's or a teacher's.

Each of these may be repeated: it changes, and announces, only what is not so already.
"""

from typing import Literal
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.accounts import queries
from vps_service.accounts.errors import AdminRole, CannotBanOneself, TeacherHasCourses, UserNotFound
from vps_service.accounts.models import User
from vps_service.accounts.sessions import end_sessions
from vps_service.audit import actions as audit
from vps_service.courses.queries import courses_of, has_practice_videos
from vps_service.db import Sessions
from vps_service.followers.actions import recount_followed
from vps_service.followers.models import Teacher
from vps_service.leaving.queries import is_leaving


async def ban_user(sessions: Sessions, admin: User, user_id: UUID, required: int) -> User:
    """Their sessions end, their follows count no more, and their practice videos are shown to nobody.

    Raises UserNotFound, CannotBanOneself.
    """
    if user_id == admin.id:
        raise CannotBanOneself
    async with sessions() as session, session.begin():
        user = await _living_user(session, user_id)
        if user.state != "banned":
            user.state = "banned"
            await end_sessions(session, user)
            changes.record(session, "user_banned", user_id=user.id)
            await audit.record(session, "user_banned", actor_id=admin.id, subject=user.id)
            if await has_practice_videos(session, user.id):
                changes.record(session, "practice_videos_hidden", course_id=user.id)
            await recount_followed(session, user, required)
    return user


async def activate_user(sessions: Sessions, admin: User, user_id: UUID, required: int) -> User:
    """They may sign in again, and their follows count again. Raises UserNotFound.

    If they were leaving when they were banned, they still are, until they sign in.
    """
    async with sessions() as session, session.begin():
        user = await _living_user(session, user_id)
        if user.state == "banned":
            user.state = "leaving" if await is_leaving(session, user.id) else "active"
            changes.record(session, "user_activated", user_id=user.id)
            await audit.record(session, "user_activated", actor_id=admin.id, subject=user.id)
            await recount_followed(session, user, required)
    return user


async def change_role(session: AsyncSession, admin: User, user_id: UUID, role: Literal["student", "teacher"]) -> User:
    """Their sessions end, as tokens name the role. Raises UserNotFound, AdminRole, TeacherHasCourses."""
    user = await _living_user(session, user_id)
    if user.has_role("admin"):
        raise AdminRole
    if user.role == role:
        return user
    if role == "teacher":
        await session.execute(insert(Teacher).values(user_id=user.id).on_conflict_do_nothing())
    elif await courses_of(session, user.id, limit=1):
        raise TeacherHasCourses
    await audit.record(session, "user_role_changed", actor_id=admin.id, subject=user.id, role=role, before=user.role)
    user.role = role
    await end_sessions(session, user)
    changes.record(session, "user_role_changed", user_id=user.id)
    return user


async def _living_user(session: AsyncSession, user_id: UUID) -> User:
    """Locked. Raises UserNotFound, also for one who was deleted."""
    user = await queries.locked_user(session, user_id)
    if user.is_deleted:
        raise UserNotFound
    return user
