"""Courses that are for sale again when their teacher comes back, and what an admin says meanwhile."""

from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.courses.models import Course
from vps_service.leaving.models import Leaving


async def keep_all_unpublished(session: AsyncSession, teacher_id: UUID) -> None:
    """Should this teacher be leaving: none of them is for sale again by their coming back."""
    waiting = update(Leaving).where(Leaving.user_id == teacher_id).values(unpublished=[])
    await session.execute(waiting.execution_options(synchronize_session=False))


async def keep_unpublished(session: AsyncSession, course: Course) -> bool:
    """Of a locked course: its teacher's coming back does not publish it. False if it would not have."""
    waiting = update(Leaving).where(Leaving.user_id == course.teacher_id, Leaving.unpublished.contains([course.id]))
    kept = waiting.values(unpublished=func.array_remove(Leaving.unpublished, course.id)).returning(Leaving.user_id)
    return await session.scalar(kept.execution_options(synchronize_session=False)) is not None
