"""HLS playlists (RFC 8216) over fragmented MP4 files, one file a rendition, segments by byte ranges."""

from collections.abc import Iterable, Sequence

from cloud_service.processing.fragments import Fragmented, Segment
from cloud_service.videos.models import Rendition

VERSION = "#EXT-X-VERSION:7"


def media_playlist(name: str, file: Fragmented) -> str:
    """Of `{name}.mp4` beside it. Each segment has an address of its own, by a query that means nothing to whoever
    serves it: where one range of an address goes on where the last one ended, FFmpeg 9.0 asks for all of them at once
    over HTTP, and loses its place after the first.
    """
    uri = f"{name}.mp4"
    lines = [
        "#EXTM3U",
        VERSION,
        f"#EXT-X-TARGETDURATION:{_target_duration(file.segments)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{uri}",BYTERANGE="{file.header_bytes}@0"',
    ]
    for number, segment in enumerate(file.segments, start=1):
        lines += [f"#EXTINF:{segment.duration_s:.6f},", f"#EXT-X-BYTERANGE:{segment.size}@{segment.offset}"]
        lines.append(f"{uri}?{number}")
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def master_playlist(renditions: Iterable[Rendition], duration_s: float) -> str:
    """Of `{name}.m3u8` beside it, the smallest first: players begin with that."""
    lines = ["#EXTM3U", VERSION, "#EXT-X-INDEPENDENT-SEGMENTS"]
    for made in sorted(renditions, key=lambda made: made.bitrate):
        average = min(made.bitrate, round(made.size * 8 / duration_s))
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={made.bitrate},AVERAGE-BANDWIDTH={average},"
            f'CODECS="{made.codecs}",RESOLUTION={made.width}x{made.height},FRAME-RATE={made.frame_rate:.3f}',
            f"{made.name}.m3u8",
        ]
    return "\n".join([*lines, ""])


def peak_bitrate(segments: Sequence[Segment]) -> int:
    """BANDWIDTH of RFC 8216 4.3.4.2: the most that segments in a row take, of 0.5 to 1.5 target durations."""
    target = _target_duration(segments)
    peak = 0.0
    for first in range(len(segments)):
        size, duration_s = 0, 0.0
        for segment in segments[first:]:
            size, duration_s = size + segment.size, duration_s + segment.duration_s
            if duration_s > 1.5 * target:
                break
            if duration_s >= 0.5 * target:
                peak = max(peak, size * 8 / duration_s)
    total_s = sum(segment.duration_s for segment in segments)
    return round(peak or sum(segment.size for segment in segments) * 8 / total_s) + 1


def _target_duration(segments: Sequence[Segment]) -> int:
    """No segment's duration, rounded, is longer."""
    return max(1, *(int(segment.duration_s + 0.5) for segment in segments))
