from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from cloud_service.access.current_viewer import CurrentViewer
from cloud_service.node import CurrentNode
from cloud_service.uploads import actions
from cloud_service.uploads.rules import permission
from cloud_service.uploads.schemas import UploadPermission
from cloud_service.videos.schemas import VideoOut
from shared.peer import PeerUnreachable
from shared.problems import NotAuthenticated, responses

router = APIRouter(tags=["uploads"])


@router.get(
    "/uploads/permission",
    summary="May I upload course videos?",
    responses=responses(NotAuthenticated, PeerUnreachable),
)
async def upload_permission(
    viewer: CurrentViewer,
    node: CurrentNode,
    course_id: Annotated[UUID | None, Query(description="Into this course of mine.")] = None,
) -> UploadPermission:
    """A yes may come from what the node remembers; a no is always asked of the VPS anew."""
    return permission(await node.access.standing(viewer, course_id), course_id)


@router.post(
    "/videos",
    status_code=201,
    summary="Upload a lesson's video",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses=responses(
        NotAuthenticated,
        PeerUnreachable,
        actions.UploadNotAllowed,
        actions.LessonNotFound,
        actions.LessonHasVideo,
        actions.UploadInProgress,
        actions.EmptyUpload,
        actions.NotAVideo,
        actions.UploadTooLarge,
        actions.UploadStalled,
        actions.LengthMismatch,
        actions.StorageFull,
    ),
)
async def upload_video(
    lesson_id: UUID, viewer: CurrentViewer, node: CurrentNode, request: Request, response: Response
) -> VideoOut:
    """The raw file is the body, in one request. When it is answered, the video is on disk for good and plays."""
    length = request.headers.get("content-length")
    declared = int(length) if length else None
    video = await actions.receive_video(node, viewer, lesson_id, declared, request.stream())
    response.headers["Location"] = f"/videos/{video.id}"
    return VideoOut.from_stored(video)
