from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from cloud_service.access.actions import RightsUnknown
from cloud_service.access.current_viewer import CurrentViewer
from cloud_service.node import CurrentNode, DatabaseUnusable
from cloud_service.uploads import errors
from cloud_service.uploads.actions import receive_video
from cloud_service.uploads.places import Place
from cloud_service.uploads.rules import permission
from cloud_service.uploads.schemas import UploadPermission
from cloud_service.videos.schemas import VideoOut
from cloud_service.vps import VpsUnreachable
from shared.problems import NotAuthenticated, responses

router = APIRouter(tags=["uploads"])


@router.get(
    "/uploads/permission",
    summary="May I upload course videos?",
    responses=responses(NotAuthenticated, RightsUnknown, VpsUnreachable, DatabaseUnusable),
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
        VpsUnreachable,
        DatabaseUnusable,
        errors.UploadNotAllowed,
        errors.LessonNotFound,
        errors.LessonHasVideo,
        errors.UploadInProgress,
        errors.EmptyUpload,
        errors.NotAVideo,
        errors.UploadTooLarge,
        errors.UploadStalled,
        errors.LengthMismatch,
        errors.StorageFull,
    ),
)
async def upload_video(
    lesson_id: UUID, viewer: CurrentViewer, node: CurrentNode, request: Request, response: Response
) -> VideoOut:
    """The raw file is the body, in one request. When it is answered, the video is on disk for good and plays."""
    length = request.headers.get("content-length")
    declared = int(length) if length else None
    video = await receive_video(node, viewer, Place("course", lesson_id), declared, _body(request))
    response.headers["Location"] = f"/videos/{video.id}"
    return VideoOut.from_stored(video, percent_done=0)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise errors.UploadDropped from None
