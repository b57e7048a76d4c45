"""MP4 and MOV whose boxes lie."""

from tests.clips import H264, PICTURE, SOUND, Clips
from tests.corpus.bytes_alone import noise
from tests.corpus.entry import CUT_SHORT, DAMAGED, NO_PICTURE, NO_STREAM, TOO_MUCH_MEMORY, Entries
from tests.corpus.surgery import box, edited, full_box, overwritten, parts
from tests.corpus.trap import Trap

ENTRIES = Entries()
TABLE = "moov/trak/mdia/minf/stbl"
MANY = (0x7FFFFFFF).to_bytes(4, "big")

for share in (1, 25, 50, 75, 99):
    for first in (True, False):
        if share == 1 and not first:
            continue  # `ftyp` and no more of it
        ENTRIES.add(
            f"{share} percent of an MP4 with its index {'first' if first else 'last'}",
            lambda clips, trap, share=share, first=first: (lambda whole: whole[: len(whole) * share // 100])(  # type: ignore[misc]
                clips.film if first else clips.index_last
            ),
            CUT_SHORT,
        )


@ENTRIES.refused(CUT_SHORT)
def half_a_mov(clips: Clips, trap: Trap) -> bytes:
    whole = clips.container("mov")
    return whole[: len(whole) // 2]


@ENTRIES.refused(DAMAGED)
def no_index_at_all(clips: Clips, trap: Trap) -> bytes:
    return clips.index_last[: clips.index_last.index(b"moov") - 4]


@ENTRIES.refused(NO_STREAM)
def an_index_of_nothing(clips: Clips, trap: Trap) -> bytes:
    return clips.index_last[:40] + box(b"moov") + bytes(600)


def with_index(clips: Clips, header: bytes) -> bytes:
    """The film with another header of its index, which is last."""
    at = clips.index_last.index(b"moov") - 4
    return clips.index_last[:at] + header + clips.index_last[at + 8 :]


@ENTRIES.taken
def an_index_up_to_the_end(clips: Clips, trap: Trap) -> bytes:
    return with_index(clips, box(b"moov", size=0))


@ENTRIES.refused(CUT_SHORT)
def an_index_of_nearly_4_gib(clips: Clips, trap: Trap) -> bytes:
    return with_index(clips, box(b"moov", size=0xFFFFFFFF))


@ENTRIES.refused(CUT_SHORT)
def an_index_of_half_of_2_to_the_64(clips: Clips, trap: Trap) -> bytes:
    return with_index(clips, box(b"moov", b"\x7f" + b"\xff" * 7, size=1))


@ENTRIES.refused(DAMAGED)
def an_index_of_7_bytes(clips: Clips, trap: Trap) -> bytes:
    return with_index(clips, box(b"moov", size=7))


@ENTRIES.taken
def a_track_larger_than_its_index(clips: Clips, trap: Trap) -> bytes:
    at = clips.index_last.index(b"trak") - 4
    return clips.index_last[:at] + b"\x7f\xff\xff\xff" + clips.index_last[at + 4 :]


@ENTRIES.refused(DAMAGED)
def ten_thousand_boxes_in_each_other(clips: Clips, trap: Trap) -> bytes:
    nested = b""
    for _ in range(10_000):
        nested = box(b"moov", nested)
    return clips.index_last[:40] + nested


@ENTRIES.refused(NO_STREAM)
def ten_thousand_tracks_in_each_other(clips: Clips, trap: Trap) -> bytes:
    nested = b""
    for _ in range(10_000):
        nested = box(b"trak", nested)
    return clips.index_last[:40] + box(b"moov", nested)


@ENTRIES.taken
def a_hundred_thousand_empty_boxes(clips: Clips, trap: Trap) -> bytes:
    return clips.index_last + box(b"free") * 100_000


def with_table(clips: Clips, kind: str, content: bytes) -> bytes:
    return edited(clips.index_last, f"{TABLE}/{kind}", lambda _: content)


@ENTRIES.refused(NO_PICTURE)
def two_thousand_million_samples_of_one_size(clips: Clips, trap: Trap) -> bytes:
    return with_table(clips, "stsz", bytes(4) + b"\0\0\0\x01" + MANY)


@ENTRIES.refused(DAMAGED)
def sizes_of_two_thousand_million_samples(clips: Clips, trap: Trap) -> bytes:
    return with_table(clips, "stsz", bytes(8) + MANY + noise(400))


@ENTRIES.refused(TOO_MUCH_MEMORY)
def samples_at_two_thousand_million_times(clips: Clips, trap: Trap) -> bytes:
    return with_table(clips, "stts", bytes(4) + MANY + noise(400))


@ENTRIES.refused(NO_PICTURE)
def two_thousand_million_samples_at_one_time(clips: Clips, trap: Trap) -> bytes:
    everywhere = with_table(clips, "stts", bytes(4) + b"\0\0\0\x01" + MANY + b"\0\0\0\x01")
    everywhere = edited(everywhere, f"{TABLE}/stsz", lambda _: bytes(4) + b"\0\0\0\x01" + MANY)
    return edited(everywhere, f"{TABLE}/stsc", lambda _: bytes(4) + b"\0\0\0\x01\0\0\0\x01" + MANY + b"\0\0\0\x01")


@ENTRIES.refused(NO_PICTURE)
def samples_beyond_the_end(clips: Clips, trap: Trap) -> bytes:
    return with_table(clips, "stco", bytes(4) + b"\0\0\0\x01" + b"\x7f\0\0\0")


@ENTRIES.refused(NO_PICTURE)
def no_samples(clips: Clips, trap: Trap) -> bytes:
    return with_table(clips, "stsz", bytes(12))


@ENTRIES.taken
def an_edit_list_of_two_thousand_million(clips: Clips, trap: Trap) -> bytes:
    return edited(clips.index_last, "moov/trak/edts/elst", lambda _: bytes(4) + MANY + noise(120))


@ENTRIES.taken
def a_duration_of_2_to_the_63(clips: Clips, trap: Trap) -> bytes:
    """By two headers; the table of the samples knows better."""
    endless = full_box(b"mdhd", bytes(16) + b"\0\0\0\x01" + b"\x7f" + b"\xff" * 7 + bytes(4), flags=1 << 24)
    lasting = edited(clips.index_last, "moov/trak/mdia", lambda content: replaced(content, b"mdhd", endless))
    movie = b"\x01" + bytes(19) + b"\0\0\0\x01" + b"\x7f" + b"\xff" * 7 + bytes(80)
    return edited(lasting, "moov/mvhd", lambda _: movie)


def replaced(content: bytes, kind: bytes, new: bytes) -> bytes:
    return b"".join(new if found == kind else box(found, inside) for found, inside in parts(content))


@ENTRIES.taken
def a_second_of_nothing(clips: Clips, trap: Trap) -> bytes:
    """A time scale of 0: what its ticks last nobody knows."""
    return edited(clips.index_last, "moov/trak/mdia/mdhd", overwritten(12, bytes(4)))


@ENTRIES.taken
def times_that_go_back(clips: Clips, trap: Trap) -> bytes:
    offsets = b"".join((1).to_bytes(4, "big") + (-n * 100_000).to_bytes(4, "big", signed=True) for n in range(10))
    back = full_box(b"ctts", (10).to_bytes(4, "big") + offsets, flags=1 << 24)
    return edited(clips.index_last, TABLE, lambda content: content + back)


@ENTRIES.refused("streams; at most 64")
def a_hundred_tracks(clips: Clips, trap: Trap) -> bytes:
    return edited(clips.index_last, "moov", lambda content: content + tracks(content) * 100)


@ENTRIES.refused(TOO_MUCH_MEMORY)
def five_thousand_tracks(clips: Clips, trap: Trap) -> bytes:
    return edited(clips.index_last, "moov", lambda content: content + tracks(content) * 5000)


def tracks(index: bytes) -> bytes:
    return b"".join(box(kind, inside) for kind, inside in parts(index) if kind == b"trak")


@ENTRIES.refused("encrypted or protected")
def an_encrypted_video(clips: Clips, trap: Trap) -> bytes:
    key = ("-encryption_key", "00112233445566778899aabbccddeeff", "-encryption_kid", "a" * 32)
    return clips.made("encrypted.mp4", *PICTURE, *SOUND, "-c:v", "libx264", "-encryption_scheme", "cenc-aes-ctr", *key)


@ENTRIES.taken
def noise_among_the_pictures(clips: Clips, trap: Trap) -> bytes:
    at = len(clips.index_last) // 2
    return clips.index_last[:at] + noise(200) + clips.index_last[at + 200 :]


@ENTRIES.taken
def noise_for_the_first_pictures(clips: Clips, trap: Trap) -> bytes:
    """Every second picture can be decoded by itself."""
    whole = clips.made("keys.mp4", *PICTURE, *H264, "-g", "2")
    begin, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    size = (end - begin) // 4
    return whole[:begin] + noise(size) + whole[begin + size :]


@ENTRIES.refused(NO_PICTURE)
def noise_for_pictures(clips: Clips, trap: Trap) -> bytes:
    begin, end = clips.index_last.index(b"mdat") + 4, clips.index_last.index(b"moov") - 4
    return clips.index_last[:begin] + noise(end - begin) + clips.index_last[end:]
