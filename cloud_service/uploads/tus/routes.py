"""tus 1.0.0: uploads that go on where they were interrupted (https://tus.io/protocols/resumable-upload)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from cloud_service.access.actions import RightsUnknown
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.access.models import Viewer
from cloud_service.node import CurrentNode, Node
from cloud_service.uploads import errors
from cloud_service.uploads.actions import read_to_its_end
from cloud_service.uploads.answers import EarlyAnswer, IdempotencyKey
from cloud_service.uploads.bodies import body_of
from cloud_service.uploads.tus import actions
from cloud_service.uploads.tus import errors as refusals
from cloud_service.uploads.tus.headers import ALGORITHMS, CONTENT_TYPE, EXTENSIONS, VERSION, checksum_of, http_date
from cloud_service.uploads.tus.models import ResumableUpload
from cloud_service.uploads.tus.receiving import Bytes
from shared.problems import AppError, NotFound, responses

router = APIRouter(tags=["resumable uploads"], default_response_class=Response)

ONE = "/uploads/{upload_id:uuid}"
NUMBER = r"^[0-9]{1,18}$"

Length = Annotated[str | None, Header(alias="Upload-Length", pattern=NUMBER, description="Of all of it, in bytes.")]
Offset = Annotated[str, Header(alias="Upload-Offset", pattern=NUMBER, description="Where it goes on, in bytes.")]
Version = Annotated[str | None, Header(alias="Tus-Resumable", description=f"Always {VERSION}.")]
Deferred = Annotated[str | None, Header(alias="Upload-Defer-Length", description="Not supported.")]
Concatenated = Annotated[str | None, Header(alias="Upload-Concat", description="Not supported.")]
Checksum = Annotated[
    str | None, Header(alias="Upload-Checksum", description="Of this body: `sha1` or `sha256`, and it in Base64.")
]
Metadata = Annotated[
    str,
    Header(
        alias="Upload-Metadata",
        description="`lesson_id`, and `replace` for another video in place of the lesson's; or `kind` (practice) and"
        " `title`. Values in Base64.",
    ),
]

BYTES: dict[str, Any] = {"content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
SAID = {
    name: {"schema": {"type": "string"}, "description": told}
    for name, told in {
        "Upload-Offset": "How many bytes are on the node's disk for good.",
        "Upload-Expires": "Until when the upload can be resumed, as HTTP writes times.",
    }.items()
}
ALWAYS = (*OF_VIEWERS, refusals.VersionNotSupported)
NOT_THERE = (refusals.UploadNotFound, NotFound)
"""The latter at what is no id at all."""
OF_THE_PLACE = (
    RightsUnknown,
    errors.UploadNotAllowed,
    errors.LessonNotFound,
    errors.LessonHasVideo,
    errors.ReplacementUnderWay,
    errors.QuotaExceeded,
    errors.StorageFull,
)
OF_THE_BYTES = (
    refusals.WrongContentType,
    refusals.BadUploadHeader,
    refusals.UnknownChecksum,
    refusals.ChecksumMismatch,
    refusals.UploadTakenOver,
    errors.UploadInProgress,
    errors.UploadTooLarge,
    errors.NotAVideo,
    errors.NotInspected,
    errors.UploadStalled,
    errors.UploadTooSlow,
    errors.UploadTooLong,
    errors.NodeStopping,
)


async def _tus_viewer(viewer: CurrentViewer, version: Version = None) -> Viewer:
    """Raises VersionNotSupported."""
    if version != VERSION:
        raise refusals.VersionNotSupported
    return viewer


TusViewer = Annotated[Viewer, Depends(_tus_viewer)]


def _answered(success: int, told: str, *refused: type[AppError]) -> dict[int | str, dict[str, Any]]:
    return {success: {"description": told, "headers": SAID}, **responses(*ALWAYS, *refused)}


@router.options("/uploads", status_code=204, summary="What of tus is spoken here")
@router.options(ONE, status_code=204, summary="What of tus is spoken here", include_in_schema=False)
async def show_capabilities(node: CurrentNode) -> Response:
    """For anybody."""
    capabilities = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(node.settings.upload_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }
    return Response(status_code=204, headers=capabilities)


@router.post(
    "/uploads",
    status_code=201,
    summary="Begin an upload that can be resumed",
    openapi_extra={"requestBody": BYTES},
    responses=_answered(
        201,
        "Begun. `Location` is its address, and with its id the video will be at `/videos/{id}`.",
        *OF_THE_PLACE,
        *OF_THE_BYTES,
        refusals.ExtensionNotSupported,
        refusals.TooManyUploads,
        errors.EmptyUpload,
        errors.IdempotencyKeyReused,
        errors.IdempotencyKeyInUse,
    ),
)
async def begin_upload(
    viewer: TusViewer,
    node: CurrentNode,
    request: Request,
    metadata: Metadata = "",
    length: Length = None,
    checksum: Checksum = None,
    deferred: Deferred = None,
    concatenated: Concatenated = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The body may bring its first bytes, or all of them. What is refused leaves nothing behind.

    Sent again with the same `Idempotency-Key` it begins nothing anew: the answer is the same upload, and how far it is.
    """
    if deferred is not None or concatenated is not None:
        raise refusals.ExtensionNotSupported
    if length is None:
        raise refusals.BadUploadHeader("Upload-Length is needed.")
    if not _is_offset_octet_stream(request) and _declared(request):
        raise refusals.WrongContentType
    sent = Bytes(_declared(request), body_of(request), checksum_of(checksum))
    begun = await actions.create(node, viewer, int(length), metadata, sent, idempotency_key)
    told = {"Location": f"/uploads/{begun.upload.id}", **_state(node, begun.upload, begun.offset)}
    answer = Response(status_code=201, headers=told)
    return answer if begun.is_read or sent.declared == 0 else EarlyAnswer(answer, read_to_its_end(node, sent.body))


@router.head(
    ONE,
    summary="How far an upload is",
    responses=_answered(200, "`Upload-Length` and `Upload-Metadata` are as they were sent.", *NOT_THERE),
)
async def show_upload(upload_id: UUID, viewer: TusViewer, node: CurrentNode) -> Response:
    """By whoever began it. A request that is sending to it ends; what it has brought counts."""
    upload, offset = await actions.look_up(node, viewer, str(upload_id))
    told = {"Upload-Length": str(upload.length), "Upload-Metadata": upload.metadata, "Cache-Control": "no-store"}
    return Response(headers={**told, **_state(node, upload, offset)})


@router.patch(
    ONE,
    status_code=204,
    summary="Go on with an upload",
    openapi_extra={"requestBody": {"required": True, **BYTES}},
    responses=_answered(
        204,
        "What was sent is on the disk; with the last byte the upload has become a video.",
        *OF_THE_PLACE,
        *OF_THE_BYTES,
        *NOT_THERE,
        refusals.OffsetMismatch,
    ),
)
async def continue_upload(
    upload_id: UUID, viewer: TusViewer, node: CurrentNode, request: Request, at: Offset, checksum: Checksum = None
) -> Response:
    """With the last byte the rights are asked again. A video that is refused for good then leaves nothing behind."""
    if not _is_offset_octet_stream(request):
        raise refusals.WrongContentType
    sent = Bytes(_declared(request), body_of(request), checksum_of(checksum))
    upload, offset = await actions.append(node, viewer, str(upload_id), int(at), sent)
    return Response(status_code=204, headers=_state(node, upload, offset))


@router.delete(
    ONE,
    status_code=204,
    summary="End an upload",
    responses=responses(*ALWAYS, *NOT_THERE),
)
async def end_upload(upload_id: UUID, viewer: TusViewer, node: CurrentNode) -> Response:
    """What was sent is thrown away. A video that it has become already stays: `DELETE /videos/{id}`."""
    await actions.terminate(node, viewer, str(upload_id))
    return Response(status_code=204)


def _state(node: Node, upload: ResumableUpload, offset: int) -> dict[str, str]:
    """A video does not expire."""
    state = {"Upload-Offset": str(offset)}
    if not node.resumable.is_finished(upload):
        state["Upload-Expires"] = http_date(node.resumable.expires_at(upload))
    return state


def _is_offset_octet_stream(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == CONTENT_TYPE


def _declared(request: Request) -> int | None:
    """Of the body in bytes; None when that shows at its end."""
    if "transfer-encoding" in request.headers:
        return None
    return int(request.headers.get("content-length") or 0)
