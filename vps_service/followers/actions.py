from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import teacher_by_username
from vps_service.db import Sessions
from vps_service.followers import queries, rules
from vps_service.followers.errors import CannotFollowOneself, TeacherNotFound
from vps_service.followers.models import Follow, Teacher


async def follow(session: AsyncSession, follower: User, username: str, required: int) -> Teacher:
    """Follow once; following again changes nothing. Reaching `required` verifies in the same transaction."""
    teacher_id = await _followable(session, follower, username)
    row = insert(Follow).values(teacher_id=teacher_id, follower_id=follower.id).on_conflict_do_nothing()
    await session.execute(row)
    return await recount(session, teacher_id, required)


async def unfollow(session: AsyncSession, follower: User, username: str, required: int) -> Teacher:
    teacher_id = await _followable(session, follower, username)
    gone = delete(Follow).where(Follow.teacher_id == teacher_id, Follow.follower_id == follower.id)
    await session.execute(gone)
    return await recount(session, teacher_id, required)


async def recount(session: AsyncSession, teacher_id: UUID, required: int) -> Teacher:
    """Count again under the teacher's lock: of two follows at once the later one sees the earlier."""
    teacher = await queries.locked_teacher(session, teacher_id)
    if teacher is None:
        raise TeacherNotFound
    teacher.followers = await queries.count_followers(session, teacher_id)
    if rules.becomes_verified(teacher, required):
        teacher.verified_at = datetime.now(UTC)
        changes.record(session, "teacher_verified", user_id=teacher_id)
    await session.flush()
    return teacher


async def recount_followed(sessions: Sessions, follower: User, required: int) -> None:
    """Count again whom this user follows, after the transaction that changed whether their follows count.

    Only then: a follow that is being made meanwhile is counted by itself or by this.
    """
    async with sessions() as session:
        teachers = await queries.followed_by(session, follower)
    for teacher_id in teachers:
        async with sessions() as session, session.begin():
            await recount(session, teacher_id, required)


async def verify_teacher(session: AsyncSession, username: str) -> Teacher:
    """An admin's word, whatever the count; it takes a demotion back. Raises TeacherNotFound."""
    teacher = await _locked(session, username)
    if not teacher.is_verified:
        teacher.verified_at, teacher.demoted_at = datetime.now(UTC), None
        changes.record(session, "teacher_verified", user_id=teacher.user_id)
    await session.flush()
    return teacher


async def demote_teacher(session: AsyncSession, username: str) -> Teacher:
    """No longer verified, and not by followers again. Raises TeacherNotFound."""
    teacher = await _locked(session, username)
    if teacher.is_verified:
        changes.record(session, "teacher_demoted", user_id=teacher.user_id)
    if not teacher.is_demoted:
        teacher.verified_at, teacher.demoted_at = None, datetime.now(UTC)
    await session.flush()
    return teacher


async def _locked(session: AsyncSession, username: str) -> Teacher:
    user = await teacher_by_username(session, username, banned_too=True)
    teacher = await queries.locked_teacher(session, user.id) if user else None
    if teacher is None:
        raise TeacherNotFound
    return teacher


async def _followable(session: AsyncSession, follower: User, username: str) -> UUID:
    teacher = await teacher_by_username(session, username)
    if teacher is None:
        raise TeacherNotFound
    if teacher.id == follower.id:
        raise CannotFollowOneself
    return teacher.id
