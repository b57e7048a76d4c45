"""Pictures too large, too small, too many to the second, or of a codec that nobody needs."""

import zlib

from tests.clips import H264, PICTURE, Clips
from tests.corpus import riff
from tests.corpus.entry import NO_PICTURE, TOO_LONG, Entries
from tests.corpus.surgery import box, edited, overwritten, parts
from tests.corpus.trap import Trap

ENTRIES = Entries()
TOO_LARGE = "at most 8192 a side"
PICTURE_PARAMETERS = b"\x68\xce\x38\x80"
SAMPLES = "moov/trak/mdia/minf/stbl/stsd"


class Bits:
    def __init__(self) -> None:
        self.text = ""

    def exp_golomb(self, *values: int) -> None:
        """H.264 9.1."""
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code

    def flags(self, text: str) -> None:
        self.text += text

    def bytes(self) -> bytes:
        text = self.text + "1"
        return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def parameters_of(width: int, height: int) -> bytes:
    """A sequence parameter set (H.264 7.3.2.1.1) for pictures of this size, in pixels, multiples of 16."""
    bits = Bits()
    bits.exp_golomb(0, 0, 2, 1)  # its number, frame numbers, order of output, reference frames
    bits.flags("0")
    bits.exp_golomb(width // 16 - 1, height // 16 - 1)
    bits.flags("1100")  # frames only, 8x8 inference; neither cropping nor VUI
    return b"\x67\x42\x00\x3e" + escaped(bits.bytes())


def escaped(content: bytes) -> bytes:
    for last in range(4):
        content = content.replace(b"\0\0" + bytes([last]), b"\0\0\x03" + bytes([last]))
    return content


def sized(clips: Clips, width: int, height: int) -> bytes:
    """The film, whose decoder is told of pictures of another size."""
    sps, pps = parameters_of(width, height), PICTURE_PARAMETERS
    record = b"\x01\x42\x00\x3e\xff\xe1" + len(sps).to_bytes(2, "big") + sps
    record += b"\x01" + len(pps).to_bytes(2, "big") + pps
    return edited(clips.index_last, f"{SAMPLES}/avc1/avcC", lambda _: record)


@ENTRIES.refused(TOO_LARGE)
def pictures_of_16384_by_8192(clips: Clips, trap: Trap) -> bytes:
    return sized(clips, 16384, 8192)


@ENTRIES.refused(TOO_LARGE)
def pictures_of_8208_by_16(clips: Clips, trap: Trap) -> bytes:
    return sized(clips, 8208, 16)


@ENTRIES.refused(TOO_LARGE)
def pictures_of_50_megapixels(clips: Clips, trap: Trap) -> bytes:
    return sized(clips, 8192, 6144)


@ENTRIES.refused(NO_PICTURE)
def pictures_of_more_than_can_be_counted(clips: Clips, trap: Trap) -> bytes:
    return sized(clips, 2**20, 2**20)


@ENTRIES.taken
def a_container_that_exaggerates(clips: Clips, trap: Trap) -> bytes:
    """65535 on a side by the sample entry, 160 x 90 by the stream."""
    return edited(clips.index_last, f"{SAMPLES}/avc1", overwritten(24, b"\xff\xff\xff\xff"))


@ENTRIES.taken
def a_container_of_no_size(clips: Clips, trap: Trap) -> bytes:
    return edited(clips.index_last, f"{SAMPLES}/avc1", overwritten(24, bytes(4)))


@ENTRIES.refused("at least 16 a side")
def pictures_of_two_pixels(clips: Clips, trap: Trap) -> bytes:
    return clips.made("tiny.mp4", *PICTURE, *H264, "-s", "2x2")


@ENTRIES.refused(TOO_LARGE)
def a_png_of_12000_on_a_side(clips: Clips, trap: Trap) -> bytes:
    """A MOV of one PNG of a few bytes that says so."""
    header = b"IHDR" + (12000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    whole = clips.made("png.mov", *PICTURE, "-frames:v", "1", "-c:v", "png")
    at = whole.index(b"IHDR")
    whole = whole[:at] + header + zlib.crc32(header).to_bytes(4, "big") + whole[at + len(header) + 4 :]
    return edited(whole, f"{SAMPLES}", overwritten(8 + 8 + 24, (12000).to_bytes(2, "big") * 2))


@ENTRIES.refused(TOO_LARGE)
def raw_pictures_of_12000_on_a_side(clips: Clips, trap: Trap) -> bytes:
    whole = clips.made("raw.avi", *PICTURE, "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-s", "32x32")
    return riff.edited(whole, b"strf", overwritten(4, (12000).to_bytes(4, "little") * 2))


@ENTRIES.refused("a format that is not taken")
def pictures_that_only_few_programs_write(clips: Clips, trap: Trap) -> bytes:
    return clips.made("magic.avi", *PICTURE, "-c:v", "magicyuv", "-pix_fmt", "yuv420p")


@ENTRIES.refused("a format that is not taken")
def pictures_of_letters(clips: Clips, trap: Trap) -> bytes:
    """FFmpeg decodes text too: this is how a file that was read became a picture (CVE-2016-1897)."""
    return edited(clips.index_last, SAMPLES, lambda content: content.replace(b"avc1", b"ANSI"))


@ENTRIES.taken
def a_million_pictures_a_second(clips: Clips, trap: Trap) -> bytes:
    return edited(
        clips.index_last, "moov/trak/mdia/mdhd", overwritten(12, (10 * 512 * 1_000_000).to_bytes(5, "big")[1:])
    )


@ENTRIES.taken
def pictures_an_hour_apart(clips: Clips, trap: Trap) -> bytes:
    """0, 1 ms, 2 ms, then an hour of nothing."""
    late = "setpts='if(lt(N,5),N*0.001,3600+N)/TB'"
    return clips.made("sparse.mp4", *PICTURE, "-vf", late, *H264, "-fps_mode", "passthrough", seconds=4000)


@ENTRIES.taken
def eleven_hours_of_a_picture_a_minute(clips: Clips, trap: Trap) -> bytes:
    slow = ("-f", "lavfi", "-i", "color=black:size=160x90:rate=1/60")
    return clips.made("slow.mp4", *slow, *H264, seconds=11 * 3600)


@ENTRIES.refused(TOO_LONG)
def thirteen_hours(clips: Clips, trap: Trap) -> bytes:
    slow = ("-f", "lavfi", "-i", "color=black:size=160x90:rate=1/600")
    return clips.made("slower.mkv", *slow, *H264, seconds=13 * 3600)


@ENTRIES.taken
def pictures_that_grow(clips: Clips, trap: Trap) -> bytes:
    """Another size from the second second on."""
    return clips.container("ts") + clips.made("large.ts", *PICTURE, "-s", "640x360", *H264)


@ENTRIES.taken
def a_single_picture(clips: Clips, trap: Trap) -> bytes:
    return clips.made("single.mp4", *PICTURE, "-frames:v", "1", *H264)


@ENTRIES.refused(NO_PICTURE)
def samples_without_pictures(clips: Clips, trap: Trap) -> bytes:
    """Each of them is empty of slices: an access unit delimiter, and filler."""
    return edited_media(clips.index_last, b"\0\0\0\x02\x09\xf0")


def edited_media(whole: bytes, unit: bytes) -> bytes:
    return b"".join(
        box(kind, (unit * (len(inside) // len(unit))).ljust(len(inside), b"\0") if kind == b"mdat" else inside)
        for kind, inside in parts(whole)
    )


@ENTRIES.taken
def pictures_that_grow_beyond_all_bounds(clips: Clips, trap: Trap) -> bytes:
    """160 x 90 for a second, then 16384 x 8192 by the parameters in the stream."""
    small = clips.made("small.h264", *PICTURE, *H264)
    large = b"".join(b"\0\0\0\x01" + unit for unit in (parameters_of(16384, 8192), PICTURE_PARAMETERS))
    grown = clips.folder / "grown.h264"
    grown.write_bytes(small + large + small[small.index(b"\0\0\x01\x65") :])
    even = ("-c", "copy", "-bsf:v", "setts=pts=N/10/TB:dts=N/10/TB")
    return clips.made("grown.ts", "-f", "h264", "-framerate", "10", "-i", str(grown), *even, seconds=4)
