"""Matroska, WebM, AVI and MPEG-TS that lie."""

import math
import random
import struct
from collections.abc import Callable

from tests.clips import H264, PICTURE, SOUND, Clips
from tests.corpus import riff
from tests.corpus.bytes_alone import noise
from tests.corpus.ebml import CLUSTER, HEAD, INFO, SEGMENT, UNKNOWN, VOID, element, segment
from tests.corpus.entry import CUT_SHORT, DAMAGED, NO_PICTURE, NO_STREAM, TOO_LONG, Entries
from tests.corpus.trap import Trap

ENTRIES = Entries()
LARGEST = b"\x01" + b"\xff" * 6 + b"\xfe"
TS_PACKET = 188

for ending, reason in {"mkv": CUT_SHORT, "webm": CUT_SHORT, "avi": CUT_SHORT, "ts": ""}.items():
    ENTRIES.add(
        f"half a {ending}",
        lambda clips, trap, ending=ending: (lambda whole: whole[: len(whole) // 2])(clips.container(ending)),  # type: ignore[misc]
        reason,
    )


# --- Matroska -----------------------------------------------------------------------------------------


@ENTRIES.taken
def a_film_of_unknown_length(clips: Clips, trap: Trap) -> bytes:
    """As browsers record: no size of anything, no duration, no index."""
    path = clips.folder / "live.mkv"
    return clips.made(path.name, *PICTURE, *H264, "-live", "1", "-f", "matroska")


@ENTRIES.refused(DAMAGED)
def segments_in_each_other(clips: Clips, trap: Trap) -> bytes:
    return HEAD + element(SEGMENT, size=UNKNOWN) * 5000


@ENTRIES.refused(DAMAGED)
def heads_without_end(clips: Clips, trap: Trap) -> bytes:
    return HEAD * 5000


@ENTRIES.refused(DAMAGED)
def a_head_that_is_larger_than_the_file(clips: Clips, trap: Trap) -> bytes:
    return b"\x1a\x45\xdf\xa3" + LARGEST + noise(1000)


@ENTRIES.refused(CUT_SHORT)
def a_segment_of_2_to_the_56(clips: Clips, trap: Trap) -> bytes:
    return HEAD + element(SEGMENT, segment(clips.container("mkv")), size=LARGEST)


@ENTRIES.taken
def nothing_as_long_as_can_be(clips: Clips, trap: Trap) -> bytes:
    return HEAD + element(SEGMENT, element(VOID, size=LARGEST) + segment(clips.container("mkv")), size=UNKNOWN)


@ENTRIES.taken
def nothing_a_hundred_thousand_times(clips: Clips, trap: Trap) -> bytes:
    return HEAD + element(SEGMENT, b"\xec\x80" * 100_000 + segment(clips.container("mkv")), size=UNKNOWN)


@ENTRIES.taken
def a_film_that_names_the_next_one(clips: Clips, trap: Trap) -> bytes:
    """Players open it of themselves (Matroska's NextFilename)."""
    info = element(INFO, element(b"\x3e\x83\xbb", str(trap.canary).encode()))
    return HEAD + element(SEGMENT, info + segment(clips.container("mkv")), size=UNKNOWN)


def lasting(clips: Clips, milliseconds: float) -> bytes:
    """By what the header says, as a float of eight bytes; the clip has a duration of 1000."""
    return clips.container("mkv").replace(struct.pack(">d", 1000), struct.pack(">d", milliseconds))


for milliseconds, reason in {-1.0: "", math.nan: "", math.inf: "", 1e300: "", 1e9: TOO_LONG}.items():
    ENTRIES.add(
        f"a duration of {milliseconds} ms",
        lambda clips, trap, milliseconds=milliseconds: lasting(clips, milliseconds),  # type: ignore[misc]
        reason,
    )


@ENTRIES.refused(NO_STREAM)
def clusters_of_no_track(clips: Clips, trap: Trap) -> bytes:
    return HEAD + element(SEGMENT, element(CLUSTER, element(b"\xa3", noise(500))) * 50, size=UNKNOWN)


@ENTRIES.taken
def scripts_for_fonts(clips: Clips, trap: Trap) -> bytes:
    script = clips.folder / "font.sh"
    script.write_text("#!/bin/sh\ntouch /tmp/owned\n")
    attached = ("-attach", str(script), "-metadata:s:t", "mimetype=application/x-truetype-font")
    return clips.made("attached.mkv", *PICTURE, *H264, *attached, "-metadata:s:t", "filename=../../../etc/cron.d/x")


# --- AVI ----------------------------------------------------------------------------------------------


def avi(clips: Clips, kind: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    return riff.edited(clips.container("avi"), kind, edit)


@ENTRIES.taken
def an_avi_whose_index_lies(clips: Clips, trap: Trap) -> bytes:
    return avi(clips, b"idx1", lambda content: noise(len(content)))


@ENTRIES.taken
def an_avi_whose_index_points_beyond_its_end(clips: Clips, trap: Trap) -> bytes:
    return avi(clips, b"idx1", lambda content: (b"00dc\x10\0\0\0" + b"\xff\xff\xff\x7f" * 2) * (len(content) // 16))


@ENTRIES.taken
def an_avi_of_no_rate(clips: Clips, trap: Trap) -> bytes:
    """Scale and rate, and so the length of a frame, are 0."""
    return avi(clips, b"strh", lambda content: content[:20] + bytes(8) + content[28:])


@ENTRIES.taken
def an_avi_of_two_thousand_million_streams(clips: Clips, trap: Trap) -> bytes:
    return avi(clips, b"avih", lambda content: content[:24] + b"\xff\xff\xff\x7f" + content[28:])


@ENTRIES.refused(TOO_LONG)
def an_avi_of_two_thousand_million_frames(clips: Clips, trap: Trap) -> bytes:
    return avi(clips, b"strh", lambda content: content[:32] + b"\xff\xff\xff\x7f" + content[36:])


# --- MPEG-TS ------------------------------------------------------------------------------------------


def packets(clips: Clips) -> list[bytes]:
    whole = clips.container("ts")
    return [whole[at : at + TS_PACKET] for at in range(0, len(whole), TS_PACKET)]


@ENTRIES.taken
def packets_out_of_order(clips: Clips, trap: Trap) -> bytes:
    """All but the first ones, which say what there is."""
    first, rest = packets(clips)[:8], packets(clips)[8:]
    random.Random(4).shuffle(rest)
    return b"".join(first + rest)


@ENTRIES.taken
def packets_of_noise_between_packets(clips: Clips, trap: Trap) -> bytes:
    return b"".join(packet + b"\x47" + noise(TS_PACKET - 1, n) for n, packet in enumerate(packets(clips)))


@ENTRIES.taken
def a_recording_that_begins_between_key_frames(clips: Clips, trap: Trap) -> bytes:
    whole = clips.made("long.ts", *PICTURE, *H264, "-g", "10", "-bsf:v", "dump_extra", "-f", "mpegts", seconds=3)
    return whole[40 * TS_PACKET :]


@ENTRIES.taken
def packets_of_a_camcorder(clips: Clips, trap: Trap) -> bytes:
    """AVCHD: four bytes of time before each."""
    return b"".join(n.to_bytes(4, "big") + packet for n, packet in enumerate(packets(clips)))


@ENTRIES.refused(NO_STREAM)
def sound_in_packets(clips: Clips, trap: Trap) -> bytes:
    return clips.made("sound.ts", *SOUND, "-c:a", "aac")


@ENTRIES.refused(NO_PICTURE)
def packets_that_never_begin_a_picture(clips: Clips, trap: Trap) -> bytes:
    """Tables and nothing else but noise in the picture's packets."""
    return b"".join(
        packet if n < 3 or packet[1] & 0x40 else packet[:4] + noise(TS_PACKET - 4, n)
        for n, packet in enumerate(packets(clips))
    )
