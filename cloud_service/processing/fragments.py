"""A fragmented MP4 as its boxes tell it (ISO 14496-12): where its segments lie, and what is in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cloud_service.processing.source import SEGMENT_S

HEADER_BYTES = 16 * 2**20
"""Of boxes read into memory: an index of 12 hours with a fragment a second takes 1 MB."""
CLOSE_S = 0.003
INSIDE = {b"avc1": 78, b"mp4a": 28, b"stsd": 8}
"""How many bytes of these come before the boxes inside."""
AUDIO_SPECIFIC, DECODER_CONFIG, ELEMENTARY_STREAM = 5, 4, 3


class NotFragmented(Exception):
    """Not what it should be; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`size` bytes from `offset` on, shown for `duration_s` from `starts_s` on; it can be decoded by itself."""

    offset: int
    size: int
    starts_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Fragmented:
    """`header_bytes` are what a player needs before any segment. `codecs` as in RFC 6381."""

    size: int
    header_bytes: int
    width: int
    height: int
    codecs: str
    segments: Sequence[Segment]

    @property
    def duration_s(self) -> float:
        return sum(segment.duration_s for segment in self.segments)


def read_fragmented(path: Path) -> Fragmented:
    """Raises NotFragmented."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        try:
            return _read(file, size)
        except (IndexError, ValueError) as error:
            raise NotFragmented(f"a box that makes no sense: {error}") from None


def _read(file: BinaryIO, size: int) -> Fragmented:
    moov: bytes | None = None
    header_bytes = 0
    indexes = []
    for kind, start, content_at, end in _boxes_of_file(file, size):
        if kind == b"moof":
            break
        if kind in (b"moov", b"sidx"):
            if end - start > HEADER_BYTES:
                raise NotFragmented(f"{end - start} bytes of index")
            file.seek(content_at)
            content = file.read(end - content_at)
            if kind == b"moov":
                moov, header_bytes = content, end
            else:
                indexes.append((content, end))
    if moov is None:
        raise NotFragmented("no moov before the first fragment")
    picture, codecs = _tracks(moov)
    for content, end in indexes:
        if int.from_bytes(content[4:8], "big") == picture.track:
            fragments = list(_fragments(content, end))
            if not fragments or fragments[-1].offset + fragments[-1].size > size:
                raise NotFragmented("the index does not fit the file")
            return Fragmented(size, header_bytes, picture.width, picture.height, codecs, _segments(fragments))
    raise NotFragmented("no index of the picture")


def _boxes_of_file(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the content, end."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        header = file.read(16)
        length, content_at = int.from_bytes(header[:4], "big"), start + 8
        if length == 1:
            length, content_at = int.from_bytes(header[8:16], "big"), start + 16
        if length < 8 or start + length > size:
            raise ValueError(f"{length} bytes at {start}")
        yield header[4:8], start, content_at, start + length
        start += length


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if length < 8:
            raise ValueError(f"{length} bytes")
        yield content[at + 4 : at + 8], content[at + 8 : at + length]
        at += length


def _find(content: bytes, *path: bytes) -> bytes | None:
    """The first box of that path, without its header."""
    for kind in path:
        found = next((inner for name, inner in _boxes(content) if name == kind), None)
        if found is None:
            return None
        content = found[INSIDE.get(kind, 0) :]
    return content


@dataclass(frozen=True, slots=True)
class _PictureTrack:
    track: int
    width: int
    height: int


def _tracks(moov: bytes) -> tuple[_PictureTrack, str]:
    """The picture's, and the codecs of all."""
    picture, codecs = None, []
    for trak in (content for kind, content in _boxes(moov) if kind == b"trak"):
        described = _find(trak, b"mdia", b"minf", b"stbl", b"stsd") or b""
        if (avc := _find(described, b"avc1", b"avcC")) is not None:
            codecs.append(f"avc1.{avc[1:4].hex()}")
            picture = _picture_track(trak, described)
        elif (esds := _find(described, b"mp4a", b"esds")) is not None:
            codecs.append(f"mp4a.40.{_audio_object_type(esds[4:])}")
    if picture is None:
        raise NotFragmented("no picture")
    return picture, ",".join(codecs)


def _picture_track(trak: bytes, described: bytes) -> _PictureTrack:
    header = _find(trak, b"tkhd") or b""
    track_at = 20 if header[0] == 1 else 12
    entry = next(content for kind, content in _boxes(described) if kind == b"avc1")
    width, height = (int.from_bytes(entry[at : at + 2], "big") for at in (24, 26))
    return _PictureTrack(int.from_bytes(header[track_at : track_at + 4], "big"), width, height)


def _audio_object_type(descriptors: bytes) -> int:
    """Of an `esds` (ISO 14496-1 7.2.6): 2 is AAC-LC."""
    at = 0
    while True:
        tag = descriptors[at]
        at += 1
        while descriptors[at] & 128:
            at += 1
        at += 1
        if tag == AUDIO_SPECIFIC:
            return descriptors[at] >> 3
        at += (
            {ELEMENTARY_STREAM: 3, DECODER_CONFIG: 13}[tag]
            if tag in (ELEMENTARY_STREAM, DECODER_CONFIG)
            else len(descriptors)
        )


def _fragments(sidx: bytes, end: int) -> Iterator[Segment]:
    """8.16.3; `end` is where in the file the box ends."""
    wide = 8 if sidx[0] else 4
    timescale = int.from_bytes(sidx[8:12], "big")
    earliest = int.from_bytes(sidx[12 : 12 + wide], "big")
    offset = end + int.from_bytes(sidx[12 + wide : 12 + 2 * wide], "big")
    at = 12 + 2 * wide + 4
    for _ in range(int.from_bytes(sidx[at - 2 : at], "big")):
        size, ticks = (int.from_bytes(sidx[at + skip : at + skip + 4], "big") for skip in (0, 4))
        if size >> 31:
            raise NotFragmented("an index of indexes")
        yield Segment(offset, size, earliest / timescale, ticks / timescale)
        offset, earliest, at = offset + size, earliest + ticks, at + 12


def _segments(fragments: Sequence[Segment]) -> list[Segment]:
    """A copied source may have more keyframes than segments are wanted, and each begins a fragment."""
    first_s, segments = fragments[0].starts_s, [fragments[0]]
    for fragment in fragments[1:]:
        last = segments[-1]
        if _number(fragment.starts_s - first_s) == _number(last.starts_s - first_s):
            segments[-1] = Segment(
                last.offset, last.size + fragment.size, last.starts_s, last.duration_s + fragment.duration_s
            )
        else:
            segments.append(fragment)
    return segments


def _number(at_s: float) -> int:
    return int((at_s + CLOSE_S) / SEGMENT_S)
