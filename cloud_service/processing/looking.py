"""What every look into a file with PyAV has in common, within the process that confines itself for it."""

import json
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

LOADED_LATER = (Path(json.__file__).parents[1], Path(av.__file__).parent)
"""Where Python and PyAV have what they load only when they need it."""
NOT_MOVING = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """The video streams without covers and other stills."""
    return [stream for stream in container.streams.video if not stream.disposition & NOT_MOVING]


def decoder_of(stream: Stream) -> str:
    """Its name, empty if there is none."""
    context: CodecContext | None = stream.codec_context
    return context.name if context else ""
