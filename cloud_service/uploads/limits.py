"""What is taken as a video: the numbers that looking into a file and processing it agree on.

Decoders have faults, and the more of them a file may ask for, the more can be found: FFmpeg has some five hundred,
cameras, telephones and editors write these.
"""

MAX_DURATION_S = 12 * 3600
MIN_SIDE, MAX_SIDE = 16, 8192
MAX_PIXELS = 36_000_000
MAX_STREAMS = 64

_PICTURE = (
    "h264 hevc av1 vp8 vp9 mpeg1video mpeg2video mpeg4 msmpeg4v2 msmpeg4v3 h263 mjpeg prores dnxhd dvvideo theora"
    " vc1 wmv3 ffv1 rawvideo qtrle png cfhd"
)
_SOUND = (
    "aac mp3 opus vorbis ac3 eac3 flac alac mp2 amr_nb amr_wb wmav2 dts adpcm_ms adpcm_ima_wav adpcm_ima_qt pcm_u8"
    " pcm_s8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_alaw pcm_mulaw"
)
_DECODERS_OF_OTHER_NAMES = "libdav1d libvpx libvpx-vp9 msmpeg4 mp3float dca amrnb amrwb libopus libvorbis"

PICTURE_CODECS, SOUND_CODECS = frozenset(_PICTURE.split()), frozenset(_SOUND.split())
"""By FFmpeg's names of the codecs."""
DECODERS = f"{_PICTURE} {_SOUND} {_DECODERS_OF_OTHER_NAMES}".replace(" ", ",")
"""For FFmpeg's option `codec_whitelist`."""
