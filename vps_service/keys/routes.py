from uuid import UUID

from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page
from vps_service import paging
from vps_service.accounts.current import CurrentLearner, CurrentUser
from vps_service.accounts.errors import WrongRole
from vps_service.courses.errors import CourseNotFound
from vps_service.courses.links import video_links
from vps_service.db import Session
from vps_service.keys import actions, errors, queries
from vps_service.keys.schemas import KeyOut, KeyWithVideos

router = APIRouter(prefix="/api", tags=["keys"])


@router.post(
    "/courses/{course_id}/enroll",
    status_code=201,
    summary="Enroll in a free course",
    responses=responses(
        NotAuthenticated,
        WrongRole,
        CourseNotFound,
        errors.CourseNotFree,
        errors.AlreadyOwned,
        errors.OwnCourse,
    ),
)
async def enroll(course_id: UUID, learner: CurrentLearner, session: Session) -> KeyWithVideos:
    """The key, and where its videos are."""
    key = await actions.enroll_free(session, learner, course_id)
    videos = await video_links(session, course_id)
    return KeyWithVideos(key=KeyOut.model_validate(key), videos=videos)


@router.get("/keys", summary="My keys, newest first", responses=responses(NotAuthenticated))
async def list_keys(
    user: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[KeyOut]:
    """Void keys are listed too: they are receipts."""
    rows = await queries.keys_of(session, user.id, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, KeyOut.model_validate)


@router.get(
    "/courses/{course_id}/key",
    summary="My key to a course, and its videos",
    responses=responses(NotAuthenticated, errors.KeyNotFound),
)
async def show_key(course_id: UUID, user: CurrentUser, session: Session) -> KeyWithVideos:
    key = await queries.active_key(session, user.id, course_id)
    if key is None:
        raise errors.KeyNotFound
    videos = await video_links(session, course_id)
    return KeyWithVideos(key=KeyOut.model_validate(key), videos=videos)
