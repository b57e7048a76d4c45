"""The paths of bytes in the OpenAPI document: they are answered before the framework, so they are described by hand."""

from collections.abc import Sequence
from typing import Any, get_args

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.access.current_viewer import OF_VIEWERS
from cloud_service.playback.errors import (
    DownloadNotAllowed,
    LinkNotFound,
    PlaybackExpired,
    PlaybackMoved,
    PlaybackNotFound,
    TooManyAnswers,
    TooManyOpenFiles,
)
from cloud_service.playback.links import JPEG, ORIGINAL, PLAYLIST
from cloud_service.playback.negotiation import PreconditionFailed, RangeNotSatisfiable
from cloud_service.playback.ranges import MOST_RANGES
from cloud_service.playback.stream import RenditionNotFound
from shared.contract import RenditionName
from shared.problems import MEDIA_TYPE, AppError, responses

STREAM, LINK = "/videos/{video_id}/stream", "/play/{token}/{name}"
OF_BOTH: tuple[type[AppError], ...] = (
    *OF_VIEWERS,
    KeyRequired,
    VideoNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    RightsUnknown,
    TooManyAnswers,
    TooManyOpenFiles,
)
BINARY, TEXT = {"schema": {"type": "string", "format": "binary"}}, {"schema": {"type": "string"}}
RANGES = (
    f" By ranges of bytes (first-last, open, suffix), up to {MOST_RANGES} in one request; several are answered as"
    " `multipart/byteranges`. More than that, ranges that come to more than the file, and other units are answered with"
    " the whole; what is no range, or none of the file's, with 416. Conditions hold, If-Range among them."
)
ASKED = {
    "Range": "bytes=0-1048575",
    **dict.fromkeys(("If-Range", "If-None-Match", "If-Match"), '"67373c4e-4c8f2"'),
    **dict.fromkeys(("If-Modified-Since", "If-Unmodified-Since"), "Fri, 15 Nov 2024 12:20:30 GMT"),
}
"""The headers that a request may have, with examples."""
CONDITIONS = [
    {"name": name, "in": "header", "schema": {"type": "string"}, "example": example} for name, example in ASKED.items()
]
TOLD = {
    "ETag": "Changes with the file.",
    "Last-Modified": "When the file was written.",
    "Cache-Control": "`private, no-cache`: to be asked about each time.",
}
SENT = TOLD | {"Accept-Ranges": "`bytes`.", "Content-Length": "In bytes.", "X-Content-Type-Options": "`nosniff`."}


def document_bytes(document: dict[str, Any]) -> dict[str, Any]:
    """With both paths added."""
    for method in ("get", "head"):
        for path, operation in ((STREAM, _stream()), (LINK, _link())):
            name = "stream" if path == STREAM else "link"
            document["paths"].setdefault(path, {})[method] = {**operation, "operationId": f"{method}_{name}"}
    return document


def _stream() -> dict[str, Any]:
    return {
        "tags": ["playback"],
        "summary": "Stream a video by byte ranges",
        "description": "For whoever may watch it." + RANGES,
        "security": [{"HTTPBearer": []}],
        "parameters": [
            {"name": "video_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
            {
                "name": "rendition",
                "in": "query",
                "description": (
                    "The original goes to everybody as long as nothing else was made, then to those alone who may keep"
                    " it. Without a name it is that for them, where browsers play it; else sd, or what there is."
                ),
                "schema": {"type": "string", "enum": [ORIGINAL, *get_args(RenditionName)]},
            },
            {
                "name": "after",
                "in": "query",
                "description": "As the VPS wrote it: a refusal that is older than this change is not repeated.",
                "schema": {"type": "integer", "minimum": 0},
            },
            *CONDITIONS,
        ],
        "responses": _answers({"video/*": BINARY}, (*OF_BOTH, RenditionNotFound)),
    }


def _link() -> dict[str, Any]:
    gone = (DownloadNotAllowed, LinkNotFound, PlaybackNotFound, PlaybackExpired, PlaybackMoved)
    return {
        "tags": ["playback"],
        "summary": "What a playback's signed links lead to",
        "description": (
            "The token is in the path, and good for everything below it: playlists name their files beside themselves."
            " The viewer's right is looked at for each request. `download` is the original, as an attachment. One"
            " playback is sent as much as a viewer takes, and has expired then: who watches on asks for another."
            + RANGES
        ),
        "parameters": [
            {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "name",
                "in": "path",
                "required": True,
                "description": "As `POST /videos/{video_id}/playback` and playlists say it.",
                "schema": {"type": "string"},
                "example": "master.m3u8",
            },
            *CONDITIONS,
        ],
        "responses": _answers({"video/*": BINARY, PLAYLIST: TEXT, "text/vtt": TEXT, JPEG: BINARY}, (*OF_BOTH, *gone)),
    }


def _answers(content: dict[str, Any], errors: Sequence[type[AppError]]) -> dict[str, Any]:
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused: dict[str, dict[str, Any]] = {
        str(status): {"description": error["description"], "content": problem}
        for status, error in responses(*errors).items()
    }
    refused[str(RangeNotSatisfiable.status)]["headers"] = _headers(
        {"Content-Range": "How many there are: `bytes */N`."}
    )
    part = {"Content-Range": "Which of how many; of several ranges each has its own."}
    return {
        "200": {"description": "The whole of it", "content": content, "headers": _headers(SENT)},
        "206": {
            "description": "What was asked for of it",
            "content": content | {"multipart/byteranges": BINARY},
            "headers": _headers(SENT | part),
        },
        "304": {"description": "The client's copy is still the right one", "headers": _headers(TOLD)},
        **refused,
    }


def _headers(described: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": about, "schema": {"type": "string"}} for name, about in described.items()}
