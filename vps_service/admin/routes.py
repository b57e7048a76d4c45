from uuid import UUID

from fastapi import APIRouter, Request

from shared.contract import NODE_STATUS, NodeStatus
from shared.peer import Peer, PeerUnreachable
from shared.problems import NotAuthenticated, responses
from shared.schemas import Page
from vps_service import paging
from vps_service.accounts.current import CurrentAdmin, WrongRole
from vps_service.courses import actions, queries
from vps_service.courses.detail import course_fields
from vps_service.courses.schemas import OwnCourseOut, Rejection
from vps_service.db import Session

router = APIRouter(prefix="/api/admin", tags=["admin"])
review_errors = responses(NotAuthenticated, WrongRole, queries.CourseNotFound, actions.WrongStatus)


@router.get("/courses", summary="Courses that wait for review", responses=responses(NotAuthenticated, WrongRole))
async def list_pending_courses(
    _: CurrentAdmin, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[OwnCourseOut]:
    rows = await queries.pending(session, after=paging.after(cursor), limit=limit)
    page, following = paging.cut(rows, limit, lambda course: course.id)
    return Page(items=[OwnCourseOut.model_validate(course_fields(course)) for course in page], next=following)


@router.post("/courses/{course_id}/approve", summary="Publish a submitted course", responses=review_errors)
async def approve_course(course_id: UUID, _: CurrentAdmin, session: Session) -> OwnCourseOut:
    return OwnCourseOut.model_validate(course_fields(await actions.approve_course(session, course_id)))


@router.post("/courses/{course_id}/reject", summary="Send a submitted course back", responses=review_errors)
async def reject_course(course_id: UUID, rejection: Rejection, _: CurrentAdmin, session: Session) -> OwnCourseOut:
    """The teacher reads the reason, mends the course and submits it again."""
    course = await actions.reject_course(session, course_id, rejection.reason)
    return OwnCourseOut.model_validate(course_fields(course))


@router.get(
    "/node",
    summary="How the Cloud node is doing",
    responses=responses(NotAuthenticated, WrongRole, PeerUnreachable),
)
async def show_node(_: CurrentAdmin, request: Request) -> NodeStatus:
    """Asked of the node itself, now."""
    node: Peer = request.app.state.node
    return await node.get(NODE_STATUS, NodeStatus)
