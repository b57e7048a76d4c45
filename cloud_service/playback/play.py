"""`GET /play/{token}/{name}`: what signed links lead to; beside streaming, the hot path in front of the framework.

Each request costs look-ups in memory: token, playback, video, and its viewer's grant. An HMAC is worked out once for
each token. While a long answer is sent, each block is preceded by the same look-ups.
"""

import time
from typing import Any

from starlette.types import Receive, Scope, Send

from cloud_service.clock import uptime
from cloud_service.media.names import content_disposition
from cloud_service.node import Node
from cloud_service.playback.edge import edge_of
from cloud_service.playback.errors import (
    DownloadNotAllowed,
    PlaybackExpired,
    PlaybackMoved,
    PlaybackNotFound,
    TooManyAnswers,
)
from cloud_service.playback.links import DOWNLOAD, ORIGINAL, download_name, is_moving_picture, linked, original
from cloud_service.playback.models import Playback
from cloud_service.playback.negotiation import Headers
from cloud_service.playback.refusal import answer_or_refuse
from cloud_service.playback.send import Representation, send_file
from cloud_service.playback.stream import may_go_on
from cloud_service.playback.tokens import Claims, NoToken, OutdatedToken, read
from cloud_service.videos.actions import shown_video
from cloud_service.videos.models import StoredVideo
from shared.problems import MethodNotAllowed

PREFIX = "/play/"
LINKED_KEPT, READ_KEPT = 4096, 1024


def plays(scope: Scope) -> bool:
    """Whether the request is for a signed link."""
    return scope["type"] == "http" and str(scope["path"]).startswith(PREFIX)


def _parts_of(scope: Scope) -> tuple[str, str]:
    """Token and name as they were sent: nothing in a link has to be encoded, and what is leads to nothing."""
    raw: bytes = scope["raw_path"]
    token, _, name = raw.decode("latin-1")[len(PREFIX) :].partition("/")
    return token, name


def _make_room(kept: dict[Any, Any], most: int) -> None:
    """For one more; what goes is soon there again."""
    if len(kept) >= most:
        kept.clear()


class Play:
    def __init__(self, node: Node) -> None:
        self._node, self._edge = node, edge_of(node.settings)
        self._read, self._read_with = dict[str, Claims](), node.playback_secrets.live
        """What tokens say that were checked with these secrets, letter by letter as they came."""
        self._linked: dict[tuple[str, str], tuple[StoredVideo, Representation]] = {}
        """By video and name, as long as it is the same to the letter."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer_or_refuse(self._answer, scope, receive, send, "link refused")

    async def _answer(self, scope: Scope, send: Send, request_id: str) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        node = self._node
        token, name = _parts_of(scope)
        playback = self._playback(token)
        video = shown_video(node.catalogue, playback.video_id)
        if not node.access.lets_in(playback.viewer, video):
            await node.access.check(playback.viewer, video)
            self._check_live(playback)  # it took a while
            video = shown_video(node.catalogue, video.id)
        if self._is_used_up(playback, video):
            await node.playbacks.end_used_up(playback)
            raise PlaybackExpired
        also: Headers = [(b"x-request-id", request_id.encode())]
        if name == DOWNLOAD:
            file = self._download(playback, video)
            also.append((b"content-disposition", content_disposition(download_name(video)).encode()))
        else:
            file = self._file(playback, video, name)
        if playback.answers >= node.settings.answers_per_playback:
            raise TooManyAnswers
        node.playbacks.use(playback, uptime())
        playback.answers += 1
        try:
            await self._send(scope, send, playback, video, name, file, also)
        finally:
            playback.answers -= 1

    async def _send(
        self,
        scope: Scope,
        send: Send,
        playback: Playback,
        video: StoredVideo,
        name: str,
        file: Representation,
        also: Headers,
    ) -> None:
        node, is_download, is_moving = self._node, name == DOWNLOAD, is_moving_picture(name)

        async def goes_on() -> bool:
            if not await may_go_on(node.catalogue, node.access, playback.viewer, video, is_download=is_download):
                return False
            now = uptime()
            if not node.playbacks.is_live(playback, now):
                return False
            node.playbacks.use(playback, now)
            return True

        async def noted(start: int, stop: int) -> None:
            if self._is_used_up(playback, video):
                await node.playbacks.end_used_up(playback)
                raise ConnectionAbortedError
            playback.sent_bytes += stop - start
            if is_moving:
                await node.playbacks.sends(playback, name, start, stop)

        await send_file(
            scope,
            send,
            file,
            also=also,
            may_go_on=goes_on,
            edge=self._edge,
            noted=noted,
            portion=playback.portion,
        )

    def _file(self, playback: Playback, video: StoredVideo, name: str) -> Representation:
        """Raises LinkNotFound."""
        found = self._linked.get((video.id, name))
        if found and found[0] is video:
            return found[1]
        file = linked(self._node.store, video, name, has_original=playback.has_original)
        if name != ORIGINAL:  # which not every playback has
            _make_room(self._linked, LINKED_KEPT)
            self._linked[video.id, name] = video, file
        return file

    def _download(self, playback: Playback, video: StoredVideo) -> Representation:
        """Raises DownloadNotAllowed."""
        if not self._node.access.may_download(playback.viewer, video):
            raise DownloadNotAllowed
        return original(self._node.store, video)

    def _playback(self, token: str) -> Playback:
        """Raises PlaybackNotFound, PlaybackExpired, PlaybackMoved."""
        claims = self._claims(token)
        if claims.ends_at <= time.time():
            raise PlaybackExpired
        playback = self._node.playbacks.get(claims.playback_id)
        if playback is None or playback.video_id != claims.video_id:
            raise PlaybackExpired
        self._check_live(playback)
        return playback

    def _is_used_up(self, playback: Playback, video: StoredVideo) -> bool:
        """Whether more was sent than one viewer takes, however often they look at parts again."""
        settings = self._node.settings
        return playback.sent_bytes >= max(settings.playback_least_bytes, settings.playback_times_over * video.size)

    def _claims(self, token: str) -> Claims:
        """Raises PlaybackNotFound, PlaybackExpired."""
        live = self._node.playback_secrets.live
        if live is not self._read_with:
            self._read, self._read_with = {}, live
        if known := self._read.get(token):
            return known
        try:
            claims = read(live, token)
        except OutdatedToken:
            raise PlaybackExpired from None
        except NoToken:
            raise PlaybackNotFound from None
        _make_room(self._read, 2 * len(self._node.playbacks) + READ_KEPT)  # those of ended playbacks go at some time
        self._read[token] = claims
        return claims

    def _check_live(self, playback: Playback) -> None:
        """Raises PlaybackExpired, PlaybackMoved."""
        state = playback.state(uptime(), self._node.playbacks.lives)
        if state == "moved":
            raise PlaybackMoved
        if state == "expired":
            raise PlaybackExpired
