"""Files that name other files, for a decoder to fetch (CVE-2016-1897, CVE-2017-9993)."""

from tests.clips import Clips
from tests.corpus import riff
from tests.corpus.bytes_alone import EBML, MP4_BRAND
from tests.corpus.entry import DAMAGED, NO_CONTAINER, NO_STREAM, Entries
from tests.corpus.surgery import box, edited, full_box
from tests.corpus.trap import Trap

ENTRIES = Entries()
ELSEWHERE = "which are in another file"


def hls(trap: Trap) -> bytes:
    segments = "".join(f"#EXTINF:10.0,\n{bait}\n" for bait in trap.baits())
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n{segments}#EXT-X-ENDLIST\n".encode()


def concat(trap: Trap) -> bytes:
    return ("ffconcat version 1.0\n" + "".join(f"file '{bait}'\n" for bait in trap.baits())).encode()


def dash(trap: Trap) -> bytes:
    urls = "".join(f"<Representation id='{n}'><BaseURL>{bait}</BaseURL>" for n, bait in enumerate(trap.baits()))
    return f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'>{urls}</MPD>".encode()


def sdp(trap: Trap) -> bytes:
    host, port = trap.listener.split(":")
    return f"v=0\r\no=- 0 0 IN IP4 {host}\r\nc=IN IP4 {host}\r\nm=video {port} RTP/AVP 96\r\n".encode()


def asx(trap: Trap) -> bytes:
    return "".join(f"<asx version='3'><entry><ref href='{bait}'/></entry></asx>" for bait in trap.baits()).encode()


def imf(trap: Trap) -> bytes:
    return f"<?xml version='1.0'?><CompositionPlaylist>{trap.canary}</CompositionPlaylist>".encode()


def rtsp(trap: Trap) -> bytes:
    return f"RTSPtextrtsp://{trap.listener}/film\r\n".encode()


for kind in (hls, concat, dash, sdp, asx, imf, rtsp):
    ENTRIES.add(f"{kind.__name__} alone", lambda clips, trap, kind=kind: kind(trap), NO_CONTAINER)  # type: ignore[misc]
for name, before in {
    "a byte order mark": b"\xef\xbb\xbf",
    "empty lines": b"\r\n\r\n",
    "garbage": b"\x00\x01garbage\n",
    "600 spaces": b" " * 600 + b"\n",
}.items():
    ENTRIES.add(
        f"hls behind {name}",
        lambda clips, trap, before=before: before + hls(trap),  # type: ignore[misc]
        NO_CONTAINER,
    )
for name, before in {
    "an MP4 brand": MP4_BRAND,
    "a free box": MP4_BRAND + b"\0\0\0\x08free",
    "an EBML head": EBML + b"\xa3",
}.items():
    for kind in (hls, concat, dash, sdp):
        ENTRIES.add(
            f"{kind.__name__} behind {name}",
            lambda clips, trap, before=before, kind=kind: before + kind(trap),  # type: ignore[misc]
            DAMAGED,
        )


@ENTRIES.refused(NO_STREAM)
def a_playlist_behind_an_avi_head(clips: Clips, trap: Trap) -> bytes:
    return b"RIFF\0\0\0\0AVI " + hls(trap)


@ENTRIES.refused(NO_CONTAINER)
def a_playlist_with_sync_bytes(clips: Clips, trap: Trap) -> bytes:
    """As text may have them: a G every 188 bytes, which only a guess takes for MPEG-TS."""
    text = bytearray(hls(trap) * 4)
    text[188::188] = b"G" * len(text[188::188])
    return bytes(text)


@ENTRIES.refused(DAMAGED)
def a_playlist_in_null_packets(clips: Clips, trap: Trap) -> bytes:
    playlist = hls(trap)
    cut = [playlist[at : at + 184] for at in range(0, len(playlist), 184)]
    return b"".join(b"\x47\x1f\xff\x10" + part.ljust(184, b"\n") for part in cut * 20)


@ENTRIES.taken
def a_video_with_a_playlist_behind_it(clips: Clips, trap: Trap) -> bytes:
    return clips.container("ts") + hls(trap)


@ENTRIES.taken
def a_video_with_a_playlist_in_a_free_box(clips: Clips, trap: Trap) -> bytes:
    brand, rest = clips.index_last[:32], clips.index_last[32:]
    assert brand[4:8] == b"ftyp"
    return brand + rest + box(b"free", hls(trap))


@ENTRIES.taken
def a_playlist_as_the_subtitles_of_an_avi(clips: Clips, trap: Trap) -> bytes:
    """Subtitles in a GAB2 chunk are opened with a demuxer of their own, guessed by what they are."""
    playlist = hls(trap)
    chunk = b"GAB2\0" + (2).to_bytes(2, "little") + bytes(4) + bytes(2) + len(playlist).to_bytes(4, "little") + playlist
    header = b"txts" + bytes(16) + (1).to_bytes(4, "little") + (10).to_bytes(4, "little") + bytes(28)
    stream = riff.listed(b"strl", riff.chunk(b"strh", header) + riff.chunk(b"strf", bytes(4)))
    with_stream = riff.edited(clips.container("avi"), b"hdrl", lambda content: content + stream)
    return riff.edited(with_stream, b"movi", lambda content: content + riff.chunk(b"01tx", chunk))


def url(bait: str) -> bytes:
    return full_box(b"url ", bait.encode() + b"\0")


def alias(trap: Trap) -> bytes:
    """As QuickTime wrote them: a record of fixed fields, then the path by parts (type 2) and whole (18)."""
    path = str(trap.canary).encode()
    path += b"\0" * (len(path) % 2)
    record = bytearray(150)
    name = trap.canary.name.encode()
    record[10:38] = (b"\x05Disk1".ljust(28, b"\0"))[:28]
    record[50:114] = (bytes([len(name)]) + name).ljust(64, b"\0")[:64]
    record[130:134] = b"\0\x01\0\x01"
    whole = (2).to_bytes(2, "big") + len(path).to_bytes(2, "big") + path
    whole += (18).to_bytes(2, "big") + len(path).to_bytes(2, "big") + path
    return full_box(b"alis", bytes(record) + whole + b"\xff\xff\0\0")


def with_pictures_elsewhere(clips: Clips, reference: bytes) -> bytes:
    """What is said of where its pictures are comes last, so that nothing else moves."""
    return edited(clips.index_last, "moov/trak/mdia/minf/dinf/dref", lambda _: bytes(4) + b"\0\0\0\x01" + reference)


@ENTRIES.taken
def pictures_in_the_file_of_another_course(clips: Clips, trap: Trap) -> bytes:
    """FFmpeg does not know this kind of reference, and looks for them in this file."""
    return with_pictures_elsewhere(clips, url(f"file://{trap.canary}"))


@ENTRIES.refused(ELSEWHERE)
def pictures_behind_an_alias(clips: Clips, trap: Trap) -> bytes:
    return with_pictures_elsewhere(clips, alias(trap))


@ENTRIES.taken
def pictures_on_another_machine(clips: Clips, trap: Trap) -> bytes:
    return with_pictures_elsewhere(clips, url(f"http://{trap.listener}/film.mp4"))


@ENTRIES.refused(NO_STREAM)
def a_quicktime_reference_movie(clips: Clips, trap: Trap) -> bytes:
    baits = [bait.encode() + b"\0" for bait in trap.baits()]
    references = [full_box(b"rdrf", b"url " + len(bait).to_bytes(4, "big") + bait) for bait in baits]
    return box(b"moov", box(b"rmra", b"".join(box(b"rmda", one) for one in references))) + bytes(512)
