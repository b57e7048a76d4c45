"""Look into an uploaded file: is there a video that can be decoded, how long, how large?

A decoder may have faults and the file may be made to find them, so it runs as `python -m cloud_service.uploads.probe`
in a process of its own: bounded in time, processor and memory, with the allowed containers and no network.
"""

import asyncio
import json
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from cloud_service.uploads.boxes import is_cut_short
from cloud_service.uploads.containers import HEAD_BYTES, MP4, QUICKTIME, WEBM, media_type_of

TIMEOUT_S = 20
CPU_S = 15
MEMORY_BYTES = 2 * 2**30
OPTIONS = {"format_whitelist": "mov,matroska,webm,avi,mpegts", "protocol_whitelist": "file"}
PLAYABLE = {MP4: ({"h264", "av1"}, {"aac", "mp3"}), WEBM: ({"vp8", "libvpx", "vp9", "av1"}, {"vorbis", "opus"})}
"""Codecs of picture and sound that browsers play, by media type. QuickTime files and others are not promised to."""
PLAYABLE_PIXELS = ("yuv420p", "yuvj420p")


class NoVideo(Exception):
    """Not a video; the message says why, for a teacher to read."""


@dataclass(frozen=True)
class Probed:
    """`plays` says whether browsers play the file as it is."""

    duration_s: float
    width: int
    height: int
    plays: bool


async def probe(path: Path) -> Probed:
    """Raises NoVideo."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "cloud_service.uploads.probe",
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise NoVideo("The file takes too long to open.") from None
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        raise NoVideo("The file cannot be opened as a video.")
    found = json.loads(output)
    if reason := found.get("reason"):
        raise NoVideo(reason)
    return Probed(**found)


def _look(path: str) -> dict[str, object]:
    import av
    from av.stream import Disposition

    cover = Disposition.attached_pic
    with Path(path).open("rb") as file:
        media_type = media_type_of(file.read(HEAD_BYTES))
        if media_type in (MP4, QUICKTIME) and is_cut_short(file):
            return {"reason": "The file is cut short."}
    try:
        with av.open(f"file:{path}", options=OPTIONS) as container:
            moving = (stream for stream in container.streams.video if not stream.disposition & cover)
            video = next(moving, None)
            if video is None:
                return {"reason": "The file has no video stream."}
            frame = next(container.decode(video), None)
            if frame is None:
                return {"reason": "The file has no picture that can be decoded."}
            duration = (container.duration or 0) / av.time_base
            sound = {stream.codec_context.name for stream in container.streams.audio}
            plays = (
                media_type in PLAYABLE
                and video.codec_context.name in PLAYABLE[media_type][0]
                and frame.format.name in PLAYABLE_PIXELS
                and sound <= PLAYABLE[media_type][1]
            )
            return {"duration_s": duration, "width": frame.width, "height": frame.height, "plays": plays}
    except (av.FFmpegError, ValueError):
        return {"reason": "The file is damaged, cut short, or not a video."}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.stdout.write(json.dumps(_look(sys.argv[1])))


if __name__ == "__main__":
    main()
