"""`GET /videos/{id}/stream`: the hot path, a plain ASGI callable in front of the framework.

The original goes to everybody who may watch only as long as nothing else was made, then to those alone who may keep
it. Without `?rendition=` it is the original for them, where browsers play that; else sd, or what there is.

A warm request costs a dictionary look-up for its token, one for its video, one for its grant, and the read. While a
long answer is being sent, every block is preceded by the same look-ups, so a right that ends, ends the answer; one that
is not remembered any more is asked about once more before.
"""

import logging
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from cloud_service.access.actions import Access
from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.playback.edge import edge_of
from cloud_service.playback.links import MP4, ORIGINAL, original
from cloud_service.playback.refusal import answer_or_refuse
from cloud_service.playback.send import Representation, send_file
from cloud_service.videos.actions import shown_video
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from shared.problems import AppError, MethodNotAllowed, NotFound

log = logging.getLogger(__name__)

PREFIX, SUFFIX = "/videos/", "/stream"
MOST_DIGITS = 19
SD = "sd"


class RenditionNotFound(NotFound):
    code, title = "rendition_not_found", "The video has no such rendition, or not yet"


def streams(scope: Scope) -> bool:
    """Whether the request is for this path."""
    if scope["type"] != "http":
        return False
    path: str = scope["path"]
    return path.startswith(PREFIX) and path.endswith(SUFFIX)


def change_known(scope: Scope) -> int:
    """The number in `?after=`, with which the VPS hands out addresses; 0 without a proper one."""
    (given,) = parse_qs(scope["query_string"].decode("latin-1")).get("after", ["0"])[:1]
    return int(given) if given.isascii() and given.isdigit() and len(given) < MOST_DIGITS else 0


def asked_rendition(scope: Scope) -> str | None:
    """What `?rendition=` says, if it is there."""
    query: bytes = scope["query_string"]
    if b"rendition=" not in query:
        return None
    return next(iter(parse_qs(query.decode("latin-1"), keep_blank_values=True).get("rendition", [])), None)


def asks_original(video: StoredVideo, rendition: str | None) -> bool:
    return rendition == ORIGINAL or (rendition is None and (video.plays or not video.renditions))


def made(store: VideoStore, video: StoredVideo, rendition: str | None) -> Representation:
    """What was made of it by this name, or sd. Raises RenditionNotFound."""
    found = video.rendition(SD if rendition is None else rendition)
    if found is None and rendition is None:
        found = next(iter(video.renditions), None)  # sd was lost, and is being made again
    if found is None:
        raise RenditionNotFound
    return Representation(f"{store.folder(video)}/{found.name}.mp4", MP4)


class Stream:
    def __init__(self, node: Node) -> None:
        self._node, self._edge = node, edge_of(node.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_or_refuse(self._answer, scope, receive, send, "stream refused", path=scope["path"])

    async def _answer(self, scope: Scope, send: Send, request_id: str) -> None:
        node = self._node
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        viewer = await node.viewers.identify(authorization.decode("latin-1"))
        video = shown_video(node.catalogue, scope["path"][len(PREFIX) : -len(SUFFIX)].lower())
        if not node.access.lets_in(viewer, video):
            await node.access.check(viewer, video, after=change_known(scope))
            video = shown_video(node.catalogue, video.id)  # it took a while
        rendition, is_kept = asked_rendition(scope), bool(video.renditions)
        is_original = asks_original(video, rendition) and (not is_kept or node.access.may_download(viewer, video))
        with node.answering.one_more(viewer.id):
            await send_file(
                scope,
                send,
                original(node.store, video) if is_original else made(node.store, video, rendition),
                also=[(b"x-request-id", request_id.encode())],
                may_go_on=lambda: may_go_on(
                    node.catalogue, node.access, viewer, video, is_download=is_original and is_kept
                ),
                edge=self._edge,
            )


async def may_go_on(
    catalogue: Catalogue, access: Access, viewer: Viewer, video: StoredVideo, *, is_download: bool = False
) -> bool:
    """The status has been sent: a right that ends now, or cannot be known any more, just ends the answer.

    What is not remembered any more may still hold, and is asked about, while nothing more is sent.
    """
    try:
        if not access.granted(viewer, video):
            await access.check(viewer, video)
        right = access.may_download if is_download else access.granted
        holds = catalogue.get(video.id) is not None and right(viewer, video)
    except AppError:
        holds = False
    if not holds:
        log.info("right ended", extra={"video_id": video.id, "user_id": viewer.id})
    return holds
