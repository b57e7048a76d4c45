from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from vps_service import changes
from vps_service.accounts.current import CurrentAdmin, CurrentTeacher, CurrentUser
from vps_service.accounts.errors import WrongRole
from vps_service.courses.errors import LessonNotFound
from vps_service.db import Session
from vps_service.nodes import actions, queries, rules
from vps_service.nodes.errors import NoNodeAvailable
from vps_service.nodes.schemas import LessonUploadPlace, NodeOut, UploadPlace

router = APIRouter(prefix="/api", tags=["nodes"])


@router.get(
    "/admin/nodes", summary="The Cloud nodes and how they are", responses=responses(NotAuthenticated, WrongRole)
)
async def list_nodes(_: CurrentAdmin, session: Session) -> list[NodeOut]:
    """As each said of itself a few seconds ago; `silent` ones have not been heard of since."""
    head, now = (await changes.position(session)).number, datetime.now(UTC)
    missing = await queries.missing_by_node(session)
    admitted = {node.id for node in await queries.admitted_nodes(session)}
    return [
        NodeOut.from_row(
            node,
            rules.state(node, now, is_admitted=node.id in admitted),
            head=head,
            missing=missing.get(node.id, 0),
        )
        for node in await queries.nodes(session)
    ]


@router.get(
    "/lessons/{lesson_id}/upload-place",
    summary="Where to upload a lesson's video",
    responses=responses(NotAuthenticated, WrongRole, LessonNotFound, NoNodeAvailable),
)
async def show_upload_place(lesson_id: UUID, teacher: CurrentTeacher, session: Session) -> LessonUploadPlace:
    """The node that holds the course's other videos, if it is up and has room, else the one with most room."""
    return LessonUploadPlace.of_lesson(await actions.place_upload(session, teacher, lesson_id), lesson_id)


@router.get(
    "/users/me/upload-place",
    summary="Where to upload a practice video",
    responses=responses(NotAuthenticated, NoNodeAvailable),
)
async def show_practice_upload_place(user: CurrentUser, session: Session) -> UploadPlace:
    """The node that holds this user's others, if it is up and has room. Add `&title=` to its `uri`."""
    return UploadPlace.on(await actions.place_practice_upload(session, user), "kind=practice")
