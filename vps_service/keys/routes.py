from uuid import UUID

from fastapi import APIRouter, Request

from shared.problems import NotAuthenticated, NotFound, responses
from shared.schemas import Page
from vps_service import paging
from vps_service.accounts.current import CurrentLearner, CurrentUser, WrongRole
from vps_service.courses.links import video_links
from vps_service.courses.queries import CourseNotFound
from vps_service.db import Session
from vps_service.keys import enroll as enrolling
from vps_service.keys import queries
from vps_service.keys.schemas import KeyOut, KeyWithVideos

router = APIRouter(prefix="/api", tags=["keys"])


class KeyNotFound(NotFound):
    code, title = "key_not_found", "You hold no key to this course"


@router.post(
    "/courses/{course_id}/enroll",
    status_code=201,
    summary="Enroll in a free course",
    responses=responses(
        NotAuthenticated,
        WrongRole,
        CourseNotFound,
        enrolling.CourseNotFree,
        enrolling.AlreadyOwned,
        enrolling.OwnCourse,
    ),
)
async def enroll(course_id: UUID, learner: CurrentLearner, session: Session, request: Request) -> KeyWithVideos:
    """The key, and where its videos are."""
    key = await enrolling.enroll_free(session, learner, course_id)
    videos = await video_links(session, course_id, request.app.state.settings.cloud_url)
    return KeyWithVideos(key=KeyOut.model_validate(key), videos=videos)


@router.get("/keys", summary="My keys, newest first", responses=responses(NotAuthenticated))
async def list_keys(
    user: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[KeyOut]:
    """Void keys are listed too: they are receipts."""
    rows = await queries.keys_of(session, user.id, after=paging.after(cursor), limit=limit)
    page, following = paging.cut(rows, limit, lambda key: key.id)
    return Page(items=[KeyOut.model_validate(key) for key in page], next=following)


@router.get(
    "/courses/{course_id}/key",
    summary="My key to a course, and its videos",
    responses=responses(NotAuthenticated, KeyNotFound),
)
async def show_key(course_id: UUID, user: CurrentUser, session: Session, request: Request) -> KeyWithVideos:
    key = await queries.active_key(session, user.id, course_id)
    if key is None:
        raise KeyNotFound
    videos = await video_links(session, course_id, request.app.state.settings.cloud_url)
    return KeyWithVideos(key=KeyOut.model_validate(key), videos=videos)
