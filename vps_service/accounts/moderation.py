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
from vps_service.courses.withdrawing import withdraw_courses
from vps_service.db import Sessions
from vps_service.followers.actions import recount_followed
from vps_service.followers.models import Teacher
from vps_service.leaving.queries import is_leaving
from vps_service.leaving.unpublished import keep_all_unpublished


async def ban_user(sessions: Sessions, admin: User, user_id: UUID, required: int) -> User:
    """Their sessions end, their follows count no more, their practice videos are shown to nobody, and what they sell is
    not sold any more; those who have bought it go on watching.

    Of two admins who ban each other at once, one is. Raises UserNotFound, CannotBanOneself.
    """
    if user_id == admin.id:
        raise CannotBanOneself
    async with sessions() as session, session.begin():
        user = await _living_user(session, admin, user_id)
        was_banned, user.state = user.state == "banned", "banned"
        if not was_banned:
            await end_sessions(session, user, "user_banned")
        sold = await withdraw_courses(session, user)  # of who was banned by a release that did not, too
        await keep_all_unpublished(session, user.id)
        if not was_banned:
            told = {"withdrawn": [str(course_id) for course_id in sold]} if sold else {}
            await audit.record(session, "user_banned", actor_id=admin.id, subject=user.id, **told)
            if await has_practice_videos(session, user.id):
                changes.record(session, "practice_videos_hidden", course_id=user.id)
            await recount_followed(session, user, required)
    return user


async def activate_user(sessions: Sessions, admin: User, user_id: UUID, required: int) -> User:
    """They may sign in again, and their follows count again; their courses, they submit again. Raises UserNotFound.

    If they were leaving when they were banned, they still are, until they sign in.
    """
    async with sessions() as session, session.begin():
        user = await _living_user(session, admin, user_id)
        if user.state == "banned":
            user.state = "leaving" if await is_leaving(session, user.id) else "active"
            changes.record(session, "user_activated", user_id=user.id)
            await audit.record(session, "user_activated", actor_id=admin.id, subject=user.id)
            await recount_followed(session, user, required)
    return user


async def change_role(session: AsyncSession, admin: User, user_id: UUID, role: Literal["student", "teacher"]) -> User:
    """Their sessions end, as tokens name the role. Raises UserNotFound, AdminRole, TeacherHasCourses."""
    user = await _living_user(session, admin, user_id)
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
    await end_sessions(session, user, "user_role_changed")
    return user


async def _living_user(session: AsyncSession, admin: User, user_id: UUID) -> User:
    """Locked, as is the admin, who stays one. Raises UserNotFound, also for one who was deleted; NotAuthenticated.

    In the order of their ids, or two admins who do this to each other would wait for each other.
    """
    if admin.id < user_id:
        await queries.stays_admin(session, admin)
    user = await queries.locked_user(session, user_id)
    if admin.id >= user_id:
        await queries.stays_admin(session, admin)
    if user.is_deleted:
        raise UserNotFound
    return user
