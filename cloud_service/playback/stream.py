"""`GET /videos/{id}/stream`: the hot path, a plain ASGI callable in front of the framework.

Without `?rendition=` it is the original, where browsers play that, or nothing else was made yet; else sd, or
what there is.

A warm request costs a dictionary look-up for its token, one for its video, one for its grant, and the read. While a
long answer is being sent, every block is preceded by the same look-ups, so a right that ends, ends the answer.
"""

import logging
import sqlite3
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from cloud_service.access.actions import Access, RightsUnknown
from cloud_service.access.models import Viewer
from cloud_service.access.viewers import Viewers
from cloud_service.node import DatabaseUnusable
from cloud_service.playback.links import ORIGINAL
from cloud_service.playback.send import Representation, send_file
from cloud_service.videos.actions import shown_video
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from shared.logs import incoming_request_id
from shared.problems import AppError, MethodNotAllowed, NotAuthenticated, NotFound, problem_response

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


def representation(store: VideoStore, video: StoredVideo, rendition: str | None) -> Representation:
    """Raises RenditionNotFound."""
    if rendition == ORIGINAL or (rendition is None and (video.plays or not video.renditions)):
        return Representation(store.path(video), video.size, video.etag, video.stored_at, video.media_type)
    made = video.rendition(SD if rendition is None else rendition)
    if made is None and rendition is None:
        made = video.renditions[0]  # sd was lost, and is being made again
    if made is None:
        raise RenditionNotFound
    etag = f'"{video.sha256[:32]}-{made.name}-{made.size:x}"'
    path = store.folder(video) / f"{made.name}.mp4"
    return Representation(str(path), made.size, etag, video.stored_at, "video/mp4")


async def _refuse(error: AppError, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
    log.info("stream refused", extra={"path": scope["path"], "status": error.status, "code": error.code})
    refusal = problem_response(error)
    refusal.headers["X-Request-ID"] = request_id
    await refusal(scope, receive, send)


class Stream:
    def __init__(self, viewers: Viewers, catalogue: Catalogue, access: Access, store: VideoStore) -> None:
        self._viewers, self._catalogue, self._access, self._store = viewers, catalogue, access, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = incoming_request_id(scope)
        try:
            await self._answer(scope, receive, send, request_id)
        except AppError as error:
            await _refuse(error, scope, receive, send, request_id)
        except sqlite3.Error as error:
            log.error("database failed", extra={"reason": str(error)})
            await _refuse(DatabaseUnusable(), scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        viewer = await self._viewers.identify(authorization.decode("latin-1"))
        video = shown_video(self._catalogue, scope["path"][len(PREFIX) : -len(SUFFIX)].lower())
        if not self._access.lets_in(viewer, video):
            await self._access.check(viewer, video, after=change_known(scope))
        await send_file(
            scope,
            receive,
            send,
            representation(self._store, video, asked_rendition(scope)),
            also=[(b"x-request-id", request_id.encode())],
            may_go_on=lambda: may_go_on(self._catalogue, self._access, viewer, video),
        )


def may_go_on(catalogue: Catalogue, access: Access, viewer: Viewer, video: StoredVideo) -> bool:
    """The status has been sent: a right that ends now, or cannot be known any more, just ends the answer."""
    try:
        holds = catalogue.get(video.id) is not None and access.granted(viewer, video)
    except (RightsUnknown, NotAuthenticated):
        holds = False
    if not holds:
        log.info("right ended", extra={"video_id": video.id, "user_id": viewer.id})
    return holds
