"""The boxes of an MP4 or MOV (ISO 14496-12 4.2), as far as FFmpeg keeps silent about them."""

import time
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

WALK_S = 5
"""How long to go from box to box: hours of short fragments have a hundred thousand, each perhaps a seek of the disk."""
ENCRYPTED = (b"encv", b"enca", b"drmi", b"drms")


class Box(NamedTuple):
    """`start` is where its content begins, `end` where it says that it ends, in bytes of the file."""

    kind: bytes
    start: int
    end: int


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Those side by side that begin between these two places, up to the first that is none, or for some time."""
    until = time.monotonic() + WALK_S
    while start + 8 <= end and time.monotonic() < until:
        file.seek(start)
        header = file.read(16)
        size, kind, begins = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, begins = int.from_bytes(header[8:16], "big"), 16
        elif size == 0:  # up to the end, wherever that is
            size = end - start
        if size < begins:
            return
        yield Box(kind, start + begins, start + size)
        start += size


def is_encrypted(file: BinaryIO) -> bool:
    """Whether a track can only be decoded with a key (ISO 23001-7, FairPlay)."""
    tables = _found(file, b"mdia", b"minf", b"stbl", b"stsd")
    return any(entry.kind in ENCRYPTED for table in tables for entry in boxes(file, table.start + 8, table.end))


def is_elsewhere(file: BinaryIO) -> bool:
    """Whether a track's pictures or sound are in another file (ISO 14496-12 8.7.2)."""
    for table in _found(file, b"mdia", b"minf", b"dinf", b"dref"):
        for reference in boxes(file, table.start + 8, table.end):
            file.seek(reference.start)
            flags = file.read(4)
            if len(flags) == 4 and not flags[3] & 1:
                return True
    return False


def _found(file: BinaryIO, *path: bytes) -> Iterator[Box]:
    """The boxes that are so deep in a track."""
    found = [Box(b"", 0, file.seek(0, 2))]
    for kind in (b"moov", b"trak", *path):
        found = [
            inner._replace(end=min(inner.end, outer.end))
            for outer in found
            for inner in boxes(file, outer.start, outer.end)
            if inner.kind == kind
        ]
    return iter(found)
