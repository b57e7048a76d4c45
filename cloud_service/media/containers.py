"""Which of the allowed containers a file is, by its first bytes; its name and the client's word do not count."""

HEAD_BYTES = 512
TS_PACKET, TIMED_TS_PACKET = 188, 192

MP4, QUICKTIME = "video/mp4", "video/quicktime"
MATROSKA, WEBM = "video/x-matroska", "video/webm"
AVI, MPEG_TS = "video/x-msvideo", "video/mp2t"

DEMUXERS = {MP4: "mov", QUICKTIME: "mov", MATROSKA: "matroska", WEBM: "matroska", AVI: "avi", MPEG_TS: "mpegts"}
"""What FFmpeg is to read a file with, by its media type: left to guess, it takes some playlists for videos."""

ENDINGS_OF_VIDEOS = {MP4: ".mp4", QUICKTIME: ".mov", MATROSKA: ".mkv", WEBM: ".webm", AVI: ".avi", MPEG_TS: ".ts"}

NO_CONTAINER = "The file does not begin as MP4, MOV, MKV, WebM, AVI or MPEG-TS does."
"""For whoever sent a file that is none of them."""

PICTURE_BRANDS = (b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1", b"miaf", b"crx ")


def media_type_of(head: bytes) -> str | None:
    """The media type of a file that begins so, or None when it is not one of the allowed containers."""
    box = head[4:8]
    if box == b"ftyp":
        if head[8:12] in PICTURE_BRANDS:
            return None
        return QUICKTIME if head[8:12] == b"qt  " else MP4
    if box in (b"moov", b"mdat", b"wide"):  # QuickTime files older than the brand
        return QUICKTIME
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML
        return WEBM if b"webm" in head[:64] else MATROSKA
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return AVI
    if _is_transport_stream(head):
        return MPEG_TS
    return None


def _is_transport_stream(head: bytes) -> bool:
    """ISO 13818-1 packets, each with four bytes of time before it as camcorders write them, or without."""
    starts = ([at, at + size, at + 2 * size] for at, size in ((0, TS_PACKET), (4, TIMED_TS_PACKET)))
    return any(all(head[at : at + 1] == b"\x47" for at in packets) for packets in starts)
