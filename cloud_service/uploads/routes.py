from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from cloud_service.access.actions import RightsUnknown
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.node import CurrentNode
from cloud_service.processing.queue import percent_done
from cloud_service.uploads import digests, errors
from cloud_service.uploads.actions import Upload, receive_video
from cloud_service.uploads.answers import RAW_BODY, STORED, IdempotencyKey, ReprDigest, declared_length, stored_answer
from cloud_service.uploads.bodies import body_of
from cloud_service.uploads.places import Place
from cloud_service.uploads.rules import permission
from cloud_service.uploads.schemas import UploadPermission, VideoPlace
from cloud_service.videos.schemas import VideoOut
from shared.problems import responses

router = APIRouter(tags=["uploads"])


@router.get(
    "/uploads/permission",
    summary="May I upload course videos?",
    responses=responses(*OF_VIEWERS, RightsUnknown),
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
    response_model=VideoOut,
    summary="Upload a lesson's video, or a practice video",
    openapi_extra=RAW_BODY,
    responses=STORED | responses(*errors.OF_UPLOADS, *OF_VIEWERS),
)
async def upload_video(
    where: Annotated[VideoPlace, Query()],
    viewer: CurrentViewer,
    node: CurrentNode,
    request: Request,
    repr_digest: ReprDigest = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The raw file is the body, in one request. When it is answered, the video is on disk for good.

    `Repr-Digest` (RFC 9530) is checked when it is sent, and always told of what was stored. Sent again with the same
    `Idempotency-Key` within 24 hours it stores nothing anew: the answer is the same video, at once where Content-Length
    and `Repr-Digest` say that the body is the same.
    """
    upload = Upload(
        Place(where.kind, where.lesson_id, where.title or "", where.replace),
        declared=declared_length(request),
        digests=digests.claimed_digests(repr_digest) if repr_digest else {},
        key=idempotency_key,
    )
    taken = await receive_video(node, viewer, upload, body_of(request))
    video = taken.video
    shown = VideoOut.from_stored(video, await percent_done(node.database, video))
    return stored_answer(node, request, taken, shown, f"/videos/{video.id}")
