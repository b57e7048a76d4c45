from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from cloud_service.access.actions import RightsUnknown
from cloud_service.access.current_viewer import CurrentViewer
from cloud_service.node import CurrentNode, DatabaseUnusable
from cloud_service.processing.queue import percent_done
from cloud_service.uploads import digests, errors
from cloud_service.uploads.actions import Upload, read_to_its_end, receive_video
from cloud_service.uploads.idempotency import MOST_CHARACTERS
from cloud_service.uploads.places import Place
from cloud_service.uploads.rules import permission
from cloud_service.uploads.schemas import UploadPermission, VideoPlace
from cloud_service.videos.schemas import VideoOut
from cloud_service.vps import VpsUnreachable
from shared.problems import AppError, NotAuthenticated, responses

router = APIRouter(tags=["uploads"])

ReprDigest = Annotated[list[str] | None, Header(description="RFC 9530: sha-256 or sha-512 of the whole file.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=MOST_CHARACTERS,
        pattern=r"^[\x20-\x7e]+$",
        description="Of the client's choosing, one for each upload; a UUID does well.",
    ),
]
STORED: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Location": {"description": "The video's address.", "schema": {"type": "string"}},
            digests.HEADER: {"description": "The SHA-256 of the stored bytes.", "schema": {"type": "string"}},
        }
    }
}


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
    response_model=VideoOut,
    summary="Upload a lesson's video, or a practice video",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses=STORED | responses(*errors.OF_UPLOADS, NotAuthenticated, VpsUnreachable, DatabaseUnusable),
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
    length = request.headers.get("content-length")
    upload = Upload(
        Place(where.kind, where.lesson_id, where.title or "", where.replace),
        declared=int(length) if length else None,
        digests=digests.claimed_digests(repr_digest) if repr_digest else {},
        key=idempotency_key,
    )
    taken = await receive_video(node, viewer, upload, body_of(request))
    video = taken.video
    shown = VideoOut.from_stored(video, await percent_done(node.database, video))
    headers = {"Location": f"/videos/{video.id}", digests.HEADER: digests.repr_digest(video.sha256)}
    if taken.is_read:
        return JSONResponse(shown.model_dump(mode="json"), 201, headers)
    return EarlyAnswer(shown.model_dump(mode="json"), 201, headers, read_to_its_end(node, body_of(request)))


class EarlyAnswer(JSONResponse):
    """Sent before the body came: whoever listens need not send it, and the others are heard to their end."""

    def __init__(
        self, content: object, status: int, headers: dict[str, str], rest: Coroutine[object, object, None]
    ) -> None:
        super().__init__(content, status, {**headers, "Connection": "close"})
        self._rest = rest

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(AppError):
            await self._rest
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Raises UploadDropped when the client goes away."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise errors.UploadDropped from None
