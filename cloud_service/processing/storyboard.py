"""The storyboard: one picture of many small ones, and a WebVTT file that says which is from when."""

from dataclasses import dataclass
from math import ceil

TILE = 160
"""Pixels of a tile's longer side."""
COLUMNS = 10
MOST_TILES = 150
EVERY_S = 2


@dataclass(frozen=True, slots=True)
class Sheet:
    """`every_s` whole seconds a tile of `width` by `height` pixels, in rows from left to right."""

    every_s: int
    tiles: int
    width: int
    height: int

    @property
    def columns(self) -> int:
        return min(COLUMNS, self.tiles)

    @property
    def rows(self) -> int:
        return ceil(self.tiles / COLUMNS)


def sheet_for(duration_s: float, width: int, height: int) -> Sheet:
    every_s = max(EVERY_S, ceil(duration_s / MOST_TILES))
    scale = TILE / max(width, height)
    return Sheet(
        every_s, max(1, ceil(duration_s / every_s)), *(max(2, round(side * scale / 2) * 2) for side in (width, height))
    )


def cues(sheet: Sheet, duration_s: float, picture: str) -> str:
    """WebVTT with a media fragment (https://www.w3.org/TR/media-frags/#naming-space) a cue."""
    blocks = ["WEBVTT\n"]
    for tile in range(sheet.tiles):
        starts, ends = tile * sheet.every_s, min((tile + 1) * sheet.every_s, max(duration_s, 0.001))
        x, y = tile % sheet.columns * sheet.width, tile // sheet.columns * sheet.height
        blocks.append(f"{_clock(starts)} --> {_clock(ends)}\n{picture}#xywh={x},{y},{sheet.width},{sheet.height}\n")
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
