"""What is in a video file, as decoders see it."""

import io
import re
import subprocess
from array import array
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any, Literal

import av
import imageio_ffmpeg
from av.container import InputContainer

from cloud_service.videos.models import Rendition

BRIGHT, LOUD = 128, 0.2
IN_SYNC_S = 0.04
ALL = (0.0, inf)
TILE_LUMA = re.compile(r"lavfi\.signalstats\.YAVG=([\d.]+)")


def shown_at(file: Path, *, keyframes_only: bool = False) -> list[float]:
    """When its pictures are, in seconds, in that order."""
    with av.open(str(file), "r") as container:
        stream = container.streams.video[0]
        return sorted(
            float(packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None and (packet.is_keyframe or not keyframes_only)
        )


def heard_at(file: Path) -> list[tuple[float, float]]:
    """When the sound of each packet begins and ends, in seconds."""
    with av.open(str(file), "r") as container:
        return [
            (float(packet.pts * packet.time_base), float((packet.pts + (packet.duration or 0)) * packet.time_base))
            for packet in container.demux(container.streams.audio[0])
            if packet.pts is not None
        ]


def pictures(content: bytes) -> int:
    """How many can be decoded; raises for damage."""
    with av.open(io.BytesIO(content), "r") as container:
        return len(list(container.decode(video=0)))


def corrupt(file: Path) -> int:
    """How many of its pictures the decoder has doubts about."""
    with av.open(str(file), "r") as container:
        return sum(frame.is_corrupt for frame in container.decode(video=0))


def flashes(file: Path, within: tuple[float, float] = ALL) -> list[float]:
    """When the picture turns bright, in seconds."""
    with av.open(str(file), "r") as container:
        return list(
            _rises((float(frame.time), _luma(frame) > BRIGHT) for frame in _decoded(container, "video", within))
        )


def beeps(file: Path, within: tuple[float, float] = ALL) -> list[float]:
    """When the sound turns loud, in seconds."""
    return list(_rises(_loudness(file, within)))


def _decoded(container: InputContainer, kind: Literal["video", "audio"], within: tuple[float, float]) -> Iterator[Any]:
    """Its frames of this kind; of a long film not all have to be decoded."""
    begin, end = within
    if begin:
        container.seek(int(begin * 1e6))
    frames: Iterator[Any] = container.decode(**{kind: 0})
    for frame in frames:
        if frame.time >= end:
            return
        if frame.time >= begin:
            yield frame


def _loudness(file: Path, within: tuple[float, float]) -> Iterator[tuple[float, bool]]:
    """By the millisecond: a wave is silent twice in each period."""
    with av.open(str(file), "r") as container:
        resampler = av.AudioResampler(format="flt", layout="mono")
        for frame in _decoded(container, "audio", within):
            for plain in resampler.resample(frame):
                samples, step = array("f", bytes(plain.planes[0])[: plain.samples * 4]), plain.sample_rate // 500
                for at in range(0, len(samples), step):
                    yield (plain.time or 0) + at / plain.sample_rate, max(map(abs, samples[at : at + step])) > LOUD


def _rises(levels: Iterator[tuple[float, bool]]) -> Iterator[float]:
    before = False
    for at, level in levels:
        if level and not before:
            yield at
        before = level


def _luma(frame: av.VideoFrame) -> float:
    plane = frame.planes[0]
    middle = frame.height // 2 * plane.line_size
    return bytes(plane)[middle + frame.width // 2]


def ssim(original: Path, file: Path, made: Rendition) -> float:
    """Of the rendition against its source in the same size, all planes, 1 for the same (by ffmpeg's own filter)."""
    scaled = (
        f"fps={made.frame_rate}:start_time=0,scale={made.width}:{made.height}:flags=bicubic,format=yuv420p,setsar=1"
    )
    graph = f"[0:v]{scaled}[source];[1:v]settb=AVTB[made];[source]settb=AVTB[of];[made][of]ssim=shortest=1"
    said = _said("-i", original, "-i", file, "-lavfi", graph, "-f", "null", "-")
    return float(re.findall(r"SSIM .* All:([\d.]+)", said)[-1])


def packet_hashes(file: Path, stream: str) -> list[str]:
    """Of each packet's bytes, without its times."""
    listed = subprocess.run(
        [_program(), "-v", "error", "-i", file, "-map", f"0:{stream}:0", "-c", "copy", "-f", "framemd5", "-"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [line.split(",")[5].strip() for line in listed.splitlines() if line[:1] != "#"]


def lumas(picture: Path, *crops: tuple[int, int, int, int]) -> list[float]:
    """How bright these parts of a picture are on average, 16 to 235; a part is x, y, width, height."""
    chain = "crop={2}:{3}:{0}:{1},scale=out_range=tv,format=yuv420p,signalstats,metadata=print"
    return [
        float(TILE_LUMA.findall(_said("-i", picture, "-vf", chain.format(*crop), "-f", "null", "-"))[0])
        for crop in crops
    ]


def _said(*arguments: str | Path) -> str:
    return subprocess.run(
        [_program(), "-hide_banner", "-nostats", *arguments], check=True, capture_output=True, text=True
    ).stderr


def _program() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())
