from typing import Any

from fastapi import APIRouter, Response
from starlette.types import Receive, Scope, Send

from cloud_service.node import CurrentNode, DatabaseUnusable, Node
from cloud_service.playback.edge import edge_of
from cloud_service.playback.errors import TooManyOpenFiles
from cloud_service.playback.links import JPEG
from cloud_service.playback.negotiation import PreconditionFailed, RangeNotSatisfiable
from cloud_service.playback.send import Representation, send_file
from cloud_service.posters.actions import video_with_public_poster
from cloud_service.posters.errors import PosterNotFound
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import POSTER
from shared.problems import responses

router = APIRouter(tags=["posters"])

PATH = "/posters/{video_id}"
FOR_EVERYBODY = b"public, max-age=60"
"""Anybody may keep it, but not for long: what is taken out of the shop is soon seen no more."""
PICTURE = {JPEG: {"schema": {"type": "string", "format": "binary"}}}
SENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": PICTURE},
    206: {"description": "What was asked for of it", "content": PICTURE},
    304: {"description": "The client's copy is still the right one"},
}
ANSWERS = SENT | responses(PosterNotFound, PreconditionFailed, RangeNotSatisfiable, DatabaseUnusable, TooManyOpenFiles)


@router.get(PATH, summary="A picture of a video that is for sale", response_class=Response, responses=ANSWERS)
async def show_poster(video_id: str, node: CurrentNode) -> Response:
    """For everybody, while the course is published. Of anything else there is none."""
    return PosterAnswer(node, await video_with_public_poster(node, video_id.lower()))


@router.head(PATH, summary="What a video's picture is", response_class=Response, responses=ANSWERS)
async def describe_poster(video_id: str, node: CurrentNode) -> Response:
    """The headers that the picture would have."""
    return PosterAnswer(node, await video_with_public_poster(node, video_id.lower()))


async def _always() -> bool:
    return True


class PosterAnswer(Response):
    def __init__(self, node: Node, video: StoredVideo) -> None:
        super().__init__()
        path = f"{node.store.folder(video)}/{POSTER}"
        self._poster = Representation(path, JPEG, absence=PosterNotFound, cache_control=FOR_EVERYBODY)
        self._edge = edge_of(node.settings)

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        await send_file(scope, send, self._poster, also=[], may_go_on=_always, edge=self._edge)
