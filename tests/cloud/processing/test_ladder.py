"""Which renditions a source gets."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_service.processing.ladder import LADDER, size_within, targets
from cloud_service.processing.source import Picture, Sound, Source
from tests.cloud.chance import UNHURRIED

PICTURE = Picture(
    index=0,
    codec="h264",
    width=1280,
    height=720,
    frame_rate=Fraction(25),
    bitrate=2_000_000,
    starts_s=0,
    ends_s=60,
    keyframes_within_s=2,
    turned=False,
    interlaced=False,
    colours="said",
    as_it_is=True,
)
SOUND = Sound(index=1, codec="aac", channels=2, sample_rate=48_000, starts_s=0, ends_s=60, as_it_is=True)


def source(width: int = 1280, height: int = 720, sound: Sound | None = SOUND, **picture: object) -> Source:
    return Source("video/mp4", replace(PICTURE, width=width, height=height, **picture), sound)  # type: ignore[arg-type]


def sizes(width: int, height: int) -> dict[str, tuple[int, int]]:
    return {target.name: (target.width, target.height) for target in targets(source(width, height))}


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (160, 90, {"sd": (160, 90)}),
        (161, 91, {"sd": (160, 90)}),
        (640, 360, {"sd": (640, 360)}),
        (854, 480, {"sd": (854, 480)}),
        (640, 480, {"sd": (640, 480)}),
        (1024, 600, {"sd": (820, 480)}),
        (1280, 719, {"sd": (854, 480), "hd": (1280, 718)}),
        (1280, 720, {"sd": (854, 480), "hd": (1280, 720)}),
        (720, 1280, {"sd": (480, 854), "hd": (720, 1280)}),
        (1080, 1080, {"sd": (480, 480), "hd": (720, 720), "full_hd": (1080, 1080)}),
        (1920, 1080, {"sd": (854, 480), "hd": (1280, 720), "full_hd": (1920, 1080)}),
        (1080, 1920, {"sd": (480, 854), "hd": (720, 1280), "full_hd": (1080, 1920)}),
        (1920, 800, {"sd": (1152, 480), "hd": (1728, 720), "full_hd": (1920, 800)}),
        (3840, 2160, {"sd": (854, 480), "hd": (1280, 720), "full_hd": (1920, 1080)}),
        (8192, 480, {"sd": (1152, 68), "hd": (1728, 102), "full_hd": (2592, 152)}),
    ],
)
def test_a_source_gets_what_it_has_the_lines_or_the_width_for(
    width: int, height: int, expected: dict[str, tuple[int, int]]
) -> None:
    assert sizes(width, height) == expected


@UNHURRIED
@given(
    st.sampled_from([rung.lines for rung in LADDER]),
    st.integers(min_value=16, max_value=8192),
    st.integers(min_value=16, max_value=8192),
)
def test_no_picture_is_enlarged_bent_or_odd(lines: int, width: int, height: int) -> None:
    made_width, made_height = size_within(lines, width, height)
    assert (made_width % 2, made_height % 2) == (0, 0)
    assert 0 < made_width <= width
    assert 0 < made_height <= height
    assert min(made_width, made_height) <= lines + 1
    assert abs(made_width * height - made_height * width) <= 2 * max(width, height)  # within a line or two
    assert size_within(lines, height, width) == (made_height, made_width)


def test_a_stream_that_fits_is_taken_as_it_is_where_it_has_the_right_size() -> None:
    sd, hd = targets(source())
    assert (sd.copies_picture, sd.copies_sound) == (False, True)
    assert (hd.copies_picture, hd.copies_sound) == (True, True)


@pytest.mark.parametrize(
    "unfit",
    [
        source(as_it_is=False),
        source(bitrate=3_500_001),
        source(width=1280, height=721),
        source(sound=replace(SOUND, ends_s=61)),
    ],
)
def test_a_picture_that_does_not_fit_is_made_anew(unfit: Source) -> None:
    assert not any(target.copies_picture for target in targets(unfit))


@pytest.mark.parametrize("sound", [replace(SOUND, as_it_is=False), replace(SOUND, ends_s=59), None])
def test_sound_that_does_not_fit_is_made_anew(sound: Sound | None) -> None:
    assert [target.copies_sound for target in targets(source(sound=sound))] == [False, False]


def test_more_frames_may_take_more_bits() -> None:
    calm, quick = (targets(source(frame_rate=Fraction(rate)))[1].maxrate for rate in (30, 60))
    assert quick > calm
