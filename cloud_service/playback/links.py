"""What a video's signed links lead to: these names, and no other file of its folder.

A name is never part of a path before it was found among them.
"""

import re
from typing import get_args

from cloud_service.captions.files import path_of as captions_of
from cloud_service.captions.languages import canonical
from cloud_service.media.names import saved_as
from cloud_service.playback.errors import LinkNotFound
from cloud_service.playback.send import Representation
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import MASTER, POSTER, STORYBOARD, STORYBOARD_INDEX, VideoStore
from shared.contract import RenditionName

ORIGINAL, DOWNLOAD = "original", "download"
PLAYLIST, JPEG, VTT, MP4 = "application/vnd.apple.mpegurl", "image/jpeg", "text/vtt; charset=utf-8", "video/mp4"
STILLS = {POSTER: JPEG, STORYBOARD: JPEG, STORYBOARD_INDEX: VTT}
_RENDITION = re.compile(rf"({'|'.join(get_args(RenditionName))})\.(mp4|m3u8)")
_CAPTIONS = re.compile(r"captions/([A-Za-z0-9-]+)\.vtt")


def offers_original(video: StoredVideo) -> bool:
    """As long as nothing else can be played."""
    return video.plays and not video.renditions


def is_moving_picture(name: str) -> bool:
    """Of a name that leads to something: whether that is a rendition or the original."""
    return name == ORIGINAL or name.endswith(".mp4")


def linked(store: VideoStore, video: StoredVideo, name: str, *, has_original: bool) -> Representation:
    """What a link of this name leads to; the original where that was offered. Raises LinkNotFound."""
    if (found := _RENDITION.fullmatch(name)) and video.rendition(found[1]):
        return Representation(f"{store.folder(video)}/{name}", MP4 if found[2] == "mp4" else PLAYLIST)
    if name == MASTER and video.renditions:
        return Representation(f"{store.folder(video)}/{name}", PLAYLIST)
    if name in STILLS:
        return Representation(f"{store.folder(video)}/{name}", STILLS[name], absence=LinkNotFound)
    if (found := _CAPTIONS.fullmatch(name)) and canonical(found[1]) == found[1]:
        return Representation(str(captions_of(store, video, found[1])), VTT, absence=LinkNotFound)
    if name == ORIGINAL and has_original:
        return original(store, video)
    raise LinkNotFound


def original(store: VideoStore, video: StoredVideo) -> Representation:
    return Representation(store.path(video), video.media_type)


def download_name(video: StoredVideo) -> str:
    """What the original is to be saved as."""
    return saved_as(video.title, video.id, video.media_type)
