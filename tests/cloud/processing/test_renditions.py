"""What is made of originals of every kind: size, rate, length, quality, and that sound and picture keep together."""

import os
import resource
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import av
import pytest

from cloud_service.processing.ffmpeg import FfmpegFailed, Starved
from cloud_service.processing.source import CannotProcess
from tests.cloud.processing.measuring import (
    IN_SYNC_S,
    beeps,
    corrupt,
    flashes,
    heard_at,
    lumas,
    packet_hashes,
    pictures,
    shown_at,
    ssim,
)
from tests.cloud.processing.studio import QUICK, Studio, Video, carried_out, looked_into, pattern, tone
from tests.processes import stopped_in

EVENT = "between(mod(t,3),1,1.3)"
FLASHES = ("-f", "lavfi", "-i", f"color=black:size=160x90:rate=25:duration=7,drawbox=c=white:t=fill:enable='{EVENT}'")
BEEPS = ("-f", "lavfi", "-i", f"aevalsrc='if({EVENT},sin(2*PI*1000*t),0)':s=48000:d=7")
FRAME_S = 0.2
"""Of the feature."""
TOO_LITTLE_TO_WATCH = 200 * 2**20
"""Enough bytes for ffmpeg itself, and not for what decodes."""


def streams(file: Path) -> tuple[str, ...]:
    with av.open(str(file), "r") as container:
        return tuple(stream.type for stream in container.streams)


# --- quality ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd", "hd", "full_hd"])
def test_a_rendition_looks_like_its_source(studio: Studio, name: str) -> None:
    feature = studio.feature()
    assert ssim(feature.original, feature.file(name), feature.rendition(name)) >= 0.95


def test_a_rendition_of_fine_detail_looks_like_its_source(studio: Studio) -> None:
    fractal = studio.video(
        "fractal.mp4",
        *("-f", "lavfi", "-i", "mandelbrot=size=854x480:rate=10:start_scale=0.3", "-t", "3"),
        *(*QUICK, "-crf", "10"),
    )
    assert ssim(fractal.original, fractal.file("sd"), fractal.rendition("sd")) >= 0.95


def test_every_rendition_has_its_keyframes_at_the_same_moments(studio: Studio) -> None:
    feature = studio.feature()
    keyframes = {name: shown_at(feature.file(name), keyframes_only=True) for name in ("sd", "hd", "full_hd")}
    assert keyframes["sd"] == keyframes["hd"] == keyframes["full_hd"] == pytest.approx([0, 4, 8], abs=FRAME_S / 2)


@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001", "12.5", "60"])
def test_segments_last_four_seconds_whatever_the_frame_rate(studio: Studio, rate: str) -> None:
    video = studio.video(f"rate-{rate.replace('/', '-')}.mp4", *pattern(rate=rate, seconds=13), *QUICK)
    frame_s = 1 / float(video.source.picture.frame_rate)
    keyframes = shown_at(video.file("sd"), keyframes_only=True)
    assert len(keyframes) == 4
    assert all(4 * number <= at + 0.002 < 4 * number + frame_s for number, at in enumerate(keyframes))


# --- sources of every kind --------------------------------------------------------------------------------

TEN_BITS = ("-pix_fmt", "yuv420p10le", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "14")
SOURCES = {
    "odd.mkv": (*pattern(161, 91), "-c:v", "ffv1"),
    "ten-bits.mp4": (*pattern(320, 180), *TEN_BITS),
    "full-colour.mov": (*pattern(320, 180), "-pix_fmt", "rgb24", "-c:v", "qtrle"),
    "portrait.webm": (*pattern(90, 160), "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "2M"),
    "wide-pixels.ts": (*pattern(182, 144), "-vf", "setsar=64/45", "-c:v", "mpeg2video", "-q:v", "2"),
    "many-frames.avi": (*pattern(rate="120"), "-c:v", "mpeg4", "-q:v", "2"),
    "one-frame.mp4": (*pattern(), "-frames:v", "1", *QUICK),
}


@pytest.mark.parametrize("name", SOURCES)
def test_any_source_becomes_a_rendition_like_it(studio: Studio, name: str) -> None:
    video = studio.video(name, *SOURCES[name])
    made = video.rendition("sd")
    with av.open(str(video.file("sd"))) as container:
        frames = list(container.decode(video=0))
        ratio = container.streams.video[0].sample_aspect_ratio
    (frame, *_) = frames
    assert (frame.width, frame.height, frame.format.name) == (made.width, made.height, "yuv420p")
    assert (made.width % 2, made.height % 2) == (0, 0)
    assert ratio in (None, 1)
    assert len(frames) == pytest.approx(video.source.duration_s * made.frame_rate, abs=2)
    assert ssim(video.original, video.file("sd"), made) >= 0.95


def test_a_picture_that_lies_on_its_side_is_turned_upright(studio: Studio) -> None:
    """White above, black below: turned by a quarter to the right, the white is on the right."""
    halves = ("-f", "lavfi", "-i", "color=black:size=160x90:rate=25:duration=1,drawbox=c=white:t=fill:h=45")
    lying = studio.video("halves.mp4", *halves, *QUICK).original
    turned = studio.video("turned-halves.mp4", "-display_rotation", "-90", "-i", str(lying), "-c", "copy")
    with av.open(str(turned.file("sd"))) as container:
        frame = next(container.decode(video=0))
    row = bytes(frame.planes[0])[:90]
    assert (frame.width, frame.height, frame.rotation) == (90, 160, 0)
    assert (row[10] < 50, row[80] > 200) == (True, True)


def test_frames_that_came_unevenly_come_evenly(studio: Studio) -> None:
    uneven = studio.uneven()
    times = shown_at(uneven.file("sd"))
    assert {round((after - before) * 30, 1) for before, after in pairwise(times)} == {1.0}
    assert times[-1] == pytest.approx(uneven.source.duration_s, abs=0.1)


@pytest.mark.parametrize(("name", "transfer"), [("pq.mp4", "smpte2084"), ("hlg.mp4", "arib-std-b67")])
def test_a_picture_brighter_than_screens_is_brought_down_to_what_they_show(
    studio: Studio, name: str, transfer: str
) -> None:
    """White is white, and what is brighter can still be told from it."""
    video = studio.high(name, transfer)
    with av.open(str(video.file("sd"))) as container:
        frame = next(container.decode(video=0))
    assert (frame.format.name, frame.color_trc, frame.color_primaries, frame.colorspace) == ("yuv420p", 1, 1, 1)
    assert not any(box in video.file("sd").read_bytes() for box in (b"mdcv", b"clli"))
    bars = [(40 * bar + 10, 10, 20, 60) for bar in range(4)]
    for picture in (video.file("sd"), video.file("poster"), video.file("storyboard")):
        dark, grey, white, light = lumas(picture, *bars)
        assert dark == pytest.approx(16, abs=4)
        assert grey == pytest.approx(109, abs=8)
        assert white == pytest.approx(201, abs=8)
        assert white + 12 < light <= 236


# --- sound ------------------------------------------------------------------------------------------------

SOUNDS = {
    "mono.mp4": (*tone(), "-c:a", "aac", "-ac", "1"),
    "stereo.webm": (*tone(), "-c:a", "libopus", "-ac", "2"),
    "surround.mkv": (*tone(), "-c:a", "ac3", "-ac", "6"),
    "disc.avi": (*tone(rate=44_100), "-c:a", "pcm_s16le", "-ac", "2"),
    "phone.mov": (*tone(rate=8_000), "-c:a", "pcm_mulaw"),
}
AS_MADE = {
    "mono.mp4": (1, 48_000),
    "stereo.webm": (2, 48_000),
    "surround.mkv": (2, 48_000),
    "disc.avi": (2, 44_100),
    "phone.mov": (1, 48_000),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_becomes_what_every_player_plays(studio: Studio, name: str) -> None:
    codec = ("-c:v", "libvpx", "-deadline", "realtime") if name.endswith("webm") else ("-c:v", "mpeg4")
    video = studio.video(name, *pattern(), *SOUNDS[name], *codec)
    with av.open(str(video.file("sd"))) as container:
        (sound,) = container.streams.audio
        assert (sound.channels, sound.rate) == AS_MADE[name]
        assert (sound.codec_context.name, sound.profile) == ("aac", "LC")


def test_missing_sound_stays_missing(studio: Studio) -> None:
    silent = studio.video("silent.mp4", *pattern(), *QUICK)
    assert streams(silent.file("sd")) == ("video",)
    assert silent.rendition("sd").codecs.startswith("avc1.")
    assert "," not in silent.rendition("sd").codecs


def test_nothing_but_picture_and_sound_is_taken_over(studio: Studio, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    full = studio.video(
        "full.mkv",
        *(*pattern(), *tone(), "-i", str(words), "-map", "0", "-map", "1", "-map", "1", "-map", "2"),
        *(*QUICK, "-c:a", "aac", "-metadata", "title=$(secret)", "-metadata", "comment=secret"),
    )
    assert streams(full.file("sd")) == ("video", "audio")
    assert b"secret" not in full.file("sd").read_bytes()


def clapped(studio: Studio, name: str) -> Video:
    """Flashes and beeps at 1 and 4 seconds; sound that starts late or has a gap has them where they belong."""
    if name == "late.mkv":
        late = ("-itsoffset", "0.48", *BEEPS[:-1], BEEPS[-1].replace("(t,", "(t+0.48,"))
        return studio.video(name, *FLASHES, *late, *QUICK, "-c:a", "libmp3lame", "-t", "6")
    if name == "gap.mkv":
        gap = ("-af", "aselect='not(between(t,2,3))'", "-c:a", "pcm_s16le")
        return studio.video(name, *FLASHES, *BEEPS, *gap, *QUICK)
    if name == "early.ts":  # the picture starts late
        late_picture = ("-itsoffset", "0.48", *FLASHES[:-1], FLASHES[-1].replace("(t,", "(t+0.48,"))
        return studio.video(name, *late_picture, *BEEPS, *QUICK, "-c:a", "aac", "-t", "6")
    codecs = ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus") if "webm" in name else (*QUICK, "-g", "100")
    return studio.video(name, *FLASHES, *BEEPS, *codecs, *(("-c:a", "mp2") if name == "a2.ts" else ()))


CLAPPED = ["clap.mp4", "clap.webm", "a2.ts", "late.mkv", "gap.mkv", "early.ts"]


@pytest.mark.parametrize("name", CLAPPED)
def test_sound_and_picture_keep_together(studio: Studio, name: str) -> None:
    video = clapped(studio, name)
    seen, heard = flashes(video.file("sd")), beeps(video.file("sd"))
    assert seen == pytest.approx([1, 4], abs=0.1)
    assert heard == pytest.approx(seen, abs=IN_SYNC_S)


@pytest.mark.parametrize("name", CLAPPED)
def test_sound_and_picture_begin_at_once_and_leave_nothing_out(studio: Studio, name: str) -> None:
    """Players take a gap for the end of what they have."""
    file = clapped(studio, name).file("sd")
    pictures, (first, *sounds) = shown_at(file), heard_at(file)
    assert pictures[0] == 0
    assert first[0] == pytest.approx(0, abs=0.022)  # before 0 is what the encoder needs to begin, and nobody hears
    assert {round((after - before) * 25, 1) for before, after in pairwise(pictures)} == {1.0}
    ends = first[1]
    for starts, next_ends in sounds:
        assert starts == pytest.approx(ends, abs=0.001)
        ends = next_ends


def test_a_recorded_call_that_changes_its_size_and_sound_goes_on(studio: Studio, tmp_path: Path) -> None:
    small = clapped(studio, "a2.ts").original
    larger = ("-vf", "scale=320:180", "-ac", "2", "-ar", "44100", "-output_ts_offset", "7")
    large = studio.video("larger.ts", "-i", str(small), *larger, *QUICK, "-c:a", "mp2").original
    (tmp_path / "call.ts").write_bytes(small.read_bytes() + large.read_bytes())
    call = Video(tmp_path / "call.ts")
    seen, heard = flashes(call.file("sd")), beeps(call.file("sd"))
    assert seen == pytest.approx([1, 4, 8, 11], abs=0.1)
    assert heard == pytest.approx(seen, abs=IN_SYNC_S)
    tiles = [(tile * 160, 0, 160, 90) for tile in range(7)]
    assert [luma > 100 for luma in lumas(call.file("storyboard"), *tiles)] == [
        False,
        False,
        True,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("picture_s", "sound_s"), [(2, 5), (5, 2)])
def test_picture_and_sound_end_together(studio: Studio, picture_s: int, sound_s: int) -> None:
    """A player would stop where one of them ends."""
    video = studio.video(f"{picture_s}.mp4", *pattern(seconds=picture_s), *tone(sound_s), *QUICK, "-c:a", "aac")
    with av.open(str(video.file("sd"))) as container:
        ends = [float((stream.duration or 0) * (stream.time_base or 0)) for stream in container.streams]
    assert ends == pytest.approx([5, 5], abs=0.1)


# --- taken as it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_a_source_that_fits_is_not_encoded_again(studio: Studio, container: str) -> None:
    fitting = studio.fitting()
    if container != "mp4":
        fitting = studio.video(f"fitting.{container}", "-i", str(fitting.original), "-c", "copy")
    for stream in ("v", "a"):
        assert packet_hashes(fitting.file("sd"), stream) == packet_hashes(fitting.original, stream)
    assert shown_at(fitting.file("sd")) == pytest.approx(shown_at(fitting.original), abs=0.001)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_sound_and_picture_keep_together_when_they_are_taken_as_they_are(studio: Studio, container: str) -> None:
    video = clapped(studio, "clap.mp4")
    if container != "mp4":
        video = studio.video(f"same-clap.{container}", "-i", str(video.original), "-c", "copy")
    target = video.steps["sd"].target
    assert target
    assert (target.copies_picture, target.copies_sound) == (True, True)
    assert flashes(video.file("sd")) == pytest.approx([1, 4], abs=0.001)
    assert beeps(video.file("sd")) == pytest.approx([1, 4], abs=0.003)


def test_a_source_that_fits_but_for_some_damage_is_encoded_again(studio: Studio) -> None:
    """Players may end at what a decoder only complains about."""
    damaged = studio.damaged("scratched.mp4", 0.1)
    target = damaged.steps["sd"].target
    assert target
    assert target.copies_picture
    made = damaged.file("sd").read_bytes()
    assert pictures(made) == 270
    assert corrupt(damaged.file("sd")) == 0 < corrupt(damaged.original)
    assert list(damaged.folder.glob("*.mp4")) == [damaged.file("sd")]


def test_a_source_that_fits_and_is_mostly_damaged_is_no_video(studio: Studio) -> None:
    damaged = studio.damaged("ruined.mp4", 0.9)
    with pytest.raises(CannotProcess, match="damaged: most of its picture"):
        damaged.file("sd")
    assert list(damaged.folder.iterdir()) == []


def test_a_source_that_could_not_be_watched_for_want_of_memory_is_not_taken_for_damaged(
    studio: Studio, tmp_path: Path
) -> None:
    fitting = studio.fitting_minute()

    def leave_little_to_whoever_watches() -> None:
        pid = stopped_in(os.getpid(), "ffmpeg", "-xerror", 60)
        resource.prlimit(pid, resource.RLIMIT_AS, (TOO_LITTLE_TO_WATCH, TOO_LITTLE_TO_WATCH))
        os.kill(pid, signal.SIGCONT)

    with ThreadPoolExecutor() as beside:
        leaving = beside.submit(leave_little_to_whoever_watches)
        with pytest.raises(Starved):
            carried_out(fitting.steps["sd"], fitting.source, fitting.original, tmp_path / "made", [])
        leaving.result()
    assert list((tmp_path / "made").iterdir()) == []


# --- what goes wrong --------------------------------------------------------------------------------------


def test_half_a_video_is_no_rendition(studio: Studio, tmp_path: Path) -> None:
    """FFmpeg ends well with what it could read: a disk went bad after the file had been looked into."""
    whole = studio.video("whole.mkv", *pattern(seconds=6), *tone(6), *QUICK, "-c:a", "aac")
    original = tmp_path / "original"
    shutil.copy(whole.original, original)
    source = looked_into(original)
    original.write_bytes(original.read_bytes()[: original.stat().st_size // 2])
    with pytest.raises(FfmpegFailed, match="only a part"):
        carried_out(whole.steps["sd"], source, original, tmp_path / "made", [])
    assert list((tmp_path / "made").iterdir()) == []


def test_progress_is_told_up_to_the_end(studio: Studio, tmp_path: Path) -> None:
    video = studio.feature()
    told: list[tuple[float, float]] = []
    carried_out(video.steps["sd"], video.source, video.original, tmp_path / "made", [], lambda *now: told.append(now))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)  # on a fast machine the end is all there is to tell
    assert shares[-1] == pytest.approx(1, abs=0.05)
    assert all(speed > 0 for share, speed in told if share > 0)
