"""Taking all that a teacher sells out of the shop at once: of somebody who leaves, or is made to."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.accounts.models import User
from vps_service.courses.queries import locked_courses


async def withdraw_courses(session: AsyncSession, teacher: User) -> list[UUID]:
    """Those of this locked user that were for sale. Whoever holds a key goes on watching; what waited for review is a
    draft again.
    """
    sold = []
    for course in await locked_courses(session, teacher.id):
        if course.status == "published":
            sold.append(course.id)
            course.status = "archived"
            changes.record(session, "course_unpublished", course_id=course.id)
        elif course.status == "pending":
            course.status = "draft"
    await session.flush()
    return sold
