"""Taking back the wish to leave, which signing in does; apart from `actions`, which needs those that sign in."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.accounts.models import User
from vps_service.audit import actions as audit
from vps_service.courses.queries import locked_courses
from vps_service.followers.actions import recount_followed
from vps_service.leaving.models import Leaving


async def come_back(session: AsyncSession, user: User, followers_required: int) -> None:
    """The account of this locked user is as it was before they asked, and their courses are for sale again.

    What an admin did meanwhile stands. Once it is too late, nothing is changed.
    """
    leaving = await session.get(Leaving, user.id, populate_existing=True)
    if not user.is_leaving or leaving is None or leaving.due_at <= datetime.now(UTC):
        return
    user.state = "active"
    changes.record(session, "user_activated", user_id=user.id)
    courses = await locked_courses(session, user.id)
    await session.refresh(leaving)  # an admin who had one of them locked may have taken it from the list
    for course in courses:
        if course.id in leaving.unpublished and course.status == "archived":
            course.status = "published"
            changes.record(session, "course_published", course_id=course.id)
    await session.delete(leaving)
    await audit.record(session, "account_deletion_taken_back", actor_id=user.id, subject=user.id)
    await recount_followed(session, user, followers_required)
