"""Beginning to watch: a playback, and the links that lead to what there is to be seen."""

import asyncio
import time
from uuid import UUID

from cloud_service.access.models import Viewer
from cloud_service.captions.files import languages_of
from cloud_service.clock import uptime
from cloud_service.node import Node
from cloud_service.playback import links
from cloud_service.playback.errors import NothingToPlay, TooManyPlaybacks
from cloud_service.playback.models import Watching
from cloud_service.playback.tokens import Claims, sign
from cloud_service.videos.actions import video_for
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import MASTER, POSTER, STORYBOARD_INDEX


async def begin_playback(node: Node, viewer: Viewer, video_id: UUID) -> Watching:
    """Raises NothingToPlay, TooManyPlaybacks, and what `video_for` does."""
    video = await video_for(node, viewer, video_id)
    names = await asyncio.to_thread(_names, node, video)
    if not names & {MASTER, links.ORIGINAL}:
        raise NothingToPlay
    if node.access.may_download(viewer, video):
        names |= {links.DOWNLOAD}
    if wait_s := node.pace.wait_s(viewer.id, uptime()):
        raise TooManyPlaybacks(wait_s)
    languages = await languages_of(node.database, video.id)
    ends_at = int(time.time() + node.playbacks.lives.in_all_s)
    resume_at_s = await node.playbacks.resume_at_s(viewer, video)
    playback = await node.playbacks.begin(viewer, video.id, has_original=links.ORIGINAL in names)
    token = sign(node.playback_secrets.live[0], Claims(video.id, playback.id, ends_at))
    return Watching(playback, video, token, names, tuple(languages), ends_at, resume_at_s)


def _names(node: Node, video: StoredVideo) -> frozenset[str]:
    folder = node.store.folder(video)
    names = {name for name in (POSTER, STORYBOARD_INDEX) if (folder / name).is_file()}
    names |= {f"{made.name}.mp4" for made in video.renditions} | ({MASTER} if video.renditions else set())
    return frozenset(names | ({links.ORIGINAL} if links.offers_original(video) else set()))
