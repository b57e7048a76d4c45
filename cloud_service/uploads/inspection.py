"""Look into one file, as a process that can open no other: `python -m cloud_service.uploads.inspection PARENT`.

Asked about a file it writes what it found as JSON: what `Probed` holds, or the `reason` why it is no video that is
taken. It ends with the process PARENT.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cloud_service.media import limits
from cloud_service.media.boxes import is_elsewhere, is_encrypted
from cloud_service.media.confined import FAILED, CannotConfine, Limits, confine, die_with
from cloud_service.media.containers import DEMUXERS, HEAD_BYTES, MP4, NO_CONTAINER, QUICKTIME, media_type_of
from cloud_service.media.limits import NotTaken
from cloud_service.media.looking import LOADED_LATER, codec_of, decoder_of, moving_pictures, plays
from cloud_service.media.question import asked
from cloud_service.media.truncation import is_cut_short

LIMITS = Limits(memory_bytes=2 * 2**30, cpu_s=17, file_bytes=0, niceness=5)
CPU_S = 15
"""After so much of a processor it ends by a signal that nothing else sends; at the limit the kernel just kills."""
UNDECODABLE_PACKETS = 500
"""How many are skipped in search of the first picture: a recording may begin between two key frames."""
COUNTING_S = 5
"""How long to look for the end of a file that does not say how long it lasts."""
OPTIONS = {
    "format_whitelist": ",".join(sorted(set(DEMUXERS.values()))),
    "protocol_whitelist": "file",
    "codec_whitelist": limits.DECODERS,
}

Packets = Iterator["Packet[VideoStream]"]


def look(path: Path) -> dict[str, object]:
    """Raises NotTaken."""
    with path.open("rb") as file:
        media_type = media_type_of(file.read(HEAD_BYTES))
        if media_type is None:
            raise NotTaken(NO_CONTAINER)
        _check_outside(file, media_type)
        try:
            with av.open(
                f"file:{path}", format=DEMUXERS[media_type], options=OPTIONS, metadata_errors="replace"
            ) as container:
                return _judge(container, media_type, file)
        except MemoryError:  # by LIMITS there is enough for any video; PyAV's own is an FFmpegError too
            raise NotTaken("The file takes too much memory to open.") from None
        except (av.FFmpegError, ValueError):
            raise NotTaken(limits.DAMAGED) from None


def _check_outside(file: BinaryIO, media_type: str) -> None:
    """What the container itself tells. Raises NotTaken."""
    if is_cut_short(file, media_type):
        raise NotTaken("The file is cut short: its end is missing.")
    if media_type in (MP4, QUICKTIME) and is_encrypted(file):
        raise NotTaken("The video is encrypted or protected against copying.")


def _judge(container: InputContainer, media_type: str, file: BinaryIO) -> dict[str, object]:
    if len(container.streams) > limits.STREAMS:
        raise NotTaken(f"The file has {len(container.streams)} streams; at most {limits.STREAMS} are taken.")
    video = next(iter(moving_pictures(container)), None)
    if video is None:
        raise NotTaken("The file has no video stream.")
    _check_codecs(container, video)
    limits.check_size(video.codec_context.width, video.codec_context.height)
    duration_s = max(0, container.duration or 0) / av.time_base
    limits.check_duration(duration_s)
    packets = container.demux(video)
    picture = _first_picture(packets)
    if picture is None:
        elsewhere = media_type in (MP4, QUICKTIME) and is_elsewhere(file)
        raise NotTaken(
            "The file only points at its pictures, which are in another file."
            if elsewhere
            else "The file has no picture that can be decoded."
        )
    limits.check_size(picture.width, picture.height)
    if not duration_s:
        duration_s = _counted(packets, picture)
        limits.check_duration(duration_s)
    return {
        "duration_s": duration_s,
        "width": picture.width,
        "height": picture.height,
        "plays": plays(container, media_type, video, picture),
    }


def _check_codecs(container: InputContainer, video: VideoStream) -> None:
    """Of the picture, and of the sound if there is any. Raises NotTaken."""
    sounds = container.streams.audio
    for streams, decoders, what in (
        ((video,), limits.PICTURE_DECODERS, "picture"),
        (sounds, limits.SOUND_DECODERS, "sound"),
    ):
        if streams and not any(decoder_of(stream) in decoders for stream in streams):
            name = codec_of(streams[0]) or "unknown"
            raise NotTaken(f"The {what} is in a format that is not taken ({name}). Save it as MP4 (H.264, AAC).")


def _first_picture(packets: Packets) -> VideoFrame | None:
    for packet in islice(packets, UNDECODABLE_PACKETS):
        try:
            pictures = packet.decode()
        except (av.InvalidDataError, av.error.PatchWelcomeError):
            continue
        if pictures:
            return pictures[0]
    return None


def _counted(packets: Packets, first: VideoFrame) -> float:
    """How long a file lasts that does not say so, in seconds; 0 if that takes too long to find out."""
    until = time.monotonic() + COUNTING_S
    begin = end = first.pts or 0
    for packet in packets:
        if packet.pts is not None:
            end = max(end, packet.pts + (packet.duration or 0))
        if time.monotonic() > until:
            return 0
    return float((end - begin) * (first.time_base or 0))


def main(parent: str) -> None:
    die_with(int(parent))
    (file,) = asked()
    path = Path(file)
    try:
        confine(LIMITS, reads=[path, *LOADED_LATER])
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        found = look(path)
    except CannotConfine as error:
        sys.stderr.write(f"not confined: {error}\n")
        sys.exit(FAILED)
    except NotTaken as refusal:
        found = {"reason": str(refusal)}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
