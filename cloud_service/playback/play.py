"""`GET /play/{token}/{name}`: what signed links lead to; beside streaming, the hot path in front of the framework.

Each request costs an HMAC and look-ups in memory: the playback, its video, its viewer's grant. While a long answer is
sent, each block is preceded by the same look-ups.
"""

import logging
import sqlite3
import time

from starlette.types import Receive, Scope, Send

from cloud_service.clock import uptime
from cloud_service.node import DatabaseUnusable, Node
from cloud_service.playback.errors import PlaybackExpired, PlaybackMoved, PlaybackNotFound
from cloud_service.playback.links import linked
from cloud_service.playback.models import Playback
from cloud_service.playback.send import send_file
from cloud_service.playback.stream import may_go_on
from cloud_service.playback.tokens import NoToken, OutdatedToken, read
from cloud_service.videos.actions import shown_video
from shared.logs import incoming_request_id
from shared.problems import AppError, InternalError, MethodNotAllowed, problem_response

log = logging.getLogger(__name__)

PREFIX = "/play/"


def plays(scope: Scope) -> bool:
    """Whether the request is for a signed link."""
    return scope["type"] == "http" and str(scope["path"]).startswith(PREFIX)


async def _refuse(error: AppError, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
    level = logging.ERROR if error.status == InternalError.status else logging.INFO
    log.log(level, "link refused", extra={"status": error.status, "code": error.code})
    refusal = problem_response(error)
    refusal.headers["X-Request-ID"] = request_id
    refusal.headers["Cache-Control"] = "no-store"
    await refusal(scope, receive, send)


class Play:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = incoming_request_id(scope)
        token, _, name = scope["path"][len(PREFIX) :].partition("/")
        try:
            await self._answer(scope, receive, send, token, name, request_id)
        except AppError as error:
            await _refuse(error, scope, receive, send, request_id)
        except sqlite3.Error as error:
            log.error("database failed", extra={"reason": str(error)})
            await _refuse(DatabaseUnusable(), scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, token: str, name: str, request_id: str) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        node = self._node
        playback = self._playback(token)
        video = shown_video(node.catalogue, playback.video_id)
        if not node.access.lets_in(playback.viewer, video):
            await node.access.check(playback.viewer, video)
            self._check_live(playback)  # it took a while
        file = linked(node.store, video, name, has_original=playback.has_original)
        node.playbacks.use(playback, uptime())

        def goes_on() -> bool:
            now = uptime()
            if not node.playbacks.is_live(playback, now):
                return False
            node.playbacks.use(playback, now)
            return may_go_on(node.catalogue, node.access, playback.viewer, video)

        await send_file(scope, receive, send, file, also=[(b"x-request-id", request_id.encode())], may_go_on=goes_on)

    def _playback(self, token: str) -> Playback:
        """Raises PlaybackNotFound, PlaybackExpired, PlaybackMoved."""
        try:
            claims = read(self._node.playback_secrets.live, token)
        except OutdatedToken:
            raise PlaybackExpired from None
        except NoToken:
            raise PlaybackNotFound from None
        if claims.ends_at <= time.time():
            raise PlaybackExpired
        playback = self._node.playbacks.get(claims.playback_id)
        if playback is None or playback.video_id != claims.video_id:
            raise PlaybackExpired
        self._check_live(playback)
        return playback

    def _check_live(self, playback: Playback) -> None:
        """Raises PlaybackExpired, PlaybackMoved."""
        state = playback.state(uptime(), self._node.playbacks.lives)
        if state == "moved":
            raise PlaybackMoved
        if state == "expired":
            raise PlaybackExpired
