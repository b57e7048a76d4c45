"""Stretches of a video, or of a file: from where up to where."""

from collections.abc import Iterable

MOST_STRETCHES = 200
"""Of one playback. When there are more, the smallest gaps between them are passed over."""

Stretch = tuple[float, float]


def merged(stretches: Iterable[Stretch], most: int = MOST_STRETCHES) -> list[Stretch]:
    """The same as a whole, in order, none touching another; at most so many, with the smallest gaps filled."""
    apart: list[Stretch] = []
    for start, stop in sorted(one for one in stretches if one[0] < one[1]):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(stop, apart[-1][1]))
        else:
            apart.append((start, stop))
    if len(apart) <= most:
        return apart
    gaps = sorted(range(1, len(apart)), key=lambda place: apart[place][0] - apart[place - 1][1])
    filled = set(gaps[: len(apart) - most])
    return [
        (apart[first][0], apart[last][1])
        for first, last in _runs([place for place in range(len(apart)) if place not in filled], len(apart))
    ]


def _runs(firsts: list[int], count: int) -> Iterable[tuple[int, int]]:
    """The first and the last place of each, given where they begin."""
    return zip(firsts, [*(place - 1 for place in firsts[1:]), count - 1], strict=True)
