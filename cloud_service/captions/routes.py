import asyncio
import hashlib
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.captions import actions, errors
from cloud_service.captions.schemas import CaptionsOut
from cloud_service.node import CurrentNode
from cloud_service.playback.conditions import names
from cloud_service.uploads.answers import declared_length
from cloud_service.uploads.bodies import body_of
from cloud_service.uploads.errors import EmptyUpload, StorageFull, UploadStalled, UploadTooLarge
from cloud_service.videos.actions import video_for
from shared.problems import responses

router = APIRouter(tags=["captions"])

PATH = "/videos/{video_id}/captions/{language}"
WITHIN_S = 30.0
ALWAYS = (*OF_VIEWERS, VideoNotFound, RightsUnknown)
AS_TEXT = {"schema": {"type": "string"}}
SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/vtt": AS_TEXT}},
    304: {"description": "The client's copy is still the right one"},
}


@router.put(
    PATH,
    summary="Give a video captions in a language",
    openapi_extra={
        "requestBody": {"required": True, "content": {"text/vtt": AS_TEXT, "application/x-subrip": AS_TEXT}}
    },
    responses=responses(
        *ALWAYS,
        KeyRequired,
        EmptyUpload,
        UploadTooLarge,
        UploadStalled,
        StorageFull,
        errors.InvalidLanguage,
        errors.NotCaptions,
        errors.InvalidCaptions,
        errors.TooManyLanguages,
    ),
)
async def put_captions(
    video_id: UUID, language: str, viewer: CurrentViewer, node: CurrentNode, request: Request
) -> CaptionsOut:
    """By its owner, in place of those there are. WebVTT, or SubRip, which is converted; in UTF-8 or UTF-16.

    The content decides which it is. Of WebVTT, cues are kept: no STYLE, REGION or NOTE blocks.
    """
    named = actions.language_of(language)
    video = await actions.own_video(node, viewer, str(video_id))
    kept = await actions.put_captions(node, video, named, await _body(request))
    return CaptionsOut(video_id=video_id, language=named, size=len(kept))


@router.get(
    PATH,
    summary="A video's captions",
    response_class=Response,
    responses=SHOWN | responses(*ALWAYS, KeyRequired, errors.CaptionsNotFound),
)
async def show_captions(
    video_id: UUID,
    language: str,
    viewer: CurrentViewer,
    node: CurrentNode,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """WebVTT, for whoever may watch the video."""
    video = await video_for(node, viewer, video_id)
    content = await actions.read_captions(node, video, language)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    if if_none_match and names(if_none_match.encode("latin-1"), etag.encode()):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="text/vtt", headers=headers)


@router.delete(
    PATH,
    status_code=204,
    summary="Take a video's captions away",
    responses=responses(*ALWAYS, KeyRequired, errors.CaptionsNotFound),
)
async def delete_captions(video_id: UUID, language: str, viewer: CurrentViewer, node: CurrentNode) -> None:
    """By its owner."""
    video = await actions.own_video(node, viewer, str(video_id))
    await actions.delete_captions(node, video, language)


async def _body(request: Request) -> bytes:
    """Raises EmptyUpload, UploadTooLarge, UploadStalled, UploadDropped."""
    content, too_large = bytearray(), UploadTooLarge(f"At most {actions.MOST_BYTES} bytes of captions are taken.")
    if (declared_length(request) or 0) > actions.MOST_BYTES:
        raise too_large
    try:
        async with asyncio.timeout(WITHIN_S):
            async for chunk in body_of(request):
                content += chunk
                if len(content) > actions.MOST_BYTES:
                    raise too_large
    except TimeoutError:
        raise UploadStalled(f"The captions did not arrive within {WITHIN_S:g} seconds.") from None
    if not content:
        raise EmptyUpload("Send the captions as the body.")
    return bytes(content)
