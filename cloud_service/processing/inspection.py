"""`python -m cloud_service.processing.inspection PARENT`: one look at every packet of a file.

Headers lie about length and rate, so these are counted. Writes a `Source` or `{"reason": ...}` as JSON.
"""

import json
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from cloud_service.media import limits
from cloud_service.media.confined import FAILED, CannotConfine, Limits, confine, die_with
from cloud_service.media.containers import DEMUXERS, MATROSKA, MP4, MPEG_TS, QUICKTIME
from cloud_service.media.limits import NotTaken
from cloud_service.media.looking import LOADED_LATER, decoder_of, moving_pictures, plays
from cloud_service.media.question import asked
from cloud_service.processing.source import (
    NTSC_RATES,
    OUT_OF_MEMORY,
    SEGMENT_S,
    USUAL_RATES,
    CannotProcess,
    Colours,
    Picture,
    Sound,
    Source,
)

LIMITS = Limits(memory_bytes=3 * 2**30, cpu_s=120, file_bytes=0)
READ_S, END_READ_S = 90, 20
"""How long packets are counted; of what takes longer than that the end is looked for."""
TRIED_PACKETS = 500
JUMP_S, BACK_S = 10, 0.1
"""A transport stream that leaps ahead or back by more goes on where it was: FFmpeg sees it so too."""
COPIED_PROFILES = ("Baseline", "Constrained Baseline", "Main", "High")
IDR = 5
HIGHER: dict[int, Colours] = {16: "pq", 18: "hlg"}
"""By the transfer characteristics (ITU-T H.273, table 3)."""


@dataclass
class Track:
    """One stream's packets: when they are shown, as they come in the file. Times are in seconds from the first.

    Once it `skips`, packets were left out before: these tell when it ends, and nothing else.
    """

    stream: Stream
    leaps: bool
    skips: bool = False
    times: "array[float]" = field(default_factory=lambda: array("d"))
    keys: "array[float]" = field(default_factory=lambda: array("d"))
    size: int = 0
    last_s: float = 0.0
    ends_s: float = 0.0
    changes: bool = False
    _offset_s: float = 0.0
    _expected_s: float | None = None

    def add(self, packet: "Packet[Any]", base_s: float) -> None:
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or packet.is_discard:
            return
        duration_s = float((packet.duration or 0) * packet.time_base)
        if self.leaps and packet.dts is not None:
            self._follow(float(packet.dts * packet.time_base), duration_s)
        at = float(ticks * packet.time_base) - base_s + self._offset_s
        self.last_s, self.ends_s = max(self.last_s, at), max(self.ends_s, at + duration_s)
        if self.skips:
            return
        self.times.append(at)
        if packet.is_keyframe:
            self.keys.append(at)
        self.size += packet.size
        self.changes = self.changes or packet.has_sidedata("new_extradata")

    def _follow(self, decoded_s: float, duration_s: float) -> None:
        expected = self._expected_s
        if expected is not None and not expected - BACK_S < decoded_s < expected + JUMP_S:
            self._offset_s += expected - decoded_s
        self._expected_s = decoded_s + duration_s

    @property
    def starts_s(self) -> float:
        return min(self.times, default=0.0)


@contextmanager
def _damage_passed_over() -> Iterator[None]:
    """As FFmpeg does. Raises MemoryError: what there is no memory for is not damaged."""
    try:
        yield
    except MemoryError:
        raise
    except av.FFmpegError:
        pass


def look(path: str, media_type: str) -> Source:
    """Raises CannotProcess, av.FFmpegError, ValueError, MemoryError."""
    demuxer = DEMUXERS[media_type]
    whitelists = {"format_whitelist": demuxer, "protocol_whitelist": "file", "codec_whitelist": limits.DECODERS}
    options = whitelists | {"max_streams": "100"}
    with av.open(f"file:{path}", format=demuxer, options=options, metadata_errors="replace") as container:
        assert isinstance(container, InputContainer)
        picture = _picture_stream(container)
        sound = _sound_stream(container)
        return _Looking(container, media_type, picture, sound).result()


def _picture_stream(container: InputContainer) -> Stream:
    moving = moving_pictures(container)
    if not moving:
        raise CannotProcess(
            "The file has sound but no picture." if container.streams.audio else "The file has no video."
        )
    if decoder_of(moving[0]) not in limits.PICTURE_DECODERS:
        raise CannotProcess("The picture is in a format that cannot be converted.")
    return moving[0]


def _sound_stream(container: InputContainer) -> Stream | None:
    """The one marked as default, else the first. A player would not be silent either, so neither may a rendition be."""
    audible = [stream for stream in container.streams.audio if stream.codec_context and stream.codec_context.channels]
    known = [stream for stream in audible if decoder_of(stream) in limits.SOUND_DECODERS]
    if not known and container.streams.audio:
        raise CannotProcess("The sound is in a format that cannot be converted.")
    return next((stream for stream in known if stream.disposition & Disposition.default), next(iter(known), None))


class _Looking:
    def __init__(self, container: InputContainer, media_type: str, picture: Stream, sound: Stream | None) -> None:
        self.container, self.media_type = container, media_type
        self.base_s = (container.start_time or 0) / av.time_base
        leaps = media_type == MPEG_TS
        self.tracks = {stream.index: Track(stream, leaps) for stream in (picture, sound) if stream}
        self.picture, self.sound = self.tracks[picture.index], self.tracks[sound.index] if sound else None
        self.frame: Any = None
        self.all_idr, self.tried = True, 0

    def result(self) -> Source:
        whole = self._read(time.monotonic() + READ_S)
        if not whole:
            self._read_end()
        if self.frame is None:
            raise CannotProcess("The file has no picture that can be decoded.")
        limits.check_size(self.frame.width, self.frame.height)
        video = self.picture.stream
        assert isinstance(video, VideoStream)
        playing = plays(self.container, self.media_type, video, self.frame)
        source = Source(self.media_type, self._found_picture(whole), self._found_sound(whole), playing)
        limits.check_duration(source.duration_s)
        return source

    def _read(self, until: float) -> bool:
        """Whether it was read to its end."""
        streams = [track.stream for track in self.tracks.values()]
        with _damage_passed_over():
            for packet in self.container.demux(streams):
                track = self.tracks[packet.stream.index]
                track.add(packet, self.base_s)
                if track is self.picture:
                    self._look_into(packet)
                if time.monotonic() > until:
                    return False
        return True

    def _read_end(self) -> None:
        """Of a file too long to be counted through: what its last packets say, where the header says these are."""
        for track in self.tracks.values():
            track.leaps, track.skips = False, True
        with _damage_passed_over():
            self.container.seek((self.container.start_time or 0) + (self.container.duration or 0))
            self._read(time.monotonic() + END_READ_S)

    def _look_into(self, packet: "Packet[Any]") -> None:
        if packet.is_keyframe and self.all_idr:
            self.all_idr = _is_idr(packet, self.picture.stream)
        if self.frame is None and self.tried < TRIED_PACKETS:
            self.tried += 1
            with _damage_passed_over():
                self.frame = next(iter(packet.decode()), None)

    def _found_picture(self, whole: bool) -> Picture:
        track, frame, stream = self.picture, self.frame, self.picture.stream
        times = sorted(track.times)
        intervals = [after - before for before, after in pairwise(times) if after > before]
        rate, constant = _frame_rate(intervals, stream)
        ends_s = max(track.ends_s, track.last_s + 1 / float(rate))
        read_to_s = ends_s if whole else max(times, default=0.0)
        colours = _colours(frame)
        width, height, square = _displayed(frame, stream)
        turned = frame.rotation % 360 != 0
        fits = (
            whole
            and constant
            and not turned
            and square
            and not frame.interlaced_frame
            and not track.changes
            and self.all_idr
            and stream.codec_context.name == "h264"
            and stream.profile in COPIED_PROFILES
            and frame.format.name == "yuv420p"
            and colours not in HIGHER.values()
            and self.media_type in (MP4, QUICKTIME, MATROSKA)
            and abs(track.starts_s) < 0.5 / float(rate)
            and rate <= 60
            and _has_key_in_each_segment(track, ends_s, float(rate))
        )
        return Picture(
            index=stream.index,
            codec=stream.codec_context.name,
            width=height if frame.rotation % 180 else width,
            height=width if frame.rotation % 180 else height,
            frame_rate=rate,
            bitrate=round(track.size * 8 / max(read_to_s - track.starts_s, 1 / float(rate))),
            starts_s=track.starts_s,
            ends_s=ends_s,
            keyframes_within_s=max((b - a for a, b in pairwise([*sorted(track.keys), read_to_s])), default=ends_s),
            turned=turned,
            interlaced=frame.interlaced_frame,
            colours=colours,
            as_it_is=bool(fits),
        )

    def _found_sound(self, whole: bool) -> Sound | None:
        if self.sound is None or not self.sound.times:
            return None
        track, stream = self.sound, self.sound.stream
        assert isinstance(stream, AudioStream)
        context = stream.codec_context
        samples = len(track.times) * 1024 / context.sample_rate  # of AAC-LC each packet has 1024
        fits = (
            whole
            and context.name == "aac"
            and stream.profile == "LC"
            and context.channels <= 2
            and context.sample_rate in (44_100, 48_000)
            and self.media_type in (MP4, QUICKTIME, MATROSKA)
            and not track.changes
            and -0.06 < track.starts_s < 0.01
            and abs(track.ends_s - track.starts_s - samples) < 0.02
        )
        return Sound(
            index=stream.index,
            codec=context.name,
            channels=context.channels,
            sample_rate=context.sample_rate,
            starts_s=track.starts_s,
            ends_s=track.ends_s,
            as_it_is=bool(fits),
        )


def _displayed(frame: Any, stream: Any) -> tuple[int, int, bool]:
    """Width and height when its pixels are square, and whether they are so already; not yet turned upright."""
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not ratio or not Fraction(1, 4) <= ratio <= 4:
        ratio = Fraction(1)
    return round(frame.width * ratio), frame.height, ratio == 1


def _frame_rate(intervals: list[float], stream: Any) -> tuple[Fraction, bool]:
    """What to make it at, and whether the frames come evenly by now."""
    if not intervals:
        return Fraction(25), False
    typical = sorted(intervals)[len(intervals) // 2]
    even = [interval for interval in intervals if abs(interval - typical) < max(0.0021, 0.05 * typical)]
    measured = len(even) / sum(even)
    constant = len(even) == len(intervals)
    declared = next((rate for rate in (stream.average_rate, stream.base_rate) if rate and _close(rate, measured)), None)
    rate = Fraction(declared or measured).limit_denominator(1001)
    nearest = min((*USUAL_RATES, *NTSC_RATES), key=lambda usual: abs(usual - measured))
    if not constant or (declared is None and _close(nearest, measured)):
        rate = nearest
    while rate > Fraction(121, 2):
        rate /= 2
    return max(rate, Fraction(5)), constant and rate >= 5 and _close(rate, measured)


def _close(rate: Fraction, measured: float) -> bool:
    return abs(float(rate) / measured - 1) < 0.005


def _has_key_in_each_segment(track: Track, ends_s: float, rate: float) -> bool:
    """Where segments are to begin: on the first frame from each multiple of their length on."""
    starts = {int((at + 0.003) / SEGMENT_S) for at in track.keys if (at + 0.003) % SEGMENT_S < 1 / rate}
    return starts >= set(range(int((ends_s - 1 / rate) / SEGMENT_S) + 1))


def _is_idr(packet: "Packet[Any]", stream: Any) -> bool:
    """Whether an H.264 keyframe, in units as MP4 and Matroska keep them, lets none after it refer to any before it."""
    described = stream.codec_context.extradata or b""
    if stream.codec_context.name != "h264" or len(described) < 7 or described[0] != 1:
        return False
    prefix, content, at = (described[4] & 3) + 1, bytes(packet), 0
    while at + prefix < len(content):
        if content[at + prefix] & 31 == IDR:
            return True
        at += prefix + int.from_bytes(content[at : at + prefix], "big")
    return False


def _colours(frame: Any) -> Colours:
    if frame.format.is_rgb:
        return "rgb"
    if frame.color_trc in HIGHER:
        return HIGHER[frame.color_trc]
    return "unsaid" if frame.colorspace == 2 else "said"  # table 4


def main(parent: str) -> None:
    die_with(int(parent))
    media_type, path = asked()
    try:
        confine(LIMITS, reads=[Path(path), *LOADED_LATER])
    except CannotConfine as error:
        sys.stderr.write(f"not started: {error}\n")
        sys.exit(FAILED)
    try:
        source = look(path, media_type)
        found: dict[str, Any] = asdict(source)
    except (CannotProcess, NotTaken) as error:
        found = {"reason": str(error)}
    except MemoryError as error:
        sys.stderr.write(f"out of memory: {error}\n")
        sys.exit(OUT_OF_MEMORY)
    except (av.FFmpegError, ValueError):
        found = {"reason": limits.DAMAGED}
    sys.stdout.write(json.dumps(found, default=str))


if __name__ == "__main__":
    main(sys.argv[1])
