"""Enrolling in a free course: a key without a payment."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.problems import Conflict
from vps_service.accounts.models import User
from vps_service.courses.models import Course
from vps_service.courses.queries import CourseNotFound, stays_public, visible_course
from vps_service.keys import actions, queries
from vps_service.keys.models import Key


class CourseNotFree(Conflict):
    code, title = "course_not_free", "This course is not free"


class AlreadyOwned(Conflict):
    code, title = "already_owned", "You hold a key to this course already"


class OwnCourse(Conflict):
    code, title = "own_course", "A teacher needs no key to their own course"


async def course_for_sale(session: AsyncSession, learner: User, course_id: UUID) -> Course:
    """A published course that this learner could still get a key to. Raises CourseNotFound, OwnCourse, AlreadyOwned."""
    course = await visible_course(session, learner, course_id)
    if course.teacher_id == learner.id:
        raise OwnCourse
    if not course.is_public:
        raise CourseNotFound
    if await queries.active_key(session, learner.id, course.id):
        raise AlreadyOwned
    return course


async def enroll_free(session: AsyncSession, learner: User, course_id: UUID) -> Key:
    course = await course_for_sale(session, learner, course_id)
    if not course.is_free:
        raise CourseNotFree
    # Deleted a moment ago, its keys are void by now, and so would this one have to be.
    if not await stays_public(session, course.id):
        raise CourseNotFound
    key = await actions.grant_key(session, learner.id, course.id)
    if key is None:
        raise AlreadyOwned
    return key
