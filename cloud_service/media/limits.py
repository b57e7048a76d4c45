"""What is taken as a video: looking into an upload and processing it go by the same numbers and names.

Decoders have faults, and the more of them a file may ask for, the more can be found: FFmpeg has some five hundred.
Cameras, telephones, editors and screen recorders write these.
"""

LONGEST_S = 12 * 3600
SIDE, SMALLEST_SIDE, PIXELS = 8192, 16, 36_000_000
"""Of the picture: pixels on a side, at most and at least, and in all."""
STREAMS = 64
DAMAGED = "The file is damaged, cut short, or not a video."

_PICTURE = (
    "h264 hevc av1 libdav1d vp8 vp9 libvpx libvpx-vp9 mpeg4 msmpeg4 msmpeg4v1 msmpeg4v2 mpeg1video mpeg2video mpegvideo"
    " h263 h263p mjpeg mjpegb prores dnxhd cfhd dvvideo wmv1 wmv2 wmv3 vc1 theora ffv1 ffvhuff huffyuv utvideo"
    " rawvideo v210 qtrle png svq3 tscc2"
)
_SOUND = (
    "aac aac_latm mp1 mp1float mp2 mp2float mp3 mp3float ac3 eac3 dca truehd mlp opus libopus vorbis libvorbis flac"
    " alac wavpack wmav1 wmav2 wmapro amrnb amrwb adpcm_ms adpcm_ima_wav adpcm_ima_qt s302m pcm_alaw pcm_mulaw pcm_u8"
    " pcm_s8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_f64le pcm_bluray"
    " pcm_dvd"
)
PICTURE_DECODERS, SOUND_DECODERS = frozenset(_PICTURE.split()), frozenset(_SOUND.split())
DECODERS = f"{_PICTURE} {_SOUND}".replace(" ", ",")
"""For FFmpeg's option `codec_whitelist`."""


class NotTaken(Exception):
    """The message says why, for a teacher to read."""


def check_size(width: int, height: int) -> None:
    """Of a picture, in pixels; 0 where a container does not say. Raises NotTaken."""
    small, large = sorted((width, height))
    if not width or not height:
        return
    if small < SMALLEST_SIDE:
        raise NotTaken(f"The picture is {width} x {height} pixels; at least {SMALLEST_SIDE} a side are needed.")
    if large > SIDE or width * height > PIXELS:
        megapixels = PIXELS // 1_000_000
        at_most = f"at most {SIDE} a side and {megapixels} million in all are taken"
        raise NotTaken(f"The picture is {width} x {height} pixels; {at_most}.")


def check_duration(seconds: float) -> None:
    """Raises NotTaken."""
    if seconds > LONGEST_S:
        raise NotTaken(f"The video lasts longer than the {LONGEST_S // 3600} hours that are taken.")
