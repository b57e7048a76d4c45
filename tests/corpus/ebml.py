"""Writing Matroska elements (RFC 8794), with true sizes or none."""

SEGMENT, CLUSTER, INFO, VOID = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x15\x49\xa9\x66", b"\xec"
UNKNOWN = b"\x01" + b"\xff" * 7


def element(kind: bytes, content: bytes = b"", size: bytes | None = None) -> bytes:
    """`size` is what it says, right or not, as it is encoded."""
    return kind + (b"\x01" + len(content).to_bytes(7, "big") if size is None else size) + content


HEAD = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))


def segment(whole: bytes) -> bytes:
    """The content of the Segment of a file that FFmpeg wrote, whose size takes eight bytes."""
    return whole[whole.index(SEGMENT) + 12 :]
