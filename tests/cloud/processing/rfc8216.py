"""Our own reading of RFC 8216, apart from the code that writes playlists."""

import re
from dataclasses import dataclass
from pathlib import Path

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)')


@dataclass(frozen=True)
class Range:
    """Bytes of the file beside the playlist, and how long they are said to be shown."""

    start: int
    size: int
    duration_s: float = 0.0

    def of(self, content: bytes) -> bytes:
        return content[self.start : self.start + self.size]


@dataclass(frozen=True)
class MediaPlaylist:
    uri: str
    header: Range
    target_s: int
    segments: list[Range]


@dataclass(frozen=True)
class Variant:
    uri: str
    attributes: dict[str, str]


def read_lines(path: Path) -> list[str]:
    """4.1: UTF-8 without BOM or control characters, begun by EXTM3U. Lines that mean nothing are left out."""
    text = path.read_bytes().decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    lines = [line for line in text.split("\n") if line]
    assert lines[0] == "#EXTM3U"
    assert lines[1] == "#EXT-X-VERSION:7"  # 7: 6 and more is what EXT-X-MAP beside segments needs
    return lines[2:]


def attributes(line: str) -> dict[str, str]:
    """4.2: each name once."""
    written = line.partition(":")[2]
    pairs = ATTRIBUTE.findall(written)
    assert ",".join(f"{name}={value}" for name, value in pairs) == written
    assert len({name for name, _ in pairs}) == len(pairs)
    return {name: value.strip('"') for name, value in pairs}


def read_media(path: Path) -> MediaPlaylist:
    lines = read_lines(path)
    assert lines.count("#EXT-X-PLAYLIST-TYPE:VOD") == lines.count("#EXT-X-INDEPENDENT-SEGMENTS") == 1
    assert lines[-1] == "#EXT-X-ENDLIST"
    (target_line,) = (line for line in lines if line.startswith("#EXT-X-TARGETDURATION:"))
    (map_line,) = (line for line in lines if line.startswith("#EXT-X-MAP:"))
    first = next(number for number, line in enumerate(lines) if line.startswith("#EXTINF:"))
    assert lines.index(map_line) < first
    named = attributes(map_line)
    uri = named["URI"]
    segments: list[Range] = []
    for inf, byte_range, segment_uri in zip(*(iter(lines[first:-1]),) * 3, strict=True):
        duration = re.fullmatch(r"#EXTINF:(\d+\.\d+),", inf)
        place = re.fullmatch(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", byte_range)
        assert duration
        assert place
        assert segment_uri == f"{uri}?{len(segments) + 1}"
        segments.append(Range(int(place[2]), int(place[1]), float(duration[1])))
    size, _, start = named["BYTERANGE"].partition("@")
    return MediaPlaylist(uri, Range(int(start), int(size)), int(target_line.partition(":")[2]), segments)


def read_master(path: Path) -> list[Variant]:
    lines = read_lines(path)
    assert lines[0] == "#EXT-X-INDEPENDENT-SEGMENTS"
    variants = []
    for line, uri in zip(*(iter(lines[1:]),) * 2, strict=True):
        assert line.startswith("#EXT-X-STREAM-INF:")
        variants.append(Variant(uri, attributes(line)))
    return variants
