"""Whether a file was cut short: decoders open it without a word, and stop where it stops.

What was written by a program that ended in the middle, or is made to be sent on while it is written, says no length
and is not cut short. An MPEG-TS never does: only the upload's length or digest tells.
"""

from typing import BinaryIO

from cloud_service.media.boxes import boxes
from cloud_service.media.containers import AVI, MATROSKA, MP4, QUICKTIME, WEBM

NEEDED_WHOLE = (b"moov", b"mdat", b"moof")
SEGMENT = b"\x18\x53\x80\x67"
SLACK_BYTES = 16
"""By so much writers of AVI miscount themselves."""


def is_cut_short(file: BinaryIO, media_type: str) -> bool:
    end = file.seek(0, 2)
    if media_type in (MP4, QUICKTIME):
        return any(box.end > end for box in boxes(file, 0, end) if box.kind in NEEDED_WHOLE)
    file.seek(0)
    head = file.read(4096)
    if media_type in (MATROSKA, WEBM):
        return _end_of_segment(head) > end
    if media_type == AVI:
        return 8 + int.from_bytes(head[4:8], "little") > end + SLACK_BYTES
    return False


def _end_of_segment(head: bytes) -> int:
    """Where the Segment, which follows the EBML header, says that it ends (RFC 8794 4, 6); 0 if it does not."""
    _, start = _variable_integer(head, 4)
    header, start = _variable_integer(head, 4)
    start += header or 0
    if head[start : start + 4] != SEGMENT:
        return 0
    size, start = _variable_integer(head, start + 4)
    return start + size if size is not None else 0


def _variable_integer(head: bytes, at: int) -> tuple[int | None, int]:
    """Its value, or None for "unknown", and where it ends."""
    first = head[at] if at < len(head) else 0
    length = 9 - first.bit_length()
    value = int.from_bytes(head[at : at + length], "big") & (1 << 7 * length) - 1
    return (None if first == 0 or value == (1 << 7 * length) - 1 else value), at + length
