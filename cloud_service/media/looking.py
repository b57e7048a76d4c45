"""What every look into a file with PyAV has in common, within the process that confines itself for it."""

import json
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cloud_service.media.containers import MP4, WEBM

LOADED_LATER = (Path(json.__file__).parents[1], Path(av.__file__).parent)
"""Where Python and PyAV have what they load only when they need it."""
PLAYED = {MP4: ({"h264", "av1"}, {"aac", "mp3"}), WEBM: ({"vp8", "vp9", "av1"}, {"vorbis", "opus"})}
"""Codecs of picture and sound that browsers play, by media type. QuickTime files and others are not promised to."""
PLAYED_PIXELS = ("yuv420p", "yuvj420p")
PLAYED_H264_LEVEL = 52
NOT_MOVING = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """The video streams without covers and other stills."""
    return [stream for stream in container.streams.video if not stream.disposition & NOT_MOVING]


def decoder_of(stream: Stream) -> str:
    """Its name, empty if there is none."""
    context: CodecContext | None = stream.codec_context
    return context.name if context else ""


def codec_of(stream: Stream) -> str:
    """The codec's name, whichever decoder there is for it; empty if there is none."""
    context: CodecContext | None = stream.codec_context
    return context.codec.canonical_name if context else ""


def plays(container: InputContainer, media_type: str, video: VideoStream, picture: VideoFrame) -> bool:
    """Whether browsers play the file as it is; `picture` is one of `video`."""
    if media_type not in PLAYED or picture.format.name not in PLAYED_PIXELS:
        return False
    codecs, sounds = PLAYED[media_type]
    if codec_of(video) == "h264" and video.codec_context.level > PLAYED_H264_LEVEL:
        return False
    return codec_of(video) in codecs and {codec_of(stream) for stream in container.streams.audio} <= sounds
