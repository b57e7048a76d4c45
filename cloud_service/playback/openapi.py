"""The streaming path in the OpenAPI document: it is answered before the framework, so it is described by hand."""

from typing import Any, get_args

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.node import DatabaseUnusable
from cloud_service.playback.send import RangeNotSatisfiable
from cloud_service.playback.stream import ORIGINAL, RenditionNotFound
from cloud_service.vps import VpsUnreachable
from shared.contract import RenditionName
from shared.problems import MEDIA_TYPE, NotAuthenticated, responses

PATH = "/videos/{video_id}/stream"
ERRORS = responses(
    NotAuthenticated,
    KeyRequired,
    VideoNotFound,
    RenditionNotFound,
    RangeNotSatisfiable,
    RightsUnknown,
    VpsUnreachable,
    DatabaseUnusable,
)
BINARY = {"video/*": {"schema": {"type": "string", "format": "binary"}}}


def _operation(method: str) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        "tags": ["playback"],
        "summary": "Stream a video by byte ranges",
        "description": (
            "For whoever may watch it. One range a request (first-last, open, suffix); several ranges or other units "
            "are answered with the whole. If-Range, If-None-Match and If-Modified-Since hold."
        ),
        "operationId": f"{method}_stream",
        "security": [{"HTTPBearer": []}],
        "parameters": [
            {
                "name": "video_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "format": "uuid"},
            },
            {
                "name": "rendition",
                "in": "query",
                "description": (
                    "Without it: the original, where browsers play that or nothing else was made yet; else sd, or"
                    " what there is."
                ),
                "schema": {"type": "string", "enum": [ORIGINAL, *get_args(RenditionName)]},
            },
            {
                "name": "after",
                "in": "query",
                "description": "As the VPS wrote it: a refusal that is older than this change is not repeated.",
                "schema": {"type": "integer", "minimum": 0},
            },
            {"name": "Range", "in": "header", "schema": {"type": "string"}, "example": "bytes=0-1048575"},
            {"name": "If-Range", "in": "header", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {"description": "The whole video", "content": BINARY},
            "206": {"description": "The range that was asked for", "content": BINARY},
            "304": {"description": "The client's copy is still the right one"},
            **{
                str(status): {"description": error["description"], "content": {MEDIA_TYPE: problem}}
                for status, error in ERRORS.items()
            },
        },
    }


def document_stream(document: dict[str, Any]) -> dict[str, Any]:
    document["paths"][PATH] = {"get": _operation("get"), "head": _operation("head")}
    return document
