"""Which of the allowed containers a file is, by its first bytes; its name and the client's word do not count."""

HEAD_BYTES = 512
TS_PACKET = 188

MP4, QUICKTIME = "video/mp4", "video/quicktime"
MATROSKA, WEBM = "video/x-matroska", "video/webm"
AVI, MPEG_TS = "video/x-msvideo", "video/mp2t"


def media_type_of(head: bytes) -> str | None:
    """The media type of a file that begins so, or None when it is not one of the allowed containers."""
    box = head[4:8]
    if box == b"ftyp":
        return QUICKTIME if head[8:12] == b"qt  " else MP4
    if box in (b"moov", b"mdat", b"wide"):  # QuickTime files older than the brand
        return QUICKTIME
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML
        return WEBM if b"webm" in head[:64] else MATROSKA
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return AVI
    if len(head) > 2 * TS_PACKET and all(head[at] == 0x47 for at in (0, TS_PACKET, 2 * TS_PACKET)):
        return MPEG_TS
    return None
