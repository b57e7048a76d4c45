"""Which originals browsers play as they are, by what is in them: the others wait for their first rendition."""

from collections.abc import Iterator

import pytest

from tests.clips import H264, PICTURE, SOUND, Clips, ffmpeg
from tests.cloud.inspecting import Inspector

VP8, VP9 = ("-c:v", "libvpx", "-deadline", "realtime"), ("-c:v", "libvpx-vp9", "-deadline", "realtime")
AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8")
PLAYED = {
    "AAC.mp4": (*H264, "-c:a", "aac"),
    "MP3.mp4": (*H264, "-c:a", "libmp3lame"),
    "main profile.mp4": (*H264, "-preset", "medium", "-profile:v", "main"),
    "full range.mp4": (*H264, "-vf", "scale=out_range=pc", "-pix_fmt", "yuvj420p"),
    "fragmented.mp4": (*H264, "-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
    "AV1.mp4": (*AV1,),
    "VP8 Vorbis.webm": (*VP8, "-c:a", "libvorbis"),
    "VP9 Opus.webm": (*VP9, "-c:a", "libopus"),
    "AV1 Opus.webm": (*AV1, "-c:a", "libopus"),
    "recorded by a browser.webm": (*VP8, "-c:a", "libopus", "-live", "1"),
}
NOT_PLAYED = {
    "4-4-4.mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"),
    "10 bits.mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"),
    "level 6.mp4": (*H264, "-level", "6.2"),
    "HEVC.mp4": ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-pix_fmt", "yuv420p"),
    "MPEG-4.mp4": ("-c:v", "mpeg4"),
    "AC-3.mp4": (*H264, "-c:a", "ac3"),
    "ALAC.mp4": (*H264, "-c:a", "alac"),
    "QuickTime.mov": (*H264, "-c:a", "aac"),
    "Matroska.mkv": (*H264, "-c:a", "aac"),
    "Matroska VP9.mkv": (*VP9, "-c:a", "libopus"),
    "AVI.avi": (*H264, "-c:a", "libmp3lame"),
    "TS.ts": (*H264, "-c:a", "aac"),
    "VP9 4-4-4.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-pix_fmt", "yuv444p"),
}


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector() as inspector:
        yield inspector


@pytest.mark.parametrize("name", [*PLAYED, *NOT_PLAYED])
def test_browsers_play_it_or_not(name: str, clips: Clips, inspector: Inspector) -> None:
    clips.made(name, *PICTURE, *SOUND, *(PLAYED | NOT_PLAYED)[name])
    found = inspector.look(clips.folder / name)
    assert found["plays"] == (name in PLAYED)
    assert found["duration_s"] == pytest.approx(1, abs=0.2)
    assert (found["width"], found["height"]) == (160, 90)


def test_a_film_without_sound_and_with_its_index_last_is_played(clips: Clips, inspector: Inspector) -> None:
    assert clips.index_last
    assert inspector.look(clips.folder / "index-last.mp4")["plays"]


def test_a_film_on_its_side_is_played(clips: Clips, inspector: Inspector) -> None:
    """As telephones write it: browsers turn it upright."""
    assert clips.film
    turned = clips.folder / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", clips.folder / "film.mp4", "-c", "copy", turned)
    assert inspector.look(turned)["plays"]


def test_a_second_sound_that_browsers_cannot_play_is_one_too_many(clips: Clips, inspector: Inspector) -> None:
    two = ("-map", "0", "-map", "1", "-map", "1", "-c:a:0", "aac", "-c:a:1", "ac3")
    clips.made("two.mp4", *PICTURE, *SOUND, *two, *H264)
    assert not inspector.look(clips.folder / "two.mp4")["plays"]
