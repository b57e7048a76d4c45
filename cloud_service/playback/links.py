"""What a video's signed links lead to: these names, and no other file of its folder."""

import os
import re
from pathlib import Path
from typing import get_args

from cloud_service.captions.files import path_of as captions_of
from cloud_service.captions.languages import canonical
from cloud_service.playback.errors import LinkNotFound
from cloud_service.playback.send import Representation
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import MASTER, POSTER, STORYBOARD, STORYBOARD_INDEX, VideoStore
from shared.contract import RenditionName

ORIGINAL = "original"
PLAYLIST, JPEG, VTT, MP4 = "application/vnd.apple.mpegurl", "image/jpeg", "text/vtt; charset=utf-8", "video/mp4"
STILLS = {POSTER: JPEG, STORYBOARD: JPEG, STORYBOARD_INDEX: VTT}
_RENDITION = re.compile(rf"({'|'.join(get_args(RenditionName))})\.(mp4|m3u8)")
_CAPTIONS = re.compile(r"captions/([A-Za-z0-9-]+)\.vtt")


def offers_original(video: StoredVideo) -> bool:
    """As long as nothing else can be played."""
    return video.plays and not video.renditions


def linked(store: VideoStore, video: StoredVideo, name: str, *, has_original: bool) -> Representation:
    """What a link of this name leads to; the original where that was offered. Raises LinkNotFound."""
    if (found := _RENDITION.fullmatch(name)) and (made := video.rendition(found[1])):
        if found[2] == "m3u8":
            return _small(store.folder(video) / name, PLAYLIST)
        etag = f'"{video.sha256[:32]}-{made.name}-{made.size:x}"'
        return Representation(f"{store.folder(video)}/{name}", made.size, etag, video.stored_at, MP4)
    if name == MASTER and video.renditions:
        return _small(store.folder(video) / name, PLAYLIST)
    if name in STILLS:
        return _small(store.folder(video) / name, STILLS[name])
    if (found := _CAPTIONS.fullmatch(name)) and canonical(found[1]) == found[1]:
        return _small(captions_of(store, video, found[1]), VTT)
    if name == ORIGINAL and has_original:
        return Representation(store.path(video), video.size, video.etag, video.stored_at, video.media_type)
    raise LinkNotFound


def _small(path: Path, media_type: str) -> Representation:
    """One that is made anew at times: what it is, its file tells."""
    try:
        state = os.stat(path)
    except FileNotFoundError:
        raise LinkNotFound from None
    etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
    return Representation(str(path), state.st_size, etag, int(state.st_mtime), media_type)
