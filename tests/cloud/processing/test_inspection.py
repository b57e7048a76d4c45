"""What is found in originals of every kind, and why some are refused."""

import itertools
import os
import struct
import time
from fractions import Fraction
from pathlib import Path

import pytest

from cloud_service.processing import inspection
from cloud_service.processing.source import CannotProcess
from tests.clips import COVER
from tests.cloud.processing.studio import QUICK, Studio, Video, looked_into, pattern, tone

NTSC = Fraction(30_000, 1001)


CODECS = {
    "a.mp4": (*QUICK, "-c:a", "aac"),
    "a.mov": ("-c:v", "prores", "-c:a", "pcm_s16le"),
    "a.mkv": ("-c:v", "ffv1", "-c:a", "flac"),
    "a.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
    "a.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "a.ts": (*QUICK, "-c:a", "aac"),
}


def by_container(studio: Studio, name: str) -> Video:
    return studio.video(name, *pattern(), *tone(), *CODECS[name])


@pytest.mark.parametrize("name", CODECS)
def test_every_container_tells_size_rate_and_length(studio: Studio, name: str) -> None:
    source = by_container(studio, name).source
    assert (source.picture.width, source.picture.height, float(source.picture.frame_rate)) == (160, 90, 25)
    assert source.duration_s == pytest.approx(2, abs=0.1)
    assert source.sound
    assert (source.sound.channels, source.sound.sample_rate) == (1, 48_000)


def test_a_film_without_sound_has_none(studio: Studio) -> None:
    assert studio.video("silent.mp4", *pattern(), *QUICK).source.sound is None


def test_a_picture_that_lies_on_its_side_is_measured_upright(studio: Studio) -> None:
    lying = studio.video("flat.mp4", *pattern(), *QUICK).original
    turned = studio.video("turned.mp4", "-display_rotation", "90", "-i", str(lying), "-c", "copy")
    assert (turned.source.picture.width, turned.source.picture.height) == (90, 160)


def test_pixels_that_are_not_square_are_counted_as_they_are_shown(studio: Studio) -> None:
    television = studio.video(
        "pal.ts", *pattern(720, 576, seconds=0.4), "-vf", "setsar=64/45", "-c:v", "mpeg2video", "-q:v", "8"
    )
    assert (television.source.picture.width, television.source.picture.height) == (1024, 576)


def test_a_picture_of_two_half_pictures_is_known(studio: Studio) -> None:
    fields = ("-vf", "tinterlace=interleave_top", "-flags", "+ildct+ilme", "-c:v", "mpeg2video", "-q:v", "4")
    assert studio.video("fields.ts", *pattern(720, 576, "50", 0.4), *fields).source.picture.interlaced


def test_a_cover_is_not_the_picture(studio: Studio) -> None:
    covered = studio.video(
        "covered.mp4",
        *(*COVER, *pattern(), "-map", "0:v", "-map", "1:v", "-c:v:0", "mjpeg", "-pix_fmt:v:0", "yuvj420p"),
        *("-frames:v:0", "1", "-disposition:v:0", "attached_pic", "-c:v:1", "libx264", "-pix_fmt:v:1", "yuv420p"),
    )
    assert covered.source.picture.width == 160


@pytest.mark.parametrize(
    ("name", "rate", "expected"),
    [
        ("r1.mp4", "30000/1001", NTSC),
        ("r2.webm", "30000/1001", NTSC),
        ("r3.mkv", "24000/1001", Fraction(24_000, 1001)),
        ("r4.mp4", "120", Fraction(60)),
        ("r5.mp4", "12.5", Fraction(25, 2)),
        ("r6.mp4", "1/2", Fraction(5)),
    ],
)
def test_frames_come_as_often_as_in_the_source_but_within_reason(
    studio: Studio, name: str, rate: str, expected: Fraction
) -> None:
    codec = ("-c:v", "libvpx", "-deadline", "realtime") if name.endswith("webm") else QUICK
    assert studio.video(name, *pattern(rate=rate, seconds=4), *codec).source.picture.frame_rate == expected


def test_frames_that_come_unevenly_get_the_usual_rate_that_is_nearest(studio: Studio) -> None:
    source = studio.uneven().source
    assert source.picture.frame_rate == 30
    assert not source.picture.as_it_is


def test_length_is_counted_where_the_header_lies(studio: Studio, tmp_path: Path) -> None:
    honest = by_container(studio, "a.mkv")
    content = bytearray(honest.original.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3  # Duration, a float of 8 bytes, in milliseconds
    content[at : at + 8] = struct.pack(">d", 3_600_000.0)
    (tmp_path / "liar.mkv").write_bytes(content)
    assert looked_into(tmp_path / "liar.mkv").duration_s == pytest.approx(honest.source.duration_s, abs=0.001)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0)])
def test_a_transport_stream_that_leaps_in_time_is_as_long_as_what_it_shows(
    studio: Studio, tmp_path: Path, order: tuple[int, int]
) -> None:
    early = by_container(studio, "a.ts").original
    late = studio.video("late.ts", "-i", str(early), "-c", "copy", "-output_ts_offset", "5000").original
    parts = [early.read_bytes(), late.read_bytes()]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts[part] for part in order))
    assert looked_into(tmp_path / "joined.ts").duration_s == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.ts"])
def test_of_a_film_too_long_to_count_through_the_end_is_looked_for(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    media_type, original = by_container(studio, name).source.media_type, by_container(studio, name).original
    monkeypatch.setattr(inspection, "READ_S", 0)
    source = inspection.look(str(original), media_type)
    assert source.duration_s == pytest.approx(2, abs=0.25)
    assert not source.picture.as_it_is


def test_what_was_not_read_of_a_long_film_is_no_gap_in_it(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a second goes by with each packet: 100 from its beginning are read, and 20 from its end."""
    usual = (*QUICK, "-g", "10", "-sc_threshold", "0")
    film = studio.video("long-read.mp4", *pattern(rate="12.5", seconds=20), *usual)
    monkeypatch.setattr(inspection, "READ_S", 100)
    monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
    picture = inspection.look(str(film.original), "video/mp4").picture
    assert picture.ends_s == pytest.approx(20, abs=0.1)
    assert picture.frame_rate == Fraction(25, 2)
    assert picture.keyframes_within_s == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(("name", "plays"), [("a.mp4", True), ("a.webm", True), ("a.mov", False), ("a.ts", False)])
def test_whether_browsers_play_it_is_found_too(studio: Studio, name: str, plays: bool) -> None:
    assert by_container(studio, name).source.plays == plays


def test_what_can_be_taken_as_it_is_is_known(studio: Studio) -> None:
    source = studio.fitting().source
    assert source.sound
    assert (source.picture.as_it_is, source.sound.as_it_is) == (True, True)


@pytest.mark.parametrize(
    "change",
    [
        ("-g", "250"),  # no keyframe where the second segment begins
        ("-x264-params", "open-gop=1", "-g", "50", "-bf", "2"),
        ("-pix_fmt", "yuv444p"),
        ("-display_rotation", "90"),
        ("-aspect", "4:3"),
        ("-c:v", "mpeg4", "-g", "25"),
    ],
)
def test_what_cannot_be_taken_as_it_is_is_known(studio: Studio, change: tuple[str, ...]) -> None:
    base = (*QUICK, "-g", "50", "-sc_threshold", "0")
    if change[0] == "-display_rotation":
        upright = studio.video("upright.mp4", *pattern(seconds=6), *base)
        assert upright.source.picture.as_it_is
        source = studio.video("lying.mp4", *change, "-i", str(upright.original), "-c", "copy").source
    else:
        source = studio.video(
            f"unfit{change[0]}.mp4", *pattern(seconds=6), *base, "-preset", "veryfast", *change
        ).source
    assert not source.picture.as_it_is


def refusal(path: Path) -> str:
    with pytest.raises(CannotProcess) as refused:
        looked_into(path)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("sound.mp4", (*tone(), "-c:a", "aac"), "has sound but no picture"),
        ("wide.avi", (*pattern(8208, 16, seconds=0.04), "-c:v", "rawvideo"), "8208 x 16 pixels; at most"),
        ("long.mp4", (*pattern(rate="1/500", seconds=44_000), *QUICK), "longer than the 12 hours"),
        ("odd.avi", (*pattern(), "-c:v", "zmbv"), "picture is in a format that cannot"),
        ("noise.mkv", (*pattern(), *tone(), *QUICK, "-c:a", "tta"), "sound is in a format that cannot"),
    ],
)
def test_what_cannot_be_shown_is_refused_for_a_reason(
    studio: Studio, name: str, arguments: tuple[str, ...], reason: str
) -> None:
    assert reason in refusal(studio.video(name, *arguments).original)


def test_a_playlist_that_says_it_is_a_film_is_not_followed(studio: Studio, tmp_path: Path) -> None:
    film = by_container(studio, "a.ts").original
    listed = f"\n#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{film}\n#EXT-X-ENDLIST\n".encode()
    for number, head in enumerate((b"\0\0\0\x18ftypmp42", b"RIFF\0\0\0\0AVI ", b"\x1a\x45\xdf\xa3webm")):
        disguised = tmp_path / f"film-{number}.mp4"
        disguised.write_bytes(head + listed)
        assert refusal(disguised)


def test_rubbish_within_a_film_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "rubbish.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + os.urandom(50_000))
    assert refusal(tmp_path / "rubbish.mp4")
