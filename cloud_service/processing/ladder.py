"""Which renditions are made of a source, and how: pure rules."""

from dataclasses import dataclass
from fractions import Fraction
from typing import get_args

from cloud_service.processing.source import Source
from shared.contract import RenditionName

WIDEST = Fraction(12, 5)
"""Width to height of the widest picture that keeps a rung's lines; DCI Scope is just below. Wider ones get fewer."""
END_S = 0.1
"""By how much sound may be longer or shorter than the picture before one of them is filled up."""
FEWEST_FOR_REORDERING = 15
"""Frames a second from which on frames may be kept back for others that lean on them (B-frames). With fewer, a
segment's sound would end so long before its pictures that hls.js does not get to the end of a film."""


@dataclass(frozen=True, slots=True)
class Rung:
    """`lines` of the shorter side; `crf` with `maxrate` bounds the picture (bits per second at 30 frames a second)."""

    name: RenditionName
    lines: int
    crf: int
    maxrate: int
    audio_bitrate: int


LADDER = (
    Rung("sd", 480, 21, 1_800_000, 128_000),
    Rung("hd", 720, 22, 3_500_000, 192_000),
    Rung("full_hd", 1080, 22, 6_500_000, 192_000),
)
assert tuple(rung.name for rung in LADDER) == get_args(RenditionName)


@dataclass(frozen=True, slots=True)
class Target:
    """A rendition to be made. `copies_*` take the source's stream as it is; `maxrate` is in bits per second."""

    rung: Rung
    width: int
    height: int
    frame_rate: Fraction
    maxrate: int
    copies_picture: bool
    copies_sound: bool

    @property
    def name(self) -> RenditionName:
        return self.rung.name


def targets(source: Source) -> list[Target]:
    """From the smallest up; there is always one."""
    return [_target(rung, source) for rung in LADDER if rung.name == "sd" or _reaches(source, rung)]


def _reaches(source: Source, rung: Rung) -> bool:
    """By its lines, or by the width that goes with them at 16:9: a film 1920 wide is full HD with fewer lines too."""
    short, long = sorted((source.picture.width, source.picture.height))
    return short >= rung.lines or long >= rung.lines * 16 // 9


def _target(rung: Rung, source: Source) -> Target:
    picture = source.picture
    width, height = size_within(rung.lines, picture.width, picture.height)
    maxrate = rung.maxrate * 3 // 2 if picture.frame_rate > 31 else rung.maxrate
    return Target(
        rung,
        width,
        height,
        picture.frame_rate,
        maxrate,
        copies_picture=picture.as_it_is
        and picture.frame_rate >= FEWEST_FOR_REORDERING
        and (width, height) == (picture.width, picture.height)
        and picture.bitrate <= maxrate
        and source.duration_s - picture.ends_s < END_S,
        copies_sound=source.sound is not None
        and source.sound.as_it_is
        and abs(source.sound.ends_s - picture.ends_s) < END_S,
    )


def size_within(lines: int, width: int, height: int) -> tuple[int, int]:
    """As large as `lines` on the shorter side allow, never larger than it is, in even numbers as 4:2:0 needs them."""
    short, long = sorted((width, height))
    scale = min(Fraction(1), Fraction(lines, short), lines * WIDEST / long)
    return _even(width * scale), _even(height * scale)


def _even(side: Fraction) -> int:
    """The nearest; an odd side loses its last line rather than gets one more."""
    return max(2, int(side + Fraction(1, 2)) // 2 * 2 if side.denominator == 1 else round(side / 2) * 2)
