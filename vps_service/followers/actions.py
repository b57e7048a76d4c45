from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import teacher_by_username
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


async def _followable(session: AsyncSession, follower: User, username: str) -> UUID:
    teacher = await teacher_by_username(session, username)
    if teacher is None:
        raise TeacherNotFound
    if teacher.id == follower.id:
        raise CannotFollowOneself
    return teacher.id
