"""Poster and storyboard."""

import re
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_service.processing.storyboard import COLUMNS, MOST_TILES, cues, sheet_for
from tests.cloud.chance import UNHURRIED
from tests.cloud.processing.measuring import lumas
from tests.cloud.processing.studio import QUICK, Studio, Video, pattern

CUE = re.compile(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")
Cue = tuple[float, float, str, tuple[int, int, int, int]]


def read_cues(text: str) -> list[Cue]:
    header, *blocks = text.rstrip("\n").split("\n\n")
    assert header == "WEBVTT"
    read = []
    for block in blocks:
        cue = CUE.fullmatch(block)
        assert cue
        x, y, width, height = (int(cue[number]) for number in (4, 5, 6, 7))
        read.append((_seconds(cue[1]), _seconds(cue[2]), cue[3], (x, y, width, height)))
    return read


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    assert re.fullmatch(r"\d{2}:[0-5]\d:[0-5]\d\.\d{3}", clock)
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def size_of(picture: Path) -> tuple[int, int]:
    with av.open(str(picture), "r") as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height


def brightness(video: Video) -> float:
    width, height = size_of(video.file("poster"))
    return lumas(video.file("poster"), (0, 0, width, height))[0]


def brightening(seconds: float, rate: int) -> tuple[str, ...]:
    """Grey that gets brighter every second, from nearly black to nearly white."""
    lum = f"16+floor(t)*{200 / seconds}"
    grey = f"color=black:size=160x90:rate={rate}:duration={seconds},format=yuv420p,geq=lum='{lum}':cb=128:cr=128"
    return ("-f", "lavfi", "-i", grey.replace("t)", "T)"))


# --- the poster -------------------------------------------------------------------------------------------


def test_a_poster_is_not_black_where_the_film_begins_so(studio: Studio) -> None:
    dark = ("-vf", "fade=in:st=5:d=0.1:color=black")
    assert brightness(studio.video("dark-start.mp4", *pattern(seconds=9), *dark, *QUICK)) > 60


def test_a_poster_is_found_late_in_a_film_that_is_mostly_black(studio: Studio) -> None:
    dark = ("-vf", "drawbox=c=black:t=fill:enable='lt(t,27)'")
    assert brightness(studio.video("dark.mp4", *pattern(seconds=29, rate="5"), *dark, *QUICK)) > 60


def test_a_film_that_is_all_black_has_a_black_poster(studio: Studio) -> None:
    black = ("-f", "lavfi", "-i", "color=black:size=160x90:rate=25:duration=1")
    assert brightness(studio.video("black.mp4", *black, *QUICK)) < 20


def test_a_film_of_one_picture_has_it_as_its_poster(studio: Studio) -> None:
    one = studio.video("one-frame.mp4", *pattern(), "-frames:v", "1", *QUICK)
    assert size_of(one.file("poster")) == (160, 90)
    assert brightness(one) > 60


def test_a_poster_of_a_large_picture_is_not_as_large(studio: Studio) -> None:
    assert size_of(studio.feature().file("poster")) == (1280, 720)


# --- the storyboard ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "gop"), [("many-keys.mp4", "50"), ("few-keys.mp4", "9999")])
def test_each_tile_is_from_its_time(studio: Studio, name: str, gop: str) -> None:
    """Also where keyframes alone are too few to choose from."""
    video = studio.video(name, *brightening(25, 10), *QUICK, "-g", gop, "-sc_threshold", "0")
    sheet = video.file("storyboard")
    tiles = read_cues(sheet.with_suffix(".vtt").read_text())
    assert len(tiles) == 13
    assert size_of(sheet) == (1600, 180)
    seen = lumas(sheet, *(place for _, _, _, place in tiles))
    assert {picture for _, _, picture, _ in tiles} == {"storyboard.jpg"}
    assert seen == pytest.approx([16 + 8 * starts for starts, *_ in tiles], abs=3)


@pytest.mark.parametrize("name", ["portrait.webm", "one-frame.mp4"])
def test_a_small_film_has_a_storyboard_too(studio: Studio, name: str) -> None:
    portrait = (*pattern(90, 160), "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "2M")
    video = studio.video(name, *(portrait if "portrait" in name else (*pattern(), "-frames:v", "1", *QUICK)))
    (cue,) = read_cues(video.file("storyboard").with_suffix(".vtt").read_text())
    assert size_of(video.file("storyboard")) == cue[3][2:] == ((90, 160) if "portrait" in name else (160, 90))
    assert cue[1] == pytest.approx(video.source.duration_s, abs=0.001)


def test_hours_are_looked_through_by_keyframes_alone(studio: Studio) -> None:
    """Three hours, in a second or two."""
    video = studio.video("hours.mp4", *pattern(rate="1/5", seconds=10_800), *QUICK, "-g", "4")
    sheet = video.file("storyboard")
    tiles = read_cues(sheet.with_suffix(".vtt").read_text())
    assert len(tiles) == MOST_TILES
    assert tiles[-1][1] == pytest.approx(10_800, abs=6)
    assert size_of(sheet) == (1600, 90 * MOST_TILES // COLUMNS)


@UNHURRIED
@given(
    st.floats(min_value=0.001, max_value=50_000),
    st.integers(min_value=16, max_value=8192),
    st.integers(min_value=16, max_value=8192),
)
def test_cues_follow_on_each_other_and_every_tile_is_on_the_sheet(duration_s: float, width: int, height: int) -> None:
    sheet = sheet_for(duration_s, width, height)
    read = read_cues(cues(sheet, duration_s, "storyboard.jpg"))
    assert len(read) == sheet.tiles <= MOST_TILES
    assert read[0][0] == 0
    assert read[-1][1] == pytest.approx(duration_s, abs=0.001)
    assert all(before[1] == after[0] for before, after in pairwise(read))
    assert len({place for _, _, _, place in read}) == sheet.tiles
    for starts, ends, _, (x, y, tile_width, tile_height) in read:
        assert starts <= ends
        assert 0 <= x <= (sheet.columns - 1) * tile_width
        assert 0 <= y <= (sheet.rows - 1) * tile_height
        assert max(tile_width, tile_height) == 160
