from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.followers.models import Follow, Teacher
from vps_service.followers.rules import follow_counts


async def locked_teacher(session: AsyncSession, user_id: UUID) -> Teacher | None:
    """Not FOR UPDATE: that would wait for, and deadlock with, the share locks that new follows hold on this row."""
    wanted = select(Teacher).where(Teacher.user_id == user_id).with_for_update(key_share=True)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def count_followers(session: AsyncSession, teacher_id: UUID) -> int:
    counted = (
        select(func.count())
        .select_from(Follow)
        .join(User, User.id == Follow.follower_id)
        .where(Follow.teacher_id == teacher_id, follow_counts())
    )
    return (await session.execute(counted)).scalar_one()


async def followed_by(session: AsyncSession, user: User) -> list[UUID]:
    wanted = select(Follow.teacher_id).where(Follow.follower_id == user.id).order_by(Follow.teacher_id)
    return list(await session.scalars(wanted))
