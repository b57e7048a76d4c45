"""What ffmpeg is told. Names are ours alone; nothing a user wrote gets here."""

import os
from fractions import Fraction
from pathlib import Path

from cloud_service.media import limits
from cloud_service.media.containers import DEMUXERS, MP4
from cloud_service.processing.ladder import END_S, FEWEST_FOR_REORDERING, Target, size_within
from cloud_service.processing.source import SEGMENT_S, Picture, Sound, Source
from cloud_service.processing.storyboard import Sheet

PRESET = "veryfast"
MOST_THREADS = 8
POSTER_LINES = 720
POSTER_FROM_S = 20
POSTER_FRAMES = 24
NOT_BLACK = "blackframe=amount=0:threshold=40,metadata=mode=select:key=lavfi.blackframe.pblack:value=98:function=less"
"""Lets through frames with at least some 2 % of their pixels not black."""
ALLOWANCE_S = 10
"""How much longer than its source a rendition may become before it is cut: timestamps can be made to leap."""
GAP_S = 0.03
"""Sound that is missing for longer is filled up with silence; 40 ms would be seen on lips."""
JPEG = ("-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p", "-frames:v", "1", "-f", "mjpeg")
WHITE_NITS = 203
"""How bright white is that is no light itself (ITU-R BT.2408): it stays white, and what is brighter gets less so."""
HIGHER = {
    colours: (
        f"format=yuv420p10le,zscale=tin={transfer}:min=bt2020nc:pin=bt2020:rin=tv:t=linear:npl={WHITE_NITS}",
        "format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p",
        "sidedata=mode=delete",
    )
    for colours, transfer in (("pq", "smpte2084"), ("hlg", "arib-std-b67"))
}
WHATEVER_IS_LEFT = ("-max_error_rate", "1")
"""Of a film that is damaged; a still is what can be seen of it, a rendition that is mostly holes would be none."""
FRAGMENTED = ("-movflags", "+frag_keyframe+delay_moov+default_base_moof+global_sidx", "-f", "mp4")
"""With `delay_moov` rather than `empty_moov` there are edit lists: picture and sound begin at the same moment."""


def rendition(original: Path, source: Source, target: Target, output: Path) -> list[str]:
    """Fragments begin with a keyframe on each multiple of a segment's length, the same in every rendition."""
    picture, sound = source.picture, source.sound
    return [
        *_input(original, source),
        *("-map", f"0:{picture.index}", *(("-map", f"0:{sound.index}") if sound else ())),
        *(("-c:v", "copy") if target.copies_picture else _picture(source, target)),
        *(("-c:a", "copy") if target.copies_sound else _sound(source, sound, target) if sound else ()),
        *("-max_muxing_queue_size", "9999", "-t", f"{source.duration_s + ALLOWANCE_S:.3f}"),
        *_WITHOUT_REST,
        *FRAGMENTED,
        f"file:{output}",
    ]


def poster(original: Path, source: Source, at_s: float, output: Path, *, any_frame: bool) -> list[str]:
    """The most typical of some frames that are not black, if `any_frame` the first. There may be none: no file."""
    picture = source.picture
    width, height = size_within(POSTER_LINES, picture.width, picture.height)
    choose = () if any_frame else (NOT_BLACK, f"thumbnail=n={POSTER_FRAMES}")
    return [
        *WHATEVER_IS_LEFT,
        *("-ss", f"{at_s:.3f}", "-t", str(POSTER_FROM_S)),
        *_input(original, source),
        *("-map", f"0:{picture.index}", "-vf", ",".join([*_still(picture, width, height), *choose])),
        *_WITHOUT_REST,
        *JPEG,
        f"file:{output}",
    ]


def storyboard(original: Path, source: Source, sheet: Sheet, output: Path) -> list[str]:
    """Keyframes alone are decoded where there are enough of them: hours are a matter of seconds then."""
    picture = source.picture
    keys_alone = ("-skip_frame", "nokey") if picture.keyframes_within_s <= sheet.every_s * 1.5 else ()
    chain = [
        *_still(picture, sheet.width, sheet.height),
        f"fps=1/{sheet.every_s}:start_time=0:round=up",  # what is shown when a tile's time begins
        f"tpad=stop=-1:stop_mode=clone,trim=end_frame={sheet.tiles}",
        f"tile={sheet.columns}x{sheet.rows}",
    ]
    return [
        *WHATEVER_IS_LEFT,
        *keys_alone,
        *_input(original, source),
        *("-map", f"0:{picture.index}", "-vf", ",".join(chain)),
        *_WITHOUT_REST,
        *JPEG,
        f"file:{output}",
    ]


def watching(video: Path, *, at_most_damaged: float | None = None) -> list[str]:
    """Decodes the picture of what was made, and fails where any of it is damaged, or more than that share."""
    strictly = ("-xerror",) if at_most_damaged is None else ("-err_detect", "explode", "-max_error_rate")
    share = () if at_most_damaged is None else (f"{at_most_damaged}",)
    return [
        *(*strictly, *share, "-protocol_whitelist", "file", "-format_whitelist", DEMUXERS[MP4]),
        *("-codec_whitelist", limits.DECODERS, "-threads", str(threads() if at_most_damaged is None else 1)),
        *("-i", f"file:{video}", "-map", "0:v", "-f", "null", "-"),
    ]


_WITHOUT_REST = ("-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn", "-fflags", "+bitexact")


def threads() -> int:
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


def _input(original: Path, source: Source) -> list[str]:
    """One format, one protocol, known decoders, pictures of bounded size.

    A call that is recorded changes its size as it goes. Filters made anew would begin at the first moment again, so
    scaling, which comes first, takes what comes; turning and deinterlacing could not.
    """
    steady = not (source.picture.turned or source.picture.interlaced)
    return [
        *(("-reinit_filter:v", "0") if steady else ()),
        *("-protocol_whitelist", "file", "-format_whitelist", DEMUXERS[source.media_type]),
        *("-codec_whitelist", limits.DECODERS),
        *("-max_pixels", str(limits.PIXELS), "-threads", str(threads()), "-i", f"file:{original}"),
    ]


def _picture(source: Source, target: Target) -> list[str]:
    picture, rate = source.picture, target.frame_rate
    chain = ["bwdif=mode=send_frame:deint=interlaced"] if picture.interlaced else []
    chain += [*_still(picture, target.width, target.height), f"fps={rate}:start_time=0"]
    if (missing_s := source.duration_s - picture.ends_s) > END_S:
        chain.append(f"tpad=stop_mode=clone:stop_duration={missing_s:.3f}")
    return [
        *("-vf", ",".join(chain), "-c:v", "libx264", "-preset", PRESET, "-profile:v", "high", "-pix_fmt", "yuv420p"),
        *("-crf", str(target.rung.crf), "-maxrate", str(target.maxrate), "-bufsize", str(2 * target.maxrate)),
        *("-g", str(_frames_of_a_segment(rate) + 1), "-sc_threshold", "0", "-threads", str(threads())),
        *(("-bf", "0") if rate < FEWEST_FOR_REORDERING else ()),
        *("-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_S}-0.001)"),
    ]


def _frames_of_a_segment(rate: Fraction) -> int:
    return -(-SEGMENT_S * rate.numerator // rate.denominator)


def _still(picture: Picture, width: int, height: int) -> list[str]:
    """Scaled, in square pixels, 8 bits and the colours of ordinary screens.

    What does not say how its colours are coded is said to be what players take it for: the picture may get smaller
    than the size they go by.
    """
    if picture.colours in HIGHER:
        return [f"scale={width}:{height}:flags=bicubic:out_range=tv", "setsar=1", *HIGHER[picture.colours]]
    guessed = "bt709" if min(picture.width, picture.height) >= 720 else "smpte170m"
    before = [f"setparams=colorspace={guessed}"] if picture.colours == "unsaid" else []
    matrix = ":out_color_matrix=bt709" if picture.colours == "rgb" else ""
    return [*before, f"scale={width}:{height}:flags=bicubic:out_range=tv{matrix}", "setsar=1", "format=yuv420p"]


def _sound(source: Source, sound: Sound, target: Target) -> list[str]:
    """At most two channels, as long as the picture, without gaps."""
    from_start = ":first_pts=0" if sound.starts_s > 0.001 else ""
    chain = [f"aresample=async=1:min_hard_comp={GAP_S}{from_start}"]
    if source.duration_s - sound.ends_s > END_S:
        chain.append(f"apad=whole_dur={source.duration_s:.3f}")
    sample_rate = 44_100 if sound.sample_rate % 11_025 == 0 else 48_000
    channels = min(2, sound.channels)
    bitrate = target.rung.audio_bitrate if channels == 2 else target.rung.audio_bitrate * 2 // 3
    return [
        *("-af", ",".join(chain), "-c:a", "aac", "-b:a", str(bitrate)),
        *("-ac", str(channels), "-ar", str(sample_rate)),
    ]
