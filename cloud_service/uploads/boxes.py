"""The outermost boxes of an MP4 or MOV (ISO 14496-12 4.2): decoders open a file that was cut short without a word."""

from typing import BinaryIO

NEEDED_WHOLE = (b"moov", b"mdat", b"moof")


def is_cut_short(file: BinaryIO) -> bool:
    """Whether a box with the index or with pictures goes on beyond the file's end."""
    end = file.seek(0, 2)
    start = 0
    while start < end:
        file.seek(start)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        elif size == 0:  # up to the end, wherever that is
            return False
        if size < 8:
            return False  # no box: something that was appended
        if start + size > end:
            return kind in NEEDED_WHOLE
        start += size
    return False
