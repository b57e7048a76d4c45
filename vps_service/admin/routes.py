from uuid import UUID

from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page
from vps_service import paging
from vps_service.accounts.current import CurrentAdmin
from vps_service.accounts.errors import WrongRole
from vps_service.admin import sales, users
from vps_service.courses import actions, errors, queries
from vps_service.courses.schemas import OwnCourseOut, Rejection
from vps_service.db import Session

router = APIRouter(prefix="/api/admin", tags=["admin"])
router.include_router(users.router)
router.include_router(sales.router)
review_errors = responses(NotAuthenticated, WrongRole, errors.CourseNotFound, errors.WrongStatus)


@router.get("/courses", summary="Courses that wait for review", responses=responses(NotAuthenticated, WrongRole))
async def list_pending_courses(
    _: CurrentAdmin, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[OwnCourseOut]:
    rows = await queries.pending(session, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, OwnCourseOut.model_validate)


@router.post("/courses/{course_id}/approve", summary="Publish a submitted course", responses=review_errors)
async def approve_course(course_id: UUID, admin: CurrentAdmin, session: Session) -> OwnCourseOut:
    return OwnCourseOut.model_validate(await actions.approve_course(session, admin, course_id))


@router.post("/courses/{course_id}/reject", summary="Send a submitted course back", responses=review_errors)
async def reject_course(course_id: UUID, rejection: Rejection, admin: CurrentAdmin, session: Session) -> OwnCourseOut:
    """The teacher reads the reason, mends the course and submits it again."""
    course = await actions.reject_course(session, admin, course_id, rejection.reason)
    return OwnCourseOut.model_validate(course)


@router.post("/courses/{course_id}/unpublish", summary="Take a course out of the shop", responses=review_errors)
async def unpublish_course(course_id: UUID, admin: CurrentAdmin, session: Session) -> OwnCourseOut:
    """Key holders go on watching; its teacher can submit it again."""
    return OwnCourseOut.model_validate(await actions.unpublish_course(session, admin, course_id))
