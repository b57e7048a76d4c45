from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from cloud_service.access.actions import KeyRequired, RightsUnknown
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.access.models import Viewer
from cloud_service.files import actions
from cloud_service.files.actions import FileNotThere
from cloud_service.files.schemas import FileOut
from cloud_service.media.documents import ENDINGS, NotADocument, begins_as_document
from cloud_service.media.names import MOST_CHARACTERS, InvalidName, cleaned, content_disposition
from cloud_service.node import CurrentNode, Node
from cloud_service.playback.errors import TooManyAnswers, TooManyOpenFiles
from cloud_service.playback.negotiation import PreconditionFailed, RangeNotSatisfiable
from cloud_service.playback.send import MayGoOn, Representation, send_file
from cloud_service.playback.stream import may_go_on
from cloud_service.uploads import digests
from cloud_service.uploads.actions import Upload, receive_video
from cloud_service.uploads.answers import RAW_BODY, STORED, IdempotencyKey, ReprDigest, declared_length, stored_answer
from cloud_service.uploads.bodies import body_of
from cloud_service.uploads.errors import (
    OF_UPLOADS,
    LessonHasVideo,
    NotAVideo,
    NotInspected,
    QuotaExceeded,
    ReplacementUnderWay,
)
from cloud_service.uploads.places import Place
from cloud_service.videos.models import StoredVideo
from shared.problems import responses

router = APIRouter(tags=["files"])

PATH = "/files/{file_id}"
OF_VIDEOS = (LessonHasVideo, ReplacementUnderWay, QuotaExceeded, NotAVideo, NotInspected)
OF_FILES = tuple(error for error in OF_UPLOADS if error not in OF_VIDEOS)
OF_SENDING = (PreconditionFailed, RangeNotSatisfiable, TooManyAnswers, TooManyOpenFiles)
OF_DOWNLOADS = responses(*OF_VIEWERS, *OF_SENDING, KeyRequired, FileNotThere, RightsUnknown)
BINARY = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in ENDINGS}
SENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file", "content": BINARY},
    206: {"description": "The range that was asked for", "content": BINARY},
    304: {"description": "The client's copy is still the right one"},
}


@router.post(
    "/files",
    status_code=201,
    response_model=FileOut,
    summary="Upload a file of a lesson",
    openapi_extra=RAW_BODY,
    responses=STORED | responses(*OF_FILES, *OF_VIEWERS, NotADocument, InvalidName),
)
async def upload_file(
    lesson_id: UUID,
    name: Annotated[str, Query(description=f"To save it under; at most {MOST_CHARACTERS} characters.")],
    viewer: CurrentViewer,
    node: CurrentNode,
    request: Request,
    repr_digest: ReprDigest = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """PDF, DOCX, XLSX, PPTX, ODT, ODS or ODP, without macros, as the raw body of one request; the content tells.

    Otherwise as for videos. The name is given the ending of what the file is.
    """
    upload = Upload(
        Place("file", lesson_id, cleaned(name)),
        declared=declared_length(request),
        digests=digests.claimed_digests(repr_digest) if repr_digest else {},
        key=idempotency_key,
        recognise=begins_as_document,
    )
    taken = await receive_video(node, viewer, upload, body_of(request))
    return stored_answer(node, request, taken, FileOut.from_stored(taken.video), f"/files/{taken.video.id}")


@router.get(PATH, summary="Download a lesson's file", response_class=Response, responses=SENT | OF_DOWNLOADS)
async def download_file(file_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> Response:
    """For whoever may watch the lesson's video; to be saved, never shown in a page. By ranges as videos are."""
    return FileAnswer(node, viewer, await actions.file_for(node, viewer, file_id))


@router.head(PATH, summary="What a lesson's file is", response_class=Response, responses=SENT | OF_DOWNLOADS)
async def describe_file(file_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> Response:
    """The headers that a download would have."""
    return FileAnswer(node, viewer, await actions.file_for(node, viewer, file_id))


@router.delete(PATH, status_code=204, summary="Delete a lesson's file", responses=responses(*OF_VIEWERS, FileNotThere))
async def delete_file(file_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> None:
    """By its teacher."""
    await actions.delete_file(node, viewer, file_id)


class FileAnswer(Response):
    """Whatever is in the file, no browser makes a page of it, nor runs anything at our address."""

    def __init__(self, node: Node, viewer: Viewer, file: StoredVideo) -> None:
        super().__init__()
        self._file = file
        self._counted = node.answering.one_more(viewer.id)
        self._representation = Representation(node.store.path(file), file.media_type)
        self._may_go_on: MayGoOn = lambda: may_go_on(node.catalogue, node.access, viewer, file)

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        also = [
            (b"content-disposition", content_disposition(self._file.title).encode()),
            (b"content-security-policy", b"sandbox; default-src 'none'"),
        ]
        with self._counted:
            await send_file(scope, send, self._representation, also=also, may_go_on=self._may_go_on)
